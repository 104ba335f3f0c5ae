"""The orientation of a NIfTI: what the file says, whether that is plausible, and if not, what the skull shows.

The converters of scanners write it correctly. Notebooks write the identity, or arrays in the order slice, row, column.
Other programs write an sform that contradicts the qform, or meters instead of mm. Such a file is read with a note. Its
axes are ordered by the skull, and it gives no mL if its distances cannot be right.
"""

from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np

from ich_lib.readers.limits import are_plausible_mm
from ich_lib.readers.skull import Skull, find_skull, ring_share

_MM = {"meter": 1000.0, "micron": 0.001}  # one unit of the file in mm; "mm" and "unknown" count as mm
_SAME_SIZE = 0.03  # of two voxel sizes, relative
# slices / side of a square slice, or of any slice; below these, the axis of the slices is certain
_THIN, _VERY_THIN = 0.7, 0.35
_OBLIQUE = 0.94  # cosine to the nearest axis of the patient; a smaller one is more than any gantry tilts
_RINGS = 0.2  # of the slices; fewer rings prove nothing
# pixels of air, all in front, that prove which side is front; along one axis compared with the other
_LEAST_AIR, _OFF = 10, 1.5
_LONGER = 1.06  # a head is longer than wide
_HEAD_MM = (70, 240)  # length of the inside of the skull
_NO_ML = "so no volume in mL is given."
_NO_FORM = "The file does not say how the head lies (no usable sform or qform); left and right are assumed."
_NO_SIZE = f"It gives no voxel size either, {_NO_ML}"
_WHOLE = (
    "The affine has whole mm and no origin, as if it was made in a notebook. Its mm and sides cannot be trusted, "
    + _NO_ML
)
_NO_ORIGIN = "The affine has no origin, as if it was made in a notebook; left and right are assumed."
_SIZES = (
    "The file contradicts itself: its sform has voxels of {0} mm, its pixdim of {1} mm. Neither is believed, " + _NO_ML
)
_SHUFFLED = f"The voxel sizes belong to other axes than the file says. Its mm and sides cannot be trusted, {_NO_ML}"
_AXIS = (
    "The skull shows that the slices lie along the {0} axis of the file, not along the {1}; left and right are assumed."
)
_ORDER = "The skull shows that the axes of the file run {0}; left and right are assumed."
_TILTED = "The slices are tilted by {0:.0f} degrees relative to the axis of the patient. They are shown as they are."
_ORDINAL = ("first", "second", "third")
_TOWARD = {"L": "left", "R": "right", "A": "front", "P": "back", "S": "head", "I": "foot"}
_ENDS = {"L": "left and right", "R": "left and right", "A": "front and back", "P": "front and back"}


@dataclass(frozen=True)
class Place:
    """The geometry of a volume.

    Attributes:
        affine_ras: (4, 4), index (i, j, k, 1) to mm in NIfTI axes, as in the file.
        letters: the ends of the patient toward which its axes run, such as "LAS". They differ from the affine if the
            file is not plausible.
        spacing_known: whether its distances are plausible.
        certain: whether the file states its orientation and the statement is plausible.
        guessed_unit: whether its distances are read in another unit than the file says.
        notes: sentences for the user.
    """

    affine_ras: np.ndarray
    letters: str
    spacing_known: bool = True
    certain: bool = True
    guessed_unit: bool = False
    notes: tuple[str, ...] = ()

    @property
    def across(self) -> int:
        """The axis of the file that runs across the slices."""
        return next(axis for axis, letter in enumerate(self.letters) if letter in "SI")


def declared_place(header: nib.Nifti1Header) -> Place:
    """The geometry that a header states. Without sform and qform nibabel's default counts: first axis to the left,
    second to the front, third to the head. If the order is not plausible, the axis with the fewest voxels runs across
    the slices.
    """
    coded = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    place = _usable(header, header.get_best_affine()) if coded else None
    if place is None:
        return _by_shape(_without_form(header, coded=coded), header)
    place = _notebook(_contradiction(place, header))
    if _is_shuffled(place, header):
        place = replace(place, spacing_known=False, certain=False, notes=(*place.notes, _SHUFFLED))
    return _by_shape(place, header)


def place_by_skull(place: Place, shape: tuple[int, ...], sample: np.ndarray) -> Place:
    """The geometry after a comparison with the skull.

    Args:
        place: the result of `declared_place`.
        shape: (i, j, k) of the file.
        sample: HU of some voxels, at even distances along each axis.

    Returns:
        The same place if it is certain and fits a skull.
    """
    across = place.across
    thin = _thin_axis(shape)
    if thin is None or (place.certain and thin != across and _is_oblique(place.affine_ras)):
        rings = [ring_share(sample, axis) for axis in range(3)]
        best = int(np.argmax(rings)) if thin is None else thin
        if rings[best] >= _RINGS and rings[best] >= (1.5 if thin is None else 1) * rings[across]:
            across = best
    skull = find_skull(np.moveaxis(sample, across, 0))
    if thin is not None and place.certain and across != place.across:
        degrees = np.degrees(np.arccos(abs(_cosines(place.affine_ras)[2, across])))
        letters = _nearest(place.affine_ras, across)
        place = replace(place, letters=letters, notes=(*place.notes, _TILTED.format(degrees)))
    elif across != place.across or not place.certain:
        place = _by_letters(place, _letters(place.letters, across, skull))
    return _check_head(place, skull, np.array(shape) / sample.shape)


