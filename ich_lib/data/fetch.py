"""Download a public data set from its own server: first its terms, then every file of its list, checked by SHA-256.

pooch does the download. It keeps correct files, writes to a temporary name, checks the hash before it renames the file,
and tries again after an interruption or a wrong hash. This module adds:

- Terms, citation and size are printed before any server is contacted. For a set that needs an account, instructions are
printed.
- PhysioNet's own list (SHA256SUMS.txt) is the registry. It comes from outside, so none of its paths may leave the
folder.
- Several files are downloaded at a time over connections that stay open. CT-ICH has 5,300 files of 20 kB, and a new TLS
  connection for each would take longer than the file. An interrupted call continues with the next missing file.
- Only https is accepted, also after redirects. A missing file does not stop the others. Each failure is one sentence.

List and files come from one server over https, so the hashes detect damage, not a dishonest server.
`PublicSet.sums_sha256` can pin the list itself; it is None until two people have compared a download.
"""

import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlsplit

import pooch
import requests
from tqdm import tqdm

from ich_lib.data.checksums import SUMS, changed, parse_sums
from ich_lib.data.public_sets import PUBLIC_SETS, PublicSet, terms
from ich_lib.grammar import count, first_few

_TIMEOUT_S = 20  # seconds without a byte; also the longest delay of Ctrl-C
_TRIES = 3
_BLOCK = 1 << 16
_MOST_FAILED = 20  # files that may fail before the download gives up
_SPARE_BYTES = 1.1  # of the disk: the size of a set is an estimate, and small files take whole blocks

Downloader = Callable[[str, str, pooch.Pooch], None]  # from an address to a file
pooch.get_logger().setLevel("WARNING")  # otherwise pooch logs a line per file


class FetchError(OSError):
    """The set, or a file of it, is not available. It is not a ValueError, because pooch takes one for a wrong
    hash and tries again."""


def fetch(
    name: str,
    out: str | Path,
    *,
    base_url: str | None = None,
    workers: int = 8,
    progress: bool = True,
    tell_user: Callable[[str], None] = print,
) -> Path:
    """Download a set, or the files that an earlier call left missing.

    Args:
        name: a key of PUBLIC_SETS.
        out: folder to fill; made if it does not exist. Files in it that differ from the published ones are replaced.
        base_url: another address of the same files, https (or http on this machine).
        workers: files downloaded at the same time.
        progress: show a bar.
        tell_user: function for the terms, before any server is contacted, and for the names of replaced files.

    Returns:
        The folder, holding every file of SHA256SUMS.txt and that list.

    Raises:
        FetchError: if the set needs an account (the text says how to get it), or if a file is not available, differs
            from its hash, or does not fit on the disk.
    """
    tell_user(terms(name))
    public_set, folder = PUBLIC_SETS[name], Path(out)
    if public_set.url is None:
        raise FetchError(f"{name} cannot be downloaded by this command. {public_set.needs_account}")
    base_url = (base_url or public_set.url).rstrip("/") + "/"
    with _session(base_url, workers) as session:
        download = partial(_download, session, public_set.page)
        sums = _sums(base_url, public_set, download)
        registry = parse_sums(sums)
        to_fetch = _files_to_fetch(folder, registry, tell_user)
        _check_room(folder, public_set.bytes_about * len(to_fetch) / len(registry) * _SPARE_BYTES)
        _prepare(folder, sums, to_fetch)
        done = len(registry) - len(to_fetch)
        bar = tqdm(desc=name, unit="file", total=len(registry), initial=done, disable=not progress)
        _fetch_all(_pooch(folder, base_url, registry), to_fetch, download, workers, bar)
    return folder


def _pooch(folder: Path, base_url: str, registry: Mapping[str, str] | Mapping[str, str | None]) -> pooch.Pooch:
    urls = {path: base_url + quote(path) for path in registry}
    return pooch.Pooch(folder, base_url, dict(registry), urls, retry_if_failed=_TRIES - 1)


