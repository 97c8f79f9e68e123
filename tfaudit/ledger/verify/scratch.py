"""What must verify remember of a log of any length: a private temporary database, so that memory stays flat.

It holds ids, digests, times and serials, never a value. SQLite keeps it in memory while it is small and in an unnamed
temporary file from then on.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from tfaudit.errors import UnavailableError
from tfaudit.ledger import ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfaudit.ledger.verify.findings import Code

_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16384;
CREATE TABLE head (size INTEGER PRIMARY KEY, number INTEGER, time INTEGER, root BLOB, note BLOB);
CREATE TABLE void (number INTEGER PRIMARY KEY, code TEXT, reason TEXT, names INTEGER);
CREATE TABLE lost (record_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE leaf (
  position INTEGER PRIMARY KEY, record_id TEXT, writer TEXT, leaf BLOB, kind TEXT, refers TEXT, state TEXT,
  number INTEGER, keys INTEGER, size INTEGER, time INTEGER, bytes INTEGER
);
CREATE INDEX leaf_id ON leaf (record_id);
CREATE INDEX leaf_hash ON leaf (leaf);
CREATE INDEX leaf_refers ON leaf (refers) WHERE refers IS NOT NULL;
CREATE INDEX leaf_state ON leaf (state) WHERE state IS NOT NULL;
CREATE TABLE intent (record_id TEXT PRIMARY KEY, position INTEGER, place TEXT, who TEXT, decision TEXT);
CREATE TABLE decided (
  position INTEGER PRIMARY KEY, record_id TEXT, place TEXT, who TEXT, decision TEXT, command TEXT, stack TEXT
);
CREATE TABLE voted (
  position INTEGER PRIMARY KEY, record_id TEXT, writer TEXT, leaf BLOB, kind TEXT, refers TEXT, state TEXT,
  time INTEGER, stack TEXT
);
CREATE INDEX voted_on ON voted (stack, position);
CREATE TABLE used (
  vote TEXT, stack TEXT, state TEXT, intent TEXT, position INTEGER, PRIMARY KEY (vote, position)
) WITHOUT ROWID;
CREATE TABLE lacking (record_id TEXT, digest TEXT, place TEXT, who TEXT);
CREATE TABLE stated (record_id TEXT, digest TEXT, time INTEGER, PRIMARY KEY (record_id, digest)) WITHOUT ROWID;
CREATE TABLE kept (record_id TEXT PRIMARY KEY, place TEXT, who TEXT) WITHOUT ROWID;
CREATE TABLE closing (intent TEXT, status TEXT, known INTEGER);
CREATE INDEX closing_intent ON closing (intent);
CREATE TABLE sight (state TEXT, lineage TEXT, serial INTEGER, position INTEGER, place TEXT, who TEXT);
CREATE INDEX sight_at ON sight (state, lineage, serial);
CREATE TABLE span (state TEXT, lineage TEXT, low INTEGER, high INTEGER, position INTEGER);
CREATE INDEX span_at ON span (state, lineage, high);
CREATE TABLE unknown (state TEXT, position INTEGER, intent TEXT);
CREATE INDEX unknown_at ON unknown (state, position);
BEGIN;
"""


class Leaf(NamedTuple):
    """A record's leaf in the log."""

    position: int
    """Its index in the log."""
    record_id: str
    writer: str
    leaf: bytes
    kind: str
    refers: str | None
    state: str | None
    number: int
    """The commit that holds it."""
    keys: int
    """The commit whose ``config`` record gave the keys in force for it; -1 for genesis."""
    size: int
    """The tree's size before that commit."""
    time: int
    """That commit's time."""
    bytes: int | None
    """The object's size in the listing; None until it was listed."""


class Head(NamedTuple):
    """The log after one live commit."""

    size: int
    number: int
    time: int
    root: bytes
    note: bytes
    """SHA-256 of the signed checkpoint's text."""


class Voted(NamedTuple):
    """A record that holds somebody's word on a plan."""

    position: int
    record_id: str
    writer: str
    leaf: bytes
    kind: str
    refers: str | None
    state: str | None
    time: int
    """Of the commit that adopted it."""
    stack: str | None


