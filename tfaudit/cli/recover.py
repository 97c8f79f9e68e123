"""``tfaudit recover``: send what waits in the spool, and close runs that never said how they ended."""

from __future__ import annotations

import sys

import click

from tfaudit.cli.main import Options, engine_run
from tfaudit.cli.output import counted, say, write_json


@click.command("recover")
@click.option("--run", "run_id", metavar="RUN", help="Close this run alone, wherever it was made.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_obj
def command(options: Options, run_id: str | None, as_json: bool) -> int:
    """Send waiting records to the ledger and close interrupted runs.

    A run that died on this machine is closed at once. One that was made on another machine is asked about on a
    terminal; without one it is closed when its intent is older than an hour. A run that is still going on is left
    alone. What is recorded is what the state shows, no more.
    """
    from tfaudit.engine.signals import Relay
    from tfaudit.runs import recovery

    run = engine_run(["state", "pull"], options, None)
    with Relay() as relay:
        result = recovery.recover(run, relay, only=run_id, ask=_ask if sys.stdin.isatty() else None)
        if run.config.sinks and (result.sent or result.closed):
            from tfaudit.runs.delivering import deliver_after

            deliver_after(run, (), relay)
    if as_json:
        write_json(
            {
                "sent": result.sent,
                "closed": list(result.closed),
                "running": list(result.running),
                "left": list(result.left),
            }
        )
        return 0
    click.echo(f"sent {counted(result.sent, 'waiting record')}, closed {counted(len(result.closed), 'run')}")
    for each in result.running:
        say(f"run {each} is still going on")
    for each in result.left:
        say(f"run {each} was made on another machine less than an hour ago: tfaudit recover --run {each} closes it")
    return 0


def _ask(run_id: str, stack: str) -> bool:
    return click.confirm(f"Run {run_id} on {stack} was made on another machine. Has it ended?", default=False, err=True)
