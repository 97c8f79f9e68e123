"""Did somebody who may approve say no to this plan, and let it stand?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfaudit.gate import binding, judging
from tfaudit.gate.model import Reason
from tfaudit.gate.words import line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfaudit.gate.model import Request, Rules, Vote
    from tfaudit.gate.persons import Electorate


def standing(
    votes: Iterable[Vote], approvals: Iterable[Vote], request: Request, rules: Rules, electorate: Electorate, now: int
) -> Iterator[Reason]:
    """Yield a reason for each rejection that stands.

    ``approvals`` are those that are genuine, in time and about this plan: a person's later one takes their own
    rejection back. One that is staged counts as one that the log holds.
    """
    lifting = list(approvals)
    for vote in votes:
        if vote.kind != "rejection" or not vote.signed or next(judging.voter(vote, electorate), None) is not None:
            continue
        if now >= judging.expiry(vote, rules) or not _about(vote, request, electorate):
            continue
        if any(_lifts(word, vote, electorate) for word in lifting):
            continue
        message = f"{line(vote.approver)} rejected this plan; plan anew, or ask them to approve it after all"
        yield Reason(code="rejected", message=message)


def unreadable(records: Iterable[str]) -> Iterator[Reason]:
    """Yield a reason for each rejection of this stack that can't be read, by its record.

    Else whoever can erase what the working store discloses could take back another's rejection.
    """
    for record in records:
        message = f"record {line(record)} rejects a plan of this stack and can't be read; wait until it has expired"
        yield Reason(code="rejected", message=message)


def _about(vote: Vote, request: Request, electorate: Electorate) -> bool:
    """Tell whether the rejection is about this plan record, this plan file or the same changes of this stack.

    Where the key to compare with is gone, a plan from the same state counts as the same: whoever can erase keys must
    not be able to silence a rejection.
    """
    said, asked = vote.subject, request.subject
    if electorate.fetched(vote):
        return said.commit == asked.commit
    if said.plan_record and said.plan_record == asked.plan_record:
        return True
    if binding.same(said.plan_sha256, asked.plan_sha256):
        return True
    if (said.stack, said.state_key) != (asked.stack, asked.state_key):
        return False
    alike = binding.same_changes(vote, request)
    if alike is None:
        return (said.lineage, said.serial) == (asked.lineage, asked.serial)
    return alike


def _lifts(word: Vote, rejection: Vote, electorate: Electorate) -> bool:
    """Tell whether the approval is a later word of the same person, by their own clock and by the log's order.

    Their own clock too: else an approval that they gave before could be carried in once more after the rejection. Of
    two that the log does not hold yet, their clock alone can tell.
    """
    staged = word.position is None and rejection.position is None
    return (
        word.made > rejection.made
        and (staged or _order(word) > _order(rejection))
        and electorate.persons(word) == electorate.persons(rejection)
        and len(electorate.persons(word)) == 1
    )


def _order(vote: Vote) -> tuple[bool, int, int]:
    return vote.position is None, vote.position or 0, vote.at