class Scratch:
    """The temporary database; a context manager."""

    def __init__(self) -> None:
        self.database = sqlite3.connect("", isolation_level=None)
        self.database.executescript(_SCHEMA)

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def add_head(self, head: Head) -> None:
        """Remember the log after a live commit."""
        self.database.execute("INSERT INTO head VALUES (?,?,?,?,?)", head)

    def head(self, size: int) -> Head | None:
        """Return the log as it was at this size, if a commit left it so."""
        row = self.database.execute("SELECT * FROM head WHERE size = ?", (size,)).fetchone()
        return Head(*row) if row else None

    def first_head(self) -> Head | None:
        """Return the smallest head."""
        row = self.database.execute("SELECT * FROM head ORDER BY size LIMIT 1").fetchone()
        return Head(*row) if row else None

    def add_leaves(self, leaves: Iterable[Leaf]) -> None:
        """Remember the records of a live commit."""
        self.database.executemany("INSERT INTO leaf VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", leaves)

    def leaf(self, record_id: str) -> Leaf | None:
        """Return the first leaf in the log of a record with this id."""
        query = "SELECT * FROM leaf WHERE record_id = ? ORDER BY position LIMIT 1"
        row = self.database.execute(query, (record_id,)).fetchone()
        return Leaf(*row) if row else None

    def has_leaf(self, leaf: bytes) -> bool:
        """Tell whether the log holds this leaf."""
        return self.database.execute("SELECT 1 FROM leaf WHERE leaf = ?", (leaf,)).fetchone() is not None

    def twice(self) -> Iterator[tuple[Leaf, int]]:
        """Yield each leaf whose record id an earlier one has, with that one's position."""
        query = """
        SELECT leaf.*, min(first.position) FROM leaf JOIN leaf AS first
        ON first.position < leaf.position AND first.record_id = leaf.record_id GROUP BY leaf.position
        """
        for *row, first in self.database.execute(query):
            yield Leaf(*row), first

    def leaves(self) -> Iterator[Leaf]:
        """Yield all leaves in log order."""
        for row in self.database.execute("SELECT * FROM leaf ORDER BY position"):
            yield Leaf(*row)

    def folders(self) -> Iterator[str]:
        """Yield the prefixes of one hour each in which records of the log lie, ascending."""
        rows = self.database.execute("SELECT writer, record_id FROM leaf ORDER BY writer, record_id")
        for folder, _ in groupby(ids.record_key(*row).rpartition("/")[0] for row in rows):
            yield f"{folder}/"

    def leaves_of(self, kind: str) -> Iterator[Leaf]:
        """Yield the leaves of records of one kind in log order."""
        for row in self.database.execute("SELECT * FROM leaf WHERE kind = ? ORDER BY position", (kind,)):
            yield Leaf(*row)

    def last_of_state(self, state: str, size: int) -> Leaf | None:
        """Return the last record of a state among the first ``size`` leaves of the log."""
        query = "SELECT * FROM leaf WHERE state = ? AND position < ? ORDER BY position DESC LIMIT 1"
        row = self.database.execute(query, (state, size)).fetchone()
        return Leaf(*row) if row else None

    def listed(self, position: int, size: int) -> None:
        """Remember that the record at ``position`` is in the store, with its size in bytes."""
        self.database.execute("UPDATE leaf SET bytes = ? WHERE position = ?", (size, position))

    def erased(self, leaf: bytes) -> bool:
        """Tell whether an ``erasure`` record of the log refers to the record with this leaf."""
        query = "SELECT 1 FROM leaf WHERE refers = ? AND kind = 'erasure'"
        return self.database.execute(query, (leaf.hex(),)).fetchone() is not None

    def add_vote(self, voted: Voted) -> None:
        """Remember a record that holds a vote."""
        self.database.execute("INSERT OR IGNORE INTO voted VALUES (?,?,?,?,?,?,?,?,?)", voted)

    def votes(self, stack: str, *, before: int, since: int) -> Iterator[Voted]:
        """Yield the records with votes on a stack, or on none that they name, before a position and not older."""
        query = """
        SELECT * FROM voted WHERE stack = ? AND position < ? AND time >= ?
        UNION SELECT * FROM voted WHERE stack IS NULL AND position < ? AND time >= ? ORDER BY position
        """
        for row in self.database.execute(query, (stack, before, since, before, since)):
            yield Voted(*row)

    def add_uses(self, uses: Iterable[tuple[str, str | None, str | None, str, int]]) -> None:
        """Remember uses of votes: vote, stack, state, intent, position."""
        self.database.executemany("INSERT OR IGNORE INTO used VALUES (?,?,?,?,?)", uses)

    def uses(self, vote: str, *, stack: str, state: str | None, before: int) -> Iterator[tuple[str, int]]:
        """Yield (intent, position) of a stack's intents on a state before a position that name a vote."""
        query = """
        SELECT intent, position FROM used WHERE vote = ? AND stack = ? AND state IS ? AND position < ? ORDER BY position
        """
        yield from self.database.execute(query, (vote, stack, state, before))

    def total_bytes(self) -> int:
        """Return the size of all listed records together."""
        total: int = self.database.execute("SELECT coalesce(sum(bytes), 0) FROM leaf").fetchone()[0]
        return total

    def add_void(self, number: int, code: Code | None, reason: str, *, names: int = 0) -> None:
        """Remember a void slot; ``code`` is None for an orphan, of which another finding tells already.

        ``names`` is the commit that this one names, where that matters.
        """
        self.database.execute("INSERT OR REPLACE INTO void VALUES (?,?,?,?)", (number, code, reason, names))

    def is_orphan(self, number: int) -> bool:
        """Tell whether the slot holds a commit that followed from one that was edited, or that one itself."""
        query = "SELECT 1 FROM void WHERE number = ? AND code IS NULL"
        return self.database.execute(query, (number,)).fetchone() is not None

    def voids(self) -> Iterator[tuple[int, Code | None, str, int]]:
        """Yield (number, code, reason, names) of the void slots, ascending."""
        yield from self.database.execute("SELECT number, code, reason, names FROM void ORDER BY number")

    def void_after(self, number: int) -> int | None:
        """Return the first void slot after commit ``number``."""
        row = self.database.execute("SELECT min(number) FROM void WHERE number > ?", (number,)).fetchone()
        return None if row is None else row[0]

    def add_lost(self, record_ids: Iterable[str]) -> None:
        """Remember records that only commits name which no longer follow from the log."""
        self.database.executemany("INSERT OR IGNORE INTO lost VALUES (?)", ((record_id,) for record_id in record_ids))

    def is_lost(self, record_id: str) -> bool:
        """Tell whether such a commit named this record."""
        return self.database.execute("SELECT 1 FROM lost WHERE record_id = ?", (record_id,)).fetchone() is not None


@contextmanager
def translated() -> Iterator[None]:
    """Turn a failure of the database, a full disk as a rule, into one line."""
    try:
        yield
    except sqlite3.Error as error:
        raise UnavailableError(
            f"verify can't keep its temporary index: {error}", hint="make room in the folder for temporary files"
        ) from error
