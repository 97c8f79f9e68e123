"""Which attributes does a change alter, and from what to what?

Granularity: objects and maps are compared member by member, lists of equal length by index; everything else (a list
that grows or shrinks, a value whose type changes) is one attribute. A member that is absent is null, and null
to null is no change. A map that has a secret or something personal among its keys is one attribute too, so that no
pointer shows it.
A sensitive value is one attribute of which only "sensitive, changed" is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from typing import Final

import msgspec

from tfaudit.plan.exactjson import Json
from tfaudit.plan.names import LABELLED, labels_secret
from tfaudit.plan.redact import Redactor

_encode: Final = msgspec.json.Encoder(order="sorted").encode
_CACHED: Final = 65_536
_NOTHING: Final[dict[str, Json]] = {}


class AttributeChange(msgspec.Struct, frozen=True, gc=False):
    """One changed attribute; its values are JSON texts already redacted.

    ``path`` is the JSON pointer from the resource's (or output's) value. ``before`` and ``after`` are None where there
    is no value, where it is not known yet, and where it is withheld. ``sensitive``: withheld as a whole; ``redacted``:
    a part of a shown value is withheld; ``unknown``: the whole or a part is known only after the apply.
    """

    path: str
    before: bytes | None = None
    after: bytes | None = None
    sensitive: bool = False
    redacted: bool = False
    unknown: bool = False
    forces_replacement: bool = False


class Differ:
    """Compares the two sides of one change after another, redacting as it goes.

    ``personal`` says whether a map's key looks like personal data. With ``withhold`` no value is kept at all: the
    plan's format has no marks, so nothing tells the secret ones.
    """

    def __init__(self, redactor: Redactor, personal: Callable[[str], bool], *, withhold: bool = False) -> None:
        self._redactor = redactor
        self._personal = personal
        self._withhold = withhold
        self._shown: set[str] = set()

    def changes(
        self,
        before: object,
        after: object,
        *,
        unknown: object = None,
        before_marks: object = None,
        after_marks: object = None,
        resource_type: str = "",
        names: tuple[str, ...] = (),
        replace_paths: Iterable[object] = (),
        withhold: bool = False,
    ) -> tuple[AttributeChange, ...]:
        """Return the changed attributes in the order of their pointers' members.

        ``names`` are the names that the whole value goes by (an output's), beside those of its members.
        """
        replaced = [pointer(path) for path in replace_paths if isinstance(path, list)]
        comparison = _Comparison(self, resource_type, replaced, withhold or self._withhold)
        comparison.compare("", names, before, after, unknown, before_marks, after_marks)
        return tuple(comparison.found)

    def may_show(self, keys: Set[str]) -> bool:
        """Return whether all ``keys`` may stand in a pointer: they hold no secret and nothing personal."""
        if keys <= self._shown:
            return True
        fresh = keys - self._shown
        if not all(not self._personal(key) and self._redactor.text(key) == key for key in fresh):
            return False
        if len(self._shown) > _CACHED:
            self._shown.clear()
        self._shown |= fresh
        return True

    @property
    def redactor(self) -> Redactor:
        """The redactor that every value goes through."""
        return self._redactor

    @property
    def withhold(self) -> bool:
        """Whether no value is kept."""
        return self._withhold


class _Comparison:
    """The walk over one change; ``found`` collects the attributes."""

    __slots__ = ("_differ", "_names", "_redactor", "_replaced", "_type", "_withhold", "found")

    def __init__(self, differ: Differ, resource_type: str, replaced: list[str], withhold: bool) -> None:
        self._differ = differ
        self._redactor = differ.redactor
        self._names = differ.redactor.names
        self._type = resource_type
        self._replaced = replaced
        self._withhold = withhold
        self.found: list[AttributeChange] = []

    def compare(
        self,
        path: str,
        names: tuple[str, ...],
        before: Json,
        after: Json,
        unknown: Json,
        marks: Json,
        new_marks: Json,
    ) -> None:
        """Append what differs between ``before`` and ``after`` at ``path``."""
        if unknown is not True and marks is not True and new_marks is not True:
            old, new = type(before), type(after)
            if (old is dict and (new is dict or after is None)) or (new is dict and before is None):
                if not self._by_name(names):
                    return self._members(path, names, before, after, unknown, marks, new_marks)
            elif old is list and new is list and len(before) == len(after) > 0 and not self._by_name(names):
                return self._elements(path, names, before, after, unknown, marks, new_marks)
        if not _same(before, after) or (unknown and holds_true(unknown)):
            self._leaf(path, names, before, after, unknown, marks, new_marks)
        return None

    def _members(
        self,
        path: str,
        names: tuple[str, ...],
        before: Json,
        after: Json,
        unknown: Json,
        marks: Json,
        new_marks: Json,
    ) -> None:
        left: dict[str, Json] = before if before is not None else _NOTHING
        right: dict[str, Json] = after if after is not None else _NOTHING
        unknowns: dict[str, Json] = unknown if type(unknown) is dict else _NOTHING
        keys: Set[str] = left.keys()
        if unknowns or keys != right.keys():
            keys = keys | right.keys() | unknowns.keys()
        if not self._differ.may_show(keys):
            if not _same(before, after) or holds_true(unknown):
                self._leaf(path, names, before, after, unknown, marks, new_marks)
            return
        left_marks: dict[str, Json] = marks if type(marks) is dict else _NOTHING
        right_marks: dict[str, Json] = new_marks if type(new_marks) is dict else _NOTHING
        labelled = not LABELLED.isdisjoint(keys) and (labels_secret(left) or labels_secret(right))
        start = len(self.found)
        changed = [
            key
            for key in keys
            if (old := left.get(key)) != (new := right.get(key))
            or key in unknowns
            or (type(old) is not str and not _same(old, new))
        ]
        changed.sort()
        for key in changed:
            self.compare(
                f"{path}/{_escape(key)}",
                (*names, key),
                left.get(key),
                right.get(key),
                unknowns.get(key),
                left_marks.get(key) or (labelled and key in LABELLED),
                right_marks.get(key),
            )
        if len(self.found) == start and (before is None) != (after is None):
            self._leaf(path, names, before, after, unknown, marks, new_marks)

    def _elements(
        self,
        path: str,
        names: tuple[str, ...],
        before: Json,
        after: Json,
        unknown: Json,
        marks: Json,
        new_marks: Json,
    ) -> None:
        if not unknown and _same(before, after):
            return
        unknowns = unknown if type(unknown) is list else ()
        left_marks = marks if type(marks) is list else ()
        right_marks = new_marks if type(new_marks) is list else ()
        for at, (old, new) in enumerate(zip(before, after, strict=True)):
            self.compare(f"{path}/{at}", names, old, new, _at(unknowns, at), _at(left_marks, at), _at(right_marks, at))

    def _leaf(
        self,
        path: str,
        names: tuple[str, ...],
        before: Json,
        after: Json,
        unknown: Json,
        marks: Json,
        new_marks: Json,
    ) -> None:
        if before is None and after is None and not path and unknown is not True:
            return
        is_unknown = unknown is True or holds_true(unknown)
        forces = bool(self._replaced) and any(_touches(path, replaced) for replaced in self._replaced)
        if marks is True or new_marks is True or self._named(names, before, after):
            self.found.append(AttributeChange(path, sensitive=True, unknown=is_unknown, forces_replacement=forces))
            return
        if self._withhold:
            self.found.append(AttributeChange(path, unknown=is_unknown, forces_replacement=forces))
            return
        left, left_touched = self._shown(before, marks, names)
        right, right_touched = (None, False) if unknown is True else self._shown(after, new_marks, names)
        self.found.append(AttributeChange(path, left, right, False, left_touched or right_touched, is_unknown, forces))

    def _by_name(self, names: tuple[str, ...]) -> bool:
        return bool(names) and self._names.withhold(self._type, names[-1], ".".join(names))

    def _named(self, names: tuple[str, ...], before: Json, after: Json) -> bool:
        return self._by_name(names) and any(
            value is not None and type(value) is not bool and not _reference(value) for value in (before, after)
        )

    def _shown(self, value: Json, marks: Json, names: tuple[str, ...]) -> tuple[bytes | None, bool]:
        if value is None:
            return None, False
        text = _encode(value)
        if not (marks and holds_true(marks)) and not self._redactor.suspects(text):
            return text, False
        kept = self._redactor.value(value, marks, self._type, names)
        return (_encode(kept.value), True) if kept.touched else (text, False)


def pointer(steps: Iterable[object]) -> str:
    """Return the JSON pointer (RFC 6901) of a path given as member names and indexes."""
    return "".join(f"/{_escape(step if isinstance(step, str) else str(step))}" for step in steps)


def holds_true(marks: object) -> bool:
    """Return whether a nested mark (``after_unknown``, ``before_sensitive`` …) is true anywhere."""
    if marks is True:
        return True
    if not marks:
        return False
    if isinstance(marks, dict):
        return any(map(holds_true, marks.values()))
    return isinstance(marks, list) and any(map(holds_true, marks))


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


def _same(before: Json, after: Json) -> bool:
    """Return whether two values are the same JSON; Python alone would take ``true`` for ``1``."""
    if before != after:
        return False
    kind = type(before)
    if kind is dict or kind is list:
        return _encode(before) == _encode(after)
    return kind is type(after)


def _reference(value: Json) -> bool:
    return isinstance(value, str) and (not value or value.startswith("arn:"))


def _at(marks: Json, index: int) -> Json:
    return marks[index] if index < len(marks) else None


def _touches(path: str, replaced: str) -> bool:
    return path == replaced or path.startswith(f"{replaced}/") or replaced.startswith(f"{path}/")
