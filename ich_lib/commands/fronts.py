"""The pages: demo, workbench."""

import argparse
import runpy
import subprocess
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).parents[2]  # of the repository, if there is one
_INSTALLED = Path(sys.prefix) / "share" / "ich_lib"  # the wheel's place for files outside the library


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands to the parser."""
    demo = commands.add_parser("demo", help="open the web demo on this computer")
    demo.add_argument(
        "--weights", metavar="RUN", help="a run folder or an exported folder instead of the shipped model"
    )
    demo.add_argument("--compare", metavar="RUN", help="a second model, for comparison with the first")
    demo.add_argument("--mcp", action="store_true", help="offer /analyze to language models; off by default")
    demo.add_argument("--port", help="default: the first free port from 7860")
    demo.add_argument("--host", help="default: only this computer; 0.0.0.0 for the whole network")
    demo.set_defaults(run=_demo)

    workbench = commands.add_parser("workbench", help="open the student workbench on this computer")
    workbench.set_defaults(run=_workbench, of_course=True)


def shared(name: str) -> Path:
    """A file or folder outside the library: in the checkout, or in the wheel's place.

    Raises:
        FileNotFoundError: if it is in neither.
    """
    for place in (_CHECKOUT, _INSTALLED):
        if (place / name).exists() and (place != _CHECKOUT or (place / "pyproject.toml").is_file()):
            return place / name
    raise FileNotFoundError(f"{name} is not installed here. Install the wheel again, or run it from the repository.")


def _demo(options: argparse.Namespace) -> None:
    page = str(shared("app.py"))
    flags = [(f"--{name}", getattr(options, name)) for name in ("weights", "compare", "port", "host")]
    pairs = [part for name, value in flags if value is not None for part in (name, value)]
    sys.argv = [page, *pairs, *(["--mcp"] if options.mcp else [])]
    runpy.run_path(page, run_name="__main__")


def _workbench(options: argparse.Namespace) -> None:
    subprocess.run([sys.executable, "-m", "streamlit", "run", str(shared("workbench.py"))], check=True)
