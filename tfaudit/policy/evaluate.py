"""What do all policies in force find in a plan?

The rules are read once, so that what is evaluated is what the digest names; the child for CEL starts then, while the
engine still plans. Nothing here raises for a rule, an engine or a file that is wrong: that is an evaluation with an
error, which denies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from tfaudit import canonical
from tfaudit.config.gating import GateRule, PolicySettings
from tfaudit.errors import ConfigError, InputError
from tfaudit.policy import builtin, digest, rulefiles, rules
from tfaudit.policy.model import Evaluation
from tfaudit.policy.rules import Rule
from tfaudit.policy.ruleview import Seen, actor_view, one_line

if TYPE_CHECKING:
    from tfaudit.plan.exactjson import Buffer
    from tfaudit.plan.parse import Plan
    from tfaudit.policy.cel import CelChild
    from tfaudit.policy.rego import RegoPolicy

__all__ = ["Pending", "Policies", "actor_view", "evaluate", "load", "policies_digest", "start"]

_NO_RULES: Final = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """All that is to be evaluated, as it was read."""

    settings: PolicySettings
    rules: tuple[Rule, ...]
    """In CEL: the user's, the gate's, tfaudit's own."""
    rego: tuple[rulefiles.RegoFile, ...]
    problems: tuple[Evaluation, ...]
    """What could not be read."""
    digest: str
    """64 hexadecimal digits, for an approval to bind."""


def load(settings: PolicySettings | None, gate_rules: Sequence[GateRule] = ()) -> Policies:
    """Return what is configured, read once. Never raises for what is wrong with it: that is among the problems."""
    settings = settings or PolicySettings()
    problems: list[Evaluation] = []
    own: tuple[Rule, ...] | None = None
    asked: tuple[Rule, ...] = ()
    files: tuple[rulefiles.RegoFile, ...] | None = None
    try:
        own = rules.read(settings.cel) if settings.cel is not None else None
    except ConfigError as error:
        problems.append(_problem("cel", error))
    try:
        asked = tuple(rules.of_gate(gate_rules))
    except ConfigError as error:
        problems.append(_problem("cel", error))
    try:
        files = rulefiles.read_rego(settings.rego) if settings.rego is not None else None
    except ConfigError as error:
        problems.append(_problem("rego", error))
    return Policies(
        settings=settings,
        rules=(*(own or ()), *asked, *(builtin.RULES if settings.defaults else ())),
        rego=files or (),
        problems=tuple(problems),
        digest=_joined(digest.of(settings, own=own, files=files), gate_rules),
    )


def policies_digest(settings: PolicySettings | None, gate_rules: Sequence[GateRule] = ()) -> str:
    """Return the digest of all rules that would be evaluated, 64 hexadecimal digits.

    The SHA-256 of the canonical JSON of ``[digest of the policy, digest of the gate's rules]``. Raises
    :class:`ConfigError` for what can't be read; :attr:`Pending.digest` doesn't.
    """
    return _joined(digest.policy_digest(settings or PolicySettings()), gate_rules)


