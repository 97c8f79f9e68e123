"""Reading the engine's JSON exactly, or not at all."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.errors import InputError
from tfaudit.plan import exactjson

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "text",
    ["1", "-0", "1.50", "1e400", "1E5", "-9223372036854775809", "123456789012345678901234567890", "0.1", "1" * 5000],
)
def test_numbers_keep_their_spelling(text: str) -> None:
    """A number is written again exactly as the engine spelled it."""
    assert msgspec.json.encode(exactjson.decode(f'{{"a":[{text}]}}'.encode(), what="x")) == f'{{"a":[{text}]}}'.encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a":1,"a":1}', "same key twice"),
        (b'{"x":{"a":1, "a" :2}}', "same key twice"),
        (b'{"a":1,"a":2,"b":"\\u0022:"}', "same key twice"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'{"a":"\\ud800"}', "lone surrogate"),
        (b'{"a":NaN}', "not JSON"),
        (b'{"a":', "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":1} {}', "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(data: bytes, words: str) -> None:
    """Duplicate keys, bad UTF-8, lone surrogates, NaN, bottomless nesting and plain rubbish are input errors."""
    with pytest.raises(InputError, match=words):
        exactjson.decode(data, what="it")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a":1,"a":2}', "same key twice"),
        (b'{ "a" : 1,\n "b" : 2, "a" : 3 }', "same key twice"),
        (b"[1]", "not a JSON object"),
        (b'{"a":1}{"b":2}', "followed by another document"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_top_level_members_are_refused_likewise(data: bytes, words: str) -> None:
    """The top level, which is only sliced, is as strict as what is decoded."""
    with pytest.raises(InputError, match=words):
        exactjson.members(data, what="it")


def test_members_are_slices_whatever_the_spacing() -> None:
    """Compact and pretty-printed objects give the same members."""
    for data in (b'{"a":{"x":1},"b\\u0022":[1]}\n', b' {\n "a" : {"x":1} ,\n "b\\u0022" : [1] }\n', b"{}", b"{ }"):
        found = {key: json.loads(bytes(value)) for key, value in exactjson.members(data, what="it").items()}
        assert found in ({"a": {"x": 1}, 'b"': [1]}, {})


@given(JSON)
def test_decoding_agrees_with_the_standard_library(value: object) -> None:
    """Whatever Python can write reads back the same, however it is spaced and escaped."""
    for options in ({"separators": (",", ":")}, {"indent": 1, "ensure_ascii": False}):
        try:
            data = json.dumps(value, **options).encode()  # type: ignore[arg-type]
            read = exactjson.decode(data, what="it")
        except (UnicodeEncodeError, InputError):
            assert "\\ud" in json.dumps(value)
            continue
        assert json.loads(msgspec.json.encode(read)) == json.loads(json.dumps(value))


@given(st.binary(max_size=60))
def test_random_bytes_raise_input_errors_only(data: bytes) -> None:
    """No bytes make a reader fail in any other way."""
    for read in (exactjson.decode, exactjson.members, exactjson.elements):
        try:
            read(data, what="it")
        except InputError:
            continue


@given(st.binary(max_size=12), st.integers(0, 3))
def test_utf8_is_checked_across_pieces(data: bytes, cut: int) -> None:
    """Checking in pieces finds the same as decoding the whole."""
    try:
        data.decode()
    except UnicodeDecodeError:
        with pytest.raises(InputError):
            exactjson.check_utf8(data, what="it", piece=4 + cut)
    else:
        exactjson.check_utf8(data, what="it", piece=4 + cut)
