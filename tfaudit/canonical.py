"""Which bytes stand for a value: canonical JSON, length framing, digests.

Canonical JSON here is RFC 8785's form restricted to what needs no number formatting: objects with string keys sorted by
code point, arrays, strings, booleans, null and integers below 2^53. Floats are refused, so that two implementations
can't disagree about a digit; a number that needs more is written as text.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, Final

import msgspec

from tfaudit.errors import InputError, InternalError

MAX_EXACT_INT: Final = 2**53 - 1
MAX_DEPTH: Final = 64

_decoder: Final = msgspec.json.Decoder()


def encode(value: object) -> bytes:
    """Return the canonical JSON of ``value`` as UTF-8.

    Raises :class:`InternalError` for floats, integers beyond 2^53, non-string keys and lone surrogates: such a value
    would not read back the same everywhere.
    """
    _check(value, 0)
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise InternalError("a lone surrogate can't be written as canonical JSON") from error


def _check(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InternalError("a value is nested too deeply for canonical JSON")
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int):
        if abs(value) > MAX_EXACT_INT:
            raise InternalError("an integer beyond 2^53 must be written as text in canonical JSON")
        return
    if isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str):
                raise InternalError(f"a {type(key).__name__} can't be a key in canonical JSON")
            _check(member, depth + 1)
        return
    if isinstance(value, list | tuple):
        for member in value:
            _check(member, depth + 1)
        return
    raise InternalError(f"a {type(value).__name__} has no canonical JSON form")


def decode(data: bytes, *, what: str) -> Any:  # noqa: ANN401 - the caller checks the shape
    """Return the parsed canonical JSON of one of our own documents, ``what`` naming it in errors.

    Raises :class:`InputError` unless ``data`` is exactly the canonical form of what it says: duplicate keys, white
    space, floats and other spellings are refused, because someone may read the same bytes differently.
    """
    try:
        value = _decoder.decode(data)
        same = hmac.compare_digest(encode(value), data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InternalError) as error:
        raise InputError(f"{what} is not canonical JSON: {error}") from error
    if not same:
        raise InputError(f"{what} is not canonical JSON")
    return value


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def readable(text: str) -> str:
    """Return a text of the operating system's with each byte that is no UTF-8 spelled out, as in ``caf\\xe9``.

    Arguments, paths and the environment may hold any bytes; JSON holds text.
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def frame(*parts: bytes) -> bytes:
    """Return the parts, each after its length as four big-endian bytes: no two lists give the same bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
