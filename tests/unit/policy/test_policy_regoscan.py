"""Tests of which rules are found in a Rego module."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.errors import ConfigError
from tfaudit.policy import regoscan
from tfaudit.policy.rulefiles import RegoFile

regorus = pytest.importorskip("regorus")


def module(text, path="x.rego"):
    """Return a module."""
    return RegoFile(path=path, content=text.encode())


def found(text):
    """Return path and severity of the rules of a module."""
    return [(rule.path, rule.severity) for rule in regoscan.rules([module(text)])]


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("package main\ndeny contains m if { m := 1 }", ["data.main.deny"]),
        ("package main\ndeny[msg] { msg := 1 }\ndeny[msg] { msg := 2 }", ["data.main.deny"]),
        ("# one\npackage a.b # two\n\n\tdeny_x := 1", ["data.a.b.deny_x"]),
        ('package a["b-c"].d\nwarn_1 if true', ['data.a["b-c"].d.warn_1']),
        ("package main\ndefault deny := false\nviolation_a_b { true }", ["data.main.deny", "data.main.violation_a_b"]),
        ("package main\nx := 1 deny := 2", ["data.main.deny"]),
        ('package main\nx := `\ndeny contains`\ny := "deny" # deny\nz := data.lib.deny', []),
        ("package main\ndeny(x) := 1 if x\ny := deny(1)", []),
        ("package main\ndenyx := 1\nwarning := 1\nmy_deny := 1\nDeny := 1\ndeny-x := 1", ["data.main.deny"]),
        ("package main\ndeny.public contains 1 if true", ["data.main.deny"]),
    ],
)
def test_rules_are_found_by_their_names(text, paths):
    """Names in comments, texts, members and functions are no rules; what could be one is asked for."""
    assert [path for path, _ in found(text)] == paths


def test_severities_follow_the_names():
    """deny and violation deny, warn warns."""
    text = "package p\ndeny := 1\nviolation_x := 1\nwarn := 1\nwarn_y := 1"
    assert [severity for _, severity in found(text)] == ["deny", "deny", "warn", "warn"]


@pytest.mark.parametrize("text", ["", "deny := 1", "# package x\n", "package", "package 1", "import x\npackage y"])
def test_a_module_without_a_package_is_refused(text):
    """A module that is none is an error, not an empty policy."""
    with pytest.raises(ConfigError, match="has no package"):
        found(text)


@pytest.mark.parametrize(
    "text",
    [
        "package main\nimport rego.v1\n\nallow if {\n  not deny\n}\n\ndeny contains m if {\n  some m in input\n}",
        "package a.b\nimport rego.v1\nwarn_x := {x | x := 1} if {\n true\n} else := 3\nviolation contains 1 if 1",
        'package a["b"]\nimport rego.v1\ndeny contains sprintf("%v {", [x]) if x := `}`\nwarn contains "#" if true # }',
    ],
)
def test_no_rule_is_missed_that_a_parser_finds(text):
    """Whatever a real parser takes for a rule of these names is among those found."""
    engine = regorus.Engine()
    engine.add_policy("x.rego", text)
    ast = json.loads(engine.get_ast_as_json())[0]["ast"]
    names = {
        name for name in _head_names(ast["rules"]) if regoscan.DENY.fullmatch(name) or regoscan.WARN.fullmatch(name)
    }
    assert names
    assert names <= {path.rpartition(".")[2] for path, _ in found(text)}


def _head_names(rules):
    for rule in rules:
        head = next(iter(rule["Spec"]["head"].values()))
        yield head["refr"]["Var"]["value"]


def test_a_call_is_found():
    """A built-in function that an engine lacks is seen where it is called, not in a comment."""
    assert regoscan.uses([module("package x\ny := http.send({})")], "http.send")
    assert not regoscan.uses([module('package x\n# http.send\ny := "http.send"')], "http.send")


@given(st.text(max_size=200))
def test_any_text_is_scanned_or_refused(text):
    """No text makes the scan fail in another way."""
    try:
        found("package x\n" + text)
    except ConfigError:
        pytest.fail("it has a package")
