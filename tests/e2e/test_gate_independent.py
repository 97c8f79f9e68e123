"""docs/format.md is enough for what a gate leaves, too: a verifier written from it alone agrees, on a real engine."""

from __future__ import annotations

import ast
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import byformat
import gatekit
import pytest
import support

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("gate-independent")]

MAIN = f"""
terraform {{
  required_providers {{
    aws = {{
      source  = "{support.PROVIDER_HOST}/hashicorp/aws"
      version = "3.39.0"
    }}
  }}
}}
"""
MAIN += """
variable "size" {
  default = "small"
}

variable "rate" {
  default = 1.50
}

resource "terraform_data" "web" {
  input = { size = var.size, rate = var.rate, html = "<a&b>", text = "\u00e9 \\"quoted\\"" }
  provisioner "local-exec" {
    command = "true ${var.size} && sh scripts/run.sh"
  }
}

resource "terraform_data" "replaced" {
  input            = var.size
  triggers_replace = [var.size, var.rate]
}

module "called" {
  source = "./called"
  size   = var.size
}

output "size" {
  value = var.size
}

check "sound" {
  assert {
    condition     = terraform_data.web.id != ""
    error_message = "no"
  }
}
"""
MOVED = (
    MAIN.replace('"replaced"', '"renamed"')
    + """
moved {
  from = terraform_data.replaced
  to   = terraform_data.renamed
}

resource "terraform_data" "more" {
  input = [filesha256("${ path.module }/files/a b.txt"), fileset("files/", "*"), file("./files/sub/../c.txt")]
  provisioner "local-exec" {
    command = "true ${terraform_data.web.id} || ./scripts/run.sh > third.plan"
  }
}
"""
)
"""A resource that moves, one that is made; names in every spelling, one of a plan file among them."""
CALLED = """
variable "size" {}

resource "terraform_data" "inner" {
  count = 2
  input = [var.size, templatefile("${path.module}/text.tftpl", {})]
}
"""
GATE = """approvals = 2
expires = "1h"

[gate.groups]
oncall = ["alice@example.com"]

[gate.break_glass]
groups = ["oncall"]
review_within = "1h"

[[gate.stack]]
pattern = "example.test/*"
approvals = 2"""


