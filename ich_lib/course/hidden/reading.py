"""Hidden inputs of lessons 0 to 6: files, windows, places, tables, splits and pictures."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian
from scipy.ndimage import binary_dilation

from ich_lib.data.polygons import fill
from ich_lib.labels import TYPES
from ich_lib.measures.volume import abc2_ml
from ich_lib.prepare.window import WINDOWS, unwindow, window

_PIXELS = (5, 7)
_SQUARE = np.ones((1, 3, 3), bool)


def _random_density(rng: np.random.Generator) -> tuple[tuple, object]:
    bounds = {"air": -200, "fat": -20, "water": 18, "brain": 45, "blood": 90}
    near = [bound + step for bound in bounds.values() for step in (-0.5, 0, 0.5)]
    hu = float(near[int(rng.integers(len(near)))] if rng.random() < 0.9 else rng.uniform(-260, 140))
    return (hu,), next((name for name, bound in bounds.items() if hu < bound), "calcium")


def _slice_and_area(rng: np.random.Generator) -> tuple[tuple, object]:
    hu, mask = rng.normal(32, 20, (9, 12)), rng.random((9, 12)) < 0.2
    mirrored = [hu[y, 11 - x] for y, x in np.argwhere(mask)]
    return (hu, mask), float(hu[mask].mean() - np.mean(mirrored))


def _file(rng: np.random.Generator) -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.Rows, dataset.Columns = _PIXELS
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, int(rng.integers(2))
    low = -900 if dataset.PixelRepresentation else 0
    pixels = rng.integers(low, 3000, _PIXELS).astype(np.int16 if low else np.uint16)
    dataset.PixelData = pixels.tobytes()
    dataset.RescaleSlope = float(rng.choice([0.5, 1.0, 1.5, 2.0]))
    dataset.RescaleIntercept = float(rng.integers(-1100, 50))
    dataset.ImagePositionPatient = [float(value) for value in rng.uniform(-200, 200, 3).round(2)]
    dataset.InstanceNumber = int(rng.integers(1, 1000))
    return dataset


def _pixels_to_hu(rng: np.random.Generator) -> tuple[tuple, object]:
    dataset = _file(rng)
    return (dataset,), dataset.pixel_array.astype(float) * dataset.RescaleSlope + dataset.RescaleIntercept


def _files_by_height(rng: np.random.Generator) -> tuple[tuple, object]:
    files = [_file(rng) for _ in range(9)]
    return (files,), sorted(files, key=lambda dataset: float(dataset.ImagePositionPatient[2]))


def _judge_densities(mine: Callable) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        z, y, x = 4, 60, 70
        hu, blood = rng.normal(30 + seed, 3, (z, y, x)), np.zeros((z, y, x), bool)
        top, left = rng.integers(18, 25, 2)
        blood[1:3, top : top + 9, left : left + 12] = True
        hu[blood] = rng.normal(62, 5, blood.sum())
        hu[1, top - 4 : top - 1, left] = 900  # a piece of bone beside it
        hu[2, top, left - 3] = -50
        hu[1, top - 8 : top - 6, left : left + 12] = 45.4  # too dense for brain
        hu[2, top - 8 : top - 6, left : left + 12] = 15.4
        hu[~binary_dilation(blood, _SQUARE, iterations=10)] = 42  # brain too, and too far away
        expected = hu[blood].mean(), _ring(hu, blood).mean()
        answer = mine(hu.copy(), blood.copy())
        wrong = f"On a hidden head blood and brain are {expected[0]:.1f} and {expected[1]:.1f} HU, not {answer}."
        assert np.shape(answer) == (2,), "Give two numbers: blood, brain."
        assert np.allclose(answer, expected, atol=0.2), wrong


def _ring(hu: np.ndarray, blood: np.ndarray) -> np.ndarray:
    near = binary_dilation(blood, _SQUARE, iterations=10) & ~blood
    return hu[near & (hu > 15) & (hu < 45)]


def _window(rng: np.random.Generator) -> tuple[tuple, object]:
    hu, level, width = rng.uniform(-300, 400, (3, 5)), float(rng.uniform(-50, 150)), float(rng.uniform(20, 400))
    return (hu, level, width), window(hu, level, width)


def _judge_scaling(mine: Callable) -> None:
    ramp = np.linspace(-1000, 3000, 801)
    plain = np.asarray(mine(ramp.copy()))
    for seed in range(6):
        rng = np.random.default_rng(seed)
        order = rng.permutation(801)[: rng.integers(20, 400)]
        again = np.asarray(mine(ramp[order].reshape(1, -1))).ravel()
        assert np.allclose(again, plain[order], atol=1e-5), "The same HU must give the same gray in every slice."
    assert (np.diff(plain) >= -1e-6).all(), "Denser must never be darker."
    assert 0 <= plain.min() < 0.01, "Air must be black."
    assert 0.99 < plain.max() <= 1, "Bone must be white."
    brain, blood = np.asarray(mine(np.array([[35.0, 60.0]]))).ravel()
    assert blood - brain >= 0.2, f"25 HU make {blood - brain:.3f} of the range; a fifth is asked."


def _two_pictures(rng: np.random.Generator) -> tuple[tuple, object]:
    brain, bone = rng.integers(0, 256, (2, 6, 9)).astype(np.uint8)
    brain[0, :4], brain[1, 2:7] = 0, 255
    brain[2, :2], brain[3, :2] = 1, 254
    fine, coarse = unwindow(brain / 255, *WINDOWS["brain render"]), unwindow(bone / 255, *WINDOWS["bone render"])
    return (brain, bone), np.where((brain > 0) & (brain < 255), fine, coarse)


def _affine(rng: np.random.Generator) -> np.ndarray:
    """Any order and direction of the axes, oblong voxels and a shear."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3)[rng.permutation(3)] * rng.uniform(0.5, 6, 3) * rng.choice([-1, 1], 3)
    matrix[:3, :3] += rng.uniform(-0.2, 0.2, (3, 3))
    return matrix


