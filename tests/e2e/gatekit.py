"""What the gate's end-to-end tests stand on: people with SSH keys, a gated project, and what the ledger says of it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import support

SMALL = """
variable "size" {
  default = "small"
}

resource "terraform_data" "web" {
  input = var.size
}
"""
"""One resource, which changes in place with the variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with an SSH key of their own."""

    principal: str
    key: Path

    @property
    def line(self) -> str:
        """Their line of an approvers file."""
        return f"{self.principal} {self.key.with_suffix('.pub').read_text().strip()}\n"


def person(folder: Path, name: str, *, kind: str = "ed25519") -> Person:
    """Return somebody new, with a fresh key in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / name
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(key)], check=True, stdin=subprocess.DEVNULL
    )
    return Person(principal=f"{name}@example.com", key=key)


def set_up(project: support.Project, *approvers: Person, gate: str = "approvals = 1") -> support.Project:
    """Give a project a ledger and a gate, and return it as a CI job sees it: run by none of them."""
    project.write(SMALL)
    project.tfaudit("setup", "--yes")
    write_gate(project, *approvers, gate=gate)
    project.run_engine("init", "-input=false")
    return replace(project, environment={**project.environment, "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "dora"})


def write_gate(project: support.Project, *approvers: Person, gate: str = "approvals = 1") -> None:
    """Write the ``[gate]`` table and the approvers file anew."""
    path = project.folder / "tfaudit.toml"
    kept = path.read_text().partition("\n# gate\n")[0]
    path.write_text(f'{kept}\n# gate\n[gate]\napprovers = "approvers"\n{gate}\n')
    (project.folder / "approvers").write_text("".join(each.line for each in approvers))


def approve(
    project: support.Project, who: Person, what: str, *more: str, code: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Approve ``what`` with somebody's key."""
    return project.tfaudit("approve", what, "--key", str(who.key), "--yes", *more, code=code)


def reject(project: support.Project, who: Person, what: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Reject ``what`` with somebody's key."""
    return project.tfaudit("reject", what, "--key", str(who.key), "--yes", *more)


def records(project: support.Project) -> list[dict[str, object]]:
    """Return what ``log --json`` says, oldest first."""
    listed = project.tfaudit("log", "--json").stdout.splitlines()
    return [json.loads(line) for line in reversed(listed)]


def last_run(project: support.Project) -> str:
    """Return the run id of the newest record."""
    return str(records(project)[-1]["run_id"])


def codes(done: subprocess.CompletedProcess[str]) -> set[str]:
    """Return the codes of the reasons for which a run was denied."""
    marker = "tfaudit: denied ("
    return {line.removeprefix(marker).partition(")")[0] for line in done.stderr.splitlines() if line.startswith(marker)}


def findings(project: support.Project) -> list[str]:
    """Return the codes of what ``verify`` finds, warnings included."""
    done = project.tfaudit("verify", "--json", code=None)
    return [str(finding["code"]) for finding in json.loads(done.stdout)["findings"]]


def deployed(project: support.Project) -> str | None:
    """Return what the web resource's input is by the state; None where there is no state."""
    path = project.folder / "terraform.tfstate"
    if not path.is_file():
        return None
    for resource in json.loads(path.read_text())["resources"]:
        if resource["name"] == "web":
            return str(resource["instances"][0]["attributes"]["input"]["value"])
    return None
