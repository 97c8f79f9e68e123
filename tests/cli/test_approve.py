"""``tfaudit approve`` and ``reject``: shown, asked, signed with real keys, and in the ledger or in a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "unit" / "runs"))

from gatedplan import REQUEST, STACK, Place, as_json, rules, run
from opensshkit import KINDS, a_key, needs_openssh, new_key, public, public_text
from votekit import WORD, plain

from tfaudit import canonical, schema
from tfaudit.gate import document
from tfaudit.signing.signer import create_key_file
from tfaudit.signing.sshkeys import of_public

pytestmark = needs_openssh
TFAUDIT = Path(sys.executable).with_name("tfaudit")


@pytest.fixture
def place(tmp_path, monkeypatch, capfd):
    """A ledger with a gate that Alice and Bob approve at, and nobody's agent."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    found = Place(tmp_path / "project")
    found.gate(("alice@example.com", a_key()), ("bob", a_key(name="two")))
    monkeypatch.setenv("TFAUDIT_STACK", STACK)
    capfd.readouterr()
    return found


def voted(place, kind="approval"):
    """Return the last vote of a kind in the log."""
    record, text = place.records(kind)[-1]
    return record, document.vote_of(text, at=0, position=0)


def key_of(path):
    """Return the options that name a key and ask nothing."""
    return ("--key", str(path), "--yes")


def test_an_approval_is_in_the_ledger(place, capfd):
    """It names plan, person and key, refers to the plan's leaf, and says so in one line."""
    record_id = place.planned()
    code, out, err = run(capfd, "approve", "change.plan", *key_of(a_key()), "--reason", "looked at it")
    record, vote = voted(place)
    assert code == 0, err
    assert out.startswith("approved as alice@example.com, valid until ")
    assert out.endswith(f", as record {record.record_id}\n")
    assert (vote.kind, vote.signed, vote.approver) == ("approval", True, "alice@example.com")
    assert (vote.key, vote.subject.plan_record) == (public(a_key()).fingerprint, record_id)
    assert record.refers == vote.subject.leaf == place.reader().find(record_id).line.leaf.hex()
    assert vote.expires - vote.made == 24 * 3600 * 1000
    entry = json.loads(run(capfd, "log", "-n", "1", "--json")[1])
    assert (entry["summary"], entry["actor"]["principal"]) == (
        f"approval of plan {record_id}",
        "email:alice@example.com",
    )
    schema.validate("log-entry.v1", entry)


def test_what_was_shown_is_what_is_signed(place, capfd):
    """The digest in the document is that of the text on the screen."""
    place.planned()
    code, found = as_json(capfd, "approve", "change.plan", *key_of(a_key()))
    _, _, err = run(capfd, "approve", "change.plan", *key_of(a_key()))
    text = err.partition("\n\ntfaudit:")[0].rstrip("\n") + "\n"
    assert code == 0
    assert found["shown"] == canonical.sha256_hex(text.encode())


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_key_approves(place, capfd, kind):
    """Ed25519, ECDSA of three curves, RSA."""
    place.gate(("alice", a_key(kind)))
    place.planned()
    code, found = as_json(capfd, "approve", "change.plan", *key_of(a_key(kind)))
    assert (code, found["key"]) == (0, public(a_key(kind)).fingerprint)
    assert voted(place)[1].signed


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p256"])
def test_a_pem_key_approves_by_its_openssh_name(place, capfd, algorithm):
    """A ``file:`` key stands in the approvers file as an OpenSSH public key."""
    key = of_public(create_key_file(place.folder / "me.pem", algorithm=algorithm).public)
    place.gate(f"alice {key.text}")
    place.planned()
    for name in ("me.pem", f"file:{place.folder / 'me.pem'}"):
        code, found = as_json(capfd, "approve", "change.plan", *key_of(name))
        assert (code, found["key"]) == (0, key.fingerprint)
    assert voted(place)[1].signed


def test_the_agents_key_approves(place, capfd, tmp_path, monkeypatch):
    """The public key's file is enough where the agent has the other half."""
    socket = tmp_path / "agent.sock"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert agent.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(["ssh-add", "-q", str(a_key())], check=True, stdin=subprocess.DEVNULL)
        (tmp_path / "mine.pub").write_text(public_text(a_key()))
        place.planned()
        for name in (tmp_path / "mine.pub", f"ssh:{public(a_key()).fingerprint}"):
            code, found = as_json(capfd, "approve", "change.plan", *key_of(name))
            assert (code, found["approver"]) == (0, "alice@example.com")
    finally:
        agent.terminate()
        agent.wait()


def test_the_json_is_of_its_schema(place, capfd):
    """One object on stdout, the text on stderr."""
    record_id = place.planned()
    code, found = as_json(capfd, "approve", record_id, *key_of(a_key()))
    record, vote = voted(place)
    schema.validate("vote.v1", found)
    assert code == 0
    assert (found["vote"], found["record_id"], found["plan_record"]) == (vote.id, record.record_id, record_id)
    assert (found["carried"], found["file"], found["stack"]) == (True, None, STACK)


