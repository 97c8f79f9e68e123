"""deploy/aws on the real AWS provider against an emulator: it plans, applies, and then has nothing more to do.

The emulator proves that the provider understands the module, not what AWS makes of the policies: that is asked of their
JSON in the unit tests. Provider 3.39 has other words for buckets' settings; deploy/ beside this file has them, in place
of the one module that is written for current providers only.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import awsproxy
import boto3
import gatekit
import pytest
import support

from tfaudit import config

sys.path.append(str(Path(__file__).resolve().parents[1] / "unit" / "deploy"))
import iampolicy

pytestmark = [pytest.mark.engine, pytest.mark.aws, pytest.mark.slow, pytest.mark.xdist_group("aws")]

MODULE = support.REPOSITORY / "deploy" / "aws"
STAND_IN = Path(__file__).with_name("deploy") / "buckets"
EXAMPLES = ("github", "gitlab", "sequencer")
ACCOUNT = "123456789012"
REPLICA = {
    "account_id": "210987654321",
    "bucket_arn": "arn:aws:s3:::acme-replica",
    "kms_key_arn": "arn:aws:kms:eu-central-1:210987654321:key/11111111-2222-3333-4444-555555555555",
}
GENESIS = f"sha256:{'0' * 64}"

PROVIDER = """
provider "aws" {{
  access_key                  = "AKIDEXAMPLE"
  secret_key                  = "secret-of-the-example"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_get_ec2_platforms      = true
  s3_force_path_style         = true
  endpoints {{
    iam = "{endpoint}"
    kms = "{endpoint}"
    s3  = "{endpoint}"
    sts = "{endpoint}"
  }}
}}
"""


@pytest.fixture(scope="module")
def mirror(provider_config):
    """A CLI configuration by which the provider is found under its ordinary name, offline."""
    hosts = provider_config.parent / "mirror"
    (unpacked,) = (hosts / support.PROVIDER_HOST / "hashicorp" / "aws" / "3.39.0").iterdir()
    for host in ("registry.terraform.io", "registry.opentofu.org"):
        link = hosts / host / "hashicorp" / "aws" / "3.39.0" / unpacked.name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(unpacked)
    return provider_config


@pytest.fixture(scope="module")
def place(tmp_path_factory, engine, mirror, aws_endpoint):
    """A function that makes a project out of an example, its provider pointed at the emulator."""
    tree = tmp_path_factory.mktemp("deploy") / "aws"
    shutil.copytree(MODULE, tree)
    for file in STAND_IN.glob("*.tf"):
        shutil.copy(file, tree / "modules" / "buckets")
    environment = support.environment_for(tree.parent / "home", engine, TF_CLI_CONFIG_FILE=str(mirror))

    def of(example, **variables):
        project = support.Project(folder=tree / "examples" / example, engine=engine, environment=environment)
        # An override file: the example's own text stays as it is.
        project.write(PROVIDER.format(endpoint=aws_endpoint), "emulator_override.tf")
        project.write(json.dumps(variables), "terraform.tfvars.json")
        project.run_engine("init", "-no-color", "-input=false")
        return project

    return of


@pytest.fixture(scope="module")
def bare(place):
    """A project whose only call of the module each test writes for itself."""
    github = place("github")
    folder = github.folder.with_name("bare")
    folder.mkdir()
    project = support.Project(folder=folder, engine=github.engine, environment=github.environment)
    emulator = (github.folder / "emulator_override.tf").read_text()
    project.write(emulator.replace("{", '{\n  region = "eu-west-1"', 1), "provider.tf")
    project.write('module "ledger" {\n  source = "../.."\n  name = "acme"\n  writers = {}\n}\n', "ledger.tf")
    project.run_engine("init", "-no-color", "-input=false")
    return project


@pytest.fixture(scope="module")
def applied(place):
    """The GitHub example, applied, with its output."""
    project = place("github", genesis=GENESIS, founders=[f"arn:aws:iam::{ACCOUNT}:role/founder"])
    project.run_engine("apply", "-no-color", "-input=false", "-auto-approve")
    ledger = json.loads(project.run_engine("output", "-json").stdout)["ledger"]["value"]
    return project, ledger


@pytest.fixture(scope="module")
def ask(aws_endpoint):
    """A function from a service's name to a client of the emulator."""

    def client(service):
        return boto3.client(
            service,
            endpoint_url=aws_endpoint,
            region_name="eu-west-1",
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="secret-of-the-example",
        )

    return client


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_valid(place, example):
    """Each example, and by it the whole module, passes the provider's own validation."""
    told = json.loads(place(example, **variables_of(example)).run_engine("validate", "-json").stdout)
    assert (told["valid"], told["diagnostics"]) == (True, [])


