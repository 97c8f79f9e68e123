"""Which event lines does a plan come to?

In this order: resource changes, outputs, action invocations, deferred changes, drift, checks. A large plan is written
by several processes, each a slice of the resource changes: lines need no number until a draft gives them one.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import BinaryIO, Final

from tfaudit.errors import InputError, InternalError
from tfaudit.events.lines import Entropy, LineWriter
from tfaudit.events.model import EventLine
from tfaudit.plan.parse import Plan
from tfaudit.plan.personal import is_personal
from tfaudit.plan.source import SourceMap

_PARALLEL_FROM: Final = 4000
"""Below so many changes a second process costs more than it saves."""

_MAX_WORKERS: Final = 4
_HEADER: Final = struct.Struct(">II")
_INPUT_ERROR: Final = 65


def plan_events(
    plan: Plan,
    *,
    record_id: str,
    entropy: Entropy = os.urandom,
    sources: SourceMap | None = None,
    workers: int = 0,
    personal: Callable[[str], bool] = is_personal,
) -> Iterator[EventLine]:
    """Yield the event lines of ``plan`` for the record ``record_id``.

    ``entropy(n)`` gives n random bytes; with more than one process it is called in each, so it must not repeat itself
    after a fork (``os.urandom`` does not). ``workers`` is the number of processes, 0 to choose by size and cores.
    Raises :class:`InputError` when it comes to an entry that can't be read.
    """
    writer = LineWriter(record_id, entropy, personal)
    yield from _resource_lines(plan, writer, sources or SourceMap(), workers or _workers_for(plan.size))
    yield from map(writer.output, plan.output_changes())
    yield from map(writer.invocation, plan.action_invocations())
    yield from map(writer.resource, plan.deferred_changes())
    yield from map(writer.resource, plan.drift())
    yield from map(writer.check, plan.checks())


def _workers_for(size: int) -> int:
    if size < _PARALLEL_FROM or sys.platform != "linux":  # elsewhere, system libraries do not survive a fork
        return 1
    return min(_MAX_WORKERS, len(os.sched_getaffinity(0)))


def _resource_lines(plan: Plan, writer: LineWriter, sources: SourceMap, workers: int) -> Iterator[EventLine]:
    bounds = [plan.size * number // workers for number in range(workers + 1)]
    children = [_Child(plan, writer, sources, start, stop) for start, stop in pairwise(bounds[1:])]
    try:
        yield from _lines(plan, writer, sources, 0, bounds[1])
        for child in children:
            yield from child.lines()
    finally:
        for child in children:
            child.close()


def _lines(plan: Plan, writer: LineWriter, sources: SourceMap, start: int, stop: int) -> Iterator[EventLine]:
    for change in plan.resource_changes(start, stop):
        yield writer.resource(change, sources.find(change.address))


class _Child:
    """A forked process that writes the lines of one slice into an unnamed temporary file of mode 0600."""

    def __init__(self, plan: Plan, writer: LineWriter, sources: SourceMap, start: int, stop: int) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        # Signals are the parent's business: in the child they stay blocked, and its wake-up descriptor untouched.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        try:
            self._pid = os.fork()
            if self._pid == 0:
                os._exit(_write_slice(self._file, _lines(plan, writer, sources, start, stop)))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def lines(self) -> Iterator[EventLine]:
        """Yield the lines once the process has ended; raises what it died of."""
        pid, self._pid = self._pid, 0
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._file.seek(0)
        if code == _INPUT_ERROR:
            raise InputError(self._file.read().decode())
        if code != 0:
            raise InternalError(f"a process that builds event lines ended with {code}")
        while header := self._file.read(_HEADER.size):
            line, disclosure = _HEADER.unpack(header)
            yield EventLine(self._file.read(line), self._file.read(disclosure))

    def close(self) -> None:
        """Wait for the process, and forget what it wrote."""
        if self._pid:
            os.kill(self._pid, 9)
            os.waitpid(self._pid, 0)
            self._pid = 0
        self._file.close()


def _write_slice(file: BinaryIO, lines: Iterator[EventLine]) -> int:
    """Write ``lines`` into ``file`` and return the exit code; nothing of the parent's may run in this process."""
    try:
        for event in lines:
            file.write(_HEADER.pack(len(event.line), len(event.disclosure)) + event.line + event.disclosure)
        file.flush()
    except InputError as error:
        file.seek(0)
        file.truncate()
        file.write(error.message.encode())
        file.flush()
        return _INPUT_ERROR
    except BaseException:  # noqa: BLE001 - a forked copy must end here, whatever happens
        traceback.print_exc(limit=-1)
        return 70
    return 0
