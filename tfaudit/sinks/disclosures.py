"""What does the working store disclose of one record: its statement's values first, then its lines' as they come by?

The statement's own line stands last in the file; where the file can be read from any place it is opened only once.
What is absent, erased or out of form is withheld; ``verify`` says which of the three it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.events.commitment import Disclosure, decode_disclosure, opens
from tfaudit.ledger import disclosed, ids
from tfaudit.ledger.store import ForbiddenError

if TYPE_CHECKING:
    from tfaudit.ledger.store import Store

_TAIL: Final = 1 << 16
_value: Final = msgspec.json.Decoder(float_hook=str)


class Disclosures:
    """One record's disclosure file. Close it, or leave its ``with``.

    A role that may not read it has nothing disclosed. Raises :class:`tfaudit.errors.LedgerError` where the working
    store fails.
    """

    def __init__(self, working: Store, record_id: str) -> None:
        self._working = working
        self._record_id = record_id
        self.forbidden = False
        """Whether this role may not read disclosures, so that all is withheld."""
        self._stream = self._open()
        self._lines: Iterator[Disclosure] = iter(())
        self._ahead: Disclosure | None = None
        self._own = None if self._stream is None else self._find_own(self._stream)

    def __enter__(self) -> Disclosures:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()

    def value(self, predicate: Mapping[str, Any], pointer: str) -> object:
        """Return the value that the statement commits to at ``pointer``, decoded; None where it is withheld."""
        digest = disclosed.committed(predicate, pointer)
        for found in self._own.values if self._own is not None and digest is not None else ():
            if found.pointer == pointer and digest and opens(digest, self._record_id, "", None, found):
                try:
                    return _value.decode(found.text or b"null")
                except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                    return None
        return None

    def of(self, number: int) -> Disclosure | None:
        """Return what is disclosed of event line ``number``; not smaller than the one before."""
        while self._ahead is None or self._ahead.line < number:
            self._ahead = next(self._lines, None)
            if self._ahead is None:
                return None
        return self._ahead if self._ahead.line == number else None

    def _open(self) -> BinaryIO | None:
        try:
            return self._working.open(ids.disclosure_key(self._record_id))
        except ForbiddenError:
            self.forbidden = True
            return None

    def _find_own(self, stream: BinaryIO) -> Disclosure | None:
        """Return the statement's line, the file standing at its beginning afterwards."""
        self._lines = self._read(stream)
        if not stream.seekable():
            return disclosed.statement(self._working, self._record_id)
        stream.seek(max(stream.seek(0, os.SEEK_END) - _TAIL, 0))
        line = stream.read(_TAIL).rstrip(b"\n").rpartition(b"\n")[2]
        stream.seek(0)
        if not line.startswith(disclosed.OWN):
            # It is longer than the tail, or stands elsewhere: an eraser may have written the file anew.
            return disclosed.statement(self._working, self._record_id)
        try:
            return decode_disclosure(line)
        except InputError:
            return None

    def _read(self, stream: BinaryIO) -> Iterator[Disclosure]:
        while line := stream.readline(disclosed.MAX_DISCLOSURE):
            try:
                found = decode_disclosure(line.rstrip(b"\n"))
            except InputError:
                continue
            if found.line > 0:
                yield found