@pytest.mark.parametrize("example", ["gitlab", "sequencer"])
def test_the_other_examples_can_be_planned(place, example):
    """Each plans from nothing to buckets, keys, policies and roles; the third is applied."""
    project = place(example, **variables_of(example))
    project.run_engine("plan", "-no-color", "-input=false", "-out", "plan")
    plan = json.loads(project.run_engine("show", "-json", "plan").stdout)
    actions = {tuple(change["change"]["actions"]) for change in plan["resource_changes"] if change["mode"] == "managed"}
    assert actions == {("create",)}


def test_a_second_plan_is_empty(applied):
    """Applied once, there is nothing more to do."""
    project, _ = applied
    assert project.run_engine("plan", "-no-color", "-input=false", "-detailed-exitcode", code=None).returncode == 0


def test_evidence_is_locked_versioned_and_encrypted(applied, ask):
    """The evidence bucket has versions, Object Lock with the profile's days, and its key by default."""
    _, ledger = applied
    s3 = ask("s3")
    bucket = "acme-tfaudit-evidence"
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert lock["ObjectLockEnabled"] == "Enabled"
    default = lock["Rule"]["DefaultRetention"]
    assert (default["Mode"], default["Days"]) == ("GOVERNANCE", config.PROFILE_DAYS["soc2"])
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == ledger["key_arns"]["evidence"]
    assert rule["BucketKeyEnabled"] is True
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())


def test_working_has_no_lock(applied, ask):
    """The working bucket has neither lock nor versions, and a key of its own."""
    _, ledger = applied
    s3 = ask("s3")
    bucket = "acme-tfaudit-working"
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    with pytest.raises(s3.exceptions.ClientError, match="ObjectLockConfigurationNotFound"):
        s3.get_object_lock_configuration(Bucket=bucket)
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == ledger["key_arns"]["working"]


def test_signing_keys_sign_p256(applied, ask):
    """Each writer and the log have a P-256 key that signs; all keys are different."""
    _, ledger = applied
    assert len(set(ledger["key_arns"].values())) == len(ledger["key_arns"])
    for name in ("log", "record/ci-github", "record/people"):
        key = ask("kms").get_public_key(KeyId=ledger["key_arns"][name])
        assert (key["KeyUsage"], key["CustomerMasterKeySpec"]) == ("SIGN_VERIFY", "ECC_NIST_P256")


def test_roles_are_the_policies_own(applied, ask):
    """The roles have the ARNs that the policies name, and one policy each."""
    _, ledger = applied
    iam = ask("iam")
    assert set(ledger["role_arns"]) == {"approver", "auditor", "writer/ci-github", "writer/people"}
    policy = json.loads(ask("s3").get_bucket_policy(Bucket="acme-tfaudit-evidence")["Policy"])
    for role, arn in ledger["role_arns"].items():
        name = arn.rpartition("/")[2]
        assert iam.get_role(RoleName=name)["Role"]["Arn"] == arn
        assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["tfaudit"]
        if role.startswith(("writer/", "approver")):
            assert arn in json.dumps(policy)


