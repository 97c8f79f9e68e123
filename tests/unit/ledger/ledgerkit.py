"""What the ledger's tests share: a ledger in a temporary folder, a clock to turn, stores that fail on demand."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from tfaudit.errors import LedgerError
from tfaudit.events.model import EventLine
from tfaudit.ledger import commit, genesis, ids, live, merkle, record
from tfaudit.ledger.commit import RecordLine
from tfaudit.ledger.folder import FolderStore
from tfaudit.ledger.genesis import Genesis
from tfaudit.ledger.keyset import AcceptedSigner, KeySet
from tfaudit.ledger.live import Live, State, Void
from tfaudit.ledger.log import Ledger, Receipt, create_ledger
from tfaudit.ledger.store import Entry, read
from tfaudit.signing.note import NoteKey
from tfaudit.signing.signer import FileSigner, create_key_file

ORIGIN = "ledger.example/test"
START = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)


class Clock:
    """A clock that goes on by a millisecond at each look, and by what a test says."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time, a millisecond on."""
        self.now += timedelta(milliseconds=1)
        return self.now

    def advance(self, **amount: float) -> None:
        """Turn the clock on."""
        self.now += timedelta(**amount)


@dataclass
class Place:
    """One ledger and the keys to it."""

    folder: Path
    root: FileSigner
    log: FileSigner
    signer: FileSigner
    clock: Clock = field(default_factory=Clock)
    entropy: Callable[[int], bytes] = field(default_factory=lambda: random.Random(7).randbytes)

    @property
    def evidence(self) -> FolderStore:
        """The evidence store."""
        return FolderStore(self.folder / "ledger", entropy=self.entropy)

    @property
    def working(self) -> FolderStore:
        """The working store."""
        return FolderStore(self.folder / "working", mode=0o600, entropy=self.entropy)

    def keys(self, **changes: object) -> KeySet:
        """Return generation 0 of the ledger's keys, or with changes."""
        values: dict[str, object] = {
            "generation": 0,
            "root": self.root.public,
            "log": (NoteKey(name=ORIGIN, public=self.log.public),),
            "signers": (AcceptedSigner(public=self.signer.public, writers=("local", "ci")),),
        }
        return KeySet(**{**values, **changes})  # type: ignore[arg-type]

    def open(self, **changes: object) -> Ledger:
        """Open the ledger as a writer would."""
        values: dict[str, object] = {
            "evidence": self.evidence,
            "working": self.working,
            "spool": self.folder / "spool",
            "signer": self.signer,
            "log_signer": self.log,
            "writer": "local",
            "genesis_digest": None,
            "clock": self.clock,
            "entropy": self.entropy,
            "pause": lambda _: None,
        }
        return Ledger.open(**{**values, **changes})  # type: ignore[arg-type]

    def genesis(self) -> Genesis:
        """Return the ledger's genesis."""
        return genesis.parse(read(self.evidence, ids.GENESIS_KEY, limit=1 << 20) or b"")

    def walk(self) -> tuple[State, list[Live], list[Void]]:
        """Judge every slot from genesis on."""
        state = live.start(self.genesis())
        lives: list[Live] = []
        voids: list[Void] = []
        number = 0
        while (raw := read(self.evidence, ids.commit_key(number), limit=commit.MAX_COMMIT + 1)) is not None:
            judged = live.judge(state, number, raw)
            if isinstance(judged, Live):
                state = judged.state
                lives.append(judged)
            else:
                voids.append(judged)
            number += 1
        return state, lives, voids

    def whole(self) -> list[RecordLine]:
        """Check the whole log against its records and return their lines in order."""
        state, lives, _ = self.walk()
        lines: list[RecordLine] = []
        leaves: list[bytes] = []
        for one in lives:
            for line in one.commit.header.records:
                content = read(self.evidence, line.key, limit=1 << 24)
                assert content is not None, f"phantom leaf {line.record_id}"
                first, *events, last = content.split(b"\n")
                found = record.parse(first)
                assert last == b""
                assert merkle.leaf_hash(first) == line.leaf
                assert record.line_of(found) == line
                assert found.event_count == len(events)
                assert found.event_root == merkle.root_of(map(merkle.leaf_hash, events))
                assert found.signed_under(state.keys) is not False
                if found.disclosures is not None:
                    disclosed = read(self.working, ids.disclosure_key(line.record_id), limit=1 << 24)
                    assert disclosed is not None
                    assert hashlib.sha256(disclosed).hexdigest() == found.disclosures
                lines.append(line)
                leaves.append(line.leaf)
            leaves.append(one.commit.leaf)
        assert len({line.record_id for line in lines}) == len(lines)
        assert merkle.root_of(leaves) == state.root
        return lines

    def staged(self) -> list[str]:
        """Return the ids of all record objects, adopted or not."""
        return [entry.key[-42:-6] for entry in self.evidence.list("records/")]


