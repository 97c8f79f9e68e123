"""Which gate is the least for this stack, and what comes of two gates that both must hold?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tfaudit.config.gate import strictest
from tfaudit.config.gating import BreakGlass
from tfaudit.config.stackpattern import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tfaudit.config.gating import Freeze, GateRule, GateSettings


def for_stack(gate: GateSettings, stack: str) -> GateSettings:
    """Return what the gate asks for in this stack: where patterns match, all of theirs, else what is said outside."""
    found = [one.gate for one in gate.stacks if matches(one.pattern, stack)]
    if not found:
        return replace(gate, stacks=())
    first, *others = found
    for other in others:
        first = both(first, other)
    return replace(first, stacks=(), approvers=gate.approvers, groups=gate.groups)


def for_stacks(gate: GateSettings, stacks: Sequence[str]) -> GateSettings:
    """Return what the gate asks for in a stack of several names: whatever it does for any of them."""
    first, *others = [for_stack(gate, stack) for stack in stacks]
    for other in others:
        first = both(first, other)
    return first


def both(one: GateSettings, other: GateSettings) -> GateSettings:
    """Return a gate that asks for whatever either of them does; approvers and groups are ``one``'s.

    Platforms and break-glass count only where both let them; whoever leaves platforms out has nothing against any.
    """
    merged = strictest(one, other)
    return replace(
        merged,
        rules=_rules(one.rules, other.rules),
        freezes=_freezes(one.freezes, other.freezes),
        evidence=_evidence(one, other),
        break_glass=_break_glass(one.break_glass, other.break_glass),
        absent=one.absent & other.absent,
    )


def _rules(one: Iterable[GateRule], other: Iterable[GateRule]) -> tuple[GateRule, ...]:
    """Return all rules; of two that differ only in their approvals, the one that asks for more."""
    found: dict[tuple[object, ...], GateRule] = {}
    for rule in (*one, *other):
        same = (rule.name, rule.when, rule.groups)
        if same not in found or found[same].approvals < rule.approvals:
            found[same] = rule
    return tuple(found.values())


def _freezes(one: Iterable[Freeze], other: Iterable[Freeze]) -> tuple[Freeze, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def _evidence(one: GateSettings, other: GateSettings) -> tuple[str, ...]:
    if "evidence" in one.absent:
        return other.evidence
    if "evidence" in other.absent:
        return one.evidence
    return tuple(source for source in one.evidence if source in other.evidence)


def _break_glass(one: BreakGlass | None, other: BreakGlass | None) -> BreakGlass | None:
    if one is None or other is None:
        return None
    groups = tuple(group for group in one.groups if group in other.groups)
    if not groups:
        return None
    return BreakGlass(groups=groups, review_within=min(one.review_within, other.review_within))
