"""What the gate's tests share: a plan that may be applied under one approval, and what to vary of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tfaudit.gate.decide import decide
from tfaudit.gate.model import ApproverKey, Decision, LedgerView, Request, Rules, Subject, Use, Vote
from tfaudit.policy.model import Evaluation, Finding

NOW = 1_772_361_000_000
"""2026-03-01T10:30:00Z"""
MINUTE = 60_000
HOUR = 60 * MINUTE
PLANNED = f"{NOW - HOUR:012x}"[:8] + "-" + f"{NOW - HOUR:012x}"[8:] + "-7000-8000-000000000001"
"""A plan record's id, an hour old."""


def hexes(text: str) -> str:
    """Return 64 hexadecimal digits that stand for ``text``."""
    return text.encode().hex().ljust(64, "0")[:64]


SUBJECT = Subject(
    plan_record=PLANNED,
    leaf=hexes("leaf"),
    event_root=hexes("root"),
    plan_sha256=hexes("file"),
    change_digest=hexes("change"),
    key_commitment=hexes("commitment"),
    origin="ledger.example/test",
    stack="network/prod",
    state_key=hexes("state"),
    lineage="6c1b7f3a",
    serial=7,
    backend="s3",
    target="123456789012",
    commit="f00d",
    policy=hexes("policy"),
)
REQUEST = Request(
    subject=replace(
        SUBJECT, plan_record="", leaf="", event_root="", plan_sha256=hexes("new"), change_digest=hexes("c2")
    ),
    under={PLANNED: SUBJECT.change_digest},
    changes=True,
    first=False,
    unknown_actions=(),
    unbound=(),
    identities=frozenset({"github:7", "email:author@example.com"}),
    agent=None,
    planned=NOW - MINUTE,
)


def approver(principal: str, key: str = "", **more: Any) -> ApproverKey:
    """Return a line of the approvers file for one principal and key."""
    return ApproverKey(principals=tuple(principal.split(",")), key=key or f"SHA256:{principal}", public="", **more)


ALICE, BOB, CAROL = "alice@example.com", "bob@example.com", "carol@example.com"
RULES = Rules(
    approvals=1,
    allow_self_approval=False,
    expires=timedelta(hours=24),
    bind="changes",
    agents_need_person=True,
    require_touch=False,
    approvers=(approver(ALICE), approver(BOB), approver(CAROL)),
    groups={"dba": (ALICE, BOB), "on-call": (CAROL,)},
    freezes=(),
    break_glass=None,
    identities={},
)
CLEAN = Evaluation(engine="cel", version="1", digest=hexes("policy"), rules=6, findings=())


def vote(principal: str = ALICE, **more: Any) -> Vote:
    """Return an approval of the plan, half an hour old, with what ``more`` says otherwise."""
    made = more.pop("made", NOW - HOUR // 2)
    fields: dict[str, Any] = {
        "id": f"sha256:{hexes(principal + more.get('kind', ''))}",
        "record": None,
        "kind": "approval",
        "subject": SUBJECT,
        "approver": principal,
        "key": f"SHA256:{principal}",
        "signed": True,
        "touched": None,
        "made": made,
        "at": more.pop("at", made),
        "expires": made + 24 * HOUR,
        "position": 40,
    }
    return Vote(**(fields | more))


def about(**fields: Any) -> Subject:
    """Return the plan's subject, but for some fields."""
    return replace(SUBJECT, **fields)


def asks(**fields: Any) -> Request:
    """Return the request, but for some fields; those of its subject as ``subject={…}``."""
    subject = fields.pop("subject", {})
    return replace(REQUEST, subject=replace(REQUEST.subject, **subject), **fields)


def ruled(**fields: Any) -> Rules:
    """Return the rules, but for some fields."""
    return replace(RULES, **fields)


def view(*votes: Vote, used: tuple[Vote, ...] = (), undisclosed: tuple[str, ...] = ()) -> LedgerView:
    """Return a view with these votes, of which some were used."""
    uses = tuple(Use(vote=one.id, intent="intent", position=50) for one in used)
    return LedgerView(size=60, votes=votes, uses=uses, undisclosed=undisclosed)


def found(*findings: Finding, **fields: Any) -> tuple[Evaluation, ...]:
    """Return one evaluation with these findings."""
    return (replace(CLEAN, findings=findings, **fields),)


def decided(
    *votes: Vote,
    request: Request = REQUEST,
    rules: Rules = RULES,
    evaluations: tuple[Evaluation, ...] | None = (CLEAN,),
    used: tuple[Vote, ...] = (),
    now: int = NOW,
) -> Decision:
    """Return the decision on these votes, all else as it should be unless it is given."""
    return decide(request, rules, evaluations, view(*votes, used=used), now)


def codes(decision: Decision) -> set[str]:
    """Return the codes of a decision's reasons."""
    assert decision.allowed == (not decision.reasons)
    assert all("\n" not in reason.message and reason.message for reason in decision.reasons)
    return {reason.code for reason in decision.reasons}
