"""What the tests of policies share: plans, rules files, a stand-in for an engine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from plankit import change, plan_json

from tfaudit.config.gating import GateRule, PolicySettings
from tfaudit.plan.parse import read_plan
from tfaudit.policy import evaluate
from tfaudit.policy.model import Evaluation, Finding

SECRET = "swordfish-4711-tuna"
ACTOR = {"principal": "os:alice", "level": "claimed", "identities": ["os:alice"]}


def rule(when: str, *, name: str = "r", severity: str = "deny", **more: object) -> str:
    """Return a ``[[rule]]`` table; texts are written as JSON writes them, which TOML reads."""
    keys = {"name": name, "when": when, "severity": severity, **more}
    return "[[rule]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())


def settings_of(folder: Path, *tables: str, **more: Any) -> PolicySettings:
    """Return a policy of these rules, without the rules that come with tfaudit."""
    path = folder / "rules.toml"
    path.write_text("\n".join(tables), "utf-8")
    return PolicySettings(**{"cel": path, "defaults": False, "timeout_seconds": 20, **more})


def judged(
    settings: PolicySettings | None,
    *changes: dict[str, Any],
    gate: tuple[GateRule, ...] = (),
    actor: dict[str, object] | None = None,
    environ: dict[str, str] | None = None,
    evidence: tuple[Path, ...] = (),
    **members: Any,
) -> tuple[Evaluation, ...]:
    """Return what the policy says of a plan with these changes."""
    document = plan_json(*changes, **members)
    return evaluate.evaluate(
        settings,
        gate,
        read_plan(document),
        document,
        actor=actor or ACTOR,
        environ=environ or {},
        evidence=evidence,
    )


def only(evaluations: tuple[Evaluation, ...]) -> Evaluation:
    """Return the one evaluation that there is."""
    assert len(evaluations) == 1
    return evaluations[0]


def hits(evaluation: Evaluation) -> list[tuple[str, str | None]]:
    """Return rule and address of each finding of an evaluation without an error."""
    assert evaluation.error is None
    return [(finding.rule, finding.address) for finding in evaluation.findings]


def found(evaluation: Evaluation) -> list[Finding]:
    """Return the findings of an evaluation without an error."""
    assert evaluation.error is None
    return list(evaluation.findings)


def program(folder: Path, name: str, source: str) -> Path:
    """Return a program called ``name`` that is this Python source."""
    path = folder / name
    path.write_text(f"#!{sys.executable} -I\n{source}", "utf-8")
    path.chmod(0o755)
    return path


def db(address: str = "aws_db_instance.a", *actions: str, **more: Any) -> dict[str, Any]:
    """Return a change of a database, its deletion unless it is said otherwise."""
    return change(address, actions or ("delete",), {"engine": "postgres"}, None, **more)
