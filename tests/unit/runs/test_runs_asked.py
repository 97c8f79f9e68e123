"""What is asked about a plan: which record is meant, what it binds, what is shown, and when nothing may be asked."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent))

from gatedplan import REQUEST, STACK, Place, change
from votekit import SUBJECT

from tfaudit.errors import InputError, VerificationError
from tfaudit.gate import document
from tfaudit.gate.model import Reason
from tfaudit.ledger.folder import FolderStore
from tfaudit.runs import asked, ledgers
from tfaudit.signing.signer import create_key_file


@pytest.fixture
def place(tmp_path, monkeypatch, capfd):
    """A new ledger."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return Place(tmp_path / "project")


def about(place, name, kind="approval"):
    """Ask."""
    with place.view() as view:
        return asked.about(view, str(name), kind, cwd=place.folder)


def test_a_plan_file_is_found_by_its_bytes(place):
    """The newest plan record of this very file is meant, from wherever the file lies."""
    place.planned()
    wanted = place.planned()
    place.file.rename(place.folder / "moved.plan")
    found = about(place, "moved.plan")
    assert found.record_id == wanted
    assert found.subject.plan_record == wanted


def test_who_planned_the_file_is_asked_about(place):
    """An apply that was denied leaves a record of its own, without the planner's reason: it is not meant."""
    wanted = place.planned()
    denied = place.planned(again=True, said={"command": {"name": "apply", "options": []}})
    assert about(place, "change.plan").record_id == wanted
    assert about(place, denied).record_id == denied


def test_a_run_is_found_by_the_start_of_its_id(place):
    """Run and record id both lead to the run's plan record."""
    wanted = place.planned()
    run_id = about(place, wanted).run_id
    assert about(place, run_id).record_id == about(place, run_id[:20]).record_id == wanted


def test_what_is_bound_is_the_record_and_its_place(place):
    """The subject is what the gate was told, with leaf, event root and the key's commitment of the record itself."""
    record_id = place.planned()
    subject = about(place, record_id).subject
    entry = place.reader().find(record_id)
    record = place.reader().record(entry.line)
    assert (subject.leaf, subject.event_root) == (entry.line.leaf.hex(), record.event_root.hex())
    assert subject.key_commitment == record.predicate["change"]["key"]["digest"]
    assert subject.change_digest == "c" * 64
    assert (subject.stack, subject.lineage, subject.serial) == (STACK, SUBJECT.lineage, SUBJECT.serial)
    assert (subject.target, subject.commit, subject.policy) == (SUBJECT.target, SUBJECT.commit, SUBJECT.policy)


def test_the_text_tells_who_asks_why_and_what_is_lost_first(place):
    """It holds what the record discloses, made safe, and its digest is what is signed."""
    found = about(place, place.planned())
    text = found.text
    order = [
        "Approve this plan?",
        "github:dora (claimed)",
        "the disk is full\\x1b[2J",
        "OPS-7 (claimed)",
        f"{SUBJECT.commit} github.com/acme/infra net",
        "Destroyed or replaced (1):\n  -/+ aws_x.db replace",
        "Other changes (1):\n  ~ aws_x.web update\n        /size: 1 -> 2",
        "warn    aws_x.db: data would be lost  [no-loss]",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert len(found.shown) == 64
    assert about(place, found.record_id).shown == found.shown
    assert about(place, found.record_id, "rejection").shown != found.shown


def test_an_agent_is_named(place):
    """That a program asks is to be known."""
    text = about(place, place.planned(request=replace(REQUEST, agent="release-bot"))).text
    assert "release-bot, a software agent, for nobody that it names" in text


def test_what_no_approval_can_mend_is_told(place):
    """Why the gate denies it anyway, in words; that approvals are missing goes without saying."""
    reasons = [Reason(code=code, message=f"because of {code}") for code in ("no-approval", "policy-deny", "freeze")]
    text = about(place, place.planned(reasons=reasons)).text
    assert "1 must approve\n" in text
    assert "policy-deny: because of policy-deny\n" in text
    assert "freeze: because of freeze\n" in text
    assert "no-approval" not in text
    many = [Reason(code="policy-deny", message=f"rule {number}") for number in range(30)]
    assert "and 20 reasons more" in about(place, place.planned(reasons=many)).text


def test_a_plan_without_a_gate_is_not_asked_about(place):
    """Where no gate was in force nothing binds the plan."""
    with pytest.raises(InputError, match="made without a gate"):
        about(place, place.planned(gated=False))


def test_a_plan_whose_key_is_gone_can_not_be_approved(place):
    """After the apply the change key is erased; to say no it is not needed."""
    record_id = place.planned(key=None)
    for kind in ("approval", "break-glass"):
        with pytest.raises(InputError, match="can't be approved any more"):
            about(place, record_id, kind)
    assert about(place, record_id, "rejection").record_id == record_id


def test_a_plan_whose_basis_is_not_disclosed_is_told_so(place):
    """An approver with another working store sees nothing to approve."""
    with pytest.raises(InputError, match="is not disclosed here"):
        about(place, place.planned(disclosed=False))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stack", {"stack": "another/stack"}),
        ("commit", {"source": {"commit": "0" * 40}}),
        ("plan file", {"plan": {"sha256": "0" * 64}}),
        ("serial", {"state": {"key": SUBJECT.state_key, "before": {"lineage": SUBJECT.lineage, "serial": 1}}}),
        ("lineage", {"state": {"key": SUBJECT.state_key, "before": {"lineage": "other", "serial": SUBJECT.serial}}}),
        ("state", {"state": {"key": "0" * 64}}),
    ],
)
def test_a_record_that_contradicts_itself_is_not_asked_about(place, name, said):
    """What the gate was told must be what the record says: else it asks for one thing and records another."""
    with pytest.raises(VerificationError, match=f"contradicts itself about its {name} "):
        about(place, place.planned(said=said))


