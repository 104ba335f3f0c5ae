"""Wrong solutions that are made automatically: each differs from a correct solution in one place."""

import ast
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

_REDUCTIONS = {
    "mean": "max",
    "sum": "mean",
    "max": "mean",
    "min": "max",
    "argmax": "argmin",
    "argmin": "argmax",
    "any": "all",
    "all": "any",
    "nanmedian": "nanmean",
    "ptp": "max",
    "maximum": "minimum",
    "std": "var",
    "sorted": "list",
    "percentile": "quantile",
}
_OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.BitOr: ast.BitXor,
    ast.BitAnd: ast.BitOr,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


@dataclass(frozen=True)
class Mutant:
    """A wrong solution.

    Attributes:
        kind: of the change, such as "operator swapped".
        change: what was changed into what.
        source: of the function.
    """

    kind: str
    change: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of one function."""
    tree = ast.parse(source)
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    names = [argument.arg for argument in function.args.args]
    for name in names:
        frozen = f"{name} = _first.setdefault({name!r}, {name})"
        yield Mutant("argument ignored", name, _with_first_line(tree, f"import builtins\n{frozen}", "_first = {}"))
    yield Mutant("constant returned", "its first answer", f"{source}\n\n{_MEMORY.format(name=function.name)}")
    for value in ("0", "1", "True", "[]", "''"):
        yield Mutant("constant returned", value, f"def {function.name}({', '.join(names)}):\n    return {value}\n")
    yield Mutant("input changed in place", "", f"{source}\n\n{_SPOILER.format(name=function.name)}")
    for place, node in enumerate(ast.walk(tree)):
        for kind, change in _changes(node):
            copy = deepcopy(tree)
            target = list(ast.walk(copy))[place]
            before = ast.unparse(target)
            replacement = change(target)
            if replacement is not None and replacement is not target:
                copy = _Replace(target, replacement).visit(copy)
            after = ast.unparse(replacement if replacement is not None else target)
            yield Mutant(kind, f"{before} -> {after}", ast.unparse(ast.fix_missing_locations(copy)))


_MEMORY = """
_right, _kept = {name}, []
def {name}(*arguments):
    answer = _right(*arguments)
    _kept.append(answer)
    return _kept[0]
"""
_SPOILER = """
_right = {name}
def _spoil(value):
    if hasattr(value, "pixel_array"):
        value.pixel_array[...] = 7
    elif hasattr(value, "dtype") and getattr(value, "ndim", 0):
        value[...] = __import__("numpy").roll(value, 1, axis=0) if len(value) > 1 else 0
    elif isinstance(value, list):
        value.append(value.pop(0))
    elif isinstance(value, dict) and value:
        value.pop(next(iter(value)))
    elif isinstance(value, tuple):
        for item in value:
            _spoil(item)
    elif type(value).__name__ == "SimpleNamespace":
        for item in vars(value).values():
            _spoil(item)
def {name}(*arguments):
    answer = _right(*arguments)
    _spoil(arguments)
    return answer
"""


def _with_first_line(tree: ast.Module, line: str, before: str) -> str:
    copy = deepcopy(tree)
    function = next(node for node in copy.body if isinstance(node, ast.FunctionDef))
    function.body[:0] = ast.parse(line).body
    copy.body[:0] = ast.parse(before).body
    return ast.unparse(ast.fix_missing_locations(copy))


def _changes(node):
    """(kind, function that changes a node in place or gives another) for what can be done to a node."""
    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)) and type(node.op) in _OPERATORS:
        yield "operator swapped", lambda n: setattr(n, "op", _OPERATORS[type(n.op)]())
    if isinstance(node, ast.Compare):
        for k, operator in enumerate(node.ops):
            if type(operator) in _OPERATORS:
                yield "operator swapped", lambda n, k=k: n.ops.__setitem__(k, _OPERATORS[type(n.ops[k])]())
    if isinstance(node, ast.UnaryOp):
        yield "operator swapped", lambda n: n.operand
    if isinstance(node, (ast.Attribute, ast.Name)) and _name(node) in _REDUCTIONS:
        field = "attr" if isinstance(node, ast.Attribute) else "id"
        yield "reduction swapped", lambda n: setattr(n, field, _REDUCTIONS[_name(n)])
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        yield "number changed", lambda n: ast.Constant(n.value + 1)
    if isinstance(node, ast.Call):
        for k in range(len(node.keywords)):
            yield "option dropped", lambda n, k=k: n.keywords.pop(k) and None
    if isinstance(node, ast.IfExp):
        yield "branch dropped", lambda n: n.body
        yield "branch dropped", lambda n: n.orelse
    if isinstance(node, ast.If):
        yield "branch dropped", lambda n: ast.Pass()
    if isinstance(node, ast.comprehension):
        for k in range(len(node.ifs)):
            yield "branch dropped", lambda n, k=k: n.ifs.pop(k) and None


def _name(node) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id


class _Replace(ast.NodeTransformer):
    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        return self.new if node is self.old else self.generic_visit(node)
