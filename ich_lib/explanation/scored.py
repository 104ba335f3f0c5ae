"""Compare maps with outlined blood, with a blob in the center of the head, and with a network of random weights.

A map that looks right proves little: blood is often near the middle of the head, and a network with random weights
draws edges too. Adebayo et al. 2018 (arXiv:1810.03292) found methods whose maps hardly change if the weights are
replaced by random ones. So each method is applied to the trained network and to the same network with random weights.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ich_lib.data import Table
from ich_lib.evaluation import open_table, split_of, unseen_slices
from ich_lib.explanation.scan import MASKS, cam_model, choose_model, gradient_model, load_network, slice_maps
from ich_lib.labels import ANY, TYPES
from ich_lib.measures.bootstrap import Estimate, group_by_patient, patient_bootstrap
from ich_lib.models.pictures import restore_bone
from ich_lib.models.run import fold_runs
from ich_lib.notice import NOTICE
from ich_lib.prediction.engine import Model, Models, load
from ich_lib.prepare.head import Box, field_box, uncrop

TOLERANCE = 15 / 512  # of a slice's side: Zhang et al. 2016 allow 15 pixels; of a 230 mm field that is 7 mm
SEEDS = (0, 1, 2)  # of the random weights
_ROUNDS = 1000  # resamples of each interval
_BATCH = 8  # slices per batch


@dataclass(frozen=True)
class MapScore:
    """The agreement of one slice's map with its blood.

    Attributes:
        patient: of the slice.
        labels: (6,) bool truth.
        is_hit: whether the map's maximum is in the blood or within the tolerance of it; an empty map misses.
        energy_inside: share of the map that is in the blood; 0 for an empty map.
        is_empty: whether the map is zero everywhere.
    """

    patient: str
    labels: np.ndarray
    is_hit: bool
    energy_inside: float
    is_empty: bool


MapVariant = tuple[
    str, int | None
]  # a method, and the seed of the random weights it is applied to; None for the trained ones
ModelByVariant = dict[MapVariant, Model]
ScoresByVariant = dict[MapVariant, list[MapScore]]
Explained = list[tuple[np.ndarray, np.ndarray]]  # the rows of a scan, and the explained ones


def hits_blood(heat: np.ndarray, blood: np.ndarray, *, tolerance_px: float) -> bool:
    """The pointing game: whether the maximum of a map is in the blood, or within the tolerance of it.

    Args:
        heat: (y, x) >= 0. Of equal maxima the first counts.
        blood: (y, x) bool with at least one pixel.
        tolerance_px: distance in pixels.

    Source:
        Zhang et al. 2016, arXiv:1608.00507, section 4.2.
    """
    if not heat.any():
        return False
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    rows, columns = np.nonzero(blood)
    return bool(np.hypot(rows - row, columns - column).min() <= tolerance_px)


def energy_inside(heat: np.ndarray, blood: np.ndarray) -> float:
    """The energy-based pointing game: the share of a map's sum that is in the blood; 0 for an empty map.

    Source:
        Wang H. et al. 2020, arXiv:1910.01279, section 4.3.
    """
    total = float(heat.sum(dtype=float))
    return float(heat[blood].sum(dtype=float)) / total if total else 0.0


def center_blob(box: Box, shape: tuple[int, int]) -> np.ndarray:
    """(y, x) a round Gaussian in the center of the head's box, with three standard deviations to the edge."""
    place = np.linspace(-3, 3, 64)
    bell = np.exp(-(place**2) / 2)
    return uncrop(np.outer(bell, bell), box, shape)


def score_explanations(
    source: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    methods: Sequence[str] | None = None,
    label: str = "any",
    seeds: Sequence[int] = SEEDS,
) -> dict:
    """Score a model's maps on outlined slices that bleed and write explain.json and explain.md.

    For a cross-validation, each scan is explained by the model that never saw it; for a run, the held-out fold is
    explained. If a model was trained on every patient of the data, like the shipped one, all are explained and the
    report says so.

    Args:
        source: "shipped", a run folder, a folder of `export`, or a folder of runs fold-0, fold-1, ...
        data: the folder of a data set, or a file of `store` with whole slices.
        out: new folder.
        methods: names from `ich_lib.explanation.NAMES`; None for the fast ones that the model supports.
        label: the label whose score is explained.
        seeds: of the random weights for comparison; their figures are averaged.

    Returns:
        The content of explain.json.

    Raises:
        ValueError: if no slice of the data is outlined and bleeds, or the model does not support a method.
    """
    table, out = open_table(data), Path(out)
    sources: Sequence[str | Path] = fold_runs(source) or [source]
    scores: ScoresByVariant = {}
    folds, was_trained_on = [], False
    random_models: ModelByVariant = {}  # networks with random weights are the same for every fold
    for place in sources:
        models = load(place, fill=False)
        names = _default_methods(models) if methods is None else tuple(dict.fromkeys(methods))
        split = split_of(models, place)
        scans, trained_on = _scans(table, partial(unseen_slices, split, table))
        was_trained_on = was_trained_on or trained_on
        folds.append(split.held_out)
        random_models = random_models or _random_models(models, names, place, label, seeds)
        _score_maps(
            _trained_models(models, names, place, label) | random_models, table, scans, scores, name=Path(place).name
        )
    if not scores:
        raise ValueError(f"{table.name} has no slice that bleeds, is outlined and may be judged here.")
    report = {
        "data": table.name,
        "source": Path(source).name,
        "folds": folds,
        "trained_on": was_trained_on,
        "label": label,
    }
    report |= _report(scores, names, seeds)
    out.mkdir(parents=True, exist_ok=True)
    (out / "explain.json").write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    (out / "explain.md").write_text(to_markdown(report))
    return report


