"""Run the steps of a container file in a clean folder, on a machine without an engine.

python deploy/containers/check.py demo
python deploy/containers/check.py workbench --python /usr/bin/python3

Each COPY takes only what .dockerignore lets through, and each RUN runs in a fresh environment. The command runs as the
file's user, with a read-only folder and one temporary folder, until its health check succeeds. The base image and the
isolation by the kernel are not tested.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from release import free_port  # noqa: E402

_WAIT_S = 120


def main() -> int:
    """Run one file's steps; 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=[path.stem for path in sorted(HERE.glob("*.Dockerfile"))])
    parser.add_argument("--python", default=sys.executable, help="one that every user may run")
    options = parser.parse_args()
    try:
        with TemporaryDirectory(prefix="container-") as folder:
            Path(folder).chmod(0o755)
            print(run(steps(HERE / f"{options.name}.Dockerfile"), Path(folder), options.python))
    except (ValueError, OSError, subprocess.CalledProcessError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def steps(path: Path) -> list[tuple[str, str]]:
    """(instruction, the rest) of each line, in order; continued lines are joined."""
    text = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8"))
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, argument.strip()) for word, argument in lines]


def is_sent(name: str) -> bool:
    """Whether .dockerignore lets a file of the repository through; the last matching line decides."""
    is_included = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split():
        pattern = line.lstrip("!").removeprefix("**/")
        parts = Path(name).parts
        fits = fnmatch(parts[0], pattern) if "**" not in line else any(fnmatch(part, pattern) for part in parts)
        is_included = line.startswith("!") if fits else is_included
    return is_included


def copy(argument: str, folder: Path) -> None:
    """COPY: files of the repository into the folder.

    Raises:
        ValueError: for a file that does not exist, or that .dockerignore excludes.
    """
    *sources, target = argument.split()
    for source in sources:
        path = ROOT / source
        if not path.exists() or not is_sent(source):
            raise ValueError(f"COPY {source}: {'kept back by .dockerignore' if path.exists() else 'is not there'}.")
        to = folder / target / path.name if target.endswith("/") else folder / target
        if path.is_dir():
            shutil.copytree(path, to, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copyfile(path, to)


def run(lines: list[tuple[str, str]], folder: Path, python: str) -> str:
    """All steps; the measurements, in a sentence.

    Raises:
        ValueError: if the command never becomes healthy, runs as root, or can write outside its temporary folder.
        CalledProcessError: if a RUN fails.
    """
    app, temporary, room = folder / "app", folder / "tmp", folder / "room"
    for subfolder in (app, temporary):
        subfolder.mkdir()
    subprocess.run([python, "-m", "venv", "--without-pip", room], check=True)
    environment = {"PATH": f"{room / 'bin'}:{os.environ['PATH']}", "LANG": "C.UTF-8"}
    network = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy") or "PIP_" in name}
    instructions = {word: argument for word, argument in lines if word in ("USER", "CMD", "HEALTHCHECK", "EXPOSE")}
    for word, argument in lines:
        if word == "ENV":
            environment |= dict(part.split("=", 1) for part in shlex.split(argument.replace("=/tmp", f"={temporary}")))
        elif word == "COPY":
            copy(argument, app)
        elif word == "RUN":
            line = re.sub(r"^pip ", f"{sys.executable} -m pip --python {room / 'bin' / 'python'} ", argument)
            subprocess.run(line, shell=True, cwd=app, env=network | environment | {"HOME": str(folder)}, check=True)
    user = int(instructions["USER"].split(":")[0])
    if user == 0:
        raise ValueError("USER: the command would run as root.")
    os.chown(temporary, user, user)
    return _healthy(instructions, app, environment, user)


def _healthy(instructions: dict[str, str], app: Path, environment: dict[str, str], user: int) -> str:
    port = free_port()
    command, probe = (
        json.loads(
            re.sub(rf"\b{instructions['EXPOSE']}\b", str(port), instructions[word][instructions[word].index("[") :])
        )
        for word in ("CMD", "HEALTHCHECK")
    )
    as_user = {"cwd": app, "env": environment, "user": user, "group": user, "extra_groups": []}
    start_s = time.perf_counter()
    served = subprocess.Popen(command, **as_user)
    try:
        while subprocess.run(probe, **as_user, capture_output=True, check=False).returncode:
            if served.poll() is not None or time.perf_counter() - start_s > _WAIT_S:
                raise ValueError(f"CMD {' '.join(command)}: never healthy.")
            time.sleep(0.2)
        written = [path for path in app.rglob("*") if path.lstat().st_uid == user]
        if written:
            raise ValueError(f"It wrote {written[0].name}, where it may not.")
        return (
            f"healthy after {time.perf_counter() - start_s:.1f} s as user {user}, nothing written but temporary files"
        )
    finally:
        served.terminate()
        served.wait(30)


if __name__ == "__main__":
    sys.exit(main())
