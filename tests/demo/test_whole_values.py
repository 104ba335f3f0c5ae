"""The behavior of gradio on which ich_lib/demo/whole_values.py depends. If a test fails, that module may no longer be
needed."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.served import Server, Visitor

ANSWERS = [{"id": "a", "slices": ["x" * 50]}, {"to": "a", "blood": 1}, {"to": "a", "blood": 1}, ""]
PAGE = f"""
import sys
from ich_lib.demo.whole_values import gr, send_whole_values

def answer():
    yield from {ANSWERS}

with gr.Blocks(analytics_enabled=False) as page:
    page.load(answer, None, gr.HTML())
CHANGE
page.launch(server_name="127.0.0.1", server_port=int(sys.argv[-1]), quiet=True)
"""


@pytest.fixture
def messages(tmp_path, request):
    """The answers of a generator on such a page, in the form in which the browser gets them."""
    script = tmp_path / "page.py"
    script.write_text(PAGE.replace("CHANGE", request.param))
    with Server(tmp_path, command=(str(script),), PYTHONPATH=".") as server, Visitor(server.url) as visitor:
        visitor.join(0, []).raise_for_status()
        sent = list(visitor.messages())
    return [one["output"]["data"][0] for one in sent if one["msg"] == "process_generating"]


@pytest.mark.parametrize("messages", [""], indirect=True)
def test_gradio_still_sends_how_to_change_the_answer_before(messages):
    assert messages[0] == ANSWERS[0]
    assert ["delete", ["slices"], None] in messages[1]


@pytest.mark.parametrize("messages", ["send_whole_values(page)"], indirect=True)
def test_here_each_answer_is_whole_and_changes_no_other(messages):
    assert messages[0] == ANSWERS[0]
    assert messages[1:] == [[["replace", [], answer]] for answer in ANSWERS[1:]]


def test_the_page_of_the_demo_sends_them():
    """It runs in its own process, because Gradio leaves sockets open."""
    code = "import app; print(app.build_app().handle_streaming_diffs.__module__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ich_lib.demo.whole_values"]
