"""Cases: the worst and the best scans of a model with their truth, at any threshold. Wiring only."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

import numpy as np
import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx

from ich_lib.case import Case
from ich_lib.data import Table
from ich_lib.evaluation import case_of, compare, open_table
from ich_lib.evaluation.causes import OTHER_CAUSE, RULE_TEXTS, Failure, causes
from ich_lib.evaluation.gallery import failure_sentence, informative_slices
from ich_lib.explanation import METHOD_NAMES as METHODS
from ich_lib.measures.report import Line, Report
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result, analyze
from ich_lib.prediction.engine import WEIGHTS_FOLDER
from ich_lib.prediction.uncertainty import score_text
from ich_lib.scan import Scan
from ich_lib.show.figure import Figure
from ich_lib.workbench import models, scans
from ich_lib.workbench.scans import BEST
from ich_lib.workbench.shown import error_sentence, escape_markdown, modified_at, show_figure

_PHANTOMS, _OWN = "Phantoms", "My own run and data"
_CAM = METHODS[0]
_COLUMNS = 3
_EVERY_S = 1.0  # between two checks of how many heads are read
_PRIVATE = "These pictures are of the scans in your folder. If they are patients, keep them on this machine."


@dataclass(frozen=True)
class _Shelf:
    """Scans with their truth, and a model that was evaluated on them.

    Attributes:
        rows: lines of a report.
        threshold: a scan is called bleeding from this score.
        patient_name: the name of a line on the page, such as "patient 3".
        case_key: identifies the scan; it contains the patient's name and is never shown.
        source: of the model that was evaluated on a line.
        case: a line to its scan.
        result: a line and a source to the model's result.
        is_training_scan: a line and a source to whether that patient is in the model's training set.
    """

    rows: Sequence[Line]
    threshold: float
    patient_name: Callable[[Line], str]
    case_key: Callable[[Line], str]
    source: Callable[[Line], str]
    case: Callable[[Line], Case]
    result: Callable[[Line, str], Result]
    is_training_scan: Callable[[Line, str], bool]


@dataclass(frozen=True)
class _SelectedCase:
    """The chosen case, the result of the model at `source`, and the last two of its shelf."""

    case: Case
    result: Result
    source: str
    patient: str
    key: str


def page() -> None:
    """The page."""
    st.title("Cases")
    st.caption(NOTICE)
    collection = st.segmented_control("Scans", [_PHANTOMS, _OWN], default=_PHANTOMS, required=True, key="cases whose")
    try:
        shelf = _phantom_shelf() if collection == _PHANTOMS else _own_shelf()
        if shelf:
            _show_shelf(shelf)
    except (ValueError, OSError, ImportError) as problem:
        st.warning(error_sentence(problem))


# ---- phantoms -------------------------------------------------------------------------------------------------------


class _AnalysisJob:
    """The shipped model applied to one head after the other, in a separate thread; `n_done` of them are finished."""

    def __init__(self) -> None:
        self.n_done = 0
        self.problem: Exception | None = None
        thread = Thread(target=self._ask, daemon=True)
        add_script_run_ctx(thread)
        thread.start()

    def _ask(self) -> None:
        try:
            for k in range(len(scans.sample_cases())):
                _sample_result(k, WEIGHTS_FOLDER, models.model_stamp(WEIGHTS_FOLDER))
                self.n_done = k + 1
        except (ValueError, OSError, ImportError) as problem:
            self.problem = problem


@st.cache_resource(show_spinner=False)
def _analysis_job() -> _AnalysisJob:
    return _AnalysisJob()


def start_analysis() -> None:
    """Start it once, while the user looks at another page."""
    _analysis_job()


@st.cache_resource(show_spinner=False, max_entries=16)
def _sample(number: int) -> Case:
    return scans.sample_cases()[number]()


@st.cache_resource(show_spinner=False, max_entries=64)
def _sample_result(number: int, source: str, stamp: float) -> Result:
    return analyze(_sample(number).scan, models.open_models(source, stamp))


def _count_answers(source: str) -> int:
    """How many heads the page has: for the shipped model the finished ones, for others all."""
    count = len(scans.sample_cases())
    if source != WEIGHTS_FOLDER:
        return count
    job = _analysis_job()
    while not job.n_done and not job.problem:
        time.sleep(_EVERY_S / 10)
    if job.problem:
        raise job.problem
    return job.n_done


@st.fragment(run_every=_EVERY_S)
def _refresh_when_done() -> None:
    """How many heads there are; the page starts again when all are made."""
    job, count = _analysis_job(), len(scans.sample_cases())
    if job.n_done == count:
        st.rerun()
    elif not job.problem:
        st.progress(job.n_done / count, f"{job.n_done} of {count} heads are made and analyzed; the others follow …")


def _phantom_shelf() -> _Shelf:
    source = st.text_input(
        "Model", WEIGHTS_FOLDER, key="cases model", help="shipped, a run folder, or a folder of export."
    )
    with st.spinner("Making a synthetic head and running the model: some seconds, once"):
        count = _count_answers(source)
        results = [_sample_result(k, source, models.model_stamp(source)) for k in range(count)]
    if count < len(scans.sample_cases()):
        _refresh_when_done()
    number = lambda row: int(row.patient)  # noqa: E731
    return _Shelf(
        rows=[scans.case_row(result, _sample(k), str(k)) for k, result in enumerate(results)],
        threshold=results[0].score_threshold,
        patient_name=lambda row: f"head {number(row) + 1}",
        case_key=lambda row: f"{_PHANTOMS} {number(row)}",
        source=lambda row: source,
        case=lambda row: _sample(number(row)),
        result=lambda row, model: _sample_result(number(row), model, models.model_stamp(model)),
        is_training_scan=lambda row, model: False,
    )


# ---- own data -------------------------------------------------------------------------------------------------------


@st.cache_resource(show_spinner="Reading the data set", max_entries=4)
def _table(data: str, stamp: float) -> Table:
    return open_table(Path(data).expanduser())


@st.cache_resource(show_spinner="Reading the scan", max_entries=16)
def _own_case(data: str, stamp: float, scan: str) -> Case:
    table = _table(data, stamp)
    rows = scans.scan_rows(table, scan)
    try:
        return case_of(table, rows)
    except ValueError as problem:  # its message names the patient's file
        raise ValueError("A file of this scan cannot be read; the page Data names it.") from problem


@st.cache_resource(show_spinner="Asking the model", max_entries=16)
def _own_result(data: str, stamp: float, scan: str, source: str, modified: float) -> Result:
    return analyze(_own_case(data, stamp, scan).scan, models.open_models(source, modified))


def _own_shelf() -> _Shelf | None:
    left, right = st.columns(2)
    source = left.text_input("Run", key="cases run", help="A run folder, or a folder of runs fold-0, fold-1, ...")
    data = right.text_input("Data", key="cases data", help="Folder of a data set, or a store with whole slices.")
    if not source or not data:
        st.info("Name a run with a report of evaluate, and its data. Nothing leaves this machine.")
        return None
    report_path = Path(source).expanduser() / "report.json"
    path = Path(st.text_input("Report", key="cases report", placeholder=str(report_path)) or report_path).expanduser()
    if not path.is_file():
        st.info(
            escape_markdown(
                f"There is no {path.name} in {path.parent}. It lists the worst cases. Make it in a terminal:"
            )
        )
        st.code(f"python -m ich_lib evaluate {source} --data {data} --out {source}", language="bash")
        return None
    if not Path(data).expanduser().exists():
        st.warning(escape_markdown(f"{data} is neither a folder nor a file of store."))
        return None
    return _shelf_of_report(compare.read_report(path), str(Path(source).expanduser()), data)


def _shelf_of_report(report: Report, source: str, data: str) -> _Shelf:
    stamp, patient_numbers = modified_at(Path(data).expanduser()), compare.number_patients(report)
    table = _table(data, stamp)
    st.caption(_PRIVATE)
    if report.leaky:
        st.warning("The split leaks: patients are on both sides, so the results are too favorable.")

    def judge_of(row: Line) -> str:
        place = str(scans.run_for_fold(source, row.fold))
        scans.check_report(report, models.open_models(place, models.model_stamp(place)), place, table)
        return place

    return _Shelf(
        rows=report.per_patient,
        threshold=report.score_threshold,
        patient_name=lambda row: f"patient {patient_numbers[row.patient]}",
        case_key=lambda row: f"{data} {stamp} {row.scan}",
        source=judge_of,
        case=lambda row: _own_case(data, stamp, row.scan),
        result=lambda row, model: _own_result(data, stamp, row.scan, model, models.model_stamp(model)),
        is_training_scan=lambda row, model: scans.is_training_scan(
            models.open_models(model, models.model_stamp(model)), model, table, scans.scan_rows(table, row.scan)
        ),
    )


# ---- what is shown --------------------------------------------------------------------------------------------------


def _show_shelf(shelf: _Shelf) -> None:
    order = scans.rank_cases(shelf.rows, threshold=shelf.threshold)
    if not order:
        st.info("No scan failed, and no bleeding scan was called: there is no case to rank.")
        return
    labels = [_case_name(shelf, kind, row) for kind, row in order]
    left, right = st.columns(2)
    label = left.selectbox("Case (worst first)", labels)
    further_models = right.text_input(
        "Held beside it",
        key="cases others",
        help=f"Further models: {WEIGHTS_FOLDER}, or run folders, separated by semicolons.",
        placeholder="runs/first; runs/second",
    )
    kind, row = order[labels.index(label)]
    source = shelf.source(row)
    case, result = shelf.case(row), shelf.result(row, source)
    _kind_in_words(kind, row, shelf.threshold, Failure(case, result.mask))
    if shelf.is_training_scan(row, source):
        st.warning("This model was trained on slices of this patient, so its result is too favorable.")
    other_results = _results_by_model(
        shelf, row, [entry.strip() for entry in further_models.split(";") if entry.strip()]
    )
    _look(_SelectedCase(case, result, source, shelf.patient_name(row), shelf.case_key(row)), other_results)
    _all_calls(shelf)


def _case_name(shelf: _Shelf, kind: str, row: Line) -> str:
    overlap = "" if row.dice is None else f", Dice {row.dice:.2f}"
    return f"{kind.capitalize()}: {shelf.patient_name(row)}, score {score_text(row.scan_any, shelf.threshold)}{overlap}"


def _kind_in_words(kind: str, row: Line, threshold: float, case: Failure) -> None:
    if kind == BEST:
        types = ", ".join(row.types) or "type unknown"
        st.write(f"Bleeds ({types}) and was called. Mask and truth overlap by a Dice of {row.dice:.2f}.")
        return
    st.write(escape_markdown(failure_sentence(kind, row, threshold)))
    first, *further_causes = causes(case)
    if first == OTHER_CAUSE:
        st.caption("No rule gives a cause here: look for yourself.")
        return
    also = f" Also fits: {', '.join(further_causes)}." if further_causes else ""
    st.caption(
        escape_markdown(f"Probable cause: {first}. {RULE_TEXTS[first]}{also} A rule proves nothing: look for yourself.")
    )


def _results_by_model(shelf: _Shelf, row: Line, sources: Sequence[str]) -> dict[str, Result]:
    """Name of the model to its result; a model that cannot be loaded gives a message, and the others continue."""
    results = {}
    for source in sources:
        place = str(scans.run_for_fold(source, row.fold))
        try:
            results[source] = shelf.result(row, place)
            if shelf.is_training_scan(row, place):
                st.warning(
                    escape_markdown(f"{source} was trained on slices of this patient, so its result is too favorable.")
                )
        except (ValueError, OSError, ImportError) as problem:
            st.warning(error_sentence(problem))
    return results


@st.fragment
def _look(selected: _SelectedCase, other_results: Mapping[str, Result]) -> None:
    """One case with its sliders; only this part runs again when one is moved."""
    from ich_lib.show.cases import slice_picture

    case, result, key = selected.case, selected.result, f"cases {selected.patient}"
    failed = Failure(case, result.mask)
    left, middle, right = st.columns(3)
    count = len(case.truth)
    first = informative_slices(failed, result.heat, count=1)[0] + 1
    k = (left.slider("Slice, from foot to head", 1, count, first, key=f"{key} slice") if count > 1 else 1) - 1
    help_text = (
        "A voxel is blood from this probability. It was set before training; do not choose it by looking at the truth."
    )
    threshold = middle.slider(
        "Threshold of the mask", 0.02, 0.98, result.threshold, 0.02, key=f"{key} t", help=help_text
    )
    method = right.selectbox("Heat map", METHODS, key=f"{key} heat", help=f"All but {_CAM} need Keras: seconds.")
    _metrics(case, result, threshold)
    heat = result.heat if method == _CAM else _heat_or_word(selected, method)
    current = replace(result, threshold=threshold, heat=heat)
    _row(
        {
            f"Slice {k + 1} of {count}": slice_picture(result.scan, k),
            "Truth blue, mask yellow": slice_picture(result.scan, k, truth=case.truth, mask=current.mask),
            f"Heat ({method})": slice_picture(result.scan, k, heat=heat),
        }
    )
    scale = "It is as high as the score of the scan." if method == _CAM else "1 is the strongest place in this scan."
    st.caption(f"Heat shows where the score came from, not that it is right. {scale}{_caveats(case, result, k)}")
    if other_results:
        results = {selected.source: current, **other_results}
        _row(
            {
                name: slice_picture(result.scan, k, truth=case.truth, mask=result.mask)
                for name, result in results.items()
            }
        )
        st.table([_metrics_row(name, result, case) for name, result in results.items()])


def _row(pictures: Mapping[str, Figure]) -> None:
    """Pictures with their names, three in a row; on a narrow screen below each other."""
    entries = list(pictures.items())
    for start in range(0, len(entries), _COLUMNS):
        for column, (name, picture) in zip(st.columns(_COLUMNS), entries[start : start + _COLUMNS], strict=False):
            with column:
                st.caption(escape_markdown(name))
                show_figure(picture, name)


def _caveats(case: Case, result: Result, k: int) -> str:
    note = "" if case.outlined[k] else " This slice has no outline: its truth is not known."
    return note + ("" if result.scan.spacing_known else " The volume in mL assumes a voxel size.")


def _metrics(case: Case, result: Result, threshold: float) -> None:
    if not case.outlined.any():
        st.info("No slice of this scan is outlined, so its mask cannot be measured.")
        return
    now = scans.metrics_at_threshold(result, case, threshold)
    metrics = {
        "Dice": f"{now.dice:.3f}",
        "Dice per subject": "–" if now.dice_per_subject is None else f"{now.dice_per_subject:.3f}",
        "Marked": f"{now.marked_ml:.1f} mL",
        "True": f"{now.true_ml:.1f} mL",
        "Missed": f"{now.missed_ml:.1f} mL",
        "Wrongly marked": f"{now.wrong_ml:.1f} mL",
    }
    _numbers(metrics)


def _numbers(metrics: Mapping[str, int | str]) -> None:
    with st.container(horizontal=True):
        for name, value in metrics.items():
            st.metric(name, value, width="content")


def _metrics_row(name: str, result: Result, case: Case) -> dict[str, str]:
    cells = {
        "model": escape_markdown(name),
        "score": score_text(result.scores["any"], result.score_threshold),
        "threshold": f"{result.threshold:.2f}",
    }
    if not case.outlined.any():
        return cells
    now = scans.metrics_at_threshold(result, case, result.threshold)
    return cells | {"Dice": f"{now.dice:.3f}", "marked mL": f"{now.marked_ml:.1f}", "true mL": f"{now.true_ml:.1f}"}


@st.cache_resource(show_spinner="Computing the map with Keras: some seconds", max_entries=16)
def _heat(_scan: Scan, case_key: str, source: str, method: str, stamp: float) -> np.ndarray:
    from ich_lib.explanation import explain

    return explain(_scan, method, source)


def _heat_or_word(selected: _SelectedCase, method: str) -> np.ndarray:
    try:
        return _heat(selected.result.scan, selected.key, selected.source, method, models.model_stamp(selected.source))
    except (ValueError, OSError, ImportError) as problem:
        st.warning(error_sentence(problem))
        return np.zeros_like(selected.result.heat)


@st.fragment
def _all_calls(shelf: _Shelf) -> None:
    """The effect of a threshold of the scans' scores on all of them."""
    st.subheader("All scans")
    help_text = "The threshold was set before the evaluation. Moving it here shows the trade-off."
    threshold = st.slider(
        "Called bleeding from this score", 0.0, 1.0, shelf.threshold, 0.01, key="calls", help=help_text
    )
    counts = scans.count_calls(shelf.rows, threshold)
    metrics = {
        "Called rightly": counts.tp,
        "Missed": counts.fn,
        "False alarms": counts.fp,
        "Left alone rightly": counts.tn,
    }
    _numbers(metrics)
