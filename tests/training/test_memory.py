"""What a training does with memory that it has freed."""

import os
import subprocess
import sys
from ctypes.util import find_library

import pytest

from ich_lib.training.loop import return_freed_memory

_JEMALLOC = find_library("jemalloc")
_PROGRAM = """
import sys
import numpy as np
from ich_lib.training.loop import return_freed_memory

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

arrays = [np.ones(1_000_000) for _ in range(50)]  # 8 MB each
del arrays
kept = resident_mb()
return_freed_memory()
print(kept - resident_mb())
"""


@pytest.mark.skipif(_JEMALLOC is None, reason="needs the package libjemalloc2")
def test_memory_that_jemalloc_keeps_goes_back_to_the_system():
    kept = {"LD_PRELOAD": _JEMALLOC, "MALLOC_CONF": "narenas:1,oversize_threshold:0,dirty_decay_ms:-1"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env={**os.environ, **kept}, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) > 300  # of 400 MB


def test_with_the_usual_allocator_nothing_happens():
    assert return_freed_memory() is None
