"""Which requests does a bucket's store make, and what does it take the answers for?"""

from __future__ import annotations

import base64
import hashlib
import io
import pickle
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ledgerkit import ORIGIN, Place, add, make
from s3sim import START, Client, Faults, Meta, SimulatedBucket, Version, World

from tfaudit.config import Retention, S3Settings
from tfaudit.errors import ConfigError, LedgerError
from tfaudit.ledger import genesis, ids, s3_locking, s3_working
from tfaudit.ledger.log import Ledger, create_ledger
from tfaudit.ledger.s3 import Bucket, Time, UnfitStoreError, place
from tfaudit.ledger.s3_evidence import EvidenceBucket
from tfaudit.ledger.s3_start import read_ahead
from tfaudit.ledger.s3_working import WorkingBucket
from tfaudit.ledger.store import Entry, Listing, read
from tfaudit.ledger.verify import verify

QUIET = Faults()
RULE = Retention(mode="COMPLIANCE", days=400)
KEY = "records/ci/2026/03/01/10/019ca8f2-a441-732f-8b12-24083fd22f89.jsonl"


@pytest.fixture
def world() -> World:
    """Give an S3 that answers at once."""
    return World(1, latency=False)


def evidence(world: World, rule: Retention | None = RULE, faults: Faults = QUIET) -> EvidenceBucket:
    """Return an evidence store as a new process has it."""
    return EvidenceBucket(SimulatedBucket("s3://evidence/a/b", world, faults), rule)


def working(world: World, faults: Faults = QUIET) -> WorkingBucket:
    """Return a working store as a new process has it."""
    return WorkingBucket(SimulatedBucket("s3://working/a/b", world, faults))


def last(world: World, operation: str) -> dict[str, Any]:
    """Return the parameters of the last request of a kind."""
    return next(parameters for name, parameters in reversed(world.log) if name == operation)


# --- creating ---------------------------------------------------------------------------------------------------------


