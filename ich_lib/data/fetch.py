"""A public data set, from its own server to a folder: its terms first, every file by its SHA-256, nothing half-written.

PhysioNet puts a SHA256SUMS.txt beside the files of every project: a line each, hash and path. That list is fetched
first, then every file on it that is not yet here. A file takes its name only after its hash was right; until then it
lies in the hidden folder .parts, where no reader looks and where the next run finds it and goes on.

How far to trust this: list and files come from one server over HTTPS, so the hashes find damage (a cut line, a bad
disk, a proxy that puts a page in place of a picture). They do not find a dishonest server, which would send a list to
match. `Source.sums_sha256` can pin the list itself and closes that gap; it stays None until a hash has been published
or been taken from a download that two people compared.
"""

import errno
import hashlib
import queue
import re
import shutil
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, TypeVar
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

from tqdm import tqdm

from ich_lib.readers.refusal import count

SUMS = "SHA256SUMS.txt"
PARTS = ".parts"

_TIMEOUT_S = 20  # without a byte; also the longest that Ctrl-C takes
_BLOCK = 1 << 16
_MOST_SUMS_BYTES = 10_000_000
_MOST_REFUSED = 20  # files that may be missing before the rest is not tried either
_NAMED = 5  # files spelled out in a sentence; the rest are counted
_SPARE = 1.1  # of the disk: the size of a set is an estimate, and small files take whole blocks

T = TypeVar("T")


class FetchError(ValueError):
    """The set, or a file of it, could not be had. The text is for the person: what, what was found, what to do."""


class _Refused(FetchError):
    """This one file cannot be had; the others can."""


class _Cut(Exception):
    """The line or the server failed, as it may not a second later."""


class _Shorter(_Cut):
    """The file has fewer bytes than are here of it."""


class _Stopped(Exception):
    """Another thread failed, or the person pressed Ctrl-C."""


@dataclass(frozen=True)
class Source:
    """Where a set comes from and what may be done with it.

    Attributes:
        title: the set's own.
        terms: license and what it asks, in words.
        citation: what to cite.
        size: as far as it is known, in words.
        page: for a browser.
        needs_account: None for an open set; else how to get it.
        url: the folder on the server that holds SHA256SUMS.txt; None where there is an account in the way.
        bytes_about: expected size, to refuse a disk that is too small.
        sums_sha256: hash of SHA256SUMS.txt itself, where it is known.
        most_files, most_bytes: more than that is not this set.
    """

    title: str
    terms: str
    citation: str
    size: str
    page: str
    needs_account: str | None = None
    url: str | None = None
    bytes_about: int = 0
    sums_sha256: str | None = None
    most_files: int = 20_000
    most_bytes: int = 1_000_000_000


SOURCES = {
    "ct-ich": Source(
        title="CT-ICH 1.0.0: Computed Tomography Images for Intracranial Hemorrhage Detection and Segmentation",
        terms="Creative Commons Attribution 4.0 (CC BY 4.0): name the authors and say what was changed.",
        citation="Hssayeni MD, Croock MS, Salman AD, Al-khafaji HF, Yahya ZA, Ghoraani B. Intracranial Hemorrhage "
        "Segmentation Using a Deep Convolutional Model. Data 2020;5(1):14. Data set: doi 10.13026/w8q8-ky94",
        size="about 110 MB in about 5,300 files (82 patients; estimated from 66 of them)",
        page="https://physionet.org/content/ct-ich/1.0.0/",
        url="https://physionet.org/files/ct-ich/1.0.0/",
        bytes_about=110_000_000,
    ),
    "ct-ich-1.3.1": Source(
        title="CT-ICH 1.3.1: Computed Tomography Images for Intracranial Hemorrhage Detection and Segmentation (NIfTI)",
        terms="PhysioNet Restricted Health Data License 1.5.0: not to be passed on, nor used to identify anyone.",
        citation="Hssayeni M. Computed Tomography Images for Intracranial Hemorrhage Detection and Segmentation "
        "(version 1.3.1). PhysioNet 2020. doi 10.13026/4nae-zg36",
        size="75 scans",
        page="https://physionet.org/content/ct-ich/1.3.1/",
        needs_account="Log in at https://physionet.org/content/ct-ich/1.3.1/, sign its data use agreement, then: "
        "wget -r -N -c -np --user YOUR_NAME --ask-password https://physionet.org/files/ct-ich/1.3.1/",
    ),
    "rsna-2019": Source(
        title="RSNA Intracranial Hemorrhage Detection (2019)",
        terms="Rules of the competition on Kaggle: non-commercial, and everybody fetches their own copy.",
        citation="Flanders AE, Prevedello LM, Shih G, et al. Construction of a Machine Learning Dataset through "
        "Collaboration: The RSNA 2019 Brain CT Hemorrhage Challenge. Radiology: Artificial Intelligence 2020;2(3)",
        size="752,803 labeled DICOM slices",
        page="https://www.kaggle.com/c/rsna-intracranial-hemorrhage-detection",
        needs_account="With a Kaggle account, accept the rules at "
        "https://www.kaggle.com/c/rsna-intracranial-hemorrhage-detection/rules, then: "
        "kaggle competitions download -c rsna-intracranial-hemorrhage-detection",
    ),
    "cq500": Source(
        title="CQ500 (Qure.ai)",
        terms="Creative Commons Attribution-NonCommercial-ShareAlike 4.0 (CC BY-NC-SA 4.0).",
        citation="Chilamkurthy S, Ghosh R, Tanamala S, et al. Deep learning algorithms for detection of critical "
        "findings in head CT scans: a retrospective study. Lancet 2018;392:2388-2396",
        size="491 scans",
        page="http://headctstudy.qure.ai/dataset",
        needs_account="Ask Qure.ai for it at http://headctstudy.qure.ai/dataset; it wants an e-mail address.",
    ),
    "renders": Source(
        title="Zeta Surgical / Centaur Labs renders of RSNA slices",
        terms="Not public.",
        citation="as agreed with the owners",
        size="not published",
        page="",
        needs_account="The set is not public: those who hold a copy name its folder with --data.",
    ),
}


