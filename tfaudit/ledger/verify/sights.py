"""Did those who approved see what was done: is the plan record that they signed for there, and of these changes?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfaudit.events import sameness
from tfaudit.ledger.commit import RecordLine
from tfaudit.ledger.verify.findings import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfaudit.events.sameness import Shown
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
    named = {vote.subject.plan_record: vote for vote in votes if vote.subject.plan_record}
    for record_id, vote in named.items():
        leaf = scratch.leaf(record_id)
        if leaf is None:
            if whole:
                return "an approval names a plan record that the log does not hold"
            continue
        line = _line(leaf)
        root = reader.record(line).event_root.hex()
        if (leaf.leaf.hex(), root) != (vote.subject.leaf, vote.subject.event_root):
            return "an approval is of something else than its plan record holds"
        where = sameness.differing(_shown(reader, line), _shown(reader, intent))
        if where is not None and not reader.pruned(line) and not reader.pruned(intent):
            return f"of {shown(where)} something else was approved than its intent says"
    return None


def _shown(reader: Reader, line: RecordLine) -> Iterator[Shown]:
    return sameness.shown(line.record_id, reader.events(line), reader.disclosures(line.record_id))


def _line(leaf: Leaf) -> RecordLine:
    return RecordLine(
        leaf=leaf.leaf,
        writer=leaf.writer,
        record_id=leaf.record_id,
        kind=leaf.kind,
        refers=leaf.refers,
        state=leaf.state,
    )
