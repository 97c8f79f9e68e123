"""Which value does a record's statement commit to at this place, as far as the working store still holds it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import InputError
from tfaudit.events import commitment
from tfaudit.ledger import ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfaudit.events.commitment import Disclosure
    from tfaudit.ledger.record import Record
    from tfaudit.ledger.store import Store

MAX_DISCLOSURE: Final = 64 << 20
"""Bytes of one line of a disclosure file."""
MAX_FILE: Final = 1 << 40
"""Bytes of a whole file, where nobody asks for less."""
OWN: Final = b'{"line":0,'
"""How the line of a statement's own disclosures starts, a file's last."""


def value(working: Store, record: Record, pointer: str, *, limit: int | None = None) -> bytes | None:
    """Return the JSON text that the record's predicate commits to at ``pointer``.

    At most ``limit`` bytes of the file are read. None where nothing is committed to there, where it was erased, and
    where what the store holds does not open the digest. Raises :class:`tfaudit.errors.LedgerError` when the store
    failed.
    """
    digest = committed(record.predicate, pointer)
    if digest is None:
        return None
    found = statement(working, record.record_id, limit=limit)
    for one in () if found is None else found.values:
        if one.pointer == pointer and commitment.opens(digest, record.record_id, "", None, one):
            return one.text
    return None


def committed(predicate: Mapping[str, Any], pointer: str) -> str | None:
    """Return the digest that stands at ``pointer`` in place of a value."""
    here: Any = predicate
    for token in pointer.split("/")[1:]:
        here = here.get(token) if isinstance(here, dict) else None
    match here:
        case {"digest": str(digest), **rest} if not rest:
            return digest
    return None


def statement(working: Store, record_id: str, *, limit: int | None = None) -> Disclosure | None:
    """Return what is disclosed of a record's statement; None where nothing is, or what is there can't be read.

    Nor is what lies beyond the first ``limit`` bytes of the file.

    The other lines of the file, one an event, are passed over without being parsed.
    """
    stream = working.open(ids.disclosure_key(record_id))
    if stream is None:
        return None
    left = MAX_FILE if limit is None else limit
    with stream:
        while line := stream.readline(min(MAX_DISCLOSURE, left) + 1):
            if len(line) > min(MAX_DISCLOSURE, left):
                return None
            left -= len(line)
            if line.startswith(OWN):
                try:
                    return commitment.decode_disclosure(line.rstrip(b"\n"))
                except InputError:
                    return None
    return None
