"""Does a writer find the end of the log, whatever litter stands in its way?"""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from ledgerkit import Place, add, make

from tfaudit.errors import LedgerError
from tfaudit.ledger import commit, ids
from tfaudit.ledger.head import Head
from tfaudit.ledger.store import read


def fill(place: Place, records: int) -> None:
    """Append so many records, one a commit."""
    ledger = place.open()
    for _ in range(records):
        add(ledger)


@pytest.mark.parametrize("kind", ["folder", "symlink", "fifo"])
def test_what_is_no_object_in_a_slot_is_stepped_over(tmp_path: Path, kind: str) -> None:
    """A folder, a symbolic link or a pipe at the next commit's key is void, for writers as for verify."""
    place = make(tmp_path / "l")
    fill(place, 2)
    path = place.folder / "ledger" / ids.commit_key(2)
    if kind == "folder":
        path.mkdir()
    elif kind == "symlink":
        path.symlink_to("/dev/null")
    else:
        os.mkfifo(path)
    fill(place, 1)
    assert add(place.open()).commit == 4
    assert [entry.commit for entry in place.open().reader().in_order()] == [0, 1, 3, 4]


def test_a_known_head_that_is_no_object_any_more_stops_the_writer(tmp_path: Path) -> None:
    """The commit that one builds on must stay what it was."""
    place = make(tmp_path / "l")
    ledger = place.open()
    add(ledger)
    path = place.folder / "ledger" / ids.commit_key(0)
    path.unlink()
    path.mkdir()
    with pytest.raises(LedgerError):
        add(ledger)


def test_a_long_chain_of_planted_key_changes_costs_no_stack(tmp_path: Path) -> None:
    """Commits that name each other for the keys in force, two thousand of them, lead to a start at genesis."""
    place = make(tmp_path / "l")
    fill(place, 3)
    raw = read(place.evidence, ids.commit_key(2), limit=commit.MAX_COMMIT) or b""
    header = commit.parse(raw).header
    for number in range(10, 2_100):
        previous = (number - 1, sha256(raw).hexdigest())
        text = replace(header, number=number, previous=previous, keys=number - 1).text()
        raw = text + raw.partition(b"\nown ")[2].partition(b"\n")[2]
        place.evidence.create(ids.commit_key(number), raw)
    head = Head(place.evidence, place.genesis())
    head.start_near_end(2_099)
    assert head.next == 3


@pytest.mark.parametrize("hint", [None, 0, 1, 150, 299, 300, 5_000])
def test_any_hint_leads_to_the_end(tmp_path: Path, hint: int | None) -> None:
    """A hint that is old, wrong or beyond the end costs looks, never the end itself."""
    place = make(tmp_path / "l")
    fill(place, 300)
    head = Head(place.evidence, place.genesis())
    head.start_near_end(hint)
    assert (head.next, head.state.number) == (300, 299)
    assert head.catch_up() == []
