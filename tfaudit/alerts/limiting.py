"""Has this been told already, is it told too often, and what still has to be told?

Small objects in the working store, so that it holds across runs, jobs and machines:

``alerts/sent/<digest>``       what was told, and until when the same is not told again
``alerts/rate/<digest>/<slot>/<n>``  the messages of one alert about one kind of thing in one slot of ten minutes
``alerts/held/<digest>/<slot>/<id>`` what was not told in that slot, for the summary after it
``alerts/waiting/<id>``        what could not be sent, for the next ``deliver``

None holds a URL. Whoever can write to the working store can keep an alert from being sent: the ledger itself, which
they can't change, holds what happened all the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from tfaudit import canonical
from tfaudit.errors import InputError
from tfaudit.ledger import ids
from tfaudit.ledger.store import read

if TYPE_CHECKING:
    from tfaudit.alerts.facts import Fact
    from tfaudit.alerts.message import Message
    from tfaudit.ledger.store import Working

ROOT: Final = "alerts/"
SENT: Final = f"{ROOT}sent/"
RATE: Final = f"{ROOT}rate/"
HELD: Final = f"{ROOT}held/"
WAITING: Final = f"{ROOT}waiting/"

SLOT: Final = int(timedelta(minutes=10) / timedelta(milliseconds=1))
AT_MOST: Final = 5
"""Messages of one alert about one kind of thing in a slot."""
UNLIMITED: Final = frozenset({"break-glass"})
"""Nobody can have this held back by making noise."""
KEPT: Final = int(timedelta(days=7) / timedelta(milliseconds=1))
"""How long what could not be sent is tried again, milliseconds."""
MAX_OBJECT: Final = 32_768
_NEVER: Final = 1 << 47
"""A time that no message was made at: what is later, no calendar has."""

Pass = Literal["send", "last", "hold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """A message that did not reach all of its targets, or was held back."""

    key: str
    alert: str
    """The alert's :func:`tfaudit.alerts.rules.ident`."""
    name: str
    to: tuple[str, ...]
    """Where the URLs of the targets are that it is still for."""
    made: int
    """Milliseconds since the epoch."""
    message: dict[str, Any]
    """As :meth:`tfaudit.alerts.message.Message.to_json` returns it."""


def is_first(store: Working, alert: str, fact: Fact, *, now: int) -> bool:
    """Return whether the alert has not told of the same lately; from here on it has.

    Raises :class:`LedgerError` when the store failed.
    """
    if fact.again is None:
        return True
    until = now + fact.again // timedelta(milliseconds=1)
    key = f"{SENT}{_digest('sent', alert, *fact.key)}.json"
    content = canonical.encode({"until": until})
    if store.create(key, content):
        return True
    # Two who find it expired at the same moment both tell of it: rather twice than never.
    if _until(read(store, key, limit=MAX_OBJECT)) > now:
        return False
    store.replace(key, content)
    return True


def admit(store: Working, alert: str, event: str, *, now: int) -> Pass:
    """Return whether the alert may send a message about this kind of thing now, and counts it.

    ``last``: it is one too many, and the first: say that more is held back. Raises :class:`LedgerError` when the store
    failed.
    """
    if event in UNLIMITED:
        return "send"
    folder = f"{RATE}{_digest('rate', alert, event)}/{now // SLOT}/"
    taken = sum(1 for _ in store.list(folder))
    while taken <= AT_MOST:
        if store.create(f"{folder}{taken}", b""):
            return "send" if taken < AT_MOST else "last"
        taken += 1
    return "hold"


