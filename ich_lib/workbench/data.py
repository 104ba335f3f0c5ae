"""Data: the contents of a data set, before training. Wiring only."""

import numpy as np
import pandas as pd
import streamlit as st

from ich_lib.colors import BLUE, VERMILION
from ich_lib.data import Table, summary
from ich_lib.data.split import SPLITS, Split, find_leaks
from ich_lib.data.summary import CLEAN
from ich_lib.labels import ANY, COLORS, LABELS, TYPES
from ich_lib.notice import NOTICE
from ich_lib.prepare.window import WINDOWS
from ich_lib.scan import AIR_HU
from ich_lib.workbench import source
from ich_lib.workbench.charts import alt
from ich_lib.workbench.shown import escape_markdown
from ich_lib.workbench.source import RemoteDataset
from ich_lib.workbench.stack import STACK_WINDOWS, TRUTH, encode_frames, outline_points, show_stack

_SAMPLE = 24  # slices whose CT numbers are counted
_TILES, _TILE_PX, _COLUMNS = 12, 240, 4
_SPLITS = {"by patient": "patient", "by image": "leaky image", "by row of the table": "leaky row"}
_GRAY = "#8A94A0"


def page() -> None:
    """The page."""
    st.title("Data")
    st.caption(NOTICE)
    data_source = source.choose_source("data")
    if data_source is None:
        return
    _show_summary(data_source)
    view = st.segmented_control("Look at", list(_VIEWS), default="Counts", required=True, key="data view")
    try:
        _VIEWS[view](data_source)
    except (ValueError, OSError) as problem:
        st.error(escape_markdown(problem))


def _show_summary(data_source: RemoteDataset) -> None:
    """The size of the data set, and its problems."""
    table, bleeding = data_source.table, data_source.table.labels[:, ANY]
    values = {
        "slices": len(table),
        "scans": len(np.unique(table.scan)),
        "patients": len([name for name in table.patients if name]),
        "with blood": int(bleeding.sum()),
        "of them outlined": int((bleeding & table.outlined).sum()),
    }
    st.markdown(
        f"**{escape_markdown(table.name)}:** " + ", ".join(f"**{number:,}** {name}" for name, number in values.items())
    )
    store = source.complete_store(data_source)
    report = table.report if store is None else store.table.report
    for sentence in report.sentences:  # names of slices follow the colon; they are shown only in the table
        st.warning(escape_markdown(sentence.split(":")[0] + "."))
    read = "Every picture was read." if store else "Read every picture under Leaks to find unreadable files."
    st.caption(escape_markdown(f"{table.attribution.rstrip('.')}. {read if store or data_source.is_own else ''}"))


def _counts(data_source: RemoteDataset) -> None:
    rows = pd.DataFrame([vars(count) for count in summary.count_labels(data_source.table)])
    colors = dict(zip(LABELS, COLORS, strict=True)) | {CLEAN: "#D5DBE2"}
    bars = (
        alt.Chart(rows)
        .mark_bar(size=20)
        .encode(
            x=alt.X("slices:Q", title="slices", axis=alt.Axis(tickCount=6)),
            y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=200)),
            color=alt.Color("label:N", legend=None, scale=alt.Scale(domain=list(colors), range=list(colors.values()))),
            tooltip=["label", "slices", "scans", "patients"],
        )
        .properties(height=40 * len(rows) + 50)
    )
    left, right = st.columns([3, 2])
    left.altair_chart(bars, width="stretch")
    right.dataframe(rows, hide_index=True, width="stretch")
    right.caption(f"Scans and patients of “{CLEAN}” have no blood on any slice; a slice may show several types.")


def _pictures(data_source: RemoteDataset) -> None:
    table = data_source.table
    labels = [label for label in (*table.known_labels, CLEAN) if summary.has_label(table, label).any()]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.pills("Slices that show", labels, default=labels[0], required=True, wrap=True, key="data label")
        name = st.segmented_control("Window", STACK_WINDOWS, default="brain", required=True, key="data window")
        redraw = st.button("Other slices")
    if redraw:
        st.session_state["data draw"] = st.session_state.get("data draw", 0) + 1
    rows = summary.pick_rows(table, label, _TILES, seed=st.session_state.get("data draw", 0))
    picture, unread = _sheet(data_source.version, tuple(rows.tolist()), name, _table=table)
    st.image(picture, width="stretch", alt=f"{len(rows)} slices with {label}, {name} window")
    outlined = "Outlined blood is blue. " if label != CLEAN else ""
    st.caption(f"{len(rows)} slices at random, other patients first, patient's right on the left. {outlined}")
    if unread:
        st.warning(f"{unread} of these slices cannot be read; they are dark.")


