"""What of the whole plan JSON may rules see? The same document, every secret in it replaced by ``[redacted]``.

Withheld is what the engine marks, what is named like a secret, credentials of well-known forms, and all of these
wherever they recur. What came by an option or the environment is withheld where the variable itself stands, not in what
is made of it: a rule would not see what the change does. The configuration has no marks of its own: an argument there
is withheld where the engine marks that attribute for any resource of the type, or where it goes to a sensitive
variable. In plans whose format has no marks, every value is withheld.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.plan import exactjson
from tfaudit.plan.attributes import holds_true
from tfaudit.plan.declared import sensitive
from tfaudit.plan.detect import unwrapped
from tfaudit.plan.exactjson import Buffer, Json
from tfaudit.plan.parse import Plan
from tfaudit.plan.redact import Redactor
from tfaudit.plan.redactedconfig import ConfigurationRedactor
from tfaudit.plan.sides import masked

_WHAT: Final = "the plan JSON"
_encode: Final = msgspec.json.Encoder().encode


def redacted_json(data: Buffer, plan: Plan, *, given: Collection[str] = (), reveal: bool = False) -> bytes:
    """Return the plan JSON ``data``, of which ``plan`` was read, without its secrets; with ``reveal``, as it is.

    ``given`` are the input variables whose values came by the environment: these are withheld like sensitive ones'.
    Raises :class:`InputError` for what can't be read.
    """
    view = unwrapped(data)
    if reveal:
        return bytes(view)
    members = exactjson.members(view, what=_WHAT)
    document = _Document(plan, given)
    # The configuration comes last: by then it is known which attributes the engine marks.
    order = sorted(members, key=lambda key: key == "configuration")
    try:
        redacted = {key: document.member(key, members[key]) for key in order}
    except RecursionError as error:
        raise InputError(f"{_WHAT} is nested too deeply") from error
    return b"{" + b",".join(_encode(key) + b":" + redacted[key] for key in members) + b"}"


class _Document:
    """The walk over one plan JSON; it remembers which attributes are marked."""

    def __init__(self, plan: Plan, given: Collection[str]) -> None:
        self._redactor: Final[Redactor] = plan.judging(speaks=True)
        self._withheld: Final = plan.withheld
        self._secret_variables: Final = sensitive(plan) | frozenset(given)
        self._marked: Final[dict[str, set[str]]] = {}
        self._writers: Final[Mapping[str, Callable[[Json], Json]]] = {
            "output_changes": self._output_changes,
            "variables": self._variables,
            "configuration": self._configuration,
        }
        self._entry_writers: Final[Mapping[str, Callable[[Json], Json]]] = {
            "resource_changes": self._entry,
            "resource_drift": self._entry,
            "deferred_changes": partial(self._below, key="resource_change", write=self._entry),
            "action_invocations": self._invocation,
            "deferred_action_invocations": partial(self._below, key="action_invocation", write=self._invocation),
        }

    def member(self, key: str, raw: msgspec.Raw) -> bytes:
        """Return what stands for the top-level member ``key``."""
        if key in self._entry_writers and bytes(raw) != b"null":
            write = self._entry_writers[key]
            entries = exactjson.elements(raw, what=key)
            return b"[" + b",".join(_encode(write(exactjson.decode(each, what=_WHAT))) for each in entries) + b"]"
        if key in ("planned_values", "prior_state"):
            return _encode(self._state(exactjson.decode(raw, what=_WHAT)))
        value = exactjson.decode(raw, what=_WHAT)
        write = self._writers.get(key, self._any)
        return _encode(write(value) if isinstance(value, dict) else self._any(value))

    def _any(self, value: Json) -> Json:
        return self._redactor.value(value, None, "").value if self._redactor.suspects(_encode(value)) else value

    def _value(self, value: Json, marks: Json, kind: str, names: tuple[str, ...] = ()) -> Json:
        if self._withheld:
            return masked(value, self._redactor)
        if marks is not True and not holds_true(marks) and not names and not self._redactor.suspects(_encode(value)):
            return value
        return self._redactor.value(value, marks, kind, names).value

    def _below(self, entry: Json, *, key: str, write: Callable[[Json], Json]) -> Json:
        if not isinstance(entry, dict):
            return self._any(entry)
        rest = self._any({name: member for name, member in entry.items() if name != key})
        return {**rest, **({key: write(entry[key])} if key in entry else {})}

    # --- changes -------------------------------------------------------------------------------------------------

    def _entry(self, entry: Json) -> Json:
        if not isinstance(entry, dict):
            return self._any(entry)
        kind = entry.get("type")
        kind = kind if isinstance(kind, str) else ""
        change = entry.get("change")
        if isinstance(change, dict):
            self._note(kind, change.get("before_sensitive"), change.get("after_sensitive"))
        return {
            key: self._change(value, kind, ()) if key == "change" else self._place(key, value)
            for key, value in entry.items()
        }

    def _place(self, key: str, value: Json) -> Json:
        if key in ("address", "previous_address", "module_address") and isinstance(value, str):
            return self._redactor.address(value)
        return self._any(value)

    def _change(self, change: Json, kind: str, names: tuple[str, ...]) -> Json:
        if not isinstance(change, dict):
            return self._any(change)
        unmarked = "before_sensitive" not in change and "after_sensitive" not in change
        kept: dict[str, Json] = {}
        for key, value in change.items():
            if key in ("before", "after"):
                shown = masked(value, self._redactor) if unmarked else value
                kept[key] = self._value(shown, change.get(f"{key}_sensitive"), kind, names)
            elif key in ("before_identity", "after_identity", "importing", "generated_config"):
                kept[key] = self._value(value, None, kind)
            else:
                kept[key] = self._keys_only(value)
        return kept

    def _keys_only(self, marks: Json) -> Json:
        """Return marks, actions or paths, which hold no values but may repeat a map's keys."""
        return self._renamed(marks) if self._redactor.suspects(_encode(marks)) else marks

    def _renamed(self, marks: Json) -> Json:
        if isinstance(marks, dict):
            return {self._redactor.text(key): self._renamed(mark) for key, mark in marks.items()}
        if isinstance(marks, list):
            return [self._renamed(mark) for mark in marks]
        return self._redactor.text(marks) if isinstance(marks, str) else marks

    def _output_changes(self, outputs: dict[str, Json]) -> Json:
        return {name: self._change(change, "output", (name,)) for name, change in outputs.items()}

    def _invocation(self, entry: Json) -> Json:
        if not isinstance(entry, dict):
            return self._any(entry)
        kind = entry.get("type")
        kind = kind if isinstance(kind, str) else ""
        kept: dict[str, Json] = {}
        for key, value in entry.items():
            if key == "config_values":
                kept[key] = self._value(value, entry.get("config_sensitive"), kind)
            elif key in ("config_sensitive", "config_unknown"):
                kept[key] = self._keys_only(value)
            else:
                kept[key] = self._place(key, value)
        return kept

    # --- states --------------------------------------------------------------------------------------------------

    def _state(self, state: Json) -> Json:
        """Return ``planned_values``, or ``prior_state``, which has the same under ``values``."""
        if not isinstance(state, dict):
            return self._any(state)
        kept: dict[str, Json] = {}
        for key, value in state.items():
            match key, value:
                case "values", dict():
                    kept[key] = self._state(value)
                case "root_module", dict():
                    kept[key] = self._module(value)
                case "outputs", dict():
                    kept[key] = {name: self._output(name, output) for name, output in value.items()}
                case _:
                    kept[key] = self._any(value)
        return kept

    def _module(self, module: Json) -> Json:
        if not isinstance(module, dict):
            return self._any(module)
        kept: dict[str, Json] = {}
        for key, value in module.items():
            if key == "resources" and isinstance(value, list):
                kept[key] = [self._resource(resource) for resource in value]
            elif key == "child_modules" and isinstance(value, list):
                kept[key] = [self._module(child) for child in value]
            else:
                kept[key] = self._place("module_address" if key == "address" else key, value)
        return kept

    def _resource(self, resource: Json) -> Json:
        if not isinstance(resource, dict):
            return self._any(resource)
        kind = resource.get("type")
        kind = kind if isinstance(kind, str) else ""
        marks = resource.get("sensitive_values")
        self._note(kind, marks)
        kept: dict[str, Json] = {}
        for key, value in resource.items():
            if key in ("values", "identity"):
                kept[key] = self._value(value, marks if key == "values" else None, kind)
            elif key == "sensitive_values":
                kept[key] = self._keys_only(value)
            else:
                kept[key] = self._place(key, value)
        return kept

    def _output(self, name: str, output: Json) -> Json:
        if not isinstance(output, dict):
            return self._any(output)
        marks = output.get("sensitive") or None
        return {
            key: self._value(value, marks, "output", (name,)) if key == "value" else self._any(value)
            for key, value in output.items()
        }

    # --- variables and configuration -----------------------------------------------------------------------------

    def _variables(self, variables: dict[str, Json]) -> Json:
        return {name: self._variable(name, variable) for name, variable in variables.items()}

    def _variable(self, name: str, variable: Json) -> Json:
        if not isinstance(variable, dict):
            return self._any(variable)
        is_secret = name in self._secret_variables or self._redactor.names.withhold("var", name, name)
        return {
            key: self._value(value, is_secret or None, "var", (name,)) if key == "value" else self._any(value)
            for key, value in variable.items()
        }

    def _configuration(self, configuration: dict[str, Json]) -> Json:
        redactor = ConfigurationRedactor(
            self._redactor, marked=self._marked, given=self._secret_variables, withheld=self._withheld
        )
        return redactor.configuration(configuration)

    def _note(self, kind: str, *marks: Json) -> None:
        """Remember which attributes of a type the engine marks."""
        for mark in marks:
            if isinstance(mark, dict):
                self._marked.setdefault(kind, set()).update(name for name, below in mark.items() if holds_true(below))
