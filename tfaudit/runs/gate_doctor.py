"""What holds a change back here, who can change that, and can anybody approve at all?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfaudit.gate import inforce
from tfaudit.runs.doctor import Check
from tfaudit.runs.stack import stack_here

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.gate.bundle import Pinned
    from tfaudit.gate.model import Rules
    from tfaudit.ledger.keyset import KeySet
    from tfaudit.runs.run import World


def examine(config: Config, world: World) -> Iterator[Check]:
    """Yield what is found of the gate that is in force here; raises whatever stops a run from knowing it."""
    found: Pinned | None = None
    keys: KeySet | None = None
    if config.ledger is not None:
        from tfaudit.ledger import pinned
        from tfaudit.runs.ledgers import open_reader

        reader = open_reader(config)
        found, keys = pinned.in_force(reader), reader.state.keys
    if found is None and config.gate is None and config.floor is None and config.policy is None:
        yield Check(name="gate", result="ok", message="no gate is configured: changes are recorded, not held back")
        return
    rules = inforce.rules_for(config, found, stack_here(config, world))
    yield _gate(config, found, rules)
    if rules is not None:
        yield _approvers(rules, keys)
        if rules.break_glass is not None and not any("break-glass" in alert.on for alert in config.alerts):
            yield Check(
                name="break-glass",
                result="warning",
                message="a broken glass alerts nobody: no [[alert]] here asks for break-glass",
                hint="an [[alert]] in /etc/tfaudit/tfaudit.toml is one that no repository can take away",
            )
    for line in inforce.warnings_of(config, found):
        yield Check(name="gate", result="warning", message=line)


def _gate(config: Config, pinned: Pinned | None, rules: Rules | None) -> Check:
    asked = "changes are recorded, not held back" if rules is None else _asked(rules)
    if pinned is not None:
        return Check(name="gate", result="ok", message=f"{asked}; pinned by record {pinned.record_id}")
    if config.floor is not None:
        return Check(name="gate", result="ok", message=f"{asked}; at least what this machine's configuration says")
    return Check(
        name="gate",
        result="warning",
        message=f"{asked}; the gate is in the repository alone: a pull request can change it along with what it gates",
        hint="tfaudit config push pins it in the ledger",
    )


def _asked(rules: Rules) -> str:
    if rules.approvals == 0:
        return "no approval for a change, unless a rule asks for one"
    return f"{rules.approvals} approval{'s' if rules.approvals > 1 else ''} for a change"


def _approvers(rules: Rules, keys: KeySet | None) -> Check:
    if not rules.approvers:
        return Check(
            name="approvers",
            result="warning" if rules.approvals else "ok",
            message="no approvers are configured: nobody can approve",
            hint="set approvers in [gate]: a file in OpenSSH's allowed_signers form" if rules.approvals else None,
        )
    from tfaudit.signing import sshkeys

    persons = {name for key in rules.approvers for name in key.principals}
    of = "1 approver" if len(persons) == 1 else f"{len(persons)} approvers"
    told = f"{'1 key' if len(rules.approvers) == 1 else f'{len(rules.approvers)} keys'} of {of}"
    accepted = {key.keyid for key in keys.approvers} if keys is not None else set()
    carried = 0
    for key in rules.approvers:
        public = sshkeys.record_key(sshkeys.parse_text(key.public, what="approver's key"))
        carried += public is None or public.keyid not in accepted
    if accepted and carried:
        # Without a pinned bundle all are carried, by the record key at hand, and nobody need care.
        told += f"; the words of {carried} of them come into the ledger under a record key beside their own"
    return Check(name="approvers", result="ok", message=told)
