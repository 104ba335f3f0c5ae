"""Cases: the worst and the best scans of a model beside their truth, at any threshold. Wiring only."""

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
from ich_lib.evaluation import case_of, compare, opened
from ich_lib.evaluation.causes import OTHER, SAYS, Failure, causes
from ich_lib.evaluation.gallery import sentence, telling
from ich_lib.explanation import NAMES as METHODS
from ich_lib.measures.report import Line, Report
from ich_lib.notice import NOTICE
from ich_lib.prediction.analyze import Result, analyze
from ich_lib.prediction.engine import SHIPPED
from ich_lib.prediction.uncertainty import score_text
from ich_lib.scan import Scan
from ich_lib.show.figure import Figure
from ich_lib.workbench import models, scans
from ich_lib.workbench.scans import BEST
from ich_lib.workbench.shown import changed, draw, plain
from ich_lib.workbench.shown import sentence as told_of

_PHANTOMS, _OWN = "Phantoms", "My own run and data"
_CAM = METHODS[0]
_COLUMNS = 3
_EVERY_S = 1.0  # between two looks at how many heads are read
_PRIVATE = "These pictures are of the scans in your folder. Where they are patients, keep them on this machine."


@dataclass(frozen=True)
class _Shelf:
    """Scans with their truth, and a model that was judged on them.

    Attributes:
        rows: lines of a report.
        threshold: a scan is called bleeding from this score on.
        who: what a line is called on the page, such as "patient 3".
        which: tells its scan from all others; it names a patient and is never shown.
        source: of the model judged on a line.
        case: a line to its scan.
        result: a line and a source to what the model there says.
        seen: a line and a source to whether the model there was trained on that patient.
    """

    rows: Sequence[Line]
    threshold: float
    who: Callable[[Line], str]
    which: Callable[[Line], str]
    source: Callable[[Line], str]
    case: Callable[[Line], Case]
    result: Callable[[Line, str], Result]
    seen: Callable[[Line, str], bool]


@dataclass(frozen=True)
class _Chosen:
    """The case looked at, what the model at `source` says of it, and the last two of its shelf."""

    case: Case
    result: Result
    source: str
    who: str
    which: str


def page() -> None:
    """The page."""
    st.title("Cases")
    st.caption(NOTICE)
    whose = st.segmented_control("Scans", [_PHANTOMS, _OWN], default=_PHANTOMS, required=True, key="cases whose")
    try:
        shelf = _phantoms() if whose == _PHANTOMS else _own()
        if shelf:
            _shown(shelf)
    except (ValueError, OSError, ImportError) as problem:
        st.warning(told_of(problem))


# ---- phantoms -------------------------------------------------------------------------------------------------------


class _Asking:
    """The shipped model asked about head after head, in a thread of its own; `done` of them have their answer."""

    def __init__(self) -> None:
        self.done = 0
        self.problem: Exception | None = None
        thread = Thread(target=self._ask, daemon=True)
        add_script_run_ctx(thread)
        thread.start()

    def _ask(self) -> None:
        try:
            for k in range(len(scans.samples())):
                _sample_result(k, SHIPPED, models.stamp(SHIPPED))
                self.done = k + 1
        except (ValueError, OSError, ImportError) as problem:
            self.problem = problem


@st.cache_resource(show_spinner=False)
def _asking() -> _Asking:
    return _Asking()


def prepare() -> None:
    """Begin with it, once, while another page is looked at."""
    _asking()


@st.cache_resource(show_spinner=False, max_entries=16)
def _sample(number: int) -> Case:
    return scans.samples()[number]()


@st.cache_resource(show_spinner=False, max_entries=64)
def _sample_result(number: int, source: str, stamp: float) -> Result:
    return analyze(_sample(number).scan, models.opened(source, stamp))


def _answered(source: str) -> int:
    """How many heads the page has: of the shipped model those it was asked about so far, of others all."""
    count = len(scans.samples())
    if source != SHIPPED:
        return count
    asking = _asking()
    while not asking.done and not asking.problem:
        time.sleep(_EVERY_S / 10)
    if asking.problem:
        raise asking.problem
    return asking.done


