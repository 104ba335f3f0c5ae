"""Quiz: the student and a model read the same slices. Wiring only."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import streamlit as st

from ich_lib.colors import BLUE, VERMILION
from ich_lib.course import quiz
from ich_lib.course.quiz import Answer, Mark, Question
from ich_lib.data import Table
from ich_lib.labels import TYPES
from ich_lib.notice import NOTICE
from ich_lib.prediction.engine import WEIGHTS_FOLDER, Models
from ich_lib.workbench import models, source
from ich_lib.workbench.charts import alt
from ich_lib.workbench.shown import error_sentence, escape_markdown
from ich_lib.workbench.stack import MODEL, STUDENT, TRUTH, drawn_mask, encode_frames, outline_points, show_stack

_CASES = (5, 10, 20, 40)
_FEW = 20  # answers; a curve of fewer has little meaning
_CLEAN, _BLOOD = "No blood", "Blood"
_STATE = "quiz"
_ANOTHER = "another run folder"


@dataclass(frozen=True)
class _Case:
    """A question, the model's answer, and its pictures."""

    question: Question
    its: Answer
    pictures: dict


@dataclass
class _Game:
    """A student's quiz, from start to results; it is part of the session.

    Attributes:
        student, seed, opponent, models, table, count: the choices at the start.
        rows: of the table, in the order of the questions; None for synthetic heads.
        number: of the current question.
        coming: number of a question to its case, which is prepared in the background.
        case: the current one, with the number `case_number`; shown since `since`.
        answer: the student's answer to the current question; None before it.
        mine, theirs: all answers so far, of the student and of the model.
    """

    student: str
    seed: int
    opponent: str
    models: Models
    table: Table
    rows: list[int] | None
    count: int
    number: int = 1
    case_number: int = 0
    coming: dict[int, Future[_Case]] = field(default_factory=dict)
    case: _Case | None = None
    start_s: float = 0.0
    answer: Answer | None = None
    student_marks: list[Mark] = field(default_factory=list)
    model_marks: list[Mark] = field(default_factory=list)


def page() -> None:
    """The page."""
    st.title("Quiz")
    st.caption(NOTICE)
    if _STATE not in st.session_state:
        _start()
        return
    try:
        _ask(st.session_state[_STATE])
    except ValueError as problem:  # an unreadable picture; its case is left out
        st.error(escape_markdown(problem))
        st.button("Next case", type="primary", on_click=_next, args=(st.session_state[_STATE],))
    _standing(st.session_state[_STATE])


def _start() -> None:
    st.markdown(
        "For each head: does this slice bleed, what kind is it, and where? You and the model see the same five slices. "
        "Then the truth is shown."
    )
    data_source = source.choose_source("quiz")
    if data_source is None:
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
    if not quiz.is_fair(against, data_source.table):
        st.info("The model was trained on patients of this set, so it may remember them. It is not a fair opponent.")
    if st.button("Start", type="primary"):
        rows = quiz.draw_rows(data_source.table, int(seed)).tolist() if data_source.is_own else None
        st.session_state[_STATE] = _Game(
            student=student,
            seed=int(seed),
            opponent=name,
            models=against,
            table=data_source.table,
            rows=rows,
            count=count if rows is None else min(count, len(rows)),
        )
        st.rerun()


def _opponent() -> tuple[str, Models] | None:
    """The name and the models of the opponent; None, with a message, if it cannot be loaded."""
    trained = models.finished_runs()
    left, right = st.columns(2, vertical_alignment="bottom")
    name = left.selectbox(
        "Against which model?",
        [WEIGHTS_FOLDER, *trained, _ANOTHER],
        key="quiz opponent",
        help="Or your own run. Needs Keras: seconds.",
    )
    place = {WEIGHTS_FOLDER: WEIGHTS_FOLDER, **trained}.get(name)
    if name == _ANOTHER:
        place = right.text_input("Its folder", key="quiz run", placeholder="such as runs/first").strip()
        name = Path(place).name
    if not place:
        st.info("Name the folder of a run, or a folder of export.")
        return None
    place = str(Path(place).expanduser())
    try:
        with st.spinner("Opening the model …"):
            return name, models.open_models(place, models.model_stamp(place))
    except (ValueError, OSError, ImportError) as problem:
        st.error(error_sentence(problem))
        return None


@st.cache_resource
def _worker() -> ThreadPoolExecutor:
    """Prepares the next case and scores it while the student still thinks."""
    return ThreadPoolExecutor(1)


def _prepare_case(game: _Game, number: int) -> Future[_Case]:
    """A case in preparation."""
    row = None if game.rows is None else game.rows[number - 1]
    return _worker().submit(_prepare, game.models, game.table, row, number, game.seed)


def _prepare(models: Models, table: Table, row: int | None, number: int, seed: int) -> _Case:
    question = quiz.phantom_question(number, seed) if row is None else quiz.table_question(table, row, number)
    return _Case(question, quiz.model_answer(models, question), encode_frames(question.scan.hu, sharp=True))


def _present(game: _Game) -> _Case:
    """The current case; starts the next one."""
    number, coming = game.number, game.coming
    for turn in (number, number + 1):
        if turn <= game.count and turn not in coming:
            coming[turn] = _prepare_case(game, turn)
    if game.case is None or game.case_number != number:
        with st.spinner("Making the head …" if game.rows is None else "Reading the case …"):
            game.case = coming[number].result()
        coming.pop(number - 1, None)
        game.case_number, game.start_s, game.answer = number, time.monotonic(), None
    return game.case


