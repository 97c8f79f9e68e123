"""How is one sink delivered to: lease, cursor, dead letters where they are asked for, then the log to its end?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tfaudit.errors import LedgerError, VerificationError
from tfaudit.ledger import ids
from tfaudit.ledger.reader import Reader
from tfaudit.sinks import cursor as cursor_
from tfaudit.sinks import deadletters, lease, reviving
from tfaudit.sinks.cursor import Cursor, Place
from tfaudit.sinks.documents import Documents, behind
from tfaudit.sinks.outbox import Ended, Outbox
from tfaudit.sinks.shelf import Shelf

if TYPE_CHECKING:
    from tfaudit.config.delivering import SinkSettings
    from tfaudit.ledger.store import Store, Working
    from tfaudit.sinks.lease import Lease
    from tfaudit.sinks.model import Sink
    from tfaudit.sinks.outbox import Pace


class Delivery:
    """One delivery to one sink, of a ledger in ``evidence`` whose genesis has the digest ``genesis`` (None: any).

    The stores are its own, to be used by no other thread. ``open_sink`` is called once there is something to deliver.
    ``since`` is the position that a sink with ``start = "now"`` begins at where nothing was delivered to it yet; None:
    the log's present end. What is counted may be looked at from another thread.
    """

    def __init__(
        self,
        settings: SinkSettings,
        *,
        evidence: Store,
        working: Working,
        genesis: str | None,
        open_sink: Callable[[], Sink],
        pace: Pace,
        since: int | None = None,
        retry_dead: bool = False,
    ) -> None:
        self.note: str | None = None
        """What is worth knowing although nothing is wrong."""
        self._settings = settings
        self._evidence = evidence
        self._working = working
        self._genesis = genesis
        self._open_sink = open_sink
        self._pace = pace
        self._since = since
        self._retry_dead = retry_dead
        self._shelf = Shelf(working, settings.name)
        self._behind: int | None = None
        """How many records were to be delivered when the log was looked at last, with those delivered since."""
        self._held: Lease | None = None
        self._outbox: Outbox | None = None
        self._retried: Outbox | None = None

    @property
    def accepted(self) -> int:
        """How many documents the sink took."""
        return sum(one.accepted for one in (self._outbox, self._retried) if one is not None)

    @property
    def dead(self) -> int:
        """How many documents it will never take, of those that it was asked to."""
        return sum(one.dead for one in (self._outbox, self._retried) if one is not None)

    @property
    def left(self) -> int | None:
        """How many records are still to be delivered, at least in part; None where that is not known, or very many."""
        return None if self._behind is None else max(self._behind - (self._outbox.records if self._outbox else 0), 0)

    @property
    def sending(self) -> float | None:
        """Since when an answer is waited for, by the pace's clock; None while none is."""
        at = self._outbox or self._retried
        return None if at is None else at.sending

    @property
    def keeping(self) -> bool:
        """Whether it is between two answers, where only the stores can hold it up."""
        return (self._outbox or self._retried) is not None and self.sending is None

    def deliver(self) -> Ended:
        """Deliver until nothing is left, or the sink or the pace ends it.

        Raises :class:`LedgerError` and :class:`VerificationError` where the ledger or the working store failed,
        :class:`tfaudit.errors.ConfigError` and :class:`tfaudit.errors.UnavailableError` as ``open_sink`` does, and the
        former where the sink was delivered to from another ledger.
        """
        held = lease.take(self._shelf, self._pace.now)
        if isinstance(held, int):
            return Ended(state="taken", reason=f"another job delivers to it, until {ids.time_text(held)} at most")
        self._held = held
        try:
            ended = self._deliver(held)
        except BaseException:
            # The first failure is the one to tell of; a lease that stands ends by itself.
            with suppress(LedgerError):
                held.release()
            raise
        if ended.state != "taken":
            held.release()
        return ended

    def let_go(self) -> None:
        """Leave the sink to the next job; for another thread, where this one's waits for an answer and is given up.

        Should the answer still come, it is kept: only what is sent meanwhile by the next job is sent twice.
        """
        if self._held is not None and self.sending is not None:
            with suppress(LedgerError):
                self._held.release()

    def _deliver(self, held: Lease) -> Ended:
        reader = self._reader()
        cursor = self._place(reader)
        self._behind = behind(reader, cursor.next.position)
        retry = self._retry_dead and deadletters.count(self._shelf) > 0
        if self._behind == 0 and not retry:
            return Ended(state="done")
        with ExitStack() as stack:
            sink = self._open_sink()
            close = getattr(sink, "close", None)
            if callable(close):
                stack.callback(close)
            if retry:
                self._retried = self._new_outbox(sink, None, held)
                again = self._retried.deliver(reviving.lines(self._shelf, self._documents(reader)))
                if again.state != "done":
                    return again
            self._outbox = self._new_outbox(sink, cursor, held)
            return self._to_the_end(self._outbox, cursor, reader)

    def _to_the_end(self, outbox: Outbox, cursor: Cursor, reader: Reader) -> Ended:
        """Deliver what the log holds, and what others commit meanwhile: they leave it to whoever has the lease."""
        while True:
            documents = self._documents(reader)
            ended = outbox.deliver(documents.start(cursor.next))
            cursor = outbox.cursor or cursor
            if documents.forbidden:
                self.note = "this job may not read disclosures: actors, reasons and values are withheld from it"
            if ended.state != "done":
                return ended
            later = self._reader()
            if later.state.size <= reader.state.size:
                return ended
            more = behind(later, cursor.next.position)
            self._behind = None if more is None else outbox.records + more
            reader = later

    def _reader(self) -> Reader:
        return Reader.open(evidence=self._evidence, working=self._working, genesis_digest=self._genesis)

    def _documents(self, reader: Reader) -> Documents:
        return Documents(evidence=self._evidence, working=self._working, reader=reader, values=self._settings.values)

    def _new_outbox(self, sink: Sink, cursor: Cursor | None, held: Lease) -> Outbox:
        return Outbox(sink=sink, shelf=self._shelf, cursor=cursor, lease=held, pace=self._pace)

    def _place(self, reader: Reader) -> Cursor:
        """Return the sink's cursor, made where there is none; what is odd about it is noted."""
        url, size = cursor_.url_digest(self._settings.url), reader.state.size
        found = cursor_.read(self._shelf, ledger=reader.genesis.digest)
        if found is None:
            now = self._settings.start == "now"
            start = 0 if not now else size if self._since is None else min(self._since, size)
            found = Cursor(ledger=reader.genesis.digest, url=url, next=Place(start, 0), time=self._pace.now())
            if now:
                # Kept at once: a later delivery must not find another "now".
                cursor_.advance(self._shelf, found)
        if found.next.position > size:
            raise VerificationError(
                f"{found.next.position} records were delivered to it, and the log now holds {size}",
                hint="the log was cut off, or put back: run `tfaudit verify`",
            )
        if found.url != url:
            self.note = (
                "it has another URL than before, and goes on where the other was left, at position"
                f" {found.next.position} of the log (to send everything there, give it another name)"
            )
            found = replace(found, url=url, time=self._pace.now())
            cursor_.advance(self._shelf, found)
        return found
