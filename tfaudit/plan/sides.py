"""What do the two sides of a change look like to rules?

The value before and the value after, with what is withheld elsewhere as ``[redacted]``, what is unknown as null, and
the engine's number literals as numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Final

import msgspec

from tfaudit.plan.attributes import holds_true, pointer
from tfaudit.plan.exactjson import Json
from tfaudit.plan.redact import Redactor
from tfaudit.plan.secrets import MASK

_LABELS: Final = frozenset({"name", "Name", "key", "Key"})
"""Members that may say of the member beside them that it is a secret."""
_encode: Final = msgspec.json.Encoder(order="sorted").encode
_plain: Final = msgspec.json.Decoder()


class Shower:
    """Makes values fit to be seen by rules; ``withhold`` shows none at all, ``reveal`` all."""

    def __init__(self, redactor: Redactor, *, withhold: bool, reveal: bool) -> None:
        self._redactor = redactor
        self._withhold = withhold
        self._reveal = reveal

    def sides(
        self, change: dict[str, Json], kind: str, names: tuple[str, ...] = (), members: Set[str] | None = None
    ) -> tuple[Json, Json]:
        """Return the values before and after a ``change`` of the plan JSON.

        ``names`` are those that the whole value goes by (an output's); ``members`` the only ones of an object that are
        asked for, None for all. What is withheld is the same in either case.
        """
        before, after = (_reduced(change.get(side), members) for side in ("before", "after"))
        if self._reveal:
            pass
        elif self._withhold or ("before_sensitive" not in change and "after_sensitive" not in change):
            before, after = masked(before, self._redactor), masked(after, self._redactor)
        else:
            marks, new_marks = change.get("before_sensitive"), change.get("after_sensitive")
            if names or holds_true(marks) or holds_true(new_marks) or not self._are_harmless(before, after):
                before = self._redactor.value(before, marks, kind, names).value
                after = self._redactor.value(after, new_marks, kind, names).value
        before, after = _plainly(before), _plainly(_filled(after, change.get("after_unknown"), members))
        return _only(before, members), _only(after, members)

    def _are_harmless(self, before: Json, after: Json) -> bool:
        """Return whether neither side can hold a secret; what didn't change is looked at once."""
        if isinstance(before, dict) and isinstance(after, dict):
            after = {name: value for name, value in after.items() if name not in before or before[name] != value}
        return not (self._redactor.suspects(_encode(before)) or self._redactor.suspects(_encode(after)))

    def unknown(self, marks: Json) -> list[str]:
        """Return the pointers of what is known only after the apply."""
        # What stands in the name of a place may be a secret: no rule may learn it by this way.
        return [self._redactor.text(pointer(path)) for path in _places(marks, ())]


def masked(value: Json, redactor: Redactor) -> Json:
    """Return a value with every text, number and truth value in it withheld; its shape stays."""
    if isinstance(value, dict):
        return {redactor.text(key): masked(member, redactor) for key, member in value.items()}
    if isinstance(value, list):
        return [masked(member, redactor) for member in value]
    return None if value is None else MASK


def _reduced(value: Json, members: Set[str] | None) -> Json:
    if members is None or not isinstance(value, dict):
        return value
    return {name: member for name, member in value.items() if name in members or name in _LABELS}


def _only(value: Json, members: Set[str] | None) -> Json:
    if members is None or not isinstance(value, dict):
        return value
    return {name: member for name, member in value.items() if name in members}


def _plainly(value: Json) -> Json:
    """Return a copy in which the engine's number literals are numbers."""
    return _plain.decode(_encode(value))


def _places(marks: Json, path: tuple[object, ...]) -> Iterator[tuple[object, ...]]:
    """Yield the path of each place where the nested ``marks`` are true."""
    if marks is True:
        yield path
    elif isinstance(marks, dict):
        for name, mark in marks.items():
            yield from _places(mark, (*path, name))
    elif isinstance(marks, list):
        for at, mark in enumerate(marks):
            yield from _places(mark, (*path, at))


def _filled(value: Json, unknown: Json, members: Set[str] | None = None) -> Json:
    """Return ``value`` with null where it is unknown."""
    if unknown is True:
        return None
    if isinstance(unknown, dict) and isinstance(value, dict):
        below = {
            name: _filled(value.get(name), mark)
            for name, mark in unknown.items()
            if (members is None or name in members) and holds_true(mark)
        }
        return {**value, **below}
    if isinstance(unknown, list) and isinstance(value, list):
        known = value[len(unknown) :]
        return [_filled(member, mark) for member, mark in zip(value, unknown, strict=False)] + known
    return value
