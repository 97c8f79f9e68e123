"""Does a software agent act here, and for whom?

Declared (``TFAUDIT_AGENT``, ``TFAUDIT_ON_BEHALF_OF``), by a person's signed delegation (``TFAUDIT_DELEGATION``), or
recognised by a variable that the agent sets for the commands it runs. Nothing of this can prove that no agent acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from tfaudit.identity import names
from tfaudit.identity.actor import Agent, Evidence

if TYPE_CHECKING:
    from tfaudit.identity.delegation import Delegated

NAMED_BY_VALUE: Final = "AI_AGENT"
"""The variable by which an agent of any make may name itself."""

MARKS: Final[Mapping[str, str]] = {
    "CLAUDECODE": "claude-code",
    "CLAUDE_CODE": "claude-code",
    "CURSOR_AGENT": "cursor",
    "GEMINI_CLI": "gemini-cli",
    "CODEX_SANDBOX": "codex",
    "CODEX_CI": "codex",
    "CODEX_THREAD_ID": "codex",
    "COPILOT_CLI": "copilot-cli",
    "OPENCODE": "opencode",
    "OPENCODE_CLIENT": "opencode",
    "AUGMENT_AGENT": "augment",
    "ANTIGRAVITY_AGENT": "antigravity",
    NAMED_BY_VALUE: "",
}
"""Variables that coding agents set for the commands they run; where each is documented: docs/identity.md. Those that an
editor sets for its terminal as well are left out: a person types there."""

_MAX_NAME: Final = 64


def recognise(environ: Mapping[str, str], marks: Iterable[str] | None, delegated: Delegated | None) -> Agent | None:
    """Return the agent that acts, None where none is told.

    ``marks`` are the variables that mark an agent, None for :data:`MARKS`. What a person signed outweighs what the
    environment says.
    """
    person = _person(environ.get("TFAUDIT_ON_BEHALF_OF"))
    if delegated is not None:
        return Agent(name=delegated.agent, on_behalf_of=delegated.person, recognised="delegation")
    if name := _name(environ.get("TFAUDIT_AGENT", "")):
        return Agent(name=name, on_behalf_of=person, recognised="TFAUDIT_AGENT")
    for variable in MARKS if marks is None else marks:
        value = environ.get(variable, "")
        if value.lower() in ("", "0", "false"):
            continue
        name = _name(value) if variable == NAMED_BY_VALUE else MARKS.get(variable) or variable.lower()
        return Agent(name=name or "unnamed", on_behalf_of=person, recognised=variable)
    # Who shows a delegation that does not hold, or names a person it acts for, is an agent all the same.
    for variable in ("TFAUDIT_DELEGATION", "TFAUDIT_ON_BEHALF_OF"):
        if environ.get(variable):
            return Agent(name="unnamed", on_behalf_of=person, recognised=variable)
    return None


def evidence(agent: Agent, delegated: Delegated | None) -> Evidence:
    """Return the agent as evidence; the person it acts for has a part in the run."""
    claims = [("agent", agent.name), ("recognised", agent.recognised)]
    if agent.on_behalf_of:
        claims.append(("on_behalf_of", agent.on_behalf_of))
    found = [f"agent:{agent.name}", *([agent.on_behalf_of] if agent.on_behalf_of else [])]
    if delegated is not None:
        claims += delegated.claims
        found += delegated.identities
    return Evidence(
        source="software-agent",
        level="claimed" if delegated is None else "signed-delegation",
        principal=None,
        claims=tuple(claims),
        identities=names.unique(found),
    )


def person_name(text: str) -> str | None:
    """Return the canonical name of a person who is given as a name of a kind, or as an e-mail address."""
    kind, colon, rest = text.partition(":")
    if colon and rest and kind.replace("-", "").isalnum():
        return next(iter(names.of_id(kind.lower(), rest)), None)
    return next(iter(names.of_id("email" if "@" in text else "principal", text)), None)


def _person(text: str | None) -> str | None:
    return person_name(text.strip()) if text and text.strip() else None


def _name(text: str) -> str:
    """Return an agent's name in letters that are safe anywhere."""
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.@/") else "-" for letter in text)
    return kept.strip("-").lower()[:_MAX_NAME]