@st.fragment(run_every=_EVERY_S)
def _others() -> None:
    """How many heads there are; the page begins anew with all of them."""
    asking, count = _asking(), len(scans.samples())
    if asking.done == count:
        st.rerun()
    elif not asking.problem:
        st.progress(asking.done / count, f"{asking.done} of {count} heads are made and read; the others follow …")


def _phantoms() -> _Shelf:
    source = st.text_input("Model", SHIPPED, key="cases model", help="shipped, a run folder, or what export wrote.")
    with st.spinner("Making a head by code and asking the model: some seconds, once"):
        count = _answered(source)
        results = [_sample_result(k, source, models.stamp(source)) for k in range(count)]
    if count < len(scans.samples()):
        _others()
    number = lambda row: int(row.patient)  # noqa: E731
    return _Shelf(
        rows=[scans.row(result, _sample(k), str(k)) for k, result in enumerate(results)],
        threshold=results[0].score_threshold,
        who=lambda row: f"head {number(row) + 1}",
        which=lambda row: f"{_PHANTOMS} {number(row)}",
        source=lambda row: source,
        case=lambda row: _sample(number(row)),
        result=lambda row, model: _sample_result(number(row), model, models.stamp(model)),
        seen=lambda row, model: False,
    )


# ---- one's own ------------------------------------------------------------------------------------------------------


@st.cache_resource(show_spinner="Reading the data set", max_entries=4)
def _table(data: str, stamp: float) -> Table:
    return opened(Path(data).expanduser())


@st.cache_resource(show_spinner="Reading the scan", max_entries=16)
def _own_case(data: str, stamp: float, scan: str) -> Case:
    table = _table(data, stamp)
    rows = scans.rows_of(table, scan)
    try:
        return case_of(table, rows)
    except ValueError as problem:  # its sentence names the patient's file
        raise ValueError("A file of this scan cannot be read; the page Data tells which.") from problem


@st.cache_resource(show_spinner="Asking the model", max_entries=16)
def _own_result(data: str, stamp: float, scan: str, source: str, made: float) -> Result:
    return analyze(_own_case(data, stamp, scan).scan, models.opened(source, made))


def _own() -> _Shelf | None:
    left, right = st.columns(2)
    source = left.text_input("Run", key="cases run", help="A run folder, or a folder of runs fold-0, fold-1, ...")
    data = right.text_input("Data", key="cases data", help="Folder of a data set, or a store of whole slices.")
    if not source or not data:
        st.info("Name a run that evaluate has judged, and the data it was judged on. Nothing leaves this machine.")
        return None
    beside = Path(source).expanduser() / "report.json"
    path = Path(st.text_input("Report", key="cases report", placeholder=str(beside)) or beside).expanduser()
    if not path.is_file():
        st.info(plain(f"There is no {path.name} in {path.parent}. It tells the worst cases; make it in a terminal:"))
        st.code(f"python -m ich_lib evaluate {source} --data {data} --out {source}", language="bash")
        return None
    if not Path(data).expanduser().exists():
        st.warning(plain(f"{data} is neither a folder nor a file of store."))
        return None
    return _of_report(compare.read_report(path), str(Path(source).expanduser()), data)


def _of_report(report: Report, source: str, data: str) -> _Shelf:
    stamp, known = changed(Path(data).expanduser()), compare.numbers(report)
    table = _table(data, stamp)
    st.caption(_PRIVATE)
    if report.leaky:
        st.warning("The split leaks: patients are on both sides, so what is shown flatters the run.")

    def judge_of(row: Line) -> str:
        place = str(scans.place_of(source, row.fold))
        scans.check_report(report, models.opened(place, models.stamp(place)), place, table)
        return place

    return _Shelf(
        rows=report.per_patient,
        threshold=report.score_threshold,
        who=lambda row: f"patient {known[row.patient]}",
        which=lambda row: f"{data} {stamp} {row.scan}",
        source=judge_of,
        case=lambda row: _own_case(data, stamp, row.scan),
        result=lambda row, model: _own_result(data, stamp, row.scan, model, models.stamp(model)),
        seen=lambda row, model: scans.was_seen(
            models.opened(model, models.stamp(model)), model, table, scans.rows_of(table, row.scan)
        ),
    )