def _random_side(rng: np.random.Generator) -> tuple[tuple, object]:
    affine, mask = _affine(rng), np.zeros((8, 9, 10), bool)
    z, y, x = rng.integers(0, 4, 3)
    mask[z : z + 2, y : y + 2, x : x + 2] = True
    mask[tuple(rng.integers(5, 8, 3))] = True  # a lone voxel: the middle is not the median, nor an end
    left_mm = float(rng.choice([-1, 1]) * rng.uniform(0.2, 0.9))
    affine[:3, 3] = rng.uniform(-60, 60, 3)
    affine[0, 3] += left_mm - (affine @ [*np.argwhere(mask).mean(axis=0), 1])[0]
    return (mask, affine), "left" if left_mm > 0 else "right"


def _oriented_image(rng: np.random.Generator) -> tuple[tuple, object]:
    import nibabel as nib

    ras = rng.integers(-1000, 2000, (3, 4, 5)).astype(np.int16)
    image = nib.Nifti1Image(ras, np.diag([*rng.uniform(0.4, 5, 3), 1.0]))
    codes = rng.permutation([("L", "R")[rng.integers(2)], ("A", "P")[rng.integers(2)], ("S", "I")[rng.integers(2)]])
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(tuple(codes))
    )
    return (image.as_reoriented(turn),), ras[::-1, ::-1]


def _milliliters(rng: np.random.Generator) -> tuple[tuple, object]:
    mask, affine = rng.random((4, 5, 6)) < 0.3, _affine(rng)
    return (mask, affine), mask.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000


def _judge_abc2(mine: Callable) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        spacing = tuple(rng.choice([(5.0, 1.0, 1.0), (2.0, 1.0, 1.5), (3.0, 0.8, 0.8)], 1)[0].tolist())
        half, angle = (rng.uniform(9, 12), rng.uniform(15, 19), rng.uniform(6, 9)), rng.uniform(0.6, 1.3)
        z, y, x = (np.mgrid[:21, :61, :61].T - [10, 30, 30]).T * np.reshape(spacing, (3, 1, 1, 1))
        along, across = y * np.sin(angle) + x * np.cos(angle), y * np.cos(angle) - x * np.sin(angle)
        mask = (z / half[0]) ** 2 + (along / half[1]) ** 2 + (across / half[2]) ** 2 <= 1
        expected = abc2_ml(mask, np.diag([*spacing, 1.0]), weighted=False)
        answer = mine(mask.copy(), spacing)
        wrong = f"A hidden oblique ellipsoid has {expected:.1f} mL by ABC/2, not {answer:.1f}: B is at 90 degrees to A."
        assert abs(answer - expected) < 0.1 * expected, wrong


