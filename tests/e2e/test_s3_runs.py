"""Does all that works with a folder work with a ledger in S3, and does nothing happen where it can't be written?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import support
from s3proxy import Proxy, proxy

from tfaudit import schema

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("aws")]
ONE = 'resource "terraform_data" "one" {\n  input = "x"\n}\n'
TWO = ONE.replace('"x"', '"y"')


@dataclass
class Site:
    """A project whose ledger is to lie in buckets of its own."""

    project: support.Project
    client: Any
    name: str

    @property
    def ledger(self) -> str:
        """Where the ledger is to lie."""
        return f"s3://{self.name}-evidence/acme/infra"

    @property
    def working(self) -> str:
        """Where the disclosures are to lie."""
        return f"s3://{self.name}-working/acme"

    def setup(self, *more: str, code: int = 0) -> str:
        """Set the ledger up and return what was said."""
        named = ("--ledger", self.ledger, "--working", self.working)
        done = self.project.tfaudit("setup", "--yes", *named, *more, code=code)
        return done.stdout + done.stderr

    def endpoint(self, address: str) -> None:
        """Send all requests there from now on."""
        self.project.environment["AWS_ENDPOINT_URL"] = address

    def log(self) -> list[dict[str, Any]]:
        """Return the log, oldest first."""
        lines = self.project.tfaudit("log", "--json").stdout.splitlines()
        return [json.loads(line) for line in lines][::-1]

    def state(self) -> list[str]:
        """Return the addresses in the state."""
        return self.project.run_engine("state", "list", code=None).stdout.split()

    def verified(self) -> dict[str, Any]:
        """Verify, and return the report."""
        report: dict[str, Any] = json.loads(self.project.tfaudit("verify", "--json", code=None).stdout)
        return report

    def append_to_file(self, text: str) -> None:
        """Add to tfaudit.toml."""
        with (self.project.folder / "tfaudit.toml").open("a") as file:
            file.write(text)


@pytest.fixture
def site(project: support.Project, aws_endpoint: str, request: pytest.FixtureRequest) -> Site:
    """A project with one resource, and a name for its buckets, which are not made yet."""
    import botocore.session

    project.write(ONE)
    project.run_engine("init")
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    project.environment.update(keys, AWS_REGION="eu-west-1", AWS_ENDPOINT_URL=aws_endpoint)
    client = botocore.session.Session().create_client(
        "s3",
        region_name="eu-west-1",
        endpoint_url=aws_endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    return Site(project, client, f"t{abs(hash(request.node.name)) % 10**12}")


@pytest.fixture
def ready(site: Site) -> Site:
    """A project with a ledger in S3, each object locked for 400 days."""
    site.setup("--create-bucket", "--retention", "400")
    return site


@pytest.fixture
def between(ready: Site, aws_endpoint: str) -> Iterator[Proxy]:
    """A proxy through which the project now reaches the store."""
    with proxy(aws_endpoint, lambda _method, _path: None) as running:
        ready.endpoint(running.address)
        yield running


def one_line(text: str) -> str:
    """Return the only line that tfaudit said."""
    lines = [line for line in text.splitlines() if line.startswith("tfaudit: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


# --- setup ------------------------------------------------------------------------------------------------------------


def bucket(site: Site, name: str, *, lock: bool) -> None:
    """Make a bucket."""
    more = {"ObjectLockEnabledForBucket": True} if lock else {}
    region = {"LocationConstraint": "eu-west-1"}
    site.client.create_bucket(Bucket=f"{site.name}-{name}", CreateBucketConfiguration=region, **more)


def default_retention(site: Site, name: str) -> None:
    """Have a bucket lock what is put there."""
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}
    site.client.put_object_lock_configuration(
        Bucket=f"{site.name}-{name}", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )


def test_setup_in_existing_buckets(site: Site) -> None:
    """The first with Object Lock, the second without retention: the file names both, and genesis is locked."""
    bucket(site, "evidence", lock=True)
    bucket(site, "working", lock=False)
    site.setup()
    text = (site.project.folder / "tfaudit.toml").read_text()
    assert f'ledger = "{site.ledger}"\nworking = "{site.working}"\n' in text
    head = site.client.head_object(Bucket=f"{site.name}-evidence", Key="acme/infra/genesis.json")
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert "is there already" in site.setup(code=78)


def test_where_nothing_is_locked_it_is_told(site: Site) -> None:
    """Setup and an extension say so, and verify warns; with a retention, of either kind, nobody does."""
    told = 'is locked: set [retention] profile = "soc2"'
    assert told in site.setup("--create-bucket")
    site.project.tfaudit("apply", "-auto-approve", "-input=false")
    found = site.verified()
    assert found["ok"]
    assert [(one["code"], one["severity"]) for one in found["findings"]] == [("lock-weakened", "warning")]
    extended = site.project.tfaudit("retain", "extend", "--days", "30")
    assert "nothing locks what is written from now on" in extended.stderr
    site.project.environment["TFAUDIT_RETENTION_PROFILE"] = "soc2"
    again = site.project.tfaudit("retain", "extend", "--days", "31")
    assert "nothing locks" not in again.stderr
    assert site.verified()["ok"]


def test_setup_without_a_working_store_is_refused(site: Site) -> None:
    """Disclosures in a locked bucket could never be erased."""
    done = site.project.tfaudit("setup", "--yes", "--ledger", site.ledger, code=78)
    assert "--working" in one_line(done.stderr)
    assert not (site.project.folder / "tfaudit.toml").exists()


def test_setup_with_a_working_store_that_locks_is_refused(site: Site) -> None:
    """A default retention there is as bad."""
    bucket(site, "evidence", lock=True)
    bucket(site, "working", lock=True)
    default_retention(site, "working")
    assert "locks by default" in one_line(site.setup(code=78))


@pytest.mark.parametrize(("made", "message"), [(None, "there is no bucket"), (False, "has no Object Lock")])
def test_setup_in_an_unfit_bucket_is_refused(site: Site, made: bool | None, message: str) -> None:
    """One that is not there, or has no lock; nothing is left behind."""
    if made is not None:
        bucket(site, "evidence", lock=made)
    bucket(site, "working", lock=False)
    assert message in one_line(site.setup(code=78))
    assert not (site.project.folder / ".tfaudit").exists()
    assert site.client.list_objects_v2(Bucket=f"{site.name}-working").get("KeyCount") == 0


def test_setup_with_stores_in_each_other_is_refused(site: Site) -> None:
    """One prefix must not hold the other."""
    bucket(site, "evidence", lock=True)
    named = ("--ledger", f"s3://{site.name}-evidence/a", "--working", f"s3://{site.name}-evidence/a/b")
    assert "overlap" in one_line(site.project.tfaudit("setup", "--yes", *named, code=78).stderr)


# --- the whole story --------------------------------------------------------------------------------------------------


def test_a_story_in_buckets(ready: Site) -> None:
    """Plan, apply, recover, sequence, log, history, inspect, export, verify and doctor do as with a folder."""
    run = ready.project.tfaudit
    run("plan", "-out", "saved")
    run("apply", "saved")
    ready.project.write(TWO)
    run("--reason", "more", "apply", "-auto-approve")
    run("recover")
    run("sequence")
    entries = ready.log()
    assert [entry["kind"] for entry in entries] == ["plan", "intent", "outcome", "intent", "outcome"]
    for entry in entries:
        schema.validate("log-entry.v1", entry)
        name = f"acme/infra/{entry['key']}"
        head = ready.client.head_object(Bucket=f"{ready.name}-evidence", Key=name)
        assert entry["version_id"] == head["VersionId"]
        assert entry["retain_until"] == f"{head['ObjectLockRetainUntilDate']:%Y-%m-%dT%H:%M:%S}.000Z"
        assert entry["actor"]["principal"]
    assert "x" in run("history", "terraform_data.one").stdout
    assert entries[-1]["run_id"] in run("inspect", entries[-1]["run_id"]).stdout
    assert len(run("export", "--format", "jsonl", "-o", "-").stdout.splitlines()) == 2
    report = ready.verified()
    assert report["ok"] is True
    assert report["findings"] == []
    assert report["records"] == 5
    checks = [json.loads(line) for line in run("doctor", "--json").stdout.splitlines()]
    assert {check["check"] for check in checks} >= {"bucket", "retention", "policy", "working", "ledger", "clock"}
    assert [check["check"] for check in checks if check["result"] != "ok"] == ["policy"]
    assert all(check["hint"] for check in checks if check["result"] != "ok")
    found = {check["check"]: check for check in checks}
    assert "no key in KMS" in found["kms"]["message"]
    assert "DenyDelete" in found["policy"]["hint"]
    later = [json.loads(line) for line in run("doctor", "--json", "--expires-within", "36500").stdout.splitlines()]
    (expiry,) = (check for check in later if check["check"] == "expiry")
    assert expiry["result"] == "warning"
    assert "retain extend" in expiry["hint"]


def test_doctor_tries_the_keys_in_kms(ready: Site) -> None:
    """An object is written under the configured key and read back by a request of its own."""
    file = ready.project.folder / "tfaudit.toml"
    file.write_text(f'{file.read_text()}\n[s3]\nkms_key_id = "alias/ledger"\n')
    checks = [json.loads(line) for line in ready.project.tfaudit("doctor", "--json").stdout.splitlines()]
    (kms,) = (check for check in checks if check["check"] == "kms")
    assert (kms["result"], kms["message"]) == ("ok", "encrypted and decrypted an object")


def test_a_sequencer_commits_what_others_stage(ready: Site) -> None:
    """Without the log's key a role only stages, and shows it so; the holder of the key commits."""
    file = ready.project.folder / "tfaudit.toml"
    whole = file.read_text()
    file.write_text("\n".join(line for line in whole.splitlines() if not line.startswith("log = ")))
    ready.project.tfaudit("apply", "-auto-approve")
    assert {entry["place"] for entry in ready.log()} == {"staged"}
    file.write_text(whole)
    assert "committed 2" in ready.project.tfaudit("sequence").stdout
    assert {entry["place"] for entry in ready.log()} == {"log"}
    assert ready.verified()["ok"] is True


