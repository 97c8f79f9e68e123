"""Bringing a person's word into the ledger: by their own key, carried by another's, or from a file, if it is good."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent))

from gatedplan import STACK, Place
from opensshkit import a_key, needs_openssh, public
from votekit import SUBJECT, WORD, by_ssh, plain

from tfaudit import schema
from tfaudit.errors import ConfigError, InputError
from tfaudit.gate import document
from tfaudit.ledger.keyset import AcceptedSigner
from tfaudit.runs import ledgers, voting
from tfaudit.signing import statement
from tfaudit.signing.person import open_person
from tfaudit.signing.signer import open_signer
from tfaudit.signing.sshkeys import record_key

ON_STACK = replace(WORD, subject=replace(SUBJECT, stack=STACK))


@pytest.fixture
def place(tmp_path, monkeypatch, capfd):
    """A new ledger."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return Place(tmp_path / "project")


def accept(place, path, *, as_signer=False):
    """Put a key in force for approvals, or for all records."""
    ledger = ledgers.open_ledger(place.config, place.world)
    keys = ledger.keys()
    key = record_key(public(path))
    if as_signer:
        keys = replace(keys, signers=(*keys.signers, AcceptedSigner(public=key, writers=("people",))))
    else:
        keys = replace(keys, approvers=(*keys.approvers, key))
    root = open_signer("file:.tfaudit/keys/root.pem", base=place.folder)
    ledger.change_keys(replace(keys, generation=keys.generation + 1), root, {})


def cast(place, envelope, path):
    """Put a word into the ledger, as ``approve`` does."""
    person = open_person(str(path), base=place.folder)
    return voting.cast(place.config, place.world, place.reader().state.keys, envelope, person)


@pytest.mark.parametrize(
    ("kind", "record"), [("approval", "approval"), ("break-glass", "approval"), ("rejection", "rejection")]
)
def test_a_word_is_carried_as_it_is(place, kind, record):
    """The record commits to the very envelope, says what it refers to and that another brought it; schemas hold."""
    envelope = plain(replace(ON_STACK, kind=kind))
    ledger = ledgers.open_ledger(place.config, place.world)
    receipt = voting.carry(ledger, envelope)
    ((found, text),) = place.records(record)
    assert found.record_id == receipt.record_id
    assert text == envelope
    assert (found.refers, found.predicate["stack"], found.predicate["carrier"]) == (SUBJECT.leaf, STACK, True)
    schema.validate("record-statement.v1", json.loads(found.envelope.payload))
    assert statement.parse(found.envelope.payload).predicate["actor"].keys() == {"digest"}
    assert document.vote_of(text, at=1, position=receipt.position).signed


def test_the_locked_store_holds_no_name(place):
    """Who approved and why stands in the disclosure alone, and can be erased."""
    voting.carry(ledgers.open_ledger(place.config, place.world), plain(ON_STACK))
    stored = b"".join(path.read_bytes() for path in Path(place.config.ledger).rglob("*") if path.is_file())
    assert b"alice" not in stored
    assert b"window" not in stored


def test_nothing_but_a_word_is_carried(place):
    """What is no approval is refused before anything is written."""
    ledger = ledgers.open_ledger(place.config, place.world)
    with pytest.raises(InputError):
        voting.carry(ledger, b"{}")
    assert place.records("approval") == []


@needs_openssh
def test_a_key_that_the_ledger_knows_not_is_carried(place):
    """Where the person's key can't sign records, the configured one does, under the approvers' prefix."""
    done = cast(place, by_ssh(ON_STACK, a_key("rsa")), a_key("rsa"))
    ((found, _),) = place.records("approval")
    assert done.carried
    assert (found.writer, found.predicate["carrier"]) == ("people", True)
    assert found.envelope.keyid == open_signer(place.config.signer_record, base=place.folder).public.keyid