def _session(base_url: str, workers: int) -> requests.Session:
    """Connections that stay open; an address that is not https is refused, also after a redirect."""
    session = requests.Session()
    session.headers.update({"User-Agent": "ich_lib (teaching)", "Accept-Encoding": "identity"})
    session.adapters.clear()
    is_here = urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")
    session.trust_env = not is_here  # no proxy for this machine
    for start in ("https://", *([f"http://{urlsplit(base_url).netloc}/"] if is_here else [])):
        session.mount(start, requests.adapters.HTTPAdapter(pool_maxsize=workers))
    return session


def _download(session: requests.Session, page: str, url: str, output_file: str, _: pooch.Pooch) -> None:
    """Download one file to `output_file`; the last three arguments are those of pooch's downloaders."""
    try:
        response = session.get(url, stream=True, timeout=_TIMEOUT_S)
    except (requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema) as problem:
        raise FetchError(
            f"{url} is not an https address, or redirects to one that is not. Nothing was downloaded from it."
        ) from problem
    Path(output_file).unlink()  # pooch made it readable only for its owner
    with response, Path(output_file).open("wb") as file:
        if response.status_code in (401, 403):
            raise FetchError(
                f"{url} requires a login (HTTP {response.status_code}), so its terms may have "
                f"changed. Read {page} in a browser and download the set there."
            )
        response.raise_for_status()
        for block in response.iter_content(_BLOCK):
            file.write(block)


def _sums(base_url: str, public_set: PublicSet, download: Downloader) -> bytes:
    with TemporaryDirectory() as place:
        if problem := _fetch_file(_pooch(Path(place), base_url, {SUMS: public_set.sums_sha256}), SUMS, download):
            raise FetchError(f"{problem} Nothing was downloaded.")
        return (Path(place) / SUMS).read_bytes()


def _fetch_all(store: pooch.Pooch, to_fetch: list[str], download: Downloader, workers: int, bar: tqdm) -> None:
    """Download every wanted file, several at a time. A file that the server does not have does not stop the others."""
    failed = []
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fetch")
    try:
        with bar:
            for job in as_completed([pool.submit(_fetch_file, store, path, download) for path in to_fetch]):
                failed += [problem] if (problem := job.result()) else []
                if len(failed) >= _MOST_FAILED:
                    break
                bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
    if failed:
        other_failures = f" {count(len(failed) - 1, 'more file')} failed too." if failed[1:] else ""
        raise FetchError(f"{failed[0]}{other_failures} Run the same command again to download what is missing.")


def _fetch_file(store: pooch.Pooch, path: str, download: Downloader) -> str | None:
    """Download one file; returns a sentence if it fails. A login or a full disk also stops the others."""
    try:
        store.fetch(path, downloader=download)
    except FetchError:
        raise
    except (requests.RequestException, ValueError) as problem:  # ValueError: pooch's error for a wrong hash
        return f"{path} did not come from {urlsplit(store.base_url).netloc} in {_TRIES} tries ({problem})."
    except OSError as problem:
        raise _unwritable(store.abspath, problem) from problem
    return None


def _files_to_fetch(folder: Path, registry: dict[str, str], tell_user: Callable[[str], None]) -> list[str]:
    """Files that are missing, or differ from the published ones."""
    if differing := changed(folder, registry):
        tell_user(f"{count(len(differing), 'file')} here but not as published, to be replaced: {first_few(differing)}.")
    return [path for path in registry if path in differing or not (folder / path).is_file()]


def _prepare(folder: Path, sums: bytes, paths: list[str]) -> None:
    """Write the list first, so that `verify` can name missing files; then every folder, because pooch's threads make it
    twice."""
    try:
        for place in {folder, *((folder / path).parent for path in paths)}:
            place.mkdir(parents=True, exist_ok=True)
        (folder / SUMS).write_bytes(sums)
    except OSError as problem:
        raise _unwritable(folder, problem) from problem


def _check_room(folder: Path, needed: float) -> None:
    """Refuse before the first file if the disk is too small for the known size of the set."""
    place = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise FetchError(
            f"The disk of {folder} has {free / 1e6:.0f} MB free and the set takes {needed / 1e6:.0f} MB. "
            "Make room or name another folder; nothing was downloaded."
        )


def _unwritable(folder: Path, problem: OSError) -> FetchError:
    return FetchError(
        f"{folder} cannot be written to ({problem.strerror}). Make room or name another folder; the same command "
        "continues with what is missing."
    )
