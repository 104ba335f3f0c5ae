"""Robustness: evaluate models on the same scans clean and corrupted, and write robustness.json."""

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

N_PHANTOMS, N_PATIENTS = 8, 20  # number of scans by default
SLICES, PIXELS = 12, 256  # of a phantom: the middle 6 cm of the head
FIRST = 90_000_000  # seed of the first phantom, far from those of the training sets
ROUNDS = 1000  # resamples of each interval
CLEAN_KEY = "clean"
PROGRESS_FOLDER = "kept"  # folder for the results of an interrupted command


@dataclass(frozen=True)
class Candidate:
    """A scan to evaluate clean and corrupted.

    Attributes:
        patient, scan: the patient and the acquisition.
        models: the models to run, which never saw this scan.
        open: function that reads it.
    """

    patient: str
    scan: str
    models: Models
    open: Callable[[], Case]


@dataclass(frozen=True)
class Plan:
    """What will be evaluated.

    Attributes:
        data: name of the set.
        candidates: the scans.
        names: corruptions, each at every severity.
        seed: of all random numbers.
    """

    data: str
    candidates: tuple[Candidate, ...]
    names: tuple[str, ...]
    seed: int

    @property
    def readings(self) -> int:
        """How many scans the models must read in total."""
        return len(self.candidates) * (1 + len(SEVERITIES) * len(self.names))

    @property
    def calibrated(self) -> bool:
        """Whether scores are probabilities."""
        return self.candidates[0].models.calibration is not None

    @property
    def threshold(self) -> float:
        """A scan is called bleeding from this score for `any`."""
        return THRESHOLD if self.calibrated else list(self.candidates[0].models)[-1].recipe.threshold

    @property
    def models(self) -> dict[str, str]:
        """SHA-256 of the weights to the model's name."""
        return {model.sha256: model.name for candidate in self.candidates for model in candidate.models}

    def key(self, name: str) -> dict:
        """The settings that change the outcomes of a corruption."""
        scans = [[candidate.patient, candidate.scan] for candidate in self.candidates]
        strengths = [0] if name == CLEAN_KEY else list(CORRUPTIONS[name].strengths)
        inputs = {"version": ich_lib.__version__, "data": self.data, "scans": scans, "models": sorted(self.models)}
        return {**inputs, "seed": self.seed, "strengths": strengths}


@dataclass(frozen=True)
class Outcome:
    """The result of one scan: everything that the figures need.

    Attributes:
        patient, scan: the patient and the acquisition.
        truth: (z,) bool, slices that bleed.
        scores: (z,) score of each slice for `any`.
        scan_score: of the scan.
        dice: mean over the slices with blood; None for a scan without, or without a mask.
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
    """Choose scans and corruptions. No model runs yet.

    Args:
        source: "shipped", a run folder, what `export` wrote, or, with `data`, a folder of runs fold-0, fold-1, ...
        data: the folder of a data set, or a store with whole slices, of which only patients outside the training set
            are taken; None for phantoms.
        limit: maximum number of phantoms or patients; None for PHANTOMS or PATIENTS.
        only: names from CORRUPTIONS; None for all of them.
        seed: for the choice of patients, and for noise, directions and places.

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
    """The models of a source (for a cross-validation those of each fold), with their folders."""
    runs = fold_runs(source)
    return [(load(run, fill=False), run) for run in runs] or [(load(source, fill=False), source)]


def _phantoms(source: str | Path, count: int) -> tuple[Candidate, ...]:
    """Synthetic heads: one in three is clean, the types alternate in the others."""
    if runs := fold_runs(source):
        raise ValueError(
            f"{source} holds {len(runs)} runs, and none of them was trained on these phantoms: name one "
            f"run, or give --data."
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
    """The scans of a table that are not in the models' training set."""
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
    """Draw patients so that the share of bleeding ones stays the same within rounding, with at least one of each kind
    if possible.

    Args:
        bleeds: patient to whether that patient bleeds.
        limit: maximum number.
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
    """Evaluate every scan clean and under every corruption and severity, and write robustness.json.

    Finished results are kept in `out`, a file for each corruption. A stopped call resumes, and a call with more
    corruptions evaluates only the new ones.

    Args:
        planned: the result of `plan`.
        out: folder for the report.

    Returns:
        The content of robustness.json.

    Raises:
        ValueError: if `out` holds results of other models, scans or strengths.
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


def _outcomes(planned: Plan, name: str, path: Path, advance: Callable[[int], object]) -> list[list[Outcome]]:
    """For each severity the outcome of every scan under a corruption, read from its file, or computed and written to
    it."""
    key = planned.key(name)
    if not path.is_file():
        saved = {"key": key, "severities": _read_all(planned, name, advance)}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(saved))
        part.replace(path)
    else:
        saved = json.loads(path.read_text())
        if saved["key"] != key:
            raise ValueError(
                f"{path.parent.parent} holds results of other models, scans, seed or version. Choose another "
                "folder, or remove it."
            )
        advance(len(planned.candidates) * len(key["strengths"]))
    return [[_outcome(values) for values in entries] for entries in saved["severities"]]


def _read_all(planned: Plan, name: str, advance: Callable[[int], object]) -> list[list[dict]]:
    severities = (0,) if name == CLEAN_KEY else SEVERITIES
    outcomes: list[list[dict]] = [[] for _ in severities]
    for number, candidate in enumerate(planned.candidates):
        case = candidate.open()
        for severity, entries in zip(severities, outcomes, strict=True):
            corrupted_exam = corrupt(case, name, severity, seed=planned.seed + number) if severity else case
            entries.append(outcome(corrupted_exam, candidate).as_json())
            advance(1)
    return outcomes


def outcome(case: Case, candidate: Candidate) -> Outcome:
    """Run a candidate's models on a case."""
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
    """The reverse of `Outcome.as_json`."""
    return Outcome(**values | {"truth": np.array(values["truth"], bool), "scores": np.array(values["scores"])})


def build_robustness_report(planned: Plan, outcomes: Mapping[str, Sequence[Sequence[Outcome]]]) -> dict:
    """All figures as plain values.

    Args:
        planned: the scans and corruptions.
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
    """Name of a figure to its function of outcomes, and which outcomes count.

    As in an evaluation: Dice is the mean over bleeding scans of their mean over slices with blood. Volume is the mean
    absolute error in mL over the same scans. The AUC pools the slices. Scans are called from `threshold`.
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


def _patient(outcome: Outcome) -> str:
    return outcome.patient


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
    """A figure of corrupted scans, and its change from the same scans clean.

    Only scans that count in both are compared: if thick slices remove the blood of a scan from the truth, both sides
    leave it out.

    Args:
        clean: outcomes.
        corrupted: outcomes of the same scans in the same order.
        statistic: the figure.
        counts: function that selects outcomes.

    Returns:
        "value", None if it is not defined, and "change", corrupted minus clean, with its paired interval over patients.
    """
    pairs = [(a, b) for a, b in zip(clean, corrupted, strict=True) if counts(a) and counts(b)]
    before, after = ([pair[side] for pair in pairs] for side in (0, 1))
    value = statistic(after) if after else float("nan")
    first, second = (group_by_patient(outcomes, _patient) for outcomes in (before, after))
    change = paired_bootstrap(first, second, pooled(statistic), rounds=ROUNDS)
    return {"value": None if np.isnan(value) else value, "change": change.as_json()}
