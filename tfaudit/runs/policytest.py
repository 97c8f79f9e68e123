"""What would the policy say of this plan: rules tried out, without a run and without a ledger."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfaudit.canonical import readable
from tfaudit.config.gating import PolicySettings
from tfaudit.engine import find
from tfaudit.engine.scratch import Scratch
from tfaudit.errors import ConfigError, InputError, UnavailableError
from tfaudit.plan.names import NameRules
from tfaudit.plan.parse import MAX_SIZE, read_plan
from tfaudit.plan.redact import Redactor
from tfaudit.plan.secrets import KnownSecrets
from tfaudit.policy import evaluate
from tfaudit.policy.model import Evaluation
from tfaudit.regular import NotAFileError, open_regular

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.runs.run import World

_ZIP: Final = b"PK\x03\x04"
_VARIABLE: Final = "TF_VAR_"
_ASIDE: Final = ("TF_LOG", "TF_CLI_ARGS")
_SECONDS: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What the rules say."""

    evaluations: tuple[Evaluation, ...]
    digest: str
    """What an approval would bind: all rules that were evaluated."""

    @property
    def denied(self) -> bool:
        """Whether some rule forbids the plan."""
        return any(finding.severity == "deny" for one in self.evaluations for finding in one.findings)

    @property
    def broken(self) -> bool:
        """Whether something could not be evaluated, or nothing was."""
        return any(one.error is not None or one.rules < 1 for one in self.evaluations)

    def document(self) -> dict[str, Any]:
        """Return it as ``schemas/policy-test.v1.schema.json`` has it."""
        return {
            "denied": self.denied,
            "broken": self.broken,
            "digest": self.digest,
            "evaluations": [_evaluation(one) for one in self.evaluations],
        }


def _evaluation(one: Evaluation) -> dict[str, Any]:
    return {
        "engine": one.engine,
        "version": one.version,
        "digest": one.digest,
        "rules": one.rules,
        "error": one.error,
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity,
                "message": finding.message,
                "address": finding.address,
                "approvals": finding.approvals,
                "groups": list(finding.groups),
            }
            for finding in one.findings
        ],
    }


def try_rules(
    config: Config,
    world: World,
    plan: str,
    *,
    principal: str,
    cel: str | None = None,
    rego: str | None = None,
    evidence: tuple[str, ...] = (),
) -> Tried:
    """Return what the configured rules say of a plan file or the JSON of one, as if ``principal`` applied it.

    ``cel`` and ``rego`` stand in place of the configuration's. Raises :class:`InputError` for what is no plan,
    :class:`UnavailableError` where a plan file needs an engine and there is none.
    """
    settings = config.policy or PolicySettings()
    if cel is not None:
        settings = replace(settings, cel=world.cwd / cel)
    if rego is not None:
        settings = replace(settings, rego=world.cwd / rego)
    with evaluate.start(settings, _gate_rules(config), environ=world.environ) as pending:
        document = _document(world, world.cwd / plan)
        values = [value for name, value in world.environ.items() if name.startswith(_VARIABLE)]
        names = [name.removeprefix(_VARIABLE) for name in world.environ if name.startswith(_VARIABLE)]
        redactor = Redactor(secrets=KnownSecrets(values), names=NameRules(redact=config.redact, keep=config.keep))
        found = pending.evaluate(
            read_plan(document, redactor=redactor, given=names),
            document,
            actor={"principal": principal, "level": "claimed", "identities": [principal]},
            given=names,
            evidence=[world.cwd / path for path in evidence],
        )
        return Tried(evaluations=found, digest=pending.digest)


def _gate_rules(config: Config) -> tuple[Any, ...]:
    from tfaudit.gate.inforce import gate_rules_for

    return gate_rules_for(config, None, config.stack or "")


def _document(world: World, path: Path) -> bytes:
    """Return the JSON of a plan, by the engine where ``path`` is a plan file."""
    shown = readable(str(path))
    try:
        with open_regular(path) as file:
            data = file.read(MAX_SIZE + 1)
    except NotAFileError as error:
        raise InputError(f"{shown} is not a file") from error
    except OSError as error:
        raise InputError(f"{shown} can't be read: {error.strerror}") from error
    if not data.startswith(_ZIP):
        return data
    return _shown(world, path, data)


def _shown(world: World, path: Path, data: bytes) -> bytes:
    """Return what the engine's ``show -json`` says of a plan file."""
    try:
        engine = find.command(world.environ, name=None, own=find.own_path())
    except ConfigError as error:
        hint = "put terraform or tofu on PATH, or give what its show -json prints"
        raise UnavailableError("a plan file is shown by its engine, and there is none", hint=hint) from error
    environ = {name: value for name, value in world.environ.items() if not name.startswith(_ASIDE)}
    call = (*engine, "show", "-json", str(path))
    with Scratch("plan-json") as shown:
        try:
            ended = subprocess.run(
                call,
                env=find.marked(environ, call[1:], own=find.own_path()),
                cwd=world.cwd,
                stdin=subprocess.DEVNULL,
                stdout=shown.fd,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnavailableError(f"{engine[0]} show -json can't be run") from error
        if ended.returncode != 0:
            raise InputError(
                f"{readable(str(path))} can't be shown: {Path(engine[0]).name} show -json ended with "
                f"{ended.returncode}",
                hint="run it in the initialised folder that the plan was made in",
            )
        with Path(shown.path).open("rb") as file:
            return file.read()