def _default_methods(models: Models) -> tuple[str, ...]:
    """The fast methods that a model supports."""
    return ("cam", "grad-cam") * (models.classifier is not None) + (MASKS,) * (models.segmenter is not None)


def _scans(table: Table, is_unseen: Callable[[np.ndarray], np.ndarray]) -> tuple[Explained, bool]:
    """For each scan its rows and the explained ones, and whether these are in the training set."""
    masks_by_scan = [(rows, is_unseen(rows)) for rows in table.scans()]
    trained_on = not any(mask.any() for _, mask in masks_by_scan)
    pairs = []
    for rows, mask in masks_by_scan:
        bleeding = (mask | trained_on) & table.outlined[rows] & table.labels[rows, ANY]
        if bleeding.any():
            pairs.append((rows, np.flatnonzero(bleeding)))
    return pairs, trained_on


def _trained_models(models: Models, names: Iterable[str], source: str | Path, label: str) -> ModelByVariant:
    """Each method applied to the trained network, which is loaded once."""
    maps_of_methods: ModelByVariant = {}
    networks = {}
    for name in names:
        template = choose_model(models, name, source)
        if name == "cam":
            maps_of_methods[name, None] = cam_model(template, label=label)
            continue
        if template.name not in networks:
            networks[template.name] = load_network(source, template)
        maps_of_methods[name, None] = gradient_model(name, networks[template.name], template, label=label)
    return maps_of_methods


def _random_models(
    models: Models, names: Iterable[str], source: str | Path, label: str, seeds: Sequence[int]
) -> ModelByVariant:
    """Each method applied to networks of the same architecture with random weights."""
    import keras

    from ich_lib.models.builders import build

    maps_of_methods: ModelByVariant = {}
    networks = {}
    for name in names:
        template = choose_model(models, name, source)
        for seed in seeds:
            if (template.name, seed) not in networks:
                keras.utils.set_random_seed(seed)
                networks[template.name, seed] = build(template.recipe)
            maps_of_methods[name, seed] = gradient_model(name, networks[template.name, seed], template, label=label)
    return maps_of_methods


def _score_maps(methods: ModelByVariant, table: Table, scans: Explained, scores: ScoresByVariant, *, name: str) -> None:
    """Explain the slices of some scans with every method and add the results to `scores`."""
    for rows, chosen_slices in tqdm(scans, desc=f"explaining {name}", unit="scan"):
        hu = restore_bone(np.stack([table.hu(row) for row in rows]))
        truth = {k: table.truth(rows[k]) for k in chosen_slices.tolist()}
        bleeding_slices = [k for k, blood in truth.items() if blood.any()]

        def located(
            heat: np.ndarray, k: int, rows: np.ndarray = rows, truth: dict[int, np.ndarray] = truth
        ) -> MapScore:
            hit = hits_blood(heat, truth[k], tolerance_px=TOLERANCE * max(heat.shape))
            energy = energy_inside(heat, truth[k])
            return MapScore(str(table.patient[rows[k]]), table.labels[rows[k]], hit, energy, not heat.any())

        for method, model in methods.items():
            box = field_box(hu, model.recipe.field)
            maps = slice_maps(model, hu, box, _consecutive_ranges(bleeding_slices))
            map_scores = [
                located(uncrop(slice_map, box, hu.shape[1:]), k)
                for slice_map, k in zip(maps, bleeding_slices, strict=True)
            ]
            scores.setdefault(method, []).extend(map_scores)
        blob = center_blob(field_box(hu, "head"), hu.shape[1:])
        scores.setdefault(("center", None), []).extend(located(blob, k) for k in bleeding_slices)


