"""results.jsonl: one line for each scan, written by only one process, so that no scan has two lines."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ich_lib.lock import hold_lock

RESULTS, LOCK = "results.jsonl", "results.lock"
STUDY = "study"  # key of a line that names its study


class Lines:
    """The lines of one folder, open for writing; see `open_lines`.

    Attributes:
        finished: the studies with a line.
    """

    def __init__(self, file: IO[bytes], finished: set[str]) -> None:
        self._file, self.finished = file, finished

    def add(self, line: dict) -> bool:
        """Append a line; False if its study has one already, which is kept."""
        if line[STUDY] in self.finished:
            return False
        self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        self.finished.add(line[STUDY])
        return True


@contextmanager
def open_lines(folder: str | Path) -> Iterator[Lines]:
    """Open the lines of a folder. An incomplete last line, for example after a loss of power, is removed.

    Args:
        folder: made if it is missing.

    Raises:
        ValueError: if another process is writing there.

    Example:
        >>> from ich_lib.archive.lines import open_lines, read_lines
        >>> with open_lines("out") as lines:
        ...     [lines.add({"study": study, "finding": "none"}) for study in ("a", "b", "a")]
        [True, True, False]
        >>> [line["study"] for line in read_lines("out")]
        ['a', 'b']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(folder / LOCK), (folder / RESULTS).open("ab+") as file:
        _cut_off_the_rest(file)
        file.seek(0)
        finished = {json.loads(line)[STUDY] for line in file}
        yield Lines(file, finished)
        os.fsync(file.fileno())


def read_lines(folder: str | Path) -> Iterator[dict]:
    """The lines of a folder, one at a time; an incomplete last one is left out.

    Raises:
        FileNotFoundError: if there are none.
    """
    path = Path(folder) / RESULTS
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {RESULTS}. Run this first: ich predict --many LIST --out {folder}.")
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)


def _cut_off_the_rest(file: IO[bytes]) -> None:
    file.seek(0)
    complete_bytes = 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        complete_bytes += len(line)
    file.truncate(complete_bytes)