def end_of_slot(now: int) -> int:
    """Return when the slot of a time is over."""
    return (now // SLOT + 1) * SLOT


def hold(store: Working, unsent: Unsent, event: str) -> None:
    """Keep a message for the summary after its slot; raises :class:`LedgerError` when the store failed."""
    folder = f"{HELD}{_digest('rate', unsent.alert, event)}/{unsent.made // SLOT}/"
    store.create(f"{folder}{unsent.key}.json", _encoded(unsent))


def keep(store: Working, unsent: Unsent) -> None:
    """Keep what could not be sent for the next ``deliver``; durable on return, errors as :func:`hold`."""
    store.replace(f"{WAITING}{unsent.key}.json", _encoded(unsent), durable=True)


def held(store: Working, *, now: int) -> Iterator[tuple[str, list[Unsent]]]:
    """Yield what was held back in slots that are over: the folder, and what is in it. Errors as :func:`hold`."""
    folders: dict[str, list[Unsent]] = {}
    for entry in store.list(HELD):
        folder, _, _ = entry.key.rpartition("/")
        slot = folder.rpartition("/")[2]
        if _is_number(slot) and int(slot) < now // SLOT:
            folders.setdefault(folder, []).extend(_read(store, entry.key))
    yield from folders.items()


def waiting(store: Working) -> Iterator[tuple[str, Unsent]]:
    """Yield key and content of what could not be sent, the oldest first; errors as :func:`hold`."""
    for entry in [*store.list(WAITING)]:
        for unsent in _read(store, entry.key):
            yield entry.key, unsent


def tidy(store: Working, *, now: int) -> None:
    """Remove what is over: what may be told again, counts of slots gone by, and what is none of these.

    Errors as :func:`hold`.
    """
    for entry in [*store.list(SENT)]:
        if _until(read(store, entry.key, limit=MAX_OBJECT)) <= now:
            store.remove(entry.key)
    for entry in [*store.list(RATE)]:
        slot = entry.key.split("/")[-2]
        if not _is_number(slot) or int(slot) < now // SLOT - 1:
            store.remove(entry.key)
    for folder in (WAITING, HELD):
        for entry in [*store.list(folder)]:
            if not any(True for _ in _read(store, entry.key)):
                store.remove(entry.key)


def unsent(message: Message, *, key: str, alert: str, name: str, to: tuple[str, ...], now: int) -> Unsent:
    """Return a message as it is kept; ``key`` is an id that sorts by its time."""
    return Unsent(key=key, alert=alert, name=name, to=to, made=now, message=message.to_json())


def _encoded(unsent: Unsent) -> bytes:
    return canonical.encode(
        {
            "alert": unsent.alert,
            "name": unsent.name,
            "to": list(unsent.to),
            "made": unsent.made,
            "message": unsent.message,
        }
    )


def _read(store: Working, key: str) -> Iterator[Unsent]:
    """Yield what is kept at a key; nothing for what is not of ours."""
    content = read(store, key, limit=MAX_OBJECT)
    try:
        found = canonical.decode(content or b"", what="an alert")
    except InputError:
        return
    match found:
        case {"alert": str(alert), "name": str(name), "to": list(to), "made": int(made), "message": dict(message)}:
            if all(isinstance(one, str) for one in to) and 0 <= made < _NEVER and _is_message(message):
                name_of_key = key.rpartition("/")[2].removesuffix(".json")
                yield Unsent(key=name_of_key, alert=alert, name=name, to=tuple(to), made=made, message=message)


def _is_message(message: dict[str, Any]) -> bool:
    texts = [message.get(name) for name in ("title", "text", "urgency")]
    return all(isinstance(text, str) for text in texts) and message["urgency"] in ("failure", "warning", "info")


def _until(content: bytes | None) -> int:
    try:
        match json.loads(content or b"{}"):
            case {"until": int(until)}:
                return until
    except ValueError:
        pass
    return 0


def _digest(*parts: str) -> str:
    return hashlib.sha256(canonical.frame(*(part.encode(errors="replace") for part in parts))).hexdigest()


def time_text(time: int) -> str:
    """Return a time as a message says it."""
    return ids.time_text(time)[:16].replace("T", " ") + " UTC"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16
