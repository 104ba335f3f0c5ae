"""How sure is the model? A word for a probability, and how far several answers to one scan differ.

What a scan leaves open and what the model never learned look the same in one answer: a probability near one half.
Asked several times, by other models (`ensemble`), with parts of one left out (`dropped`) or of a scan turned a little
(`turned`), a model that knows gives one answer, and one that guesses gives several. `Result.doubt` is the
cheapest of these, for `analyse` asks every slice and its mirror image anyway.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from ich_lib.measures.metrics import dice
from ich_lib.prediction.analyze import analyse
from ich_lib.prediction.engine import Answer, Model, Models, answering, load
from ich_lib.scan import Scan

EVEN = "about as likely as not"
WORDS = (  # from this probability on
    (0.99, "virtually certain"),
    (0.90, "very likely"),
    (0.66, "likely"),
    (0.33, EVEN),
    (0.10, "unlikely"),
    (0.01, "very unlikely"),
    (0.00, "exceptionally unlikely"),
)
TURNS = ((-8, 0.0), (-4, 0.02), (0, 0.0), (4, -0.02), (8, 0.0))  # degrees, and shift in shares of the picture's side


def words(probability: float) -> str:
    """The word for a calibrated probability.

    Args:
        probability: 0 to 1. Of scores that are not calibrated no word is true.

    Returns:
        The strongest word whose range holds it; ranges are closed below.

    Raises:
        ValueError: for what is no probability.

    Source:
        Mastrandrea et al. 2010, Guidance Note for Lead Authors of the IPCC Fifth Assessment Report, table 1.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"A probability lies between 0 and 1; got {probability}.")
    told = round(float(probability), 6)  # float32 holds 0.9 as a little less
    return next(word for least, word in WORDS if told >= least)


@dataclass(frozen=True)
class Uncertainty:
    """What several members say of one scan.

    In bits, from 0 (sure) to 1 (open). The total is the entropy of the members' mean probability. It has two parts:
    the mean of the members' own entropies, what each of them finds open, and the rest, the mutual information between
    the answer and the choice of the member: 0 where all say the same (Gal et al. 2017, arXiv:1703.02910; Depeweg et al.
    2018, arXiv:1710.07283).

    Attributes:
        blood: (z, y, x) float16, mean probability of blood.
        total: (z, y, x) float16, bits.
        disagreement: (z, y, x) float16, bits, the part of `total` that comes from disagreement.
        scan_scores: (m,) each member's score for any bleeding in the scan.
        mask_dice: mean Dice of the masks over pairs of members, two empty ones counting 1 (Roy et al. 2019,
            doi 10.1016/j.neuroimage.2019.03.042). A few stray voxels in a clean scan already make it 0.
    """

    blood: np.ndarray
    total: np.ndarray
    disagreement: np.ndarray
    scan_scores: np.ndarray
    mask_dice: float

    @property
    def scan_total(self) -> float:
        """Bits, of whether the scan bleeds."""
        return float(entropy(self.scan_scores.mean()))

    @property
    def scan_doubt(self) -> float:
        """The one number of a scan: bits of `scan_total` that come from disagreement.

        Bounded and defined for clean scans too, where the overlap of masks hangs on stray voxels, and the same notion
        as the map's.
        """
        return max(self.scan_total - float(entropy(self.scan_scores).mean()), 0.0)


def entropy(probability: np.ndarray) -> np.ndarray:
    """Bits of a yes or no: 0 where it is certain, 1 at one half."""
    p = np.asarray(probability)
    tiny = np.finfo(p.dtype).tiny
    return -(p * np.log2(np.maximum(p, tiny)) + (1 - p) * np.log2(np.maximum(1 - p, tiny)))


def compare(scan: Scan, members: Sequence[Models], *, progress: Callable[[float], None] | None = None) -> Uncertainty:
    """Ask several members about one scan. Takes `len(members)` times as long as `analyse`.

    Args:
        scan: what `read` returned.
        members: of `ensemble`, `dropped` or `turned`; or any list of models.
        progress: called with the share done, 0 to 1.

    Raises:
        ValueError: for fewer than two members.
    """
    if len(members) < 2:
        raise ValueError(f"Disagreement takes two members or more; got {len(members)}.")
    mean, own = np.zeros(scan.hu.shape, np.float32), np.zeros(scan.hu.shape, np.float32)
    masks, scores = [], []
    for turn, models in enumerate(members, start=1):
        found = analyse(scan, models)
        blood = found.blood.astype(np.float32)
        mean += blood / len(members)
        own += entropy(blood) / len(members)
        masks.append(np.packbits(found.mask))  # an eighth of the memory
        scores.append(found.scores["any"])
        if progress:
            progress(turn / len(members))
    total = entropy(np.clip(mean, 0, 1))
    overlap = [dice(*(np.unpackbits(mask).astype(bool) for mask in pair)) for pair in combinations(masks, 2)]
    disagreement = np.maximum(total - own, 0)
    maps = (one.astype(np.float16) for one in (mean, total, disagreement))
    return Uncertainty(*maps, np.array(scores), float(np.mean(overlap)))


