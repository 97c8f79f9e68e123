"""Signals reach the engine exactly once, and the engine comes to its end whatever happens to tfaudit.

The engine here is a small program that writes down what reaches it; the terminal, where there is one, is real.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("signalrun.py")
TIMEOUT = 20.0

ENGINE = """\
#!{python}
import os, signal, sys, time
log = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
got = []
def write(*words):
    # Not by print: a signal may come in the middle of one, and buffered files can't be entered twice.
    os.write(log, (" ".join(map(str, words)) + "\\n").encode())
def handler(number, frame):
    got.append(number)
    write("signal", number)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) != signal.SIG_IGN:
        signal.signal(number, handler)
write("started", os.getpid())
{body}
write("finished")
sys.exit(7)
"""

WAIT_FOR_ONE = """
while not got:
    time.sleep(0.01)
time.sleep(0.4)
"""
WAIT_FOR_TWO = """
while len(got) < 2:
    time.sleep(0.01)
time.sleep(0.4)
"""


class Scene:
    """A fake engine, the process that runs it, and what they wrote down."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.result = folder / "result"
        self.engine = folder / "terraform"
        self.pid = 0
        self.terminal = -1

    def write_engine(self, body: str) -> None:
        """Write the engine."""
        self.engine.write_text(ENGINE.format(python=sys.executable, log=str(self.log), body=body))
        self.engine.chmod(0o755)

    def command(self, how: str) -> list[str]:
        """Return what runs the engine."""
        return [sys.executable, str(RUN), how, str(self.result), str(self.engine)]

    def start(self, how: str, **options: object) -> subprocess.Popen[bytes]:
        """Start without a terminal, as in CI, in a session of its own."""
        settings: dict[str, object] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **options}
        process = subprocess.Popen(self.command(how), start_new_session=True, **settings)  # type: ignore[call-overload]
        self.pid = process.pid
        self.until(lambda: "started" in self.logged())
        return process

    def start_at_terminal(self, how: str) -> None:
        """Start as the foreground job of a terminal."""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, self.command(how))
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
        self.until(lambda: "started" in self.logged())

    def screen(self, *, until: bytes = b"\0") -> bytes:
        """Return what the terminal shows until its program ends, or until a text is there."""
        shown = b""
        while until not in shown and select.select([self.terminal], [], [], TIMEOUT)[0]:
            try:
                part = os.read(self.terminal, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
        return shown

    def logged(self) -> str:
        """Return what the engine wrote down so far."""
        return self.log.read_text() if self.log.exists() else ""

    def signals(self) -> list[int]:
        """Return the signals that reached the engine, in order."""
        return [int(line.split()[1]) for line in self.logged().splitlines() if line.startswith("signal")]

    def engine_pid(self) -> int:
        """Return the engine's process id."""
        return int(self.logged().split()[1])

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; fail when it doesn't come."""
        end = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < end, self.logged()
            time.sleep(0.01)

    def ended(self) -> dict[str, object]:
        """Wait for the result and return it."""
        self.until(lambda: self.result.exists() and self.result.read_text().endswith("}"))
        loaded: dict[str, object] = json.loads(self.result.read_text())
        return loaded


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A scene whose processes are gone afterwards."""
    scene = Scene(tmp_path)
    yield scene
    pids = [scene.pid, *([scene.engine_pid()] if "started" in scene.logged() else [])]
    for pid in filter(None, pids):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    if scene.terminal >= 0:
        os.close(scene.terminal)
        os.waitpid(scene.pid, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("how", ["lines", "human", "inherit"])
def test_runner_signals_tfaudit_alone(scene: Scene, how: str, number: int) -> None:
    """A signal sent to tfaudit is the engine's, once, and its exit code is ours."""
    scene.write_engine(WAIT_FOR_ONE)
    process = scene.start(how)
    process.send_signal(number)
    ended = scene.ended()
    assert scene.signals() == [number]
    assert (ended["code"], ended["signal"], ended["interrupts"]) == (7, None, 1)


def test_runner_signals_the_group(scene: Scene) -> None:
    """What is sent to tfaudit's whole process group reaches the engine once, not twice."""
    scene.write_engine(WAIT_FOR_ONE)
    process = scene.start("lines")
    os.killpg(process.pid, signal.SIGTERM)
    scene.ended()
    assert scene.signals() == [signal.SIGTERM]


@pytest.mark.skipif(shutil.which("timeout") is None, reason="there is no timeout command here")
def test_timeout_sends_twice(scene: Scene) -> None:
    """A ``timeout`` signals its child and its group; that is one request to stop."""
    scene.write_engine(WAIT_FOR_ONE)
    command = ["timeout", "60", *scene.command("lines")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    scene.until(lambda: "started" in scene.logged())
    process.terminate()
    assert scene.ended()["interrupts"] == 1
    assert scene.signals() == [signal.SIGTERM]
    process.wait()


def test_second_signal_is_a_second(scene: Scene) -> None:
    """A second signal is the engine's second: the user's way to stop at once."""
    scene.write_engine(WAIT_FOR_TWO)
    process = scene.start("lines")
    process.send_signal(signal.SIGINT)
    scene.until(lambda: scene.signals() == [signal.SIGINT])
    process.send_signal(signal.SIGTERM)  # as CI runners do
    assert scene.ended()["interrupts"] == 2
    assert scene.signals() == [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("how", ["lines", "human", "inherit"])
def test_control_c(scene: Scene, how: str) -> None:
    """Ctrl-C reaches the whole foreground group by itself and isn't forwarded again."""
    scene.write_engine(WAIT_FOR_ONE)
    scene.start_at_terminal(how)
    os.write(scene.terminal, b"\x03")
    scene.screen()
    assert scene.ended()["interrupts"] == 1
    assert scene.signals() == [signal.SIGINT]


def test_second_control_c(scene: Scene) -> None:
    """Two times Ctrl-C are two."""
    scene.write_engine(WAIT_FOR_TWO)
    scene.start_at_terminal("human")
    os.write(scene.terminal, b"\x03")
    scene.until(lambda: len(scene.signals()) == 1)
    os.write(scene.terminal, b"\x03")
    scene.screen()
    scene.ended()
    assert scene.signals() == [signal.SIGINT, signal.SIGINT]


def test_kill_at_a_terminal(scene: Scene) -> None:
    """At a terminal too, a signal that a process sends to tfaudit alone is forwarded."""
    scene.write_engine(WAIT_FOR_ONE)
    scene.start_at_terminal("human")
    os.kill(scene.pid, signal.SIGTERM)
    scene.screen()
    scene.ended()
    assert scene.signals() == [signal.SIGTERM]


def test_stop_and_continue(scene: Scene) -> None:
    """Ctrl-Z stops tfaudit and the engine, fg lets both go on."""
    scene.write_engine("while not got: time.sleep(0.01)")
    # A job needs a shell above it: the kernel doesn't stop a group that nobody could continue.
    shell = (
        "import os, signal, sys\n"
        "job = os.fork()\n"
        "if job == 0:\n"
        "    os.setpgid(0, 0)\n"
        "    signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
        "    os.tcsetpgrp(0, os.getpgrp())\n"
        "    signal.signal(signal.SIGTTOU, signal.SIG_DFL)\n"
        "    os.execv(sys.argv[1], sys.argv[1:])\n"
        "_, status = os.waitpid(job, os.WUNTRACED)\n"
        "print('stopped' if os.WIFSTOPPED(status) else 'not stopped', flush=True)\n"
        "os.killpg(job, signal.SIGCONT)\n"
        "os.kill(job, signal.SIGTERM)\n"
        "os.waitpid(job, 0)\n"
    )
    scene.pid, scene.terminal = pty.fork()
    if scene.pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", shell, *scene.command("human")])
    scene.until(lambda: "started" in scene.logged())
    os.write(scene.terminal, b"\x1a")
    assert b"stopped" in scene.screen(until=b"stopped")
    assert scene.ended()["code"] == 7


def test_quiet_calls_end_by_one_signal_too(scene: Scene) -> None:
    """What only reads and hangs gets the only signal there is, a little later."""
    scene.write_engine(WAIT_FOR_ONE)
    process = scene.start("capture")
    process.send_signal(signal.SIGTERM)
    assert scene.ended()["interrupts"] == 1
    assert scene.signals() == [signal.SIGTERM]


def test_quiet_calls_are_shielded_once(scene: Scene) -> None:
    """What only reads isn't disturbed at once by the signal that stops the run, but by the next."""
    scene.write_engine(WAIT_FOR_ONE)
    scene.start_at_terminal("capture")
    os.write(scene.terminal, b"\x03")
    time.sleep(0.4)
    assert scene.signals() == []
    os.write(scene.terminal, b"\x03")
    scene.screen()
    assert scene.ended()["interrupts"] == 2
    assert scene.signals() == [signal.SIGINT]


@pytest.mark.parametrize("how", ["lines", "human"])
def test_tfaudit_is_killed(scene: Scene, how: str) -> None:
    """If tfaudit is killed, the engine is told to stop, and can go on writing, as much as it likes, until it has."""
    scene.write_engine(WAIT_FOR_ONE + "for _ in range(50_000): print('x' * 99); print('y' * 99, file=sys.stderr)")
    process = scene.start(how, stderr=subprocess.DEVNULL)
    process.kill()
    process.wait()
    scene.until(lambda: "finished" in scene.logged())
    assert scene.signals() == [signal.SIGTERM]


@pytest.mark.parametrize("how", ["lines", "human", "capture", "inherit"])
def test_the_engine_holds_no_end_that_we_read(scene: Scene, how: str) -> None:
    """Whatever the engine starts could read there what is meant for us."""
    scene.write_engine(
        "for name in os.listdir('/proc/self/fd'):\n"
        "    try: write('fd', name, os.readlink(f'/proc/self/fd/{name}').replace(' ', ''))\n"
        "    except OSError: pass"
    )
    scene.start(how, stderr=subprocess.DEVNULL)
    scene.ended()
    held = [line.split() for line in scene.logged().splitlines() if line.startswith("fd")]
    assert held
    assert [where for _, number, where in held if int(number) > 2 and not where.startswith("/")] == []


def test_engine_is_killed(scene: Scene) -> None:
    """An engine that a signal killed is told apart, with the code that a shell would give."""
    scene.write_engine("time.sleep(60)")
    scene.start("lines")
    os.kill(scene.engine_pid(), signal.SIGKILL)
    ended = scene.ended()
    assert (ended["code"], ended["signal"]) == (137, signal.SIGKILL)


def test_ignored_hangup_stays_ignored(scene: Scene) -> None:
    """Under nohup, the end of the terminal session ends neither."""
    scene.write_engine("while not got: time.sleep(0.01)")
    process = scene.start("lines", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert scene.ended()["interrupts"] == 1
    assert scene.signals() == [signal.SIGTERM]


def test_signal_mask_is_not_inherited(scene: Scene) -> None:
    """The engine gets the signal mask that tfaudit was started with, not the one of its run."""
    scene.write_engine("print(signal.pthread_sigmask(signal.SIG_BLOCK, []), flush=True)")
    scene.start("lines")
    assert scene.ended()["lines"] == ["set()"]


def test_chatty_on_both_streams(scene: Scene) -> None:
    """Megabytes on stderr, then on stdout, block nobody."""
    scene.write_engine(
        "for stream in (sys.stderr, sys.stdout):\n    for _ in range(50_000): print('x' * 99, file=stream)"
    )
    scene.start("lines", stderr=subprocess.DEVNULL)
    ended = scene.ended()
    assert (ended["code"], len(ended["lines"])) == (7, 50_000)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["lines", "human"])
def test_our_readers_are_gone(scene: Scene, how: str) -> None:
    """If nobody reads our output any more, the engine comes to its end all the same."""
    reader, writer = os.pipe()
    os.close(reader)
    scene.write_engine("for _ in range(50_000): print('x' * 99); print('y' * 99, file=sys.stderr)")
    scene.start(how, stdout=writer, stderr=writer)
    os.close(writer)
    assert scene.ended()["code"] == 7


def test_left_behind_processes_are_not_waited_for(scene: Scene) -> None:
    """A process that a provisioner left behind holds the output open, and nobody up."""
    scene.write_engine(
        "print('last words', flush=True)\n"
        "if os.fork() == 0:\n    signal.alarm(30); time.sleep(30)\n"
        "print('more', flush=True)"
    )
    begin = time.monotonic()
    scene.start("lines")
    ended = scene.ended()
    assert time.monotonic() - begin < TIMEOUT
    assert ended["lines"] == ["last words", "more"]


def test_engine_sees_a_terminal_like_ours(scene: Scene) -> None:
    """At a terminal the engine sees one of the same size, and its bytes arrive as they are."""
    scene.write_engine(
        "while not got: time.sleep(0.01)\n"
        "print(sys.stdout.isatty(), sys.stderr.isatty(), *os.get_terminal_size(1), flush=True)\n"
        "print('problem', file=sys.stderr, flush=True)\nprint('last', flush=True)"
    )
    scene.start_at_terminal("human")
    fcntl.ioctl(scene.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 122, 0, 0))
    time.sleep(0.2)
    os.kill(scene.pid, signal.SIGTERM)
    assert scene.screen() == b"True True 122 44\r\nproblem\r\nlast\r\n"


def test_engine_sees_no_terminal_where_we_have_none(scene: Scene) -> None:
    """Without a terminal the engine has none, and one file for both streams keeps their order."""
    scene.write_engine(
        "for _ in range(100):\n    print('out', flush=True); print('err', file=sys.stderr, flush=True)\n"
        "print(sys.stdout.isatty(), sys.stderr.isatty(), flush=True)"
    )
    path = scene.log.with_name("output")
    with path.open("wb") as file:
        scene.start("human", stdout=file, stderr=subprocess.STDOUT)
        scene.ended()
    assert path.read_text() == "out\nerr\n" * 100 + "False False\n"