def test_a_create_is_conditional_checked_and_locked(world: World) -> None:
    """It carries the condition, SHA-256 with its algorithm, and the lock's mode and date together."""
    assert evidence(world).create(KEY, b"head\n", io.BytesIO(b"tail\n"))
    sent = last(world, "put_object")
    assert (sent["Key"], sent["Body"], sent["ContentLength"]) == (f"a/b/{KEY}", b"head\ntail\n", 10)
    assert sent["IfNoneMatch"] == "*"
    assert sent["ChecksumAlgorithm"] == "SHA256"
    assert sent["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"head\ntail\n").digest()).decode()
    assert sent["ObjectLockMode"] == "COMPLIANCE"
    assert timedelta(days=400) - (sent["ObjectLockRetainUntilDate"] - START) < timedelta(minutes=1)
    assert "SSEKMSKeyId" not in sent


def test_without_a_retention_the_lock_is_the_buckets_own(world: World) -> None:
    """Neither mode nor date is sent, and the bucket is asked once whether it has Object Lock at all."""
    store = evidence(world, None)
    assert store.create(KEY, b"x")
    assert store.create(f"{KEY}2", b"x")
    assert not {"ObjectLockMode", "ObjectLockRetainUntilDate"} & last(world, "put_object").keys()
    assert world.requests["get_object_lock_configuration"] == 1


def test_objects_are_encrypted_with_the_kms_key(world: World) -> None:
    """Both stores name the key that is configured."""
    bucket = SimulatedBucket("s3://evidence/a", world)
    bucket.settings = S3Settings(kms_key_id="alias/ledger")
    for store in (EvidenceBucket(bucket, RULE), WorkingBucket(bucket)):
        assert store.create(f"x/{type(store).__name__}", b"x")
        sent = last(world, "put_object")
        assert (sent["ServerSideEncryption"], sent["SSEKMSKeyId"], sent["BucketKeyEnabled"]) == (
            "aws:kms",
            "alias/ledger",
            True,
        )


@pytest.mark.parametrize("make_store", [evidence, working])
def test_what_is_there_is_not_overwritten(world: World, make_store: Any) -> None:
    """A second create says False and writes nothing."""
    assert make_store(world).create(KEY, b"first")
    assert not make_store(world).create(KEY, b"second")
    assert read(make_store(world), KEY, limit=10) == b"first"


@pytest.mark.parametrize("make_store", [evidence, working])
def test_a_conflict_is_no_failure(world: World, make_store: Any) -> None:
    """409 means that another create is going on: False, and nothing was written."""
    store = make_store(world, faults=Faults(conflict=1.0))
    assert not store.create(KEY, b"x")
    assert world.objects.get(f"evidence/a/b/{KEY}", []) == []


@pytest.mark.parametrize("make_store", [evidence, working])
def test_an_own_put_whose_answer_was_lost_is_recognised(world: World, make_store: Any) -> None:
    """The SDK's second try meets the first one's object: the same bytes, so it is ours, and True."""
    chances = iter([1.0])
    store = make_store(world)
    store.bucket._make = lambda: _Flaky(world, lambda: Faults(unanswered=next(chances, 0.0)))
    assert store.create(KEY, b"head\n", io.BytesIO(b"tail\n"))
    assert len([1 for name, _ in world.log if name == "put_object"]) == 2


class _Flaky(Client):
    """A client whose faults differ from try to try."""

    def __init__(self, world: World, each: Any) -> None:
        super().__init__(world)
        self._each = each

    def _try(self, operation: str, effect: Any, parameters: dict[str, Any]) -> dict[str, Any]:
        self.faults = self._each() if operation == "put_object" else Faults()
        return super()._try(operation, effect, parameters)


def test_another_object_is_not_taken_for_an_own_one(world: World) -> None:
    """After a lost answer other bytes at the key are another's."""
    evidence(world).create(KEY, b"another's")
    store = evidence(world)
    chances = iter([1.0])
    store.bucket._make = lambda: _Flaky(world, lambda: Faults(lost=next(chances, 0.0)))
    assert not store.create(KEY, b"ours")


def test_without_any_answer_the_store_failed(world: World) -> None:
    """Tries that all time out raise, with the place in the message."""
    with pytest.raises(LedgerError, match="s3://evidence/a/b can't be reached"):
        evidence(world, faults=Faults(lost=1.0)).create(KEY, b"x")


def test_a_bucket_without_versions_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A put that is answered without a version id is no evidence."""
    monkeypatch.setattr(world, "version_id", lambda: "null")
    with pytest.raises(UnfitStoreError, match="keeps no versions") as caught:
        evidence(world).create(KEY, b"x")
    assert caught.value.exit_code == 78


def test_a_store_that_does_not_know_the_condition_is_refused(world: World) -> None:
    """Where it is not AWS, the first write is tried again: it must be refused."""
    store = evidence(world)
    store.bucket._make = lambda: _Lax(world, meta=Meta(endpoint_url="http://127.0.0.1:9000"))
    with pytest.raises(UnfitStoreError, match="written twice"):
        store.create(KEY, b"x")
    assert read(evidence(world), KEY, limit=10) == b"x"


class _Lax(Client):
    """A store that takes no notice of the condition."""

    def _try(self, operation: str, effect: Any, parameters: dict[str, Any]) -> dict[str, Any]:
        parameters.pop("IfNoneMatch", None)
        return super()._try(operation, effect, parameters)


def test_a_probe_is_locked_for_minutes_only(world: World) -> None:
    """Whatever the retention, and never in COMPLIANCE mode."""
    evidence(world).create("probe/1", b"x")
    sent = last(world, "put_object")
    assert sent["ObjectLockMode"] == "GOVERNANCE"
    assert sent["ObjectLockRetainUntilDate"] - START <= timedelta(minutes=3)


# --- reading ----------------------------------------------------------------------------------------------------------


def put(world: World, key: str, *contents: bytes | None) -> None:
    """Put versions on top of each other as an attacker would; None is a delete marker."""
    held = world.objects.setdefault(f"evidence/a/b/{key}", [])
    held += [Version(world.version_id(), content, world.clock()) for content in contents]


@pytest.mark.parametrize(
    "versions",
    [(b"first",), (b"first", b"second"), (b"first", None), (b"first", None, b"second"), (None, b"first", b"second")],
)
@pytest.mark.parametrize("key", [KEY, ids.commit_key(0), ids.commit_key(300), ids.GENESIS_KEY])
def test_readers_see_the_first_version(world: World, key: str, versions: tuple[bytes | None, ...]) -> None:
    """Whatever was put on top, overwritten or marked as deleted."""
    put(world, key, *versions)
    assert read(evidence(world), key, limit=100) == b"first"
    assert [*evidence(world).list(key.rpartition("/")[0] + "/" if "/" in key else "")] == [Entry(key, 5)]


def test_the_first_version_is_seen_behind_a_thousand_others(world: World) -> None:
    """Versions are listed to the last page."""
    put(world, ids.commit_key(0), b"first", *[b"x"] * 2_500)
    put(world, ids.commit_key(1), b"next")
    assert read(evidence(world), ids.commit_key(0), limit=100) == b"first"
    assert [*evidence(world).list(ids.COMMITS)] == [Entry(ids.commit_key(0), 5), Entry(ids.commit_key(1), 4)]


def test_what_is_not_there_is_none(world: World) -> None:
    """No object, or nothing but a marker, is None."""
    put(world, KEY, None)
    assert evidence(world).open(KEY) is None
    assert evidence(world).open(ids.commit_key(7)) is None
    assert working(world).open(KEY) is None


def test_what_others_write_is_seen_at_once(world: World) -> None:
    """A store that found nothing finds what was created since."""
    store = evidence(world)
    for number in range(5):
        assert store.open(ids.commit_key(number)) is None
        evidence(world).create(ids.commit_key(number), b"%d" % number)
        assert read(store, ids.commit_key(number), limit=9) == b"%d" % number


def test_reading_again_costs_nothing(world: World) -> None:
    """Versions never change, so what was read is kept."""
    put(world, ids.commit_key(0), b"first")
    store = evidence(world)
    read(store, ids.commit_key(0), limit=9)
    before = len(world.log)
    assert read(store, ids.commit_key(0), limit=9) == b"first"
    assert len(world.log) == before


@pytest.mark.parametrize("size", [0, 1, 5_000, 300_000, 3_000_000])
def test_large_and_empty_objects_come_whole(world: World, size: int) -> None:
    """Streams of any size, with and without a limit, in both stores."""
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    for store in (evidence(world), working(world)):
        assert store.create(f"x/{size}", content[:10], io.BytesIO(content[10:]))
        for limit in (None, 1, 1000, 2_000_000, size + 1):
            found = store.open(f"x/{size}", limit=limit)
            assert found is not None
            with found:
                wanted = content if limit is None else content[:limit]
                assert found.read(-1 if limit is None else limit) == wanted


def test_a_broken_stream_is_taken_up_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that breaks in the middle is opened again at that byte."""
    content = bytes(range(256)) * 8_000
    store = evidence(world)
    store.create("x/1", content)
    breaks = iter([True, False, True, False, False, False, False, False, False])

    def broken(self: io.BytesIO, size: int = -1) -> bytes:
        if next(breaks, False):
            raise OSError("reset")
        return io.BytesIO.read(self, min(size, 500_000))

    monkeypatch.setattr("s3sim._Body.read", broken, raising=False)
    found = evidence(world).open("x/1")
    assert found is not None
    with found:
        assert found.read() == content


def test_listing_takes_up_after_a_key(world: World) -> None:
    """After a commit, after what is no object, and folder by folder."""
    for number in range(5):
        put(world, ids.commit_key(number), b"x")
    put(world, KEY, b"record")
    put(world, "records/people/2026/03/01/10/x", b"y")
    store = evidence(world)
    assert [entry.key for entry in store.list(ids.COMMITS, after=ids.commit_key(2))] == [
        ids.commit_key(3),
        ids.commit_key(4),
    ]
    assert [*store.list("records/ci/", after="records/ci/2026/03/01/10/01")] == [Entry(KEY, 6)]
    assert [*store.list("records/ci/", after=KEY)] == []
    assert [*store.list("records/", shallow=True)] == [Entry("records/ci/", None), Entry("records/people/", None)]


def test_many_are_fetched_at_once(world: World) -> None:
    """A fetch learns of neighbours by pages and leaves nothing to ask when they are opened."""
    keys = [f"records/ci/2026/03/01/10/{number:04d}" for number in range(100)]
    for key in keys:
        put(world, key, key.encode())
    store = evidence(world)
    store.fetch(keys, limit=1000)
    assert world.requests["list_object_versions"] < 10
    before = len(world.log)
    assert [read(store, key, limit=1000) for key in keys] == [key.encode() for key in keys]
    assert len(world.log) == before


def test_where_an_object_lies(world: World) -> None:
    """Version id and end of the lock, from the store and, of what was just written, without asking."""
    store = evidence(world)
    store.create(KEY, b"x")
    before = len(world.log)
    written = store.written(KEY)
    assert len(world.log) == before
    assert written is not None
    assert written.retain_until is not None
    assert evidence(world).locate([KEY]) == (written,)
    assert evidence(world).locate(["records/none"])[0] == (None, None)


def test_a_store_that_fails_does_not_tell_that_there_is_no_lock(world: World) -> None:
    """An object without a lock is an error to S3; one that is no answer to the question is not taken for it."""
    store = evidence(world, None)
    assert store.create(KEY, b"x")
    assert store.shows_locks(KEY)
    version = world.objects[f"evidence/a/b/{KEY}"][0].id
    failing = SimulatedBucket("s3://evidence/a/b", world, Faults(throttled=1.0))
    with pytest.raises(LedgerError, match="SlowDown"):
        s3_locking.may_see(failing, KEY, version)


def test_a_store_goes_to_another_process(world: World) -> None:
    """Pickled, it is the place and the rule; connections are made anew."""
    store = pickle.loads(pickle.dumps(EvidenceBucket(Bucket("s3://evidence/a/b/", S3Settings(region="x")), RULE)))
    assert (str(store), store.retention, store.bucket.settings.region) == ("s3://evidence/a/b", RULE, "x")
    assert str(pickle.loads(pickle.dumps(WorkingBucket(Bucket("s3://working", S3Settings()))))) == "s3://working"


def test_a_token_that_is_not_there_is_a_failure_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """A web identity's token comes from a file; where that is missing, one line says so, as for other credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token")
    bucket = Bucket("s3://evidence/a", S3Settings(region="eu-west-1", endpoint_url="http://127.0.0.1:9"))
    with pytest.raises(LedgerError, match=r"credentials .* can't be had: .*/nonexistent/token"):
        bucket.call("head_object", Key="x")


# --- the working store ------------------------------------------------------------------------------------------------


def test_what_is_erased_is_gone_in_all_versions(world: World) -> None:
    """Removing, and replacing for good, leave no earlier version in a bucket that keeps them."""
    store = working(world)
    store.create("disclosures/x", b"secret")
    store.replace("disclosures/x", b"less", forget=True)
    store.create("disclosures/xy", b"another")
    assert [one.content for one in world.objects["working/a/b/disclosures/x"]] == [b"less"]
    store.remove("disclosures/x")
    assert world.objects["working/a/b/disclosures/x"] == []
    assert read(store, "disclosures/xy", limit=10) == b"another"


def test_a_derived_object_is_put_with_one_request(world: World) -> None:
    """Nobody needs its old versions gone."""
    store = working(world)
    store.replace("head", b"1")
    store.replace("head", b"2")
    assert len(world.log) == 2
    assert read(store, "head", limit=10) == b"2"


def test_what_was_fetched_is_given_once(world: World) -> None:
    """A working object may change, so that only the next open takes what was read ahead."""
    store = working(world)
    store.replace("a", b"old")
    store.fetch(["a", "b"], limit=100)
    working(world).replace("a", b"new")
    assert read(store, "a", limit=10) == b"old"
    assert read(store, "a", limit=10) == b"new"
    assert read(store, "b", limit=10) is None


# --- appending --------------------------------------------------------------------------------------------------------


def started(world: World, folder: Path) -> Place:
    """Return the keys of a ledger that was just made."""
    keys = make(folder)
    raw = genesis.create(origin=ORIGIN, keys=keys.keys(), nonce=bytes(32), time=ids.milliseconds(START))
    create_ledger(evidence(world), raw)
    return keys


def opened(keys: Place, world: World, **changes: object) -> Ledger:
    """Open the ledger as one process does."""
    values: dict[str, object] = {"evidence": evidence(world), "working": working(world), "clock": world.clock}
    return keys.open(**{**values, **changes})


def test_a_record_costs_at_most_eight_requests(world: World, tmp_path: Path) -> None:
    """When nobody competes, and a start some more, both however long the log is."""
    keys = started(world, tmp_path / "k")
    for length in (0, 1, 2, 40):
        for _ in range(length):
            add(opened(keys, world), state={"key": "ab" * 32})
        before = len(world.log)
        ledger = opened(keys, world)
        add(ledger, state={"key": "ab" * 32})
        assert len(world.log) - before <= 15
        for _ in range(3):
            before = len(world.log)
            add(ledger, state={"key": "ab" * 32})
            assert len(world.log) - before <= 8


def test_a_commit_that_went_on_top_of_anothers_is_noticed(world: World, tmp_path: Path) -> None:
    """A marker over another's commit lets our own pass: we find out before we build on it."""
    keys = started(world, tmp_path / "k")

    def race(step: str) -> None:
        if step == "committing" and f"evidence/a/b/{ids.commit_key(1)}" not in world.objects:
            put(world, ids.commit_key(1), b"another's", None)

    ledger = opened(keys, world)
    add(ledger)
    ledger = opened(keys, world, step=race)
    add(ledger)
    with pytest.raises(LedgerError, match="commit 1 was in the ledger and is gone or altered"):
        add(ledger)
    assert add(opened(keys, world)).commit == 2


def test_verify_sees_markers_overwrites_and_weak_locks(world: World, tmp_path: Path) -> None:
    """What was done to a bucket is told, and the log is read as it was."""
    keys = started(world, tmp_path / "k")
    ledger = opened(keys, world)
    receipts = [add(ledger) for _ in range(4)]
    put(world, receipts[0].key, None)
    put(world, receipts[1].key, b"forged")
    put(world, ids.commit_key(2), None, b"forged")
    world.objects[f"evidence/a/b/{receipts[3].key}"][0].mode = None
    world.objects[f"evidence/a/b/{receipts[3].key}"][0].until = None
    report = verify(evidence(world), None, now=ids.milliseconds(world.clock()), processes=1)
    assert report.records == 4
    assert sorted((finding.code, finding.where) for finding in report.findings) == sorted(
        [
            ("deleted", receipts[0].key),
            ("overwritten", receipts[1].key),
            ("deleted", ids.commit_key(2)),
            ("overwritten", ids.commit_key(2)),
            ("lock-weakened", receipts[3].key),
        ]
    )


def test_receipts_say_where_the_record_lies(world: World, tmp_path: Path) -> None:
    """The version's id and the end of its lock."""
    keys = started(world, tmp_path / "k")
    receipt = add(opened(keys, world))
    assert (receipt.version_id, receipt.retain_until) == evidence(world).locate([receipt.key])[0]
    assert receipt.version_id is not None


# --- time and places --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "difference"), [(0.0, 0.0), (0.9, 0.0), (-0.9, 0.0), (3600.0, 3600.0), (-7.5, -7.5), (400.25, 400.25)]
)
def test_the_stores_time_is_learnt_from_its_answers(ahead: float, difference: float) -> None:
    """This machine's clock counts unless it can't be right; then the store's does, to a second."""
    now = 1_800_000_000.4
    time = Time(lambda: now)
    for step in range(5):
        now += 0.37
        from email.utils import formatdate

        time.learn(formatdate(int(now + ahead), usegmt=True), sent=now - 0.03)
        assert time.known
        assert abs(time.difference - difference) <= 1.05, step


