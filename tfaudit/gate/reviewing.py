"""Does this review of a break-glass run count: by somebody known, who neither broke the glass nor asked for it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfaudit.gate import judging
from tfaudit.gate.binding import same
from tfaudit.gate.model import Reason
from tfaudit.gate.words import line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfaudit.gate.model import Request, Vote
    from tfaudit.gate.persons import Electorate


def objections(
    review: Vote, *, intent: str, leaf: str, request: Request, broke: Sequence[Vote], electorate: Electorate
) -> Iterator[Reason]:
    """Yield why the review does not count; nothing where it does. It does not expire, and it is never used up.

    ``intent`` and ``leaf`` are the run's intent record and its leaf hash, ``request`` what the run asked for, ``broke``
    the words that let it go past the gate.
    """
    who = line(review.approver)
    if not review.signed:
        yield Reason(code="bad-signature", message=f"the signature of the review by {who} does not verify")
        return
    yield from judging.voter(review, electorate)
    if review.subject.plan_record != intent or not same(review.subject.leaf, leaf):
        yield Reason(code="other-plan", message=f"the review by {who} is of another run; review this one")
    concerned = electorate.people.persons(request.identities)
    for word in broke:
        concerned |= electorate.names(word)
    if electorate.names(review) & concerned:
        yield Reason(
            code="self-approval", message=f"{who} broke the glass, or asked for the change; another must review"
        )
