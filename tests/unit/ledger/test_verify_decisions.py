"""Does verify make each decision once more, and does it see through what a run claims?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from electionkit import ALICE, BOB, HOUR, POLICY, RULES, Election, erase
from ledgerkit import make

from tfaudit.gate import basis
from tfaudit.gate.basis import Basis
from tfaudit.gate.model import Subject
from tfaudit.ledger import erasing, ids
from tfaudit.ledger.verify import Report, verify
from tfaudit.policy.model import Evaluation, Finding


@pytest.fixture
def election(tmp_path: Path) -> Election:
    """Return a ledger in which nothing was planned yet."""
    return Election(make(tmp_path))


def check(election: Election, **options: Any) -> Report:
    """Verify the ledger."""
    place = election.place
    return verify(place.evidence, place.working, now=election.now, processes=1, **options)


def codes(election: Election, **options: Any) -> list[str]:
    """Return the codes of the findings."""
    return [finding.code for finding in check(election, **options).findings]


def altered(election: Election, approved: Subject, **fields: Any) -> bytes:
    """Return what the next decision rests on, told otherwise."""
    found = basis.decode(election.decide(approved)[1])
    return told(replace(found, **fields))


def told(found: Basis) -> bytes:
    """Return the text of a basis that claims to have allowed."""
    from tfaudit.gate.model import Decision

    return basis.encode(
        decided=found.decided,
        request=found.request,
        rules=found.rules,
        evaluations=found.evaluations,
        votes=found.votes,
        decision=Decision(allowed=True, reasons=(), required=0),
    )


def test_an_approved_run_is_fine(election: Election) -> None:
    """Plan, approval, intent, outcome: the decision comes out again."""
    subject = election.plan()
    election.vote(ALICE, subject)
    election.apply(subject)
    election.plan()
    assert check(election).ok
    assert codes(election) == []


def test_later_words_change_nothing(election: Election) -> None:
    """A rejection after the intent, and the approval's expiry, do not make the run wrong."""
    subject = election.plan()
    election.vote(ALICE, subject)
    election.apply(subject)
    election.vote(BOB, subject, "rejection")
    election.place.clock.advance(days=400)
    assert codes(election) == []


def test_a_run_without_approval_that_claims_to_be_allowed(election: Election) -> None:
    """The log has no vote, whatever the run says."""
    intent = election.apply(election.plan())
    (finding,) = check(election).findings
    assert (finding.code, finding.severity, finding.where) == ("unapproved-change", "error", intent.key)
    assert "no-approval" in finding.message


def test_an_approval_that_the_log_does_not_hold_is_not_believed(election: Election) -> None:
    """A vote that stands in the basis alone counts for nothing."""
    subject = election.plan()
    election.vote(ALICE, subject)
    (vote,) = election.view().votes
    other = election.plan(plan_sha256="7" * 64)
    invented = replace(vote, subject=other, position=None, record=None)
    found = basis.decode(election.decide(other)[1])
    election.apply(other, text=told(replace(found, votes=(invented,))), claim={"approvals": [vote.id]})
    assert codes(election) == ["unapproved-change"]


def test_a_second_use_is_seen(election: Election) -> None:
    """Two applies under one approval: the second was not allowed."""
    subject = election.plan()
    election.vote(ALICE, subject)
    first, second = election.intend(subject), election.intend(subject)
    election.close(first)
    election.serial -= 1
    election.close(second)
    (finding,) = check(election).findings
    assert (finding.code, finding.where) == ("unapproved-change", second.key)
    assert "already-used" in finding.message


def test_the_loser_of_two_that_did_not_start_is_fine(election: Election) -> None:
    """Whoever came second and stopped did right."""
    subject = election.plan()
    election.vote(ALICE, subject)
    first, second = election.intend(subject), election.intend(subject)
    election.close(first)
    election.close(second, "not-started", state=None)
    assert codes(election) == []


@pytest.mark.parametrize("closings", [("applied", "not-started"), ("not-started", "applied"), ("denied",)])
def test_a_run_that_takes_back_what_it_did_is_seen(election: Election, closings: tuple[str, ...]) -> None:
    """Only who never says anything else than to have changed nothing is believed to have done nothing."""
    intent = election.intend(election.plan())
    for status in closings:
        election.close(intent, status)
    assert codes(election) == ["unapproved-change"]


