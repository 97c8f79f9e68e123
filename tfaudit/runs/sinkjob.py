"""How does the delivery to one sink run on a thread of its own, so that one that hangs holds up nobody?"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError, InternalError, TfauditError, UnavailableError
from tfaudit.runs.delivering import Delivered, State

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.config.delivering import SinkSettings
    from tfaudit.ledger.ids import Clock
    from tfaudit.runs.run import World
    from tfaudit.sinks.delivery import Delivery
    from tfaudit.sinks.outbox import Pace
    from tfaudit.sinks.schemes import Opening

STUCK: Final = 120.0
"""Seconds without an answer after which a sink is left behind even where there is no budget."""
STORE_SECONDS: Final = 5.0
"""Seconds beyond the end for a slow store to keep what was answered last, or to end the lease."""
_STATES: Final[Mapping[str, tuple[State, int]]] = {
    "done": ("done", 0),
    "taken": ("busy", 0),
    "left": ("left", UnavailableError.exit_code),
    "misconfigured": ("misconfigured", ConfigError.exit_code),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be delivered, and in which time: the same for all sinks."""

    config: Config
    world: World
    since: int | None
    """The position that a sink with ``start = "now"`` begins at; None: the log's end."""
    retry_dead: bool
    deadline: float | None
    """By the clock that only goes forward; None: there is time."""
    schemes: Mapping[str, str | Opening] | None


class Job:
    """The delivery to one sink. ``ended`` is told when it has ended; ``stop`` ends it at the next occasion."""

    def __init__(self, order: Order, settings: SinkSettings, ended: threading.Condition) -> None:
        self._order = order
        self._settings = settings
        self._ended = ended
        self._delivery: Delivery | None = None
        self._outcome: Delivered | None = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"sink {settings.name}", daemon=True)

    def is_awaited(self) -> bool:
        """Tell whether it has not ended, has time left, and does not hang."""
        now, deadline = time.monotonic(), self._order.deadline
        if self._outcome is not None or (deadline is not None and now >= deadline):
            return False
        since = self._delivery.sending if self._delivery is not None else None
        return since is None or now - since < STUCK

    def end(self, last: float) -> None:
        """Wait for it until ``last``, by the clock that only goes forward, and leave it behind then."""
        self.thread.join(max(last - time.monotonic(), 0))
        if not self.thread.is_alive() or self._delivery is None:
            return
        # Where the store hangs, too, the lease ends by itself.
        left = max(last + STORE_SECONDS - time.monotonic(), 0)
        if self._delivery.keeping:
            self.thread.join(left)
        else:
            letting_go = threading.Thread(target=self._delivery.let_go, daemon=True)
            letting_go.start()
            letting_go.join(left)

    def outcome(self) -> Delivered:
        """Return what came of it, also where it did not end in time."""
        return self._outcome or self._delivered("left", UnavailableError.exit_code, "it did not answer in time")

    def _delivered(self, state: State, code: int, reason: str | None, hint: str | None = None) -> Delivered:
        delivery = self._delivery
        return Delivered(
            name=self._settings.name,
            url=self._settings.url,
            state=state,
            delivered=delivery.accepted if delivery else 0,
            dead=delivery.dead if delivery else 0,
            left=delivery.left if delivery else None,
            reason=reason,
            hint=hint,
            note=delivery.note if delivery else None,
            code=code,
        )

    # --- on its own thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            found = self._deliver()
        except ConfigError as error:
            found = self._delivered("misconfigured", error.exit_code, error.message, error.hint)
        except UnavailableError as error:
            found = self._delivered("left", error.exit_code, error.message, error.hint)
        except TfauditError as error:
            found = self._delivered("failed", error.exit_code, error.message, error.hint)
        except Exception as error:  # noqa: BLE001 - a thread's end: nobody above it could say that it failed
            # Its text may hold anything.
            found = self._delivered("failed", InternalError.exit_code, f"internal error: {type(error).__name__}")
        with self._ended:
            self._outcome = found
            self._ended.notify_all()

    def _deliver(self) -> Delivered:
        from tfaudit.runs.ledgers import evidence_of, store_clock, working_of
        from tfaudit.sinks.delivery import Delivery
        from tfaudit.sinks.schemes import SCHEMES, open_sink

        order = self._order
        evidence = evidence_of(order.config)
        self._delivery = Delivery(
            self._settings,
            evidence=evidence,
            working=working_of(order.config),
            genesis=order.config.genesis,
            open_sink=lambda: open_sink(self._settings, environ=order.world.environ, schemes=order.schemes or SCHEMES),
            pace=self._pace(store_clock(evidence, order.world.clock)),
            since=order.since,
            retry_dead=order.retry_dead,
        )
        ended = self._delivery.deliver()
        state, code = _STATES[ended.state]
        return self._delivered(state, code, ended.reason, ended.hint)

    def _pace(self, clock: Clock) -> Pace:
        from tfaudit.ledger import ids
        from tfaudit.sinks.outbox import Pace

        deadline = self._order.deadline

        def left() -> float:
            return float("inf") if deadline is None else deadline - time.monotonic()

        return Pace(
            seconds=time.monotonic,
            now=lambda: ids.milliseconds(clock()),
            wait=self.stop.wait,
            over=lambda: self.stop.is_set() or left() <= 0,
            left=left,
            chance=random.random,
        )
