"""`python app.py`, whose search for blood waits as long as the file that ICH_TEST_HOLD names exists.

So a test decides when a result may come, however fast the model is and however busy the machine.
A sample is made when a page opens it.
"""

import os
import time
from pathlib import Path

from ich_lib.demo import session
from tests.app.on_demand import serve

HOLD = Path(os.environ["ICH_TEST_HOLD"])
find_blood = session.find_blood


def held(scan, models, progress=None, **options):
    """`session.find_blood`, which waits after its first share and can be stopped there as everywhere else."""

    def report(share):
        while True:
            if progress:
                progress(share)
            if not HOLD.exists():
                return
            time.sleep(0.05)

    return find_blood(scan, models, report, **options)


session.find_blood = held
serve()
