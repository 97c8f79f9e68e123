"""What happens to a command line that the engine won't take: the engine says so itself, and nothing can change."""

from __future__ import annotations

from tfaudit.engine import argv, process
from tfaudit.engine.output import Output
from tfaudit.engine.signals import Relay
from tfaudit.errors import UsageError
from tfaudit.runs.run import Run

MAX_OUTPUT = 16 << 20


def run_refused(run: Run, relay: Relay) -> int:
    """Let the engine refuse the command line and return its exit code.

    Raises :class:`UsageError` when it would have taken an option that tfaudit can't read, and so could not audit.
    """
    refusal = run.invocation.refusal
    call = argv.refused_call(run.invocation, run.world.environ)
    captured = process.capture(run.engine.command, call, relay=relay, limit=MAX_OUTPUT)
    guard = argv.GUARD.encode()
    if refusal is not None and not refusal.certain and guard in captured.stdout + captured.stderr:
        raise UsageError(
            f"this version of tfaudit can't read the command line: {refusal.reason}", hint="nothing was run"
        )
    Output(1).write(captured.stdout)
    Output(2).write(captured.stderr)
    return captured.ended.code
