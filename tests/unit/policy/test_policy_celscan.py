"""Tests of what an expression is said to read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.errors import ConfigError
from tfaudit.policy import cel, celchild, celscan
from tfaudit.policy.celscan import EVERYTHING, Reads
from tfaudit.policy.rules import Rule


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


_ATOMS = st.sampled_from(
    [
        'change.type == "a"',
        "has(change.after.x)",
        "has(change.after.x.y)",
        "change.after.x.y == 1",
        "change.before == change.after",
        'change.after["x"].y == 1',
        'change["name"] == "n"',
        "size(change.after) == 2",
        'after("/x/y", 0) == 1',
        'before("/l/0", 7) == 1',
        "after('/' + change.name, 3) == 3",
        "change.after.l.exists(i, i == 2)",
        "change.after.exists(k, k == 'l')",
        'get(change.after, "x", 5) == 5',
        "[change].exists(c, has(c.after.x))",
        "{'a': change}.a.type == 'a'",
        "change . after . l . size() > 1",
        "string(change.after.l[0]) + change.type == '1a'",
        "\"change.after\" == 'x' // change.before",
        ".change.name == 'm'",
        "(change).before.l[1] == 2",
        "type(change.after.x) == map",
        "'x' in change.after || 'l' in change.before",
    ]
)
_EXPRESSIONS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.builds("({})\n && ({}\n)".format, inner, inner),
        st.builds("({}\n) || ({}\n)".format, inner, inner),
        st.builds("!({}\n)".format, inner),
        st.builds("(({}\n) ? ({}\n) : ({}\n))".format, inner, inner, inner),
    ),
    max_leaves=5,
)
_SIDE = st.fixed_dictionaries(
    {},
    optional={
        "x": st.one_of(st.integers(0, 3), st.fixed_dictionaries({}, optional={"y": st.integers(0, 2)})),
        "l": st.lists(st.integers(0, 3), max_size=3),
        "n": st.integers(0, 3),
    },
)
_CHANGES = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from("ab"), "name": st.sampled_from("nm"), "before": _SIDE, "after": _SIDE, "index": _SIDE}
    ),
    max_size=6,
)


@given(st.lists(_EXPRESSIONS, min_size=1, max_size=4), _CHANGES)
def test_what_is_left_out_makes_no_difference(sources, changes):
    """A rule that sees only what it is said to read answers as one that sees everything, errors included."""
    rules = [Rule(name="r", when=source, severity="deny", message="m") for source in sources]
    told = [cel.listed(rule) | {"scope": "change"} for rule in rules]
    blind = celchild.Evaluator(told)
    seeing = celchild.Evaluator([one | {"reads": [None, None]} for one in told])
    for evaluator in (blind, seeing):
        evaluator.begin({"plan": {}, "actor": {}})
        for change in changes:
            evaluator.change(change)
        evaluator.end({})
    assert blind.answer() == seeing.answer()
