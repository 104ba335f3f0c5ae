import json
import re
from dataclasses import replace

import numpy as np
import pytest

from ich_lib.__main__ import main
from ich_lib.case import Case
from ich_lib.data.store import build_store
from ich_lib.evaluation.causes import Failure
from ich_lib.evaluation.compare import read_report
from ich_lib.evaluation.gallery import (
    KINDS,
    PRIVATE,
    failure_sentence,
    gallery,
    gallery_page,
    informative_slices,
    worst_by_kind,
)
from ich_lib.labels import LABELS
from ich_lib.measures.report import Line
from ich_lib.notice import NOTICE
from ich_lib.scan import Scan, axial_affine
from tests.evaluation.test_evaluate import Disk
from tests.planted import Arrays, table_of_heads


def line(scan, *, blood=1, score=0.9, dice=0.9, true=5.0, mask=5.0):
    """A line of a report."""
    return Line(scan, scan, 0, ("epidural",) if blood else (), dice, score, 9, blood, true, mask)


ROWS = [
    line("good"),
    line("missed", score=0.4),
    line("missed worst", score=0.1, dice=0.0),
    line("alarm", blood=0, score=0.6, dice=None, true=0.0, mask=0.5),
    line("alarm worst", blood=0, score=0.8, dice=None, true=0.0, mask=30.0),
    line("low", dice=0.4),
    line("lowest", dice=0.1),
    line("far", true=10.0, mask=14.0),
    line("a tenth of much", true=100.0, mask=110.0),
    line("little", true=1.0, mask=2.5),
    line("quiet clean", blood=0, score=0.2, dice=None, true=0.0, mask=3.0),
    line("not outlined", dice=None, true=0.0, mask=50.0),
    line("no mask", dice=None, true=0.0, mask=None),
]


def test_each_kind_of_failure_gives_its_worst_and_no_scan_comes_twice():
    """The worst missed bleed also has the lowest overlap, and the worst false alarm marks most. Each is shown only
    once."""
    chosen = [(kind, row.scan) for kind, row in worst_by_kind(ROWS, threshold=0.5, count=99)]
    assert chosen == [
        ("missed bleed", "missed worst"),
        ("missed bleed", "missed"),
        ("false alarm", "alarm worst"),
        ("false alarm", "alarm"),
        ("low overlap", "lowest"),
        ("low overlap", "low"),
        ("wrong volume", "far"),
        ("wrong volume", "quiet clean"),
    ]
    few = [row.scan for _, row in worst_by_kind(ROWS, threshold=0.5, count=5)]
    assert few == ["missed worst", "missed", "alarm worst", "lowest", "far"]
    assert worst_by_kind(ROWS[:1], threshold=0.5, count=5) == []


def test_the_telling_slices_hold_what_is_most_wrong():
    """More is missed than wrongly marked, so slices 2 and 4 of the missed blood are shown. If more is wrongly marked,
    the slice with most blood stays. If nothing is wrong, the heat decides, and no slice is shown where nothing is
    marked."""
    truth, mask = np.zeros((6, 8, 8), bool), np.zeros((6, 8, 8), bool)
    truth[2, :5], truth[4, :4], truth[5, :2] = True, True, True
    mask[0, :6] = True
    heat = np.zeros(truth.shape, np.float16)
    heat[1], heat[3] = 0.2, 0.4
    scan = Scan(np.zeros(truth.shape, np.float32), axial_affine((5, 1, 1), truth.shape))
    labels, outlined = np.zeros((6, len(LABELS)), bool), np.ones(6, bool)
    assert informative_slices(Failure(Case(scan, truth, labels, outlined), mask), heat) == [2, 4]
    much = mask.copy()
    much[[0, 1]] = True
    assert informative_slices(Failure(Case(scan, truth, labels, outlined), much), heat) in ([0, 2], [1, 2])
    assert informative_slices(Failure(Case(scan, truth & False, labels, outlined), mask & False), heat) == [3]
    assert informative_slices(Failure(Case(scan, truth & False, labels, outlined), mask), heat) == [0]


def test_a_sentence_says_what_went_wrong():
    assert failure_sentence("missed bleed", ROWS[1], 0.5) == (
        "Bleeds (epidural) on 1 of 9 slices and was not called: its score 0.40 stays under the threshold of 0.5."
    )
    assert failure_sentence("false alarm", ROWS[3], 0.5).endswith("its score 0.60 reaches the threshold of 0.5.")
    assert failure_sentence("low overlap", ROWS[6], 0.5).endswith("overlap by a Dice of only 0.10.")
    assert failure_sentence("wrong volume", ROWS[7], 0.5).endswith("14.0 mL are marked where there are 10.0 mL.")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """p0 bleeds and is called. p1 is clean but has a bright disk. p2 bleeds at 33 HU. p4 bleeds beside its outline,
    which is on brain."""
    table = table_of_heads(heads=6)
    pictures, masks = [hu.copy() for hu in table.pixels.pictures], [mask.copy() for mask in table.pixels.masks]
    for k in (2, 3):
        blood = table.pixels.masks[k]
        pictures[6 + k][blood] = 70
        pictures[12 + k][blood] = 33
        masks[24 + k] = np.roll(blood, 14, axis=1)
    planted = replace(table, pixels=Arrays(pictures, masks))
    return build_store(planted, tmp_path_factory.mktemp("set") / "set.slices", size=96, field="slice").path


