"""Approving in another place than where one plans: an approver with an own key only, a ledger in S3, a key in KMS."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import gatekit
import pytest
import support

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("aws")]
REGION = "eu-west-1"


@pytest.fixture
def people(tmp_path: Path) -> dict[str, gatekit.Person]:
    """Approvers with keys of several kinds."""
    kinds = {"alice": "ed25519", "bob": "ecdsa", "carol": "rsa"}
    return {name: gatekit.person(tmp_path / "keys", name, kind=kind) for name, kind in kinds.items()}


@pytest.fixture
def job(
    project: support.Project, aws_endpoint: str, people: dict[str, gatekit.Person], request: pytest.FixtureRequest
) -> support.Project:
    """A CI job whose ledger is in S3, and whose gate is pinned."""
    name = f"a{abs(hash(request.node.name)) % 10**12}"
    project.environment.update(
        AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_REGION=REGION, AWS_ENDPOINT_URL=aws_endpoint
    )
    project.write(gatekit.SMALL)
    stores = ("--ledger", f"s3://{name}-evidence/acme", "--working", f"s3://{name}-working/acme")
    project.tfaudit("setup", "--yes", *stores, "--create-bucket", "--retention", "400")
    gatekit.write_gate(project, *people.values())
    project.tfaudit("config", "push", "--yes")
    project.run_engine("init", "-input=false")
    return replace(project, environment={**project.environment, "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "dora"})


@pytest.fixture
def desk(job: support.Project, tmp_path: Path) -> support.Project:
    """An approver's own machine: it has the repository's configuration, and no key of the ledger."""
    folder = tmp_path / "desk"
    folder.mkdir()
    for name in ("tfaudit.toml", "approvers"):
        shutil.copy(job.folder / name, folder)
    return replace(job, folder=folder, environment={**job.environment, "HOME": str(folder)})


def test_an_approver_elsewhere_needs_only_their_own_key(
    job: support.Project, desk: support.Project, people: dict[str, gatekit.Person]
) -> None:
    """They stage under their own prefix, signed by themselves; the job's apply sees it and commits it."""
    job.tfaudit("plan", "-out=change.plan")
    run_id = gatekit.last_run(job)
    for who in ("alice", "bob"):
        done = json.loads(gatekit.approve(desk, people[who], run_id, "--json").stdout)
        assert (done["approver"], done["carried"], done["position"]) == (f"{who}@example.com", False, None)
    shown = gatekit.approve(desk, people["bob"], run_id, "--out", "again.json").stderr
    assert "terraform_data.web" in shown
    job.tfaudit("apply", "change.plan")
    assert gatekit.deployed(job) == "small"
    votes = [record for record in gatekit.records(job) if record["kind"] == "approval"]
    assert all(str(record["key"]).startswith("records/people/") for record in votes)
    assert len(votes) == 2
    assert gatekit.findings(job) == []


def test_a_key_that_signs_no_records_goes_by_file(
    job: support.Project, desk: support.Project, people: dict[str, gatekit.Person]
) -> None:
    """An RSA key has no other way from there: the error says so, the file works, and the job carries it."""
    job.tfaudit("plan", "-out=change.plan")
    run_id = gatekit.last_run(job)
    refused = gatekit.approve(desk, people["carol"], run_id, code=78)
    assert "--out FILE" in refused.stderr
    gatekit.approve(desk, people["carol"], run_id, "--out", "approval.json")
    brought = desk.folder / "approval.json"
    job.tfaudit("--approval", str(brought), "apply", "change.plan")
    assert gatekit.deployed(job) == "small"
    assert gatekit.findings(job) == []


@pytest.fixture
def kms(aws_endpoint: str) -> str:
    """A P-256 key in KMS."""
    import botocore.session

    client: Any = botocore.session.Session().create_client(
        "kms",
        region_name=REGION,
        endpoint_url=aws_endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    made = client.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")
    return str(made["KeyMetadata"]["Arn"])


def test_a_key_in_kms_approves(job: support.Project, kms: str) -> None:
    """The error names the line for the approvers file; once it is there, the key approves."""
    job.tfaudit("plan", "-out=change.plan")
    name = f"awskms:{kms}"
    refused = job.tfaudit("approve", "change.plan", "--key", name, "--yes", code=78).stderr
    line = refused.partition("after your name: ")[2].partition(";")[0]
    approvers = job.folder / "approvers"
    approvers.write_text(f"{approvers.read_text()}deputy {line}\n")
    job.tfaudit("config", "push", "--yes")
    done = json.loads(job.tfaudit("approve", "change.plan", "--key", name, "--yes", "--json").stdout)
    assert (done["approver"], done["carried"]) == ("deputy", False)
    job.tfaudit("apply", "change.plan")
    assert gatekit.deployed(job) == "small"
    assert gatekit.findings(job) == []