def test_a_run_that_lost_a_moment_ago_is_given_time_to_say_so(election: Election) -> None:
    """For an hour it is a warning that nothing tells whether it went on; then it is an error."""
    subject = election.plan()
    election.vote(ALICE, subject)
    election.close(election.intend(subject))
    election.serial -= 1
    election.intend(subject)

    def found() -> dict[str, str]:
        return {finding.code: finding.severity for finding in check(election).findings}

    assert found() == {"open-run": "warning", "unapproved-change": "warning"}
    election.place.clock.advance(hours=2)
    assert found() == {"open-run": "warning", "unapproved-change": "error"}


def test_another_stacks_run_uses_nothing_up(election: Election) -> None:
    """Though it names the approval and the state."""
    subject = election.plan()
    election.vote(ALICE, subject)
    (vote,) = election.view().votes
    with election.ledger.draft("intent") as draft:
        facts = {"stack": "network/dev", "state": election.state()}
        decision = {"decision": "not-gated", "reasons": [], "approvals": [vote.id]}
        other = election.ledger.append(draft, {**facts, "decision": decision})
    election.close(other, "not-started")
    election.apply(subject)
    assert codes(election) == []


def test_a_rejection_before_the_intent_is_seen(election: Election) -> None:
    """Also where the run decided before it came."""
    subject = election.plan()
    election.vote(ALICE, subject)
    text = election.decide(subject)[1]
    election.vote(BOB, subject, "rejection")
    election.apply(subject, text=text)
    (finding,) = check(election).findings
    assert finding.code == "unapproved-change"
    assert "rejected" in finding.message


def test_a_run_that_does_not_name_its_approvals_is_seen(election: Election) -> None:
    """Else they could be used again."""
    subject = election.plan()
    election.vote(ALICE, subject)
    election.apply(subject, claim={"approvals": []})
    assert codes(election) == ["unapproved-change"]


@pytest.mark.parametrize(
    "claim",
    [
        {"rules": "0" * 64},
        {"bundle": "019ca8ed-0000-7000-8000-0000000000ff"},
        {"policy": []},
        {"change_digest": "0" * 64},
        {"break_glass": True},
        {"basis": None},
        {"basis": "0" * 64},
    ],
)
def test_a_decision_that_contradicts_what_it_rests_on_is_seen(election: Election, claim: dict[str, Any]) -> None:
    """The record's own words have to be those of its basis."""
    subject = election.plan()
    election.vote(ALICE, subject)
    election.apply(subject, claim=claim)
    assert "unapproved-change" in codes(election)


@pytest.mark.parametrize(
    "fields",
    [
        {"serial": 2},
        {"stack": "network/dev"},
        {"state_key": "6" * 64},
        {"origin": "ledger.example/other"},
        {"plan_sha256": "0" * 64},
        {"change_digest": "0" * 64},
    ],
)
def test_a_basis_about_something_else_is_seen(election: Election, fields: dict[str, Any]) -> None:
    """Stack, state, version, plan file and changes are the record's own."""
    subject = election.plan()
    election.vote(ALICE, subject)
    request = election.request(subject)
    text = altered(election, subject, request=replace(request, subject=replace(request.subject, **fields)))
    election.apply(subject, text=text)
    assert codes(election) == ["unapproved-change"]


def test_a_policy_that_denied_is_seen(election: Election) -> None:
    """A run that records a finding and goes on was not allowed."""
    subject = election.plan()
    election.vote(ALICE, subject)
    denied = replace(POLICY[0], findings=(Finding(rule="r", severity="deny", message="m"),))
    told_of = [
        {"engine": "cel", "version": "1", "digest": "8" * 64, "rules": 3, "denied": 1, "required": 0, "warned": 0}
    ]
    text = altered(election, subject, evaluations=(denied,))
    election.apply(subject, text=text, claim={"policy": told_of})
    (finding,) = check(election).findings
    assert "policy-deny" in finding.message


@pytest.mark.parametrize("absent", ["request", "rules", "evaluations"])
def test_what_was_not_known_can_not_have_allowed(election: Election, absent: str) -> None:
    """Each part has to be there."""
    subject = election.plan()
    election.vote(ALICE, subject)
    claim = {"rules": {"rules": None, "bundle": None}, "evaluations": {"policy": []}}.get(absent, {})
    election.apply(subject, text=altered(election, subject, **{absent: None}), claim=claim)
    assert codes(election) == ["unapproved-change"]


