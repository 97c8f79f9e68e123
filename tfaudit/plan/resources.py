"""How does one undecoded entry of the plan become a change?

Unknown keys, actions, modes and reasons are kept or passed over; what makes an entry no change at all is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

import msgspec

from tfaudit.errors import InputError
from tfaudit.plan import exactjson
from tfaudit.plan.attributes import AttributeChange, Differ, holds_true
from tfaudit.plan.exactjson import Json
from tfaudit.plan.model import (
    ActionInvocation,
    ChangeKind,
    Importing,
    OutputChange,
    ResourceChange,
    derive_action,
)

_WHAT: Final = "a change of the plan JSON"
_encode: Final = msgspec.json.Encoder(order="sorted").encode


P = ParamSpec("P")
R = TypeVar("R")


def _depth_limited(read: Callable[P, R]) -> Callable[P, R]:
    """Return ``read`` with Python's recursion limit, which deep values run into, told as an input error."""

    @wraps(read)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return read(*args, **kwargs)
        except RecursionError as error:
            raise InputError(f"{_WHAT} is nested too deeply") from error

    return limited


class ChangeReader:
    """Reads entries one after the other; the differ carries redactor and caches from one to the next."""

    def __init__(self, differ: Differ) -> None:
        self._differ = differ

    @_depth_limited
    def resource(self, raw: msgspec.Raw, kind: ChangeKind) -> ResourceChange:
        """Return the resource change that ``raw`` spells; raises :class:`InputError` where it can't be read."""
        return self._resource(_decode(raw), kind, None)

    @_depth_limited
    def decoded(self, entry: dict[str, Json], *, attributes: bool) -> ResourceChange:
        """Return the resource change of a decoded entry, without its changed attributes where they aren't wanted."""
        return self._resource(entry, "resource-change", None, attributes=attributes)

    @_depth_limited
    def deferred(self, raw: msgspec.Raw) -> ResourceChange:
        """Return the change inside an entry of ``deferred_changes``."""
        entry = _decode(raw)
        change = entry.get("resource_change")
        return self._resource(change if isinstance(change, dict) else {}, "deferred-change", _text(entry, "reason"))

    @_depth_limited
    def output(self, name: str, raw: msgspec.Raw) -> OutputChange:
        """Return the change of the output ``name``."""
        change = _decode(raw)
        actions = _actions(change)
        return OutputChange(
            name=name,
            actions=actions,
            action=derive_action(actions),
            attributes=self._attributes(change, "output", (name,)),
            withheld=_withheld(change) or self._differ.withhold,
        )

    @_depth_limited
    def invocation(self, raw: msgspec.Raw, deferred_reason: str | None = None) -> ActionInvocation:
        """Return the action invocation that ``raw`` spells."""
        return self._invocation(_decode(raw), deferred_reason)

    @_depth_limited
    def deferred_invocation(self, raw: msgspec.Raw) -> ActionInvocation:
        """Return the invocation inside an entry of ``deferred_action_invocations``."""
        entry = _decode(raw)
        inner = entry.get("action_invocation")
        return self._invocation(inner if isinstance(inner, dict) else {}, _text(entry, "reason") or "unknown")

    def _invocation(self, entry: dict[str, Json], deferred_reason: str | None) -> ActionInvocation:
        trigger = entry.get("lifecycle_action_trigger")
        trigger = trigger if isinstance(trigger, dict) else {}
        config = {
            "after": entry.get("config_values"),
            "after_unknown": entry.get("config_unknown"),
            "after_sensitive": entry.get("config_sensitive", False),
        }
        triggering = _text(trigger, "triggering_resource_address")
        return ActionInvocation(
            address=self._differ.redactor.address(_text(entry, "address") or ""),
            type=_text(entry, "type") or "",
            name=_text(entry, "name") or "",
            provider=_text(entry, "provider_name") or "",
            triggering_address=self._differ.redactor.address(triggering) if triggering else None,
            trigger_event=_text(trigger, "action_trigger_event"),
            attributes=self._attributes(config, _text(entry, "type") or "", ()),
            deferred_reason=deferred_reason,
        )

    def _resource(
        self, entry: dict[str, Json], kind: ChangeKind, deferred_reason: str | None, *, attributes: bool = True
    ) -> ResourceChange:
        redactor = self._differ.redactor
        address = _text(entry, "address")
        if not address:
            raise InputError("a resource change of the plan JSON has no address")
        change = entry.get("change")
        change = change if isinstance(change, dict) else {}
        actions = _actions(change)
        previous, module, index = _text(entry, "previous_address"), _text(entry, "module_address"), entry.get("index")
        resource_type = _text(entry, "type") or ""
        return ResourceChange(
            kind=kind,
            address=redactor.address(address),
            previous_address=redactor.address(previous) if previous else None,
            deposed=_text(entry, "deposed"),
            module=redactor.address(module) if module else None,
            mode=_text(entry, "mode") or "managed",
            type=resource_type,
            name=_text(entry, "name") or "",
            index=redactor.text(index) if isinstance(index, str) else _index(index),
            provider=_text(entry, "provider_name") or "",
            actions=actions,
            action=derive_action(actions),
            action_reason=_text(entry, "action_reason"),
            importing=self._importing(change.get("importing")),
            attributes=self._attributes(change, resource_type, ()) if attributes else (),
            withheld=_withheld(change) or self._differ.withhold,
            deferred_reason=deferred_reason,
        )

    def _attributes(
        self, change: dict[str, Json], resource_type: str, names: tuple[str, ...]
    ) -> tuple[AttributeChange, ...]:
        paths = change.get("replace_paths")
        return self._differ.changes(
            change.get("before"),
            change.get("after"),
            unknown=change.get("after_unknown"),
            before_marks=change.get("before_sensitive"),
            after_marks=change.get("after_sensitive"),
            resource_type=resource_type,
            names=names,
            replace_paths=paths if isinstance(paths, list) else (),
            withhold=_withheld(change),
        )

    def _importing(self, importing: object) -> Importing | None:
        if importing is None:
            return None
        subject = importing.get("id", importing.get("identity")) if isinstance(importing, dict) else None
        if subject is None or holds_true(subject):
            return Importing(None)
        return Importing(_encode(self._differ.redactor.value(subject, None, "").value))


def _decode(raw: msgspec.Raw) -> dict[str, Json]:
    value = exactjson.decode(raw, what=_WHAT)
    if not isinstance(value, dict):
        raise InputError(f"{_WHAT} is not an object")
    return value


def _text(entry: dict[str, Json], key: str) -> str | None:
    value = entry.get(key)
    return value if isinstance(value, str) else None


def _index(index: object) -> str | int | None:
    if index is None or isinstance(index, int):
        return index
    return _encode(index).decode()


def _actions(change: dict[str, Json]) -> tuple[str, ...]:
    actions = change.get("actions")
    if not isinstance(actions, list):
        return ()
    return tuple(action if isinstance(action, str) else _encode(action).decode() for action in actions)


def _withheld(change: dict[str, Json]) -> bool:
    """Return whether the change has no sensitivity marks at all, as in formats before 0.2."""
    return "before_sensitive" not in change and "after_sensitive" not in change