class Pending:
    """Policies on their way: read, their child started, waiting for the plan."""

    def __init__(self, policies: Policies, environ: Mapping[str, str]) -> None:
        self.policies: Final = policies
        self._environ: Final = environ
        self._child: CelChild | None = None
        self._failed: Evaluation | None = None
        if policies.rules:
            self._start()

    def __enter__(self) -> Pending:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def digest(self) -> str:
        """The digest of the very rules that are evaluated."""
        return self.policies.digest

    def close(self) -> None:
        """End what was started; harmless once it has been evaluated."""
        if self._child is not None:
            self._child.close()

    def evaluate(
        self,
        plan: Plan,
        document: Buffer,
        *,
        actor: Mapping[str, object],
        given: Collection[str] = (),
        evidence: Sequence[Path] = (),
    ) -> tuple[Evaluation, ...]:
        """Return what every policy finds in a plan, once.

        ``document`` is the plan JSON that ``plan`` was read from; ``actor`` is as :func:`actor_view` returns it;
        ``given`` are the variables whose values came by the environment; ``evidence`` are other scanners' SARIF files.
        """
        found = [*self.policies.problems]
        if self.policies.rules:
            found.append(self._by_cel(plan, actor))
        if self.policies.rego:
            found.append(self._by_rego(plan, document, actor, given))
        if evidence:
            from tfaudit.policy import sarif

            found += [sarif.evaluate(path, redact=plan.redactor.text) for path in evidence]
        return tuple(found)

    def _start(self) -> None:
        from tfaudit.policy.cel import CelChild, failed
        from tfaudit.policy.child import ChildError, Limits

        settings = self.policies.settings
        try:
            limits = Limits(seconds=settings.timeout_seconds, memory_mb=settings.memory_mb)
            self._child = CelChild(self.policies.rules, limits)
        except ChildError as error:
            self._failed = failed(self.policies.rules, f"the rules could not be evaluated: {error.message}")

    def _by_cel(self, plan: Plan, actor: Mapping[str, object]) -> Evaluation:
        from tfaudit.policy.cel import failed

        child, self._child = self._child, None
        if child is None:
            return self._failed or failed(self.policies.rules, "the rules were evaluated already")
        try:
            return child.evaluate(Seen(of=plan, reveal=self.policies.settings.reveal, actor=actor))
        except InputError as error:
            return failed(self.policies.rules, f"the rules could not be evaluated: {error.message}")
        finally:
            child.close()

    def _by_rego(self, plan: Plan, document: Buffer, actor: Mapping[str, object], given: Collection[str]) -> Evaluation:
        from tfaudit.plan.redactedplan import redacted_json

        policy = self._rego()
        try:
            shown = redacted_json(document, plan, given=given, reveal=policy.settings.reveal)
        except InputError as error:
            return replace(_problem("rego", error), digest=policy.digest)
        run = {"created_by": {"username": actor.get("principal", "")}, "tfaudit": actor}
        return policy.evaluate(shown, run=run, environ=self._environ, redact=plan.redactor.text)

    def _rego(self) -> RegoPolicy:
        from tfaudit.policy.rego import RegoPolicy

        files = self.policies.rego
        return RegoPolicy(files=files, settings=self.policies.settings, digest=rulefiles.rego_digest(files))


def start(
    settings: PolicySettings | None, gate_rules: Sequence[GateRule] = (), *, environ: Mapping[str, str]
) -> Pending:
    """Read the policies and start what evaluates them; the plan may come later. To be closed."""
    return Pending(load(settings, gate_rules), environ)


def evaluate(
    settings: PolicySettings | None,
    gate_rules: Sequence[GateRule],
    plan: Plan,
    document: Buffer,
    *,
    actor: Mapping[str, object],
    environ: Mapping[str, str],
    given: Collection[str] = (),
    evidence: Sequence[Path] = (),
) -> tuple[Evaluation, ...]:
    """Return what every policy finds in a plan: :func:`start` and :meth:`Pending.evaluate` at once."""
    with start(settings, gate_rules, environ=environ) as pending:
        return pending.evaluate(plan, document, actor=actor, given=given, evidence=evidence)


def _joined(policy: str, gate_rules: Iterable[GateRule]) -> str:
    listed = [
        {"name": rule.name, "when": rule.when, "approvals": rule.approvals, "groups": list(rule.groups)}
        for rule in gate_rules
    ]
    return canonical.sha256_hex(canonical.encode([policy, canonical.sha256_hex(canonical.encode(listed))]))


def _problem(engine: str, error: ConfigError | InputError) -> Evaluation:
    text = f"{error.message} ({error.hint})" if error.hint else error.message
    return Evaluation(engine=engine, version="", digest=_NO_RULES, rules=0, findings=(), error=one_line(text))
