"""Does the phantom look like a head CT? Phantoms and real slices side by side, and their CT numbers compared.

    python benchmarks/realism.py --data ct-ich-1.0.0 --out pictures

Writes contact sheets (brain and bone window, real heads above phantoms, the same levels) and prints what share of the
inside of the skull and of the whole head falls into each tissue's range of HU. The pictures show patients of CT-ICH
1.0.0 (CC BY 4.0): look at them, never commit them.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import cv2
import numpy as np

from ich_lib.data import ct_ich
from ich_lib.phantoms import MIMICS, phantom
from ich_lib.prepare.head import intracranial
from ich_lib.prepare.window import WINDOWS, window

TISSUES = (  # name, lowest and highest HU
    ("air", -1100, -200),
    ("fat", -200, -20),
    ("fluid", -20, 17),
    ("white matter", 17, 30),
    ("gray matter", 30, 45),
    ("muscle, blood", 45, 100),
    ("spongy bone", 100, 700),
    ("dense bone", 700, 3100),
)
BINS = np.concatenate([np.arange(-20, 81, 2), [100, 200, 400, 700, 1000, 1400, 3100]])
# Share of the way from the first slice with brain to the vertex, counted in the patient's own slices.
LEVELS = {"jaw": -0.32, "base": -0.12, "orbits": 0.06, "cisterns": 0.24, "ganglia": 0.43, "ventricles": 0.6,
          "centrum": 0.75, "vertex": 0.92}  # fmt: skip
SIDE = 256


def main() -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of CT-ICH 1.0.0")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures, outside the repository")
    parser.add_argument("--heads", type=int, default=6, help="real heads and phantoms to compare")
    parser.add_argument("--seed", type=int, default=0, help="first phantom")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    real = list(real_heads(options.data, options.heads))
    volumes = [phantom(options.seed + i, noise_hu=3.5).scan.hu for i in range(options.heads)]
    for name in ("brain", "bone"):
        rows = [contact_row(head, name) for head in real + volumes]
        cv2.imwrite(str(options.out / f"realism-{name}.png"), np.vstack(rows))
    mimicked = [phantom(options.seed + i, mimics=[m], noise_hu=3.5).scan.hu for i, m in enumerate(MIMICS)]
    cv2.imwrite(str(options.out / "realism-mimics.png"), np.vstack([contact_row(head, "brain") for head in mimicked]))
    print_table(real, volumes)
    print(f"Pictures in {options.out}. They show patients: do not commit them.")


def real_heads(folder: Path, count: int):
    """(z, y, x) HU at 256 pixels of `count` patients without blood, evenly drawn from the list."""
    table = ct_ich(folder)
    clean = [patient for patient, bleeds in table.bleeding().items() if not bleeds]
    for patient in clean[:: max(1, len(clean) // count)][:count]:
        yield np.stack(
            [cv2.resize(table.hu(row), (SIDE, SIDE), interpolation=cv2.INTER_AREA) for row in table.rows([patient])]
        )


def inside_skull(hu: np.ndarray) -> np.ndarray:
    """(z, y, x) bool: the area inside a closed ring of bone; empty on slices of the open base and face."""
    inner = np.stack([cv2.erode(intracranial(plane), np.ones((3, 3), np.uint8)) > 0 for plane in hu])
    return inner & (inner.sum(axis=(1, 2), keepdims=True) > 2500)


def contact_row(hu: np.ndarray, name: str) -> np.ndarray:
    """One head at all LEVELS in one window, uint8."""
    slices = np.flatnonzero(inside_skull(hu).any(axis=(1, 2)))
    first, last = (slices[0], slices[-1]) if len(slices) else (0, len(hu) - 1)
    first = max(first, last - round(0.7 * len(hu)))
    at = [int(np.clip(round(first + share * (last - first)), 0, len(hu) - 1)) for share in LEVELS.values()]
    return np.hstack([(255 * window(hu[k], *WINDOWS[name])).astype(np.uint8) for k in at])


def shares(heads: list[np.ndarray], edges, region) -> np.ndarray:
    """Share of the voxels of `region(hu)` in each bin, mean over heads."""
    rows = []
    for hu in heads:
        counts = np.histogram(hu[region(hu)], edges)[0]
        rows.append(counts / max(counts.sum(), 1))
    return np.mean(rows, axis=0)


def print_table(real: list[np.ndarray], volumes: list[np.ndarray]) -> None:
    """Shares by tissue, then the overlap of the fine histograms (1: equal, 0: apart)."""
    regions = {"inside the skull": inside_skull, "head": lambda hu: hu > -200}
    for title, region in regions.items():
        print(f"\n{title:18s}     real  phantom")
        for name, low, high in TISSUES:
            a, b = (shares(heads, [-1e4, low, high, 1e4], region)[1] for heads in (real, volumes))
            print(f"{name:18s}  {100 * a:6.1f}%  {100 * b:6.1f}%")
        a, b = (shares(heads, BINS, region) for heads in (real, volumes))
        print(f"overlap             {np.minimum(a, b).sum():.3f}")
    bone = [np.median(np.concatenate([hu[hu > 300] for hu in heads])) for heads in (real, volumes)]
    print(f"\nmedian above 300 HU  {bone[0]:.0f}  {bone[1]:.0f}")


if __name__ == "__main__":
    main()
