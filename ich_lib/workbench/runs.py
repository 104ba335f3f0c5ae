"""Runs: what is training and what was trained, side by side. Wiring only."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from ich_lib.colors import BLUE, GRAY, GREEN, ORANGE, PURPLE, SKY, VERMILION
from ich_lib.evaluation import compare
from ich_lib.evaluation.page import NAMES, shown
from ich_lib.measures.report import Report, figures_of
from ich_lib.models.run import Epoch, Run, differences, find_reports, find_runs
from ich_lib.notice import NOTICE
from ich_lib.workbench import models
from ich_lib.workbench.charts import alt
from ich_lib.workbench.shown import changed, draw, plain, sentence

LIVE_S = 3  # between two looks at the history of a run that goes on
_PROBLEMS = 3  # sentences shown before they are only counted
_MOST = 8  # curves on one chart, as many as colors that anyone can tell apart
_COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, "#000000", GRAY)
_TRAIN = "python -m ich_lib train unet-phantom --out runs/first"
_EVALUATE = "python -m ich_lib evaluate runs/first --data DATA --out runs/first"


def page() -> None:
    """The page.

    What is chosen among names that hang on the folder has no key, so that it begins anew with other names.
    """
    st.title("Runs")
    st.caption(NOTICE)
    folder = st.text_input(
        "Folder with runs",
        models.folder_of_runs(),
        key="runs folder",
        help="Run folders are found in it and in the folders below.",
    )
    models.keep_folder_of_runs(folder)
    try:
        kept, problems = find_runs(folder)
        reports = find_reports(folder)
    except OSError as problem:
        st.info(sentence(problem))
        _how_to_begin()
        return
    for broken in problems[:_PROBLEMS]:
        st.warning(plain(broken))
    if len(problems) > _PROBLEMS:
        st.caption(f"{len(problems) - _PROBLEMS} more run folders cannot be read.")
    if not kept and not reports:
        st.info(plain(f"{folder} holds no run yet."))
        _how_to_begin()
        return
    parts = {
        "Curves": lambda: _curves(_chosen(kept)),
        "Recipes": lambda: _recipes(_chosen(kept)),
        "Scores": lambda: _scores(reports),
        "Two runs": lambda: _two_runs(reports),
        "Groups": lambda: _groups(reports),
        "Filters": lambda: _filters(kept),
    }
    part = st.segmented_control("Show", list(parts), default="Curves", required=True, key="runs part")
    parts[part]()


def _how_to_begin() -> None:
    st.write("Begin one in a terminal; its curve grows on this page while it trains:")
    st.code(_TRAIN, language="bash")


def _chosen(kept: Sequence[Run]) -> list[Run]:
    """The runs to show, at first those that were worked on last, of a cross-validation one."""
    if not kept:
        st.info("This folder holds reports, but no run.")
        return []
    named = {run.name: run for run in kept}
    latest = list({(run.folder.parent, run.recipe.name): run for run in sorted(kept, key=_when)}.values())[-5:]
    names = st.multiselect("Runs", list(named), [run.name for run in kept if run in latest], max_selections=_MOST)
    return [named[name] for name in names]


def _when(run: Run) -> float:
    return changed(run.folder)


# ---- curves ---------------------------------------------------------------------------------------------------------


def _curves(chosen: Sequence[Run]) -> None:
    going = [run for run in chosen if not run.finished]
    st.fragment(_curves_now, run_every=LIVE_S if going else None)(chosen, live=bool(going))


def _curves_now(chosen: Sequence[Run], *, live: bool) -> None:
    if live and all(run.finished for run in chosen):
        st.rerun()  # the last one ended: nobody need look again
    histories = {run.name: run.history() for run in chosen}
    if live:
        st.caption(f"Looked at anew every {LIVE_S} seconds, while a run has no weights of its last step.")
    if any(histories.values()):
        left, right = st.columns(2)
        with left:
            _chart(histories, "loss", "Loss of the training side")
        with right:
            _chart(histories, "val_loss", "Loss of the fold held out (every fifth epoch)")
        with st.expander("Learning rate"):
            _chart(histories, "learning_rate", "Learning rate at the end of the epoch")
        if len({run.recipe.loss for run in chosen}) > 1:
            st.warning("These runs minimize different losses: the heights of their curves cannot be compared.")
    columns = {
        "run": lambda run: run.name,
        "recipe": lambda run: run.recipe.name,
        "state": lambda run: run.state,
        "fold held out": lambda run: "none" if run.held_out is None else str(run.held_out),
        "split": lambda run: run.split.kind,
    }
    if chosen:
        st.table([{name: plain(of(run)) for name, of in columns.items()} for run in chosen])


def _chart(histories: Mapping[str, Sequence[Epoch]], value: str, title: str) -> None:
    import pandas

    rows = [
        {"run": name, "epoch": one.epoch, title: getattr(one, value)}
        for name, epochs in histories.items()
        for one in epochs
        if getattr(one, value) is not None
    ]
    st.markdown(f"**{title}**")
    if not rows:
        st.caption("Not measured yet, or nothing was held out.")
        return
    last = max(2, *(row["epoch"] for row in rows))
    chart = alt.Chart(pandas.DataFrame(rows)).mark_line(point=True)
    chart = chart.encode(
        alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(domain=[1, last])),
        alt.Y(f"{title}:Q", title=None, axis=alt.Axis(format="~g"), scale=alt.Scale(zero=False)),
        alt.Color(
            "run:N",
            sort=list(histories),
            scale=alt.Scale(domain=list(histories), range=_COLORS[: len(histories)]),
            legend=alt.Legend(orient="bottom", columns=2, title=None),
        ),
        tooltip=["run", "epoch", title],
    )
    st.altair_chart(chart.properties(height=380))


# ---- recipes --------------------------------------------------------------------------------------------------------


def _recipes(chosen: Sequence[Run]) -> None:
    import pandas

    settings = differences({run.name: run.recipe for run in chosen})
    apart = [one for one in settings if one.differs]
    if len(chosen) > 1:
        differ = f"{len(apart)} of {len(settings)} settings differ; they stand on top, marked ≠."
        st.write(differ if apart else f"All {len(settings)} settings are the same.")
    only = bool(apart) and st.toggle("Only what differs", value=True, key="recipes differ")
    told = [
        {"": "≠" if one.differs else "", "setting": one.name}
        | {run: "–" if value is None else str(value) for run, value in one.values.items()}
        for one in (apart if only else settings)
    ]
    if told:
        first = chosen[0].name
        marked = lambda row: [  # noqa: E731
            f"background-color: {ORANGE}33" if name not in ("", "setting") and value != row[first] else ""
            for name, value in row.items()
        ]
        st.dataframe(pandas.DataFrame(told).style.apply(marked, axis=1), hide_index=True)
        if apart:
            st.caption(plain(f"Colored: other than in {first}."))


# ---- scores ---------------------------------------------------------------------------------------------------------


@st.cache_data(show_spinner=False, max_entries=50)
def _report(path: Path, when: float) -> Report:
    return compare.read_report(path)


def _opened(reports: Mapping[str, Path]) -> dict[str, Report]:
    """Reports of `evaluate`; others that lie about, of other steps, are left out."""
    found, broken = {}, []
    for name, path in reports.items():
        try:
            found[name] = _report(path, changed(path))
        except (ValueError, OSError):
            broken.append(name)
    if broken:
        st.caption(plain(f"No report of an evaluation, and left out: {', '.join(broken)}."))
    if not found:
        st.info("There is no report yet. Judge a run on patients it never saw:")
        st.code(_EVALUATE, language="bash")
    return found


def _scores(reports: Mapping[str, Path]) -> None:
    told = _opened(reports)
    if not told:
        return
    names = st.multiselect("Reports", list(told), list(told)[:3])
    _warn_of_leaks({name: told[name] for name in names})
    rows = [
        {"": title, **{name: _figure(told[name], key) for name in names}}
        for key, title in NAMES.items()
        if any(_figure(told[name], key) for name in names)
    ]
    if rows:
        st.table([{plain(key): plain(value) for key, value in row.items()} for row in rows])
        st.caption("In brackets the 95 % interval over resamples of patients.")
    for name in names[:1] if len(names) < 2 else [st.selectbox("Figures of", names)]:
        _figures(told[name])


def _figure(report: Report, key: str) -> str:
    """A figure of the headline or of the masks, with its interval and its patients."""
    found = report.headline.get(key) or (figures_of(report.masks).get(key) if report.masks else None)
    if not found or not found.n_patients:
        return ""
    return f"{shown(found)}, {found.n_patients} patients"


def _figures(report: Report) -> None:
    from ich_lib.show import evaluation
    from ich_lib.show.comparison import confusion

    draw(confusion(report), "Confusion matrices: called bleeding or not, against the truth, for slices and scans.")
    for one, name in ((report.slices, "Slices"), (report.whole_scans, "Scans")):
        st.caption(
            f"{name}: sensitivity {shown(one.sensitivity)}, specificity {shown(one.specificity)}, PPV "
            f"{shown(one.ppv)} and NPV {shown(one.npv)} where {one.prevalence:.0%} bleed."
        )
    draw(evaluation(report), "ROC curves, reliability, volumes against the truth, and Dice by patient.")


def _warn_of_leaks(reports: Mapping[str, Report]) -> None:
    for name in (name for name, told in reports.items() if told.leaky):
        st.warning(plain(f"{name} has a leaky split: patients are on both sides, so its figures flatter it."))


# ---- two runs -------------------------------------------------------------------------------------------------------


@st.cache_resource(show_spinner="Resampling patients", max_entries=50)
def _paired(first: Path, second: Path, measure: str, when: tuple[float, float]) -> compare.Paired:
    return compare.paired(compare.read_report(first), compare.read_report(second), compare.PAIRED[measure])


def _two_runs(reports: Mapping[str, Path]) -> None:
    from ich_lib.show.comparison import gains

    told = _opened(reports)
    names = list(told)
    if not names:
        return
    if len(names) < 2:
        st.info("A comparison needs the reports of two runs; this folder holds one.")
        return
    left, right = st.columns(2)
    first = left.selectbox("First run", names)
    second = right.selectbox("Second run", names, index=1)
    pair = reports[first], reports[second]
    try:
        able = compare.measurable(told[first], told[second])
        measure = st.selectbox("Measured by", able)
        found = _paired(*pair, measure, (changed(pair[0]), changed(pair[1])))
    except ValueError as problem:
        st.warning(plain(problem))
        return
    columns = st.columns(3)
    for column, name, one in zip(
        columns, ("First run", "Second run", "Second − first"), (found.first, found.second, found.gain), strict=True
    ):
        column.metric(name, f"{one.value:+.3f}" if one is found.gain else f"{one.value:.3f}")
        column.caption(f"95 % {one.low:.3f} to {one.high:.3f}, {one.n_patients} patients")
    st.markdown(f"**{found.sentence}**")
    _warnings(found.warnings)
    if len(found.gains):
        draw(gains(found), f"Difference of each patient, and their mean with its interval. {found.sentence}")
    said = (
        "Every resample takes the same patients, with all their slices, from both runs, so what makes a patient hard "
    )
    said += "cancels out. Reports keep scores of scans to four digits: their AUC may differ from that of Scores."
    if compare.SLICE_AUC.name not in able:
        said += " The slices themselves lie in slices.csv, which evaluate writes beside a report; both runs need one."
    st.caption(said)


def _warnings(some: Sequence[str]) -> None:
    for one in some:
        st.warning(plain(one))


# ---- groups ---------------------------------------------------------------------------------------------------------

_BY_RUN = "run"


def _groups(reports: Mapping[str, Path]) -> None:
    from ich_lib.show.comparison import boxes

    told = _opened(reports)
    if not told:
        return
    name = st.selectbox("Report", list(told))
    choices = [*compare.kinds(told[name]), *([_BY_RUN] if len(told) > 1 else [])]
    if not choices:
        st.info("All scans of this report are of one kind, and there is no second report.")
        return
    left, right = st.columns(2)
    by = left.selectbox("Grouped by", choices)
    measure = compare.GROUPED[right.selectbox("Measured by", list(compare.GROUPED), key="groups measure")]
    if by == _BY_RUN:
        names = st.multiselect("Runs compared", list(told), list(told)[:3])
        groups = compare.between({one: told[one] for one in names}, measure)
        made = [one for one in groups if compare.simulated(told[one])]
        _warn_of_leaks({one: told[one] for one in names})
    else:
        groups = compare.cohorts(told[name], by, measure)
        made = list(groups) if compare.simulated(told[name]) else []
        _warn_of_leaks({name: told[name]})
    if not groups:
        st.info("No scan of this report has a figure of this kind.")
        return
    counts = ", ".join(f"{group}: {len(some.values)} scans" for group, some in groups.items())
    draw(boxes(groups, measure.name), f"Box plots of {measure.name}. {counts}.")
    _test(groups, made)


def _test(groups: Mapping[str, compare.Group], made: Sequence[str]) -> None:
    """A test of the groups chosen, never without its warnings."""
    left, right = st.columns(2)
    name = left.selectbox("Test", list(compare.TESTS), key="groups test")
    comparisons = right.number_input(
        "Tests you have made in all", 1, 1000, 1, key="groups comparisons", help="Those you did not like, too."
    )
    able = [group for group, some in groups.items() if len(some.values) > 1]
    chosen = st.multiselect("Groups tested", list(groups), able if name == "ANOVA" else able[:2])
    try:
        found = compare.TESTS[name](
            {group: groups[group].values for group in chosen},
            patients={group: groups[group].numbers for group in chosen},
            simulated=[group for group in made if group in chosen],
            comparisons=int(comparisons),
        )
    except ValueError as problem:
        st.warning(plain(problem))
        return
    st.markdown(f"**{plain(str(found).splitlines()[0])}**")
    _warnings(found.warnings)


# ---- filters --------------------------------------------------------------------------------------------------------


@st.cache_data(show_spinner="Asking Keras: some seconds, the first time", max_entries=20)
def _first_filters(folder: Path, when: float) -> tuple:
    from ich_lib.explanation.filters import before_and_after

    return before_and_after(folder)


def _filters(kept: Sequence[Run]) -> None:
    from ich_lib.show import filters

    able = {run.name: run for run in kept if run.finished and run.recipe.is_network}
    if not able:
        st.info("First filters are shown of a finished run of a network; there is none yet.")
        return
    run = able[st.selectbox("Run", list(able))]
    channels = run.recipe.channels
    channel = st.number_input("Input channel", 0, channels - 1, (channels - 1) // 2)
    st.caption("Channels are slices times windows, foot first. Filters are read from the weights by Keras.")
    if not st.toggle("Read the weights", key="filters read"):
        return
    try:
        before, after = _first_filters(run.folder, changed(run.folder))
        draw(filters(before, after, channel=int(channel)), "The first layer's filters before and after training.")
    except (ValueError, OSError, ImportError) as problem:
        st.warning(sentence(problem))