@dataclass(frozen=True, kw_only=True)
class Lived:
    """A gated project with a history, and what it looked like while it was made."""

    project: support.Project
    digests: dict[str, str]
    """What the independent code makes of the plans that were approved, by their records."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, engine: support.Engine, provider_config: Path) -> Lived:
    """Pinned, planned, approved by keys of all kinds, applied, rejected, broken open and reviewed."""
    if engine.release < (1, 5):
        pytest.skip("check blocks came with Terraform 1.5")
    tmp = tmp_path_factory.mktemp("independent")
    (tmp / "project" / "called").mkdir(parents=True)
    (tmp / "project" / "scripts").mkdir()
    project = support.Project(
        folder=tmp / "project",
        engine=engine,
        environment=support.environment_for(tmp / "home", engine, TF_CLI_CONFIG_FILE=str(provider_config)),
    )
    kinds = {"alice": "ed25519", "bob": "ecdsa", "dan": "rsa"}
    people = {name: gatekit.person(tmp / "keys", name, kind=kind) for name, kind in kinds.items()}
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(tmp / "keys" / "carol.pem")], check=True)
    (tmp / "keys" / "carol.pem").chmod(0o600)
    project.tfaudit("setup", "--yes")
    gatekit.write_gate(project, *people.values(), gate=GATE)
    project.write(MAIN)
    project.write(CALLED, "called/main.tf")
    project.write("hello\n", "called/text.tftpl")
    project.write("true\n", "scripts/run.sh")
    project.run_engine("init", "-input=false")
    job = replace(project, environment={**project.environment, "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "dora"})
    project.tfaudit("config", "push", "--yes")
    job.tfaudit("plan", "-out=first.plan")
    # The error says what carol's line would be.
    refused = project.tfaudit("approve", "first.plan", "--key", f"file:{tmp}/keys/carol.pem", "--yes", code=78).stderr
    line = refused.partition("after your name: ")[2].partition(";")[0]
    approvers = project.folder / "approvers"
    approvers.write_text(f"{approvers.read_text()}carol@example.com {line}\n")
    project.tfaudit("config", "push", "--yes")
    project.tfaudit("keys", "rotate", "record")

    digests = {"first.plan": digest(project, "first.plan")}
    gatekit.approve(project, people["alice"], "first.plan", "--reason", "fine")
    project.tfaudit("approve", "first.plan", "--key", f"file:{tmp}/keys/carol.pem", "--yes")
    job.tfaudit("apply", "first.plan")

    job.tfaudit("plan", "-out=second.plan", "-var=size=large")
    digests["second.plan"] = digest(project, "second.plan")
    gatekit.reject(project, people["bob"], "second.plan", "--reason", "not today")
    job.tfaudit("apply", "second.plan", code=77)
    gatekit.approve(project, people["bob"], "second.plan")
    gatekit.approve(project, people["dan"], "second.plan", "--out", "dan.json")
    # Another plan that would do the same: its file is another, its changes are those that were approved.
    job.tfaudit("--approval", "dan.json", "apply", "-auto-approve", "-var=size=large")

    job.tfaudit("plan", "-out=third.plan", "-var=size=huge")
    digests["third.plan"] = digest(project, "third.plan")
    gatekit.approve(project, people["alice"], "third.plan", "--break-glass", "--reason", "site is down")
    job.tfaudit("--break-glass", "apply", "third.plan")
    gatekit.approve(project, people["bob"], gatekit.last_run(project), "--review")
    project.write(MOVED)
    (project.folder / "files" / "sub").mkdir(parents=True)
    for name in ("a b.txt", "c.txt", "sub/d.txt", "old.tfstate", "sub/.DS_Store"):
        project.write(name, f"files/{name}")
    (project.folder / "files" / "link").symlink_to("c.txt")
    (project.folder / "files" / "nowhere").symlink_to("../scripts")
    job.tfaudit("plan", "-out=fourth.plan")
    digests["fourth.plan"] = digest(project, "fourth.plan")
    assert gatekit.findings(project) == []
    return Lived(project=project, digests=digests)


def digest(project: support.Project, file: str) -> str:
    """Return the change digest of a plan file as docs/format.md makes it, under the key of the record of its plan."""
    shown = project.run_engine("show", "-json", file).stdout.encode()
    lock = (project.folder / ".terraform.lock.hcl").read_bytes()
    sources = byformat.sources_of(project.folder / file, project.folder)
    stream = byformat.change_stream(shown, ("terraform", project.engine.version), lock, sources)
    ledger = opened(project)
    plan = plan_of(ledger, project.folder / file)
    key = ledger.disclosed(plan, "/change/key")
    assert key is not None
    return byformat.change_digest(bytes.fromhex(byformat.read(key)["key"]), stream)


def opened(project: support.Project) -> byformat.Ledger:
    """Return the project's ledger, read by the independent code."""
    return byformat.Ledger(project.folder / ".tfaudit/ledger", project.folder / ".tfaudit/working")


def plan_of(ledger: byformat.Ledger, file: Path) -> byformat.Record:
    """Return the first record of a plan file."""
    name = byformat.sha(file.read_bytes()).hex()
    return next(one for one in ledger.records if one.kind == "plan" and one.subject.get("plan") == name)


