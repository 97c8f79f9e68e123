"""Which rules hold for this stack: the pinned bundle's and the machine's, which the repository may only tighten?

Whatever is pinned decides alone who may approve, which groups there are, which names are one person's, and who may
break the glass. The repository does not even narrow that: taking somebody off its list would make their rejection void.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tfaudit.config.gating import GateSettings
from tfaudit.errors import ConfigError
from tfaudit.gate import allowed_signers, comparing, least
from tfaudit.gate.bundle import whole
from tfaudit.gate.comparing import Change
from tfaudit.gate.model import Rules

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.config.gating import BreakGlass, GateRule, IdentitySettings
    from tfaudit.gate.bundle import Bundle, Pinned
    from tfaudit.gate.model import ApproverKey

_NOTHING: Final = GateSettings(approvals=0)
_HINT: Final = "a repository may only tighten what is pinned; ask whoever keeps that to change it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Floor:
    """One place that the repository can't loosen."""

    name: str
    gate: GateSettings
    """Of this stack."""
    approvers: tuple[ApproverKey, ...] | None
    identities: Mapping[str, tuple[str, ...]] | None
    """None: it says nothing of them."""

    @property
    def names_groups(self) -> bool:
        """Whether the repository's groups are none of its."""
        return self.approvers is not None or bool(self.gate.groups)


def rules_for(config: Config, pinned: Pinned | None, stack: str, *, known_as: tuple[str, ...] = ()) -> Rules | None:
    """Return the gate in force for a stack; None where nothing is configured that could hold a change back.

    The stack's name may come from the repository: ``known_as`` are further ones under which the ledger knows its state,
    and whatever is pinned for any of them holds. Raises :class:`ConfigError`, its message starting with ``gate-changed``, where the repository asks for less than the
    bundle or the machine's file, and for an approvers file that is not understood.
    """
    floors = _floors(config, pinned, stack, *known_as)
    own = _own(config, stack)
    own_approvers = _own_approvers(own)
    _refuse(_differences(floors, own, own_approvers, config, pinned))
    gate = _merged(floors, own)
    policy = config.policy is not None or (pinned is not None and bool(pinned.bundle.policies))
    if gate is None and not policy:
        return None
    gate = gate or _NOTHING
    if not (gate.approvals or gate.rules or gate.freezes or policy):
        return None
    groups = next((floor.gate.groups for floor in floors if floor.names_groups), own.groups if own else {})
    _check_groups(gate.rules, groups)
    return _rules(
        gate,
        approvers=next((floor.approvers for floor in floors if floor.approvers is not None), own_approvers),
        groups=groups,
        identities=next((floor.identities for floor in floors if floor.identities is not None), config.identities),
        break_glass=floors[0].gate.break_glass if pinned is not None else None,
        pinned=None if pinned is None else pinned.record_id,
    )


def differences(config: Config, pinned: Pinned | None, stack: str) -> tuple[Change, ...]:
    """Return in what the repository says otherwise than the bundle and the machine's file; what it leaves out is none.

    Raises :class:`ConfigError` for an approvers file that is not understood.
    """
    own = _own(config, stack)
    found = _differences(_floors(config, pinned, stack), own, _own_approvers(own), config, pinned)
    return tuple(change for _, change in found)


def gate_rules_for(
    config: Config, pinned: Pinned | None, stack: str, *, known_as: tuple[str, ...] = ()
) -> tuple[GateRule, ...]:
    """Return every ``[[gate.rule]]`` that holds for a stack, for whoever evaluates them.

    Loosening is for :func:`rules_for` to refuse.
    """
    gate = _merged(_floors(config, pinned, stack, *known_as), _own(config, stack))
    return () if gate is None else gate.rules


def identity_for(config: Config, pinned: Pinned | None) -> IdentitySettings:
    """Return whose tokens are believed and what marks an agent: the bundle's, where there is one.

    The repository may leave issuers out. Raises :class:`ConfigError`, ``gate-changed``, where it says anything else.
    """
    if pinned is None:
        return config.identity
    said = comparing.identity(pinned.bundle.identity, config.identity, whole=False)
    _refuse((_named(pinned), change) for change in said)
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