def test_a_rejection_is_in_the_ledger(place, capfd):
    """Likewise, as a record of its own kind."""
    record_id = place.planned()
    code, out, _ = run(capfd, "reject", "change.plan", *key_of(a_key(name="two")), "--reason", "not on a Friday")
    record, vote = voted(place, "rejection")
    assert (code, out.startswith("rejected as bob")) == (0, True)
    assert (record.kind, vote.kind, vote.subject.plan_record) == ("rejection", "rejection", record_id)


def test_out_writes_a_file_and_nothing_else(place, capfd):
    """The file holds the signed word; the ledger does not, until somebody brings it."""
    place.planned()
    size = place.reader().state.size
    code, found = as_json(capfd, "approve", "change.plan", *key_of(a_key()), "--out", "approval.json")
    schema.validate("vote.v1", found)
    envelope = (place.folder / "approval.json").read_bytes().removesuffix(b"\n")
    schema.validate("approval-file.v1", json.loads(envelope))
    assert code == 0
    assert (found["record_id"], found["carried"]) == (None, None)
    assert document.open_envelope(envelope).id == found["vote"]
    assert place.reader().state.size == size
    code, _, err = run(capfd, "approve", "change.plan", *key_of(a_key()), "--out", "approval.json")
    assert (code, "is there already" in err) == (64, True)


def test_out_needs_no_key_of_the_ledger(place, capfd):
    """Who can write nothing to the ledger can still approve by a file, and is told so."""
    place.planned()
    (place.folder / ".tfaudit/keys").rename(place.folder / "elsewhere")
    code, _, err = run(capfd, "approve", "change.plan", *key_of(a_key()))
    assert (code, "--out FILE" in err) == (78, True)
    assert run(capfd, "approve", "change.plan", *key_of(a_key()), "--out", "approval.json")[0] == 0


def test_how_long_it_is_valid_may_be_said(place, capfd):
    """--expires counts from now; nonsense is a usage error."""
    place.planned()
    run(capfd, "approve", "change.plan", *key_of(a_key()), "--expires", "90m")
    vote = voted(place)[1]
    assert vote.expires - vote.made == 90 * 60 * 1000
    code, _, err = run(capfd, "approve", "change.plan", *key_of(a_key()), "--expires", "tomorrow")
    assert (code, '--expires is "tomorrow", which is no duration' in err) == (64, True)


def test_a_token_in_the_reason_is_left_out(place, capfd):
    """What somebody pasted there by mistake is neither signed nor kept."""
    place.planned()
    token = "ghp_" + "a1B2" * 9
    code, _, err = run(capfd, "approve", "change.plan", *key_of(a_key()), "--reason", f"see {token} there")
    _, text = place.records("approval")[-1]
    assert (code, "looks like a secret" in err) == (0, True)
    assert document.open_envelope(text).word.reason == "see [redacted] there"


def test_the_gates_own_time_is_the_usual_one(place, capfd):
    """Without --expires it is valid as long as the gate lets it."""
    place.gate(("alice", a_key()), text='approvals = 1\nexpires = "2h"')
    place.planned()
    run(capfd, "approve", "change.plan", *key_of(a_key()))
    vote = voted(place)[1]
    assert vote.expires - vote.made == 2 * 3600 * 1000


def test_a_key_that_is_not_listed_is_refused(place, capfd):
    """78, with the file and the line to add; nothing is signed."""
    place.planned()
    code, _, err = run(capfd, "approve", "change.plan", *key_of(a_key("p256")))
    assert code == 78
    assert str(place.folder / "approvers") in err
    assert public_text(a_key("p256")) in err
    assert place.records("approval") == []


def test_the_approvers_of_the_plan_stand_in_for_missing_ones(place, capfd, tmp_path, monkeypatch):
    """From a folder without a configuration, the plan's own record says who may approve."""
    recorded = rules(f"carol {public_text(a_key())}", expires=timedelta(hours=3))
    record_id = place.planned(recorded=recorded)
    monkeypatch.chdir(tmp_path)
    stores = ["--ledger", place.config.ledger, "--working", place.config.working]
    code, found = as_json(capfd, *stores, "approve", record_id, *key_of(a_key()), "--out", "approval.json")
    assert (code, found["approver"]) == (0, "carol")
    code, _, err = run(capfd, *stores, "approve", record_id, *key_of(a_key("p256")), "--out", "other.json")
    assert (code, "the approvers that the plan was made under" in err) == (78, True)


def test_a_key_of_two_people_needs_a_name(place, capfd):
    """--as says who approves."""
    place.gate(("alice,bob", a_key()))
    place.planned()
    code, _, err = run(capfd, "approve", "change.plan", *key_of(a_key()))
    assert (code, "listed for alice, bob" in err) == (64, True)
    assert run(capfd, "approve", "change.plan", *key_of(a_key()), "--as", "bob")[0] == 0
    assert voted(place)[1].approver == "bob"


