"""Which changes did a time see: every change event of it in log order, with what came of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfaudit.events.native import Event
    from tfaudit.export.view import Filter, View


def population(view: View, wanted: Filter, *, plans: bool = False) -> Iterator[Event]:
    """Yield the change events of all wanted records; memory does not grow with them.

    ``plans`` adds what was only planned. Raises :class:`VerificationError` where a record is altered: a population with
    a hole is none.
    """
    kinds = ("plan", "intent") if plans else ("intent",)
    condition, values = replace(wanted, kinds=kinds).condition()
    for row in view.index.rows(condition, values):
        yield from view.changes(row)
