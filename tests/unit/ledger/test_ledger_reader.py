"""Readers see the log in either direction, and notice bytes that are not those of the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgerkit import EVENT, Place, add, make

from tfaudit.errors import ConfigError, InputError, LedgerError, VerificationError
from tfaudit.events import commitment
from tfaudit.ledger import ids
from tfaudit.ledger.reader import Reader


def reader(place: Place) -> Reader:
    """Open the ledger for reading."""
    return Reader.open(evidence=place.evidence, working=place.working, genesis_digest=place.genesis().digest)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A ledger of five records in four commits."""
    found = make(tmp_path)
    for _ in range(2):
        add(found.open())
    add(found.open(log_signer=None))
    for _ in range(2):
        add(found.open())
    return found


def test_both_directions_agree(place: Place) -> None:
    """Newest first is the reverse of log order, and positions leave out the header leaves."""
    entries = list(reader(place).in_order())
    assert [entry.line for entry in entries] == place.whole()
    assert list(reader(place).newest_first()) == entries[::-1]
    assert [entry.position for entry in entries] == [0, 2, 4, 5, 7]
    assert [entry.commit for entry in entries] == [0, 1, 2, 2, 3]


def test_order_may_start_later(place: Place) -> None:
    """Reading on from a leaf index gives the rest."""
    entries = list(reader(place).in_order())
    for start in range(9):
        assert list(reader(place).in_order(start=start)) == [entry for entry in entries if entry.position >= start]


def test_an_empty_log_has_no_entries(tmp_path: Path) -> None:
    """There is nothing to read before the first commit."""
    found = reader(make(tmp_path))
    assert list(found.newest_first()) == list(found.in_order()) == []
    assert found.find("0") is None


def test_records_are_found_by_id(place: Place) -> None:
    """A whole id or its start finds the record, an unknown one nothing."""
    for entry in reader(place).in_order():
        assert reader(place).find(entry.line.record_id) == entry
    newest = next(reader(place).newest_first())
    assert reader(place).find(newest.line.record_id[:4]) == newest
    assert reader(place).find("ffff") is None


def test_a_record_opens_with_its_events_and_disclosures(place: Place) -> None:
    """Statement, event lines by number, and disclosed values that open the commitments."""
    found = reader(place)
    line = next(found.newest_first()).line
    opened = found.record(line)
    assert opened.record_id == line.record_id
    assert list(found.events(line)) == [(1, EVENT.line), (2, EVENT.line)]
    disclosed = list(found.disclosures(line.record_id))
    assert [entry.line for entry in disclosed] == [1, 2, 0]
    reason = disclosed[2].values[0]
    assert commitment.opens(opened.predicate["reason"]["digest"], line.record_id, "", None, reason)
    assert list(found.disclosures("no-such-record")) == []


def test_altered_bytes_are_noticed(place: Place) -> None:
    """A changed line 1, event, commit or a missing one: VerificationError, not another reading."""
    found = reader(place)
    line = next(found.newest_first()).line
    path = place.folder / "ledger" / line.key
    content = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(content.replace(b"resource-change", b"resource-chance", 1))
    assert found.record(line).record_id == line.record_id
    with pytest.raises(VerificationError, match="events"):
        list(found.events(line))
    path.write_bytes(content[:-1])
    with pytest.raises(InputError, match="does not end"):
        list(found.events(line))
    path.write_bytes(b"{" + content)
    with pytest.raises(VerificationError, match="altered"):
        found.record(line)
    path.unlink()
    with pytest.raises(VerificationError, match="missing"):
        found.record(line)
    commit = place.folder / "ledger" / ids.commit_key(1)
    commit.chmod(0o600)
    commit.write_bytes(commit.read_bytes().replace(b"size 2", b"size 3"))
    with pytest.raises(VerificationError, match="commit 1"):
        list(found.newest_first())
    commit.unlink()
    with pytest.raises(VerificationError, match="commit 1"):
        list(found.in_order())


def test_the_right_ledger_is_opened(place: Place, tmp_path: Path) -> None:
    """Another genesis than the pinned one, none, or a broken one is refused."""
    with pytest.raises(ConfigError):
        Reader.open(evidence=place.evidence, working=place.working, genesis_digest="sha256:00")
    with pytest.raises(LedgerError, match="no ledger"):
        Reader.open(evidence=place.working, working=place.working, genesis_digest=None)
    place.working.create("genesis.json", b"{}\n")
    with pytest.raises(LedgerError):
        Reader.open(evidence=place.working, working=place.working, genesis_digest=None)
