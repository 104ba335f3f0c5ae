"""A store: a data set in one compact file of slices, all of one size, with fast access to each.

Training reads each slice hundreds of times, and the source files are large, many and often remote. A store is one
SQLite file with a row per slice: its facts, its CT numbers coded by JPEG-LS, its mask as PNG. CT numbers are exact to 1
HU in the range of blood and brain, and to 12 HU in bone. This is one gray level of the bone render, so both renders can
be drawn from the store.
"""

import hashlib
import json
import os
import re
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from ich_lib.data import open_set
from ich_lib.data.coding import THUMBNAIL_PX, decode_hu, encode_hu, encode_png, picture_digest, thumbnail
from ich_lib.data.real_heads import leave_out_samples
from ich_lib.data.table import DataProblems, Table
from ich_lib.labels import LABELS
from ich_lib.prepare.head import FIELDS, crop, field_box, intracranial
from ich_lib.scan import AIR_HU

# side of a stored "head" picture relative to the head's box: the area that a turned, smaller picture can show
ROOM = 1.25
_FORMAT = 1
_STEPS = "steps_mm"  # beside the facts of a row
_MEMORY_MB = 640  # decoded slices kept; enough for all of CT-ICH at 256x256
_SCHEMA = """
create table about (key text primary key, value text);
create table slices (
    row integer primary key, patient text, scan text, slice integer, labels integer, outlined integer, facts text,
    blood_px integer, inside_px integer, digest blob, thumb blob, hu blob, blood blob, inside blob
);
"""
_COLUMNS = "patient, scan, slice, labels, outlined, facts, blood_px, inside_px, digest"


@dataclass(frozen=True)
class StoredScan:
    """One scan with its truth, to be stored.

    Attributes:
        patient, scan: their names.
        slice: (z,) int, rising from foot to head.
        hu: (z, y, x) HU.
        blood: (z, y, x), the share of each pixel that is blood, 0 to 1.
        labels: (z, 6) bool.
        outlined: (z,) bool, slices with a known `blood`.
        facts: further columns, (z,) each.
        steps_mm: (3, 3) as in `Table`; None if it is not known.
        corrupt: names of unreadable slices; they are in none of the arrays.
    """

    patient: str
    scan: str
    slice: np.ndarray
    hu: np.ndarray
    blood: np.ndarray
    labels: np.ndarray
    outlined: np.ndarray
    facts: dict[str, np.ndarray]
    corrupt: tuple[str, ...] = ()
    steps_mm: np.ndarray | None = None


@dataclass(frozen=True)
class Store:
    """An open store.

    Attributes:
        path: the file.
        table: its rows; `table.hu` and `table.truth` read from this file, with `size` pixels per side.
        size: side of a stored picture in pixels.
        field: "head", the head's box times ROOM, or "slice", the whole slice.
        first, last: (n,) int, first and last row of the scan of each row.
        blood_px: (n,) int, pixels of blood.
        inside_px: (n,) int, pixels inside the skull, where blood may be pasted.
        digest: (n,) bytes, equal if the source pictures are equal to the pixel.
        pixels: the pictures in the file; those of `table`.
    """

    path: Path
    table: Table
    size: int
    field: str
    first: np.ndarray
    last: np.ndarray
    blood_px: np.ndarray
    inside_px: np.ndarray
    digest: np.ndarray
    pixels: "_StoredPixels"

    def __len__(self) -> int:
        return len(self.table)

    def hu(self, rows: Iterable[int]) -> np.ndarray:
        """(k, size, size) int16 HU."""
        return np.stack([self.pixels.decode(int(row))[0] for row in rows])

    def blood(self, rows: Iterable[int]) -> np.ndarray:
        """(k, size, size) uint8, 0 to 255: the share of each pixel that is blood."""
        return np.stack([self.pixels.decode(int(row))[1] for row in rows])

    def inside(self, rows: Iterable[int]) -> np.ndarray:
        """(k, size, size) uint8, 255 inside the skull."""
        return np.stack([self.pixels.decode(int(row))[2] for row in rows])

    def thumbs(self, rows: Iterable[int]) -> np.ndarray:
        """(k, 32, 32) uint8, thumbnails of slices in the brain render's window, which `leaks` compares."""
        stamps = [self.pixels.ask("select thumb from slices where row = ?", (int(row),))[0][0] for row in rows]
        return np.frombuffer(b"".join(stamps), np.uint8).reshape(-1, THUMBNAIL_PX, THUMBNAIL_PX)


