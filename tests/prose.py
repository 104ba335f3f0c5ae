"""The prose of the repository: paragraphs of Markdown, docstrings and comments of Python, each with its place.

`tests/test_prose.py` looks for banned words in it. `python -m tests.prose` prints how easy it is to read: the words of
the median sentence, and the share of sentences with more than 25 words. It needs textstat (`pip install textstat`).
"""

import ast
import io
import re
import statistics
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

KINDS = {
    "README": ["README.md"],
    "cards": ["MODEL_CARD.md", "DATA_CARD.md", "ich_lib/data/heads/README.md"],
    "docs": ["docs/*.md", "docs/website/*.md", "CONTRIBUTING.md"],
    "changelog": ["CHANGELOG.md"],
    "lessons": ["notebooks/src/*.py"],
    "docstrings": ["ich_lib/**/*.py", "app.py", "workbench.py", "release.py", "deploy/**/*.py"],
    "docstrings of tests": ["tests/**/*.py", "benchmarks/*.py", "docs/*.py", "docs/website/*.py"],
}
_ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|vs|et al|Fig|No|Dr|St|approx)\.")
_SECTION = re.compile(r"^(Args|Returns|Raises|Yields|Attributes|Source|Sources|Example|Examples|See also|Note):$")


@dataclass(frozen=True)
class Passage:
    """Text that a person reads as one piece.

    Attributes:
        path: of the file, from the repository's root.
        line: where it begins, from 1.
        text: its words; line breaks are kept.
        kind: "text", "cell" (of a table), "docstring" or "comment".
    """

    path: Path
    line: int
    text: str
    kind: str


def passages(path: Path) -> Iterator[Passage]:
    """Every passage of a Markdown or Python file. Code, links' addresses and examples are left out."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from _markdown(path, text)
    elif "notebooks/src" in path.as_posix():
        yield from _lesson(path, text)
    else:
        yield from _docstrings(path, text)
        yield from _comments(path, text)


def sentences(text: str) -> list[str]:
    """The sentences of a passage, without the marks of Markdown.

    >>> sentences("Read it (see `a.b`). Dr. Who is 0.5 m tall. [Here](https://a.b) it is!")
    ['Read it (see a.b).', 'Dr. Who is 0.5 m tall.', 'Here it is!']
    """
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    plain = " ".join(re.sub(r"[*`#>]", "", plain).split())
    guarded = _ABBREVIATIONS.sub(lambda match: match.group(0).replace(".", "\0"), plain)
    parts = re.split(r"(?<=[.!?])\s+(?=[A-Z0-9\"(])", guarded)
    return [part.replace("\0", ".") for part in parts if len(re.findall(r"[A-Za-z]{2,}", part)) >= 3]


def files(kind: str) -> list[Path]:
    """Files of one of `KINDS`."""
    return sorted(path for pattern in KINDS[kind] for path in ROOT.glob(pattern))


def _markdown(path: Path, text: str) -> Iterator[Passage]:
    block: list[str] = []
    start, fenced, header = 0, False, text.startswith("---\n")
    for number, line in enumerate([*text.splitlines(), ""], 1):
        bare = line.strip()
        if header:
            header = number == 1 or bare != "---"
            continue
        if bare.startswith("```"):
            fenced, bare = not fenced, ""
        breaks = not bare or fenced or re.match(r"([-*] |\d+\. |#|\||<!--)", bare)
        if breaks and block:
            yield Passage(path, start, "\n".join(block), "text")
            block = []
        if fenced or not bare or bare.startswith("<!--") or re.fullmatch(r"[|\s:-]+", bare):
            continue
        if bare.startswith("|"):
            yield from (
                Passage(path, number, cell.strip(), "cell") for cell in bare.strip("|").split("|") if cell.strip()
            )
            continue
        if not block:
            start = number
        block.append(bare)


def _lesson(path: Path, text: str) -> Iterator[Passage]:
    cells = re.split(r"(?m)^# %%", text)
    line = 1
    for cell in cells:
        if cell.startswith(" [markdown]"):
            body = "\n".join(re.sub(r"^# ?", "", row) for row in cell.splitlines()[1:])
            yield from (Passage(path, line + p.line, p.text, p.kind) for p in _markdown(path, body))
        line += cell.count("\n")


def _docstrings(path: Path, text: str) -> Iterator[Passage]:
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        documented = ast.get_docstring(node, clean=False)
        if not documented:
            continue
        block: list[str] = []
        first = node.body[0].lineno
        start, examples = first, False
        for number, line in enumerate([*documented.splitlines(), ""], first):
            bare = line.strip()
            examples = (examples and bool(bare)) or bare.startswith(">>>")
            item = re.match(r"\w[\w, *]*: ", bare)
            if (not bare or examples or item or _SECTION.match(bare)) and block:
                yield Passage(path, start, "\n".join(block), "docstring")
                block = []
            if not bare or examples or _SECTION.match(bare):
                continue
            if not block:
                start = number
            block.append(bare[item.end() :] if item else bare)


def _comments(path: Path, text: str) -> Iterator[Passage]:
    block: list[str] = []
    start = last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT or re.match(r"#(!| (noqa|type:|fmt:|%%))", token.string):
            continue
        if block and token.start[0] != last + 1:
            yield Passage(path, start, "\n".join(block), "comment")
            block = []
        if not block:
            start = token.start[0]
        block.append(token.string.lstrip("# ").strip())
        last = token.start[0]
    if block:
        yield Passage(path, start, "\n".join(block), "comment")


def readability(kind: str) -> tuple[int, float, float]:
    """Of one of `KINDS`: how many sentences, words of the median one, and the share (%) of those over 25 words."""
    import textstat

    kept = [p for path in files(kind) for p in passages(path) if p.kind in ("text", "docstring")]
    every = [sentence for passage in kept for sentence in sentences(passage.text)]
    words = [textstat.lexicon_count(sentence) for sentence in every]
    long = 100 * sum(count > 25 for count in words) / len(words)
    return len(words), statistics.median(words), long


def table(kinds: Sequence[str]) -> str:
    """`readability` of some of `KINDS`, one line each."""
    lines = [f"{'':20} {'sentences':>9} {'median words':>12} {'over 25 words':>13}"]
    for kind in kinds:
        count, median, long = readability(kind)
        lines.append(f"{kind:20} {count:9} {median:12.0f} {long:11.1f} %")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table(sys.argv[1:] or list(KINDS)))
