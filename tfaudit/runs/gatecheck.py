"""What would the gate say now of a plan that the ledger knows: without an engine, from the plan's own record?

The run itself decides again, from the plan that it applies: what this says is for a step before it, and for people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import InputError
from tfaudit.export import judged
from tfaudit.gate.decide import decide
from tfaudit.gate.words import milliseconds
from tfaudit.ledger import ids, votes
from tfaudit.runs import approver, planrecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfaudit.config import Config
    from tfaudit.export.view import View
    from tfaudit.gate.model import Decision, LedgerView, Request, Rules
    from tfaudit.ledger.reader import Reader
    from tfaudit.runs.planrecord import Planned
    from tfaudit.runs.run import World

WAITABLE: Final = frozenset(
    {
        "no-approval",
        "quorum",
        "freeze",
        "not-yet-valid",
        "expired",
        "bad-signature",
        "unknown-approver",
        "self-approval",
        "agent-approval",
        "already-used",
        "no-touch",
        "other-plan",
        "other-stack",
        "other-target",
        "other-policy",
    }
)
"""Reasons that another person's word, or time, may still mend."""
_MOVING: Final = frozenset({"outcome", "operation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the gate would say, and of what."""

    planned: Planned
    decision: Decision
    waiting: bool
    """Whether it may still come to be allowed without another plan."""
    problems: tuple[str, ...] = ()
    """What could not be asked, one line each."""

    def document(self) -> dict[str, Any]:
        """Return it as ``schemas/gate.v1.schema.json`` has it."""
        decision, subject = self.decision, self.planned.subject
        document: dict[str, Any] = {
            "decision": "allow" if decision.allowed else "deny",
            "reasons": [{"code": one.code, "message": one.message} for one in decision.reasons],
            "approvals": [judged.approval(vote) for vote in decision.counted],
            "required": decision.required,
            "change_digest": subject.change_digest,
            "plan_digest": subject.plan_sha256,
            "plan_record": subject.plan_record,
            "stack": subject.stack,
        }
        if decision.break_glass and decision.review_by is not None:
            document["break_glass"] = {"review_by": ids.time_text(decision.review_by)}
        return document


def check(
    view: View,
    config: Config,
    world: World,
    name: str,
    *,
    approvals: Sequence[str] = (),
    break_glass: bool = False,
) -> Answer:
    """Return what the gate would say now of a plan file, a run or a plan record.

    ``approvals`` are files with approvals from outside the ledger. Raises :class:`InputError` where the ledger has no
    such plan or it was made without a gate, :class:`ConfigError` for a repository that loosens what is pinned, and
    as the ledger's reader does.
    """
    planned = planrecord.find(view, name, "plan", cwd=world.cwd)
    reader, subject = view.reader, planned.subject
    now = ids.milliseconds(world.clock())
    rules, _ = approver.rules_here(config, reader, subject.stack, planned.basis.rules)
    if rules is None:
        raise InputError(f"no gate is in force for the stack {subject.stack}", hint="see tfaudit config show")
    found = votes.view(
        reader,
        stack=subject.stack,
        state_key=subject.state_key,
        since=now - milliseconds(rules.expires),
        now=now,
    )
    found = _with_files(found, approvals, world.cwd, now)
    problems: tuple[str, ...] = ()
    if rules.evidence:
        found, problems = _with_reviews(found, rules, config, world, planned, now)
    request = _request(reader, planned, found, break_glass=break_glass)
    decision = decide(request, rules, planned.basis.evaluations, found, now)
    waiting = not decision.allowed and all(reason.code in WAITABLE for reason in decision.reasons)
    return Answer(planned=planned, decision=decision, waiting=waiting, problems=problems)


def _with_files(found: LedgerView, files: Sequence[str], cwd: Path, now: int) -> LedgerView:
    from tfaudit.runs.voting import import_vote

    known = {vote.id for vote in found.votes}
    brought = (import_vote(cwd / file, at=now)[1] for file in files)
    return replace(found, votes=(*found.votes, *(vote for vote in brought if vote.id not in known)))


def _with_reviews(
    found: LedgerView, rules: Rules, config: Config, world: World, planned: Planned, now: int
) -> tuple[LedgerView, tuple[str, ...]]:
    """Return the view with what the platforms know, of the commit that was planned and of no other."""
    from tfaudit.runs.reviews import fetch

    source = planned.record.predicate.get("source")
    clean = isinstance(source, dict) and source.get("dirty") is not True
    fetched = fetch(
        world.environ, rules.evidence, planned.subject, clean=clean, now=now, issuers=config.identity.issuers
    )
    return replace(found, votes=(*found.votes, *fetched.votes)), fetched.problems


def _request(reader: Reader, planned: Planned, found: LedgerView, *, break_glass: bool) -> Request:
    """Return what the plan's run asked for, as it stands now."""
    lineage, serial = _moved_to(reader, planned) or (planned.subject.lineage, planned.subject.serial)
    under: dict[str, str] = {**planned.request.under}
    for vote in found.votes:
        # The digest of these changes under a later plan's key only the apply can tell. A rejection of another plan does
        # not hold this one back here; if it was of the same changes, the apply will say so.
        if vote.kind == "rejection" and vote.subject.plan_record != planned.subject.plan_record:
            under.setdefault(vote.subject.plan_record, "")
    return replace(
        planned.request,
        subject=replace(planned.subject, lineage=lineage, serial=serial),
        under=under,
        break_glass=break_glass,
    )


def _moved_to(reader: Reader, planned: Planned) -> tuple[str, int] | None:
    """Return the version of the state that a later run left behind, as far as the log knows."""
    position, key = planned.row.position, planned.subject.state_key
    if planned.row.place != "log" or key is None:
        return None
    for entry in reader.newest_first():
        if entry.position <= position:
            return None
        if entry.line.state == key and entry.line.kind in _MOVING:
            after = _after(reader.record(entry.line).predicate)
            if after is not None:
                return after
    return None


def _after(predicate: Mapping[str, Any]) -> tuple[str, int] | None:
    state = predicate.get("state")
    match state.get("after") if isinstance(state, dict) else None:
        case {"lineage": str(lineage), "serial": int(serial)}:
            return lineage, serial
    return None
