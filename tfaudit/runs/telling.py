"""Who else learns of a run: whom its alerts tell while it goes on, and the sinks that get copies when it is over?

Nothing here can stop a run or change its exit code, and where nobody is to be told nothing is imported for it.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from tfaudit.errors import LedgerError
from tfaudit.runs import alerting

if TYPE_CHECKING:
    from tfaudit.engine.signals import Relay
    from tfaudit.ledger.receipt import Receipt
    from tfaudit.runs.gating import Verdict
    from tfaudit.runs.planning import Planned
    from tfaudit.runs.recording import Recorder
    from tfaudit.runs.run import Run

INTERRUPTED_SECONDS: Final = 3.0
"""What the end of an interrupted run waits for its alerts at most: whoever interrupts a job kills it soon after."""


class Telling:
    """What one run tells; a context manager that delivers when the run is over, however it ends."""

    def __init__(self, run: Run, relay: Relay) -> None:
        self._run = run
        self._relay = relay
        self._alerts = alerting.of_run(run)
        self._receipts: dict[str, Receipt] = {}
        self._is_recorded = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, LedgerError):
            self._alerts.logging_failure(f"a run was stopped: {error.message}")
        before = self._relay.interrupts
        if self._is_recorded and self._run.config.sinks and not before:
            self._deliver()
        # A signal while copies are sent ends the waiting for the alerts as well: whoever sent it won't send it twice.
        seconds = INTERRUPTED_SECONDS if before else alerting.CLOSE_SECONDS
        self._alerts.close(seconds, stop=lambda: self._relay.interrupts > before)

    def intent(self, recorder: Recorder, planned: Planned | None, verdict: Verdict | None) -> None:
        """Tell what the run is about to do; its intent is in the log. Returns at once."""
        self._keep(recorder)
        self._alerts.intent(recorder, planned, verdict)

    def recorded(self, recorder: Recorder) -> None:
        """Tell what further records say."""
        self._keep(recorder)
        self._alerts.recorded(recorder)

    def denied(self, recorder: Recorder, verdict: Verdict | None, planned: Planned | None = None) -> None:
        """Tell that the gate denied the run, which is recorded."""
        self._keep(recorder)
        self._alerts.denied(recorder, verdict, planned)

    def unrecorded(self, what: str) -> None:
        """Tell that something could not be recorded."""
        self._alerts.logging_failure(what)

    def _keep(self, recorder: Recorder) -> None:
        self._is_recorded = True
        self._receipts |= {receipt.record_id: receipt for receipt in recorder.receipts}

    def _deliver(self) -> None:
        from tfaudit.runs.delivering import deliver_after

        try:
            found = deliver_after(self._run, tuple(self._receipts.values()), self._relay)
        except RuntimeError:
            # A machine at its limit, and a run that is over: its exit code is the engine's.
            self._run.world.say("nothing is delivered: no thread can be started")
        else:
            self._alerts.undelivered(found)