@pytest.mark.parametrize("writer", ["ci-github", "people"])
def test_the_printed_configuration_is_tfaudits(applied, writer, tmp_path):
    """The tfaudit.toml for a writer is one that tfaudit reads; it names its store, keys and retention."""
    _, ledger = applied
    (tmp_path / config.FILE_NAME).write_text(ledger["tfaudit_toml"][writer])
    assert "[signer]" in ledger["tfaudit_toml"][writer]
    read = config.load(cwd=tmp_path, environ={})
    assert (read.ledger, read.working) == (ledger["ledger"], ledger["working"])
    assert (read.writer, read.genesis) == (writer, GENESIS)
    assert read.signer_record == f"awskms:{ledger['key_arns'][f'record/{writer}']}"
    assert read.signer_log == f"awskms:{ledger['key_arns']['log']}"
    assert read.retention == config.Retention(mode="GOVERNANCE", days=731, profile="soc2")
    assert read.s3.region == "eu-west-1"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "Acme"}, "lower-case letters"),
        ({"prefix": "/ledger"}, "slashes between"),
        ({"retention": {"profile": "iso"}}, "soc2, pci, hipaa, sox or sec17a4"),
        ({"retention": {"days": 0}}, "whole number"),
        ({"retention": {"days": 1, "mode": "NONE"}}, "GOVERNANCE or COMPLIANCE"),
        ({"writers": {}}, "needs a writer"),
        ({"writers": {"CI": {"principals": ["arn:aws:iam::123456789012:role/x"]}}}, "lower-case letters"),
        ({"writers": {"ci": {}}}, "someone who may take its role"),
        ({"writers": {"ci": {"github": [{"repository": "acme/*", "environment": "p"}]}}}, "without wildcards"),
        ({"writers": {"ci": {"github": [{"repository": "acme/infra"}]}}}, "exactly one of them"),
        ({"writers": {"ci": {"github": [{"repository": "acme/infra", "environment": "*"}]}}}, "no wildcards"),
        (
            {"writers": {"ci": {"github": [{"repository": "acme/infra", "branch": "main", "owner_id": "1"}]}}},
            "belong together",
        ),
        ({"writers": {"ci": {"gitlab": [{"project": "acme", "ref": "main"}]}}}, "group/project"),
        ({"writers": {"ci": {"gitlab": [{"project": "acme/x", "ref": "feature/*"}]}}}, "no wildcards"),
        ({"writers": {"ci": {"principals": ["*"]}}}, "ARNs with an account id"),
        ({"sequencer": "nobody"}, "is none of the writers"),
        ({"approvers": {"principals": ["arn:aws:iam::*:role/x"]}}, "ARNs with an account id"),
        ({"approvers": {"principals": []}}, "needs someone who may take it"),
        ({"transition": {"storage_class": "DEEP_ARCHIVE"}}, "INTELLIGENT_TIERING, STANDARD_IA or GLACIER_IR"),
        ({"transition": {"storage_class": "STANDARD_IA", "days": 1}}, "before 30 days"),
        ({"genesis": "abc"}, "64 hexadecimal digits"),
        ({"oidc": {"gitlab_issuer": "https://gitlab.com"}}, "without https://"),
    ],
)
def test_a_variable_that_does_not_fit_is_refused(bare, changes, told):
    """Each variable is refused with what it should be, before anything is made."""
    given = {"name": "acme", "writers": {"ci": {"principals": [f"arn:aws:iam::{ACCOUNT}:role/x"]}}, **changes}
    arguments = "".join(f"  {name} = jsondecode({json.dumps(json.dumps(value))})\n" for name, value in given.items())
    bare.write(f'module "ledger" {{\n  source = "../.."\n{arguments}}}\n', "ledger.tf")
    refused = bare.run_engine("plan", "-no-color", "-input=false", code=1)
    assert told in " ".join(refused.stderr.replace("│", " ").split())


ACTORS = ("people", "jobs", "auditor")
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-example",
    "AWS_DEFAULT_REGION": "eu-west-1",
}


@dataclass(frozen=True, kw_only=True)
class Told:
    """What docs/aws.md tells a platform team to do, done."""

    people: support.Project
    jobs: support.Project
    auditor: support.Project
    genesis: str
    sent: dict[str, list[awsproxy.Sent]]
    """What each of them, and the founder, has asked of AWS so far."""


