"""What exactly does a person sign who approves, rejects or reviews, and what does that say to the gate?

An *approval document* is canonical JSON that binds one plan record and its place. It lies in a DSSE envelope with one
signature, made by an SSH key (``sshsig``, for the namespace of approvals) or by a plain key (``sig``, which brings its
public half); either over the PAE. The envelope, one line of canonical JSON, is what the ledger keeps and what an
approval file holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast, get_args

import msgspec

from tfaudit import canonical
from tfaudit.errors import InputError
from tfaudit.gate.allowed_signers import MAX_PRINCIPAL, NAMESPACE
from tfaudit.gate.model import Subject, Vote, VoteKind
from tfaudit.signing import b64, sshkeys, sshsig
from tfaudit.signing.envelope import MAX_ENVELOPE, pae

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfaudit.signing.person import Signature
    from tfaudit.signing.sshkeys import SshKey, Verified

FORMAT: Final = "tfaudit-approval/v1"
PAYLOAD_TYPE: Final = "application/vnd.tfaudit.approval.v1+json"
MAX_REASON: Final = 4000
"""Characters of a reason."""
MAX_TEXT: Final = 2000
"""Characters of any other text, such as a stack's name."""
NONCE_BYTES: Final = 16

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS: Final = get_args(VoteKind)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_RECORD: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_DIGESTS: Final = ("leaf", "event_root", "plan_sha256", "change_digest")
_KEYS: Final = frozenset({"format", "kind", "subject", "approver", "reason", "made", "expires", "nonce", "shown"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a person says; times in milliseconds since the epoch."""

    kind: VoteKind
    subject: Subject
    """Of a review: the intent's record, leaf and event root."""
    approver: str
    """The principal, as in the approvers file."""
    reason: str | None
    made: int
    expires: int
    nonce: str
    """32 hexadecimal digits, so that no two words are the same."""
    shown: str
    """SHA-256 of the text that was shown before it was asked for."""
    intent: str | None = None
    """Of a review: the intent's record id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An envelope that was taken apart, and whether its signature is good."""

    word: Word
    payload: bytes
    key: SshKey
    """The key that it names; whose it is, the approvers file says."""
    verified: Verified | None
    """None where the signature is not this key's over this document."""

    @property
    def id(self) -> str:
        """The vote's: ``sha256:…`` of the document's bytes."""
        return f"sha256:{canonical.sha256_hex(self.payload)}"


def build(word: Word) -> bytes:
    """Return the document's bytes; :class:`InputError` for a word that :func:`parse` would not read back."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "kind": word.kind,
        "subject": msgspec.to_builtins(word.subject),
        "approver": word.approver,
        "reason": word.reason,
        "made": time_text(word.made),
        "expires": time_text(word.expires),
        "nonce": word.nonce,
        "shown": word.shown,
    }
    if word.intent is not None:
        document["intent"] = word.intent
    payload = canonical.encode(document)
    parse(payload)
    return payload


def parse(payload: bytes) -> Word:
    """Return what a document says; :class:`InputError` unless it is exact in form, whole, and within its limits."""
    if len(payload) > MAX_ENVELOPE:
        raise InputError(f"the approval is longer than {MAX_ENVELOPE} bytes")
    document = canonical.decode(payload, what="the approval")
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"the approval is not of the format {FORMAT}")
    kind = _kind(document.get("kind"))
    if document.keys() != _KEYS | ({"intent"} if kind == "review" else set()):
        raise InputError("the approval lacks members, or has others than its own")
    subject = _subject(document["subject"], key_needed=kind != "review")
    word = Word(
        kind=kind,
        subject=subject,
        approver=_text(document["approver"], "approver", most=MAX_PRINCIPAL),
        reason=None if document["reason"] is None else _text(document["reason"], "reason", most=MAX_REASON),
        made=parse_time(document["made"], "made"),
        expires=parse_time(document["expires"], "expires"),
        nonce=_matching(document["nonce"], re.compile(r"[0-9a-f]{32}"), "nonce"),
        shown=_matching(document["shown"], _DIGEST, "shown"),
        intent=document.get("intent"),
    )
    if word.expires <= word.made:
        raise InputError("the approval expires before it is made")
    if kind == "review" and word.intent != subject.plan_record:
        raise InputError("the review's intent is not the record that its subject names")
    return word


def seal(payload: bytes, signature: Signature) -> bytes:
    """Return the envelope, one line without its newline; :class:`InputError` when it is too long."""
    member: dict[str, str] = {"keyid": signature.key.fingerprint}
    if signature.sshsig is not None:
        member["sshsig"] = signature.sshsig
    else:
        member |= {"public": signature.key.text, "sig": b64.encode(signature.plain or b"")}
    line = canonical.encode(
        {"payload": b64.encode(payload), "payloadType": PAYLOAD_TYPE, "signatures": [member]},
    )
    if len(line) > MAX_ENVELOPE:
        raise InputError(f"the signed approval takes {len(line)} bytes, more than {MAX_ENVELOPE}")
    return line


def signed_bytes(payload: bytes) -> bytes:
    """Return what the person's key signs."""
    return pae(PAYLOAD_TYPE, payload)


def open_envelope(line: bytes) -> Opened:
    """Return what an envelope holds; :class:`InputError` unless it is an approval's, exact in form.

    A signature that does not verify is no error here: it is to be told of.
    """
    if len(line) > MAX_ENVELOPE:
        raise InputError(f"the approval is longer than {MAX_ENVELOPE} bytes")
    match canonical.decode(line, what="the approval's envelope"):
        case {
            "payload": str(text),
            "payloadType": str(payload_type),
            "signatures": [{"keyid": str(keyid), **rest}],
            **others,
        } if payload_type == PAYLOAD_TYPE and not others:
            payload = b64.decode(text, what="the approval's payload")
            word = parse(payload)
            key, verified = _verified(rest, signed_bytes(payload))
            if key.fingerprint != keyid:
                raise InputError("the approval names another key than the one it brings")
            return Opened(word=word, payload=payload, key=key, verified=verified)
    raise InputError("this is no envelope of an approval with one signature")


def vote_of(
    envelope: bytes, *, at: int, position: int | None, record: str | None = None, source: str = "ledger"
) -> Vote | None:
    """Return the vote that an envelope is, its signature checked; None where it is no approval at all.

    ``at`` is when the store took it (or now), ``position`` and ``record`` where it lies in the log.
    """
    try:
        opened = open_envelope(envelope)
    except InputError:
        return None
    return as_vote(opened, at=at, position=position, record=record, source=source)


def as_vote(opened: Opened, *, at: int, position: int | None, record: str | None, source: str) -> Vote:
    """Return an opened envelope as the gate sees it; arguments as :func:`vote_of`."""
    word, verified = opened.word, opened.verified
    return Vote(
        id=opened.id,
        record=record,
        kind=word.kind,
        subject=word.subject,
        approver=word.approver,
        key=opened.key.fingerprint,
        signed=verified is not None,
        touched=None if verified is None else verified.touched,
        made=word.made,
        at=at,
        expires=word.expires,
        position=position,
        source=source,
        intent=word.intent,
    )


def time_text(milliseconds: int) -> str:
    """Return a time as RFC 3339 in UTC with milliseconds; :class:`InputError` outside of the calendar."""
    try:
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError as error:
        raise InputError("a time lies outside of the calendar") from error
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def parse_time(text: object, name: str) -> int:
    """Return the time that :func:`time_text` wrote so; :class:`InputError`, naming ``name``, for another text."""
    if isinstance(text, str) and _TIME.fullmatch(text):
        try:
            found = (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)
        except ValueError as error:
            raise InputError(f"the approval's {name} is not a time") from error
        if found >= 0 and time_text(found) == text:
            return found
    raise InputError(f"the approval's {name} is not a time in UTC with milliseconds")


def _verified(signature: Mapping[Any, Any], message: bytes) -> tuple[SshKey, Verified | None]:
    match signature:
        case {"sshsig": str(armored), **rest} if not rest:
            found = sshsig.parse(armored, what="the approval's signature")
            return found.key, found.verified(message, NAMESPACE)
        case {"public": str(text), "sig": str(encoded), **rest} if not rest:
            key = sshkeys.parse_text(text, what="the approval's key")
            public = sshkeys.record_key(key)
            if public is None:
                raise InputError(f"a plain signature can't be by a key of type {key.kind}")
            good = public.verify(b64.decode(encoded, what="the approval's signature"), message)
            return key, sshkeys.Verified(touched=None) if good else None
    raise InputError("the approval has no signature of a known form")


def _subject(document: object, *, key_needed: bool) -> Subject:
    try:
        subject = msgspec.convert(document, Subject, strict=True)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InputError(f"the approval's subject is not in form: {error}") from error
    plain = msgspec.to_builtins(subject)
    if plain != document:
        raise InputError("the approval's subject has other members than its own")
    _matching(subject.plan_record, _RECORD, "plan record")
    for name in _DIGESTS:
        _matching(plain[name], _DIGEST, name)
    if subject.state_key is not None:
        _matching(subject.state_key, _DIGEST, "state key")
    if subject.policy:
        _matching(subject.policy, _DIGEST, "policy digest")
    if subject.key_commitment or key_needed:
        _matching(subject.key_commitment, _DIGEST, "key commitment")
    if not 0 <= subject.serial <= canonical.MAX_EXACT_INT:
        raise InputError("the approval's serial is out of range")
    for name, value in plain.items():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise InputError(f"the approval's {name} is longer than {MAX_TEXT} characters")
    return subject


def _kind(value: object) -> VoteKind:
    for kind in _KINDS:
        if value == kind:
            return cast(VoteKind, kind)
    raise InputError("the approval is of an unknown kind")


def _text(value: object, name: str, *, most: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        raise InputError(f"the approval's {name} is not a text of 1 to {most} characters")
    return value


def _matching(value: object, pattern: re.Pattern[str], name: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InputError(f"the approval's {name} is not in form")
    return value
