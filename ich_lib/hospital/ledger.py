"""The ledger: a SQLite database of the received images, the analyzed series and the sent files.

Every step of a study ends in one transaction here, so that a killed process resumes where it stopped. A step that is
not in the ledger is repeated. Repeating it changes nothing, because all names are derived from the input.
"""

import hashlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

_TABLES = """
create table if not exists images(
    sop text primary key, series text not null, study text not null, path text not null);
create table if not exists series(
    series text primary key, study text not null, last real not null, closes real not null,
    state text not null default 'open', why text not null default '', most integer not null default 1);
create table if not exists results(
    series text not null, weights text not null, digest text not null, primary key(series, weights, digest));
create table if not exists deliveries(
    id integer primary key autoincrement, sop text not null, target text not null, path text not null,
    state text not null default 'waiting', tries integer not null default 0, due real not null default 0,
    why text not null default '', unique(sop, target));
create index if not exists by_series on images(series);
create index if not exists by_target on deliveries(target, state, id);
"""
OPEN, CLOSED, DONE, FAILED = "open", "closed", "done", "failed"  # of a series
WAITING, SENDING, SENT = "waiting", "sending", "sent"  # of a delivery, which may also have failed


@dataclass(frozen=True)
class Image:
    """A received image."""

    sop: str
    series: str
    study: str
    path: str


@dataclass(frozen=True)
class Delivery:
    """A file to be sent to a target.

    Attributes:
        id: in the order of sending.
        sop: of the file.
        target: its address.
        path: of the file.
        state: waiting, sending, sent or failed. A file that a killed process left as sending may have arrived.
        tries: number of failed tries.
        why: reason of the last failure.
    """

    id: int
    sop: str
    target: str
    path: str
    state: str
    tries: int
    reason: str