@pytest.fixture
def count_analyses(monkeypatch):
    """The synthetic model replaces a run. What the gallery itself analyzes is counted."""
    from ich_lib.evaluation import gallery as module

    counted, analyze = [], module.analyze
    monkeypatch.setattr("ich_lib.evaluation.gallery.load", lambda *_, **__: Disk.models())
    monkeypatch.setattr(module, "analyze", lambda *given: counted.append(1) or analyze(*given))
    return counted


@pytest.fixture(scope="module")
def first(data, tmp_path_factory):
    """What the gallery shows if it evaluates first, and its folder."""
    out = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ich_lib.evaluation.gallery.load", lambda *_, **__: Disk.models())
        patch.setattr("ich_lib.evaluation.load", lambda *_, **__: Disk.models())
        return gallery("run", data, out), out


@pytest.fixture
def report(first, count_analyses):
    return first[1] / "report.json"


def test_the_page_shows_every_failure_with_its_cause_and_stays_on_this_machine(first):
    view, out = first
    assert {(item.row.scan, item.kind) for item in view} == {
        ("p1", "false alarm"),
        ("p2", "missed bleed"),
        ("p4", "low overlap"),
    }
    assert next(item for item in view if item.row.scan == "p2").cause == "chronic"
    text = (out / "gallery.html").read_text()
    assert PRIVATE in text
    assert NOTICE in text
    assert text.index(PRIVATE) < text.index("<article>")
    assert text.count("<article>") == text.count("data:image/jpeg;base64,") == 3
    assert not re.search(r"""(src|href)=['"](?!data:)""", text)
    assert (out / ".gitignore").read_text() == "*\n"
    assert json.loads((out / "report.json").read_text())["scans"] == 6
    assert re.search(r"<td>all</td><td>1</td><td>1</td><td>1</td><td>0</td><td>3</td>", text)
    assert "<td>chronic</td><td>1</td><td>0</td><td>1</td><td>0</td><td>2</td>" in text


def test_with_a_report_only_the_worst_scans_are_read_again(data, count_analyses, report, tmp_path):
    view = gallery("run", data, tmp_path, report=report, count=1)
    assert ([item.row.scan for item in view], len(count_analyses)) == (["p2"], 1)
    assert not (tmp_path / "report.json").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"data": "other"}, "The report is of other, the data is planted"),
        ({"models": [{"name": "x", "sha256": "1"}]}, "judges other models than those of run"),
        ({"leaky": ["slice"]}, "The split leaks"),
    ],
)
def test_a_report_of_something_else_is_refused(data, report, tmp_path, change, says):
    other = tmp_path / "other.json"
    other.write_text(json.dumps(json.loads(report.read_text()) | change))
    with pytest.raises(ValueError, match=says):
        gallery("run", data, tmp_path, report=other)


def test_a_file_that_is_no_report_is_refused(data, count_analyses, tmp_path):
    for content, says in (("[]", "not a report of an evaluation"), ("{", "not a report.json")):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(ValueError, match=f"x.json is {says}"):
            gallery("run", data, tmp_path, report=tmp_path / "x.json")
    with pytest.raises(ValueError, match="at least 1 scan; got 0"):
        gallery("run", data, tmp_path, count=0)


def test_nobody_trained_on_is_shown(data, report, tmp_path, monkeypatch):
    folds = {f"p{i}": int(i != 0) for i in range(6)}
    monkeypatch.setattr("ich_lib.evaluation.gallery.load", lambda *_, **__: Disk.models(folds=folds))
    with pytest.raises(ValueError, match="judges scan p2, which these models were trained on"):
        gallery("run", data, tmp_path, report=report)
    everybody = dict.fromkeys(folds, 1)
    monkeypatch.setattr(
        "ich_lib.evaluation.gallery.load", lambda *_, **__: Disk.models(folds=everybody, held_out_fold=None)
    )
    with pytest.raises(ValueError, match="trained on every patient of this data"):
        gallery("run", data, tmp_path, report=report)


def test_a_page_without_failures_says_so(report):
    text = gallery_page([], read_report(report))
    assert "No scan was missed" in text
    assert PRIVATE in text


def test_the_command_counts_the_causes(data, report, tmp_path, capsys):
    options = ["--data", str(data), "--out", str(tmp_path), "--report", str(report), "--n", "2"]
    assert main(["gallery", "run", *options]) == 0
    output = capsys.readouterr().out
    assert re.search(r"^chronic +1$", output, re.MULTILINE)
    assert "keep it on this machine" in output
    assert len(KINDS) == 4
