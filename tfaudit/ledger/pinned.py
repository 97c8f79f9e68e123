"""Which bundle is in force at a place in the log: the one that the last ``config`` record brings or names.

A commit says which one the last ``config`` record before it is in, and each such record brings a bundle or names the
one that stays in force, so that nothing in between is read. The record holds a commitment; the bundle itself is in the
record's disclosure. Where that is gone, nobody knows what the gate is, and nothing may pass it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import ConfigError, InputError, LedgerError, VerificationError
from tfaudit.ledger import commit, ids, live, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfaudit.gate.bundle import Bundle, Pinned
    from tfaudit.ledger.commit import Header
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.record import Record

POINTER: Final = "/bundle"
"""Where the predicate commits to the bundle."""
NAMED: Final = "bundle_record"
"""Where it names the record of the one that stays in force: record id, commit, leaf."""


def in_force(reader: Reader) -> Pinned | None:
    """Return the bundle in force at the log's end, None where none was ever pinned.

    Raises :class:`LedgerError` where its content is gone or altered, :class:`VerificationError` where a record or a
    signature is not what the log says, :class:`ConfigError` where the bundle is for another ledger.
    """
    return given_by(reader, reader.state.keys_from)


def at(reader: Reader, position: int) -> Pinned | None:
    """Return the bundle in force for the record at this leaf index; reads the log back to there. Errors likewise."""
    keys = reader.state.keys_from
    if position < reader.state.size:
        for _, raw in reader.commits():
            if commit.peek(raw)[1] <= position:
                keys = commit.parse(raw).header.keys
                break
    return given_by(reader, keys)


def given_by(reader: Reader, keys: int | None) -> Pinned | None:
    """Return the bundle in force after the ``config`` record of commit ``keys``; None stands for genesis.

    That is what a live commit's header names under ``keys``. Errors as :func:`in_force`.
    """
    if keys is None:
        return None
    header = _vouched(reader, keys)
    found = _config(header)
    named = _named(found.predicate)
    if named is not None:
        # The root key names it by its leaf: nothing else can stand there.
        number, record_id, leaf = named
        header = reader.header(number) if number < keys else header
        found = _config(header)
        if (found.record_id, found.leaf.hex()) != (record_id, leaf):
            raise VerificationError(f"commit {number} does not hold the bundle's record {record_id}")
    elif found.predicate.get("bundle") is None:
        return None
    # Most ledgers pin nothing: what reads a bundle is imported only for one that does.
    from tfaudit.gate.bundle import Pinned

    position = header.size + len(header.records) - 1
    return Pinned(record_id=found.record_id, position=position, bundle=_opened(reader, found))


def reference(reader: Reader) -> dict[str, Any]:
    """Return the predicate's members by which the next ``config`` record leaves the bundle in force.

    Empty where no bundle is; of the present one only the record is looked at, so that keys can be changed even where
    its content is gone.
    """
    keys = reader.state.keys_from
    if keys is None:
        return {}
    found = _config(_vouched(reader, keys))
    if NAMED in found.predicate:
        return {NAMED: found.predicate[NAMED]}
    if found.predicate.get("bundle") is None:
        return {}
    return {NAMED: {"record_id": found.record_id, "commit": keys, "leaf": found.leaf.hex()}}


def _opened(reader: Reader, found: Record) -> Bundle:
    from tfaudit.gate import bundle as bundles

    text = next(iter(reader.values([found], POINTER)))
    if text is None:
        raise LedgerError(
            f"what the config record {found.record_id} pins is gone from the working store, or is not what it signs",
            hint="bring its disclosure back, or pin the bundle anew with tfaudit config push",
        )
    try:
        opened = bundles.parse(text)
    except InputError as error:
        raise LedgerError(
            f"the bundle of the config record {found.record_id} is not understood: {error.message}",
            hint="use a version of tfaudit as new as the one that pinned it",
        ) from error
    if opened.origin != reader.origin:
        raise ConfigError(
            f"gate-changed: the bundle in force is for the ledger {opened.origin}, and this is {reader.origin}",
            hint="a bundle holds in the one ledger that it names",
        )
    return opened


def _vouched(reader: Reader, number: int) -> Header:
    """Return the header of a commit whose ``config`` record the root key in force then signed."""
    header = reader.header(number)
    genesis = reader.genesis
    if genesis.keys.root == reader.state.keys.root:
        if not _config(header).signed_under(genesis.keys):
            raise VerificationError(f"the config record of commit {number} is not signed by the root key")
        return header
    # The root key was replaced: each set of keys vouches for the next.
    chain = [header]
    while chain[-1].keys is not None:
        if chain[-1].keys >= chain[-1].number:
            raise VerificationError(f"commit {chain[-1].number} names a later one")
        chain.append(reader.header(chain[-1].keys))
    keys = genesis.keys
    for one in reversed(chain):
        try:
            keys = live.config_keys(replace(live.start(genesis), keys=keys), one)
        except InputError as error:
            raise VerificationError(error.message) from error
    return header


def _config(header: Header) -> Record:
    """Return the ``config`` record that a commit holds; nothing about its signature is checked."""
    try:
        found = record.parse(header.envelope or b"")
    except InputError as error:
        raise VerificationError(f"commit {header.number} holds no config record") from error
    if found.kind != "config" or not header.records or header.records[-1].leaf != found.leaf:
        raise VerificationError(f"commit {header.number} holds another record than its config record")
    return found


def _named(predicate: Mapping[str, Any]) -> tuple[int, str, str] | None:
    """Return (commit, record id, leaf) of the bundle's record that a later one names."""
    match predicate.get(NAMED):
        case None:
            return None
        case {"record_id": str(record_id), "commit": int(number), "leaf": str(leaf), **rest} if not rest:
            if ids.is_record_id(record_id) and number >= 0 and "bundle" not in predicate:
                return number, record_id, leaf
    raise VerificationError("a config record names the bundle in force in no known way")
