"""Did those who approved see what was done: is the plan record that they signed for there, and of these changes?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfaudit.errors import InputError, VerificationError
from tfaudit.ledger import seen
from tfaudit.ledger.commit import RecordLine
from tfaudit.ledger.verify.electing import PROVEN

if TYPE_CHECKING:
    from tfaudit.gate.model import Vote
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.verify.scratch import Leaf, Scratch


class Sights:
    """What one intent's approvers saw, held against what it says is done.

    Without ``whole``, records that the temporary database doesn't have lie before what is checked.
    """

    def __init__(self, reader: Reader, scratch: Scratch, intent: RecordLine, *, whole: bool) -> None:
        self.failure: InputError | VerificationError | None = None
        """What kept one of them from being looked at."""
        self.other: str | None = None
        """In what the first that was another plan differs."""
        self._reader = reader
        self._scratch = scratch
        self._intent = intent
        self._whole = whole
        self.objection = seen.each_once(self._objection)
        """Says of a vote why it is not about what is done; None where it is, or nobody can tell any more."""

    def _objection(self, vote: Vote) -> str | None:
        if vote.source not in PROVEN:
            return None
        leaf = self._scratch.leaf(vote.subject.plan_record)
        if leaf is None:
            return "the log does not hold the plan's record that it names" if self._whole else None
        plan, reader, intent = _line(leaf), self._reader, self._intent
        try:
            why = seen.unlike(reader, vote, plan, intent)
        except (InputError, VerificationError) as failure:
            self.failure = self.failure or failure
            return "what was shown can't be read any more"
        # Of events that were let go nobody can tell; which record it was still shows.
        let_go = leaf.leaf.hex() == vote.subject.leaf and (reader.pruned(plan) or reader.pruned(intent))
        if why is None or let_go:
            return None
        self.other = self.other or why
        return why


def _line(leaf: Leaf) -> RecordLine:
    return RecordLine(
        leaf=leaf.leaf,
        writer=leaf.writer,
        record_id=leaf.record_id,
        kind=leaf.kind,
        refers=leaf.refers,
        state=leaf.state,
    )
