"""Assemble and check a small copy of the demo for a Hugging Face Space.

python deploy/space.py --out DIR             the copy: app.py, ich_lib without training, weights, requirements, card
python deploy/space.py --out DIR --small     the same without the decoders of compressed DICOM, 80 MB
python deploy/space.py --out DIR --no-check  only the copy

The check makes a fresh environment from the copy's own requirements, starts the copy as a Space does, analyzes one head
over HTTP, and prints size, seconds to install, to start and to the first result. It uploads nothing; docs/space.md has
the steps.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import uuid
import venv
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the folder of release.py and of the library, which makes the head

from release import await_page, free_port  # noqa: E402

LEFT_OUT = (  # rooms that are not needed between an upload and the page
    *("commands", "course", "evaluation", "explanation", "hospital", "training", "workbench"),
)
NOT_NEEDED = ("pooch", "requests", "tqdm")  # of requirements.txt: for downloads and for the command line
DECODERS = "imagecodecs"  # without it, compressed DICOM gets a message that says so
COPIED = ("app.py", "LICENSE", "MODEL_CARD.md", "CITATION.cff")
_CARD_TEXT = """
# Intracranial hemorrhage on head CT, to learn from

Put in a head CT (DICOM, NIfTI or pictures) and see the blood outlined, beside the probability of each type of bleeding.
It opens on a real head of CT-ICH (CC BY 4.0), so that nothing has to be uploaded to try it.

**For teaching and research. It is not a medical device, it misses bleeds and invents some, and nothing it says may be
used to diagnose, treat or triage anyone.** How often it is wrong stands in [MODEL_CARD.md](MODEL_CARD.md). This is a
shared computer on the internet: upload nothing that names a person. Uploads are deleted after half an hour.
"""
_SMALL_TEXT = """
Compressed DICOM is not read here: export it uncompressed, or run the demo on your own computer.
"""


@dataclass(frozen=True)
class Figures:
    """The measurements of the check.

    Attributes:
        copy_mb: of the folder, in MB.
        installed_mb: what the requirements add to a fresh environment, which has pip already, in MB.
        compiled_mb: the same with Python's byte code.
        install_s: seconds of pip, with its current cache.
        start_s: seconds from the process to its first page.
        result_s: seconds from the upload to the result of the first head.
    """

    copy_mb: float
    installed_mb: float
    compiled_mb: float
    install_s: float
    start_s: float
    result_s: float


def main() -> int:
    """Assemble and check; 1 if the check fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a new folder, or one that this script filled")
    parser.add_argument("--small", action="store_true", help="leave out the decoders of compressed DICOM")
    parser.add_argument("--no-check", action="store_true", help="assemble it and do no more")
    options = parser.parse_args()
    try:
        assemble(options.out, small=options.small)
        print(f"{options.out}: {len(files(options.out))} files, {megabytes(options.out):.1f} MB")
        if not options.no_check:
            measured = check(options.out)
            print(
                "\n".join(f"{measure.name:12} {getattr(measured, measure.name):8.1f}" for measure in fields(measured))
            )
    except (ValueError, OSError, subprocess.CalledProcessError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def assemble(out: Path, *, small: bool = False) -> None:
    """Write the copy.

    Args:
        out: the folder; files of an earlier copy are replaced, its .git is kept.
        small: whether the decoders of compressed DICOM are left out, and the card says so.

    Raises:
        ValueError: if the folder holds something else.
    """
    own_names = {*COPIED, "ich_lib", "requirements.txt", "README.md", ".git", ".gitattributes"}
    if others := sorted(path.name for path in out.glob("*") if path.name not in own_names):
        raise ValueError(f"{out} holds {others[0]}, which is no part of a Space. Name a new folder.")
    out.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out / "ich_lib", ignore_errors=True)
    rooms = shutil.ignore_patterns("__pycache__", "*.weights.h5")
    shutil.copytree(ROOT / "ich_lib", out / "ich_lib", ignore=rooms)
    for room in LEFT_OUT:
        shutil.rmtree(out / "ich_lib" / room, ignore_errors=True)
    (out / "ich_lib" / "__main__.py").unlink()
    for name in COPIED:
        shutil.copyfile(ROOT / name, out / name)
    (out / "requirements.txt").write_text(requirements(small=small), encoding="utf-8")
    (out / "README.md").write_text(card(small=small), encoding="utf-8")


