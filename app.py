"""Web demo: a sample case already read, and the same for one's own scan. Wiring only; what it knows is in ich_lib.

python app.py [--weights RUN] [--compare RUN] [--port N] [--host H] [--mcp]
"""

import argparse
import importlib.util
import signal
import sys
from pathlib import Path
from threading import Thread

from ich_lib.demo import session, viewer
from ich_lib.demo.gradio_import import gr
from ich_lib.demo.samples import SAMPLES, read_ahead, sample_reader
from ich_lib.demo.wiring import TITLE, build_app, load_pair
from ich_lib.notice import NOTICE
from ich_lib.prediction.engine import WEIGHTS_FOLDER, load
from ich_lib.readers import child
from ich_lib.readers.refusal import words_at

try:
    import spaces
except ImportError:
    spaces = None
if spaces:

    @spaces.GPU
    def _marker() -> None:
        """Free Spaces start only where a function carries this mark. It is never called: everything runs on the CPU."""


def main() -> int:
    """Serve the page until it is stopped; 2 where the weights are missing or not what their card says."""
    options = _options()
    try:
        models = load(options.weights)
        if options.compare:
            load_pair(str(options.compare))  # an error here is better than one on the page
        _check_mcp(options.mcp)
    except (ValueError, OSError) as problem:
        print(words_at("command line", problem), file=sys.stderr)  # noqa: T201
        return 2
    samples = sample_reader(models)
    app = build_app(models, samples, options.compare)
    app.launch(
        prevent_thread_lock=True,
        server_name=options.host,
        server_port=options.port,
        max_file_size=f"{session.MOST_UPLOAD_MB}mb",
        state_session_capacity=24,
        show_error=False,
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        app_kwargs={"openapi_url": None},  # else FastAPI tells every route, the page's own among them
        footer_links=[],
        mcp_server=options.mcp,
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=viewer.page_css(len(SAMPLES)),
        js=viewer.page_js(),
    )
    child.warm()  # else the first upload would wait for its imports
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # tidied up as after Ctrl+C
    Thread(target=read_ahead, args=[samples], daemon=True).start()
    app.block_thread()
    return 0


def _check_mcp(is_requested: bool) -> None:
    if is_requested and importlib.util.find_spec("mcp") is None:
        raise ValueError("--mcp needs the package mcp: pip install 'gradio[mcp]'.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"{TITLE}: web demo. {NOTICE}")
    parser.add_argument(
        "--weights",
        default=WEIGHTS_FOLDER,
        metavar="RUN",
        help="a run or an exported folder instead of the shipped models",
    )
    parser.add_argument(
        "--compare", type=Path, metavar="RUN", help="a second run or exported folder, shown beside the first on request"
    )
    parser.add_argument("--mcp", action="store_true", help="offer /analyze to language models (MCP); off by default")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    parser.add_argument("--host", help="default: this computer alone; 0.0.0.0 for the whole network")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
