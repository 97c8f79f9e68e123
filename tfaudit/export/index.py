"""Which records does the log hold, looked up in a moment? A cache of what was read and checked, in SQLite.

It covers the commits up to one whose number and SHA-256 it keeps; what came since is read when it is opened. Where the
log no longer holds that very commit, or the file is not what it should be, it is built anew: losing it loses nothing.
Runs never write it. Of what is disclosed it holds the actor alone, together with the disclosure's size: where that has
changed the actor is asked for again, and an erasure may always call :func:`indexfile.forget`.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfaudit.errors import InputError, VerificationError
from tfaudit.export import addresses, indexfile
from tfaudit.export.entries import PENDING, Row, fault, row, unreadable
from tfaudit.export.indexfile import RECORDS
from tfaudit.export.touched import touched
from tfaudit.ledger import commit, head, ids
from tfaudit.ledger.store import begin, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfaudit.export.addresses import Address
    from tfaudit.ledger.commit import RecordLine
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.store import Store

_TOGETHER: Final = 32
"""So many commits' records are opened ahead, where that takes a while."""
_COLUMNS: Final = ", ".join(Row._fields)
_MARKS: Final = ", ".join("?" for _ in Row._fields)


class Index:
    """The rows of a ledger's records; :func:`open_index` is the way in."""

    def __init__(self, database: sqlite3.Connection, *, evidence: Store, reader: Reader) -> None:
        self._database = database
        self._evidence = evidence
        self._reader = reader
        database.execute(f"CREATE TEMP TABLE pending {RECORDS}")
        database.execute("CREATE TEMP TABLE pending_touches (base TEXT, position INTEGER)")

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be read of the log, a sentence each."""
        return tuple(text for (text,) in self._database.execute("SELECT problem FROM problems ORDER BY position"))

    # --- looking up ---------------------------------------------------------------------------------------------------

    def rows(self, where: str = "1", values: Sequence[object] = (), *, newest_first: bool = False) -> Iterator[Row]:
        """Yield the rows for which an SQL condition on the columns of :class:`Row` holds, in log order."""
        tables, order = ["main.records", "temp.pending"], "ASC"
        if newest_first:
            tables, order = tables[::-1], "DESC"
        for table in tables:
            text = f"SELECT {_quoted()} FROM {table} WHERE {where} ORDER BY position {order}"  # noqa: S608 - our own text
            yield from map(Row._make, self._database.execute(text, values))

    def closing(self, intent: str) -> Row | None:
        """Return the record that tells what came of an intent: the run's own where there is one, else a recovery's."""
        found = self.rows("intent = ? AND kind IN ('outcome', 'operation')", (intent,))
        return min(found, key=lambda one: (one.recovered, one.position), default=None)

    def closings(self) -> dict[str, str]:
        """Return for every closed intent the record that closes it."""
        # The last one of an intent stays: its own run's before a recovery's, the first before a later one.
        kinds = "kind IN ('outcome', 'operation')"
        text = f"SELECT intent, record_id, recovered, position FROM {{}} WHERE intent IS NOT NULL AND {kinds}"  # noqa: S608
        union = f"{text.format('main.records')} UNION ALL {text.format('temp.pending')} ORDER BY 3 DESC, 4 DESC"
        return {intent: record_id for intent, record_id, _, _ in self._database.execute(union)}

    def touching(self, address: Address) -> list[int]:
        """Return the positions of the records whose events may be about ``address`` or what lies under it.

        What :meth:`extend_touched` has not read is not among them.
        """
        wanted = addresses.base(address)
        above = [addresses.base(address[:length]) for length in range(1, len(address))]
        condition = f"base IN ({', '.join('?' for _ in (wanted, *above))}) OR (base > ? AND base < ?)"
        values = (wanted, *above, f"{wanted}.", f"{wanted}/")
        logged = f"SELECT DISTINCT position FROM touches WHERE base IN (SELECT id FROM bases WHERE {condition})"  # noqa: S608
        waiting = f"SELECT DISTINCT position FROM temp.pending_touches WHERE {condition}"  # noqa: S608
        return sorted(position for text in (logged, waiting) for (position,) in self._database.execute(text, values))

    # --- actors -------------------------------------------------------------------------------------------------------

    def keep_actors(self, actors: Sequence[tuple[int | None, bytes | None, int]]) -> None:
        """Keep (disclosure size, JSON text, position) of actors; None forgets what was kept."""
        with suppress(sqlite3.OperationalError):
            # Another reader may be writing, or the disk is full: the actors are read again next time.
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("UPDATE records SET kept_size = ?, kept_actor = ? WHERE position = ?", actors)
            self._database.execute("COMMIT")

    # --- filling ------------------------------------------------------------------------------------------------------

    def extend(self) -> None:
        """Read the records of the commits that came since; :class:`VerificationError` where a commit is altered."""
        ledger = f"{self._reader.origin} {self._reader.genesis.digest}"
        state = self._reader.state
        kept = self._database.execute("SELECT ledger, number, digest FROM meta").fetchone()
        if kept == (ledger, state.number, state.digest) and not self.problems:
            return
        with self._whole():
            self._extend(ledger)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Keep all of what is written inside, or, whatever ends it early, nothing."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            self._database.execute("ROLLBACK")
            raise

    def _extend(self, ledger: str) -> None:
        state = self._reader.state
        kept = self._database.execute("SELECT ledger, number, digest FROM meta").fetchone()
        known = (kept[1], kept[2]) if kept and kept[0] == ledger else None
        chain = self._chain(known)
        if chain is None:
            for table in ("meta", "records", "problems", "bases", "touches"):
                self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - a name from the line above
            known, chain = None, self._chain(None) or []
        self._retry()
        for first in range(len(chain), 0, -_TOGETHER):
            self._add_commits(chain[max(first - _TOGETHER, 0) : first][::-1])
        if known is None:
            self._database.execute("INSERT INTO meta VALUES (?, ?, ?, -1)", (ledger, state.number, state.digest))
        else:
            self._database.execute("UPDATE meta SET number = ?, digest = ?", (state.number, state.digest))

    def _add_commits(self, chain: Sequence[tuple[int, str]]) -> None:
        """Add the records of these commits, oldest first."""
        found: list[tuple[int, int, RecordLine]] = []
        for number, digest in chain:
            raw = read(self._evidence, ids.commit_key(number), limit=commit.MAX_COMMIT + 1)
            if raw is None or sha256(raw).hexdigest() != digest:
                raise VerificationError(f"commit {number} is missing or altered", hint="run `tfaudit verify`")
            size, _, lines = commit.skim(raw)
            found += [(size + at, number, line) for at, line in enumerate(lines)]
        begin(self._evidence, [line.key for _, _, line in found])
        for position, number, line in found:
            self._add(line, position, number)

    def _chain(self, known: tuple[int, str] | None) -> list[tuple[int, str]] | None:
        """Return (number, SHA-256) of the commits after the ``known`` one, newest first; None where it is none."""
        state = self._reader.state
        chain: list[tuple[int, str]] = []
        for number, raw in head.back_from(self._evidence, state.number, state.digest):
            digest = sha256(raw).hexdigest()
            if known is not None and number <= known[0]:
                return chain if (number, digest) == known else None
            chain.append((number, digest))
        return chain if known is None or known[0] < 0 else None

    def _retry(self) -> None:
        """Look again at records that could not be read: they may have been put back."""
        for found in list(self.rows("position IN (SELECT position FROM problems)")):
            self._database.execute("DELETE FROM problems WHERE position = ?", (found.position,))
            self._database.execute("DELETE FROM records WHERE position = ?", (found.position,))
            self._add(found.line, found.position, found.commit)
            if found.position <= self._touched():
                self._touch(found.position)

    def _add(self, line: RecordLine, position: int, number: int) -> None:
        try:
            found = row(self._reader.record(line), position=position, commit=number, place="log")
        except (VerificationError, InputError) as error:
            found = unreadable(line, position=position, commit=number, problem=error.message)
            self._problem(position, fault(line.record_id, error))
        self._database.execute(f"INSERT INTO records ({_quoted()}) VALUES ({_MARKS})", found)  # noqa: S608

    def _problem(self, position: int, text: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO problems VALUES (?, ?)", (position, text))

    def extend_touched(self) -> None:
        """Read which resources the events of the records are about, as far as that was not done yet."""
        last = self._touched()
        found = [one.position for one in self.rows("position > ? AND kind IN ('plan', 'intent')", (last,))]
        found = [position for position in found if position < PENDING]
        if not found:
            return
        with self._whole():
            for position in found:
                self._touch(position)
            self._database.execute("UPDATE meta SET touched = max(touched, ?)", (found[-1],))

    def _touched(self) -> int:
        kept = self._database.execute("SELECT touched FROM meta").fetchone()
        return int(kept[0]) if kept else -1

    def _touch(self, position: int) -> None:
        for found in list(self.rows("position = ?", (position,))):
            try:
                bases = touched(found, self._reader)
            except (VerificationError, InputError) as error:
                self._problem(position, fault(found.record_id, error))
                continue
            self._database.executemany("INSERT OR IGNORE INTO bases (base) VALUES (?)", ((base,) for base in bases))
            self._database.executemany(
                "INSERT OR IGNORE INTO touches SELECT id, ? FROM bases WHERE base = ?",
                ((position, base) for base in bases),
            )

    def add_pending(self, row: Row, bases: set[str]) -> None:
        """Take up a record that no commit holds, with what it touches, for this process only."""
        self._database.execute(f"INSERT INTO temp.pending ({_quoted()}) VALUES ({_MARKS})", row)  # noqa: S608
        touches = ((base, row.position) for base in bases)
        self._database.executemany("INSERT INTO temp.pending_touches VALUES (?, ?)", touches)


def _quoted() -> str:
    return _COLUMNS.replace("commit", '"commit"')


def open_index(folder: Path | None, *, evidence: Store, reader: Reader) -> Index:
    """Return the index, filled up to the log's end.

    It is kept in the working folder ``folder`` where that is there and ours to write; else it lives as long as this
    process. Raises :class:`VerificationError` where a commit is missing or altered.
    """
    if folder is not None:
        for _ in range(2):
            database = indexfile.open_file(folder)
            if database is None:
                break
            try:
                index = Index(database, evidence=evidence, reader=reader)
                index.extend()
            except sqlite3.OperationalError:
                # Locked for long by another reader, or the disk is full: do without the file, and leave it.
                database.close()
                break
            except sqlite3.DatabaseError:
                # Not a database, or a damaged one: once more from nothing.
                database.close()
                indexfile.forget(folder)
            else:
                return index
    index = Index(indexfile.temporary(), evidence=evidence, reader=reader)
    index.extend()
    return index