def least_rules(pinned: Pinned, stack: str) -> Rules | None:
    """Return what the bundle alone asks for in a stack; None where that is nothing."""
    bundle = pinned.bundle
    gate = least.for_stack(bundle.gate, stack)
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


def _floors(config: Config, pinned: Pinned | None, *stacks: str) -> tuple[_Floor, ...]:
    """Return what the repository can't loosen, the strongest first, for all of these names of one stack."""
    found = []
    if pinned is not None:
        bundle = pinned.bundle
        found.append(
            _Floor(
                name=_named(pinned),
                gate=least.for_stacks(bundle.gate, stacks),
                approvers=bundle.keys(),
                identities=bundle.identities if bundle.identities or bundle.approvers is not None else None,
            )
        )
    if config.floor is not None:
        found.append(
            _Floor(
                name="the machine's own configuration",
                gate=least.for_stacks(whole(config.floor), stacks),
                approvers=allowed_signers.read(config.floor.approvers) if config.floor.approvers else None,
                # Where the machine's file has a gate, config.load lets nobody else join names.
                identities=None,
            )
        )
    return tuple(found)


def _merged(floors: tuple[_Floor, ...], own: GateSettings | None) -> GateSettings | None:
    gates = [*(floor.gate for floor in floors), *([own] if own is not None else [])]
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


def _differences(
    floors: Iterable[_Floor],
    own: GateSettings | None,
    approvers: tuple[ApproverKey, ...] | None,
    config: Config,
    pinned: Pinned | None,
) -> Iterator[tuple[str, Change]]:
    """Yield each difference with the name of the place that it is from."""
    for floor in floors:
        for change in _loosened(floor, own, approvers, config.identities):
            yield floor.name, change
    if pinned is not None:
        for change in _loosened_otherwise(pinned.bundle, config):
            yield _named(pinned), change


def _loosened(
    floor: _Floor,
    own: GateSettings | None,
    approvers: tuple[ApproverKey, ...] | None,
    identities: Mapping[str, tuple[str, ...]],
) -> Iterator[Change]:
    """Yield in what the repository differs from a place that it can only tighten."""
    if own is not None:
        yield from comparing.scalars(floor.gate, own)
        yield from comparing.rules(floor.gate.rules, own.rules, whole=False)
        yield from comparing.freezes(floor.gate.freezes, own.freezes, whole=False)
        if "evidence" not in own.absent:
            yield from comparing.evidence(floor.gate.evidence, own.evidence)
        if own.break_glass is not None:
            yield from comparing.break_glass(floor.gate.break_glass, own.break_glass)
        if floor.approvers is not None:
            yield from comparing.approvers(floor.approvers, approvers or (), whole=False)
        if floor.names_groups:
            yield from comparing.groups(floor.gate.groups, own.groups, whole=False)
    if floor.identities is not None and identities:
        # Joining other names could make one person's word another's, so no difference is let pass.
        for change in comparing.identities(floor.identities, identities):
            yield replace(change, loosens=True)


def _loosened_otherwise(bundle: Bundle, config: Config) -> Iterator[Change]:
    """Yield in what else the repository differs from the bundle."""
    if bundle.on_ledger_failure == "stop" and config.on_ledger_failure == "spool":
        yield Change(key="on_ledger_failure", before="stop", after="spool", loosens=True)
    yield from comparing.identity(bundle.identity, config.identity, whole=False)
    if bundle.policies:
        from tfaudit.policy.evaluate import policies_digest

        found = policies_digest(config.policy, ())
        if found not in bundle.policies:
            pinned = " or ".join(f"{one[:16]}…" for one in bundle.policies)
            yield Change(key="policy", before=pinned, after=f"{found[:16]}…", loosens=True)


def _refuse(changes: Iterable[tuple[str, Change]]) -> None:
    """Raise :class:`ConfigError` for the first change that loosens what is said in a place of that name."""
    for whose, change in changes:
        if change.loosens:
            raise ConfigError(
                f"gate-changed: {change.key} is {change.after or 'left out'} in the repository, and "
                f"{change.before or 'nothing of the kind'} in {whose}",
                hint=_HINT,
            )


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


def _named(pinned: Pinned) -> str:
    return f"the pinned bundle (record {pinned.record_id})"
