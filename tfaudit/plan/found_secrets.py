"""Which strings does a plan itself give away as secret?

Every string inside a value that the engine marks sensitive (resources, drift, outputs, data sources in the prior
state), in a sensitive or secretly named variable, in a secretly named attribute, and in the provider configuration.
They are withheld wherever they recur.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.plan import exactjson
from tfaudit.plan.exactjson import Json
from tfaudit.plan.names import LABELLED, NameRules, labels_secret
from tfaudit.plan.secrets import MIN_LENGTH

ABSENT: Final = msgspec.Raw(b"null")


class _Resource(msgspec.Struct):
    values: msgspec.Raw = ABSENT
    sensitive_values: msgspec.Raw = ABSENT


class _Module(msgspec.Struct):
    resources: msgspec.Raw = ABSENT
    child_modules: list[_Module] | None = None


class _Values(msgspec.Struct):
    root_module: _Module | None = None


class _State(msgspec.Struct):
    values: _Values | None = None


class _Variable(msgspec.Struct):
    sensitive: Json = None


class _RootModule(msgspec.Struct):
    variables: dict[str, _Variable] | None = None


class _Configuration(msgspec.Struct):
    provider_config: msgspec.Raw = ABSENT
    root_module: _RootModule | None = None


_state: Final = msgspec.json.Decoder(_State)
_resource: Final = msgspec.json.Decoder(_Resource)
_configuration: Final = msgspec.json.Decoder(_Configuration)


def is_marked(mark: msgspec.Raw) -> bool:
    """Return whether the undecoded mark may hold a ``true``."""
    return b"true" in bytes(mark)


def names_a_secret(raw: bytes) -> bool:
    """Return False only if the JSON text ``raw`` can't have a member with the name of a secret; it is quick."""
    low = raw.lower()
    return any(map(low.__contains__, (b"pass", b"secret", b"token", b"_key", b"credential")))


def in_change(change: Mapping[str, Json], names: NameRules, resource_type: str) -> Iterator[str]:
    """Yield the secret strings on both sides of a decoded ``change``."""
    for side in ("before", "after"):
        value = change.get(side)
        yield from in_marked(value, change.get(f"{side}_sensitive"))
        yield from in_named(value, names, resource_type)


def in_marked(value: Json, marks: Json) -> Iterator[str]:
    """Yield the strings of ``value`` where the nested ``marks`` are true."""
    if marks is True:
        yield from strings(value)
    elif isinstance(marks, dict) and isinstance(value, dict):
        for key, mark in marks.items():
            yield from in_marked(value.get(key), mark)
    elif isinstance(marks, list) and isinstance(value, list):
        for mark, member in zip(marks, value, strict=False):
            yield from in_marked(member, mark)


def in_named(value: Json, names: NameRules, resource_type: str, path: str = "") -> Iterator[str]:
    """Yield the strings of the members of ``value`` that have the name of a secret."""
    if isinstance(value, dict):
        labelled = labels_secret(value)
        for key, member in value.items():
            below = f"{path}.{key}" if path else key
            if names.withhold(resource_type, key, below) or (labelled and key in LABELLED):
                yield from (text for text in strings(member) if not text.startswith("arn:"))
            else:
                yield from in_named(member, names, resource_type, below)
    elif isinstance(value, list):
        for member in value:
            yield from in_named(member, names, resource_type, path)


def in_state(raw: msgspec.Raw | None) -> Iterator[str]:
    """Yield the secret strings of the prior state's resources, data sources among them."""
    if raw is None:
        return
    try:
        state = _state.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("the plan's prior state can't be read") from error
    modules = [state.values.root_module] if state.values and state.values.root_module else []
    while modules:
        module = modules.pop()
        modules += module.child_modules or []
        for each in exactjson.elements(module.resources, what="the prior state's resources"):
            resource = _resource_of(each)
            if is_marked(resource.sensitive_values):
                marks = exactjson.decode(resource.sensitive_values, what="the prior state")
                yield from in_marked(exactjson.decode(resource.values, what="the prior state"), marks)


def _resource_of(raw: msgspec.Raw) -> _Resource:
    try:
        return _resource.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("a resource of the plan's prior state can't be read") from error


def in_variables(
    variables: msgspec.Raw | None, configuration: msgspec.Raw | None, names: NameRules, given: Collection[str] = ()
) -> Iterator[str]:
    """Yield the secret strings of the input variables (of those ``given``, all) and of the providers' configuration."""
    try:
        known = _configuration.decode(configuration) if configuration is not None else _Configuration()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        known = _Configuration()
    declared = (known.root_module.variables if known.root_module else None) or {}
    values = exactjson.decode(variables, what="the plan's variables") if variables is not None else None
    for name, variable in values.items() if isinstance(values, dict) else ():
        value = variable.get("value") if isinstance(variable, dict) else None
        declaration = declared.get(name)
        sensitive = declaration is not None and declaration.sensitive
        if sensitive or name in given or names.withhold("var", name, name):
            yield from strings(value)
        else:
            yield from in_named(value, names, "var", name)
    providers = exactjson.decode(known.provider_config, what="the plan's provider configuration")
    yield from in_named(providers, names, "provider")


def strings(value: Json) -> Iterator[str]:
    """Yield every string in ``value`` that is long enough to be looked for, also inside JSON texts."""
    if isinstance(value, str):
        if len(value) < MIN_LENGTH:
            return
        yield value
        if value.lstrip()[:1] in ("{", "["):
            try:
                inner = exactjson.decode(value.encode(), what="a text")
            except (InputError, UnicodeEncodeError):
                return
            yield from strings(inner)
    elif isinstance(value, dict):
        for member in value.values():
            yield from strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from strings(member)
