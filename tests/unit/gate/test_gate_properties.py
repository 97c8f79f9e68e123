"""That the gate errs to one side only, whatever it is given."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from decidekit import ALICE, BOB, CAROL, HOUR, MINUTE, NOW, PLANNED, REQUEST, RULES, SUBJECT, approver, hexes, vote
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


def altered(**choices: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return up to two fields with other values: what is built with them mostly is as it should be."""
    one = st.sampled_from(sorted(choices)).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from(choices[name]))
    )
    return st.one_of(st.just({}), st.just({}), st.lists(one, max_size=2).map(dict))


# Small pools, so that things meet: a random digest would never equal another.
subjects = altered(
    plan_record=[OTHER, ""],
    change_digest=[hexes("else")],
    plan_sha256=[hexes("new")],
    serial=[6],
    stack=["network/dev"],
)
times = altered(
    made=[NOW, NOW - 1, NOW - 20 * MINUTE, NOW - 25 * HOUR, NOW + 6 * MINUTE], at=[NOW], expires=[NOW, NOW + 1]
)
defects = altered(signed=[False], touched=[True, False], position=[None, 40, 41, 42], key=["SHA256:shared"])


@st.composite
def votes(draw: st.DrawFn, kinds: tuple[str, ...] = ("approval", "approval", "rejection", "break-glass")) -> Vote:
    """Return a vote that has a fair chance of counting."""
    return vote(
        draw(st.sampled_from(PEOPLE)),
        id=f"sha256:{draw(st.integers(0, 11)):064x}",
        kind=draw(st.sampled_from(kinds)),
        subject=replace(SUBJECT, **draw(subjects)),
        **draw(times),
        **draw(defects),
    )


lines = st.lists(
    st.builds(
        approver,
        st.sampled_from([*PEOPLE, f"{ALICE},{BOB}"]),
        st.sampled_from(["", "", "SHA256:shared"]),
        valid_before=st.sampled_from([None, None, NOW - MINUTE]),
    ),
    max_size=4,
)
freezes = st.builds(
    lambda start, hours: Freeze(name="f", start=start, end=start + timedelta(hours=hours)),
    st.datetimes(datetime(2026, 2, 28), datetime(2026, 3, 2), timezones=st.just(UTC)),
    st.integers(0, 30),
)
glass = BreakGlass(groups=("on-call", "dba"), review_within=timedelta(hours=1))


