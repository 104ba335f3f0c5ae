"""The data of the pages: synthetic heads, or a folder on this computer. Wiring only."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from ich_lib.data import Table, open_set
from ich_lib.data.phantoms import phantoms, phantoms_path
from ich_lib.data.store import Store, StoredScan, cache_folder, cached_path, cached_store, open_store
from ich_lib.workbench.making import HeadJob
from ich_lib.workbench.shown import escape_markdown

PHANTOM_SOURCE, FOLDER_SOURCE = "Synthetic heads", "A folder on this computer"
HEADS, SIZE = 12, 192  # of the built-in set; made once, in some 20 seconds
FIRST_HEADS = 1  # this many are made before the first page, the others while the user looks at it
_EVERY_S = 1.0  # between two checks of how many are made
THUMBNAIL_PX = 64  # side of the pictures that are compared for leaks, in pixels
_NOT_LOCAL = "Folders can only be opened in a browser on the machine that runs the workbench."


@dataclass(frozen=True)
class RemoteDataset:
    """The chosen data.

    Attributes:
        table: its slices.
        key: identifies the source.
        is_own: whether it is a user's own folder, whose names are shown only in its table.
        store: of the table, for synthetic heads.
    """

    table: Table
    key: str
    is_own: bool
    store: Store | None = None

    @property
    def version(self) -> str:
        """Changes with its content, for cached values."""
        return f"{self.key}, {len(self.table)} slices"


def choose_source(page: str) -> RemoteDataset | None:
    """Widgets to choose the source; opens it; None if there is none yet. The choice is the same on every page.

    Args:
        page: the page's name, for the keys of its widgets.
    """
    where = st.segmented_control(
        "Data",
        (PHANTOM_SOURCE, FOLDER_SOURCE),
        default=st.session_state.get("source", PHANTOM_SOURCE),
        required=True,
        key=f"{page} source",
    )
    st.session_state["source"] = where
    if where != FOLDER_SOURCE:
        return _heads(status=page == "data")
    if st.context.ip_address is not None:
        st.error(_NOT_LOCAL)
        return None
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    folder = left.text_input(
        "Folder",
        st.session_state.get("folder", ""),
        key=f"{page} folder",
        placeholder="such as data/ct-ich",
        help="CT-ICH, RSNA 2019, renders with polygons, or NIfTI scans with masks. The layout is recognized.",
    )
    st.session_state["folder"] = folder
    if right.button("Read again", key=f"{page} again", help="after files have changed", width="stretch"):
        _read.clear()
        st.cache_data.clear()  # pictures and counts of the previous source
    if not folder.strip():
        st.info("Name a folder. It stays on this computer; nothing is sent.")
        return None
    return _open_folder(folder.strip())


def _open_folder(folder: str) -> RemoteDataset | None:
    try:
        return RemoteDataset(_read(str(Path(folder).expanduser())), folder, is_own=True)
    except (ValueError, OSError) as problem:
        st.error(escape_markdown(problem))
        return None


@st.cache_resource(show_spinner="Reading the folder's tables …", max_entries=4)
def _read(folder: str) -> Table:
    """Not st.cache_data, which would copy a table of 5,000 rows at every click."""
    return open_set(folder)


# ---- synthetic heads ------------------------------------------------------------------------------------------------


def _heads(*, status: bool) -> RemoteDataset | None:
    """All of them, or the first few while the others are made; `status` shows the progress."""
    try:
        is_complete = are_heads_ready()
        store = _build_heads(HEADS if is_complete else min(FIRST_HEADS, HEADS), SIZE)
    except OSError as problem:
        st.error(escape_markdown(f"The synthetic heads cannot be stored: {problem}"))
        return None
    if status and not is_complete:
        _refresh_when_done()
    return RemoteDataset(store.table, "phantoms", is_own=False, store=store)


def are_heads_ready() -> bool:
    """Whether all synthetic heads are stored."""
    return phantoms_path(HEADS, size=SIZE).is_file()


@st.cache_resource(show_spinner="Making the first synthetic head: some seconds, once")
def _build_heads(heads: int, size: int) -> Store:
    return phantoms(heads, size=size)


@st.cache_resource(show_spinner=False)
def _head_job(heads: int, size: int) -> HeadJob:
    return HeadJob(heads, size)


@st.fragment(run_every=_EVERY_S)
def _refresh_when_done() -> None:
    """How many heads there are; the page starts again when all are made."""
    job = _head_job(HEADS, SIZE)
    if are_heads_ready():
        st.rerun()
    elif job.failed:
        st.warning(escape_markdown(f"The other heads could not be made. Is there enough space in {cache_folder()}?"))
    else:
        st.progress(job.n_done / HEADS, f"Making synthetic heads: {job.n_done} of {HEADS}; {FIRST_HEADS} are shown …")


# ---- values read from every picture ---------------------------------------------------------------------------------


def complete_store(source: RemoteDataset) -> Store | None:
    """The store of the source if every picture of it was read before; None if not."""
    if not source.is_own:
        return source.store
    path = cached_path(source.table, size=THUMBNAIL_PX, field="slice")
    return _store(str(path)) if path.is_file() else None


def read_all(source: RemoteDataset) -> None:
    """Read every picture once, with a progress bar.

    Raises:
        ValueError: if none of them can be read.
        OSError: if there is no space for the store.
    """
    bar = st.progress(0.0, "Reading every picture once …")

    def progress(scans: Iterable[StoredScan], total: int) -> Iterator[StoredScan]:
        for done, scan in enumerate(scans, start=1):
            yield scan
            bar.progress(done / total, f"Reading every picture once: scan {done} of {total}")

    cached_store(source.table, size=THUMBNAIL_PX, field="slice", progress=progress)
    bar.empty()


@st.cache_resource(max_entries=2, show_spinner=False)
def _store(path: str) -> Store:
    return open_store(path)
