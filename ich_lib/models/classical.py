"""Hand-made features of a slice and ten classical models on them: the methods before neural networks.

Every feature is a number that a student can check with a ruler. There is one model for each label.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from ich_lib.grammar import listed
from ich_lib.labels import SCHEMES
from ich_lib.models.recipe import Recipe
from ich_lib.prepare.head import intracranial
from ich_lib.prepare.window import WINDOWS, unwindow

FEATURE_WINDOWS = ("brain render", "bone")  # the windows in which features are measured
FEWEST_SLICES = 8  # minimum number of slices with a label, and without: enough for 15 neighbors and for the SVM's folds
_BLOOD_HU = (50, 90)  # clotted blood; brain has 25 to 45, calcium above 100
_EDGES_HU = (-20, 5, 15, 25, 35, 45, 55, 65, 75, 90, 100)  # the brain render shows only -20 to 100
_FEWEST_PX = 16  # a smaller area inside the skull is not brain

_ROOM = ("skull is closed", "share of picture inside skull")
_SHARES = tuple(f"share {low} to {high} HU" for low, high in pairwise(_EDGES_HU))
_MOMENTS = ("mean HU", "deviation HU", "skewness", "percentile 5 HU", "percentile 95 HU", "percentile 99 HU")
_BRIGHT = (
    "share 50 to 90 HU",
    "share 50 to 90 HU, left less right",
    "share 50 to 90 HU, sides apart",
    "mean HU, left less right",
    "mean HU, sides apart",
    "difference to mirror image HU",
    "share 50 to 90 HU near skull",
    "share 50 to 90 HU deep inside",
    "share below 15 HU deep inside",
)
_PIECE = (
    "pieces",
    "piece size",
    "piece compactness",
    "piece solidity",
    "piece mean HU",
    "piece off midline",
    "piece behind center",
    "piece distance to skull",
    "piece share at skull",
)
_TEXTURE = ("mean gradient HU", "grain HU")
# Shares are of the pixels inside the skull. Lengths are in radii of a disk of that many pixels. Left is the patient's
# left, which is the picture's right. "piece" is the largest piece of 50 HU and more after smoothing.
FEATURES = (*_ROOM, *_SHARES, *_MOMENTS, *_BRIGHT, *_PIECE, *_TEXTURE)


def features(pictures: np.ndarray) -> np.ndarray:
    """Measure slices.

    Args:
        pictures: (n, y, x, 2) in [0, 1], in the windows of SHOWN. Not changed.

    Returns:
        (n, f) float32, a column per name in FEATURES; all 0 for a slice without bone, or with nothing inside.

    Raises:
        ValueError: for pictures of another shape.

    Source:
        The kinds of features (histogram, symmetry, shape, texture) are those of the sister projects of system 000;
        their exact list is not published, so each was chosen here.
    """
    if pictures.ndim != 4 or pictures.shape[-1] != len(FEATURE_WINDOWS):
        raise ValueError(
            f"Features are measured on pictures (n, y, x, 2) through {listed(FEATURE_WINDOWS)}; got {pictures.shape}."
        )
    return np.array([_measure_slice(picture) for picture in pictures], np.float32).reshape(len(pictures), len(FEATURES))


def _measure_slice(picture: np.ndarray) -> np.ndarray:
    """(f,) features of one (y, x, 2) slice."""
    hu, bone_hu = (unwindow(picture[..., c], *WINDOWS[name]) for c, name in enumerate(FEATURE_WINDOWS))
    inside, closed = _inside(bone_hu)
    values = hu[inside]
    if len(values) < _FEWEST_PX:
        return np.zeros(len(FEATURES))
    radius = np.sqrt(len(values) / np.pi)
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) / radius
    smooth = _smoothed(hu, inside)
    shares = np.histogram(values, _EDGES_HU)[0] / len(values)
    feature_groups = (
        (closed, inside.mean()),
        shares,
        _moments(values),
        _bright(hu, inside, depth),
        _largest_piece(hu, smooth, inside, depth, radius),
        _texture(hu, smooth, inside),
    )
    return np.concatenate([np.asarray(part, float) for part in feature_groups])


def _inside(bone_hu: np.ndarray) -> tuple[np.ndarray, bool]:
    """(y, x) bool inside the skull without its rim, which is half bone and as bright as blood; and whether the skull is
    closed.

    If its ring is open (face, base), the soft tissue within the hull of all bone is used.
    """
    inside = intracranial(bone_hu)
    closed = bool(inside.any())
    if not closed and (bone := bone_hu > 200).any():
        hull = cv2.convexHull(np.argwhere(bone)[:, ::-1].astype(np.int32))
        inside = cv2.fillConvexPoly(np.zeros(bone.shape, np.uint8), hull, 255)
        inside[bone | (bone_hu < -50)] = 0
    return cv2.erode(inside, np.ones((3, 3), np.uint8)) > 0, closed


def _smoothed(hu: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(y, x) HU smoothed by a Gaussian of 1 px that ignores everything outside; 0 there."""
    inside_weight = inside.astype(np.float32)
    weight = cv2.GaussianBlur(inside_weight, (0, 0), 1)
    return np.where(inside, cv2.GaussianBlur(hu * inside_weight, (0, 0), 1) / np.maximum(weight, 1e-6), 0)


