"""Who acts here, by everything that a gated run would ask, and what could not be checked?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import TfauditError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfaudit.config import Config
    from tfaudit.config.gating import IdentitySettings
    from tfaudit.gate.model import ApproverKey
    from tfaudit.identity.gather import Gathered
    from tfaudit.runs.run import World

ORIGIN: Final = "whoami"
"""What a token is bound to here in place of a ledger: no run can use it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of who acts."""

    gathered: Gathered
    problems: tuple[str, ...]
    """What could not be checked and why, a line each."""

    def to_json(self) -> dict[str, Any]:
        """Return what ``whoami --json`` prints; schemas/whoami.v1.schema.json describes it."""
        actor, kept = self.gathered.actor, self.gathered.kept
        recorded = actor.to_json()
        return {
            "principal": recorded["principal"],
            "level": recorded["level"],
            "agent": recorded.get("agent"),
            "persons": sorted(self.gathered.persons),
            "evidence": [
                {**one, "identities": list(evidence.identities)}
                for one, evidence in zip(_list(recorded["evidence"]), actor.evidence, strict=True)
            ],
            "bound": None if kept is None else {"issuer": kept.issuer, "audience": kept.audience},
            "problems": list(self.problems),
        }


def examine(config: Config, world: World) -> Known:
    """Return who acts in the working directory: the platform is asked for a token, AWS for the caller.

    Raises :class:`ConfigError` only for a configuration that loosens what is pinned.
    """
    from tfaudit.engine.brand import default_cache
    from tfaudit.identity.gather import gather
    from tfaudit.ledger.ids import milliseconds
    from tfaudit.runs.delegations import StackChecker
    from tfaudit.runs.run import new_run_id

    problems: list[str] = []
    settings, approvers, identities = _rules(config, problems)
    cache = default_cache(world.environ)
    gathered = gather(
        world.environ,
        world.cwd,
        settings,
        identities,
        origin=ORIGIN,
        run_id=new_run_id(world),
        change_digest=None,
        cache=cache.parent if cache else None,
        clock=world.clock,
        deep=True,
        delegations=StackChecker(approvers=approvers, stack=None, now=milliseconds(world.clock())),
    )
    return Known(gathered=gathered, problems=(*problems, *gathered.problems))


def _rules(
    config: Config, problems: list[str]
) -> tuple[IdentitySettings, tuple[ApproverKey, ...], Mapping[str, tuple[str, ...]]]:
    """Return whose tokens and keys count, and who has which names: by the pinned bundle where the ledger is read."""
    from tfaudit.gate import allowed_signers, inforce
    from tfaudit.ledger import pinned
    from tfaudit.runs.ledgers import open_reader

    bundle = None
    if config.ledger is not None:
        try:
            bundle = pinned.in_force(open_reader(config))
        except TfauditError as error:
            problems.append(f"the ledger can't be read, so a pinned configuration is unknown: {error}")
    settings = inforce.identity_for(config, bundle)
    identities = config.identities if bundle is None else bundle.bundle.identities or config.identities
    keys = None if bundle is None else bundle.bundle.keys()
    if keys is None:
        gate = config.gate
        keys = allowed_signers.read(gate.approvers) if gate and gate.approvers else ()
    return settings, keys, identities


def _list(value: object) -> list[dict[str, object]]:
    return value if isinstance(value, list) else []
