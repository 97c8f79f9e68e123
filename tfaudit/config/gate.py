"""What does a ``[gate]`` table say, and how does the environment tighten it?

The table is TOML's, or the same shape out of JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast, get_args

from tfaudit.config import durations, stackpattern
from tfaudit.config.gating import Bind, BreakGlass, Freeze, GateRule, GateSettings, StackGate
from tfaudit.config.place import Place
from tfaudit.config.reading import TABLES, unknown
from tfaudit.config.sources import Environment, number
from tfaudit.errors import ConfigError

EVIDENCE: Final = ("github-review", "github-environment", "gitlab-merge-request", "gitlab-deployment", "env0")
MAX_APPROVALS: Final = 20
MAX_TEXT: Final = 4_096
"""Characters of a rule's expression."""
LEAST_EXPIRY: Final = timedelta(minutes=1)
LONGEST_REVIEW: Final = timedelta(days=30)
SCALARS: Final = ("approvals", "allow_self_approval", "expires", "bind", "agents_need_person", "require_touch")
"""The keys that hold a number, a flag or a word."""

_FLAGS: Final = ("allow_self_approval", "agents_need_person", "require_touch")
_RULE: Final = ("name", "when", "approvals", "groups")
_FREEZE: Final = ("name", "from", "to")
_BREAK_GLASS: Final = ("groups", "review_within")
_STACK: Final = ("pattern", *SCALARS, "evidence", "rule", "freeze", "break_glass")
_VARIABLES: Final = (*SCALARS, "approvers")


def settings(table: object, where: str, base: Path | None) -> GateSettings:
    """Return the gate that a ``[gate]`` table asks for; ``where`` names its document, its paths start at ``base``.

    Without ``base`` it may name no file. Raises :class:`ConfigError` for an unknown key and a wrong type or value, each
    by name.
    """
    place = Place("gate", where)
    entries = place.table(table, [key for key in TABLES["gate"] if base or key != "approvers"])
    approvers = entries.get("approvers")
    plain = replace(
        _common(entries, place),
        approvers=None if approvers is None else Path(base or "", place.name(approvers, "approvers")).absolute(),
        groups=_groups(entries.get("groups"), place.under("groups")),
        absent=frozenset(TABLES["gate"]) - entries.keys(),
    )
    return replace(plain, stacks=tuple(_stacks(entries.get("stack"), plain, place.under("stack"))))


def tightened(gate: GateSettings | None, variables: Environment) -> GateSettings | None:
    """Return the gate with what the environment says in place of the file's.

    A variable may only tighten what the file asks for: whoever can edit the repository can often edit what sets the
    environment. Raises :class:`ConfigError` for one that loosens, is unknown or has no usable value.
    """
    said = _variables(variables)
    if not said:
        return gate
    before = gate or GateSettings(absent=frozenset(TABLES["gate"]))
    after = replace(before, **said, absent=before.absent - said.keys())
    for key in said:
        if key not in before.absent and looser(key, after, before):
            raise ConfigError(
                f"gate-changed: {variables.name(f'gate.{key}')} asks for less than the configuration file",
                hint="the environment may only tighten a gate",
            )
    return replace(after, stacks=tuple(_tightened_stack(stack, after, said) for stack in after.stacks))


def looser(key: str, one: GateSettings, than: GateSettings) -> bool:
    """Tell whether ``one`` asks for less than ``than`` in one of the keys that hold a number, a flag or a word."""
    match key:
        case "approvals":
            return one.approvals < than.approvals
        case "expires":
            return one.expires > than.expires
        case "allow_self_approval":
            return one.allow_self_approval and not than.allow_self_approval
        case "bind":
            return one.bind == "changes" and than.bind == "planfile"
        case "agents_need_person":
            return than.agents_need_person and not one.agents_need_person
        case "require_touch":
            return than.require_touch and not one.require_touch
    return False


def strictest(one: GateSettings, other: GateSettings) -> GateSettings:
    """Return ``one`` with whichever of both asks for more in each of :data:`SCALARS`."""
    taken: dict[str, Any] = {key: getattr(other, key) for key in SCALARS if looser(key, one, other)}
    return replace(one, **taken)


def document(gate: GateSettings) -> dict[str, Any]:
    """Return the table that :func:`settings` reads as this gate, but for its approvers file: JSON's types alone."""
    plain = _common_document(gate) | {"groups": {name: list(members) for name, members in gate.groups.items()}}
    own = [_stack_document(stack, gate) for stack in gate.stacks]
    return plain | {"stack": own}


def _stack_document(stack: StackGate, plain: GateSettings) -> dict[str, Any]:
    # The plain gate's rules and freezes come first in every stack's, and are added again where it is read.
    beyond = replace(
        stack.gate, rules=stack.gate.rules[len(plain.rules) :], freezes=stack.gate.freezes[len(plain.freezes) :]
    )
    return {"pattern": stack.pattern} | _common_document(beyond)


def _common_document(gate: GateSettings) -> dict[str, Any]:
    found: dict[str, Any] = {key: getattr(gate, key) for key in SCALARS}
    found["expires"] = durations.spell(gate.expires)
    found["evidence"] = list(gate.evidence)
    found["rule"] = [
        {"name": rule.name, "when": rule.when, "approvals": rule.approvals, "groups": list(rule.groups)}
        for rule in gate.rules
    ]
    found["freeze"] = [
        {"name": freeze.name, "from": _spell(freeze.start), "to": _spell(freeze.end)} for freeze in gate.freezes
    ]
    if gate.break_glass is not None:
        within = durations.spell(gate.break_glass.review_within)
        found["break_glass"] = {"groups": list(gate.break_glass.groups), "review_within": within}
    return found


