"""NIfTI files that belong together: the two halves of a pair, a scan with its mask, and the copies of dcm2niix."""

import gzip
import io
import math
import os
import re
from collections.abc import Sequence
from typing import BinaryIO

import nibabel as nib

from ich_lib.readers.gather import gather
from ich_lib.readers.limits import LIMITS
from ich_lib.readers.piece import Piece
from ich_lib.readers.refusal import ReadError, refuse_damaged
from ich_lib.readers.roles import masks_note, split_masks
from ich_lib.readers.sniff import PAIR_HEADERS

_HEADER, _ALONE_AT = 348, 352
_ADDED_SUFFIXES = re.compile(r"(?:_(?:Eq|Tilt)(?:_?\d+)?)+$", re.IGNORECASE)  # suffixes that dcm2niix adds to a name


def gather_pairs(paths: str | os.PathLike | Sequence[str | os.PathLike]) -> list[Piece]:
    """Like `gather`, but each .hdr with its .img becomes one file."""
    pieces = gather(paths)
    images = {_stem(piece): piece for piece in pieces if _suffix(piece) == ".img"}
    if not images:
        return pieces
    joined = {
        piece: images[_stem(piece)]
        for piece in pieces
        if _suffix(piece) == ".hdr" and _stem(piece) in images and piece.kind() in PAIR_HEADERS
    }
    joined_images = set(joined.values())
    return [_join(piece, joined[piece]) if piece in joined else piece for piece in pieces if piece not in joined_images]


def choose_volume(pieces: Sequence[Piece], name: str) -> tuple[Piece, tuple[str, ...]]:
    """The one scan among several NIfTI files, and notes for the user.

    Raises:
        ReadError: if there is more than one scan.
    """
    scans, masks = split_masks(pieces)
    scans = scans or list(pieces)
    masks = masks if len(scans) < len(pieces) else []
    forms = {piece: _dcm2niix_form(piece) for piece in scans}
    if len(scans) > 1 and len({base for base, _ in forms.values()}) > 1:
        raise ReadError(
            f"{name} holds {len(scans)} NIfTI files, {scans[0].name} and others. Give one of them.",
            code="several scans",
        )
    chosen = max(scans, key=lambda piece: forms[piece][1])
    others = ", ".join(piece.name for piece in scans if piece is not chosen)
    note = f"Read: {chosen.name}, which dcm2niix corrected for uneven slices or tilt. Left out: {others}."
    return chosen, (*((note,) if others else ()), *masks_note(masks))


def _dcm2niix_form(piece: Piece) -> tuple[str, tuple[bool, bool]]:
    """The name of the original, and whether dcm2niix has made its slices even and removed the tilt."""
    stem = _stem(piece)
    match = _ADDED_SUFFIXES.search(stem)
    added = match[0].casefold() if match else ""
    return stem[: len(stem) - len(added)], ("_eq" in added, "_tilt" in added)


def _stem(piece: Piece) -> str:
    return re.sub(r"\.(nii|hdr|img)(\.gz)?$", "", str(piece.place), flags=re.IGNORECASE)


def _suffix(piece: Piece) -> str:
    return (
        piece.place.with_suffix("").suffix.casefold() if piece.place.suffix == ".gz" else piece.place.suffix.casefold()
    )


def _join(header: Piece, image: Piece) -> Piece:
    """Both halves as one file. They are read when it is opened."""

    def opened() -> BinaryIO:
        with refuse_damaged(header.name):
            head = bytearray(_unpacked(header, _HEADER))
            if head[344:347] != b"ni1":  # Analyze 7.5 has other data in the bytes where NIfTI has the orientation
                head[252:344] = bytes(92)
            head[344:348] = b"n+1\0"
            fields = nib.Nifti1Header(bytes(head), check=False)
            start = max(int(fields["vox_offset"]), 0)
            size = math.prod(fields.get_data_shape()) * fields.get_data_dtype().itemsize
            if start + size > LIMITS["volume_bytes"]:
                size_mb = size // 1_000_000
                raise ReadError(f"{image.name} has {size_mb} MB of voxels. Give one head scan.", code="too large")
            fields["vox_offset"] = _ALONE_AT
            return io.BytesIO(fields.binaryblock + bytes(4) + _unpacked(image, start + size)[start:])

    return Piece(header.path.with_suffix(".img") if header.path.suffix == ".hdr" else header.path, opened)


def _unpacked(piece: Piece, n_bytes: int) -> bytes:
    """The first bytes of a file that may be gzipped."""
    with piece.open() as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        return (gzip.GzipFile(fileobj=raw) if packed else raw).read(n_bytes)