@pytest.fixture(scope="module")
def followed(applied, ask, aws_endpoint, tmp_path_factory, engine):
    """A ledger in the module's buckets, set up as docs/aws.md says, with one apply by the CI system.

    The emulator reads a condition on If-None-Match as never met, and has no TLS: the buckets' policies are taken off.
    """
    _, made = applied
    for bucket in ("acme-tfaudit-evidence", "acme-tfaudit-working"):
        ask("s3").delete_bucket_policy(Bucket=bucket)
    tmp = tmp_path_factory.mktemp("followed")
    with ExitStack() as running:
        proxies = {name: running.enter_context(awsproxy.proxy(aws_endpoint)) for name in (*ACTORS, "founder")}
        projects = {}
        for name in ACTORS:
            (tmp / name).mkdir()
            environment = support.environment_for(
                tmp / "home", engine, AWS_ENDPOINT_URL=proxies[name][0], **CREDENTIALS
            )
            projects[name] = support.Project(folder=tmp / name, engine=engine, environment=environment)
        founder = {
            **projects["people"].environment,
            "AWS_ENDPOINT_URL": proxies["founder"][0],
            "TFAUDIT_WRITER": "people",
        }
        genesis = start(support.Project(folder=tmp / "people", engine=engine, environment=founder), made)
        for name, writer in (("people", "people"), ("jobs", "ci-github")):
            projects[name].write(made["tfaudit_toml"][writer].replace(GENESIS, genesis), config.FILE_NAME)
        jobs = projects["jobs"]
        jobs.write('resource "terraform_data" "one" {\n  input = 1\n}\n')
        jobs.tfaudit("init", "-no-color")
        jobs.tfaudit("apply", "-no-color", "-auto-approve")
        yield Told(**projects, genesis=genesis, sent={name: sent for name, (_, sent) in proxies.items()})


def start(founder, made):
    """Set the ledger up as docs/aws.md says, so that keys in KMS take the place of setup's own; return its anchor."""
    keys = made["key_arns"]
    stores = ("--ledger", made["ledger"], "--working", made["working"])
    kind = ("--retention", "soc2", "--region", "eu-west-1")
    # Short: the emulator hashes what KMS is to sign once more where it has more than 4,096 bytes.
    founder.tfaudit("setup", "--yes", "--origin", "a.test/l", *stores, *kind)
    genesis = tomllib.loads((founder.folder / config.FILE_NAME).read_text())["genesis"]
    (first,) = [line.split()[2] for line in founder.tfaudit("keys", "list").stdout.splitlines() if line[:6] == "record"]
    founder.tfaudit("keys", "add", f"awskms:{keys['record/people']}", "--writers", "people")
    limit = ("--writers", "ci-github", "--stacks", "example.test/*")
    founder.tfaudit("keys", "add", f"awskms:{keys['record/ci-github']}", *limit)
    founder.tfaudit("keys", "rotate", "log", "--to", f"awskms:{keys['log']}")
    founder.write(made["tfaudit_toml"]["people"].replace(GENESIS, genesis), config.FILE_NAME)
    founder.tfaudit("keys", "remove", first)
    return genesis


def test_the_first_apply_is_recorded(followed):
    """The job's apply is in the ledger, signed by its key in KMS, under its own prefix."""
    (newest, *_) = map(json.loads, followed.jobs.tfaudit("log", "--json").stdout.splitlines())
    assert (newest["kind"], newest["status"]) == ("outcome", "applied")
    assert newest["key"].startswith("records/ci-github/")
    assert newest["retain_until"]


def test_setups_own_keys_are_in_force_no_more(followed):
    """Only keys in KMS sign records and checkpoints; the root key is what is left of the files."""
    lines = followed.people.tfaudit("keys", "list").stdout.splitlines()[1:]
    assert [line.split()[:2] for line in lines] == [
        ["root", "ed25519"],
        ["log", "ecdsa-p256"],
        ["record", "ecdsa-p256"],
        ["record", "ecdsa-p256"],
    ]
    assert [line.split()[3] for line in lines if line.startswith("record")] in (
        ["people", "ci-github,"],
        ["ci-github,", "people"],
    )


