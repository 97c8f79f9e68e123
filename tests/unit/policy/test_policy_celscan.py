"""Tests of what an expression is said to read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.errors import ConfigError
from tfaudit.policy import celscan
from tfaudit.policy.celscan import EVERYTHING, Reads


def reads(*fields, members=()):
    """Return what is read."""
    return Reads(fields=frozenset(fields), members=None if members is None else frozenset(members))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('change.action in ["delete"] && change.type.startsWith("aws_")', reads("action", "type")),
        ("has(change.after.tags) && !has(change.after.tags.owner)", reads("after", members=["tags"])),
        ("change . after . x == change.before.y", reads("after", "before", members=["x", "y"])),
        ('after("/tags/owner", "") == "x"', reads("after", members=["tags"])),
        ("before('/a~1b', 1) == 1", reads("before", members=None)),
        ('after("/" + change.name, 1) == 1', reads("after", "name", members=None)),
        ("after(r'/x', 1) == 1", reads("after", members=["x"])),
        ('after("\\u002fx", 1) == 1', reads("after", members=None)),
        ("change.after.exists(k, k == 'a')", reads("after", members=None)),
        ("change.after == change.before", reads("after", "before", members=None)),
        ('change.after["x"] == 1', reads("after", members=None)),
        ('change["after"] == 1', EVERYTHING),
        ("size(change) > 1", EVERYTHING),
        (".change.name == 'x'", reads("name")),
        ("plan.counts.delete > 3 && actor.principal == 'x'", reads()),
        ("'change.after' == 'x' // change", reads()),
        ('"it\\"s change" == "x"', reads()),
        ('r"\\" == change.name', reads("name")),
        ('"""a "change" b""" == change.name', reads("name")),
        ("change.\N{LATIN SMALL LETTER O WITH DIAERESIS} == 1", EVERYTHING),
        ("change.`after` == 1", EVERYTHING),
        ('change."after" == 1', EVERYTHING),
    ],
)
def test_what_is_read(source, found):
    """What an expression reads of a change is told from its text, or it is everything."""
    assert celscan.reads([source]) == found


def test_what_several_read():
    """A set of expressions reads what any of them reads."""
    assert celscan.reads(["change.after.x == 1", "change.type == 'y'"]) == reads("after", "type", members=["x"])


@pytest.mark.parametrize("source", ["change.after == null", "null != change.before", "[null] == []", "x(null)"])
def test_null_is_refused(source):
    """Nothing is null, so a rule that asks for it would never hold."""
    with pytest.raises(ConfigError, match="asks for null"):
        celscan.check(source, "rule")


@pytest.mark.parametrize("source", ["change.after.null == 1", "'null' == change.name", "nullable == 1 // null"])
def test_what_only_looks_like_null_is_not(source):
    """Members, texts, longer names and comments are not the word."""
    celscan.check(source, "rule")


@given(st.text(max_size=200))
def test_any_text_is_scanned(source):
    """No text makes the scan fail."""
    celscan.reads([source])
    celscan.names(source)
