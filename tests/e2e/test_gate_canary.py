"""Secrets planted in all that a gate looks at: plan, policies, findings, tokens, reasons. None is stored or said."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import gatekit
import pytest
import support
from canaries import found, plant, unwrapped
from oidckit import claims, serve, sign

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("canary")]

_CONFIGURATION = """
variable "marked" {
  type      = string
  sensitive = true
}

variable "given" {
  type = string
}

variable "step" {
  type = number
}

resource "terraform_data" "marked" {
  input = { step = var.step, value = var.marked }
}

resource "terraform_data" "unmarked" {
  input = { step = var.step, password = "@named@", note = "token @token@ of ${var.step}", given = var.given }
}

resource "terraform_data" "slow" {
  triggers_replace = var.step
  provisioner "local-exec" {
    command = "cp -R \\"$TMPDIR\\" \\"$CANARY_SNAPSHOTS/apply-${var.step}\\""
  }
}

output "marked" {
  value     = "${var.marked} at ${var.step}"
  sensitive = true
}
"""
_CEL = """
[[rule]]
name = "seen"
when = 'has(change.after.input) && string(get(change.after.input, "value", "")) != "x"'
severity = "warn"
message = "{change.address} was looked at"
"""
_REGO = """package main

import rego.v1

warn contains msg if {
  some change in input.resource_changes
  msg := sprintf("%s becomes %v with %v", [change.address, change.change.after, input.variables])
}
"""
_SARIF = {
    "version": "2.1.0",
    "runs": [
        {
            "tool": {"driver": {"name": "scanner", "rules": [{"id": "hard-coded @marked@"}]}},
            "results": [
                {
                    "ruleId": "hard-coded @given@",
                    "message": {"text": "found @marked@, @given@ and @token@"},
                    "locations": [{"logicalLocations": [{"fullyQualifiedName": 'terraform_data.x["@given@"]'}]}],
                }
            ],
        }
    ],
}


@dataclass(kw_only=True)
class Aftermath:
    """All that is there after the runs, and the secrets that must not be in it."""

    project: support.Project
    canaries: dict[str, str]
    said: list[str]
    temporary: Path
    snapshots: Path


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory, engine: support.Engine) -> Aftermath:
    """Plan, deny, approve, apply and reject under policies that see everything, in a job with tokens."""
    if engine.release < (1, 4):
        pytest.skip("terraform_data came with Terraform 1.4")
    tmp = tmp_path_factory.mktemp("gate-canary")
    canaries = plant(("marked", "given", "named", "request_token", "job_token", "aws_environment"))
    canaries["token"] = "ghp_" + canaries["named"].rpartition("-")[2].ljust(36, "a")
    for name in ("project", "temporary", "snapshots"):
        (tmp / name).mkdir()
    with serve() as issuer:
        environment = support.environment_for(
            tmp / "home",
            engine,
            TMPDIR=str(tmp / "temporary"),
            TF_VAR_marked=canaries["marked"],
            TF_VAR_given=canaries["given"],
            CANARY_SNAPSHOTS=str(tmp / "snapshots"),
            AWS_SECRET_ACCESS_KEY=canaries["aws_environment"],
            GITHUB_TOKEN=canaries["job_token"],
        )
        project = support.Project(folder=tmp / "project", engine=engine, environment=environment)
        # Not bound to a run: whoever has it can use it again, so it is not kept.
        unbound = sign(claims(issuer, "our-own", now=datetime.now(UTC), sub="dora", jti=canaries["request_token"]))
        canaries["unbound"] = unbound.rpartition(".")[2]
        said = _live(project, canaries, issuer.url, unbound, tmp)
    return Aftermath(
        project=project, canaries=canaries, said=said, temporary=tmp / "temporary", snapshots=tmp / "snapshots"
    )


def _filled(text: str, canaries: dict[str, str]) -> str:
    for name, secret in canaries.items():
        text = text.replace(f"@{name}@", secret)
    return text


def _live(project: support.Project, canaries: dict[str, str], issuer: str, unbound: str, tmp: Path) -> list[str]:
    alice = gatekit.person(tmp / "keys", "alice")
    bob = gatekit.person(tmp / "keys", "bob")
    policy = '[policy]\ncel = "rules.toml"\nrego = "policy/"\nengine = "regorus"\nreveal = {}\n'
    identity = f'[identity]\nissuers = ["{issuer}"]\naudience = "our-own"\n'
    project = gatekit.set_up(project, alice, bob, gate=f"approvals = 1\n{policy.format('true')}{identity}")
    project.write(_filled(_CONFIGURATION, canaries))
    project.write(_CEL, "rules.toml")
    project.write(_REGO, "policy/main.rego")
    project.write(_filled(json.dumps(_SARIF), canaries), "scan.sarif")
    why = ("--reason", f"since {canaries['marked']} and {canaries['token']}", "--ticket", f"OPS {canaries['given']}")
    bare = replace(project, environment={k: v for k, v in project.environment.items() if k != "GITHUB_ACTOR"})
    job = replace(bare, environment={**project.environment, "TFAUDIT_ID_TOKEN": unbound})
    step = "-var=step={}".format
    runs = [
        job.tfaudit(*why, "--evidence", "scan.sarif", "plan", "-input=false", "-out=p", step(1)),
        job.tfaudit("apply", "-auto-approve", "-input=false", step(1), code=77),
    ]
    told = [
        gatekit.approve(job, alice, "p", "--reason", f"fine, and here is {canaries['token']}"),
        gatekit.approve(job, bob, "p", "--out", "approval.json"),
        job.tfaudit("gate", "p", "--json", code=None),
        job.tfaudit("gate", "p", "--format", "markdown", code=None),
        job.tfaudit("gate", "p", code=None),
        job.tfaudit("whoami"),
        job.tfaudit("whoami", "--json"),
    ]
    runs.append(job.tfaudit(*why, "--approval", "approval.json", "--evidence", "scan.sarif", "apply", "p"))
    gatekit.write_gate(job, alice, bob, gate=f"approvals = 1\n{policy.format('false')}{identity}")
    runs.append(job.tfaudit("plan", "-input=false", "-out=q", step(2)))
    told.append(gatekit.reject(job, bob, "q"))
    runs += [
        job.tfaudit("apply", "q", code=77),
        job.tfaudit("-v", "plan", "-destroy", "-input=false", "-out=r", step(2)),
    ]
    told.append(gatekit.approve(job, alice, "r"))
    runs.append(job.tfaudit("apply", "r"))
    said = [line for run in runs for line in run.stderr.splitlines() if line.startswith("tfaudit: ")]
    readers = (["log"], ["log", "--json"], ["verify"], ["verify", "--json"], ["config", "show"], ["doctor"])
    told += [job.tfaudit(*command, code=None) for command in readers]
    for run_id in {json.loads(line)["run_id"] for line in job.tfaudit("log", "--json").stdout.splitlines()} - {None}:
        told += [job.tfaudit("inspect", run_id), job.tfaudit("inspect", run_id, "--json")]
    (job.folder / "approval.json").rename(job.folder / ".tfaudit/approval.json")
    return [*said, *(text for each in told for text in (each.stdout, each.stderr))]


def test_the_gate_has_seen_it_all(aftermath: Aftermath) -> None:
    """Policies, scanner, token and people were there, and the ledger verifies: else finding nothing says nothing."""
    records = gatekit.records(aftermath.project)
    kinds = [record["kind"] for record in records]
    assert [kinds.count(kind) for kind in ("approval", "rejection", "intent")] == [3, 1, 2]
    text = " ".join(aftermath.said)
    for part in ("was looked at", "terraform_data.unmarked becomes", "hard-coded", "found [redacted]"):
        assert part in text, part
    assert "attested-by-runner" in text
    report = json.loads(aftermath.project.tfaudit("verify", "--json", code=None).stdout)
    assert report["ok"] is True, report["findings"]


def test_no_secret_is_stored(aftermath: Aftermath) -> None:
    """No byte of ledger, disclosures, spool, index or approval file holds one."""
    stored = [path for path in (aftermath.project.folder / ".tfaudit").rglob("*") if path.is_file()]
    assert len(stored) > 20
    leaks = [f"{name} in {path}" for path in stored for name in found(aftermath.canaries, unwrapped(path.read_bytes()))]
    assert leaks == []


def test_no_secret_is_said(aftermath: Aftermath) -> None:
    """No line of tfaudit's own, no text that an approver is shown and no reader's output holds one."""
    leaks = [(name, text[:200]) for text in aftermath.said for name in found(aftermath.canaries, text.encode())]
    assert leaks == []


def test_no_secret_lies_in_a_temporary_file(aftermath: Aftermath) -> None:
    """Not while an apply runs, and not after it."""
    taken = [path for path in aftermath.snapshots.rglob("*") if path.is_file()]
    assert len(list(aftermath.snapshots.iterdir())) == 1
    assert [f"{name} in {path}" for path in taken for name in found(aftermath.canaries, path.read_bytes())] == []
    assert list(aftermath.temporary.rglob("*tfaudit*")) == []
    shutil.rmtree(aftermath.snapshots)
