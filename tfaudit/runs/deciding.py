"""How is a decision of the gate recorded, and what is said of it?"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tfaudit.runs import facts
from tfaudit.runs.gatechange import KEY_POINTER, change_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfaudit.gate.model import Decision
    from tfaudit.ledger.draft import Draft
    from tfaudit.policy.model import Evaluation
    from tfaudit.runs.gating import Refused, Verdict
    from tfaudit.runs.run import Run

BASIS_POINTER: Final = "/decision/basis"
REVIEWS_POINTER: Final = "/decision/reviews"
_APPROVABLE: Final = frozenset({"no-approval", "quorum", "other-plan", "expired", "already-used", "self-approval"})
"""Reasons that go away with an approval."""
MAX_WARNINGS: Final = 20
"""Findings of a policy that are said; the others stand in the record."""


def recorded(draft: Draft, verdict: Verdict) -> dict[str, object]:
    """Return the ``decision`` of a record; what it rests on goes into the draft's disclosure."""
    from tfaudit.gate import basis

    decision = verdict.decision
    text = basis.encode(
        decided=verdict.decided,
        request=verdict.request,
        rules=verdict.gate.rules,
        evaluations=verdict.evaluations,
        votes=verdict.view.votes,
        decision=decision,
    )
    described: dict[str, object] = {
        "decision": "allow" if decision.allowed else "deny",
        "reasons": sorted({reason.code for reason in decision.reasons}),
        "required": decision.required,
        "approvals": [vote.id for vote in decision.counted],
        "rules": basis.digest(verdict.gate.rules),
        "bundle": verdict.gate.rules.pinned,
        "policy": [_evaluated(one) for one in verdict.evaluations],
        "basis": draft.disclose(BASIS_POINTER, text),
    }
    if verdict.gate.rules.pinned is not None:
        # The next run reads it here: a plan under another name must not hide what the state was applied as.
        described["known_as"] = list(verdict.gate.known_as)
    if verdict.heard:
        described["reviews"] = draft.disclose(REVIEWS_POINTER, b"[" + b",".join(verdict.heard) + b"]")
    if verdict.approved is not None:
        described["plan_record"] = verdict.approved
        described["change_digest"] = _digest(verdict, verdict.approved)
        further = [record for record in verdict.voted_on if record != verdict.approved]
        if further:
            described["also"] = [{"plan_record": one, "change_digest": _digest(verdict, one)} for one in further]
    if decision.break_glass:
        described["break_glass"] = True
        if decision.review_by is not None:
            described["review_by"] = facts.timestamp(datetime.fromtimestamp(decision.review_by / 1000, UTC))
    return described


def stopped(draft: Draft, refused: Refused, now: int) -> dict[str, object]:
    """Return the ``decision`` of a run for which there was no gate that could be asked; why is disclosed as usual."""
    from tfaudit.gate import basis
    from tfaudit.gate.model import Decision, Reason

    decision = Decision(allowed=False, reasons=(Reason(code=refused.code, message=refused.error.message),), required=0)
    text = basis.encode(decided=now, request=None, rules=None, evaluations=None, votes=None, decision=decision)
    return {"decision": "deny", "reasons": [refused.code], "basis": draft.disclose(BASIS_POINTER, text)}


def change(draft: Draft, verdict: Verdict) -> dict[str, object] | None:
    """Return the ``change`` of a plan record, which approvals bind to; None where there is none to bind to."""
    if verdict.change is None:
        return None
    return {"digest": verdict.change.digest, "key": draft.disclose(KEY_POINTER, change_text(verdict.change))}


def _digest(verdict: Verdict, plan_record: str) -> str:
    """Return the digest of the run's changes under the key of a plan record that votes name."""
    return verdict.request.under.get(plan_record, verdict.request.subject.change_digest)


def _evaluated(evaluation: Evaluation) -> dict[str, object]:
    counts = Counter(finding.severity for finding in evaluation.findings)
    return {
        "engine": evaluation.engine,
        "version": evaluation.version,
        "digest": evaluation.digest,
        "rules": evaluation.rules,
        "denied": counts["deny"],
        "required": counts["require"],
        "warned": counts["warn"],
    }


def say_findings(run: Run, evaluations: Sequence[Evaluation]) -> None:
    """Say what the policy warns of; what denies is among the decision's reasons."""
    warnings = [finding for one in evaluations for finding in one.findings if finding.severity == "warn"]
    for finding in warnings[:MAX_WARNINGS]:
        where = f" {finding.address}" if finding.address else ""
        run.world.say(f"warning:{where} {finding.message} ({finding.rule})")
    if len(warnings) > MAX_WARNINGS:
        run.world.say(f"and {len(warnings) - MAX_WARNINGS} warnings more: tfaudit inspect {run.run_id}")


def say_denied(run: Run, verdict: Verdict) -> None:
    """Say each reason for which the run is denied, and how to go on."""
    reasons = verdict.decision.reasons
    if verdict.change is None:
        # Nobody can look into the command: that it is like no plan that was approved follows from that.
        reasons = tuple(reason for reason in reasons if reason.code == "unbound-input") or reasons
    for reason in reasons:
        run.world.say(f"denied ({reason.code}): {reason.message}")
    if not all(reason.code in _APPROVABLE for reason in reasons):
        return
    if run.invocation.plan_file is None and (verdict.request.first or verdict.gate.rules.bind == "planfile"):
        # Run again, the command would make another plan file, and be denied for ever.
        how = "-destroy -out" if run.invocation.command == "destroy" else "-out"
        run.world.say(
            f"only a plan file counts here: tfaudit plan {how}=FILE, tfaudit approve FILE, tfaudit apply FILE"
        )
        return
    run.world.say(f"to approve this very change: tfaudit approve {run.run_id}; then run this command again")


def said(decision: Decision | None, refused: Refused | None = None) -> str:
    """Return what the run's one line says of the gate."""
    if refused is not None:
        return f"denied ({refused.code})"
    if decision is None:
        return "not gated"
    if not decision.allowed:
        return f"denied by the gate ({', '.join(sorted({reason.code for reason in decision.reasons}))})"
    if decision.break_glass:
        return "BREAK-GLASS, to be reviewed"
    return f"approved by {decision.persons}" if decision.persons else "allowed, no approval needed"


def needed(run_id: str, verdict: Verdict | None, refused: Refused | None = None) -> str:
    """Return what the line on a plan says of the gate: whether its apply would be let through, and why not."""
    if refused is not None:
        return f"its apply would be denied: {refused.error.message}"
    if verdict is None:
        return "not gated"
    if verdict.decision.allowed:
        return "the gate would let it through"
    codes = ", ".join(sorted({reason.code for reason in verdict.decision.reasons}))
    return f"the gate would deny it ({codes}): tfaudit gate {run_id}"
