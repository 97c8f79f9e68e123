"""What do the outbox and a sink say to each other?

Documents go in, encoded as the sink wants them and in batches within its limits; for each comes back what became of it.
Delivery is at least once and in log order: a sink that can drops what it has by the document's id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

MAX_REASON: Final = 500
"""Characters of a reason that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One line of a record as a sink gets it, or (line 0) the record itself."""

    id: str
    """``<record id>/<line>``, the same in every delivery."""
    time: int
    """When the record was made, milliseconds since the epoch."""
    kind: str
    """``record``, or the event line's kind: ``resource-change``, ``outcome``, ``drift`` …"""
    body: Mapping[str, Any]
    """In the native schema ``delivered-document.v1``; values may be ``msgspec.Raw``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What fits into one request."""

    documents: int
    size: int
    """Bytes of all encoded documents together, ``overhead`` counted for each."""
    overhead: int = 0
    """Bytes that each document costs beyond its own."""
    span: int | None = None
    """Milliseconds that a batch's documents may lie apart; None: any."""


class Encoded(NamedTuple):
    """A document in the bytes that go out."""

    id: str
    time: int
    content: bytes
    note: str | None = None
    """What was shortened or left out to make it fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The sink has the document."""

    receipt: str | None = None
    """What the sink calls it: an event id, an acknowledgement id, a version id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The sink will never take this document: it becomes a dead letter, and what follows goes on."""

    reason: str
    """Without a value of the document and without secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """The sink can't take it now; this document and all after it are tried again."""

    reason: str
    after: float | None = None
    """Seconds that the sink asks to be left alone for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misconfigured:
    """Nothing will be taken before somebody changes the configuration: all is kept, and somebody must be told."""

    reason: str
    hint: str | None = None


SLOW: Final = 1.0
"""Seconds after which a sink that sends a batch one by one tells what was taken, and begins no more of it.

The cursor moves on then, so that each run gets further, however short its budget and however slow the receiver.
"""

Answer = Accepted | Refused | Later | Misconfigured


class Sink(Protocol):
    """One destination. Used by one thread; made anew for each delivery, and closed by whoever made it."""

    limits: Limits

    def encode(self, document: Document) -> Encoded | Refused:
        """Return the bytes that stand for the document in a request, :class:`Refused` where it can never fit.

        Pure: the same document gives the same bytes.
        """

    def send(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        """Send documents within :attr:`limits`, in order, and return as many answers.

        Tries once and waits a bounded time; whoever calls tries again. Never raises for what the sink or the network
        did: that is :class:`Later` or :class:`Misconfigured`. Documents may arrive although the answer was lost.
        """

    def check(self) -> Misconfigured | Later | None:
        """Tell whether the sink is there and takes documents from us, without leaving one; None where it does."""
