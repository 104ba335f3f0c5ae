"""The behavior of gradio on which ich_lib/demo/gradio_import.py depends. If a test fails, that module may no longer be
needed."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

_STUBS = """
import os, sys
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
stubs = []
sys.addaudithook(lambda event, given: event == "open" and str(given[0]).endswith(".pyi") and stubs.append(given[0]))
{command}
import inspect
print(len(stubs), inspect.getfile.__module__, gr.__name__)
"""


def imported(command):
    """The number of type stubs that an import of gradio opens, the owner of `inspect.getfile` after it, and the
    imported modules."""
    code = _STUBS.format(command=command)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_gradio_still_goes_through_its_stubs_when_it_is_imported_as_usual():
    assert int(imported("import gradio as gr")[0]) > 10


@pytest.mark.parametrize("command", ["from ich_lib.demo.gradio_import import gr", "from app import gr"])
def test_here_gradio_opens_none_and_python_is_as_it_was(command):
    assert imported(command) == ["0", "inspect", "gradio"]
