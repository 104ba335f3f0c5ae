"""Receive images over DICOMweb: a small ASGI app for STOW-RS, without other parts of DICOMweb.

Source: DICOM PS3.18 10.5 (Store transaction), RFC 2046 5.1 (multipart).
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from ich_lib.hospital.ledger import Ledger, hashed_uid
from ich_lib.hospital.receive import OUT_OF_RESOURCES, StoreResult, is_allowed, keep, new_file, write_file
from ich_lib.hospital.settings import Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

MOST_BYTES = 600_000_000  # of one request
_BOUNDARY = re.compile(rb'boundary="?([^";\s]{1,70})"?', re.IGNORECASE)
log = logging.getLogger("ich.listen")


def build_app(ledger: Ledger, settings: Settings) -> "Starlette":
    """POST /studies and /studies/UID."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    answer = _answer(ledger, settings)
    paths = ("/studies", "/studies/{study}")
    return Starlette(routes=[Route(path, answer, methods=["POST"]) for path in paths])


def _answer(ledger: Ledger, settings: Settings) -> Callable[["Request"], Awaitable["Response"]]:
    from starlette.responses import JSONResponse, PlainTextResponse

    async def answer(request: "Request") -> "Response":
        if not request.client or not is_allowed(request.client.host, settings):
            log.warning("a computer that is not allowed was refused")
            return PlainTextResponse("This computer may not send here.", 403)
        kind = request.headers.get("content-type", "").encode("latin-1")
        boundary = _BOUNDARY.search(kind)
        if not kind.lower().startswith(b"multipart/related") or b"application/dicom" not in kind or not boundary:
            return PlainTextResponse("Send multipart/related; type=application/dicom.", 415)
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_BYTES:
                return PlainTextResponse(f"One request may have at most {MOST_BYTES // 1_000_000} MB.", 413)
        study = request.path_params.get("study", "")
        images = await asyncio.to_thread(_keep_all, bytes(body), boundary[1], study, ledger, settings)
        if not images:
            return PlainTextResponse("This request has no part.", 400)
        return JSONResponse(_answer_dataset(images), _status(images), media_type="application/dicom+json")

    return answer


def _keep_all(body: bytes, boundary: bytes, study: str, ledger: Ledger, settings: Settings) -> list[StoreResult]:
    images = []
    for data in parts(body, boundary):
        path = new_file(settings)
        write_file(path, data)
        image = keep(path, ledger, settings, only_study=study)
        if image.status:
            log.warning("image %s refused: %s", hashed_uid(image.sop), image.reason)
        images.append(image)
    return images


def parts(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """The parts between the boundaries, without their headers.

    Example:
        >>> from ich_lib.hospital.stow import parts
        >>> list(parts(b"--x\\r\\nContent-Type: application/dicom\\r\\n\\r\\nDICM\\r\\n--x--", b"x"))
        [b'DICM']
    """
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]:
        if piece.startswith(b"--"):
            return
        _, blank, data = piece.partition(b"\r\n\r\n")
        if blank:
            yield data


def _status(images: list[StoreResult]) -> int:
    """200 if all were stored, 202 for some, 409 for none, 507 if the disk is the reason."""
    if not any(image.status for image in images):
        return 200
    if any(not image.status for image in images):
        return 202
    return 507 if all(image.status == OUT_OF_RESOURCES for image in images) else 409


def _answer_dataset(images: list[StoreResult]) -> dict:
    """The answer's data set: what was stored, what was not, and why."""
    answer = {}
    for tag, ones in (
        ("00081199", [image for image in images if not image.status]),
        ("00081198", [image for image in images if image.status]),
    ):
        if ones:
            answer[tag] = {"vr": "SQ", "Value": [_item(image) for image in ones]}
    return answer


def _item(image: StoreResult) -> dict:
    item: dict[str, dict] = {}
    if image.sop:
        item = {"00081150": {"vr": "UI", "Value": [image.sop_class]}, "00081155": {"vr": "UI", "Value": [image.sop]}}
    return item | ({"00081197": {"vr": "US", "Value": [image.status]}} if image.status else {})
