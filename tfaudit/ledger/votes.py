"""What does the log say of approvals: who voted for or against, and which votes earlier runs have used?

What is read is bounded by how long an approval is valid, not by the ledger's length: the log is walked back that far,
and of what lies there only the commits, the votes on this stack and the intents on this state are opened. Nothing
derived is asked, since an index can leave out a rejection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfaudit.gate.document import vote_of
from tfaudit.gate.model import LedgerView, Use
from tfaudit.ledger.keyset import APPROVER_KINDS
from tfaudit.ledger.live import AHEAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tfaudit.gate.model import Vote
    from tfaudit.ledger.reader import LogEntry, Reader
    from tfaudit.ledger.record import Record

STAGED: Final = 1024
"""Records waiting for a commit that are looked at, of each writer."""
MAX_VOTE: Final = 256 << 10
"""Bytes of a vote's disclosures that are read: an envelope has at most 64 KiB, and who voted stands beside it."""
VOTE: Final = "/vote"
"""Where a vote's record commits to the signed document."""


def view(
    reader: Reader,
    *,
    stack: str,
    state_key: str | None,
    since: int,
    now: int,
    before: int | None = None,
    staged: bool = True,
    own: str | None = None,
) -> LedgerView:
    """Return the votes on a stack or its state, and what was used of them by the stack's runs on that state.

    A vote is for one stack, so only its runs can use it: a signer that is held to other stacks can't use it up.

    ``since`` is how far back it matters, milliseconds since the epoch: an approval that is older is expired by the
    rules. ``now`` is the store's time. ``before`` is a leaf index: the log is read as it was up to there. With
    ``staged`` also votes that no commit holds yet, with ``before`` only rejections. ``own`` is the record id of an
    intent that is itself only staged: then staged intents before it count as well.

    Raises :class:`VerificationError` where a commit or a record is missing or altered, :class:`LedgerError` when a
    store failed: then there is no view.
    """
    votes: list[LogEntry] = []
    intents: list[LogEntry] = []
    for entry in reader.since(since - AHEAD):
        if before is not None and entry.position >= before:
            continue
        if entry.line.kind in APPROVER_KINDS:
            votes.append(entry)
        elif entry.line.kind == "intent" and entry.line.state == state_key:
            intents.append(entry)
    on_stack = [
        (entry, record)
        for entry, record in zip(votes, reader.records([entry.line for entry in votes]), strict=True)
        if record.predicate.get("stack") in (stack, None)
    ]
    found = list(_votes(reader, [record for _, record in on_stack], [entry for entry, _ in on_stack], now))
    uses = [
        use
        for entry, record in zip(intents, reader.records([entry.line for entry in intents]), strict=True)
        if record.predicate.get("stack") == stack
        for use in uses_of(record.predicate, record.record_id, entry.position)
    ]
    if staged or own is not None:
        waiting = [
            one for one in reader.staged(now, limit=STAGED) if one.kind in APPROVER_KINDS or one.kind == "intent"
        ]
        if staged:
            new = [one for one in waiting if one.kind in APPROVER_KINDS and one.predicate.get("stack") in (stack, None)]
            late = _votes(reader, new, None, now)
            # Up to a place in the log only what the log holds there lets anything go on; a rejection counts at once.
            found += (pair for pair in late if before is None or pair[0] is None or pair[0].kind == "rejection")
        if own is not None:
            uses += _staged_uses(waiting, own, stack, state_key)
    return LedgerView(
        size=reader.state.size if before is None else before,
        votes=tuple(vote for vote, _ in found if vote is not None and concerns(vote, stack, state_key)),
        uses=tuple(uses),
        undisclosed=tuple(record.record_id for vote, record in found if vote is None and record.kind == "rejection"),
    )


def _staged_uses(waiting: Iterable[Record], own: str, stack: str, state_key: str | None) -> Iterator[Use]:
    """Yield the uses by staged intents whose ids are before ``own``: in that order a sequencer commits them."""
    for one in waiting:
        mine = one.state == state_key and one.predicate.get("stack") == stack
        if mine and one.kind == "intent" and one.record_id < own:
            yield from uses_of(one.predicate, one.record_id, None)


def concerns(vote: Vote, stack: str, state_key: str | None) -> bool:
    """Tell whether the vote is about this stack or its state."""
    return vote.subject.stack == stack or (state_key is not None and vote.subject.state_key == state_key)


def uses_of(predicate: Mapping[str, Any], record_id: str, position: int | None) -> Iterator[Use]:
    """Yield the votes that an intent's predicate says it rests on, and so consumes."""
    decision = predicate.get("decision")
    named = decision.get("approvals") if isinstance(decision, dict) else None
    for vote in named if isinstance(named, list) else ():
        if isinstance(vote, str):
            yield Use(vote=vote, intent=record_id, position=position)


def _votes(
    reader: Reader, records: Sequence[Record], entries: Iterable[LogEntry] | None, now: int
) -> Iterator[tuple[Vote | None, Record]]:
    """Yield each record with the vote that it holds; None where that is no longer, or not rightly, disclosed.

    The store took a vote when a commit adopted it; one that is still waiting it has now.
    """
    places = [(now, None)] * len(records) if entries is None else [(one.time, one.position) for one in entries]
    for record, text, (at, position) in zip(records, reader.values(records, VOTE, limit=MAX_VOTE), places, strict=True):
        if text is None:
            yield None, record
            continue
        vote = vote_of(text, at=at, position=position, record=record.record_id)
        if vote is not None:
            yield vote, record
