"""Digests that commit, disclosures that open them."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plankit import RECORD_ID

from tfaudit.errors import InputError, InternalError
from tfaudit.events.commitment import (
    Disclosed,
    commit,
    decode_disclosure,
    encode_disclosure,
    encode_values,
    json_text,
    opens,
    rewrite_disclosure,
    value_digest,
)

SALT = bytes(range(16))
LINE = b'{"line":3,"values":[["/a~1b","before","AAECAwQFBgcICQoLDA0ODw==",{"x":1.50}]]}'
TEXT = st.text(st.characters(blacklist_categories=("Cs",)))


def test_the_digest_is_the_documented_one() -> None:
    """The digest can be computed from the format's description alone."""
    parts = (RECORD_ID, "a.b", "0f", "/x", "after")
    framed = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    expected = hashlib.sha256(b"tfaudit/value/v1\n" + framed + SALT + b'{"y":1}').hexdigest()
    assert value_digest(RECORD_ID, "a.b", "0f", "/x", "after", SALT, b'{"y":1}') == expected


def test_a_golden_digest() -> None:
    """The format does not change unnoticed."""
    assert (
        value_digest(RECORD_ID, "a.b", None, "/x", "value", SALT, b"1")
        == hashlib.sha256(
            b"tfaudit/value/v1\n\x00\x00\x00$" + RECORD_ID.encode() + b"\x00\x00\x00\x03a.b\x00\x00\x00\x00"
            b"\x00\x00\x00\x02/x\x00\x00\x00\x05value" + SALT + b"1"
        ).hexdigest()
    )


@given(TEXT, TEXT, st.sampled_from(["before", "after", "value"]), st.binary(min_size=16, max_size=16), TEXT)
def test_what_was_committed_opens(address: str, pointer: str, side: str, salt: bytes, value: str) -> None:
    """A disclosure read back opens its digest, and no other address, side or value does."""
    own = "" if side == "value" and pointer.endswith(("/address", "/previous_address")) else address
    opening = commit(RECORD_ID, own, None, pointer, json_text(value), salt, side)  # type: ignore[arg-type]
    disclosure = decode_disclosure(encode_disclosure(7, encode_values([opening.member])))
    assert disclosure.line == 7
    (disclosed,) = disclosure.values
    assert (disclosed.pointer, disclosed.side, disclosed.salt) == (pointer, side, salt)
    assert json.loads(disclosed.text or b"") == value
    assert opens(opening.digest, RECORD_ID, address, None, disclosed)
    assert not opens(opening.digest, RECORD_ID, address, "deposed", disclosed)
    assert not opens(opening.digest, RECORD_ID, address, None, disclosed._replace(text=b"0"))
    assert not opens(opening.digest, RECORD_ID, address, None, disclosed._replace(salt=bytes(16), text=b"0"))


def test_a_line_is_rewritten_byte_for_byte() -> None:
    """Reading and writing a disclosure line gives the same bytes; an erased value is null twice."""
    disclosure = decode_disclosure(LINE)
    assert rewrite_disclosure(disclosure) == LINE
    erased = disclosure._replace(values=tuple(value._replace(salt=None, text=None) for value in disclosure.values))
    line = rewrite_disclosure(erased)
    assert line == b'{"line":3,"values":[["/a~1b","before",null,null]]}'
    assert decode_disclosure(line) == erased
    assert not opens("0" * 64, RECORD_ID, "a", None, erased.values[0])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        LINE[:-1],
        LINE.replace(b'"line"', b'"lines"'),
        LINE.replace(b'"line":3', b'"line":"3"'),
        LINE.replace(b'"line":3', b'"line":3,"more":1'),
        LINE.replace(b"before", b"during"),
        LINE.replace(b"AAECAwQFBgcICQoLDA0ODw==", b"AAECAwQFBgcICQoLDA0OD"),
        LINE.replace(b"AAECAwQFBgcICQoLDA0ODw==", b"AAEC"),
        LINE.replace(b"AAECAwQFBgcICQoLDA0ODw==", b"AAECAwQFBgcICQoLDA0O Dw="),
        LINE.replace(b'"AAECAwQFBgcICQoLDA0ODw=="', b"null"),
        LINE.replace(b'{"x":1.50}', b'{"x":1.50},1'),
    ],
)
def test_other_lines_are_refused(line: bytes) -> None:
    """A disclosure line has exactly one shape; a salt of another length is an error."""
    with pytest.raises(InputError):
        decode_disclosure(line)


def test_a_salt_of_another_length_is_refused() -> None:
    """A shorter salt could let a value be guessed, a longer one be moved into the value."""
    for salt in (b"", SALT[:-1], SALT + b"\0"):
        with pytest.raises(InputError, match="instead of 16"):
            value_digest(RECORD_ID, "a", None, "/x", "before", salt, b"1")


def test_the_json_text_of_a_value() -> None:
    """Keys sorted by code point, no spaces, numbers verbatim, only the necessary escapes."""
    value = {"b": msgspec.Raw(b"1.50"), "a": '\x01\n"\\/<é\x7f\u2028', "\uffff": 1, "\U0001f600": 2}
    text = '{"a":"\\u0001\\n\\"\\\\/<é\x7f\u2028","b":1.50,"\uffff":1,"\U0001f600":2}'
    assert json_text(value) == text.encode()
    with pytest.raises(InternalError):
        json_text(object())


@given(st.binary(max_size=80))
def test_random_lines_raise_input_errors_only(line: bytes) -> None:
    """No bytes break the reader in another way."""
    with pytest.raises(InputError):
        decode_disclosure(line)


def test_values_are_tuples() -> None:
    """What comes back can't be changed."""
    assert isinstance(decode_disclosure(LINE).values, tuple)
    assert isinstance(decode_disclosure(LINE).values[0], Disclosed)
