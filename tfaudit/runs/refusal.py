"""What happens to a command line that the engine won't take: the engine says so itself, and nothing can change."""

from __future__ import annotations

from typing import Final

from tfaudit.engine import argv, process
from tfaudit.engine.output import Output
from tfaudit.engine.signals import Relay
from tfaudit.errors import InputError, UsageError
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


def run_nowhere(run: Run, relay: Relay) -> int:
    """Let the engine say that it can't go to the folder of ``-chdir``, and return its exit code.

    It is asked for its version there: should the folder come to be meanwhile, nothing is done in it. Raises
    :class:`InputError` then.
    """
    invocation = run.invocation
    call = argv.Call(args=(*invocation.globals, "version"), env=argv.typed_call(invocation, run.world.environ).env)
    asked = process.capture(run.engine.command, call, relay=relay, limit=MAX_OUTPUT)
    if asked.ended.code == 0:
        raise InputError(f"{invocation.chdir} was no folder a moment ago", hint="run it again")
    Output(1).write(asked.stdout)
    Output(2).write(asked.stderr)
    return asked.ended.code
