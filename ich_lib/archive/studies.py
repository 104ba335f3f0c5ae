"""List the scans of an archive: lists and folders of studies, read as they are needed."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ich_lib.readers.piece import is_system_file

_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".iso", ".nii", ".nii.gz")  # of files that are one study each
_COMMENT = "#"


def list_studies(paths: Iterable[str | Path]) -> Iterator[Path]:
    """The studies of some paths, each once, in their order. None of them is opened.

    Args:
        paths: lists (text files with a path in each line, relative to the list's folder; lines that begin with # are
            comments), folders of studies (each subfolder, archive and NIfTI file is one), and studies.

    Raises:
        FileNotFoundError: for a path that does not exist.
        ValueError: for a list that is not text.

    Example:
        >>> from pathlib import Path
        >>> from ich_lib import phantom
        >>> from ich_lib.archive.studies import list_studies
        >>> from ich_lib.reports.case_files import write_case
        >>> for seed in (1, 2):
        ...     write_case(phantom(seed, slices=4, pixels=64), f"heads/{seed}", form="dicom")
        >>> _ = Path("list.txt").write_text("# of today\\nheads/2\\n")
        >>> [study.as_posix() for study in list_studies(["list.txt", "heads"])]
        ['heads/2', 'heads/1']
    """
    listed_studies: set[Path] = set()
    for path in map(Path, paths):
        for study in _studies_of(path):
            if study not in listed_studies:
                listed_studies.add(study)
                yield study


def _studies_of(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Give a list of studies, or a folder of them.")
    if path.is_dir():
        inside = [entry for entry in sorted(path.iterdir()) if not is_system_file(entry.relative_to(path))]
        studies = [entry for entry in inside if entry.is_dir() or is_study_file(entry)]
        yield from studies or [path]
    elif is_study_file(path):
        yield path
    else:
        yield from _lines_of(path)


def is_study_file(path: Path) -> bool:
    """Whether a file is a study by itself, by its name: an archive, or NIfTI."""
    return path.name.lower().endswith(_ENDINGS)


def _lines_of(path: Path) -> Iterator[Path]:
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                if (name := line.strip()) and not name.startswith(_COMMENT):
                    yield path.parent / name
    except UnicodeDecodeError:
        raise ValueError(
            f"{path.name} is not a list: a list is a text file with the path of a study in each line."
        ) from None
