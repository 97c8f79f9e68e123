"""Alerts of real runs: what arrives, when it arrives, and that nothing waits for it or depends on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import alertkit
import awsproject
import boto3
import gatekit
import pytest
import support
from test_gate_break_glass import GATE

from tfaudit import schema

pytestmark = pytest.mark.engine

SECRET = "wh-T0KEN-5f1c"
VALUE = "the-value-of-an-attribute"
TWO = f"""
resource "terraform_data" "one" {{
  input = "{VALUE}"
}}

resource "terraform_data" "user" {{
  for_each = toset(["bob@example.com"])
  input    = each.key
}}
"""
SLOW = """
resource "terraform_data" "slow" {
  input = "x"
  provisioner "local-exec" {
    command = "while [ ! -e go ]; do sleep 0.05; done"
  }
}
"""


@pytest.fixture
def receiver() -> Iterator[alertkit.Receiver]:
    """A chat's webhook."""
    with alertkit.receiver() as found:
        yield found


def _alerted(project: support.Project, url: str, *, own: str = "") -> support.Project:
    """Have a project tell the receiver of everything."""
    (project.folder / "hook").write_text(url)
    (project.folder / "hook").chmod(0o600)
    with (project.folder / "tfaudit.toml").open("a") as file:
        file.write(f'\n[[alert]]\nname = "ops"\nto = ["file:hook"]\n{own}')
    return project


@pytest.fixture
def ready(project: support.Project, receiver: alertkit.Receiver) -> support.Project:
    """A project with a ledger, two resources to create and an alert."""
    project.write(TWO)
    project.run_engine("init")
    project.tfaudit("setup", "--yes")
    return _alerted(project, receiver.url(path=f"/{SECRET}"))


def _titles(receiver: alertkit.Receiver) -> list[str]:
    return [body["title"].removeprefix("tfaudit: ").partition(" on ")[0] for body in receiver.bodies]


def test_a_destroy_is_told_with_addresses_and_without_values(
    ready: support.Project, receiver: alertkit.Receiver
) -> None:
    """Who, what and where, and the command that shows more; nothing that stands in an attribute or is personal."""
    done = ready.tfaudit("apply", "-auto-approve")
    assert receiver.bodies == []
    done = ready.tfaudit("destroy", "-auto-approve")
    [body] = receiver.bodies
    schema.validate("alert.v1", body)
    assert body["title"] == "tfaudit: destroy on example.test/team/project"
    assert "Destroys 2 resources\n- terraform_data.one\n- terraform_data.user[" in body["text"]
    run = gatekit.last_run(ready)
    assert body["about"]["run_id"] == run
    assert f"tfaudit inspect {run}" in body["text"]
    assert VALUE not in str(body)
    assert "bob@" not in str(body)
    assert SECRET not in done.stdout + done.stderr
    assert ready.tfaudit("inspect", run).returncode == 0


def test_a_denial_is_told_once_an_hour(
    project: support.Project, receiver: alertkit.Receiver, alice: gatekit.Person
) -> None:
    """A job that is tried again is denied again; whoever is on call hears it once."""
    gated = _alerted(gatekit.set_up(project, alice), receiver.url())
    gated.tfaudit("plan", "-out=the.plan")
    for _ in range(2):
        gated.tfaudit("apply", "the.plan", code=77)
    [body] = receiver.bodies
    assert body["events"] == ["denied"]
    assert "denied by the gate (no-approval" in body["text"]
    assert "who: github:dora" in body["text"]