@dataclass(frozen=True)
class Listed:
    """A line of SHA256SUMS.txt: `path` from the set's folder, with slashes, and the hash of its content."""

    path: str
    sha256: str


@dataclass
class _Meter:
    """Bytes of one run, counted over its threads."""

    received: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, number: int) -> int:
        with self.lock:
            self.received += number
            return self.received


@dataclass(frozen=True)
class _Run:
    """What every thread of one fetch has to know."""

    source: Source
    folder: Path
    base_url: str
    waits_s: tuple[float, ...]
    opener: OpenerDirector
    meter: _Meter = field(default_factory=_Meter)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc

    def part(self, file: Listed) -> Path:
        """Named after path and hash together: a part of an older version of the file is never continued."""
        return self.folder / PARTS / (hashlib.sha256(f"{file.sha256} {file.path}".encode()).hexdigest() + ".part")


def terms(name: str) -> str:
    """What a set is, what may be done with it and what to cite, in lines to print before anything is fetched.

    Args:
        name: a key of SOURCES.

    Raises:
        FetchError: if there is no such set.
    """
    if name not in SOURCES:
        raise FetchError(f"There is no set {name!r}. Choose one of: {', '.join(SOURCES)}.")
    source = SOURCES[name]
    return "\n".join(
        (
            source.title,
            f"Terms: {source.terms}",
            f"Cite: {source.citation}",
            f"Size: {source.size}",
            f"Access: {'not without its owners or your own account' if source.needs_account else 'open, no account'}",
        )
    )


def fetch(
    name: str,
    out: str | Path,
    *,
    base_url: str | None = None,
    workers: int = 8,
    progress: bool = True,
    say: Callable[[str], None] = print,
    waits_s: tuple[float, ...] = (1, 4),
) -> Path:
    """Download a set, or go on where an earlier call stopped.

    Files that are here and right are not fetched again; files that are here and differ are replaced, and `say` names
    them. Ctrl-C and a cut line leave what came in `.parts` for the next call; after success there is no such folder.

    Args:
        name: a key of SOURCES.
        out: folder to fill; made if it is not there.
        base_url: another address of the same files, https (or http on this machine).
        workers: files fetched side by side.
        progress: show a bar.
        say: gets the terms, before anything is asked of a server, and what is replaced.
        waits_s: pauses between tries; one more try than pauses.

    Returns:
        The folder, holding every file of SHA256SUMS.txt and that list.

    Raises:
        FetchError: if the set needs an account (the text says how to get it), or a file cannot be had, is not what
            its hash says, or finds no room.

    Source:
        RFC 9110 sections 14 and 15.3.7 (Range, 206 Partial Content).
    """
    say(terms(name))
    source = SOURCES[name]
    if source.url is None:
        raise FetchError(f"{name} is not fetched by this command. {source.needs_account}")
    address = (base_url or source.url).rstrip("/") + "/"
    _check_address(address)
    run = _Run(source, Path(out), address, waits_s, _opener(address))
    data = _sums(run)
    listed = parse_sums(data, most_files=source.most_files)
    wanted = _wanted(run.folder, listed, say)
    _check_room(run, len(wanted) / len(listed))
    _keep_sums(run, data)
    here = len(listed) - len(wanted)
    bar = tqdm(desc=name, unit="file", total=len(listed), initial=here, disable=not progress)
    _fetch_all(run, wanted, workers, bar)
    shutil.rmtree(run.folder / PARTS, ignore_errors=True)
    return run.folder


