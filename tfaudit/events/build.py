"""Which event lines does a plan come to?

In this order: resource changes, outputs, action invocations, deferred changes, drift, checks. The lines of a large plan
are written by several processes in turn: they need no number until a draft gives them one.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

from tfaudit.events.lines import Entropy, LineWriter
from tfaudit.events.model import EventLine
from tfaudit.plan.forked import Forked, processes_for
from tfaudit.plan.parse import Plan
from tfaudit.plan.personal import is_personal
from tfaudit.plan.source import SourceMap

_WORTH_A_PROCESS: Final = 2000
_PIECE: Final = 500
"""So many changes are taken at a time by one process, then as many by the next."""

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


def _resource_lines(plan: Plan, writer: LineWriter, sources: SourceMap, processes: int) -> Iterator[EventLine]:
    # The parent also has to store every line, so each of the others gets two pieces for one of its own.
    turns = [0, *range(1, processes), *range(1, processes)]
    pieces = [(turns[at % len(turns)], start) for at, start in enumerate(range(0, plan.size, _PIECE))]

    def lines(start: int) -> Iterator[EventLine]:
        for change in plan.resource_changes(start, start + _PIECE):
            yield writer.resource(change, sources.find(change.address))

    def packed(process: int) -> Iterator[bytes]:
        return (b"".join(map(_packed, lines(start))) for owner, start in pieces if owner == process)

    with ExitStack() as stack:
        others = {number: stack.enter_context(Forked(packed(number))) for number in range(1, processes)}
        for owner, start in pieces:
            yield from _unpacked(others[owner].next_part()) if owner else lines(start)


def _packed(event: EventLine) -> bytes:
    return _HEADER.pack(len(event.line), len(event.disclosure)) + event.line + event.disclosure


def _unpacked(part: bytes) -> Iterator[EventLine]:
    position = 0
    while position < len(part):
        line, disclosure = _HEADER.unpack_from(part, position)
        middle = position + _HEADER.size + line
        yield EventLine(part[middle - line : middle], part[middle : middle + disclosure])
        position = middle + disclosure
