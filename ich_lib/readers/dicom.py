"""DICOM files to a scan in Hounsfield units: headers, series, place, then pixels."""

from dataclasses import replace
from itertools import groupby

import numpy as np
import pydicom
from pydicom.pixels import iter_pixels

from ich_lib.grammar import count
from ich_lib.readers import codecs, inflate
from ich_lib.readers.geometry import find_same_place, place_slices, sort_slices
from ich_lib.readers.header import Slice, parse_dataset, slices_of
from ich_lib.readers.piece import Piece
from ich_lib.readers.refusal import ReadError, refuse_damaged
from ich_lib.readers.series import pick_series
from ich_lib.readers.slabs import Slabs, slabs_of
from ich_lib.readers.stored import padded, plain_words, used_bits
from ich_lib.scan import LOWEST_HU, Scan, from_file_grid

_SIDE_OF_AIR_HU = -500
_INVERTED = "Black and white were exchanged in the files (MONOCHROME1); they were turned round."

codecs.register()


def read_dicom(pieces: list[Piece], name: str, *, series: str | None = None, allow_gaps: bool = False) -> Scan:
    """Read one CT series.

    Args:
        pieces: DICOM files, in any order, of any series.
        name: what to call them together.
        series: SeriesDescription to take; the largest series otherwise.
        allow_gaps: go on where slices are missing or unevenly spaced, with a note.

    Raises:
        ReadError: if they hold no CT slice, cannot become HU, or leave a gap.
    """
    slices, left_out = slices_of(pieces)
    slices, series_notes = pick_series(slices, series, name)
    slabs_of(name, len(slices), slices[0].rows, slices[0].columns)  # too large is refused before pixels are read
    for item in slices:
        _refuse_without_rescale(item)
    slices, doubles = _drop_duplicates(sort_slices(slices))
    location = place_slices(slices, allow_gaps=allow_gaps)
    slabs = slabs_of(name, len(slices), slices[0].rows, slices[0].columns)
    hu, pixel_notes = _volume(slices, slabs)
    thin_mm = float(np.linalg.norm(location.affine_ras[:3, 2])) if location.spacing_known else None
    notes = (
        *left_out,
        *series_notes,
        *doubles,
        *location.notes,
        *slabs.notes(thin_mm),
        *sorted(pixel_notes),
        *_warnings(slices),
    )
    values = hu.transpose(2, 1, 0)  # (slice, row, column) to (column, row, slice), no copy
    scan = from_file_grid(
        values,
        slabs.affine(location.affine_ras, 2),
        spacing_known=location.spacing_known,
        notes=notes,
        dicom=location.spacing_known and not location.gap and slabs.each == 1,
        window=slices[0].window,
    )
    return replace(scan, acquisition=slices[0].acquisition)


def _refuse_without_rescale(item: Slice) -> None:
    tags = (("Rescale Slope (0028,1053)", item.slope), ("Rescale Intercept (0028,1052)", item.intercept))
    end = "so its pixels cannot become Hounsfield units. Nothing was guessed; export the series again."
    for tag, number in tags:
        if number is None:
            raise ReadError(f"{item.piece.name} has no {tag}, {end}")
        if not np.isfinite(number):
            raise ReadError(f"{item.piece.name} has a {tag} that is not a number, {end}")
    if item.slope == 0:
        raise ReadError(f"{item.piece.name} has a Rescale Slope (0028,1053) of 0, {end}")


def _drop_duplicates(slices: list[Slice]) -> tuple[list[Slice], tuple[str, ...]]:
    """Keep one of equal images at one place; refuse different ones, because nobody can say which is right."""
    doubles = find_same_place(slices)
    for k in doubles:
        pair, _ = _volume(slices[k - 1 : k + 1], Slabs(1, 0, 2))
        if not np.array_equal(*pair):
            raise ReadError(
                f"Two different images lie at one place ({slices[k - 1].piece.name} and {slices[k].piece.name}): "
                "two reconstructions or a repeat in one series. Export one of them."
            )
    unique = [item for k, item in enumerate(slices) if k not in set(doubles)]
    return unique, (f"Left out: {count(len(doubles), 'repeated slice')}.",) if doubles else ()


