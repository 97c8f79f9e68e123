"""What did another scanner find: its SARIF file, as evidence?

SARIF 2.1.0 (OASIS). Its findings warn; the file's digest is recorded, so that the word of the scanner can be held
against it. An own rule that shall deny is written in CEL or Rego.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from tfaudit.canonical import readable
from tfaudit.errors import ConfigError
from tfaudit.policy import rulefiles
from tfaudit.policy.model import Evaluation, Finding
from tfaudit.policy.ruleview import one_line

MAX_BYTES: Final = 64 << 20
MAX_FINDINGS: Final = 500
"""Findings of one file; of the others only the number is told."""
Redact = Callable[[str], str]
_QUIET: Final = ("none", "note")
_PASSED: Final = ("notApplicable", "pass")


class _Message(msgspec.Struct):
    text: str | None = None
    id: str | None = None


class _Logical(msgspec.Struct, rename="camel"):
    fully_qualified_name: str | None = None


class _Artifact(msgspec.Struct):
    uri: str | None = None


class _Physical(msgspec.Struct, rename="camel"):
    artifact_location: _Artifact | None = None


class _Location(msgspec.Struct, rename="camel"):
    physical_location: _Physical | None = None
    logical_locations: list[_Logical] = []


class _RuleReference(msgspec.Struct):
    id: str | None = None


class _Result(msgspec.Struct, rename="camel"):
    message: _Message
    rule_id: str | None = None
    rule: _RuleReference | None = None
    level: str | None = None
    kind: str | None = None
    locations: list[_Location] = []
    suppressions: list[object] | None = None


class _Descriptor(msgspec.Struct):
    id: str


class _Driver(msgspec.Struct, rename="camel"):
    name: str
    version: str | None = None
    semantic_version: str | None = None
    rules: list[_Descriptor] = []


class _Tool(msgspec.Struct):
    driver: _Driver


class _Invocation(msgspec.Struct, rename="camel"):
    execution_successful: bool = True


class _Run(msgspec.Struct):
    tool: _Tool
    results: list[_Result] | None = None
    invocations: list[_Invocation] = []


class _Log(msgspec.Struct):
    version: str
    runs: list[_Run]


_decode: Final = msgspec.json.Decoder(_Log).decode


def evaluate(path: Path, *, redact: Redact) -> Evaluation:
    """Return what a SARIF file says; what is wrong with it is the evaluation's error.

    ``redact`` takes the plan's secrets out of what the scanner says: it may have seen values that were not withheld.
    """
    shown = readable(path.name)
    try:
        data = rulefiles.read(path, most=MAX_BYTES)
    except ConfigError as error:
        return _evaluation("", hashlib.sha256().hexdigest(), 0, (), error.message)
    digest = hashlib.sha256(data).hexdigest()
    try:
        log = _decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _evaluation("", digest, 0, (), f"{shown} is not SARIF 2.1.0")
    if log.version != "2.1.0" or not log.runs:
        return _evaluation("", digest, 0, (), f"{shown} is not SARIF 2.1.0, or holds no run")
    version = redact(", ".join(dict.fromkeys(_tool(run.tool.driver) for run in log.runs)))
    problem = next((text for run in log.runs if (text := _problem(run))), None)
    if problem is not None:
        return _evaluation(version, digest, 0, (), f"{shown}: {problem}")
    # A scanner lists the rules that it knows, or those alone that were broken; a finished run has looked at something.
    rules = sum(max(len(run.tool.driver.rules), len({_rule(one) for one in run.results or ()}), 1) for run in log.runs)
    return _evaluation(version, digest, rules, tuple(_findings(log, redact)), None)


def _evaluation(version: str, digest: str, rules: int, findings: tuple[Finding, ...], error: str | None) -> Evaluation:
    return Evaluation(
        engine="sarif", version=one_line(version), digest=digest, rules=rules, findings=findings, error=error
    )


def _problem(run: _Run) -> str | None:
    if run.results is None:
        return "a run has no results, so the scanner did not finish"
    if any(not one.execution_successful for one in run.invocations):
        return "the scanner says of itself that it failed"
    return None


def _findings(log: _Log, redact: Redact) -> Iterator[Finding]:
    count = 0
    for run in log.runs:
        for result in run.results or ():
            if result.level in _QUIET or result.kind in _PASSED or result.suppressions:
                continue
            count += 1
            if count <= MAX_FINDINGS:
                address = _address(result)
                yield Finding(
                    rule=one_line(redact(_rule(result))),
                    severity="warn",
                    # Before it is cut off: half a secret is not found.
                    message=one_line(redact(_message(result))),
                    address=one_line(redact(address)) if address else None,
                )
    if count > MAX_FINDINGS:
        yield Finding(rule="…", severity="warn", message=f"and {count - MAX_FINDINGS} more")


def _tool(driver: _Driver) -> str:
    version = driver.semantic_version or driver.version
    return f"{driver.name} {version}" if version else driver.name


def _rule(result: _Result) -> str:
    return result.rule_id or (result.rule.id if result.rule else None) or "unnamed"


def _message(result: _Result) -> str:
    text = " ".join((result.message.text or result.message.id or "").split())
    return text or "no message"


def _address(result: _Result) -> str | None:
    """Return the resource that a result names, else the file."""
    for location in result.locations:
        for logical in location.logical_locations:
            if logical.fully_qualified_name:
                return logical.fully_qualified_name
    for location in result.locations:
        physical = location.physical_location
        if physical and physical.artifact_location and physical.artifact_location.uri:
            return physical.artifact_location.uri
    return None