def _line(rng: np.random.Generator) -> dict[str, str]:
    shows = rng.random(5) < 0.2
    numbers = {"PatientNumber": str(rng.integers(49, 131)), "SliceNumber": str(rng.integers(1, 40))}
    types = {name.capitalize(): str(int(value)) for name, value in zip(TYPES, shows, strict=True)}
    return numbers | types | {"No_Hemorrhage": str(int(not shows.any()))}


def _random_line(rng: np.random.Generator) -> tuple[tuple, object]:
    line = _line(rng)
    return (line,), line["No_Hemorrhage"] == "0"


def _label_table(rng: np.random.Generator) -> tuple[tuple, object]:
    labels, patient = rng.random((40, 6)) < rng.uniform(0.05, 0.6, 6), rng.choice(list("abcdefgh"), 40)
    counted = [len(set(patient[column])) for column in labels.T]
    return (SimpleNamespace(labels=labels, patient=patient),), (labels.sum(axis=0).tolist(), counted)


def _lines_and_folder(rng: np.random.Generator) -> tuple[tuple, object]:
    lines = list({f"{line['PatientNumber']}/{line['SliceNumber']}": line for line in map(_line, [rng] * 12)}.items())
    files_in_folder = {name for name, _ in lines if rng.random() < 0.6}
    return ([line for _, line in lines], files_in_folder | {"999/1"}), (
        [line for name, line in lines if name in files_in_folder],
        sorted(name for name, _ in lines if name not in files_in_folder),
    )


def _overlapping_outlines(rng: np.random.Generator) -> tuple[tuple, object]:
    shape, outlines = (int(rng.integers(30, 50)), int(rng.integers(55, 70))), []
    for _ in range(int(rng.integers(2, 5))):
        left, top = rng.uniform(0.1, 0.5, 2)
        wide, high = rng.uniform(0.2, 0.4, 2)
        corners = [[left, top], [left + wide, top], [left + wide, top + high], [left, top + high]]
        outlines.append(np.array(corners)[: rng.integers(3, 5)])
    return (outlines, shape), np.any([fill([points], shape) for points in outlines], axis=0)


class _RowSplit:
    """A split of rows, as the library's."""

    def __init__(self, is_trained: np.ndarray, table: object) -> None:
        self.is_trained, self.table = is_trained, table

    def rows(self, table: object, *, trained: bool) -> np.ndarray:
        assert table is self.table, "The split was asked about another table than the one given."
        return np.flatnonzero(self.is_trained == trained)


def _nearest_rows(rng: np.random.Generator) -> tuple[tuple, object]:
    n = 14
    similarity, labels, order = rng.random((n, n)), rng.random(n) < 0.5, rng.permutation(n)
    trained, held_out = order[:9], order[9:]
    nearest = [trained[int(np.argmax(similarity[row, trained]))] for row in held_out]
    return (similarity, labels, trained, held_out), labels[nearest]


def _judge_deal(mine: Callable) -> None:
    for folds, count in ((3, 13), (5, 40), (4, 21)):
        patients = [f"p{k}" for k in np.random.default_rng(count).integers(0, count, 200)]
        patients_before = list(patients)
        fold_of = mine(patients, folds, 1)
        assert patients == patients_before, "The list of patients was changed."
        assert set(fold_of) == set(patients), "Every patient gets a fold, once."
        sizes = np.bincount(list(fold_of.values()), minlength=folds)
        assert len(sizes) == folds, f"Folds run from 0 to {folds - 1}."
        assert np.ptp(sizes) <= 1, f"{len(fold_of)} patients in {folds} folds: sizes of {sizes.tolist()} are uneven."
        assert fold_of == mine(patients, folds, 1), "The same seed must deal alike."
        assert len({str(sorted(mine(patients, folds, seed).items())) for seed in range(5)}) > 3, (
            "Another seed must deal otherwise."
        )


