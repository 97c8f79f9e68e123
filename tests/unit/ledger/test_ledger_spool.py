"""A record that can't reach the ledger waits on this machine, signed and private, and comes in later, once."""

from __future__ import annotations

import resource
import stat
from pathlib import Path

import pytest
from ledgerkit import EVENT, FailingStore, Failure, Place, add, make

from tfaudit.errors import ConfigError, LedgerError
from tfaudit.ledger import ids, record
from tfaudit.ledger.log import SpooledError
from tfaudit.ledger.store import read
from tfaudit.signing.signer import create_key_file


class Away:
    """A switch: while it is on, the store answers nothing."""

    def __init__(self) -> None:
        self.on = True

    def __call__(self, key: str) -> str | None:
        """Fail while on."""
        return "lost" if self.on else None


def test_a_record_waits_while_the_store_is_away(tmp_path: Path) -> None:
    """With the store away the record is signed from the copy of genesis, marked as spooled, and drained later."""
    place = make(tmp_path)
    add(place.open())
    away = Away()
    ledger = place.open(evidence=FailingStore(place.evidence, away))
    with pytest.raises(SpooledError):
        add(ledger, "outcome", spool=True)
    with pytest.raises(LedgerError):
        ledger.drain()
    away.on = False
    place.clock.advance(hours=5)
    (receipt,) = ledger.drain()
    assert receipt.position == 2
    assert ledger.drain() == ()
    found = record.parse((read(place.evidence, receipt.key, limit=1 << 20) or b"").split(b"\n")[0])
    assert found.spooled is not None
    assert found.seen is None
    assert len(place.whole()) == 2


def test_without_asking_nothing_is_kept(tmp_path: Path) -> None:
    """Before an apply a record that can't be written is nowhere."""
    place = make(tmp_path)
    add(place.open())
    with pytest.raises(Failure):
        add(place.open(evidence=FailingStore(place.evidence, Away())))
    assert place.open().spool.waiting() == []


def test_spooled_files_are_private(tmp_path: Path) -> None:
    """Disclosures wait with the record; folders are 0700 and files 0600."""
    place = make(tmp_path)
    _keep(place)
    for path in (tmp_path / "spool").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    place.open().drain()
    assert len(place.whole()) == 1


def test_a_record_that_landed_all_the_same_is_not_sent_twice(tmp_path: Path) -> None:
    """When another writer has adopted the staged record meanwhile, draining only forgets it."""
    place = make(tmp_path)
    add(place.open())
    store = FailingStore(place.evidence, lambda key: "lost" if key.startswith("commits/") else None)
    with pytest.raises(SpooledError):
        add(place.open(evidence=store), spool=True)
    add(place.open())
    (receipt,) = place.open().drain()
    assert receipt.position is not None
    assert len(place.whole()) == 3
    assert place.open().spool.waiting() == []


def test_a_crash_after_the_commit_leaves_a_spooled_record_that_is_forgotten(tmp_path: Path) -> None:
    """Dying between commit and forgetting makes no second record."""
    place = make(tmp_path)
    _keep(place)

    def step(name: str) -> None:
        if name == "committed":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.open(step=step).drain()
    assert len(place.open().drain()) == 1
    assert len(place.whole()) == 1


def test_one_bad_record_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """A damaged file stays and is named; what comes after it is sent."""
    place = make(tmp_path)
    _keep(place)
    _keep(place)
    first = place.open().spool.waiting()[0]
    (tmp_path / "spool" / "records" / f"{first}.jsonl").chmod(0o600)
    (tmp_path / "spool" / "records" / f"{first}.jsonl").write_bytes(b"{}\n")
    with pytest.raises(Exception, match="envelope"):
        place.open().drain()
    assert len(place.whole()) == 1
    assert place.open().spool.waiting() == [first]


def test_a_key_that_is_no_longer_accepted_keeps_the_record(tmp_path: Path) -> None:
    """After an apply, a record of a key that the ledger refuses waits rather than being lost."""
    place = make(tmp_path)
    stranger = create_key_file(tmp_path / "stranger.pem")
    with pytest.raises(SpooledError):
        add(place.open(signer=stranger), spool=True)
    with pytest.raises(ConfigError):
        place.open(signer=stranger).drain()
    assert len(place.open().spool.waiting()) == 1


def test_a_full_disk_keeps_neither_half(tmp_path: Path) -> None:
    """When the disk is full for ledger and spool alike, the error says so and no half record is anywhere."""
    place = make(tmp_path)
    add(place.open())
    ledger = place.open()
    with ledger.draft("outcome") as draft:
        for _ in range(3000):
            draft.add(EVENT)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            with pytest.raises(LedgerError):
                ledger.append(draft, {}, spool=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert ledger.spool.waiting() == []
        assert len(place.staged()) == 1
        ledger.append(draft, {})
    assert len(place.whole()) == 2


def test_disclosures_of_no_record_are_tidied_away(tmp_path: Path) -> None:
    """What a crash left in the spool's disclosures is removed once it is an hour old."""
    place = make(tmp_path)
    old = place.open().new_record_id()
    place.clock.advance(hours=2)
    ledger = place.open()
    ledger.spool.store.create(ids.disclosure_key(old), b"secret")
    fresh = ledger.new_record_id()
    ledger.spool.store.create(ids.disclosure_key(fresh), b"secret")
    ledger.drain()
    assert [entry.key for entry in ledger.spool.store.list("disclosures/")] == [ids.disclosure_key(fresh)]


def _keep(place: Place) -> None:
    ledger = place.open()
    with ledger.draft("outcome") as draft:
        draft.add(EVENT)
        ledger.keep(draft, {})