def _moments(values: np.ndarray) -> tuple[float, ...]:
    mean, deviation = values.mean(), values.std()
    # below 1 HU there is no skewness to measure
    skewness = np.mean((values - mean) ** 3) / max(float(deviation), 1.0) ** 3
    return mean, deviation, skewness, *np.percentile(values, (5, 95, 99))


def _bright(hu: np.ndarray, inside: np.ndarray, depth: np.ndarray) -> tuple[float, ...]:
    """Place of the pixels with CT numbers of blood: which side, and how near the skull."""
    count = np.count_nonzero(inside)
    bright = inside & (hu >= _BLOOD_HU[0]) & (hu <= _BLOOD_HU[1])
    column, middle = np.arange(inside.shape[1]), (inside.shape[1] - 1) / 2
    left, right = inside & (column > middle), inside & (column < middle)
    asymmetry = (np.count_nonzero(bright & left) - np.count_nonzero(bright & right)) / count
    means = hu[left].mean() - hu[right].mean() if left.any() and right.any() else 0.0
    symmetric = inside & np.fliplr(inside)
    mirror = np.abs(hu - np.fliplr(hu))[symmetric].mean() if symmetric.any() else 0.0
    near, deep = inside & (depth < 0.2), inside & (depth > 0.5)
    return (
        np.count_nonzero(bright) / count,
        asymmetry,
        abs(asymmetry),
        means,
        abs(means),
        mirror,
        np.count_nonzero(bright & near) / count,
        np.count_nonzero(bright & deep) / count,
        np.count_nonzero(deep & (hu < 15)) / count,
    )