def test_the_verifier_has_nothing_of_tfaudit() -> None:
    """It imports the standard library and an implementation of signatures."""
    tree = ast.parse(Path(byformat.__file__).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert not {name for name in imported if name.partition(".")[0] in ("tfaudit", "support", "gatekit")}


def test_change_digests_recompute(lived: Lived) -> None:
    """From `show -json`, the lock file and the modules' files comes the digest that the plan's record has."""
    ledger = opened(lived.project)
    recorded = {
        file: plan_of(ledger, lived.project.folder / file).predicate["change"]["digest"] for file in lived.digests
    }
    assert recorded == lived.digests


def test_words_are_their_peoples(lived: Lived, tmp_path: Path) -> None:
    """Each envelope opens its commitment and is signed by its key: by OpenSSH's own word where OpenSSH signed it."""
    ledger = opened(lived.project)
    words = words_of(ledger, tmp_path)
    found = [(word.document["kind"], word.document["approver"].partition("@")[0]) for word in words]
    assert found == [
        ("approval", "alice"),
        ("approval", "carol"),
        ("rejection", "bob"),
        ("approval", "bob"),
        ("approval", "dan"),
        ("break-glass", "alice"),
        ("review", "bob"),
    ]
    assert [word.record.predicate.get("carrier", False) for word in words] == [False] * 4 + [True] + [False] * 2
    review = words[-1].document
    assert ledger.one(review["intent"]).kind == "intent"
    assert ledger.one(review["intent"]).leaf == review["subject"]["leaf"]


def test_decisions_rest_on_what_was_approved(lived: Lived, tmp_path: Path) -> None:
    """Bases open, and each vote that counted is good for the run; no vote is used twice."""
    ledger = opened(lived.project)
    words, in_force = words_of(ledger, tmp_path), byformat.check_bundles(ledger)
    decided = [record for record in ledger.records if "basis" in record.predicate.get("decision", {})]
    allowed = [byformat.check_decision(ledger, record, words, in_force) for record in decided]
    kinds = [record.kind for record, good in zip(decided, allowed, strict=True) if good]
    assert kinds.count("intent") == 3
    assert {record.predicate["decision"]["decision"] for record in decided} == {"allow", "deny"}
    byformat.check_uses(ledger)


def test_the_pinned_configuration_is_found_from_any_later_record(lived: Lived) -> None:
    """Each `config` record brings a bundle, or names the one that stays in force."""
    ledger = opened(lived.project)
    in_force = byformat.check_bundles(ledger)
    assert len(set(in_force.values())) == 2
    assert any("bundle_record" in record.predicate for record in ledger.records)


def test_keys_are_erased_where_outcomes_say_so(lived: Lived) -> None:
    """An applied plan's key is gone, its file is what the outcome says; nothing else has changed."""
    ledger = opened(lived.project)
    erased = byformat.check_erased(ledger)
    is_gone = {file: plan_of(ledger, lived.project.folder / file).id in erased for file in lived.digests}
    assert is_gone == {"first.plan": True, "second.plan": True, "third.plan": True, "fourth.plan": False}


@pytest.mark.parametrize("what", ["envelope", "basis", "disclosure"])
def test_the_verifier_sees_what_is_altered(lived: Lived, tmp_path: Path, what: str) -> None:
    """It isn't content with everything: a changed byte of any of these is found."""
    copy = tmp_path / "copy"
    shutil.copytree(lived.project.folder / ".tfaudit", copy, ignore=shutil.ignore_patterns("keys"))
    ledger = byformat.Ledger(copy / "ledger", copy / "working")
    kinds = {"envelope": "approval", "basis": "intent", "disclosure": "plan"}
    record = next(one for one in ledger.records if one.kind == kinds[what])
    file = copy / "working" / "disclosures" / f"{record.id}.jsonl"
    old = {"envelope": b'"sshsig":"', "basis": b'"approvals":2', "disclosure": b'"line":0'}[what]
    new = {"envelope": b'"sshsig":" ', "basis": b'"approvals":1', "disclosure": b'"line": 0'}[what]
    content = file.read_bytes()
    assert old in content
    file.chmod(0o600)
    file.write_bytes(content.replace(old, new))
    checks = {
        "envelope": lambda: words_of(ledger, tmp_path),
        "basis": lambda: byformat.check_decision(ledger, record, (), {}),
        "disclosure": lambda: byformat.check_erased(ledger),
    }
    with pytest.raises(AssertionError):
        checks[what]()


def words_of(ledger: byformat.Ledger, scratch: Path) -> list[byformat.Word]:
    """Return all words of a ledger, in the log's order."""
    kinds = ("approval", "rejection", "review")
    return [byformat.word_of(ledger, record, scratch) for record in ledger.records if record.kind in kinds]
