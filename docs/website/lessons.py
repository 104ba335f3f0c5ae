"""Lessons for the site: what their first cells say, their outputs, and each as a page of Markdown."""

import base64
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat

from website import ROOT, script

build = script("notebooks/build.py")
_FIRST = re.compile(
    r"\*\*You will\*\* (?P<aim>.+?)\n\n"
    r"\*\*Time\*\* (?P<minutes>\d+) min\.\s+\*\*Runs on\*\* (?P<runs_on>.+?)\.\s+"
    r"\*\*Before this\*\* (?P<needs>.+?)\.?\n\n",
    re.S,
)
_PART = re.compile(r"^\| (?P<name>[^|]+) \| (?P<lessons>\d+ [^|]+) \|$", re.M)
_CONTROLS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NOT_RUN = (
    '!!! warning "This build has no outputs"\n\n'
    "    The lessons were not executed. `python docs/site.py` without `--no-run` executes them and shows their outputs."
)


@dataclass(frozen=True)
class Facts:
    """What the first cell of a lesson states.

    Attributes:
        name: of its files, such as "02_windows".
        title: such as "2. Windows: what the eye can see".
        aim: what the learner will do.
        minutes: that a learner needs.
        runs_on: the machine, and how long the cells compute.
        needs: what comes before, such as "lesson 1".
    """

    name: str
    title: str
    aim: str
    minutes: int
    runs_on: str
    needs: str

    @property
    def number(self) -> int:
        """Such as 2."""
        return int(self.name.split("_")[0])


def facts(lesson) -> Facts:
    """Read the first cell of a lesson of notebooks/build.py.

    Raises:
        ValueError: if the cell lacks one of its parts.
    """
    match = _FIRST.search(lesson.cells[0].source)
    if not match:
        raise ValueError(
            f"The first cell of {lesson.name} must hold **You will**, **Time** N min., **Runs on** and **Before this**."
        )
    parts = {key: " ".join(value.split()) for key, value in match.groupdict().items()}
    return Facts(lesson.name, lesson.title, parts["aim"], int(parts["minutes"]), parts["runs_on"], parts["needs"])


def course_parts(readme: str) -> list[tuple[str, list[int]]]:
    """The parts of the course and the numbers of their lessons, from the table of README.md.

    Args:
        readme: the text of README.md.
    """
    table = readme.partition("## The course\n")[2].partition("\n## ")[0]
    return [
        (row["name"].strip(), [int(number) for number in re.findall(r"(?:^|, )(\d+) ", row["lessons"])])
        for row in _PART.finditer(table)
    ]


def solved(lesson):
    """The solved notebook of a lesson without outputs. A badge becomes a link: another host would serve its picture."""
    notebook = build.notebook(lesson, solved=True, repository=build.repository(), version=build.version())
    colab = re.search(r"\[!\[Open in Colab\]\(\S+\)\](\(\S+\))", notebook.cells[0].source)
    link = f"\n\n[Open in Colab]{colab[1]}" if colab else ""
    notebook.cells[0].source = lesson.cells[0].source + link
    return notebook


def executed(notebook, name: str, cache: Path):
    """A notebook with its outputs, from the cache if these very cells were executed before.

    The cache is keyed by a hash of the notebook and the version of the library. No patient of a data set comes into
    the outputs: ICH_DATA is not passed on.

    Args:
        notebook: without outputs.
        name: of the lesson.
        cache: a folder.
    """
    from nbclient import NotebookClient

    key = sha256(f"{build.version()}\n{nbformat.writes(notebook)}".encode()).hexdigest()[:16]
    cached = cache / f"{name}-{key}.ipynb"
    if cached.exists():
        return nbformat.read(cached, as_version=4)
    environment = {key: value for key, value in os.environ.items() if key != "ICH_DATA"}
    environment |= {"PYTHONPATH": str(ROOT), "ICH_CACHE": environment.get("ICH_CACHE", str(cache / "data"))}
    print(f"executing {name}", flush=True)
    with TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": folder}})
        client.execute(env=environment)
    cache.mkdir(parents=True, exist_ok=True)
    for older in cache.glob(f"{name}-*.ipynb"):
        older.unlink()
    unfinished = cached.with_suffix(".half")
    unfinished.write_text(nbformat.writes(notebook), encoding="utf-8")
    unfinished.replace(cached)
    return notebook


def page(notebook, folder: Path, *, was_run: bool) -> str:
    """A notebook as Markdown, with its pictures as files.

    Args:
        notebook: with outputs, or without.
        folder: for the pictures. The page is expected beside it.
        was_run: whether the cells were executed; otherwise the page says that they were not.
    """
    text, heading = [], ""
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ (.+)$", cell.source, re.M)
            heading = headings[-1] if headings else heading
            text.append(flavored(cell.source.replace("](../../docs/", "](../docs/")))  # from notebooks/solved
        else:
            text.append(_code(cell))
            text += _outputs(cell, folder, f"{number:03}", heading)
        if number == 0 and not was_run:
            text.append(_NOT_RUN)
    return "\n\n".join(text) + "\n"


def flavored(text: str) -> str:
    """Markdown as MkDocs reads it: an empty line before a list or a table, and Markdown inside of `<details>`.

    >>> flavored("Three types:\\n- one\\n- two")
    'Three types:\\n\\n- one\\n- two'
    """
    lines, fenced, last = [], False, ""
    for line in text.splitlines():
        starts = re.match(r"([-*]|\d+\.) |\|", line)
        continues = last.startswith("  ") or re.match(r"([-*]|\d+\.) |\|", last)
        if starts and not fenced and last.strip() and not continues:
            lines.append("")
        fenced ^= line.startswith("```")
        lines.append(line.replace("<details>", '<details markdown="1">') if not fenced else line)
        last = line
    return "\n".join(lines)


def _fence(text: str, head: str) -> str:
    marks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{marks} {head}\n{text.rstrip()}\n{marks}"


def _code(cell) -> str:
    titles = {"exercise": ' title="One solution"', "check": ' title="The check"'}
    title = next((titles[tag] for tag in build.tags(cell) if tag in titles), "")
    block = _fence(cell.source, f"{{ .python{title} }}")
    if "setup" not in build.tags(cell):
        return block
    summary = "<summary>Set-up: what this lesson imports</summary>"
    return f'<details class="setup" markdown="1">{summary}\n\n{block}\n\n</details>'


def _outputs(cell, folder: Path, number: str, heading: str) -> Iterator[str]:
    printed = ""
    for place, output in enumerate([*cell.get("outputs", []), {"output_type": "end"}]):
        data = output.get("data", {})
        if output["output_type"] == "stream":
            if output.name == "stdout":  # bars and the logs of TensorFlow go to the other one
                printed += _CONTROLS.sub("", output.text)
            continue
        if printed.strip():
            yield _fence(printed, "{ .text .output }")
        printed = ""
        if "image/png" in data:
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{number}-{place}.png"
            (folder / name).write_bytes(base64.b64decode(data["image/png"]))
            words = re.sub(r"[\[\]`*]", "", heading)
            yield f"![A picture that the code above draws. Section: {words}]({folder.name}/{name})"
        elif "text/html" in data and "application/vnd.jupyter.widget-view+json" not in data:
            html = re.sub(r"\n\s*\n", "\n", data["text/html"])  # Markdown ends a block of HTML at an empty line
            yield f'<div class="output">{html}</div>'
        elif "text/plain" in data and "application/vnd.jupyter.widget-view+json" not in data:
            yield _fence(data["text/plain"], "{ .text .output }")
