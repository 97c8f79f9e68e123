"""Where is a record in the log, and which signed tree proves it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tfaudit.ledger.store import Located

if TYPE_CHECKING:
    from tfaudit.ledger.commit import Commit, RecordLine
    from tfaudit.ledger.live import State
    from tfaudit.ledger.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Where a record is, and the tree that proves it."""

    origin: str
    record_id: str
    key: str
    """Of the record in the evidence store."""
    leaf: str
    """The record's leaf hash, 64 hexadecimal digits."""
    position: int | None
    """The leaf's index in the log; None while the record is only staged, for a sequencer to commit."""
    commit: int | None
    size: int
    """Of the tree that ``checkpoint`` signs; for a staged record that of the head which its writer read."""
    root: str
    """64 hexadecimal digits."""
    checkpoint: str | None
    """The signed note; None only where the log is still empty."""
    version_id: str | None = None
    """Of the record's object, where this process created it in a store that keeps versions."""
    retain_until: int | None = None
    """When the lock that came with it ends, milliseconds since the epoch; None where the store's default holds."""


def committed(line: RecordLine, holder: Commit, origin: str) -> Receipt:
    """Return the receipt of a record that a live commit holds."""
    leaves = [one.leaf for one in holder.header.records]
    tree = holder.checkpoint.checkpoint
    return Receipt(
        origin=origin,
        record_id=line.record_id,
        key=line.key,
        leaf=line.leaf.hex(),
        position=holder.header.size + leaves.index(line.leaf),
        commit=holder.header.number,
        size=tree.size,
        root=tree.root.hex(),
        checkpoint=holder.checkpoint.note.decode(),
    )


def staged(line: RecordLine, state: State) -> Receipt:
    """Return the receipt of a record that waits for a sequencer, the log ending with ``state``."""
    return Receipt(
        origin=state.origin,
        record_id=line.record_id,
        key=line.key,
        leaf=line.leaf.hex(),
        position=None,
        commit=None,
        size=state.size,
        root=state.root.hex(),
        checkpoint=state.checkpoint,
    )


def located(receipt: Receipt, store: Store) -> Receipt:
    """Return the receipt with where this process has put the record in ``store``; asks nobody."""
    where = store.written(receipt.key) if isinstance(store, Located) else None
    return receipt if where is None else replace(receipt, version_id=where.version_id, retain_until=where.retain_until)
