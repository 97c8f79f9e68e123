"""The real AWS provider against an emulator on loopback: what happened there is what the ledger says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import awsproject
import boto3
import pytest
import support

from tfaudit import schema

pytestmark = [pytest.mark.engine, pytest.mark.aws, pytest.mark.slow, pytest.mark.xdist_group("aws")]

NAME = "story"
ATTACHMENT = "aws_iam_user_policy_attachment.missing"


@dataclass(kw_only=True)
class Story:
    """One project's life: for each step the process that ran and the run's records and events."""

    project: support.Project
    endpoint: str
    steps: dict[str, tuple[object, dict]] = field(default_factory=dict)

    def step(self, name: str, configuration: str, *command: str, code: int = 0) -> None:
        """Write the configuration, run tfaudit on it, and keep what the ledger says of it."""
        self.project.write(awsproject.provider(self.endpoint) + configuration)
        process = self.project.tfaudit(*command, code=code)
        newest = json.loads(self.project.tfaudit("log", "--json").stdout.splitlines()[0])
        told = self.project.tfaudit("inspect", newest["run_id"], "--json")
        self.steps[name] = (process, json.loads(told.stdout))

    def changes(self, step: str) -> list[dict]:
        """Return one step's resource changes, without drift and outputs."""
        return [event for event in self.steps[step][1]["events"] if event["kind"] == "resource-change"]

    def events(self, step: str) -> dict[str, tuple[str, str]]:
        """Return action and outcome by address of one step's resource changes."""
        return {event["address"]: (event["action"], event["outcome"]["status"]) for event in self.changes(step)}


@pytest.fixture(scope="module")
def story(tmp_path_factory, engine, provider_config, aws_endpoint):
    """Create, update, replace, fail, destroy: each through tfaudit."""
    tmp = tmp_path_factory.mktemp("story")
    environment = support.environment_for(tmp / "home", engine, TF_CLI_CONFIG_FILE=str(provider_config))
    (tmp / "project").mkdir()
    story = Story(
        project=support.Project(folder=tmp / "project", engine=engine, environment=environment), endpoint=aws_endpoint
    )
    whole = awsproject.resources(NAME)
    story.project.write(awsproject.provider(aws_endpoint) + whole)
    story.project.tfaudit("setup", "--yes")
    story.project.tfaudit("init", "-no-color")
    story.step("create", whole, "apply", "-no-color", "-auto-approve")
    story.step("update", awsproject.resources(NAME, queue_delay=5), "apply", "-no-color", "-auto-approve")
    moved = awsproject.resources(NAME, queue="other")
    story.step("replace", moved, "apply", "-no-color", "-auto-approve")
    story.step("fail", moved + awsproject.FAILING, "apply", "-no-color", "-auto-approve", code=1)
    story.step("nothing", moved, "apply", "-no-color", "-auto-approve")
    story.buckets = [bucket["Name"] for bucket in _client(story, "s3").list_buckets()["Buckets"]]
    story.step("destroy", moved, "destroy", "-no-color", "-auto-approve")
    return story


def test_creating_is_recorded_for_each_resource(story):
    """Every created resource is one event, applied, and the bucket is really there."""
    assert story.events("create") == {
        "aws_iam_access_key.deployer": ("create", "applied"),
        "aws_iam_user.deployer": ("create", "applied"),
        "aws_s3_bucket.logs": ("create", "applied"),
        "aws_sqs_queue.jobs": ("create", "applied"),
    }
    assert f"{NAME}-logs" in story.buckets


def test_an_update_names_the_attribute(story):
    """An update in place lists the attribute that changed, with its values from the disclosure."""
    assert story.events("update") == {"aws_sqs_queue.jobs": ("update", "applied")}
    (event,) = story.changes("update")
    changed = {
        attribute["path"]: (attribute.get("before"), attribute.get("after")) for attribute in event["attributes"]
    }
    assert changed == {"/delay_seconds": (0, 5)}


def test_a_replacement_names_what_forces_it(story):
    """A new name replaces the queue: one event, and the name is marked as the reason."""
    assert story.events("replace") == {"aws_sqs_queue.jobs": ("replace", "applied")}
    (event,) = story.changes("replace")
    assert [each["path"] for each in event["attributes"] if each.get("forces_replacement")] == ["/name"]


def test_a_refused_resource_is_recorded_as_errored(story):
    """What AWS refuses is an event with its error, the exit code is the engine's 1, and stderr is the engine's."""
    process, _ = story.steps["fail"]
    assert story.events("fail") == {ATTACHMENT: ("create", "errored")}
    (event,) = story.changes("fail")
    assert "NoSuchEntity" in event["outcome"]["error"]
    assert "Error: Error attaching policy" in process.stderr


def test_nothing_to_do_is_recorded_as_nothing(story):
    """A run that finds nothing to do succeeds and lists no change."""
    process, _ = story.steps["nothing"]
    assert story.events("nothing") == {}
    assert "No changes." in process.stdout


def test_destroying_is_recorded_for_each_resource(story):
    """Every destroyed resource is one event, and AWS has none of them left."""
    assert story.events("destroy") == {
        "aws_iam_access_key.deployer": ("delete", "applied"),
        "aws_iam_user.deployer": ("delete", "applied"),
        "aws_s3_bucket.logs": ("delete", "applied"),
        "aws_sqs_queue.jobs": ("delete", "applied"),
    }
    left = {bucket["Name"] for bucket in _client(story, "s3").list_buckets()["Buckets"]}
    assert not {name for name in left if name.startswith(NAME)}


def test_the_access_key_is_in_no_stored_byte(story):
    """The secret that IAM returned is in the state, but neither in the ledger nor in the disclosures."""
    states = [path.read_text() for path in story.project.folder.glob("terraform.tfstate*")]
    secrets = {
        value
        for state in states
        for resource in json.loads(state)["resources"]
        for instance in resource["instances"]
        for name, value in instance["attributes"].items()
        if resource["type"] == "aws_iam_access_key" and name in ("secret", "ses_smtp_password_v4") and value
    }
    assert secrets
    stored = [path for path in (story.project.folder / ".tfaudit").rglob("*") if path.is_file()]
    assert stored
    for path in stored:
        content = path.read_bytes()
        assert not any(secret.encode() in content for secret in secrets), path


def test_history_tells_the_life_of_a_resource(story):
    """The queue's history is its four changes, whichever run made them."""
    lines = story.project.tfaudit("history", "aws_sqs_queue.jobs", "--json").stdout.splitlines()
    events = sorted(map(json.loads, lines), key=lambda event: event["time"])
    for event in events:
        schema.validate("change-event.v1", event)
    changes = [event["action"] for event in events if event["kind"] == "resource-change"]
    assert changes == ["create", "update", "replace", "delete"]


def test_the_whole_ledger_verifies(story):
    """After all of it verify finds nothing, and what it and inspect print has its public format."""
    report = json.loads(story.project.tfaudit("verify", "--json").stdout)
    schema.validate("verify-report.v1", report)
    assert (report["ok"], report["findings"]) == (True, [])
    for _, told in story.steps.values():
        schema.validate("inspect.v1", told)


def _client(story, service):
    return boto3.client(
        service,
        endpoint_url=story.endpoint,
        region_name="eu-west-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret-of-the-example",
    )