@st.cache_data(show_spinner="Reading pictures …", max_entries=50)
def _sheet(version: str, rows: tuple[int, ...], name: str, *, _table: Table) -> tuple[np.ndarray, int]:
    slices = summary.read_rows(_table, rows)
    tiles = [summary.render_tile(hu, mask, *WINDOWS[name], _TILE_PX) for hu, mask in slices]
    return summary.contact_sheet(tiles, _COLUMNS), sum(hu is None for hu, _ in slices)


def _case(data_source: RemoteDataset) -> None:
    table = data_source.table
    scans = list(table.scans())
    names = [_slice_caption(table, rows, place) for place, rows in enumerate(scans, start=1)]
    first = next((place for place, rows in enumerate(scans) if table.labels[rows, ANY].any()), 0)
    place = st.selectbox(
        "Case", range(len(scans)), index=first, format_func=names.__getitem__, key=f"case {data_source.key}"
    )
    rows = scans[place]
    pictures, outlines, unread = _stack(data_source.version, place, _table=table, _rows=rows)
    bleeding = table.labels[rows, ANY]
    left, right = st.columns([3, 2])
    with left:
        numbers = [f"Slice {k} of {len(rows)}" for k in range(1, len(rows) + 1)]
        start = int(bleeding.argmax()) if bleeding.any() else len(rows) // 2
        show_stack(pictures, numbers, start, key=f"stack {data_source.key} {place}", outlines=outlines)
    with right:
        st.markdown(f"**{len(rows)} slices, {int(bleeding.sum())} with blood**")
        facts = {name: _format_fact(column[rows[0]]) for name, column in table.facts.items() if name in ("age", "sex")}
        st.markdown(" · ".join(f"{name} {escape_markdown(fact)}" for name, fact in facts.items() if fact))
        counts = zip(TYPES, table.labels[rows, :ANY].sum(axis=0).tolist(), strict=True)
        st.markdown("\n".join(f"- {kind} on {count}" for kind, count in counts if count))
        if unread:
            st.warning(f"{unread} slices of this case cannot be read; they are dark.")
        st.caption("Scroll with the slider, or with the arrow keys after a click on the picture.")


def _slice_caption(table: Table, rows: np.ndarray, place: int) -> str:
    types = [kind for kind, column in zip(TYPES, table.labels[rows, :ANY].T, strict=True) if column.any()]
    bleeds = table.labels[rows, ANY].any()
    return f"Case {place}: {', '.join(types) or ('bleeds' if bleeds else CLEAN)}"


def _format_fact(value: object) -> str:
    return "" if value != value else f"{value:g}" if isinstance(value, float | np.floating) else str(value)


@st.cache_data(show_spinner="Reading the case …", max_entries=8)
def _stack(version: str, place: int, *, _table: Table, _rows: np.ndarray) -> tuple[dict, list[dict], int]:
    slices = summary.read_rows(_table, _rows.tolist())
    shape = next((hu.shape for hu, _ in slices if hu is not None), (64, 64))
    dark = np.full(shape, AIR_HU, np.float32)
    planes = [hu if hu is not None and hu.shape == shape else dark for hu, _ in slices]
    lines = [outline_points(mask, k, TRUTH) for k, (_, mask) in enumerate(slices) if mask is not None and mask.any()]
    return encode_frames(np.stack(planes), side=384), lines, sum(hu is None for hu, _ in slices)


def _numbers(data_source: RemoteDataset) -> None:
    histogram = _spread(data_source.version, _table=data_source.table)
    middle = (histogram.edges_hu[1:] + histogram.edges_hu[:-1]) / 2
    series = {"outlined blood": histogram.blood, "everything else": histogram.other}
    rows = pd.concat(pd.DataFrame({"HU": middle, "share": share, "of": name}) for name, share in series.items())
    chart = (
        alt.Chart(rows[rows["share"].groupby(rows["of"]).transform("sum") > 0])
        .mark_area(interpolate="step", fillOpacity=0.35, line=True)
        .encode(
            x=alt.X("HU:Q", title="CT number, HU", axis=alt.Axis(tickCount=8)),
            y=alt.Y("share:Q", title="share", axis=alt.Axis(format="%"), stack=None),
            color=alt.Color("of:N", title=None, legend=alt.Legend(orient="top"), scale=alt.Scale(
                domain=list(series), range=[VERMILION, BLUE])),
        )
        .properties(height=340)
    )  # fmt: skip
    st.altair_chart(chart, width="stretch")
    low, high = histogram.edges_hu[[0, -1]].tolist()
    st.caption(
        f"CT numbers from {low} to {high} HU of {_SAMPLE} slices at random, half of them with blood where there are "
        "as many; each curve sums to 100 %. Where the two overlap, no threshold on HU can separate blood."
    )