@pytest.mark.parametrize("text", [None, "", "yesterday", "Tue, 99 Foo 2026"])
def test_an_unreadable_date_teaches_nothing(text: str | None) -> None:
    """The machine's own clock goes on to count."""
    time = Time(lambda: 0.0)
    time.learn(text, sent=0.0)
    assert (time.known, time.difference) == (False, 0.0)


@pytest.mark.parametrize(
    ("text", "bucket", "prefix"),
    [("s3://bucket", "bucket", ""), ("s3://bucket/", "bucket", ""), ("s3://my.bucket/a//b/", "my.bucket", "a/b/")],
)
def test_a_place_is_a_bucket_and_a_prefix(text: str, bucket: str, prefix: str) -> None:
    """Slashes at the end and in between don't matter."""
    assert place(text) == (bucket, prefix)


@pytest.mark.parametrize("text", ["s3://", "s3://B", "s3:///x", "s3://bucket/../x", "gs://bucket/x", "s3://a b/x"])
def test_what_is_no_place_is_refused(text: str) -> None:
    """With the text in the message."""
    with pytest.raises(ConfigError, match="names no bucket"):
        place(text)


# --- looking ahead ----------------------------------------------------------------------------------------------------

RECORDS = Listing("records/", shallow=True)
OWN = Listing("records/ci/", after="records/ci/2026/03/01/09/")


