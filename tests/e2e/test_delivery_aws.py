"""Real runs delivered to AWS: CloudTrail Lake and CloudWatch Logs as strict fakes, another bucket in an emulator."""

from __future__ import annotations

import json
import time

import awsfake
import boto3
import pytest

SECRET = "secret-key-of-the-test"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "TESTKEY",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_REGION": awsfake.REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
CONFIGURATION = """
variable "value" {
  default = "one"
}
resource "terraform_data" "it" {
  count = 3
  input = "${var.value}-${count.index}"
}
"""


@pytest.fixture
def fake():
    """The strict small AWS, at this machine's time."""
    with awsfake.serving() as aws:
        aws.now = int(time.time() * 1000)
        yield aws


@pytest.fixture
def copies(aws_endpoint):
    """A bucket with versions, by a client of the emulator."""
    client = boto3.client(
        "s3", endpoint_url=aws_endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    client.create_bucket(Bucket="delivered-copies")
    client.put_bucket_versioning(Bucket="delivered-copies", VersioningConfiguration={"Status": "Enabled"})
    return client


@pytest.fixture
def delivering(project, fake, copies, aws_endpoint):
    """A project whose records go to three sinks on AWS."""
    project.environment.update(CREDENTIALS)
    project.write(CONFIGURATION)
    project.tfaudit("setup", "--yes")
    sinks = [
        ("lake", f"cloudtrail-lake:{awsfake.CHANNEL}", fake.address),
        ("logs", "cloudwatch-logs:/tfaudit/changes", fake.address),
        ("copy", "s3://delivered-copies/tfaudit", aws_endpoint),
    ]
    settings = project.folder / "tfaudit.toml"
    tables = (f'[[sink]]\nname = "{name}"\nurl = "{url}"\nendpoint_url = "{at}"\n' for name, url, at in sinks)
    settings.write_text("\n".join((settings.read_text(), *tables)))
    project.tfaudit("init", "-input=false")
    return project


def everywhere(fake, copies):
    """The ids of the documents that each sink holds."""
    found = copies.list_objects_v2(Bucket="delivered-copies")["Contents"]
    bodies = [copies.get_object(Bucket="delivered-copies", Key=one["Key"])["Body"].read() for one in found]
    return {
        "lake": [kept["UID"] for kept in fake.kept if "UID" in kept],
        "logs": [json.loads(kept["message"])["id"] for kept in fake.kept if "message" in kept],
        "copy": [json.loads(line)["id"] for body in bodies for line in body.splitlines()],
    }


@pytest.mark.engine
def test_records_reach_aws_and_a_sink_that_is_closed_keeps_them_waiting(delivering, fake, copies):
    """All three sinks get every document once; an account without CloudTrail Lake is told so, and loses nothing."""
    delivering.tfaudit("apply", "-auto-approve", "-input=false")
    delivering.tfaudit("deliver")
    first = everywhere(fake, copies)
    assert len(first["lake"]) == 2 * (1 + 3)
    assert set(map(tuple, map(sorted, first.values()))) == {tuple(sorted(first["lake"]))}
    assert len(set(first["lake"])) == len(first["lake"])

    fake.entries = {'"UID"': "AccountNotSubscribed"}
    delivering.tfaudit("apply", "-auto-approve", "-input=false", "-var=value=two")
    refused = delivering.tfaudit("deliver", code=78)
    told = refused.stdout + refused.stderr
    assert "AccountNotSubscribed" in told
    assert "2026-05-31" in told
    assert SECRET not in told
    assert {name: len(ids) - len(first[name]) for name, ids in everywhere(fake, copies).items()} == {
        "lake": 0,
        "logs": 8,
        "copy": 8,
    }

    fake.entries = {}
    delivering.tfaudit("deliver")
    delivering.tfaudit("deliver")
    second = everywhere(fake, copies)
    assert {name: len(set(ids)) for name, ids in second.items()} == dict.fromkeys(second, 16)
    assert {name: len(ids) for name, ids in second.items()} == dict.fromkeys(second, 16)
    receipts = list((delivering.folder / ".tfaudit").rglob("delivery/lake/receipts/*"))
    assert any('"receipt":"ct-' in receipt.read_text() for receipt in receipts)
