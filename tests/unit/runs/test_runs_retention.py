"""Runs are held and released, and old events let go, by records that verify goes by."""

from __future__ import annotations

import os
import urllib.request
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tfaudit import config, schema
from tfaudit.errors import ConfigError, InputError, LedgerError
from tfaudit.events import commitment
from tfaudit.events.model import EventLine
from tfaudit.export.view import Filter, View
from tfaudit.ledger import ids
from tfaudit.ledger.verify import verify
from tfaudit.runs import ledgers, retention, setup
from tfaudit.runs.run import World, no_step

DAY = timedelta(days=1)


class Place:
    """A ledger with a clock to turn."""

    def __init__(self, folder, loaded, now):
        self.folder, self.config, self.now = folder, loaded, now
        self.world = World(
            environ={"PATH": "/usr/bin:/bin"},
            cwd=folder,
            clock=lambda: self.now,
            entropy=os.urandom,
            say=lambda _line: None,
            step=no_step,
        )

    def run(self, *, events=2, close=True):
        """Record an intent with its outcome, and return the intent's id."""
        ledger = ledgers.open_ledger(self.config, self.world)
        with ledger.draft("intent") as draft:
            for number in range(events):
                opening = commitment.commit(draft.record_id, f"a.b{number}", None, "/x", b"1", bytes(16), "after")
                line = '{"action":"create","address":"a.b%d","attributes":[{"after":"%s","path":"/x"}],"kind":"note"}'
                draft.add(EventLine((line % (number, opening.digest)).encode(), b"[%b]" % opening.member))
            facts = {"run_id": draft.record_id, "stack": "s", "decision": {"decision": "not-gated", "reasons": []}}
            ledger.append(draft, facts)
            record_id = draft.record_id
        if close:
            with ledger.draft("outcome") as draft:
                ledger.append(draft, {"run_id": record_id, "intent": record_id, "stack": "s"})
        return record_id

    def view(self):
        """Open the view of it as a verb would."""
        return View.open(
            evidence=ledgers.evidence_of(self.config),
            working=ledgers.working_of(self.config),
            genesis_digest=self.config.genesis,
            folder=None,
            time=ids.milliseconds(self.now),
            on_problem=pytest.fail,
        )

    def hold(self, name, *, release=False):
        """Hold a run, or release it."""
        with self.view() as view:
            return retention.hold(self.config, self.world, view, name, release=release)

    def prune(self, before):
        """Let the events from before a time go."""
        retention.resume(self.config)
        with self.view() as view:
            return retention.prune(self.config, self.world, view, before=ids.milliseconds(before))

    def verify(self):
        """Return what verify finds, as (code, severity) pairs, and its report."""
        report = verify(
            ledgers.evidence_of(self.config), ledgers.working_of(self.config), now=ids.milliseconds(self.now)
        )
        # The bucket's objects are not locked here, or they could not be pruned.
        locks = ("lock-weakened", "expires-soon")
        return [(one.code, one.severity) for one in report.findings if one.code not in locks], report

    def path(self, record_id):
        """Return a record's file."""
        return next((self.folder / ".tfaudit/ledger/records").rglob(f"{record_id}.jsonl"))

    def lines(self, record_id):
        """Return how many lines a record has."""
        return len(self.path(record_id).read_bytes().splitlines())

    def cut(self, record_id, lines=1):
        """Leave some lines of a record, as someone with the folder may."""
        path = self.path(record_id)
        content = b"".join(path.read_bytes().splitlines(keepends=True)[:lines])
        path.chmod(0o600)
        path.write_bytes(content)


@pytest.fixture
def place(tmp_path):
    """A ledger in a folder with two closed runs of its first day."""
    made = Place(tmp_path, None, datetime(2020, 1, 1, tzinfo=UTC))
    setup.make(setup.propose(tmp_path, made.world), made.world)
    made.config = config.load(cwd=tmp_path, environ={})
    made.old = [made.run(), made.run()]
    made.now += 100 * DAY
    return made


