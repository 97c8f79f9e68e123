"""Is this a time in which nothing may be applied?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfaudit.gate.model import Reason
from tfaudit.gate.words import instant, line, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfaudit.config.gating import Freeze


def frozen(freezes: Iterable[Freeze], now: int) -> Iterator[Reason]:
    """Yield a reason for each freeze that ``now`` lies in: from its start on, up to and without its end.

    Both are instants: what a wall clock shows in between, summer time or not, does not matter.
    """
    for freeze in freezes:
        start, end = instant(freeze.start), instant(freeze.end)
        if start <= now < end:
            message = f"changes are frozen until {moment(end)}: {line(freeze.name)}; wait until then"
            yield Reason(code="freeze", message=message)