def listed(world: World) -> int:
    """Return how many listings were asked for so far."""
    return world.requests.get("list_objects_v2", 0) + world.requests.get("list_object_versions", 0)


def names(store: EvidenceBucket, one: Listing) -> list[str]:
    """Return the keys of a listing."""
    return [entry.key for entry in store.list(one.prefix, after=one.after, shallow=one.shallow)]


def test_what_was_looked_at_is_not_asked_for_again(world: World) -> None:
    """Slot and listings are asked for together, and whoever wants them next takes what came, once."""
    store = evidence(world)
    for key in (ids.commit_key(0), KEY):
        store.create(key, b"x")
    assert read(store, ids.commit_key(0), limit=1) == b"x"
    before = listed(world)
    store.look(1, [RECORDS, OWN])
    assert listed(world) == before + 3
    assert read(store, ids.commit_key(1), limit=1) is None
    assert names(store, RECORDS) == ["records/ci/"]
    assert names(store, OWN) == [KEY]
    assert listed(world) == before + 3
    assert names(store, OWN) == [KEY]
    assert listed(world) == before + 4


def test_a_look_lasts_until_something_is_created(world: World) -> None:
    """What was seen before a create of one's own is asked for anew after it."""
    store = evidence(world)
    store.create(KEY, b"x")
    store.look(None, [OWN])
    later = KEY.replace("d22", "d23")
    store.create(later, b"x")
    assert names(store, OWN) == sorted((KEY, later))


