"""What is this staged object to the log: a record to adopt, a stray to pass by, or something to leave for later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError, InputError, LedgerError, VerificationError
from tfaudit.ledger import commit, ids, live, record
from tfaudit.ledger.commit import RecordLine, Stray
from tfaudit.ledger.store import Listing, fetch, look, read
from tfaudit.signing.envelope import MAX_ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfaudit.ledger.live import State
    from tfaudit.ledger.store import Store

PEOPLE: Final = "people"
"""The prefix under which approvers write: nobody else's records may keep theirs from being seen."""
MAX_UNKNOWN_WRITERS: Final = 64
"""Prefixes of no accepted signer that are looked into; whoever makes more of them only hides in the crowd."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """An object of the exact key pattern."""

    writer: str
    record_id: str

    @property
    def key(self) -> str:
        """Its key in the evidence store."""
        return ids.record_key(self.writer, self.record_id)

    @property
    def name(self) -> str:
        """How a commit's window names it as a stray."""
        return f"{self.record_id} {self.writer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a commit says of staged objects."""

    records: tuple[RecordLine, ...]
    envelope: bytes | None
    """Line 1 of the last record where that is a ``config``."""
    strays: tuple[Stray, ...]


def staged(store: Store, state: State, *, time: int, limit: int) -> list[Staged]:
    """Return at most ``limit`` objects from the cursor on that no commit names, half the places for known prefixes.

    Ids more than :data:`live.AHEAD` ahead of ``time`` are left for later.
    """
    unseen = _Unseen(store, state, time=time, limit=limit)
    known, unknown = writers(store, state)
    unknown = unknown[:MAX_UNKNOWN_WRITERS]
    look(store, [_unseen(state, writer) for writer in (*known, *unknown)])
    return _share(
        [one for writer in known for one in unseen.of(writer)],
        [one for writer in unknown for one in unseen.of(writer)],
        limit,
    )


def waiting(store: Store, state: State, *, time: int, limit: int) -> list[Staged]:
    """Return what :func:`staged` chooses from, at most ``limit`` objects of each prefix: none crowds out another.

    That of people is looked at in any case, and wholly: raises :class:`LedgerError` where it has ``limit`` objects or
    more that no commit names.
    """
    unseen = _Unseen(store, state, time=time, limit=limit)
    known, unknown = writers(store, state)
    others = [writer for writer in (*known, *unknown[:MAX_UNKNOWN_WRITERS]) if writer != PEOPLE]
    look(store, [_unseen(state, writer) for writer in (PEOPLE, *others)])
    theirs = unseen.of(PEOPLE)
    if len(theirs) >= limit:
        raise LedgerError(
            f"{limit} records or more wait under {ids.RECORDS}{PEOPLE}/ for a commit",
            hint="tfaudit sequence, where the log's key is held, commits them or passes them by",
        )
    return [*theirs, *(one for writer in others for one in unseen.of(writer))]


class _Unseen:
    """Finds the objects of one prefix from the cursor on that no commit names."""

    def __init__(self, store: Store, state: State, *, time: int, limit: int) -> None:
        self._store = store
        self._state = state
        self._latest = time + live.AHEAD
        self._limit = limit
        # Whole file names: most of what is listed is known, and need not be parsed to be skipped.
        self._known_names = {f"{ids.unpack(packed)}.jsonl" for packed in state.held}
        self._passed = {*state.passed}

    def of(self, writer: str) -> list[Staged]:
        """Return the first of them by their ids."""
        where = _unseen(self._state, writer)
        found = _parsed(
            entry.key
            for entry in self._store.list(where.prefix, after=where.after)
            if entry.size is not None and entry.key.rpartition("/")[2] not in self._known_names
        )
        return list(
            islice(
                (
                    one
                    for one in found
                    if one.name not in self._passed
                    and self._state.cursor <= ids.record_time(one.record_id) <= self._latest
                ),
                self._limit,
            )
        )


def ahead(state: State, writer: str) -> tuple[Listing, ...]:
    """Return the listings that :func:`staged` begins with, and that of one writer, as far as they are known before."""
    return Listing(ids.RECORDS, shallow=True), _unseen(state, writer)


def _unseen(state: State, writer: str) -> Listing:
    prefix = f"{ids.RECORDS}{writer}/"
    return Listing(prefix, after=f"{prefix}{ids.hour(state.cursor)}/{ids.first_id(state.cursor)}")


def writers(store: Store, state: State) -> tuple[list[str], list[str]]:
    """Return the prefixes that have objects: those of accepted signers, and others."""
    found = [entry.key[len(ids.RECORDS) : -1] for entry in store.list(ids.RECORDS, shallow=True) if entry.size is None]
    usable = [writer for writer in found if ids.is_writer(writer)]
    return (
        [writer for writer in usable if writer in state.keys.writers],
        [writer for writer in usable if writer not in state.keys.writers],
    )


