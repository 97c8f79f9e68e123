"""How fast is a ledger verified from S3, next to the same one in a folder; and how soon after it has grown?

On an emulator on this machine, whose own work counts too; once with 30 ms added to each request.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import ledgers
from harness import REPOSITORY, Row, Run, environment, own_peak, run

sys.path[:0] = [str(REPOSITORY / "tests/e2e")]
import support  # noqa: E402 - lies with the tests

from tfaudit.config import Retention, S3Settings  # noqa: E402
from tfaudit.ledger import ids  # noqa: E402
from tfaudit.ledger.folder import FolderStore  # noqa: E402
from tfaudit.ledger.log import Ledger  # noqa: E402
from tfaudit.ledger.s3 import Answer, Bucket  # noqa: E402
from tfaudit.ledger.s3_evidence import EvidenceBucket  # noqa: E402
from tfaudit.ledger.s3_working import WorkingBucket  # noqa: E402
from tfaudit.ledger.store import Store, Working  # noqa: E402
from tfaudit.ledger.verify import verify  # noqa: E402
from tfaudit.signing.signer import open_signer  # noqa: E402

LARGE, HUGE = (400, 500), (2000, 500)
"""Records, and events in each."""
GROWTH = 100
LATENCY = 0.030
LOGIN = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1"}


class Slow(Bucket):
    """A bucket whose requests take a while more, and are counted."""

    requests = 0
    seconds = 0.0

    def call(self, operation: str, *, expected: Iterable[str] = (), **parameters: Any) -> Answer:
        Slow.requests += 1
        time.sleep(Slow.seconds)
        return super().call(operation, expected=expected, **parameters)


def rows() -> Iterator[Row]:
    """Yield the rows on verifying from S3."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        for size in (LARGE, HUGE):
            ledgers.kept(*size)
        with emulator(home) as address:
            for size in (LARGE, HUGE):
                upload(ledgers.kept(*size), address, bucket(size))
            yield from speeds(home, address)
            yield growth(home, address)


@contextmanager
def emulator(home: Path) -> Iterator[str]:
    """Give the address of an AWS emulator that does not copy all bytes of all objects for each listing."""
    log = home / "moto.log"
    with log.open("wb") as output:
        command = [sys.executable, __file__, "emulator"]
        env = environment(home, PYTHONUNBUFFERED="1")
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env)
    try:
        yield support._announced_address(server, log)
    finally:
        server.kill()
        server.wait()


def emulate() -> None:
    """Be that emulator."""
    import copy
    from types import SimpleNamespace

    import moto.s3.models
    import moto.server

    moto.s3.models.copy = SimpleNamespace(copy=copy.copy, deepcopy=list)
    moto.server.main(["-H", "127.0.0.1", "-p", "0"])


def speeds(home: Path, address: str) -> Iterator[Row]:
    """Yield a row for each place, and one on memory."""
    folder = once(home, "folder", LARGE, 2)
    yield speed("a folder", folder, folder)
    near = once(home, address, LARGE, 2)
    yield speed("S3 (emulated)", near, folder)
    yield speed("S3 (emulated), 30 ms more a request", once(home, address, LARGE, 2, LATENCY), folder)
    large, huge = (json.loads(once(home, address, size, 1).stdout)["peak"] for size in (LARGE, HUGE))
    yield Row(
        what=f"peak memory of `verify` from S3, {HUGE[0] * HUGE[1]:,} events in {HUGE[0]:,} records",
        measured=f"{huge / 1e6:.0f} MB",
        compared=f"{LARGE[0]} records: {large / 1e6:.0f} MB",
        ratio=f"{huge / large:.2f}",
        target="flat",
        met=huge <= 1.25 * large,
    )


def speed(where: str, found: Run, folder: Run) -> Row:
    """Return the row on one run, next to that from the folder."""
    told, other = (json.loads(each.stdout) for each in (found, folder))
    rate, usual = (each["events"] / each["seconds"] for each in (told, other))
    requests = f", {told['requests']:,} requests" if told["requests"] else ""
    return Row(
        what=f"`verify` of {told['events']:,} events in {told['records']:,} records from {where}, 2 processes",
        measured=f"{rate:,.0f} events/s{requests}",
        compared=f"a folder: {usual:,.0f} events/s",
        ratio=f"{rate / usual:.2f}",
        target="",
        met=None,
    )