def test_another_listing_takes_no_page(world: World) -> None:
    """Only the very listing that was looked at is answered by it."""
    store = evidence(world)
    store.create(KEY, b"x")
    store.look(None, [OWN])
    before = listed(world)
    assert names(store, Listing("records/ci/", after="records/ci/2026/03/01/11/")) == []
    assert listed(world) == before + 1


# --- reading ahead ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 2, 40])
def test_a_start_that_was_read_ahead_asks_for_nothing_more(world: World, tmp_path: Path, length: int) -> None:
    """Genesis, the hint, the last commits and the slot after them are here when the log is opened and read."""
    keys = started(world, tmp_path / "k")
    ledger = opened(keys, world)
    for _ in range(length):
        add(ledger)
    here, there = evidence(world), working(world)
    read_ahead(here, there)
    before = len(world.log)
    assert opened(keys, world, evidence=here, working=there).reader().state.size == 2 * length
    # A log of no or one commit is walked over from its first slot.
    assert len(world.log) - before <= (0 if length > 1 else 3)


def test_what_is_read_ahead_is_the_first_version(world: World) -> None:
    """A version on top is read too, and not taken for the object."""
    put(world, KEY, b"first", b"second")
    store = evidence(world)
    store.expect([KEY])
    assert read(store, KEY, limit=10) == b"first"


