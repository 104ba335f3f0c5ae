"""When should nobody believe it? Models judged on the same scans clean and made worse: robustness.json."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

import ich_lib
from ich_lib.case import Case
from ich_lib.data import Table
from ich_lib.evaluation import THRESHOLD, case_of, held_out_scans, judge_scan, open_table
from ich_lib.evaluation.robustness_summary import first_failing_severity
from ich_lib.labels import ANY, TYPES
from ich_lib.measures import metrics
from ich_lib.measures.bootstrap import Estimate, group_by_patient, grouped_bootstrap, paired_bootstrap, pooled
from ich_lib.models.run import fold_runs
from ich_lib.notice import NOTICE
from ich_lib.phantoms import phantom
from ich_lib.prediction.engine import Models, load
from ich_lib.prepare.corruptions import CORRUPTIONS, SEVERITIES, check_corruption, corrupt

N_PHANTOMS, N_PATIENTS = 8, 20  # judged where nobody asks for another number
SLICES, PIXELS = 12, 256  # of a phantom: the middle 6 cm of the head
FIRST = 90_000_000  # seed of the first phantom, far from those that models are trained on
ROUNDS = 1000  # resamples of each interval
CLEAN_KEY = "clean"
PROGRESS_FOLDER = "kept"  # folder of what a stopped command has done


@dataclass(frozen=True)
class Candidate:
    """A scan to be judged clean and made worse.

    Attributes:
        patient, scan: whose it is, and which acquisition.
        models: who reads it, and never saw it before.
        open: reads it.
    """

    patient: str
    scan: str
    models: Models
    open: Callable[[], Case]


@dataclass(frozen=True)
class Plan:
    """What is to be read.

    Attributes:
        data: name of the set.
        candidates: the scans.
        names: corruptions, each of which is tried in every severity.
        seed: of all that is drawn.
    """

    data: str
    candidates: tuple[Candidate, ...]
    names: tuple[str, ...]
    seed: int

    @property
    def readings(self) -> int:
        """How many scans the models read in all."""
        return len(self.candidates) * (1 + len(SEVERITIES) * len(self.names))

    @property
    def calibrated(self) -> bool:
        """Whether scores are probabilities."""
        return self.candidates[0].models.calibration is not None

    @property
    def threshold(self) -> float:
        """A scan is called bleeding from this score for `any` on."""
        return THRESHOLD if self.calibrated else list(self.candidates[0].models)[-1].recipe.threshold

    @property
    def models(self) -> dict[str, str]:
        """SHA-256 of the weights to the model's name."""
        return {model.sha256: model.name for candidate in self.candidates for model in candidate.models}

    def key(self, name: str) -> dict:
        """What the outcomes of a corruption depend on."""
        scans = [[candidate.patient, candidate.scan] for candidate in self.candidates]
        strengths = [0] if name == CLEAN_KEY else list(CORRUPTIONS[name].strengths)
        inputs = {"version": ich_lib.__version__, "data": self.data, "scans": scans, "models": sorted(self.models)}
        return {**inputs, "seed": self.seed, "strengths": strengths}


@dataclass(frozen=True)
class Outcome:
    """What became of one scan: all that the figures need.

    Attributes:
        patient, scan: whose it is, and which acquisition.
        truth: (z,) bool, slices that bleed.
        scores: (z,) score of each slice for `any`.
        scan_score: of the scan.
        dice: mean over the slices with blood; None for a scan without, or where no mask was drawn.
        true_ml, mask_ml: volumes on outlined slices.
    """

    patient: str
    scan: str
    truth: np.ndarray
    scores: np.ndarray
    scan_score: float
    dice: float | None
    true_ml: float
    mask_ml: float

    def as_json(self) -> dict:
        """Plain values."""
        return asdict(self) | {"truth": self.truth.tolist(), "scores": self.scores.tolist()}


