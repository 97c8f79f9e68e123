"""What do ``log``, ``inspect``, ``history`` and ``export`` see of a ledger: its log, and what waits to come into it?

Nothing here needs a key. What is shown was checked while it was read: commits by their hashes, records by their leaves,
events by their roots, values by their digests. Whether the log is whole and properly signed is for ``verify``.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from tfaudit.errors import InputError, VerificationError
from tfaudit.export import disclosed, entries
from tfaudit.export.changes import Source, change_events, every, other_events
from tfaudit.export.entries import PENDING, Row
from tfaudit.export.index import Index, open_index
from tfaudit.export.indexfile import known
from tfaudit.export.pending import pending, spooled_reader
from tfaudit.export.touched import touched
from tfaudit.ledger import ids
from tfaudit.ledger.folder import FolderStore
from tfaudit.ledger.reader import Reader
from tfaudit.ledger.store import Located, fetch

if TYPE_CHECKING:
    from tfaudit.events.native import Event
    from tfaudit.export.changes import Chooser
    from tfaudit.ledger.store import Store, Working

_FEW: Final = 500
"""For up to so many entries their disclosures are looked at one by one."""
_BATCH: Final = 64
"""So many are asked for at once, where the store takes a while."""
_DISCLOSED: Final = 1 << 17
"""Longer disclosures are not read ahead."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which records are wanted; None wants all."""

    stack: str | None = None
    """A pattern with ``*`` and ``?``."""
    kinds: tuple[str, ...] = ()
    start: int | None = None
    """Milliseconds since the epoch; from then on."""
    end: int | None = None
    """Before then."""
    run_id: str | None = None

    def condition(self) -> tuple[str, list[object]]:
        """Return the SQL condition on the columns of a row, and its values."""
        parts: list[tuple[str, tuple[object, ...]]] = []
        if self.stack is not None:
            parts.append(("stack GLOB ?", (self.stack.replace("[", "[[]"),)))
        if self.kinds:
            parts.append((f"kind IN ({', '.join('?' for _ in self.kinds)})", self.kinds))
        if self.start is not None:
            parts.append(("time >= ?", (self.start,)))
        if self.end is not None:
            parts.append(("time < ?", (self.end,)))
        if self.run_id is not None:
            parts.append(("run_id = ?", (self.run_id,)))
        text = " AND ".join(part for part, _ in parts) or "1"
        return text, [value for _, values in parts for value in values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, or a record that no run wrote: its records in log order."""

    run_id: str | None
    records: tuple[Row, ...]


class View:
    """A ledger as it was when :meth:`open` was called. Close it, or leave its ``with`` block."""

    def __init__(
        self,
        *,
        evidence: Store,
        working: Working,
        spool: Store | None,
        reader: Reader,
        folder: Path | None,
        time: int,
        on_problem: Callable[[str], None],
        on_catch_up: Callable[[int], None],
        catch_up: int,
    ) -> None:
        self.reader = reader
        self._evidence = evidence
        self._working = working
        self._spool = spool
        self._folder = folder
        self._time = time
        self._on_problem = on_problem
        self._on_catch_up = on_catch_up
        self._catch_up = catch_up
        self._index: Index | None = None
        self._spooled = spooled_reader(spool, reader, working) if spool is not None else None

    @classmethod
    def open(
        cls,
        *,
        evidence: Store,
        working: Working,
        spool: Store | None = None,
        genesis_digest: str | None,
        folder: Path | None,
        time: int,
        on_problem: Callable[[str], None],
        on_catch_up: Callable[[int], None] = lambda _behind: None,
        catch_up: int = 500,
    ) -> View:
        """Return the view of a ledger.

        ``folder`` is the working store's own where it is a folder: there the index is kept. ``time`` is now, in
        milliseconds since the epoch. ``on_problem`` is told in a sentence what could not be read of the log and does
        not keep the rest from being shown. Where the index is more than ``catch_up`` commits behind, the newest entries
        are read without it; where it must be brought up to date all the same, ``on_catch_up`` is told how many commits
        are to be read first. Errors as :meth:`Reader.open`.
        """
        reader = Reader.open(evidence=evidence, working=working, genesis_digest=genesis_digest)
        return cls(
            evidence=evidence,
            working=working,
            spool=spool,
            reader=reader,
            folder=folder,
            time=time,
            on_problem=on_problem,
            on_catch_up=on_catch_up,
            catch_up=catch_up,
        )

    @cached_property
    def _pending(self) -> tuple[Row, ...]:
        return pending(self._evidence, self._spool, self.reader, time=self._time)

    def close(self) -> None:
        """Close the index."""
        if self._index is not None:
            self._index.close()

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def index(self) -> Index:
        """The index of records, brought up to date when it is first asked for."""
        if self._index is None:
            behind = self._behind()
            if behind > self._catch_up:
                self._on_catch_up(behind)
            self._index = self._opened(self._folder)
            for problem in self._index.problems:
                self._on_problem(problem)
        return self._index

    def resources(self) -> Index:
        """Return the index with what the records touch: for that, all events have been read once."""
        try:
            self.index.extend_touched()
        except sqlite3.OperationalError:
            # Another reader holds the file for long, or the disk is full: do without it.
            self.close()
            self._index = self._opened(None)
            self._index.extend_touched()
        for problem in self.index.problems:
            self._on_problem(problem)
        return self.index

    def _opened(self, folder: Path | None) -> Index:
        index = open_index(folder, evidence=self._evidence, reader=self.reader)
        for row in self._pending:
            bases: set[str] = set()
            try:
                bases = touched(row, self.source(row).reader) if row.kind in ("plan", "intent") else bases
            except (VerificationError, InputError) as error:
                self.problem(row, error)
            index.add_pending(row, bases)
        return index

    # --- the log ------------------------------------------------------------------------------------------------------

    def log(self, wanted: Filter, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the log entries (``log-entry.v1``), the newest first, those in front that no commit holds yet."""
        short = limit is not None and limit <= _FEW and wanted == Filter()
        if limit is not None and short and self._index is None and self._behind() > self._catch_up:
            yield from self._newest(limit)
            return
        condition, values = wanted.condition()
        found = self.index.rows(condition, values, newest_first=True)
        closings = self.index.closings()
        sizes = self._disclosure_sizes() if limit is None or limit > _FEW else None
        fresh: list[tuple[int | None, bytes | None, int]] = []
        for batch in _batches(islice(found, limit)):
            self._fetch_actors(batch, sizes)
            for row in batch:
                actor = self.actor(row) if sizes is None else self._kept_actor(row, sizes, fresh)
                yield entries.entry(row, actor=actor, closed_by=closings.get(row.record_id))
        self.index.keep_actors(fresh)

    def located(self, found: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the log entries with where each record lies in a store that keeps versions: a request for each."""
        for batch in _batches(found):
            stored = [one for one in batch if one["place"] != "spool"]
            if isinstance(self._evidence, Located):
                for one, location in zip(stored, self._evidence.locate([one["key"] for one in stored]), strict=True):
                    one["version_id"] = location.version_id
                    if location.retain_until is not None:
                        one["retain_until"] = ids.time_text(location.retain_until)
            yield from batch

    def _behind(self) -> int:
        """Return how many commits the kept index lacks."""
        reached = known(self._folder)
        return self.reader.state.number - (-1 if reached is None else reached)

    def _newest(self, limit: int) -> Iterator[dict[str, Any]]:
        """Yield the newest entries straight from the log: no more of it is read than is shown."""
        closings: dict[str, Row] = {}
        for row in islice(self._rows_from_the_end(), limit):
            if row.intent is not None and row.kind in ("outcome", "operation"):
                other = closings.get(row.intent)
                if other is None or row.recovered <= other.recovered:
                    closings[row.intent] = row
            closing = closings.get(row.record_id)
            yield entries.entry(row, actor=self.actor(row), closed_by=closing.record_id if closing else None)

    def _rows_from_the_end(self) -> Iterator[Row]:
        yield from reversed(self._pending)
        for found in self.reader.newest_first():
            try:
                yield entries.row(
                    self.reader.record(found.line), position=found.position, commit=found.commit, place="log"
                )
            except (VerificationError, InputError) as error:
                self._on_problem(entries.fault(found.line.record_id, error))
                yield entries.unreadable(
                    found.line, position=found.position, commit=found.commit, problem=error.message
                )

    def problem(self, row: Row, error: VerificationError | InputError) -> None:
        """Tell of a record that can't be shown, where the rest can."""
        self._on_problem(entries.fault(row.record_id, error))

    def entry(self, row: Row) -> dict[str, Any]:
        """Return the log entry of one record."""
        closing = self.index.closing(row.record_id) if row.kind == "intent" else None
        found = entries.entry(row, actor=self.actor(row), closed_by=closing.record_id if closing else None)
        return next(self.located([found]))

    def actor(self, row: Row) -> object:
        """Return the actor as it is disclosed now; None where it is withheld."""
        if row.actor_digest is None:
            return None
        shown = disclosed.statement(self.source(row).working, row.record_id)
        return disclosed.value(shown, row.record_id, "/actor", row.actor_digest)

    def _fetch_actors(self, batch: Sequence[Row], sizes: dict[str, int | None] | None) -> None:
        """Read the disclosures ahead that :meth:`_kept_actor` will not find in the index."""
        wanted = [
            row.record_id for row in batch if sizes is None or sizes.get(row.record_id) not in (None, row.kept_size)
        ]
        fetch(self._working, [ids.disclosure_key(record_id) for record_id in wanted], limit=_DISCLOSED)

    def _disclosure_sizes(self) -> dict[str, int | None]:
        """Return the size of each record's disclosures, by record id."""
        if not isinstance(self._working, FolderStore):
            found = self._working.list(ids.DISCLOSURES)
            return {entry.key[len(ids.DISCLOSURES) : -6]: entry.size for entry in found}
        # Straight from the folder, three times as fast: ten thousand of them are asked for in one line of output.
        with suppress(FileNotFoundError), os.scandir(self._working.root / ids.DISCLOSURES) as entries:
            return {entry.name[:-6]: entry.stat(follow_symlinks=False).st_size for entry in entries}
        return {}

    def _kept_actor(
        self, row: Row, sizes: dict[str, int | None], fresh: list[tuple[int | None, bytes | None, int]]
    ) -> object:
        """Return the actor, from the index where the disclosures are as they were; note in ``fresh`` what to keep."""
        if row.position >= PENDING or row.actor_digest is None:
            return self.actor(row)
        size = sizes.get(row.record_id)
        if size is not None and size == row.kept_size and row.kept_actor is not None:
            return _decoded(row.kept_actor)
        actor = self.actor(row) if size is not None else None
        if size != row.kept_size:
            fresh.append((size, msgspec.json.encode(actor) if size is not None else None, row.position))
        return actor

    # --- runs and changes ---------------------------------------------------------------------------------------------

    def run(self, name: str) -> Run:
        """Return the run that ``name`` begins the id of, or to which the record of that id belongs.

        Raises :class:`InputError` where there is none, or more than one.
        """
        pattern = f"{name.lower()}*"
        if not name or not all(letter in "0123456789abcdef-" for letter in name.lower()):
            raise InputError(f"{name!r} is no run's or record's id", hint="tfaudit log lists them")
        found = list(self.index.rows("run_id GLOB ? OR record_id GLOB ?", (pattern, pattern)))
        groups = {row.run_id or row.record_id: row.run_id for row in found}
        exact = [group for group in groups if group == name.lower()]
        if not groups:
            raise InputError(f"the ledger has no run or record {name!r}", hint="tfaudit log lists them")
        if len(groups) > 1 and not exact:
            raise InputError(f"{name!r} is the start of {len(groups)} runs' ids", hint="give more of it")
        chosen = exact[0] if exact else next(iter(groups))
        if groups[chosen] is None:
            return Run(run_id=None, records=tuple(row for row in found if row.record_id == chosen))
        rows = {row.record_id: row for row in self.index.rows("run_id = ?", (chosen,))}
        for intent in [row.record_id for row in rows.values() if row.kind == "intent"]:
            # A run that was killed is closed by another one.
            rows |= {row.record_id: row for row in self.index.rows("intent = ?", (intent,))}
        return Run(run_id=chosen, records=tuple(sorted(rows.values())))

    def run_events(self, run: Run) -> Iterator[Event]:
        """Yield a run's change events, then the diagnostics and notes of the records that close it."""
        for row in run.records:
            if row.kind in ("plan", "intent"):
                yield from self.changes(row)
        for row in run.records:
            if row.kind not in ("plan", "intent"):
                yield from other_events(self.source(row))

    def changes(self, row: Row, choose: Chooser = every) -> Iterator[Event]:
        """Yield the chosen change events of a plan or intent record; errors as :func:`changes.change_events`."""
        closing = self.index.closing(row.record_id) if row.kind == "intent" else None
        return change_events(self.source(row), self.source(closing) if closing is not None else None, choose)

    def plan_record(self, intent: Row) -> Row | None:
        """Return the last plan record before an intent that has the same plan digest."""
        if intent.kind != "intent" or intent.plan_digest is None:
            return None
        condition = "plan_digest = ? AND kind = 'plan' AND position < ?"
        values = (intent.plan_digest, intent.position)
        return next(self.index.rows(condition, values, newest_first=True), None)

    def source(self, row: Row) -> Source:
        """Return where the record's bytes and disclosures are."""
        if row.place == "spool" and self._spool is not None and self._spooled is not None:
            return Source(row=row, reader=self._spooled, working=self._spool)
        return Source(row=row, reader=self.reader, working=self._working)


@lru_cache(maxsize=1024)
def _decoded(text: bytes) -> object:
    """Return the value of a JSON text; most records are of the same few actors."""
    return msgspec.json.decode(text)


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    left = iter(items)
    while batch := list(islice(left, _BATCH)):
        yield batch
