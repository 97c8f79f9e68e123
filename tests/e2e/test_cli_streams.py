"""tfaudit's own commands say so when what they print can't be written, and need no stream to be open."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
import support

VERBS = ("log", "log --json", "verify", "verify --json", "--help")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a ledger."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TFAUDIT_STACK": "a"}
    command = [str(support.TFAUDIT), "setup", "--yes"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=60)
    return tmp_path


def in_shell(place: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run tfaudit with the rest of a shell line after it."""
    text = f"{shlex.quote(str(support.TFAUDIT))} {line}"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(place)}
    return subprocess.run(
        ["sh", "-c", text], cwd=place, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("verb", ["verify", "verify --json", "--help", "keys list"])
def test_a_full_disk_is_told(place: Path, verb: str) -> None:
    """One line and 74, also where all of the output fits into a buffer."""
    done = in_shell(place, f"{verb} > /dev/full")
    assert (done.returncode, done.stderr.count("\n")) == (74, 1), done.stderr
    assert done.stderr.startswith("tfaudit: reading or writing failed: No space left")


@pytest.mark.parametrize("verb", VERBS)
def test_a_closed_stdout_is_no_error(place: Path, verb: str) -> None:
    """What nobody wants to see goes nowhere."""
    done = in_shell(place, f"{verb} >&-")
    assert done.returncode == 0, done.stderr


def test_with_every_stream_closed(place: Path) -> None:
    """Nothing that is opened later passes for stdin, stdout or stderr."""
    assert in_shell(place, "verify <&- >&- 2>&-").returncode == 0
