"""How many must approve, from which groups, and have they?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfaudit.gate.model import Reason
from tfaudit.gate.words import line, listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfaudit.gate.model import Rules, Vote
    from tfaudit.gate.persons import Electorate
    from tfaudit.policy.model import Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """So many approvals, for one reason."""

    approvals: int
    groups: tuple[str, ...]
    rule: str | None
    """The rule that asks for it; None for the gate's own number."""

    @property
    def whose(self) -> str:
        """Say who may give them."""
        return f"from {listed(self.groups)}" if self.groups else "from the approvers file"


def requirements(rules: Rules, evaluations: Sequence[Evaluation]) -> tuple[Requirement, ...]:
    """Return what is required: the gate's own number, and what each rule that applies asks for."""
    asked = [Requirement(approvals=rules.approvals, groups=(), rule=None)]
    asked += (
        Requirement(approvals=finding.approvals, groups=finding.groups, rule=finding.rule)
        for evaluation in evaluations
        for finding in evaluation.findings
        if finding.severity == "require"
    )
    return tuple(dict.fromkeys(one for one in asked if one.approvals > 0))


def total(asked: Sequence[Requirement]) -> int:
    """Return how many approvals there must be at least: one may serve several requirements."""
    return max((one.approvals for one in asked), default=0)


def missing(asked: Sequence[Requirement], votes: Sequence[Vote], electorate: Electorate) -> Iterator[Reason]:
    """Yield for each requirement that these votes do not meet how far they are from it."""
    for one in asked:
        have = electorate.count(vote for vote in votes if not one.groups or electorate.in_groups(vote, one.groups))
        if have >= one.approvals:
            continue
        what = f"{one.approvals} approval{'' if one.approvals == 1 else 's'} {one.whose}"
        because = "" if one.rule is None else f", by rule {line(one.rule)!r}"
        if not votes:
            message = f"no approval counts for this plan: it takes {what}{because}; run `tfaudit approve` on it"
            yield Reason(code="no-approval", message=message)
        else:
            more = one.approvals - have
            message = f"{have} of {what}{because}: {more} more {one.whose} must approve"
            yield Reason(code="quorum", message=message)
