"""How is an object read so that whatever fails under it is one kind of error?"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tfaudit.errors import LedgerError

if TYPE_CHECKING:
    from tfaudit.ledger.store import Store


def read(store: Store, key: str, *, limit: int) -> bytes | None:
    """Return the first ``limit`` bytes of an object, or None when there is none.

    Raises :class:`LedgerError` when the store failed or what is there is no object.
    """
    stream = store.open(key, limit=limit)
    if stream is None:
        return None
    with stream:
        return some(stream, limit)


def some(stream: BinaryIO, size: int) -> bytes:
    """Return the next ``size`` bytes of an object's stream, fewer at its end; :class:`LedgerError` when it failed."""
    try:
        return stream.read(size)
    except OSError as failure:
        raise LedgerError(f"reading failed: {failure.strerror or failure}") from failure
