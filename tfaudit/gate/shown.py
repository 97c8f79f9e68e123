"""What is a person shown who is asked to approve a plan: the losses first, then the rest, in a text of bounded length.

The text is a pure function of what the plan's record says and discloses; its digest is part of what the person signs.
Nothing in it can steer a terminal.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tfaudit import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tfaudit.policy.model import Evaluation, Finding

MAX_LOST: Final = 200
"""Resources that are destroyed or replaced, each in a line with what forces it; the rest is counted."""
MAX_OTHERS: Final = 100
MAX_SMALL: Final = 40
"""Outputs, findings, and whatever else there is of each kind."""
MAX_ATTRIBUTES: Final = 8
"""Attributes of one resource."""
MAX_VALUE: Final = 80
"""Characters of one value."""
MAX_TEXT: Final = 500
"""Characters of an address, a reason, a message."""

_LOSING: Final = ("delete", "replace", "unknown")
_SIGNS: Final = {"create": "+", "delete": "-", "update": "~", "replace": "-/+", "forget": ".", "unknown": "?"}
_QUIET: Final = ("no-op", "read")
_KINDS: Final = {
    "drift": "changed outside of the engine",
    "deferred-change": "put off to a later plan",
    "action-invocation": "actions that are run",
    "deferred-action-invocation": "actions that are put off",
    "check": "checks that don't hold",
}
_SEVERITIES: Final = ("deny", "require", "warn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute that changes."""

    path: str
    before: str | None
    """The value's JSON text; None where there is none, or it is withheld."""
    after: str | None
    sensitive: bool = False
    unknown: bool = False
    """Known after the apply only."""
    withheld: bool = False
    forces_replacement: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One event of a plan's record."""

    kind: str
    address: str
    action: str | None
    """The derived one; None for kinds that have none."""
    deposed: str | None = None
    previous_address: str | None = None
    reason: str | None = None
    """The engine's action reason."""
    importing: bool = False
    attributes: Sequence[Attribute] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What is asked for: the question, and (name, text) of what is to be known first; empty texts are left out."""

    question: str
    facts: Sequence[tuple[str, str]]


@dataclass(slots=True)
class _Section:
    """Some lines, and of what is too much only how many of which action."""

    title: str
    most: int
    lines: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    rest: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, lines: Iterable[str]) -> None:
        self.counts[name] += 1
        if self.counts.total() <= self.most:
            self.lines += lines
        else:
            self.rest[name] += 1

    def text(self) -> Iterator[str]:
        if not self.counts:
            return
        yield ""
        yield f"{self.title} ({self.counts.total()}):"
        yield from self.lines
        if self.rest:
            counts = ", ".join(f"{number} {name}" for name, number in sorted(self.rest.items()))
            yield f"  and {self.rest.total()} more: {counts}"


def render(heading: Heading, changes: Iterable[Change], evaluations: Iterable[Evaluation]) -> str:
    """Return the text, which ends with a newline. ``changes`` are read once; what is kept of them is bounded."""
    lost = _Section("Destroyed or replaced", MAX_LOST)
    others = _Section("Other changes", MAX_OTHERS)
    outputs = _Section("Outputs", MAX_SMALL)
    more: dict[str, _Section] = {}
    for change in changes:
        if change.kind == "resource-change":
            section = lost if change.action in _LOSING else others
            if change.action not in _QUIET or change.previous_address or change.importing:
                section.add(_name(change), _resource(change))
        elif change.kind == "output-change":
            outputs.add(f"output to {change.action}", _output(change))
        elif change.kind in _KINDS:
            title = _KINDS[change.kind]
            one = f"  {_sign(change)}{clean(change.address)}"
            more.setdefault(title, _Section(title.capitalize(), MAX_SMALL)).add(title, [one])
    lines = [clean(heading.question), *_facts(heading.facts)]
    sections = [lost, others, *_findings(evaluations), outputs, *more.values()]
    for section in sections:
        lines += section.text()
    # On a terminal the top of a long text is out of sight by now.
    counts = [f"{number} {name}" for section in sections for name, number in sorted(section.counts.items())]
    lines += ["", f"In all: {', '.join(counts) or 'nothing is changed'}."]
    return "\n".join(lines) + "\n"


def digest(text: str) -> str:
    """Return the SHA-256 of the text as UTF-8, which goes into the signed document."""
    return canonical.sha256_hex(text.encode())


def clean(text: str, *, most: int = MAX_TEXT) -> str:
    """Return the text on one line: what can't be printed is escaped, what is beyond ``most`` characters cut off."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode("ascii") for ch in cut)