@needs_openssh
@pytest.mark.parametrize("kind", ["ed25519", "p256"])
@pytest.mark.parametrize("as_signer", [True, False])
def test_an_accepted_key_signs_its_own_record(place, kind, as_signer):
    """An approver's key signs outside as well, and nobody carries."""
    path = a_key(kind)
    accept(place, path, as_signer=as_signer)
    done = cast(place, by_ssh(ON_STACK, path), path)
    ((found, _),) = place.records("approval")
    assert not done.carried
    assert found.envelope.keyid == record_key(public(path)).keyid
    assert "carrier" not in found.predicate
    assert found.signed_under(place.reader().state.keys) is True


@needs_openssh
def test_an_approver_without_any_other_key_stages(place):
    """Someone who holds neither record key nor log key leaves the record for the next commit, and it comes in."""
    path = a_key()
    accept(place, path)
    keys = place.folder / ".tfaudit/keys"
    hidden = keys.rename(place.folder / ".tfaudit/elsewhere")
    done = cast(place, by_ssh(ON_STACK, path), path)
    assert (done.carried, done.receipt.position) == (False, None)
    waiting = place.reader().staged(2**41, limit=10)
    assert [one.record_id for one in waiting] == [done.receipt.record_id]
    hidden.rename(keys)
    ledgers.open_ledger(place.config, place.world).sequence()
    assert [found.record_id for found, _ in place.records("approval")] == [done.receipt.record_id]


@needs_openssh
def test_who_can_write_nothing_is_told_to_hand_a_file_over(place):
    """With no key that the ledger takes records by, the error says how an approval gets there all the same."""
    (place.folder / ".tfaudit/keys/record.pem").unlink()
    with pytest.raises(ConfigError, match="takes no record by the key") as raised:
        cast(place, by_ssh(ON_STACK, a_key()), a_key())
    assert "--out" in raised.value.hint
    assert place.records("approval") == []


@needs_openssh
def test_a_pem_key_that_signs_records_signs_its_word_too(place):
    """One plain key does both."""
    name = place.config.signer_record
    person = open_person(name, base=place.folder)
    envelope = voting.sign(ON_STACK, person)
    done = voting.cast(place.config, place.world, place.reader().state.keys, envelope, person)
    assert not done.carried
    assert document.open_envelope(envelope).verified is not None


# --- files ------------------------------------------------------------------------------------------------------------


def test_an_approval_file_gives_its_vote(tmp_path):
    """What ``--out`` wrote is a vote from a file at this moment, in no log yet."""
    path = tmp_path / "approval.json"
    path.write_bytes(plain() + b"\n")
    envelope, vote = voting.import_vote(path, at=5)
    assert envelope == plain()
    assert (vote.source, vote.at, vote.position, vote.record, vote.signed) == ("file", 5, None, None, True)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds no approval"),
        (b"{}\n", "holds no approval"),
        (plain() + b"\n\n", "holds no approval"),
        (b" " * 100_000, "holds no approval"),
        (plain(replace(WORD, reason="other")).replace(b'"sig":"', b'"sig":"A'), "holds no approval"),
    ],
)
def test_a_broken_approval_file_is_refused(tmp_path, content, why):
    """The error names the file."""
    path = tmp_path / "approval.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=why) as raised:
        voting.import_vote(path, at=5)
    assert str(path) in raised.value.message


def test_a_forged_approval_file_is_refused(tmp_path):
    """A signature that is not the key's own, or over something else, is told as that."""
    path = tmp_path / "approval.json"
    good, other = json.loads(plain()), json.loads(plain(replace(WORD, reason="other")))
    path.write_bytes(json.dumps(good | {"payload": other["payload"]}, sort_keys=True, separators=(",", ":")).encode())
    with pytest.raises(InputError, match="is not signed by the key SHA256:"):
        voting.import_vote(path, at=5)


def test_a_missing_approval_file_is_named(tmp_path):
    """So is a folder."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="can't be read"):
            voting.import_vote(path, at=5)