def _parsed(keys: Iterable[str]) -> Iterator[Staged]:
    for key in keys:
        parsed = ids.parse_record_key(key)
        if parsed is not None:
            yield Staged(writer=parsed[0], record_id=parsed[1])


def _share(known: list[Staged], unknown: list[Staged], limit: int) -> list[Staged]:
    def by_id(one: Staged) -> str:
        return one.record_id

    places = limit - min(len(known), limit - limit // 2)
    some = sorted(unknown, key=by_id)[:places]
    return sorted((*sorted(known, key=by_id)[: limit - len(some)], *some), key=by_id)


def examine(store: Store, state: State, found: Iterable[Staged], *, own: tuple[RecordLine, bytes] | None) -> Batch:
    """Return what a commit on top of ``state`` says of these objects and of the committer's ``own`` record.

    ``own`` is its line in the commit and its line 1; it is adopted whatever else is found.
    """
    found = [one for one in found if own is None or one.key != own[0].key]
    fetch(store, [one.key for one in found], limit=MAX_ENVELOPE + 1)
    held = {*state.held}
    records: dict[str, tuple[RecordLine, bytes]] = {}
    strays: list[Stray] = []
    if own is not None:
        records[own[0].record_id] = own
    for one in found:
        content = _content(store, one)
        if content is None:
            continue
        line = adoptable(state, one, content)
        if line is None:
            strays.append(_stray("foreign", one, content))
        elif one.record_id in records or ids.pack(one.record_id) in held:
            strays.append(_stray("duplicate", one, content))
        elif line.kind != "config" or all(other.kind != "config" for other, _ in records.values()):
            # A second config is left for the next commit, to be judged by the keys that this one puts in force.
            records[one.record_id] = (line, content.partition(b"\n")[0])
    ordered = sorted(records.values(), key=lambda pair: (pair[0].kind == "config", pair[0].record_id))
    config = ordered[-1][1] if ordered and ordered[-1][0].kind == "config" else None
    return Batch(records=tuple(line for line, _ in ordered), envelope=config, strays=tuple(strays))


def adoptable(state: State, one: Staged, content: bytes) -> RecordLine | None:
    """Return the line that adopts the object with this content (its first 64 KiB and a newline); None if it is foreign.

    A record's path, id and signed statement must agree, and an accepted key must have signed it: a signer's, an
    approver's for what approvers may say, the root's for a ``config`` record of the next generation.
    """
    line, newline, _ = content.partition(b"\n")
    if not newline:
        return None
    try:
        found = record.parse(line)
        if found.kind == "config":
            live.next_keys(state.keys, found)
    except (InputError, VerificationError):
        return None
    named = (found.origin, found.writer, found.record_id) == (state.origin, one.writer, one.record_id)
    return record.line_of(found) if named and found.signed_under(state.keys) is True else None


def check_own(state: State, line: RecordLine, first: bytes) -> None:
    """Raise :class:`ConfigError` unless the log that ends with ``state`` would adopt the record with this line 1."""
    if adoptable(state, Staged(writer=line.writer, record_id=line.record_id), first + b"\n") != line:
        raise ConfigError(
            f"this ledger does not accept the {line.kind} record {line.record_id}",
            hint="its key may be no longer accepted, or not for this stack: `tfaudit keys list` shows those in force",
        )


def _content(store: Store, one: Staged) -> bytes | None:
    try:
        return read(store, one.key, limit=MAX_ENVELOPE + 1, settled=True)
    except LedgerError:
        # One object that can't be read must not keep the others out of the log; verify reports it.
        return None


def _stray(reason: commit.StrayReason, one: Staged, content: bytes) -> Stray:
    digest = sha256(content[:MAX_ENVELOPE]).digest()
    return Stray(reason=reason, digest=digest, writer=one.writer, record_id=one.record_id)


def unadopted(store: Store, *, before: int, adopted: set[str], limit: int, skip: set[str]) -> list[Staged]:
    """Return at most ``limit`` objects with ids before that time that are not ``adopted`` and not named in ``skip``."""
    found = _parsed(entry.key for entry in store.list(ids.RECORDS) if entry.size is not None)
    return list(
        islice(
            (
                one
                for one in found
                if one.record_id not in adopted and one.name not in skip and ids.record_time(one.record_id) < before
            ),
            limit,
        )
    )


def without(batch: Batch, names: set[str]) -> Batch:
    """Return the batch without the strays of these names."""
    return replace(batch, strays=tuple(stray for stray in batch.strays if stray.name not in names))
