"""Make a release, from the checks to the tag. It publishes and pushes nothing.

python release.py --check      wheel and sdist built and checked, and installed offline into an empty environment
python release.py --resolve    the versions that requirements-dev.txt gives on each Python, by dry runs of pip
python release.py --lock FILE  the exact versions of an environment (by default this one), to repeat a run
python release.py 0.8.0        the first of these, then version, date and changelog written, committed and tagged v0.8.0
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
import venv
import zipfile
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent
PYTHONS = ("3.11", "3.12", "3.13")
LOCK = "requirements-lock.txt"
TITLE = "Intracranial hemorrhage on head CT"  # of the demo's page
_MODELS = tuple(
    path.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "ich_lib" / "weights").rglob("*"))
    if path.suffix in (".onnx", ".json")
)
NEEDED = {  # required in each, besides the modules; `ich demo` looks for the files of the share folder
    ".whl": (
        *_MODELS,
        *("ich_lib/py.typed", "ich_lib/demo/viewer/page.js", "ich_lib/demo/viewer/viewer.css"),
        *("ich_lib/demo/viewer/three.min.js", "ich_lib/workbench/slices.js"),
        *(
            "share/ich_lib/app.py",
            "share/ich_lib/workbench.py",
            "ich_lib/course/lessons.zip",
            "ich_lib/words/page.toml",
        ),
        *("licenses/LICENSE", "entry_points.txt"),
    ),
    ".gz": (
        *("requirements.txt", "CHANGELOG.md", "CITATION.cff", "MODEL_CARD.md", "app.py", "workbench.py", "release.py"),
        *(*_MODELS, "notebooks/build.py", "tests/conftest.py", "docs/demo.md"),
    ),
}
_UNRELEASED = re.compile(r"^## (?:Unreleased|[\d.]+ \(unreleased\))\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_WAIT_S = 120


def main() -> int:
    """Run the requested step; 1 with one sentence if a check fails."""
    options = _options()
    try:
        if options.lock:
            Path(options.lock).write_text(lock(options.python), encoding="utf-8")
        if options.resolve:
            for python in PYTHONS:
                print(f"Python {python}: {len(resolve(python))} packages, no conflict", flush=True)
        if options.version:
            changed = prepare(options.version, options.date)  # an error here saves minutes of checks
        if options.check or options.version:
            check()
        if options.version:
            tag(options.version, changed)
    except (ValueError, OSError, subprocess.CalledProcessError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", nargs="?", help="such as 0.8.0")
    parser.add_argument("--date", type=date.fromisoformat, default=date.today(), help="default: today")
    parser.add_argument("--check", action="store_true", help="build and check, change nothing")
    parser.add_argument("--resolve", action="store_true", help="dry runs of pip for every Python")
    parser.add_argument("--lock", nargs="?", const=LOCK, metavar="FILE", help=f"write it (default: {LOCK})")
    parser.add_argument("--python", default=sys.executable, help="of the environment that --lock writes down")
    options = parser.parse_args()
    if not (options.version or options.check or options.resolve or options.lock):
        parser.error("say what to do: a version, --check, --resolve or --lock")
    return options


# --- build and check -----------------------------------------------------------------------------------------------


def check() -> None:
    """Build both files, inspect them, and use the wheel in an empty environment.

    Raises:
        ValueError: for a file that is missing in them, or a command that fails.
    """
    with TemporaryDirectory() as folder:
        built = build(Path(folder) / "dist")
        for path in built:
            print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, {check_content(path)} files")
        _run([sys.executable, "-m", "twine", "check", "--strict", *map(str, built)])
        wheel = next(path for path in built if path.suffix == ".whl")
        check_install(wheel, Path(folder))


def build(out: Path) -> list[Path]:
    """The sdist, and the wheel made from it, so that the one holds all that the other needs."""
    _run([sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)])
    return sorted(out.iterdir())


def check_content(path: Path) -> int:
    """The number of its files.

    Raises:
        ValueError: if one of NEEDED is missing, or a file that must never be published is included.
    """
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    else:
        with tarfile.open(path) as archive:
            names = archive.getnames()
    missing = [needed for needed in NEEDED[path.suffix] if not any(name.endswith(needed) for name in names)]
    if missing:
        raise ValueError(f"{path.name} lacks {', '.join(missing)}.")
    scans = [name for name in names if name.lower().endswith((".dcm", ".nii", ".nii.gz", ".ima", ".pyc"))]
    if scans:
        raise ValueError(f"{path.name} holds {scans[0]}, which must not be published.")
    return len(names)


def check_install(wheel: Path, folder: Path) -> None:
    """Install the wheel offline into an empty environment, and run a newcomer's commands.

    Args:
        wheel: the new wheel.
        folder: for the environment, the wheels it installs from and the output of the commands.

    Raises:
        ValueError: for a command that fails.
    """
    house, room = folder / "wheelhouse", folder / "room"
    _run([sys.executable, "-m", "pip", "download", "-q", "-d", str(house), str(wheel)])
    venv.create(folder / "empty", with_pip=True)
    python = _script(folder / "empty", "python")
    offline = ["--no-index", "--find-links", str(house)]
    _run([python, "-m", "pip", "install", "-q", *offline, "ich_lib"], PIP_CONFIG_FILE=os.devnull)
    room.mkdir()
    ich = _script(folder / "empty", "ich")
    print(_run([ich, "--version"], room).strip())
    _run([ich, "phantom", "--out", "heads", "--bleeds", "epidural"], room)
    print(_run([ich, "predict", "heads/phantom-0000/scan.nii.gz", "--out", "result"], room).splitlines()[0])
    print(_run([ich, "course", "start", "lessons"], room).splitlines()[0])
    print(f"ich demo answers: {check_demo([ich, 'demo'], room)}")


def check_demo(command: list[str], folder: Path, **environment: str) -> str:
    """Start the demo, request its page and stop it; returns the title of the page.

    Raises:
        ValueError: if it stops by itself, does not answer in time, or answers with another page.
    """
    port = free_port()
    served = subprocess.Popen([*command, "--port", str(port)], cwd=folder, env=_environment(environment))
    try:
        page = await_page(served, f"http://127.0.0.1:{port}/")
    finally:
        served.terminate()
        served.wait(30)
    if TITLE not in page:
        raise ValueError(f"The demo answers with a page that lacks its title, {TITLE!r}.")
    return TITLE


def await_page(served: subprocess.Popen, url: str) -> str:
    """The page at a URL as soon as a process serves it.

    Raises:
        ValueError: if the process ends, or does not answer in time.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(_WAIT_S * 10):
        if served.poll() is not None:
            break
        try:
            with opener.open(url, timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            time.sleep(0.1)
    raise ValueError(f"{url} did not answer: the process {'ended' if served.poll() is not None else 'takes too long'}.")


def free_port() -> int:
    """A port that no program uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _script(environment: Path, name: str) -> str:
    return str(environment / ("Scripts" if os.name == "nt" else "bin") / name)


# --- what is installed ---------------------------------------------------------------------------------------------


def resolve(python: str, requirements: str = "requirements-dev.txt") -> dict[str, str]:
    """The versions that pip would install on another Python, by name. It installs nothing and accepts only wheels.

    pip evaluates environment markers for the Python that runs it, so a requirement for only another Python is not seen
    here.

    Raises:
        CalledProcessError: if it cannot be resolved.
    """
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        target = ["--target", folder, "--python-version", python, "--only-binary", ":all:"]
        command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed", *target]
        _run([*command, "--report", str(report), "-r", str(ROOT / requirements)])
        packages = json.loads(report.read_text())["install"]
    return {package["metadata"]["name"]: package["metadata"]["version"] for package in packages}


def lock(python: str = sys.executable) -> str:
    """The versions in an environment, one per line, for `pip install -c`."""
    versions = _run([python, "-m", "pip", "list", "--format", "freeze", "--exclude-editable"])
    which = _run([python, "-c", "import platform; print(platform.python_version())"]).strip()
    pins = "\n".join(line for line in versions.splitlines() if re.fullmatch(r"[\w.-]+==[\w.!+-]+", line))
    return (
        f"# The versions that the checks ran with, on Python {which}. To repeat them:\n"
        f"# pip install -r requirements-dev.txt -c {LOCK}\n{pins}\n"
    )


# --- version, changelog, tag ---------------------------------------------------------------------------------------


def prepare(version: str, day: date) -> dict[Path, str]:
    """The new content of the files that name the version.

    Raises:
        ValueError: if the version does not follow the last one, the tree is not clean, or the changelog has no entry.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise ValueError(f"A version is three numbers, such as 0.8.0; got {version!r}.")
    if _run(["git", "status", "--porcelain"], ROOT).strip():
        raise ValueError("There are changes that are not committed. A release is a commit that others can get.")
    face, citation, changes = (ROOT / name for name in ("ich_lib/__init__.py", "CITATION.cff", "CHANGELOG.md"))
    texts = [path.read_text(encoding="utf-8") for path in (face, citation, changes)]
    last = re.findall(r'^__version__ = "(.*)"$', texts[0], re.MULTILINE)[0]
    if _numbers(version) <= _numbers(last):
        raise ValueError(f"{version} does not come after {last}.")
    return {
        face: texts[0].replace(f'__version__ = "{last}"', f'__version__ = "{version}"'),
        citation: cited(texts[1], version, day),
        changes: dated(texts[2], version, day),
    }


def cited(text: str, version: str, day: date) -> str:
    """CITATION.cff with another version and date."""
    text = re.sub(r"^version: .*$", f"version: {version}", text, flags=re.MULTILINE)
    return re.sub(r"^date-released: .*$", f"date-released: {day}", text, flags=re.MULTILINE)


def dated(text: str, version: str, day: date) -> str:
    """CHANGELOG.md with its unreleased section as that of a version.

    Raises:
        ValueError: if there is no such section, or it is empty.
    """
    match = _UNRELEASED.search(text)
    if not match or not match[1].strip():
        raise ValueError('CHANGELOG.md has nothing under "## Unreleased": say what has changed.')
    return text[: match.start()] + f"## {version} ({day})\n{match[1]}" + text[match.end() :]


def tag(version: str, changed: dict[Path, str]) -> None:
    """Write the files, commit and tag."""
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8")
    _run(["git", "commit", "-q", "-m", f"Version {version}", *(str(path) for path in changed)], ROOT)
    _run(["git", "tag", "-a", f"v{version}", "-m", f"Version {version}"], ROOT)
    print(f"Tagged v{version}. Nothing was pushed or published: git push --follow-tags does the first.")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _environment(more: dict[str, str]) -> dict[str, str]:
    """The current environment, in which Python finds nothing of the checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | more


def _run(command: list[str], folder: Path | None = None, **environment: str) -> str:
    """The output of a command.

    Raises:
        ValueError: if it fails, with its last output.
    """
    done = subprocess.run(
        command, cwd=folder, env=_environment(environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        output = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise ValueError(f"{' '.join(command[:6])} ... failed:\n{output}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
