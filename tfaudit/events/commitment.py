"""How does an event commit to a value that it does not hold?

A value digest is the hex SHA-256 of ``"tfaudit/value/v1\\n"``, the length-framed record id, address, deposed key, JSON
pointer and side, a random salt of 16 bytes, and the value's JSON text. The event line carries the digest; the salt and
the value go to a disclosure, which may be erased without touching a proof (compare RFC 9901's salted digests).

The JSON text of a value: UTF-8, no spaces, keys sorted by code point, number literals as the engine spelled them, and
escapes only for ``"``, ``\\`` and control characters below 0x20.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

import msgspec

from tfaudit.canonical import frame
from tfaudit.errors import InputError, InternalError

SALT_SIZE: Final = 16
TAG: Final = b"tfaudit/value/v1\n"
_ADDRESSES: Final = ("/address", "/previous_address")

Side = Literal["before", "after", "value"]

_text_encoder: Final = msgspec.json.Encoder(order="sorted")


class Disclosed(NamedTuple):
    """One disclosed value of an event line; ``salt`` and ``text`` are None where the value was erased."""

    pointer: str
    side: Side
    salt: bytes | None
    text: bytes | None


class Disclosure(NamedTuple):
    """What one line of a disclosure file says: the event line it belongs to (0: the statement) and its values."""

    line: int
    values: tuple[Disclosed, ...]


class _DisclosureLine(msgspec.Struct, forbid_unknown_fields=True):
    line: int
    values: list[tuple[str, Side, str | None, msgspec.Raw]]


_line_decoder: Final = msgspec.json.Decoder(_DisclosureLine)


def json_text(value: object) -> bytes:
    """Return the JSON text that a digest covers; a ``msgspec.Raw`` inside (a number literal) is written as it stands.

    Raises :class:`InternalError` for what has no JSON form.
    """
    try:
        return _text_encoder.encode(value)
    except (TypeError, ValueError, UnicodeEncodeError, RecursionError) as error:
        raise InternalError("a value has no JSON form") from error


def digest_prefix(record_id: str, address: str, deposed: str | None) -> bytes:
    """Return the bytes that all digests of one event line begin with: the tag and the first three framed parts."""
    return TAG + frame(record_id.encode(), address.encode(), (deposed or "").encode())


def digest_after_frames(framed: bytes, salt: bytes, text: bytes) -> bytes:
    """Return the value digest, 64 hex digits, where the prefix and the framed pointer and side are known already."""
    return hashlib.sha256(framed + salt + text).hexdigest().encode()


def value_digest(
    record_id: str, address: str, deposed: str | None, pointer: str, side: Side, salt: bytes, text: bytes
) -> str:
    """Return the digest, as 64 hex digits, by which an event line or statement commits to a value.

    ``address`` is the line's own address as printed there; it is empty for a statement's commitments, and for a
    commitment that stands for an address itself. Raises :class:`InputError` for a
    salt that is not 16 bytes long: a shorter or longer one would let two values share a digest.
    """
    if len(salt) != SALT_SIZE:
        raise InputError(f"a disclosure's salt has {len(salt)} bytes instead of {SALT_SIZE}")
    framed = digest_prefix(record_id, address, deposed) + frame(pointer.encode(), side.encode())
    return digest_after_frames(framed, salt, text).decode()


def opens(digest: str, record_id: str, address: str, deposed: str | None, value: Disclosed) -> bool:
    """Return whether the disclosed value is the one that ``digest`` commits to; an erased one opens nothing."""
    if value.salt is None or value.text is None:
        return False
    if value.side == "value" and value.pointer.endswith(_ADDRESSES):
        address = ""
    found = value_digest(record_id, address, deposed, value.pointer, value.side, value.salt, value.text)
    # As bytes: a text that is not ASCII can't be compared, and is no digest.
    return hmac.compare_digest(found.encode(), digest.encode())


def encode_value(pointer: str, side: Side, salt: bytes, text: bytes) -> bytes:
    """Return one member of a disclosure line's ``values``: ``["/pointer","side","<salt>",<text>]``."""
    return encode_member(_text_encoder.encode(pointer), side.encode(), salt, text)


def encode_member(pointer_text: bytes, side: bytes, salt: bytes, text: bytes) -> bytes:
    """Return what ``encode_value`` returns, the pointer given as the JSON text it is written as."""
    return b'[%b,"%b","%b",%b]' % (pointer_text, side, binascii.b2a_base64(salt, newline=False), text)


def encode_values(values: Iterable[bytes]) -> bytes:
    """Return the ``values`` array of a disclosure line from its encoded members; empty for no members."""
    joined = b",".join(values)
    return b"[" + joined + b"]" if joined else b""


def encode_disclosure(line: int, values: bytes) -> bytes:
    """Return a disclosure line (no newline) for event line number ``line`` from its encoded ``values`` array."""
    return b'{"line":%d,"values":%b}' % (line, values)


def rewrite_disclosure(disclosure: Disclosure) -> bytes:
    """Return the line that ``decode_disclosure`` would read as ``disclosure``: erasing a value writes it anew."""
    members = (
        encode_value(value.pointer, value.side, value.salt, value.text)
        if value.salt is not None and value.text is not None
        else b'[%b,"%b",null,null]' % (_text_encoder.encode(value.pointer), value.side.encode())
        for value in disclosure.values
    )
    return encode_disclosure(disclosure.line, encode_values(members))


def decode_disclosure(line: bytes) -> Disclosure:
    """Return what one line of a disclosure file says.

    Raises :class:`InputError` for anything but the exact shape: another key, a salt that is not 16 bytes of base64, an
    unknown side, a value without its salt or a salt without its value.
    """
    try:
        parsed = _line_decoder.decode(line)
        values = tuple(_disclosed(*member) for member in parsed.values)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, binascii.Error) as error:
        raise InputError(f"a disclosure line can't be read: {error}") from error
    return Disclosure(parsed.line, values)


def _disclosed(pointer: str, side: Side, salt: str | None, text: msgspec.Raw) -> Disclosed:
    raw = bytes(text)
    if salt is None:
        if raw != b"null":
            raise InputError("a disclosure has a value without its salt")
        return Disclosed(pointer, side, None, None)
    decoded = binascii.a2b_base64(salt, strict_mode=True)
    if len(decoded) != SALT_SIZE:
        raise InputError(f"a disclosure's salt has {len(decoded)} bytes instead of {SALT_SIZE}")
    return Disclosed(pointer, side, decoded, raw)


class Opening(NamedTuple):
    """A digest together with the encoded disclosure member that opens it."""

    digest: str
    member: bytes


def commit(
    record_id: str, address: str, deposed: str | None, pointer: str, text: bytes, salt: bytes, side: Side = "value"
) -> Opening:
    """Return the commitment to one value: its digest for the line, and the member for the disclosure."""
    return Opening(
        value_digest(record_id, address, deposed, pointer, side, salt, text), encode_value(pointer, side, salt, text)
    )
