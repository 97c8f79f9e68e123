"""Which rules of one's own are there: a file of ``[[rule]]`` tables, strictly read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from tfaudit import canonical
from tfaudit.config.gating import GateRule
from tfaudit.config.place import Place
from tfaudit.errors import ConfigError
from tfaudit.policy import celscan, rulefiles
from tfaudit.policy.model import Severity

Scope = Literal["change", "plan"]

MAX_RULES: Final = 500
MAX_EXPRESSION: Final = 4_096
MAX_MESSAGE: Final = 500
MAX_APPROVALS: Final = 20
PLACEHOLDERS: Final = ("action", "action_reason", "address", "deposed", "mode", "module", "name", "provider", "type")
"""Members of ``change`` that a message may name: none of them is a value."""

_KEYS: Final = ("name", "when", "severity", "approvals", "groups", "message", "scope")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a plan breaks it, and what comes of that."""

    name: str
    when: str
    """CEL; true means that the rule applies."""
    severity: Severity
    message: str
    scope: Scope = "change"
    approvals: int = 0
    groups: tuple[str, ...] = ()
    lenient: bool = False
    """An error in it is a warning of its own: for those that tfaudit brings along, which can but warn."""

    def said(self, change: Mapping[str, str]) -> str:
        """Return the message about one change, whose members are texts."""
        return _PLACEHOLDER.sub(lambda found: change.get(found[1].removeprefix("change."), ""), self.message)

    def to_json(self) -> dict[str, Any]:
        """Return it as it goes into the digest."""
        return {
            "name": self.name,
            "when": self.when,
            "severity": self.severity,
            "message": self.message,
            "scope": self.scope,
            "approvals": self.approvals,
            "groups": list(self.groups),
        }


def read(path: Path) -> tuple[Rule, ...]:
    """Return the rules of a file; :class:`ConfigError` for one that can't be read, is no TOML, or breaks the form."""
    return parse(rulefiles.read(path), canonical.readable(path.name))


def parse(data: bytes, where: str) -> tuple[Rule, ...]:
    """Return the rules that ``data`` spells in TOML; ``where`` names it in errors. Raises :class:`ConfigError`."""
    import tomllib

    try:
        table = tomllib.loads(data.decode())
    # A number of too many digits is a ValueError, not one of TOML's own.
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ConfigError(f"{where} is not TOML: {error}") from error
    top = Place("", where)
    listed = top.table(table, ("rule",)).get("rule")
    if not listed:
        raise ConfigError(f"{where} has no rule", hint="write [[rule]] for each; a policy that checks nothing denies")
    found = tuple(_rule(name, one, where) for name, one in top.under("rule").named(listed, _KEYS))
    if len(found) > MAX_RULES:
        raise ConfigError(f"{where} has more than {MAX_RULES} rules")
    return found


def _rule(name: str, table: Mapping[str, object], where: str) -> Rule:
    place = Place(f'rule "{name}"', where)
    when, scope = table.get("when"), table.get("scope", "change")
    if not isinstance(when, str) or not when.strip() or len(when) > MAX_EXPRESSION:
        raise ConfigError(f"{_at(place, 'when')} is no expression", hint="""as in 'change.action == "delete"'""")
    if scope not in get_args(Scope):
        raise ConfigError(f"{_at(place, 'scope')} is neither of its words", hint='it is "change" or "plan"')
    severity = table.get("severity")
    if severity not in get_args(Severity):
        raise ConfigError(f"{_at(place, 'severity')} is none of its words", hint='it is "deny", "warn" or "require"')
    if severity != "require" and ("approvals" in table or "groups" in table):
        raise ConfigError(f"{_at(place, 'approvals')} is for severity require alone")
    celscan.check(when, f'rule "{name}" in {where}')
    approvals = 0
    if severity == "require":
        approvals = place.count(table.get("approvals"), "approvals", least=1, most=MAX_APPROVALS)
    return Rule(
        name=name,
        when=when,
        severity=cast(Severity, severity),
        message=_message(table.get("message", name), place, scope),
        scope=cast(Scope, scope),
        approvals=approvals,
        groups=place.names(table.get("groups", []), "groups"),
    )


def _message(value: object, place: Place, scope: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= MAX_MESSAGE:
        raise ConfigError(f"{_at(place, 'message')} is not a text of one line")
    allowed = [f"change.{name}" for name in PLACEHOLDERS] if scope == "change" else []
    for found in _PLACEHOLDER.finditer(value):
        if found[1] not in allowed:
            hint = f"it may name {', '.join(f'{{{one}}}' for one in allowed)}" if allowed else "it is about no change"
            raise ConfigError(f"{_at(place, 'message')} names {{{found[1]}}}", hint=hint)
    return value


def _at(place: Place, key: str) -> str:
    return f"{key} of {place.path} in {place.where}"


def of_gate(rules: Iterable[GateRule]) -> Iterator[Rule]:
    """Yield the gate's rules as rules that ask for approvals. Raises :class:`ConfigError`."""
    for rule in rules:
        celscan.check(rule.when, f'gate.rule "{rule.name}"')
        yield Rule(
            name=rule.name,
            when=rule.when,
            severity="require",
            message=rule.name,
            approvals=rule.approvals,
            groups=rule.groups,
        )


def digest(rules: Iterable[Rule]) -> str:
    """Return the SHA-256 of the canonical JSON of the rules, in their order."""
    return canonical.sha256_hex(canonical.encode([rule.to_json() for rule in rules]))