def test_a_basis_that_is_none_is_seen(election: Election) -> None:
    """Another text in its place is no ground."""
    subject = election.plan()
    election.vote(ALICE, subject)
    election.apply(subject, text=b'"trust me"')
    assert codes(election) == ["unapproved-change"]


def test_a_decision_can_not_be_dated_back(election: Election) -> None:
    """An approval that is expired when the intent is made does not count, though the run says it decided before."""
    subject = election.plan()
    election.vote(ALICE, subject)
    text = election.decide(subject)[1]
    election.place.clock.advance(hours=25)
    election.apply(subject, text=text)
    assert codes(election) == ["unapproved-change"]


def test_an_undisclosed_basis_is_a_warning(election: Election) -> None:
    """Without what it rests on nobody can tell; that it is gone without a record is an error of its own."""
    subject = election.plan()
    election.vote(ALICE, subject)
    intent = election.apply(subject)
    election.place.working.remove(ids.disclosure_key(intent.record_id))
    found = {finding.code: finding.severity for finding in check(election).findings}
    assert found == {"missing-disclosure": "error", "decision-unchecked": "warning"}


def test_an_undisclosed_vote_is_a_warning(election: Election) -> None:
    """The basis says what the vote was; whether it was signed nobody can see any more."""
    subject = election.plan()
    vote = election.vote(ALICE, subject)
    election.apply(subject)
    election.place.working.remove(ids.disclosure_key(vote.record_id))
    assert codes(election) == ["missing-disclosure", "decision-unchecked"]


def test_without_disclosures_decisions_are_not_looked_at(election: Election) -> None:
    """Whoever verifies the evidence alone is not told of what it can't show."""
    election.apply(election.plan())
    report = verify(election.place.evidence, None, now=election.now, processes=1)
    assert report.findings == ()


def test_growth_alone_knows_the_votes_from_before(election: Election) -> None:
    """A check of what came after a checkpoint finds approvals and uses that lie before it."""
    subject = election.plan()
    election.vote(ALICE, subject)
    kept = check(election).checkpoint
    assert kept is not None
    first = election.intend(subject)
    election.close(first)
    assert codes(election, since=kept.encode()) == []
    later = check(election).checkpoint
    assert later is not None
    election.serial -= 1
    second = election.intend(subject)
    election.close(second)
    report = check(election, since=later.encode())
    assert [(finding.code, finding.where) for finding in report.findings] == [("unapproved-change", second.key)]


def test_an_erased_change_key_is_fine_where_the_outcome_states_it(election: Election) -> None:
    """Everything else of the file still opens, and its digest is the one that the outcome names."""
    subject = election.plan()
    election.vote(ALICE, subject)
    intent = election.intend(subject)
    erasure = erasing.prepare(election.place.working, subject.plan_record, "/change/key")
    assert erasure is not None
    election.close(intent, erased=[erasure.statement()])
    assert codes(election) == []
    erasure.carry_out(election.place.working)
    assert codes(election) == []
    assert erasing.prepare(election.place.working, subject.plan_record, "/change/key") is None


def test_a_change_key_that_should_be_gone_is_told_of(election: Election) -> None:
    """An outcome says that it was erased, and two days later it is still there: until it is erased."""
    subject = election.plan()
    election.vote(ALICE, subject)
    intent = election.intend(subject)
    erasure = erasing.prepare(election.place.working, subject.plan_record, "/change/key")
    assert erasure is not None
    election.close(intent, erased=[erasure.statement()])
    election.place.clock.advance(days=3)
    (finding,) = check(election).findings
    assert (finding.code, finding.severity) == ("not-erased", "warning")
    assert finding.where == ids.disclosure_key(subject.plan_record)
    erasure.carry_out(election.place.working)
    assert codes(election) == []


