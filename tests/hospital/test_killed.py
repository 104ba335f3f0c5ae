"""The process is killed at every step of one study: nothing is lost, and nothing is sent twice."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest
from pydicom import dcmread

from ich_lib.hospital.ledger import SENT, Ledger
from tests.conftest import ROOT
from tests.hospital.conftest import with_target

STEPS = [  # function, before or after, and the number of the call, in the order of a study's life
    ("receive.keep", "before", 1),
    ("ledger:Ledger.add_image", "before", 3),
    ("ledger:Ledger.add_image", "after", 3),
    ("ledger:Ledger.close_due", "after", 1),
    ("work.analyze", "after", 1),
    ("work.write_seg", "after", 1),
    ("work.write_files", "after", 1),
    ("work.make", "after", 1),
    ("ledger:Ledger.set_made", "after", 1),
    ("ledger:Ledger.set_delivery", "after", 1),
    ("deliver.send", "after", 1),
    ("ledger:Ledger.set_delivery", "after", 2),
    ("deliver.send", "before", 2),
    ("deliver.send", "after", 3),
]


@dataclass
class Zygote:
    process: subprocess.Popen
    cache: str

    def live(self, **changes):
        self.process.stdin.write(json.dumps({"dies": None, "cache": self.cache} | changes) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def zygote(tmp_path_factory):
    command = [sys.executable, "-m", "tests.hospital.mortal"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield Zygote(process, str(tmp_path_factory.mktemp("results")))
    process.communicate(timeout=30)


@pytest.mark.parametrize(("name", "when", "call"), STEPS, ids=[f"{when} {name} {call}" for name, when, call in STEPS])
def test_a_study_survives_a_kill(name, when, call, zygote, settings, slices, orthanc):
    orthanc.clear()
    before = len(orthanc.received())
    life = {
        "folder": str(settings.folder),
        "slices": [str(path) for path in slices],
        "target": with_target(settings, orthanc).targets[0].url,
    }
    assert zygote.live(**life, dies=[name, when, call]) == 9, "it was not killed there"
    assert zygote.live(**life) == 0
    received = orthanc.received()[before:]
    assert len(received) == len(set(received)) == 3, "SEG, SR and capture, each given once"
    assert orthanc.kept() == sorted(received)
    ledger = Ledger(settings.folder / "ledger.sqlite")
    assert [one.state for one in ledger.deliveries()] == [SENT] * 3
    assert [state for state, _ in ledger.series_states().values()] == ["done"]
    assert len(ledger.images(str(dcmread(slices[0]).SeriesInstanceUID))) == len(slices)
    ledger.close()


def test_a_study_that_nobody_kills_is_analyzed_once_however_often_it_comes(zygote, settings, slices, orthanc):
    orthanc.clear()
    before = len(orthanc.received())
    target = with_target(settings, orthanc).targets[0].url
    life = {"folder": str(settings.folder), "target": target}
    for _ in range(2):
        assert zygote.live(**life, slices=[str(path) for path in slices[:-1]]) == 0
    assert len(orthanc.received()) == before + 3
    assert zygote.live(**life, slices=[str(path) for path in slices]) == 0
    received = orthanc.received()[before:]
    assert len(received) == len(set(received)) == 6, "one more slice is another series of images: analyzed again"
