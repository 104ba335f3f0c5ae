"""The structure of the library, measured and drawn from its imports.

`python docs/architecture.py` writes docs/journey-of-a-scan.svg, docs/journey-of-a-training-row.svg and the table of
rooms in docs/architecture.md, and prints the figures that tests/test_architecture.py checks. With `--check` it only
compares. Imports inside functions count like any other.
"""

import argparse
import ast
import re
import sys
import tomllib
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # grimp looks there for the package
PACKAGE = ROOT / "ich_lib"
PAGE = ROOT / "docs" / "architecture.md"
LIMITS = {
    "rooms": 26,
    "loose modules": 8,
    "circles": 0,
    "upward arrows": 0,
    "longest function without its docstring": 50,
    "longest file": 450,
}
JOURNEYS = {
    "journey-of-a-scan.svg": (
        "The journey of a scan: files to what a person sees",
        ("scan", "readers", "prepare", "prediction", "measures", "words", "reports", "show", "demo", "commands"),
    ),
    "journey-of-a-training-row.svg": (
        "The journey of a training row: a data set to a model that is judged and shipped",
        ("readers", "phantoms", "data", "prepare", "models", "training", "prediction", "evaluation", "commands"),
    ),
}
_WIDE, _HIGH, _GAP_X, _GAP_Y, _LINE = 190, 84, 44, 26, 26


@dataclass(frozen=True)
class Room:
    """A folder of ich_lib, or a module at its top level.

    Attributes:
        name: of the folder or module.
        floor: its layer, 0 for the lowest.
        says: the first sentence of its docstring.
        lines: of code, docstrings and comments.
        is_folder: whether it is a folder.
    """

    name: str
    floor: int
    says: str
    lines: int
    is_folder: bool


def layers() -> list[list[str]]:
    """Rooms of each layer, the lowest first, as import-linter's contract in pyproject.toml orders them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    ordered = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [re.findall(r"[a-z_]+", layer.replace("ich_lib.", "")) for layer in reversed(ordered)]


def rooms() -> dict[str, Room]:
    """Every room by name. The module that only starts the command line (`__main__`) is not a room."""
    floors = {name: floor for floor, layer in enumerate(layers()) for name in layer}
    match = {}
    for path in sorted(PACKAGE.iterdir()):
        first = path / "__init__.py" if path.is_dir() else path
        if not first.is_file() or first.suffix != ".py" or path.stem.startswith("__"):
            continue
        files = path.rglob("*.py") if path.is_dir() else [path]
        lines = sum(len(file.read_text().splitlines()) for file in files)
        says = (ast.get_docstring(ast.parse(first.read_text())) or "").split("\n\n")[0].replace("\n", " ")
        match[path.stem] = Room(path.stem, floors.get(path.stem, -1), says, lines, path.is_dir())
    return match


def arrows() -> dict[tuple[str, str], int]:
    """(importing room, imported room) to the number of imports between their modules, including those inside
    functions."""
    graph = grimp.build_graph("ich_lib", cache_dir=None)
    counted: dict[tuple[str, str], int] = {}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            ends = _room(module), _room(imported)
            if all(ends) and ends[0] != ends[1]:
                counted[ends] = counted.get(ends, 0) + 1
    return counted


def _room(module: str) -> str:
    """The room of a module; "" for the public face and the start of the command line."""
    parts = module.split(".")
    return "" if len(parts) < 2 or parts[1].startswith("__") else parts[1]


def circle() -> list[str]:
    """Modules that import one another in a ring; empty if there are none."""
    graph = grimp.build_graph("ich_lib", cache_dir=None)
    try:
        TopologicalSorter({m: graph.find_modules_directly_imported_by(m) for m in graph.modules}).prepare()
    except CycleError as problem:
        return problem.args[1]
    return []


def figures() -> dict[str, int]:
    """The current values of the figures in LIMITS."""
    known, lengths = rooms(), []
    files = sorted(PACKAGE.rglob("*.py"))
    for path in files:
        lengths += [_length(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, _FUNCTIONS)]
    return {
        "rooms": len(known),
        "loose modules": sum(not room.is_folder for room in known.values()),
        "circles": int(bool(circle())),
        "upward arrows": len(upward()),
        "longest function without its docstring": max(lengths),
        "longest file": max(len(path.read_text().splitlines()) for path in files),
    }


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    documented = ast.get_docstring(function) is not None
    docstring = function.body[0].end_lineno - function.body[0].lineno + 1 if documented else 0
    return function.end_lineno - function.lineno + 1 - docstring


def upward() -> list[str]:
    """Arrows that do not go down, and rooms without a layer."""
    known = rooms()
    wrong = [f"{a} -> {b}" for a, b in arrows() if known[a].floor <= known[b].floor]
    return wrong + [f"{room.name} is in no layer" for room in known.values() if room.floor < 0]


def drawing(title: str, names: tuple[str, ...]) -> str:
    """Some rooms, layer by layer from left to right, and the imports between them, as SVG."""
    known = {name: room for name, room in rooms().items() if name in names}
    edges = _reduced({ends for ends in arrows() if set(ends) <= set(known)})
    floors = sorted({room.floor for room in known.values()})
    columns = [[room for room in known.values() if room.floor == floor] for floor in floors]
    highest = max(map(len, columns))
    place = {}
    for x, column in enumerate(columns):
        for y, room in enumerate(column):
            top = _LINE * 2 + ((highest - len(column)) / 2 + y) * (_HIGH + _GAP_Y)
            place[room.name] = (10 + x * (_WIDE + _GAP_X), top)
    width, height = 10 + len(columns) * (_WIDE + _GAP_X), _LINE * 2 + highest * (_HIGH + _GAP_Y)
    parts = [_edge(place[a], place[b]) for a, b in sorted(edges)]
    parts += [_box(known[name], place[name]) for name in sorted(known)]
    return _SVG.format(width=width, height=height, title=escape(title), body="\n".join(parts))


_SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" role="img">
<title>{title}</title>
<rect width="100%" height="100%" fill="#ffffff"/>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0 L8 4 L0 8 z" fill="#555555"/></marker></defs>
<text x="10" y="26" font-size="18" font-weight="bold" fill="#222222">{title}</text>
{body}
</svg>
"""


