"""Whatever happens in whatever order, what was acknowledged is in the log, once, and nothing staged is lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from ledgerkit import FailingStore, Place, add, make

from tfaudit.errors import LedgerError
from tfaudit.ledger import ids, merkle
from tfaudit.ledger.log import Ledger, Receipt


class Killed(BaseException):
    """Stands for the end of a writer."""


class Chaos:
    """Some writers, a store that fails now and then, and someone who leaves litter."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place = place
        self.random = random.Random(seed)
        self.acknowledged: list[Receipt] = []
        self.writers = [self.writer(number) for number in range(3)]

    def writer(self, number: int) -> Ledger:
        """Return a writer of its own spool; the last one may only stage."""
        return self.place.open(
            evidence=FailingStore(self.place.evidence, self.verdict),
            spool=self.place.folder / f"spool{number}",
            log_signer=None if number == 2 else self.place.log,
            writer="ci" if number else "local",
            step=self.step,
        )

    def verdict(self, key: str) -> str | None:
        """Say what becomes of a call of the store: mostly nothing out of the ordinary."""
        chance = self.random.random()
        if key.startswith(("open", "list", "replace")):
            return "lost" if chance < 0.004 else None
        return "lost" if chance < 0.06 else "late" if chance < 0.12 else "conflict" if chance < 0.16 else None

    def step(self, _name: str) -> None:
        """Kill the writer now and then, between two steps."""
        if self.random.random() < 0.04:
            raise Killed

    def append(self) -> None:
        """Append by one of the writers."""
        number = self.random.randrange(len(self.writers))
        state = {"key": f"{self.random.randrange(3):064x}"}
        spool = self.random.random() < 0.5
        self.attempt(number, lambda ledger: [add(ledger, events=1, spool=spool, state=state)])

    def drain(self) -> None:
        """Drain one writer's spool."""
        self.attempt(self.random.randrange(len(self.writers)), lambda ledger: list(ledger.drain()))

    def sequence(self) -> None:
        """Sequence by one who holds the log's key."""

        def sequence(ledger: Ledger) -> list[Receipt]:
            ledger.sequence()
            return []

        self.attempt(self.random.randrange(2), sequence)

    def attempt(self, number: int, act: Callable[[Ledger], list[Receipt]]) -> None:
        """Act as one writer; a killed one comes back as another process."""
        try:
            self.acknowledged += act(self.writers[number])
        except Killed:
            self.writers[number] = self.writer(number)
        except LedgerError:
            pass

    def litter(self) -> None:
        """Leave garbage in a commit slot or among the records."""
        evidence = self.place.evidence
        filled = sum(1 for _ in evidence.list("commits/"))
        if self.random.random() < 0.5:
            evidence.create(ids.commit_key(filled + self.random.randrange(4)), self.random.randbytes(50))
        else:
            record_id = self.place.open(spool=self.place.folder / "other").new_record_id()
            evidence.create(ids.record_key(self.random.choice(["ci", "mallory"]), record_id), b"{}\n")

    def time_passes(self) -> None:
        """Turn the clock on."""
        self.place.clock.advance(seconds=self.random.choice([1, 60, 400, 4000]))


@pytest.mark.parametrize("seed", range(8))
def test_chaos(tmp_path: Path, seed: int) -> None:
    """Random appends, drains, failures, kills, litter and gaps in time, from three writers."""
    place = make(tmp_path)
    chaos = Chaos(place, seed)
    acts = [chaos.append] * 8 + [chaos.drain, chaos.sequence, chaos.litter, chaos.time_passes]
    for _ in range(50):
        chaos.random.choice(acts)()
    place.whole()

    place.clock.advance(hours=2)
    for number in range(3):
        place.open(spool=tmp_path / f"spool{number}").drain()
    place.open().sequence()
    lines = place.whole()
    leaves = [
        leaf
        for one in place.walk()[1]
        for leaf in (*(line.leaf for line in one.commit.header.records), one.commit.leaf)
    ]
    assert len(lines) > 10
    for receipt in chaos.acknowledged:
        assert receipt.leaf in {line.leaf.hex() for line in lines}
        assert merkle.root_of(leaves[: receipt.size]).hex() == receipt.root
        assert receipt.position is None or leaves[receipt.position].hex() == receipt.leaf
    adopted = {line.record_id for line in lines}
    for entry in place.evidence.list("records/"):
        content = (tmp_path / "ledger" / entry.key).read_bytes()
        assert entry.key[-42:-6] in adopted or content == b"{}\n"
