"""How does a bundle read for a person: what it asks for, of whom, where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfaudit.config import durations

if TYPE_CHECKING:
    from tfaudit.config.gating import GateSettings
    from tfaudit.gate.bundle import Bundle
    from tfaudit.gate.model import ApproverKey


def rows(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of everything that the bundle says, a line each."""
    plain = bundle.gate
    yield "ledger", bundle.origin
    yield from _gate("every stack" if not plain.stacks else "other stacks", plain, None)
    for stack in plain.stacks:
        yield from _gate(stack.pattern, stack.gate, plain)
    for key in bundle.keys() or ():
        yield "approver", f"{', '.join(key.principals)}  {key.public.partition(' ')[0]} {key.key}{_times(key)}"
    for group, members in sorted(plain.groups.items()):
        yield "group", f"{group}: {', '.join(members)}"
    for person, names in sorted(bundle.identities.items()):
        yield "identity", f"{person}: {', '.join(names)}"
    identity = bundle.identity
    if identity.issuers:
        yield "issuers", ", ".join(identity.issuers)
    if identity.audience is not None:
        yield "audience", identity.audience
    if identity.jwks is not None:
        yield "jwks", identity.jwks
    if identity.agents is not None:
        yield "agents", ", ".join(identity.agents) or "marked by nothing"
    for digest in bundle.policies:
        yield "policy", f"sha256:{digest}"
    if bundle.on_ledger_failure == "spool":
        yield "ledger away", "an ungated apply may go on and record later"


def _gate(name: str, gate: GateSettings, plain: GateSettings | None) -> Iterator[tuple[str, str]]:
    """Yield what a gate asks for; of a stack's own, rules and freezes beyond the ``plain`` gate's."""
    yield "gate", f"{name}: {', '.join(_asked(gate))}"
    # What stands in [gate] itself holds for every stack; what is indented, for the one above it.
    inner = "  " if plain else ""
    for rule in gate.rules[len(plain.rules) if plain else 0 :]:
        of = f" of {', '.join(rule.groups)}" if rule.groups else ""
        yield f"{inner}rule", f'"{rule.name}": {count(rule.approvals)}{of} if {rule.when}'
    for freeze in gate.freezes[len(plain.freezes) if plain else 0 :]:
        yield f"{inner}freeze", f'"{freeze.name}": {freeze.start:%Y-%m-%d %H:%M} to {freeze.end:%Y-%m-%d %H:%M} UTC'
    glass = gate.break_glass
    if glass is not None and (plain is None or glass != plain.break_glass):
        within = durations.spell(glass.review_within)
        yield f"{inner}break-glass", f"{', '.join(glass.groups)}; reviewed by another within {within}"


def _asked(gate: GateSettings) -> Iterator[str]:
    yield count(gate.approvals)
    yield f"valid {durations.spell(gate.expires)}"
    yield "for the very plan file" if gate.bind == "planfile" else "for the same changes"
    if gate.allow_self_approval:
        yield "one's own counts"
    if not gate.agents_need_person:
        yield "agents need no person"
    if gate.require_touch:
        yield "by touched FIDO2 keys only"
    if gate.evidence:
        yield f"or by {', '.join(gate.evidence)}"


def count(approvals: int) -> str:
    """Return so many approvals in words."""
    return "1 approval" if approvals == 1 else f"{approvals or 'no'} approvals"


def _times(key: ApproverKey) -> str:
    from tfaudit.gate.words import moment

    after = f"  from {moment(key.valid_after)}" if key.valid_after is not None else ""
    return after + (f"  until {moment(key.valid_before)}" if key.valid_before is not None else "")
