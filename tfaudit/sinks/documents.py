"""Which documents does the log give, in log order from a place on?

Each record gives one for itself (line 0) and then one for each event line. A record is read once and streamed, so that
memory grows neither with it nor with the log. What can't be read (a record that is altered or gone) comes as a problem
in its place: it must not keep what follows from being delivered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tfaudit.errors import InputError, VerificationError
from tfaudit.ledger import commit, ids
from tfaudit.ledger.store import begin, read
from tfaudit.sinks.bodies import line_body, outcome_body, parsed, record_body, shared
from tfaudit.sinks.cursor import Place
from tfaudit.sinks.disclosures import Disclosures
from tfaudit.sinks.model import Document

if TYPE_CHECKING:
    from tfaudit.events.commitment import Disclosure
    from tfaudit.ledger.commit import RecordLine
    from tfaudit.ledger.reader import LogEntry, Reader
    from tfaudit.ledger.record import Record
    from tfaudit.ledger.store import Store, Working

_AHEAD: Final = 32
"""So many records are asked for at once, where the store takes a while."""
COUNTED: Final = 10_000
"""So many records are counted."""
_KNOWN: Final = 10_000
"""Intents and states that are remembered on the way."""


class Problem(NamedTuple):
    """Why a document, or with ``rest`` all that is left of a record, can't be made."""

    reason: str
    rest: bool


class Line(NamedTuple):
    """One step on the way through the log."""

    place: Place
    next: Place
    """Where the cursor stands once this and all before it are settled."""
    id: str | None
    """The document's; None for the end of a record, at which there is nothing to deliver."""
    document: Document | None
    """None where there is a problem."""
    problem: Problem | None = None


def behind(reader: Reader, position: int) -> int | None:
    """Return how many records the log holds from ``position`` on; None where they are more than :data:`COUNTED`.

    Raises :class:`VerificationError` where the log itself is broken, and :class:`LedgerError` when the store failed.
    """
    if position >= reader.state.size:
        return 0
    found = 0
    for entry in reader.newest_first():
        if entry.position < position:
            break
        found += 1
        if found > COUNTED:
            return None
    return found


class Documents:
    """The documents of one log as :class:`Reader` shows it.

    To be used by one thread, with stores of its own.
    """

    def __init__(self, *, evidence: Store, working: Working, reader: Reader, values: bool) -> None:
        self._evidence = evidence
        self._working = working
        self._reader = reader
        self._values = values
        self._intents: OrderedDict[str, RecordLine] = OrderedDict()
        self._states: OrderedDict[str, tuple[str, tuple[str, int] | None]] = OrderedDict()
        self._tree: tuple[int, dict[str, object]] | None = None
        self.forbidden = False
        """Whether some of them lack what this role may not read: actors, reasons, values."""

    def start(self, place: Place) -> Iterator[Line]:
        """Yield what there is from ``place`` on.

        Raises :class:`VerificationError` where the log itself is broken, and :class:`LedgerError` when a store failed.
        """
        entries = self._reader.in_order(start=place.position)
        while some := list(islice(entries, _AHEAD)):
            begin(self._evidence, [entry.line.key for entry in some])
            begin(self._working, [ids.disclosure_key(entry.line.record_id) for entry in some])
            for entry in some:
                yield from self._record(entry, place.line if entry.position == place.position else 0)
        # The last leaf is a commit's own: the cursor is to stand behind it.
        end = Place(self._reader.state.size, 0)
        yield Line(place=end, next=end, id=None, document=None)

    def only(self, wanted: Iterable[Place]) -> Iterator[Line]:
        """Yield the lines at these places alone, in log order; errors as :meth:`start`."""
        places = sorted(set(wanted))
        if not places:
            return
        by_record: dict[int, set[int]] = {}
        for place in places:
            by_record.setdefault(place.position, set()).add(place.line)
        for entry in self._reader.in_order(start=places[0].position):
            lines = by_record.pop(entry.position, None)
            if not lines:
                continue
            for line in self._record(entry, min(lines)):
                if line.id is not None and (line.place.line in lines or line.problem is not None):
                    yield line
            if not by_record:
                return

    def rest(self, place: Place) -> Iterator[Line]:
        """Yield the line at ``place`` and those of its record that follow; errors as :meth:`start`."""
        entry = next(self._reader.in_order(start=place.position), None)
        if entry is not None and entry.position == place.position:
            yield from self._record(entry, place.line)

    def _record(self, entry: LogEntry, first: int) -> Iterator[Line]:
        """Yield what one record gives from line ``first`` on."""
        number, end = first, Place(entry.position + 1, 0)
        try:
            for number, document, is_last in self._documents(entry, first):
                place = Place(entry.position, number)
                after = end if is_last else Place(entry.position, number + 1)
                yield Line(place=place, next=after, id=document.id, document=document)
                number += 1
        except (VerificationError, InputError) as error:
            yield Line(
                place=Place(entry.position, number),
                next=end,
                id=f"{entry.line.record_id}/{number}",
                document=None,
                problem=Problem(str(error), rest=True),
            )
            return
        # Of a record whose events were pruned the last of them does not come.
        yield Line(place=Place(entry.position, number), next=end, id=None, document=None)

    def _documents(self, entry: LogEntry, first: int) -> Iterator[tuple[int, Document, bool]]:
        """Yield (line, document, whether it is the record's last)."""
        line = entry.line
        with ExitStack() as stack:
            record, events = stack.enter_context(self._reader.whole(line))
            shown = stack.enter_context(Disclosures(self._working, line.record_id))
            self.forbidden = self.forbidden or shown.forbidden
            common = shared(record, shown)
            if first == 0:
                body = record_body(record, common, log=self._log(entry), unrecorded=self._unrecorded(record))
                yield 0, _document(body, record), record.event_count == 0
            self._remember(record, line)
            changes = stack.enter_context(_Changes(self._reader, self._working, self._intent(record)))
            for number, event in events:
                if number < first:
                    continue
                about = shown.of(number)
                if b'"kind":"outcome"' in event and (told := parsed(event)).get("kind") == "outcome":
                    body = outcome_body(
                        event,
                        about,
                        *changes.of(told.get("event_id")),
                        number=number,
                        common=common,
                        values=self._values,
                    )
                else:
                    body = line_body(event, about, number=number, common=common, values=self._values)
                yield number, _document(body, record), record.event_count == number

    def _log(self, entry: LogEntry) -> Mapping[str, object]:
        """Return where a record stands: a sink that keeps it is an anchor outside the ledger."""
        if self._tree is None or self._tree[0] != entry.commit:
            raw = read(self._evidence, ids.commit_key(entry.commit), limit=commit.MAX_COMMIT + 1)
            signed = commit.parse(raw or b"").checkpoint
            tree = signed.checkpoint
            self._tree = (
                entry.commit,
                {"size": tree.size, "root": tree.root.hex(), "checkpoint": signed.note.decode()},
            )
        return {"origin": self._reader.origin, "position": entry.position, **self._tree[1]}

    def _remember(self, record: Record, line: RecordLine) -> None:
        if record.kind == "intent":
            self._intents[record.record_id] = line
            if len(self._intents) > _KNOWN:
                self._intents.popitem(last=False)
        if record.state is not None:
            self._states[record.state] = (record.record_id, _left(record))
            self._states.move_to_end(record.state)
            if len(self._states) > _KNOWN:
                self._states.popitem(last=False)

    def _intent(self, record: Record) -> RecordLine | None:
        """Return the line of the intent that an outcome closes; None where the log has none, or nothing is closed."""
        named = record.predicate.get("intent")
        if record.kind != "outcome" or not ids.is_record_id(named) or not record.event_count:
            return None
        known = self._intents.pop(str(named), None)
        if known is not None:
            return known
        found = self._reader.find(str(named))
        return found.line if found is not None else None

    def _unrecorded(self, record: Record) -> Mapping[str, int] | None:
        """Return from which serial to which the state was changed without a record, as far as two records tell.

        ``verify`` looks at all of them: what is said here is only what meets the eye first.
        """
        met = _version(record.predicate, "before")
        if met is None or record.state is None or record.previous is None or record.kind == "outcome":
            return None
        known = self._states.get(record.state)
        if known is not None and known[0] == record.previous.record_id:
            left = known[1]
        else:
            try:
                before = self._reader.before(record)
            except (VerificationError, InputError):
                return None
            left = None if before is None else _left(before)
        if left is None or left[0] != met[0] or left[1] >= met[1]:
            return None
        return {"from": left[1], "to": met[1]}


