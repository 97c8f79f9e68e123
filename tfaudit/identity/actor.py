"""Who acts: a principal, and for each claim about it where it comes from and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from tfaudit.canonical import readable

Level = Literal[
    "verified", "attested-by-runner", "platform-api", "sts", "signed-delegation", "signed-commit", "claimed"
]
"""From the strongest: a token bound to this run, a token that isn't, a platform's answer, AWS STS, a person's signed
word that an agent acts for them, a signed commit; ``claimed`` is what anyone on the machine could have written."""

_STRENGTH: Final[tuple[Level, ...]] = (
    "verified",
    "attested-by-runner",
    "platform-api",
    "sts",
    "signed-delegation",
    "signed-commit",
    "claimed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One source's word about the actor."""

    source: str
    """``github-actions``, ``git-commit``, ``operating-system`` …"""
    level: Level
    principal: str | None
    """The canonical name that this source gives the actor, as in ``github:583231``; None when it names nobody."""
    claims: tuple[tuple[str, str], ...]
    """What the source says, by its own names."""
    identities: tuple[str, ...] = ()
    """Every canonical name of whoever has a part in the run by this source, ids first: who started it, who started it
    again, who wrote the change. None of them may approve it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A software agent that acts, and the person it acts for."""

    name: str
    """``claude-code`` and the like."""
    on_behalf_of: str | None
    """The person's canonical name; None where nobody is named."""
    recognised: str
    """How it was told: ``TFAUDIT_AGENT``, ``delegation``, or the environment variable that marks it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who is acting, with all the evidence for it, the strongest first."""

    principal: str
    evidence: tuple[Evidence, ...]
    agent: Agent | None = None

    @property
    def level(self) -> Level:
        """The strength of the evidence that names the principal."""
        for evidence in self.evidence:
            if evidence.principal == self.principal:
                return evidence.level
        return "claimed"

    @property
    def identities(self) -> frozenset[str]:
        """Every canonical name of everybody who has a part in the run."""
        return frozenset(name for evidence in self.evidence for name in evidence.identities)

    def claim(self, source: str, name: str) -> str | None:
        """Return what the strongest evidence of a source claims under a name."""
        found = (dict(evidence.claims).get(name) for evidence in self.evidence if evidence.source == source)
        return next((value for value in found if value is not None), None)

    def to_json(self) -> dict[str, object]:
        """Return the actor as recorded: ``{principal, level, evidence: [{source, level, principal, claims}]}``.

        ``identities`` of the evidence and ``agent`` (name, on_behalf_of, recognised) are left out where there are none.
        """
        recorded: dict[str, object] = {
            "principal": readable(self.principal),
            "level": self.level,
            "evidence": [_evidence_json(evidence) for evidence in self.evidence],
        }
        if self.agent is not None:
            recorded["agent"] = {
                "name": readable(self.agent.name),
                "on_behalf_of": readable(self.agent.on_behalf_of) if self.agent.on_behalf_of else None,
                "recognised": readable(self.agent.recognised),
            }
        return recorded


def combine(evidence: Iterable[Evidence], agent: Agent | None = None) -> Actor:
    """Return the actor that the strongest evidence names; among equals the first given counts."""
    ordered = tuple(sorted(evidence, key=lambda each: _STRENGTH.index(each.level)))
    principal = next((each.principal for each in ordered if each.principal), "unknown")
    return Actor(principal=principal, evidence=ordered, agent=agent)


def _evidence_json(evidence: Evidence) -> dict[str, object]:
    recorded: dict[str, object] = {
        "source": evidence.source,
        "level": evidence.level,
        "principal": readable(evidence.principal) if evidence.principal else None,
        "claims": {name: readable(value) for name, value in evidence.claims},
    }
    if evidence.identities:
        recorded["identities"] = [readable(name) for name in evidence.identities]
    return recorded