def verify(folder: str | Path) -> tuple[str, ...]:
    """Hold a folder against its SHA256SUMS.txt.

    Args:
        folder: holds SHA256SUMS.txt.

    Returns:
        A sentence for each kind of trouble (files missing, changed, not listed); none if all is well.

    Raises:
        FileNotFoundError: if there is no SHA256SUMS.txt.
        FetchError: if that list cannot be read.
    """
    folder = Path(folder)
    if not (folder / SUMS).is_file():
        raise FileNotFoundError(f"{folder} holds no {SUMS}, so nothing says whether its files are the published ones.")
    listed = parse_sums((folder / SUMS).read_bytes())
    missing = [file.path for file in listed if not (folder / file.path).is_file()]
    changed = [f.path for f in listed if (folder / f.path).is_file() and _sha256(folder / f.path) != f.sha256]
    here = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    extra = sorted(p for p in here - {f.path for f in listed} - {SUMS} if not p.startswith(f"{PARTS}/"))
    found = ((missing, "missing"), (changed, f"not what {SUMS} says"), (extra, f"not in {SUMS}"))
    return tuple(f"{count(len(paths), 'file')} {what}: {_names(paths)}." for paths, what in found if paths)


def parse_sums(data: bytes, *, most_files: int = 1_000_000) -> tuple[Listed, ...]:
    """Read a SHA256SUMS.txt, whose paths come from outside and are believed only as far as this folder.

    Args:
        data: its content: a line a file, 64 hexadecimal digits, one space (PhysioNet) or two (sha256sum), the path.
        most_files: more lines than this are refused.

    Raises:
        FetchError: if a line has another form, a path leads out of the folder or is there twice, or there are none.

    Source:
        PhysioNet writes '{hash} {path}' in sorted order, the list itself left out (physionet-build,
        make_checksum_file); the second space and the star are those of GNU coreutils.
    """
    lines = data.decode("utf-8", errors="replace").splitlines()
    if not 1 <= len(lines) <= most_files:
        raise FetchError(f"{SUMS} has {count(len(lines), 'line')}; 1 to {most_files} are taken. Nothing was fetched.")
    found = tuple(_listed(line, number) for number, line in enumerate(lines, start=1))
    times = Counter(file.path.casefold() for file in found)  # as Windows and macOS compare names
    if twice := [file.path for file in found if times[file.path.casefold()] > 1]:
        raise FetchError(f"{SUMS} lists {twice[0]!r} twice. Nothing was fetched.")
    return found


def _listed(line: str, number: int) -> Listed:
    match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *]?(?:\./)?(.+)", line)
    if not match:
        raise FetchError(
            f"{SUMS} line {number} is not a hash and a path, so this is not the list of the set "
            "(a login page, perhaps). Nothing was fetched; look at the set's page in a browser."
        )
    digest, path = match.groups()
    steps = path.split("/")
    if not all(map(_is_plain, steps)) or steps[0].casefold() in (PARTS, SUMS.casefold()):
        raise FetchError(f"{SUMS} line {number} has the path {path!r}, which is not taken. Nothing was fetched.")
    return Listed(path, digest.lower())


def _is_plain(part: str) -> bool:
    """Whether one step of a path is a name on every system: no way up, no drive, no device of Windows."""
    device = re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", part)
    return part.isprintable() and not (device or part[-1:] in ("", ".", " ") or set(part) & set('\\:*?"<>|'))


def _wanted(folder: Path, listed: tuple[Listed, ...], say: Callable[[str], None]) -> list[Listed]:
    """What is not here yet, or not as it was published."""
    here = [file for file in listed if (folder / file.path).is_file()]
    changed = [file for file in here if _sha256(folder / file.path) != file.sha256]
    if changed:
        names = _names([file.path for file in changed])
        say(f"{count(len(changed), 'file')} here but not as published, to be replaced: {names}.")
    right = set(here) - set(changed)
    return [file for file in listed if file not in right]


