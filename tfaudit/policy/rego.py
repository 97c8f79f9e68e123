"""What do rules in Rego find in a plan, by conftest's and OPA's conventions?

A rule called ``deny``, ``violation`` or ``warn``, or one of these and ``_something``, in any package, that gives
messages: texts, or objects with a ``msg``. What is evaluated is a copy of what was read, by whichever engine there is.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from tfaudit.config.gating import InputShape, PolicySettings
from tfaudit.errors import ConfigError
from tfaudit.policy import regoengines, regoscan
from tfaudit.policy.child import Child, ChildError, Limits, limiting
from tfaudit.policy.model import Evaluation, Finding, Severity
from tfaudit.policy.regoengines import Engine
from tfaudit.policy.rulefiles import RegoFile
from tfaudit.policy.ruleview import one_line

MAX_FINDINGS: Final = 500
"""Of one severity; of the others only the number is told."""
_PACKAGE: Final = "gordon-to-regorus"
_encode: Final = msgspec.json.Encoder().encode

Redact = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegoPolicy:
    """A policy as it was read, and what it is evaluated with."""

    files: tuple[RegoFile, ...]
    settings: PolicySettings
    digest: str

    def evaluate(
        self, document: bytes, *, run: Mapping[str, object], environ: Mapping[str, str], redact: Redact
    ) -> Evaluation:
        """Return what the rules find in a plan's JSON; what goes wrong is the evaluation's error.

        ``run`` is what a platform tells of the run, ``redact`` takes known secrets out of a message.
        """
        name = self.settings.engine or "rego"
        version = ""
        limits = Limits(seconds=self.settings.timeout_seconds, memory_mb=self.settings.memory_mb)
        try:
            engine = regoengines.find(self.settings.engine, environ)
            name, version = engine.name, _version(engine, limits)
            rules, found = _ask(engine, self, shaped(document, self.settings.input, run), limits)
        except (ChildError, ConfigError) as error:
            hint = f" ({error.hint})" if error.hint else ""
            return self._evaluation(name, version, 0, (), f"{error.message}{hint}")
        except OSError as error:
            return self._evaluation(name, version, 0, (), f"the policy can't be copied: {error.strerror}")
        if not rules:
            return self._evaluation(name, version, 0, (), "no rule called deny, violation or warn was evaluated")
        return self._evaluation(name, version, rules, tuple(_limited(found, redact)), None)

    def _evaluation(
        self, engine: str, version: str, rules: int, findings: tuple[Finding, ...], error: str | None
    ) -> Evaluation:
        return Evaluation(
            engine=engine,
            version=version,
            digest=self.digest,
            rules=rules,
            findings=findings,
            error=None if error is None else one_line(error),
        )


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a rule."""

    rule: str
    severity: Severity
    message: str


def shaped(document: bytes, shape: InputShape, run: Mapping[str, object]) -> bytes:
    """Return the input that rules written for conftest, HCP Terraform or Scalr look for the plan in."""
    match shape:
        case "plan":
            return document
        case "hcp":
            return b'{"plan":' + document + b',"run":' + _encode(run) + b"}"
        case "scalr":
            return b'{"tfplan":' + document + b',"tfrun":' + _encode(run) + b"}"


def _ask(engine: Engine, policy: RegoPolicy, document: bytes, limits: Limits) -> tuple[int, list[Said]]:
    """Return how many rules were evaluated, and what they say."""
    found = regoscan.rules(policy.files)
    if not found and engine.name != "conftest":
        return 0, []
    v0 = policy.settings.rego_version == "v0"
    if engine.name == "regorus":
        if regoscan.uses(policy.files, "http.send"):
            raise ConfigError("the policy calls http.send, which regorus lacks", hint="use opa or conftest")
        return len(found), list(_messages(found, _regorus(policy, found, document, limits, v0=v0)))
    with tempfile.TemporaryDirectory(prefix="tfaudit-policy-") as folder:
        root = Path(folder, "policy")
        _copy(policy.files, root)
        call = (
            regoengines.opa(engine, root, regoscan.query(found), v0=v0)
            if engine.name == "opa"
            else regoengines.conftest(engine, root, v0=v0, data=any(file.is_data for file in policy.files))
        )
        with Child(call, limits, cwd=Path(folder), environ={"HOME": folder}, limit=limiting(limits)) as child:
            output, code = child.ask([document])
    if engine.name == "opa":
        return len(found), list(_messages(found, regoengines.opa_value(output, code)))
    return _conftest(output, code)


