"""A plan goes from one job to another encrypted, and nothing of it is on disk in clear in between."""

from __future__ import annotations

from pathlib import Path

import gatekit
import pytest
import support

pytestmark = pytest.mark.engine
CANARY = "canary-5e1f3b7a"
MAIN = """
variable "secret" { default = "canary-5e1f3b7a" }
resource "terraform_data" "one" { input = var.secret }
"""


@pytest.fixture
def sealing(project: support.Project) -> support.Project:
    """A project with a ledger and a key for sealed plans, whose temporary files lie in a folder of its own."""
    project.write(MAIN)
    project.tfaudit("setup", "--yes")
    project.environment["TFAUDIT_SEAL_TO"] = project.tfaudit("keys", "seal", "--out", "seal.key").stdout.strip()
    project.environment["TMPDIR"] = str(project.folder / "tmp")
    (project.folder / "tmp").mkdir()
    return project


def in_clear(folder: Path) -> list[str]:
    """Return the files below ``folder`` that hold the secret, or a plan that does."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and (CANARY.encode() in path.read_bytes() or path.read_bytes()[:4] == b"PK\x03\x04")
    )


def test_planned_here_applied_there(sealing: support.Project) -> None:
    """--seal plan and --sealed apply make the change that was planned, with no clear file anywhere."""
    planned = sealing.tfaudit("--seal", "plan", "-out=next.tfplan", "-no-color")
    assert "will be created" in planned.stdout
    assert "Saved the plan" not in planned.stdout
    assert "/proc/" not in planned.stdout + planned.stderr
    assert "the plan is sealed in next.tfplan" in planned.stderr
    assert in_clear(sealing.folder) == ["main.tf"]
    assert (sealing.folder / "next.tfplan").stat().st_mode & 0o777 == 0o600
    sealing.environment["TFAUDIT_SEAL_KEY"] = "seal.key"
    applied = sealing.tfaudit("--sealed", "apply", "-no-color", "next.tfplan")
    assert "1 added" in applied.stdout
    assert sealing.tfaudit("verify").returncode == 0


def test_a_plan_of_json_lines_is_sealed(sealing: support.Project) -> None:
    """With -json the stream is the engine's own, and the file is sealed all the same."""
    planned = sealing.tfaudit("--seal", "plan", "-json", "-out=next.tfplan")
    assert planned.stdout.startswith("{")
    assert (sealing.folder / "next.tfplan").read_bytes().startswith(b"age-encryption.org/v1")


def test_the_exit_code_is_the_plans(sealing: support.Project) -> None:
    """-detailed-exitcode says 2 where there are changes, and 1 leaves no file behind."""
    assert sealing.tfaudit("--seal", "plan", "-detailed-exitcode", "-out=next.tfplan", code=2)
    sealing.write('resource "nonsense" {}')
    sealing.tfaudit("--seal", "plan", "-out=other.tfplan", code=1)
    assert not (sealing.folder / "other.tfplan").exists()


def test_who_has_no_key_applies_nothing(sealing: support.Project) -> None:
    """Without the key, with another one, and without --sealed the plan stays closed: one line each, nothing applied."""
    sealing.tfaudit("--seal", "plan", "-out=next.tfplan")
    sealing.tfaudit("keys", "seal", "--out", "other.key")
    for key, options, code, message in (
        (None, ["--sealed"], 78, "there is no key to open the plan with"),
        ("other.key", ["--sealed"], 78, "doesn't open"),
        ("seal.key", [], 65, "it is sealed: tfaudit --sealed apply"),
    ):
        sealing.environment.pop("TFAUDIT_SEAL_KEY", None)
        if key:
            sealing.environment["TFAUDIT_SEAL_KEY"] = key
        refused = sealing.tfaudit(*options, "apply", "next.tfplan", code=code)
        assert message in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert not (sealing.folder / "terraform.tfstate").exists()


def test_an_exchanged_plan_is_not_applied(sealing: support.Project) -> None:
    """A file changed on its way is refused."""
    sealing.tfaudit("--seal", "plan", "-out=next.tfplan")
    path = sealing.folder / "next.tfplan"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    sealing.environment["TFAUDIT_SEAL_KEY"] = "seal.key"
    assert "is damaged" in sealing.tfaudit("--sealed", "apply", "next.tfplan", code=65).stderr


def test_a_plan_that_can_not_be_sealed_is_not_made(sealing: support.Project) -> None:
    """With nobody to seal for, or without a ledger, the engine doesn't even start: no clear plan is left behind."""
    recipients = sealing.environment.pop("TFAUDIT_SEAL_TO")
    refused = sealing.tfaudit("--seal", "plan", "-out=next.tfplan", code=78)
    assert refused.stdout == ""
    sealing.environment["TFAUDIT_SEAL_TO"] = recipients
    (sealing.folder / "tfaudit.toml").rename(sealing.folder / "away.toml")
    refused = sealing.tfaudit("--seal", "plan", "-out=next.tfplan", code=78)
    assert refused.stdout == ""
    assert not (sealing.folder / "next.tfplan").exists()


def test_the_file_goes_where_the_engine_would_write_it(sealing: support.Project) -> None:
    """-out is meant from the folder of -chdir, as the engine means it."""
    sub = sealing.folder / "sub"
    sub.mkdir()
    (sealing.folder / "main.tf").rename(sub / "main.tf")
    sealing.tfaudit("--seal", "-chdir=sub", "plan", "-out=next.tfplan")
    assert (sub / "next.tfplan").exists()
    sealing.environment["TFAUDIT_SEAL_KEY"] = "seal.key"
    applied = sealing.tfaudit("--sealed", "-chdir=sub", "apply", "-no-color", "next.tfplan")
    assert "1 added" in applied.stdout


def test_a_sealed_plan_under_a_gate(project: support.Project, tmp_path: Path) -> None:
    """The run is approved by its id, without the key, and that very file is applied, with bind = "planfile" too."""
    alice = gatekit.person(tmp_path / "keys", "alice")
    gated = gatekit.set_up(project, alice, gate='approvals = 1\nbind = "planfile"')
    gated.environment["TFAUDIT_SEAL_TO"] = gated.tfaudit("keys", "seal", "--out", "seal.key").stdout.strip()
    gated.environment["TFAUDIT_SEAL_KEY"] = "seal.key"
    gated.tfaudit("--seal", "plan", "-out=next.tfplan")
    run = gatekit.last_run(gated)
    assert gatekit.codes(gated.tfaudit("--sealed", "apply", "next.tfplan", code=77)) == {"no-approval"}
    gatekit.approve(gated, alice, run)
    assert "approved by 1" in gated.tfaudit("--sealed", "apply", "next.tfplan").stderr
    assert gatekit.deployed(gated) == "small"
    assert gatekit.findings(gated) == []
