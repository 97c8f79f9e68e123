"""Does this one vote count, by itself: signed by a known person, in time, about this plan, not used, not their own?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfaudit.gate import binding
from tfaudit.gate.model import Reason
from tfaudit.gate.words import TOLERANCE, line, milliseconds, moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.gate.model import Request, Rules, Vote
    from tfaudit.gate.persons import Electorate

BREAK_GLASS: Final = 60 * 60 * 1000
"""Milliseconds for which a break-glass word is valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A vote and why it does not count."""

    vote: Vote
    reasons: tuple[Reason, ...]
    """Empty where it counts."""
    same: bool = False
    """Whether it is about these very changes, or this very plan file, wherever they were to be made."""

    @property
    def about(self) -> bool:
        """Tell whether the vote is about this plan, or was."""
        return self.same or not any(reason.code in _ELSEWHERE for reason in self.reasons)

    @property
    def used(self) -> bool:
        """Tell whether an earlier run has used it."""
        return any(reason.code == "already-used" for reason in self.reasons)


_ELSEWHERE: Final = frozenset({"other-plan", "other-stack", "other-target", "other-policy", "state-moved"})


def approval(
    vote: Vote, request: Request, rules: Rules, electorate: Electorate, used: frozenset[str], now: int
) -> Judged:
    """Judge an approval or a break-glass word; every reason against it is given."""
    if not vote.signed:
        # Nothing else that it says can be believed.
        message = f"the signature of the {vote.kind} by {line(vote.approver)} does not verify; have it made again"
        return Judged(vote=vote, reasons=(Reason(code="bad-signature", message=message),))
    fetched = electorate.fetched(vote)
    return Judged(
        vote=vote,
        same=binding.same(vote.subject.plan_sha256, request.subject.plan_sha256)
        or binding.same_changes(vote, request, fetched=fetched) is True,
        reasons=(
            *voter(vote, electorate),
            *_in_time(vote, rules, now),
            *binding.unbound(vote, request, rules, fetched=fetched),
            *_used(vote, used),
            *_own(vote, request, rules, electorate),
            *_touch(vote, rules, electorate),
        ),
    )


def voter(vote: Vote, electorate: Electorate) -> Iterator[Reason]:
    """Yield why the one who voted may not, by the approvers file as it is now; keys are judged at the store's time."""
    who = line(vote.approver)
    lines = electorate.lines(vote)
    if not lines:
        what = f"key {line(vote.key)}" if vote.key else f"{line(vote.source)} identity"
        message = f"{who} with this {what} is not in the approvers file; ask somebody who is"
        yield Reason(code="unknown-approver", message=message)
    elif all(one.valid_before is not None and vote.at > one.valid_before for one in lines):
        message = f"the key of {who} was no longer valid at {moment(vote.at)}; sign again with one that is"
        yield Reason(code="unknown-approver", message=message)
    elif not any(_valid(one.valid_after, one.valid_before, vote.at) for one in lines):
        message = f"the key of {who} was not valid yet at {moment(vote.at)}; sign again when it is"
        yield Reason(code="not-yet-valid", message=message)


def _valid(after: int | None, before: int | None, at: int) -> bool:
    return (after is None or at >= after) and (before is None or at <= before)


def expiry(vote: Vote, rules: Rules) -> int:
    """Return when the vote ceases to count: by its own word, and by the rules from when it was made or taken."""
    start = min(vote.at, vote.made)
    ends = [vote.expires, start + milliseconds(rules.expires)]
    if vote.kind == "break-glass":
        ends.append(start + BREAK_GLASS)
    return min(ends)


def early(vote: Vote) -> bool:
    """Tell whether the vote claims to be from the future, or from before the plan that it names."""
    return vote.made > vote.at + TOLERANCE or vote.made < _time_of(vote.subject.plan_record) - TOLERANCE


def _in_time(vote: Vote, rules: Rules, now: int) -> Iterator[Reason]:
    whose = f"the {vote.kind} by {line(vote.approver)}"
    end = expiry(vote, rules)
    if now >= end:
        yield Reason(code="expired", message=f"{whose} expired at {moment(end)}; ask for a new one")
    if vote.made > vote.at + TOLERANCE:
        message = (
            f"{whose} says it was made at {moment(vote.made)}, which is in the future; set the signer's clock right"
        )
        yield Reason(code="not-yet-valid", message=message)
    elif early(vote):
        message = f"{whose} says it was made before the plan it names; set the signer's clock right and sign again"
        yield Reason(code="not-yet-valid", message=message)


def _time_of(record_id: str) -> int:
    """Return the time that a record id (a UUIDv7) carries; 0 for a text that is none."""
    try:
        return int(record_id[:8] + record_id[9:13], 16)
    except ValueError:
        return 0


def _used(vote: Vote, used: frozenset[str]) -> Iterator[Reason]:
    if vote.id in used:
        message = f"the {vote.kind} by {line(vote.approver)} was used by an earlier run; ask for a new one"
        yield Reason(code="already-used", message=message)


def _own(vote: Vote, request: Request, rules: Rules, electorate: Electorate) -> Iterator[Reason]:
    """Yield where somebody approves their own: for an agent, the person it acts for is as much its author."""
    who = line(vote.approver)
    by_agent = request.agent is not None and rules.agents_need_person
    own = bool(electorate.names(vote) & electorate.people.persons(request.identities))
    if rules.agents_need_person and _is_agent(vote, request, electorate):
        message = f"{who} is a software agent; a person has to approve, with their own key"
        yield Reason(code="agent-approval", message=message)
    elif own and by_agent:
        message = f"{who} is who the agent {line(request.agent or '')} acts for; another person has to approve"
        yield Reason(code="self-approval", message=message)
    elif own and not rules.allow_self_approval and vote.kind != "break-glass":
        message = f"{who} asks for this change, or wrote it; another person has to approve"
        yield Reason(code="self-approval", message=message)


def _is_agent(vote: Vote, request: Request, electorate: Electorate) -> bool:
    """Tell whether the vote is cast under an agent's name: one that says so, or the one that asks."""
    persons = electorate.persons(vote)
    names = {vote.approver, *persons}
    if any(name.startswith(("agent:", "principal:agent:")) for name in names):
        return True
    agent = request.agent
    if not agent:
        return False
    called = {agent, electorate.people.person(f"agent:{agent}"), electorate.people.person(agent)}
    return bool(called & {*names, vote.approver})


def _touch(vote: Vote, rules: Rules, electorate: Electorate) -> Iterator[Reason]:
    if rules.require_touch and vote.touched is not True and not electorate.fetched(vote):
        message = f"the {vote.kind} by {line(vote.approver)} was signed without touching a FIDO2 key; sign with one"
        yield Reason(code="no-touch", message=message)
