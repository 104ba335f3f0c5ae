"""The pages that no document of the repository holds: contents of the course, list of the API, navigation."""

import re
from collections.abc import Iterable, Sequence

from website import pages
from website.lessons import Facts


def contents(facts: Sequence[Facts], parts: Sequence[tuple[str, list[int]]], *, run: bool) -> str:
    """The contents of the course as Markdown: every lesson with its time and what comes before it.

    Args:
        facts: of every lesson.
        parts: names of the parts with their lessons' numbers.
        run: whether the lessons were executed.

    Raises:
        ValueError: if the parts do not hold every lesson once.
    """
    by_number = {lesson.number: lesson for lesson in facts}
    if sorted(number for _, numbers in parts for number in numbers) != sorted(by_number):
        raise ValueError("The table of lessons in README.md must name every lesson of notebooks/src once.")
    minutes = sum(lesson.minutes for lesson in facts)
    outputs = "with its outputs" if run else "without outputs, as this build did not execute it"
    text = [
        "---\nhide:\n  - toc\n---\n\n# The course",
        f"{len(facts)} lessons, {_duration(minutes)} together. Each is shown solved, {outputs}. *Time* is what a "
        "learner needs. *Runs on* ends with the minutes that all cells of a lesson take on two CPU cores.",
        '<div class="contents" markdown="1">',
    ]
    for name, numbers in parts:
        total = sum(by_number[number].minutes for number in numbers)
        text.append(f"## {name[0].upper()}{name[1:]} ({_duration(total)})")
        rows = [_row(by_number[number], by_number) for number in numbers]
        text.append("\n".join(["| Lesson | Time | Before this | Runs on |", "|---|---|---|---|", *rows]))
    return "\n\n".join([*text, "</div>"]) + "\n"


def _duration(minutes: int) -> str:
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _row(lesson: Facts, by_number: dict[int, Facts]) -> str:
    needs = re.sub(r"\d+", lambda match: f"[{match[0]}]({by_number[int(match[0])].name}.md)", lesson.needs)
    return (
        f"| [{lesson.title}]({lesson.name}.md)<br>You will {lesson.aim} | {lesson.minutes} min | {needs} | "
        f"{lesson.runs_on} |"
    )


def api(rooms: Iterable, *, is_made: bool) -> str:
    """The list of the packages as Markdown, each with a link to its page.

    Args:
        rooms: of docs/architecture.py, from the lowest layer.
        is_made: whether the pages of the API are part of this site.
    """
    link = lambda name, label: f'<a href="../api/{name}.html">{label}</a>' if is_made else label  # noqa: E731
    face = link("ich_lib", "public names of <code>ich_lib</code>")
    says = (
        "The pages are made from the docstrings, which state shapes, units and errors, and have examples that run."
        if is_made
        else "This build left out the pages of the API. `python docs/api.py` writes them to `build/api`."
    )
    rows = [
        f"| {link(f'ich_lib/{room.name}', f'<code>{room.name}</code>')} | {room.says} |"
        for room in sorted(rooms, key=lambda room: (-room.floor, room.name))
    ]
    return "\n\n".join(
        [
            "# The API",
            says,
            f"Start with the {face}: `read`, `analyze`, `train` and so on.",
            "The packages from the top layer to the bottom:",
            '<div class="api" markdown="1">',
            "\n".join(["| package | what it is for |", "|---|---|", *rows]),
            "</div>\n",
        ]
    )


def navigation(facts: Sequence[Facts], parts: Sequence[tuple[str, list[int]]]) -> list:
    """MkDocs' navigation.

    Args:
        facts: of every lesson.
        parts: names of the parts with their lessons' numbers.
    """
    by_number = {lesson.number: lesson for lesson in facts}
    course: list = [pages.CONTENTS]
    for name, numbers in parts:
        listed = [by_number[number] for number in numbers]
        course.append(
            {f"{name[0].upper()}{name[1:]}": [{lesson.title: f"lessons/{lesson.name}.md"} for lesson in listed]}
        )
    listed = lambda group: [{page.title: page.target} for page in group]  # noqa: E731
    return [
        {pages.WELCOME.title: pages.WELCOME.target},
        {"Course": [*course, *listed([pages.GLOSSARY])]},
        {pages.TEACHING.title: pages.TEACHING.target},
        {"Use": listed(pages.USE)},
        {"Evidence": listed(pages.EVIDENCE)},
        {"Code": [*listed(pages.CODE), {"API": pages.API}]},
    ]
