"""Prepare a data set for training: fetch, store."""

import argparse
from pathlib import Path

from ich_lib.commands.say import say
from ich_lib.prepare.head import FIELDS


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands to the parser."""
    fetch = commands.add_parser("fetch", help="download a data set, or explain how to get it")
    fetch.add_argument("name", metavar="SET", help="ct-ich, ct-ich-1.3.1, rsna-2019, cq500 or renders")
    fetch.add_argument("--out", type=Path, help="folder to fill (default: data/SET); run the same command to resume")
    fetch.set_defaults(run=_fetch)

    store = commands.add_parser("store", help="check a data set and write one compact file for training")
    store.add_argument("--data", type=Path, required=True, help="folder of a data set")
    store.add_argument("--out", type=Path, required=True, metavar="FILE")
    store.add_argument("--size", type=int, default=256, help="side of a stored picture in pixels (default 256)")
    store.add_argument(
        "--field", choices=FIELDS, default="head", help="crop to the head (default), or keep whole slices"
    )
    store.set_defaults(run=_store)


def _fetch(options: argparse.Namespace) -> None:
    from ich_lib.data.fetch import fetch

    folder = fetch(options.name, options.out or Path("data") / options.name)
    say(f"{folder} is complete. Next: python -m ich_lib store --data {folder} --out {options.name}.slices")


def _store(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from ich_lib import store
    from ich_lib.data.checksums import SUMS, verify

    if (options.data / SUMS).is_file():
        say("\n".join(verify(options.data)) or f"Every file agrees with {SUMS}.")
    bar = lambda scans, total: tqdm(scans, total=total, desc="reading", unit="scan")  # noqa: E731
    stored = store(options.data, options.out, size=options.size, field=options.field, progress=bar)
    megabytes = options.out.stat().st_size / 1e6
    say("\n".join([*stored.table.report.sentences, repr(stored.table), f"Written: {options.out}, {megabytes:.0f} MB."]))