def _fetch_all(run: _Run, wanted: list[Listed], workers: int, bar: tqdm) -> None:
    """Every wanted file, several at a time. One that the server does not have does not hold up the others."""
    refused = []
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fetch")
    try:
        with bar:
            for job in _as_they_end([pool.submit(_guarded, run, file) for file in wanted]):
                with suppress(_Stopped):
                    refused += [problem] if (problem := job.result()) else []
                if len(refused) >= _MOST_REFUSED:
                    run.stop.set()
                bar.set_postfix_str(f"{run.meter.received / 1e6:.0f} MB", refresh=False)
                bar.update()
    finally:
        run.stop.set()
        pool.shutdown(cancel_futures=True)
        with suppress(OSError):
            (run.folder / PARTS).rmdir()  # if nothing is left in it to go on with
    if refused:
        more = f" {count(len(refused) - 1, 'more file')} could not be had either." if len(refused) > 1 else ""
        raise FetchError(f"{refused[0]}{more} The same command tries again what is not in place.")


def _as_they_end(jobs: list[Future]) -> Iterator[Future]:
    """Waits in short steps: Windows hears Ctrl-C only between two of them."""
    ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
    for job in jobs:
        job.add_done_callback(ended.put)
    for _ in jobs:
        first: Future | None = None
        while first is None:
            with suppress(queue.Empty):
                first = ended.get(timeout=0.2)
        yield first


def _guarded(run: _Run, file: Listed) -> str | None:
    """One file; a sentence if it cannot be had. Anything worse stops the others before they begin."""
    try:
        _fetch_one(run, file)
    except _Refused as problem:
        return str(problem)
    except BaseException:
        run.stop.set()
        raise
    return None


def _fetch_one(run: _Run, file: Listed) -> None:
    """One file to its name, through its part, or an error and no file of that name."""
    part = run.part(file)
    if not (part.is_file() and _sha256(part) == file.sha256):
        continued = _patiently(run, file.path, lambda: _receive(run, file.path, part))
        if continued and _sha256(part) != file.sha256:  # it changed between its two halves: once more from the start
            part.unlink()
            _patiently(run, file.path, lambda: _receive(run, file.path, part))
    if (found := _sha256(part)) != file.sha256:
        part.unlink()
        raise _Refused(
            f"{file.path} from {run.host} has the SHA-256 {found[:12]}..., its list says {file.sha256[:12]}...; "
            "it was thrown away."
        )
    target = run.folder / file.path
    with _writing(part):
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)


def _patiently(run: _Run, path: str, attempt: Callable[[], T]) -> T:
    """The one policy for a bad line: as many tries as there are pauses, and one more."""
    for wait_s in (*run.waits_s, None):
        if run.stop.is_set():
            raise _Stopped
        try:
            return attempt()
        except _Cut as problem:
            if wait_s is None:
                raise FetchError(
                    f"{path} did not come from {run.host} in {len(run.waits_s) + 1} tries ({problem}). "
                    "What came is kept: the same command goes on from there."
                ) from problem
            run.stop.wait(wait_s)
    raise AssertionError("the last try returns or raises")


def _receive(run: _Run, path: str, part: Path) -> bool:
    """Append to `part` what it lacks; whether the server went on where it ended, as not every server can.

    Without If-Range and Content-Range: the hash of the whole finds two halves that do not fit, whatever the reason.
    """
    start = _start(part)
    try:
        response = _open(run, path, start)
    except _Shorter:
        part.unlink()
        raise
    with response:
        continued = response.status == 206
        expected = _length(response)
        _check_length(run, path, expected or 0)
        with _writing(part), part.open("ab" if continued else "wb") as file:
            received = 0
            for block in _blocks(run, response, expected):
                file.write(block)
                received += len(block)
    if expected is not None and received < expected:  # Python 3.11 says nothing when a line is cut
        raise _Cut(f"the line was cut after {received} of {expected} bytes")
    return continued


