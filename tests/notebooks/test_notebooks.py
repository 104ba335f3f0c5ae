"""Every lesson runs: unsolved to its last cell, solved through every check, and the known mistakes are refused.

ICH_LESSONS=full (for a night, or a GPU) runs them with QUICK = False, which includes the long trainings.
"""

import ast
import importlib.util
import os
import re
from pathlib import Path

import nbformat
import pytest

from ich_lib import show
from ich_lib.course.place import start_course
from ich_lib.evaluation.systems import SYSTEMS

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
FULL = os.environ.get("ICH_LESSONS") == "full"
PUBLISHED = "https://github.com/someone/project"
LIMIT_S = 4 * 3600 if FULL else 900  # for one cell; a lesson as a whole should stay under five minutes


def builder():
    """notebooks/build.py as a module."""
    spec = importlib.util.spec_from_file_location("build", NOTEBOOKS / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = builder()
LESSONS = build.lessons()


class Session:
    """A kernel in which the cells of a lesson run one by one; it keeps what each printed."""

    def __init__(self, folder: Path, **environment: str):
        from nbclient import NotebookClient

        self.environment = {**os.environ, "PYTHONPATH": str(NOTEBOOKS.parent), **environment}
        self.book = nbformat.v4.new_notebook()
        self.client = NotebookClient(self.book, timeout=LIMIT_S, resources={"metadata": {"path": str(folder)}})

    def __enter__(self):
        self.context = self.client.setup_kernel(env=self.environment)
        self.context.__enter__()
        return self

    def __exit__(self, *problem):
        return self.context.__exit__(*problem)

    def run(self, source: str) -> str:
        """Run one cell and return its text, or raise CellExecutionError. A figure that appears only as text is a
        fault."""
        self.book.cells.append(nbformat.v4.new_code_cell(build.at_length(source) if FULL else source))
        cell = self.client.execute_cell(self.book.cells[-1], len(self.book.cells) - 1)
        for out in cell.outputs:
            unseen = "<Figure" in out.get("data", {}).get("text/plain", "") and "image/png" not in out["data"]
            assert not unseen, f"a learner sees no picture here: {source}"
        return "".join(out.get("text", "") for out in cell.outputs)


def test_the_notebooks_are_what_their_sources_say():
    assert LESSONS
    files = build.built()
    assert build.stale(files) == []
    assert build.is_packed(files), "ich_lib/course/lessons.zip is older than the sources"


def test_work_in_a_notebook_is_never_written_over(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "HERE", tmp_path)
    monkeypatch.setattr(build, "PACKED", tmp_path / "lessons.zip")
    path = tmp_path / "01_a.ipynb"
    cell = nbformat.v4.new_code_cell("1 + 1")
    book = nbformat.v4.new_notebook(cells=[cell])
    build._write({path: nbformat.writes(book)})
    assert build.is_packed({path: nbformat.writes(book)})
    cell.execution_count = 1
    path.write_text(nbformat.writes(book))
    with pytest.raises(SystemExit, match=r"Somebody has worked in 01_a\.ipynb"):
        build._write({path: "new"})
    assert path.read_text() == nbformat.writes(book)


def test_a_notebook_that_was_edited_by_hand_or_lost_its_source_is_noticed(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "HERE", tmp_path)
    (tmp_path / "solved").mkdir()
    for name, text in {"a": "as made", "b": "edited", "old": "left behind"}.items():
        (tmp_path / f"{name}.ipynb").write_text(text)
    built = {tmp_path / f"{name}.ipynb": "as made" for name in ("a", "b", "lost")}
    assert build.stale(built) == ["b.ipynb", "lost.ipynb", "old.ipynb"]


def test_a_lesson_links_to_the_rows_of_the_systems_it_speaks_of(tmp_path):
    """From the notebooks, the solved ones and a learner's own folder, each link leads to a heading that exists."""
    start_course(tmp_path)
    links = {}
    for lesson in LESSONS:
        for folder in (build.HERE, build.HERE / "solved", tmp_path):
            book = nbformat.read(folder / f"{lesson.name}.ipynb", as_version=4)
            found = re.findall(r"\]\(([^)]*five-systems\.md)#system-(\d+)\)", book.cells[-1].source)
            assert [number for _, number in found] == build.published_systems(lesson)
            for page, number in found:
                assert f"\n## System {number}\n" in (folder / page).read_text()
            links[int(lesson.name[:2])] = {number for _, number in found}
    published = build.notebook(LESSONS[5], solved=False, repository=PUBLISHED, version="1.2")
    assert f"]({PUBLISHED}/blob/v1.2/docs/five-systems.md#system-" in published.cells[-1].source
    for number, (_, lessons) in SYSTEMS.items():
        assert {lesson for lesson, systems in links.items() if number in systems} >= set(lessons)


def test_a_figure_of_the_library_is_a_picture_where_nobody_called_pyplot():
    from ich_lib.show import row

    figure = row([[[0.0, 1.0], [1.0, 0.0]]])
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_prose_is_counted_without_title_sources_and_what_is_folded_away():
    markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    title, output = markdown("# 1. A title\n**You will** read"), markdown("## Two words\n- and *three more*, 4 | 5\n")
    apart = markdown("<details>folded away</details>One.\n\n**Sources** many and long\n**Next** 2")
    lesson = build.Lesson(Path("01_a.py"), [title, output, code("x = 1\ny = 2"), apart])
    assert build.figures(lesson)["words a statement"] == (2 + 5 + 1) / 2


def test_a_page_shows_what_a_cell_printed_and_no_progress_bar():
    stream = lambda name, text: nbformat.v4.new_output("stream", name=name, text=text)  # noqa: E731
    cell = nbformat.v4.new_code_cell("1", outputs=[stream("stderr", "my-net: 3%"), stream("stdout", "loss 0.5")])
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 1. A title"), cell])
    assert [output.text for output in build.without_logs(book).cells[1].outputs] == ["loss 0.5"]
    assert len(cell.outputs) == 2


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_is_laid_out_as_learners_expect(lesson):
    kinds = [build.tags(cell) for cell in lesson.cells]
    assert sum("setup" in kind for kind in kinds) == 1
    first = lesson.cells[0].source
    for word in (
        "**You will**",
        "**Time**",
        "**Runs on**",
        "**Before this**",
        "Nothing here may be used for a patient",
    ):
        assert word in first
    output = build.figures(lesson)
    assert 2 <= output["exercises"] <= 6
    assert output["checks"] >= output["exercises"]
    assert output["mistakes refused"] >= output["exercises"]
    assert output["median statements"] <= 7
    assert output["most statements"] <= 25
    most = 15 if lesson.name == "00_primer" else 7  # the primer is there to be read
    assert output["words a statement"] <= most
    text = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    for heading in ("Spot the bug", "Predict", "Break it", "Recap", "**Sources**", "**Next**"):
        assert heading in text, heading


def _unseen_pictures(source: str) -> list[str]:
    """Calls of `ich_lib.show` whose figure is neither kept, given to `display`, nor the last value of its cell."""
    body = ast.parse(source).body
    statements = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    last = ast.unparse(body[-1]) if body and isinstance(body[-1], ast.Expr) else ""
    calls = [ast.unparse(node) for node in statements if re.match(rf"({'|'.join(show.__all__)})\(", ast.unparse(node))]
    return [call for call in calls if call != last]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_picture_that_is_drawn_is_also_shown(lesson):
    assert _unseen_pictures("for k in heads:\n    row(k)\nrow(2)") == ["row(k)"]
    code = [cell.source for cell in lesson.cells if cell.cell_type == "code"]
    assert [call for source in code for call in _unseen_pictures(source)] == []


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_code_fits_beside_a_list_of_files(lesson):
    lines = [line for cell in lesson.cells if cell.cell_type == "code" for line in cell.source.splitlines()]
    assert [line for line in lines if len(line) > 88] == []


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_every_exercise_has_two_hints_and_both_are_folded(lesson):
    text = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    for exercise in re.split(r"^### Exercise ", text, flags=re.M)[1:]:
        first, second = exercise.find("\n*Hint:* "), exercise.find("\n*Second hint:* ")
        assert 0 < first < second, exercise[:60]
    book = build.notebook(lesson, solved=False, repository=PUBLISHED, version="1.0.0")
    learner = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    assert "*Hint:*" not in learner
    assert "*Second hint:*" not in learner
    folded = learner.count("<details><summary>Hint</summary>"), learner.count("<details><summary>Second hint</summary>")
    assert folded == (text.count("*Hint:*"), text.count("*Second hint:*"))


def test_a_project_that_nobody_published_has_no_badge_and_installs_nothing():
    (unpublished, published) = (
        build.notebook(LESSONS[0], solved=False, repository=address, version="1.0.0")
        for address in ("https://github.com/OWNER/REPOSITORY", PUBLISHED)
    )
    assert "not published yet" in unpublished.cells[0].source
    assert "Open in Colab" not in unpublished.cells[0].source
    assert "colab.research.google.com/github/someone/project/blob/v1.0.0/" in published.cells[0].source
    setups = [cell.source for book in (unpublished, published) for cell in book.cells if "setup" in build.tags(cell)]
    assert "pip install" not in setups[0]
    assert f"git+{PUBLISHED}@v1.0.0" in setups[1]


def test_a_release_needs_an_address_and_committed_notebooks(monkeypatch, tmp_path):
    run = []
    monkeypatch.setattr(build.subprocess, "run", lambda command, **_: run.append(command) or _Done("M README.md"))
    monkeypatch.setattr(build, "repository", lambda: "https://github.com/OWNER/REPOSITORY")
    with pytest.raises(SystemExit, match="Name the repository first"):
        build._release()
    monkeypatch.setattr(build, "repository", lambda: PUBLISHED)
    monkeypatch.setattr(build, "stale", lambda files: [])
    with pytest.raises(SystemExit, match="changes that no commit holds"):
        build._release()
    monkeypatch.setattr(build.subprocess, "run", lambda command, **_: run.append(command) or _Done(""))
    build._release()
    assert run[-1][3:6] == ["tag", "-a", f"v{build.version()}"]


class _Done:
    def __init__(self, stdout: str):
        self.stdout = stdout


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_one_switch_makes_a_lesson_run_at_length(lesson):
    """A lesson that uses `QUICK` has the switch in the set-up cell, where the nightly run finds it."""
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    (setup,) = (cell.source for cell in code if "setup" in build.tags(cell))
    request = any(re.search(r"\bQUICK\b", cell.source) for cell in code)
    assert request == (build.at_length(setup) != setup)
    assert not request or "QUICK = False" in build.at_length(setup)


@pytest.mark.lessons
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_runs_unsolved_and_solved_and_refuses_known_mistakes(lesson, tmp_path, lesson_cache):
    """One kernel for all three tests. At every exercise the mistakes are refused and the solution passes. Then the
    stub is put back, so that the rest of the lesson runs as for a learner who solved nothing."""
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    with Session(tmp_path, ICH_CACHE=str(lesson_cache)) as session:
        while code:
            cell = code.pop(0)
            if "exercise" not in build.tags(cell):
                session.run(build.solution(cell.source))
                continue
            check = code.pop(0)
            assert "check" in build.tags(check), f"after an exercise comes its check, not {check.source[:60]!r}"
            while code and "mistake" in build.tags(code[0]):
                _refused(session, code.pop(0).source, check.source)
            session.run(build.solution(cell.source))
            message = session.run(check.source)
            assert " correct" in message, f"the solution is not accepted: {message or check.source}"
            session.run(build.stub(cell.source))
            assert "not tried yet" in session.run(check.source)


def _refused(session: Session, mistake: str, check: str) -> None:
    from nbclient.exceptions import CellExecutionError

    first, _, source = mistake.partition("\n")
    words = re.fullmatch(r"# refused: (.+)", first.strip())
    assert words, f"a mistake begins with '# refused: the words', not {first!r}"
    session.run(source)
    with pytest.raises(CellExecutionError, match=re.escape(words[1])):
        session.run(check)
