"""Make the lessons: src/*.py to a notebook for the learner and a solved one.

    python notebooks/build.py                     write them
    python notebooks/build.py --check             fail if they are not what src/ says
    python notebooks/build.py --repository URL    set where badges and Colab find the project, and write them
    python notebooks/build.py --release           tag this version, so that the badges find it
    python notebooks/build.py --figures           a table: cells, lines, words, exercises of each lesson
    python notebooks/build.py --render FOLDER     run the solved lessons and write pages with their outputs

A source is jupytext's percent format. Tags say what a cell is: `setup` (the one set-up cell), `exercise` (blanked from
the line `# solution` on), `check`, `solution` (folded away), `mistake` (known to be made and in no notebook; tests see
it refused with the words of its first line, `# refused: ...`).
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import zipfile
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import jupytext
import nbformat

HERE = Path(__file__).parent
PACKED = HERE.parent / "ich_lib" / "course" / "lessons.zip"  # the learner's copies, for `ich course start`
PYPROJECT = HERE.parent / "pyproject.toml"
SYSTEMS = HERE.parent / "docs" / "five-systems.md"  # a heading "System 002" for each published system
_REPOSITORY = re.compile(r'^(Repository = ")([^"]*)(")$', re.M)
_UNPUBLISHED = "/OWNER/"  # in pyproject.toml, as long as nobody has published the project
_HINT = re.compile(r"^\*(Hint|Second hint):\* (.*?)(?=\n\n|\Z)", re.M | re.S)
_APART = re.compile(rf"<details>.*?</details>|\*\*Sources\*\*.*|{_HINT.pattern}", re.M | re.S)
_SYSTEM = re.compile(r"\b[Ss]ystems? (00\d)(?: and (00\d))?")
_WORD = re.compile(r"\S*[^\W_]\S*")
_KERAS = re.compile(
    r"\bkeras\b|ich_lib\.(training\.(train|loop)|models\.(builders|losses)|prediction\.export|explanation)\b"
    r"|from ich_lib import .*\b(train|evaluate|export)\b"
)  # what brings TensorFlow
_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


@dataclass(frozen=True)
class Lesson:
    """One source.

    Attributes:
        path: of the .py file.
        cells: all of it, mistakes included.
    """

    path: Path
    cells: list

    @property
    def name(self) -> str:
        """Such as "02_windows"."""
        return self.path.stem

    @property
    def title(self) -> str:
        """The first heading, such as "2. Windows"."""
        return self.cells[0].source.splitlines()[0].lstrip("# ")


def lessons() -> list[Lesson]:
    """Every source, in order."""
    paths = sorted((HERE / "src").glob("*.py"))
    return [Lesson(path, jupytext.read(path, fmt="py:percent").cells) for path in paths]


def tags(cell) -> list[str]:
    """What a cell is."""
    return cell.metadata.get("tags", [])


def stub(source: str) -> str:
    """An exercise as the learner finds it."""
    return re.sub(r"^( *)# solution\n.*", r"\1...", source, flags=re.M | re.S)


def solution(source: str) -> str:
    """An exercise done."""
    return re.sub(r"^ *# (your code here|solution)\n", "", source, flags=re.M)


def at_length(source: str) -> str:
    """A cell with the switch for long trainings thrown: QUICK = False."""
    return re.sub(r"^QUICK = True\b", "QUICK = False", source, flags=re.M)


def notebook(lesson: Lesson, *, solved: bool, repository: str, version: str):
    """One version of a lesson, without outputs and with ids that do not change between runs."""
    cells, last = [], None
    for cell in deepcopy(lesson.cells):
        if "mistake" in tags(cell):
            continue
        if "setup" in tags(cell):
            cell.source = _setup(cell.source, repository, version)
        if "exercise" in tags(cell):
            last = solution(cell.source)
            cell.source = last if solved else stub(cell.source)
        if cell.cell_type == "markdown":
            cell.source = _HINT.sub(r"<details><summary>\1</summary>\n\n\2\n\n</details>", cell.source)
        if "solution" in tags(cell) and not solved:
            cell.source = _folded(last, cell.source)
        cells.append(cell)
    cells[0].source = _with_badge(cells[0].source, lesson.name, repository, version)
    if systems := published_systems(lesson):
        folder = "../../docs" if solved else "../docs"
        if is_published(repository):
            folder = f"{repository}/blob/v{version}/docs"
        cells[-1].source += _with_rows(systems, f"{folder}/{SYSTEMS.name}")
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    page = nbformat.v4.new_notebook(
        cells=cells,
        metadata={"kernelspec": _KERNEL, "language_info": {"name": "python"}},
    )
    nbformat.validate(page)
    return page


def published_systems(lesson: Lesson) -> list[str]:
    """Numbers of the published systems that a lesson speaks of, such as "002"."""
    text = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    return sorted({number for found in _SYSTEM.findall(text) for number in found if number})


def _with_rows(systems: list[str], page: str) -> str:
    links = ", ".join(f"[system {number}]({page}#system-{number})" for number in systems)
    return (
        "\n\n**The published systems** Their networks, trained here and judged by patients whom they never saw, beside "
        f"what was claimed: {links}."
    )


def is_published(repository: str) -> bool:
    """Whether an address is one that somebody owns."""
    return _UNPUBLISHED not in repository


def _setup(imports: str, repository: str, version: str) -> str:
    quiet = 'import os\n\nos.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no red lines about a missing GPU\n\n'
    if is_published(repository):
        colab = (
            'if "google.colab" in sys.modules:  # brings the library; nothing to do elsewhere\n'
            f'    %pip install -q "ich_lib[course] @ git+{repository}@v{version}"\n\n'
        )
    else:
        colab = (
            'if "google.colab" in sys.modules:\n'
            '    raise SystemExit("The project is not published yet: nothing can be installed here.")\n\n'
        )
    return f"import sys\n\n{colab}{quiet if _KERAS.search(imports) else ''}{imports}"


def _folded(code: str | None, text: str) -> str:
    block = f"\n\n```python\n{code.strip()}\n```\n" if code else "\n"
    return f"<details><summary>Solution</summary>{block}\n{text}\n\n</details>"


def _with_badge(source: str, name: str, repository: str, version: str) -> str:
    heading, _, body = source.partition("\n")
    if not is_published(repository):
        return (
            f"{heading}\n\n*The project is not published yet: no link to Colab. Run this lesson in Jupyter.*\n\n{body}"
        )
    place = f"{repository.removeprefix('https://github.com/')}/blob/v{version}/notebooks/{name}.ipynb"
    badge = "https://colab.research.google.com/assets/colab-badge.svg"
    return f"{heading}\n\n[![Open in Colab]({badge})](https://colab.research.google.com/github/{place})\n\n{body}"


def repository() -> str:
    """Where the project is published, from pyproject.toml."""
    return _REPOSITORY.search(PYPROJECT.read_text())[2]


def version() -> str:
    """Of the library, without importing it."""
    return re.search(
        r'__version__ = "([^"]+)"',
        (HERE.parent / "ich_lib" / "__init__.py").read_text(),
    )[1]


def built() -> dict[Path, str]:
    """Every notebook that should be there, path to text."""
    files, where = {}, {"repository": repository(), "version": version()}
    for lesson in lessons():
        for folder, solved in ((HERE, False), (HERE / "solved", True)):
            text = nbformat.writes(notebook(lesson, solved=solved, **where)) + "\n"
            files[folder / f"{lesson.name}.ipynb"] = text
    return files


def stale(files: dict[Path, str]) -> list[str]:
    """Notebooks that are missing, differ from their source, or have none."""
    on_disk = {*HERE.glob("*.ipynb"), *(HERE / "solved").glob("*.ipynb")}
    wrong = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    return sorted(str(path.relative_to(HERE)) for path in {*wrong, *(on_disk - set(files))})


def was_run(path: Path) -> bool:
    """Whether a notebook holds somebody's work: a cell that was run."""
    if not path.exists():
        return False
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    return any(cell.outputs or cell.execution_count for cell in code)


