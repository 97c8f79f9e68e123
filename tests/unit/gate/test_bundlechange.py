"""What a push changes is told setting by setting, each marked where it asks for less."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from bundlekit import PEOPLE, bundle, line, whole

from tfaudit.config.gating import BreakGlass, Freeze, GateRule, IdentitySettings, StackGate
from tfaudit.gate.bundlechange import changes

DBA = {"dba": ("alice@example.com",)}
RULE = GateRule(name="r", when="true", approvals=2, groups=("dba",))
FREEZE = Freeze(name="f", start=datetime(2026, 1, 2, tzinfo=UTC), end=datetime(2026, 1, 4, tzinfo=UTC))
LONGER = Freeze(name="f", start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 5, tzinfo=UTC))
GLASS = BreakGlass(groups=("dba",), review_within=timedelta(hours=2))


def gated(**members):
    """Return a bundle with this gate and a group."""
    return bundle(gate=whole(groups=DBA, **members))


def prod(**members):
    """Return a bundle in which production has a gate of its own."""
    return bundle(gate=whole(stacks=(StackGate(pattern="prod/*", gate=whole(**members)),)))


@pytest.mark.parametrize(
    ("less", "more", "keys"),
    [
        (gated(approvals=1), gated(approvals=2), {"gate.approvals"}),
        (gated(expires=timedelta(hours=48)), gated(), {"gate.expires"}),
        (gated(allow_self_approval=True), gated(), {"gate.allow_self_approval"}),
        (gated(), gated(bind="planfile"), {"gate.bind"}),
        (gated(agents_need_person=False), gated(), {"gate.agents_need_person"}),
        (gated(), gated(require_touch=True), {"gate.require_touch"}),
        (gated(evidence=("env0",)), gated(), {"gate.evidence"}),
        (gated(), gated(rules=(RULE,)), {'gate.rule "r"'}),
        (gated(), gated(freezes=(FREEZE,)), {'gate.freeze "f"'}),
        (gated(freezes=(FREEZE,)), gated(freezes=(LONGER,)), {'gate.freeze "f"'}),
        (gated(break_glass=GLASS), gated(), {"gate.break_glass"}),
        (
            gated(break_glass=BreakGlass(groups=("dba",), review_within=timedelta(hours=3))),
            gated(break_glass=GLASS),
            {"gate.break_glass"},
        ),
        (bundle(PEOPLE + line("carol")), bundle(), {"gate.approvers"}),
        (bundle(), bundle(PEOPLE.replace(line("bob"), line("bob", 'valid-before="20300101"'))), {"gate.approvers"}),
        (bundle(gate=whole(groups={"dba": ("alice@example.com", "bob@example.com")})), gated(), {"gate.groups.dba"}),
        (bundle(), bundle(identities={"alice": ("os:a", "os:b")}), {"identities.alice"}),
        (
            bundle(identity=IdentitySettings(issuers=("https://a", "https://b"))),
            bundle(identity=IdentitySettings(issuers=("https://a",))),
            {"identity.issuers"},
        ),
        (bundle(policies=("a" * 64, "b" * 64)), bundle(policies=("a" * 64,)), {"policy"}),
        (bundle(), bundle(policies=("a" * 64,)), {"policy"}),
        (bundle(on_ledger_failure="spool"), bundle(), {"on_ledger_failure"}),
        (bundle(), prod(approvals=2), {'gate.stack "prod/*" approvals'}),
        (prod(approvals=1), prod(approvals=2), {'gate.stack "prod/*" approvals'}),
        (prod(approvals=0), bundle(), {'gate.stack "prod/*" approvals'}),
    ],
)
def test_one_direction_loosens_and_the_other_does_not(less, more, keys):
    """Each setting is marked from the stricter to the looser bundle, and listed without a mark the other way round."""
    loosened, tightened = list(changes(more, less)), list(changes(less, more))
    assert {change.key for change in loosened if change.loosens} == keys
    assert {change.key for change in tightened} == keys
    assert not any(change.loosens for change in tightened)


@pytest.mark.parametrize(
    ("one", "other", "key"),
    [
        (bundle(origin="x"), bundle(origin="y"), "the ledger"),
        (bundle(policies=("a" * 64,)), bundle(policies=("b" * 64,)), "policy"),
        (
            bundle(identity=IdentitySettings(audience="a")),
            bundle(identity=IdentitySettings(audience="b")),
            "identity.audience",
        ),
        (bundle(identities={"a": ("os:x",)}), bundle(identities={"b": ("os:x",)}), "identities.a"),
        (
            gated(rules=(RULE,)),
            gated(rules=(GateRule(name="r", when="false", approvals=3, groups=("dba",)),)),
            'gate.rule "r"',
        ),
        (bundle(), bundle(PEOPLE.replace(line("bob"), line("eve").replace("eve@", "bob@"))), "gate.approvers"),
    ],
)
def test_what_can_not_be_told_is_marked(one, other, key):
    """Another ledger, policy, audience, key or expression is marked in both directions."""
    for old, new in ((one, other), (other, one)):
        assert any(change.loosens for change in changes(old, new))
        assert key in {change.key for change in changes(old, new)} | {"identities.a"}


def test_the_same_bundle_has_no_changes():
    """Nothing differs between a bundle and itself, in whatever order it lists its members."""
    one = bundle(gate=whole(groups={"x": ("alice@example.com", "bob@example.com")}))
    other = bundle(gate=whole(groups={"x": ("bob@example.com", "alice@example.com")}))
    assert list(changes(one, one)) == list(changes(one, other)) == []


def test_a_wider_pattern_covers_a_narrower_one():
    """A new pattern that another one covered already is held against that one, not against the plain gate."""
    old = bundle(gate=whole(stacks=(StackGate(pattern="prod/*", gate=whole(approvals=3)),)))
    new = bundle(gate=whole(stacks=(StackGate(pattern="prod/db/*", gate=whole(approvals=2)), *old.gate.stacks)))
    assert list(changes(old, new)) == []
