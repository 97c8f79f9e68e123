"""``tfaudit sequence``: commit what writers without the log's key have staged."""

from __future__ import annotations

import click

from tfaudit.cli.main import Options
from tfaudit.cli.output import write_json
from tfaudit.cli.place import this_config, this_world


@click.command("sequence")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_obj
def command(options: Options, as_json: bool) -> int:
    """Commit staged records to the log. For a scheduled job that alone holds the log's key.

    Sends this machine's own spool first. Running it more often, or twice at once, does no harm.
    """
    from tfaudit.runs.ledgers import open_ledger

    world = this_world()
    ledger = open_ledger(this_config(options, world), world)
    sent = ledger.drain()
    count = ledger.sequence()
    if as_json:
        write_json({"origin": ledger.origin, "sent": len(sent), "committed": count})
    else:
        click.echo(f"committed {count} staged record{'s' if count != 1 else ''} to {ledger.origin}")
    return 0
