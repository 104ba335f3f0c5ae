"""Which data the pages look at: heads made by code, or a folder on this computer. Wiring only."""

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import streamlit as st

from ich_lib.data import Table
from ich_lib.data.phantoms import phantoms, phantoms_path
from ich_lib.data.store import Head, Store, cache_folder, kept_path, kept_store, open_store
from ich_lib.data.table_cache import kept_table
from ich_lib.workbench.shown import plain

MADE, FOLDER = "Heads made by code", "A folder on this computer"
HEADS, SIZE = 12, 192  # of the built-in set; made once, some 20 seconds
FEW = 1  # of them is made before anything is shown, the others while one looks
_FIRST_S = 1.0  # the page with the first few is drawn before others are begun
_EVERY_S = 1.0  # between two looks at how many are made
STAMPS = 64  # side of the pictures that are compared for leaks, in pixels
_AWAY = "Folders can be opened only by a browser on the machine that runs the workbench."


@dataclass(frozen=True)
class Source:
    """What was chosen.

    Attributes:
        table: of it.
        key: tells it from other sources.
        own: whether it is a person's own folder, whose names are shown in its table alone.
        store: behind the table, for heads made by code.
    """

    table: Table
    key: str
    own: bool
    store: Store | None = None

    @property
    def version(self) -> str:
        """Changes with what is in it, for what is kept of it."""
        return f"{self.key}, {len(self.table)} slices"


def chosen(page: str) -> Source | None:
    """Ask for the source, and open it; None where there is none yet. What was chosen holds on every page.

    Args:
        page: the asking page's name, for the keys of its widgets.
    """
    where = st.segmented_control(
        "Data", (MADE, FOLDER), default=st.session_state.get("source", MADE), required=True, key=f"{page} source"
    )
    st.session_state["source"] = where
    if where != FOLDER:
        return _heads(told=page == "data")
    if st.context.ip_address is not None:
        st.error(_AWAY)
        return None
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    folder = left.text_input(
        "Folder",
        st.session_state.get("folder", ""),
        key=f"{page} folder",
        placeholder="such as data/ct-ich",
        help="CT-ICH, RSNA 2019, renders with polygons, or NIfTI scans with masks: the layout tells which it is.",
    )
    st.session_state["folder"] = folder
    if right.button("Read again", key=f"{page} again", help="after files have changed", width="stretch"):
        _read.clear()
        st.cache_data.clear()  # pictures and counts of what was there before
    if not folder.strip():
        st.info("Name a folder. It stays on this computer; nothing of it is sent anywhere.")
        return None
    return _opened(folder.strip())


def _opened(folder: str) -> Source | None:
    try:
        return Source(_read(str(Path(folder).expanduser())), folder, own=True)
    except (ValueError, OSError) as problem:
        st.error(plain(problem))
        return None


@st.cache_resource(show_spinner="Reading the folder's tables …", max_entries=4)
def _read(folder: str) -> Table:
    """Not st.cache_data, which would copy a table of 5,000 rows at every click."""
    return kept_table(folder)


# ---- heads made by code ---------------------------------------------------------------------------------------------


def _heads(*, told: bool) -> Source | None:
    """All of them, or the first few while the others are made; `told` says how far that is."""
    try:
        whole = all_made()
        store = _made(HEADS if whole else min(FEW, HEADS), SIZE)
    except OSError as problem:
        st.error(plain(f"The heads made by code cannot be kept: {problem}"))
        return None
    if told and not whole:
        _others()
    return Source(store.table, "phantoms", own=False, store=store)


def all_made() -> bool:
    """Whether the heads made by code are kept, all of them."""
    return phantoms_path(HEADS, size=SIZE).is_file()


@st.cache_resource(show_spinner="Making a first head by code: some seconds, once")
def _made(heads: int, size: int) -> Store:
    return phantoms(heads, size=size)


# In a process of its own and behind others, so that pages need not wait. It ends with the workbench, at its next word.
_MAKE = """
import os, sys
from ich_lib.data.phantoms import phantoms

def told(heads, total):
    for done, head in enumerate(heads, start=1):
        print(done, flush=True)
        yield head

hasattr(os, "nice") and os.nice(5)
phantoms(int(sys.argv[1]), size=int(sys.argv[2]), progress=told)
"""


class _Making:
    """Heads made and kept while the first few are looked at: how many there are, and whether it failed."""

    def __init__(self, heads: int, size: int):
        self.done, self.failed = 0, False
        Thread(target=self._make, args=(heads, size), daemon=True).start()

    def _make(self, heads: int, size: int) -> None:
        time.sleep(_FIRST_S)
        command = [sys.executable, "-c", _MAKE, str(heads), str(size)]
        with subprocess.Popen(
            command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            for line in process.stdout or ():
                self.done = int(line)
        self.failed = process.returncode != 0


@st.cache_resource(show_spinner=False)
def _making(heads: int, size: int) -> _Making:
    return _Making(heads, size)


@st.fragment(run_every=_EVERY_S)
def _others() -> None:
    """How many heads there are; the page begins anew with all of them."""
    making = _making(HEADS, SIZE)
    if all_made():
        st.rerun()
    elif making.failed:
        st.warning(plain(f"The other heads could not be made. Is there room in {cache_folder()}?"))
    else:
        st.progress(making.done / HEADS, f"Shown so far: {FEW}. {making.done} of {HEADS} are made …")


# ---- what was read of every picture ---------------------------------------------------------------------------------


def stamped(source: Source) -> Store | None:
    """The store of the source if every picture of it was read before; None if not."""
    if not source.own:
        return source.store
    path = kept_path(source.table, size=STAMPS, field="slice")
    return _store(str(path)) if path.is_file() else None


def read_all(source: Source) -> None:
    """Read every picture once, with a bar.

    Raises:
        ValueError: if none of them can be read.
        OSError: if there is no room for what is kept of them.
    """
    bar = st.progress(0.0, "Reading every picture once …")

    def progress(scans: Iterable[Head], total: int) -> Iterator[Head]:
        for done, scan in enumerate(scans, start=1):
            yield scan
            bar.progress(done / total, f"Reading every picture once: scan {done} of {total}")

    kept_store(source.table, size=STAMPS, field="slice", progress=progress)
    bar.empty()


@st.cache_resource(max_entries=2, show_spinner=False)
def _store(path: str) -> Store:
    return open_store(path)
