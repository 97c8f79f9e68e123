"""What happens to a command line that the engine won't take: the engine says so itself, and nothing can change."""

from __future__ import annotations

from typing import Final

from tfaudit.engine import argv, process
from tfaudit.engine.signals import Relay
from tfaudit.errors import UsageError
from tfaudit.runs.run import Run

MAX_OUTPUT: Final = 16 << 20


def run_refused(run: Run, relay: Relay) -> int:
    """Let the engine refuse the command line and return its exit code.

    Raises :class:`UsageError` when it would have taken an option that tfaudit can't read, and so could not audit.
    """
    refusal = run.invocation.refusal
    environ = run.world.environ
    probe = argv.probe_call(run.invocation, environ)
    if refusal is not None and probe is not None:
        probed = process.capture(run.engine.command, probe, relay=relay, limit=MAX_OUTPUT)
        if argv.GUARD.encode() in probed.stdout + probed.stderr:
            # It stumbled over our guard alone: what we can't read it can.
            raise UsageError(
                f"this version of tfaudit can't read the command line: {refusal.reason}", hint="nothing was run"
            )
    return process.run_inherit(run.engine.command, argv.typed_call(run.invocation, environ), relay=relay).code
