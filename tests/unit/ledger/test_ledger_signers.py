"""Signers that lie elsewhere can be away, or refuse, at any moment of an append."""

from __future__ import annotations

import pytest
from ledgerkit import add, make

from tfaudit.errors import ConfigError, UnavailableError
from tfaudit.ledger.log import SpooledError


class Elsewhere:
    """A signer that fails as told."""

    def __init__(self, real, failure):
        self.public, self._failure = real.public, failure

    def sign(self, _message):
        """Fail."""
        raise self._failure


FAILURES = [UnavailableError("KMS can't be reached"), ConfigError("KMS refuses")]


@pytest.fixture
def place(tmp_path):
    """A ledger of one record."""
    place = make(tmp_path / "place")
    add(place.open())
    return place


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_without_a_record_key_nothing_is_written(place, failure):
    """A record that can't be signed leaves nothing behind, in the store or the spool."""
    ledger = place.open(signer=Elsewhere(place.signer, failure))
    for spool in (False, True):
        with pytest.raises(type(failure)):
            add(ledger, "outcome", spool=spool)
    assert len(place.staged()) == 1
    assert not ledger.spool.waiting()


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_without_the_log_key_the_record_waits(place, failure):
    """A signed record whose commit can't be signed is staged and in the spool, and comes into the log once."""
    ledger = place.open(log_signer=Elsewhere(place.log, failure))
    with pytest.raises(SpooledError):
        add(ledger, "outcome", spool=True)
    assert len(ledger.spool.waiting()) == 1
    place.open().drain()
    assert [line.kind for line in place.whole()] == ["plan", "outcome"]


def test_an_unspooled_record_is_adopted_by_the_next(place):
    """Without a spool the failure is told, and the staged record is taken along by whoever commits next."""
    with pytest.raises(UnavailableError):
        add(place.open(log_signer=Elsewhere(place.log, FAILURES[0])), "outcome")
    add(place.open())
    assert [line.kind for line in place.whole()] == ["plan", "outcome", "plan"]
