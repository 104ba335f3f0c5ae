"""Scores of many scans: which studies are listed, one line for each, processes and Dask, and the page about them."""

import json
import os
import signal
import subprocess
import sys
import types
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

from ich_lib.__main__ import main
from ich_lib.archive import crew
from ich_lib.archive.crew import Order, score_all
from ich_lib.archive.lines import LOCK, RESULTS, open_lines, read_lines
from ich_lib.archive.report import count_lines, page, report
from ich_lib.archive.score import COLUMNS, FAILED, folder_of, score
from ich_lib.archive.studies import list_studies
from ich_lib.phantoms import phantom
from ich_lib.phantoms.bodies import body
from ich_lib.reports import write_nifti
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def plain_main(monkeypatch):
    """A spawned child runs the main script again. Streamlit's tests leave a main script that cannot run again."""
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Five studies: two heads, a bleeding head with many slices, a chest, and a file that is not a scan."""
    folder = tmp_path_factory.mktemp("archive")
    scans = {f"head-{seed}": phantom(seed, slices=4, pixels=64).scan for seed in (1, 2)}
    scans["bleed"] = phantom(1, bleeds=["epidural"], slices=12, pixels=128).scan
    scans["chest"] = body("chest", slices=4, pixels=64)
    for name, scan in scans.items():
        write_nifti(folder / f"{name}.nii.gz", np.round(scan.hu).astype(np.int16), scan)
    (folder / "broken.nii.gz").write_bytes(b"\x1f\x8b no scan")
    return folder


def test_lists_and_folders_give_each_study_once_in_order(tmp_path):
    for name in ("b", "a", ".hidden", "__MACOSX"):
        (tmp_path / "many" / name).mkdir(parents=True)
    (tmp_path / "many" / "c.zip").touch()
    (tmp_path / "many" / "notes.txt").touch()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "IM0001").touch()
    (tmp_path / "list.txt").write_text("# today\nmany/b\n\n  one \nmany/b\n", encoding="utf-8")
    found = [
        str(path.relative_to(tmp_path))
        for path in list_studies([tmp_path / "list.txt", tmp_path / "many", tmp_path / "one"])
    ]
    assert found == ["many/b", "one", "many/a", "many/c.zip"]


def test_what_is_no_list_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        list(list_studies([tmp_path / "gone.txt"]))
    (tmp_path / "x.dcm").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(ValueError, match=r"x\.dcm is not a list"):
        list(list_studies([tmp_path / "x.dcm"]))


def test_a_line_cut_off_is_taken_away_and_its_study_may_come_again(tmp_path):
    with open_lines(tmp_path) as lines:
        lines.add({"study": "a", "n": 1})
        lines.add({"study": "b", "n": 1})
    whole = (tmp_path / RESULTS).read_bytes()
    (tmp_path / RESULTS).write_bytes(whole[:-4])
    assert [line["study"] for line in read_lines(tmp_path)] == ["a"]
    with open_lines(tmp_path) as lines:
        assert lines.finished == {"a"}
        assert not lines.add({"study": "a", "n": 2})
        assert lines.add({"study": "b", "n": 1})
    assert (tmp_path / RESULTS).read_bytes() == whole


def test_a_second_process_is_refused_and_one_that_was_killed_leaves_no_lock(tmp_path):
    code = (
        "import sys, time; from ich_lib.archive.lines import open_lines\n"
        "with open_lines(sys.argv[1]): print('open', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"open\n"
    with pytest.raises(ValueError, match="Another process is writing"), open_lines(tmp_path):
        pass
    other.kill()
    other.communicate()
    assert (tmp_path / LOCK).exists()
    with open_lines(tmp_path) as lines:
        assert lines.finished == set()


def test_a_line_tells_a_bleed_a_chest_and_a_file_that_is_no_scan(archive, tmp_path):
    bleed = score(str(archive / "bleed.nii.gz"), "shipped", ("mask.nii.gz",), str(tmp_path))
    assert set(bleed) == set(COLUMNS)
    assert (bleed["finding"], bleed["slices"], bleed["bleeding_slices"]) == ("bleeding", 12, 7)
    assert (tmp_path / folder_of(bleed["study"]) / "mask.nii.gz").is_file()
    chest = score(str(archive / "chest.nii.gz"), "shipped", ("mask.nii.gz", "result.json"), str(tmp_path))
    assert (chest["finding"], chest["any"], chest["volume_ml"]) == ("withheld", None, None)
    assert "no-skull" in chest["doubts"]
    assert [path.name for path in (tmp_path / folder_of(chest["study"])).iterdir()] == ["result.json"]
    broken = score(str(archive / "broken.nii.gz"), "shipped")
    assert (broken["finding"], broken["error"]) == (FAILED, "no scan")


def test_predict_many_writes_a_line_a_study_and_a_second_run_nothing(archive, tmp_path, capsys):
    command = ["predict", "--many", str(archive), "--out", str(tmp_path), "--workers", "2"]
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("5 new studies scored, 1 of them failed; 5 lines in ")
    first = (tmp_path / RESULTS).read_bytes()
    findings = {line["study"].rpartition(os.sep)[2]: line["finding"] for line in read_lines(tmp_path)}
    assert (findings["bleed.nii.gz"], findings["chest.nii.gz"], findings["broken.nii.gz"]) == (
        "bleeding",
        "withheld",
        FAILED,
    )
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("0 new studies scored")
    assert (tmp_path / RESULTS).read_bytes() == first
    assert "5 studies" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["x.nii"], "--many takes only lists"),
        (["--series", "1"], "--many takes only lists"),
        (["--workers", "0"], "at least 1"),
        (["--files", "mask.png"], "No result file"),
        (["--weights", "nowhere"], "is not a folder"),
    ],
)
def test_what_many_does_not_take_is_said_before_any_work(archive, tmp_path, capsys, more, sentence):
    paths, options = ([], more) if more[0].startswith("--") else (more, [])
    assert main(["predict", *paths, "--many", str(archive), "--out", str(tmp_path / "o"), *options]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_predict_without_a_scan_says_so(archive, capsys):
    assert main(["predict"]) == 2
    assert "Name a scan" in capsys.readouterr().err
    assert main(["predict", "--many", str(archive)]) == 2
    assert "needs --out" in capsys.readouterr().err


def done(value):
    future = Future()
    future.set_exception(value) if isinstance(value, Exception) else future.set_result(value)
    return future


def test_no_more_studies_are_on_their_way_than_workers_need(monkeypatch):
    """The list of ten thousand studies is read only as it is needed: four at a time."""
    read, answered = [], []
    studies = (read.append(k) or str(k) for k in range(10_000))
    for line in crew._as_they_come(studies, lambda study: done({"study": study}), 4):
        answered.append(line["study"])
        assert len(read) - len(answered) <= 4
    assert sorted(map(int, answered)) == list(range(10_000))


def test_a_study_whose_worker_dies_is_asked_for_again_three_times_and_then_told():
    queried = []

    def ask(study):
        queried.append(study)
        dies = study == "deadly" or (study == "once" and queried.count("once") == 1)
        return done(BrokenProcessPool() if dies else {"study": study, "finding": "none"})

    lines = {line["study"]: line for line in crew._as_they_come(["a", "deadly", "once", "b"], ask, 2)}
    assert {study: line["finding"] for study, line in lines.items()} == {
        "a": "none",
        "deadly": FAILED,
        "once": "none",
        "b": "none",
    }
    assert queried.count("deadly") == 3
    assert "ended 3 times" in lines["deadly"]["sentence"]


def test_a_fault_of_ours_fails_one_study_and_no_other():
    faults = crew._as_they_come(
        ["a", "b"], lambda study: done(ZeroDivisionError("x") if study == "a" else {"study": study}), 2
    )
    lines = {line["study"]: line for line in faults}
    assert lines["a"]["error"] == "ZeroDivisionError"
    assert lines["b"] == {"study": "b"}


def test_a_worker_killed_halfway_loses_nothing(archive, tmp_path):
    """One child of the run is killed while it scores. Each study still has exactly one line."""
    import psutil

    studies = [archive / "bleed.nii.gz", *(archive / f"head-{seed}.nii.gz" for seed in (1, 2))]
    with open_lines(tmp_path) as lines:
        scored = score_all(studies, lines, Order(), workers=1)
        first = next(scored)
        children = [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]
        assert len(children) == 1
        children[0].send_signal(signal.SIGKILL)
        rest = list(scored)
    assert sorted(line["study"] for line in (first, *rest)) == sorted(map(str, studies))
    assert all(line["finding"] != FAILED for line in (first, *rest))


@pytest.fixture(scope="module")
def cluster():
    """A scheduler and two workers, each in its own process."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install -r requirements-archive.txt.")
    from release import free_port

    address = f"tcp://127.0.0.1:{free_port()}"
    run = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    scheduler = subprocess.Popen(
        [*run, "--no-dashboard", "--host", "127.0.0.1", "--port", address.rpartition(":")[2]],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    run = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        address,
        "--no-nanny",
        "--no-dashboard",
        "--nthreads",
        "1",
    ]
    workers = [subprocess.Popen(run, cwd=ROOT, stderr=subprocess.DEVNULL) for _ in range(2)]
    yield address, workers
    for process in (*workers, scheduler):
        process.terminate()
        process.wait(30)


