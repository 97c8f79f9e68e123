"""Which event lines does a plan come to?

In this order: resource changes, outputs, action invocations, deferred changes, drift, checks. A large plan is written
by several processes, each a slice of the resource changes: lines need no number until a draft gives them one.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from typing import BinaryIO, Final

from tfaudit.events.lines import Entropy, LineWriter
from tfaudit.events.model import EventLine
from tfaudit.plan.forked import Forked, processes_for
from tfaudit.plan.parse import Plan
from tfaudit.plan.personal import is_personal
from tfaudit.plan.source import SourceMap

_WORTH_A_PROCESS: Final = 2000
_HEADER: Final = struct.Struct(">II")


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
    yield from _resource_lines(
        plan, writer, sources or SourceMap(), workers or processes_for(plan.size, at_least=_WORTH_A_PROCESS)
    )
    yield from map(writer.output, plan.output_changes())
    yield from map(writer.invocation, plan.action_invocations())
    yield from map(writer.resource, plan.deferred_changes())
    yield from map(writer.resource, plan.drift())
    yield from map(writer.check, plan.checks())


def _resource_lines(plan: Plan, writer: LineWriter, sources: SourceMap, workers: int) -> Iterator[EventLine]:
    bounds = [plan.size * number // workers for number in range(workers + 1)]

    def write(file: BinaryIO, start: int, stop: int) -> None:
        for event in _lines(plan, writer, sources, start, stop):
            file.write(_HEADER.pack(len(event.line), len(event.disclosure)) + event.line + event.disclosure)

    with ExitStack() as stack:
        others = [
            stack.enter_context(Forked(partial(write, start=start, stop=stop))) for start, stop in pairwise(bounds[1:])
        ]
        yield from _lines(plan, writer, sources, 0, bounds[1])
        for other in others:
            yield from _read(other.result())


def _lines(plan: Plan, writer: LineWriter, sources: SourceMap, start: int, stop: int) -> Iterator[EventLine]:
    for change in plan.resource_changes(start, stop):
        yield writer.resource(change, sources.find(change.address))


def _read(file: BinaryIO) -> Iterator[EventLine]:
    while header := file.read(_HEADER.size):
        line, disclosure = _HEADER.unpack(header)
        yield EventLine(file.read(line), file.read(disclosure))
