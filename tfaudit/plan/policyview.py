"""What of a change do rules see?

Plain values for an expression language: numbers are numbers, what is unknown is null and listed, what is withheld
elsewhere is ``[redacted]`` here too, unless the user reveals it to the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.plan import exactjson
from tfaudit.plan.attributes import AttributeChange, holds_true, pointer
from tfaudit.plan.exactjson import Json
from tfaudit.plan.model import ResourceChange
from tfaudit.plan.parse import Plan
from tfaudit.plan.redact import Redactor
from tfaudit.plan.secrets import MASK

_WHAT: Final = "a change of the plan JSON"
_encode: Final = msgspec.json.Encoder(order="sorted").encode
_plain: Final = msgspec.json.Decoder()

View = dict[str, Any]


def changes(plan: Plan, *, reveal: bool = False) -> Iterator[View]:
    """Yield each listed resource change as a rule sees it.

    Keys: ``address``, ``previous_address``, ``deposed``, ``module`` (empty for the root module), ``mode``, ``type``,
    ``name``, ``index``, ``provider``, ``action``, ``actions``, ``action_reason``, ``importing`` (whether it imports),
    ``before`` and ``after`` (null or the whole value, unknown members null), and four lists of JSON pointers:
    ``unknown`` (known after the apply), ``changed``, ``sensitive`` (changed, and withheld in whole or in part) and
    ``forces_replacement``. What is absent is null. ``reveal`` leaves the values of attributes as they are.
    Raises :class:`InputError` for a change that can't be read.
    """
    for change, raw in zip(plan.resource_changes(), plan.parts.changes, strict=True):
        entry = exactjson.decode(raw, what=_WHAT)
        try:
            yield _view(change, entry.get("change"), _Sides(plan, reveal=reveal, kind=change.type))
        except RecursionError as error:
            raise InputError(f"{_WHAT} is nested too deeply") from error


def outputs(plan: Plan, *, reveal: bool = False) -> Iterator[View]:
    """Yield each output change: ``name``, ``action``, ``actions``, ``before``, ``after``, ``unknown``, ``sensitive``.

    ``sensitive`` says whether the engine marks it, in whole or in part.
    """
    for change in plan.output_changes():
        spelled = exactjson.decode(plan.parts.outputs[change.name], what=_WHAT)
        before, after, unknown = _Sides(plan, reveal=reveal, kind="output", names=(change.name,)).of(spelled)
        yield {
            "name": change.name,
            "action": change.action,
            "actions": list(change.actions),
            "before": before,
            "after": after,
            "unknown": unknown,
            "sensitive": holds_true(spelled.get("after_sensitive")) or holds_true(spelled.get("before_sensitive")),
        }


def masked(value: Json, redactor: Redactor) -> Json:
    """Return a value with every text, number and truth value in it withheld; its shape stays."""
    if isinstance(value, dict):
        return {redactor.text(key): masked(member, redactor) for key, member in value.items()}
    if isinstance(value, list):
        return [masked(member, redactor) for member in value]
    return None if value is None else MASK


def _view(change: ResourceChange, spelled: Json, sides: _Sides) -> View:
    before, after, unknown = sides.of(spelled if isinstance(spelled, dict) else {})
    return {
        "address": change.address,
        "previous_address": change.previous_address,
        "deposed": change.deposed,
        "module": change.module or "",
        "mode": change.mode,
        "type": change.type,
        "name": change.name,
        "index": change.index,
        "provider": change.provider,
        "action": change.action,
        "actions": list(change.actions),
        "action_reason": change.action_reason,
        "importing": change.importing is not None,
        "before": before,
        "after": after,
        "unknown": unknown,
        "changed": _paths(change, lambda attribute: True),
        "sensitive": _paths(change, lambda attribute: attribute.sensitive or attribute.redacted),
        "forces_replacement": _paths(change, lambda attribute: attribute.forces_replacement),
    }


def _plainly(value: Json) -> Json:
    """Return a copy in which the engine's number literals are numbers."""
    return _plain.decode(_encode(value))


def _paths(change: ResourceChange, chosen: Callable[[AttributeChange], bool]) -> list[str]:
    return [attribute.path for attribute in change.attributes if chosen(attribute)]


class _Sides:
    """Makes the two sides of one change fit to be seen."""

    def __init__(self, plan: Plan, *, reveal: bool, kind: str, names: tuple[str, ...] = ()) -> None:
        self._redactor = plan.redactor
        self._withheld = plan.withheld
        self._reveal = reveal
        self._kind = kind
        self._names = names

    def of(self, change: dict[str, Json]) -> tuple[Json, Json, list[str]]:
        """Return the value before, the value after, and where the latter is unknown."""
        before, after = change.get("before"), change.get("after")
        if self._reveal:
            before, after = _plainly(before), _plainly(after)
        elif self._withheld or ("before_sensitive" not in change and "after_sensitive" not in change):
            before, after = masked(before, self._redactor), masked(after, self._redactor)
        else:
            marks, new_marks = change.get("before_sensitive"), change.get("after_sensitive")
            is_harmless = not (self._names or holds_true(marks) or holds_true(new_marks))
            if not (is_harmless and self._are_harmless(before, after)):
                before = self._redactor.value(before, marks, self._kind, self._names).value
                after = self._redactor.value(after, new_marks, self._kind, self._names).value
            before, after = _plainly(before), _plainly(after)
        unknown: list[str] = []
        return before, self._filled(after, change.get("after_unknown"), (), unknown), unknown

    def _are_harmless(self, before: Json, after: Json) -> bool:
        """Return whether neither side can hold a secret; what didn't change is looked at once."""
        if isinstance(before, dict) and isinstance(after, dict):
            after = {name: value for name, value in after.items() if name not in before or before[name] != value}
        return not (self._redactor.suspects(_encode(before)) or self._redactor.suspects(_encode(after)))

    def _filled(self, value: Json, unknown: Json, path: tuple[object, ...], found: list[str]) -> Json:
        """Return ``value`` with null where it is unknown; the places come into ``found``."""
        if unknown is True:
            # What stands in the name of a place may be a secret: no rule may learn it by this way.
            found.append(self._redactor.text(pointer(path)))
            return None
        if isinstance(unknown, dict) and (value is None or isinstance(value, dict)):
            below = {
                name: self._filled((value or {}).get(name), mark, (*path, name), found)
                for name, mark in unknown.items()
                if holds_true(mark)
            }
            return value if value is None else {**value, **below}
        if isinstance(unknown, list) and isinstance(value, list):
            for at, mark in enumerate(unknown[: len(value)]):
                value[at] = self._filled(value[at], mark, (*path, at), found)
        return value
