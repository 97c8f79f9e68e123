"""Tokens and cosignatures have their places, and what nobody checks is not taken for checked."""

from __future__ import annotations

import pytest
from ledgerkit import add, make

from tfaudit.ledger import ids
from tfaudit.ledger.verify import anchors, verify
from tfaudit.ledger.verify.findings import error


@pytest.fixture
def place(tmp_path):
    """A ledger of one record."""
    place = make(tmp_path / "place")
    add(place.open(), events=0)
    return place


def codes(found):
    """Return the findings as (code, severity, where)."""
    return [(finding.code, finding.severity, finding.where) for finding in found]


def test_a_ledger_without_anchors_shows_none(place):
    """Nothing there, nothing said."""
    assert codes(anchors.findings(place.evidence)) == []


def test_anchors_that_nobody_checks_are_told_of(place):
    """Each kind is one warning with its number, and the ledger is ok."""
    for number in range(3):
        place.evidence.create(f"tokens/{number:016x}.tsr", b"token")
    place.evidence.create(f"cosignatures/{0:016x}/{'ab' * 4}", b"cosignature")
    found = list(anchors.findings(place.evidence))
    assert codes(found) == [("unchecked", "warning", "tokens/"), ("unchecked", "warning", "cosignatures/")]
    assert "the 3 timestamp tokens" in found[0].message
    report = verify(place.evidence, place.working, now=ids.milliseconds(place.clock()))
    assert report.ok
    assert codes(report.findings) == codes(found)


@pytest.mark.parametrize(
    "key", ["tokens/1.tsr", f"tokens/{0:016x}", f"tokens/{0:016x}.tsr/x", f"cosignatures/{0:016x}", "cosignatures/x/y"]
)
def test_other_keys_are_foreign(place, key):
    """What has no anchor's key in these places is litter."""
    place.evidence.create(key, b"something")
    assert codes(anchors.findings(place.evidence)) == [("foreign", "warning", key)]


def test_a_check_gets_every_anchor_of_its_kind(place):
    """A kind with a check is checked, object by object, with its commit's number."""
    for number in (0, 17):
        place.evidence.create(f"tokens/{number:016x}.tsr", b"token")

    def check(evidence, anchor):
        with evidence.open(anchor.key) as stream:
            assert stream.read() == b"token"
        if anchor.number:
            yield error("bad-checkpoint", anchor.key, "this token is of another checkpoint")

    found = anchors.findings(place.evidence, checks={"tokens/": check})
    assert codes(found) == [("bad-checkpoint", "error", f"tokens/{17:016x}.tsr")]