def test_approving_ones_own_plan_is_warned_of(place, capfd):
    """It is signed all the same: the gate decides."""
    place.planned(request=replace(REQUEST, identities=frozenset({"email:alice@example.com"})))
    code, found = as_json(capfd, "approve", "change.plan", *key_of(a_key()))
    assert (code, len(found["warnings"])) == (0, 1)
    _, _, err = run(capfd, "approve", "change.plan", *key_of(a_key()))
    assert "warning: you had a part in this yourself" in err


def test_break_glass_is_a_word_of_its_own(place, capfd):
    """Valid for an hour at most, told as what it is."""
    place.planned()
    code, out, err = run(capfd, "approve", "change.plan", *key_of(a_key()), "--break-glass")
    record, vote = voted(place)
    assert (code, record.kind, vote.kind) == (0, "approval", "break-glass")
    assert "Break the glass" in err
    assert "signed to break the glass as" in out
    assert vote.expires - vote.made == 3600 * 1000
    code, _, err = run(capfd, "approve", "change.plan", *key_of(a_key()), "--break-glass", "--expires", "2h")
    assert (code, "an hour at most" in err) == (65, True)


def test_a_break_glass_run_is_reviewed(place, capfd):
    """The review is of the intent, and refers to its leaf."""
    record_id = place.planned(kind="intent")
    code, out, err = run(capfd, "approve", "--review", record_id, *key_of(a_key(name="two")))
    record, vote = voted(place, "review")
    assert code == 0, err
    assert out == f"reviewed as bob, as record {record.record_id}\n"
    assert (vote.intent, record.refers) == (record_id, place.reader().find(record_id).line.leaf.hex())
    assert run(capfd, "approve", "--review", "--break-glass", record_id, *key_of(a_key()))[0] == 64


def test_who_broke_the_glass_is_no_reviewer(place, capfd):
    """Whose word the run went ahead on is shown, and warned."""
    word = document.vote_of(plain(replace(WORD, kind="break-glass", approver="bob")), at=0, position=0)
    record_id = place.planned(kind="intent", votes=(word,))
    code, _, err = run(capfd, "approve", "--review", record_id, *key_of(a_key(name="two")))
    assert code == 0
    assert "word by    bob (break-glass)" in err
    assert "warning: you had a part in this yourself" in err
    _, _, err = run(capfd, "approve", "--review", record_id, *key_of(a_key()))
    assert "warning" not in err


def test_without_a_terminal_yes_is_needed(place):
    """A script must say that it means it."""
    place.planned()
    done = subprocess.run(
        [TFAUDIT, "approve", "change.plan", "--key", a_key()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (64, "")
    assert "--yes" in done.stderr
    assert place.records("approval") == []


@pytest.mark.parametrize(
    ("answer", "code"), [("yes\n", 0), ("no\n", 1), ("y\n", 1), ("Yes\n", 1), ("\n", 1), ("\x04", 1)]
)
def test_on_a_terminal_only_yes_signs(place, answer, code):
    """Anything else ends with 1, and nothing is signed."""
    place.planned()
    ours, theirs = os.openpty()
    child = subprocess.Popen(
        [TFAUDIT, "approve", "change.plan", "--key", a_key()],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    out, err = child.communicate(timeout=60)
    os.close(ours)
    assert child.returncode == code
    assert err.startswith("Approve this plan?\n")
    assert f"Type yes to sign as alice@example.com with the key {public(a_key()).fingerprint}: " in err
    assert ("nothing was signed" in err) is (code == 1)
    assert out.startswith("approved as") is (code == 0)
    assert len(place.records("approval")) == (1 if code == 0 else 0)


def test_a_passphrase_is_asked_for_on_the_terminal(place, tmp_path):
    """The whole of it as a person has it: the text, the question, ssh-keygen's own prompt, and the approval."""
    path = new_key(tmp_path / "locked", passphrase="pass phrase")
    place.gate(("alice", path))
    place.planned()
    pid, terminal = os.forkpty()
    if not pid:
        os.execv(TFAUDIT, ["tfaudit", "approve", "change.plan", "--key", str(path)])
    seen = b""
    answers = {b"Type yes to sign": b"yes\n", b"Enter passphrase": b"pass phrase\n"}
    with suppress(OSError):  # the end of a terminal's output
        while part := os.read(terminal, 65536):
            seen += part
            for question in [question for question in answers if question in seen]:
                os.write(terminal, answers.pop(question))
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, seen
    assert not answers
    assert b"approved as alice" in seen
    assert voted(place)[1].signed


def test_a_plan_that_nobody_gated_is_not_approved(place, capfd):
    """65, and why."""
    place.planned(gated=False)
    code, _, err = run(capfd, "approve", "change.plan", *key_of(a_key()))
    assert (code, "made without a gate" in err) == (65, True)


def test_verify_takes_votes_as_they_are(place, capfd):
    """Approvals, rejections and reviews leave a ledger without findings of their own."""
    place.planned()
    run(capfd, "approve", "change.plan", *key_of(a_key()))
    run(capfd, "reject", "change.plan", *key_of(a_key(name="two")))
    _, report = as_json(capfd, "verify")
    assert [one for one in report["findings"] if one["severity"] == "error"] == []
