"""A signal is never lost between two processes of a run."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own: the signals of the test runner's threads are not ours to block.
SCRIPT = """
import os, select, signal, sys
from tfaudit.engine.signals import Interrupted, Relay

class Engine:
    own_group = True
    quiet = sys.argv[1] == "quiet"
    def send(self, number):
        print("sent", number)

with Relay() as relay:
    os.kill(os.getpid(), signal.SIGTERM)
    select.select([relay.wake_fd], [], [])
    relay.start(Engine)
    relay.ended()
    try:
        relay.heed()
    except Interrupted as interrupted:
        print("heeded", interrupted.signal)
"""


@pytest.mark.parametrize(("kind", "told"), [("changing", "sent 15"), ("quiet", "heeded 15")])
def test_a_signal_before_the_start(kind: str, told: str) -> None:
    """An engine that changes something gets it at once; past one that only reads it waits to be heeded. Once."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, kind], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.split("\n"), done.stderr) == ([told, ""], "")
