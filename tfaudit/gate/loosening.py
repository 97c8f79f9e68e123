"""In what does a repository differ from what it can only tighten, the pinned bundle and the machine's file?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tfaudit.config.gating import GateSettings, PolicySettings
from tfaudit.errors import ConfigError
from tfaudit.gate import allowed_signers, comparing, least
from tfaudit.gate.bundle import whole
from tfaudit.gate.comparing import Change

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.gate.bundle import Bundle, Pinned
    from tfaudit.gate.model import ApproverKey

_HINT: Final = "a repository may only tighten what is pinned; ask whoever keeps that to change it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """One place that the repository can't loosen."""

    name: str
    """For an error."""
    pinned: bool
    """Whether it is the bundle, not the machine's file."""
    gate: GateSettings
    """Of this stack."""
    approvers: tuple[ApproverKey, ...] | None
    identities: Mapping[str, tuple[str, ...]] | None
    """None: it says nothing of them."""

    @property
    def names_groups(self) -> bool:
        """Whether the repository's groups are none of its."""
        return self.approvers is not None or bool(self.gate.groups)


def floors(config: Config, pinned: Pinned | None, *stacks: str) -> tuple[Floor, ...]:
    """Return what the repository can't loosen, the strongest first, for all of these names of one stack.

    Raises :class:`ConfigError` for an approvers file that is not understood.
    """
    found = []
    if pinned is not None:
        bundle = pinned.bundle
        found.append(
            Floor(
                name=named(pinned),
                pinned=True,
                gate=least.for_stacks(bundle.gate, stacks),
                approvers=bundle.keys(),
                identities=bundle.identities if bundle.identities or bundle.approvers is not None else None,
            )
        )
    if config.floor is not None:
        found.append(
            Floor(
                name="the machine's own configuration",
                pinned=False,
                gate=least.for_stacks(whole(config.floor), stacks),
                approvers=allowed_signers.read(config.floor.approvers) if config.floor.approvers else None,
                # Where the machine's file has a gate, config.load lets nobody else join names.
                identities=None,
            )
        )
    return tuple(found)


def differences(
    places: Iterable[Floor],
    own: GateSettings | None,
    approvers: tuple[ApproverKey, ...] | None,
    config: Config,
    pinned: Pinned | None,
) -> Iterator[tuple[str, Change]]:
    """Yield in what the repository differs, with the name of the place that it differs from.

    ``own`` and ``approvers`` are what it says of this stack; what it leaves out is no difference.
    """
    for floor in places:
        for change in _loosened(floor, own, approvers, config.identities):
            yield floor.name, change
    if pinned is not None:
        for change in _loosened_otherwise(pinned.bundle, config):
            yield named(pinned), change


def _loosened(
    floor: Floor,
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
        if floor.pinned and own.break_glass is not None:
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
        found = policy_digest(config.policy)
        if found not in bundle.policies:
            pinned = " or ".join(f"{one[:16]}…" for one in bundle.policies)
            yield Change(key="policy", before=pinned, after=f"{found[:16]}…", loosens=True)


def refuse(changes: Iterable[tuple[str, Change]]) -> None:
    """Raise :class:`ConfigError` for the first change that loosens what is said in a place of that name."""
    for whose, change in changes:
        if change.loosens:
            raise ConfigError(
                f"gate-changed: {change.key} is {change.after or 'left out'} in the repository, and "
                f"{change.before or 'nothing of the kind'} in {whose}",
                hint=_HINT,
            )


def policy_digest(settings: PolicySettings | None) -> str:
    """Return the digest by which a policy is pinned, 64 hexadecimal digits; :class:`ConfigError` if it can't be read.

    The rules that tfaudit brings along are left out: they only warn, and change with its version.
    """
    from tfaudit.policy import digest

    return digest.policy_digest(replace(settings or PolicySettings(), defaults=False))


def named(pinned: Pinned) -> str:
    """Return how an error names the bundle."""
    return f"the pinned bundle (record {pinned.record_id})"
