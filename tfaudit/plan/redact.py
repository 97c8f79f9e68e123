"""What of a value may be kept, once the engine's marks, names, token forms and known secrets have had their say?

A value marked by the engine, or named like a secret, goes as a whole. Inside a text that is otherwise kept (a script, a
policy, a diagnostic) only the secret part is replaced, by ``[redacted]``; texts that are JSON are looked into. Nothing
that left through here can be turned back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from tfaudit.errors import InputError
from tfaudit.plan import exactjson, tokens
from tfaudit.plan.exactjson import Json
from tfaudit.plan.names import LABELLED, NameRules, labels_secret
from tfaudit.plan.secrets import MASK, MIN_LENGTH, KnownSecrets

_MAX_NESTED_JSON: Final = 4
_TOO_SHORT: Final = 10
"""A quoted text below this holds neither a known secret (eight characters) nor a name with a value."""

_WORTH_KEEPING: Final = 40
_MAX_KEPT: Final = 20_000
"""So many short texts found harmless are remembered: zones, sizes and names come in every resource."""

_KEY: Final = re.compile(r'\["((?:[^"\\]|\\.)*)"\]')
_text_encoder: Final = msgspec.json.Encoder(order="sorted")


class Redacted(NamedTuple):
    """A value without its secrets, and whether anything was taken out."""

    value: Json
    touched: bool


class Redactor:
    """Takes secrets out of values and texts; one redactor serves a whole run."""

    def __init__(self, *, secrets: KnownSecrets | None = None, names: NameRules | None = None) -> None:
        self.secrets: Final = secrets or KnownSecrets()
        self.names: Final = names or NameRules()
        self._harmless: Final[set[bytes]] = set()

    def knowing(self, values: Iterable[str]) -> Redactor:
        """Return a redactor that withholds ``values`` (those of eight characters or more) wherever they recur."""
        return Redactor(secrets=self.secrets.joined_by(values), names=self.names)

    def suspects(self, text: bytes) -> bool:
        """Return False only if the JSON ``text`` of a value, its own name aside, can hold nothing to redact."""
        if self.names.custom:
            return True
        if len(text) < _TOO_SHORT or text in self._harmless:
            return False
        if tokens.may_hold_one(text) or (self.secrets and self.secrets.occur_in(text)):
            return True
        if len(text) <= _WORTH_KEEPING and len(self._harmless) < _MAX_KEPT:
            self._harmless.add(text)
        return False

    def text(self, text: str) -> str:
        """Return free text (a diagnostic, an id, a reason) without its secrets."""
        return str(self._text(text, "", "", 0).value)

    def address(self, address: str) -> str:
        """Return a resource address without the secrets in its instance keys; labels from the source stay."""
        if '["' not in address or all(len(key) < MIN_LENGTH for key in _KEY.findall(address)):
            return address
        return _KEY.sub(lambda key: f'["{self._key(key[1])}"]', address)

    def value(self, value: object, marks: object, resource_type: str, path: Sequence[str] = ()) -> Redacted:
        """Return ``value`` without what ``marks`` (the engine's, nested as the value is) or its content betrays.

        ``path`` are the names above it; the last one is the value's own.
        """
        name = path[-1] if path else ""
        named = bool(name) and self.names.withhold(resource_type, name, ".".join(path))
        return self._value(value, marks, resource_type, tuple(path), named, 0)

    def _value(
        self, value: object, marks: object, kind: str, path: tuple[str, ...], named: bool, depth: int
    ) -> Redacted:
        if marks is True:
            return Redacted(MASK, True) if value is not None else Redacted(None, False)
        match value:
            case str():
                if named and value and not value.startswith("arn:"):
                    return Redacted(MASK, True)
                return self._text(value, kind, ".".join(path), depth)
            case dict():
                return self._object(value, marks, kind, path, named, depth)
            case list():
                nested = marks if isinstance(marks, list) else []
                members = [
                    self._value(member, nested[at] if at < len(nested) else None, kind, path, named, depth)
                    for at, member in enumerate(value)
                ]
                return Redacted([member.value for member in members], any(member.touched for member in members))
            case bool() | None:
                return Redacted(value, False)
            case _:
                return Redacted(MASK, True) if named else Redacted(value, False)

    def _object(
        self, value: dict[str, Json], marks: object, kind: str, path: tuple[str, ...], named: bool, depth: int
    ) -> Redacted:
        nested: Mapping[str, Json] = marks if isinstance(marks, dict) else {}
        kept: dict[str, Json] = {}
        touched = False
        labelled = labels_secret(value)
        for name, member in value.items():
            below = (*path, name)
            secret = named or self.names.withhold(kind, name, ".".join(below)) or (labelled and name in LABELLED)
            result = self._value(member, nested.get(name), kind, below, secret, depth)
            key = self._key(name)
            kept[key] = result.value
            touched = touched or result.touched or key != name
        return Redacted(kept, touched)

    def _text(self, text: str, kind: str, path: str, depth: int) -> Redacted:
        if depth < _MAX_NESTED_JSON and text.lstrip()[:1] in ("{", "["):
            inner = self._inside_json(text, kind, path, depth)
            if inner is not None:
                return inner
        kept = self._key(text)
        return Redacted(kept, kept != text)

    def _inside_json(self, text: str, kind: str, path: str, depth: int) -> Redacted | None:
        """Return ``text`` with the secrets inside its JSON replaced; None where it is not JSON after all."""
        try:
            value = exactjson.decode(text.encode(), what="a text")
            result = self._value(value, None, kind, (path,) if path else (), False, depth + 1)
        except (InputError, UnicodeEncodeError, RecursionError):
            return None
        return Redacted(_text_encoder.encode(result.value).decode(), True) if result.touched else Redacted(text, False)

    def _key(self, text: str) -> str:
        return tokens.mask(self.secrets.mask(text) if self.secrets else text)
