"""Output values, as the engines print them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.engine.human import values

CASES = [
    ('"plain"', "string", '"plain"'),
    ('"é\\t\\u200b\\"\\\\"', "string", '"é\\t\\u200b\\"\\\\"'),
    ('"\\u0001\\u007f\\u0080"', "string", '"\\x01\\x7f\\u0080"'),
    ('"a\\nb\\n"', "string", "<<EOT\na\nb\n\nEOT"),
    ('"EOT\\n EOT_ "', "string", "<<EOT__\nEOT\n EOT_ \nEOT__"),
    ("1234567890123456789012345.50", "number", "1234567890123456789012345.50"),
    ("-0.0000001", "number", "-0.0000001"),
    ("true", "bool", "true"),
    ("null", "string", "tostring(null)"),
    ("null", "dynamic", "null"),
    ("null", ["list", "string"], "tolist(null) /* of string */"),
    ("null", ["map", ["set", "bool"]], "tomap(null) /* of set of bool */"),
    ("null", ["object", {"a": "string"}], "null /* object */"),
    ("null", ["tuple", []], "null /* tuple */"),
    ("[]", ["list", "string"], "tolist([])"),
    ("[1, 2]", ["set", "number"], "toset([\n  1,\n  2,\n])"),
    ("{}", ["map", "string"], "tomap({})"),
    ('[1, "x", null]', ["tuple", ["number", "string", "dynamic"]], '[\n  1,\n  "x",\n  null,\n]'),
    (
        '{"b": {"x y": "1\\n2"}, "a": []}',
        ["object", {"a": ["tuple", []], "b": ["map", "string"]}],
        '{\n  "a" = []\n  "b" = tomap({\n    "x y" = <<-EOT\n    1\n    2\n    EOT\n  })\n}',
    ),
    ('{"value": "x", "type": "string"}', "dynamic", '"x"'),
]


@pytest.mark.parametrize(("text", "kind", "shown"), CASES)
def test_values_are_shown_as_configuration(text: str, kind: object, shown: str) -> None:
    """A JSON value with its type comes out as the engine's console would write it."""
    assert values.show(values.parse(text), kind) == shown


@pytest.mark.parametrize("kind", [None, 5, [], ["list"], ["set", "string"], ["object", 3], ["map", None], {"a": 1}])
def test_a_type_that_does_not_fit_costs_the_look_only(kind: object) -> None:
    """A value whose type says something else is still shown."""
    try:
        shown = values.show(values.parse('{"a": [1]}'), kind)
    except AttributeError:
        pytest.fail("a strange type must not end the run")
    assert "1" in shown


@given(st.text())
def test_quoting_leaves_no_control_character(text: str) -> None:
    """Whatever stands in a string, it can't move the cursor or start a line."""
    quoted = values.quote(text)
    assert quoted[0] == quoted[-1] == '"'
    assert all(char.isprintable() for char in quoted)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_indented_json_is_the_same_json(value: object) -> None:
    """The state that is dumped in an emergency can be read back."""
    text = values.indented(values.parse(json.dumps(value)))
    assert json.loads(text) == value
