"""How do copies of the records get to the sinks, in the time that there is for it?

Each sink has a thread of its own, with stores of its own: one that hangs holds up nobody. The threads are daemons. When
the time is over, whoever has not ended is left behind: its cursor stands where the last answer put it, and the next run
goes on from there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from tfaudit.errors import ConfigError, TfauditError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfaudit.config import Config
    from tfaudit.config.delivering import SinkSettings
    from tfaudit.engine.signals import Relay
    from tfaudit.ledger.receipt import Receipt
    from tfaudit.runs.run import Run, World
    from tfaudit.sinks.schemes import Opening

State = Literal["done", "left", "busy", "misconfigured", "failed"]

GRACE: Final = 1.0
"""Seconds beyond the budget for keeping what was answered last."""
_LOOK: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What came of delivering to one sink."""

    name: str
    url: str
    state: State
    """``done``; ``left``: the sink or the time did not suffice; ``busy``: another job is at it; ``misconfigured``: only
    another configuration helps; ``failed``: the ledger or the working store could not be read or written."""
    delivered: int = 0
    """Documents that the sink took."""
    dead: int = 0
    """Documents that it will never take, since this delivery began."""
    left: int | None = None
    """Records of the log that are still to be delivered, some of them perhaps in part; None where nobody could tell."""
    reason: str | None = None
    hint: str | None = None
    note: str | None = None
    """What is worth knowing although nothing is wrong: the sink is somewhere else than before."""
    code: int = 0
    """The exit code that this deserves: 0, 69, 74, 76 or 78."""


def deliver_after(run: Run, receipts: Sequence[Receipt], relay: Relay | None = None) -> tuple[Delivered, ...]:
    """Deliver what is in the log at the end of a run that wrote ``receipts``, for at most ``[delivery] budget``.

    Says one line for each sink that has something left, and raises nothing: the run is over. A signal ends it at once.
    """
    budget = run.config.delivery.budget.total_seconds() if run.config.sinks else 0.0
    if budget <= 0:
        return ()
    positions = [one.position for one in receipts if one.position is not None]
    before = relay.interrupts if relay is not None else 0
    found = deliver(
        run.config,
        run.world,
        budget=budget,
        since=min(positions, default=None),
        interrupted=lambda: relay is not None and relay.interrupts > before,
    )
    for one in found:
        for line in told(one):
            run.world.say(line)
    return found


def deliver(
    config: Config,
    world: World,
    *,
    budget: float | None,
    only: str | None = None,
    since: int | None = None,
    retry_dead: bool = False,
    interrupted: Callable[[], bool] = lambda: False,
    schemes: Mapping[str, str | Opening] | None = None,
) -> tuple[Delivered, ...]:
    """Deliver to all sinks at once, or to ``only`` one, and return what came of it, in the order of configuration.

    ``budget`` is in seconds; without one it goes on until nothing is left or a sink does not want more. ``since`` is
    the position from which a sink with ``start = "now"`` that is met for the first time is delivered to; None: the
    log's present end. ``schemes`` are other kinds of sinks than tfaudit's own. Raises :class:`ConfigError` where there
    is no ledger or no sink called ``only``.
    """
    from tfaudit.runs.ledgers import evidence_location
    from tfaudit.runs.sinkjob import Job, Order

    evidence_location(config)
    order = Order(
        config=config,
        world=world,
        since=since,
        retry_dead=retry_dead,
        deadline=None if budget is None else time.monotonic() + budget,
        schemes=schemes,
    )
    ended = threading.Condition()
    jobs = [Job(order, settings, ended) for settings in chosen(config, only)]
    for job in jobs:
        job.thread.start()
    try:
        with ended:
            while any(job.is_awaited() for job in jobs) and not interrupted():
                ended.wait(_LOOK)
    finally:
        # Also on Ctrl-C: whoever waits for another try ends now, whoever waits for an answer may still keep it.
        for job in jobs:
            job.stop.set()
        last = time.monotonic() + GRACE
        for job in jobs:
            job.end(last)
    return tuple(job.outcome() for job in jobs)


def chosen(config: Config, only: str | None) -> tuple[SinkSettings, ...]:
    """Return the sinks that are meant; :class:`ConfigError` where none is called ``only``."""
    if only is None:
        return config.sinks
    found = tuple(one for one in config.sinks if one.name == only)
    if not found:
        names = ", ".join(one.name for one in config.sinks)
        raise ConfigError(f'there is no sink "{only}"', hint=f"there is {names}" if names else "there is no [[sink]]")
    return found


def told(one: Delivered) -> list[str]:
    """Return what is to be said of a delivery: nothing where all went well."""
    found = [] if one.note is None else [f'sink "{one.name}": {one.note}']
    # What a sink says of itself may begin with its name, as here.
    why = (one.reason or "").removeprefix(f'sink "{one.name}" ') + (f" ({one.hint})" if one.hint else "")
    left = "" if one.left is None else f"{one.left} record{'s' if one.left != 1 else ''}"
    match one.state:
        case "left":
            found.append(f'sink "{one.name}": {left or "all"} left for the next run or tfaudit deliver: {why}')
        case "busy":
            found.append(f'sink "{one.name}": {why}')
        case "misconfigured":
            kept = f"; {left} kept for it" if left else ""
            found.append(f'sink "{one.name}" is misconfigured{kept}: {why}')
        case "failed":
            found.append(f'sink "{one.name}": nothing more could be delivered: {why}')
        case "done":
            pass
    if one.dead:
        number = f"{one.dead} document{'s' if one.dead != 1 else ''}"
        found.append(f'sink "{one.name}": {number} will never be taken: tfaudit deliver --status says why')
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What was brought into the log before delivering."""

    sent: int = 0
    """Records that waited in this machine's spool."""
    committed: int = 0
    """Staged records of whole past hours that no commit held."""
    waiting: int = 0
    """Records that still wait in the spool."""
    problem: str | None = None
    """Why not all could be brought in."""


def collect(config: Config, world: World) -> Collected:
    """Send what waits in the spool, and sweep past hours for staged records, as far as this role may.

    A role without the keys for it only reads; that is a problem just where something waits. Raises
    :class:`LedgerError` when there is no ledger to be read.
    """
    from tfaudit.ledger.spool import Spool
    from tfaudit.runs.ledgers import open_ledger

    spool = Spool.at(config.spool, entropy=world.entropy)
    sent = committed = 0
    problem: str | None = None
    try:
        ledger = open_ledger(config, world)
        sent = len(ledger.drain())
        committed = ledger.sweep() if config.signer_log else 0
    except (ConfigError, UnavailableError) as error:
        # Without a key nothing can be brought in; nor need it, where nothing waits here.
        problem = str(error) if spool.waiting() else None
    except TfauditError as error:
        problem = str(error)
    return Collected(sent=sent, committed=committed, waiting=len(spool.waiting()), problem=problem)
