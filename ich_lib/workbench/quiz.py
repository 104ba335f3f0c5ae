"""Quiz: can I do it myself? The student and a model answer the same slices. Wiring only."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import streamlit as st

from ich_lib.course import quiz
from ich_lib.course.quiz import Answer, Mark, Question
from ich_lib.data import Table
from ich_lib.labels import TYPES
from ich_lib.notice import NOTICE
from ich_lib.prediction.engine import SHIPPED, Models
from ich_lib.workbench import models, source
from ich_lib.workbench.charts import alt
from ich_lib.workbench.shown import plain, sentence
from ich_lib.workbench.stack import MODEL, TRUTH, YOURS, frames, outline, region, stack

_CASES = (5, 10, 20, 40)
_FEW = 20  # answers; a curve of fewer says little
_CLEAN, _BLOOD = "No blood", "Blood"
_STATE = "quiz"
_ANOTHER = "another run folder"


def page() -> None:
    """The page."""
    st.title("Quiz")
    st.caption(NOTICE)
    if _STATE not in st.session_state:
        _start()
        return
    try:
        _ask(st.session_state[_STATE])
    except ValueError as problem:  # a picture that cannot be read; its case is left out
        st.error(plain(problem))
        st.button("Next case", type="primary", on_click=_next, args=(st.session_state[_STATE],))
    _standing(st.session_state[_STATE])


def _start() -> None:
    st.markdown(
        "Head by head: does this slice bleed, what kind is it, and where? You and the model see the same five slices. "
        "Then the truth is shown."
    )
    chosen = source.chosen("quiz")
    if chosen is None:
        return
    left, middle, right = st.columns(3)
    student = left.text_input("Your name (for the results)", key="quiz student")
    seed = middle.number_input(
        "Class number", 0, 9999, 1, key="quiz seed", help="The same number gives the same cases."
    )
    count = right.selectbox("Cases", _CASES, index=1, key="quiz cases")
    opponent = _opponent()
    if opponent is None:
        return
    name, against = opponent
    if not quiz.fair(against, chosen.table):
        st.info("The model was trained on patients of this set, so here it remembers. It is no fair opponent.")
    if st.button("Start", type="primary"):
        rows = quiz.order(chosen.table, int(seed)).tolist() if chosen.own else None
        st.session_state[_STATE] = {
            "student": student,
            "seed": int(seed),
            "opponent": name,
            "models": against,
            "table": chosen.table,
            "rows": rows,
            "count": min(count, len(rows)) if chosen.own else count,
            "number": 1,
            "asked": 0,
            "coming": {},
            "mine": [],
            "theirs": [],
        }
        st.rerun()


def _opponent() -> tuple[str, Models] | None:
    """The name and the models of who answers too; None, with a word, where that cannot be asked."""
    found = models.trained()
    left, right = st.columns(2, vertical_alignment="bottom")
    name = left.selectbox(
        "Against which model?",
        [SHIPPED, *found, _ANOTHER],
        key="quiz opponent",
        help="Or a run of yours. Keras: seconds.",
    )
    place = {SHIPPED: SHIPPED, **found}.get(name)
    if name == _ANOTHER:
        place = right.text_input("Its folder", key="quiz run", placeholder="such as runs/first").strip()
        name = Path(place).name
    if not place:
        st.info("Name the folder of a run, or of what export wrote.")
        return None
    place = str(Path(place).expanduser())
    try:
        with st.spinner("Opening the model …"):
            return name, models.opened(place, models.stamp(place))
    except (ValueError, OSError, ImportError) as problem:
        st.error(sentence(problem))
        return None


@st.cache_resource
def _worker() -> ThreadPoolExecutor:
    """Makes the next case, and asks the model, while a student still thinks."""
    return ThreadPoolExecutor(1)


def _made(state: dict, number: int) -> Future:
    """A case to come: its question, the model's answer, its pictures."""
    row = None if state["rows"] is None else state["rows"][number - 1]
    return _worker().submit(_prepared, state["models"], state["table"], row, number, state["seed"])


def _prepared(models: Models, table: Table, row: int | None, number: int, seed: int) -> tuple[Question, Answer, dict]:
    made = quiz.phantom_question(number, seed) if row is None else quiz.table_question(table, row, number)
    return made, quiz.asked_of(models, made), frames(made.scan.hu, sharp=True)


def _question(state: dict) -> Question:
    """The present question."""
    number, coming = state["number"], state["coming"]
    for one in (number, number + 1):
        if one <= state["count"] and one not in coming:
            coming[one] = _made(state, one)
    if state["asked"] != number:
        with st.spinner("Making the head …" if state["rows"] is None else "Reading the case …"):
            state["question"], state["its"], state["pictures"] = coming[number].result()
        coming.pop(number - 1, None)
        state |= {"asked": number, "since": time.monotonic(), "mine now": None}
    return state["question"]


def _ask(state: dict) -> None:
    if state["number"] > state["count"]:
        st.success(f"Done: {len(state['mine'])} cases answered.")
        return
    question = _question(state)
    st.subheader(f"Case {question.number} of {state['count']}", anchor=False)
    left, right = st.columns([3, 2], gap="large")
    with left:
        drawn = _slices(state, question)
    with right.container(key=f"said {question.number} {state['mine now'] is None}"):
        if state["mine now"] is None:
            _form(state, question, drawn)
        else:
            _verdict(state, question)


