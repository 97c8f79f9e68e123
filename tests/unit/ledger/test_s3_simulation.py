"""Does the append protocol lose nothing and keep one history, whatever S3 does to the requests of several writers?"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from ledgerkit import ORIGIN, Place, make
from s3sim import Faults, SimulatedBucket, World

from tfaudit.config import Retention
from tfaudit.errors import LedgerError
from tfaudit.events.model import EventLine
from tfaudit.ledger import genesis, ids
from tfaudit.ledger.log import Ledger, Receipt, SpooledError, create_ledger
from tfaudit.ledger.reader import Reader
from tfaudit.ledger.s3_evidence import EvidenceBucket
from tfaudit.ledger.s3_working import WorkingBucket
from tfaudit.ledger.verify import verify

RULE = Retention(mode="GOVERNANCE", days=400)
EVENT = EventLine(b'{"action":"create","address":"a.b","kind":"resource-change"}', b"")
QUIET = Faults()
ROUGH = Faults(throttled=0.1, lost=0.08, unanswered=0.1, late=0.06, conflict=0.1)
DEADLY = Faults(throttled=0.05, unanswered=0.05, late=0.05, conflict=0.05, killed=0.03)
HELPLESS = Faults(throttled=0.05, lost=0.03, unanswered=0.05, late=0.05, attempts=1)


@dataclass
class Told:
    """What the writers of one run were told."""

    receipts: list[Receipt] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    spooled: list[str] = field(default_factory=list)


@dataclass
class Simulation:
    """One ledger in one simulated S3."""

    place: Place
    world: World
    told: Told = field(default_factory=Told)

    def evidence(self, faults: Faults = QUIET) -> EvidenceBucket:
        """Return the evidence store as one process has it."""
        return EvidenceBucket(SimulatedBucket("s3://evidence/ledger", self.world, faults), RULE)

    def working(self, faults: Faults = QUIET) -> WorkingBucket:
        """Return the working store as one process has it."""
        return WorkingBucket(SimulatedBucket("s3://working/ledger", self.world, faults))

    def open(self, faults: Faults = QUIET, *, spool: str = "none", **changes: object) -> Ledger:
        """Open the ledger as one process does."""
        return self.place.open(
            evidence=self.evidence(faults),
            working=self.working(faults),
            spool=self.place.folder / "spools" / spool,
            clock=self.world.clock,
            entropy=self.world.random.randbytes,
            pause=self.world.sleep,
            **changes,
        )

    def writer(self, name: str, faults: Faults, *, records: int, spool: bool) -> None:
        """Be one process that appends records, or fails to."""
        try:
            ledger = self.open(faults, spool=name)
        except LedgerError:
            return
        for _ in range(records):
            with ledger.draft("plan") as draft:
                draft.add(EVENT)
                self.told.tried.append(draft.record_id)
                try:
                    facts = {"reason": draft.disclose("/reason", b'"because"'), "state": {"key": "ab" * 32}}
                    self.told.receipts.append(ledger.append(draft, facts, spool=spool))
                except SpooledError:
                    self.told.spooled.append(draft.record_id)
                except LedgerError:
                    continue

    def settle(self, spools: range) -> None:
        """Let what is late arrive, then send what waits in the spools and commit what is staged."""
        self.world.run([lambda: self.world.sleep(10)])

        def deliver() -> None:
            for number in spools:
                self.open(spool=f"w{number}").drain()
            self.world.sleep(2 * 3600)
            self.open(spool="sequencer").sequence()

        self.world.run([deliver])

    def staged(self) -> set[str]:
        """Return the ids of all record objects there are."""
        return {name[-42:-6] for name in self.world.objects if "/records/" in name}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Give keys for all ledgers of this module."""
    return make(tmp_path_factory.mktemp("simulation"))


def started(keys: Place, seed: int, folder: Path) -> Simulation:
    """Return a new ledger in a new S3."""
    world = World(seed)
    place = Place(folder=folder, root=keys.root, log=keys.log, signer=keys.signer)
    found = Simulation(place, world)
    raw = genesis.create(origin=ORIGIN, keys=place.keys(), nonce=bytes(32), time=ids.milliseconds(world.clock()))
    world.run([lambda: create_ledger(found.evidence(), raw) and None])
    return found


def check(simulation: Simulation) -> None:
    """Check that nothing is lost, that there is one history, and that it is as the receipts say."""
    found: dict[str, tuple[int, int, str]] = {}
    reports = []

    def look() -> None:
        reader = Reader.open(evidence=simulation.evidence(), working=simulation.working(), genesis_digest=None)
        for entry in reader.in_order():
            assert entry.line.record_id not in found
            found[entry.line.record_id] = (entry.position, entry.commit, entry.line.leaf.hex())
        now = ids.milliseconds(simulation.world.clock())
        reports.append(verify(simulation.evidence(), simulation.working(), now=now, processes=1))

    simulation.world.run([look])
    told = simulation.told
    for receipt in told.receipts:
        assert found[receipt.record_id] == (receipt.position, receipt.commit, receipt.leaf)
    assert simulation.staged() <= found.keys()
    assert {*told.spooled} <= found.keys()
    assert found.keys() <= {*told.tried}
    report = reports[0]
    assert [finding for finding in report.findings if finding.severity == "error"] == []
    assert report.ok
    assert (report.records, report.pending) == (len(found), 0)


@pytest.mark.parametrize("faults", [QUIET, ROUGH, DEADLY, HELPLESS], ids=["quiet", "rough", "deadly", "helpless"])
@pytest.mark.parametrize("block", range(5))
def test_nothing_staged_is_lost_and_there_is_one_history(
    keys: Place, tmp_path: Path, faults: Faults, block: int
) -> None:
    """Writers that meet at the same slots, are throttled, lose answers or die leave one sound log with all records."""
    for seed in range(block * 25, block * 25 + 25):
        simulation = started(keys, seed, tmp_path)
        count = 2 + seed % 4
        writers = [
            partial(simulation.writer, f"w{number}", faults, records=2, spool=number % 2 == 0)
            for number in range(count)
        ]
        simulation.world.run(writers, starts=[simulation.world.random.random() * 0.1 for _ in writers])
        simulation.settle(range(count))
        check(simulation)
        if faults is QUIET:
            assert len(simulation.told.receipts) == 2 * count


def test_conflicts_fail_no_append(keys: Place, tmp_path: Path) -> None:
    """A create that meets another one, of an earlier try of its own, is tried again: disclosures, record and commit."""
    simulation = started(keys, 7, tmp_path)
    simulation.world.run([partial(simulation.writer, "w0", Faults(conflict=0.15), records=12, spool=False)])
    assert [receipt.record_id for receipt in simulation.told.receipts] == simulation.told.tried
    assert len(simulation.told.tried) == 12
    check(simulation)
