"""The public names of `import ich_lib`: they keep their meaning, nothing is loaded too early, and their examples
run."""

import ast
import doctest
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import ich_lib
from tests.conftest import ROOT

FACE = (
    *("read", "phantom", "load", "analyze", "explain", "store", "recipes", "train", "evaluate", "export"),
    *("Scan", "Case", "Result", "Recipe", "ReadError", "WINDOWS", "LABELS"),
)
DOCUMENTED = [name for name in FACE if not name.isupper()]
WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "ich_lib").rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8") and path.parent != ROOT / "ich_lib"
]
# If these are imported before a public name is used, they must not replace it.
ALIKE = ("data.store", "models.recipes", "prediction.analyze", "prediction.export", "training.train", "scan", "labels")


def fresh(code: str, *options: str) -> str:
    """The output of a new Python process."""
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=300).stdout.strip()


def tried(documented, name: str) -> doctest.TestResults:
    """Run the examples of one docstring, as pasted into a new Python."""
    (result,) = doctest.DocTestFinder(recurse=False).find(documented, name, globs={})
    return doctest.DocTestRunner().run(result)


def test_the_face_shows_what_the_readme_promises():
    assert sorted(ich_lib.__all__) == sorted(FACE)
    assert set(FACE) <= set(dir(ich_lib))


def test_importing_the_library_loads_none_of_it():
    loaded = fresh("import sys; before = set(sys.modules); import ich_lib; print(*sorted(set(sys.modules) - before))")
    assert [name for name in loaded.split() if name.startswith("ich_lib")] == ["ich_lib"]
    assert not {"numpy", "typing_extensions"} & set(loaded.split())


def test_looking_at_every_name_imports_no_keras():
    """`help` and tab completion look at all of them, even if the course is not installed."""
    code = "import sys, ich_lib; [getattr(ich_lib, name) for name in dir(ich_lib)]; print(*sys.modules)"
    assert not {"keras", "tensorflow", "sklearn", "matplotlib"} & set(fresh(code).split())


def test_a_module_of_the_same_name_never_takes_the_place_of_a_function():
    modules = [f"import ich_lib.{name}" for name in ALIKE]
    kinds = "print(*(type(getattr(ich_lib, name)).__name__ for name in ich_lib.__all__))"
    expected = fresh(f"import ich_lib; {kinds}")
    assert fresh("; ".join([*modules, kinds])) == expected
    assert fresh("; ".join([f"import ich_lib; {kinds}", *modules, kinds])).splitlines() == [expected] * 2
    assert "module" not in expected.split()


@pytest.mark.parametrize("name", FACE)
def test_no_room_holds_a_module_named_as_what_it_shows(name):
    """An import of such a module would replace the function in its package, and so in the public names."""
    for room in {"ich_lib", ich_lib._HOMES[name]}:
        folders = getattr(importlib.import_module(room), "__path__", [])
        assert not [place for folder in folders for place in Path(folder).glob(f"{name}*") if place.stem == name]


def test_type_checkers_see_the_same_names_from_the_same_places():
    body = ast.parse((ROOT / "ich_lib" / "__init__.py").read_text(encoding="utf-8")).body
    (checked,) = [node for node in body if isinstance(node, ast.If)]
    visited = {item.asname or item.name: (node.module, item.name) for node in checked.body for item in node.names}
    assert visited == {name: (home, name) for name, home in ich_lib._HOMES.items()}


def test_a_name_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(AttributeError, match=r"no attribute 'analyse'; it shows read, phantom, load, analyze"):
        ich_lib.analyse  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'analyse'"):
        from ich_lib import analyse  # noqa: F401


def test_the_quick_start_is_ten_lines_each_to_be_pasted_by_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (quick,) = doctest.DocTestFinder(recurse=False).find(ich_lib, "quick start", globs={})
    assert [example.source.count("\n") for example in quick.examples] == [1] * 10
    assert doctest.DocTestRunner().run(quick) == (0, 10)
    assert (tmp_path / "found" / "mask.nii.gz").is_file()


def test_help_opens_with_the_quick_start():
    lines = fresh("help('ich_lib')").splitlines()
    assert lines.index(next(line for line in lines if ">>> from ich_lib import" in line)) < 10
    assert any(line.strip().startswith("analyze(scan") for line in lines)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_example_of_its_docstring_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, attempted = tried(getattr(ich_lib, name), name)
    assert attempted >= 2
    assert not failed


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_every_example_behind_the_face_runs_too(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for found in doctest.DocTestFinder().find(importlib.import_module(module)):
        if found.name.rpartition(".")[2] not in FACE:
            assert not doctest.DocTestRunner().run(found).failed, found.name


@pytest.mark.parametrize("name", DOCUMENTED)
def test_its_docstring_tells_arguments_errors_and_where_to_go_on(name):
    view = getattr(ich_lib, name)
    output = inspect.getdoc(view)
    if inspect.isfunction(view):
        arguments = output.partition("Args:\n")[2].partition("\n\n")[0]
        assert not [item for item in inspect.signature(view).parameters if f"    {item}: " not in arguments]
        assert "Returns:\n" in output
        assert "Raises:\n" in output
    if view is not ich_lib.ReadError:
        assert "See also:\n" in output