def test_a_broken_glass_is_told_while_the_apply_still_runs(
    project: support.Project, receiver: alertkit.Receiver, alice: gatekit.Person, carol: gatekit.Person
) -> None:
    """It arrives before the engine is allowed to end."""
    ready = gatekit.set_up(project, alice, carol, gate=GATE.format(within="48h"))
    ready.write(SLOW)
    ready.tfaudit("config", "push", "--yes")
    _alerted(ready, receiver.url())
    ready.tfaudit("plan", "-out=fix.plan")
    gatekit.approve(ready, carol, "fix.plan", "--break-glass", "--reason", "outage")
    process = subprocess.Popen(
        [str(support.TFAUDIT), "--break-glass", "apply", "fix.plan"],
        cwd=ready.folder,
        env=ready.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        bodies = receiver.wait(1)
        assert process.poll() is None
    finally:
        (ready.folder / "go").touch()
        said, _ = process.communicate(timeout=support.TIMEOUT)
    assert process.returncode == 0, said
    assert "nobody is told" not in said
    assert bodies[0]["events"] == ["break-glass"]
    assert bodies[0]["urgency"] == "failure"
    assert "to be reviewed by 20" in bodies[0]["text"]
    assert _titles(receiver).count("break-glass") == 1


def test_a_killed_run_s_alert_still_arrives(ready: support.Project, receiver: alertkit.Receiver) -> None:
    """What is on its way is in a process of its own."""
    receiver.delay = 1.0
    ready.tfaudit("apply", "-auto-approve")
    ready.write(SLOW)
    process = subprocess.Popen(
        [str(support.TFAUDIT), "apply", "-auto-approve"],
        cwd=ready.folder,
        env=ready.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for_children(process.pid, "sendchild")
        time.sleep(0.1)  # the message is handed over at once
        process.kill()
    finally:
        process.wait()
        (ready.folder / "go").touch()
    [body] = receiver.wait(1)
    assert body["events"] == ["destroy"]


def _wait_for_children(pid: int, what: str) -> None:
    """Wait until the process has a child whose command line names ``what``."""
    if not Path("/proc").is_dir():
        pytest.skip("there is no /proc to see a process's children in")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(status.read_text().rpartition(")")[2].split()[1])
                if parent == pid and what.encode() in status.with_name("cmdline").read_bytes():
                    return
            except (OSError, ValueError, IndexError):
                continue
        time.sleep(0.02)
    raise AssertionError(f"no child of the run is called {what}")


def test_a_target_that_hangs_or_is_away_changes_nothing(ready: support.Project, receiver: alertkit.Receiver) -> None:
    """The exit code is the engine's, one line names where the URL is, and the next deliver sends it."""
    ready.tfaudit("apply", "-auto-approve")
    receiver.status = 503
    done = ready.tfaudit("destroy", "-auto-approve")
    [line] = [line for line in done.stderr.splitlines() if "alert" in line]
    assert line.startswith('tfaudit: alert "ops" (destroy) was not sent: file:')
    assert "status 503; the next tfaudit deliver tries again" in line
    assert SECRET not in done.stderr
    receiver.status = 200
    ready.tfaudit("deliver")
    assert "sent late" in receiver.bodies[-1]["text"]
    ready.tfaudit("deliver")
    assert len(receiver.bodies) == 2


def test_a_run_that_is_interrupted_waits_less_for_a_silent_target(
    ready: support.Project, receiver: alertkit.Receiver
) -> None:
    """Whoever interrupts a job kills it soon after: before the target's time is over it ends as the engine does."""
    ready.tfaudit("apply", "-auto-approve")
    receiver.delay = 60.0
    ready.write(SLOW.replace("while", "touch started; while", 1))
    process = subprocess.Popen(
        [str(support.TFAUDIT), "apply", "-auto-approve"],
        cwd=ready.folder,
        env=ready.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_for_children(process.pid, "sendchild")
    while process.poll() is None and not (ready.folder / "started").exists():
        time.sleep(0.02)
    process.terminate()
    _, said = process.communicate(timeout=support.TIMEOUT)
    assert process.returncode == 1, said
    assert " interrupted: " in said
    assert "not every alert could be sent in time" in said
    assert "gave no answer in time" not in said


def test_an_alert_without_its_secret_is_a_line_and_no_more(ready: support.Project, receiver: alertkit.Receiver) -> None:
    """And doctor says so before."""
    (ready.folder / "hook").unlink()
    ready.tfaudit("apply", "-auto-approve")
    done = ready.tfaudit("destroy", "-auto-approve")
    [line] = [line for line in done.stderr.splitlines() if "was not sent: file:" in line]
    assert line.count("hook") == 1
    assert "hook can't be read: No such file or directory; the next tfaudit deliver tries again" in line
    assert "alert ops" in ready.tfaudit("doctor", code=None).stdout


def test_what_is_only_spooled_is_told_as_a_logging_failure(
    project: support.Project, receiver: alertkit.Receiver
) -> None:
    """The ledger goes away in the middle of the apply: the outcome waits on this machine, and somebody hears of it."""
    breaks = "mv .tfaudit/ledger .tfaudit/away && touch .tfaudit/ledger"
    project.write(
        f'resource "terraform_data" "one" {{\n  provisioner "local-exec" {{\n    command = "{breaks}"\n  }}\n}}\n'
    )
    project.run_engine("init")
    project.tfaudit("setup", "--yes")
    _alerted(project, receiver.url())
    project.tfaudit("apply", "-auto-approve", code=74)
    assert any("in the spool" in body["text"] for body in receiver.bodies)
    assert "logging-failure" in _titles(receiver)


def test_a_run_that_the_ledger_stops_is_told(ready: support.Project, receiver: alertkit.Receiver) -> None:
    """Nothing was applied, and nobody could have recorded it."""
    shutil.rmtree(ready.folder / ".tfaudit" / "ledger")
    ready.tfaudit("apply", "-auto-approve", code=74)
    assert _titles(receiver) == ["logging-failure"]


def test_a_failing_sink_is_told_by_the_stack_it_was_met_in(ready: support.Project, receiver: alertkit.Receiver) -> None:
    """Under the name that the stack's records have, in the folder of -chdir too; not by the template of that name."""
    settings = ready.folder / "tfaudit.toml"
    assert "{path}:{workspace}" in settings.read_text()
    del ready.environment["TFAUDIT_STACK"]
    with settings.open("a") as file:
        file.write('\n[[sink]]\nname = "hook"\nurl = "webhook:https://127.0.0.1:1/"\nsecret = "env:NOT_THERE"\n')
    (ready.folder / "eu").mkdir()
    shutil.move(ready.folder / "main.tf", ready.folder / "eu")
    ready.run_engine("-chdir=eu", "init")
    ready.tfaudit("-chdir=eu", "apply", "-auto-approve")
    name = json.loads(ready.tfaudit("log", "--json").stdout.splitlines()[0])["stack"]
    assert name.endswith("/eu:default")
    [body] = receiver.bodies
    assert body["about"]["stack"] == name
    for known in (ready.folder / ".tfaudit" / "working" / "alerts" / "sent").iterdir():
        known.unlink()
    ready.tfaudit("deliver", code=78)
    assert receiver.bodies[-1]["title"] == f"tfaudit: logging-failure on {name.replace('/eu:', ':')}"


def test_a_change_past_tfaudit_is_told_by_whoever_meets_it(ready: support.Project, receiver: alertkit.Receiver) -> None:
    """The next plan does, and tells it once; verify and recover find it as well."""
    ready.tfaudit("apply", "-auto-approve")
    ready.write(TWO.replace(VALUE, "another"))
    ready.run_engine("apply", "-auto-approve")
    ready.tfaudit("recover")
    assert _titles(receiver) == ["unrecorded-change"]
    ready.tfaudit("plan")
    ready.tfaudit("plan")
    assert _titles(receiver) == ["unrecorded-change"] * 2
    ready.tfaudit("verify", code=76)
    # The plan that met it has told of it.
    assert _titles(receiver) == ["unrecorded-change"] * 2


def test_a_ledger_that_does_not_verify_is_told(ready: support.Project, receiver: alertkit.Receiver) -> None:
    """By codes and places, once a day."""
    ready.tfaudit("apply", "-auto-approve")
    ready.tfaudit("verify")
    assert receiver.bodies == []
    record = next((ready.folder / ".tfaudit" / "ledger" / "records").rglob("*.jsonl"))
    record.chmod(0o600)
    record.write_bytes(record.read_bytes().replace(b"terraform_data.one", b"terraform_data.two"))
    for _ in range(2):
        ready.tfaudit("verify", code=76)
    [body] = receiver.bodies
    assert body["events"] == ["verification-failure"]
    assert "altered" in body["text"]


def test_an_expression_of_one_s_own(project: support.Project, receiver: alertkit.Receiver) -> None:
    """It may ask for values; they stay where they are."""
    project.write(TWO)
    project.run_engine("init")
    project.tfaudit("setup", "--yes")
    asked = f"when = 'event.attributes.exists(one, has(one.after) && one.after == \"{VALUE}\")'\n"
    _alerted(project, receiver.url(), own=asked)
    project.tfaudit("plan")
    [body] = receiver.bodies
    assert '"ops" holds of 1 event of this plan\n- terraform_data.one\n' in body["text"]
    assert VALUE not in str(body)


def test_somebody_new_outside_the_usual_hours(project: support.Project, receiver: alertkit.Receiver) -> None:
    """One message for both."""
    project.write(TWO)
    project.run_engine("init")
    project.tfaudit("setup", "--yes")
    project.tfaudit("apply", "-auto-approve")
    hour = (time.localtime().tm_hour + 12) % 24
    own = f'on = ["outside-hours", "first-time-actor"]\nhours = "{hour:02}:00-{hour:02}:30"\n'
    _alerted(project, receiver.url(), own=own)
    project.write(TWO.replace(VALUE, "another"))
    other = {**project.environment, "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "dora"}
    done = subprocess.run(
        [str(support.TFAUDIT), "apply", "-auto-approve"],
        cwd=project.folder, env=other, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [body] = receiver.bodies
    assert body["events"] == ["outside-hours", "first-time-actor"]
    assert "First change of this stack by github:dora" in body["text"]


@pytest.mark.aws
@pytest.mark.slow
@pytest.mark.xdist_group("aws")
def test_a_widened_security_group_and_policy_are_told(
    tmp_path: Path, engine: support.Engine, provider_config: Path, aws_endpoint: str, receiver: alertkit.Receiver
) -> None:
    """As the real AWS provider writes them; and undoing it tells nothing."""
    environment = support.environment_for(tmp_path / "home", engine, TF_CLI_CONFIG_FILE=str(provider_config))
    (tmp_path / "project").mkdir()
    project = support.Project(folder=tmp_path / "project", engine=engine, environment=environment)

    def write(cidr: str, action: str) -> None:
        policy = f'{{ Effect = "Allow", Action = "{action}", Resource = "arn:aws:s3:::b/*" }}'
        project.write(
            awsproject.provider(aws_endpoint)
            + f"""
resource "aws_security_group" "web" {{
  name = "alerted"
  ingress {{
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = ["{cidr}"]
  }}
}}

resource "aws_iam_policy" "reader" {{
  name   = "alerted"
  policy = jsonencode({{ Version = "2012-10-17", Statement = [{policy}] }})
}}
"""
        )

    write("10.0.0.0/8", "s3:GetObject")
    project.tfaudit("setup", "--yes")
    project.tfaudit("init", "-no-color")
    _alerted(project, receiver.url())
    project.tfaudit("apply", "-auto-approve")
    assert receiver.bodies == []
    write("0.0.0.0/0", "s3:*")
    project.tfaudit("apply", "-auto-approve")
    [body] = receiver.bodies
    assert body["events"] == ["widening"]
    assert "- aws_iam_policy.reader: a policy allows wildcard actions\n" in body["text"]
    assert "- aws_security_group.web: ingress from anywhere\n" in body["text"]
    assert "0.0.0.0" not in str(body)
    write("10.0.0.0/8", "s3:GetObject")
    project.tfaudit("apply", "-auto-approve")
    assert len(receiver.bodies) == 1


@pytest.mark.xdist_group("aws")
def test_with_a_ledger_in_buckets_it_is_all_the_same(
    project: support.Project, aws_endpoint: str, receiver: alertkit.Receiver
) -> None:
    """Who is new is looked up there, and what was told is remembered there."""
    project.environment.update(
        AWS_ENDPOINT_URL=aws_endpoint,
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
        AWS_DEFAULT_REGION="us-east-1",
    )
    project.write(TWO)
    project.run_engine("init")
    project.tfaudit(
        "setup",
        "--yes",
        "--ledger",
        "s3://alerted-evidence/a",
        "--working",
        "s3://alerted-working/a",
        "--create-bucket",
    )
    _alerted(project, receiver.url())
    project.tfaudit("apply", "-auto-approve")
    assert receiver.bodies == []
    project.environment.update(GITHUB_ACTIONS="true", GITHUB_ACTOR="dora")
    project.write(TWO.replace(VALUE, "another"))
    project.tfaudit("apply", "-auto-approve")
    project.tfaudit("destroy", "-auto-approve")
    assert _titles(receiver) == ["first-time-actor", "destroy"]
    told = boto3.client(
        "s3", endpoint_url=aws_endpoint, aws_access_key_id="testing", aws_secret_access_key="testing",
        region_name="us-east-1",
    ).list_objects_v2(Bucket="alerted-working", Prefix="a/alerts/")  # fmt: skip
    assert {entry["Key"].split("/")[2] for entry in told["Contents"]} == {"actors", "rate", "sent"}


def test_without_an_alert_nothing_of_them_is_imported(project: support.Project) -> None:
    """A run that tells nobody does not pay for it."""
    project.write(TWO)
    project.run_engine("init")
    project.tfaudit("setup", "--yes")
    code = (
        "import sys; from tfaudit.cli.main import main; code = main(['apply', '-auto-approve'], shim=None);"
        "names = ('tfaudit.alerts', 'tfaudit.runs.noticing', 'apprise', 'queue', 'tfaudit.policy.child');"
        "sys.stderr.write(f'loaded {[name for name in names if name in sys.modules]}'); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.folder, env={**project.environment, "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("loaded []")
