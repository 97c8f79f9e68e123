"""A bundle is written in one way, read strictly, and never asks for what nobody could give."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from bundlekit import PEOPLE, bundle, line, whole
from hypothesis import given
from hypothesis import strategies as st

from tfaudit import canonical, schema
from tfaudit.config.gating import BreakGlass, Freeze, GateRule, IdentitySettings, StackGate
from tfaudit.errors import ConfigError, InputError
from tfaudit.gate import bundle as bundles

DBA = {"dba": ("alice@example.com",)}
RULE = GateRule(name="dba", when="true", approvals=2, groups=("dba",))
FREEZE = Freeze(name="x", start=datetime(2026, 12, 19, tzinfo=UTC), end=datetime(2027, 1, 4, tzinfo=UTC))
GLASS = BreakGlass(groups=("dba",), review_within=timedelta(hours=48))
FULL = bundle(
    gate=whole(
        approvals=1,
        expires=timedelta(hours=12),
        groups=DBA,
        rules=(RULE,),
        freezes=(FREEZE,),
        break_glass=GLASS,
        evidence=("github-review",),
        stacks=(
            StackGate(
                pattern="prod/*",
                gate=whole(
                    approvals=2,
                    expires=timedelta(hours=12),
                    rules=(RULE,),
                    freezes=(FREEZE,),
                    break_glass=GLASS,
                    evidence=("github-review",),
                ),
            ),
        ),
    ),
    on_ledger_failure="spool",
    identities={"alice": ("email:alice@example.com", "github:1")},
    identity=IdentitySettings(issuers=("https://issuer.example",), audience="x", agents=("MY_AGENT",)),
    policies=("ab" * 32,),
)


def test_a_bundle_is_read_as_it_was_built():
    """What build writes, parse reads as the same bundle, and the schema allows."""
    text = bundles.build(FULL)
    assert bundles.parse(text) == FULL
    schema.validate("bundle.v1", json.loads(text))
    schema.validate("bundle.v1", json.loads(bundles.build(bundle())))


def test_one_bundle_has_one_digest():
    """The digest does not depend on the order in which groups, persons or digests were written."""
    one, other = (
        {"a": ("alice@example.com",), "b": ("bob@example.com",)},
        {"b": ("bob@example.com",), "a": ("alice@example.com",)},
    )
    assert bundles.digest(bundle(gate=whole(groups=one))) == bundles.digest(bundle(gate=whole(groups=other)))
    assert bundles.digest(bundle(policies=("a" * 64, "b" * 64))) == bundles.digest(
        bundle(policies=("b" * 64, "a" * 64))
    )
    assert bundles.digest(bundle()) != bundles.digest(bundle(gate=whole(approvals=2)))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (bundle(None), "asks for approvals, and no approvers"),
        (
            bundle(None, gate=whole(approvals=0, rules=(GateRule(name="x", when="true", approvals=1),))),
            "the rule 'x' asks",
        ),
        (bundle(None, gate=whole(approvals=0), policies=("a" * 64,)), "the policy asks"),
        (bundle("alice@example.com nonsense"), "approvers of the bundle line 1"),
        (bundle(gate=whole(groups={"dba": ("carol@example.com",)})), "'carol@example.com' of the group 'dba'"),
        (bundle(gate=whole(rules=(RULE,))), "there is no group 'dba'"),
        (bundle(gate=whole(break_glass=GLASS)), "there is no group 'dba'"),
        (bundle(gate=whole(stacks=(StackGate(pattern="a", gate=whole()),) * 2)), "have one pattern"),
        (bundle(policies=("x",)), "no SHA-256"),
        (bundle(origin=""), "origin in the bundle"),
        (bundle(gate=whole(approvals=99)), "from 0 to 20"),
        (bundle(identities={"alice": ("alice",)}), "a kind and a name"),
    ],
)
def test_what_does_not_fit_is_not_built(made, message):
    """A bundle that asks for what nobody could give, or names what is not there, is refused before it is pinned."""
    with pytest.raises(ConfigError, match=message):
        bundles.build(made)


def test_a_bundle_may_ask_for_nothing():
    """Without approvers a bundle may still freeze stacks."""
    made = bundle(None, gate=whole(approvals=0, freezes=(FREEZE,)))
    assert bundles.parse(bundles.build(made)) == made


@pytest.mark.parametrize("key", json.loads(bundles.build(FULL)))
def test_every_part_must_be_there(key):
    """A missing key is an error, whichever it is; so is one more."""
    document = json.loads(bundles.build(FULL))
    for changed in ({name: value for name, value in document.items() if name != key}, {**document, f"{key}s": 1}):
        with pytest.raises(InputError):
            bundles.parse(canonical.encode(changed))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "tfaudit-bundle/v2", "does not know"),
        ("on_ledger_failure", "ignore", "neither of its words"),
        ("gate", {"approvers": "/etc/passwd"}, 'unknown key "gate.approvers"'),
        ("gate", {"approvals": 1, "extra": 1}, 'unknown key "gate.extra"'),
        ("approvers", ["x"], "is not a text"),
        ("identity", {"issuers": [], "keys": "x"}, 'unknown key "identity.keys"'),
    ],
)
def test_what_is_wrong_is_named(key, value, message):
    """Another format, an unknown key or a wrong value is an InputError that names it."""
    document = {**json.loads(bundles.build(FULL)), key: value}
    with pytest.raises(InputError, match=message):
        bundles.parse(canonical.encode(document))


def test_another_spelling_is_refused():
    """A bundle has one spelling: other bytes of the same document are none."""
    with pytest.raises(InputError, match="canonical"):
        bundles.parse(json.dumps(json.loads(bundles.build(FULL))).encode())


@given(st.binary(max_size=300) | st.dictionaries(st.text(max_size=5), st.integers(0, 9)).map(canonical.encode))
def test_any_bytes_give_a_bundle_or_an_input_error(data):
    """No bytes raise anything but InputError."""
    try:
        bundles.parse(data)
    except InputError:
        return
    raise AssertionError("these bytes are no bundle")


def test_the_approvers_file_lies_in_the_bundle():
    """Keys, principals and times are the file's own."""
    made = bundle(PEOPLE + line("carol", 'valid-before="20260101"'))
    keys = made.keys()
    assert keys is not None
    assert [key.principals for key in keys] == [("alice@example.com",), ("bob@example.com",), ("carol@example.com",)]
    assert keys[2].valid_before is not None
