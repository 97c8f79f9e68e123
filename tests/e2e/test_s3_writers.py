"""Do many processes that write to one bucket at once, or die while they write, leave one sound log?"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from s3proxy import proxy

from tfaudit.config import Retention, S3Settings
from tfaudit.errors import TfauditError
from tfaudit.events.model import EventLine
from tfaudit.ledger import genesis, ids
from tfaudit.ledger.keyset import AcceptedSigner, KeySet
from tfaudit.ledger.log import Ledger, Receipt, create_ledger
from tfaudit.ledger.s3 import Bucket
from tfaudit.ledger.s3_evidence import EvidenceBucket
from tfaudit.ledger.s3_working import WorkingBucket
from tfaudit.ledger.verify import verify
from tfaudit.ledger.verify.report import Report
from tfaudit.signing.note import NoteKey
from tfaudit.signing.signer import create_key_file, open_signer

pytestmark = pytest.mark.xdist_group("aws")
ORIGIN = "ledger.example/many"
EVENT = EventLine(b'{"action":"create","address":"a.b","kind":"resource-change"}', b"")
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Site:
    """A ledger in two buckets, and the keys to it."""

    folder: Path
    name: str
    address: str

    def evidence(self, address: str | None = None, *, wrong: timedelta = timedelta()) -> EvidenceBucket:
        """Return the evidence store as one process has it, whose clock is wrong by so much."""
        settings = S3Settings(endpoint_url=address or self.address, region="eu-west-1")
        rule = Retention(mode="GOVERNANCE", days=400)
        bucket = Bucket(f"s3://{self.name}-evidence/ledger", settings, now=lambda: time.time() + wrong.total_seconds())
        return EvidenceBucket(bucket, rule)

    def open(
        self,
        address: str | None = None,
        *,
        step: Callable[[str], None] = lambda _: None,
        wrong: timedelta = timedelta(),
    ) -> Ledger:
        """Open the ledger as one process does."""
        evidence = self.evidence(address, wrong=wrong)
        return Ledger.open(
            evidence=evidence,
            working=WorkingBucket(Bucket(f"s3://{self.name}-working", evidence.bucket.settings)),
            spool=self.folder / f"spool-{os.getpid()}",
            signer=open_signer(f"file:{self.folder}/record.pem", base=self.folder),
            log_signer=open_signer(f"file:{self.folder}/log.pem", base=self.folder),
            writer="ci",
            genesis_digest=None,
            clock=evidence.clock(lambda: datetime.now(UTC) + wrong),
            entropy=os.urandom,
            step=step,
        )

    def report(self) -> Report:
        """Verify the ledger."""
        evidence = self.evidence()
        working = WorkingBucket(Bucket(f"s3://{self.name}-working", evidence.bucket.settings))
        return verify(evidence, working, now=ids.milliseconds(datetime.now(UTC)), processes=1)


@pytest.fixture
def site(tmp_path: Path, aws_endpoint: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A ledger with nothing in it yet."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    found = Site(tmp_path, f"w{abs(hash(request.node.name)) % 10**12}", aws_endpoint)
    client = found.evidence().bucket.client
    region = {"LocationConstraint": "eu-west-1"}
    client.create_bucket(
        Bucket=f"{found.name}-evidence", CreateBucketConfiguration=region, ObjectLockEnabledForBucket=True
    )
    client.create_bucket(Bucket=f"{found.name}-working", CreateBucketConfiguration=region)
    root, record, log = (create_key_file(tmp_path / f"{name}.pem") for name in ("root", "record", "log"))
    keys = KeySet(
        generation=0,
        root=root.public,
        log=(NoteKey(name=ORIGIN, public=log.public),),
        signers=(AcceptedSigner(public=record.public, writers=("ci",)),),
    )
    now = ids.milliseconds(datetime.now(UTC))
    create_ledger(found.evidence(), genesis.create(origin=ORIGIN, keys=keys, nonce=os.urandom(32), time=now))
    return found


def append(ledger: Ledger) -> Receipt:
    """Append a small record."""
    with ledger.draft("plan") as draft:
        draft.add(EVENT)
        facts = {"reason": draft.disclose("/reason", b'"because"'), "state": {"key": "ab" * 32}}
        return ledger.append(draft, facts)


def in_processes(count: int, work: Callable[[int], object]) -> list[Any]:
    """Do ``work(number)`` in so many processes at once and return what each returned, or its error's text."""
    queue: Any = FORK.SimpleQueue()

    def body(number: int) -> None:
        try:
            queue.put(work(number))
        except TfauditError as error:
            queue.put(str(error))

    processes = [FORK.Process(target=body, args=(number,)) for number in range(count)]
    for process in processes:
        process.start()
    found = [queue.get() for _ in processes]
    for process in processes:
        process.join()
    return found