def _slices(state: dict, question: Question) -> list:
    asked, count = question.asked, len(question.scan.hu)
    names = [
        "Asked slice" if k == asked else f"{abs(k - asked)} {'above' if k > asked else 'below'}" for k in range(count)
    ]
    key = f"question {state['seed']} {question.number}"
    if state["mine now"] is None:
        return stack(state["pictures"], names, asked, key=key, draw=True)
    parts = {TRUTH: question.truth, MODEL: state["its"].region, YOURS: state["mine now"].region}
    lines = [outline(mask, asked, name) for name, mask in parts.items() if mask is not None and mask.any()]
    stack(state["pictures"], names, asked, key=f"{key} told", outlines=lines)
    return []


def _form(state: dict, question: Question, drawn: list) -> None:
    n = question.number
    says = st.segmented_control("Does the asked slice bleed?", (_CLEAN, _BLOOD), key=f"says {n}")
    sure = st.slider("How sure are you? 50 % is a guess.", 50, 100, 75, 5, format="%d %%", key=f"sure {n}")
    types = ()
    if says == _BLOOD:
        if question.types is not None:
            types = st.pills("What kind?", TYPES, selection_mode="multi", wrap=True, key=f"types {n}")
        if question.truth is not None:
            st.markdown("**Where?** Draw round it on the picture.")
    if st.button("Answer", type="primary", disabled=says is None, key=f"answer {n}"):
        mask = region(drawn, question.scan.hu.shape[1:])
        mine = quiz.said(says == _BLOOD, sure / 100, types, mask if says == _BLOOD else None)
        state["mine now"] = mine
        state["mine"].append(quiz.marked(question, mine, seconds=time.monotonic() - state["since"]))
        state["theirs"].append(quiz.marked(question, state["its"]))
        st.rerun()


def _verdict(state: dict, question: Question) -> None:
    mine, its = state["mine"][-1], state["theirs"][-1]
    told = ", ".join(sorted(question.types)) if question.types else "bleeds"
    truth = f"It bleeds ({told})." if question.bleeds and question.types else "It bleeds." if question.bleeds else ""
    (st.success if mine.right else st.error)(
        f"{'Right' if mine.right else 'Wrong'}. {truth or 'There is no blood on this slice.'}"
    )
    rows = {"You": mine, "Model": its}
    st.dataframe(
        pd.DataFrame(
            {
                "": list(rows),
                "says": [_BLOOD if one.said else _CLEAN for one in rows.values()],
                "score": [round(one.score, 2) for one in rows.values()],
                "type": [", ".join(sorted(one.types)) or "–" for one in rows.values()],
                "Dice": ["–" if one.dice is None else f"{one.dice:.2f}" for one in rows.values()],
            }
        ),
        hide_index=True,
        width="stretch",
    )
    if question.bleeds and question.truth is None:
        st.caption("Nobody outlined this slice, so regions are not compared.")
    if state["opponent"] != SHIPPED:
        st.caption(plain(f"The model is {state['opponent']}."))
    last = question.number == state["count"]
    st.button("See the results" if last else "Next case", type="primary", on_click=_next, args=(state,))


def _next(state: dict) -> None:
    state["number"] += 1


def _standing(state: dict) -> None:
    if state["mine"]:
        st.divider()
        left, right = st.columns([3, 2], gap="large")
        with left:
            st.markdown("**So far**")
            both = {"You": quiz.standing(state["mine"]), "Model": quiz.standing(state["theirs"])}
            rows = [
                {
                    "": name,
                    "right": f"{one.right} of {one.n}",
                    "type right": f"{one.types_right} of {one.typed}",
                    "mean Dice": "–" if one.dice is None else f"{one.dice:.2f}",
                    "AUC": "–" if one.auc is None else f"{one.auc:.2f}",
                }
                for name, one in both.items()
            ]
            st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")
            if len(state["mine"]) < _FEW:
                st.caption(f"Fewer than {_FEW} cases say little: one more right answer moves every number here.")
            st.download_button(
                "Results as CSV",
                quiz.as_csv(state["student"], state["seed"], state["mine"], state["theirs"], model=state["opponent"]),
                f"quiz-{state['seed']}.csv",
                "text/csv",
                on_click="ignore",
            )
        with right:
            _curve({"You": state["mine"], "Model": state["theirs"]})
    st.button("Start over", on_click=st.session_state.pop, args=(_STATE, None))


def _curve(marks: dict[str, list[Mark]]) -> None:
    points = [
        {"who": who, "place": k, "x": x, "y": y}
        for who, some in marks.items()
        for k, (x, y) in enumerate(quiz.roc(some))
    ]
    if not points:
        st.info("The ROC curve begins once a slice with and one without blood were asked.")
        return
    colors = alt.Scale(domain=["You", "Model"], range=["#D55E00", "#0072B2"])
    axis = alt.Scale(domain=(0, 1), nice=False)
    curve = (
        alt.Chart(pd.DataFrame(points))
        .mark_line(point=True, strokeWidth=2.5, clip=False)
        .encode(
            x=alt.X("x:Q", title="1 − specificity", scale=axis),
            y=alt.Y("y:Q", title="sensitivity", scale=axis),
            order="place:Q",
            color=alt.Color("who:N", title=None, scale=colors, legend=alt.Legend(orient="top", symbolType="stroke")),
            strokeDash=alt.StrokeDash("who:N", legend=None, sort=["You", "Model"]),
        )
    )
    chance = alt.Chart(pd.DataFrame({"x": [0, 1], "y": [0, 1]})).mark_line(
        color="#999", strokeDash=[2, 3], strokeWidth=1
    )
    st.altair_chart((chance.encode(x="x:Q", y="y:Q") + curve).properties(height=320), width="stretch")
