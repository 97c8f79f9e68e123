"""One job delivers to a sink at a time, nobody waits, and a job that was killed holds up the others for seconds."""

from __future__ import annotations

import threading

import pytest

from tfaudit.errors import LedgerError
from tfaudit.ledger.folder import FolderStore
from tfaudit.sinks import lease
from tfaudit.sinks.lease import LENGTH, Lease
from tfaudit.sinks.shelf import Shelf


@pytest.fixture
def shelf(tmp_path):
    """A sink's part of a working store."""
    return Shelf(FolderStore(tmp_path, mode=0o600), "test")


def test_a_second_job_is_told_until_when(shelf):
    """Whoever comes second learns until when the lease holds, at once."""
    lease.take(shelf, lambda: 1_000)
    assert lease.take(shelf, lambda: 2_000) == 1_000 + LENGTH
    assert lease.held(shelf) == 1_000 + LENGTH


def test_a_lease_that_was_released_can_be_taken(shelf):
    """The next job needn't wait for the end of a lease that was let go."""
    first = lease.take(shelf, lambda: 1_000)
    first.release()
    assert isinstance(lease.take(shelf, lambda: 1_001), Lease)


def test_a_lease_ends_by_itself(shelf):
    """A job that was killed holds up nobody beyond the lease's length; what many left is removed."""
    for number in range(5):
        assert isinstance(lease.take(shelf, lambda number=number: 1_000 + number * LENGTH), Lease)
    assert len(list(shelf.names("lease/"))) == 2


def test_a_lease_is_renewed_when_it_is_nearly_over(shelf):
    """A delivery that goes on keeps its lease beyond its length."""
    now = [1_000]
    mine = lease.take(shelf, lambda: now[0])
    now[0] += LENGTH - 1
    assert mine.keep()
    assert lease.held(shelf) == now[0] + LENGTH


def test_a_lease_that_was_taken_over_is_lost(shelf):
    """Whoever was stopped for too long notices that another job goes on, and does not take it back."""
    now = [1_000]
    mine = lease.take(shelf, lambda: now[0])
    now[0] += LENGTH
    other = lease.take(shelf, lambda: now[0])
    now[0] += LENGTH - 1
    assert isinstance(other, Lease)
    assert not mine.keep()
    assert other.keep()


def test_a_lease_that_many_took_over_since_is_lost(shelf):
    """However long it was stopped, and whatever the others removed behind them."""
    now = [1_000]
    mine = lease.take(shelf, lambda: now[0])
    for _ in range(4):
        now[0] += LENGTH
        assert isinstance(lease.take(shelf, lambda: now[0]), Lease)
    assert not mine.keep()


def test_of_many_that_find_it_free_one_takes_it(shelf):
    """However many jobs come at once, exactly one gets the lease."""
    for round_ in range(5):
        start = threading.Barrier(8)
        got = []

        def take(start=start, got=got, now=round_ * 2 * LENGTH):
            start.wait()
            got.append(lease.take(shelf, lambda: now))

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(isinstance(one, Lease) for one in got) == 1


def test_a_lease_that_is_no_document_says_what_to_do(shelf, tmp_path):
    """Who can't read it neither takes it nor leaves whoever looks alone with that."""
    lease.take(shelf, lambda: 0)
    [path] = tmp_path.rglob("lease/*.json")
    path.write_bytes(b"{")
    with pytest.raises(LedgerError, match="can't be read") as found:
        lease.take(shelf, lambda: LENGTH)
    assert found.value.hint == "remove it: documents are sent again at worst"
    path.unlink()
    assert isinstance(lease.take(shelf, lambda: LENGTH), Lease)
