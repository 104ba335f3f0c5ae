"""Make the site of the course and the library, which needs no network to be read.

    python docs/site.py --out build/site            executes the lessons; a second time takes them from a cache
    python docs/site.py --out build/site --no-run   shows the lessons without outputs, and says so
    python docs/site.py --out build/site --no-api   leaves out the pages of the API, which take a minute

It uses MkDocs with the theme Material. The documents stay where they are: they are copied to a temporary folder, where
their links are rewritten. It ends with an error if a link or an anchor leads nowhere, or if a page loads anything from
another host.
"""

import argparse
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
ROOT = HERE.parent
CACHE = ROOT / "build" / "site-cache"
MARK = ".made-by-docs-site"
sys.path[:0] = [str(ROOT), str(HERE)]
os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")  # of the theme: requirements-dev.txt keeps MkDocs below 2

from website import contents, lessons, links, pages, script  # noqa: E402

from ich_lib import colors, notice  # noqa: E402


def assemble(folder: Path, *, run: bool, api: bool) -> list:
    """Write every source of the site.

    Args:
        folder: an empty one.
        run: whether to execute the lessons, or take their outputs from the cache.
        api: whether the pages of the API will be there.

    Returns:
        MkDocs' navigation.
    """
    sources = lessons.build.lessons()
    facts = [lessons.facts(lesson) for lesson in sources]
    known = pages.places([lesson_facts.name for lesson_facts in facts])
    shown_pictures: set[str] = set()
    for page in pages.PAGES:
        text, pictures = pages.rewritten((ROOT / page.source).read_text(encoding="utf-8"), page, known, browse())
        _write_text(folder / page.target, lessons.flavored(text))
        shown_pictures |= pictures
    for name in shown_pictures:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for lesson in sources:
        notebook = lessons.solved(lesson)
        notebook = lessons.executed(notebook, lesson.name, CACHE) if run else notebook
        path = folder / "lessons" / f"{lesson.name}.md"
        _write_text(path, lessons.page(notebook, path.with_suffix(""), was_run=run))
    parts = lessons.course_parts((ROOT / "README.md").read_text(encoding="utf-8"))
    _write_text(folder / pages.CONTENTS, contents.contents(facts, parts, run=run))
    _write_text(folder / pages.API, contents.api(script("docs/architecture.py").rooms().values(), is_made=api))
    for name in ("site.css", "iframe-worker.js"):
        _write_text(folder / "style" / name, (HERE / "website" / name).read_text(encoding="utf-8"))
    _write_text(folder / "style" / "colors.css", _colors())
    return contents.navigation(facts, parts)


def browse() -> str | None:
    """Where the files of this version are browsed; None while the project has no address."""
    build = lessons.build
    address = build.repository()
    return f"{address}/blob/v{build.version()}" if build.is_published(address) else None


def render(sources: Path, out: Path, navigation: list) -> None:
    """Run MkDocs, which stops at a warning.

    Args:
        sources: Markdown and pictures.
        out: the folder of the site. It is emptied.
        navigation: of `assemble`.
    """
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    config = load_config(
        str(HERE / "website" / "mkdocs.yml"),
        docs_dir=str(sources),
        site_dir=str(out),
        nav=navigation,
        strict=True,
        copyright=f"ich_lib {lessons.build.version()}. {notice.NOTICE}",
    )
    config.extra["notice"] = notice.NOTICE
    config.plugins.on_startup(command="build", dirty=False)
    build(config)


def add_api(out: Path) -> None:
    """Put the pages of docs/api.py into a site, each with a link back. They are made again if the library changed.

    Args:
        out: the folder of the site.
    """
    files = [HERE / "api.py", *(HERE / "website" / "pdoc").iterdir(), *sorted((ROOT / "ich_lib").rglob("*.py"))]
    key = sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]
    cached = CACHE / f"api-{key}"
    if not cached.exists():
        print("making the pages of the API", flush=True)
        for older in CACHE.glob("api-*"):
            shutil.rmtree(older)
        unfinished = CACHE / "api-half"
        subprocess.run([sys.executable, HERE / "api.py", unfinished], check=True, stdout=subprocess.DEVNULL)
        unfinished.rename(cached)
    for path in sorted(cached.rglob("*")):
        target = out / "api" / path.relative_to(cached)
        if path.suffix == ".html":
            _write_text(
                target, _with_way_back(path.read_text(encoding="utf-8"), len(target.relative_to(out).parts) - 1)
            )
        elif path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


def _with_way_back(html: str, depth: int) -> str:
    address = "../" * depth + Path(pages.API).with_suffix(".html").as_posix()
    head, menu, rest = html.partition('<nav class="pdoc">')
    return head + menu + rest.replace("<div>", f'<div><p><a href="{address}">Back to the site</a></p>', 1)


def _colors() -> str:
    named = {
        "--md-primary-fg-color": colors.BLUE,
        "--md-primary-bg-color": "white",
        "--md-accent-fg-color": colors.VERMILION,
        "--md-typeset-a-color": colors.BLUE,
        "--output": colors.SKY,
    }
    return ":root {\n" + "".join(f"  {name}: {color};\n" for name, color in named.items()) + "}\n"


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _check_folder(out: Path) -> None:
    if out.exists() and any(out.iterdir()) and not (out / MARK).exists():
        sys.exit(f"{out} holds files that are not this command's, and it would delete them. Choose another folder.")


def main() -> None:
    """Do what the options say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", metavar="FOLDER")
    parser.add_argument("--no-run", action="store_true", help="show the lessons without outputs")
    parser.add_argument("--no-api", action="store_true", help="leave out the pages of the API")
    options = parser.parse_args()
    out = options.out.resolve()
    _check_folder(out)
    with TemporaryDirectory() as folder:
        navigation = assemble(Path(folder), run=not options.no_run, api=not options.no_api)
        render(Path(folder), out, navigation)
    (out / MARK).touch()
    if not options.no_api:
        add_api(out)
    if wrong := links.problems(out):
        sys.exit("\n".join(chain(wrong, [f"{len(wrong)} problems in {out}"])))
    count = sum(1 for _ in out.rglob("*.html"))
    print(f"{out / 'index.html'}: {count} pages, every link checked")


if __name__ == "__main__":
    main()