@pytest.mark.parametrize("stated", [None, {"pointer": "/vote"}, {"disclosures": "0" * 64}, {"record": "x"}])
def test_an_erased_change_key_is_told_of_otherwise(election: Election, stated: dict[str, str] | None) -> None:
    """Without a statement, or with one of something else."""
    subject = election.plan()
    election.vote(ALICE, subject)
    intent = election.intend(subject)
    erasure = erasing.prepare(election.place.working, subject.plan_record, "/change/key")
    assert erasure is not None
    election.close(intent, **({} if stated is None else {"erased": [{**erasure.statement(), **stated}]}))
    erasure.carry_out(election.place.working)
    assert codes(election) == ["altered-disclosure"]


def test_no_outcome_can_state_that_a_vote_was_erased(election: Election) -> None:
    """Only a plan's change key is let go that way."""
    subject = election.plan()
    rejection = election.vote(BOB, subject, "rejection")
    erasure = erasing.prepare(election.place.working, rejection.record_id, "/vote")
    assert erasure is not None
    with election.ledger.draft("outcome") as draft:
        stated = {**erasure.statement(), "pointer": "/change/key"}
        election.ledger.append(draft, {"erased": [stated], "result": {"status": "not-started"}})
    erase(election.place, rejection.record_id, "/vote")
    assert codes(election) == ["altered-disclosure"]


def test_votes_older_than_the_rules_allow_do_not_count(election: Election) -> None:
    """The window is the rules' own."""
    subject = election.plan()
    election.vote(ALICE, subject)
    election.place.clock.advance(hours=3)
    election.rules = replace(RULES, expires=RULES.expires / 12)
    election.apply(subject)
    (finding,) = check(election).findings
    assert "no-approval" in finding.message
    assert HOUR


def test_something_else_than_was_shown_is_seen(election: Election) -> None:
    """The digest of the changes may be the approved one: what people saw are the plan record's events."""
    subject = election.plan(shows="small")
    election.vote(ALICE, subject)
    intent = election.intend(subject, does="huge")
    election.close(intent)
    (finding,) = check(election).findings
    assert (finding.code, finding.where) == ("unapproved-change", intent.key)
    assert "a.b" in finding.message


def test_a_vote_on_what_was_not_shown_makes_no_other_one_wrong(election: Election) -> None:
    """Enough people saw what was done; that one of them was lied to is no fault of the run."""
    honest, lie = election.plan(shows="small"), election.plan(shows="harmless")
    election.vote(ALICE, honest)
    election.vote(BOB, lie)
    under = {honest.plan_record: honest.change_digest, lie.plan_record: lie.change_digest}
    decision, text = election.decide(honest, under=under)
    claim = {"approvals": [vote.id for vote in decision.counted]}
    assert len(claim["approvals"]) == 2
    election.apply(honest, claim=claim, text=text)
    assert codes(election) == []


def test_an_approval_that_came_between_decision_and_intent_is_no_fault(election: Election) -> None:
    """The intent names what it rests on, and uses that alone."""
    subject = election.plan()
    election.vote(ALICE, subject)
    decision, text = election.decide(subject)
    election.vote(BOB, subject)
    election.apply(subject, claim={"approvals": [vote.id for vote in decision.counted]}, text=text)
    assert codes(election) == []


@pytest.mark.parametrize("fields", [{"leaf": "0" * 64}, {"event_root": "0" * 64}])
def test_an_approval_of_another_record_than_the_one_it_names_is_seen(
    election: Election, fields: dict[str, str]
) -> None:
    """Leaf and event root are what the person signed for."""
    subject = election.plan()
    election.vote(ALICE, replace(subject, **fields))
    election.apply(subject)
    assert codes(election) == ["unapproved-change"]


def test_an_approval_of_a_record_that_is_not_there_is_seen(election: Election) -> None:
    """Nobody can have seen it."""
    subject = replace(election.plan(), plan_record=ids.new_record_id(election.now, election.place.entropy))
    election.vote(ALICE, subject)
    election.apply(subject)
    assert codes(election) == ["unapproved-change"]


def test_evaluations_are_compared_one_by_one(election: Election) -> None:
    """An engine more in the basis than in the record is a contradiction."""
    subject = election.plan()
    election.vote(ALICE, subject)
    more = (*POLICY, Evaluation(engine="opa", version="1", digest="9" * 64, rules=1, findings=()))
    election.apply(subject, text=altered(election, subject, evaluations=more))
    assert codes(election) == ["unapproved-change"]