def test_a_record_comes_with_the_listing_of_its_versions(world: World) -> None:
    """Both are asked for at once, and nothing more."""
    put(world, KEY, b"first")
    before = len(world.log)
    assert read(evidence(world), KEY, limit=10) == b"first"
    assert sorted(name for name, _ in world.log[before:]) == ["get_object", "list_object_versions"]


def test_a_marker_on_top_hides_nothing_from_reading_ahead(world: World) -> None:
    """The first version is asked for then."""
    put(world, KEY, b"first", None)
    store = evidence(world)
    store.expect([KEY])
    assert read(store, KEY, limit=10) == b"first"


def test_a_failure_to_read_ahead_is_told_to_who_asks(world: World) -> None:
    """They don't wait for it to fail again; the next one asks anew."""
    put(world, KEY, b"first")
    bucket = SimulatedBucket("s3://evidence/a/b", world, Faults(lost=1.0))
    bucket.each = map  # type: ignore[method-assign, assignment]
    store = EvidenceBucket(bucket, RULE)
    store.expect([KEY])
    before = len(world.log)
    with pytest.raises(LedgerError, match="can't be reached"):
        store.open(KEY)
    assert len(world.log) == before


def test_a_hint_that_names_nothing_is_no_harm(world: World, tmp_path: Path) -> None:
    """What it says is looked at and not there."""
    keys = started(world, tmp_path / "k")
    add(opened(keys, world))
    working(world).replace("head", b'{"commit":1000,"size":2000}')
    here, there = evidence(world), working(world)
    read_ahead(here, there)
    assert opened(keys, world, evidence=here, working=there).reader().state.size == 2