def _start(part: Path) -> int:
    """The bytes that are here already; makes the folder for the others."""
    with _writing(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        return part.stat().st_size if part.is_file() else 0


def _length(response: HTTPResponse) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def _blocks(run: _Run, response: HTTPResponse, expected: int | None) -> Iterator[bytes]:
    """What arrives, as it arrives, up to `expected` bytes and never past the set's limit."""
    received = 0
    while received != expected:
        if run.stop.is_set():
            raise _Stopped
        with _network():
            block = response.read1(_BLOCK)
        if not block:
            return
        received += len(block)
        if run.meter.add(len(block)) > run.source.most_bytes:
            raise _too_large(run)
        yield block


def _sums(run: _Run) -> bytes:
    """SHA256SUMS.txt, which is small, in memory."""

    def attempt() -> bytes:
        with _open(run, SUMS, 0) as response, _network():
            data = response.read(_MOST_SUMS_BYTES + 1)
            if len(data) < min(_length(response) or 0, _MOST_SUMS_BYTES):
                raise _Cut("the line was cut")
        return data

    data = _patiently(run, SUMS, attempt)
    if len(data) > _MOST_SUMS_BYTES:
        raise FetchError(f"{SUMS} is larger than {_MOST_SUMS_BYTES // 1_000_000} MB. Nothing was fetched.")
    if run.source.sums_sha256 not in (None, hashlib.sha256(data).hexdigest()):
        raise FetchError(f"{SUMS} of {run.host} is not the one this program knows. Nothing was fetched.")
    return data


def _keep_sums(run: _Run, data: bytes) -> None:
    """Before the files, so that `verify` can name what an interrupted fetch still lacks."""
    part = run.folder / PARTS / SUMS
    with _writing(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(run.folder / SUMS)


def _open(run: _Run, path: str, start: int) -> HTTPResponse:
    """Ask for a file of the set from byte `start` on."""
    headers = {"User-Agent": "ich_lib (teaching; python-urllib)", **({"Range": f"bytes={start}-"} if start else {})}
    try:
        with _network():
            return run.opener.open(Request(run.base_url + quote(path), headers=headers), timeout=_TIMEOUT_S)
    except HTTPError as answer:
        answer.close()
        raise _meaning(run, path, answer.code) from answer


def _meaning(run: _Run, path: str, code: int) -> Exception:
    if code in (401, 403):
        return FetchError(
            f"{run.host} gives {path} only to those who log in (HTTP {code}), so its terms may have changed. "
            f"Read {run.source.page} in a browser and download the set there."
        )
    if code == 416:  # Range Not Satisfiable
        return _Shorter("the file has become shorter")
    if code in (408, 429) or code >= 500:
        return _Cut(f"HTTP {code}")
    return _Refused(f"{run.host} does not have {path} (HTTP {code}).")


class _SafeRedirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme != "https" and not (_is_here(req.full_url) and _is_here(newurl)):
            fp.close()
            raise FetchError(
                f"{urlsplit(req.full_url).netloc} sends us on to an address without https, which was not followed."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(base_url: str) -> OpenerDirector:
    """One for the run: reading the system's certificates for each of 5,000 files would take longer than the files."""
    proxies = ProxyHandler({}) if _is_here(base_url) else ProxyHandler()
    return build_opener(proxies, HTTPSHandler(context=ssl.create_default_context()), _SafeRedirects)


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _check_address(url: str) -> None:
    scheme = urlsplit(url).scheme
    if scheme != "https" and not (scheme == "http" and _is_here(url)):
        raise FetchError(f"{url} is not an https address, so nobody could say who answers. Nothing was fetched.")


def _check_room(run: _Run, share: float) -> None:
    """Refuse before the first file, by the size the set is known to have."""
    place = next(p for p in (run.folder.absolute(), *run.folder.absolute().parents) if p.exists())
    needed, free = run.source.bytes_about * share * _SPARE, shutil.disk_usage(place).free
    if needed > free:
        raise FetchError(
            f"The disk of {run.folder} has {free / 1e6:.0f} MB free and the set takes {needed / 1e6:.0f} MB. "
            "Make room or name another folder; nothing was fetched."
        )


def _check_length(run: _Run, path: str, length: int) -> None:
    if run.meter.received + length > run.source.most_bytes:
        raise _too_large(run)
    if length > shutil.disk_usage(run.folder).free:
        raise FetchError(f"The disk of {run.folder} has no room for {path} ({length / 1e6:.1f} MB). {_ROOM}")


_ROOM = "Make room, then the same command goes on."


def _too_large(run: _Run) -> FetchError:
    most = run.source.most_bytes / 1e6
    return FetchError(f"{run.host} sends more than {most:.0f} MB, which is not this set. Stopped.")


@contextmanager
def _network() -> Iterator[None]:
    """What may pass by itself (a reset, a timeout, a name not found) becomes one kind of trouble."""
    try:
        yield
    except HTTPError:
        raise
    except (OSError, HTTPException) as problem:
        raise _Cut(str(getattr(problem, "reason", problem)) or type(problem).__name__) from problem


@contextmanager
def _writing(part: Path) -> Iterator[None]:
    """Say in one sentence that the disk is full or refuses. A full disk gets this part's room back."""
    folder = part.parent.parent
    try:
        yield
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise FetchError(f"The disk of {folder} is full. {_ROOM}") from problem
        raise FetchError(f"{folder} cannot be written to ({problem.strerror}). Name another folder.") from problem


def _names(paths: list[str]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
