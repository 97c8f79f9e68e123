"""What somebody is told of sinks that do not get their copies."""

from __future__ import annotations

from tfaudit.runs import alerting
from tfaudit.runs.delivering import Delivered


def _ended(name, state, code, **more):
    return Delivered(name=name, url=f"webhook:https://{name}.example/", state=state, code=code, **more)


def test_why_a_sink_lacks_its_copies_is_told_in_words():
    """A log that was cut off is another matter than a disk that is full."""
    found = [
        _ended("full", "failed", 74),
        _ended("cut", "failed", 76),
        _ended("odd", "failed", 70),
        _ended("well", "done", 0),
        _ended("siem", "misconfigured", 78, dead=1),
    ]
    assert alerting.failures_of(found) == (
        'nothing can be delivered to sink "full": the ledger or the working store can\'t be read or written',
        'nothing can be delivered to sink "cut": the log holds less than was delivered',
        'nothing can be delivered to sink "odd"',
        'sink "siem" is misconfigured',
        'sink "siem" has refused documents for good',
    )