def test_a_default_retention_of_the_bucket_will_do(site: Site) -> None:
    """Where no rule is set the bucket's own locks everything."""
    bucket(site, "evidence", lock=True)
    default_retention(site, "evidence")
    bucket(site, "working", lock=False)
    site.setup()
    site.project.tfaudit("apply", "-auto-approve")
    for entry in site.log():
        assert entry["retain_until"] is not None
    assert site.verified()["ok"] is True


def test_what_is_done_to_a_bucket_is_reported(ready: Site) -> None:
    """Markers and new versions: verify tells of each, every reader goes on to see the first version."""
    ready.project.tfaudit("apply", "-auto-approve")
    before = ready.log()
    names = [f"acme/infra/{entry['key']}" for entry in before]
    ready.client.delete_object(Bucket=f"{ready.name}-evidence", Key=names[0])
    ready.client.put_object(Bucket=f"{ready.name}-evidence", Key=names[1], Body=b"forged", ChecksumAlgorithm="SHA256")
    ready.client.delete_object(Bucket=f"{ready.name}-evidence", Key="acme/infra/commits/0000000000000001")
    ready.client.delete_object(Bucket=f"{ready.name}-evidence", Key="acme/infra/genesis.json")
    assert ready.log() == before
    ready.project.write(TWO)
    ready.project.tfaudit("apply", "-auto-approve")
    report = ready.verified()
    assert report["ok"] is False
    assert report["records"] == 4
    assert sorted((one["code"], one["where"]) for one in report["findings"]) == [
        ("deleted", "commits/0000000000000001"),
        ("deleted", "genesis.json"),
        ("deleted", before[0]["key"]),
        ("overwritten", before[1]["key"]),
    ]


