"""Does what a decision claims to rest on agree with what its own record says?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tfaudit.gate import basis as bases

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfaudit.gate.basis import Basis
    from tfaudit.gate.model import Request
    from tfaudit.ledger.record import Record


def contradictions(found: Record, basis: Basis) -> Iterator[str]:
    """Yield in what the basis of a record's decision differs from the record; a few words each."""
    decision = found.predicate["decision"]
    if basis.rules is not None:
        if decision.get("rules") != bases.digest(basis.rules):
            yield "its rules are others"
        if decision.get("bundle") != basis.rules.pinned:
            yield "its rules are from another pinned configuration"
    if basis.request is not None:
        yield from _requested(found, basis.request, decision)
    if basis.evaluations is not None and decision.get("policy") != [_told(one) for one in basis.evaluations]:
        yield "its policy found something else"


def _requested(found: Record, request: Request, decision: Mapping[str, Any]) -> Iterator[str]:
    subject, predicate = request.subject, found.predicate
    if subject.origin != found.origin:
        yield "the plan is of another ledger"
    if subject.stack != predicate.get("stack"):
        yield "the plan is of another stack"
    if subject.state_key != found.state:
        yield "the plan is of another state"
    before = (predicate.get("state") or {}).get("before")
    if before is not None and before != {"lineage": subject.lineage, "serial": subject.serial}:
        yield "the plan starts from another version of the state"
    plan = predicate.get("plan")
    if isinstance(plan, dict) and plan.get("sha256") != subject.plan_sha256:
        yield "the plan file is another"
    digest = predicate.get("change_digest")
    if digest is not None and digest != subject.change_digest:
        yield "the changes are others"
    also = decision.get("also")
    for one in (decision, *(also if isinstance(also, list) else ())):
        approved = one.get("plan_record") if isinstance(one, dict) else None
        if approved is not None and one.get("change_digest") != request.under.get(approved, subject.change_digest):
            yield "the approved changes are others"


def _told(evaluation: Any) -> dict[str, Any]:  # noqa: ANN401 - an Evaluation of the policy, below the gate
    counts = Counter(finding.severity for finding in evaluation.findings)
    told = {
        "engine": evaluation.engine,
        "version": evaluation.version,
        "digest": evaluation.digest,
        "rules": evaluation.rules,
        "denied": counts["deny"],
        "required": counts["require"],
        "warned": counts["warn"],
    }
    return told if evaluation.error is None else {**told, "failed": True}
