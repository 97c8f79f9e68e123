"""Tests of running a program within limits."""

from __future__ import annotations

import os
import sys

import pytest

from tfaudit.policy.child import Child, ChildError, Limits, limiting

LIMITS = Limits(seconds=10, memory_mb=256)


def child(source, limits=LIMITS, **more):
    """Return a started child that runs this Python source."""
    return Child([sys.executable, "-I", "-c", source], limits, **more)


def test_it_gets_what_is_said_and_answers():
    """Input goes in whole, output comes back whole, with the exit code."""
    said = [b"x" * 300_000, b"y" * 300_000, b""]
    output, code = child("import sys; d = sys.stdin.buffer.read(); print(len(d)); sys.exit(3)").ask(said)
    assert (output, code) == (b"600000\n", 3)


def test_what_was_told_before_comes_first():
    """What is said ahead of the question is not lost, be it longer than a pipe holds."""
    one = child("import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())")
    one.tell(b"a" * 200_000)
    one.tell(b"b" * 200_000)
    output, _ = one.ask([b"c"])
    assert output == b"a" * 200_000 + b"b" * 200_000 + b"c"


def test_one_that_does_not_read_is_no_deadlock():
    """A child that answers without reading its input is heard."""
    output, _ = child("print('done')").ask([b"x" * 1_000_000] * 5)
    assert output == b"done\n"


def test_one_that_writes_before_it_reads_is_no_deadlock():
    """Output is taken while input is given."""
    source = "import sys; sys.stdout.write('x' * 1_000_000); d = sys.stdin.read(); sys.stdout.write(str(len(d)))"
    output, _ = child(source).ask([b"y" * 1_000_000])
    assert output == b"x" * 1_000_000 + b"1000000"


def test_one_that_takes_too_long_is_killed():
    """It is gone when the error comes."""
    one = child("import time; time.sleep(100)", Limits(seconds=0.3, memory_mb=99))
    with pytest.raises(ChildError, match="took longer"):
        one.ask([])
    with pytest.raises(ProcessLookupError):
        os.kill(one.pid, 0)


def test_one_that_closes_its_output_and_lives_on_is_killed():
    """The end of the output is not the end of the process."""
    one = child("import os, time; os.close(1); time.sleep(100)", Limits(seconds=0.5, memory_mb=99))
    with pytest.raises(ChildError, match="took longer"):
        one.ask([])


def test_one_that_writes_too_much_is_killed():
    """There is a limit on what is taken."""
    one = child("while True: print('x' * 1000)", Limits(seconds=10, memory_mb=99, output=10_000))
    with pytest.raises(ChildError, match="more than 10000 bytes"):
        one.ask([])


def test_one_that_ends_by_a_signal_has_not_answered():
    """What it wrote before counts for nothing."""
    with pytest.raises(ChildError, match=r"it was killed \(signal 9\)"):
        child("import os; print('ok', flush=True); os.kill(os.getpid(), 9)").ask([])


def test_it_is_told_nothing_of_the_environment(monkeypatch):
    """No variable of the run's reaches it, and it starts in a folder that is nobody's."""
    monkeypatch.setenv("TF_VAR_password", "x")
    output, _ = child("import os; print(sorted(os.environ), os.getcwd())").ask([])
    assert b"TF_VAR" not in output
    assert output.endswith(b"/\n")


def test_a_foreign_program_is_limited_too():
    """Memory beyond the limit is refused to it."""
    limits = Limits(seconds=10, memory_mb=128)
    source = "try:\n  x = bytearray(500 << 20)\nexcept MemoryError: print('no')"
    output, _ = child(source, limits, limit=limiting(limits)).ask([])
    assert output == b"no\n"


def test_what_can_not_be_started_is_named(tmp_path):
    """A program that isn't there is an error of the child, without its path."""
    with pytest.raises(ChildError, match="opa can't be started: No such file"):
        Child([str(tmp_path / "opa")], LIMITS)


def test_it_may_be_closed_at_any_time():
    """Closing ends it, and again does nothing."""
    with child("import time; time.sleep(100)") as one:
        pass
    one.close()
    with pytest.raises(ProcessLookupError):
        os.kill(one.pid, 0)
