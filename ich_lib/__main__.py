"""ich COMMAND, or python -m ich_lib COMMAND: from a scan to a result, and from a data set to an evaluated model."""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from ich_lib import __version__
from ich_lib.commands import COMMANDS
from ich_lib.readers.refusal import words_at

_SCRIPT = "ich"  # in [project.scripts]
# The packages that requirements-course.txt adds.
_COURSE = ("keras", "onnx", "optuna", "scipy", "sklearn", "statsmodels", "tensorflow", "tf2onnx")
# the course's packages; Keras may use another backend than TensorFlow
_OF_EVERY_COMMAND = ("keras", "scipy", "sklearn")


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Return 0 for success, or 2 with one sentence on stderr for bad input or a missing package."""
    options = _parser().parse_args(arguments)
    try:
        if getattr(options, "of_course", False):
            _find_course()
        options.run(options)
    except (ValueError, OSError) as problem:
        print(" ".join(words_at("command line", problem).split()), file=sys.stderr)  # noqa: T201
        return 2
    except ModuleNotFoundError as problem:
        if (missing := str(problem.name).partition(".")[0]) not in _COURSE:
            raise
        needed = f"This command needs {missing}, which belongs to the course: pip install -r requirements-course.txt."
        print(needed, file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        stopped = "Stopped. Continue a training run with --resume, and anything else with the same command."
        print(stopped, file=sys.stderr)  # noqa: T201
        return 130
    return 0


def _find_course() -> None:
    """Check that every package of the course is installed, before any work: importing them takes time.

    Raises:
        ModuleNotFoundError: names the first package that is not installed.
    """
    for name in _OF_EVERY_COMMAND:
        if (name in sys.modules and sys.modules[name] is None) or find_spec(name) is None:
            raise ModuleNotFoundError(name=name)


def _parser() -> argparse.ArgumentParser:
    called = _SCRIPT if Path(sys.argv[0]).stem == _SCRIPT else "python -m ich_lib"
    parser = argparse.ArgumentParser(prog=called, description="Head CT hemorrhage: teaching and research only.")
    parser.add_argument("--version", action="version", version=f"ich_lib {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
