"""Which resources is a record about: the addresses of its events without instance keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.export import addresses

if TYPE_CHECKING:
    from tfaudit.export.entries import Row
    from tfaudit.ledger.reader import Reader


class EventHead(msgspec.Struct):
    """The members of an event line by which it is chosen."""

    kind: str
    address: str | None = None
    previous_address: str | None = None


_line: Final = msgspec.json.Decoder(EventHead)


class _Operation(msgspec.Struct):
    arguments: tuple[str, ...] = ()


_operation: Final = msgspec.json.Decoder(_Operation)


def event_head(line: bytes) -> EventHead:
    """Return what an event line is about; :class:`InputError` for what is no event line."""
    try:
        return _line.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("an event line can't be read") from error


def touched(row: Row, reader: Reader) -> set[str]:
    """Return the bases of all addresses that a record's events, or its command's arguments, name.

    Raises :class:`VerificationError` and :class:`InputError` where the record is altered or can't be read.
    """
    found = {addresses.without_keys(argument) for argument in _operation.decode(row.entry).arguments}
    for _, line in reader.events(row.line):
        event = event_head(line)
        found.update(addresses.without_keys(each) for each in (event.address, event.previous_address) if each)
    return found
