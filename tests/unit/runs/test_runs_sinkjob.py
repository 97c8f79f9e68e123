"""A delivery that is given up keeps nobody waiting, whatever it hangs at."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

import pytest

from tfaudit.config.delivering import SinkSettings
from tfaudit.runs import sinkjob
from tfaudit.runs.sinkjob import Job


class _Hanging:
    """A delivery whose store does not answer either."""

    def __init__(self, *, keeping: bool = False) -> None:
        self.keeping = keeping
        self.asked, self.answered = threading.Event(), threading.Event()

    def let_go(self) -> None:
        """Wait for the store."""
        self.asked.set()
        self.answered.wait(60)


def test_a_store_that_hangs_does_not_keep_a_job_from_being_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease is let go where that is possible at once; else it ends by itself."""
    monkeypatch.setattr(sinkjob, "STORE_SECONDS", 0.05)
    delivery = _Hanging()
    job = _left(delivery)
    assert delivery.asked.is_set()
    assert not delivery.answered.is_set()
    assert job.thread.is_alive()
    delivery.answered.set()


def test_what_was_answered_last_is_kept_where_the_store_is_slow() -> None:
    """A job that has its answer, and waits for the store alone, lets the sink go by itself."""
    delivery = _Hanging(keeping=True)
    threading.Timer(0.2, delivery.answered.set).start()
    job = _left(delivery)
    assert not job.thread.is_alive()
    assert not delivery.asked.is_set()


def _left(delivery: _Hanging) -> Job:
    """Return a job whose time is over, as it is left."""
    settings = SinkSettings(name="test", url="webhook:http://127.0.0.1:1/", scheme="webhook")
    job = Job(cast(Any, None), settings, threading.Condition())
    job.thread = threading.Thread(target=delivery.answered.wait, args=(60,), daemon=True)
    job._delivery = cast(Any, delivery)
    job.thread.start()
    job.end(time.monotonic())
    return job