def _largest_piece(
    hu: np.ndarray, smooth: np.ndarray, inside: np.ndarray, depth: np.ndarray, radius: float
) -> tuple[float, ...]:
    """Size, shape and place of the largest bright piece; all 0 without one."""
    count, piece, stats, centers = cv2.connectedComponentsWithStats((smooth >= _BLOOD_HU[0]).astype(np.uint8))
    if count < 2:
        return (0.0,) * len(_PIECE)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    piece_mask, area = piece == largest, int(stats[largest, cv2.CC_STAT_AREA])
    outline = max(cv2.findContours(piece_mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len)
    around, hull = cv2.arcLength(outline, True), np.zeros(piece_mask.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(outline), 1)
    middle_y, middle_x = np.argwhere(inside).mean(axis=0)
    x, y = centers[largest]
    return (
        count - 1,
        area / np.count_nonzero(inside),
        4 * np.pi * area / (around + np.pi) ** 2,  # the outline connects pixel centers; + pi moves it to their edges
        area / int(hull.sum()),
        hu[piece_mask].mean(),
        abs(x - middle_x) / radius,
        (y - middle_y) / radius,
        depth[piece_mask].mean(),
        np.mean(depth[piece_mask] < 0.1),
    )


def _texture(hu: np.ndarray, smooth: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """Mean slope per pixel, and the deviation that smoothing removes; without the rim, whose slope is that of bone."""
    within = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if not within.any():
        return 0.0, 0.0
    slope = np.hypot(*(cv2.Sobel(hu, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1))))
    return slope[within].mean(), (hu - smooth)[within].std()


def build_estimator(name: str, seed: int) -> Pipeline:
    """One of the ten models, unfitted: standardized features to the probability of one label.

    Args:
        name: a name from MODELS.
        seed: of the model's random numbers.

    Raises:
        ValueError: for an unknown name.

    Source:
        scikit-learn, with its defaults for everything that MODELS does not set. The settings of the sister projects of
        system 000 are not published.
    """
    if name not in MODELS:
        raise ValueError(f"No classical model is called {name!r}; choose from {', '.join(MODELS)}.")
    return make_pipeline(StandardScaler(), MODELS[name](seed))


def _svm(seed: int) -> CalibratedClassifierCV:
    """A kernel SVM whose margins become probabilities by Platt's sigmoid, fitted on slices that the SVM left out.

    `SVC(probability=True)` did the same inside and is deprecated. These inner folds are by slice, not by patient, and
    are inside the training side. They may make probabilities overconfident, but never a figure too good.
    """
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    return CalibratedClassifierCV(SVC(), method="sigmoid", cv=folds, ensemble=False)


MODELS: dict[str, Callable[[int], object]] = {
    "logistic": lambda seed: LogisticRegression(C=0.1, max_iter=5000),
    "lda": lambda seed: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),  # Ledoit and Wolf 2004
    # A class of 8 slices has too little data for a covariance of 38 features: it is shrunk toward a multiple of the
    # identity.
    "qda": lambda seed: QuadraticDiscriminantAnalysis(solver="eigen", shrinkage=0.2),
    "bayes": lambda seed: GaussianNB(var_smoothing=0.05),  # a feature that never varies in a class must not decide
    "knn": lambda seed: KNeighborsClassifier(15),
    "svm": _svm,
    "forest": lambda seed: RandomForestClassifier(200, min_samples_leaf=2, random_state=seed),
    # The votes give probabilities near one half: they rank well, but have little meaning before calibration.
    "adaboost": lambda seed: AdaBoostClassifier(n_estimators=100, random_state=seed),
    # Half of the slices for each tree (Friedman 2002) and six of the features for each split: a fraction of the time.
    "boosting": lambda seed: GradientBoostingClassifier(subsample=0.5, max_features="sqrt", random_state=seed),
    # It stops after 10 epochs that lower the loss by less than `tol`; this can happen about 1 / tol times, so it never
    # warns.
    "mlp": lambda seed: MLPClassifier((32,), alpha=1.0, tol=1e-3, max_iter=10_000, random_state=seed),
}


def check_recipe(recipe: Recipe) -> None:
    """Whether a recipe can be fitted here.

    Raises:
        ValueError: if it has a model, pictures, labels or sampling that these models do not support.
    """
    build_estimator(recipe.options.get("model", ""), recipe.seed)
    if (recipe.windows, recipe.windows_as, recipe.neighbors, recipe.depth) != (FEATURE_WINDOWS, "channels", 0, 1):
        raise ValueError(
            f"{recipe.name} must show one slice through {listed(FEATURE_WINDOWS)}; its features need just that."
        )
    if recipe.task != "classify" or recipe.scheme.endswith("-class"):
        raise ValueError(f"{recipe.name} fits one model a label, so it classifies by 6-node or binary; nothing else.")
    if recipe.sampling == "mix" or (recipe.steps, recipe.epochs) != (0, 1):
        raise ValueError(f"{recipe.name} is fitted on one natural or balanced pass; leave steps, epochs and mix alone.")


