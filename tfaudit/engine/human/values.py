"""How does the engine print an output value: as configuration text, from its JSON value and JSON type."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


class Literal(str):
    """A JSON number, kept as the engine spelled it: no precision is lost on the way."""

    __slots__ = ()


def parse(text: str | bytes) -> Any:  # noqa: ANN401 (foreign JSON enters here)
    """The JSON value with every number as a :class:`Literal`. Raises ValueError (or RecursionError when too deep)."""
    return json.loads(text, parse_int=Literal, parse_float=Literal)


def show(value: object, kind: object, indent: int = 0) -> str:
    """The value as the engine prints it at this indentation; ``kind`` is its type in cty's JSON form."""
    if kind == "dynamic" and isinstance(value, dict):
        return show(value.get("value"), value.get("type"), indent)
    if value is None:
        return _null(kind)
    if isinstance(kind, list) and len(kind) >= 2:
        return _collection(value, kind, indent)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, str):
        return _string(value, indent)
    return json.dumps(value, ensure_ascii=False)


def indented(value: object, indent: int = 0) -> str:
    """The JSON value over several lines as Go's MarshalIndent lays it out with two spaces."""
    pad = "\n" + " " * (indent + 2)
    if isinstance(value, dict) and value:
        members = (f"{pad}{_json(key)}: {indented(item, indent + 2)}" for key, item in value.items())
        return "{" + ",".join(members) + "\n" + " " * indent + "}"
    if isinstance(value, list) and value:
        return "[" + ",".join(pad + indented(item, indent + 2) for item in value) + "\n" + " " * indent + "]"
    return str(value) if isinstance(value, Literal) else _json(value)


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def quote(text: str) -> str:
    """The text in double quotes as Go's strconv.Quote writes it."""
    return '"' + "".join(_escape(char) for char in text) + '"'


def _escape(char: str) -> str:
    code = ord(char)
    if code in _ESCAPES:
        return _ESCAPES[code]
    if char.isprintable():
        return char
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _string(text: str, indent: int) -> str:
    lines = text.split("\n")
    if len(lines) < 2:
        return quote(text)
    mark = "EOT"
    stripped = {line.strip() for line in lines}
    while mark in stripped:
        mark += "_"
    pad = " " * indent
    body = "".join(f"\n{pad}{line}" for line in lines)
    return f"{'<<-' if indent else '<<'}{mark}{body}\n{pad}{mark}"


def _collection(value: object, kind: list[Any], indent: int) -> str:
    head, detail = kind[0], kind[1]
    match head, value, detail:
        case "object", dict(), dict():
            return _mapping(value, lambda key: detail.get(key, "dynamic"), indent)
        case "map", dict(), _:
            return f"tomap({_mapping(value, lambda _key: detail, indent)})"
        case "tuple", list(), list():
            return _sequence(value, detail, indent)
        case (("list" | "set"), list(), _):
            return f"to{head}({_sequence(value, [detail] * len(value), indent)})"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _mapping(value: dict[str, Any], kind_of: Callable[[str], object], indent: int) -> str:
    if not value:
        return "{}"
    pad = " " * (indent + 2)
    # Go orders the keys by their UTF-8 bytes, which is code point order.
    lines = (
        f"\n{pad}{_string(key, indent + 2)} = {show(value[key], kind_of(key), indent + 2)}" for key in sorted(value)
    )
    return "{" + "".join(lines) + "\n" + " " * indent + "}"


def _sequence(value: list[Any], kinds: list[Any], indent: int) -> str:
    if not value:
        return "[]"
    pad = " " * (indent + 2)
    lines = (f"\n{pad}{show(item, kind, indent + 2)}," for item, kind in zip(value, kinds, strict=False))
    return "[" + "".join(lines) + "\n" + " " * indent + "]"


def _null(kind: object) -> str:
    if kind in ("string", "number", "bool"):
        return f"to{kind}(null)"
    if isinstance(kind, list) and kind[:1] in (["list"], ["set"], ["map"]) and len(kind) > 1:
        return f"to{kind[0]}(null) /* of {_name(kind[1])} */"
    if not isinstance(kind, list):
        return "null"
    return f"null /* {_name(kind)} */"


def _name(kind: object) -> str:
    if not isinstance(kind, list) or not kind:
        return str(kind)
    head = str(kind[0])
    return f"{head} of {_name(kind[1])}" if head in ("list", "set", "map") and len(kind) > 1 else head