def writes(site: Site, records: int, address: str | None = None) -> list[tuple[str, int]]:
    """Be a process that appends records: return their ids and commits."""
    ledger = site.open(address)
    return [(receipt.record_id, receipt.commit or 0) for receipt in (append(ledger) for _ in range(records))]


def held(site: Site) -> dict[str, int]:
    """Return the commit of each record in the log."""
    return {entry.line.record_id: entry.commit for entry in site.open().reader().in_order()}


@pytest.mark.slow
def test_64_processes_at_once(site: Site) -> None:
    """All their records come into one log, in fewer commits, and each process knows where its own are."""
    told = in_processes(64, lambda _: writes(site, 2))
    assert [one for one in told if isinstance(one, str)] == []
    found = held(site)
    assert found == dict(pair for pairs in told for pair in pairs)
    assert len(found) == 128
    report = site.report()
    assert report.findings == ()
    assert (report.records, report.commits) == (128, len({*found.values()}))
    assert report.commits < 100


def test_a_third_of_all_answers_lost_or_refused(site: Site) -> None:
    """Six processes through a bad network: what was told to be in the log is, and nothing staged is lost."""
    dice = random.Random(11)

    def judge(_method: str, _path: str) -> str | None:
        return dice.choice([None] * 7 + ["lost", "503 SlowDown", "cut"])

    with proxy(site.address, judge) as between:
        told = in_processes(6, lambda _: writes(site, 2, between.address))
    assert {verdict for _, _, verdict in between.seen} >= {"lost", "503 SlowDown"}
    site.open().sequence()
    found = held(site)
    for one in told:
        if not isinstance(one, str):
            assert dict(one).items() <= found.items()
    staged = {entry.key[-42:-6] for entry in site.evidence().list("records/")}
    # Those of this very hour that the cursor left behind would be swept in the next.
    assert staged == found.keys()
    assert site.report().ok


@pytest.mark.parametrize(
    ("step", "staged"),
    [("disclosed", False), ("staged", True), ("committing", True), ("committed", True), ("hinted", True)],
)
def test_a_writer_that_dies_at_a_step(site: Site, step: str, staged: bool) -> None:
    """Its record is in the log by the next writer's commit if it was staged, and else it never was."""
    append(site.open())

    def die(reached: str) -> None:
        if reached == step:
            os._exit(9)

    process = FORK.Process(target=lambda: append(site.open(step=die)))
    process.start()
    process.join()
    assert process.exitcode == 9
    append(site.open())
    assert len(held(site)) == 2 + staged
    report = site.report()
    assert (report.ok, report.records, report.pending) == (True, 2 + staged, 0)


@pytest.mark.parametrize("hours", [-5, 7])
def test_a_clock_that_is_wrong_by_hours(site: Site, hours: int) -> None:
    """A writer takes the store's time: its record stands between those of others, and verifies."""
    append(site.open())
    append(site.open(wrong=timedelta(hours=hours)))
    append(site.open())
    report = site.report()
    assert report.findings == ()
    assert report.records == 3
