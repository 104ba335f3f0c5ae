"""Is there a brain in a skull, and in which position? Measured in mm on a coarse grid of a scan's slices.

A slice counts as head in one of two cases. First, a closed ring of bone (with gaps of up to 14 mm for sutures, foramina
and fractures) holds 25 to 330 cm2, nearly all of it as dense as brain. Second, the ring is open, as in a newborn or
after a fracture, but most of the rim of the hull around all bone is bone, and the tissue in it is as dense as brain and
less dense than muscle. No trunk, neck or limb fulfills this: ribs and pelvis hold air, fat and muscle, and a vertebra
holds a few cm2.

The air in the head shows its position: nose and sinuses are below the brain and in front of it. This needs enough air:
a head that is cut off above the sinuses, or whose sinuses are full of blood, shows nothing. A head is the same on both
sides, so mirroring alone cannot be recognized. But reversing the slices, or exchanging front and back, also mirrors the
head, and this is recognized.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from ich_lib.scan import Scan

_GRID_MM = 2.0  # of a pixel on the coarse grid; finer ones show no more of a skull
_FIELD_MM = 240.0  # side of a slice whose pixel size is unknown
_BONE_HU, _BONE_SHARE = 200.0, 0.2  # of the fine pixels in one coarse pixel: bone of 1 mm still counts
_TISSUE_HU = -300.0  # and below is air
_BLACK_SHARE = 0.02  # of the HU of a scan: values this close to the minimum are black
_BODY_HU = -150.0
_BRAIN_HU, _MEDIAN_HU, _LEAST_BRAIN = (0.0, 100.0), (10.0, 60.0), 0.8
_OPEN_MEDIAN_HU, _OPEN_LEAST_CM2, _OPEN_LEAST_RIM = 42.0, 50.0, 0.75  # muscle has 45 and more
_ROOM_CM2 = (25.0, 330.0)
_GAP_MM, _OPEN_GAP_MM, _NOSTRIL_MM = 14.0, 26.0, 10.0
_LEAST_BODY_CM2 = 30.0
_CUT_MM, _HEADREST_MM = 30.0, 8.0  # tissue this long and thick at the edge of the field is cut off there
_MOST_SLICES = 48  # are examined, at even distances: every other one of 96 slices
_MARGIN = 16  # pixels of air around a slice, so that closing gaps does not connect to the edge
_INSIDE = (slice(_MARGIN, -_MARGIN), slice(_MARGIN, -_MARGIN))  # without it
_CAVITY_MM = 1.0  # of a pixel in `find_cavity`
_PIECE_CM2, _LAST_CM2 = 1.0, 6.0  # a temporal lobe's tip; the foramen magnum, below which the spinal canal begins
_RIM_MM = 3.0  # from a room to the bone around it, at most
_HALF_BONE_HU = 500.0  # of a pixel that is half bone
_MOST_OPEN = 3  # slices in a row whose ring of bone is open, inside the outline of the slice before


@dataclass(frozen=True)
class Head:
    """What a scan shows of a head.

    Attributes:
        room_cm2: (z,) area inside the skull in each slice; 0 if a slice shows no brain in a skull.
        cut: (z,) whether tissue continues beyond the edge of the field.
        cavity_ml: volume inside the skull in all slices; None if the size of the voxels is not known.
        length_mm: of the scan from its first slice to its last one; None if it is not known.
        air_ml: air in the head outside the brain: nose, sinuses, mastoids. If the size of the voxels is not known, a
            slice is assumed to be 240 mm wide and 5 mm thick.
        air_mm: (z, y, x) from the brain's middle along z, and from the head's middle along y and x, to the middle of
            that air. In a correct position it is below, in front, and neither left nor right. Zeros if there is no air
            or no brain.
    """

    room_cm2: np.ndarray
    cut: np.ndarray
    cavity_ml: float | None
    length_mm: float | None
    air_ml: float
    air_mm: tuple[float, float, float]

    @property
    def slices(self) -> np.ndarray:
        """(z,) bool, which slices show brain in a skull."""
        return self.room_cm2 > 0

    @property
    def share(self) -> float:
        """Share of the slices that do."""
        return float(self.slices.mean())

    @property
    def jumps(self) -> float:
        """How much the skull grows and shrinks from slice to slice, relative to its largest cross-section: once up and
        once down is 1. The maximum of 70 real heads was 1.7; the minimum of shuffled slices was 4.3."""
        largest = float(self.room_cm2.max())
        return float(np.abs(np.diff(self.room_cm2)).sum()) / (2 * largest) if largest else 0.0


@dataclass(frozen=True)
class Cavity:
    """The inside of the skull.

    Attributes:
        mask: (z, rows, columns) bool, a row for each slice of the scan, on a coarser grid of pixels.
        sides_mm: height and width of its pixels.
    """

    mask: np.ndarray
    sides_mm: tuple[float, float]


@dataclass(frozen=True)
class _Grid:
    """The coarse grid: rows and columns, mm of its pixels and of the slices."""

    rows: int
    columns: int
    sides_mm: tuple[float, float]
    slice_mm: float

    @property
    def pixel_cm2(self) -> float:
        return self.sides_mm[0] * self.sides_mm[1] / 100

    def disk(self, mm: float) -> np.ndarray:
        """The kernel that closes gaps of that many mm."""
        tall, wide = (2 * max(round(mm / 2 / side), 1) + 1 for side in self.sides_mm)
        return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, tall))


@dataclass(frozen=True)
class _Slice:
    """The measurements of one slice, see `Head`; the air's middle as mm (y, x) from the head's middle."""

    room_cm2: float
    is_cut: bool
    air_cm2: float
    air_place_mm: tuple[float, float]


def measure_head(scan: Scan) -> Head:
    """Look for a brain in a skull. Takes a tenth of a second for 34 slices of 512 x 512.

    Args:
        scan: of any body part. In a picture that is cut off below bone, white counts as bone.

    Example:
        >>> from ich_lib import phantom
        >>> head = measure_head(phantom(1, slices=12, pixels=64).scan)
        >>> f"{head.cavity_ml:.0f} mL on {head.slices.sum()} of 12 slices"
        '959 mL on 12 of 12 slices'
    """
    grid, bone_hu = _grid_of(scan), min(_BONE_HU, 0.98 * float(scan.hu.max()))
    every = max(len(scan.hu) // _MOST_SLICES, 1)
    low, high = float(scan.hu.min()), float(scan.hu.max())
    air_hu = max(_TISSUE_HU, low + _BLACK_SHARE * (high - low))  # black, in pictures whose window begins above air
    slices = [_measure_slice(plane, bone_hu, air_hu, grid) for plane in scan.hu[every // 2 :: every]]
    of_slice = [slices[min(k // every, len(slices) - 1)] for k in range(len(scan.hu))]
    room_cm2, air_cm2 = (np.array([getattr(area, name) for area in of_slice]) for name in ("room_cm2", "air_cm2"))
    step_mm = scan.voxel_ml * 1000 / float(np.prod(scan.spacing_mm[1:])) if scan.spacing_known else None
    return Head(
        room_cm2=room_cm2,
        cut=np.array([area.is_cut for area in of_slice]),
        cavity_ml=None if step_mm is None else float((room_cm2 * scan.slabs).sum() * step_mm / 10),
        length_mm=None if step_mm is None else float(scan.slabs.sum()) * step_mm,
        air_ml=float((air_cm2 * scan.slabs).sum() * grid.slice_mm / 10),
        air_mm=_air_mm(
            scan, room_cm2, air_cm2, np.array([area.air_place_mm for area in of_slice]), slice_mm=grid.slice_mm
        ),
    )


def _measure_slice(plane: np.ndarray, bone_hu: float, air_hu: float, grid: _Grid) -> _Slice:
    hu, bone = _bone_and_hu(plane, bone_hu, grid)
    room = _room(hu, bone, grid)
    air_cm2, air_place_mm = _inner_air(hu, room, grid)
    return _Slice(np.count_nonzero(room) * grid.pixel_cm2, _is_cut(hu, air_hu, grid), air_cm2, air_place_mm)


def _bone_and_hu(plane: np.ndarray, bone_hu: float, grid: _Grid) -> tuple[np.ndarray, np.ndarray]:
    """HU and uint8 bone of a (y, x) slice on the coarse grid."""
    # two per side are enough for a mean
    step = max(min(plane.shape[0] // grid.rows, plane.shape[1] // grid.columns) // 2, 1)
    plane = np.ascontiguousarray(plane[::step, ::step])
    # bone is located before shrinking, else a thin skull would disappear between brain and scalp
    bone = cv2.threshold(plane, bone_hu, 255, cv2.THRESH_BINARY)[1].astype(np.uint8)
    hu, shares = (
        cv2.resize(values, (grid.columns, grid.rows), interpolation=cv2.INTER_AREA) for values in (plane, bone)
    )
    return hu, (shares >= 255 * _BONE_SHARE).astype(np.uint8)


def find_cavity(scan: Scan) -> Cavity | None:
    """The inside of the skull in 3D; None if no slice shows a closed ring of bone around a brain.

    It begins in the slice with the largest closed room. From there on, up and down, a slice keeps what its own bone
    encloses, is as dense as brain, and lies mostly over the room of the slice before. Where the ring of a slice is
    open, it keeps what does so inside the outline of the slice before, for three slices at most. So orbits (fat),
    sinuses (air), the neck and everything outside the skull never belong to it.

    Args:
        scan: as in `measure_head`.

    Example:
        >>> from ich_lib import phantom
        >>> cavity = find_cavity(phantom(1, slices=12, pixels=64).scan)
        >>> cavity.mask.shape, int(cavity.mask.any(axis=(1, 2)).sum())
        ((12, 64, 64), 12)
    """
    grid, bone_hu = _grid_of(scan, _CAVITY_MM), min(_BONE_HU, 0.98 * float(scan.hu.max()))
    slices = [_bone_and_hu(plane, bone_hu, grid) for plane in scan.hu]
    walls = [_closed_bone(bone, grid) for _, bone in slices]
    rooms = [_largest(_enclosed_inside(wall)) for wall in walls]
    areas = [
        int(room.sum()) if _is_brain(hu, room, grid, _ROOM_CM2[0], _MEDIAN_HU[1]) else 0
        for (hu, _), room in zip(slices, rooms, strict=True)
    ]
    if not any(areas):
        return None
    widest = int(np.argmax(areas))
    mask = np.zeros((len(slices), grid.rows, grid.columns), bool)
    mask[widest] = rooms[widest]
    for way in (range(widest + 1, len(slices)), range(widest - 1, -1, -1)):
        before, is_open = rooms[widest], 0
        for k in way:
            closed = _pieces_of_brain(slices[k][0], _enclosed_inside(walls[k]), before, grid)
            is_open = 0 if closed.any() else is_open + 1
            before = (
                closed
                if closed.any()
                else _pieces_of_brain(slices[k][0], before & (walls[k][_INSIDE] == 0), before, grid)
            )
            if np.count_nonzero(before) * grid.pixel_cm2 < _LAST_CM2 or is_open > _MOST_OPEN:
                break
            mask[k] = before
    rims = [_up_to_bone(room, wall, *planes, grid) for room, wall, planes in zip(mask, walls, slices, strict=True)]
    return Cavity(np.stack(rims), grid.sides_mm)


def _up_to_bone(room: np.ndarray, wall: np.ndarray, hu: np.ndarray, bone: np.ndarray, grid: _Grid) -> np.ndarray:
    """A (y, x) bool room with the rim back that closing the gaps of the bone took from it, and with the pixels that are
    bone in part: an epidural or subdural bleed lies there. It stays within the closed bone."""
    grown, cross = room.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    rim = wall[_INSIDE] > 0
    for allowed in [rim & (bone == 0)] * round(_RIM_MM / min(grid.sides_mm)) + [rim & (hu < _HALF_BONE_HU)]:
        grown |= cv2.dilate(grown, cross) & allowed
    return grown > 0


def _pieces_of_brain(hu: np.ndarray, area: np.ndarray, before: np.ndarray, grid: _Grid) -> np.ndarray:
    """The pieces of a (y, x) bool area that are as dense as brain and lie mostly over the room of the slice before."""
    count, pieces = cv2.connectedComponents(area.astype(np.uint8), connectivity=4)
    brain = np.zeros(area.shape, bool)
    for number in range(1, count):
        piece = pieces == number
        large = np.count_nonzero(piece) * grid.pixel_cm2 >= _ROOM_CM2[0]
        most_hu = _MEDIAN_HU[1] if large else _OPEN_MEDIAN_HU
        if (piece & before).sum() >= 0.5 * piece.sum() and _is_brain(hu, piece, grid, _PIECE_CM2, most_hu):
            brain |= piece
    return brain


def _grid_of(scan: Scan, pixel_mm: float = _GRID_MM) -> _Grid:
    _, rows, columns = scan.hu.shape
    dz, dy, dx = scan.spacing_mm if scan.spacing_known else (5.0, *[_FIELD_MM / max(rows, columns)] * 2)
    coarse_rows = min(max(round(rows * dy / pixel_mm), 1), rows)
    coarse_columns = min(max(round(columns * dx / pixel_mm), 1), columns)
    return _Grid(coarse_rows, coarse_columns, (dy * rows / coarse_rows, dx * columns / coarse_columns), dz)


def _room(hu: np.ndarray, bone: np.ndarray, grid: _Grid) -> np.ndarray:
    """(y, x) bool, the area inside the skull in one slice; empty if there is no brain in a skull."""
    room = _largest(_enclosed_inside(_closed_bone(bone, grid)))
    if _is_brain(hu, room, grid, _ROOM_CM2[0], _MEDIAN_HU[1]):
        return room
    if bone.sum() * grid.pixel_cm2 < 5:
        return np.zeros(hu.shape, bool)
    wide = cv2.morphologyEx(np.pad(bone, _MARGIN), cv2.MORPH_CLOSE, grid.disk(_OPEN_GAP_MM))[_INSIDE] > 0
    room = _open_room(hu, bone, wide, grid)
    return room if _is_brain(hu, room, grid, _OPEN_LEAST_CM2, _OPEN_MEDIAN_HU) else np.zeros(hu.shape, bool)


def _closed_bone(bone: np.ndarray, grid: _Grid) -> np.ndarray:
    """Bone of a (y, x) slice with its gaps closed and a margin around it."""
    return cv2.morphologyEx(np.pad(bone, _MARGIN), cv2.MORPH_CLOSE, grid.disk(_GAP_MM))


def _enclosed_inside(walls: np.ndarray) -> np.ndarray:
    """`_enclosed` of walls with a margin, without it."""
    return _enclosed(walls)[_INSIDE]


def _enclosed(walls: np.ndarray) -> np.ndarray:
    """(y, x) bool, the area that cannot be reached from the corner without crossing walls."""
    filled = walls.copy()
    cv2.floodFill(filled, None, (0, 0), 2)
    return filled == 0


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest piece of a (y, x) bool mask."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    return pieces == 1 + stats[1:, cv2.CC_STAT_AREA].argmax() if count > 1 else np.zeros(mask.shape, bool)


def _is_brain(hu: np.ndarray, room: np.ndarray, grid: _Grid, least_cm2: float, most_median_hu: float) -> bool:
    if not least_cm2 <= np.count_nonzero(room) * grid.pixel_cm2 <= _ROOM_CM2[1]:
        return False
    values = hu[room]
    brain = np.count_nonzero((values > _BRAIN_HU[0]) & (values < _BRAIN_HU[1]))
    return brain >= _LEAST_BRAIN * values.size and _MEDIAN_HU[0] <= np.median(values) <= most_median_hu


def _open_room(hu: np.ndarray, bone: np.ndarray, wide: np.ndarray, grid: _Grid) -> np.ndarray:
    """The area inside the hull around all bone of the body, if most of the hull's rim is bone; else empty.

    Args:
        hu: (y, x).
        bone: (y, x) uint8.
        wide: the same with wide gaps closed.
        grid: of these masks.
    """
    skull = wide & _largest(hu > _BODY_HU)
    rows, columns = np.nonzero(skull)
    hull = np.zeros(hu.shape, np.uint8)
    if len(rows) < 3:
        return hull > 0
    points = np.stack([columns, rows], axis=1).astype(np.int32)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    eroded = cv2.erode(hull, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    rim, near = hull > eroded, cv2.dilate(bone, grid.disk(8.0)) > 0
    return (hull > 0) & ~wide & bool(near[rim].mean() >= _OPEN_LEAST_RIM)


def _is_cut(hu: np.ndarray, air_hu: float, grid: _Grid) -> bool:
    """Whether tissue thicker than a headrest touches an edge of the slice, or of the circle that the scanner
    measured."""
    down, right = grid.sides_mm
    deep_y, deep_x = (
        min(round(_HEADREST_MM / side), length // 2) for side, length in zip(grid.sides_mm, hu.shape, strict=True)
    )
    tissue = hu > air_hu
    rows = [tissue[0] & tissue[deep_y], tissue[-1] & tissue[-1 - deep_y]]
    columns = [tissue[:, 0] & tissue[:, deep_x], tissue[:, -1] & tissue[:, -1 - deep_x]]
    longest_mm = max([_longest_run(row) * right for row in rows] + [_longest_run(column) * down for column in columns])
    corners = hu[[0, 0, -1, -1], [0, -1, 0, -1]]
    if corners.max() < _TISSUE_HU and np.ptp(corners) == 0:  # values that a scanner writes outside its circle
        longest_mm = max(longest_mm, _run_on_circle_mm(tissue, grid))
    return longest_mm >= _CUT_MM


def _run_on_circle_mm(tissue: np.ndarray, grid: _Grid) -> float:
    """The longest run of tissue along the largest circle inside a slice."""
    heights_mm = [count * side / 2 for count, side in zip(tissue.shape, grid.sides_mm, strict=True)]
    radius_mm = min(heights_mm) - grid.sides_mm[0]
    angles = np.linspace(0, 2 * np.pi, max(round(2 * np.pi * radius_mm / _GRID_MM), 8), endpoint=False)
    runs = np.ones(len(angles), bool)
    for deep_mm in (_GRID_MM, _GRID_MM + _HEADREST_MM):
        y = (heights_mm[0] + (radius_mm - deep_mm) * np.sin(angles)) / grid.sides_mm[0] - 0.5
        x = (heights_mm[1] + (radius_mm - deep_mm) * np.cos(angles)) / grid.sides_mm[1] - 0.5
        runs &= tissue[np.round(y).astype(int), np.round(x).astype(int)]
    return min(_longest_run(np.concatenate([runs, runs])), len(runs)) * 2 * np.pi * radius_mm / len(angles)


def _longest_run(values: np.ndarray) -> int:
    ends = np.flatnonzero(np.diff(np.concatenate([[0], values.astype(np.int8), [0]])))
    return int((ends[1::2] - ends[::2]).max(initial=0))


def _inner_air(hu: np.ndarray, room: np.ndarray, grid: _Grid) -> tuple[float, tuple[float, float]]:
    """cm2 of air in the head outside the brain, and mm (y, x) from the head's middle to the middle of that air."""
    body = _largest(hu > _TISSUE_HU)
    if np.count_nonzero(body) * grid.pixel_cm2 < _LEAST_BODY_CM2:
        return 0.0, (0.0, 0.0)
    padded = np.pad(body.astype(np.uint8), _MARGIN)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, grid.disk(_NOSTRIL_MM))
    inside = slice(_MARGIN, -_MARGIN)
    head = (closed[inside, inside] > 0) | _enclosed(closed)[inside, inside]
    air = head & (hu < _TISSUE_HU) & ~room
    if not air.any():
        return 0.0, (0.0, 0.0)
    (y, x), (middle_y, middle_x) = (np.argwhere(mask).mean(axis=0) for mask in (air, head))
    return float(np.count_nonzero(air) * grid.pixel_cm2), (
        float(y - middle_y) * grid.sides_mm[0],
        float(x - middle_x) * grid.sides_mm[1],
    )


def _air_mm(
    scan: Scan, room_cm2: np.ndarray, air_cm2: np.ndarray, places: np.ndarray, *, slice_mm: float
) -> tuple[float, float, float]:
    if not (room_cm2.any() and air_cm2.any()):
        return 0.0, 0.0, 0.0
    room_cm2, air_cm2 = room_cm2 * scan.slabs, air_cm2 * scan.slabs
    numbers = np.arange(len(room_cm2)) if scan.places is None else scan.places
    up = float(np.average(numbers, weights=air_cm2) - np.average(numbers, weights=room_cm2)) * slice_mm
    back, left = np.average(places, weights=air_cm2, axis=0)
    return up, float(back), float(left)