# --- failing closed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "code", "message"),
    [
        ("cut", 74, "can't be reached"),
        ("403 AccessDenied", 74, "AccessDenied"),
        ("400 ExpiredToken", 74, "ExpiredToken"),
        ("403 InvalidAccessKeyId", 74, "renew the AWS credentials"),
        ("404 NoSuchBucket", 78, "there is no bucket"),
        ("301 PermanentRedirect", 78, "region"),
        ("501 NotImplemented", 78, "lacks what a ledger needs"),
    ],
)
def test_nothing_is_applied_without_the_ledger(
    ready: Site, between: Proxy, verdict: str, code: int, message: str
) -> None:
    """One clear line, the exit code of its kind, and no change."""
    between.judge = lambda _method, _path: verdict
    done = ready.project.tfaudit("apply", "-auto-approve", code=code)
    assert message in one_line(done.stderr)
    assert ready.state() == []


@pytest.mark.parametrize("what", ["records/", "commits/", "disclosures/"])
def test_nothing_is_applied_when_one_write_is_refused(ready: Site, between: Proxy, what: str) -> None:
    """Whichever of the three objects of an intent can't be written."""
    between.judge = lambda method, path: "403 AccessDenied" if method == "PUT" and what in path else None
    done = ready.project.tfaudit("apply", "-auto-approve", code=74)
    assert "s3:PutObject" in one_line(done.stderr)
    assert ready.state() == []


def test_nothing_is_applied_without_credentials(ready: Site) -> None:
    """No keys anywhere: said in one line."""
    del ready.project.environment["AWS_ACCESS_KEY_ID"], ready.project.environment["AWS_SECRET_ACCESS_KEY"]
    ready.project.environment["AWS_EC2_METADATA_DISABLED"] = "true"
    done = ready.project.tfaudit("apply", "-auto-approve", code=74)
    assert "there are no AWS credentials" in one_line(done.stderr)
    assert ready.state() == []