def plan(
    source: str | Path = "shipped",
    *,
    data: str | Path | None = None,
    limit: int | None = None,
    only: Iterable[str] | None = None,
    seed: int = 0,
) -> Plan:
    """Choose scans and corruptions. Nothing is read by a model yet.

    Args:
        source: "shipped", a run folder, what `export` wrote, or, with `data`, a folder of runs fold-0, fold-1, ...
        data: the folder of a data set, or a store of whole slices, of which only patients that the models never saw
            are taken; None for phantoms.
        limit: how many phantoms or patients; None for PHANTOMS or PATIENTS.
        only: names from CORRUPTIONS; None for all of them.
        seed: chooses the patients, and draws noise, directions and places.

    Raises:
        ValueError: for an unknown corruption, a limit below 1, models trained on all of this data or after a leaky
            split, or several runs without data.
    """
    names = tuple(dict.fromkeys(only)) if only else tuple(CORRUPTIONS)
    for name in names:
        check_corruption(name)
    if limit is not None and limit < 1:
        raise ValueError(f"At least 1 scan must be judged; got a limit of {limit}.")
    if data is None:
        return Plan(f"phantoms, {SLICES} slices of {PIXELS} px", _phantoms(source, limit or N_PHANTOMS), names, seed)
    table = open_table(data)
    candidates = [
        candidate for models, place in _readers(source) for candidate in _unseen_candidates(models, place, table)
    ]
    bleeds = table.bleeding()
    patients = set(
        draw_patients(
            {candidate.patient: bleeds[candidate.patient] for candidate in candidates}, limit or N_PATIENTS, seed=seed
        )
    )
    return Plan(table.name, tuple(candidate for candidate in candidates if candidate.patient in patients), names, seed)


def _readers(source: str | Path) -> list[tuple[Models, str | Path]]:
    """The models of a source, and of a cross-validation those of each fold, with the place they come from."""
    runs = fold_runs(source)
    return [(load(run, fill=False), run) for run in runs] or [(load(source, fill=False), source)]


def _phantoms(source: str | Path, count: int) -> tuple[Candidate, ...]:
    """Heads made by code: of three one is clean, in the others the types take turns."""
    if runs := fold_runs(source):
        raise ValueError(
            f"{source} holds {len(runs)} runs, and phantoms are strangers to all of them: name one run, or give --data."
        )
    models, turns, candidates = load(source, fill=False), 0, []
    for i in range(count):
        clean = i % 3 == 1
        bleeds = () if clean else (TYPES[turns % len(TYPES)],)
        turns += not clean
        cases = cache(partial(phantom, FIRST + i, bleeds=bleeds, slices=SLICES, pixels=PIXELS))
        candidates.append(Candidate(f"phantom-{i}", f"phantom-{i}", models, cases))
    return tuple(candidates)


def _unseen_candidates(models: Models, source: str | Path, table: Table) -> list[Candidate]:
    """The scans of a table that the models were not trained on."""
    split, rows_of = held_out_scans(models, source, table)
    if split.kind != "patient":
        raise ValueError(
            f"{source} was trained after a {split.kind} split and has seen every patient, so it cannot be judged here."
        )

    return [
        Candidate(str(table.patient[rows[0]]), str(table.scan[rows[0]]), models, partial(case_of, table, rows))
        for rows in rows_of
    ]


def draw_patients(bleeds: Mapping[str, bool], limit: int, *, seed: int = 0) -> list[str]:
    """Draw patients so that the share who bleeds stays, to rounding; of either kind at least one where there is room.

    Args:
        bleeds: patient to whether they bleed.
        limit: how many; more than there are gives all.
        seed: of the draw.

    Returns:
        Their names, sorted.
    """
    if limit >= len(bleeds):
        return sorted(bleeds)
    rng = np.random.default_rng(seed)
    bleeding, clean = (sorted(patient for patient in bleeds if bleeds[patient] is kind) for kind in (True, False))
    share = round(limit * len(bleeding) / len(bleeds))
    if limit > 1 and bleeding and clean:
        share = min(max(share, 1), limit - 1)
    draws = [rng.choice(bleeding, share, replace=False), rng.choice(clean, limit - share, replace=False)]
    return sorted(str(patient) for group in draws for patient in group)


