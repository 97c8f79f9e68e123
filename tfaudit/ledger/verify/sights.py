"""Did those who approved see what was done: is the plan record that they signed for there, and of these changes?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfaudit.ledger import seen
from tfaudit.ledger.commit import RecordLine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfaudit.gate.model import Vote
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.verify.scratch import Leaf, Scratch


def objection(
    reader: Reader, scratch: Scratch, votes: Iterable[Vote], intent: RecordLine, *, whole: bool
) -> str | None:
    """Return in what an approved plan record is another than the vote says, or of other changes than the intent.

    None where all are as they should be. Without ``whole``, records that the temporary database doesn't have lie
    before what is checked. Errors as those of :meth:`Reader.events`.
    """
    for vote in seen.each_once(votes):
        leaf = scratch.leaf(vote.subject.plan_record)
        if leaf is None:
            if whole:
                return "the log does not hold the plan's record that an approval names"
            continue
        plan = _line(leaf)
        why = seen.unlike(reader, vote, plan, intent)
        if why is None:
            continue
        # Of events that were let go nobody can tell; which record it was still shows.
        if leaf.leaf.hex() == vote.subject.leaf and (reader.pruned(plan) or reader.pruned(intent)):
            continue
        return why
    return None


def _line(leaf: Leaf) -> RecordLine:
    return RecordLine(
        leaf=leaf.leaf,
        writer=leaf.writer,
        record_id=leaf.record_id,
        kind=leaf.kind,
        refers=leaf.refers,
        state=leaf.state,
    )