def _spell(moment: Any) -> str:  # noqa: ANN401 - a datetime
    return str(moment.isoformat()).replace("+00:00", "Z")


def _tightened_stack(stack: StackGate, gate: GateSettings, said: Mapping[str, Any]) -> StackGate:
    taken: dict[str, Any] = {key: said[key] for key in SCALARS if key in said and looser(key, stack.gate, gate)}
    return replace(stack, gate=replace(stack.gate, **taken))


def _variables(variables: Environment) -> dict[str, Any]:
    variables.check("gate", _VARIABLES)
    found: dict[str, Any] = {key: variables.get(f"gate.{key}", bool) for key in _FLAGS}
    found["approvals"] = number(variables, "gate.approvals", least=0, most=MAX_APPROVALS)
    if expires := variables.get("gate.expires", str):
        found["expires"] = durations.parse(expires, what=variables.name("gate.expires"), least=LEAST_EXPIRY)
    if bind := variables.get("gate.bind", str):
        found["bind"] = _bind(bind, variables.name("gate.bind"))
    if approvers := variables.get("gate.approvers", str):
        found["approvers"] = Path(variables.base, cast(str, approvers)).absolute()
    return {key: value for key, value in found.items() if value is not None}


def _common(table: Mapping[str, object], place: Place) -> GateSettings:
    """Return what a ``[gate]`` and a ``[[gate.stack]]`` may both hold."""
    default = GateSettings()
    flags: dict[str, Any] = {key: place.flag(table.get(key, getattr(default, key)), key) for key in _FLAGS}
    expires = default.expires
    if "expires" in table:
        expires = durations.parse(table["expires"], what=place.of("expires"), least=LEAST_EXPIRY)
    return GateSettings(
        approvals=place.count(table.get("approvals", default.approvals), "approvals", least=0, most=MAX_APPROVALS),
        expires=expires,
        bind=_bind(table.get("bind", default.bind), place.of("bind")),
        rules=tuple(_rules(table.get("rule"), place.under("rule"))),
        freezes=tuple(_freezes(table.get("freeze"), place.under("freeze"))),
        break_glass=_break_glass(table.get("break_glass"), place.under("break_glass")),
        evidence=_evidence(table.get("evidence", []), place),
        **flags,
    )


def _stacks(value: object, plain: GateSettings, place: Place) -> Iterator[StackGate]:
    for table in place.tables(value, _STACK):
        pattern = table.get("pattern")
        if not stackpattern.is_pattern(pattern):
            raise ConfigError(f"{place.of('pattern')} is no pattern", hint='as in "github.com/acme/prod/*"')
        own = _common(table, place)
        for what, theirs, ours in (("rule", own.rules, plain.rules), ("freeze", own.freezes, plain.freezes)):
            for name in sorted({one.name for one in theirs} & {one.name for one in ours}):
                raise ConfigError(f'the {what} "{name}" of {place.path} in {place.where} is in [gate] already')
        given: dict[str, Any] = {
            key: getattr(own, key) for key in table if key in (*SCALARS, "evidence", "break_glass")
        }
        gate = replace(plain, **given, rules=plain.rules + own.rules, freezes=plain.freezes + own.freezes)
        yield StackGate(
            pattern=cast(str, pattern),
            gate=replace(gate, approvers=None, groups={}, absent=plain.absent - table.keys()),
        )


def _rules(value: object, place: Place) -> Iterator[GateRule]:
    for name, table in place.named(value, _RULE):
        inner = place.under(f'"{name}"')
        when = table.get("when")
        if not isinstance(when, str) or not when.strip() or len(when) > MAX_TEXT:
            raise ConfigError(f"{inner.of('when')} is no expression", hint="""as in 'change.action == "delete"'""")
        yield GateRule(
            name=name,
            when=when,
            approvals=inner.count(table.get("approvals"), "approvals", least=1, most=MAX_APPROVALS),
            groups=inner.names(table.get("groups", []), "groups"),
        )


def _freezes(value: object, place: Place) -> Iterator[Freeze]:
    for name, table in place.named(value, _FREEZE):
        inner = place.under(f'"{name}"')
        start, end = (inner.moment(table.get(key), key) for key in ("from", "to"))
        if start >= end:
            raise ConfigError(f"{inner.of('to')} is not after from")
        yield Freeze(name=name, start=start, end=end)


def _break_glass(value: object, place: Place) -> BreakGlass | None:
    if value is None:
        return None
    table = place.table(value, _BREAK_GLASS)
    groups = place.names(table.get("groups"), "groups")
    if not groups:
        raise ConfigError(f"{place.of('groups')} is empty", hint='as in ["on-call"]')
    within = durations.parse(table.get("review_within"), what=place.of("review_within"), most=LONGEST_REVIEW)
    return BreakGlass(groups=groups, review_within=within)


def _groups(value: object, place: Place) -> dict[str, tuple[str, ...]]:
    if value is None:
        return {}
    return {name: place.names(members, name) for name, members in place.table(value, None).items()}


def _evidence(value: object, place: Place) -> tuple[str, ...]:
    found = place.names(value, "evidence")
    for one in found:
        if one not in EVIDENCE:
            raise unknown(one, EVIDENCE, place.of("evidence"))
    return found


def _bind(value: object, what: str) -> Bind:
    if value not in get_args(Bind):
        raise ConfigError(f"{what} is neither of its words", hint='it is "changes" or "planfile"')
    return cast(Bind, value)
