"""What is in the evidence store besides the log: records that wait for a commit, and what others left there."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from tfaudit.errors import InputError, LedgerError, VerificationError
from tfaudit.ledger import ids, live, merkle, record
from tfaudit.ledger.live import AHEAD
from tfaudit.ledger.store import fetch
from tfaudit.ledger.verify.findings import error, warning
from tfaudit.ledger.verify.reading import read
from tfaudit.ledger.verify.versions import PROBE
from tfaudit.signing.envelope import MAX_ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tfaudit.ledger.live import State
    from tfaudit.ledger.record import Record
    from tfaudit.ledger.store import Entry, Store
    from tfaudit.ledger.verify.commits import Later
    from tfaudit.ledger.verify.findings import Finding
    from tfaudit.ledger.verify.growth import Start
    from tfaudit.ledger.verify.history import History
    from tfaudit.ledger.verify.scratch import Scratch

PENDING: Final = 60 * 60 * 1000
"""For how many milliseconds a staged record may wait for its commit."""
_BATCH: Final = 100
KNOWN: Final = (ids.COMMITS, "tokens/", "cosignatures/", PROBE)
"""Prefixes beside ``records/``; commits are looked at elsewhere."""


class _Unheld(NamedTuple):
    entry: Entry
    writer: str
    record_id: str


class Listing:
    """Holds what the evidence store lists against the log that ends with ``state``."""

    def __init__(self, store: Store, state: State, *, scratch: Scratch, history: History, now: int) -> None:
        self.pending = 0
        """Records that are staged and may yet be committed."""
        self._store = store
        self._state = state
        self._scratch = scratch
        self._history = history
        self._now = now

    def run(self, *, start: Start | None, later: Callable[[], Later]) -> Iterator[Finding]:
        """Yield what is wrong with the objects of the store that the log does not hold.

        With ``start``, only with records that came after the growth began; ``later`` returns what was committed since
        the log was read.
        """
        unheld: list[_Unheld] = []
        for entry in self._store.list("") if start is None else self._recent(start):
            if entry.key == ids.GENESIS_KEY or entry.key.startswith(KNOWN):
                continue
            found = ids.parse_record_key(entry.key)
            if found is None:
                yield _foreign(entry.key, "its key is none that a ledger has")
                continue
            writer, record_id = found
            leaf = self._scratch.leaf(record_id)
            if leaf is not None and leaf.writer == writer:
                self._scratch.listed(leaf.position, entry.size or 0)
            elif start is None or not start.knows(writer, record_id):
                unheld.append(_Unheld(entry, writer, record_id))
            if len(unheld) >= _BATCH:
                yield from self._look(unheld, later)
                unheld.clear()
        yield from self._look(unheld, later)

    def _recent(self, start: Start) -> Iterator[Entry]:
        """Yield what lies in the writers' folders from the hour on to which the log was followed before."""
        for folder in self._store.list(ids.RECORDS, shallow=True):
            if folder.key.endswith("/"):
                yield from self._store.list(folder.key, after=folder.key + ids.hour(start.state.cursor))

    def _look(self, unheld: Sequence[_Unheld], later: Callable[[], Later]) -> Iterator[Finding]:
        """Look at objects that have records' keys and are none of the log's."""
        with suppress(LedgerError):
            # What can't be read ahead is told of when it is read.
            fetch(self._store, [one.entry.key for one in unheld], limit=MAX_ENVELOPE + 1)
        waiting: list[tuple[str, Record]] = []
        for one in unheld:
            yield from self._unheld(one, waiting)
        if waiting:
            yield from self._unsequenced(waiting, later())

    def _unheld(self, unheld: _Unheld, waiting: list[tuple[str, Record]]) -> Iterator[Finding]:
        entry, writer, record_id = unheld
        if entry.size is None:
            yield _foreign(entry.key, "it is no object")
            return
        try:
            content = read(self._store, entry.key, limit=MAX_ENVELOPE + 1)
        except LedgerError as failure:
            yield warning("foreign", entry.key, f"nobody reads what stands here: {failure.message}", who=writer)
            return
        if content is None:
            return
        line, newline, _ = content.partition(b"\n")
        copied = bool(newline) and self._scratch.has_leaf(merkle.leaf_hash(line))
        if copied or self._scratch.leaf(record_id) is not None:
            message = "the log holds this record, or another of its id, already: the first one counts"
            yield warning("duplicate", entry.key, message, who=writer)
            return
        parsed = self._record(line if newline else b"", writer, record_id)
        if parsed is None:
            digest = sha256(content[:MAX_ENVELOPE]).hexdigest()
            yield _foreign(
                entry.key, f"no accepted key signed it as a record (sha256 of its start: {digest[:16]})", writer
            )
        elif not self._scratch.is_lost(record_id):
            waiting.append((entry.key, parsed))

    def _record(self, line: bytes, writer: str, record_id: str) -> Record | None:
        try:
            parsed = record.parse(line)
            if parsed.kind == "config":
                live.next_keys(self._state.keys, parsed)
        except (InputError, VerificationError):
            return None
        named = (parsed.origin, parsed.writer, parsed.record_id) == (self._state.origin, writer, record_id)
        return parsed if named and parsed.signed_under(self._state.keys) is True else None

    def _unsequenced(self, waiting: list[tuple[str, Record]], later: Later) -> Iterator[Finding]:
        for key, found in waiting:
            if found.record_id in later.records:
                continue
            who = f"{found.writer}, key {found.envelope.keyid[:16]}"
            if found.seen is not None and found.seen.encode() not in later.checkpoints:
                broken = self._history.broken(self._history.place(found.seen.encode()), key, "what this record saw")
                if broken is not None and broken.code != "bad-checkpoint":
                    yield broken
            age = self._now - ids.record_time(found.record_id)
            if age < -AHEAD:
                message = "this record's id is from the future: nobody adopts it before its time"
                yield warning("unsequenced", key, message, who=who)
            elif age < PENDING:
                self.pending += 1
            elif self._history.whole:
                message = "this record was staged more than an hour ago, and no commit holds it"
                yield error("unsequenced", key, message, who=who)


def _foreign(key: str, why: str, writer: str | None = None) -> Finding:
    return warning("foreign", key, f"what stands here is no part of the ledger: {why}", who=writer)
