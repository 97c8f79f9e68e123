"""Is this word about this plan: the same changes, in the same place, from the same starting point?"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from tfaudit.gate.model import Reason
from tfaudit.gate.words import line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.gate.model import Request, Rules, Vote


def same(left: str, right: str) -> bool:
    """Tell whether two digests that decide something are equal, in constant time; two unknown ones are not."""
    one, other = (text.encode("utf-8", "surrogatepass") for text in (left, right))
    return bool(one) and hmac.compare_digest(one, other)


def unbound(vote: Vote, request: Request, rules: Rules, *, fetched: bool) -> Iterator[Reason]:
    """Yield why the vote is not about what the request asks for; nothing where it is.

    ``fetched``: a platform's review, which is bound to the source commit that was reviewed.
    """
    said, asked = vote.subject, request.subject
    whose = f"the {vote.kind} by {line(vote.approver)}"
    if not same(said.origin, asked.origin):
        yield Reason(code="other-plan", message=f"{whose} is for a plan in another ledger; approve this plan")
    if not same(said.stack, asked.stack):
        yield Reason(
            code="other-stack",
            message=f"{whose} is for stack {line(said.stack)}, not {line(asked.stack)}; approve the plan of this stack",
        )
    if said.state_key != asked.state_key:
        message = f"{whose} is for another state: another place of the backend or another workspace; approve this plan"
        yield Reason(code="state-moved", message=message)
    elif (said.lineage, said.serial) != (asked.lineage, asked.serial):
        moved = (
            f"from serial {said.serial} to {asked.serial}" if said.lineage == asked.lineage else "to another lineage"
        )
        message = f"the state moved on {moved} since {whose}; plan again and have that plan approved"
        yield Reason(code="state-moved", message=message)
    if said.backend != asked.backend:
        message = f"{whose} is for the backend {line(said.backend)}, not {line(asked.backend)}; approve this plan"
        yield Reason(code="other-target", message=message)
    if said.target != asked.target:
        here, there = (line(name or "(unknown)") for name in (asked.target, said.target))
        message = f"{whose} is for the account {there}, not {here}; use the right credentials, or approve this plan"
        yield Reason(code="other-target", message=message)
    if said.policy != asked.policy:
        message = f"the policy's rules are not those that stood behind {whose}; plan again and have that plan approved"
        yield Reason(code="other-policy", message=message)
    why = _other_plan(vote, request, rules, fetched=fetched)
    if why is not None:
        message = f"{whose} is for another plan: {why}; have this plan approved"
        yield Reason(code="other-plan", message=message)


def _other_plan(vote: Vote, request: Request, rules: Rules, *, fetched: bool) -> str | None:
    """Return in what the plan that was voted on differs from this one; None where it is this one."""
    said, asked = vote.subject, request.subject
    if fetched and rules.bind == "planfile":
        return "a platform's review is of a commit, and approvals are for a plan file here"
    if fetched and (said.commit is None or said.commit != asked.commit):
        return "another commit was reviewed"
    if said.plan_record and said.plan_record == asked.plan_record and not _same_record(vote, request):
        return "what was shown is not what that plan's record holds"
    if rules.bind == "planfile" and not same(said.plan_sha256, asked.plan_sha256):
        return "the plan file is not the one that was approved"
    if (request.first or not asked.lineage) and not same(said.plan_sha256, asked.plan_sha256):
        return "a first plan, which starts from no state, has to be the very file that was approved"
    if same(said.plan_sha256, asked.plan_sha256):
        # The very file: what it does needs no second comparison, but an unequal one would be a contradiction.
        return None if same_changes(vote, request, fetched=fetched) is not False else "its changes differ"
    match same_changes(vote, request, fetched=fetched):
        case True:
            return None
        case False:
            return "its changes differ"
    return "the key to compare its changes with is not disclosed"


def _same_record(vote: Vote, request: Request) -> bool:
    said, asked = vote.subject, request.subject
    return (not asked.leaf or same(said.leaf, asked.leaf)) and (
        not asked.event_root or same(said.event_root, asked.event_root)
    )


def same_changes(vote: Vote, request: Request, *, fetched: bool = False) -> bool | None:
    """Tell whether this plan's changes are those that were voted on; None where nothing can tell."""
    said, asked = vote.subject, request.subject
    if fetched or (said.plan_record and said.plan_record == asked.plan_record):
        return same(said.change_digest, asked.change_digest)
    mine = request.under.get(said.plan_record)
    return None if mine is None else same(mine, said.change_digest)