def robustness(planned: Plan, out: str | Path) -> dict:
    """Read every scan clean and under every corruption and severity, and write robustness.json.

    What is done stays in `out`, a file for each corruption: a stopped call goes on, and one with more corruptions
    reads these only.

    Args:
        planned: what `plan` chose.
        out: folder for the report.

    Returns:
        What robustness.json holds.

    Raises:
        ValueError: if `out` holds what was found with other models, scans or strengths.
    """
    out, outcomes = Path(out), {}
    (out / PROGRESS_FOLDER).mkdir(parents=True, exist_ok=True)
    with tqdm(total=planned.readings, desc="reading", unit="scan") as bar:
        for name in (CLEAN_KEY, *planned.names):
            bar.set_postfix_str(name)
            outcomes[name] = _outcomes(planned, name, out / PROGRESS_FOLDER / f"{name}.json", bar.update)
    report = build_robustness_report(planned, outcomes)
    (out / "robustness.json").write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    return report


def _outcomes(planned: Plan, name: str, path: Path, done: Callable[[int], object]) -> list[list[Outcome]]:
    """Per severity what became of every scan under a corruption, as kept in a file, or found now and kept there."""
    key = planned.key(name)
    if not path.is_file():
        saved = {"key": key, "severities": _read_all(planned, name, done)}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(saved))
        part.replace(path)
    else:
        saved = json.loads(path.read_text())
        if saved["key"] != key:
            raise ValueError(
                f"{path.parent.parent} holds what was found with other models, scans, seed or version. Choose another "
                "folder, or remove it."
            )
        done(len(planned.candidates) * len(key["strengths"]))
    return [[_outcome(values) for values in entries] for entries in saved["severities"]]


def _read_all(planned: Plan, name: str, done: Callable[[int], object]) -> list[list[dict]]:
    severities = (0,) if name == CLEAN_KEY else SEVERITIES
    outcomes: list[list[dict]] = [[] for _ in severities]
    for number, candidate in enumerate(planned.candidates):
        case = candidate.open()
        for severity, entries in zip(severities, outcomes, strict=True):
            corrupted_exam = corrupt(case, name, severity, seed=planned.seed + number) if severity else case
            entries.append(outcome(corrupted_exam, candidate).as_json())
            done(1)
    return outcomes


def outcome(case: Case, candidate: Candidate) -> Outcome:
    """Let a candidate's models read a case."""
    scan = judge_scan(
        case.scan,
        case.truth,
        case.labels,
        candidate.models,
        patient=candidate.patient,
        name=candidate.scan,
        outlined=case.outlined,
        distances=False,
    )
    return Outcome(
        patient=scan.patient,
        scan=scan.scan,
        truth=scan.labels[:, ANY],
        scores=scan.scores[:, ANY],
        scan_score=float(scan.scan_scores[ANY]),
        dice=scan.subject_dice,
        true_ml=scan.true_ml,
        mask_ml=scan.mask_ml,
    )


def _outcome(values: dict) -> Outcome:
    """Undo `Outcome.as_json`."""
    return Outcome(**values | {"truth": np.array(values["truth"], bool), "scores": np.array(values["scores"])})


def build_robustness_report(planned: Plan, outcomes: Mapping[str, Sequence[Sequence[Outcome]]]) -> dict:
    """All figures as plain values.

    Args:
        planned: what was read.
        outcomes: CLEAN and each corruption's name to a list of outcomes for each severity, scans in one order.
    """
    (clean,), figures = outcomes[CLEAN_KEY], figures_by_name(planned.threshold)
    report = {
        "data": planned.data,
        "models": [{"name": name, "sha256": sha256} for sha256, name in planned.models.items()],
        "patients": sorted({outcome.patient for outcome in clean}),
        "scans": len(clean),
        "bleeding": sum(bool(outcome.truth.any()) for outcome in clean),
        "readings": planned.readings,
        "score_threshold": planned.threshold,
        "calibrated": planned.calibrated,
        "seed": planned.seed,
        "clean": {name: _clean_figure(clean, *figure).as_json() for name, figure in figures.items()},
        "corruptions": {name: _corruption_figures(name, clean, outcomes[name], figures) for name in planned.names},
    }
    return report | {
        "not_believed_from": {name: first_failing_severity(report, name) for name in planned.names},
        "notice": NOTICE,
    }


