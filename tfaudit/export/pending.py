"""Which records does no commit hold yet: staged in the evidence store, or waiting in this machine's spool?"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final

from tfaudit.errors import InputError, LedgerError
from tfaudit.export import entries
from tfaudit.export.entries import PENDING, Row
from tfaudit.ledger import adopt, record
from tfaudit.ledger.reader import Reader
from tfaudit.ledger.store import read
from tfaudit.signing.envelope import MAX_ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.ledger.store import Entry, Store, Working

_MAX_STAGED: Final = 10_000


def pending(evidence: Store, spool: Store | None, reader: Reader, *, time: int) -> tuple[Row, ...]:
    """Return the staged and spooled records that an accepted key signed, in the order of their ids.

    ``time`` is now, milliseconds since the epoch. What no accepted key signed will never come into the log.
    """
    found: dict[str, Row] = {}
    for staged in adopt.staged(evidence, reader.state, time=time, limit=_MAX_STAGED):
        row = _read(evidence, staged.key, "staged", reader)
        if row is not None:
            found[row.record_id] = row
    if spool is not None:
        # Another user's spool can't be looked into, and need not be.
        with suppress(LedgerError):
            for entry in spool.list("records/"):
                row = _read(spool, entry.key, "spool", reader)
                if row is not None and row.record_id not in found and not _is_held(row, evidence, reader):
                    found[row.record_id] = row
    ordered = sorted(found.values(), key=lambda row: row.record_id)
    return tuple(row._replace(position=PENDING + rank) for rank, row in enumerate(ordered))


def spooled_reader(spool: Store, reader: Reader, working: Working) -> Reader:
    """Return a reader of the records in a spool of the ledger that ``reader`` reads."""
    return Reader(evidence=_SpooledRecords(spool), working=working, genesis=reader.genesis, state=reader.state)


def _read(store: Store, key: str, place: str, reader: Reader) -> Row | None:
    line, newline, _ = (read(store, key, limit=MAX_ENVELOPE + 2) or b"").partition(b"\n")
    try:
        found = record.parse(line) if newline else None
    except InputError:
        return None
    if found is None or found.origin != reader.origin or found.signed_under(reader.state.keys) is not True:
        return None
    row = entries.row(found, position=PENDING, commit=-1, place=place)
    return row if key.endswith(f"{row.record_id}.jsonl") else None


def _is_held(row: Row, evidence: Store, reader: Reader) -> bool:
    """Tell whether the log holds a spooled record already: its sender was killed before it forgot it."""
    stream = evidence.open(row.line.key, limit=0)
    if stream is None:
        return False
    stream.close()
    return reader.find(row.record_id) is not None


class _SpooledRecords:
    """A spool as an evidence store: a record's key there is its id alone."""

    def __init__(self, spool: Store) -> None:
        self._spool = spool

    def open(self, key: str, *, limit: int | None = None, settled: bool = False) -> BinaryIO | None:
        return self._spool.open(f"records/{key.rpartition('/')[2]}", limit=limit, settled=settled)

    def list(self, prefix: str, *, after: str = "", shallow: bool = False) -> Iterator[Entry]:
        return self._spool.list(prefix, after=after, shallow=shallow)

    def create(self, key: str, head: bytes, tail: BinaryIO | None = None) -> bool:
        return self._spool.create(key, head, tail)