@st.composite
def ruleses(draw: st.DrawFn) -> Rules:
    """Return rules under which votes have a fair chance."""
    known = draw(st.sampled_from([RULES.approvers, RULES.approvers, (), None]))
    more = draw(lines)
    fields = draw(
        altered(
            allow_self_approval=[True],
            bind=["planfile"],
            agents_need_person=[False],
            require_touch=[True],
            identities=[{"al": (f"email:{ALICE}", "github:7")}, {"al": (f"email:{ALICE}", f"email:{BOB}")}],
        )
    )
    return replace(
        RULES,
        groups=GROUPS,
        approvers=None if known is None and not more else (*(known or ()), *more),
        approvals=draw(st.sampled_from([0, 1, 1, 1, 2, 2, 3])),
        freezes=tuple(draw(st.lists(freezes, max_size=1))),
        break_glass=draw(st.sampled_from([None, glass, glass])),
        pinned=draw(st.sampled_from([None, "pinned", "pinned"])),
        **fields,
    )


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Return a request that approvals of the plan may serve."""
    subject = replace(REQUEST.subject, **draw(altered(serial=[6], plan_sha256=[hexes("file")])))
    fields = draw(
        altered(
            under=[{}, {OTHER: SUBJECT.change_digest}, {PLANNED: hexes("else")}],
            changes=[False],
            first=[True],
            unknown_actions=[("a.b",)],
            unbound=[("x",)],
            identities=[frozenset(), frozenset({f"email:{BOB}", "os:x"})],
            agent=["claude"],
        )
    )
    return replace(REQUEST, subject=subject, break_glass=draw(st.booleans()), **fields)


findings = st.builds(
    Finding,
    rule=st.just("r"),
    severity=st.sampled_from(["warn", "warn", "require", "require", "deny"]),
    message=st.just("m"),
    approvals=st.integers(0, 3),
    groups=st.sampled_from([(), ("dba",), ("none",)]),
)
evaluations = st.builds(
    Evaluation,
    engine=st.just("cel"),
    version=st.just("1"),
    digest=st.just(hexes("policy")),
    rules=st.sampled_from([3] * 6 + [0]),
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
    st.lists(votes(), min_size=1, max_size=6),
    st.one_of(st.just(set()), st.sets(st.integers(0, 11), max_size=2)),
    st.sampled_from([()] * 8 + [("record",)]),
)
cases = st.tuples(requests(), ruleses(), st.lists(evaluations, max_size=1).map(tuple), views)
Case = tuple[Request, Rules, tuple[Evaluation, ...], LedgerView]


def allowed(case: tuple[Any, ...]) -> bool:
    """Decide, and hold the decision to its own form."""
    decision = decide(*case, NOW)
    assert decision.allowed == (not decision.reasons)
    assert all(reason.message and "\n" not in reason.message for reason in decision.reasons)
    return decision.allowed


@given(cases, st.lists(votes(("approval", "break-glass")), min_size=1, max_size=3))
@settings(max_examples=120, deadline=None)
def test_more_approvals_never_turn_leave_into_a_denial(case: Case, more: list[Vote]) -> None:
    """Whatever else is there, wherever the further approvals stand in the view."""
    *rest, view = case
    if allowed(case):
        assert allowed((*rest, replace(view, votes=(*more, *view.votes))))


@given(cases, st.data())
@settings(max_examples=120, deadline=None)
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
@settings(max_examples=120, deadline=None)
def test_more_rejections_never_turn_a_denial_into_leave(case: Case, more: list[Vote], unreadable: bool) -> None:
    """Also one that nobody can read."""
    *rest, view = case
    if not allowed(case):
        gone = (*view.undisclosed, "gone") if unreadable else view.undisclosed
        assert not allowed((*rest, replace(view, votes=(*view.votes, *more), undisclosed=gone)))


@given(cases, st.lists(findings, max_size=2), st.lists(evaluations, max_size=1))
@settings(max_examples=80, deadline=None)
def test_more_findings_never_turn_a_denial_into_leave(
    case: Case, more: list[Finding], evaluated: list[Evaluation]
) -> None:
    """Of the rules that are there and of further ones."""
    request, rules, before, view = case
    if not allowed(case):
        after = tuple(replace(one, findings=(*one.findings, *more)) for one in before)
        assert not allowed((request, rules, (*after, *evaluated), view))


@given(cases, st.lists(freezes, min_size=1, max_size=2))
@settings(max_examples=60, deadline=None)
def test_more_freezes_never_turn_a_denial_into_leave(case: Case, more: list[Freeze]) -> None:
    """Whenever they are."""
    request, rules, evaluated, view = case
    if not allowed(case):
        assert not allowed((request, replace(rules, freezes=(*rules.freezes, *more)), evaluated, view))


@given(cases, st.sets(st.integers(0, 11), min_size=1))
@settings(max_examples=80, deadline=None)
def test_more_uses_never_turn_a_denial_into_leave(case: Case, used: set[int]) -> None:
    """Whichever votes they consume."""
    *rest, view = case
    if not allowed(case):
        more = tuple(Use(vote=f"sha256:{one:064x}", intent="j", position=3) for one in sorted(used))
        assert not allowed((*rest, replace(view, uses=view.uses + more)))


@given(cases, st.integers(0, 3))
@settings(max_examples=60, deadline=None)
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
@settings(max_examples=80, deadline=None)
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
@settings(max_examples=80, deadline=None)
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
