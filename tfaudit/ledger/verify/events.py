"""Are these the event lines that were signed? The loop in here bounds how fast a ledger is verified."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from tfaudit.ledger import merkle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfaudit.ledger.verify.disclosures import Disclosures
    from tfaudit.ledger.verify.lines import Lines

_BLOCK: Final = 1 << 10
_ABSENT: Final = msgspec.Raw()
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading JSON that someone else wrote may raise."""


class Attribute(msgspec.Struct, gc=False):
    """A changed attribute, as far as it commits to values."""

    path: str
    before: str | None = None
    after: str | None = None


class Line(msgspec.Struct, gc=False):
    """An event line, as far as its commitments need it."""

    kind: str
    address: str = ""
    deposed: str = ""
    attributes: list[Attribute] = []
    # What else of an event line may commit to values, schemas/event-line.v1; most have none of these.
    importing: msgspec.Raw = _ABSENT
    instances: msgspec.Raw = _ABSENT
    id: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT
    summary: msgspec.Raw = _ABSENT
    detail: msgspec.Raw = _ABSENT
    facts: msgspec.Raw = _ABSENT


_decoder: Final = msgspec.json.Decoder(Line)


class Checked(NamedTuple):
    """What came of a record's event lines."""

    lines: int
    """How many were hashed."""
    altered: str | None
    """Why they are not the signed ones."""
    unlike: str | None
    """Which of them is no event line, though its signer signed it."""


class Tree:
    """An event tree that takes leaf hashes by the thousand and remembers only its frontier."""

    def __init__(self) -> None:
        self._blocks: tuple[bytes, ...] = ()
        self._count = 0
        self._rest: list[bytes] = []

    def add(self, leaves: list[bytes]) -> None:
        """Add leaf hashes."""
        rest = self._rest + leaves if self._rest else leaves
        start = 0
        while len(rest) - start >= _BLOCK:
            level = rest[start : start + _BLOCK]
            while len(level) > 1:
                pairs = iter(level)
                level = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
            self._blocks, self._count = merkle.grow(self._blocks, self._count, level)
            start += _BLOCK
        self._rest = rest[start:]

    def root(self) -> bytes:
        """Return the root of what was added."""
        return merkle.root((*self._blocks, *merkle.grow((), 0, self._rest)[0]))


def check(source: Lines, *, count: int, root: bytes, parse: bool = True, disclosures: Disclosures | None) -> Checked:
    """Check the next ``count`` lines of ``source``, which must be its last, against the event tree's ``root``.

    ``parse`` False only hashes. ``disclosures`` None leaves the digests in the lines alone.
    """
    tree = Tree()
    number = 0
    unlike: str | None = None
    for block in source:
        lines = block.split(b"\n")
        if number + len(lines) > count:
            return Checked(number, f"has more lines than the {count} events that were signed", unlike)
        tree.add([sha256(b"\x00" + line).digest() for line in lines])
        if parse:
            parsed = _parse(block)
            if len(parsed) != len(lines):
                unlike = unlike or _first_unlike(lines, number)
            elif disclosures is not None:
                disclosures.check(number + 1, lines, parsed)
        number += len(lines)
    if source.rest:
        return Checked(number, f"has bytes after event line {number} that are no line", unlike)
    if number < count:
        return Checked(number, f"has {number} event lines where {count} were signed", unlike)
    if tree.root() != root:
        return Checked(number, "has event lines whose root is not the signed one", unlike)
    return Checked(number, None, unlike)


def _parse(block: bytes) -> Sequence[Line]:
    """Return the lines of a block; fewer or more than it has where one of them is not an event line."""
    try:
        return _decoder.decode_lines(block)
    except UNREADABLE:
        return []


def _first_unlike(lines: Sequence[bytes], before: int) -> str:
    for at, line in enumerate(lines, before + 1):
        try:
            _decoder.decode(line)
        except UNREADABLE as error:
            return f"line {at} is no event line: {error}"
    return "has lines that are no event lines"
