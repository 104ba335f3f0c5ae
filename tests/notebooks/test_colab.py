"""The set-up cell of a lesson in an environment like Colab's: it installs what is missing and changes nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.test_notebooks import LESSONS, build

ROOT = Path(__file__).parents[2]
SHIPPED = {  # the versions that Colab had installed in August 2026, in place of "the newest"
    "tensorflow": "2.20.*",
    "keras": "3.13.2",
    "numpy": "2.1.*",
    "gradio": "6.24.*",
    "nibabel": "5.4.2",
    "ipykernel": "6.*",
}
AS_IN_COLAB = "import sys, types; sys.modules['google.colab'] = types.ModuleType('google.colab')"


def versions(python: Path) -> dict[str, str]:
    """The installed packages, name to version."""
    names = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", names, flags=re.M))


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """The Python of a virtual environment with Colab's versions, as a kernel named "colab"."""
    folder = tmp_path_factory.mktemp("colab")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    expected = [f"{name}=={version}" for name, version in SHIPPED.items()]
    subprocess.run([python, "-m", "pip", "install", "-q", *expected], check=True)
    built = [python, "-m", "ipykernel", "install", "--prefix", folder / "kernel", "--name", "colab"]
    subprocess.run(built, check=True, capture_output=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder / "kernel" / "share" / "jupyter"))
        patch.delenv("PYTHONPATH", raising=False)
        yield python


def project(folder: Path) -> Path:
    """The files of the project that pip needs, in a folder in which it may build."""
    for name in ("pyproject.toml", "README.md", "requirements.txt", "app.py", "workbench.py"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "ich_lib", folder / "ich_lib", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.colab
def test_the_set_up_cell_brings_the_library_to_colab_and_changes_nothing_that_was_there(colab, tmp_path):
    from nbclient import NotebookClient

    before = versions(colab)
    where = {"repository": "https://github.com/someone/project", "version": build.version()}
    book = build.notebook(LESSONS[0], solved=True, **where)
    published = f"git+{where['repository']}@v{where['version']}"
    setup = next(cell for cell in book.cells if "setup" in build.tags(cell))
    assert published in setup.source
    setup.source = setup.source.replace(published, project(tmp_path).as_uri())
    book.cells.insert(0, nbformat.v4.new_code_cell(AS_IN_COLAB))
    others = [cell.source for lesson in LESSONS for cell in lesson.cells if "setup" in build.tags(cell)]
    book.cells += [nbformat.v4.new_code_cell(imports) for imports in others]
    NotebookClient(book, kernel_name="colab", timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()

    after = versions(colab)
    assert {name: after[name] for name in before} == before
    assert "pydicom" not in before
    assert "pydicom" in after
