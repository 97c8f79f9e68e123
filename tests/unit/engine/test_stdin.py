"""Who gets which line of standard input."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tfaudit.engine import argv
from tfaudit.engine.signals import Relay
from tfaudit.engine.stdin import Input

linux = pytest.mark.skipif(sys.platform != "linux", reason="packet pipes are Linux's")


def fed(source: Input) -> None:
    """Feed the engine's end until nothing more is to do without it."""
    while (wanted := source.wants()) is not None:
        poll = select.poll()
        poll.register(*wanted)
        if not poll.poll(0):
            return
        source.feed()


def piped(text: bytes) -> int:
    """Return the read end of a pipe that holds ``text`` and has ended."""
    reader, writer = os.pipe()
    os.write(writer, text)
    os.close(writer)
    return reader


@linux
def test_a_greedy_reader_gets_one_line() -> None:
    """However much the engine asks for, it gets a line; the next one is ours."""
    source = Input(piped(b"first\nyes\nrest\n"), shared=True)
    fed(source)
    assert os.read(source.engine_fd, 4096) == b"first\n"
    with Relay() as relay:
        assert source.read_line(relay) == b"yes\n"
        assert source.read_line(relay) == b"rest\n"
        assert source.read_line(relay) == b""
    source.close()


@linux
def test_long_and_unfinished_lines_arrive_whole() -> None:
    """A line longer than a packet comes in parts, the last one needs no newline."""
    text = b"x" * 9000 + b"\nend"
    source = Input(piped(text), shared=True)
    fed(source)
    with Relay() as relay:
        assert source.read_line(relay) == b"x" * 9000 + b"\n"
        assert source.read_line(relay) == b"end"
    source.close()


def test_nothing_is_taken_that_nobody_needs() -> None:
    """Where the engine asks for nothing, our prompt takes its line and no byte more."""
    reader = piped(b"yes\nthe next command's\n")
    source = Input(reader, shared=False)
    assert source.engine_fd == reader
    assert source.wants() is None
    with Relay() as relay:
        assert source.read_line(relay) == b"yes\n"
    source.close()
    assert os.read(reader, 100) == b"the next command's\n"


def test_unused_lines_of_a_file_are_given_back(tmp_path: Path) -> None:
    """What was read ahead from a file is there for whoever reads it next."""
    path = tmp_path / "answers"
    path.write_bytes(b"one\ntwo\nthree\n")
    with path.open("rb", buffering=0) as file:
        source = Input(file.fileno(), shared=True)
        fed(source)
        with Relay() as relay:
            assert source.read_line(relay) == b"one\n"
        source.close()
        assert file.read() == b"two\nthree\n"


WAITING = """
import sys
from tfaudit.engine.signals import Interrupted, Relay
from tfaudit.engine.stdin import Input

with Relay() as relay:
    print("waiting", flush=True)
    try:
        print(Input(0, shared=False).read_line(relay))
    except Interrupted as interrupted:
        print(interrupted, relay.interrupts)
"""


def test_a_signal_ends_the_wait() -> None:
    """A signal that comes while we wait for an answer is told at once."""
    command = [sys.executable, "-c", WAITING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "SIGTERM 1\n"


@pytest.mark.parametrize(
    ("line", "shared"),
    [
        ("apply", True),
        ("destroy", True),
        ("apply -auto-approve", False),
        ("apply -input=false", False),
        ("apply saved", False),
        ("plan", False),
    ],
)
def test_stdin_is_shared_only_where_both_may_ask(line: str, shared: bool) -> None:
    """A pipe of our own stands between only if the engine asks for variables and we for approval."""
    reader = piped(b"")
    source = Input.of(argv.parse(line.split(), {}), reader)
    assert (source.engine_fd != reader) is shared
    source.close()
