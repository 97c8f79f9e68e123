"""Does the gate's look-up of approvals grow with the ledger: opened, and a day's votes read, at 100 and 10,000 records?

Both ledgers end with the same day of forty plans and three approvals of one stack; the larger one has months before it.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ledgers
from cryptography.hazmat.primitives.asymmetric import ed25519
from harness import CACHE, Row, interleaved, spread

from tfaudit.gate import document
from tfaudit.gate.document import Word
from tfaudit.gate.model import Subject
from tfaudit.ledger import ids, votes
from tfaudit.ledger.folder import FolderStore
from tfaudit.ledger.log import Ledger
from tfaudit.ledger.reader import Reader
from tfaudit.runs.voting import carry
from tfaudit.signing import keys, sshkeys
from tfaudit.signing.person import Signature
from tfaudit.signing.signer import open_signer

SMALL, LARGE, DAY, VOTES, TIMES = 100, 10_000, 40, 3, 15
END = datetime(2026, 3, 1, 12, tzinfo=UTC)
STACK = "example.test/team/stack-0"


class Clock:
    """A clock that goes as fast as records are wanted."""

    def __init__(self, start: datetime) -> None:
        self.time = start

    def __call__(self) -> datetime:
        return self.time


def rows() -> Iterator[Row]:
    """Yield the row on the look-up."""
    small, large = (_kept(records) for records in (SMALL, LARGE))
    few, many = interleaved(TIMES, lambda _: _look(small), lambda _: _look(large))
    ratio = statistics.median(many) / statistics.median(few)
    yield Row(
        what=f"the gate's look-up of approvals in a ledger of {LARGE:,} records, opening it included",
        measured=spread(many),
        compared=f"{SMALL} records: {spread(few)}",
        ratio=f"{ratio:.2f}",
        target="1.5",
        met=ratio <= 1.5,
    )


def _look(folder: Path) -> float:
    now = ids.milliseconds(END)
    began = time.perf_counter()
    reader = Reader.open(
        evidence=FolderStore(folder / "ledger"), working=FolderStore(folder / "working"), genesis_digest=None
    )
    found = votes.view(reader, stack=STACK, state_key=None, since=now - 24 * 3_600_000, now=now)
    seconds = time.perf_counter() - began
    if len(found.votes) != VOTES:
        raise RuntimeError(f"the look-up found {len(found.votes)} votes")
    return seconds


def _kept(records: int) -> Path:
    folder = CACHE / f"gate-{records}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        # Every append is durable before the next: made in memory, where there is a file system in it.
        memory = Path("/dev/shm")
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
            ledgers.new(Path(made) / "ledger")
            _fill(Path(made) / "ledger", records)
            shutil.copytree(Path(made) / "ledger", folder)
        (folder / "complete").touch()
    return folder


def _fill(folder: Path, records: int) -> None:
    clock = Clock(END - timedelta(days=90))
    ledger = _dated(folder, clock)
    plan = ledgers.plan(1)
    before = records - DAY - VOTES
    for number in range(before):
        clock.time = END - timedelta(days=90 - 88 * number / before)
        ledgers.append(ledger, plan, number)
    for number in range(DAY):
        clock.time = END - timedelta(hours=10, minutes=-number)
        ledgers.append(ledger, plan, number)
    for number in range(VOTES):
        clock.time = END - timedelta(hours=2, minutes=-number)
        carry(ledger, _approval(ledger.origin, number, ids.milliseconds(clock.time)))


def _dated(folder: Path, clock: Clock) -> Ledger:
    return Ledger.open(
        evidence=FolderStore(folder / "ledger"),
        working=FolderStore(folder / "working"),
        spool=folder / "spool",
        signer=open_signer("file:record.pem", base=folder),
        log_signer=open_signer("file:log.pem", base=folder),
        writer="bench",
        genesis_digest=None,
        clock=clock,
        entropy=os.urandom,
    )


def _approval(origin: str, number: int, made: int) -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    subject = Subject(
        plan_record=ids.new_record_id(made, os.urandom),
        leaf="1" * 64,
        event_root="2" * 64,
        plan_sha256="3" * 64,
        change_digest="4" * 64,
        key_commitment="5" * 64,
        origin=origin,
        stack=STACK,
        state_key=None,
        lineage="",
        serial=number,
        backend="s3",
        target=None,
        commit=None,
        policy="8" * 64,
    )
    word = Word(
        kind="approval",
        subject=subject,
        approver="alice@example.com",
        reason=None,
        made=made,
        expires=made + 36_000_000,
        nonce=os.urandom(16).hex(),
        shown="a" * 64,
    )
    payload = document.build(word)
    signature = Signature(
        key=sshkeys.of_public(keys.public_key(key.public_key())), plain=key.sign(document.signed_bytes(payload))
    )
    return document.seal(payload, signature)