Statistic = Callable[[list[Outcome]], float]
Filter = Callable[[Outcome], bool]


def figures_by_name(threshold: float) -> dict[str, tuple[Statistic, Filter]]:
    """Name of a figure to how it is reckoned from outcomes, and which outcomes count.

    As in an evaluation: Dice is the mean over bleeding scans of their mean over slices with blood, volume the mean
    absolute error in mL over the same scans; the AUC pools the slices; scans are called from `threshold` on.
    """
    has_dice = lambda outcome: outcome.dice is not None  # noqa: E731
    bleeds = lambda outcome: bool(outcome.truth.any())  # noqa: E731
    return {
        "dice_per_subject": (lambda sample: float(np.mean([outcome.dice for outcome in sample])), has_dice),
        "slice_auc_any": (_slice_auc, lambda outcome: True),
        "scan_sensitivity": (_of_calls(metrics.sensitivity, threshold), bleeds),
        "scan_specificity": (_of_calls(metrics.specificity, threshold), lambda outcome: not bleeds(outcome)),
        "volume_mae_ml": (
            lambda sample: float(np.mean([abs(outcome.mask_ml - outcome.true_ml) for outcome in sample])),
            has_dice,
        ),
    }


def _of_calls(rate: Callable[[np.ndarray, np.ndarray], float], threshold: float) -> Statistic:
    return lambda sample: rate(
        np.array([outcome.truth.any() for outcome in sample]),
        np.array([outcome.scan_score >= threshold for outcome in sample]),
    )


def _slice_auc(sample: list[Outcome]) -> float:
    return metrics.auc(
        np.concatenate([outcome.truth for outcome in sample]), np.concatenate([outcome.scores for outcome in sample])
    )


def _patient(one: Outcome) -> str:
    return one.patient


def _clean_figure(clean: Sequence[Outcome], statistic: Statistic, counts: Filter) -> Estimate:
    counted = [outcome for outcome in clean if counts(outcome)]
    return grouped_bootstrap(counted, _patient, statistic, rounds=ROUNDS)


def _corruption_figures(
    name: str, clean: Sequence[Outcome], corrupted: Sequence[Sequence[Outcome]], figures: dict
) -> dict:
    corruption = CORRUPTIONS[name]
    rows = [
        {
            "severity": severity,
            "strength": corruption.strengths[severity - 1],
            **{key: compare_outcomes(clean, outcomes, *figure) for key, figure in figures.items()},
        }
        for severity, outcomes in zip(SEVERITIES, corrupted, strict=True)
    ]
    return {"unit": corruption.unit, "imitates": corruption.imitates, "severities": rows}


def compare_outcomes(
    clean: Sequence[Outcome], corrupted: Sequence[Outcome], statistic: Statistic, counts: Filter
) -> dict:
    """A figure of scans made worse, and its change against the same scans clean.

    Scans that count in both are compared: one whose blood faded from the truth of thick slices leaves both sides.

    Args:
        clean: outcomes.
        corrupted: those of the same scans in the same order.
        statistic: the figure.
        counts: which outcomes it takes.

    Returns:
        "value", None where it is not defined, and "change", worse minus clean, with its paired interval over patients.
    """
    pairs = [(a, b) for a, b in zip(clean, corrupted, strict=True) if counts(a) and counts(b)]
    before, after = ([pair[side] for pair in pairs] for side in (0, 1))
    value = statistic(after) if after else float("nan")
    first, second = (group_by_patient(some, _patient) for some in (before, after))
    change = paired_bootstrap(first, second, pooled(statistic), rounds=ROUNDS)
    return {"value": None if np.isnan(value) else value, "change": change.as_json()}