# ---- what is shown --------------------------------------------------------------------------------------------------


def _shown(shelf: _Shelf) -> None:
    order = scans.ranked(shelf.rows, threshold=shelf.threshold)
    if not order:
        st.info("No scan failed, and none bleeds and was called: there is no case to rank.")
        return
    told = [_named(shelf, kind, row) for kind, row in order]
    left, right = st.columns(2)
    chosen = left.selectbox("Case, the worst first", told)
    others = right.text_input(
        "Held beside it",
        key="cases others",
        help=f"Further models: {SHIPPED}, or run folders, with a semicolon between.",
        placeholder="runs/first; runs/second",
    )
    kind, row = order[told.index(chosen)]
    source = shelf.source(row)
    case, result = shelf.case(row), shelf.result(row, source)
    _in_words(kind, row, shelf.threshold, Failure(case, result.mask))
    if shelf.seen(row, source):
        st.warning("This model was trained on slices of this patient: what it answers flatters it.")
    beside = _beside(shelf, row, [one.strip() for one in others.split(";") if one.strip()])
    _look(_Chosen(case, result, source, shelf.who(row), shelf.which(row)), beside)
    _all_calls(shelf)


def _named(shelf: _Shelf, kind: str, row: Line) -> str:
    overlap = "" if row.dice is None else f", Dice {row.dice:.2f}"
    return f"{kind.capitalize()}: {shelf.who(row)}, score {score_text(row.scan_any, shelf.threshold)}{overlap}"


def _in_words(kind: str, row: Line, threshold: float, case: Failure) -> None:
    if kind == BEST:
        types = ", ".join(row.types) or "type unknown"
        st.write(f"Bleeds ({types}) and was called. Mask and truth overlap by a Dice of {row.dice:.2f}.")
        return
    st.write(plain(sentence(kind, row, threshold)))
    first, *rest = causes(case)
    if first == OTHER:
        st.caption("No rule finds a cause here: look for yourself.")
        return
    also = f" Also fits: {', '.join(rest)}." if rest else ""
    st.caption(plain(f"Probable cause: {first}. {SAYS[first]}{also} A rule proves nothing: look for yourself."))


def _beside(shelf: _Shelf, row: Line, sources: Sequence[str]) -> dict[str, Result]:
    """Name of the model to its answer; a model that cannot be asked gets a sentence, and the others go on."""
    found = {}
    for source in sources:
        place = str(scans.place_of(source, row.fold))
        try:
            found[source] = shelf.result(row, place)
            if shelf.seen(row, place):
                st.warning(plain(f"{source} was trained on slices of this patient: what it answers flatters it."))
        except (ValueError, OSError, ImportError) as problem:
            st.warning(told_of(problem))
    return found


@st.fragment
def _look(chosen: _Chosen, beside: Mapping[str, Result]) -> None:
    """One case with its sliders; only this part runs again when one is moved."""
    from ich_lib.show.cases import picture

    case, result, key = chosen.case, chosen.result, f"cases {chosen.who}"
    failed = Failure(case, result.mask)
    left, middle, right = st.columns(3)
    count = len(case.truth)
    first = telling(failed, result.heat, count=1)[0] + 1
    k = (left.slider("Slice, from foot to head", 1, count, first, key=f"{key} slice") if count > 1 else 1) - 1
    told = "A voxel is blood from this probability on. Set before training; choosing it by the truth is tuning on it."
    threshold = middle.slider("Threshold of the mask", 0.02, 0.98, result.threshold, 0.02, key=f"{key} t", help=told)
    method = right.selectbox("Heat map", METHODS, key=f"{key} heat", help=f"All but {_CAM} ask Keras: seconds.")
    _metrics(case, result, threshold)
    heat = result.heat if method == _CAM else _heat_or_word(chosen, method)
    shown = replace(result, threshold=threshold, heat=heat)
    _row(
        {
            f"Slice {k + 1} of {count}": picture(result.scan, k),
            "Truth blue, mask yellow": picture(result.scan, k, truth=case.truth, mask=shown.mask),
            f"Heat ({method})": picture(result.scan, k, heat=heat),
        }
    )
    scale = "It is as high as the score of the scan." if method == _CAM else "1 is the strongest place the network saw."
    st.caption(f"Heat tells where the answer came from, not that it is right. {scale}{_caveats(case, result, k)}")
    if beside:
        results = {chosen.source: shown, **beside}
        _row({name: picture(one.scan, k, truth=case.truth, mask=one.mask) for name, one in results.items()})
        st.table([_compared(name, one, case) for name, one in results.items()])


