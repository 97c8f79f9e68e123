"""``tfaudit history``: what has ever happened to a resource."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from tfaudit.cli import changeview
from tfaudit.cli.log import principal
from tfaudit.cli.looking import Looked, chosen, looking, period_options, stack_option, write_line
from tfaudit.cli.main import Options
from tfaudit.cli.output import printable, style


@click.command("history")
@click.argument("address")
@click.option("--json", "as_json", is_flag=True, help="Print each change event as one line of JSON.")
@stack_option
@period_options
@click.option("--plans", is_flag=True, help="Also what was planned only.")
@click.pass_obj
def command(
    options: Options, address: str, as_json: bool, stack: str | None, start: str | None, end: str | None, plans: bool
) -> int:
    """Show every recorded change of the resource ADDRESS, the newest last.

    The address of a resource covers its instances, that of a module everything in it. Moves are followed back.
    """
    from tfaudit.export import addresses
    from tfaudit.export.history import history

    wanted = chosen(stack=stack, start=start, end=end)
    pieces = addresses.parse(address)
    looked = Looked()
    found = False
    with looking(options, looked) as view:
        for event in history(view, pieces, wanted, plans=plans):
            found = True
            if as_json:
                write_line(event)
            else:
                _show(changeview.decoded(event))
    if not found:
        click.echo(f"no recorded change of {printable(address)}", err=True)
    return looked.exit_code


def _show(event: Mapping[str, Any]) -> None:
    when = event["time"][:19].replace("T", " ")
    about = f"{when}  {principal(event['actor'])}  {event['stack']}  {event['command'] or ''}"
    sys.stdout.write(style(printable(f"{about}  run {event['run_id']}"), "dim") + "\n")
    if event["record"] == "plan":
        sys.stdout.write("  only planned\n")
    changeview.write([changeview.headline(event)], "  ")
    changeview.write(changeview.details(event), "      ")
