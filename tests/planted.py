"""A head whose left, front and top are known, stored in any order by plain numpy: the readers must restore it."""

import numpy as np

SHAPE = (18, 24, 20)  # (z, y, x), all different
SPACING_MM = (5.0, 0.5, 0.75)  # all different too
BLOCK = (slice(12, 16), slice(4, 8), slice(13, 17))  # top, front, the patient's left
_AXIS = {"S": 0, "I": 0, "P": 1, "A": 1, "L": 2, "R": 2}
_RAS = {"S": (2, 1), "I": (2, -1), "P": (1, -1), "A": (1, 1), "L": (0, -1), "R": (0, 1)}  # axis and sign in NIfTI mm
CORNER_RAS = np.array([7.0, 9.0, -40.0])  # the position of canonical voxel (0, 0, 0)


def head() -> np.ndarray:
    """(z, y, x) float32 HU: air, a skull of 900, brain of 30 with a little ramp, blood of 70 at BLOCK."""
    hu = np.full(SHAPE, -1000, np.float32)
    hu[1:-1, 2:-2, 2:-2] = 900
    hu[2:-2, 3:-3, 3:-3] = 30 + np.arange(SHAPE[0] - 4, dtype=np.float32)[:, None, None] % 5
    hu[BLOCK] = 70
    return hu


def laid_out(values: np.ndarray, letters: str, spacing_mm=SPACING_MM) -> tuple[np.ndarray, np.ndarray]:
    """(z, y, x) values in the order of a file whose axes run toward `letters`, and the affine that says so."""
    grid = values.transpose([_AXIS[letter] for letter in letters])
    grid = np.flip(grid, [n for n, letter in enumerate(letters) if letter in "IAR"])
    affine = np.eye(4)
    affine[:3, :3] = 0
    affine[:3, 3] = CORNER_RAS
    for n, letter in enumerate(letters):
        axis, sign = _RAS[letter]
        step = sign * spacing_mm[_AXIS[letter]]
        affine[axis, n] = step
        if letter in "IAR":
            affine[axis, 3] -= step * (grid.shape[n] - 1)
    return np.ascontiguousarray(grid), affine


class Arrays:
    """Pixels of a table in memory. Rows in `broken` cannot be read."""

    def __init__(self, hu, masks, broken=()):
        self.pictures, self.masks, self.broken = hu, masks, set(broken)

    def hu(self, row):
        if row in self.broken:
            raise ValueError(f"{row}.jpg is not a readable picture.")
        return self.pictures[row]

    def mask(self, row):
        return self.masks[row]

    def files(self, row):
        return ()


def table_of_heads(heads=8, slices=6, side=96, *, broken=(), seed=0):
    """Round heads of different size and texture; every second one bleeds in its slices 3 and 4: a 70 HU disk.

    Head i is patient "p<i>", its bleed has type i // 2 % 5.
    """
    from ich_lib.data import Table

    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    pictures, masks, labels = [], [], np.zeros((heads * slices, 6), bool)
    for i in range(heads):
        radius = side * rng.uniform(0.36, 0.44)
        coarse = rng.normal(0, 6, (8, 8))
        for k in range(slices):
            hu = np.full((side, side), -1000, np.float32)
            hu[np.hypot(x, y) < radius] = 900
            brain = np.hypot(x, y) < radius * 0.88
            texture = np.kron(coarse + rng.normal(0, 6, (8, 8)), np.ones((side // 8, side // 8)))
            hu[brain] = 30 + texture[brain] + rng.normal(0, 1, int(brain.sum()))
            blood = (np.hypot(x - side / 8, y + side / 10) < side / 14) & (i % 2 == 0) & (k in (2, 3))
            hu[blood] = 70
            pictures.append(hu)
            masks.append(blood)
            if blood.any():
                labels[i * slices + k, [i // 2 % 5, 5]] = True
    patient = np.repeat([f"p{i}" for i in range(heads)], slices)
    return Table(
        name="planted",
        patient=patient,
        scan=patient,
        slice=np.tile(np.arange(1, slices + 1), heads),
        labels=labels,
        outlined=np.ones(len(patient), bool),
        pixels=Arrays(pictures, masks, broken),
        facts={"age": np.repeat(np.arange(20.0, 20 + heads), slices)},
        attribution="nobody",
    )


def untrained_run(folder, recipe, folds, held_out):
    """A run folder like that of `train`, but with random weights: tests that need no training do not wait for one."""
    import json

    import keras

    from ich_lib.models.builders import build
    from ich_lib.models.run import open_run

    folder.mkdir(parents=True)
    keras.utils.set_random_seed(recipe.seed)
    build(recipe).save_weights(folder / "model.weights.h5")
    (folder / "recipe.json").write_text(json.dumps(recipe.as_json()))
    (folder / "folds.json").write_text(json.dumps({"kind": "patient", "folds": folds, "held_out": held_out, "seed": 0}))
    (folder / "history.csv").write_text("epoch,loss,val_loss,learning_rate,minutes\n1,1.0,,0.001,0.10\n")
    return open_run(folder)
