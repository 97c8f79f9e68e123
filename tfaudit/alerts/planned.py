"""What in a plan do alerts look for: what it destroys, and where it widens access?

A plan may have a hundred thousand changes. Their undecoded bytes tell which few of them have to be looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tfaudit.alerts import widening
from tfaudit.alerts.facts import MAX_ADDRESSES
from tfaudit.plan import policyview
from tfaudit.plan.policyview import Wanted

if TYPE_CHECKING:
    from tfaudit.alerts.widening import Widening
    from tfaudit.plan.parse import Plan

_DELETES: Final = re.compile(rb'"delete"')
_DESTROYED: Final = Wanted(fields=frozenset({"address", "action"}))
_COMPARED: Final = Wanted(
    fields=frozenset({"address", "type", "mode", "action", "before", "after", "unknown"}), members=widening.MEMBERS
)


def destroyed(plan: Plan) -> list[str]:
    """Return the addresses of the first resources that the plan deletes or replaces, enough for an alert.

    Raises :class:`InputError` for a change that can't be read.
    """
    found: list[str] = []
    for view in _views(plan, _DELETES.search, _DESTROYED):
        if view["action"] in ("delete", "replace"):
            found.append(view["address"])
            if len(found) == MAX_ADDRESSES:
                break
    return found


def widened(plan: Plan) -> tuple[Widening, ...]:
    """Return where the plan lets more people or more of the network in; errors as :func:`destroyed`.

    It looks at the true values: whoever marks a policy as sensitive must not hide by it what it allows. Nothing but
    addresses and fixed words comes back.
    """
    return widening.find(_views(plan, widening.MENTIONED.search, _COMPARED, reveal=True))


def _views(
    plan: Plan, mentions: Callable[[memoryview], object], wanted: Wanted, *, reveal: bool = False
) -> Iterator[dict[str, Any]]:
    some = [raw for raw in plan.parts.changes if mentions(memoryview(raw))]
    return policyview.changes(replace(plan, parts=replace(plan.parts, changes=some)), reveal=reveal, wanted=wanted)