class _Changes:
    """The event lines of the intent that an outcome record closes, asked for in ascending order."""

    def __init__(self, reader: Reader, working: Store, intent: RecordLine | None) -> None:
        self._reader = reader
        self._working = working
        self._intent = intent
        self._events: Iterator[tuple[int, bytes]] | None = None
        self._shown: Disclosures | None = None
        self._at: tuple[int, bytes | None] = (0, None)

    def __enter__(self) -> _Changes:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._shown is not None:
            self._shown.close()

    def of(self, event_id: object) -> tuple[bytes | None, Disclosure | None]:
        """Return the line of a change, with its disclosure where its address has to be looked up there.

        (None, None) where it is not to be had: the outcome is told all the same.
        """
        record_id, _, text = str(event_id).rpartition("/")
        if self._intent is None or record_id != self._intent.record_id or not text.isdigit():
            return None, None
        number = int(text)
        try:
            line = self._line(number)
        except (VerificationError, InputError):
            # The intent's own delivery says so.
            self._intent = None
            return None, None
        if line is None or b'[\\"~' not in line:
            return line, None
        if self._shown is None:
            self._shown = Disclosures(self._working, record_id)
        return line, self._shown.of(number)

    def _line(self, number: int) -> bytes | None:
        if self._events is None and self._intent is not None:
            self._events = self._reader.events(self._intent)
        while self._at[0] < number:
            self._at = next(self._events or iter(()), (1 << 62, None))
        return self._at[1] if self._at[0] == number else None


def _document(body: dict[str, Any], record: Record) -> Document:
    return Document(id=body["id"], time=record.time, kind=body["kind"], body=body)


def _version(predicate: Mapping[str, Any], side: str) -> tuple[str, int] | None:
    state = predicate.get("state")
    match state.get(side) if isinstance(state, dict) else None:
        case {"lineage": str(lineage), "serial": int(serial)} if lineage:
            return lineage, serial
    return None


def _left(record: Record) -> tuple[str, int] | None:
    """Return the version of the state after a record; None where it does not say."""
    after = _version(record.predicate, "after")
    # A plan and a look leave the state as it was; what an intent led to, only its outcome says.
    return after or (_version(record.predicate, "before") if record.kind in ("plan", "access") else None)
