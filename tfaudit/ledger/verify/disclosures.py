"""Does a disclosure file open the digests that its record's event lines and statement hold?

What every line has is looked at here, as fast as may be; whatever is not of the usual form goes to
:mod:`tfaudit.ledger.verify.values`.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

import msgspec

from tfaudit.canonical import frame
from tfaudit.events import commitment
from tfaudit.events.commitment import SALT_SIZE, Side
from tfaudit.ledger.disclosed import MAX_DISCLOSURE
from tfaudit.ledger.verify import values
from tfaudit.ledger.verify.events import UNREADABLE, Line
from tfaudit.ledger.verify.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CACHED: Final = 1 << 16
_NOT_DEPOSED: Final = frame(b"")
_SHORT: Final = 1 << 10
_LENGTHS: Final = tuple(length.to_bytes(4, "big") for length in range(_SHORT))
"""What stands before a framed text of so many bytes."""


class Value(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """One member of a disclosure line: ``["/pointer","side","<salt>",<text>]``."""

    pointer: str
    side: Side
    salt: Annotated[bytes, msgspec.Meta(min_length=SALT_SIZE, max_length=SALT_SIZE)] | None
    text: msgspec.Raw


class DisclosureLine(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One line of a disclosure file."""

    line: int
    values: list[Value]


_decoder: Final = msgspec.json.Decoder(DisclosureLine)
_document: Final = msgspec.json.Decoder(dict[str, Any])


class Disclosures:
    """A disclosure file, read alongside the event lines that it belongs to."""

    def __init__(self, stream: BinaryIO, record_id: str, *, erased: bool) -> None:
        self.opened = 0
        """Values that opened their digests."""
        self.unopened: str | None = None
        """The first place whose disclosure is not what the record commits to."""
        self.undisclosed: str | None = None
        """The first digest that nothing was disclosed for, in an attribute or in a member that the schema names."""
        self.own: tuple[commitment.Disclosed, ...] = ()
        """What is disclosed of the statement itself."""
        self.lacking = False
        """Whether a value is gone of which another record may say that it was erased."""
        self._record_id = record_id
        self._erased = erased
        self._digest = sha256()
        self._file = Lines(stream, longest=MAX_DISCLOSURE, on_bytes=self._digest.update)
        self._blocks = iter(self._file)
        self._waiting: list[DisclosureLine] = []
        """Lines read and not used yet, the next one last."""
        self._begun = sha256(commitment.TAG + frame(record_id.encode()))
        self._frames: dict[str, tuple[bytes, bytes]] = {}

    def check(self, first: int, lines: Sequence[bytes], parsed: Sequence[Line]) -> None:
        """Check event lines, of which the first has the number ``first``; they must come in order."""
        waiting = self._waiting
        frames = self._frames
        begin = self._begun.copy
        lengths, join = _LENGTHS, b"".join
        opened = 0
        for number, line in enumerate(parsed, first):
            waiting = waiting or self._read()
            found = waiting.pop().values if waiting and waiting[-1].line == number else []
            # All digests of a line begin with the same bytes: these are hashed once.
            address = line.address.encode()
            begun = begin()
            deposed = frame(line.deposed.encode()) if line.deposed else _NOT_DEPOSED
            if len(address) < _SHORT:
                begun.update(join((lengths[len(address)], address, deposed)))
            else:
                begun.update(frame(address) + deposed)
            value_hash = begun.copy
            left = iter(found)
            try:
                for attribute in line.attributes:
                    path = attribute.path
                    before, after = frames.get(path) or self._frame(path)
                    # Both sides are written out: what is called here is called six times an event.
                    digest = attribute.before
                    if digest is not None:
                        value = next(left)
                        hashed = value_hash()
                        hashed.update(before + value.salt)  # type: ignore[operator]
                        hashed.update(value.text)
                        if hashed.hexdigest() != digest or value.side != "before" or value.pointer != path:
                            break
                    digest = attribute.after
                    if digest is not None:
                        value = next(left)
                        hashed = value_hash()
                        hashed.update(after + value.salt)  # type: ignore[operator]
                        hashed.update(value.text)
                        if hashed.hexdigest() != digest or value.side != "after" or value.pointer != path:
                            break
                else:
                    if next(left, None) is None and not (
                        line.importing
                        or line.instances
                        or line.id
                        or line.error
                        or line.summary
                        or line.detail
                        or line.facts
                    ):
                        opened += len(found)
                        continue
            except (StopIteration, TypeError):
                # There are fewer values, or one of them has no salt: it was erased.
                pass
            self._unusual(number, lines[number - first], line, found)
        self.opened += opened

    def finish(self, predicate: Mapping[str, Any], *, may_lack: frozenset[str] = frozenset()) -> str:
        """Check what is disclosed of the statement, the file's last line; return the file's SHA-256, hexadecimal.

        Values at the pointers ``may_lack`` may be erased: then :attr:`lacking` says so.
        """
        waiting = self._waiting or self._read()
        own = waiting.pop().values if waiting and waiting[-1].line == 0 else []
        self._take("the statement", predicate, "", own, may_lack)
        if waiting or self._read():
            self._refuse(f"disclosure line {self._waiting[-1].line} is out of place")
        self._file.skip()
        return self._digest.hexdigest()

    def _read(self) -> list[DisclosureLine]:
        """Read on and return the lines that wait now; none at the end, or where the rest can't be read."""
        self._waiting = []
        while not self._waiting:
            block = next(self._blocks, None)
            if block is None:
                if self._file.rest:
                    self._refuse("the disclosures do not end in a whole line")
                break
            try:
                self._waiting = _decoder.decode_lines(block)
            except UNREADABLE:
                self._refuse("the disclosures have a line that is none")
                self._blocks = iter(())
        self._waiting.reverse()
        return self._waiting

    def _frame(self, path: str) -> tuple[bytes, bytes]:
        if len(self._frames) >= _CACHED:
            self._frames.clear()
        encoded = path.encode()
        framed = self._frames[path] = (frame(encoded, b"before"), frame(encoded, b"after"))
        return framed

    def _unusual(self, number: int, raw: bytes, line: Line, found: list[Value]) -> None:
        try:
            document = _document.decode(raw)
        except UNREADABLE:
            self._refuse(f"line {number} belongs to an event line that can't be read")
            return
        self._take(f"line {number}", document, line.address, found)

    def _take(
        self,
        name: str,
        document: Mapping[str, Any],
        address: str,
        found: list[Value],
        may_lack: frozenset[str] = frozenset(),
    ) -> None:
        disclosed = []
        for value in found:
            text = bytes(value.text)
            if value.salt is None:
                disclosed.append(commitment.Disclosed(value.pointer, value.side, None, None))
                if text != b"null":
                    self._refuse(f"{name}: {value.pointer} ({value.side}) has a value without its salt")
            else:
                disclosed.append(commitment.Disclosed(value.pointer, value.side, value.salt, text))
        opened = values.check(
            document, self._record_id, disclosed, erased=self._erased, address=address, may_lack=may_lack
        )
        self.opened += opened.opened
        self.own = tuple(disclosed)
        self.lacking = self.lacking or opened.lacking
        if opened.unopened is not None:
            self._refuse(f"{name}: {opened.unopened}")
        if opened.undisclosed is not None and self.undisclosed is None:
            self.undisclosed = f"{name}: {opened.undisclosed}"

    def _refuse(self, message: str) -> None:
        if self.unopened is None:
            self.unopened = message