def test_an_auditor_verifies_with_the_anchor_alone(followed, applied):
    """With two URLs and the anchor an auditor's machine verifies the whole ledger, and later its growth."""
    _, made = applied
    stores = ("--ledger", made["ledger"], "--working", made["working"])
    told = json.loads(followed.auditor.tfaudit(*stores, "verify", "--genesis", followed.genesis, "--json").stdout)
    assert (told["ok"], [one for one in told["findings"] if one["severity"] == "error"]) == (True, [])
    kept = followed.auditor.write(told["checkpoint"], "checkpoint.txt")
    followed.auditor.tfaudit(*stores, "verify", "--genesis", followed.genesis, "--checkpoint", str(kept))


def test_founders_and_jobs_need_no_more_than_they_may(followed, policies):
    """Each request of the set-up and of the job's apply is one that the policies allow to whoever makes it."""
    founder = f"arn:aws:iam::{ACCOUNT}:role/founder"
    assert refused(policies, "founder", founder, followed.sent["founder"]) == {PROBED}
    assert refused(policies, "writer/ci-github", GITHUB, followed.sent["jobs"]) == set()
    actions = {one.action for request in followed.sent["jobs"] for one in awsproxy.asked(request, policies["keys"])}
    assert actions >= {
        "s3:PutObject",
        "s3:PutObjectRetention",
        "s3:GetObjectVersion",
        "kms:Sign",
        "kms:GenerateDataKey",
    }


def test_doctor_is_refused_what_it_expects_to_be(followed, policies):
    """Of all that doctor tries as the job's role only the delete of its probe is denied."""
    before = len(followed.sent["jobs"])
    followed.jobs.tfaudit("doctor")
    assert refused(policies, "writer/ci-github", GITHUB, followed.sent["jobs"][before:]) == {PROBED}


def test_an_auditor_needs_to_read_alone(followed, policies, applied):
    """What verify and log ask as the auditor's role, its policy allows: reads, and nothing that writes."""
    _, made = applied
    before = len(followed.sent["auditor"])
    stores = ("--ledger", made["ledger"], "--working", made["working"])
    followed.auditor.tfaudit(*stores, "verify", "--genesis", followed.genesis)
    followed.auditor.tfaudit(*stores, "log")
    role = f"arn:aws:iam::{ACCOUNT}:role/tfaudit/acme-tfaudit-auditor"
    sent = followed.sent["auditor"][before:]
    assert refused(policies, "auditor", role, sent) == set()
    assert {request.method for request in sent} <= {"GET", "HEAD"}


def test_an_auditor_without_disclosures_sees_no_value(followed, applied):
    """Told not to check values, verify asks the working bucket nothing, and is content with all the rest."""
    _, made = applied
    before = len(followed.sent["auditor"])
    stores = ("--ledger", made["ledger"], "--working", made["working"])
    followed.auditor.tfaudit(*stores, "verify", "--genesis", followed.genesis, "--without-disclosures")
    sent = followed.sent["auditor"][before:]
    assert sent
    assert [request.url for request in sent if request.url.startswith("/acme-tfaudit-working")] == []


def test_a_keeper_may_hold_release_and_extend(followed, policies):
    """Holding, releasing and extending need no more than a writer's role that is also a keeper has."""
    run = json.loads(followed.jobs.tfaudit("log", "--json").stdout.splitlines()[0])["run_id"]
    before = len(followed.sent["people"])
    followed.people.tfaudit("retain", "hold", run)
    followed.people.tfaudit("retain", "release", run)
    followed.people.tfaudit("retain", "extend", "--days", "740")
    role = f"arn:aws:iam::{ACCOUNT}:role/tfaudit/acme-tfaudit-writer-people"
    sent = followed.sent["people"][before:]
    assert refused(policies, "writer/people", role, sent) == set()
    actions = {one.action for request in sent for one in awsproxy.asked(request, policies["keys"])}
    assert actions >= {"s3:PutObjectLegalHold", "s3:PutObjectRetention"}