class Ledger:
    """One file; safe to use from several threads.

    Args:
        path: made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._lock = RLock()
        self._base = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._base.execute("pragma journal_mode=wal")
        self._base.execute("pragma synchronous=full")
        self._base.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._base.close()

    def _rows(self, query: str, *values: object) -> list[tuple]:
        with self._lock:
            return self._base.execute(query, values).fetchall()

    def _all_or_nothing(self, steps: Iterable[tuple[str, tuple]]) -> None:
        with self._lock:
            self._base.execute("begin immediate")
            try:
                for query, values in steps:
                    self._base.execute(query, values)
            except BaseException:
                self._base.execute("rollback")
                raise
            self._base.execute("commit")

    # --- images and series

    def add_image(self, image: Image, now: float, closes: float) -> bool:
        """Note an image whose file is on the disk; False if it is known. A new one opens its series again."""
        with self._lock:
            if self._rows("select 1 from images where sop = ?", image.sop):
                return False
            self._all_or_nothing(
                [
                    ("insert into images values (?, ?, ?, ?)", (image.sop, image.series, image.study, image.path)),
                    (
                        "insert into series(series, study, last, closes) values (?, ?, ?, ?) on conflict(series) do "
                        "update set last = excluded.last, closes = excluded.closes, state = 'open', why = ''",
                        (image.series, image.study, now, closes),
                    ),
                    (
                        "update series set most = max(most, (select count(*) from images i where i.series = ?)) "
                        "where series = ?",
                        (image.series, image.series),
                    ),
                ]
            )
            return True

    def give_time(self, series: str, closes: float) -> None:
        """Wait longer for a series with an interrupted transfer."""
        self._all_or_nothing([("update series set closes = ? where series = ? and state = 'open'", (closes, series))])

    def close_due(self, now: float) -> None:
        """Close every series that has been idle long enough."""
        self._all_or_nothing([("update series set state = 'closed' where state = 'open' and closes <= ?", (now,))])

    def next_closed(self) -> str | None:
        """The series that has waited longest for its analysis."""
        rows = self._rows("select series from series where state = 'closed' order by last, series limit 1")
        return rows[0][0] if rows else None

    def images(self, series: str) -> list[Image]:
        """The results of a series, by UID."""
        query = "select sop, series, study, path from images where series = ? order by sop"
        return [Image(*row) for row in self._rows(query, series)]

    def is_made(self, series: str, weights: str, digest: str) -> bool:
        """Whether these images of a series were analyzed with these weights."""
        query = "select 1 from results where series = ? and weights = ? and digest = ?"
        return bool(self._rows(query, series, weights, digest))

    def set_made(
        self, series: str, weights: str, digest: str, files: Iterable[tuple[str, str]], targets: Iterable[str]
    ) -> None:
        """Note a result, and a delivery of each of its files (UID, path) to each target: all of it or nothing. A series
        that received an image meanwhile stays open."""
        targets = list(targets)
        steps: list[tuple[str, tuple]] = [
            ("insert or ignore into results values (?, ?, ?)", (series, weights, digest)),
            *(
                ("insert or ignore into deliveries(sop, target, path) values (?, ?, ?)", (sop, target, path))
                for sop, path in files
                for target in targets
            ),
            ("update series set state = 'done' where series = ? and state = 'closed'", (series,)),
        ]
        self._all_or_nothing(steps)

    def set_series(self, series: str, state: str, reason: str = "") -> None:
        """Note the result of a closed series."""
        step = ("update series set state = ?, why = ? where series = ? and state = 'closed'", (state, reason, series))
        self._all_or_nothing([step])

    def series_states(self) -> dict[str, tuple[str, str]]:
        """Series to (state, reason)."""
        return {row[0]: (row[1], row[2]) for row in self._rows("select series, state, why from series")}

    def count_received(self, series: str) -> int:
        """How many images of a series were received, including deleted ones."""
        rows = self._rows("select most from series where series = ?", series)
        return rows[0][0] if rows else 0

    def forget_before(self, moment: float) -> list[Image]:
        """The images of finished studies without new images. They are removed from the ledger, so that their files can
        be deleted. The results stay known."""
        finished = (
            "select study from series group by study having max(last) <= ? and min(state in ('done', 'failed')) = 1"
        )
        with self._lock:
            query = f"select sop, series, study, path from images where study in ({finished})"
            images = [Image(*row) for row in self._rows(query, moment)]
            self._all_or_nothing([("delete from images where sop = ?", (image.sop,)) for image in images])
        return images

    # --- deliveries

    def next_delivery(self, target: str, now: float) -> Delivery | None:
        """The first delivery to a target that was not sent, if it is due: the order is kept, even if it has to wait."""
        query = (
            "select id, sop, target, path, state, tries, why, due from deliveries "
            "where target = ? and state in ('waiting', 'sending') order by id limit 1"
        )
        rows = self._rows(query, target)
        return Delivery(*rows[0][:7]) if rows and rows[0][7] <= now else None

    def set_delivery(
        self, delivery: Delivery, state: str, *, failed: int = 0, due: float = 0, reason: str = ""
    ) -> None:
        """Note the result of a delivery, with `failed` more tries."""
        values = (state, failed, due, reason, delivery.id)
        self._all_or_nothing([("update deliveries set state=?, tries=tries+?, due=?, why=? where id=?", values)])

    def deliveries(self, state: str | None = None) -> list[Delivery]:
        """All deliveries, or those of one state, in order."""
        rows = self._rows("select id, sop, target, path, state, tries, why from deliveries order by id")
        return [Delivery(*row) for row in rows if state in (None, row[4])]

    def retry(self) -> int:
        """Set every failed delivery to waiting again; returns their number."""
        failed = len(self.deliveries(FAILED))
        step = ("update deliveries set state = 'waiting', tries = 0, due = 0 where state = 'failed'", ())
        self._all_or_nothing([step])
        return failed


def digest_of(images: Iterable[Image]) -> str:
    """One hash for a set of images, independent of their order."""
    return hashlib.sha256("\n".join(sorted(image.sop for image in images)).encode()).hexdigest()[:32]


def hashed_uid(uid: str) -> str:
    """The name of a study or image in a log: always the same, but without the UID, which identifies a person."""
    return hashlib.sha256(uid.encode()).hexdigest()[:12]