def _usable(header: nib.Nifti1Header, affine: np.ndarray) -> Place | None:
    """An affine in mm; None if it is not finite, flat, or has sides that are impossible in any unit."""
    unit = header.get_xyzt_units()[0]
    if not np.isfinite(affine).all():
        return None
    for factor in dict.fromkeys((_MM.get(unit, 1.0), 1.0, *_MM.values())):
        affine_mm = np.diag([factor] * 3 + [1.0]) @ affine
        if are_plausible_mm(nib.affines.voxel_sizes(affine_mm)) and None not in nib.aff2axcodes(affine_mm):
            break
    else:
        return None
    letters = "".join(nib.aff2axcodes(affine_mm))
    if factor == _MM.get(unit, 1.0):
        return Place(affine_mm, letters)
    unit_names = {1.0: "mm"} | {mm: f"{name}s" for name, mm in _MM.items()}
    unit_name = "mm" if unit in ("mm", "unknown") else f"{unit}s"
    note = (
        f"The file gives its distances in {unit_name}, which does not fit a head. They are read as "
        f"{unit_names[factor]}."
    )
    return Place(affine_mm, letters, guessed_unit=True, notes=(note,))


def _without_form(header: nib.Nifti1Header, *, coded: bool) -> Place:
    base = _usable(header, header.get_base_affine())
    if base is None:
        return Place(np.diag([-1.0, 1.0, 5.0, 1.0]), "LAS", False, False, notes=(_NO_FORM, _NO_SIZE))
    whole = (
        ()
        if not _is_whole(base.affine_ras) or coded
        else (f"Its voxel sizes are whole mm, which suggests that they were never set, {_NO_ML}",)
    )
    return replace(base, spacing_known=not coded and not whole, certain=False, notes=(_NO_FORM, *whole, *base.notes))


def _contradiction(place: Place, header: nib.Nifti1Header) -> Place:
    """Add a note if sform, qform and pixdim contradict each other."""
    if int(header["sform_code"]) <= 0:
        return place
    sform, pixdim = header.get_sform(), np.abs(np.asarray(header["pixdim"][1:4], float))
    # of a sheared voxel; some programs write this into pixdim
    heights = 1 / np.linalg.norm(np.linalg.inv(sform[:3, :3]), axis=1)
    sizes = nib.affines.voxel_sizes(sform)
    fits = [np.isclose(pixdim, of, rtol=_SAME_SIZE, atol=0) for of in (sizes, heights)]
    unset = int(header["qform_code"]) <= 0 and (pixdim == 1).all()  # nibabel makes these from zeros
    if (pixdim > 0).all() and not unset and not np.logical_or(*fits).all():
        note = _SIZES.format(*(" x ".join(f"{mm:.3g}" for mm in of) for of in (sizes, pixdim)))
        place = replace(place, spacing_known=False, notes=(*place.notes, note))
    other = _qform_letters(header)
    if other is not None and other != place.letters:
        ends = [_ENDS.get(a, "foot and head") for a, b in zip(place.letters, other, strict=True) if a != b]
        note = f"The file contradicts itself: its sform and qform disagree on {' and on '.join(dict.fromkeys(ends))}. "
        note += "The sform is used; left and right are assumed."
        place = replace(place, certain=False, notes=(*place.notes, note))
    return place


def _qform_letters(header: nib.Nifti1Header) -> str | None:
    """None without a qform, or if its voxels are flat."""
    if int(header["qform_code"]) <= 0:
        return None
    letters = nib.aff2axcodes(header.get_qform())
    return None if None in letters else "".join(letters)


def _notebook(place: Place) -> Place:
    """Add a note on an affine that a program made up: parallel to the axes, with the first voxel at the origin."""
    affine = place.affine_ras
    if affine[:3, 3].any() or np.count_nonzero(affine[:3, :3]) != 3:
        return place
    if _is_whole(affine):
        return replace(place, spacing_known=False, certain=False, notes=(*place.notes, _WHOLE))
    return replace(place, certain=False, notes=(*place.notes, _NO_ORIGIN))


def _is_whole(affine: np.ndarray) -> bool:
    sizes = nib.affines.voxel_sizes(affine)
    return bool(np.allclose(sizes, np.round(sizes), rtol=0, atol=1e-6))


def _is_shuffled(place: Place, header: nib.Nifti1Header) -> bool:
    """Whether a square slice has oblong pixels, one side of which equals that of the third axis: the sizes of (x, y, z)
    were applied to an array of (z, y, x)."""
    thin = _thin_axis(header.get_data_shape())
    if thin is None:
        return False
    sizes = nib.affines.voxel_sizes(place.affine_ras)
    first, second = (sizes[axis] for axis in range(3) if axis != thin)
    return not np.isclose(first, second, rtol=_SAME_SIZE) and bool(
        np.isclose([first, second], sizes[thin], rtol=_SAME_SIZE).any()
    )