@dataclass(frozen=True)
class FeatureTable:
    """Slices as numbers, with their truth: the complete data of a classical run.

    Attributes:
        columns: (n, f) float32 features, a column per name in FEATURES.
        labels: (n, k) bool, a column per name of the recipe's scheme.
        slices: (n,) text, patient, scan and slice.
    """

    columns: np.ndarray
    labels: np.ndarray
    slices: np.ndarray

    def save(self, path: Path) -> None:
        """Write features.npz: plain arrays, no pickled objects."""
        part = path.with_name(f"part-{path.name}")
        np.savez_compressed(
            part, columns=self.columns, labels=self.labels, slices=self.slices, features=np.array(FEATURES)
        )
        part.replace(path)  # an interrupted call leaves no half-written file


class Pictures(Protocol):
    """Slices in their order as `ich_lib.training.batches.ValidationBatches` shows them: batches of pictures and
    labels.
    """

    @property
    def slices(self) -> Any:
        """The rows of a store."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]: ...


def measure_slices(source: Pictures, recipe: Recipe) -> FeatureTable:
    """Measure slices of a store, once each and unchanged, in their order.

    Args:
        source: the slices that the recipe can use, as a `ich_lib.training.batches.ValidationBatches`. It is an argument
            because it imports Keras; features and scores do not need Keras.
        recipe: its scheme names the labels.
    """
    batches = [(features(pictures), truth) for pictures, truth in (source[i] for i in range(len(source)))]
    columns = np.concatenate([part[0] for part in batches]) if batches else np.zeros((0, len(FEATURES)), np.float32)
    labels = (
        np.concatenate([part[1] for part in batches]) > 0
        if batches
        else np.zeros((0, len(SCHEMES[recipe.scheme])), bool)
    )
    table, rows = source.slices.store.table, source.slices.rows
    names = [f"{table.patient[row]}/{table.scan[row]}/{table.slice[row]}" for row in rows]
    return FeatureTable(columns, labels, np.array(names, str))


def load_features(path: Path) -> FeatureTable:
    """Read the file of `FeatureTable.save`.

    Raises:
        ValueError: if another version measured other features.
    """
    with np.load(path, allow_pickle=False) as archive:
        if tuple(archive["features"]) != FEATURES:
            raise ValueError(f"{path} holds other features than this version measures. Train the run again.")
        return FeatureTable(archive["columns"], archive["labels"], archive["slices"])


def fit_classifiers(training: FeatureTable, recipe: Recipe) -> Callable[[np.ndarray], np.ndarray]:
    """Fit the recipe's models, one per label.

    Fitting takes seconds, and the seed makes it reproducible, so a run stores the features and no model. A file of
    scikit-learn would be a pickle, which can run any code and breaks with the next version.

    Args:
        training: training slices. A label that fewer than FEW of them show, or lack, gets its frequency as probability
            everywhere.
        recipe: model and seed.

    Returns:
        A function from (n, f) features to (n, k) float32 probabilities.
    """
    columns = training.columns.astype(float)
    experts = [_fit_label(columns, is_shown, recipe) for is_shown in training.labels.T]
    return lambda columns: np.stack([expert(columns) for expert in experts], axis=1).astype(np.float32)


def _fit_label(columns: np.ndarray, is_shown: np.ndarray, recipe: Recipe) -> Callable[[np.ndarray], np.ndarray]:
    """(n, f) features to (n,) probabilities of one label."""
    if min(np.count_nonzero(is_shown), np.count_nonzero(~is_shown)) < FEWEST_SLICES:
        share = (np.count_nonzero(is_shown) + 0.5) / (len(is_shown) + 1)
        return lambda columns: np.full(len(columns), share)
    model = build_estimator(recipe.options["model"], recipe.seed).fit(columns, is_shown)
    return lambda columns: model.predict_proba(columns.astype(float))[:, 1]
