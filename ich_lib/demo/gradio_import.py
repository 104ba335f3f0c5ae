"""gradio, imported without the type stubs that it writes for editors: `from ich_lib.demo.gradio_import import gr`.

Saves 1.0 of 3.6 CPU seconds of `import app` (gradio 6.31, Python 3.11; medians of 5 rounds, with and without in turns).

For each of its components gradio asks `inspect.getfile` for the source file, parses it and compares it with a .pyi file
beside it. An OSError tells it that the class has no file, so it goes on. There is no setting for this.

tests/demo/test_gradio_import.py fails when gradio no longer does so, or no longer takes that answer.
"""

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # gradio reads it on import


@contextmanager
def _without_stubs() -> Iterator[None]:
    getfile = inspect.getfile

    def no_file_of_gradio(thing: Any) -> str:
        if str(getattr(thing, "__module__", "")).startswith("gradio."):
            raise OSError("no file")
        return getfile(thing)

    inspect.getfile = no_file_of_gradio  # type: ignore[assignment]  # gradio gives its argument by place
    try:
        yield
    finally:
        inspect.getfile = getfile


with _without_stubs():
    import gradio as gr

__all__ = ["gr"]
