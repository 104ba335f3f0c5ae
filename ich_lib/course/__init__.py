"""What lessons share: a check that speaks, data that may be missing, and how far one has come."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ich_lib.course.attempt import CORRECT, Attempt, attempt, is_attempted, mark_correct

if TYPE_CHECKING:
    from ich_lib.data.store import Store

__all__ = ["CORRECT", "Attempt", "attempt", "find_ct_ich", "is_attempted", "mark_correct", "phantom_heads"]


def phantom_heads() -> "Store":
    """The 40 phantom heads that lessons share, 64 x 64 pixels: made once (a minute), then kept in the cache.

    Returns:
        A `Store` of 1,360 slices; about one in seven bleeds.
    """
    from tqdm import tqdm

    from ich_lib.data.phantoms import phantoms

    bar = lambda items, total: tqdm(items, total=total, desc="making phantoms", unit="head")  # noqa: E731
    return phantoms(40, 3, size=64, field="head", progress=bar)


def find_ct_ich() -> Path | None:
    """The folder of CT-ICH 1.0.0 where it was fetched, or None, and a line that says which.

    It is looked for where ICH_DATA says, then in data/ct-ich beside and above the notebook.
    """
    folder = Path.cwd()
    places = [Path(os.environ["ICH_DATA"])] if "ICH_DATA" in os.environ else []
    places += [folder / "data" / "ct-ich" for folder in (folder, *folder.parents[:2])]
    for place in places:
        if (place / "hemorrhage_diagnosis.csv").is_file():
            print(f"CT-ICH is here ({place.name}/): the parts on real heads will run.")  # noqa: T201
            return place
    print("CT-ICH is not here; phantoms do for this lesson. Get it with: python -m ich_lib fetch ct-ich")  # noqa: T201
    return None
