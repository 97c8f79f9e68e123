"""Do two records tell of the same changes: what somebody was shown, and what is to be done?

A change digest says that two plans do the same; only the event lines say what a person saw. So the lines of the record
that was approved are held against those of the intent: addresses, actions, attributes, and the values that both
disclose. Salts differ, and so do digests; what one of two machines had to withhold is passed over.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from tfaudit.canonical import frame
from tfaudit.errors import InputError
from tfaudit.events import commitment

if TYPE_CHECKING:
    from tfaudit.events.commitment import Disclosed, Disclosure

COMPARED: Final = frozenset(
    {"resource-change", "output-change", "deferred-change", "action-invocation", "deferred-action-invocation"}
)
"""The kinds of lines that say what is done; checks are of the moment."""
DRIFT: Final = "drift"
"""What changed outside of the engine: of the moment too, but where nothing else is done, it is what is written."""
_HIDDEN: Final = '["~'


class _Attribute(msgspec.Struct, gc=False):
    path: str
    before: str | None = None
    after: str | None = None
    sensitive: bool = False
    redacted: bool = False
    unknown: bool = False


class _Line(msgspec.Struct):
    kind: str
    address: str | None = None
    deposed: str | None = None
    action: str | None = None
    actions: list[str] = []
    previous_address: str | None = None
    attributes: list[_Attribute] = []


class Attribute(NamedTuple):
    """One attribute; its sides are JSON texts, None where there is no value or it is not disclosed."""

    sensitive: bool
    unknown: bool
    had: bool
    """Whether there is a value before, disclosed or not."""
    has: bool
    """Whether there is one after."""
    before: bytes | None
    after: bytes | None


class Shown(NamedTuple):
    """What an event line tells, without what differs between two records of the same."""

    key: tuple[str, str, str]
    """Kind, address and deposed key."""
    done: tuple[object, ...]
    attributes: Mapping[str, Attribute]
    """By pointer."""


_decode: Final = msgspec.json.Decoder(_Line).decode


def shown(
    record_id: str, lines: Iterable[tuple[int, bytes]], disclosures: Iterable[Disclosure], *, drift: bool = False
) -> Iterator[Shown]:
    """Yield what a record's event lines tell, in their order, with the values that open their digests.

    ``lines`` are (number, line) as the record's reader yields them, ``disclosures`` those of the record in file order;
    with ``drift`` that counts as well.
    Raises :class:`InputError` for a line that is no event line.
    """
    opened = _Ahead(disclosures)
    for number, raw in lines:
        disclosure = opened.of(number)
        try:
            line = _decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InputError("an event line can't be read") from error
        if line.kind in COMPARED or (drift and line.kind == DRIFT):
            yield _told(line, _Values(record_id, line, disclosure))


def differing(one: Iterable[Shown], other: Iterable[Shown]) -> str | None:
    """Return the address of the first change in which two records differ; None where they tell of the same changes.

    The order does not matter. Where both have the same one, no more than one change of each is held in memory.
    """
    left, right = iter(one), iter(other)
    early: dict[tuple[str, str, str], Shown] = {}
    late: dict[tuple[str, str, str], Shown] = {}
    while True:
        first, second = next(left, None), next(right, None)
        if first is None and second is None:
            return next((key[1] for key in (*early, *late)), None)
        for found, mine, theirs in ((first, early, late), (second, late, early)):
            if found is None:
                continue
            match = theirs.pop(found.key, None)
            if match is not None and not _same(match, found):
                return found.key[1]
            if match is None:
                if found.key in mine:
                    # Nothing changes twice in one plan: whoever was shown this was shown something else.
                    return found.key[1]
                mine[found.key] = found


def _same(one: Shown, other: Shown) -> bool:
    return (
        one.done == other.done
        and one.attributes.keys() == other.attributes.keys()
        and all(_alike(attribute, other.attributes[path]) for path, attribute in one.attributes.items())
    )


def _alike(one: Attribute, other: Attribute) -> bool:
    if one == other:
        return True
    return (
        one[:4] == other[:4]
        and (one.before is None or other.before is None or one.before == other.before)
        and (one.after is None or other.after is None or one.after == other.after)
    )


def _told(line: _Line, values: _Values) -> Shown:
    attributes: dict[str, Attribute] = {}
    for one in line.attributes:
        before = after = None
        # A text in which something is withheld says less than the same text elsewhere.
        if not one.redacted:
            before = None if one.before is None else values.text(one.path, "before", one.before)
            after = None if one.after is None else values.text(one.path, "after", one.after)
        attributes[one.path] = Attribute(
            one.sensitive, one.unknown, one.before is not None, one.after is not None, before, after
        )
    address = values.address("/address", line.address or "")
    previous = values.address("/previous_address", line.previous_address or "")
    return Shown(
        key=(line.kind, address, line.deposed or ""),
        done=(line.action, tuple(line.actions), previous),
        attributes=attributes,
    )


class _Ahead:
    """The disclosures of a file, asked for in ascending order."""

    def __init__(self, disclosures: Iterable[Disclosure]) -> None:
        self._left = iter(disclosures)
        self._next = next(self._left, None)

    def of(self, number: int) -> Disclosure | None:
        """Return that of one event line."""
        while self._next is not None and 0 < self._next.line < number:
            self._next = next(self._left, None)
        return self._next if self._next is not None and self._next.line == number else None


@lru_cache(maxsize=4096)
def _framed(pointer: str, side: str) -> bytes:
    """Return the framed pointer and side: the same few come in every resource of a type."""
    return frame(pointer.encode(), side.encode())


class _Values:
    """The disclosed values of one line; each counts only where it opens the digest that the line has for it."""

    def __init__(self, record_id: str, line: _Line, disclosure: Disclosure | None) -> None:
        self._record_id = record_id
        self._deposed = line.deposed
        self._prefix = commitment.digest_prefix(record_id, line.address or "", line.deposed)
        found = disclosure.values if disclosure is not None else ()
        self._found: dict[tuple[str, str], Disclosed] = {(value.pointer, value.side): value for value in found}

    def text(self, pointer: str, side: str, digest: str) -> bytes | None:
        """Return the JSON text behind a digest; None where it is withheld or something else was put in its place."""
        value = self._found.get((pointer, side))
        if value is None or value.salt is None or value.text is None:
            return None
        opening = hashlib.sha256(b"".join((self._prefix, _framed(pointer, side), value.salt, value.text))).hexdigest()
        return value.text if hmac.compare_digest(opening.encode(), digest.encode()) else None

    def address(self, pointer: str, printed: str) -> str:
        """Return an address with the instance key that the line hides, where it is disclosed."""
        if _HIDDEN not in printed:
            return printed
        value = self._found.get((pointer, "value"))
        if value is None or value.salt is None or value.text is None:
            return printed
        digest = commitment.value_digest(self._record_id, "", self._deposed, pointer, "value", value.salt, value.text)
        if f'["~{digest[:16]}"]' not in printed:
            return printed
        real = msgspec.json.decode(value.text)
        return real if isinstance(real, str) else printed
