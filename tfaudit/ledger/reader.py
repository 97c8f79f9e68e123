"""What does the log hold: entries newest first or in order, and each one's record, events and disclosures.

What is read is checked on the way: commits by the hash that the next one names, a record's line 1 by its leaf, its
event lines by their root. Whether the log as a whole is sound is for ``verify``.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, Final

from tfaudit.errors import InputError, VerificationError
from tfaudit.events import commitment
from tfaudit.ledger import adopt, chain, commit, disclosed, head, ids, live, merkle, place, record, retention
from tfaudit.ledger.disclosed import MAX_DISCLOSURE
from tfaudit.ledger.draft import MAX_EVENT
from tfaudit.ledger.head import Head
from tfaudit.ledger.retention import Retentions
from tfaudit.ledger.store import fetch, read
from tfaudit.signing.envelope import MAX_ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfaudit.events.commitment import Disclosure
    from tfaudit.ledger.commit import Header, RecordLine
    from tfaudit.ledger.genesis import Genesis
    from tfaudit.ledger.live import State
    from tfaudit.ledger.record import Record
    from tfaudit.ledger.store import Store, Working

_AT_ONCE: Final = 64
_READ_AHEAD: Final = 1 << 20
"""Bytes of a disclosure file that are read ahead; a longer one is read when its turn comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One record's place in the log."""

    position: int
    """The leaf's index."""
    commit: int
    time: int
    """Of the commit that adopted it, milliseconds since the epoch."""
    line: RecordLine


