"""Approval documents: what a person signs, one spelling only, and what the gate makes of it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st
from opensshkit import KINDS, a_key, needs_openssh, public
from votekit import KEY, MADE, RECORD, REVIEW, SSH_KEY, SUBJECT, WORD, by_ssh, plain

from tfaudit import canonical, schema
from tfaudit.errors import InputError
from tfaudit.gate import document
from tfaudit.gate.document import MAX_REASON, build, open_envelope, parse, seal, vote_of
from tfaudit.signing import b64
from tfaudit.signing.person import Signature

GOLDEN = Path(__file__).parent / "golden"


def vote(envelope, **more):
    """Return the vote of an envelope as the log holds it."""
    return vote_of(envelope, **{"at": MADE + 1, "position": 7, "record": RECORD, **more})


@pytest.mark.parametrize("word", [WORD, REVIEW, replace(WORD, kind="break-glass"), replace(WORD, reason=None)])
def test_what_is_built_is_read(word):
    """A word comes back as it was, and its bytes are canonical JSON of the published schema."""
    payload = build(word)
    assert parse(payload) == word
    assert build(parse(payload)) == payload
    schema.validate("approval.v1", json.loads(payload))


@pytest.mark.parametrize("name", ["approval", "review"])
def test_the_golden_files_stay_as_they_are(name):
    """The bytes of a document and of its envelope don't change between versions."""
    word = WORD if name == "approval" else REVIEW
    assert (GOLDEN / f"{name}.json").read_bytes() == build(word) + b"\n"
    envelope = (GOLDEN / f"{name}.dsse.json").read_bytes().removesuffix(b"\n")
    assert envelope == plain(word)
    assert open_envelope(envelope).verified is not None
    schema.validate("approval-file.v1", json.loads(envelope))


def test_opensshs_golden_file_verifies():
    """An approval that ssh-keygen signed once verifies for ever, with no OpenSSH at hand."""
    envelope = (GOLDEN / "approval.sshsig.dsse.json").read_bytes().removesuffix(b"\n")
    opened = open_envelope(envelope)
    assert opened.word == WORD
    assert opened.verified is not None
    schema.validate("approval-file.v1", json.loads(envelope))


@needs_openssh
@pytest.mark.parametrize("kind", KINDS)
def test_a_vote_says_who_signed_what(kind):
    """A key of each kind gives a vote with its fingerprint, signed."""
    found = vote(by_ssh(WORD, a_key(kind)))
    assert (found.key, found.signed, found.touched) == (public(a_key(kind)).fingerprint, True, None)
    assert (found.kind, found.subject, found.approver) == ("approval", SUBJECT, "alice@example.com")
    assert (found.made, found.at, found.expires) == (MADE, MADE + 1, MADE + 7_200_000)
    assert (found.record, found.position, found.source, found.intent) == (RECORD, 7, "ledger", None)


def test_a_plain_keys_vote_is_signed_too():
    """A key in a PEM file or in KMS signs the same bytes, and brings its public half."""
    found = vote(plain())
    assert (found.key, found.signed, found.touched) == (SSH_KEY.fingerprint, True, None)


def test_the_vote_is_named_by_its_document():
    """The same word, signed or carried again, is the same vote; any other word is another."""
    first, again = vote(plain()), vote(plain(), record=None, position=None, source="file")
    assert first.id == again.id == f"sha256:{canonical.sha256_hex(build(WORD))}"
    assert vote(plain(replace(WORD, nonce="0" * 32))).id != first.id


def test_a_review_names_the_intent():
    """A review's vote carries the intent that it is of."""
    assert vote(plain(REVIEW)).intent == RECORD


def test_anothers_signature_is_not_good():
    """A forged signature makes a vote that is not signed."""
    assert vote(plain(key=ed25519.Ed25519PrivateKey.generate())).signed is False


@needs_openssh
def test_a_signature_for_another_namespace_is_not_good():
    """What somebody signed for git is no approval."""
    assert vote(by_ssh(WORD, a_key(), namespace="git")).signed is False


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "another"},
        {"expires": MADE + 7_200_001},
        {"approver": "mallory@example.com"},
        {"kind": "rejection"},
        {"subject": replace(SUBJECT, serial=42)},
    ],
)
def test_an_altered_document_is_not_signed(change):
    """Whatever is changed after signing, the signature is over something else."""
    signed = plain()
    signature = json.loads(signed)["signatures"]
    forged = canonical.encode(
        {
            "payload": b64.encode(build(replace(WORD, **change))),
            "payloadType": document.PAYLOAD_TYPE,
            "signatures": signature,
        }
    )
    found = vote(forged)
    assert found.signed is False
    assert found.id != vote(signed).id


def changed(**members):
    """Return the bytes of a document with other members."""
    found = {**json.loads(build(WORD)), **members}
    return canonical.encode({name: value for name, value in found.items() if value != "absent"})


def with_subject(**members):
    """Return the bytes of a document with another subject."""
    subject = {**json.loads(build(WORD))["subject"], **members}
    return changed(subject={name: value for name, value in subject.items() if value != "absent"})


