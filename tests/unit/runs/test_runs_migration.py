"""A ledger moves to another store as it is, or not at all, and a move that was cut off goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "ledger"))

import ledgerkit

from tfaudit.errors import ConfigError, LedgerError
from tfaudit.ledger import ids
from tfaudit.ledger.folder import FolderStore
from tfaudit.ledger.log import Ledger
from tfaudit.ledger.verify import verify
from tfaudit.runs.migration import migrate


class Stopped(Exception):
    """Raised where a test stops the move."""


def put(ledger):
    """Append a record with a disclosure."""
    with ledger.draft("plan") as draft:
        return ledger.append(draft, {"reason": draft.disclose("/reason", b'"because"')})


@pytest.fixture
def place(tmp_path):
    """A ledger of twenty records."""
    place = ledgerkit.make(tmp_path / "place")
    ledger = place.open()
    for _ in range(20):
        put(ledger)
    (place.folder / "ledger" / "probe").mkdir()
    (place.folder / "ledger" / "probe" / "x").write_text("probe")
    return place


@pytest.fixture
def target(tmp_path):
    """An empty evidence store."""
    return FolderStore(tmp_path / "new" / "ledger")


@pytest.fixture
def target_working(tmp_path):
    """An empty working store."""
    return FolderStore(tmp_path / "new" / "working", mode=0o600)


def move(place, target, target_working=None, step=lambda _: None):
    """Move the ledger."""
    return migrate(
        place.evidence,
        target,
        source_working=place.working,
        target_working=target_working,
        now=ids.milliseconds(place.clock()),
        step=step,
    )


def files(folder):
    """Return all objects of a store and their bytes, but probes, and leftovers of writers."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in (".tmp", "probe", "index", "head")
    }


def test_every_byte_moves(place, target, target_working):
    """The ledger is the same in its new place, verifies there, and the old one is as it was."""
    before = files(place.folder / "ledger")
    moved = move(place, target, target_working)
    assert moved.report.ok
    assert (moved.copied, moved.there, moved.disclosures) == (40, 0, 20)
    assert files(target.root) == before == files(place.folder / "ledger")
    assert files(target_working.root) == files(place.folder / "working")
    assert (moved.report.root, moved.report.values) == (place.walk()[0].root.hex(), 20)


def test_the_moved_ledger_goes_on(place, target, target_working):
    """The same keys write the next record in the new place, and a kept checkpoint is a prefix of it."""
    kept = place.walk()[0].checkpoint.encode()
    move(place, target, target_working)
    ledger = Ledger.open(
        evidence=target,
        working=target_working,
        spool=place.folder / "spool",
        signer=place.signer,
        log_signer=place.log,
        writer="local",
        genesis_digest=place.genesis().digest,
        clock=place.clock,
        entropy=place.entropy,
    )
    assert put(ledger).position == 40
    assert verify(target, target_working, now=ids.milliseconds(place.clock()), kept=kept).ok


def test_disclosures_may_stay(place, target):
    """Without a new working store the disclosures are left where they are, and checked there."""
    moved = move(place, target)
    assert (moved.report.ok, moved.disclosures, moved.report.values) == (True, 0, 20)


@pytest.mark.parametrize("where", ["disclosed", "copied", "placed"])
def test_a_move_that_was_cut_off_goes_on(place, target, target_working, where):
    """Whatever a crash leaves is taken for the start of the copy; before genesis it is no ledger."""

    def stop(step):
        if step == where:
            raise Stopped

    with pytest.raises(Stopped):
        move(place, target, target_working, stop)
    assert (target.root / "genesis.json").exists() == (where == "placed")
    moved = move(place, target, target_working)
    assert moved.report.ok
    assert (moved.copied, moved.there, moved.disclosures) == ((40, 0, 0) if where == "disclosed" else (0, 40, 0))


def test_a_half_copied_store_goes_on(place, target):
    """Any part of the objects may be there already."""
    for number, entry in enumerate([*place.evidence.list("records/"), *place.evidence.list("commits/")]):
        if number % 3 == 0:
            with place.evidence.open(entry.key) as stream:
                target.create(entry.key, b"", stream)
    moved = move(place, target)
    assert (moved.report.ok, moved.copied, moved.there) == (True, 26, 14)


def test_another_ledger_is_left_alone(tmp_path, place):
    """A place that holds a ledger of its own is refused, and nothing is written there."""
    other = ledgerkit.make(tmp_path / "other", signers=())
    before = files(other.folder / "ledger")
    with pytest.raises(ConfigError, match="holds another ledger"):
        move(place, other.evidence)
    assert files(other.folder / "ledger") == before


@pytest.mark.parametrize("key", ["README", "records/x", "commits/ffffffffffffffff", ids.record_key("a", "0" * 36)])
def test_a_store_with_something_else_is_refused(place, target, key):
    """What is no part of the ledger keeps the place from being used."""
    target.create(key, b"something")
    with pytest.raises(ConfigError, match="holds something else"):
        move(place, target)
    assert not (target.root / "genesis.json").exists()


def test_another_object_at_a_key_is_refused(place, target):
    """An object that differs from the ledger's own at its key stops the move."""
    target.create(ids.commit_key(3), b"something")
    with pytest.raises(ConfigError, match="holds another object at commits/"):
        move(place, target)
    assert not (target.root / "genesis.json").exists()


def test_a_ledger_that_went_on_in_its_new_place_is_not_moved_again(place, target, target_working):
    """Once the target has records of its own, the old place has nothing to say any more."""
    move(place, target, target_working)
    put(place.open(evidence=target, working=target_working))
    with pytest.raises(ConfigError, match="goes on there"):
        move(place, target, target_working)


def test_what_is_written_meanwhile_is_taken_along(place, target):
    """A record that comes while the objects are copied is copied too; one that comes after genesis is told of."""
    late = []

    def write(step):
        if step == "disclosed" and not late:
            late.append(put(place.open()))

    assert move(place, target, step=write).report.size == 42

    with pytest.raises(LedgerError, match="written to while it moved"):
        move(place, target, step=lambda step: put(place.open()) if step == "placed" else None)
    assert move(place, target).report.size == 44


def test_a_place_without_a_ledger_is_told(tmp_path, place, target):
    """There must be a ledger to move, and another place to move it to."""
    with pytest.raises(ConfigError, match="no ledger"):
        migrate(
            FolderStore(tmp_path / "nothing"),
            target,
            source_working=place.working,
            target_working=None,
            now=0,
            step=lambda _: None,
        )
    with pytest.raises(ConfigError, match="where the ledger is"):
        move(place, place.evidence)


def test_what_does_not_verify_is_moved_and_told(place, target):
    """An altered record moves as it is, and the report says what is wrong with it."""
    path = next((place.folder / "ledger" / "records").rglob("*.jsonl"))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b"{}\n")
    moved = move(place, target)
    assert [finding.code for finding in moved.report.findings] == ["altered-events"]
