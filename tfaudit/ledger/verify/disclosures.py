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
        """The first digest that nothing was disclosed for."""
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
        self._tag = commitment.TAG + frame(record_id.encode())
        self._frames: dict[str, tuple[bytes, bytes]] = {}

    def check(self, first: int, lines: Sequence[bytes], parsed: Sequence[Line], *, plain: bool) -> None:
        """Check event lines, of which the first has the number ``first``; they must come in order.

        ``plain`` tells that only their attributes can commit to anything.
        """
        usual = self._usual
        waiting = self._waiting
        opened = 0
        for number, line in enumerate(parsed, first):
            if not waiting:
                waiting = self._read()
            found = waiting.pop().values if waiting and waiting[-1].line == number else []
            if usual(line, found) and (plain or b'"digest":' not in lines[number - first]):
                opened += len(found)
            else:
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

    def _usual(self, line: Line, found: list[Value]) -> bool:
        """Tell whether the line's attributes commit to just these values, in the order in which they are written."""
        attributes = line.attributes
        if not attributes:
            return not found
        frames = self._frames
        address = line.address.encode()
        deposed = frame(line.deposed.encode()) if line.deposed else _NOT_DEPOSED
        # All digests of a line begin with the same bytes: these are hashed once.
        begun = sha256(b"".join((self._tag, len(address).to_bytes(4, "big"), address, deposed))).copy
        left = iter(found)
        try:
            for attribute in attributes:
                path = attribute.path
                framed = frames.get(path) or self._frame(path)
                digest = attribute.before
                if digest is not None:
                    value = next(left)
                    hashed = begun()
                    hashed.update(b"".join((framed[0], value.salt, value.text)))  # type: ignore[arg-type]
                    if hashed.hexdigest() != digest or value.side != "before" or value.pointer != path:
                        return False
                digest = attribute.after
                if digest is not None:
                    value = next(left)
                    hashed = begun()
                    hashed.update(b"".join((framed[1], value.salt, value.text)))  # type: ignore[arg-type]
                    if hashed.hexdigest() != digest or value.side != "after" or value.pointer != path:
                        return False
        except (StopIteration, TypeError):
            # There are fewer values, or one of them has no salt: it was erased.
            return False
        return next(left, None) is None

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