@pytest.fixture
def gated(applied, aws_endpoint, tmp_path, engine, request):
    """A job's project under a pinned gate, and its approver; the ledger is in buckets that are like the module's.

    Its keys are files: the emulator can't sign what is as long as a pinned configuration.
    """
    alice = gatekit.person(tmp_path / "keys", "alice")
    environment = support.environment_for(tmp_path / "home", engine, AWS_ENDPOINT_URL=aws_endpoint, **CREDENTIALS)
    (tmp_path / "job").mkdir()
    job = support.Project(folder=tmp_path / "job", engine=engine, environment=environment)
    name = f"approving{abs(hash(request.node.name)) % 10**12}"
    stores = ("--ledger", f"s3://{name}-evidence/ledger", "--working", f"s3://{name}-working/ledger")
    job.tfaudit("setup", "--yes", *stores, "--create-bucket", "--retention", "soc2", "--region", "eu-west-1")
    gatekit.write_gate(job, alice)
    job.tfaudit("config", "push", "--yes")
    job.write(gatekit.SMALL)
    job.run_engine("init", "-input=false")
    return replace(job, environment={**environment, "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "dora"}), alice


def test_an_approver_needs_their_role_and_their_own_key(applied, policies, gated, aws_endpoint, tmp_path):
    """Held to the approvers' policies, with the repository's files and an own key, one sees, signs and stages."""
    _, made = applied
    job, alice = gated
    job.tfaudit("plan", "-out=change.plan")
    run = gatekit.last_run(job)

    requests = []
    with awsproxy.proxy(aws_endpoint, forbidding(policies, "approver", APPROVER, requests)) as (address, _):
        (tmp_path / "desk").mkdir()
        environment = {**job.environment, "AWS_ENDPOINT_URL": address, "HOME": str(tmp_path / "desk")}
        desk = replace(job, folder=tmp_path / "desk", environment=environment)
        shutil.copy(job.folder / "approvers", desk.folder)
        # The repository's configuration is a job's: it names keys in KMS that an approver may not use.
        signers = "".join(f'{use} = "awskms:{made["key_arns"][key]}"\n' for use, key in SIGNERS.items())
        configuration = (job.folder / config.FILE_NAME).read_text()
        desk.write(re.sub(r'record = "[^"]*"\nlog = "[^"]*"\n', signers, configuration), config.FILE_NAME)
        assert "awskms:" in (desk.folder / config.FILE_NAME).read_text()
        assert "terraform_data.web" in gatekit.reject(desk, alice, run).stderr
        done = json.loads(gatekit.approve(desk, alice, run, "--json").stdout)
        assert (done["approver"], done["carried"], done["position"]) == ("alice@example.com", False, None)
        desk.tfaudit("log")
        desk.tfaudit("gate", run)
        assert gatekit.findings(desk) == []
    asked = {one for request in requests for one in awsproxy.asked(request, policies["keys"])}
    created = {one.resource.partition("/ledger/")[2] for one in asked if one.action == "s3:PutObject"}
    assert {key.rpartition("/")[0].partition("/20")[0] for key in created} == {"records/people", "disclosures"}
    assert not {one.action for one in asked} & {"kms:Sign", "s3:DeleteObject", "s3:DeleteObjectVersion"}
    job.tfaudit("apply", "change.plan")
    assert gatekit.deployed(job) == "small"
    assert gatekit.findings(job) == []


def test_a_keeper_erases_what_a_job_may_not(policies, gated, aws_endpoint):
    """A job's role overwrites no disclosure: its outcome states that the plan's key goes, and a keeper erases it."""
    job, alice = gated
    job.tfaudit("plan", "-out=change.plan")
    gatekit.approve(job, alice, "change.plan")
    with awsproxy.proxy(aws_endpoint, forbidding(policies, "writer/ci-github", GITHUB, [])) as (address, _):
        held = replace(job, environment={**job.environment, "AWS_ENDPOINT_URL": address})
        assert "tfaudit retain erase" in held.tfaudit("apply", "change.plan").stderr
    with awsproxy.proxy(aws_endpoint, forbidding(policies, "writer/people", KEEPER, [])) as (address, _):
        keeper = replace(job, environment={**job.environment, "AWS_ENDPOINT_URL": address})
        assert json.loads(keeper.tfaudit("retain", "erase", "--json").stdout) == {"objects": 1}
        assert json.loads(keeper.tfaudit("retain", "erase", "--json").stdout) == {"objects": 0}
    assert gatekit.deployed(job) == "small"
    assert gatekit.findings(job) == []


def forbidding(policies, role, arn, requests):
    """Return what tells whether a request to the approving buckets is forbidden to a role; it keeps what it judged."""

    def forbidden(request):
        if b"GetCallerIdentity" in request.body:
            return False
        there = request._replace(url=re.sub(r"^/approving\d+-", "/acme-tfaudit-", request.url))
        requests.append(there)
        return refused(policies, role, arn, [there]) != set()

    return forbidden


KEEPER = f"arn:aws:iam::{ACCOUNT}:role/tfaudit/acme-tfaudit-writer-people"
SIGNERS = {"record": "record/ci-github", "log": "log"}
APPROVER = f"arn:aws:iam::{ACCOUNT}:role/tfaudit/acme-tfaudit-approver"
GITHUB = f"arn:aws:iam::{ACCOUNT}:role/tfaudit/acme-tfaudit-writer-ci-github"
PROBED = ("s3:DeleteObjectVersion", "acme-tfaudit-evidence/ledger/probe/")
"""Setup and doctor try to delete their probe, to see that it is refused."""
AGAIN = b"again\n"
"""A second create of an object, by which tfaudit sees whether a store that isn't AWS knows the condition."""


@pytest.fixture(scope="module")
def policies(applied):
    """The applied policies: by role, and by the resource that they hang on."""
    project, made = applied
    state = json.loads(project.run_engine("show", "-json").stdout)["values"]["root_module"]["child_modules"][0]
    roles, hung = {}, {}
    for one in state["resources"]:
        values = one["values"]
        if one["type"] == "aws_iam_role_policy":
            roles[one["index"]] = json.loads(values["policy"])
        elif one["type"] == "aws_s3_bucket_policy":
            hung[f"arn:aws:s3:::{values['bucket']}"] = json.loads(values["policy"])
        elif one["type"] == "aws_kms_key":
            hung[values["arn"]] = json.loads(values["policy"])
    keys = {f"acme-tfaudit-{name}": made["key_arns"][name] for name in ("evidence", "working")}
    everything = {"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"}
    roles["founder"] = {"Version": "2012-10-17", "Statement": [everything]}
    return {"roles": roles, "hung": hung, "keys": keys}


def refused(policies, role, arn, sent):
    """The actions, and where, among the requests that the role's and the resources' policies do not allow."""
    found = set()
    requests = (request for request in sent if request.body != AGAIN)
    for one in {one for request in requests for one in awsproxy.asked(request, policies["keys"])}:
        hung = [policy for at, policy in policies["hung"].items() if f"{one.resource}/".startswith(f"{at}/")]
        context = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3", **dict(one.context)}
        request = iampolicy.Request(arn, one.action, one.resource, context)
        # That the account of a key may do everything is not what the role may do.
        allowed = iampolicy.decide([policies["roles"][role]], request) == "allow"
        if not allowed or iampolicy.decide(hung, request) == "deny":
            place, slash, _ = (one.resource.partition(":::")[2] or one.resource).rpartition("/")
            found.add((one.action, place + slash))
    return found


def variables_of(example):
    """The variables that an example has no default for."""
    return {"replica": REPLICA} if example == "sequencer" else {}
