"""A listener that dies where a test says: one study from its first slice to its last file, killed at one step.

It reads a line of JSON for each life: folder, slices, target, and the step at which it dies, if any. Each life is a
fork of this process, which has imported everything and started no thread.
"""

import importlib
import json
import os
import pickle
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from ich_lib.hospital import capture, deliver, receive, work
from ich_lib.hospital.ledger import Ledger
from ich_lib.hospital.settings import Settings, parse_target
from ich_lib.prediction.analyze import Result, analyze
from ich_lib.readers import read
from ich_lib.scan import Scan

KILLED = 9


def live(instructions: dict) -> None:
    """Receive all slices, like a sender that tries again, then close, analyze and deliver."""
    work.read = lambda paths, isolated: read(paths)  # one process less to start
    work.analyze = lambda scan, models: _analyzed(scan, Path(instructions["cache"]) / f"{len(scan.hu)}.pickle")
    capture.picture_of = lambda result: np.zeros((32, 32, 3), np.uint8)  # no figure to draw
    if instructions["dies"]:
        _die_at(*instructions["dies"])
    target = parse_target(instructions["target"])
    settings = Settings(Path(instructions["folder"]), targets=(target,), disk_share=1.0, wait_s=0, timeout_s=5)
    ledger = Ledger(settings.folder / "ledger.sqlite")
    for path in instructions["slices"]:
        shutil.copyfile(path, arriving := receive.new_file(settings))
        assert receive.keep(arriving, ledger, settings).status == 0
    ledger.close_due(float("inf"))
    models = [SimpleNamespace(sha256="0" * 64)]
    while work.analyze_next(ledger, settings, models):
        pass
    while deliver.deliver_next(ledger, settings, target, lambda: 0.0):
        pass


def _analyzed(scan: Scan, cache: Path) -> Result:
    """The model runs only the first time; later only the order of the steps matters."""
    if not cache.is_file():
        cache.with_suffix(".part").write_bytes(pickle.dumps(analyze(scan)))
        cache.with_suffix(".part").rename(cache)
    return pickle.loads(cache.read_bytes())


def _die_at(name: str, when: str, call: int) -> None:
    """Kill this process before or after the n-th call of a function."""
    place, _, last = name.rpartition(".")
    module, _, owner = place.partition(":")
    home = importlib.import_module(f"ich_lib.hospital.{module}")
    home = getattr(home, owner) if owner else home
    function, calls = getattr(home, last), 0

    def mortal(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            os.kill(os.getpid(), KILLED)
        answer = function(*arguments, **options)
        if calls == call:
            os.kill(os.getpid(), KILLED)
        return answer

    setattr(home, last, mortal)


def main() -> None:
    """A fork for each line. The answer is how it ended: 0, or the number of the signal."""
    _say("ready")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                live(json.loads(line))
            except BaseException as problem:  # noqa: BLE001 - a fork must never go on as its parent
                sys.stderr.write(f"{problem!r}\n")
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        _say(os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def _say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
