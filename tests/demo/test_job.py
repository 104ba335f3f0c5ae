from threading import Event, Thread

import pytest

from ich_lib.demo import samples, session
from ich_lib.demo.job import Canceled, awaited, run_in_thread, wait_for_quiet


def test_work_tells_how_far_it_is_and_then_what_it_found():
    output = Event()

    def work(report):
        report(0.25)
        assert output.wait(5)
        return "found"

    job = run_in_thread(work, every_s=0.01)
    shares = [next(job)]
    while shares[-1] < 0.25:
        shares.append(next(job))
    output.set()
    *more, result = job
    assert result == "found"
    assert shares[-1] == 0.25
    assert all(share == 0.25 for share in more)


def test_the_share_never_goes_back():
    step, visited = Event(), Event()

    def work(report):
        report(0.5)
        report(0.2)
        visited.set()
        assert step.wait(5)
        return "end"

    job = run_in_thread(work, every_s=0.01)
    next(job)
    assert visited.wait(5)
    assert next(job) == 0.5
    step.set()
    assert list(job)[-1] == "end"


def test_what_the_work_raises_reaches_whoever_waits():
    def work(report):
        raise ValueError("no scan")

    with pytest.raises(ValueError, match="no scan"):
        list(run_in_thread(work, every_s=0.01))


def test_work_that_nobody_waits_for_stops_at_its_next_report():
    closed, ended = Event(), []

    def work(report):
        assert closed.wait(5)
        try:
            report(0.5)
        except Canceled:
            ended.append("stopped")
            raise
        ended.append("went on")

    job = run_in_thread(work, every_s=0.01)
    next(job)
    job.close()
    closed.set()
    for _ in range(500):
        if ended:
            break
        Event().wait(0.01)
    assert ended == ["stopped"]


def test_work_ahead_of_time_waits_until_nobody_waits_for_a_scan():
    is_quiet = Event()
    with awaited():
        Thread(target=lambda: wait_for_quiet(0.01) or is_quiet.set(), daemon=True).start()
        assert not is_quiet.wait(0.2)
    assert is_quiet.wait(5)


def test_samples_are_read_ahead_one_by_one_and_visitors_go_first(monkeypatch):
    steps = []
    monkeypatch.setattr(samples, "wait_for_quiet", lambda: steps.append("quiet"))
    samples.read_ahead(steps.append)
    assert steps[::2] == list(samples.SAMPLES)
    assert set(steps[1::2]) == {"quiet"}


def test_a_scan_in_which_blood_is_looked_for_is_awaited(monkeypatch):
    is_quiet, quiet_inside = Event(), []

    def analyze(*_, **__):
        Thread(target=lambda: wait_for_quiet(0.01) or is_quiet.set(), daemon=True).start()
        quiet_inside.append(is_quiet.wait(0.2))

    monkeypatch.setattr(session, "analyze", analyze)
    session.find_blood(None, None)
    assert quiet_inside == [False]
    assert is_quiet.wait(5)
