"""How does one sink get its documents: in log order, at least once, each answer kept before the cursor moves on?

There is no queue of its own: the log is the outbox, and a cursor says how far it was delivered. What a sink refuses for
good becomes a dead letter and is passed; what it can't take now is tried again with growing pauses; what only another
configuration mends ends the delivery. The cursor never passes a document without an answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from tfaudit.errors import TfauditError
from tfaudit.sinks import cursor as cursor_
from tfaudit.sinks import deadletters
from tfaudit.sinks.deadletters import DeadLetter
from tfaudit.sinks.model import Accepted, Encoded, Later, Misconfigured, Refused
from tfaudit.sinks.receipts import MANY, Receipts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfaudit.sinks.cursor import Cursor, Place
    from tfaudit.sinks.documents import Line
    from tfaudit.sinks.lease import Lease
    from tfaudit.sinks.model import Answer, Sink
    from tfaudit.sinks.shelf import Shelf

State = Literal["done", "left", "misconfigured", "taken"]

TRIES: Final = 6
"""So often a sink is asked in a row without taking anything."""
SHORTEST: Final = 0.5
LONGEST: Final = 30.0
"""Seconds between two tries, before chance shortens them by up to a half."""
_SETTLED: Final = 1_000
"""So many that need no answer may stand among those of a batch."""
SAVE_EVERY: Final = 1.0
"""Seconds; what was accepted since may be sent again after a crash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a delivery ended."""

    state: State
    """``done``: nothing is left; ``left``: the sink, or the time, did not suffice; ``taken``: another job goes on."""
    reason: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What tells the time to a delivery and holds it up."""

    seconds: Callable[[], float]
    """A clock that only goes forward."""
    now: Callable[[], int]
    """The store's time, milliseconds since the epoch."""
    wait: Callable[[float], object]
    """Waits so many seconds, fewer where the delivery is to end."""
    over: Callable[[], bool]
    """Whether the delivery is to end now."""
    left: Callable[[], float]
    """Seconds that are left of the budget."""
    chance: Callable[[], float]
    """A number from 0 to 1, so that jobs which failed together don't come back together."""


@dataclass(slots=True)
class _Slot:
    """A document that waits for its answer, or has it."""

    line: Line
    encoded: Encoded | None
    """None: it is settled."""


