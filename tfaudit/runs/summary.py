"""What does tfaudit say of a run: one line with what was recorded and where, to be kept by whoever keeps CI logs.

The line carries the log's origin, size and root: a copy of it outside the ledger shows later if the log was cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfaudit.plan.model import Counts
    from tfaudit.runs.recording import Recorder
    from tfaudit.runs.run import Run

_PLANNED = ("create", "update", "replace", "delete", "forget", "unknown")


def planned(counts: Counts) -> str:
    """Return what a plan would do, as in ``2 to create, 1 to delete``."""
    parts = [f"{number} to {name}" for name in _PLANNED if (number := getattr(counts, name))]
    if counts.moved:
        parts.append(f"{counts.moved} moved")
    if counts.imported:
        parts.append(f"{counts.imported} to import")
    if counts.outputs:
        parts.append(f"{counts.outputs} output{'s' if counts.outputs > 1 else ''} to change")
    return ", ".join(parts) or "no changes"


def happened(counts: Mapping[str, int]) -> str:
    """Return what came of the changes, as in ``2 applied, 1 errored``."""
    parts = [f"{number} {name}" for name, number in counts.items() if number]
    return ", ".join(parts) or "no changes"


def tell(run: Run, recorder: Recorder, what: str, status: str, *, gate: str = "not gated") -> None:
    """Say the run's one line, with what the ``gate`` said; with ``-v`` also each record's place."""
    line = f"run {run.run_id} {status}: {what}"
    if recorder.spooled is not None:
        run.world.say(f"{line}; NOT in the ledger yet: {recorder.spooled}; tfaudit recover sends it")
        return
    if not recorder.receipts:
        return
    last = recorder.receipts[-1]
    where = f"recorded in {run.config.ledger}" if last.position is not None else f"staged in {run.config.ledger}"
    run.world.say(f"{line}; {gate}; {where}; origin {last.origin} size {last.size} root {last.root}")
    if run.verbose:
        for receipt in recorder.receipts:
            run.world.say(f"record {receipt.record_id} at {receipt.key}")