def make(folder: Path, **changes: object) -> Place:
    """Start a ledger in ``folder``; ``changes`` go into its keys."""
    folder.mkdir(exist_ok=True)
    place = Place(
        folder=folder,
        root=create_key_file(folder / "root.pem"),
        log=create_key_file(folder / "log.pem"),
        signer=create_key_file(folder / "record.pem"),
    )
    raw = genesis.create(
        origin=ORIGIN, keys=place.keys(**changes), nonce=bytes(range(32)), time=ids.milliseconds(START)
    )
    create_ledger(place.evidence, raw)
    return place


EVENT = EventLine(
    b'{"action":"create","address":"a.b","kind":"resource-change"}',
    b'[["/x","after","AAAAAAAAAAAAAAAAAAAAAA==",1]]',
)


def add(ledger: Ledger, kind: str = "plan", *, events: int = 2, spool: bool = False, **facts: object) -> Receipt:
    """Append a small record."""
    with ledger.draft(kind) as draft:
        for _ in range(events):
            draft.add(EVENT)
        facts.setdefault("reason", draft.disclose("/reason", b'"because"'))
        return ledger.append(draft, facts, spool=spool)


class Failure(LedgerError):
    """What the failing store raises."""


class FailingStore:
    """A folder store whose creates fail when ``plan`` says so: before the object is there, or after."""

    def __init__(self, real: FolderStore, plan: Callable[[str], str | None]) -> None:
        self.real = real
        self._plan = plan

    def create(self, key: str, head: bytes, tail: BinaryIO | None = None) -> bool:
        """Create, or fail not persisted ("lost"), fail but persisted ("late"), or refuse for a moment ("conflict")."""
        verdict = self._plan(key)
        if verdict == "lost":
            raise Failure(f"timeout at {key}")
        if verdict == "conflict":
            return False
        created = self.real.create(key, head, tail)
        if verdict == "late":
            raise Failure(f"timeout at {key}")
        return created

    def open(self, key: str, *, limit: int | None = None, settled: bool = False) -> BinaryIO | None:
        """Open, or fail ("unreadable")."""
        if self._plan(f"open {key}") is not None:
            raise Failure(f"can't read {key}")
        return self.real.open(key, limit=limit, settled=settled)

    def list(self, prefix: str, *, after: str = "", shallow: bool = False) -> Iterator[Entry]:
        """List, or fail."""
        if self._plan(f"list {prefix}") is not None:
            raise Failure(f"can't list {prefix}")
        return self.real.list(prefix, after=after, shallow=shallow)

    def replace(self, key: str, content: bytes, *, durable: bool = False, forget: bool = False) -> None:
        """Replace, or fail."""
        if self._plan(f"replace {key}") is not None:
            raise Failure(f"can't replace {key}")
        self.real.replace(key, content, durable=durable, forget=forget)

    def remove(self, key: str) -> None:
        """Remove."""
        self.real.remove(key)
