"""May this plan be applied now?

:func:`decide` is pure and total: the same inputs give the same decision, at the time of the run and whenever the
decision is recomputed from the ledger, and no input makes it raise. What is not known denies. More approvals and better
evidence may turn a denial into leave, never leave into a denial; more rejections, findings, freezes and earlier uses
may turn leave into a denial, never a denial into leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfaudit.gate import breakglass, judging, quorum, rejecting, verdict
from tfaudit.gate.freeze import frozen
from tfaudit.gate.model import Decision, LedgerView, Reason, Request, Rules
from tfaudit.gate.persons import Electorate
from tfaudit.gate.words import line, listed, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tfaudit.gate.judging import Judged
    from tfaudit.gate.model import Vote
    from tfaudit.policy.model import Evaluation

_GENUINE: Final = frozenset({"already-used", "self-approval", "agent-approval", "no-touch"})
"""Reasons for which an approval does not count that leave it its author's own last word on this plan."""
_STRANGERS: Final = 2
"""Approvals of other plans that are spoken of where there is none of this one: the newest."""


def decide(
    request: Request | None,
    rules: Rules | None,
    evaluations: tuple[Evaluation, ...] | None,
    view: LedgerView | None,
    now: int,
) -> Decision:
    """Return whether the plan may be applied at ``now`` (milliseconds since the epoch), and every reason why not.

    Each input is there as a whole, or None, which denies: ``request`` is what the run asks for, ``rules`` the gate in
    force for its stack, ``evaluations`` what the policy says, ``view`` the votes and their uses in the ledger.
    """
    reasons = [*_absent(request, rules, view), *verdict.objections(evaluations)]
    if request is None or rules is None:
        return Decision(allowed=False, reasons=_distinct(reasons), required=max(rules.approvals, 0) if rules else 0)
    reasons += _unknown(request)
    asked = quorum.requirements(rules, evaluations or ()) if request.changes else ()
    required = quorum.total(asked)
    if view is None or not request.changes:
        return Decision(allowed=not reasons, reasons=_distinct(reasons), required=required)
    case = _Case(
        request=request,
        rules=rules,
        view=view,
        now=now,
        electorate=Electorate(rules),
        used=frozenset(use.vote for use in view.uses),
        required=required,
    )
    return _decide_on_votes(case, asked, reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """All that votes are judged by."""

    request: Request
    rules: Rules
    view: LedgerView
    now: int
    electorate: Electorate
    used: frozenset[str]
    required: int


def _decide_on_votes(case: _Case, asked: tuple[quorum.Requirement, ...], reasons: list[Reason]) -> Decision:
    """Decide where everything is known and something would change; ``reasons`` are those that no vote can mend."""
    request, rules, electorate, votes = case.request, case.rules, case.electorate, case.view.votes
    judged = [
        judging.approval(vote, request, rules, electorate, case.used, case.now)
        for vote in votes
        if vote.kind == "approval"
    ]
    sound = [one.vote for one in judged if not one.reasons]
    counted = _each_once(sound)
    genuine = [one.vote for one in judged if all(reason.code in _GENUINE for reason in one.reasons)]
    if case.required and not rules.approvers:
        message = "no approvers file is configured, or it names nobody, so nobody can approve; set [gate] approvers"
        reasons.append(Reason(code="no-approvers", message=message))
    if case.required and not request.identities and not rules.allow_self_approval:
        message = "nobody knows who asks for this change, so it can't be told from an approver; see `tfaudit whoami`"
        reasons.append(Reason(code="unknown-actor", message=message))
    reasons += rejecting.unreadable(case.view.undisclosed)
    reasons += rejecting.standing(votes, genuine, request, rules, electorate, case.now)
    reasons += frozen(rules.freezes, case.now)
    # Of all of them: two copies of a word, signed by two keys, may be told apart by who holds the keys.
    missing = tuple(quorum.missing(asked, sound, electorate))
    if missing:
        reasons += _refused(judged, counted)
        reasons += missing
    if reasons and request.break_glass:
        return _break_glass(case, reasons, counted)
    return Decision(allowed=not reasons, reasons=_distinct(reasons), required=case.required, counted=counted)


def _break_glass(case: _Case, reasons: list[Reason], counted: tuple[Vote, ...]) -> Decision:
    """Decide where approvals or a freeze stand in the way and the run asks to go past them."""
    request, rules = case.request, case.rules
    words, why_not = breakglass.words(case.view.votes, request, rules, case.electorate, case.used, case.now)
    if not request.identities:
        message = "nobody knows who breaks the glass; see `tfaudit whoami`"
        why_not = (*why_not, Reason(code="unknown-actor", message=message))
    lasting = [reason for reason in reasons if reason.code not in breakglass.OVERRIDDEN]
    if why_not or lasting or rules.break_glass is None:
        left = [*(lasting if words else reasons), *why_not]
        return Decision(allowed=False, reasons=_distinct(left), required=case.required, counted=counted)
    return Decision(
        allowed=True,
        reasons=(),
        required=case.required,
        counted=_each_once(words),
        break_glass=True,
        review_by=case.now + milliseconds(rules.break_glass.review_within),
        warnings=tuple(reason.message for reason in _distinct(reasons)),
    )


def _absent(request: Request | None, rules: Rules | None, view: LedgerView | None) -> Iterator[Reason]:
    if request is None:
        message = "what the run would do is not known; plan with `-out`, so that it can be looked at"
        yield Reason(code="no-plan", message=message)
    if rules is None:
        message = "the gate in force for this stack is not known; see `tfaudit config show`"
        yield Reason(code="no-rules", message=message)
    if view is None:
        message = "the ledger can't be read, so nobody knows of rejections and earlier uses; try again when it can"
        yield Reason(code="no-ledger", message=message)


def _unknown(request: Request) -> Iterator[Reason]:
    for one in request.unbound:
        message = f"no plan binds this input of the apply: {line(one)}; leave it out, or set it when planning"
        yield Reason(code="unbound-input", message=message)
    if request.unknown_actions:
        where = listed(request.unknown_actions)
        message = f"tfaudit does not know what would be done to {where}; use a version of it that does"
        yield Reason(code="unknown-action", message=message)
    asked = request.subject
    if request.changes and not request.first and not asked.lineage:
        message = "the plan starts from no state, and there is one by now; plan again"
        yield Reason(code="state-moved", message=message)


def _refused(judged: Sequence[Judged], counted: Sequence[Vote]) -> Iterator[Reason]:
    """Yield why votes were not counted; those for other plans only where nobody has voted on this one.

    After some weeks a stack has many old approvals, all used: what they were for is nobody's question.
    """
    refused = [one for one in judged if one.reasons]
    near = [one for one in refused if one.about]
    if not near and not counted:
        near = sorted((one for one in refused if not one.used), key=lambda one: one.vote.at)[-_STRANGERS:]
    for one in near:
        yield from one.reasons


def _each_once(votes: Iterable[Vote]) -> tuple[Vote, ...]:
    found: dict[str, Vote] = {}
    for vote in votes:
        found.setdefault(vote.id, vote)
    return tuple(found.values())


def _distinct(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    return tuple(dict.fromkeys(reasons))