def test_an_unknown_profile_is_a_mistake_in_the_configuration(ready: Site) -> None:
    """78, and its name."""
    ready.project.environment["TFAUDIT_S3_PROFILE"] = "nobody"
    done = ready.project.tfaudit("apply", "-auto-approve", code=78)
    assert "nobody" in one_line(done.stderr)


def test_without_a_working_store_nothing_is_applied(ready: Site) -> None:
    """A job that would leave its disclosures on its own disk stops; readers need none."""
    file = ready.project.folder / "tfaudit.toml"
    file.write_text("\n".join(line for line in file.read_text().splitlines() if not line.startswith("working = ")))
    done = ready.project.tfaudit("apply", "-auto-approve", code=78)
    assert "TFAUDIT_WORKING" in one_line(done.stderr)
    assert json.loads(ready.project.tfaudit("verify", "--json").stdout)["ok"] is True


def test_lost_answers_and_throttling_are_lived_through(ready: Site, between: Proxy) -> None:
    """Every third answer is lost or a 503: the apply goes on, and every record is there once."""
    import random

    dice = random.Random(5)
    between.judge = lambda _method, _path: dice.choice([None] * 7 + ["lost", "503 SlowDown", "cut"])
    ready.project.tfaudit("apply", "-auto-approve")
    assert {verdict for _, _, verdict in between.seen} == {None, "lost", "503 SlowDown", "cut"}
    between.judge = lambda _method, _path: None
    assert [entry["kind"] for entry in ready.log()] == ["intent", "outcome"]
    assert ready.verified()["ok"] is True


def test_an_endpoint_that_is_away_for_a_moment_is_waited_for(ready: Site, between: Proxy) -> None:
    """A restart of the endpoint in the middle of the intent costs seconds, no record."""
    left = iter(range(3))
    between.judge = lambda method, _path: "cut" if method == "PUT" and next(left, None) is not None else None
    ready.project.tfaudit("apply", "-auto-approve")
    assert ready.verified()["ok"] is True


def test_an_outcome_that_finds_no_ledger_waits_in_the_spool(ready: Site, between: Proxy) -> None:
    """The endpoint goes away during the apply: 74, the outcome is kept, and the next run sends it."""
    flag = ready.project.folder / "away"
    between.judge = lambda _method, _path: "cut" if flag.exists() else None
    breaking = ONE.replace("}\n", f'  provisioner "local-exec" {{\n    command = "touch {flag}"\n  }}\n}}\n')
    ready.project.write(breaking)
    done = ready.project.tfaudit("apply", "-auto-approve", code=74)
    assert "spool" in done.stderr
    assert ready.state() == ["terraform_data.one"]
    flag.unlink()
    assert [entry["place"] for entry in ready.log()] == ["log", "spool"]
    assert "sent 1 record" in ready.project.tfaudit("plan").stderr
    assert [(entry["kind"], entry["place"]) for entry in ready.log()] == [
        ("intent", "log"),
        ("outcome", "log"),
        ("plan", "log"),
    ]
    assert ready.verified()["ok"] is True


def test_a_run_goes_on_without_the_ledger_where_that_is_allowed(ready: Site, between: Proxy) -> None:
    """``on_ledger_failure = "spool"``: both records wait, and come into the log with the next run."""
    ready.project.tfaudit("plan")
    between.judge = lambda _method, _path: "cut"
    ready.project.environment["TFAUDIT_ON_LEDGER_FAILURE"] = "spool"
    ready.project.tfaudit("apply", "-auto-approve", code=None)
    assert ready.state() == ["terraform_data.one"]
    between.judge = lambda _method, _path: None
    assert "sent 2 records" in ready.project.tfaudit("plan").stderr
    assert [entry["kind"] for entry in ready.log()] == ["plan", "intent", "outcome", "plan"]
    assert ready.verified()["ok"] is True


def test_a_bucket_that_was_emptied_is_noticed(ready: Site, tmp_path: Path) -> None:
    """A store that came back without its objects is no longer this ledger: nothing is applied on it."""
    ready.project.tfaudit("apply", "-auto-approve")
    with support.moto_server(tmp_path / "fresh.log") as fresh:
        ready.endpoint(fresh)
        ready.project.write(TWO)
        done = ready.project.tfaudit("apply", "-auto-approve", code=78)
        assert "there is no bucket" in one_line(done.stderr)
