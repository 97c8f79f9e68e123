"""What of a change do rules see?

Plain values for an expression language, of which no value comes back: numbers are numbers, what is unknown is null and
listed, what the plan itself gives away as a secret is ``[redacted]``, unless the user reveals it to the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tfaudit.errors import InputError
from tfaudit.plan import exactjson
from tfaudit.plan.attributes import AttributeChange, holds_true
from tfaudit.plan.exactjson import Json
from tfaudit.plan.model import ResourceChange
from tfaudit.plan.parse import Plan
from tfaudit.plan.sides import Shower

_WHAT: Final = "a change of the plan JSON"
_COMPARED: Final = frozenset({"changed", "sensitive", "forces_replacement"})

View = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the rules read: the rest needs not be made."""

    fields: frozenset[str] | None = None
    """Keys of a change's view; None: all."""
    members: frozenset[str] | None = None
    """Members of ``before`` and ``after``; None: all, for rules that take the object as a whole."""

    def field(self, name: str) -> bool:
        """Return whether the key ``name`` is read."""
        return self.fields is None or name in self.fields


def changes(plan: Plan, *, reveal: bool = False, wanted: Wanted | None = None) -> Iterator[View]:
    """Yield each listed resource change as a rule sees it.

    Keys: ``address``, ``previous_address``, ``deposed``, ``module`` (empty for the root module), ``mode``, ``type``,
    ``name``, ``index``, ``provider``, ``action``, ``actions``, ``action_reason``, ``importing`` (whether it imports),
    ``before`` and ``after`` (null or the whole value, unknown members null), and four lists of JSON pointers:
    ``unknown`` (known after the apply), ``changed``, ``sensitive`` (changed, and withheld in whole or in part) and
    ``forces_replacement``. What is absent is null. ``reveal`` leaves the values of attributes as they are. What isn't
    ``wanted`` is null or an empty list; what is withheld doesn't depend on it.
    Raises :class:`InputError` for a change that can't be read.
    """
    wanted = wanted or Wanted()
    compared = any(map(wanted.field, _COMPARED))
    reader, shower = plan.reader(), _shower(plan, reveal=reveal)
    for raw in plan.parts.changes:
        entry = _object(exactjson.decode(raw, what=_WHAT))
        change = reader.decoded(entry, attributes=compared)
        spelled = entry.get("change")
        try:
            yield _view(change, spelled if isinstance(spelled, dict) else {}, shower, wanted)
        except RecursionError as error:
            raise InputError(f"{_WHAT} is nested too deeply") from error


def outputs(plan: Plan, *, reveal: bool = False) -> Iterator[View]:
    """Yield each output change: ``name``, ``action``, ``actions``, ``before``, ``after``, ``unknown``, ``sensitive``.

    ``sensitive`` says whether the engine marks it, in whole or in part.
    """
    shower = _shower(plan, reveal=reveal)
    for change in plan.output_changes():
        spelled = _object(exactjson.decode(plan.parts.outputs[change.name], what=_WHAT))
        before, after = shower.sides(spelled, "output", (change.name,))
        yield {
            "name": change.name,
            "action": change.action,
            "actions": list(change.actions),
            "before": before,
            "after": after,
            "unknown": shower.unknown(spelled.get("after_unknown")),
            "sensitive": holds_true(spelled.get("after_sensitive")) or holds_true(spelled.get("before_sensitive")),
        }


def _view(change: ResourceChange, spelled: dict[str, Json], shower: Shower, wanted: Wanted) -> View:
    before = after = None
    if wanted.field("before") or wanted.field("after"):
        before, after = shower.sides(spelled, change.type, members=wanted.members)
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
        "unknown": shower.unknown(spelled.get("after_unknown")) if wanted.field("unknown") else [],
        "changed": _paths(change, lambda attribute: True),
        "sensitive": _paths(change, lambda attribute: attribute.sensitive or attribute.redacted),
        "forces_replacement": _paths(change, lambda attribute: attribute.forces_replacement),
    }


def _paths(change: ResourceChange, chosen: Callable[[AttributeChange], bool]) -> list[str]:
    return [attribute.path for attribute in change.attributes if chosen(attribute)]


def _shower(plan: Plan, *, reveal: bool) -> Shower:
    return Shower(plan.judging(), withhold=plan.withheld, reveal=reveal)


def _object(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise InputError(f"{_WHAT} is not an object")
    return value