def ensemble(folders: Sequence[str | Path]) -> list[Models]:
    """Runs or exported models as members (Lakshminarayanan et al. 2017, arXiv:1612.01474).

    The five folds of a cross-validation make an ensemble for scans from elsewhere. A patient of theirs was seen by four
    of the five, which will agree for that reason.

    Args:
        folders: what `train` or `export` wrote.
    """
    return [load(folder, fill=False) for folder in folders]


def turned(models: Models, turns: Sequence[tuple[float, float]] = TURNS) -> list[Models]:
    """The same models, each shown every picture turned and moved in its own way; maps are brought back.

    Test-time views (Wang et al. 2019, arXiv:1807.07356). The mirror image is none of them, since `analyse` averages it
    in already; see `Result.doubt` for what it does.

    Args:
        models: of `engine.load`.
        turns: degrees, and shift along x and y in shares of the picture's side, a pair a member.

    Raises:
        ValueError: for models with depth.
    """
    if any(model.recipe.depth > 1 for model in models):
        raise ValueError("Blocks of slices cannot be turned one by one; choose models that read slices.")
    return [_each(models, lambda model, turn=turn: replace(model, run=_seen(model.run, *turn))) for turn in turns]


def dropped(folder: str | Path, count: int = 10, *, seed: int = 0) -> list[Models]:
    """A run as `count` members that leave parts of it out by chance (Gal and Ghahramani 2016, arXiv:1506.02142).

    Every answer is a new draw, the mirror image's too. Batch normalization stays as it was trained.

    Args:
        folder: a finished run.
        count: how many draws.
        seed: of the first.

    Raises:
        ValueError: if the run's model has no dropout, so that all members would be one.
    """
    from ich_lib.models.run import open_run

    run = open_run(folder)
    network = always_dropping(run.model(), seed)
    asked = answering(network, run.recipe)
    return [_each(load(folder, fill=False), lambda model: replace(model, run=asked))] * count


def always_dropping(model, seed: int = 0):
    """A copy of a Keras model with the same weights whose dropout is on when it predicts, and nothing else is.

    Calling a model with `training=True` would also switch batch normalization to the batch's own statistics.

    Raises:
        ValueError: if there is no dropout in it.
    """
    import keras

    class Always(keras.layers.Layer):
        def __init__(self, dropout, **settings):
            super().__init__(**settings)
            self.dropout = dropout

        def call(self, x):
            return self.dropout(x, training=True)

    count = 0

    def copied(layer):
        nonlocal count
        settings = layer.get_config()
        if not (isinstance(layer, keras.layers.Dropout) and layer.rate):
            return type(layer).from_config(settings)
        count += 1
        return Always(type(layer).from_config({**settings, "seed": seed + count}), name=layer.name)

    copy = keras.models.clone_model(model, clone_function=copied)
    if not count:
        raise ValueError(f"{model.name} has no dropout, so its answers never differ. Compare several runs instead.")
    copy.set_weights(model.get_weights())
    return copy


def _each(models: Models, change: Callable[[Model], Model]) -> Models:
    """Both of a pair changed; one that is both stays one."""
    changed = {id(model): change(model) for model in models}
    return Models(changed.get(id(models.segmenter)), changed.get(id(models.classifier)))


def _seen(run: Callable[[np.ndarray], Answer], turn_deg: float, shift: float) -> Callable[[np.ndarray], Answer]:
    """What answers for pictures as if they were turned about their center and moved."""

    def seen(pictures: np.ndarray) -> Answer:
        answer = run(_moved(pictures, turn_deg, shift))
        blood, heat = answer.blood, answer.heat
        return replace(
            answer,
            blood=None if blood is None else _moved(blood[..., None], turn_deg, shift, back=True)[..., 0],
            heat=None if heat is None else _moved(heat, turn_deg, shift, back=True),
        )

    return seen


def _moved(pictures: np.ndarray, turn_deg: float, shift: float, *, back: bool = False) -> np.ndarray:
    """(n, y, x, c) turned and shifted, 0 where nothing was; `back` undoes it."""
    rows, columns = pictures.shape[1:3]
    move = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), turn_deg, 1)
    move[:, 2] += shift * columns, shift * rows
    flags = cv2.INTER_LINEAR | (cv2.WARP_INVERSE_MAP if back else 0)
    out = np.empty_like(pictures)
    for n, c in np.ndindex(len(pictures), pictures.shape[-1]):
        plane = np.ascontiguousarray(pictures[n, ..., c])
        out[n, ..., c] = cv2.warpAffine(plane, move, (columns, rows), flags=flags)
    return out