class Outbox:
    """One delivery to one sink. Its attributes may be looked at from another thread.

    Without a ``cursor`` it delivers dead letters once more: those that the sink takes now are forgotten, the others
    keep their places.
    """

    def __init__(self, *, sink: Sink, shelf: Shelf, cursor: Cursor | None, lease: Lease, pace: Pace) -> None:
        self.cursor = cursor
        """How far the sink has everything, kept or about to be kept."""
        self.accepted = 0
        """Documents that it took."""
        self.dead = 0
        """Documents that it will never take."""
        self.records = 0
        """Records of which nothing is left to deliver."""
        self.sending: float | None = None
        """Since when an answer is waited for, by the pace's clock; None while none is."""
        self._sink = sink
        self._shelf = shelf
        self._lease = lease
        self._pace = pace
        self._window: deque[_Slot] = deque()
        self._held: Line | None = None
        """Read, and too large to go with the batch before it."""
        self._exhausted = False
        self._receipts = Receipts()
        self._revived: list[Line] = []
        self._reached = cursor.next.position if cursor is not None else 0
        self._kept = cursor
        self._kept_at = pace.seconds()

    def deliver(self, lines: Iterator[Line]) -> Ended:
        """Deliver what ``lines`` give from the cursor on, and return how that ended; may be called again with more.

        Raises :class:`tfaudit.errors.LedgerError` when a store failed, and what ``lines`` raises. Whatever ends it,
        what the sink has answered is kept first where the store lets it.
        """
        try:
            ended = self._deliver(lines)
        except BaseException:
            self._keep_quietly()
            raise
        self._keep()
        return ended

    def _deliver(self, lines: Iterator[Line]) -> Ended:
        tries, failed = 0, None
        self._exhausted = False
        while True:
            batch = self._fill(lines)
            if not batch and self._exhausted:
                return Ended(state="done")
            if self._pace.over():
                return Ended(state="left", reason=failed or "the time for delivery is over")
            if not self._lease.keep():
                return Ended(state="taken", reason="another job delivers to it by now")
            settled = self.accepted + self.dead
            stopped, later = self._send(batch)
            self._settle()
            if stopped is not None:
                return Ended(state="misconfigured", reason=stopped.reason, hint=stopped.hint)
            tries = 0 if self.accepted + self.dead > settled else tries + 1
            if later is None or (tries == 0 and later.after == 0):
                # A sink that took some of it and asks for no pause is only slow.
                continue
            failed = later.reason
            pause = max(later.after or 0.0, self._pause(tries))
            if pause >= self._pace.left():
                asked = f"; it asks for {later.after:.0f} seconds without us" if later.after else ""
                return Ended(state="left", reason=f"{failed}{asked}")
            if tries >= TRIES:
                return Ended(state="left", reason=failed)
            self._keep()
            self._pace.wait(pause)

    def _pause(self, tries: int) -> float:
        longest: float = min(SHORTEST * 2 ** max(tries - 1, 0), LONGEST)
        return longest * (1 - self._pace.chance() / 2)

    # --- taking from the log ------------------------------------------------------------------------------------------

    def _fill(self, lines: Iterator[Line]) -> list[_Slot]:
        """Return the next batch: what was not taken of the last one, and as much more as fits."""
        limits = self._sink.limits
        batch = [slot for slot in self._window if slot.encoded is not None]
        size = sum(len(slot.encoded.content) + limits.overhead for slot in batch if slot.encoded)
        times = [slot.encoded.time for slot in batch if slot.encoded]
        while len(batch) < limits.documents and len(self._window) < limits.documents + _SETTLED:
            # Also where nothing is sent for long, since all that comes is refused before.
            if self._pace.over() or not self._lease.keep():
                break
            line = self._held or next(lines, None)
            self._held = None
            if line is None:
                self._exhausted = True
                break
            encoded = self._encode(line)
            if encoded is None:
                self._window.append(_Slot(line, None))
                if not batch:
                    self._settle()
                continue
            more = len(encoded.content) + limits.overhead
            span = max((*times, encoded.time)) - min((*times, encoded.time))
            if batch and (size + more > limits.size or (limits.span is not None and span > limits.span)):
                self._held = line
                break
            size += more
            times.append(encoded.time)
            batch.append(_Slot(line, encoded))
            self._window.append(batch[-1])
        return batch

    def _encode(self, line: Line) -> Encoded | None:
        """Return a document's bytes; None where there is nothing to send, after what is to be kept of that."""
        if line.problem is not None:
            self._bury(line, line.problem.reason, rest=line.problem.rest)
        if line.document is None:
            return None
        encoded = self._sink.encode(line.document)
        limits = self._sink.limits
        if isinstance(encoded, Encoded) and len(encoded.content) + limits.overhead > limits.size:
            encoded = Refused(reason=f"it has {len(encoded.content)} bytes, more than the sink takes at once")
        if isinstance(encoded, Refused):
            self._bury(line, encoded.reason)
            return None
        return encoded

    # --- answers ------------------------------------------------------------------------------------------------------

    def _send(self, batch: Sequence[_Slot]) -> tuple[Misconfigured | None, Later | None]:
        """Send a batch, take down each answer, and return what ends the delivery or holds it up."""
        stopped: Misconfigured | None = None
        later: Later | None = None
        sent = [slot.encoded for slot in batch if slot.encoded is not None]
        self.sending = self._pace.seconds()
        try:
            answers = self._sink.send(sent)
        finally:
            self.sending = None
        for slot, encoded, answer in zip(batch, sent, _one_each(answers, len(batch)), strict=True):
            match answer:
                case Accepted(receipt=receipt):
                    self._receipts.add(slot.line.place, encoded, receipt)
                    slot.encoded = None
                    self.accepted += 1
                    if self.cursor is None:
                        self._revived.append(slot.line)
                case Refused():
                    self._bury(slot.line, answer.reason)
                    slot.encoded = None
                case Later():
                    later = answer if later is None else _longer(later, answer)
                case Misconfigured():
                    stopped = stopped or answer
        return stopped, later

    def _bury(self, line: Line, reason: str, *, rest: bool = False) -> None:
        # Durable before the cursor passes it; a crash here makes the same dead letter again.
        letter = DeadLetter(id=line.id or "", place=line.place, reason=reason, time=self._pace.now(), rest=rest)
        deadletters.put(self._shelf, letter)
        self.dead += 1

    def _settle(self) -> None:
        """Move on past what has its answer, up to the first that has none."""
        place: Place | None = None
        while self._window and self._window[0].encoded is None:
            line = self._window.popleft().line
            place = line.next
            if place.position > max(line.place.position, self._reached):
                self.records += 1
                self._reached = place.position
        if self.cursor is None:
            self._keep()
        elif place is not None:
            self.cursor = replace(self.cursor, next=place, time=self._pace.now())
            if self._pace.seconds() - self._kept_at >= SAVE_EVERY or len(self._receipts) >= MANY:
                self._keep()

    def _keep(self) -> None:
        """Keep receipts and cursor, durable on return."""
        self._receipts.keep(self._shelf, self._pace.now())
        # A crash here: the receipts are there and the cursor is not, so their documents are sent once more.
        if self.cursor is not None and self.cursor != self._kept:
            cursor_.advance(self._shelf, self.cursor)
            self._kept = self.cursor
        for line in self._revived:
            deadletters.remove(self._shelf, line.id or "")
        self._revived.clear()
        self._kept_at = self._pace.seconds()

    def _keep_quietly(self) -> None:
        with suppress(TfauditError):
            self._keep()


def _longer(one: Later, other: Later) -> Later:
    """Return the first reason, with the longer of the pauses that are asked for; None is longer than no pause."""
    if one.after is None or other.after is None:
        return Later(reason=one.reason, after=one.after or other.after or None)
    return Later(reason=one.reason, after=max(one.after, other.after))


def _one_each(answers: Sequence[Answer], count: int) -> list[Answer]:
    """Return as many answers as there are documents: what a sink forgot to answer is asked again."""
    missing: list[Answer] = [Later(reason="the sink did not answer for every document")] * (count - len(answers))
    return [*answers[:count], *missing]
