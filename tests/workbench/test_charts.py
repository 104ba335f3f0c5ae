"""The behavior of jsonschema on which ich_lib/workbench/charts.py depends. If a test fails, that module may no
longer be needed."""

import importlib.util
import subprocess
import sys

import pytest

from tests.conftest import ROOT

ASKED = "import sys; {command}; alt.Chart([]).mark_bar(); print('rfc3987_syntax' in sys.modules)"


def builds_the_grammar(command):
    code = ASKED.format(command=command)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.skipif(importlib.util.find_spec("rfc3987_syntax") is None, reason="rfc3987-syntax is not installed")
def test_altair_still_builds_a_grammar_of_web_addresses_when_it_is_imported_as_usual():
    assert builds_the_grammar("import altair as alt") == "True"


def test_charts_come_without_it_and_leave_it_to_others():
    assert builds_the_grammar("from ich_lib.workbench.charts import alt") == "False"
