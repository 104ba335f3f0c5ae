"""python -m ich_lib COMMAND: from a scan to a result, and from a data set to models that are trained and judged."""

import argparse
import sys

from ich_lib.commands import ADDED


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it went well, 2 with one sentence on stderr when its input was bad."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError) as problem:
        print(" ".join(str(problem).split()), file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        print("Stopped. A training run goes on with --resume, anything else with the same command.", file=sys.stderr)  # noqa: T201
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ich_lib", description="Head CT hemorrhage: teaching and research only."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in ADDED:
        add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
