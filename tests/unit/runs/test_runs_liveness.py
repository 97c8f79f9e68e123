"""A run's mark tells whether it still goes on."""

import subprocess
import sys
from pathlib import Path

from tfaudit.runs import liveness


def test_a_living_run_is_known(tmp_path: Path) -> None:
    """While the mark is held the run is alive."""
    with liveness.Mark(tmp_path, "run") as mark:
        assert liveness.is_alive(tmp_path, "run") is True
        mark.done()
    assert liveness.is_alive(tmp_path, "run") is None


def test_a_run_that_ended_without_a_word_is_dead(tmp_path: Path) -> None:
    """A mark that nobody holds is a run that died."""
    with liveness.Mark(tmp_path, "run"):
        pass
    assert liveness.is_alive(tmp_path, "run") is False
    liveness.forget(tmp_path, "run")
    assert liveness.is_alive(tmp_path, "run") is None


def test_a_killed_process_leaves_its_mark_unlocked(tmp_path: Path) -> None:
    """The kernel unlocks the mark of a process that was killed."""
    code = (
        "import os, signal, sys; from pathlib import Path; from tfaudit.runs import liveness\n"
        "with liveness.Mark(Path(sys.argv[1]), 'run'):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    assert liveness.is_alive(tmp_path, "run") is False