def _volume(slices: list[Slice], slabs: Slabs) -> tuple[np.ndarray, frozenset[str]]:
    """(slab, row, column) HU, float32, and sentences on what was found on the way. A file is opened once."""
    volume = np.zeros((len(slabs), slices[0].rows, slices[0].columns), np.float32)
    thin = np.empty(volume.shape[1:], np.float32)
    jobs = sorted(enumerate(slices), key=lambda job: (str(job[1].piece.path), job[1].frame))
    notes: set[str] = set()
    for piece, group in groupby(jobs, key=lambda job: job[1].piece):
        frames = list(group)
        header, pixels = _pixels(piece, [item.frame for _, item in frames], packed=frames[0][1].packed)
        if how := codecs.lossy(header):
            notes.add(f"The slices were compressed with loss ({how}): HU may be off.")
        for (k, item), pixels_of_slice in zip(frames, pixels, strict=True):
            hu = volume[k] if slabs.each == 1 else thin
            if _fill(hu, pixels_of_slice, header, item):
                notes.add(_INVERTED)
            if slabs.each > 1 and (slab := slabs.slab_of(k)) >= 0:
                volume[slab] += thin * np.float32(1 / slabs.each)
    return volume, frozenset(notes)


def _pixels(piece: Piece, frames: list[int], *, packed: bool) -> tuple[pydicom.Dataset, list[np.ndarray]]:
    """The header of a file and some of its frames as they are stored, bits that are no pixel still in them."""
    with piece.open() as stream, refuse_damaged(piece.name):
        header = parse_dataset(inflate.plain(piece.name, stream) if packed else stream)
        if (words := plain_words(header)) is not None:
            return header, [words[frame] for frame in frames]
        plugin = codecs.plugin(piece.name, header.file_meta.TransferSyntaxUID)
        codecs.refuse_other_sizes(piece.name, header)
        stored = iter_pixels(header, indices=frames, decoding_plugin=plugin, correct_unused_bits=False)
        return header, list(stored)


def _fill(hu: np.ndarray, stored: np.ndarray, header: pydicom.Dataset, item: Slice) -> bool:
    """Write stored values into `hu` as HU (PS3.3 C.11.1.1.2), padding as air; tell whether they were turned round.

    MONOCHROME1 is a rule for the display (C.7.6.3.1.2) and leaves HU alone. Some converters turn the values round all
    the same, so the side of the slice decides: it is air in one of the two readings.
    """
    values, is_inverted = used_bits(stored, header), False
    _rescale(hu, values, item)
    if header.get("PhotometricInterpretation") == "MONOCHROME1" and not _is_air_around(hu):
        opposite = np.empty_like(hu)
        _rescale(opposite, _ends(header) - values, item)
        if is_inverted := _is_air_around(opposite):
            hu[:] = opposite
    if (padding := padded(stored, values, hu, header)) is not None:
        hu[padding] = LOWEST_HU
    return is_inverted


def _rescale(hu: np.ndarray, values: np.ndarray, item: Slice) -> None:
    np.multiply(values, np.float32(item.slope), out=hu, casting="unsafe")
    hu += np.float32(item.intercept)


def _is_air_around(hu: np.ndarray) -> bool:
    side = np.concatenate([hu[0], hu[-1], hu[:, 0], hu[:, -1]])
    return bool(np.median(side) < _SIDE_OF_AIR_HU)


def _ends(header: pydicom.Dataset) -> np.float32:
    """Least plus greatest value that can be stored: `ends - stored` turns black and white round."""
    signed, bits = int(header.PixelRepresentation), int(header.BitsStored)
    return np.float32(-1 if signed else 2**bits - 1)


def _warnings(slices: list[Slice]) -> tuple[str, ...]:
    if any(item.doubtful for item in slices):
        return ("The files are screenshots or have text burned in, which may name the patient. Look before you share.",)
    return ()