def _row(pictures: Mapping[str, Figure]) -> None:
    """Pictures with their names, three in a row; on a narrow screen below each other."""
    some = list(pictures.items())
    for start in range(0, len(some), _COLUMNS):
        for column, (name, one) in zip(st.columns(_COLUMNS), some[start : start + _COLUMNS], strict=False):
            with column:
                st.caption(plain(name))
                draw(one, name)


def _caveats(case: Case, result: Result, k: int) -> str:
    said = "" if case.outlined[k] else " Nobody outlined this slice: its truth is not known."
    return said + ("" if result.scan.spacing_known else " mL rest on an assumed size of a voxel.")


def _metrics(case: Case, result: Result, threshold: float) -> None:
    if not case.outlined.any():
        st.info("No slice of this scan is outlined, so its mask cannot be measured.")
        return
    now = scans.at_threshold(result, case, threshold)
    shown = {
        "Dice": f"{now.dice:.3f}",
        "Dice per subject": "–" if now.dice_per_subject is None else f"{now.dice_per_subject:.3f}",
        "Marked": f"{now.marked_ml:.1f} mL",
        "True": f"{now.true_ml:.1f} mL",
        "Missed": f"{now.missed_ml:.1f} mL",
        "Wrongly marked": f"{now.wrong_ml:.1f} mL",
    }
    _numbers(shown)


def _numbers(shown: Mapping[str, int | str]) -> None:
    with st.container(horizontal=True):
        for name, value in shown.items():
            st.metric(name, value, width="content")


def _compared(name: str, result: Result, case: Case) -> dict[str, str]:
    told = {
        "model": plain(name),
        "score": score_text(result.scores["any"], result.score_threshold),
        "threshold": f"{result.threshold:.2f}",
    }
    if not case.outlined.any():
        return told
    now = scans.at_threshold(result, case, result.threshold)
    return told | {"Dice": f"{now.dice:.3f}", "marked mL": f"{now.marked_ml:.1f}", "true mL": f"{now.true_ml:.1f}"}


@st.cache_resource(show_spinner="Asking Keras for the map: some seconds", max_entries=16)
def _heat(_scan: Scan, which: str, source: str, method: str, stamp: float) -> np.ndarray:
    from ich_lib.explanation import explain

    return explain(_scan, method, source)


def _heat_or_word(chosen: _Chosen, method: str) -> np.ndarray:
    try:
        return _heat(chosen.result.scan, chosen.which, chosen.source, method, models.stamp(chosen.source))
    except (ValueError, OSError, ImportError) as problem:
        st.warning(told_of(problem))
        return np.zeros_like(chosen.result.heat)


@st.fragment
def _all_calls(shelf: _Shelf) -> None:
    """What a threshold of the scans' scores does to all of them."""
    st.subheader("All scans")
    told = "The threshold was set before anything was judged. Moving it here shows what would be traded."
    threshold = st.slider("Called bleeding from this score on", 0.0, 1.0, shelf.threshold, 0.01, key="calls", help=told)
    found = scans.calls(shelf.rows, threshold)
    shown = {"Called rightly": found.tp, "Missed": found.fn, "False alarms": found.fp, "Left alone rightly": found.tn}
    _numbers(shown)
