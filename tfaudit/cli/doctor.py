"""``tfaudit doctor``: does everything work on this machine, and what to do where it doesn't."""

from __future__ import annotations

import click

from tfaudit.cli.main import Options
from tfaudit.cli.output import printable, style, write_json
from tfaudit.cli.place import this_config, this_world

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a check.")
@click.option(
    "--expires-within",
    type=click.IntRange(0, 36500),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="Warn where the bucket's oldest locks end in so many days.",
)
@click.option("--fix", is_flag=True, help="Install what a sink needs: Elasticsearch's index template and retention.")
@click.pass_obj
def command(options: Options, as_json: bool, expires_within: int, fix: bool) -> int:
    """Check engine, output, signals, keys, ledger, clock, spool, sinks and alerts; each line says what to do.

    Writes and removes one probe object; sends nothing to a sink or an alert. Exit code 0 when nothing failed.
    """
    from tfaudit.runs.doctor import examine

    world = this_world()
    code = 0
    for check in examine(this_config(options, world), world, expires_within=expires_within, fix=fix):
        if check.result == "failed":
            code = code or check.exit_code
        if as_json:
            write_json({"check": check.name, "result": check.result, "message": check.message, "hint": check.hint})
            continue
        hint = f" — {printable(check.hint)}" if check.hint else ""
        click.echo(
            f"{style(f'{check.result:8}', _COLOURS[check.result])}{check.name}: {printable(check.message)}{hint}"
        )
    return code