def test_a_staged_record_by_an_unknown_key_is_not_asked_about(place):
    """What no commit holds must be signed by an accepted key to be seen at all."""
    ledger = ledgers.open_ledger(place.config, place.world, stage_only=True)
    wanted = place.planned(ledger=ledger)
    assert about(place, wanted).record_id == wanted
    staged = next(Path(place.config.ledger).rglob(f"{wanted}.jsonl"))
    stranger = create_key_file(place.folder / "stranger.pem")
    forged = _signed_by(staged.read_bytes(), stranger)
    staged.unlink()
    FolderStore(Path(place.config.ledger)).create(str(staged.relative_to(place.config.ledger)), forged)
    with pytest.raises(InputError, match="no run or record"):
        about(place, wanted)


def _signed_by(content, signer):
    from tfaudit.signing import envelope

    line, _, rest = content.partition(b"\n")
    return envelope.seal(envelope.parse(line).payload, signer) + b"\n" + rest


def test_altered_events_are_noticed(place):
    """The events that are shown are those that the record signs."""
    record_id = place.planned()
    path = next(Path(place.config.ledger).rglob(f"{record_id}.jsonl"))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"aws_x.db", b"aws_x.ok"))
    with pytest.raises(VerificationError):
        about(place, record_id)


def test_a_review_is_of_the_intent(place):
    """What is reviewed is the run's intent, by its own leaf, and such a word is well-formed."""
    record_id = place.planned(kind="intent")
    found = about(place, record_id, "review")
    assert found.subject.plan_record == found.record_id == record_id
    assert "outcome" in found.text
    word = document.Word(
        kind="review",
        subject=found.subject,
        approver="bob",
        reason=None,
        made=1,
        expires=2,
        nonce="0" * 32,
        shown=found.shown,
        intent=record_id,
    )
    assert document.parse(document.build(word)) == word


def test_only_break_glass_runs_are_reviewed(place):
    """A run that broke no glass has nothing to review, and a plan file is no run."""
    with pytest.raises(InputError, match="broke no glass"):
        about(place, place.planned(kind="intent", broken=False), "review")
    with pytest.raises(InputError, match="has no intent"):
        about(place, place.planned(), "review")
    with pytest.raises(InputError, match="is a file"):
        about(place, "change.plan", "review")


def test_what_is_not_there_is_named(place):
    """A file that was planned elsewhere, an unknown run, a name that is neither."""
    (place.folder / "other.plan").write_bytes(b"other")
    with pytest.raises(InputError, match=r"no record of the plan file .*other\.plan"):
        about(place, "other.plan")
    with pytest.raises(InputError, match="no run or record"):
        about(place, "0000")
    with pytest.raises(InputError, match=r"there is no plan file .*gone\.plan"):
        about(place, "gone.plan")


def test_a_big_plan_is_shown_in_bounds(place):
    """Hundreds of changes give a text with counts."""
    many = [change(f"aws_x.r{number}", ("delete",), before={"a": 1}) for number in range(400)]
    text = about(place, place.planned(*many)).text
    assert "Destroyed or replaced (400):" in text
    assert "  and 200 more: 200 to delete\n" in text
