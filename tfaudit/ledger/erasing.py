"""How is one value erased from what the working store discloses of a record, so that everything else still opens?

The record that states the erasure names the digest that the file has from then on: it can be computed before, since
erasing writes the same bytes whoever does it.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfaudit.errors import InputError, LedgerError
from tfaudit.events import commitment
from tfaudit.events.commitment import Disclosed
from tfaudit.ledger import ids
from tfaudit.ledger.disclosed import MAX_DISCLOSURE, OWN

if TYPE_CHECKING:
    from tfaudit.ledger.store import Working


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A value that is to be erased, and what becomes of the file that discloses it."""

    record_id: str
    pointer: str
    """Of the value within the record's predicate."""
    content: bytes
    """The file without it."""

    def statement(self) -> dict[str, str]:
        """Return what an outcome says of it, under ``erased``."""
        return {
            "record": self.record_id,
            "pointer": self.pointer,
            "disclosures": hashlib.sha256(self.content).hexdigest(),
        }

    def carry_out(self, working: Working) -> None:
        """Replace the file, durably; to be called when the record that states it is in the log or the spool.

        If we crash before, the value is still there and the file still the one that was signed; it is never half a
        file. Raises :class:`LedgerError` when the store failed.
        """
        working.replace(ids.disclosure_key(self.record_id), self.content, forget=True)


def prepare(working: Working, record_id: str, pointer: str) -> Erasure | None:
    """Return what erasing a value of a record's statement comes to; None where nothing is disclosed there any more.

    Nothing is written. Raises :class:`LedgerError` when the store failed, or holds what is no disclosure.
    """
    stream = working.open(ids.disclosure_key(record_id))
    if stream is None:
        return None
    content = io.BytesIO()
    found = False
    with stream:
        while line := stream.readline(MAX_DISCLOSURE + 1):
            if line.startswith(OWN):
                without = _without(line.rstrip(b"\n"), pointer, record_id)
                found = found or without is not None
                content.write(line if without is None else without + b"\n")
            else:
                content.write(line)
    return Erasure(record_id=record_id, pointer=pointer, content=content.getvalue()) if found else None


def _without(line: bytes, pointer: str, record_id: str) -> bytes | None:
    try:
        disclosure = commitment.decode_disclosure(line)
    except InputError as error:
        raise LedgerError(f"the disclosures of record {record_id} can't be read: {error.message}") from error
    if all(value.pointer != pointer or value.salt is None for value in disclosure.values):
        return None
    values = (
        Disclosed(value.pointer, value.side, None, None) if value.pointer == pointer else value
        for value in disclosure.values
    )
    return commitment.rewrite_disclosure(disclosure._replace(values=tuple(values)))
