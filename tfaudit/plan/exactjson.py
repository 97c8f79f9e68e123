"""How is the engine's JSON read without losing a digit, and refused where two readers could differ?

Numbers that Python would round stay ``msgspec.Raw`` literals. Bad UTF-8, duplicate keys, lone surrogates, bottomless
nesting and plain syntax errors are each one :class:`InputError` line. The fast path is msgspec; what it can't keep
exactly (a negative zero, an integer of thousands of digits) or can't rule out (duplicate keys) is decided by the
standard library's slower scanner.
"""

from __future__ import annotations

import json
import re
from mmap import mmap
from typing import Any, Final, TypeAlias

import msgspec

from tfaudit.errors import InputError

Buffer: TypeAlias = bytes | bytearray | memoryview | mmap
Json: TypeAlias = Any
"""Decoded foreign JSON: its shape is the engine's business, so each reader checks what it needs."""


_decoder: Final = msgspec.json.Decoder(float_hook=msgspec.Raw)
_encoder: Final = msgspec.json.Encoder()
_LOSSES: Final = re.compile(rb"[:\[,\s]-0[,\]}\s]|\s:")


def decode(data: bytes | msgspec.Raw, *, what: str) -> Json:
    """Return the value that ``data`` spells, ``what`` naming it in errors; floats are ``msgspec.Raw`` literals.

    Raises :class:`InputError` for anything that is not exactly one JSON value with unique keys.
    """
    raw = bytes(data)
    try:
        value = _decoder.decode(raw)
        again = _encoder.encode(value)
        # Writing drops spaces, long escapes, a zero's sign and a key's first value; so no shorter means none of them.
        if len(again) == len(raw) or (not _may_lose(raw) and _keys(raw) == _keys(again)):
            return value
    except RecursionError as error:
        raise InputError(f"{what} is nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass  # the slow scanner either reads it or says better what is wrong
    return _decode_slowly(raw, what)


def _may_lose(raw: bytes) -> bool:
    """Return whether the fast decoder may have lost a spelling, or the count of keys may deceive."""
    return b"\\u0022" in raw or _LOSSES.search(raw) is not None


def _keys(raw: bytes) -> int:
    return raw.count(b'":') - raw.count(b'\\":')


def _decode_slowly(raw: bytes, what: str) -> Json:
    try:
        value = json.loads(
            raw.decode("utf-8"),
            parse_float=_literal,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
        msgspec.json.encode(value)  # a lone surrogate has no UTF-8 and so no digest
    except RecursionError as error:
        raise InputError(f"{what} is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{what} is not UTF-8") from error
    except UnicodeEncodeError as error:
        raise InputError(f"{what} holds a lone surrogate") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{what} is not JSON: {error.msg.lower()} at character {error.pos}") from error
    return value


def _literal(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def _integer(text: str) -> int | msgspec.Raw:
    if text == "-0" or len(text) > 4000:
        return msgspec.Raw(text.encode())
    return int(text)


def _refuse_constant(text: str) -> None:
    raise InputError(f"{text} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InputError("a JSON object has the same key twice")
    return members


def check_utf8(data: Buffer, *, what: str, piece: int = 1 << 20) -> None:
    """Raise :class:`InputError` unless all of ``data`` is UTF-8; ``piece`` bytes are read at a time (at least four)."""
    view = memoryview(data)
    start = 0
    while start < len(view):
        end = min(start + piece, len(view))
        while end < len(view) and end > start and view[end] & 0xC0 == 0x80:
            end -= 1
        try:
            str(view[start:end], "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{what} is not UTF-8 at byte {start + error.start}") from error
        start = end if end > start else start + piece


def members(data: Buffer, *, what: str) -> dict[str, msgspec.Raw]:
    """Return the members of the JSON object ``data``, each as the undecoded slice of ``data`` that it is.

    Raises :class:`InputError` for what is not an object, is broken, or has the same key twice.
    """
    try:
        found = _members_decoder.decode(data)
    except RecursionError as error:
        raise InputError(f"{what} is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{what} is not UTF-8") from error
    except msgspec.ValidationError as error:
        raise InputError(f"{what} is not a JSON object") from error
    except msgspec.MsgspecError as error:
        if "trailing characters" in str(error):
            raise InputError(f"{what} is followed by another document", hint="give one at a time") from error
        raise InputError(f"{what} is not JSON: {error}") from error
    # Written without spaces, an object is as long as its parts; anything longer holds spaces, or a key twice.
    view = memoryview(data)
    end = len(view)
    while view[end - 1] in b" \t\r\n":
        end -= 1
    compact = 1 + sum(len(key.encode()) + 4 + len(memoryview(value)) for key, value in found.items())
    if found and compact != end and not _walk(view, found):
        raise InputError(f"{what} has the same key twice")
    return found


_members_decoder: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_token: Final = re.compile(rb'[\s{,]*("(?:[^"\\]|\\.)*")\s*:\s*', re.DOTALL)


def _walk(data: memoryview, found: dict[str, msgspec.Raw]) -> bool:
    """Return whether the object's members, one after the other, are exactly those ``found``, each once."""
    position, seen = 0, 0
    while match := _token.match(data, position):
        value = memoryview(found[json.loads(bytes(match[1]))])
        position = match.end()
        if data[position : position + len(value)] != value:
            return False
        position += len(value)
        seen += 1
    return seen == len(found)


def elements(data: Buffer | msgspec.Raw, *, what: str) -> list[msgspec.Raw]:
    """Return the elements of the JSON array ``data`` as undecoded slices; null is an empty array.

    Raises :class:`InputError` for what is neither.
    """
    try:
        return _elements_decoder.decode(memoryview(data)) or []
    except RecursionError as error:
        raise InputError(f"{what} is nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{what} is not a JSON array") from error


_elements_decoder: Final = msgspec.json.Decoder(list[msgspec.Raw] | None)
