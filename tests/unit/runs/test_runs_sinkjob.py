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

    def __init__(self) -> None:
        self.asked, self.answered = threading.Event(), threading.Event()

    def let_go(self) -> None:
        """Wait for the store."""
        self.asked.set()
        self.answered.wait(60)


def test_a_store_that_hangs_does_not_keep_a_job_from_being_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease is let go where that is possible at once; else it ends by itself."""
    monkeypatch.setattr(sinkjob, "GRACE", 0.05)
    delivery = _Hanging()
    settings = SinkSettings(name="test", url="webhook:http://127.0.0.1:1/", scheme="webhook")
    job = Job(cast(Any, None), settings, threading.Condition())
    job.thread = threading.Thread(target=delivery.answered.wait, args=(60,), daemon=True)
    job._delivery = cast(Any, delivery)
    job.thread.start()
    job.end(time.monotonic())
    assert delivery.asked.is_set()
    assert not delivery.answered.is_set()
    assert job.thread.is_alive()
    delivery.answered.set()
