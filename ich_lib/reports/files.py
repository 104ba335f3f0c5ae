"""All files of a result, under fixed names."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ich_lib.prediction.analyze import Result
from ich_lib.reports.content import write_content
from ich_lib.reports.nifti import write_mask
from ich_lib.reports.paper import write_paper
from ich_lib.reports.picture import write_picture
from ich_lib.reports.seg import write_seg
from ich_lib.reports.table import write_table

SEG = "mask-seg.dcm"
MASKS = ("mask.nii.gz", SEG)
WRITERS = {  # the function that writes a file documents its content
    "result.json": write_content,
    "slices.csv": write_table,
    "mask.nii.gz": write_mask,
    SEG: write_seg,
    "overview.png": write_picture,
    "report.pdf": write_paper,
}


def write(result: Result, out: str | Path, names: Sequence[str] | None = None) -> list[Path]:
    """Write a result's files into a folder.

    Args:
        result: from `analyze`.
        out: the folder, made if it is missing. Files with these names are overwritten.
        names: keys of WRITERS. None: all files that can be written. Without DICOM input there is no DICOM segmentation,
            and there is no mask if the finding is withheld (`Result.is_withheld`) or the model draws none. Files of
            WRITERS that are not written are removed, so that no file of another result remains.

    Returns:
        The files, in the order of `names`. They appear together: if one cannot be written, the folder does not change.

    Raises:
        ValueError: for a name that is not in WRITERS, for a DICOM segmentation without DICOM input, or for a mask if
            the finding is withheld or the model draws none.
    """
    stale: set[str] = set()
    if names is None:
        names = _writable(result)
        stale = set(WRITERS) - set(names)
    if unknown := set(names) - set(WRITERS):
        raise ValueError(f"No result file is called {sorted(unknown)[0]!r}; there are {', '.join(WRITERS)}.")
    if masks := [name for name in names if name in MASKS]:
        if result.is_withheld:
            raise ValueError(f"There is no {masks[0]}: {result.refusals[0].sentence} To write it anyway, use believe.")
        if not result.has_mask:
            raise ValueError(f"There is no {masks[0]}: {result.models[0][0]} scores slices and draws no mask.")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".writing-", dir=out) as folder:
        for name in names:
            WRITERS[name](result, Path(folder) / name)
        for name in stale:
            (out / name).unlink(missing_ok=True)
        for name in names:
            (Path(folder) / name).replace(out / name)
    return [out / name for name in names]


def _writable(result: Result) -> list[str]:
    without = set(MASKS) if result.is_withheld or not result.has_mask else set()
    return [name for name in WRITERS if name not in without and (name != SEG or result.scan.dicom)]
