"""The demo under load: many visitors at once, each with different scans and with invalid files.

    python benchmarks/load.py [--users 10] [--minutes 5]

Every visitor has a NIfTI, a zip of DICOM and a PNG of a unique size, and checks that the result shows that head, pixel
for pixel. Visitors also send text, noise and a truncated file, which must give the right message. "Busy" is an accepted
answer: the visitor waits two seconds and tries again. The benchmark prints the time to the result, the memory of the
server and of its processes, and all errors; it exits with 1 if there is any.
"""

import argparse
import os
import random
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Event, Thread

import cv2
import httpx
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ich_lib.demo.viewer import unpack  # noqa: E402
from ich_lib.phantoms import phantom  # noqa: E402
from ich_lib.prepare.window import WINDOWS, window  # noqa: E402
from ich_lib.reports import write_nifti  # noqa: E402
from ich_lib.reports.case_files import write_dicom  # noqa: E402
from tests.served import Reply, Server, Visitor  # noqa: E402

BAD = {"text": "looks like", "noise": "", "cut": ""}  # words that its message must hold
GOOD = ("nifti", "dicom", "png")


@dataclass
class Observations:
    """The observations of all visitors together."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in (*GOOD, *BAD)})
    busy: int = 0
    faults: list[str] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)


def main() -> int:
    """Serve, send the visitors, print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--users", type=int, default=10)
    options.add_argument("--minutes", type=float, default=5)
    settings = options.parse_args()
    folder, log, over = Path(tempfile.mkdtemp()), Observations(), Event()
    with ThreadPoolExecutor(settings.users) as people:
        files_of_users = list(people.map(lambda user: files_of(user, folder), range(settings.users)))
        with Server(folder) as server:
            server.wait_until_idle()  # the samples are read
            start_mb = server.memory_mb()
            watch = Thread(target=_watch, args=(server, log, over))
            watch.start()
            end_s = time.monotonic() + 60 * settings.minutes
            list(
                people.map(
                    lambda user: _visit(server.url, user, files_of_users[user], end_s, log), range(settings.users)
                )
            )
            over.set()
            watch.join()
            server.wait_until_idle()
            _print(log, settings, start_mb, server.memory_mb())
    return int(bool(log.faults))


def files_of(user: int, folder: Path) -> dict[str, tuple[tuple[str, bytes], np.ndarray | None]]:
    """Kind to ((name, bytes), planted (z, y, x) gray or None for a bad file). The sizes are unique to this user."""
    pixels = 96 + 4 * user
    scan = phantom(user, bleeds=["intraparenchymal"], pixels=pixels, slices=4, thickness_mm=30).scan
    hu = np.round(scan.hu).astype(np.int16)
    path = folder / f"head{user}.nii.gz"
    write_nifti(path, hu, scan)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in write_dicom(scan, folder / f"series{user}"):
            archive.write(file, file.name)
    gray = np.rint(window(scan.hu[2:3], *WINDOWS["brain"]) * 255).astype(np.uint8)
    noise = random.Random(user).randbytes(50_000)
    return {
        "nifti": ((f"{user}.nii.gz", path.read_bytes()), hu),
        "dicom": ((f"{user}.zip", packed.getvalue()), hu),
        "png": ((f"{user}.png", cv2.imencode(".png", gray[0])[1].tobytes()), gray),
        "text": ((f"{user}.dcm", b"dear diary %d" % user), None),
        "noise": ((f"{user}.ima", noise), None),
        "cut": ((f"{user}.nii.gz", path.read_bytes()[:3000]), None),
    }


def _visit(url: str, user: int, files: dict, end_s: float, log: Observations) -> None:
    """One person: one file after the other, two good ones for each bad one, with a short pause."""
    chance = random.Random(user)
    while time.monotonic() < end_s:
        kind = chance.choice(GOOD if chance.random() < 0.67 else tuple(BAD))
        file, planted = files[kind]
        start = time.perf_counter()
        try:
            with Visitor(url) as visitor:
                reply = visitor.open_files(file)
        except httpx.HTTPError as problem:
            log.faults.append(f"user {user}, {kind}: {type(problem).__name__}")
            continue
        if reply.status == 503:
            log.busy += 1
            time.sleep(2)
            continue
        log.seconds[kind].append(time.perf_counter() - start)
        if fault := fault_of(reply, kind, file[0], planted):
            log.faults.append(f"user {user}, {kind}: {fault}")
        time.sleep(chance.uniform(0, 1))


def fault_of(reply: Reply, kind: str, name: str, planted: np.ndarray | None) -> str:
    """What is wrong with an answer, or ""."""
    if planted is None:
        right = (
            reply.payload is None
            and "class='wrong'" in reply.message
            and BAD[kind] in reply.message
            and name in reply.message
        )
        return "" if right else f"said {reply.message!r}"
    if reply.payload is None:
        return f"no result, said {reply.message!r}"
    shape = (len(reply.payload["slices"]), reply.payload["rows"], reply.payload["columns"])
    if shape != planted.shape:
        return f"somebody else's scan: {shape} instead of {planted.shape}"
    for text, truth in zip(reply.payload["slices"], planted, strict=True):
        values = unpack(text, *shape[1:])
        if np.corrcoef(values.ravel(), truth.ravel())[0, 1] < 0.999:
            return "a scan of the right size and of another head"
    return ""


def _watch(server: Server, log: Observations, over: Event) -> None:
    while not over.wait(1):
        log.memory_mb.append(server.memory_mb())


def _print(log: Observations, settings: argparse.Namespace, start_mb: float, end_mb: float) -> None:
    print(
        f"{settings.users} users for {settings.minutes:g} minutes on {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}"
    )
    for kind, seconds in log.seconds.items():
        if seconds:
            middle, p95 = np.percentile(seconds, [50, 95])
            print(f"{kind:6} {len(seconds):5} answers   median {middle:6.2f} s   95th percentile {p95:6.2f} s")
    good = np.concatenate([log.seconds[kind] for kind in GOOD])
    if good.size:
        middle, p95 = np.percentile(good, [50, 95])
        print(f"scans  {good.size:5} answers   median {middle:6.2f} s   95th percentile {p95:6.2f} s")
    answers = sum(map(len, log.seconds.values()))
    print(f"{answers + log.busy} uploads, {answers} answered, {log.busy} told that the queue is full")
    print(f"memory: {start_mb:.0f} MB before, {max(log.memory_mb):.0f} MB at most, {end_mb:.0f} MB after")
    minutes = [log.memory_mb[k : k + 60] for k in range(0, len(log.memory_mb), 60)]
    print("        medians of each minute:", *(f"{np.median(values):.0f}" for values in minutes), "MB")
    print(f"{len(log.faults)} faults", *dict.fromkeys(log.faults), sep="\n  ")


if __name__ == "__main__":
    sys.exit(main())
