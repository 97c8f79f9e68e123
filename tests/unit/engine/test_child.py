"""Is what an engine writes moved on, however much it is?"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from tfaudit.engine import child

_PIPE = 65_536
_WRITES = "import os, sys; [os.write(int(sys.argv[1]), b'x' * 65536) for _ in range(3)]"
_HOUR = 3_600_000


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="there are no pidfds here")
def test_an_engine_that_fills_its_pipe_is_not_kept_waiting() -> None:
    """After a full pipe the next read follows at once, and not only after the lull that few lines are gathered in."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filled = os.write(writer, b"x" * _PIPE)
    os.set_blocking(writer, True)
    engine = subprocess.Popen([sys.executable, "-c", _WRITES, str(writer)], pass_fds=[writer])
    os.close(writer)
    taken: list[int] = []
    ended = os.pidfd_open(engine.pid)
    arguments = (ended, {reader: lambda data: taken.append(len(data))}, None)
    moving = threading.Thread(target=child.pump, args=arguments, kwargs={"lull": _HOUR}, daemon=True)
    moving.start()
    moving.join(60)
    is_stuck = moving.is_alive()
    engine.kill()
    engine.wait()
    moving.join()
    os.close(reader)
    os.close(ended)
    assert not is_stuck
    assert sum(taken) == filled + 3 * _PIPE