def _copy(files: Sequence[RegoFile], root: Path) -> None:
    for file in files:
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)


def _regorus(
    policy: RegoPolicy, found: Sequence[regoscan.RegoRule], document: bytes, limits: Limits, *, v0: bool
) -> object:
    asked = {
        "modules": [[file.path, _text(file)] for file in policy.files if not file.is_data],
        "data": [regoengines.rooted(file) for file in policy.files if file.is_data],
        "query": regoscan.query(found),
        "v0": v0,
        "size": len(document),
        "memory_mb": limits.memory_mb,
        "seconds": int(limits.seconds) + 1,
    }
    with Child([sys.executable, "-I", "-m", "tfaudit.policy.regochild"], limits) as child:
        output, code = child.ask([_encode(asked) + b"\n", document])
    answer = regoengines.decoded(output)
    match answer:
        case {"value": value} if code == 0:
            return value
        case {"error": "parse" | "evaluate" as stage, "place": str() | None as place} if code == 0:
            what = "can't be read as Rego" if stage == "parse" else "can't be evaluated"
            version = policy.settings.rego_version
            raise ConfigError(f"the policy {what}{f', at {place}' if place else ''}", hint=f"rego_version is {version}")
    raise ChildError("regorus did not answer what it was asked")


def _text(file: RegoFile) -> str:
    try:
        return file.content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file.path} is not UTF-8") from error


def _messages(found: Sequence[regoscan.RegoRule], values: object) -> Iterator[Said]:
    """Yield what the rules say. Raises :class:`ChildError` for a value that is no message: it can't be passed over."""
    if not isinstance(values, list) or len(values) != len(found):
        raise ChildError("the engine did not answer what it was asked")
    for rule, value in zip(found, values, strict=True):
        if not isinstance(value, list) or len(value) > 1:
            raise ChildError("the engine did not answer what it was asked")
        for one in value:
            yield from _said(rule, one)


def _said(rule: regoscan.RegoRule, value: object) -> Iterator[Said]:
    # v1's ``contains`` and v0's ``deny[msg]`` make a list; a rule with one value may be a text, or just true.
    if value is None or value is False:
        return
    if value is True:
        yield Said(rule.name, rule.severity, "it holds; the rule gives no message")
        return
    for one in value if isinstance(value, list) else [value]:
        message = one.get("msg") if isinstance(one, dict) else one
        if not isinstance(message, str):
            raise ChildError(f"the rule {rule.name} gives something that is no message: neither a text nor a msg")
        yield Said(rule.name, rule.severity, message)


def _conftest(output: bytes, code: int) -> tuple[int, list[Said]]:
    """Return what conftest's ``--output json`` says, for every namespace."""
    results = regoengines.conftest_results(output, code)
    said: list[Said] = []
    rules = 0
    for result in results:
        rules += result.successes + sum(
            len(group) for group in (result.warnings, result.failures, result.exceptions, result.skipped)
        )
        said += [Said(_named(result, one, "deny"), "deny", one.msg) for one in result.failures]
        said += [Said(_named(result, one, "warn"), "warn", one.msg) for one in result.warnings]
    return rules, said


def _named(result: regoengines.Result, one: regoengines.Message, kind: str) -> str:
    """Return the rule's path; conftest tells it in the query since 0.24, else only the namespace is known."""
    query = one.metadata.get("query")
    return query.removeprefix("data.") if isinstance(query, str) else f"{result.namespace}.{kind}"


def _limited(said: Sequence[Said], redact: Redact) -> Iterator[Finding]:
    counts: dict[Severity, int] = {}
    for one in said:
        counts[one.severity] = counts.get(one.severity, 0) + 1
        if counts[one.severity] <= MAX_FINDINGS:
            message = one_line(redact(one.message)) or "it holds; the rule gives no message"
            yield Finding(rule=one_line(one.rule), severity=one.severity, message=message)
    for severity, count in counts.items():
        if count > MAX_FINDINGS:
            yield Finding(rule="…", severity=severity, message=f"and {count - MAX_FINDINGS} more")


def _version(engine: Engine, limits: Limits) -> str:
    if engine.name == "regorus":
        from importlib import metadata

        try:
            return metadata.version(_PACKAGE)
        except metadata.PackageNotFoundError:  # another package of the same module
            return "unknown"
    with Child(
        [engine.path, "version" if engine.name == "opa" else "--version"], limits, limit=limiting(limits)
    ) as one:
        output, _ = one.ask([])
    return regoengines.version_in(output)