@st.cache_data(show_spinner="Counting CT numbers …", max_entries=8)
def _spread(version: str, *, _table: Table) -> summary.HuHistogram:
    rows = [summary.pick_rows(_table, label, _SAMPLE // 2) for label in ("any", CLEAN)]
    return summary.hu_histogram(_table, np.concatenate(rows).tolist())


def _show_patients(data_source: RemoteDataset) -> None:
    people = summary.patients(data_source.table)
    rows = pd.DataFrame([vars(patient) | {"bleeds": "bleeds" if patient.bleeding else CLEAN} for patient in people])
    left, right = st.columns(2)
    with left:
        st.markdown(f"**{len(rows)} patients, {int((rows['bleeding'] > 0).sum())} with blood on some slice**")
        share = rows.assign(share=rows["bleeding"] / rows["slices"])
        st.altair_chart(_bars(share, alt.X("share:Q", bin=alt.Bin(step=0.1, extent=(0, 1)), title="share of a "
                        "patient's slices with blood", axis=alt.Axis(format="%")), colored=False))  # fmt: skip
    with right:
        if rows["age"].notna().any():
            sexes = ", ".join(
                f"{count} {escape_markdown(sex)}" for sex, count in rows["sex"].value_counts().items() if sex
            )
            st.markdown(f"**Age, median {rows['age'].median():.0f} years; {sexes or 'sex unknown'}**")
            st.altair_chart(_bars(rows[rows["age"].notna()], alt.X("age:Q", bin=alt.Bin(step=10), title="age, years")))
        else:
            st.info("This set has no age or sex, so groups of patients cannot be compared here.")


def _bars(rows: pd.DataFrame, x: alt.X, *, colored: bool = True) -> alt.Chart:
    chart = alt.Chart(rows).mark_bar().encode(x=x, y=alt.Y("count()", title="patients", axis=alt.Axis(tickMinStep=1)))
    if colored:
        scale = alt.Scale(domain=["bleeds", CLEAN], range=[VERMILION, _GRAY])
        chart = chart.encode(color=alt.Color("bleeds:N", title=None, scale=scale, legend=alt.Legend(orient="top")))
    return chart.properties(height=280)


def _leaks(data_source: RemoteDataset) -> None:
    st.markdown("Split the slices, hold one part out, and see what is on both sides.")
    if len(data_source.table.patients) < 2:
        st.info("A split needs at least two patients; there is one so far.")
        return
    left, middle, right = st.columns(3)
    how = left.selectbox("Dealt out", list(_SPLITS), key="data split")
    folds = middle.number_input("Parts", 2, 10, min(5, max(len(data_source.table.patients), 2)), key="data folds")
    seed = right.number_input("Seed", 0, 9999, 0, key="data seed")
    table = data_source.table
    split = SPLITS[_SPLITS[how]](table, folds=int(folds), seed=int(seed))
    trained, held_out = (split.rows(table, trained=side) for side in (True, False))
    st.markdown(f"{len(trained):,} training slices, {len(held_out):,} held-out slices.")
    shared = len(set(table.patient[trained].tolist()) & set(table.patient[held_out].tolist()) - {""})
    if shared:
        st.error(
            f"{shared} of {len(table.patients)} patients are on both sides: a model would be tested on its memory."
        )
    else:
        st.success("No patient is on both sides.")
    _copies(data_source, split)


def _copies(data_source: RemoteDataset, split: Split) -> None:
    store = source.complete_store(data_source)
    if store is None:
        st.markdown("Two patients may also share a picture. To check this, every picture must be read once.")
        if st.button(
            "Read every picture", type="primary", help="some minutes for thousands of slices; the result is stored"
        ):
            source.read_all(data_source)
            st.rerun()
        return
    leaks = find_leaks(split, store)
    for pairs, relation in (
        (leaks.images, "equal a training slice to the pixel"),
        (leaks.near, "are near copies of a training slice"),
    ):
        if pairs:
            st.error(f"{len(pairs)} held-out slices {relation}.")
    if not leaks.images and not leaks.near:
        st.success("No held-out picture equals a training picture or is a near copy of one.")


def _table(data_source: RemoteDataset) -> None:
    table = data_source.table
    if data_source.is_own:
        st.caption("Names of your folder, shown only on this computer.")
    else:
        st.caption("These are synthetic heads, so there are no real names.")
    rows = pd.DataFrame(
        {"patient": table.patient, "scan": table.scan, "slice": table.slice, "outlined": table.outlined}
    )
    rows = rows.join(pd.DataFrame(table.labels, columns=list(LABELS))).join(pd.DataFrame(dict(table.facts)))
    st.dataframe(rows, hide_index=True, width="stretch", height=420)
    store = source.complete_store(data_source)
    report = table.report if store is None else store.table.report
    for sentence in report.sentences:
        st.caption(escape_markdown(sentence))


_VIEWS = {
    "Counts": _counts,
    "Pictures": _pictures,
    "One case": _case,
    "CT numbers": _numbers,
    "People": _show_patients,
    "Leaks": _leaks,
    "Table": _table,
}