BROKEN = {
    "not JSON": b"{",
    "not canonical": build(WORD).replace(b":", b": ", 1),
    "a list": b"[]",
    "another format": changed(format="tfaudit-approval/v2"),
    "an unknown kind": changed(kind="maybe"),
    "a member too many": changed(more=1),
    "a member too few": changed(nonce="absent"),
    "an intent in an approval": changed(intent=RECORD),
    "a review without intent": changed(kind="review"),
    "a review of another record": changed(kind="review", intent=RECORD.replace("0", "1")),
    "no approver": changed(approver=""),
    "a number for an approver": changed(approver=7),
    "an endless reason": changed(reason="x" * (MAX_REASON + 1)),
    "an empty reason": changed(reason=""),
    "a short nonce": changed(nonce="9"),
    "a nonce in capitals": changed(nonce="A" * 32),
    "no digest of what was shown": changed(shown=None),
    "a time without milliseconds": changed(made="2026-03-01T10:00:00Z"),
    "a time that is none": changed(made="2026-02-30T10:00:00.000Z"),
    "a time in another zone": changed(made="2026-03-01T10:00:00.000+01:00"),
    "an end before the start": changed(expires=json.loads(build(WORD))["made"]),
    "a subject that is none": changed(subject=None),
    "a subject with a member too many": with_subject(more=1),
    "a subject with a member too few": with_subject(target="absent"),
    "a leaf that is none": with_subject(leaf="1" * 63),
    "a leaf in capitals": with_subject(leaf="A" * 64),
    "no leaf": with_subject(leaf=""),
    "no key commitment": with_subject(key_commitment=""),
    "a state key that is none": with_subject(state_key="x"),
    "a serial that is text": with_subject(serial="41"),
    "a serial that is true": with_subject(serial=True),
    "a negative serial": with_subject(serial=-1),
    "no plan record": with_subject(plan_record=""),
    "an endless stack": with_subject(stack="x" * 2001),
    "huge": changed(reason="x" * 70_000),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_document_is_refused(name):
    """Each broken document is an input error, and its envelope no vote at all, however well it is signed."""
    with pytest.raises(InputError):
        parse(BROKEN[name])
    with suppress(InputError):
        good = Signature(key=SSH_KEY, plain=KEY.sign(document.signed_bytes(BROKEN[name])))
        assert vote(seal(BROKEN[name], good)) is None


def enveloped(**members):
    """Return an envelope with other members."""
    found = {**json.loads(plain()), **members}
    return canonical.encode({name: value for name, value in found.items() if value != "absent"})


def signed_as(**members):
    """Return an envelope with other members in its signature."""
    signature = {**json.loads(plain())["signatures"][0], **members}
    return enveloped(signatures=[{name: value for name, value in signature.items() if value != "absent"}])


OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGhFG4BBfGuRbVMuFa/RFVtvXBmKzmmMcAQ7R3K0fUQh"
BROKEN_ENVELOPES = {
    "empty": b"",
    "not canonical": plain() + b" ",
    "a newline": plain() + b"\n",
    "another payload type": enveloped(payloadType="application/vnd.in-toto+json"),
    "no signature": enveloped(signatures=[]),
    "two signatures": enveloped(signatures=json.loads(plain())["signatures"] * 2),
    "a member too many": enveloped(more=1),
    "a payload that is no base64": enveloped(payload="!"),
    "a signature's member too many": signed_as(more="x"),
    "a signature of no known form": signed_as(sig="absent"),
    "both signatures": signed_as(sshsig="x"),
    "another key's id": signed_as(keyid="SHA256:" + "a" * 43),
    "another key than its id": signed_as(public=OTHER),
    "an sshsig that is none": signed_as(public="absent", sig="absent", sshsig="x"),
    "a key that can't sign plainly": signed_as(public=OTHER.replace("ssh-ed25519", "ssh-rsa")),
    "huge": b" " * 70_000,
}


@pytest.mark.parametrize("name", BROKEN_ENVELOPES)
def test_a_broken_envelope_is_no_vote(name):
    """Each broken envelope is an input error to who opens it, and no vote to the gate."""
    with pytest.raises(InputError):
        open_envelope(BROKEN_ENVELOPES[name])
    assert vote(BROKEN_ENVELOPES[name]) is None


@given(st.binary(max_size=400))
def test_any_bytes_are_a_vote_or_none(data):
    """No bytes raise anything."""
    assert vote(data) is None


@given(st.data())
def test_one_changed_byte_never_counts_as_the_same_vote(data):
    """Whatever byte of an envelope is changed, there is no vote, or an unsigned one."""
    raw = bytearray(plain())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    found = vote(bytes(raw))
    assert found is None or not found.signed


_texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=80)


@given(
    approver=_texts,
    reason=st.none() | _texts,
    stack=_texts,
    target=st.none() | _texts,
    made=st.integers(0, 250_000_000_000_000),
    lasts=st.integers(1, 86_400_000),
)
def test_any_word_comes_back(approver, reason, stack, target, made, lasts):
    """Any texts and times survive building and reading."""
    subject = replace(SUBJECT, stack=stack, target=target)
    word = replace(WORD, approver=approver, reason=reason, subject=subject, made=made, expires=made + lasts)
    assert parse(build(word)) == word