def read_scans(table: Table) -> Iterator[StoredScan]:
    """Read each scan of a table completely. An unreadable slice is left out with its label and named."""
    for rows in table.scans():
        readable: list[tuple[int, np.ndarray, np.ndarray]] = []
        unreadable: list[str] = []
        for row in rows.tolist():
            try:
                hu = table.hu(row)
                blood = table.truth(row) if table.outlined[row] else np.zeros(hu.shape, bool)
                if not hu.shape == blood.shape == (readable[0][1].shape if readable else hu.shape):
                    raise ValueError("its size is not that of its mask or of the scan's other slices")
                readable.append((row, hu, blood))
            except (ValueError, OSError):
                unreadable.append(table.names[row])
        readable_rows = [row for row, _, _ in readable]
        yield StoredScan(
            patient=str(table.patient[rows[0]]),
            scan=str(table.scan[rows[0]]),
            slice=table.slice[readable_rows],
            hu=np.array([hu for _, hu, _ in readable], np.float32),
            blood=np.array([blood for _, _, blood in readable], np.float32),
            labels=table.labels[readable_rows],
            outlined=table.outlined[readable_rows],
            facts={name: column[readable_rows] for name, column in table.facts.items()},
            corrupt=tuple(unreadable),
            steps_mm=None if table.steps_mm is None else table.steps_mm[rows[0]],
        )


def store(
    data: str | Path | Table,
    out: str | Path,
    *,
    size: int = 256,
    field: str = "head",
    progress: Callable[..., Iterable] | None = None,
) -> Store:
    """Check a data set and write it into one compact file, which `train` and `evaluate` read faster than the set.

    Args:
        data: the folder of a data set, or its table.
        out: the new file; it appears only when it is complete.
        size: side of a stored picture in pixels.
        field: "head" crops each scan to its head, for training, and leaves out the sample patients of the demo; "slice"
            keeps whole slices, for evaluation.
        progress: may wrap the scans, given their number as `total` (tqdm).

    Returns:
        The open store. `store.table.report` names what is missing or corrupt in the set and was therefore left out.

    Raises:
        FileNotFoundError: if the folder is not a known data set.
        ValueError: for another field, or if not a single slice can be read.
        OSError: if there is no space for the file; the incomplete file is removed.

    See also:
        `open_store`, which opens the file again; `cached_store`, which keeps it in the cache folder.

    Example:
        >>> from ich_lib import phantom, store
        >>> from ich_lib.reports.case_files import write_case
        >>> write_case(phantom(1, bleeds=["epidural"], slices=4, pixels=64), "heads/first")
        >>> write_case(phantom(2, slices=4, pixels=64), "heads/second")
        >>> stored = store("heads", "heads.slices", size=64)
        >>> len(stored)  # slices
        8
        >>> stored.hu([0, 1]).shape  # (slice, y, x), HU
        (2, 64, 64)
        >>> stored.table.report
        DataProblems(missing=(), doubled=(), corrupt=(), inconsistent=(), excluded=())
    """
    table = data if isinstance(data, Table) else open_set(data)
    table = leave_out_samples(table) if field == "head" else table
    progress = progress or (lambda scans, total: scans)
    return build_store(table, out, size=size, field=field, progress=progress)


def build_store(
    table: Table,
    path: str | Path,
    *,
    size: int = 256,
    field: str = "head",
    progress: Callable[..., Iterable[StoredScan]] = lambda items, total: items,
) -> Store:
    """Write a table's slices into one file and open it; `store` also takes a data set's folder.

    Args:
        table: the slices. An unreadable slice is left out, with its label, and named in the report.
        path: the new file; it appears only when it is complete.
        size: side of a stored picture in pixels.
        field: "head" crops each scan to its head, "slice" keeps the whole slice.
        progress: may wrap the scans, given their number as `total` (tqdm).

    Raises:
        ValueError: for another field, or if not a single slice can be read.
        OSError: if there is no space for the file; the incomplete file is removed.
    """
    source = progress(read_scans(table), total=len(set(table.scan.tolist())))
    about = {"name": table.name, "known": table.known_labels, "attribution": table.attribution}
    return write_store(source, path, about=about, report=table.report, size=size, field=field)