def test_old_events_go_and_the_log_verifies(place):
    """Line 1 of every record stays, a warning tells of the rest, and the views show what there is."""
    young = place.run()
    size = place.verify()[1].size
    done = place.prune(place.now - DAY)
    assert done.objects == 2
    assert [place.lines(record_id) for record_id in (*place.old, young)] == [1, 1, 3]
    findings, report = place.verify()
    assert (findings, report.ok) == ([("pruned", "warning")], True)
    assert "the events of 2 records from before 2020-04-09" in report.findings[0].message
    assert (report.size, report.events) == (size + 2, 2)
    assert not list((place.folder / ".tfaudit/working/disclosures").glob(f"{place.old[0]}*"))
    with place.view() as view:
        assert next(entry["kind"] for entry in view.log(Filter())) == "retention"
        assert [len(list(view.changes(row))) for row in view.run(place.old[0]).records[:1]] == [0]
        assert [len(list(view.changes(row))) for row in view.run(young).records[:1]] == [2]


def test_the_record_is_of_its_format(place):
    """What is recorded of retention is in the statement's schema, with its actor."""
    place.hold(place.old[0])
    place.prune(place.now)
    place.hold(place.old[0], release=True)
    reader = ledgers.open_reader(place.config)
    said = []
    for entry in reader.in_order():
        if entry.line.kind == "retention":
            statement = reader.record(entry.line)
            document = {
                "_type": "https://in-toto.io/Statement/v1",
                "predicateType": "urn:tfaudit:record:v1",
                "subject": [{"name": "events", "digest": {"sha256": statement.event_root.hex()}}],
                "predicate": statement.predicate,
            }
            schema.validate("record-statement.v1", document)
            said.append(statement.predicate["retention"]["action"])
    assert said == ["hold", "prune", "release"]


def test_a_held_run_stays_whole(place):
    """Prune passes by what is held, until it is released."""
    place.hold(place.old[0][:20])
    assert place.prune(place.now).objects == 1
    assert [place.lines(record_id) for record_id in place.old] == [3, 1]
    place.hold(place.old[0], release=True)
    assert place.prune(place.now).objects == 1
    assert [place.lines(record_id) for record_id in place.old] == [1, 1]
    assert place.verify()[0] == [("pruned", "warning")] * 2


def test_an_open_run_stays_whole(place):
    """A run whose end nobody recorded is yet to be closed, and needs its events for that."""
    record_id = place.run(close=False)
    place.now += 10 * DAY
    place.prune(place.now)
    assert place.lines(record_id) == 3


def test_events_that_no_record_lets_go_are_missed(place):
    """Whoever cuts a record by hand is found out, unless a prune from later on covers it."""
    place.cut(place.old[0])
    assert place.verify()[0] == [("altered-events", "error")]


def test_a_prune_covers_no_more_than_it_says(place):
    """Younger and later records, held ones, and those that lost a part of their events are errors as ever."""
    place.hold(place.old[1])
    young = place.run()
    place.prune(place.now - DAY)
    later = place.run()
    for record_id, lines in ((young, 1), (later, 1), (place.old[1], 1)):
        place.cut(record_id, lines)
    assert sorted(place.verify()[0]) == [("altered-events", "error")] * 3 + [("pruned", "warning")]


def test_half_of_the_events_are_not_pruned(place):
    """A record whose events are there in part is altered, whatever a prune says."""
    place.prune(place.now)
    with place.path(place.old[0]).open("rb") as file:
        first = file.readline()
    place.path(place.old[0]).chmod(0o600)
    place.path(place.old[0]).write_bytes(first + b'{"kind":"note"}\n')
    assert ("altered-events", "error") in place.verify()[0]


def test_a_prune_of_what_is_yet_to_come_says_nothing(place):
    """A record that lets future events go, from whoever made it, is no excuse for anything."""
    ledger = ledgers.open_ledger(place.config, place.world)
    with ledger.draft("retention") as draft:
        ledger.append(draft, {"retention": {"action": "prune", "before": "2030-01-01T00:00:00.000Z"}})
    place.cut(place.old[0])
    assert place.verify()[0] == [("altered-events", "error")]


def test_a_prune_that_was_cut_off_goes_on(place):
    """What an earlier prune left is removed by the next."""
    place.prune(place.now - DAY)
    place.prune(place.now - DAY)
    assert place.verify()[0] == [("pruned", "warning")]


@pytest.mark.parametrize("days", [400, None])
def test_recent_events_are_never_pruned(place, days):
    """What the configured retention keeps, or is yet to come, can't be let go."""
    if days is not None:
        place.config = config.load(cwd=place.folder, environ={"TFAUDIT_RETENTION_DAYS": str(days)})
    before = place.now - DAY if days else place.now + DAY
    with pytest.raises(ConfigError):
        place.prune(before)
    assert place.lines(place.old[0]) == 3


