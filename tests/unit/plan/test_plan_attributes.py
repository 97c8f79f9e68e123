"""Which attributes a change alters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plankit import change, fixture, plan_of

from tfaudit.plan.attributes import AttributeChange, pointer
from tfaudit.plan.parse import read_plan
from tfaudit.plan.personal import is_personal


def attributes(before: Any, after: Any, **more: Any) -> dict[str, AttributeChange]:
    """Return the changed attributes of one update by their pointers."""
    (found,) = plan_of(change(before=before, after=after, **more)).resource_changes()
    return {attribute.path: attribute for attribute in found.attributes}


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, ["/b"]),
        ({"a": None}, {}, []),
        ({}, {"a": None}, []),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, ["/a/b/c"]),
        ({"a": [1, 2, 3]}, {"a": [1, 5, 3]}, ["/a/1"]),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, ["/a"]),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 3}]}, ["/a/1/b"]),
        ({"a": {}}, {"a": None}, ["/a"]),
        ({"a": None}, {"a": {}}, ["/a"]),
        ({"a": None}, {"a": {"x": 1}}, ["/a/x"]),
        ({"a": []}, {"a": None}, ["/a"]),
        ({"a": 1}, {"a": True}, ["/a"]),
        ({"a": [1]}, {"a": [True]}, ["/a/0"]),
        ({"a": "1"}, {"a": 1}, ["/a"]),
        ({"a": [1]}, {"a": {"0": 1}}, ["/a"]),
        ({"b/c~d": 1, "": 1, "ключ": 1}, {"b/c~d": 2, "": 2, "ключ": 2}, ["/", "/b~1c~0d", "/ключ"]),
        (None, {"a": 1, "b": {"c": 2}, "d": [1]}, ["/a", "/b/c", "/d"]),
        ({"a": 1}, None, ["/a"]),
        (None, {}, [""]),
        (None, None, []),
        ("x", "y", [""]),
    ],
)
def test_granularity(before: Any, after: Any, paths: list[str]) -> None:
    """Objects are compared member by member, lists of one length by index, anything else as a whole."""
    assert list(attributes(before, after)) == paths


def test_values_are_kept_as_spelled() -> None:
    """Big integers and decimals keep their digits."""
    data = change(before={"n": 1}, after={"n": 2})
    text = (
        json.dumps(data).replace('"n": 2', '"n": 1.500e400').replace('"n": 1}', '"n": 123456789012345678901234567890}')
    )
    plan = read_plan(b'{"format_version":"1.2","resource_changes":[' + text.encode() + b"]}")
    (attribute,) = next(plan.resource_changes()).attributes
    assert (attribute.before, attribute.after) == (b"123456789012345678901234567890", b"1.500e400")


def test_unknown_as_a_whole_and_in_part() -> None:
    """An attribute known after the apply has no value after; a list known in part has both."""
    found = attributes(
        {"id": "i-1", "same": 1, "l": [1]},
        {"same": 1, "l": [1, None]},
        unknown={"id": True, "same": False, "l": [False, True], "m": {}},
    )
    assert list(found) == ["/id", "/l"]
    assert (found["/id"].before, found["/id"].after, found["/id"].unknown) == (b'"i-1"', None, True)
    assert (found["/l"].after, found["/l"].unknown) == (b"[1,null]", True)


def test_sensitive_attributes_have_no_values() -> None:
    """Of a sensitive attribute only its change is kept; nested marks inside a whole value mask their part."""
    found = {
        attribute.path: attribute
        for attribute in next(read_plan(fixture("nested-marks.plan.json")).resource_changes()).attributes
    }
    assert {path for path, attribute in found.items() if attribute.sensitive} == {"/l/0/s", "/m/x/y", "/whole"}
    assert found["/l/0/n"].after == b'"a2"'
    assert found["/l/1/s"].unknown
    assert (found["/grow"].after, found["/grow"].redacted) == (b'[{"s":"[redacted]"},{"s":"[redacted]"}]', True)
    assert (found["/plain"].after, found["/plain"].redacted) == (b'"repeats [redacted] here"', True)
    assert "canary" not in repr(found)


def test_an_unchanged_sensitive_attribute_is_no_change() -> None:
    """A mark alone changes nothing."""
    assert list(
        attributes({"s": "x", "a": 1}, {"s": "x", "a": 2}, before_marks={"s": True}, after_marks={"s": True})
    ) == ["/a"]


def test_secretly_named_attributes_are_sensitive() -> None:
    """A name says secret where the engine does not: attributes, blocks, lists, labelled values."""
    found = attributes(
        {
            "password": "a",
            "credentials": [{"x": "1"}],
            "env": [{"name": "API_TOKEN", "value": "a"}],
            "manage_password": False,
        },
        {
            "password": "b",
            "credentials": [{"x": "2"}],
            "env": [{"name": "API_TOKEN", "value": "b"}],
            "manage_password": True,
        },
    )
    assert {path: attribute.sensitive for path, attribute in found.items()} == {
        "/credentials": True,
        "/env/0/value": True,
        "/manage_password": False,
        "/password": True,
    }


def test_personal_map_keys_stay_out_of_pointers() -> None:
    """A map with a personal key is one attribute: its keys stand in the value only."""
    found = attributes({"m": {"someone@example.org": 1}}, {"m": {"someone@example.org": 2}})
    assert list(found) == ["/m"]
    assert found["/m"].after == b'{"someone@example.org":2}'


def test_replacement_is_forced_by_path() -> None:
    """An attribute at, above or below a replace path forces the replacement."""
    found = attributes(
        {"ami": 1, "d": [{"size": 1}], "t": {"x": 1}, "o": 1},
        {"ami": 2, "d": [{"size": 2}], "t": {"x": 2}, "o": 2},
        replace_paths=[["ami"], ["d", 0, "size"], ["t"], "odd"],
    )
    assert {path for path, attribute in found.items() if attribute.forces_replacement} == {"/ami", "/d/0/size", "/t/x"}


def test_pointers_escape() -> None:
    """A pointer is written by RFC 6901."""
    assert pointer(["a/b", 0, "c~d", ""]) == "/a~1b/0/c~0d/"


@pytest.mark.parametrize(("text", "personal"), [("a@b.org", True), ("x a@b.org y", True), ("a@b", False), ("@", False)])
def test_personal_data(text: str, personal: bool) -> None:
    """An e-mail address is personal data; an at sign is not."""
    assert is_personal(text) is personal


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet="abc~/", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="xyz~/", max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


def at(value: Any, path: str) -> Any:
    """Return what stands at a pointer; None where nothing does."""
    for step in path.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(key)]
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


@given(JSON, JSON)
def test_attributes_say_what_stands_at_their_pointers(before: Any, after: Any) -> None:
    """Each attribute holds what stands at its pointer on either side, and the two differ."""
    for path, attribute in attributes(before, after).items():
        old, new = json.loads(attribute.before or b"null"), json.loads(attribute.after or b"null")
        assert json.dumps(at(before, path), sort_keys=True) == json.dumps(old, sort_keys=True)
        assert json.dumps(at(after, path), sort_keys=True) == json.dumps(new, sort_keys=True)
        assert json.dumps(old) != json.dumps(new)


@given(JSON)
def test_no_change_no_attributes(value: Any) -> None:
    """A value compared with itself has no changed attribute."""
    assert attributes(value, value) == {}
