"""Does verify hold runs to the configuration that was pinned at their place in the log?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from electionkit import ALICE, BOB, HOUR, RULES, STACK, Election
from ledgerkit import make

from tfaudit.config.gating import BreakGlass, GateRule, GateSettings, StackGate
from tfaudit.gate import bundle as bundles
from tfaudit.gate import inforce
from tfaudit.gate.bundle import Bundle
from tfaudit.ledger import ids, pinned
from tfaudit.ledger.verify import Report, verify
from tfaudit.ledger.verify.findings import Finding

NOT_GATED = {"decision": {"decision": "not-gated", "reasons": []}}
Pin = Callable[..., str]


@pytest.fixture
def election(tmp_path: Path) -> Election:
    """Return a ledger in which nothing was planned yet."""
    return Election(make(tmp_path))


@pytest.fixture
def pin(election: Election) -> Pin:
    """Return a function that pins a bundle and has the runs go by it; it returns the record's id."""

    def push(**gate: object) -> str:
        settings = bundles.whole(GateSettings(**{"approvals": 1, "groups": {"on-call": (BOB.name,)}, **gate}))  # type: ignore[arg-type]
        lines = "".join(f"{who.name} {who.ssh.text}\n" for who in (ALICE, BOB))
        text = bundles.build(Bundle(origin=election.place.genesis().origin, gate=settings, approvers=lines))
        keys = election.ledger.keys()
        receipt = election.ledger.change_keys(
            replace(keys, generation=keys.generation + 1), election.place.root, {}, bundle=text
        )
        found = pinned.in_force(election.reader())
        assert found is not None
        election.rules = inforce.least_rules(found, STACK) or RULES
        return receipt.record_id

    return push


def check(election: Election) -> Report:
    """Verify the ledger."""
    return verify(election.place.evidence, election.place.working, now=election.now, processes=1)


def only(election: Election) -> Finding:
    """Return the one finding."""
    (finding,) = check(election).findings
    return finding


def ungated(election: Election, command: str = "apply", stack: str = STACK) -> str:
    """Append a run that says it was not gated, and return where its intent is."""
    with election.ledger.draft("intent") as draft:
        facts = {"stack": stack, "command": {"name": command, "options": []}, "state": election.state()}
        intent = election.ledger.append(draft, {**facts, **NOT_GATED})
    election.close(intent)
    return intent.key


def test_an_approved_run_by_the_pinned_rules_is_fine(election: Election, pin: Pin) -> None:
    """The rules that the run records are those of the bundle."""
    pin()
    subject = election.plan()
    election.vote(ALICE, subject)
    election.apply(subject)
    assert check(election).findings == ()


def test_a_run_that_says_it_was_not_gated_is_seen(election: Election, pin: Pin) -> None:
    """Where the bundle gates its stack; before it was pinned there was no gate, and operations have none."""
    ungated(election)
    pin()
    where = ungated(election)
    ungated(election, "import")
    assert (only(election).code, only(election).where) == ("unapproved-change", where)


def test_a_state_that_is_put_in_a_gated_ones_place_is_told_of(election: Election, pin: Pin) -> None:
    """What led to it may have gone past tfaudit, and its serial is explained. Where nothing is gated it is fine."""
    ungated(election, "state push")
    pin()
    where = ungated(election, "state push")
    ungated(election, "state mv")
    found = only(election)
    assert (found.code, found.severity, found.where) == ("decision-unchecked", "warning", where)
    assert "state push" in found.message


def test_another_name_for_the_same_state_is_no_way_around(election: Election, pin: Pin) -> None:
    """A repository that calls itself otherwise is still the stack that its state was last applied as."""
    pin(approvals=0, stacks=(StackGate(pattern=STACK, gate=GateSettings(approvals=1)),))
    subject = election.plan()
    election.vote(ALICE, subject)
    election.apply(subject)
    where = ungated(election, stack="playground")
    assert (only(election).code, only(election).where) == ("unapproved-change", where)


@pytest.mark.parametrize("looser", [{"approvals": 0}, {"allow_self_approval": True}, {"pinned": None}])
def test_looser_rules_than_the_pinned_ones_are_seen(election: Election, pin: Pin, looser: dict[str, object]) -> None:
    """A run can't choose by which rules it is judged."""
    pin()
    subject = election.plan()
    election.vote(ALICE, subject)
    election.rules = replace(election.rules, **looser)  # type: ignore[arg-type]
    election.apply(subject)
    assert only(election).code == "unapproved-change"
    assert "looser" in only(election).message


def test_another_approvers_list_than_the_pinned_one_is_seen(election: Election, pin: Pin) -> None:
    """A pull request that adds its author to the approvers changes nothing."""
    pin()
    subject = election.plan()
    election.vote(ALICE, subject)
    election.rules = replace(election.rules, approvers=(*(election.rules.approvers or ()), replace(BOB.line, key="x")))
    election.apply(subject)
    assert "approvers" in only(election).message


def test_a_bundle_that_was_never_pinned_is_not_believed(election: Election) -> None:
    """Break-glass comes from a pinned bundle alone, and the log knows of none."""
    glass = BreakGlass(groups=("on-call",), review_within=RULES.expires)
    election.rules = replace(RULES, break_glass=glass, pinned="019ca8ed-0000-7000-8000-0000000000ff")
    subject = election.plan()
    election.vote(ALICE, subject)
    election.apply(subject)
    assert "none was in force" in only(election).message


@pytest.mark.parametrize(("hours", "problem"), [(48, None), (47, None), (49, "by when"), (None, "by when")])
def test_a_broken_glass_is_reviewed_in_the_time_that_is_pinned(
    election: Election, pin: Pin, hours: int | None, problem: str | None
) -> None:
    """`log --overdue` goes by what the run says: it can give itself no longer."""
    pin(break_glass=BreakGlass(groups=("on-call",), review_within=timedelta(hours=48)))
    subject = election.plan()
    election.vote(BOB, subject, "break-glass")
    decision, text = election.decide(subject, break_glass=True)
    claim: dict[str, object] = {"approvals": [vote.id for vote in decision.counted], "break_glass": True}
    if hours is not None:
        claim["review_by"] = ids.time_text(election.now + hours * HOUR)
    election.apply(subject, text=text, claim=claim)
    if problem is None:
        assert check(election).findings == ()
    else:
        assert problem in only(election).message


def test_the_bundle_at_the_intents_place_counts(election: Election, pin: Pin) -> None:
    """What is pinned later changes no decision before."""
    pin()
    subject = election.plan()
    election.vote(ALICE, subject)
    election.apply(subject)
    pin(approvals=2)
    assert check(election).findings == ()
    late = election.plan()
    election.vote(ALICE, late)
    election.apply(late)
    assert "quorum" in only(election).message


def test_rules_of_policy_have_to_have_been_evaluated(election: Election, pin: Pin) -> None:
    """As many as the bundle has, at least."""
    pin(rules=tuple(GateRule(name=f"r{n}", when="true", approvals=1) for n in range(4)))
    subject = election.plan()
    election.vote(ALICE, subject)
    election.apply(subject)
    assert "fewer rules" in only(election).message


def test_a_bundle_that_is_gone_leaves_the_question_open(election: Election, pin: Pin) -> None:
    """Without what was pinned nobody can tell; that it is gone is a finding of its own."""
    record = pin()
    ungated(election)
    election.place.working.remove(ids.disclosure_key(record))
    assert {finding.code for finding in check(election).findings} == {"missing-disclosure", "decision-unchecked"}