def _thin_axis(shape: tuple[int, ...]) -> int | None:
    """The axis with few slices, most of all if the slices are square; None if the shape does not decide."""
    for axis in range(3):
        first, second = (shape[in_plane] for in_plane in range(3) if in_plane != axis)
        if shape[axis] <= (_THIN if first == second else _VERY_THIN) * min(first, second):
            return axis
    return None


def _by_shape(place: Place, header: nib.Nifti1Header) -> Place:
    """The axes that the shape suggests, if those of the file are doubtful."""
    thin = _thin_axis(header.get_data_shape())
    if place.certain or thin is None or thin == place.across:
        return place
    return replace(place, letters=_letters(place.letters, thin, Skull()))


def _cosines(affine: np.ndarray) -> np.ndarray:
    """(3, 3) cosines between axes of the patient (rows) and axes of the file."""
    return np.asarray(affine[:3, :3] / nib.affines.voxel_sizes(affine))


def _is_oblique(affine: np.ndarray) -> bool:
    return bool(np.abs(_cosines(affine)).max(axis=0).min() < _OBLIQUE)


def _nearest(affine: np.ndarray, across: int) -> str:
    """Letters of an oblique affine. The axis across the slices counts as the one from foot to head."""
    first, second = (axis for axis in range(3) if axis != across)
    straight = abs(affine[0, first]) + abs(affine[1, second]) >= abs(affine[1, first]) + abs(affine[0, second])
    letters = [""] * 3
    for axis, row in ((across, 2), (first, 0 if straight else 1), (second, 1 if straight else 0)):
        letters[axis] = ("LR", "PA", "IS")[row][int(affine[row, axis] >= 0)]
    return "".join(letters)


def _letters(declared: str, across: int, skull: Skull) -> str:
    """Letters of a file that is not plausible. Letters that agree with the skull and the shape are kept. Else rows run
    to the back and columns to the left, like the pixels of a picture."""
    first, second = (axis for axis in range(3) if axis != across)
    stays = declared[across] in "SI"
    was_rows = declared[first] in "AP" if stays else True
    is_rows = _runs_along_rows(skull, was_rows)
    letters = list(declared)
    if not stays or is_rows != was_rows:
        letters[first], letters[second] = "PL" if is_rows else "LA"
    ahead, sideways = (first, second) if is_rows else (second, first)
    air = skull.air[0 if is_rows else 1]
    if abs(air) >= _LEAST_AIR and (front_or_back := "P" if air < 0 else "A") != letters[ahead]:
        letters[ahead], letters[sideways] = front_or_back, "L"
    upward = skull.up > 0 if skull.up else not stays or declared[across] == "S"
    letters[across] = "S" if upward else "I"
    return "".join(letters)


def _runs_along_rows(skull: Skull, was_rows: bool) -> bool:
    """Whether rows count between front and back: by air away from the middle, else by the longer side."""
    rows, columns = np.abs(skull.air)
    if max(rows, columns) >= max(_LEAST_AIR, _OFF * min(rows, columns)):
        return bool(rows > columns)
    longer = skull.rows / skull.columns if skull.columns else 1.0  # of square pixels
    return was_rows if 1 / _LONGER < longer < _LONGER else longer > 1


def _by_letters(place: Place, letters: str) -> Place:
    """Changed letters, and a note if they are not those of the affine."""
    own_letters = "".join(nib.aff2axcodes(place.affine_ras))
    if letters == own_letters:
        return replace(place, letters=letters)
    changed = replace(place, letters=letters, certain=False)
    if changed.across != (across_before := replace(place, letters=own_letters).across):
        note = _AXIS.format(_ORDINAL[changed.across], _ORDINAL[across_before])
    else:
        note = _ORDER.format(", ".join(f"to the {_TOWARD[letter]}" for letter in letters))
    return replace(changed, notes=(*place.notes, note))


def _check_head(place: Place, skull: Skull, step: np.ndarray) -> Place:
    """Give no mL if the distances make a head of an impossible size, or were read in another unit without a visible
    skull."""
    if not place.spacing_known:
        return place
    first, second = (axis for axis in range(3) if axis != place.across)
    sizes = nib.affines.voxel_sizes(place.affine_ras) * step
    length_mm = max(skull.rows * sizes[first], skull.columns * sizes[second])
    if length_mm and not _HEAD_MM[0] <= length_mm <= _HEAD_MM[1]:
        note = (
            f"With its voxel sizes, the inside of the skull would be {length_mm / 10:.0f} cm long. Its mm cannot be "
            "trusted, "
        )
        return replace(place, spacing_known=False, notes=(*place.notes, note + _NO_ML))
    if place.guessed_unit and not length_mm:
        return replace(place, spacing_known=False, notes=(*place.notes, f"No skull confirms this unit, {_NO_ML}"))
    return place