def growth(home: Path, address: str) -> Row:
    """Append a hundred records and verify what is new, as a scheduled job does that kept the checkpoint."""
    kept = home / "kept.txt"
    kept.write_text(json.loads(once(home, address, LARGE, 2).stdout)["checkpoint"])
    environ = os.environ.copy()
    os.environ.update(LOGIN)
    try:
        ledger = writer(ledgers.kept(*LARGE), address, bucket(LARGE), home)
        for number in range(GROWTH):
            ledgers.append(ledger, ledgers.plan(3), number)
    finally:
        os.environ.clear()
        os.environ.update(environ)
    found = [once(home, address, LARGE, 1, since=kept) for _ in range(3)]
    told = sorted((json.loads(each.stdout) for each in found), key=lambda each: each["seconds"])[1]
    if told["records"] != GROWTH:
        raise RuntimeError(f"{told['records']} records were checked, not {GROWTH}")
    return Row(
        what=f"`verify --since` of {GROWTH} new records on {LARGE[0]:,}, S3 (emulated)",
        measured=f"{told['seconds']:.1f} s, {told['requests']} requests",
        compared="",
        ratio="",
        target="2 s",
        met=told["seconds"] < 2,
    )


def bucket(size: tuple[int, int]) -> str:
    """Return the name by which the buckets of one ledger begin."""
    return f"bench-{size[0]}-{size[1]}"


def stores(address: str, name: str, latency: float = 0.0) -> tuple[EvidenceBucket, WorkingBucket]:
    """Return the stores of a ledger in buckets."""
    Slow.seconds = latency
    settings = S3Settings(endpoint_url=address)
    evidence = EvidenceBucket(Slow(f"s3://{name}-evidence", settings), Retention(mode="GOVERNANCE", days=400))
    return evidence, WorkingBucket(Slow(f"s3://{name}-working", settings))


def writer(folder: Path, address: str, name: str, home: Path) -> Ledger:
    """Return the ledger in buckets, ready to append to, with the keys of the folder's."""
    evidence, working = stores(address, name)
    return Ledger.open(
        evidence=evidence,
        working=working,
        spool=home / "spool",
        signer=open_signer("file:record.pem", base=folder),
        log_signer=open_signer("file:log.pem", base=folder),
        writer="bench",
        genesis_digest=None,
        clock=ledgers.now,
        entropy=os.urandom,
    )


def upload(folder: Path, address: str, name: str) -> None:
    """Copy a ledger into new buckets, its evidence locked."""
    import botocore.session

    client = botocore.session.Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=address,
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
    )
    for kind, place in (("evidence", folder / "ledger"), ("working", folder / "working")):
        locked = kind == "evidence"
        client.create_bucket(Bucket=f"{name}-{kind}", ObjectLockEnabledForBucket=locked)
        until = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": ledgers.now() + timedelta(days=400)}

        def put(
            key: str, place: Path = place, kind: str = kind, lock: dict[str, Any] = until if locked else {}
        ) -> None:
            content = (place / key).read_bytes()
            client.put_object(Bucket=f"{name}-{kind}", Key=key, Body=content, ChecksumAlgorithm="SHA256", **lock)

        with ThreadPoolExecutor(4) as threads:
            for _ in threads.map(put, [entry.key for entry in FolderStore(place).list("")]):
                pass


def once(
    home: Path, place: str, size: tuple[int, int], processes: int, latency: float = 0.0, since: Path | None = None
) -> Run:
    """Verify a ledger in a process of its own."""
    folder = ledgers.kept(*size)
    command = [sys.executable, __file__, place, str(folder), bucket(size), str(processes), str(latency)]
    return run([*command, *([str(since)] if since else [])], cwd=Path(__file__).parent, env=environment(home, **LOGIN))


def main(place: str, folder: str, name: str, processes: str, latency: str, since: str = "") -> None:
    """Verify the ledger in this process and print what it took as JSON."""
    evidence: Store
    working: Working
    if place == "folder":
        evidence, working = FolderStore(Path(folder) / "ledger"), FolderStore(Path(folder) / "working")
    else:
        evidence, working = stores(place, name, float(latency))
    began = time.perf_counter()
    report = verify(
        evidence,
        working,
        now=ids.milliseconds(ledgers.now()),
        processes=int(processes),
        since=Path(since).read_bytes() if since else None,
    )
    seconds = time.perf_counter() - began
    if not report.ok:
        raise RuntimeError(f"a ledger made for measuring is not whole: {report.findings[:3]}")
    told = {"events": report.events, "records": report.records, "seconds": seconds, "checkpoint": report.checkpoint}
    # Requests of other processes are not seen from here: two for each record.
    requests = Slow.requests + (2 * report.records if int(processes) > 1 and place != "folder" else 0)
    print(json.dumps({**told, "requests": requests, "peak": own_peak()}))


if __name__ == "__main__":
    if sys.argv[1:] == ["emulator"]:
        emulate()
    else:
        main(*sys.argv[1:])
