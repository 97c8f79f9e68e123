"""What people really sign, as the log holds it and the gate judges it: real keys, a real log, the real decision."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent))

from gatedplan import REQUEST, STACK, Place, rules, run
from opensshkit import a_key, needs_openssh, public, public_text, signature

from tfaudit import canonical
from tfaudit.errors import InputError
from tfaudit.gate import document
from tfaudit.gate.decide import decide
from tfaudit.ledger import ids, votes
from tfaudit.policy.model import Evaluation
from tfaudit.runs import ballot, ledgers, planrecord, voting
from tfaudit.signing import b64
from tfaudit.signing.person import Signature, open_person

pytestmark = needs_openssh
ALICE, BOB = a_key(), a_key(name="two")
PASSED = (Evaluation(engine="cel", version="1", digest="0" * 64, rules=1, findings=()),)


def line(name, path, options=""):
    """Return a line of the approvers file."""
    return f"{name} {options}{' ' if options else ''}{public_text(path)}"


BOTH = f"{line('alice@example.com', ALICE)}\n{line('bob@example.com', BOB)}"


@pytest.fixture
def place(tmp_path, monkeypatch, capfd):
    """A ledger with one gated plan in it."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    found = Place(tmp_path / "project")
    found.gate(*BOTH.splitlines())
    found.wanted = found.planned()
    return found


def judged(place, text=BOTH, *, later=timedelta(0), under="c" * 64, **more):
    """Return the codes for which the plan is denied now; none: it may be applied."""
    with place.view() as view:
        planned = planrecord.find(view, place.wanted, "plan", cwd=place.folder)
    now = ids.milliseconds(datetime.now(UTC) + later)
    request = replace(planned.request, under={place.wanted: under})
    subject = request.subject
    seen = votes.view(
        place.reader(),
        stack=STACK,
        state_key=subject.state_key,
        since=now - 86_400_000,
        now=ids.milliseconds(datetime.now(UTC)),
    )
    decision = decide(request, rules(text, **more), PASSED, seen, now)
    assert decision.allowed is not bool(decision.reasons)
    return {reason.code for reason in decision.reasons}


def approve(place, capfd, path, *more, verb="approve"):
    """Vote on the command line."""
    code, _, err = run(capfd, verb, place.wanted, "--key", str(path), "--yes", *more)
    assert code == 0, err


def test_an_approval_opens_the_gate(place, capfd):
    """Without it the plan is denied, with it allowed."""
    assert judged(place) == {"no-approval"}
    approve(place, capfd, ALICE)
    assert judged(place) == set()


def test_a_rejection_closes_it_again(place, capfd):
    """Whoever of the approvers says no."""
    approve(place, capfd, ALICE)
    approve(place, capfd, BOB, verb="reject")
    assert "rejected" in judged(place)


def test_a_staged_rejection_counts(place, capfd):
    """Before any commit holds it."""
    approve(place, capfd, ALICE)
    approve(place, capfd, BOB, "--out", "no.json", verb="reject")
    envelope, _ = voting.import_vote(place.folder / "no.json", at=0)
    receipt = voting.carry(ledgers.open_ledger(place.config, place.world, stage_only=True), envelope)
    assert receipt.position is None
    assert "rejected" in judged(place)


def test_a_file_that_is_carried_twice_is_one_vote(place, capfd):
    """The same word counts once, however often it comes."""
    approve(place, capfd, ALICE, "--out", "yes.json")
    envelope, _ = voting.import_vote(place.folder / "yes.json", at=0)
    for _ in range(2):
        voting.carry(ledgers.open_ledger(place.config, place.world), envelope)
    assert len(place.records("approval")) == 2
    assert judged(place) == set()
    assert judged(place, approvals=2) == {"quorum"}


def test_an_approval_of_another_change_does_not_count(place, capfd):
    """The digest of what would be done now must be the one that was approved."""
    approve(place, capfd, ALICE)
    assert "other-plan" in judged(place, under="d" * 64)


def test_an_approval_expires(place, capfd):
    """By its own word, and by the gate's rules whatever it says."""
    approve(place, capfd, ALICE, "--expires", "1h")
    assert judged(place, later=timedelta(minutes=59)) == set()
    assert "expired" in judged(place, later=timedelta(minutes=61))
    assert "expired" in judged(place, later=timedelta(minutes=11), expires=timedelta(minutes=10))


def test_a_key_that_was_taken_off_the_list_does_not_count(place, capfd):
    """The list as it is now decides."""
    approve(place, capfd, ALICE)
    assert "unknown-approver" in judged(place, line("bob@example.com", BOB))


