"""What does a command show: on pipes or on a terminal of its own, with answers typed at its questions."""

from __future__ import annotations

import difflib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 180

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_STAMP = re.compile(r'"@timestamp":"[^"]*"')
_AFTER = re.compile(r"(complete after|errored after) (?:\d+[hms])+")
_ELAPSED = re.compile(r'"elapsed_seconds":\d+')
_OWN = re.compile(r"^((?:\x1b\[\d+m)*)tfaudit: .*\n", re.MULTILINE)
_EVENT = re.compile(
    r"^(?:\x1b\[\d+m)*\S.*(?:: (?:Creating|Modifying|Destroying|Reading|Refreshing state|Importing|Still "
    r"|Preparing import|Provisioning with |(?:Creation|Modifications|Destruction|Read|Import) complete)"
    r"|\([a-z-]+\):(?:\x1b\[0m)? )"
    r'|^\{"@level":"(?:info.*"type":"(?!change_summary|outputs)|warn|error)'
)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a command showed and how it ended; on a terminal everything is on stdout."""

    stdout: str
    stderr: str
    code: int


def on_pipes(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], typed: str | None = None
) -> Shown:
    """Run the command with its output on pipes and ``typed`` as its input (nothing: an empty one)."""
    result = subprocess.run(
        command,
        cwd=folder,
        env=dict(environment),
        input=(typed or "").encode(),
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    return Shown(result.stdout.decode(), result.stderr.decode(), result.returncode)


def on_terminal(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    answers: Sequence[tuple[str, str]] = (),
    columns: int = 100,
) -> Shown:
    """Run the command on a terminal; each answer is typed once its question stands on the screen."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        # The size is set before the command can ask for it.
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        os.execvpe(command[0], list(command), dict(environment))
    screen, answered, left = b"", 0, list(answers)
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            break
        if not chunk:
            break
        screen += chunk
        while left and (at := screen.find(left[0][0].encode(), answered)) >= 0:
            answered = at + len(left[0][0].encode())
            time.sleep(0.1)
            os.write(terminal, left.pop(0)[1].encode())
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return Shown(screen.decode(), "", os.waitstatus_to_exitcode(status))


def normalise(text: str, *, folder: Path | None = None) -> str:
    """The text without times and ids, the lines about concurrent resources in one order, tfaudit's own lines gone."""
    if folder is not None:
        text = text.replace(str(folder), "FOLDER")
    text = _ID.sub("ID", text)
    text = _STAMP.sub('"@timestamp":"TIME"', text)
    text = _AFTER.sub(r"\1 TIME", text)
    text = _ELAPSED.sub('"elapsed_seconds":0', text)
    lines = _OWN.sub(r"\1", text).split("\n")
    ordered: list[str] = []
    run: list[str] = []
    for line in lines:
        if _EVENT.match(line):
            # A reset that belongs to the text above stays above.
            if not run and line.startswith("\x1b[0m\x1b[0m"):
                ordered.append("\x1b[0m")
                line = line.removeprefix("\x1b[0m")
            run.append(line)
            continue
        ordered += [*sorted(run), line]
        run = []
    return "\n".join([*ordered, *sorted(run)])


def same(one: Shown, other: Shown, *, folders: tuple[Path, Path]) -> None:
    """Assert that both look alike and ended alike."""
    left, right = (
        (shown.code, normalise(shown.stdout, folder=folder), normalise(shown.stderr, folder=folder))
        for shown, folder in zip((one, other), folders, strict=True)
    )
    for stream, expected, found in zip(("stdout", "stderr"), left[1:], right[1:], strict=True):
        lines = difflib.unified_diff(expected.split("\n"), found.split("\n"), "engine", "stand-in", lineterm="", n=2)
        assert found == expected, f"{stream}:\n" + "\n".join(line.encode("unicode_escape").decode() for line in lines)
    assert right[0] == left[0]


_INTERRUPT = ("Interrupt received.", "Please wait for ", "Gracefully shutting down...")


def loosen(shown: Shown) -> Shown:
    """The same with its lines sorted, without blank ones and the word about an interrupt.

    Whether and when the engine gives that word before it ends, and how it names the reason, is a race of its own.
    """
    out, err = (
        "\n".join(
            sorted(
                line.replace("context canceled", "interrupted")
                for line in _OWN.sub(r"\1", text).splitlines()
                if line.strip() and not line.startswith(_INTERRUPT)
            )
        )
        for text in (shown.stdout, shown.stderr)
    )
    return Shown(out, err, shown.code)