def write_store(
    source: Iterable[StoredScan], path: str | Path, *, about: dict, report: DataProblems, size: int, field: str
) -> Store:
    """Write heads, one after the other, into one file and open it. See `build_store`."""
    if field not in FIELDS:
        raise ValueError(f"field must be one of {', '.join(FIELDS)}; got {field!r}.")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    try:
        unreadable = _write(source, part, size, field)
        metadata = {"format": _FORMAT, "size": size, "field": field, **about}
        metadata["report"] = asdict(report + DataProblems(corrupt=tuple(unreadable)))
        _describe(part, metadata)
        part.replace(path)
    except sqlite3.OperationalError as problem:
        raise OSError(f"{path} could not be written ({problem}); the incomplete file was removed.") from problem
    finally:
        part.unlink(missing_ok=True)
    return open_store(path)


def _write(source: Iterable[StoredScan], part: Path, size: int, field: str) -> list[str]:
    """Fill the file; returns the names of unreadable slices."""
    unreadable: list[str] = []
    count = 0
    with closing(sqlite3.connect(part, isolation_level=None)) as file:
        file.executescript("pragma page_size=8192; pragma journal_mode=off; pragma synchronous=off;" + _SCHEMA)
        file.execute("begin")
        for head in source:
            unreadable += head.corrupt
            for values in _encode(head, size, field):
                file.execute(f"insert into slices values ({count}, {', '.join('?' * len(values))})", values)
                count += 1
        file.execute("commit")
    if not count:
        raise ValueError("Not one slice could be read, so there is nothing to store.")
    return unreadable


def _describe(part: Path, about: dict) -> None:
    with closing(sqlite3.connect(part)) as file, file:
        file.executemany("insert into about values (?, ?)", [(key, json.dumps(value)) for key, value in about.items()])


def _encode(head: StoredScan, size: int, field: str) -> Iterator[tuple]:
    """One head's slices as rows of the file."""
    if not len(head.hu):
        return
    box = field_box(head.hu, field)
    box = box.scaled(ROOM) if field == "head" else box
    for k, plane in enumerate(head.hu):
        hu, blood = crop(plane, box, size, outside=AIR_HU), crop(head.blood[k], box, size)
        hu, share = decode_hu(encode_hu(hu)), np.round(blood * 255).astype(np.uint8)
        inside = intracranial(hu)
        slice_facts = {name: column[k].item() for name, column in head.facts.items()} | _voxel_size(
            head, box.side / size
        )
        bits = int(np.packbits(head.labels[k].astype(bool), bitorder="little")[0])
        yield (
            *(head.patient, head.scan, int(head.slice[k]), bits, bool(head.outlined[k]), json.dumps(slice_facts)),
            *(int((share >= 128).sum()), int((inside > 0).sum()), picture_digest(plane), thumbnail(hu).tobytes()),
            *(encode_hu(hu), encode_png(share) if share.any() else None, encode_png(inside) if inside.any() else None),
        )


def _voxel_size(head: StoredScan, shrunk: float) -> dict:
    """The size of a stored voxel, beside the facts, if it is known. Only rows and columns shrink."""
    if head.steps_mm is None or not np.isfinite(head.steps_mm).all():
        return {}
    return {_STEPS: (head.steps_mm * np.array([1, shrunk, shrunk])).tolist()}


def cache_folder() -> Path:
    """The folder of automatic stores: the one that ICH_CACHE names, or ich_lib in the user's cache folder."""
    from_environment = os.environ.get("ICH_CACHE")
    return Path(from_environment) if from_environment else Path.home() / ".cache" / "ich_lib"


def cached_store(
    table: Table,
    *,
    size: int = 256,
    field: str = "head",
    progress: Callable[..., Iterable[StoredScan]] = lambda items, total: items,
) -> Store:
    """`build_store` into the cache folder, or open the file of an earlier call with the same source files."""
    path = cached_path(table, size=size, field=field)
    return open_store(path) if path.is_file() else build_store(table, path, size=size, field=field, progress=progress)


