"""Is the ledger that is meant in this place."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tfaudit import canonical
from tfaudit.errors import ConfigError, InputError, LedgerError
from tfaudit.ledger import genesis as genesis_
from tfaudit.ledger import ids
from tfaudit.ledger.store import read

if TYPE_CHECKING:
    from tfaudit.ledger.genesis import Genesis
    from tfaudit.ledger.store import Store, Working


def create_ledger(evidence: Store, genesis: bytes) -> Genesis:
    """Start a ledger and return its genesis; :class:`ConfigError` when there is one already."""
    parsed = genesis_.parse(genesis)
    if not evidence.create(ids.GENESIS_KEY, genesis):
        raise ConfigError(f"there is a ledger in {evidence} already")
    return parsed


def find_genesis(evidence: Store, *, anchor: str | None, copies: Working | None = None) -> Genesis:
    """Return the genesis of the ledger in ``evidence``, held against the trust anchor (``sha256:…``) if there is one.

    Where ``evidence`` can't be reached the copy in ``copies`` serves, which every success renews. Raises
    :class:`LedgerError` when there is no readable genesis, :class:`ConfigError` when it is another than the anchor's.
    """
    away: LedgerError | None = None
    try:
        raw = read(evidence, ids.GENESIS_KEY, limit=genesis_.MAX_GENESIS + 1)
    except LedgerError as error:
        raw, away = None, error
    copy = read(copies, ids.GENESIS_KEY, limit=genesis_.MAX_GENESIS + 1) if copies is not None else None
    if raw is None and copy is None:
        raise away or LedgerError(f"there is no ledger in {evidence}", hint="run `tfaudit setup`")
    try:
        genesis = genesis_.parse(raw or copy or b"")
    except InputError as error:
        raise LedgerError(error.message) from error
    if anchor is not None and genesis.digest != anchor:
        raise ConfigError(
            f"the genesis of {evidence} is {genesis.digest}, not {anchor}",
            hint="it is another ledger than the configuration pins, or its genesis was replaced",
        )
    if copies is not None and raw is not None and raw != copy:
        # Only a convenience for when the store is away.
        with suppress(LedgerError):
            copies.replace(ids.GENESIS_KEY, raw)
    return genesis


def must_be_in_place(evidence: Store, genesis: Genesis) -> None:
    """Raise :class:`LedgerError` unless the store answers and holds this very ledger."""
    raw = read(evidence, ids.GENESIS_KEY, limit=genesis_.MAX_GENESIS + 1)
    if raw is None or f"sha256:{canonical.sha256_hex(raw)}" != genesis.digest:
        raise LedgerError(f"the ledger is no longer in {evidence}", hint="is it the right place, and mounted?")