class Slow(SimulatedBucket):
    """A bucket whose background work is only done when it is waited for."""

    def submit(self, function: Any) -> Any:
        """Put it off."""
        put_off = Future[Any]()
        self.put_off = put_off
        self.function = function
        return put_off


def test_a_derived_object_is_read_as_it_was_put_last(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for it in this process waits until it is there; nobody else does."""
    bucket = Slow("s3://working/a/b", world)
    store = WorkingBucket(bucket)
    store.replace("head", b"1")
    assert not world.log
    monkeypatch.setattr(s3_working, "wait", lambda _: bucket.put_off.set_result(bucket.function()))
    assert read(store, "head", limit=10) == b"1"
    store.replace("head", b"2")
    store.replace("head", b"3", durable=True)
    assert read(store, "head", limit=10) == b"3"


def test_what_is_to_be_durable_is_there_on_return(world: World) -> None:
    """It is put at once, a failure is told, and the version before stays: not everybody may remove it."""
    store = WorkingBucket(Slow("s3://working/a/b", world))
    store.replace("cursor", b"1", durable=True)
    store.replace("cursor", b"2", durable=True)
    assert [one.content for one in world.objects["working/a/b/cursor"]] == [b"1", b"2"]
    faulty = working(world, Faults(throttled=1.0))
    with pytest.raises(LedgerError):
        faulty.replace("cursor", b"3", durable=True)


def test_who_reads_and_then_appends_looks_once(world: World, tmp_path: Path) -> None:
    """The head that was looked at a moment ago is present enough for a record; a second later it is not."""
    keys = started(world, tmp_path / "k")
    ledger = opened(keys, world)
    add(ledger)

    def asked(pause: float) -> int:
        ledger.reader()
        world.sleep(pause)
        before = len(world.log)
        add(ledger)
        return len(world.log) - before

    assert asked(0) == asked(1) - 1
