"""The reader's one error, and the one place where errors of other libraries become it."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

PLACES = ("python", "command line", "page", "endpoint")  # where an error is shown


class ReadError(ValueError):
    """These files cannot become a head CT. The text is for the user: what is wrong, what was received, what to do.

    What to do differs: `series=2` in Python is `--series 2` on the command line and a control on a page. `str()` is for
    Python; `in_words_of` is for the other places.

    Attributes:
        reason: what is wrong, what was received, and what to do if that is the same everywhere.
        code: a key of CODES, for programs.
        to_do: place to what to do there; "" if `reason` says it.

    Example:
        >>> from ich_lib import ReadError, read
        >>> try:
        ...     read("nowhere.nii.gz")
        ... except ReadError as problem:
        ...     print(problem)
        ...     print(problem.in_words_of("page"))
        ...     print(problem.code)
        nowhere.nii.gz does not exist. Check the path: there is no file or folder of that name.
        nowhere.nii.gz does not exist. Give the file again.
        missing
    """

    def __init__(self, reason: str, *, code: str = "unreadable", to_do: str | Mapping[str, str] = "") -> None:
        if code not in CODES:
            raise KeyError(f"{code!r} is no code of CODES.")
        self.reason, self.code = reason, code
        self.to_do = dict.fromkeys(PLACES, to_do) if isinstance(to_do, str) else dict(to_do)
        super().__init__(self.in_words_of("python"))

    def in_words_of(self, place: str) -> str:
        """The message as it is shown at a place: what was received, then what to do there.

        Args:
            place: one of PLACES.
        """
        return f"{self.reason} {self.to_do[place]}".strip()

    def as_plain(self) -> dict:
        """The data to raise the error again in another process, as JSON."""
        return {"reason": self.reason, "code": self.code, "to_do": self.to_do}


CODES = {  # and the object of the error
    "missing": "no file, or a file that does not exist",
    "no scan": "a file that is not a head CT",
    "damaged": "cut short or damaged",
    "locked": "behind a password",
    "too large": "more or larger than LIMITS allow",
    "packed": "an archive that is not opened",
    "compressed": "pixels that are not decoded",
    "package": "a package that has to be installed",
    "no HU": "values that cannot become Hounsfield units",
    "place": "slices with contradicting positions",
    "series": "a series that does not exist, or is not unique",
    "several scans": "more than one scan",
    "window": "an invalid window",
    "mask": "a mask that does not belong to the scan",
    "unreadable": "anything else",
}


def missing_package(package: str, instead: str) -> dict[str, str]:
    """What to do at each place if a package is missing: a visitor of a page cannot install one."""
    install = f"Install it: pip install {package}. Or: {instead[:1].lower()}{instead[1:]}"
    return dict.fromkeys(PLACES, instead) | {"python": install, "command line": install}


def words_at(place: str, problem: BaseException) -> str:
    """The text of an error at one of PLACES: a `ReadError` in the words of that place, a system error without its
    number, other errors unchanged.

    >>> words_at("command line", PermissionError(13, "Permission denied", "out/result.json"))
    'out/result.json cannot be used: permission denied.'
    """
    if isinstance(problem, ReadError):
        return problem.in_words_of(place)
    if isinstance(problem, OSError) and problem.strerror:
        reason = problem.strerror[:1].lower() + problem.strerror[1:].rstrip(".")
        return f"{problem.filename if problem.filename is not None else 'A file'} cannot be used: {reason}."
    return str(problem)


@contextmanager
def refuse_damaged(name: str) -> Iterator[None]:
    """Say in one sentence that `name` is damaged, for any error of pydicom, nibabel, zlib or OpenCV.

    These libraries raise about 17 types, from struct.error to AttributeError, so all are caught. Put calls of libraries
    inside and our own logic outside. Their warnings are dropped, because they quote the file and so may name the
    patient.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (ReadError, NameError):  # NameError is an error of this library, never of the file
        raise
    except MemoryError as problem:
        raise ReadError(
            f"{name} needs more memory than is available. Give one head scan, in thicker slices or "
            f"without compression.",
            code="too large",
        ) from problem
    except Exception as problem:
        raise ReadError(
            f"{name} is damaged or cut short and could not be decoded. Export it again.", code="damaged"
        ) from problem