def requirements(*, small: bool = False) -> str:
    """The requirements of only the demo. Gradio is included: a Space installs the version of the card, but here it is
    installed from this file."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    left_out = (*NOT_NEEDED, DECODERS) if small else NOT_NEEDED
    kept_lines = [line for line in lines if line[:1].isalpha() and re.split(r"[^\w-]", line)[0] not in left_out]
    return "\n".join(kept_lines) + "\n"


def card(*, small: bool = False) -> str:
    """The README of the Space: our header, and the information for visitors."""
    header = (ROOT / "README.md").read_text(encoding="utf-8").split("---")[1]
    return f"---{header}---\n{_CARD_TEXT}{_SMALL_TEXT if small else ''}"


def files(folder: Path) -> list[Path]:
    """The files of a folder, without its .git."""
    return [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts]


def megabytes(folder: Path) -> float:
    """Size of all its files."""
    return sum(path.stat().st_size for path in files(folder)) / 1e6


def check(space: Path) -> Figures:
    """Install it into an empty environment, start it, and analyze one head.

    Raises:
        ValueError: if it does not start, or the blood of the head is not detected.
        CalledProcessError: if it cannot be installed.
    """
    with TemporaryDirectory() as folder:
        room = Path(folder) / "room"
        venv.create(room, with_pip=True)
        empty_mb = megabytes(room)
        python = room / ("Scripts" if os.name == "nt" else "bin") / "python"
        before = time.perf_counter()
        command = [python, "-m", "pip", "install", "-qq", "--no-compile", "-r", space / "requirements.txt"]
        subprocess.run(command, check=True)
        install_s = time.perf_counter() - before
        installed_mb = megabytes(room) - empty_mb
        subprocess.run([python, "-m", "compileall", "-q", room / "lib"], check=False)  # as pip does on a Space
        compiled_mb = megabytes(room) - empty_mb
        head = _head(Path(folder))
        start_s, result_s = _served(python, space, head)
        return Figures(megabytes(space), installed_mb, compiled_mb, install_s, start_s, result_s)


def _served(python: Path, space: Path, head: Path) -> tuple[float, float]:
    """Seconds to the first page, and to the first result."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"SPACE_ID": "somebody/demo", "GRADIO_ANALYTICS_ENABLED": "False"}
    before = time.perf_counter()
    served = subprocess.Popen([python, "app.py", "--port", str(port)], cwd=space, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        await_page(served, url)
        start_s, before = time.perf_counter() - before, time.perf_counter()
        answer = analyze(url, head)
        if answer["finding"] != "bleeding":
            raise ValueError(f"The copy finds no blood in a head with an intraparenchymal bleed: {answer['sentence']}")
        return start_s, time.perf_counter() - before
    finally:
        served.terminate()
        served.wait(30)


def _head(folder: Path) -> Path:
    """A head with a bleed that the shipped model finds, as a file."""
    import numpy as np

    from ich_lib.phantoms import phantom
    from ich_lib.reports import write_nifti

    scan = phantom(101, bleeds=["intraparenchymal"]).scan
    write_nifti(folder / "head.nii.gz", np.round(scan.hu).astype(np.int16), scan)
    return folder / "head.nii.gz"


def analyze(url: str, path: Path) -> dict:
    """The answer of the endpoint for programs to a file, by HTTP only: upload, call, wait.

    Raises:
        ValueError: if the answer is an error.
    """
    border = uuid.uuid4().hex
    part = f'--{border}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'.encode()
    form = f"multipart/form-data; boundary={border}"
    reply = _ask(f"{url}/gradio_api/upload", part + path.read_bytes() + f"\r\n--{border}--\r\n".encode(), form)
    file = {"path": json.loads(reply)[0], "meta": {"_type": "gradio.FileData"}}
    data = json.dumps({"data": [[file], "unknown", 40, 80, "", False]}).encode()
    event = json.loads(_ask(f"{url}/gradio_api/call/analyze", data, "application/json"))["event_id"]
    events = _ask(f"{url}/gradio_api/call/analyze/{event}").decode()
    match = re.search(r"^event: complete\r?\ndata: (.*)$", events, re.MULTILINE)
    if not match:
        raise ValueError(f"The endpoint answers: {events[-300:]}")
    return json.loads(match[1])[0]


def _ask(url: str, data: bytes | None = None, kind: str = "") -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data, {"Content-Type": kind} if kind else {}), timeout=120) as answer:
        return answer.read()


if __name__ == "__main__":
    sys.exit(main())
