"""Does a decision hold on the votes that an intent names, where its authors were shown what is to be done?

An intent uses what it names, and nothing else may carry it: a word that came a moment later is left for another run.
Nor does a word count whose author was shown something else than what is to be done; it takes none of the others' with
it, or else one approver, or one job that writes false plan records, could keep everybody from applying anything.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tfaudit.gate.decide import decide
from tfaudit.gate.model import Reason
from tfaudit.gate.words import line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tfaudit.gate.model import Decision, LedgerView, Request, Rules, Vote
    from tfaudit.policy.model import Evaluation


def decide_on(
    request: Request | None,
    rules: Rules | None,
    evaluations: tuple[Evaluation, ...] | None,
    view: LedgerView | None,
    now: int,
    *,
    named: Collection[str],
    objection: Callable[[Vote], str | None],
) -> Decision:
    """Return what :func:`~tfaudit.gate.decide.decide` says without the votes that do not carry the run.

    ``named`` are the ids of the votes that the intent names; ``objection`` says of a vote, in a few words, in what its
    plan is another than what is to be done, and None where it is not. It is asked of votes that count, and has to
    remember what it found. What it raises is raised.
    """
    lied_to: dict[str, Reason] = {}
    while True:
        decision = decide(request, rules, evaluations, view, now)
        idle: set[str] = set()
        for vote in decision.counted if decision.allowed else ():
            if vote.id not in named:
                idle.add(vote.id)
            elif (why := objection(vote)) is not None:
                idle.add(vote.id)
                lied_to[vote.id] = _reason(vote, why)
        if not idle or view is None:
            break
        view = replace(view, votes=tuple(vote for vote in view.votes if vote.id not in idle))
    if decision.allowed:
        return decision
    return replace(decision, reasons=tuple(dict.fromkeys((*lied_to.values(), *decision.reasons))))


def _reason(vote: Vote, why: str) -> Reason:
    message = f"the {vote.kind} by {line(vote.approver)} is for another plan: {why}; have this plan approved"
    return Reason(code="other-plan", message=message)
