"""Make the built-in heads in a separate process with low priority, so that pages need not wait.

python -m ich_lib.workbench.making HEADS SIZE
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Thread

from ich_lib.data.phantoms import phantoms

_ROOT = Path(__file__).parents[2]
_FIRST_S = 1.0  # the page with the first few is drawn before the others are started


class HeadJob:
    """Heads that are made and stored while the user looks at the first few.

    Attributes:
        n_done: number of finished heads.
        failed: whether the others cannot be made.
    """

    def __init__(self, heads: int, size: int):
        self.n_done, self.failed = 0, False
        Thread(target=self._make, args=(heads, size), daemon=True).start()

    def _make(self, heads: int, size: int) -> None:
        time.sleep(_FIRST_S)
        command = [sys.executable, "-m", __name__, str(heads), str(size)]
        with subprocess.Popen(
            command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            for line in process.stdout or ():
                self.n_done = int(line)
        self.failed = process.returncode != 0


def _counted(heads: Iterable, total: int) -> Iterator:
    """Print the number of finished heads. When the workbench ends, printing fails, and this process ends too."""
    for done, head in enumerate(heads, start=1):
        print(done, flush=True)  # noqa: T201
        yield head


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(5)
    phantoms(int(sys.argv[1]), size=int(sys.argv[2]), progress=_counted)