def test_a_folder_has_no_locks_to_extend(place):
    """Only a bucket's objects have locks."""
    with pytest.raises(ConfigError, match="locks nothing"):
        retention.extend(place.config, place.world, days=1)


def test_an_unknown_run_is_not_held(place):
    """A run that is not there is told by name, and nothing is recorded."""
    with pytest.raises(InputError, match="no run or record"):
        place.hold("0000")


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """A ledger in a moto bucket with two closed runs, and its client."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    # moto keeps what an earlier server of this process held.
    urllib.request.urlopen(urllib.request.Request(f"{address}/moto-api/reset", method="POST")).close()
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="evidence", ObjectLockEnabledForBucket=True)
    client.create_bucket(Bucket="working")
    made = Place(tmp_path, None, datetime.now(UTC))
    plan = setup.propose(tmp_path, made.world, ledger="s3://evidence/a", working="s3://working/a")
    setup.make(plan, made.world)
    made.config = config.load(cwd=tmp_path, environ={})
    made.old = [made.run(), made.run()]
    # Record ids have the store's time: past its next second they are old.
    made.now = datetime.now(UTC) + timedelta(seconds=5)
    made.s3 = client
    yield made
    server.stop()


def head(place, record_id):
    """Return what S3 says of a record's object."""
    key = next(
        one["Key"]
        for one in place.s3.list_objects_v2(Bucket="evidence")["Contents"]
        if one["Key"].endswith(f"{record_id}.jsonl")
    )
    return place.s3.head_object(Bucket="evidence", Key=key)


def test_a_bucket_holds_releases_and_prunes(bucket):
    """A legal hold is on each object of a held run; pruned objects are exchanged for their first lines."""
    held, free = bucket.old
    bucket.hold(held)
    assert head(bucket, held)["ObjectLockLegalHoldStatus"] == "ON"
    before = head(bucket, free)["ContentLength"]
    assert bucket.prune(bucket.now).objects == 1
    assert head(bucket, free)["ContentLength"] < before
    assert bucket.verify()[0] == [("pruned", "warning")]
    bucket.hold(held, release=True)
    assert head(bucket, held)["ObjectLockLegalHoldStatus"] == "OFF"


def test_a_bucket_extends_every_lock(bucket):
    """All objects are locked for as long as was asked, and none for shorter than before."""
    present = [
        one["Key"] for one in bucket.s3.list_objects_v2(Bucket="evidence")["Contents"] if "probe/" not in one["Key"]
    ]
    done = retention.extend(bucket.config, bucket.world, days=30)
    # Genesis was locked for longer from the start.
    assert done.objects == len(present) - 1
    until = head(bucket, bucket.old[0])["ObjectLockRetainUntilDate"]
    assert timedelta(days=29) < until - bucket.now <= timedelta(days=30)
    assert retention.extend(bucket.config, bucket.world, days=10).objects <= 3
    assert head(bucket, bucket.old[0])["ObjectLockRetainUntilDate"] == until


def test_what_is_locked_is_not_pruned(bucket):
    """While its lock is on, an object stays whole, and the prune goes on with the others."""
    retention.extend(bucket.config, bucket.world, days=30)
    assert bucket.prune(bucket.now).objects == 0
    assert bucket.verify()[0] == []


def test_a_prune_cut_off_in_a_bucket_is_finished(bucket, monkeypatch):
    """A crash between the removal of an object and the return of its first line loses nothing."""
    from tfaudit.ledger.s3_evidence import EvidenceBucket

    create = EvidenceBucket.create

    def crash(store, key, line, tail=None):
        if tail is None and key.startswith("records/"):
            raise LedgerError("the process ends here")
        return create(store, key, line, tail)

    with monkeypatch.context() as patch:
        patch.setattr(EvidenceBucket, "create", crash)
        with pytest.raises(LedgerError, match="ends here"):
            bucket.prune(bucket.now)
    assert ("phantom-leaf", "error") in bucket.verify()[0]
    bucket.prune(bucket.now)
    assert {code for code, _ in bucket.verify()[0]} == {"pruned"}