def _ask(game: _Game) -> None:
    if game.number > game.count:
        st.success(f"Done: {len(game.student_marks)} cases answered.")
        return
    case = _present(game)
    st.subheader(f"Case {case.question.number} of {game.count}", anchor=False)
    left, right = st.columns([3, 2], gap="large")
    with left:
        strokes = _slices(game, case)
    with right.container(key=f"said {case.question.number} {game.answer is None}"):
        if game.answer is None:
            _form(game, case, strokes)
        else:
            _verdict(game, case.question)


def _slices(game: _Game, case: _Case) -> list:
    question = case.question
    index, count = question.index, len(question.scan.hu)
    names = [
        "Asked slice" if k == index else f"{abs(k - index)} {'above' if k > index else 'below'}" for k in range(count)
    ]
    key = f"question {game.seed} {question.number}"
    if game.answer is None:
        return show_stack(case.pictures, names, index, key=key, draw=True)
    masks = {TRUTH: question.truth, MODEL: case.its.region, STUDENT: game.answer.region}
    lines = [outline_points(mask, index, name) for name, mask in masks.items() if mask is not None and mask.any()]
    show_stack(case.pictures, names, index, key=f"{key} told", outlines=lines)
    return []


def _form(game: _Game, case: _Case, strokes: list) -> None:
    question, n = case.question, case.question.number
    call_text = st.segmented_control("Does this slice bleed?", (_CLEAN, _BLOOD), key=f"says {n}")
    sure = st.slider("How sure are you? 50 % is a guess.", 50, 100, 75, 5, format="%d %%", key=f"sure {n}")
    types: Sequence[str] = ()
    if call_text == _BLOOD:
        if question.types is not None:
            types = st.pills("What kind?", TYPES, selection_mode="multi", wrap=True, key=f"types {n}")
        if question.truth is not None:
            st.markdown("**Where?** Draw around it on the picture.")
    if st.button("Answer", type="primary", disabled=call_text is None, key=f"answer {n}"):
        mask = drawn_mask(strokes, question.scan.hu.shape[1:])
        answer = quiz.student_answer(call_text == _BLOOD, sure / 100, types, mask if call_text == _BLOOD else None)
        game.answer = answer
        game.student_marks.append(quiz.mark(question, answer, seconds=time.monotonic() - game.start_s))
        game.model_marks.append(quiz.mark(question, case.its))
        st.rerun()


def _verdict(game: _Game, question: Question) -> None:
    student_mark, model_mark = game.student_marks[-1], game.model_marks[-1]
    truth_text = ", ".join(sorted(question.types)) if question.types else "bleeds"
    truth = (
        f"It bleeds ({truth_text})." if question.bleeds and question.types else "It bleeds." if question.bleeds else ""
    )
    (st.success if student_mark.is_right else st.error)(
        f"{'Right' if student_mark.is_right else 'Wrong'}. {truth or 'There is no blood on this slice.'}"
    )
    rows = {"You": student_mark, "Model": model_mark}
    st.dataframe(
        pd.DataFrame(
            {
                "": list(rows),
                "says": [_BLOOD if mark.call else _CLEAN for mark in rows.values()],
                "score": [round(mark.score, 2) for mark in rows.values()],
                "type": [", ".join(sorted(mark.types)) or "–" for mark in rows.values()],
                "Dice": ["–" if mark.dice is None else f"{mark.dice:.2f}" for mark in rows.values()],
            }
        ),
        hide_index=True,
        width="stretch",
    )
    if question.bleeds and question.truth is None:
        st.caption("This slice has no outline, so regions are not compared.")
    if game.opponent != WEIGHTS_FOLDER:
        st.caption(escape_markdown(f"The model is {game.opponent}."))
    last = question.number == game.count
    st.button("See the results" if last else "Next case", type="primary", on_click=_next, args=(game,))


def _next(game: _Game) -> None:
    game.number += 1


def _standing(game: _Game) -> None:
    if game.student_marks:
        st.divider()
        left, right = st.columns([3, 2], gap="large")
        with left:
            st.markdown("**So far**")
            tallies = {"You": quiz.tally(game.student_marks), "Model": quiz.tally(game.model_marks)}
            rows = [
                {
                    "": name,
                    "right": f"{tally.n_right} of {tally.n}",
                    "type right": f"{tally.n_types_right} of {tally.n_typed}",
                    "mean Dice": "–" if tally.dice is None else f"{tally.dice:.2f}",
                    "AUC": "–" if tally.auc is None else f"{tally.auc:.2f}",
                }
                for name, tally in tallies.items()
            ]
            st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")
            if len(game.student_marks) < _FEW:
                st.caption(f"Fewer than {_FEW} cases are too few: one more right answer changes every number here.")
            st.download_button(
                "Results as CSV",
                quiz.to_csv(game.student, game.seed, game.student_marks, game.model_marks, model=game.opponent),
                f"quiz-{game.seed}.csv",
                "text/csv",
                on_click="ignore",
            )
        with right:
            _curve({"You": game.student_marks, "Model": game.model_marks})
    st.button("Start over", on_click=st.session_state.pop, args=(_STATE, None))


def _curve(marks: dict[str, list[Mark]]) -> None:
    points = [
        {"who": player, "place": k, "x": x, "y": y}
        for player, player_marks in marks.items()
        for k, (x, y) in enumerate(quiz.roc_points(player_marks))
    ]
    if not points:
        st.info("The ROC curve needs at least one slice with blood and one without.")
        return
    colors = alt.Scale(domain=["You", "Model"], range=[VERMILION, BLUE])
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