def cached_path(table: Table, *, size: int, field: str) -> Path:
    """The file of `cached_store`."""
    digest = hashlib.blake2b(f"{_FORMAT} {table.name}".encode(), digest_size=6)
    for row, name in enumerate(table.names):
        stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in table.pixels.files(row)]
        digest.update(f"{name} {table.labels[row].tolist()} {stats}".encode())
    words = "-".join(re.findall(r"[a-z0-9.]+", table.name.lower()))
    return cache_folder() / f"{words}-{field}{size}-{digest.hexdigest()}.slices"


def open_store(path: str | Path, *, memory_mb: float = _MEMORY_MB) -> Store:
    """Open a store for reading, from any number of threads.

    Args:
        path: a file of `build_store`.
        memory_mb: memory for decoded slices.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a store.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist. Make it with python -m ich_lib store.")
    pixels = _StoredPixels(path, memory_mb)
    try:
        about = {key: json.loads(value) for key, value in pixels.ask("select key, value from about")}
        rows = pixels.ask(f"select {_COLUMNS} from slices order by row")
    except sqlite3.DatabaseError as problem:
        raise ValueError(f"{path.name} is not a store of slices. Make one with python -m ich_lib store.") from problem
    if about.get("format") != _FORMAT:
        raise ValueError(f"{path.name} was written by another version of this library; make it again.")
    pixels.size = about["size"]
    return _make_store(path, about, rows, pixels)


def _make_store(path: Path, about: dict, rows: list[tuple], pixels: "_StoredPixels") -> Store:
    patient, scan, number, bits, outlined, facts, blood_px, inside_px, digest = zip(*rows, strict=True)
    slice_facts = [json.loads(text) for text in facts]
    steps_mm = np.array([fact.pop(_STEPS, np.full((3, 3), np.nan)) for fact in slice_facts])
    table = Table(
        name=about["name"],
        patient=np.array(patient),
        scan=np.array(scan),
        slice=np.array(number),
        labels=np.unpackbits(np.array(bits, np.uint8)[:, None], axis=1, count=len(LABELS), bitorder="little") > 0,
        outlined=np.array(outlined, bool),
        pixels=pixels,
        known_labels=tuple(about["known"]),
        facts={name: np.array([fact[name] for fact in slice_facts]) for name in slice_facts[0]},
        report=DataProblems(**{kind: tuple(names) for kind, names in about["report"].items()}),
        attribution=about["attribution"],
        steps_mm=steps_mm if np.isfinite(steps_mm).any() else None,
    )
    ends = np.concatenate([np.tile([rows[0], rows[-1]], (len(rows), 1)) for rows in table.scans()])
    return Store(
        path=path,
        table=table,
        size=about["size"],
        field=about["field"],
        first=ends[:, 0],
        last=ends[:, 1],
        blood_px=np.array(blood_px),
        inside_px=np.array(inside_px),
        digest=np.array(digest, object),
        pixels=pixels,
    )


class _StoredPixels:
    """The pictures of a store, decoded when needed; the last ones are kept up to a fixed amount of memory."""

    size: int

    def __init__(self, path: Path, memory_mb: float):
        self.path, self.room = path, memory_mb * 1e6
        self.file = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        self.cache: OrderedDict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = OrderedDict()
        self.lock = threading.Lock()

    def ask(self, question: str, values: tuple = ()) -> list[tuple]:
        with self.lock:
            return self.file.execute(question, values).fetchall()

    def hu(self, row: int) -> np.ndarray:
        return self.decode(row)[0].astype(np.float32)

    def mask(self, row: int) -> np.ndarray:
        return self.decode(row)[1] >= 128

    def files(self, row: int) -> tuple[Path, ...]:
        return (self.path,)

    def decode(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """HU, share of blood and inside of one row; read-only."""
        if (cached := self.cache.get(row)) is not None:
            with self.lock:
                if row in self.cache:
                    self.cache.move_to_end(row)
            return cached
        ((code, blood, inside),) = self.ask("select hu, blood, inside from slices where row = ?", (row,))
        decoded = decode_hu(code), self._gray(blood), self._gray(inside)
        with self.lock:
            self.cache[row] = decoded
            while len(self.cache) > max(1, self.room / (4 * self.size**2)):  # int16 and two uint8 a pixel
                self.cache.popitem(last=False)
        return decoded

    def _gray(self, png: bytes | None) -> np.ndarray:
        """(size, size) uint8; a picture that is black all over is not stored."""
        if png is None:
            return np.broadcast_to(np.uint8(0), (self.size, self.size))
        return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
