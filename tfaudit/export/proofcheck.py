"""Does a proof hold: is this event, as it stands there, in the log whose checkpoint is signed? Needs nothing else.

What a proof can't say is that its keys are the right ones: that takes the log's key or genesis' digest from elsewhere.
Without either it is trust on first use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from tfaudit.errors import InputError, VerificationError
from tfaudit.export import proof as proof_
from tfaudit.ledger import checkpoint, commit, genesis, live, merkle, record
from tfaudit.ledger.verify import values
from tfaudit.signing.envelope import pae

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfaudit.events.commitment import Disclosed
    from tfaudit.export.proof import Included, Proof
    from tfaudit.ledger.checkpoint import Checkpoint, SignedCheckpoint
    from tfaudit.ledger.commit import Header
    from tfaudit.ledger.genesis import Genesis
    from tfaudit.ledger.keyset import KeySet
    from tfaudit.ledger.record import Record
    from tfaudit.signing.note import NoteKey

Trust = Literal["log-key", "anchor", "first-use"]

_document = msgspec.json.Decoder(dict[str, Any], float_hook=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a proof that holds has shown."""

    event_id: str
    trust: Trust
    """Where the trust in the keys comes from."""
    genesis: str
    """The trust anchor that the proof names."""
    tree: Checkpoint
    record: Record
    position: int
    """The record's leaf index."""
    commit: int
    """The commit that adopted the record."""
    committed: int
    """That commit's time, milliseconds since the epoch."""
    event: Mapping[str, Any] | None
    """The event line's document; None where the statement itself is proven."""
    event_values: tuple[Disclosed, ...]
    record_values: tuple[Disclosed, ...]


def check_bytes(raw: bytes, *, log_key: NoteKey | None, anchor: str | None) -> Proven:
    """Return what a proof file's bytes prove; :class:`VerificationError` for any that prove nothing."""
    try:
        parsed = proof_.parse(raw)
    except InputError as error:
        raise VerificationError(error.message, hint=error.hint) from error
    return check(parsed, log_key=log_key, anchor=anchor)


def check(proof: Proof, *, log_key: NoteKey | None, anchor: str | None) -> Proven:
    """Return what ``proof`` proves.

    ``log_key`` must have signed the checkpoint; ``anchor`` (``sha256:…``) must be genesis' digest. Raises
    :class:`VerificationError` naming the first part that does not hold.
    """
    try:
        return _check(proof, log_key, anchor)
    except InputError as error:
        raise VerificationError(f"the proof holds what can't be read: {error.message}") from error


def _check(proof: Proof, log_key: NoteKey | None, anchor: str | None) -> Proven:
    start = genesis.parse(proof.genesis)
    _require(start.digest == proof.anchor, "genesis is not the one that the proof names")
    _require(anchor in (None, start.digest), "genesis is not the one whose digest you gave")
    signed = checkpoint.parse(proof.checkpoint)
    tree = signed.checkpoint
    _require(tree.origin == start.origin, "the checkpoint is another log's")
    found = record.parse(proof.record.entry)
    _require((found.origin, found.record_id) == (tree.origin, proof.record_id), "the record is another one")
    _require_inclusion(proof.record, found.leaf, tree, "the record")
    header, keys = _commits(proof, start, signed, found, log_key)
    _require(found.signed_under(keys) is True, "no key that was accepted then signed the record")
    event = _event(proof, found)
    _require_values(proof.event_values, event or {}, proof.record_id, str((event or {}).get("address") or ""))
    _require_values(proof.record_values, found.predicate, proof.record_id, "")
    return Proven(
        event_id=proof.event_id,
        trust="log-key" if log_key is not None else "anchor" if anchor is not None else "first-use",
        genesis=start.digest,
        tree=tree,
        record=found,
        position=proof.record.position,
        commit=header.number,
        committed=header.time,
        event=event,
        event_values=proof.event_values,
        record_values=proof.record_values,
    )


def _commits(
    proof: Proof, start: Genesis, signed: SignedCheckpoint, found: Record, log_key: NoteKey | None
) -> tuple[Header, KeySet]:
    """Check the commits one after the other, and return the one that adopted the record with the keys in force then.

    Each names the commit whose keys are in force, and all are leaves under the root: no change of keys can be left out.
    """
    keys, keys_from, number = start.keys, None, -1
    adopting: tuple[Header, KeySet] | None = None
    newest = proof.commits[-1]
    for one in proof.commits:
        header, body, signature = commit.parse_entry(one.entry)
        what = f"commit {header.number}"
        _require(header.number > number and header.keys == keys_from, f"{what} is not the next that the proof needs")
        _require(one.position == header.size + len(header.records), f"{what} is at another place")
        _require_inclusion(one, merkle.leaf_hash(one.entry), signed.checkpoint, what)
        committer = keys.signer(header.committer)
        valid = committer is not None and committer.verify(signature, pae(commit.PAYLOAD_TYPE, body))
        _require(valid, f"no key that was accepted then signed {what}")
        if record.line_of(found) in header.records:
            _require(
                proof.record.position == header.size + header.records.index(record.line_of(found)),
                f"{what} has the record at another place",
            )
            adopting = header, keys
        elif one is not newest:
            _require(header.envelope is not None, f"{what} has no part in the proof")
        if one is newest:
            _require(signed.checkpoint.size == one.position + 1, "the checkpoint is not the newest commit's")
            _require_signatures(signed, keys, log_key)
        if header.envelope is not None:
            keys = live.config_keys(replace(live.start(start), keys=keys), header)
            keys_from = header.number
        number = header.number
    if adopting is None:
        raise VerificationError("no commit in the proof holds the record")
    return adopting


def _require_signatures(signed: SignedCheckpoint, keys: KeySet, log_key: NoteKey | None) -> None:
    known = all(any(line.claims(key) for key in keys.log) for line in signed.signatures)
    _require(known, "the checkpoint has a signature of a key that is not the log's")
    checkpoint.verify(signed, keys.log)
    if log_key is not None:
        given = log_key in keys.log and any(line.claims(log_key) for line in signed.signatures)
        _require(given, "the checkpoint is not signed by the log key that you gave")


def _event(proof: Proof, found: Record) -> Mapping[str, Any] | None:
    if proof.event is None:
        return None
    leaf = merkle.leaf_hash(proof.event.entry)
    held = merkle.verify_inclusion(leaf, proof.event.position, found.event_count, proof.event.path, found.event_root)
    _require(held, "the event line is not the one that the record signs at this number")
    return event_document(proof.event.entry)


def event_document(line: bytes) -> Mapping[str, Any]:
    """Return an event line's document, numbers that are no integers as text; :class:`InputError` for other bytes."""
    try:
        return _document.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("the event line is not JSON") from error


def _require_values(revealed: Sequence[Disclosed], document: Mapping[str, Any], record_id: str, address: str) -> None:
    opened = values.check(document, record_id, revealed, erased=True, address=address)
    _require(opened.unopened is None, f"revealed value {opened.unopened}")


def _require_inclusion(part: Included, leaf: bytes, tree: Checkpoint, what: str) -> None:
    held = merkle.verify_inclusion(leaf, part.position, tree.size, part.path, tree.root)
    _require(held, f"{what} is not in the log at this place")


def _require(condition: bool, complaint: str) -> None:
    if not condition:
        raise VerificationError(complaint)
