"""What real runs store and print has the public formats of schemas/."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tfaudit import schema

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("formats")]

_CONFIGURATION = """
variable "step" {{
  type = number
}}

resource "terraform_data" "first" {{
  input = {{ step = var.step, list = [1, "two", null, true], big = 12345678901234567890 }}
}}

resource "terraform_data" "each" {{
  for_each         = toset(["plain", "o'hara@example.com", "quo\\"te"])
  input            = each.key
  triggers_replace = {trigger}
}}

output "step" {{
  value = var.step
}}
"""

_FAILING = """
resource "terraform_data" "fails" {
  provisioner "local-exec" {
    command = "exit 3"
  }
}
"""


@pytest.fixture(scope="module")
def lived(tmp_path_factory, engine):
    """A project with records of many kinds: planned, applied, replaced, failed, moved, imported state, destroyed."""
    import support

    if engine.release < (1, 4):
        pytest.skip("terraform_data came with Terraform 1.4")
    tmp = tmp_path_factory.mktemp("formats")
    (tmp / "project").mkdir()
    environment = support.environment_for(tmp / "home", engine, TFAUDIT_AUDIT_READS="1")
    project = support.Project(folder=tmp / "project", engine=engine, environment=environment)
    project.write(_CONFIGURATION.format(trigger=1))
    project.tfaudit("setup", "--yes")
    project.tfaudit("init")
    project.tfaudit("plan", "-var", "step=1")
    project.tfaudit("--reason", "a first one", "--ticket", "T-1", "apply", "-auto-approve", "-var", "step=1")
    project.tfaudit("apply", "-auto-approve", "-var", "step=2")
    project.tfaudit("apply", "-var", "step=3", input="no\n", code=1)
    project.write(_CONFIGURATION.format(trigger=2))
    project.tfaudit("apply", "-auto-approve", "-var", "step=3")
    project.write(_FAILING, "more.tf")
    project.tfaudit("apply", "-auto-approve", "-var", "step=3", code=1)
    (project.folder / "more.tf").unlink()
    project.tfaudit("state", "mv", "terraform_data.first", "terraform_data.second")
    project.tfaudit("taint", "terraform_data.second")
    project.tfaudit("output", "-json")
    project.tfaudit("workspace", "new", "other")
    project.tfaudit("workspace", "select", "default")
    project.tfaudit("destroy", "-auto-approve", "-var", "step=3")
    return project


def test_the_genesis_has_its_format(lived):
    """genesis.json is a genesis.v1 document."""
    schema.validate("genesis.v1", json.loads((lived.folder / ".tfaudit/ledger/genesis.json").read_bytes()))


def test_every_record_has_its_format(lived):
    """Every record's signed payload is a record-statement.v1, every further line an event-line.v1."""
    records = sorted((lived.folder / ".tfaudit/ledger/records").rglob("*.jsonl"))
    assert len(records) >= 12
    statements, events = schema.validator("record-statement.v1"), schema.validator("event-line.v1")
    kinds = set()
    for record in records:
        envelope, *lines = record.read_bytes().splitlines()
        statement = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
        assert _departures(statements, statement) == []
        assert [problem for line in lines for problem in _departures(events, json.loads(line))] == []
        kinds.add(statement["predicate"]["kind"])
    assert {"plan", "intent", "outcome", "operation", "access"} <= kinds


def test_every_disclosure_has_its_format(lived):
    """Every line of every disclosure is a disclosure.v1 document."""
    disclosures = list((lived.folder / ".tfaudit/working/disclosures").glob("*.jsonl"))
    assert disclosures
    lines = schema.validator("disclosure.v1")
    for disclosure in disclosures:
        for line in disclosure.read_bytes().splitlines():
            assert _departures(lines, json.loads(line)) == []


def test_the_readers_print_their_formats(lived):
    """Verify, log, inspect and history print what their schemas describe."""
    schema.validate("verify-report.v1", json.loads(lived.tfaudit("verify", "--json").stdout))
    entries = [json.loads(line) for line in lived.tfaudit("log", "--json").stdout.splitlines()]
    assert entries
    for entry in entries:
        schema.validate("log-entry.v1", entry)
    for run in {entry["run_id"] for entry in entries if entry["run_id"]}:
        schema.validate("inspect.v1", json.loads(lived.tfaudit("inspect", run, "--json").stdout))
    events = lived.tfaudit("history", 'terraform_data.each["plain"]', "--json").stdout.splitlines()
    assert events
    for event in events:
        schema.validate("change-event.v1", json.loads(event))


def test_the_upkeep_prints_its_formats(project):
    """Setup, doctor, keys, sequence and recover print what their schemas describe."""

    def printed(name, *args, code=0):
        lines = [json.loads(line) for line in project.tfaudit(*args, "--json", code=code).stdout.splitlines()]
        assert lines
        for line in lines:
            schema.validate(name, line)
        return lines

    project.write(_CONFIGURATION.format(trigger=1))
    (made,) = printed("setup.v1", "setup", "--yes", "--post-quantum")
    assert made["config"] == str(project.folder / "tfaudit.toml")
    project.run_engine("init")
    assert {line["result"] for line in printed("doctor.v1", "doctor")} <= {"ok", "warning"}
    assert {line["role"] for line in printed("keys-list.v1", "keys", "list")} >= {"root", "log", "record"}
    (changed,) = printed("keys-change.v1", "keys", "rotate", "record")
    assert changed["role"] == "record"
    (committed,) = printed("sequence.v1", "sequence")
    assert committed["origin"] == made["origin"]
    steps = project.folder / "steps"
    _killed(project, 0, steps, "step=1")
    _killed(project, steps.read_text().splitlines().index("apply") + 1, steps, "step=2")
    (recovered,) = printed("recovery.v1", "recover")
    assert len(recovered["closed"]) == 1
    (project.folder / "tfaudit.toml").unlink()
    assert "failed" in {line["result"] for line in printed("doctor.v1", "doctor", code=None)}


def test_the_configuration_that_setup_writes_has_its_format(lived):
    """The tfaudit.toml of `setup --yes` is a config.v1 document that asks for no gate, policy or sink."""
    import tomllib

    written = tomllib.loads((lived.folder / "tfaudit.toml").read_text())
    schema.validate("config.v1", written)
    assert set(written) == {"ledger", "working", "stack", "genesis", "signer"}


def _killed(project, number, steps, variable):
    """Apply, and be killed at this step; 0: at none."""
    command = [sys.executable, str(Path(__file__).with_name("killrun.py")), str(number), str(steps)]
    command += ["apply", "-auto-approve", "-var", variable]
    done = subprocess.run(
        command, cwd=project.folder, env=project.environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert done.returncode == (-signal.SIGKILL if number else 0), done.stderr


def _departures(validator, document):
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(document)]