def _reduced(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Without arrows that a longer path already shows: a -> c if there are a -> b -> c."""
    below: dict[str, set[str]] = {}
    for a, b in edges:
        below.setdefault(a, set()).add(b)

    def reachable(name: str) -> set[str]:
        return {deeper for b in below.get(name, ()) for deeper in {b} | reachable(b)}

    return {(a, b) for a, b in edges if not any(b in reachable(other) for other in below[a] - {b})}


def _edge(start: tuple[float, float], end: tuple[float, float]) -> str:
    """From the left side of the importing room to the right side of the imported one."""
    x0, y0, x1, y1 = start[0], start[1] + _HIGH / 2, end[0] + _WIDE, end[1] + _HIGH / 2
    bend = max((x0 - x1) / 2, _GAP_X / 2)
    curve = f"M{x0:g} {y0:g} C{x0 - bend:g} {y0:g} {x1 + bend:g} {y1:g} {x1 + 1:g} {y1:g}"
    return f'<path d="{curve}" fill="none" stroke="#555555" stroke-width="1.2" marker-end="url(#tip)"/>'


def _box(room: Room, place: tuple[float, float]) -> str:
    x, y = place
    lines = [
        f'<text x="{x + 10:g}" y="{y + 40 + 15 * i:g}" font-size="11" fill="#444444">{escape(line)}</text>'
        for i, line in enumerate(_wrapped(room.says, 32, 3))
    ]
    return "\n".join(
        [
            f'<rect x="{x:g}" y="{y:g}" width="{_WIDE}" height="{_HIGH}" rx="6" fill="#eef3f8" stroke="#0072b2"/>',
            f'<text x="{x + 10:g}" y="{y + 21:g}" font-size="14" font-weight="bold" fill="#222222">{room.name}</text>',
            *lines,
        ]
    )


def _wrapped(text: str, width: int, count: int) -> list[str]:
    """Text in lines, cut after `count` of them."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines if len(lines) <= count else [*lines[: count - 1], lines[count - 1] + " …"]


def table() -> str:
    """One line per room, from the top layer to the bottom."""
    ordered = sorted(rooms().values(), key=lambda room: (-room.floor, room.name))
    lines = [f"| `{room.name}{'/' * room.is_folder}` | {room.says} |" for room in ordered]
    return "\n".join(["| room | what it is for |", "|---|---|", *lines])


def documents() -> dict[Path, str]:
    """Each generated file, with its expected content."""
    made = {PAGE.with_name(name): drawing(title, names) for name, (title, names) in JOURNEYS.items()}
    text = PAGE.read_text()
    made[PAGE] = re.sub(
        r"(<!-- rooms: made by docs/architecture.py -->\n).*?(\n<!-- end of rooms -->)",
        lambda match: match[1] + table() + match[2],
        text,
        flags=re.DOTALL,
    )
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a document is not up to date")
    check = parser.parse_args().check
    for name, value in figures().items():
        print(f"{name}: {value} (at most {LIMITS[name]})")
    for line in upward() + [" -> ".join(circle())] * bool(circle()):
        print(line)
    stale = [path for path, text in documents().items() if not path.is_file() or path.read_text() != text]
    if check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not up to date; run python docs/architecture.py.")
        return int(bool(stale))
    for path in stale:
        path.write_text(documents()[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
