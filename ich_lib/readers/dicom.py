"""DICOM files to a scan in Hounsfield units: headers, series, stack, place, then pixels."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby

import nibabel as nib
import numpy as np
import pydicom
from pydicom.pixels import iter_pixels

from ich_lib.grammar import count
from ich_lib.prepare.slabs import moved
from ich_lib.readers import codecs, inflate, tilts
from ich_lib.readers.choice import read_chosen_series
from ich_lib.readers.geometry import Place, gap_note, place_slices
from ich_lib.readers.header import Slice, parse_dataset, read_slices
from ich_lib.readers.piece import Piece
from ich_lib.readers.refusal import ReadError, refuse_damaged
from ich_lib.readers.slabs import Slabs, slabs_of
from ich_lib.readers.stack import stacked, tilt_notes
from ich_lib.readers.stored import padded, plain_words, used_bits
from ich_lib.scan import AIR_HU, LOWEST_HU, Scan, from_file_grid, nearest_slices

_SIDE_OF_AIR_HU = -500
_HEAD_HU = (0, 100)  # brain, CSF, blood
_INVERTED = "Black and white were exchanged in the files (MONOCHROME1); they were inverted back."

codecs.register()


def read_dicom(
    pieces: list[Piece],
    name: str,
    *,
    series: int | str | None = None,
    check: Callable[[Scan], Scan] = lambda scan: scan,
) -> Scan:
    """Read one CT series.

    Args:
        pieces: DICOM files, in any order, of any series.
        name: of all of them together, for messages.
        series: number or description of the series to read; None for the best, see `ranking`.
        check: an additional test of the scan. If it refuses, the next series is tried.

    Raises:
        ReadError: if the files hold no CT slice, or cannot become HU.
    """
    slices, left_out = read_slices(pieces)
    scan = read_chosen_series(slices, series, name, lambda chosen: check(_read_series(chosen, slices, name)))
    return replace(scan, notes=(*scan.notes, *left_out))


@dataclass(frozen=True)
class _Stack:
    """One part of a head: slices that lie parallel."""

    slices: list[Slice]
    hu: np.ndarray
    location: Place
    slabs: Slabs
    notes: tuple[str, ...]

    @property
    def is_placed(self) -> bool:
        """Whether another part can be laid beside it."""
        runs_up = bool(nib.aff2axcodes(self.location.affine_ras)[2] == "S")
        return self.location.spacing_known and self.slabs.per_slab == 1 and len(self.hu) > 1 and runs_up

    @property
    def part(self) -> tilts.Part:
        """Its slices in their places."""
        places = np.arange(len(self.hu)) if self.location.places is None else self.location.places
        return tilts.Part(self.hu, self.location.affine_ras, places)


def _read_series(slices: list[Slice], all_slices: list[Slice], name: str) -> Scan:
    # a scan that is too large is refused before its pixels are read
    slabs_of(name, len(slices), slices[0].rows, slices[0].columns)
    for item in slices:
        _refuse_without_rescale(item)
    main, *bases = tilts.by_tilt(slices)
    stack = _read_stack(main, name)
    joined_notes: tuple[str, ...] = ()
    read = {id(item) for item in main}
    for base in bases if stack.is_placed else ():
        other = _read_stack(base, name)
        if other.is_placed and tilts.is_small(stack.part, other.part):
            stack, notes = _joined(stack, other)
            joined_notes += notes
            read |= {id(item) for item in base}
    left_out = tilt_notes(main, [item for item in all_slices if id(item) not in read])
    notes = (*left_out, *joined_notes, *stack.notes, *_warnings(slices))
    scan = _scan(stack.hu, stack.location, stack.slabs, notes, slices[0].window, dicom=not joined_notes)
    return replace(scan, acquisition=slices[0].acquisition)


def _read_stack(slices: list[Slice], name: str) -> _Stack:
    slices, stack_notes = stacked(slices, _are_equal)
    location = place_slices(slices)
    slabs = slabs_of(name, len(slices), slices[0].rows, slices[0].columns)
    hu, pixel_notes = _volume(slices, slabs, location.shifts)
    thin_mm = float(np.linalg.norm(location.affine_ras[:3, 2])) if location.spacing_known else None
    notes = (
        *stack_notes,
        *location.notes,
        *_gap_notes(location, hu, slabs, slices[0]),
        *slabs.notes(thin_mm),
        *sorted(pixel_notes),
    )
    return _Stack(slices, hu, location, slabs, notes)


def _joined(main: _Stack, base: _Stack) -> tuple[_Stack, tuple[str, ...]]:
    """Both parts as one stack of slices like those of the first, and notes."""
    whole, added, hidden_ml = tilts.lay(main.part, base.part)
    are_even = main.location.places is None
    location = replace(main.location, affine_ras=whole.affine_ras, places=None if are_even else whole.places)
    tilt = tilts.tilt_deg(base.slices[0], main.slices[0]) or 0.0
    notes: tuple[str, ...] = (
        f"{count(len(base.slices), 'slice')} lie tilted by {tilt:.0f} degrees against the {len(main.slices)} others: "
        f"they were laid on {count(added, 'slice')} like those.",
        f"Where both lie, the {len(main.slices)} count.",
    )
    if hidden_ml >= 1:
        notes += (f"Up to {hidden_ml:.0f} mL of the head between the two parts are not seen.",)
    every_note = tuple(dict.fromkeys((*main.notes, *base.notes)))
    return _Stack(main.slices, whole.hu, location, Slabs(1, 0, len(whole.hu)), every_note), notes


def _scan(
    hu: np.ndarray,
    location: Place,
    slabs: Slabs,
    notes: tuple[str, ...],
    window: tuple[float, float] | None,
    *,
    dicom: bool,
) -> Scan:
    """Put slices in their places. Uneven slices that do not run from foot to head are put on an even grid.

    `dicom` is whether they are those of the files.
    """
    places, affine_ras = slabs.places(location.places), slabs.affine(location.affine_ras, 2, places=location.places)
    as_in_files = dicom and location.spacing_known and location.shifts is None and slabs.per_slab == 1
    if places is not None and nib.aff2axcodes(affine_ras)[2] != "S":
        indices, step = nearest_slices(places)
        hu, affine_ras, places = hu[indices], affine_ras @ np.diag([1, 1, step, 1]), None
        notes += (
            "The slices do not run from foot to head and are unevenly spaced. The nearest ones were copied to an "
            "even grid.",
        )
        as_in_files = False
    return from_file_grid(
        hu.transpose(2, 1, 0),  # (slice, row, column) to (column, row, slice), no copy
        affine_ras,
        spacing_known=location.spacing_known,
        notes=notes,
        dicom=as_in_files,
        window=window,
        places=places,
    )


def _gap_notes(location: Place, hu: np.ndarray, slabs: Slabs, first: Slice) -> tuple[str, ...]:
    """How much of the head missing slices hide: the gap holds as much of it as its two neighbors show."""
    if not location.gaps:
        return ()
    pixel_mm2 = None if first.pixel_mm is None else float(np.prod(first.pixel_mm))
    hidden_mm3 = 0.0
    for gap in location.gaps:
        sides = [hu[max(slabs.slab_of(k), 0)] for k in (gap.index, gap.index + 1)]
        head_px = min(float(np.count_nonzero((plane >= _HEAD_HU[0]) & (plane <= _HEAD_HU[1]))) for plane in sides)
        hidden_mm3 += head_px * gap.hidden_mm * (pixel_mm2 or 0)
    return (gap_note(location.gaps, hidden_mm3 / 1000 if pixel_mm2 else None),)


def _refuse_without_rescale(item: Slice) -> None:
    tags = (("Rescale Slope (0028,1053)", item.slope), ("Rescale Intercept (0028,1052)", item.intercept))
    end = "so its pixels cannot become Hounsfield units. Nothing was guessed; export the series again."
    for tag, number in tags:
        if number is None:
            raise ReadError(f"{item.piece.name} has no {tag}, {end}", code="no HU")
        if not np.isfinite(number):
            raise ReadError(f"{item.piece.name} has a {tag} that is not a number, {end}", code="no HU")
    if item.slope == 0:
        raise ReadError(f"{item.piece.name} has a Rescale Slope (0028,1053) of 0, {end}", code="no HU")


def _are_equal(a: Slice, b: Slice) -> bool:
    pair, _ = _volume([a, b], Slabs(1, 0, 2))
    return bool(np.array_equal(*pair))


def _volume(slices: list[Slice], slabs: Slabs, shifts: np.ndarray | None = None) -> tuple[np.ndarray, frozenset[str]]:
    """(slab, row, column) HU, float32, and the notes. Each file is opened once.

    Slices whose (rows, columns) of `shifts` are not 0 are moved by that many pixels, and the free side becomes air.
    """
    volume = np.zeros((len(slabs), slices[0].rows, slices[0].columns), np.float32)
    thin = np.empty(volume.shape[1:], np.float32)
    jobs = sorted(enumerate(slices), key=lambda job: (str(job[1].piece.path), job[1].frame))
    notes: set[str] = set()
    for piece, group in groupby(jobs, key=lambda job: job[1].piece):
        frames = list(group)
        header, pixels = _pixels(piece, [item.frame for _, item in frames], is_compressed=frames[0][1].is_compressed)
        for (k, item), pixels_of_slice in zip(frames, pixels, strict=True):
            hu = volume[k] if slabs.per_slab == 1 else thin
            with refuse_damaged(piece.name):  # a tag of the pixels may be missing or invalid
                notes |= _fill(hu, pixels_of_slice, header, item)
            if shifts is not None and shifts[k].any():
                hu[:] = moved(hu, *shifts[k].tolist(), outside=AIR_HU)
            if slabs.per_slab > 1 and (slab := slabs.slab_of(k)) >= 0:
                volume[slab] += thin * np.float32(1 / slabs.per_slab)
    return volume, frozenset(notes)


def _pixels(piece: Piece, frames: list[int], *, is_compressed: bool) -> tuple[pydicom.Dataset, list[np.ndarray]]:
    """The header of a file and some of its frames as stored, with bits that are not part of a pixel."""
    with piece.open() as stream, refuse_damaged(piece.name):
        header = parse_dataset(inflate.plain(piece.name, stream) if is_compressed else stream)
        if (words := plain_words(header)) is not None:
            return header, [words[frame] for frame in frames]
        plugin = codecs.plugin(piece.name, header.file_meta.TransferSyntaxUID)
        codecs.refuse_other_sizes(piece.name, header)
        stored = iter_pixels(header, indices=frames, decoding_plugin=plugin, correct_unused_bits=False)
        return header, list(stored)


def _fill(hu: np.ndarray, stored: np.ndarray, header: pydicom.Dataset, item: Slice) -> set[str]:
    """Write stored values into `hu` as HU (PS3.3 C.11.1.1.2), padding as air; return the notes.

    MONOCHROME1 is a rule for the display (C.7.6.3.1.2) and does not change HU. Some converters invert the values
    anyway. So the border of the slice decides: it is air in one of the two versions.
    """
    method = codecs.lossy(header)
    notes = {f"The slices were compressed with loss ({method}): HU may be off."} if method else set()
    values = used_bits(stored, header)
    _rescale(hu, values, item)
    if header.get("PhotometricInterpretation") == "MONOCHROME1" and not _is_air_around(hu):
        opposite = np.empty_like(hu)
        _rescale(opposite, _ends(header) - values, item)
        if _is_air_around(opposite):
            hu[:] = opposite
            notes.add(_INVERTED)
    if (padding := padded(stored, values, hu, header)) is not None:
        hu[padding] = LOWEST_HU
    return notes


def _rescale(hu: np.ndarray, values: np.ndarray, item: Slice) -> None:
    np.multiply(values, np.float32(item.slope), out=hu, casting="unsafe")
    hu += np.float32(item.intercept)


def _is_air_around(hu: np.ndarray) -> bool:
    side = np.concatenate([hu[0], hu[-1], hu[:, 0], hu[:, -1]])
    return bool(np.median(side) < _SIDE_OF_AIR_HU)


def _ends(header: pydicom.Dataset) -> np.float32:
    """The sum of the lowest and the highest value that can be stored: `ends - stored` inverts black and white."""
    signed, bits = int(header.PixelRepresentation), int(header.BitsStored)
    return np.float32(-1 if signed else 2**bits - 1)


def _warnings(slices: list[Slice]) -> tuple[str, ...]:
    if any(item.may_name_patient for item in slices):
        return (
            "The files are screenshots or have text burned in, which may name the patient. Check them before "
            "you share them.",
        )
    return ()
