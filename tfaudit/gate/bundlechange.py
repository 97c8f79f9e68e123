"""What changes from one bundle to another, and does it loosen the gate?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tfaudit.gate import comparing, least
from tfaudit.gate.comparing import Change
from tfaudit.gate.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.config.gating import GateSettings
    from tfaudit.gate.bundle import Bundle


def changes(old: Bundle, new: Bundle) -> Iterator[Change]:
    """Yield every setting in which ``new`` differs, each marked where it asks for less."""
    if old.origin != new.origin:
        yield Change(key="the ledger", before=old.origin, after=new.origin, loosens=True)
    if old.on_ledger_failure != new.on_ledger_failure:
        yield Change(
            key="on_ledger_failure",
            before=old.on_ledger_failure,
            after=new.on_ledger_failure,
            loosens=new.on_ledger_failure == "spool",
        )
    yield from _gates(replace(old.gate, stacks=()), replace(new.gate, stacks=()), "gate.")
    patterns = dict.fromkeys(stack.pattern for stack in (*old.gate.stacks, *new.gate.stacks))
    for pattern in patterns:
        # A pattern is a name that its own and every wider pattern matches: so what held for its stacks is found.
        before, after = (least.for_stack(one.gate, pattern) for one in (old, new))
        yield from _gates(before, after, f'gate.stack "{pattern}" ')
    yield from comparing.approvers(old.keys() or (), new.keys() or (), whole=True)
    yield from comparing.groups(old.gate.groups, new.gate.groups, whole=True)
    yield from comparing.identities(old.identities, new.identities)
    yield from comparing.identity(old.identity, new.identity, whole=True)
    if set(old.policies) != set(new.policies):
        # Other rules may deny less; only leaving some out of several is surely no loosening.
        fewer = set(new.policies) < set(old.policies) and bool(new.policies)
        yield Change(
            key="policy",
            before=_digests(old.policies),
            after=_digests(new.policies),
            loosens=bool(old.policies) and not fewer,
        )


def _gates(old: GateSettings, new: GateSettings, prefix: str) -> Iterator[Change]:
    yield from comparing.scalars(old, new, prefix)
    yield from comparing.rules(old.rules, new.rules, whole=True, prefix=prefix)
    yield from comparing.freezes(old.freezes, new.freezes, whole=True, prefix=prefix)
    yield from comparing.evidence(old.evidence, new.evidence, prefix)
    yield from comparing.break_glass(old.break_glass, new.break_glass, prefix)


def _digests(policies: tuple[str, ...]) -> str:
    return listed(f"{one[:16]}…" for one in policies)
