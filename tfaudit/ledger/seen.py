"""Is what is about to be done what the approvers saw?

Each vote names the record that its text was made of, by leaf and event root. A change digest alone would let whoever
writes that record show one thing and bind another: so the record is opened once more, and its events are held against
those of the intent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfaudit.errors import InputError, VerificationError
from tfaudit.events import sameness
from tfaudit.gate.words import line as one_line
from tfaudit.ledger import record
from tfaudit.ledger.votes import STAGED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tfaudit.events.sameness import Shown
    from tfaudit.gate.model import Vote
    from tfaudit.ledger.commit import RecordLine
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.record import Record

_CHANGING: Final = ("create", "read", "update", "delete", "replace", "forget", "unknown")


def objections(reader: Reader, intent: RecordLine, *, now: int) -> Callable[[Vote], str | None]:
    """Return what says of a vote why it is not about what the intent is going to do; ``now`` is the store's time.

    A plan record that is altered or can't be read is no ground for anything, and no hindrance to other votes. Raises
    :class:`LedgerError` when a store failed.
    """

    def objection(vote: Vote) -> str | None:
        named = vote.subject.plan_record
        try:
            found = _find(reader, named, now)
            return f"the ledger has no record {named}" if found is None else unlike(reader, vote, found, intent)
        except (InputError, VerificationError) as error:
            return f"what was shown can't be read: {error.message}"

    return each_once(objection)


def each_once(objection: Callable[[Vote], str | None]) -> Callable[[Vote], str | None]:
    """Return an objection to votes that looks at a record once for all that name it by the same leaf and event root.

    There is none to a vote that names no record.
    """
    known: dict[tuple[str, str, str], str | None] = {}

    def once(vote: Vote) -> str | None:
        subject = vote.subject
        if not subject.plan_record:
            return None
        shown = (subject.plan_record, subject.leaf, subject.event_root)
        if shown not in known:
            known[shown] = objection(vote)
        return known[shown]

    return once


def unlike(reader: Reader, vote: Vote, plan: RecordLine, intent: RecordLine) -> str | None:
    """Return in what the plan's record is another than the vote says, or of other changes than the intent.

    Raises :class:`VerificationError` where a record is altered or gone, :class:`LedgerError` when a store failed, and
    :class:`InputError` for events that can't be read.
    """
    subject = vote.subject
    if plan.leaf.hex() != subject.leaf or reader.record(plan).event_root.hex() != subject.event_root:
        return "what was shown is not what that plan's record holds"
    drift = _writes_drift(reader.record(intent))
    where = sameness.differing(_shown(reader, plan, drift=drift), _shown(reader, intent, drift=drift))
    return None if where is None else f"of {one_line(where)} something else was shown than is to be done"


def _find(reader: Reader, record_id: str, now: int) -> RecordLine | None:
    entry = reader.find(record_id)
    if entry is not None:
        return entry.line
    waiting = (one for one in reader.staged(now, limit=STAGED) if one.record_id == record_id)
    return next(map(record.line_of, waiting), None)


def _writes_drift(intent: Record) -> bool:
    """Tell whether no resource changes but in name: then what changed outside of the engine is what is written."""
    plan = intent.predicate.get("plan")
    counts = plan.get("counts") if isinstance(plan, dict) else None
    return isinstance(counts, dict) and not any(counts.get(name) for name in _CHANGING)


def _shown(reader: Reader, line: RecordLine, *, drift: bool) -> Iterator[Shown]:
    return sameness.shown(line.record_id, reader.events(line), reader.disclosures(line.record_id), drift=drift)
