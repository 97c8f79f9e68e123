"""Which rules hold for this stack: the pinned bundle's and the machine's, which the repository may only tighten?

Whatever is pinned decides alone who may approve, which groups there are, which names are one person's, and who may
break the glass. The repository does not even narrow that: taking somebody off its list would make their rejection void.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tfaudit.config.gating import GateSettings
from tfaudit.errors import ConfigError
from tfaudit.gate import allowed_signers, comparing, least, loosening
from tfaudit.gate.loosening import floors, named, refuse
from tfaudit.gate.model import Rules

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.config.gating import BreakGlass, GateRule, IdentitySettings
    from tfaudit.gate.bundle import Pinned
    from tfaudit.gate.comparing import Change
    from tfaudit.gate.loosening import Floor
    from tfaudit.gate.model import ApproverKey

_NOTHING: Final = GateSettings(approvals=0)


def rules_for(config: Config, pinned: Pinned | None, stack: str, *, known_as: tuple[str, ...] = ()) -> Rules | None:
    """Return the gate in force for a stack; None where nothing is configured that could hold a change back.

    The stack's name may come from the repository: ``known_as`` are further ones under which the ledger knows its state,
    and whatever is pinned for any of them holds. Raises :class:`ConfigError`, its message starting with
    ``gate-changed``, where the repository asks for less than the bundle or the machine's file, and for an approvers
    file that is not understood.
    """
    places = floors(config, pinned, stack, *known_as)
    own = _own(config, stack)
    own_approvers = _own_approvers(own)
    refuse(loosening.differences(places, own, own_approvers, config, pinned))
    gate = _merged(places, own)
    policy = config.policy is not None or (pinned is not None and bool(pinned.bundle.policies))
    if gate is None and not policy:
        return None
    gate = gate or _NOTHING
    if not (gate.approvals or gate.rules or gate.freezes or policy):
        return None
    groups = next((floor.gate.groups for floor in places if floor.names_groups), own.groups if own else {})
    _check_groups(gate.rules, groups)
    return _rules(
        gate,
        approvers=next((floor.approvers for floor in places if floor.approvers is not None), own_approvers),
        groups=groups,
        identities=next((floor.identities for floor in places if floor.identities is not None), config.identities),
        break_glass=places[0].gate.break_glass if pinned is not None else None,
        pinned=None if pinned is None else pinned.record_id,
    )


def differences(config: Config, pinned: Pinned | None, stack: str) -> tuple[Change, ...]:
    """Return in what the repository says otherwise than the bundle and the machine's file; what it leaves out is none.

    Raises :class:`ConfigError` for an approvers file that is not understood.
    """
    own = _own(config, stack)
    found = loosening.differences(floors(config, pinned, stack), own, _own_approvers(own), config, pinned)
    return tuple(change for _, change in found)


def gate_rules_for(
    config: Config, pinned: Pinned | None, stack: str, *, known_as: tuple[str, ...] = ()
) -> tuple[GateRule, ...]:
    """Return every ``[[gate.rule]]`` that holds for a stack, for whoever evaluates them.

    Loosening is for :func:`rules_for` to refuse.
    """
    gate = _merged(floors(config, pinned, stack, *known_as), _own(config, stack))
    return () if gate is None else gate.rules


def identity_for(config: Config, pinned: Pinned | None) -> IdentitySettings:
    """Return whose tokens are believed and what marks an agent: the bundle's, where there is one.

    The repository may leave issuers out. Raises :class:`ConfigError`, ``gate-changed``, where it says anything else.
    """
    if pinned is None:
        return config.identity
    said = comparing.identity(pinned.bundle.identity, config.identity, whole=False)
    refuse((named(pinned), change) for change in said)
    return replace(pinned.bundle.identity, issuers=config.identity.issuers or pinned.bundle.identity.issuers)


def warnings_of(config: Config, pinned: Pinned | None) -> tuple[str, ...]:
    """Return what is configured and has no effect, a line each."""
    found = []
    gates = [gate for gate in (config.gate, config.floor) if gate is not None]
    if pinned is None and any(gate.break_glass for one in gates for gate in (one, *(s.gate for s in one.stacks))):
        found.append("[gate.break_glass] holds only in a pinned bundle (tfaudit config push): it is passed over")
    if pinned is not None and config.gate is not None and config.gate.approvers is not None:
        found += [] if pinned.bundle.approvers else ["the pinned bundle names no approvers: the repository's count"]
    return tuple(found)


def least_rules(pinned: Pinned, *stacks: str) -> Rules | None:
    """Return what the bundle alone asks for in a stack, under all of its names; None where that is nothing."""
    bundle = pinned.bundle
    gate = least.for_stacks(bundle.gate, stacks)
    if not (gate.approvals or gate.rules or gate.freezes or bundle.policies):
        return None
    return _rules(
        gate,
        approvers=bundle.keys(),
        groups=gate.groups,
        identities=bundle.identities,
        break_glass=gate.break_glass,
        pinned=pinned.record_id,
    )


def looser(rules: Rules, than: Rules) -> tuple[str, ...]:
    """Return in which of their keys ``rules`` ask for less than the bundle's; none where they hold it."""
    found = {
        "approvals": rules.approvals < than.approvals,
        "allow_self_approval": rules.allow_self_approval and not than.allow_self_approval,
        "expires": rules.expires > than.expires,
        "bind": rules.bind == "changes" and than.bind == "planfile",
        "agents_need_person": than.agents_need_person and not rules.agents_need_person,
        "require_touch": than.require_touch and not rules.require_touch,
        "approvers": than.approvers is not None and rules.approvers != than.approvers,
        "groups": than.approvers is not None and _plain(rules.groups) != _plain(than.groups),
        "freezes": not set(than.freezes) <= set(rules.freezes),
        "break_glass": _wider(rules.break_glass, than.break_glass),
        "identities": bool(than.identities) and _plain(rules.identities) != _plain(than.identities),
        "evidence": not set(rules.evidence) <= set(than.evidence),
        "pinned": rules.pinned != than.pinned,
    }
    return tuple(key for key, less in found.items() if less)


