"""SHA256SUMS.txt, the list of a set's files and their hashes: read it, and compare a folder with it."""

import hashlib
import re
from collections import Counter
from pathlib import Path

from ich_lib.grammar import count, first_few

SUMS = "SHA256SUMS.txt"


def verify(folder: str | Path) -> tuple[str, ...]:
    """Compare a folder with its SHA256SUMS.txt.

    Args:
        folder: holds SHA256SUMS.txt.

    Returns:
        A sentence for each kind of problem (files missing, changed, not listed); empty if there is none.

    Raises:
        FileNotFoundError: if there is no SHA256SUMS.txt.
        ValueError: if that list cannot be read.
    """
    folder = Path(folder)
    if not (folder / SUMS).is_file():
        raise FileNotFoundError(f"{folder} has no {SUMS}, so its files cannot be checked.")
    registry = parse_sums((folder / SUMS).read_bytes())
    missing = [path for path in registry if not (folder / path).is_file()]
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    extra = sorted(present - registry.keys() - {SUMS})
    kinds = ((missing, "missing"), (changed(folder, registry), f"not what {SUMS} says"), (extra, f"not in {SUMS}"))
    return tuple(f"{count(len(paths), 'file')} {problem}: {first_few(paths)}." for paths, problem in kinds if paths)


def parse_sums(data: bytes) -> dict[str, str]:
    """Read a SHA256SUMS.txt: path from the set's folder, with slashes, to hash.

    Args:
        data: its content: a line per file, 64 hexadecimal digits, one space (PhysioNet) or two (sha256sum), the path.

    Raises:
        ValueError: if a line has another form, if a path leads out of the folder or is listed twice, or if there are
            none.

    Source:
        PhysioNet writes '{hash} {path}' in sorted order, without the list itself (physionet-build, make_checksum_file);
        the second space and the star are those of GNU coreutils.
    """
    lines = data.decode("utf-8", errors="replace").splitlines()
    if not lines:
        raise ValueError(f"{SUMS} is empty.")
    listed = [_join_names(line, number) for number, line in enumerate(lines, start=1)]
    times = Counter(path.casefold() for path, _ in listed)  # Windows and macOS compare names in this way
    if repeated := [path for path, _ in listed if times[path.casefold()] > 1]:
        raise ValueError(f"{SUMS} lists {repeated[0]!r} twice.")
    return dict(listed)


def _join_names(line: str, number: int) -> tuple[str, str]:
    match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *]?(?:\./)?(.+)", line)
    if not match:
        raise ValueError(
            f"{SUMS} line {number} is not a hash and a path, so this is not the list of the set "
            "(a login page, perhaps). Look at the set's page in a browser."
        )
    digest, path = match.groups()
    if not all(map(_is_plain, path.split("/"))) or path.casefold() == SUMS.casefold():
        raise ValueError(f"{SUMS} line {number} has the path {path!r}, which is not accepted.")
    return path, digest.lower()


def _is_plain(part: str) -> bool:
    """Whether one part of a path is a valid name on every system: not "..", no drive, no device of Windows."""
    device = re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", part)
    return part.isprintable() and not (device or part[-1:] in ("", ".", " ") or set(part) & set('\\:*?"<>|'))


def changed(folder: Path, registry: dict[str, str]) -> list[str]:
    """Files of the list that are in the folder with another hash."""
    present_files = [path for path in registry if (folder / path).is_file()]
    return [path for path in present_files if _sha256(folder / path) != registry[path]]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
