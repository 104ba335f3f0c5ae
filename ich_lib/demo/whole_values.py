"""Makes the generators of a Gradio page send whole values.

From the second answer of a generator on, Gradio sends what differs from the answer before, and the page changes the
former value in place to get the new one (gradio 6.31, `apply_diff`). Several answers may reach the page in one piece.
Then a part of the page may read its value only after the next answer has changed it: of 60 pictures that were uploaded
one after the other, one never showed its finding. A whole value in the form of a difference leaves the former alone.

The method is replaced on the page itself: a class of its own would make Gradio write type stubs (`gradio_import`).

tests/demo/test_whole_values.py fails when gradio no longer takes a whole value in that form.
"""

from typing import Any

from ich_lib.demo.gradio_import import gr


def send_whole_values(page: gr.Blocks) -> None:
    """No answer of this page is sent as a difference from another from now on."""
    handle_diffs = page.handle_streaming_diffs

    def handle_whole_values(
        block_fn: Any,
        data: list,
        session_hash: str | None,
        run: str | None,
        final: bool,
        simple_format: bool = False,
    ) -> list:
        is_first = session_hash is None or run is None or run not in page.pending_diff_streams[session_hash]
        values = handle_diffs(block_fn, data, session_hash, run, final, simple_format=True)
        if is_first or final or simple_format:
            return values
        return [[["replace", [], value]] for value in values]

    page.handle_streaming_diffs = handle_whole_values  # type: ignore[method-assign]