class Reader:
    """A ledger as one process reads it; :meth:`open` is the way in. It shows the log as it was then."""

    def __init__(self, *, evidence: Store, working: Working, genesis: Genesis, state: State) -> None:
        self.genesis = genesis
        self.state = state
        """The log's end: size, root, checkpoint, keys in force."""
        self._evidence = evidence
        self._working = working

    @classmethod
    def open(cls, *, evidence: Store, working: Working, genesis_digest: str | None) -> Reader:
        """Return a reader of the ledger as it is now.

        ``genesis_digest`` (``sha256:…``) is the trust anchor. Raises :class:`LedgerError` when there is no readable
        ledger and :class:`ConfigError` when it is another than the anchor says.
        """
        start = place.find_genesis(evidence, anchor=genesis_digest)
        end = Head(evidence, start)
        end.start_near_end(head.read_hint(working))
        return cls(evidence=evidence, working=working, genesis=start, state=end.state)

    def ending_with(self, state: State) -> Reader:
        """Return a reader of the log as it was when it ended with ``state``."""
        return Reader(evidence=self._evidence, working=self._working, genesis=self.genesis, state=state)

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.genesis.origin

    def newest_first(self) -> Iterator[LogEntry]:
        """Yield the entries from the end; :class:`VerificationError` where a commit is missing or altered."""
        for number, raw in head.back_from(self._evidence, self.state.number, self.state.digest):
            yield from reversed(_entries(number, raw))

    def commits(self) -> Iterator[tuple[int, bytes]]:
        """Yield (number, bytes) of the live commits from the end; errors as :meth:`newest_first`."""
        return head.back_from(self._evidence, self.state.number, self.state.digest)

    def header(self, number: int) -> Header:
        """Return what the commit at this number says; nothing about it is verified.

        Raises :class:`VerificationError` where there is none in form, :class:`LedgerError` when the store failed.
        """
        raw = read(self._evidence, ids.commit_key(number), limit=commit.MAX_COMMIT + 1)
        try:
            return commit.parse(raw or b"").header
        except InputError as error:
            raise VerificationError(f"commit {number} is missing or altered", hint="run `tfaudit verify`") from error

    def since(self, time: int) -> Iterator[LogEntry]:
        """Yield the entries from the end back to ``time`` and a little further; errors as :meth:`newest_first`.

        What lies before was committed earlier, whatever single commits say of their time: the cursor, which the live
        rule keeps from going back, is at most the window behind the latest of them.
        """
        for number, raw in head.back_from(self._evidence, self.state.number, self.state.digest):
            if commit.cursor(raw) + live.WINDOW < time:
                return
            yield from reversed(_entries(number, raw))

    def staged(self, time: int, *, limit: int) -> Iterator[Record]:
        """Yield the records that wait for a commit which would adopt them now; ``time`` is the store's.

        At most ``limit`` of each writer's. Raises :class:`LedgerError` when the store failed, or where people have
        ``limit`` or more there, so that not all of theirs can be seen.
        """
        waiting = adopt.waiting(self._evidence, self.state, time=time, limit=limit)
        for at in range(0, len(waiting), _AT_ONCE):
            some = waiting[at : at + _AT_ONCE]
            fetch(self._evidence, [one.key for one in some], limit=MAX_ENVELOPE + 1)
            for one in some:
                content = read(self._evidence, one.key, limit=MAX_ENVELOPE + 1, settled=True)
                if content is not None and adopt.adoptable(self.state, one, content) is not None:
                    yield record.parse(content.partition(b"\n")[0])

    def records(self, lines: Sequence[RecordLine]) -> Iterator[Record]:
        """Yield the statements of several records, many being read at once; errors as :meth:`record`."""
        for at in range(0, len(lines), _AT_ONCE):
            some = lines[at : at + _AT_ONCE]
            fetch(self._evidence, [line.key for line in some], limit=MAX_ENVELOPE + 2)
            for line in some:
                content = read(self._evidence, line.key, limit=MAX_ENVELOPE + 2)
                first, newline, _ = (content or b"").partition(b"\n")
                if not newline or merkle.leaf_hash(first) != line.leaf:
                    raise VerificationError(f"record {line.record_id} is altered or gone", hint="run `tfaudit verify`")
                yield record.parse(first)

    def values(self, records: Sequence[Record], pointer: str, *, limit: int | None = None) -> Iterator[bytes | None]:
        """Yield for each record the JSON text that its predicate commits to at ``pointer``; None where it is erased.

        None as well where nothing was ever committed to there, and where what is disclosed does not open the digest.
        At most ``limit`` bytes of each file are read: what lies beyond counts as erased. Raises :class:`LedgerError`
        when the working store failed.
        """
        for at in range(0, len(records), _AT_ONCE):
            some = records[at : at + _AT_ONCE]
            keys = [ids.disclosure_key(one.record_id) for one in some]
            fetch(self._working, keys, limit=_READ_AHEAD if limit is None else limit)
            for one in some:
                yield disclosed.value(self._working, one, pointer, limit=limit)

    def opened(self, record_id: str, pointer: str, digest: str) -> bytes | None:
        """Return the JSON text at ``pointer`` of a record's statement if it is the one that ``digest`` commits to.

        For whoever has the digest from elsewhere, and need not look for the record. Raises :class:`LedgerError` when
        the working store failed.
        """
        found = disclosed.statement(self._working, record_id)
        for one in () if found is None else found.values:
            if one.pointer == pointer and commitment.opens(digest, record_id, "", None, one):
                return one.text
        return None

    def in_order(self, *, start: int = 0) -> Iterator[LogEntry]:
        """Yield the entries from leaf index ``start`` on, in log order; errors as :meth:`newest_first`."""
        # Backwards first, for the hashes; what is kept is a number and a digest a commit.
        chain: list[tuple[int, bytes]] = []
        for number, raw in head.back_from(self._evidence, self.state.number, self.state.digest):
            chain.append((number, hashlib.sha256(raw).digest()))
            if commit.peek(raw)[1] <= start:
                break
        for number, digest in reversed(chain):
            again = read(self._evidence, ids.commit_key(number), limit=commit.MAX_COMMIT + 1)
            if again is None or hashlib.sha256(again).digest() != digest:
                raise VerificationError(f"commit {number} is missing or altered", hint="run `tfaudit verify`")
            yield from (entry for entry in _entries(number, again) if entry.position >= start)

    def find(self, record_id: str) -> LogEntry | None:
        """Return the entry of a record id, or of the newest id that starts so; None where the log has none."""
        wanted = f"/{record_id}".encode()
        for number, raw in head.back_from(self._evidence, self.state.number, self.state.digest):
            if wanted in raw:
                for entry in reversed(_entries(number, raw)):
                    if entry.line.record_id.startswith(record_id):
                        return entry
        return None

    def knows_state(self, key: str) -> bool:
        """Tell whether the log holds a record of the state; errors as :meth:`newest_first`."""
        return chain.last_of_state(self._evidence, self._working, self.state, key) is not None

    def last_of_state(self, key: str) -> Record | None:
        """Return the state's last record, None where the log has none; errors as :meth:`record`."""
        last = chain.last_of_state(self._evidence, self._working, self.state, key)
        entry = self.find(last.record_id) if last is not None else None
        return None if entry is None else self.record(entry.line)

    def before(self, later: Record) -> Record | None:
        """Return the record before this one in its state's chain, None where it is the first; errors as :meth:`record`.

        It is found by the link that ``later`` signs. Only what was signed without a store has none: then by a walk.
        """
        if later.previous is None:
            return self._walked_before(later) if later.spooled is not None else None
        for writer in dict.fromkeys((later.writer, *sorted(self.state.keys.writers))):
            key = ids.record_key(writer, later.previous.record_id)
            first, newline, _ = (read(self._evidence, key, limit=MAX_ENVELOPE + 2) or b"").partition(b"\n")
            if newline and merkle.leaf_hash(first).hex() == later.previous.leaf:
                return record.parse(first)
        entry = self.find(later.previous.record_id)
        return None if entry is None else self.record(entry.line)

    def _walked_before(self, later: Record) -> Record | None:
        reached = False
        for entry in self.newest_first():
            if reached and entry.line.state == later.state:
                return self.record(entry.line)
            reached = reached or entry.line.record_id == later.record_id
        return None

    def record(self, line: RecordLine) -> Record:
        """Return a record's statement; :class:`VerificationError` unless its line 1 is what the log's leaf says."""
        with self._open(line) as stream:
            return _first(stream, line)

    def events(self, line: RecordLine) -> Iterator[tuple[int, bytes]]:
        """Yield (number, event line without newline) from 1; memory does not grow with them.

        Nothing where a ``retention`` record of the log lets them be gone and they are. Raises
        :class:`VerificationError` before the first for an altered line 1, and after the last where the lines are not
        those that the record signs.
        """
        with self._open(line) as stream:
            yield from self._events(stream, _first(stream, line), line)

    @contextmanager
    def whole(self, line: RecordLine) -> Iterator[tuple[Record, Iterator[tuple[int, bytes]]]]:
        """Open a record once, for both :meth:`record` and :meth:`events`; errors as theirs."""
        with self._open(line) as stream:
            found = _first(stream, line)
            yield found, self._events(stream, found, line)

    def _events(self, stream: BinaryIO, found: Record, line: RecordLine) -> Iterator[tuple[int, bytes]]:
        tree = merkle.Growing()
        for event in _lines(stream, MAX_EVENT, f"record {line.record_id}"):
            tree.add(event)
            yield tree.size, event
        if (tree.size, tree.root()) != (found.event_count, found.event_root):
            if not tree.size and self.pruned(line):
                return
            raise VerificationError(f"the events of record {line.record_id} are not those that it signs")

    def pruned(self, line: RecordLine) -> bool:
        """Tell whether a ``retention`` record lets events of such an age be gone; ``verify`` looks at the place too."""
        return self.retentions.pruned(line.record_id, 0) is not None

    @cached_property
    def retentions(self) -> Retentions:
        """What the log's ``retention`` records say; a walk over all commits, once."""
        found = Retentions()
        kept = [entry for entry in self.newest_first() if entry.line.kind == retention.KIND]
        for entry in reversed(kept):
            found.add(self.record(entry.line), entry.position)
        return found

    def disclosures(self, record_id: str) -> Iterator[Disclosure]:
        """Yield what the working store discloses of a record, in file order; nothing where it holds no file.

        Nothing is checked here: :func:`tfaudit.events.commitment.opens` tells whether a value is the one committed to.
        Raises :class:`InputError` for a line out of form.
        """
        stream = self._working.open(ids.disclosure_key(record_id))
        if stream is None:
            return
        with stream:
            for line in _lines(stream, MAX_DISCLOSURE, f"disclosures of record {record_id}"):
                yield commitment.decode_disclosure(line)

    def _open(self, line: RecordLine) -> BinaryIO:
        stream = self._evidence.open(line.key)
        if stream is None:
            raise VerificationError(f"record {line.record_id} is missing from the ledger", hint="run `tfaudit verify`")
        return stream


def _entries(number: int, raw: bytes) -> list[LogEntry]:
    size, time, lines = commit.skim(raw)
    return [LogEntry(position=size + at, commit=number, time=time, line=line) for at, line in enumerate(lines)]


def _first(stream: BinaryIO, line: RecordLine) -> Record:
    """Read line 1 and return it parsed, the stream standing at the first event line."""
    content = stream.readline(MAX_ENVELOPE + 2)
    if not content.endswith(b"\n") or merkle.leaf_hash(content[:-1]) != line.leaf:
        raise VerificationError(f"record {line.record_id} is altered", hint="run `tfaudit verify`")
    return record.parse(content[:-1])


def _lines(stream: BinaryIO, limit: int, what: str) -> Iterator[bytes]:
    while content := stream.readline(limit + 1):
        if not content.endswith(b"\n"):
            raise InputError(f"{what} has a line that does not end or is longer than {limit} bytes")
        yield content[:-1]
