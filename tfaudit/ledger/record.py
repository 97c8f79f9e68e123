"""What does a record's signed line say about it: parsed, shape checked, signature not yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import InputError
from tfaudit.ledger import checkpoint, commit, ids, merkle
from tfaudit.signing import envelope, statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfaudit.ledger.keyset import KeySet
    from tfaudit.signing.envelope import Envelope

PREDICATE_TYPE: Final = "urn:tfaudit:record:v1"
FORMAT: Final = "v1"
EVENTS: Final = "events"
"""The name of the subject whose digest is the root of the event tree."""

FIXED: Final = frozenset(
    {"format", "origin", "record_id", "writer", "kind", "time", "events", "disclosures", "seen", "previous", "spooled"}
)
"""The predicate's keys that the ledger sets itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The record before this one in its state's chain."""

    record_id: str
    leaf: str
    """Its leaf hash, 64 hexadecimal digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The statement of one record."""

    origin: str
    record_id: str
    writer: str
    kind: str
    time: int
    """When it was signed, milliseconds since the epoch."""
    event_count: int
    event_root: bytes
    disclosures: str | None
    """SHA-256 of the disclosure file as it was written; None where nothing is disclosed."""
    seen: str | None
    """The signed checkpoint of the head that the writer had read."""
    previous: Previous | None
    spooled: int | None
    """When it was put into the spool, where it was signed without a store."""
    refers: str | None
    state: str | None
    predicate: Mapping[str, Any]
    """All of it, with what the run said."""
    envelope: Envelope
    leaf: bytes

    def signed_under(self, keys: KeySet) -> bool | None:
        """Tell whether the signature verifies; None where ``keys`` accept no such key for this kind and stack."""
        key = keys.key_for(self.kind, self.envelope.keyid, self.predicate.get("stack"))
        return None if key is None else self.envelope.signed_by(key)


def parse(line: bytes) -> Record:
    """Return what a record's line 1 (without newline) says; :class:`InputError` unless every fixed field is in form."""
    sealed = envelope.parse(line)
    if sealed.payload_type != envelope.IN_TOTO:
        raise InputError(f"record has the payload type {sealed.payload_type[:80]!r}")
    claim = statement.parse(sealed.payload)
    predicate = claim.predicate
    if claim.predicate_type != PREDICATE_TYPE or predicate.get("format") != FORMAT:
        raise InputError("record is of a predicate type or format that this version of tfaudit does not know")
    count, root = _events(predicate, claim.subjects)
    return Record(
        origin=_text(predicate, "origin", checkpoint.is_origin),
        record_id=_text(predicate, "record_id", ids.is_record_id),
        writer=_text(predicate, "writer", ids.is_writer),
        kind=_text(predicate, "kind", commit.is_kind),
        time=ids.parse_time(predicate.get("time"), what="record time"),
        event_count=count,
        event_root=root,
        disclosures=_disclosures(predicate),
        seen=_optional_text(predicate, "seen"),
        previous=_previous(predicate),
        spooled=_spooled(predicate),
        refers=_optional_digest(predicate, "refers"),
        state=_state(predicate),
        predicate=predicate,
        envelope=sealed,
        leaf=merkle.leaf_hash(line),
    )


def _text(predicate: Mapping[str, Any], name: str, check: Any) -> str:  # noqa: ANN401 - three predicates of one shape
    value = predicate.get(name)
    if not check(value):
        raise InputError(f"record has no usable {name}")
    return str(value)


def _optional_text(predicate: Mapping[str, Any], name: str) -> str | None:
    value = predicate.get(name)
    if value is not None and not isinstance(value, str):
        raise InputError(f"record has a {name} that is not a text")
    return value


def _optional_digest(predicate: Mapping[str, Any], name: str) -> str | None:
    value = _optional_text(predicate, name)
    if value is not None and not commit.is_digest(value):
        raise InputError(f"record has a {name} that is not a SHA-256")
    return value


def _events(predicate: Mapping[str, Any], subjects: tuple[tuple[str, str], ...]) -> tuple[int, bytes]:
    match predicate.get("events"):
        case {"count": int(count), "root": str(root), **rest} if not rest and count >= 0:
            if commit.is_digest(root) and not isinstance(count, bool) and subjects[:1] == ((EVENTS, root),):
                return count, bytes.fromhex(root)
    raise InputError("record has no usable event count and root, or its first subject is another root")


def _disclosures(predicate: Mapping[str, Any]) -> str | None:
    match predicate.get("disclosures"):
        case None:
            return None
        case {"sha256": digest, **rest} if not rest and commit.is_digest(digest):
            return str(digest)
    raise InputError("record has no usable disclosure digest")


def _previous(predicate: Mapping[str, Any]) -> Previous | None:
    match predicate.get("previous"):
        case None:
            return None
        case {"record_id": str(record_id), "leaf": str(leaf), **rest} if not rest:
            if ids.is_record_id(record_id) and commit.is_digest(leaf):
                return Previous(record_id=record_id, leaf=leaf)
    raise InputError("record has no usable previous record of its state")


def _spooled(predicate: Mapping[str, Any]) -> int | None:
    match predicate.get("spooled"):
        case None:
            return None
        case {"at": at, **rest} if not rest:
            return ids.parse_time(at, what="time of spooling")
    raise InputError("record has no usable time of spooling")


def _state(predicate: Mapping[str, Any]) -> str | None:
    match predicate.get("state"):
        case None:
            return None
        case {"key": key} if commit.is_digest(key):
            return str(key)
    raise InputError("record has a state without a usable key")


def line_of(found: Record) -> commit.RecordLine:
    """Return the line by which a commit adopts the record."""
    return commit.RecordLine(
        leaf=found.leaf,
        writer=found.writer,
        record_id=found.record_id,
        kind=found.kind,
        refers=found.refers,
        state=found.state,
    )