def _consecutive_ranges(numbers: list[int]) -> list[range]:
    """Rising slice indices as ranges of neighbors, which are processed together."""
    ranges: list[range] = []
    for k in numbers:
        if ranges and ranges[-1].stop == k and len(ranges[-1]) < _BATCH:
            ranges[-1] = range(ranges[-1].start, k + 1)
        else:
            ranges.append(range(k, k + 1))
    return ranges


def _report(scores: ScoresByVariant, names: Iterable[str], seeds: Sequence[int]) -> dict:
    """All figures, as plain values."""
    blob = scores["center", None]
    methods = {}
    for name in names:
        trained, random = scores[name, None], [score for seed in seeds for score in scores[name, seed]]
        methods[name] = _figures(trained, random) | {"types": {}}
        for number, kind in enumerate(TYPES):
            of_type = [[score for score in map_scores if score.labels[number]] for map_scores in (trained, random)]
            if of_type[0]:
                methods[name]["types"][kind] = _figures(*of_type)
    return {
        "slices": len(blob),
        "patients": len({score.patient for score in blob}),
        "tolerance": TOLERANCE,
        "seeds": list(seeds),
        "methods": methods,
        "center_blob": {
            "pointing": _figure(blob, "is_hit").as_json(),
            "energy": _figure(blob, "energy_inside").as_json(),
            "n_patients": len({score.patient for score in blob}),
        },
        "notice": NOTICE,
    }


def _figures(trained: list[MapScore], random: list[MapScore]) -> dict:
    return {
        "pointing": _figure(trained, "is_hit").as_json(),
        "energy": _figure(trained, "energy_inside").as_json(),
        "energy_random": _figure(random, "energy_inside").as_json(),
        "n_patients": len({score.patient for score in trained}),
        "pointing_random": _figure(random, "is_hit").as_json(),
        "energy_over_random": _ratio(trained, random).as_json(),
        "slices": len(trained),
        "empty": sum(score.is_empty for score in trained),
    }


def _figure(map_scores: Iterable[MapScore], of: str) -> Estimate:
    """The mean over patients of the mean over their slices."""
    return patient_bootstrap(
        list(_by_patient(map_scores, of).values()), lambda means: float(np.mean(means)), rounds=_ROUNDS
    )


def _ratio(trained: Iterable[MapScore], random: Iterable[MapScore]) -> Estimate:
    """The energy of the trained weights divided by that of random weights, on the same patients."""
    trained_energy, random_energy = _by_patient(trained, "energy_inside"), _by_patient(random, "energy_inside")
    pairs = [(trained_energy[patient], random_energy[patient]) for patient in trained_energy]

    def times(pairs: list) -> float:
        over, under = np.sum(pairs, axis=0)
        return float(over / under) if under else float("nan")

    return patient_bootstrap(pairs, times, rounds=_ROUNDS)


def _by_patient(map_scores: Iterable[MapScore], of: str) -> dict[str, float]:
    patients = group_by_patient(map_scores, lambda score: score.patient)
    return {patient: float(np.mean([getattr(score, of) for score in numbers])) for patient, numbers in patients.items()}


def to_markdown(report: dict) -> str:
    """explain.json as sentences and tables."""
    from ich_lib.evaluation.page import to_text

    data_note = (
        "**These patients are in the training set**, so the figures are too favorable."
        if report["trained_on"]
        else "Each scan is explained by a model that never saw its patient."
    )
    lines = [
        f"# Maps of {report['source']} against the blood of {report['data']}",
        "",
        f"{report['notice']}",
        "",
        f"{report['slices']} outlined slices that bleed, of {report['patients']} patients. {data_note} Explained: the "
        f"score for {report['label']}; of {MASKS}, the mask.",
        "",
        "Pointing: share of slices whose map peaks in the blood or within "
        f"{report['tolerance']:.1%} of the slice's side of it. Energy: share of the map that lies in the blood. "
        f"Random: the same network with random weights, mean of {len(report['seeds'])} seeds. All are means over "
        "patients of the mean over their slices, with the interval that holds 95 % of resamples of patients. An empty "
        "map points nowhere and has no energy inside; such slices are counted, not left out.",
        "",
    ]
    names = {
        "n_patients": "patients",
        "slices": "slices",
        "empty": "empty maps",
        "pointing": "pointing",
        "pointing_random": "pointing, random",
        "energy": "energy",
        "energy_random": "energy, random",
        "energy_over_random": "energy / random",
    }
    head, keys = ("method", "type", *names.values()), tuple(names)
    rows = [head, ("---",) * len(head)]
    for name, values in report["methods"].items():
        rows.append((name, "all", *(to_text(values[key]) for key in keys)))
        rows += [(name, kind, *(to_text(figures[key]) for key in keys)) for kind, figures in values["types"].items()]
    blob = report["center_blob"]
    rows.append(("blob in the center", "all", *(to_text(blob.get(key)) for key in keys)))
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"