@pytest.mark.parametrize(
    ("options", "code"), [("valid-after=29990101Z", "not-yet-valid"), ("valid-before=20200101Z", "unknown-approver")]
)
def test_a_key_outside_of_its_time_does_not_count(place, capfd, options, code):
    """Judged at the time when the store took it."""
    approve(place, capfd, ALICE)
    assert code in judged(place, line("alice@example.com", ALICE, options))


def test_a_key_for_other_signatures_does_not_count(place, capfd):
    """A line whose namespaces leave approvals out is no approver's."""
    approve(place, capfd, ALICE)
    assert "unknown-approver" in judged(
        place, f"{line('alice@example.com', ALICE, 'namespaces=git')}\n{BOTH.splitlines()[1]}"
    )


def test_one_key_of_two_people_is_one_approval(place, capfd):
    """Signing once as each of them makes no two."""
    shared = line("alice@example.com,bob@example.com", ALICE)
    place.gate(shared)
    approve(place, capfd, ALICE, "--as", "alice@example.com")
    approve(place, capfd, ALICE, "--as", "bob@example.com")
    assert judged(place, shared) == set()
    assert judged(place, shared, approvals=2) == {"quorum"}


def test_two_keys_of_one_person_are_one_approval(place, capfd):
    """By one principal, or by two that [identities] joins."""
    twice = f"{line('alice@example.com', ALICE)}\n{line('alice@example.com', BOB)}"
    place.gate(*twice.splitlines())
    approve(place, capfd, ALICE)
    approve(place, capfd, BOB)
    assert judged(place, twice, approvals=2) == {"quorum"}
    joined = {"alice": ("email:alice@example.com", f"ssh:{public(BOB).fingerprint}")}
    assert judged(place, twice, approvals=2, identities=joined) == {"quorum"}


def test_two_people_with_two_keys_are_two(place, capfd):
    """The quorum is met."""
    approve(place, capfd, ALICE)
    assert judged(place, approvals=2) == {"quorum"}
    approve(place, capfd, BOB)
    assert judged(place, approvals=2) == set()


def test_ones_own_plan_is_not_ones_to_approve(place, capfd):
    """Under whatever name."""
    place.wanted = place.planned(request=replace(REQUEST, identities=frozenset({"email:alice@example.com"})))
    approve(place, capfd, ALICE)
    assert "self-approval" in judged(place)
    assert judged(place, allow_self_approval=True) == set()


def test_without_a_token_a_required_touch_is_missing(place, capfd):
    """An Ed25519 key in a file was touched by nobody."""
    approve(place, capfd, ALICE)
    assert "no-touch" in judged(place, require_touch=True)


def _forged(place, change):
    """Put a word that Mallory signed in Alice's name into the log, as a carrier with the record key could."""
    with place.view() as view:
        prepared = ballot.prepare(
            place.config, place.world, view, place.wanted, "approval", key=str(ALICE), principal=None, lasts=None
        )
    word, envelope = ballot.sign(prepared, place.world, None)
    voting.carry(ledgers.open_ledger(place.config, place.world), change(word, envelope))


def test_a_carrier_can_not_sign_for_somebody(place):
    """A word by a key that is not listed for its principal."""
    mallory = a_key("p256")

    def change(word, _envelope):
        return voting.sign(word, open_person(str(mallory), base=place.folder))

    _forged(place, change)
    assert "unknown-approver" in judged(place)


def test_a_carrier_can_not_alter_a_word(place):
    """The signature is over something else then."""

    def change(word, envelope):
        signed = canonical.decode(envelope, what="it")["signatures"]
        payload = document.build(replace(word, expires=word.expires + 1))
        return canonical.encode(
            {"payload": b64.encode(payload), "payloadType": document.PAYLOAD_TYPE, "signatures": signed}
        )

    _forged(place, change)
    assert "bad-signature" in judged(place)


def test_what_was_signed_for_git_is_no_approval(place):
    """The namespace is part of the signature."""

    def change(word, _envelope):
        payload = document.build(word)
        armored = signature(ALICE, document.signed_bytes(payload), "git")
        return document.seal(payload, Signature(key=public(ALICE), sshsig=armored))

    _forged(place, change)
    assert "bad-signature" in judged(place)


def test_a_word_on_a_plan_of_another_ledger_is_not_found(place, tmp_path, capfd):
    """A plan of another ledger has no record here to approve."""
    other = Place(tmp_path / "other")
    other.gate(*BOTH.splitlines())
    with place.view() as view, pytest.raises(InputError, match="no run or record"):
        planrecord.find(view, other.planned(), "plan", cwd=other.folder)
