"""May this run go past approvals and freezes, because somebody on call takes it upon them?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfaudit.gate import judging
from tfaudit.gate.model import Reason
from tfaudit.gate.words import line, listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfaudit.gate.model import Request, Rules, Vote
    from tfaudit.gate.persons import Electorate

OVERRIDDEN: Final = frozenset(
    {
        "no-approval",
        "quorum",
        "freeze",
        "other-target",
        "other-policy",
        "other-plan",
        "other-stack",
        "state-moved",
        "expired",
        "not-yet-valid",
        "already-used",
        "unknown-approver",
        "bad-signature",
        "self-approval",
        "agent-approval",
        "no-touch",
    }
)
"""Reasons about approvals and freezes; never a rejection, a rule that forbids, who asks, or the ledger."""


def words(
    votes: Iterable[Vote], request: Request, rules: Rules, electorate: Electorate, used: frozenset[str], now: int
) -> tuple[tuple[Vote, ...], tuple[Reason, ...]]:
    """Return the break-glass words that let this run go on, and where there are none, why not."""
    allowed = rules.break_glass
    if allowed is None or rules.pinned is None:
        message = "break-glass is not enabled by a pinned configuration; get the plan approved"
        return (), (Reason(code="no-approval", message=message),)
    judged = [
        judging.approval(vote, request, rules, electorate, used, now) for vote in votes if vote.kind == "break-glass"
    ]
    sound = [one.vote for one in judged if not one.reasons]
    good = tuple(vote for vote in sound if electorate.in_groups(vote, allowed.groups))
    if good:
        return good, ()
    reasons = [reason for one in judged for reason in one.reasons]
    reasons += (
        Reason(
            code="unknown-approver",
            message=f"{line(vote.approver)} is not in {listed(allowed.groups)}, who alone may break the glass",
        )
        for vote in sound
    )
    if not judged:
        message = (
            f"nobody broke the glass for this plan: somebody of {listed(allowed.groups) or '(nobody)'} has to sign"
        )
        reasons.append(Reason(code="no-approval", message=f"{message}; run `tfaudit approve --break-glass` on it"))
    return (), tuple(reasons)
