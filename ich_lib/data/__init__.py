"""Data sets on disk to one table of slices each.

`table` is the common form of all sets. Then there is one module per set: ct_ich, ct_ich_nifti, rsna, renders, pairs.
The modules picture, polygons and volumes read files.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ich_lib.data.ct_ich import DIAGNOSIS, ct_ich
from ich_lib.data.ct_ich_nifti import DIAGNOSIS as DIAGNOSIS_NIFTI
from ich_lib.data.ct_ich_nifti import ct_ich_nifti
from ich_lib.data.pairs import LAYOUTS, pairs
from ich_lib.data.pairs import find_scans as _find_scans
from ich_lib.data.renders import BRAIN, LABELED, read_render, read_renders
from ich_lib.data.rsna import IMAGES, LINES, rsna
from ich_lib.data.table import DataProblems, Pixels, Table

__all__ = [
    "DataProblems",
    "Pixels",
    "Table",
    "ct_ich",
    "ct_ich_nifti",
    "open_set",
    "pairs",
    "read_render",
    "read_renders",
    "rsna",
]


class _Reader(NamedTuple):
    """A data set: the contents of its folder, in words and as a test, and its reader."""

    name: str
    description: str
    fits: Callable[[Path], bool]
    read: Callable[[Path], Table]


# Most specific first: any other folder may be a folder of pairs.
_READERS = (
    _Reader("CT-ICH 1.0.0", f"{DIAGNOSIS} and Patients_CT", lambda folder: (folder / DIAGNOSIS).is_file(), ct_ich),
    _Reader(
        "CT-ICH 1.3.1",
        f"{DIAGNOSIS_NIFTI}, ct_scans and masks",
        lambda folder: (folder / DIAGNOSIS_NIFTI).is_file(),
        ct_ich_nifti,
    ),
    _Reader("RSNA 2019", f"{LINES} and {IMAGES}", lambda folder: (folder / LINES).is_file(), rsna),
    _Reader(
        "Zeta renders",
        f"renders/TYPE/{BRAIN} and {LABELED}",
        lambda folder: any(folder.glob(f"[Rr]enders/*/{BRAIN}")) or any(folder.glob(f"*/{LABELED}")),
        read_renders,
    ),
    _Reader("scans with masks", LAYOUTS, lambda folder: bool(_find_scans(folder)), pairs),
)


def open_set(folder: str | Path) -> Table:
    """Read any known data set; its layout decides which.

    Raises:
        FileNotFoundError: if no known set has this layout; the message lists the known layouts.
        ValueError: from the reader of the set, if a table in it is not of its form.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder.")
    for reader in _READERS:
        if reader.fits(folder):
            return reader.read(folder)
    below = [path for path in sorted(folder.iterdir()) if path.is_dir() and any(k.fits(path) for k in _READERS)]
    hint = f" Its folder {below[0].name} is a data set: name that." if len(below) == 1 else ""
    layouts = "; ".join(f"{reader.name}: {reader.description}" for reader in _READERS)
    raise FileNotFoundError(f"{folder} is not a known data set.{hint} A folder should hold, for {layouts}.")