def _judge_copies(mine: Callable) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        table, labels = object(), rng.random(90) < 0.3
        split = _RowSplit(rng.random(90) < 0.7, table)
        answers = [mine(split, table, labels, np.random.default_rng(k)) for k in (1, 2, 1)]
        trained, held_out = split.rows(table, trained=True), split.rows(table, trained=False)
        assert sorted(answers[0][1]) == held_out.tolist(), "The held-out side wants every one of its rows once."
        times = np.bincount(np.asarray(answers[0][0]), minlength=90)
        assert (times[trained] > 0).all(), "A training row is lost."
        assert not times[held_out].any(), "A held-out row is among the training rows."
        assert times.sum() == len(trained) + 600, "Training rows and 600 copies are wanted."
        assert (times[trained[~labels[trained]]] == 1).all(), "Only bleeding rows are to be copied."
        sides = [sorted(answer[0]) for answer in answers]
        assert sides[0] != sides[1], "Draw the copies with the generator that is given."
        assert sides[0] == sides[2], "The same generator must draw the same copies."
        assert times[trained[labels[trained]]].max() < 300, "Copy all bleeding rows, not one of them."


def _picture_to_shrink(rng: np.random.Generator) -> tuple[tuple, object]:
    size, step = int(rng.choice([2, 3, 4])), int(rng.choice([2, 3, 4]))
    picture = rng.normal(20, 40, (size * step, size * step))
    return (picture, size), picture.reshape(size, step, size, step).mean(axis=(1, 3))


def _picture_to_pad(rng: np.random.Generator) -> tuple[tuple, object]:
    height, width = rng.integers(2, 9, 2)
    picture, size = rng.normal(0, 9, (height, width)), int(rng.integers(9, 12))
    return (picture, size), np.pad(picture, ((0, size - height), (0, size - width)))


def _random_unreadable(rng: np.random.Generator) -> tuple[tuple, object]:
    can_read = rng.random(9) < 0.6
    pictures = [f"picture {k}" if good else None for k, good in enumerate(can_read)]
    labels = rng.integers(0, 5, 9).tolist()
    readable = [k for k in range(9) if can_read[k]]
    unreadable = np.flatnonzero(~can_read).tolist()
    return (pictures, labels), ([pictures[k] for k in readable], [labels[k] for k in readable], unreadable)


def _judge_flip(mine: Callable) -> None:
    rng, flips = np.random.default_rng(5), []
    for seed in range(200):
        picture, mask = rng.normal(size=(3, 4)), rng.random((3, 4)) < 0.5
        out, moved = mine(picture, mask, np.random.default_rng(seed))
        again = mine(picture, mask, np.random.default_rng(seed))[0]
        assert np.array_equal(out, again), "The same generator must flip alike: draw with the one that is given."
        is_unchanged = np.array_equal(out, picture) and np.array_equal(moved, mask)
        in_mirror = np.array_equal(out, picture[:, ::-1]) and np.array_equal(moved, mask[:, ::-1])
        assert is_unchanged or in_mirror, "Either both are mirrored left to right or both are as given."
        flips.append(in_mirror)
    assert 0.35 < np.mean(flips) < 0.65, f"Half of the calls should flip; {np.mean(flips):.0%} do."


INPUTS = {
    "0.1": _random_density,
    "0.3": _slice_and_area,
    "1.1": _pixels_to_hu,
    "1.3": _files_by_height,
    "2.1": _window,
    "2.4": _two_pictures,
    "3.1": _random_side,
    "3.2": _oriented_image,
    "3.3": _milliliters,
    "4.1": _random_line,
    "4.2": _label_table,
    "4.3": _lines_and_folder,
    "4.4": _overlapping_outlines,
    "5.1": _nearest_rows,
    "6.1": _picture_to_shrink,
    "6.2": _picture_to_pad,
    "6.3": _random_unreadable,
}
JUDGES = {
    "1.4": _judge_densities,
    "2.3": _judge_scaling,
    "3.4": _judge_abc2,
    "5.2": _judge_deal,
    "5.3": _judge_copies,
    "6.4": _judge_flip,
}
