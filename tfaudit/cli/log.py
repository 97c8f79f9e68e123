"""``tfaudit log``: the ledger's records, the newest first, a line each."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

import click

from tfaudit.cli.looking import Looked, chosen, json_line, looking, period_options, stack_option
from tfaudit.cli.main import Options
from tfaudit.cli.output import printable, style
from tfaudit.errors import VerificationError

if TYPE_CHECKING:
    from tfaudit.export.view import Filter, View

_KINDS: Final = (
    "plan",
    "intent",
    "outcome",
    "operation",
    "approval",
    "rejection",
    "review",
    "access",
    "erasure",
    "adopt",
    "finding",
    "external",
    "config",
    "retention",
)
_PLACES: Final = {"staged": "staged: no commit holds it yet", "spool": "waiting in the spool of this machine"}
_HEAD: Final = ("TIME (UTC)", "RUN", "KIND", "ACTOR", "STACK", "WHAT")
_MEASURED: Final = 200
"""So many entries are looked at before the first is written: a log of millions must begin at once."""
_WIDEST: Final = 48
_COLOURS: Final = {"errored": "red", "killed": "red", "interrupted": "yellow", "not-started": "yellow", "denied": "red"}


@click.command("log")
@click.option("--json", "as_json", is_flag=True, help="Print each record as one line of JSON.")
@click.option("-n", "limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@stack_option
@click.option("--kind", "kinds", multiple=True, type=click.Choice(_KINDS), metavar="KIND", help="Only of this kind.")
@period_options
@click.option("--run", "run", metavar="RUN", help="Only of this run.")
@click.option("--overdue", is_flag=True, help="Only break-glass runs that nobody reviewed in time; if any, exit 76.")
@click.pass_obj
def command(
    options: Options,
    as_json: bool,
    limit: int | None,
    stack: str | None,
    kinds: tuple[str, ...],
    start: str | None,
    end: str | None,
    run: str | None,
    overdue: bool,
) -> int:
    """Show the ledger's records, the newest first.

    Records that no commit holds yet come in front and say so. What is read is checked on the way; whether the whole
    ledger is sound is for `tfaudit verify`.
    """
    from dataclasses import replace

    wanted = chosen(stack=stack, start=start, end=end, kinds=kinds)
    looked = Looked()
    with looking(options, looked) as view:
        if run is not None:
            wanted = replace(wanted, run_id=view.run(run).run_id or "")
        if overdue:
            return _write_overdue(options, view, wanted, as_json) or looked.exit_code
        entries = view.log(wanted, limit=limit)
        if as_json:
            for entry in view.located(entries):
                sys.stdout.buffer.write(json_line(entry))
            return looked.exit_code
        if not _write_table(entries):
            click.echo("no such record" if view.reader.state.size else "the ledger is empty", err=True)
    return looked.exit_code


def _write_table(entries: Iterator[dict[str, Any]]) -> bool:
    """Write a line an entry, under a head; False where there is none. The first entries say how wide columns are."""
    first = list(islice(entries, _MEASURED))
    if not first:
        return False
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    cells = [_HEAD, *map(_cells, first)]
    widths = [min(max(map(len, column)), _WIDEST) for column in list(zip(*cells, strict=True))[:-1]]
    sys.stdout.write(style(_line(_HEAD, widths, width), "bold") + "\n")
    for entry in chain(first, entries):
        line = _line(_cells(entry), widths, width)
        colour = _COLOURS.get(entry["status"] or "")
        sys.stdout.write((style(line, colour) if colour else line) + "\n")
    return True


def _write_overdue(options: Options, view: View, wanted: Filter, as_json: bool) -> int:
    """Write the runs that are to be reviewed and were not, and return the exit code that tells of them."""
    from tfaudit.cli.place import this_config, this_world
    from tfaudit.ledger.ids import milliseconds
    from tfaudit.runs.overdue import overdue

    world = this_world()
    found = False
    for one in overdue(view, this_config(options, world), wanted, now=milliseconds(world.clock())):
        found = True
        entry = view.entry(one.row)
        if as_json:
            sys.stdout.buffer.write(json_line(entry))
            continue
        sys.stdout.write(style(printable(f"{entry['review_by']}  {entry['run_id']}  {entry['stack'] or ''}"), "red"))
        sys.stdout.write(f"\n  {printable(principal(entry['actor']))}: {printable(entry['summary'])}\n")
        for why in one.refused:
            sys.stdout.write(f"  {printable(why)}\n")
        sys.stdout.write(f"  tfaudit approve --review {entry['run_id']}\n")
    return VerificationError.exit_code if found else 0


def _cells(entry: Mapping[str, Any]) -> tuple[str, ...]:
    what = entry["summary"]
    if entry["place"] in _PLACES:
        what = f"{what} ({_PLACES[entry['place']]})"
    cells = (
        entry["time"][:19].replace("T", " "),
        (entry["run_id"] or entry["record_id"])[:18],
        entry["kind"],
        principal(entry["actor"]),
        entry["stack"] or "",
        what,
    )
    return tuple(map(printable, cells))


def _line(cells: Sequence[str], widths: Sequence[int], width: int | None) -> str:
    padded = [cell.ljust(column) for cell, column in zip(cells[:-1], widths, strict=True)]
    line = "  ".join([*padded, cells[-1]])
    return line if width is None or len(line) <= width else line[: max(width - 1, 1)] + "…"


def principal(actor: object) -> str:
    """Return the name of an actor, for people, with the software agent that acts and whom it acts for."""
    if isinstance(actor, dict):
        name, agent = str(actor.get("principal") or "unknown"), actor.get("agent")
        if not isinstance(agent, dict):
            return name
        person = agent.get("on_behalf_of")
        return f"{name} by agent {agent.get('name')}" + (f" for {person}" if person else "")
    return str(actor) if actor is not None else "(withheld)"