def copies(files: dict[Path, str]) -> dict[str, bytes]:
    """What a learner's folder gets: the notebooks, and below docs/ the page that they link to, with its pictures."""
    notebooks = {
        path.name: text.replace("](../docs/", "](docs/").encode()
        for path, text in sorted(files.items())
        if path.parent == HERE
    }
    page = [SYSTEMS, *sorted(SYSTEMS.parent.glob(f"{SYSTEMS.stem}*.png"))]
    return notebooks | {f"docs/{path.name}": path.read_bytes() for path in page}


def pack(files: dict[Path, str]) -> bytes:
    """The copies as one zip, the same bytes for the same texts."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as folder:
        for name, content in copies(files).items():
            folder.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue()


def is_packed(files: dict[Path, str]) -> bool:
    """Whether the zip of the package holds these very copies."""
    if not PACKED.exists():
        return False
    with zipfile.ZipFile(PACKED) as folder:
        return {name: folder.read(name) for name in folder.namelist()} == copies(files)


def _write(files: dict[Path, str]) -> None:
    if worked := sorted(path.name for path in files if path.parent == HERE and was_run(path)):
        sys.exit(f"Somebody has worked in {', '.join(worked)}. Move them away first, or git checkout them.")
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    PACKED.write_bytes(pack(files))


def figures(lesson: Lesson) -> dict[str, float | str]:
    """How a lesson reads: sizes of its code cells in statements, prose against code, exercises.

    Prose is what a learner reads on the way through: not the title's block, the sources, what is folded away, or signs
    such as "#" and "|".
    """
    cells = [cell for cell in lesson.cells if "mistake" not in tags(cell)]
    code = [_statements(solution(cell.source)) for cell in cells if cell.cell_type == "code"]
    prose = [cell.source for cell in cells[1:] if cell.cell_type == "markdown" and "solution" not in tags(cell)]
    words = sum(len(_WORD.findall(_APART.sub("", text))) for text in prose)
    count = lambda tag: sum(tag in tags(cell) for cell in lesson.cells)  # noqa: E731
    return {
        "lesson": lesson.name,
        "code cells": len(code),
        "median statements": median(code),
        "most statements": max(code),
        "words a statement": round(words / sum(code), 1),
        "exercises": count("exercise"),
        "checks": count("check"),
        "mistakes refused": count("mistake"),
    }


def _statements(source: str) -> int:
    """How many there are, however many lines each of them takes."""
    return sum(isinstance(node, ast.stmt) for node in ast.walk(ast.parse(source)))


def _table(rows: list[dict]) -> str:
    head = list(rows[0])
    lines = [
        head,
        ["---"] * len(head),
        *[[f"{row[key]:g}" if key != "lesson" else row[key] for key in head] for row in rows],
    ]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def without_logs(page):
    """The notebook without what its cells wrote to stderr: on a page, a progress bar is a line for every step."""
    page = deepcopy(page)
    for cell in page.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return page


def _render(folder: Path) -> None:
    """Run every solved lesson and write it as a page."""
    from nbclient import NotebookClient
    from nbconvert import HTMLExporter

    folder.mkdir(parents=True, exist_ok=True)
    for lesson in lessons():
        solved = notebook(lesson, solved=True, repository=repository(), version=version())
        NotebookClient(solved, timeout=1800, resources={"metadata": {"path": str(HERE)}}).execute()
        page, _ = HTMLExporter().from_notebook_node(without_logs(solved))
        (folder / f"{lesson.name}.html").write_text(page)


def _release() -> None:
    """Tag the version that the notebooks name; pushing the tag is left to whoever owns the repository."""
    tag, git = f"v{version()}", ["git", "-C", str(HERE.parent)]
    if not is_published(repository()):
        sys.exit("Name the repository first: python notebooks/build.py --repository URL")
    if outdated := stale(built()):
        sys.exit(f"Not what src/ says: {', '.join(outdated)}. Run python notebooks/build.py.")
    if subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout:
        sys.exit("There are changes that no commit holds. Commit them first.")
    subprocess.run([*git, "tag", "-a", tag, "-m", f"Version {version()}"], check=True)
    print(f"Tagged {tag}. The badges work once it is pushed: git push origin {tag}")


def main() -> None:
    """Do what the options say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--repository", metavar="URL")
    parser.add_argument("--release", action="store_true")
    parser.add_argument("--figures", action="store_true")
    parser.add_argument("--render", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.repository:
        url = options.repository.removesuffix("/").removesuffix(".git")
        PYPROJECT.write_text(_REPOSITORY.sub(rf"\g<1>{url}\g<3>", PYPROJECT.read_text()))
    if options.release:
        _release()
    elif options.figures:
        print(_table([figures(lesson) for lesson in lessons()]))
    elif options.render:
        _render(options.render)
    elif options.check:
        files = built()
        outdated = [*stale(files), *([] if is_packed(files) else [PACKED.name])]
        if outdated:
            sys.exit(f"Not what src/ says: {', '.join(outdated)}. Run python notebooks/build.py.")
    else:
        _write(built())


if __name__ == "__main__":
    main()
