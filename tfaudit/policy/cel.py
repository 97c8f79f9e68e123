"""What do rules in CEL find in a plan?

The evaluation runs in a child (:mod:`tfaudit.policy.celchild`): the engine has no limit of its own on what an
expression may cost. It tells the numbers of rules and changes, and this module says what they mean.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from tfaudit.policy import celscan, ruleview
from tfaudit.policy.celchild import MAX_HITS
from tfaudit.policy.child import Child, ChildError, Limits
from tfaudit.policy.model import Evaluation, Finding
from tfaudit.policy.rules import Rule, digest
from tfaudit.policy.ruleview import Seen

_MAX_OUTPUT: Final = 1 << 20
_ERRORS: Final = 5
"""Rules whose errors are told."""
_PACKAGE: Final = "common-expression-language"
_encode: Final = msgspec.json.Encoder().encode

WORDS: Final[Mapping[str, str]] = {
    "syntax": "is no CEL",
    "missing": "names a field that is not there",
    "types": "compares or computes what does not go together",
    "undefined": "names something that there is not",
    "not-boolean": "is neither true nor false",
    "memory": "ran out of memory",
    "failed": "can't be computed",
}


class Failure(msgspec.Struct, forbid_unknown_fields=True):
    """Why a rule could not be evaluated, and at which change; ``code`` is one of :data:`WORDS`."""

    change: int | None
    code: str
    detail: str | None


class Found(msgspec.Struct, forbid_unknown_fields=True):
    """What came of one rule: the first changes that it holds of, and of how many in all."""

    hits: list[int]
    count: int
    error: Failure | None


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """What came of all rules; ``whole`` is false where the child did not get to the end."""

    whole: bool
    changes: int
    rules: list[Found]


_decode: Final = msgspec.json.Decoder(Answer).decode


def listed(rule: Rule) -> dict[str, Any]:
    """Return a rule as the child reads it.

    One that reads nothing of a change is asked once, as of the plan: a plan without any change, too, meets a rule about
    who acts.
    """
    read = celscan.reads([rule.when])
    return {
        "when": rule.when,
        "scope": "plan" if read == celscan.Reads() else rule.scope,
        "names": sorted(celscan.names(rule.when)),
        "reads": [None if one is None else sorted(one) for one in (read.fields, read.members)],
    }


class CelChild:
    """Rules on their way: the child imports the engine and compiles them while its parent does something else."""

    def __init__(self, rules: tuple[Rule, ...], limits: Limits, command: Sequence[str] | None = None) -> None:
        """Start it; raises :class:`ChildError`."""
        self._rules = rules
        self._version, self._digest = version(), digest(rules)
        self._reads = celscan.reads(rule.when for rule in rules if rule.scope == "change")
        self._child = Child(command or [sys.executable, "-I", "-m", "tfaudit.policy.celchild"], limits)
        told = [listed(rule) for rule in rules]
        # Of a large plan they are dear, and few rules ask for them.
        self._asked = {name for one in told if one["scope"] == "plan" for name in one["names"]}
        asked = {
            "rules": told,
            "memory_mb": limits.memory_mb,
            "seconds": int(limits.seconds) + 1,
        }
        self._child.tell(_encode(asked) + b"\n")

    def close(self) -> None:
        """End it; harmless where it has ended."""
        self._child.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def evaluate(self, seen: Seen) -> Evaluation:
        """Return what the rules find in a plan; what goes wrong is the evaluation's error.

        Raises :class:`InputError` for a plan that can't be read.
        """
        light: list[Mapping[str, Any]] = []
        try:
            output, code = self._child.ask(self._said(seen, light))
            answer = answered(output, code, len(self._rules), len(light))
        except ChildError as error:
            return failed(self._rules, f"the rules could not be evaluated: {error.message}")
        judged = list(zip(self._rules, answer.rules, strict=True))
        errors = [_explained(rule, one.error, light) for rule, one in judged if one.error and not rule.lenient]
        more = [f"and {len(errors) - _ERRORS} rules more"] if len(errors) > _ERRORS else []
        return Evaluation(
            engine="cel",
            version=self._version,
            digest=self._digest,
            rules=len(self._rules),
            findings=tuple(finding for rule, one in judged for finding in _findings(rule, one, light)),
            error="; ".join([*errors[:_ERRORS], *more]) or None,
        )

    def _said(self, seen: Seen, light: list[Mapping[str, Any]]) -> Iterator[bytes]:
        """Yield what the child is told, piece by piece; what it isn't told of each change comes into ``light``."""
        yield _encode({"plan": seen.plan, "actor": seen.actor}) + b"\n"
        for part in seen.changes(self._reads):
            light += part.light
            yield _encode(part.views) + b"\n"
        whole: dict[str, Any] = {"changes": light} if self._asked & {"changes", "count"} else {}
        yield _encode(whole | ({"outputs": seen.outputs} if "outputs" in self._asked else {})) + b"\n"


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


def answered(output: bytes, code: int, rules: int, changes: int) -> Answer:
    """Return what the child found of so many rules over so many changes; :class:`ChildError` unless it is all."""
    if code != 0:
        raise ChildError(f"it ended with exit code {code}")
    if len(output) > _MAX_OUTPUT:
        raise ChildError("its answer is too long")
    try:
        answer = _decode(output)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ChildError("its answer is not what was asked for") from error
    if not answer.whole or answer.changes != changes or len(answer.rules) != rules:
        raise ChildError("it did not evaluate everything")
    for found in answer.rules:
        told = [*found.hits, found.error.change or 0] if found.error else found.hits
        if not len(found.hits) <= min(found.count, MAX_HITS) or any(not 0 <= one < max(changes, 1) for one in told):
            raise ChildError("its answer is not what was asked for")
    return answer


def _findings(rule: Rule, found: Found, light: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
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
    for number in found.hits:
        label = ruleview.label(light[number])
        yield finding(rule.said(label), label["address"])
    if found.hits and found.count > len(found.hits):
        yield finding(f"and {found.count - len(found.hits)} changes more", None)
    if found.error is not None and rule.lenient:
        yield finding(f"could not be told: {_explained(rule, found.error, light)}", None)


def _explained(rule: Rule, error: Failure, light: Sequence[Mapping[str, Any]]) -> str:
    text = f'rule "{rule.name}" {WORDS.get(error.code, WORDS["failed"])}'
    if error.detail and (error.code == "syntax" or error.detail in celscan.names(rule.when)):
        text += f" (at {error.detail[:40]})" if error.code == "syntax" else f' ("{error.detail[:80]}")'
    if error.change is not None and error.change < len(light):
        text += f", for {ruleview.label(light[error.change])['address']}"
    if error.code == "missing":
        text += '; ask has(change.after.NAME) first, or say after("/NAME", DEFAULT)'
    return ruleview.one_line(text)
