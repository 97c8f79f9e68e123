"""Who is told of what a run does, while it does it? The pipeline's side: each call returns at once.

Where no ``[[alert]]`` is configured nothing happens, and nothing is imported. Else the work is done on threads of its
own: an alert never keeps a run waiting, never ends it, and never changes its exit code.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from tfaudit.errors import LedgerError, VerificationError

if TYPE_CHECKING:
    from queue import SimpleQueue

    from tfaudit.alerts.telling import Examined
    from tfaudit.config import Config
    from tfaudit.engine.signals import Relay
    from tfaudit.ledger.receipt import Receipt
    from tfaudit.ledger.verify.report import Report
    from tfaudit.runs.delivering import Delivered
    from tfaudit.runs.gating import Verdict
    from tfaudit.runs.noticing import Notices
    from tfaudit.runs.planning import Planned
    from tfaudit.runs.ready import Ready
    from tfaudit.runs.recording import Recorder
    from tfaudit.runs.run import Run, World

CLOSE_SECONDS: Final = 12.0
"""What the end of a run waits for its alerts at most."""
_LOOK: Final = 0.1
_WHY: Final = {
    LedgerError.exit_code: ": the ledger or the working store can't be read or written",
    VerificationError.exit_code: ": the log holds less than was delivered",
}
"""Why nothing can be delivered, by the exit code that it deserves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a run had recorded when somebody was to be told."""

    run: Run
    ready: Ready
    receipts: tuple[Receipt, ...]
    """Of the records since the last time."""
    spooled: bool
    """A record waits in the spool, for the first time in this run."""
    planned: Planned | None
    verdict: Verdict | None


def of_run(run: Run) -> Alerts:
    """Return what tells of a run; to be closed."""
    return Alerts(run)


class Alerts:
    """The alerts of one run. Nothing but :meth:`close` waits, and nothing raises."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._is_on = bool(run.config.alerts)
        self._told = 0
        self._spooled = False
        self._work: SimpleQueue[Callable[[Notices], None] | None] | None = None
        self._threads: list[threading.Thread] = []
        self._problems: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def denied(self, recorder: Recorder, verdict: Verdict | None, planned: Planned | None = None) -> None:
        """Tell that the gate denied the run; its record is written, or could not be."""
        if self._is_on:
            seen = self._see(recorder, planned, verdict)
            self._do(lambda notices: notices.denied(seen))

    def intent(self, recorder: Recorder, planned: Planned | None = None, verdict: Verdict | None = None) -> None:
        """Tell what the run is about to do; its intent is written. A broken glass is told of before all else."""
        broke = verdict is not None and verdict.decision.break_glass
        if broke and not any("break-glass" in alert.on for alert in self._run.config.alerts):
            self._run.world.say("nobody is told that the glass is broken: no [[alert]] asks for break-glass")
        if not self._is_on:
            return
        seen = self._see(recorder, planned, verdict)
        if broke:
            self._start("alert", lambda: self._with_notices(lambda notices: notices.broke_glass(seen)))
        self._do(lambda notices: notices.intent(seen))

    def recorded(self, recorder: Recorder) -> None:
        """Tell what the alerts' own expressions find in records that are written, and of one that only waits."""
        if self._is_on:
            seen = self._see(recorder, None, None)
            self._do(lambda notices: notices.recorded(seen))

    def logging_failure(self, what: str, *, key: str = "") -> None:
        """Tell that something is not recorded, or does not get where it belongs; ``what`` holds no secret."""
        if self._is_on:
            self._do(lambda notices: notices.logging_failure(what, key=key or what))

    def undelivered(self, found: Iterable[Delivered]) -> None:
        """Tell of the sinks that will not get their copies by themselves."""
        failures = failures_of(found)
        if self._is_on and failures:
            self._do(lambda notices: notices.undelivered(failures))

    def close(self, seconds: float = CLOSE_SECONDS, *, stop: Callable[[], bool] = lambda: False) -> None:
        """Wait for what is still being told, at most so long and until ``stop``, and say what could not be."""
        end = time.monotonic() + seconds
        if self._work is not None:
            self._work.put(None)
        for thread in self._threads:
            while thread.is_alive() and time.monotonic() < end and not stop():
                thread.join(_LOOK)
        if any(thread.is_alive() for thread in self._threads):
            # The thread ends with the process; a message on its way goes on in a process of its own.
            self._problems.append("not every alert could be sent in time")
        self._threads.clear()
        for problem in dict.fromkeys(self._problems):
            self._run.world.say(problem)

    def _see(self, recorder: Recorder, planned: Planned | None, verdict: Verdict | None) -> Seen:
        """Return what is known now: the recorder goes on with the run."""
        receipts = tuple(recorder.receipts[self._told :])
        self._told = len(recorder.receipts)
        spooled = recorder.spooled is not None and not self._spooled
        self._spooled = self._spooled or spooled
        return Seen(
            run=self._run,
            ready=recorder.ready,
            receipts=receipts,
            spooled=spooled,
            planned=planned,
            verdict=verdict,
        )

    def _do(self, what: Callable[[Notices], None]) -> None:
        if self._work is None:
            from queue import SimpleQueue

            work: SimpleQueue[Callable[[Notices], None] | None] = SimpleQueue()
            self._work = work
            self._start("alerts", lambda: self._with_notices(lambda notices: self._serve(notices, work)))
        self._work.put(what)

    def _start(self, name: str, what: Callable[[], None]) -> None:
        thread = threading.Thread(target=what, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._problems.append("an alert could not be made: no thread can be started")
        else:
            self._threads.append(thread)

    def _serve(self, notices: Notices, work: SimpleQueue[Callable[[Notices], None] | None]) -> None:
        while (what := work.get()) is not None:
            self._guarded(what, notices)

    def _with_notices(self, what: Callable[[Notices], None]) -> None:
        from tfaudit.runs.noticing import Notices

        run = self._run
        self._guarded(what, Notices(run.config, run.world, self._problems.append, workdir=run.workdir))

    def _guarded(self, what: Callable[[Notices], None], notices: Notices) -> None:
        try:
            what(notices)
        except Exception as error:  # noqa: BLE001 - the run goes on whatever is wrong; its text may hold a value
            self._problems.append(f"an alert could not be made: {type(error).__name__}")


# --- outside of a run ------------------------------------------------------------------------------------------------


def verified(config: Config, world: World, report: Report) -> None:
    """Tell that ``verify`` found something wrong; nothing where all is well. Takes a bounded time, never raises."""
    if config.alerts and not report.ok:
        _now(config, world, lambda notices: notices.verified(report))


def met(run: Run, relay: Relay, recorder: Recorder) -> None:
    """Tell where the run's state is now one that no record left behind. Takes a bounded time, never raises."""
    key = recorder.state_key
    if not run.config.alerts or key is None:
        return
    from tfaudit.alerts.facts import Subject
    from tfaudit.runs import state

    version = state.current(run, relay)
    if version is not None:
        subject = Subject(stack=recorder.ready.stack, workspace=run.workdir.workspace)
        found = (version.lineage, version.serial)
        _now(run.config, run.world, lambda notices: notices.met(subject, recorder.reader(), key, found))


def undelivered(config: Config, world: World, found: Iterable[Delivered], *, unhurried: bool = False) -> None:
    """Tell of the sinks that do not get their copies. Takes a bounded time, never raises.

    ``unhurried``: there was time for all, so that one that still lacks some is down.
    """
    failures = failures_of(found, unhurried=unhurried)
    if config.alerts and failures:
        _now(config, world, lambda notices: notices.undelivered(failures))


def unsent(config: Config, world: World) -> None:
    """Tell that records still wait in the spool. Takes a bounded time, never raises."""
    what = "records wait in the spool of the machine that made them: they are not in the ledger"
    _now(config, world, lambda notices: notices.logging_failure(what, key="waiting"))


def failures_of(found: Iterable[Delivered], *, unhurried: bool = False) -> tuple[str, ...]:
    """Return which sinks somebody has to look after, and why: a line each, without what the sink itself said."""
    lines = []
    for one in found:
        if one.state == "misconfigured":
            lines.append(f'sink "{one.name}" is misconfigured')
        elif one.state == "failed":
            lines.append(f'nothing can be delivered to sink "{one.name}"{_WHY.get(one.code, "")}')
        elif one.state == "left" and unhurried:
            lines.append(f'sink "{one.name}" does not take what is delivered')
        if one.dead:
            lines.append(f'sink "{one.name}" has refused documents for good')
    return tuple(lines)


def retry(config: Config, world: World) -> None:
    """Send what could not be sent before, and the summaries of what was held back. Bounded, never raises."""
    if config.alerts:
        _now(config, world, lambda notices: notices.teller.retry())


def examine(config: Config, world: World) -> tuple[Examined, ...]:
    """Return what is wrong with each target and expression of the alerts; nothing is sent."""
    if not config.alerts:
        return ()
    from tfaudit.runs.noticing import Notices

    return tuple(Notices(config, world, world.say).teller.examine())


def _now(config: Config, world: World, what: Callable[[Notices], None]) -> None:
    from tfaudit.runs.noticing import Notices

    problems: list[str] = []
    try:
        what(Notices(config, world, problems.append))
    except Exception as error:  # noqa: BLE001 - an alert is no reason to fail; its text may hold a value
        problems.append(f"an alert could not be made: {type(error).__name__}")
    for problem in dict.fromkeys(problems):
        world.say(problem)
