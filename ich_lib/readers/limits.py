"""The size limits of the reader, in two tables. Everything is checked from headers, before pixels are decoded."""

import numpy as np

from ich_lib.readers.refusal import ReadError

LIMITS: dict[str, int] = {  # maximum
    "files": 5000,  # in a folder, in a zip, in a list: a whole study, of which one series is read
    "file_bytes": 400_000_000,  # one file on disk; an enhanced CT of 700 slices
    "archive_bytes": 800_000_000,  # a zip, tar, 7z or CD image on disk; a CD holds 700 MB
    "unpacked_bytes": 600_000_000,  # all entries of an archive, uncompressed
    "packing_ratio": 200,  # uncompressed / compressed; CT compresses 2 to 4 times, empty slices 100 times
    "picture_px": 16_000_000,
    "slices": 512,  # of the scan after reading; thinner slices are averaged
    "thin_slices": 2000,  # of the files
    "voxels": 150_000_000,  # of the scan after reading: 600 MB as float32
    "volume_bytes": 1_400_000_000,  # of a NIfTI file's voxels: 640 slices of 512 x 512 px as float64
    "decode_s": 90,  # elapsed time, for one upload in a child; a busy machine may give it a third of a processor
    "decode_cpu_s": 30,  # of processor time
    "decode_bytes": 3_000_000_000,  # of memory that a child may reserve
}
RANGES: dict[str, tuple[float, float]] = {  # minimum and maximum
    "side_px": (16, 1024),  # rows and columns of a slice
    "picture_side_px": (16, 4096),
    "voxel_mm": (0.02, 50),  # a side of a voxel; outside this range the spacing is ignored
}


def check_sides(name: str, rows: int, columns: int, *, side_px: tuple[float, float] | None = None) -> None:
    """Refuse a slice whose size is impossible for a head CT.

    Raises:
        ReadError: with the actual size and the accepted size.
    """
    low, high = side_px or RANGES["side_px"]
    if not (low <= rows <= high and low <= columns <= high):
        raise ReadError(
            f"{name} has slices of {columns} x {rows} px; a side must be {low} to {high} px. Give the original slices.",
            code="too large",
        )


def check_size(name: str, slices: int, rows: int, columns: int) -> None:
    """Refuse a volume that is impossible for a head CT, or too large.

    Raises:
        ReadError: with the actual size and the accepted size.
    """
    check_sides(name, rows, columns)
    if not 1 <= slices <= LIMITS["slices"]:
        raise ReadError(
            f"{name} has {slices} slices; 1 to {LIMITS['slices']} are accepted. Give one head, in thicker slices.",
            code="too large",
        )
    if slices * rows * columns > LIMITS["voxels"]:
        raise ReadError(
            f"{name} has {slices} slices of {columns} x {rows} px; the maximum is {LIMITS['voxels'] // 1_000_000} "
            "million voxels. Give thicker slices.",
            code="too large",
        )


def are_plausible_mm(sides_mm: np.ndarray) -> bool:
    """Whether these can be the sides of a voxel: finite, positive, and in the range of a head scan."""
    low, high = RANGES["voxel_mm"]
    return bool(((sides_mm >= low) & (sides_mm <= high)).all())
