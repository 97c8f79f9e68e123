"""What do rules in CEL find in a plan?

The evaluation runs in a child (:mod:`tfaudit.policy.celchild`): the engine has no limit of its own on what an
expression may cost. It tells the numbers of rules and changes, and this module says what they mean.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tfaudit.policy import celscan, ruleview
from tfaudit.policy.child import Child, ChildError, Limits
from tfaudit.policy.model import Evaluation, Finding
from tfaudit.policy.rules import Rule, digest
from tfaudit.policy.ruleview import Seen

MAX_HITS: Final = 50
_MAX_OUTPUT: Final = 1 << 20
_PACKAGE: Final = "common-expression-language"
_encode: Final = msgspec.json.Encoder().encode

_WORDS: Final[Mapping[str, str]] = {
    "syntax": "is no CEL",
    "missing": "names a field that is not there",
    "types": "compares or computes what does not go together",
    "undefined": "names something that there is not",
    "not-boolean": "is neither true nor false",
    "memory": "ran out of memory",
    "failed": "can't be computed",
}


class _Error(msgspec.Struct, forbid_unknown_fields=True):
    change: int | None
    code: str
    detail: str | None


class _Found(msgspec.Struct, forbid_unknown_fields=True):
    hits: list[int]
    count: int
    error: _Error | None


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    whole: bool
    changes: int
    rules: list[_Found]


@dataclass(frozen=True, slots=True)
class CelRules:
    """A set of rules, scanned for what they read."""

    rules: tuple[Rule, ...]

    @property
    def reads(self) -> celscan.Reads:
        """What of a change has to be handed over."""
        return celscan.reads(rule.when for rule in self.rules if rule.scope == "change")

    def asked(self, limits: Limits) -> bytes:
        """Return the first line that the child reads."""
        listed = [
            {"when": rule.when, "scope": _scope(rule), "names": sorted(celscan.names(rule.when))} for rule in self.rules
        ]
        return _encode({"rules": listed, "memory_mb": limits.memory_mb, "seconds": int(limits.seconds) + 1}) + b"\n"


def _scope(rule: Rule) -> str:
    """Return the scope, that of the plan too where nothing of a change is read: once says as much as a thousand times.

    A plan without any change then still meets a rule about who acts.
    """
    return "plan" if rule.scope == "change" and celscan.reads([rule.when]) == celscan.Reads() else rule.scope


class CelChild:
    """A child that has imported the engine while its parent did something else."""

    def __init__(self, limits: Limits, command: Sequence[str] | None = None) -> None:
        """Start it; raises :class:`ChildError`."""
        self._limits = limits
        self._child = Child(command or [sys.executable, "-I", "-m", "tfaudit.policy.celchild"], limits)

    def close(self) -> None:
        """End it; harmless where it has ended."""
        self._child.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def evaluate(self, of: CelRules, seen: Seen) -> Evaluation:
        """Return what the rules find in a plan; what goes wrong is the evaluation's error."""
        labels: list[Mapping[str, str]] = []
        try:
            output, code = self._child.ask(_said(of, self._limits, seen, labels))
            answer = _answer(output, code, len(of.rules), len(labels))
        except ChildError as error:
            return failed(of.rules, f"the rules could not be evaluated: {error.message}")
        findings = [one for rule, found in zip(of.rules, answer.rules, strict=True) for one in _of(rule, found, labels)]
        errors = [
            _explained(rule, found.error, labels)
            for rule, found in zip(of.rules, answer.rules, strict=True)
            if found.error is not None and not rule.lenient
        ]
        return Evaluation(
            engine="cel",
            version=version(),
            digest=digest(of.rules),
            rules=len(of.rules),
            findings=tuple(findings),
            error="; ".join(errors[:5]) + (f"; and {len(errors) - 5} more" if len(errors) > 5 else "")
            if errors
            else None,
        )


def failed(rules: tuple[Rule, ...], reason: str) -> Evaluation:
    """Return the evaluation of rules that could not be evaluated."""
    return Evaluation(engine="cel", version=version(), digest=digest(rules), rules=0, findings=(), error=reason)


def version() -> str:
    """Return the version of the engine's package; ``unknown`` where it isn't installed."""
    from importlib import metadata

    try:
        return metadata.version(_PACKAGE)
    except metadata.PackageNotFoundError:
        return "unknown"


def _said(of: CelRules, limits: Limits, seen: Seen, labels: list[Mapping[str, str]]) -> Iterator[bytes]:
    yield of.asked(limits)
    yield _encode({"plan": seen.plan, "actor": seen.actor}) + b"\n"
    light: list[Mapping[str, Any]] = []
    for part in seen.changes(of.reads):
        labels += part.labels
        light += part.light
        yield _encode(part.views) + b"\n"
    yield _encode({"changes": light, "outputs": seen.outputs}) + b"\n"


def _answer(output: bytes, code: int, rules: int, changes: int) -> _Answer:
    if code != 0:
        raise ChildError(f"it ended with exit code {code}")
    if len(output) > _MAX_OUTPUT:
        raise ChildError("its answer is too long")
    try:
        answer = msgspec.json.decode(output, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ChildError("its answer is not what was asked for") from error
    if not answer.whole or answer.changes != changes or len(answer.rules) != rules:
        raise ChildError("it did not evaluate everything")
    for found in answer.rules:
        told = [*found.hits, found.error.change or 0] if found.error else found.hits
        if found.count < len(found.hits) or any(not 0 <= one < max(changes, 1) for one in told):
            raise ChildError("its answer is not what was asked for")
    return answer


def _of(rule: Rule, found: _Found, labels: Sequence[Mapping[str, str]]) -> Iterator[Finding]:
    def finding(message: str, address: str | None) -> Finding:
        return Finding(
            rule=rule.name,
            severity=rule.severity,
            message=message,
            address=address,
            approvals=rule.approvals,
            groups=rule.groups,
        )

    if found.count and not found.hits:
        yield finding(rule.said({}), None)
    for number in found.hits[:MAX_HITS]:
        label = labels[number]
        yield finding(rule.said(label), label["address"])
    if found.hits and found.count > len(found.hits):
        yield finding(f"and {found.count - len(found.hits)} changes more", None)
    if found.error is not None and rule.lenient:
        yield finding(f"could not be told: {_explained(rule, found.error, labels)}", None)


def _explained(rule: Rule, error: _Error, labels: Sequence[Mapping[str, str]]) -> str:
    text = f'rule "{rule.name}" {_WORDS.get(error.code, _WORDS["failed"])}'
    if error.detail and (error.code == "syntax" or error.detail in celscan.names(rule.when)):
        text += f" (at {error.detail[:40]})" if error.code == "syntax" else f' ("{error.detail[:80]}")'
    if error.change is not None and error.change < len(labels):
        text += f", for {labels[error.change]['address']}"
    if error.code == "missing":
        text += '; ask has(change.after.NAME) first, or say after("/NAME", DEFAULT)'
    return ruleview.one_line(text)
