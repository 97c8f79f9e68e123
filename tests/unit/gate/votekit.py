"""What the tests of approval documents share: a subject, a word, and the envelopes that real keys make of it."""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ed25519
from opensshkit import public, signature

from tfaudit.gate import document
from tfaudit.gate.document import Word
from tfaudit.gate.model import Subject
from tfaudit.signing import keys, sshkeys
from tfaudit.signing.person import Signature

RECORD = "01938b5c-1111-7aaa-8bbb-0123456789ab"
MADE = 1_772_359_200_123  # 2026-03-01T10:00:00.123Z
SUBJECT = Subject(
    plan_record=RECORD,
    leaf="1" * 64,
    event_root="2" * 64,
    plan_sha256="3" * 64,
    change_digest="4" * 64,
    key_commitment="5" * 64,
    origin="ledger.example/team",
    stack="github.com/acme/network",
    state_key="6" * 64,
    lineage="0b6c1d1e-8a0f-4c58-9d5e-6d4b6b5c1f2a",
    serial=41,
    backend="s3",
    target="123456789012",
    commit="7" * 40,
    policy="8" * 64,
)
WORD = Word(
    kind="approval",
    subject=SUBJECT,
    approver="alice@example.com",
    reason="the window is open",
    made=MADE,
    expires=MADE + 7_200_000,
    nonce="9" * 32,
    shown="a" * 64,
)
REVIEW = replace(WORD, kind="review", intent=RECORD)
KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SSH_KEY = sshkeys.of_public(keys.public_key(KEY.public_key()))


def plain(word=WORD, *, key=KEY, named=SSH_KEY):
    """Return the envelope that a plain key signed."""
    payload = document.build(word)
    return document.seal(payload, Signature(key=named, plain=key.sign(document.signed_bytes(payload))))


def by_ssh(word, path, namespace="tfaudit-approval"):
    """Return the envelope that ssh-keygen signed with this key."""
    payload = document.build(word)
    armored = signature(path, document.signed_bytes(payload), namespace)
    return document.seal(payload, Signature(key=public(path), sshsig=armored))
