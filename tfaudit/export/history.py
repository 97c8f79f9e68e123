"""What has ever happened to a resource: its change events through all runs and moves, in log order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfaudit.errors import InputError, VerificationError
from tfaudit.events.native import Event, plain
from tfaudit.export import addresses
from tfaudit.export.view import Filter

if TYPE_CHECKING:
    from tfaudit.export.addresses import Address
    from tfaudit.export.changes import Chooser
    from tfaudit.export.entries import Row
    from tfaudit.export.touched import EventHead
    from tfaudit.export.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class _Track:
    """An address that the resource had, in which stack, and up to which record."""

    address: Address
    stack: str | None
    """None: in any."""
    before: int | None
    """The position of the record that moved it away; None: to this day."""


def history(view: View, address: Address, wanted: Filter, *, plans: bool = False) -> Iterator[Event]:
    """Yield the change events of ``address``, of its instances, and of what lies under it where it is a module.

    Newest last. A resource that was moved is followed back to where it was before. ``plans`` adds what was only
    planned. What can't be read goes to the view's ``on_problem``.
    """
    tracks = [_Track(address=address, stack=None, before=None)]
    found: dict[int, list[Event]] = {}
    for track in tracks:
        for row in _rows(view, track, wanted, plans=plans):
            events = _events(view, row, track.address)
            known = {event["event_id"] for event in found.get(row.position, ())}
            found.setdefault(row.position, []).extend(event for event in events if event["event_id"] not in known)
            for earlier in (_earlier(track, row, event) for event in events):
                if earlier is not None and earlier not in tracks:
                    tracks.append(earlier)
    for position in sorted(found):
        yield from sorted(found[position], key=lambda event: int(event["event_id"].rpartition("/")[2]))


def _events(view: View, row: Row, wanted: Address) -> list[Event]:
    """Return the record's events about the address; of a record that is altered, those before the fault was seen."""
    found: list[Event] = []
    try:
        found.extend(event for event in view.changes(row, _choose(wanted)) if _is(wanted, event))
    except (VerificationError, InputError) as error:
        view.problem(row, error)
    return found


def _rows(view: View, track: _Track, wanted: Filter, *, plans: bool) -> Iterator[Row]:
    positions = view.resources().touching(track.address)
    condition, values = wanted.condition()
    for position in positions:
        if track.before is not None and position >= track.before:
            return
        for row in view.index.rows(f"position = ? AND {condition}", (position, *values)):
            if (plans or row.kind != "plan") and track.stack in (None, row.stack):
                yield row


def _choose(wanted: Address) -> Chooser:
    """Return what chooses the event lines that may be about the address; a pseudonym is looked behind afterwards."""

    def choose(_number: int, event: EventHead) -> bool:
        for text in (event.address, event.previous_address):
            pieces = addresses.recorded(text)
            if pieces is not None and addresses.covers(wanted, pieces) is not False:
                return True
        return False

    return choose


def _is(wanted: Address, event: Event) -> bool:
    """Tell whether a joined event is about the address, now that its own addresses are disclosed where they can be."""
    shown = plain({name: event[name] for name in ("address", "previous_address")})
    texts: list[Any] = [shown["address"], shown["previous_address"]]
    if event["kind"] == "operation":
        texts += event["arguments"]
    for text in texts:
        pieces = addresses.recorded(text)
        if pieces is None:
            continue
        if addresses.covers(wanted, pieces):
            return True
        if event["kind"] == "operation" and addresses.covers(pieces, wanted):
            return True
    return False


def _earlier(track: _Track, row: Row, event: Event) -> _Track | None:
    """Return where the resource was before a move that this event tells of; None where it tells of none."""
    outcome = event["outcome"]
    if outcome is not None and outcome["status"] in ("errored", "not-reached"):
        return None
    shown = plain({name: event[name] for name in ("address", "previous_address")})
    target, source = addresses.recorded(shown["address"]), addresses.recorded(shown["previous_address"])
    if target is None or source is None:
        return None
    address = addresses.moved_from(track.address, source=source, target=target)
    if address is None:
        return None
    return _Track(address=address, stack=row.stack, before=row.position)
