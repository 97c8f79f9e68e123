"""Which documents of a batch does a server not take, where it only says that it does not take them all?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tfaudit.sinks.model import Answer, Encoded, Later, Misconfigured, Refused

MAX_REQUESTS: Final = 40
"""Of one batch: more than it takes to find one document among some hundreds, less than each alone."""
SECONDS: Final = 20.0
"""After which no further request is begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubtful:
    """Some document of these will never be taken; which one, is to be found out."""

    reason: str
    """Of the refusal, once one document is left."""
    at: int | None = None
    """Which one the server names, counted from 0; it is tried alone before it is believed."""


def narrowed(
    batch: Sequence[Encoded], ask: Callable[[Sequence[Encoded]], Answer | Sequence[Answer] | Doubtful]
) -> Sequence[Answer]:
    """Return an answer for each document of ``batch``, asking for ever smaller parts of it where one is doubtful.

    ``ask`` gives an answer for each document of its part, or one for all of them. Parts are asked for in order, and
    nothing more once one can't be taken now: that answer stands for all that is left, and so it does for what is still
    doubtful after :data:`MAX_REQUESTS` or :data:`SECONDS`.
    """
    until = time.monotonic() + SECONDS
    answers: list[Answer] = []
    left = [batch]
    asked = 0
    while left:
        if asked == MAX_REQUESTS or (asked and time.monotonic() > until):
            stop: Answer = Later(reason="which documents are refused is still to be found out", after=0.0)
            return [*answers, *[stop] * (len(batch) - len(answers))]
        part = left.pop()
        said = ask(part)
        asked += 1
        if not isinstance(said, Doubtful):
            given = [said] * len(part) if isinstance(said, Answer) else said
            answers.extend(given)
            if stopping := [one for one in given if isinstance(one, Later | Misconfigured)]:
                return [*answers, *[stopping[-1]] * (len(batch) - len(answers))]
        elif len(part) == 1:
            answers.append(Refused(reason=said.reason))
        else:
            left.extend(reversed(_pieces(part, said.at)))
    return answers


def _pieces(part: Sequence[Encoded], at: int | None) -> list[Sequence[Encoded]]:
    if at is None or not 0 <= at < len(part):
        middle = len(part) // 2
        return [part[:middle], part[middle:]]
    return [piece for piece in (part[:at], part[at : at + 1], part[at + 1 :]) if piece]
