"""What does the gate cost between plan and apply: whole runs, 50 rules in CEL on 1,000 changes, Rego, approvals?

Warm is as a run has it: the rules were read, and the child that evaluates them started, while the engine planned. Cold
starts everything when the plan is there, as ``policy test`` does.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import gateapply
import gatelook
from harness import TFAUDIT, Row, environment, interleaved, run, spread
from plan_large import write_plan
from wrapping import CONFIGURATION

from tfaudit.config.gating import PolicySettings
from tfaudit.plan.parse import Plan, read_plan
from tfaudit.policy import evaluate
from tfaudit.policy.model import Evaluation

CHANGES, RULES, TIMES = 1_000, 50, 11
TARGET = 0.150
"""Seconds for identity, policy and gate together."""
ACTOR = {"principal": "github:583231", "level": "verified", "identities": ["email:a@example.com", "github:583231"]}

# One of each kind that people write; each is asked five times, of something else.
KINDS = (
    'change.action in ["delete", "replace"] && change.type == "aws_db_{n}"',
    'change.action == "delete" && change.module.startsWith("module.prod{n}")',
    'change.type == "aws_instance" && after("/instance_type", "") == "x{n}.metal"',
    'has(change.after.tags) && !("Team" in change.after.tags) && change.name != "{n}"',
    'after("/tags/Team", "none") == "team-{n}" && change.action != "no-op"',
    'change.type == "aws_security_group" && after("/ingress", []).exists(i, get(i, "from_port", 0) == 2{n})',
    "has(change.after.ebs_block_device) && change.after.ebs_block_device.exists(d, d.volume_size > 100{n})",
    'change.changed.exists(p, p == "/ami{n}")',
    'change.address.endsWith("[{n}{n}{n}{n}{n}]")',
    'plan.counts.delete > 100{n} && change.action == "delete"',
)
MODULE = """package main
import rego.v1
deny contains msg if {
  some one in input.resource_changes
  one.change.actions == ["delete"]
  one.change.before.instance_type == "m9.metal"
  msg := one.address
}
"""


def rows() -> Iterator[Row]:
    """Yield the rows on whole runs under a gate, on policy alone, and on the look-up of approvals."""
    engine = shutil.which("terraform") or shutil.which("tofu")
    if engine is not None:
        yield _whole(engine, count=3, times=15)
        yield _whole(engine, count=CHANGES, times=7)
    yield from _policy()
    yield from gateapply.rows("".join(_rules()))
    yield from gatelook.rows()


def _whole(engine: str, *, count: int, times: int) -> Row:
    """Compare `tfaudit plan` under a gate with one that is only recorded: identity, 50 rules, ledger and decision."""
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / "recorded", Path(name) / "gated"]
        env = environment(Path(name) / "home", TFAUDIT_ENGINE=engine, TF_VAR_turn="1")
        for folder in folders:
            folder.mkdir()
            (folder / "main.tf").write_text(CONFIGURATION.format(count=count))
            run([engine, "init"], cwd=folder, env=env)
            run([TFAUDIT, "setup", "--yes"], cwd=folder, env=env)
        (folders[1] / "rules.toml").write_text("".join(_rules()))
        (folders[1] / "approvers").write_text("")
        with (folders[1] / "tfaudit.toml").open("a") as file:
            file.write('\n[gate]\napprovals = 1\napprovers = "approvers"\n[policy]\ncel = "rules.toml"\n')

        def planned(folder: Path) -> float:
            return run([TFAUDIT, "plan"], cwd=folder, env=env).seconds

        recorded, gated = interleaved(times, lambda _: planned(folders[0]), lambda _: planned(folders[1]))
    more = statistics.median(gated) - statistics.median(recorded)
    return Row(
        what=f"`tfaudit plan` of {count:,} changes under a gate with {RULES} rules",
        measured=spread(gated),
        compared=f"recorded only: {spread(recorded)}",
        ratio=f"{more * 1000:+.0f} ms",
        target=f"+{1000 * TARGET:.0f} ms",
        met=more <= TARGET,
    )


def _policy() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_plan(place / "plan.json", CHANGES)
        document = (place / "plan.json").read_bytes()
        (place / "rules.toml").write_text("".join(_rules()))
        (place / "main.rego").write_text(MODULE)
        plan = read_plan(document)
        cel = PolicySettings(cel=place / "rules.toml")
        rego = PolicySettings(rego=place / "main.rego", engine="regorus", defaults=False)
        warm, cold, by_rego = interleaved(
            TIMES,
            lambda _: _warm(cel, plan),
            lambda _: _timed(cel, plan, b""),
            lambda _: _timed(rego, plan, document),
        )
    middle = statistics.median(warm)
    yield Row(
        what=f"{RULES} rules in CEL and tfaudit's own on {CHANGES:,} changes, from the plan's JSON to the findings",
        measured=spread(warm),
        compared=f"cold: {spread(cold)}",
        ratio="",
        target=f"{1000 * TARGET:.0f} ms with identity and gate",
        met=middle <= TARGET,
    )
    yield Row(
        what=f"a rule in Rego (regorus) on the same plan ({len(document) / 1e6:.1f} MB of JSON)",
        measured=spread(by_rego),
        compared="",
        ratio="",
        target="",
        met=None,
    )


def _rules() -> Iterator[str]:
    for number in range(RULES):
        when = KINDS[number % len(KINDS)].replace("{n}", str(number // len(KINDS)))
        yield f"[[rule]]\nname = 'r{number}'\nwhen = '''{when}'''\nseverity = 'deny'\n"


def _warm(settings: PolicySettings, plan: Plan) -> float:
    with evaluate.start(settings, (), environ={}) as pending:
        time.sleep(0.5)  # as long as the engine plans, at least
        began = time.perf_counter()
        found = pending.evaluate(plan, b"", actor=ACTOR)
        seconds = time.perf_counter() - began
    _check(found)
    return seconds


def _timed(settings: PolicySettings, plan: Plan, document: bytes) -> float:
    began = time.perf_counter()
    found = evaluate.evaluate(settings, (), plan, document, actor=ACTOR, environ={})
    seconds = time.perf_counter() - began
    _check(found)
    return seconds


def _check(found: tuple[Evaluation, ...]) -> None:
    for one in found:
        if one.error is not None or any(finding.severity == "deny" for finding in one.findings):
            raise RuntimeError(f"the policy should find nothing to deny: {one}")
