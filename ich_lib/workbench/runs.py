"""Runs: current and finished trainings, compared. Wiring only."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from ich_lib.colors import BLUE, GRAY, GREEN, ORANGE, PURPLE, SKY, VERMILION
from ich_lib.evaluation import compare
from ich_lib.evaluation.page import FIGURE_NAMES, to_text
from ich_lib.measures.report import Report, figures_of
from ich_lib.models.run import Epoch, Run, compare_recipes, find_reports, find_runs
from ich_lib.notice import NOTICE
from ich_lib.workbench import models
from ich_lib.workbench.charts import alt
from ich_lib.workbench.shown import error_sentence, escape_markdown, modified_at, show_figure

LIVE_S = 3  # between two checks of the history of a running training
_PROBLEMS = 3  # messages shown before they are only counted
_MAX_CURVES = 8  # curves on one chart, as many as distinguishable colors
_COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, "#000000", GRAY)
_TRAIN = "python -m ich_lib train unet-phantom --out runs/first"
_EVALUATE = "python -m ich_lib evaluate runs/first --data DATA --out runs/first"


def page() -> None:
    """The page.

    Widgets whose choices depend on the folder have no key, so that they start again with other names.
    """
    st.title("Runs")
    st.caption(NOTICE)
    folder = st.text_input(
        "Folder with runs",
        models.folder_of_runs(),
        key="runs folder",
        help="Run folders are searched in it and in the folders below.",
    )
    models.keep_folder_of_runs(folder)
    try:
        run_folders, problems = find_runs(folder)
        reports = find_reports(folder)
    except OSError as problem:
        st.info(error_sentence(problem))
        _how_to_begin()
        return
    for broken in problems[:_PROBLEMS]:
        st.warning(escape_markdown(broken))
    if len(problems) > _PROBLEMS:
        st.caption(f"{len(problems) - _PROBLEMS} more run folders cannot be read.")
    if not run_folders and not reports:
        st.info(escape_markdown(f"{folder} holds no run yet."))
        _how_to_begin()
        return
    views = {
        "Curves": lambda: _curves(_choose_runs(run_folders)),
        "Recipes": lambda: _recipes(_choose_runs(run_folders)),
        "Scores": lambda: _scores(reports),
        "Two runs": lambda: _two_runs(reports),
        "Groups": lambda: _groups(reports),
        "Filters": lambda: _filters(run_folders),
    }
    part = st.segmented_control("Show", list(views), default="Curves", required=True, key="runs part")
    views[part]()


def _how_to_begin() -> None:
    st.write("Start one in a terminal; its curve grows on this page while it trains:")
    st.code(_TRAIN, language="bash")


def _choose_runs(run_folders: Sequence[Run]) -> list[Run]:
    """The runs to show: at first the latest, and only one of a cross-validation."""
    if not run_folders:
        st.info("This folder holds reports, but no run.")
        return []
    by_name = {run.name: run for run in run_folders}
    latest = list(
        {(run.folder.parent, run.recipe.name): run for run in sorted(run_folders, key=_last_change)}.values()
    )[-5:]
    names = st.multiselect(
        "Runs", list(by_name), [run.name for run in run_folders if run in latest], max_selections=_MAX_CURVES
    )
    return [by_name[name] for name in names]


def _last_change(run: Run) -> float:
    return modified_at(run.folder)


# ---- curves ---------------------------------------------------------------------------------------------------------


def _curves(selected: Sequence[Run]) -> None:
    going = [run for run in selected if not run.finished]
    st.fragment(_curves_now, run_every=LIVE_S if going else None)(selected, live=bool(going))


def _curves_now(selected: Sequence[Run], *, live: bool) -> None:
    if live and all(run.finished for run in selected):
        st.rerun()  # the last run has ended: no further check is needed
    histories = {run.name: run.history() for run in selected}
    if live:
        st.caption(f"Updated every {LIVE_S} seconds, until a run has the weights of its last step.")
    if any(histories.values()):
        left, right = st.columns(2)
        with left:
            _chart(histories, "loss", "Loss of the training side")
        with right:
            _chart(histories, "val_loss", "Loss of the held-out fold (every fifth epoch)")
        with st.expander("Learning rate"):
            _chart(histories, "learning_rate", "Learning rate at the end of the epoch")
        if len({run.recipe.loss for run in selected}) > 1:
            st.warning("These runs minimize different losses: the heights of their curves cannot be compared.")
    columns = {
        "run": lambda run: run.name,
        "recipe": lambda run: run.recipe.name,
        "state": lambda run: run.state,
        "fold held out": lambda run: "none" if run.held_out is None else str(run.held_out),
        "split": lambda run: run.split.kind,
    }
    if selected:
        st.table([{name: escape_markdown(of(run)) for name, of in columns.items()} for run in selected])


def _chart(histories: Mapping[str, Sequence[Epoch]], value: str, title: str) -> None:
    import pandas

    rows = [
        {"run": name, "epoch": epoch.epoch, title: getattr(epoch, value)}
        for name, epochs in histories.items()
        for epoch in epochs
        if getattr(epoch, value) is not None
    ]
    st.markdown(f"**{title}**")
    if not rows:
        st.caption("Not measured yet, or no fold was held out.")
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


def _recipes(selected: Sequence[Run]) -> None:
    import pandas

    settings = compare_recipes({run.name: run.recipe for run in selected})
    differing = [setting for setting in settings if setting.is_different]
    if len(selected) > 1:
        differ = f"{len(differing)} of {len(settings)} settings differ; they are at the top, marked ≠."
        st.write(differ if differing else f"All {len(settings)} settings are the same.")
    only = bool(differing) and st.toggle("Only what differs", value=True, key="recipes differ")
    rows = [
        {"": "≠" if setting.is_different else "", "setting": setting.name}
        | {run: "–" if value is None else str(value) for run, value in setting.values.items()}
        for setting in (differing if only else settings)
    ]
    if rows:
        first = selected[0].name
        highlight = lambda row: [  # noqa: E731
            f"background-color: {ORANGE}33" if name not in ("", "setting") and value != row[first] else ""
            for name, value in row.items()
        ]
        st.dataframe(pandas.DataFrame(rows).style.apply(highlight, axis=1), hide_index=True)
        if differing:
            st.caption(escape_markdown(f"Colored: different from {first}."))


# ---- scores ---------------------------------------------------------------------------------------------------------


@st.cache_data(show_spinner=False, max_entries=50)
def _report(path: Path, when: float) -> Report:
    return compare.read_report(path)


def _open_reports(reports: Mapping[str, Path]) -> dict[str, Report]:
    """Reports of `evaluate`; other files of that name are left out."""
    evaluations, unreadable = {}, []
    for name, path in reports.items():
        try:
            evaluations[name] = _report(path, modified_at(path))
        except (ValueError, OSError):
            unreadable.append(name)
    if unreadable:
        st.caption(escape_markdown(f"Left out, because they are no evaluations: {', '.join(unreadable)}."))
    if not evaluations:
        st.info("There is no report yet. Evaluate a run on patients it never saw:")
        st.code(_EVALUATE, language="bash")
    return evaluations


def _scores(reports: Mapping[str, Path]) -> None:
    evaluations = _open_reports(reports)
    if not evaluations:
        return
    names = st.multiselect("Reports", list(evaluations), list(evaluations)[:3])
    _warn_of_leaks({name: evaluations[name] for name in names})
    rows = [
        {"": title, **{name: _figure(evaluations[name], key) for name in names}}
        for key, title in FIGURE_NAMES.items()
        if any(_figure(evaluations[name], key) for name in names)
    ]
    if rows:
        st.table([{escape_markdown(key): escape_markdown(value) for key, value in row.items()} for row in rows])
        st.caption("In parentheses: 95 % intervals over resampled patients.")
    for name in names[:1] if len(names) < 2 else [st.selectbox("Figures of", names)]:
        _figures(evaluations[name])


def _figure(report: Report, key: str) -> str:
    """A figure of the headline or of the masks, with its interval and its patients."""
    figure = report.headline.get(key) or (figures_of(report.masks).get(key) if report.masks else None)
    if not figure or not figure.n_patients:
        return ""
    return f"{to_text(figure)}, {figure.n_patients} patients"


def _figures(report: Report) -> None:
    from ich_lib.show import evaluation
    from ich_lib.show.comparison import confusion_plot

    show_figure(
        confusion_plot(report), "Confusion matrices: called bleeding or not, against the truth, for slices and scans."
    )
    for calls, name in ((report.slices, "Slices"), (report.whole_scans, "Scans")):
        st.caption(
            f"{name}: sensitivity {to_text(calls.sensitivity)}, specificity {to_text(calls.specificity)}, PPV "
            f"{to_text(calls.ppv)} and NPV {to_text(calls.npv)} where {calls.prevalence:.0%} bleed."
        )
    show_figure(evaluation(report), "ROC curves, reliability, volumes against the truth, and Dice by patient.")


def _warn_of_leaks(reports: Mapping[str, Report]) -> None:
    for name in (name for name, report in reports.items() if report.leaky):
        st.warning(escape_markdown(f"{name} has a leaky split: patients are on both sides. Its figures are too high."))


# ---- two runs -------------------------------------------------------------------------------------------------------


@st.cache_resource(show_spinner="Resampling patients", max_entries=50)
def _paired(first: Path, second: Path, measure: str, when: tuple[float, float]) -> compare.Paired:
    return compare.compare_runs(compare.read_report(first), compare.read_report(second), compare.RUN_MEASURES[measure])


def _two_runs(reports: Mapping[str, Path]) -> None:
    from ich_lib.show.comparison import difference_plot

    evaluations = _open_reports(reports)
    names = list(evaluations)
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
        able = compare.common_measures(evaluations[first], evaluations[second])
        measure = st.selectbox("Measured by", able)
        comparison = _paired(*pair, measure, (modified_at(pair[0]), modified_at(pair[1])))
    except ValueError as problem:
        st.warning(escape_markdown(problem))
        return
    columns = st.columns(3)
    for column, name, estimate in zip(
        columns,
        ("First run", "Second run", "Second − first"),
        (comparison.first, comparison.second, comparison.difference),
        strict=True,
    ):
        column.metric(name, f"{estimate.value:+.3f}" if estimate is comparison.difference else f"{estimate.value:.3f}")
        column.caption(f"95 % {estimate.low:.3f} to {estimate.high:.3f}, {estimate.n_patients} patients")
    st.markdown(f"**{comparison.sentence}**")
    _warnings(comparison.warnings)
    if len(comparison.differences):
        show_figure(
            difference_plot(comparison),
            f"Difference of each patient, and their mean with its interval. {comparison.sentence}",
        )
    conclusion = (
        "Every resample takes the same patients, with all their slices, from both runs, so what makes a patient hard "
    )
    conclusion += "cancels out. Reports keep scores of scans to four digits: their AUC may differ from that of Scores."
    if compare.SLICE_AUC.name not in able:
        conclusion += " The slices are in slices.csv, which evaluate writes beside a report; both runs need one."
    st.caption(conclusion)


def _warnings(messages: Sequence[str]) -> None:
    for message in messages:
        st.warning(escape_markdown(message))


# ---- groups ---------------------------------------------------------------------------------------------------------

_BY_RUN = "run"


def _groups(reports: Mapping[str, Path]) -> None:
    from ich_lib.show.comparison import box_plot

    evaluations = _open_reports(reports)
    if not evaluations:
        return
    name = st.selectbox("Report", list(evaluations))
    choices = [*compare.groupings(evaluations[name]), *([_BY_RUN] if len(evaluations) > 1 else [])]
    if not choices:
        st.info("All scans of this report are of one kind, and there is no second report.")
        return
    left, right = st.columns(2)
    by = left.selectbox("Grouped by", choices)
    measure = compare.GROUP_MEASURES[right.selectbox("Measured by", list(compare.GROUP_MEASURES), key="groups measure")]
    if by == _BY_RUN:
        names = st.multiselect("Runs compared", list(evaluations), list(evaluations)[:3])
        groups = compare.group_runs({name: evaluations[name] for name in names}, measure)
        simulated = [name for name in groups if compare.is_simulated(evaluations[name])]
        _warn_of_leaks({name: evaluations[name] for name in names})
    else:
        groups = compare.group_scans(evaluations[name], by, measure)
        simulated = list(groups) if compare.is_simulated(evaluations[name]) else []
        _warn_of_leaks({name: evaluations[name]})
    if not groups:
        st.info("No scan of this report has a figure of this kind.")
        return
    counts = ", ".join(f"{group}: {len(members.values)} scans" for group, members in groups.items())
    show_figure(box_plot(groups, measure.name), f"Box plots of {measure.name}. {counts}.")
    _test(groups, simulated)


def _test(groups: Mapping[str, compare.Group], simulated: Sequence[str]) -> None:
    """A test of the chosen groups, always with its warnings."""
    left, right = st.columns(2)
    name = left.selectbox("Test", list(compare.TESTS), key="groups test")
    comparisons = right.number_input(
        "All tests that you have made", 1, 1000, 1, key="groups comparisons", help="Include the ones you did not like."
    )
    able = [group for group, members in groups.items() if len(members.values) > 1]
    selected = st.multiselect("Groups tested", list(groups), able if name == "ANOVA" else able[:2])
    try:
        outcome = compare.TESTS[name](
            {group: groups[group].values for group in selected},
            patients={group: groups[group].numbers for group in selected},
            simulated=[group for group in simulated if group in selected],
            comparisons=int(comparisons),
        )
    except ValueError as problem:
        st.warning(escape_markdown(problem))
        return
    st.markdown(f"**{escape_markdown(str(outcome).splitlines()[0])}**")
    _warnings(outcome.warnings)


# ---- filters --------------------------------------------------------------------------------------------------------


@st.cache_data(show_spinner="Loading Keras: some seconds, the first time", max_entries=20)
def _first_filters(folder: Path, when: float) -> tuple:
    from ich_lib.explanation.filters import before_and_after

    return before_and_after(folder)


def _filters(run_folders: Sequence[Run]) -> None:
    from ich_lib.show import filters

    able = {run.name: run for run in run_folders if run.finished and run.recipe.is_network}
    if not able:
        st.info("First filters need a finished run of a network; there is none yet.")
        return
    run = able[st.selectbox("Run", list(able))]
    channels = run.recipe.channels
    channel = st.number_input("Input channel", 0, channels - 1, (channels - 1) // 2)
    st.caption("Channels are slices times windows, foot first. Keras reads the filters from the weights.")
    if not st.toggle("Read the weights", key="filters read"):
        return
    try:
        before, after = _first_filters(run.folder, modified_at(run.folder))
        show_figure(
            filters(before, after, channel=int(channel)), "The first layer's filters before and after training."
        )
    except (ValueError, OSError, ImportError) as problem:
        st.warning(error_sentence(problem))