def _facts(facts: Sequence[tuple[str, str]]) -> Iterator[str]:
    known = [(name, text) for name, text in facts if text]
    width = max((len(name) for name, _ in known), default=0)
    if known:
        yield ""
    for name, text in known:
        yield f"  {name:<{width}}  {clean(text)}"


def _name(change: Change) -> str:
    """Return what is counted."""
    if change.action in _QUIET:
        return "imported" if change.importing else "moved"
    return "unknown to tfaudit" if change.action == "unknown" else f"to {change.action}"


def _sign(change: Change) -> str:
    sign = _SIGNS.get(change.action or "", "")
    return f"{sign} " if sign else ""


def _resource(change: Change) -> Iterator[str]:
    parts = [f"  {_sign(change)}{clean(change.address)}"]
    if change.deposed:
        parts.append(f"(deposed object {clean(change.deposed)})")
    if change.action not in _QUIET:
        parts.append(change.action or "")
    if change.previous_address:
        parts.append(f"moved from {clean(change.previous_address)}")
    if change.importing:
        parts.append("imported")
    if change.reason:
        parts.append(f"({clean(change.reason.replace('_', ' '))})")
    yield " ".join(part for part in parts if part)
    # What forces the loss comes first, then what can be judged, each as the engine has them.
    attributes = sorted(change.attributes, key=lambda one: (not one.forces_replacement, one.unknown))
    if change.action in ("delete", "forget", "unknown", *_QUIET):
        attributes = [attribute for attribute in attributes if attribute.forces_replacement]
    for attribute in attributes[:MAX_ATTRIBUTES]:
        yield f"        {clean(attribute.path or 'value')}: {_values(attribute, change.action)}"
    if len(attributes) > MAX_ATTRIBUTES:
        yield f"        and {len(attributes) - MAX_ATTRIBUTES} attributes more"


def _output(change: Change) -> Iterator[str]:
    values = "; ".join(_values(attribute, change.action) for attribute in list(change.attributes)[:1])
    name = change.address.removeprefix("output.")
    yield f"  {_sign(change)}{clean(name)}{': ' if values else ''}{values}"


def _values(attribute: Attribute, action: str | None) -> str:
    before, after = _side(attribute, attribute.before), _side(attribute, attribute.after)
    if attribute.sensitive:
        text = "(sensitive)"
    elif attribute.unknown:
        text = "(known after apply)" if attribute.before is None else f"{before} -> (known after apply)"
    elif action == "create" and attribute.before is None:
        text = after
    elif action == "delete" and attribute.after is None:
        text = before
    else:
        text = f"{before} -> {after}"
    return f"{text} (forces replacement)" if attribute.forces_replacement else text


def _side(attribute: Attribute, value: str | None) -> str:
    if value is None:
        return "(withheld)" if attribute.withheld else "null"
    return clean(value, most=MAX_VALUE)


def _findings(evaluations: Iterable[Evaluation]) -> Iterator[_Section]:
    """Yield the findings of the policy, those that forbid first, and what could not be evaluated."""
    failed = _Section("Policies that could not be evaluated", MAX_SMALL)
    found: list[Finding] = []
    for one in evaluations:
        found += one.findings
        if one.error is not None:
            failed.add("policy that could not be evaluated", [f"  {clean(one.engine)}: {clean(one.error)}"])
    yield failed
    section = _Section("Findings of the policy", MAX_SMALL)
    for finding in sorted(found, key=lambda one: _SEVERITIES.index(one.severity)):
        where = f" {clean(finding.address)}:" if finding.address else ""
        wants = f" (wants {finding.approvals} approvals)" if finding.severity == "require" else ""
        line = f"  {finding.severity:<7}{where} {clean(finding.message)}{wants}  [{clean(finding.rule)}]"
        section.add(f"finding: {finding.severity}", [line])
    yield section
