"""Average neighboring thin slices into fewer thick ones, so that a scan of 640 slices can be read."""

from dataclasses import dataclass

import numpy as np

from ich_lib.grammar import count
from ich_lib.readers.limits import LIMITS, check_sides
from ich_lib.readers.refusal import ReadError

_MOST = 8  # slices in one slab; more would be thicker than the slices of a head CT


@dataclass(frozen=True)
class Slabs:
    """How the slices of a file become those of a scan.

    Attributes:
        per_slab: the number of neighbors that are averaged; 1 changes nothing.
        skip: slices at the foot that fill no whole slab and are left out.
        slices: the number of slices in the file.
    """

    per_slab: int
    skip: int
    slices: int

    def __len__(self) -> int:
        return (self.slices - self.skip) // self.per_slab

    def slab_of(self, index: int) -> int:
        """The slab of slice `index`, counted from the foot; negative for a slice that is left out."""
        return (index - self.skip) // self.per_slab

    def affine(
        self, affine: np.ndarray, axis: int, *, from_head: bool = False, places: np.ndarray | None = None
    ) -> np.ndarray:
        """The affine of the slabs: as thick as their slices together, and in the middle of them.

        Args:
            affine: (4, 4), of the slices.
            axis: the column that runs across the slices.
            from_head: whether that axis runs from head to foot.
            places: of uneven slices, in steps of slices.
        """
        slabs = affine.copy()
        counted = np.arange(self.slices) if places is None else places
        skip = 0 if from_head else self.skip
        first = counted[skip : skip + self.per_slab].mean()
        slabs[:3, 3] += affine[:3, axis] * first
        slabs[:3, axis] *= self.per_slab
        return slabs

    def places(self, places: np.ndarray | None) -> np.ndarray | None:
        """Places of the slabs, in steps of slabs from the first, as in `Scan.places`; None for even slices.

        Args:
            places: of the slices, in steps of slices.
        """
        if places is None or self.per_slab == 1:
            return places
        middles = places[self.skip :].reshape(len(self), self.per_slab).mean(axis=1)
        return (middles - middles[0]) / self.per_slab

    def notes(self, thin_mm: float | None) -> tuple[str, ...]:
        """A note for the user.

        Args:
            thin_mm: spacing of the slices; None if it is not known.
        """
        if self.per_slab == 1:
            return ()
        thin, thick = (f" of {mm:.4g} mm" if thin_mm else "" for mm in (thin_mm, (thin_mm or 0) * self.per_slab))
        left = f" Left out: {count(self.skip, 'slice')} at the foot end." if self.skip else ""
        return (f"{self.slices} slices{thin} were averaged, {self.per_slab} at a time, to {len(self)}{thick}.{left}",)


def slabs_of(
    name: str,
    slices: int,
    rows: int,
    columns: int,
    *,
    side_px: tuple[float, float] | None = None,
    limit: str = "voxels",
) -> Slabs:
    """The number of neighbors that must be averaged so that a volume fits LIMITS.

    Args:
        name: of the upload, for messages.
        slices: how many there are.
        rows: of a slice.
        columns: of a slice.
        side_px: minimum and maximum pixels of a side; None for those of LIMITS.
        limit: name of the limit of voxels.

    Raises:
        ReadError: if the volume would still not fit, or a side is impossible for a head CT.
    """
    check_sides(name, rows, columns, side_px=side_px)
    if not 1 <= slices <= LIMITS["thin_slices"]:
        raise ReadError(
            f"{name} has {slices} slices; 1 to {LIMITS['thin_slices']} are accepted. Give the series of one head, or "
            "export it in thicker slices.",
            code="too large",
        )
    most_slices = max(LIMITS[limit] // (rows * columns), 1)
    per_slab = max(-(-slices // LIMITS["slices"]), -(-slices // most_slices))
    if per_slab > _MOST:
        raise ReadError(
            f"{name} has {slices} slices of {columns} x {rows} px; the maximum is {LIMITS[limit] // 1_000_000} "
            "million voxels. Give thicker or smaller slices.",
            code="too large",
        )
    return Slabs(per_slab, slices % per_slab, slices)
