"""That the gate errs to one side only, whatever it is given."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gatekit import ALICE, BOB, CAROL, HOUR, MINUTE, NOW, PLANNED, REQUEST, RULES, SUBJECT, approver, hexes, vote
from hypothesis import given, settings
from hypothesis import strategies as st

from tfaudit.config.gating import BreakGlass, Freeze
from tfaudit.gate import basis
from tfaudit.gate.decide import decide
from tfaudit.gate.model import LedgerView, Request, Rules, Use, Vote
from tfaudit.policy.model import Evaluation, Finding

PEOPLE = (ALICE, BOB, CAROL, "dan@example.com")
OTHER = PLANNED.replace("-7000-", "-7111-")
GROUPS = {"dba": (ALICE, BOB), "on-call": (CAROL,), "none": ()}

# Small pools, so that things meet: a random digest would never equal another.
subjects = st.builds(
    lambda **fields: replace(SUBJECT, **fields),
    plan_record=st.sampled_from([PLANNED, PLANNED, PLANNED, OTHER, ""]),
    change_digest=st.sampled_from([SUBJECT.change_digest] * 4 + [hexes("else")]),
    plan_sha256=st.sampled_from([hexes("file"), hexes("new")]),
    serial=st.sampled_from([7, 7, 7, 6]),
    stack=st.sampled_from(["network/prod"] * 5 + ["network/dev"]),
)


@st.composite
def votes(draw: st.DrawFn, kinds: tuple[str, ...] = ("approval", "approval", "rejection", "break-glass")) -> Vote:
    """Return a vote that has a fair chance of counting."""
    made = NOW - draw(st.sampled_from([0, 1, 10 * MINUTE, 20 * MINUTE, 25 * HOUR, -6 * MINUTE]))
    return vote(
        draw(st.sampled_from(PEOPLE)),
        id=f"sha256:{draw(st.integers(0, 11)):064x}",
        kind=draw(st.sampled_from(kinds)),
        key=draw(st.sampled_from(["SHA256:shared", *(f"SHA256:{one}" for one in PEOPLE)])),
        subject=draw(subjects),
        signed=draw(st.sampled_from([True] * 6 + [False])),
        touched=draw(st.sampled_from([None, True, False])),
        made=made,
        at=draw(st.sampled_from([made, NOW])),
        expires=draw(st.sampled_from([made + 24 * HOUR, NOW, NOW + 1])),
        position=draw(st.sampled_from([None, 40, 41, 42])),
    )


approvers = st.lists(
    st.builds(
        approver,
        st.sampled_from([*PEOPLE, f"{ALICE},{BOB}"]),
        st.sampled_from(["", "", "SHA256:shared"]),
        valid_before=st.sampled_from([None, None, NOW - MINUTE]),
    ),
    max_size=6,
)
freezes = st.builds(
    lambda start, hours: Freeze(name="f", start=start, end=start + timedelta(hours=hours)),
    st.datetimes(datetime(2026, 2, 28), datetime(2026, 3, 2), timezones=st.just(UTC)),
    st.integers(0, 30),
)
ruleses = st.builds(
    lambda lines, more, **fields: replace(
        RULES, groups=GROUPS, approvers=(*RULES.approvers, *lines) if more else tuple(lines), **fields
    ),  # type: ignore[misc]
    approvers,
    st.booleans(),
    approvals=st.integers(0, 3),
    allow_self_approval=st.booleans(),
    bind=st.sampled_from(["changes", "changes", "planfile"]),
    agents_need_person=st.booleans(),
    require_touch=st.sampled_from([False, False, True]),
    freezes=st.lists(freezes, max_size=1).map(tuple),
    break_glass=st.sampled_from([None, BreakGlass(groups=("on-call",), review_within=timedelta(hours=1))]),
    pinned=st.sampled_from([None, "pinned", "pinned"]),
    identities=st.sampled_from(
        [{}, {"al": (f"email:{ALICE}", "github:7")}, {"al": (f"email:{ALICE}", f"email:{BOB}")}]
    ),
)
requests = st.builds(
    lambda serial, sha, **fields: replace(
        REQUEST, subject=replace(REQUEST.subject, serial=serial, plan_sha256=sha), **fields
    ),
    st.sampled_from([7, 7, 7, 6]),
    st.sampled_from([hexes("file"), hexes("new")]),
    under=st.dictionaries(st.sampled_from([PLANNED, OTHER]), st.sampled_from([hexes("change")] * 3 + [hexes("else")])),
    changes=st.sampled_from([True] * 6 + [False]),
    first=st.sampled_from([False] * 5 + [True]),
    unknown_actions=st.sampled_from([()] * 6 + [("a.b",)]),
    unbound=st.sampled_from([()] * 6 + [("x",)]),
    identities=st.sets(st.sampled_from(["github:7", f"email:{BOB}", "os:x"])).map(frozenset),
    agent=st.sampled_from([None, None, "claude"]),
    break_glass=st.booleans(),
)
findings = st.builds(
    Finding,
    rule=st.just("r"),
    severity=st.sampled_from(["warn", "require", "require", "deny"]),
    message=st.just("m"),
    approvals=st.integers(0, 3),
    groups=st.sampled_from([(), ("dba",), ("none",)]),
)
evaluations = st.builds(
    Evaluation,
    engine=st.just("cel"),
    version=st.just("1"),
    digest=st.just(hexes("policy")),
    rules=st.sampled_from([3, 3, 3, 3, 0]),
    findings=st.lists(findings, max_size=1).map(tuple),
    error=st.sampled_from([None] * 6 + ["e"]),
)
views = st.builds(
    lambda votes, used, gone: LedgerView(
        size=60,
        votes=tuple(votes),
        uses=tuple(Use(vote=f"sha256:{one:064x}", intent="i", position=None) for one in used),
        undisclosed=gone,
    ),
    st.lists(votes(), max_size=6),
    st.sets(st.integers(0, 11), max_size=2),
    st.sampled_from([()] * 8 + [("record",)]),
)
cases = st.tuples(requests, ruleses, st.lists(evaluations, max_size=2).map(tuple), views)
Case = tuple[Request, Rules, tuple[Evaluation, ...], LedgerView]


def allowed(case: tuple[Any, ...]) -> bool:
    """Decide, and hold the decision to its own form."""
    decision = decide(*case, NOW)
    assert decision.allowed == (not decision.reasons)
    assert all(reason.message and "\n" not in reason.message for reason in decision.reasons)
    return decision.allowed


@given(cases, st.lists(votes(("approval", "break-glass")), min_size=1, max_size=3))
@settings(max_examples=250, deadline=None)
def test_more_approvals_never_turn_leave_into_a_denial(case: Case, more: list[Vote]) -> None:
    """Whatever else is there, wherever the further approvals stand in the view."""
    *rest, view = case
    if allowed(case):
        assert allowed((*rest, replace(view, votes=(*more, *view.votes))))


@given(cases, st.data())
@settings(max_examples=250, deadline=None)
def test_better_evidence_never_turns_leave_into_a_denial(case: Case, data: st.DataObject) -> None:
    """A signature that verifies, a touch that is proven, a key that can be compared with, an input that is bound."""
    request, rules, evaluated, view = case
    if not allowed(case):
        return
    better = tuple(
        replace(one, signed=True, touched=True) if one.kind in {"approval", "break-glass"} else one
        for one in view.votes
    )
    under = {**{PLANNED: SUBJECT.change_digest}, **request.under}
    mended = replace(request, unbound=(), unknown_actions=())
    assert allowed((mended, rules, evaluated, replace(view, votes=better)))
    named = {one.subject.plan_record for one in view.votes if one.kind == "rejection"}
    if PLANNED not in named:
        assert allowed((replace(mended, under=under), rules, evaluated, view))
    fewer = data.draw(st.sampled_from([(), evaluated[:1]])) if evaluated else ()
    assert allowed((request, rules, fewer, view))


@given(cases, st.lists(votes(("rejection",)), min_size=1, max_size=2), st.booleans())
@settings(max_examples=250, deadline=None)
def test_more_rejections_never_turn_a_denial_into_leave(case: Case, more: list[Vote], unreadable: bool) -> None:
    """Also one that nobody can read."""
    *rest, view = case
    if not allowed(case):
        gone = (*view.undisclosed, "gone") if unreadable else view.undisclosed
        assert not allowed((*rest, replace(view, votes=(*view.votes, *more), undisclosed=gone)))


@given(cases, st.lists(findings, max_size=2), st.lists(evaluations, max_size=1))
@settings(max_examples=200, deadline=None)
def test_more_findings_never_turn_a_denial_into_leave(
    case: Case, more: list[Finding], evaluated: list[Evaluation]
) -> None:
    """Of the rules that are there and of further ones."""
    request, rules, before, view = case
    if not allowed(case):
        after = tuple(replace(one, findings=(*one.findings, *more)) for one in before)
        assert not allowed((request, rules, (*after, *evaluated), view))


@given(cases, st.lists(freezes, min_size=1, max_size=2))
@settings(max_examples=150, deadline=None)
def test_more_freezes_never_turn_a_denial_into_leave(case: Case, more: list[Freeze]) -> None:
    """Whenever they are."""
    request, rules, evaluated, view = case
    if not allowed(case):
        assert not allowed((request, replace(rules, freezes=(*rules.freezes, *more)), evaluated, view))


@given(cases, st.sets(st.integers(0, 11), min_size=1))
@settings(max_examples=200, deadline=None)
def test_more_uses_never_turn_a_denial_into_leave(case: Case, used: set[int]) -> None:
    """Whichever votes they consume."""
    *rest, view = case
    if not allowed(case):
        more = tuple(Use(vote=f"sha256:{one:064x}", intent="j", position=3) for one in sorted(used))
        assert not allowed((*rest, replace(view, uses=view.uses + more)))


@given(cases, st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_what_is_absent_denies(case: Case, which: int) -> None:
    """Any of the four, whatever the others say."""
    given_ = list(case)
    given_[which] = None  # type: ignore[call-overload]
    assert not allowed(tuple(given_))


anything = st.text(max_size=12)
wild = st.builds(
    lambda case, **fields: (case, fields),
    cases,
    text=anything,
    number=st.integers(),
    span=st.timedeltas(),
    moment=st.datetimes(),
)


@given(wild)
@settings(max_examples=200, deadline=None)
def test_nothing_makes_it_raise(given_: tuple[Case, dict[str, Any]]) -> None:
    """Whatever texts, numbers, spans and moments stand where only sensible ones should."""
    (request, rules, evaluated, view), odd = given_
    text, number = odd["text"], odd["number"]
    subject = replace(request.subject, plan_record=text, change_digest=text, stack=text, serial=number, state_key=None)
    odd_vote = vote(
        text, subject=subject, key=text, made=number, at=number, expires=number, source=text, position=number
    )
    rules = replace(
        rules,
        approvals=number,
        expires=odd["span"],
        freezes=(*rules.freezes, Freeze(name=text, start=odd["moment"], end=odd["moment"])),
        groups={text: (text,)},
        identities={text: (text,), "": ()},
        approvers=(approver(text, text or "k", valid_after=number),),
        evidence=(text,),
        break_glass=BreakGlass(groups=(text,), review_within=odd["span"]),
    )
    request = replace(request, subject=subject, under={text: text}, identities=frozenset({text}), agent=text)
    allowed((request, rules, evaluated, replace(view, votes=(odd_vote, replace(odd_vote, kind="rejection")))))
    decide(request, rules, evaluated, view, number)


@given(cases)
@settings(max_examples=200, deadline=None)
def test_a_basis_reads_back_and_decides_alike(case: Case) -> None:
    """What is written down of a decision is enough to recompute it."""
    request, rules, evaluated, view = case
    decision = decide(request, rules, evaluated, view, NOW)
    text = basis.encode(
        decided=NOW, request=request, rules=rules, evaluations=evaluated, votes=view.votes, decision=decision
    )
    read = basis.decode(text)
    assert (read.request, read.rules, read.evaluations, read.votes) == (request, rules, evaluated, view.votes)
    assert read.votes is not None
    again = decide(read.request, read.rules, read.evaluations, replace(view, votes=read.votes), read.decided)
    assert (again, read.reasons) == (decision, decision.reasons)
    assert basis.digest(rules) == basis.digest(read.rules or rules)