def _merged(places: tuple[Floor, ...], own: GateSettings | None) -> GateSettings | None:
    gates = [*(floor.gate for floor in places), *([own] if own is not None else [])]
    if not gates:
        return None
    first, *others = gates
    for other in others:
        first = least.both(first, other)
    return first


def _own(config: Config, stack: str) -> GateSettings | None:
    return None if config.gate is None else least.for_stack(config.gate, stack)


def _own_approvers(own: GateSettings | None) -> tuple[ApproverKey, ...] | None:
    return None if own is None or own.approvers is None else allowed_signers.read(own.approvers)


def _check_groups(rules: Iterable[GateRule], groups: Mapping[str, tuple[str, ...]]) -> None:
    for rule in rules:
        for group in rule.groups:
            if group not in groups:
                raise ConfigError(
                    f"the rule {rule.name!r} names the group {group!r}, which nobody defines",
                    hint="add it to [gate.groups]",
                )


def _rules(
    gate: GateSettings,
    *,
    approvers: tuple[ApproverKey, ...] | None,
    groups: Mapping[str, tuple[str, ...]],
    identities: Mapping[str, tuple[str, ...]],
    break_glass: BreakGlass | None,
    pinned: str | None,
) -> Rules:
    return Rules(
        approvals=gate.approvals,
        allow_self_approval=gate.allow_self_approval,
        expires=gate.expires,
        bind=gate.bind,
        agents_need_person=gate.agents_need_person,
        require_touch=gate.require_touch,
        approvers=approvers,
        groups=groups,
        freezes=gate.freezes,
        break_glass=break_glass,
        identities=identities,
        evidence=gate.evidence,
        pinned=pinned,
    )


def _wider(one: BreakGlass | None, than: BreakGlass | None) -> bool:
    return any(change.loosens for change in comparing.break_glass(than, one))


def _plain(names: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    return {key: frozenset(members) for key, members in names.items()}
