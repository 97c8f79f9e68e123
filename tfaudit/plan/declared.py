"""Which input variables does the root module declare, and which of them does it call sensitive?"""

from __future__ import annotations

from typing import Final

import msgspec

from tfaudit.plan.exactjson import Json
from tfaudit.plan.parse import Plan


class _Variable(msgspec.Struct):
    sensitive: Json = None


class _Module(msgspec.Struct):
    variables: dict[str, _Variable] | None = None


class _Configuration(msgspec.Struct):
    root_module: _Module | None = None


# Made at import: msgspec lays a Struct's fields out when it is first decoded, and two threads that both do so crash.
_configuration: Final = msgspec.json.Decoder(_Configuration)


def declared(plan: Plan) -> frozenset[str]:
    """Return the names of the root module's variables."""
    return frozenset(_variables(plan))


def sensitive(plan: Plan) -> frozenset[str]:
    """Return the names of the root module's variables that are declared sensitive."""
    return frozenset(name for name, variable in _variables(plan).items() if variable.sensitive)


def _variables(plan: Plan) -> dict[str, _Variable]:
    if plan.parts.configuration is None:
        return {}
    try:
        module = _configuration.decode(plan.parts.configuration).root_module
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return (module.variables if module else None) or {}
