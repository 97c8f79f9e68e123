"""``tfaudit migrate``: from a folder to a folder, and to S3 (a moto server)."""

from __future__ import annotations

import json
import urllib.request

import boto3
import pytest
from moto.server import ThreadedMotoServer
from reading import tfaudit

from tfaudit import schema
from tfaudit.cli.main import main

STORY = 76
"""What verify says of the story that is moved: one of its runs records no decision. It must say the same elsewhere."""


@pytest.fixture
def s3(monkeypatch):
    """A moto server with a bucket for evidence and one for disclosures; the environment names it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    # moto keeps what an earlier server of this process held.
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
    client = boto3.client("s3")
    client.create_bucket(Bucket="evidence", ObjectLockEnabledForBucket=True)
    client.create_bucket(Bucket="working")
    yield client
    server.stop()


def on_s3(capfd, *args):
    """Run a verb on the ledger in S3."""
    code = main(["--ledger", "s3://evidence/audit", "--working", "s3://working/audit", *args], shim=None)
    told = capfd.readouterr()
    return code, told.out, told.err


def test_a_folder_moves_to_a_folder(place, capfd, tmp_path):
    """The new place verifies, and the command says what to set."""
    target, working = tmp_path / "new" / "ledger", tmp_path / "new" / "working"
    code, out, _ = tfaudit(place, capfd, "migrate", str(place.folder / "ledger"), str(target))
    assert code == STORY
    assert "16 objects copied" in out
    assert f'ledger = "{target}"' in out
    code, out, _ = tfaudit(
        place, capfd, "migrate", str(place.folder / "ledger"), str(target), "--to-working", str(working), "--json"
    )
    moved = json.loads(out)
    schema.validate("migration.v1", moved)
    assert (code, moved["copied"], moved["there"], moved["report"]["ok"]) == (STORY, 0, 16, False)
    assert moved["disclosures"] > 0


def test_a_folder_moves_to_s3(place, capfd, s3, tmp_path):
    """History, values and proofs are the same in the buckets, and genesis came last."""
    before = tfaudit(place, capfd, "history", "aws_x.web", "--json")[1]
    report = json.loads(tfaudit(place, capfd, "verify", "--json", "--genesis", place.ledger.genesis.digest)[1])
    args = ["migrate", str(place.folder / "ledger"), "s3://evidence/audit", "--to-working", "s3://working/audit"]
    code, out, err = tfaudit(place, capfd, *args)
    assert (code, "16 objects copied" in out) == (STORY, True), err
    place.folder.rename(tmp_path / "gone")
    found = json.loads(on_s3(capfd, "verify", "--json", "--genesis", place.ledger.genesis.digest)[1])
    assert found == report
    after = on_s3(capfd, "history", "aws_x.web", "--json")[1]
    assert after == before
    event_id = json.loads(after.splitlines()[0])["event_id"]
    proof = tmp_path / "proof.json"
    assert on_s3(capfd, "prove", event_id, "-o", str(proof), "--reveal", "/size")[0] == 0
    code, out, _ = on_s3(capfd, "verify-proof", str(proof), "--genesis", place.ledger.genesis.digest)
    assert (code, event_id in out) == (0, True)
    # The bucket's clock tells seconds: others may have come in the last one too.
    stored = {one["Key"]: one["LastModified"] for one in s3.list_objects_v2(Bucket="evidence")["Contents"]}
    assert stored["audit/genesis.json"] == max(stored.values())


def test_a_bucket_moves_to_a_folder_and_to_a_bucket(place, capfd, s3, tmp_path):
    """A copy out of S3, and a restore from a replica: the same objects, and the same word of verify."""
    source, first = str(place.folder / "ledger"), ["s3://evidence/audit", "--to-working", "s3://working/audit"]
    assert tfaudit(place, capfd, "migrate", source, *first)[0] == STORY
    report = json.loads(on_s3(capfd, "verify", "--json")[1])
    again = ["migrate", "s3://evidence/audit"]
    code, out, err = on_s3(capfd, *again, "s3://evidence/new", "--to-working", "s3://working/new")
    assert (code, "16 objects copied" in out) == (STORY, True), err
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket="evidence")["Contents"]]
    moved = {key.removeprefix("audit/") for key in keys if key.startswith("audit/")}
    assert {key.removeprefix("new/") for key in keys if key.startswith("new/")} == moved
    folder = tmp_path / "copy"
    code, out, err = on_s3(capfd, *again, str(folder / "ledger"), "--to-working", str(folder / "working"))
    assert (code, "16 objects copied" in out) == (STORY, True), err
    for key in moved:
        assert (folder / "ledger" / key).read_bytes() == (place.folder / "ledger" / key).read_bytes()
    main(["--ledger", str(folder / "ledger"), "--working", str(folder / "working"), "verify", "--json"], shim=None)
    assert json.loads(capfd.readouterr().out) == report


@pytest.mark.parametrize(
    ("working", "message"),
    [("s3://locking/audit", "locks by default what is put there"), ("s3://evidence/audit/working", "overlap")],
)
def test_a_working_store_that_could_not_be_erased_is_refused(place, capfd, s3, working, message):
    """As setup does: before anything is copied."""
    s3.create_bucket(Bucket="locking", ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}
    s3.put_object_lock_configuration(
        Bucket="locking", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    args = ["migrate", str(place.folder / "ledger"), "s3://evidence/audit", "--to-working", working]
    code, _, err = tfaudit(place, capfd, *args)
    assert (code, message in err) == (78, True), err
    for name in ("evidence", "locking"):
        assert "Contents" not in s3.list_objects_v2(Bucket=name)


def test_what_nothing_locks_is_told(place, capfd, s3, monkeypatch):
    """Without a retention in the configuration or the bucket; with one nothing is said."""
    source = str(place.folder / "ledger")
    told = "nothing locks what was copied"
    assert told in tfaudit(place, capfd, "migrate", source, "s3://evidence/audit")[2]
    monkeypatch.setenv("TFAUDIT_RETENTION_PROFILE", "soc2")
    assert told not in tfaudit(place, capfd, "migrate", source, "s3://evidence/locked")[2]


def test_a_bucket_without_lock_is_refused(place, capfd, s3):
    """Evidence goes into no bucket that can't lock it: 78, and no ledger there."""
    code, _, err = tfaudit(place, capfd, "migrate", str(place.folder / "ledger"), "s3://working/audit")
    assert (code, err.count("\n")) == (78, 1)
    assert "Object Lock" in err


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [("nothing", "new", "no ledger in"), ("ledger", "ledger", "where the ledger is"), ("ledger", "gs://x", "no place")],
)
def test_what_can_not_move_is_told(place, capfd, monkeypatch, source, target, message):
    """A move from nowhere, or to the same or an unknown place, ends in one line and 78."""
    monkeypatch.chdir(place.folder)
    code, _, err = tfaudit(place, capfd, "migrate", source, target)
    assert (code, err.count("\n")) == (78, 1)
    assert message in err


def test_delivery_goes_on_where_it_was(place, capfd, tmp_path):
    """A moved ledger is not delivered once more: cursors move along, a lease does not, a later one is left alone."""
    old, new = place.folder / "working" / "delivery" / "hook", tmp_path / "new" / "working" / "delivery" / "hook"
    (old / "lease").mkdir(parents=True)
    (old / "cursor.json").write_text("{}")
    (old / "lease" / "000000000001.json").write_text("{}")
    move = ["migrate", str(place.folder / "ledger"), str(tmp_path / "new" / "ledger")]
    tfaudit(place, capfd, *move, "--to-working", str(tmp_path / "new" / "working"))
    assert [path.name for path in new.iterdir()] == ["cursor.json"]
    (old / "cursor.json").write_text('{"older":true}')
    tfaudit(place, capfd, *move, "--to-working", str(tmp_path / "new" / "working"))
    assert (new / "cursor.json").read_text() == "{}"
