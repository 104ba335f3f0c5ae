"""Synthetic heads as a data set: exact masks, no patient, and any number of them."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

import ich_lib.phantoms
from ich_lib.data.store import Store, StoredScan, cache_folder, open_store, write_store
from ich_lib.data.table import DataProblems
from ich_lib.labels import LABELS, TYPES
from ich_lib.phantoms import MIMICS, Phantom, phantom

NAME = "phantoms"


def phantom_cases(count: int, seed: int, *, pixels: int = 256) -> Iterator[Phantom]:
    """`count` heads: a third without blood, the others with one or two bleeds, one in three with a mimic.

    Args:
        count: number of heads.
        seed: of all of them; case i is the same for any `count`.
        pixels: side of a slice.
    """
    for i in range(count):
        rng = np.random.default_rng([seed, i, 1])
        bleeds = rng.choice(TYPES, size=rng.choice([0, 0, 1, 1, 1, 2]), replace=False).tolist()
        mimics = rng.choice(MIMICS, size=rng.choice([0, 0, 1]), replace=False).tolist()
        noise = round(float(rng.uniform(2.5, 6)), 2)
        yield phantom(seed * 100_000 + i, bleeds=bleeds, mimics=mimics, noise_hu=noise, pixels=pixels)


def phantoms(
    count: int,
    seed: int = 0,
    *,
    size: int = 256,
    field: str = "slice",
    progress: Callable[..., Iterable[StoredScan]] = lambda items, total: items,
) -> Store:
    """Make synthetic heads and store them: the first call makes the file, later ones open it.

    Args:
        count: number of heads.
        seed: of all of them.
        size: side of a stored picture, and of the slices it is made from, in pixels.
        field: "slice" or "head", see `build_store`.
        progress: may wrap the heads, given their number as `total` (tqdm).

    Returns:
        The store; its `table` is a table of slices like any other data set's.
    """
    path = phantoms_path(count, seed, size=size, field=field)
    if not path.is_file():
        about = {"name": NAME, "known": LABELS, "attribution": "Made by code; nobody's picture."}
        cases = phantom_cases(count, seed, pixels=size)
        heads = progress((_head(i, case) for i, case in enumerate(cases)), total=count)
        write_store(heads, path, about=about, report=DataProblems(), size=size, field=field)
    return open_store(path)


def phantoms_path(count: int, seed: int = 0, *, size: int = 256, field: str = "slice") -> Path:
    """The file of `phantoms`."""
    return cache_folder() / f"phantoms-{count}-seed{seed}-{field}{size}-{_version()}.slices"


def _head(index: int, case: Phantom) -> StoredScan:
    slices, name = len(case.scan.hu), f"phantom-{index}"
    blood = np.clip(sum(case.shares.values(), np.zeros(case.scan.hu.shape, np.float32)), 0, 1)
    columns = np.arange(1, slices + 1), case.scan.hu, blood, case.labels, np.ones(slices, bool)
    return StoredScan(name, name, *columns, facts={"seed": np.full(slices, case.seed)})


def _version() -> str:
    """Changes with the code that makes the heads, so that heads of an older version are not reused."""
    sources = [*sorted(Path(ich_lib.phantoms.__file__).parent.glob("*.py")), Path(__file__)]
    return hashlib.blake2b(b"".join(part.read_bytes() for part in sources), digest_size=4).hexdigest()
