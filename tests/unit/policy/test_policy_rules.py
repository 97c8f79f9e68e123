"""Tests of the rules file: what it may say, and what is refused."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policykit import rule

from tfaudit.config.gating import GateRule
from tfaudit.errors import ConfigError
from tfaudit.policy import rules


def parsed(text):
    """Return the rules that a text spells."""
    return rules.parse(text.encode(), "rules.toml")


def refused(text):
    """Return the error that a text is refused with."""
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return str(caught.value)


def test_a_rule_has_its_defaults():
    """Scope is the change, and the message is the rule's name."""
    (one,) = parsed(rule("true", name="no way"))
    assert (one.scope, one.message, one.approvals, one.groups, one.lenient) == ("change", "no way", 0, (), False)


def test_a_rule_that_requires_says_how_many_of_whom():
    """Severity require comes with approvals and groups."""
    (one,) = parsed(rule("true", severity="require", approvals=2, groups=["dba"]))
    assert (one.severity, one.approvals, one.groups) == ("require", 2, ("dba",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no rule"),
        ("rule = []", "has no rule"),
        ("rule = 3", "not a list of tables"),
        ("x = 1", 'unknown key "x"'),
        (rule("true", whom="me"), 'unknown key "rule.whom"'),
        (rule("true") + rule("false"), 'two of the name "r"'),
        (rule("  "), "no expression"),
        (rule("true || " * 600), "no expression"),
        (rule("true", severity="forbid"), "none of its words"),
        (rule("true", scope="world"), "neither of its words"),
        (rule("true", severity="require"), "not a number"),
        (rule("true", severity="require", approvals=0), "not a number"),
        (rule("true", approvals=1), "for severity require alone"),
        (rule("true", groups=["dba"]), "for severity require alone"),
        (rule("true", message=""), "not a text of one line"),
        (rule("true", message="a\nb"), "not a text of one line"),
        (rule("true", message="{change.after.password}"), "names {change.after.password}"),
        (rule("true", message="{change.index}"), "names {change.index}"),
        (rule("true", message="{change.address}", scope="plan"), "names {change.address}"),
        (rule("change.after == null"), "asks for null"),
        ("[[rule]]\nname = 'x'\n[[rule", "is not TOML"),
        ("a = " + "9" * 5000, "is not TOML"),
    ],
)
def test_what_is_refused(text, said):
    """A file that breaks the form is refused by name."""
    assert said in refused(text)


def test_no_utf8_is_refused():
    """Bytes that are no UTF-8 are no TOML."""
    with pytest.raises(ConfigError, match="not TOML"):
        rules.parse(b"name = '\xff'", "rules.toml")


def test_too_many_rules_are_refused():
    """There is a limit on how many rules there are."""
    text = "".join(rule("true", name=f"r{number}") for number in range(rules.MAX_RULES + 1))
    assert "more than 500 rules" in refused(text)


def test_words_beyond_ascii_are_kept():
    """Names, messages and expressions may be in any script."""
    (one,) = parsed(rule('change.name == "größe"', name="Größe", message="zu groß: {change.address} ✗"))
    assert one.said({"address": "a.ü"}) == "zu groß: a.ü ✗"


def test_a_file_that_is_a_pipe_is_refused(tmp_path):
    """A FIFO in place of the file is not waited for."""
    os.mkfifo(tmp_path / "rules.toml")
    with pytest.raises(ConfigError, match="is not a file"):
        rules.read(tmp_path / "rules.toml")


def test_a_file_that_is_too_large_is_refused(tmp_path):
    """A file of more than a megabyte is not read."""
    (tmp_path / "rules.toml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(ConfigError, match="larger than"):
        rules.read(tmp_path / "rules.toml")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    """A missing file is named."""
    with pytest.raises(ConfigError, match=r"rules\.toml can't be read"):
        rules.read(tmp_path / "rules.toml")


def test_a_gates_rule_asks_for_approvals():
    """A [[gate.rule]] is a rule of severity require."""
    (one,) = rules.of_gate([GateRule(name="dba", when="true", approvals=2, groups=("dba",))])
    assert (one.severity, one.approvals, one.groups, one.message) == ("require", 2, ("dba",), "dba")


@pytest.mark.parametrize("key", ["name", "when", "severity", "message", "scope", "approvals", "groups"])
def test_the_digest_knows_every_key(key):
    """Whatever a rule says is in the digest."""
    first = {"name": "a", "severity": "require", "approvals": 1, "groups": ["x"], "message": "m", "scope": "change"}
    other = {
        "name": "b",
        "when": "false",
        "severity": "deny",
        "message": "n",
        "scope": "plan",
        "approvals": 2,
        "groups": ["y"],
    }
    changed = {**first, "when": "true", key: other[key]}
    if key == "severity":
        del changed["approvals"], changed["groups"]
    one, two = (parsed(rule(table.pop("when"), **table)) for table in ({**first, "when": "true"}, changed))
    assert rules.digest(one) != rules.digest(two)


def test_the_digest_does_not_know_how_it_is_written():
    """Comments, quotes and the order of keys are not part of it."""
    one = parsed('[[rule]]\nname = "a"\nwhen = "true"\nseverity = "warn"\n')
    two = parsed("# hello\n[[rule]]\nseverity = 'warn'\nwhen = 'true'\nname = 'a'\n")
    assert rules.digest(one) == rules.digest(two)


@given(st.binary(max_size=300))
def test_any_bytes_are_rules_or_refused(data):
    """No input makes the parser fail in another way."""
    with suppress(ConfigError):
        rules.parse(data, "x")
