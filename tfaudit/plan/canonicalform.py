"""Which bytes stand for a part of the plan, however the engine wrote it down?

The JSON text of a value: UTF-8, no spaces, keys sorted by code point, number literals as the engine spelled them, and
escapes only for ``"``, ``\\`` and control characters below 0x20. Terraform escapes ``<``, ``>`` and ``&`` for HTML and
OpenTofu doesn't; their texts are the same here.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.plan import exactjson
from tfaudit.plan.exactjson import Json

_decoder: Final = msgspec.json.Decoder(float_hook=msgspec.Raw)
_encoder: Final = msgspec.json.Encoder(order="sorted")


def text_of(value: Json, *, what: str) -> bytes:
    """Return the JSON text of a value that :func:`tfaudit.plan.exactjson.decode` returned.

    Raises :class:`InputError`, ``what`` naming it, for a value that nests too deeply.
    """
    try:
        return _encoder.encode(value)
    except RecursionError as error:
        raise InputError(f"{what} is nested too deeply") from error


def read(raw: bytes | msgspec.Raw, *, what: str) -> tuple[Json, bytes]:
    """Return the value that ``raw`` spells and its JSON text.

    Raises :class:`InputError` for what is not exactly one JSON value with unique keys.
    """
    data = bytes(raw)
    try:
        value = _decoder.decode(data)
        text = _encoder.encode(value)
    except (RecursionError, msgspec.MsgspecError, UnicodeDecodeError):
        text = b""
    # As long as what was read, it has lost nothing on the way (see exactjson); else that is looked into.
    if len(text) != len(data):
        value = exactjson.decode(data, what=what)
        text = text_of(value, what=what)
    return value, text


def change_text(raw: bytes | msgspec.Raw, *, what: str) -> bytes:
    """Return the JSON text of an entry of ``resource_changes`` or its like; ``replace_paths`` is a set and so sorted.

    Raises :class:`InputError` for what is no object.
    """
    entry, text = read(raw, what=what)
    if not isinstance(entry, dict):
        raise InputError(f"{what} is not an object")
    change = entry.get("change")
    if not isinstance(change, dict):
        return text
    paths = change.get("replace_paths")
    if not isinstance(paths, list) or len(paths) < 2:
        return text
    ordered = sorted(paths, key=_encoder.encode)
    return text_of({**entry, "change": {**change, "replace_paths": ordered}}, what=what)
