"""The reader's one error, and the one place where what a library raises becomes it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class ReadError(ValueError):
    """These files cannot become a head CT. The text is for the person: what, what was found, what to do.

    Example:
        >>> from ich_lib import ReadError, read
        >>> try:
        ...     read("nowhere.nii.gz")
        ... except ReadError as problem:
        ...     print(problem)
        nowhere.nii.gz is not there. Check the path: nothing lies under that name.
    """


@contextmanager
def refuse_damaged(name: str) -> Iterator[None]:
    """Say in one sentence that `name` is damaged, whatever pydicom, nibabel, zlib or OpenCV raises on it.

    They raise about 17 types between them, from struct.error to AttributeError, so all are caught: put library calls
    inside, our own logic outside. Their warnings are dropped because they quote the file, and so may name the patient.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (ReadError, NameError):  # NameError is a slip of ours, never the file's
        raise
    except MemoryError as problem:
        raise ReadError(
            f"{name} needs more memory than there is. Give one head scan, in thicker slices or without compression."
        ) from problem
    except Exception as problem:
        raise ReadError(f"{name} is damaged or cut short and could not be decoded. Export it again.") from problem
