"""Who acts: a principal, and for each claim about it where it comes from and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from tfaudit.canonical import readable

Level = Literal["verified", "attested-by-runner", "platform-api", "sts", "signed-commit", "claimed"]
"""From the strongest: a token bound to this run, a token that isn't, a platform's answer, AWS STS, a signed commit;
``claimed`` is what anyone on the machine could have written."""

_STRENGTH: Final[tuple[Level, ...]] = (
    "verified",
    "attested-by-runner",
    "platform-api",
    "sts",
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
    """The canonical name that this source gives the actor, as in ``github:octocat``; None when it names nobody."""
    claims: tuple[tuple[str, str], ...]
    """What the source says, by its own names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who is acting, with all the evidence for it, the strongest first."""

    principal: str
    evidence: tuple[Evidence, ...]

    @property
    def level(self) -> Level:
        """The strength of the evidence that names the principal."""
        for evidence in self.evidence:
            if evidence.principal == self.principal:
                return evidence.level
        return "claimed"

    def to_json(self) -> dict[str, object]:
        """Return the actor as recorded: ``{principal, level, evidence: [{source, level, principal, claims}]}``."""
        return {
            "principal": readable(self.principal),
            "level": self.level,
            "evidence": [
                {
                    "source": evidence.source,
                    "level": evidence.level,
                    "principal": readable(evidence.principal) if evidence.principal else None,
                    "claims": {name: readable(value) for name, value in evidence.claims},
                }
                for evidence in self.evidence
            ],
        }


def combine(evidence: Iterable[Evidence]) -> Actor:
    """Return the actor that the strongest evidence names; among equals the first given counts."""
    ordered = tuple(sorted(evidence, key=lambda each: _STRENGTH.index(each.level)))
    principal = next((each.principal for each in ordered if each.principal), "unknown")
    return Actor(principal=principal, evidence=ordered)
