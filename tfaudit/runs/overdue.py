"""Which runs broke the glass and were not reviewed by another person in time?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.gate import basis as bases
from tfaudit.gate import reviewing
from tfaudit.gate.document import vote_of
from tfaudit.gate.persons import Electorate
from tfaudit.ledger import disclosed, ids
from tfaudit.ledger.votes import VOTE
from tfaudit.runs import approver, planrecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.config import Config
    from tfaudit.export.entries import Row
    from tfaudit.export.view import Filter, View
    from tfaudit.gate.model import Vote
    from tfaudit.ledger.record import Record

_NOTHING_DONE: Final = frozenset({"not-started", "declined"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A run that should have been reviewed by now."""

    row: Row
    """Its intent."""
    review_by: int
    """Milliseconds since the epoch."""
    refused: tuple[str, ...]
    """Why the reviews that there are do not count, a line each."""


def overdue(view: View, config: Config, wanted: Filter, *, now: int) -> Iterator[Overdue]:
    """Yield the overdue runs, the newest first; errors as reading the ledger has."""
    condition, values = wanted.condition()
    intents = view.index.rows(f"({condition}) AND kind = 'intent'", values, newest_first=True)
    for row in [row for row in intents if _due(row) is not None]:
        due = _due(row)
        if due is None or due > now or _did_nothing(view, row):
            continue
        refused: list[str] = []
        if not any(_counts(view, config, row, review, refused) for review in _reviews(view, row)):
            yield Overdue(row=row, review_by=due, refused=tuple(refused))


def _due(row: Row) -> int | None:
    """Return until when the run of an intent has to be reviewed; None where it broke no glass."""
    due = msgspec.json.decode(row.entry).get("review_by")
    return ids.parse_time(due, what="review_by") if due is not None else None


def _did_nothing(view: View, intent: Row) -> bool:
    """Tell whether the run changed nothing: its own records say so and none says otherwise."""
    closings = view.index.rows("intent = ? AND kind IN ('outcome', 'operation')", (intent.record_id,))
    said = {msgspec.json.decode(row.entry)["status"] for row in closings if not row.recovered}
    return bool(said) and said <= _NOTHING_DONE


def _reviews(view: View, intent: Row) -> Iterator[Vote]:
    """Yield the reviews of this run's stack that are disclosed, those that no commit holds yet as well."""
    for row in view.index.rows("kind = 'review' AND stack IS ?", (intent.stack,)):
        if row.place == "spool":
            # On this machine only: nobody else has seen it.
            continue
        source = view.source(row)
        record = source.record()
        text = disclosed.value(source.working, record, VOTE)
        position = row.position if row.place == "log" else None
        vote = None if text is None else vote_of(text, at=record.time, position=position, record=row.record_id)
        if vote is not None and vote.kind == "review" and vote.intent == intent.record_id:
            yield vote


def _counts(view: View, config: Config, intent: Row, review: Vote, refused: list[str]) -> bool:
    source = view.source(intent)
    record = source.record()
    text = disclosed.value(source.working, record, planrecord.BASIS)
    try:
        basis = None if text is None else bases.decode(text)
    except InputError:
        basis = None
    if basis is None or basis.request is None:
        refused.append("what the run rested on is not disclosed: nobody can tell who may review it")
        return False
    rules, _ = approver.rules_here(config, view.reader, basis.request.subject.stack, basis.rules)
    if rules is None:
        refused.append("no approvers are configured that could review it")
        return False
    reasons = tuple(
        reviewing.objections(
            review,
            intent=record.record_id,
            leaf=record.leaf.hex(),
            request=basis.request,
            broke=_broke(record, basis.votes or ()),
            electorate=Electorate(rules),
        )
    )
    refused.extend(reason.message for reason in reasons)
    return not reasons


def _broke(record: Record, votes: tuple[Vote, ...]) -> tuple[Vote, ...]:
    decision = record.predicate.get("decision")
    named = decision.get("approvals") if isinstance(decision, dict) else None
    return tuple(vote for vote in votes if isinstance(named, list) and vote.id in named)