@pytest.mark.long
def test_two_workers_of_dask_share_the_studies_and_one_may_be_killed_halfway(archive, tmp_path, cluster):
    from distributed import Client

    address, workers = cluster
    with Client(address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    for k in range(8):
        (tmp_path / f"{k}.nii.gz").symlink_to(archive / "head-1.nii.gz")
    studies = [tmp_path / f"{k}.nii.gz" for k in range(8)]
    with open_lines(tmp_path / "out") as lines:
        scored = score_all(studies, lines, Order(), dask=address)
        found = [next(scored), next(scored)]
        workers[0].kill()
        found += list(scored)
    assert [line["study"] for line in read_lines(tmp_path / "out")] == [line["study"] for line in found]
    assert sorted(line["study"] for line in found) == sorted(map(str, studies))
    assert FAILED not in {line["finding"] for line in found}


def test_a_scheduler_that_is_not_there_is_told(archive, tmp_path, capsys, monkeypatch):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install -r requirements-archive.txt.")
    import distributed

    def refuse(*_, **__):
        raise OSError("Timed out trying to connect to tcp://127.0.0.1:9")

    monkeypatch.setattr(distributed, "Client", refuse)
    assert main(["predict", "--many", str(archive), "--out", str(tmp_path), "--dask", "tcp://127.0.0.1:9"]) == 2
    assert "Timed out" in capsys.readouterr().err


def line_of(study, finding, **more):
    empty = dict.fromkeys(COLUMNS) | {"slices": 30, "unsure_slices": 0, "doubts": "", "seconds": 2.0, "weights": "ab"}
    return empty | {"study": study, "finding": finding} | more


def scores(any_score, **types):
    return (
        dict.fromkeys(("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural"), 0.0)
        | types
        | {"any": any_score}
    )


@pytest.fixture
def planted(tmp_path):
    """Six studies: 2 bleeding, 1 uncertain and unsure, 1 none, 1 withheld, 1 failed."""
    with open_lines(tmp_path) as lines:
        for line in (
            line_of("a", "bleeding", volume_ml=10.0, **scores(0.95, subdural=0.9)),
            line_of("b", "bleeding", volume_ml=20.0, **scores(1.0, epidural=0.9)),
            line_of("c", "uncertain", unsure_slices=2, **scores(0.45, epidural=0.2)),
            line_of("d", "none", **scores(0.05)),
            line_of("e", "withheld", doubts="no-skull contrast"),
            line_of("<f>", FAILED, error="damaged", sentence="<f> is damaged."),
        ):
            lines.add(line)
    return tmp_path


def test_the_report_counts_what_was_planted(planted):
    tally = count_lines(read_lines(planted))
    assert tally.findings == {"bleeding": 2, "uncertain": 1, "none": 1, "withheld": 1, FAILED: 1}
    assert tally.any_scores == {9: 2, 4: 1, 0: 1}
    assert tally.types == {"subdural": 1, "epidural": 1}
    assert (tally.unsure, tally.measured, tally.volume_ml, tally.seconds) == (1, 2, 30.0, 12.0)
    text = page(tally)
    for sentence in (
        "<h1>6 studies</h1>",
        "<td>bleeding likely</td><td>2</td><td>33.3%</td>",
        "2 scans have a volume, 15.0 mL on average",
        "<td>0.4 to 0.5</td><td>1</td><td>25.0%</td>",
        "On 1 of 4 scans",
        "<td>no-skull</td><td>1</td>",
        "<td>&lt;f&gt;</td><td>&lt;f&gt; is damaged.</td>",
    ):
        assert sentence in text
    assert "<f>" not in text


def test_the_table_holds_every_line_with_its_type(planted, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: no table in Parquet.")
    monkeypatch.setattr("ich_lib.archive.report._ROWS", 4)  # two pieces
    assert [path.name for path in report(planted)] == ["report.html", "results.parquet"]
    table = parquet.read_table(planted / "results.parquet")
    assert table.to_pylist() == list(read_lines(planted))
    assert {column.name: str(column.type) for column in table.schema} == COLUMNS


def test_the_report_of_a_folder_without_results_says_what_writes_them(tmp_path, capsys):
    assert main(["archive", "report", str(tmp_path)]) == 2
    assert "ich predict --many" in capsys.readouterr().err


def test_the_command_report_names_its_files(planted, capsys):
    assert main(["archive", "report", str(planted)]) == 0
    assert "report.html" in capsys.readouterr().out
    assert json.loads((planted / RESULTS).read_text().splitlines()[0])["study"] == "a"
