"""How a speed is measured: interleaved runs, medians, peak memory of children, a table in Markdown."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CACHE = REPOSITORY / ".cache" / "bench"
TFAUDIT = Path(sys.executable).with_name("tfaudit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    what: str
    measured: str
    compared: str
    """What it is compared with, measured in the same run; empty if with nothing."""
    ratio: str
    target: str
    met: bool | None
    """Whether the target is met; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One finished child: wall-clock seconds, its peak resident memory in bytes, what it printed."""

    seconds: float
    peak: int
    stdout: bytes


def own_peak() -> int:
    """Return the most bytes that this process itself has held: what its parent is told begins at the parent's own."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024


def run(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], code: int = 0) -> Run:
    """Run ``command`` to its end and return what it took; RuntimeError if it ends otherwise than with ``code``."""
    began = time.perf_counter()
    child = subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    stdout, stderr = b"", b""
    if child.stdout and child.stderr:
        stdout, stderr = _drain(child)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != code:
        raise RuntimeError(f"{command} ended with {child.returncode}\n{stdout.decode()}\n{stderr.decode()}")
    return Run(seconds=seconds, peak=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), stdout=stdout)


def _drain(child: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    import selectors

    parts: dict[int, list[bytes]] = {}
    with selectors.DefaultSelector() as selector:
        for stream in (child.stdout, child.stderr):
            selector.register(stream, selectors.EVENT_READ)
            parts[stream.fileno()] = []
        while selector.get_map():
            for key, _ in selector.select():
                chunk = os.read(key.fd, 1 << 20)
                if chunk:
                    parts[key.fd].append(chunk)
                else:
                    selector.unregister(key.fileobj)
    out, err = (b"".join(each) for each in parts.values())
    return out, err


def interleaved(times: int, *actions: Callable[[int], float]) -> tuple[list[float], ...]:
    """Return the seconds of each action, run in turn ``times`` times after one round to warm up."""
    for action in actions:
        action(0)
    found: tuple[list[float], ...] = tuple([] for _ in actions)
    for turn in range(1, times + 1):
        for action, seconds in zip(actions, found, strict=True):
            seconds.append(action(turn))
    return found


def spread(seconds: Sequence[float]) -> str:
    """Return median and range in milliseconds."""
    return f"{milliseconds(statistics.median(seconds))} ({1000 * min(seconds):.0f} to {1000 * max(seconds):.0f})"


def milliseconds(seconds: float) -> str:
    """Return seconds as milliseconds."""
    return f"{1000 * seconds:,.{1 if seconds < 0.1 else 0}f} ms"


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment with nothing of the developer's settings and no calls home."""
    home.mkdir(parents=True, exist_ok=True)
    base = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "CHECKPOINT_DISABLE": "1"}
    return {**base, "TFAUDIT_STACK": "example.test/team/bench", **more}


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| what | median (range) | compared with | ratio | target | met |", "|---|---|---|---|---|---|"]
    for row in rows:
        met = {True: "yes", False: "**no**", None: ""}[row.met]
        lines.append(f"| {row.what} | {row.measured} | {row.compared} | {row.ratio} | {row.target} | {met} |")
    return "\n".join(lines)


def machine() -> str:
    """Return what the figures were measured on, in one line."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.machine(),
    )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []
