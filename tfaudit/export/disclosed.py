"""What does the working store disclose of one record: its statement's values, and those of its lines as they come by?

A value counts only where it opens the digest that the record commits to. What is absent, erased or out of form shows as
withheld; ``verify`` says which of the three it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.events.commitment import Disclosure, decode_disclosure, opens
from tfaudit.ledger import ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.ledger.store import Store

_TAIL: Final = 1 << 16
_STATEMENT: Final = b'{"line":0,'
_MAX_LINE: Final = 64 << 20
_value: Final = msgspec.json.Decoder(float_hook=str)


def statement(working: Store, record_id: str) -> Disclosure | None:
    """Return what is disclosed of the statement itself: the file's last line. None where there is no such thing."""
    stream = working.open(ids.disclosure_key(record_id))
    if stream is None:
        return None
    with stream:
        if stream.seekable():
            stream.seek(max(stream.seek(0, os.SEEK_END) - _TAIL, 0))
        tail = stream.read(_TAIL) if stream.seekable() else b""
        line = tail.rstrip(b"\n").rpartition(b"\n")[2]
        if not line.startswith(_STATEMENT):
            # The line is longer than the tail, or stands elsewhere: an eraser may have written the file anew.
            if stream.seekable():
                stream.seek(0)
            line = next((one for one in stream if one.startswith(_STATEMENT)), b"").rstrip(b"\n")
    try:
        return decode_disclosure(line) if line else None
    except InputError:
        return None


def value(disclosure: Disclosure | None, record_id: str, pointer: str, digest: str | None) -> object:
    """Return the statement's value behind ``digest``, decoded; None where it is withheld."""
    if disclosure is None or digest is None:
        return None
    for found in disclosure.values:
        if found.pointer == pointer and found.side == "value" and opens(digest, record_id, "", None, found):
            try:
                return _value.decode(found.text or b"null")
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                return None
    return None


def member(disclosure: Disclosure | None, record_id: str, predicate: Mapping[str, Any], name: str) -> object:
    """Return the value that a statement commits to at its member ``name``; None where it is withheld or absent."""
    committed = predicate.get(name)
    digest = committed.get("digest") if isinstance(committed, dict) else None
    return value(disclosure, record_id, f"/{name}", digest if isinstance(digest, str) else None)


class Lines:
    """The disclosures of a record's event lines, asked for in ascending order. Close it, or leave its ``with``."""

    def __init__(self, working: Store, record_id: str) -> None:
        self._stream = working.open(ids.disclosure_key(record_id))
        self._lines = self._read()
        self._ahead: Disclosure | None = None

    def of(self, number: int) -> Disclosure | None:
        """Return what is disclosed of event line ``number``; not smaller than the one before."""
        while self._ahead is None or self._ahead.line < number:
            self._ahead = next(self._lines, None)
            if self._ahead is None:
                return None
        return self._ahead if self._ahead.line == number else None

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _read(self) -> Iterator[Disclosure]:
        while self._stream is not None and (line := self._stream.readline(_MAX_LINE)):
            try:
                found = decode_disclosure(line.rstrip(b"\n"))
            except InputError:
                continue
            if found.line > 0:
                yield found
