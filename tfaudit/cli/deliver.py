"""``tfaudit deliver``: bring to the sinks what they don't have yet, or show how far each of them is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from tfaudit.cli.main import Options
from tfaudit.cli.output import printable, say, write_json
from tfaudit.cli.place import this_config, this_world
from tfaudit.errors import ConfigError, LedgerError, UsageError

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.runs.delivering import Collected, Delivered
    from tfaudit.runs.run import World
    from tfaudit.runs.standing import Standing

_WORST: Final = (74, 76, 70, 78, 69)
"""Exit codes, the one that tells most first."""


@click.command("deliver")
@click.option("--sink", metavar="NAME", help="To this sink alone.")
@click.option("--retry-dead", is_flag=True, help="Try what a sink has refused for good once more.")
@click.option("--budget", metavar="TIME", help='How long at most, as in "10m"; by default until all is delivered.')
@click.option("--status", is_flag=True, help="Deliver nothing; show how far each sink is, and what it refused.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_obj
def command(
    options: Options, sink: str | None, retry_dead: bool, budget: str | None, status: bool, as_json: bool
) -> int:
    """Deliver to the sinks what is in the log and not yet there.

    Sends this machine's own spool first, and sweeps past hours for records that no commit holds. Running it more
    often, or twice at once, does no harm. Exit code 0 when nothing is left, 69 when a sink was down or the time was
    over, 78 when a sink is misconfigured, 74 when the ledger can't be read or written, 76 when its log is altered.
    """
    from tfaudit.runs import delivering

    world = this_world()
    config = this_config(options, world)
    if status:
        if retry_dead or budget:
            raise UsageError("--status goes with --sink and --json alone")
        return _show_status(options, sink, as_json)
    seconds = _seconds(budget)
    delivering.chosen(config, sink)
    collected = delivering.collect(config, world)
    found = delivering.deliver(config, world, budget=seconds, only=sink, retry_dead=retry_dead)
    if as_json:
        write_json({**_collected(collected), "sinks": [_delivered(one) for one in found]})
    else:
        _tell(collected, found)
    if config.alerts:
        _alert(config, world, collected, found, unhurried=seconds is None)
    codes = {one.code for one in found} | ({LedgerError.exit_code} if collected.problem else set())
    return next((code for code in _WORST if code in codes), 0)


def _alert(
    config: Config, world: World, collected: Collected, found: tuple[Delivered, ...], *, unhurried: bool
) -> None:
    """Send what could not be told before, and tell of what does not get where it belongs."""
    from tfaudit.runs import alerting

    alerting.retry(config, world)
    alerting.undelivered(config, world, found, unhurried=unhurried)
    if collected.waiting:
        alerting.unsent(config, world)


def _seconds(budget: str | None) -> float | None:
    from tfaudit.config import durations

    if budget is None:
        return None
    try:
        return durations.parse(budget, what="--budget", most=timedelta(days=7)).total_seconds()
    except ConfigError as error:
        raise UsageError(error.message, hint=error.hint) from error


def _tell(collected: Collected, found: tuple[Delivered, ...]) -> None:
    from tfaudit.runs import delivering

    if collected.sent:
        click.echo(f"sent {_records(collected.sent)} from the spool to the ledger")
    if collected.committed:
        click.echo(f"committed {_records(collected.committed)} that were staged and left behind")
    if collected.problem:
        waiting = f"{_records(collected.waiting)} still wait in the spool: " if collected.waiting else ""
        say(f"{waiting}{collected.problem}")
    if not found:
        click.echo("there is no [[sink]]: nothing to deliver")
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        what = f"{one.delivered} document{'s' if one.delivered != 1 else ''} delivered"
        rest = {"done": "nothing left", "busy": "another job is at it", "misconfigured": "misconfigured"}.get(
            one.state, f"{'many' if one.left is None else one.left} left"
        )
        click.echo(f"{one.name:<{width}}  {what}, {rest}")
    for one in found:
        for line in delivering.told(one):
            say(line)


def _records(count: int) -> str:
    return f"{count} record{'s' if count != 1 else ''}"


def _collected(collected: Collected) -> dict[str, object]:
    return {
        "sent": collected.sent,
        "committed": collected.committed,
        "waiting": collected.waiting,
        "problem": collected.problem,
    }


def _delivered(one: Delivered) -> dict[str, object]:
    return {
        "name": one.name,
        "url": one.url,
        "state": one.state,
        "delivered": one.delivered,
        "dead": one.dead,
        "left": one.left,
        "reason": one.reason,
        "hint": one.hint,
        "note": one.note,
    }


# --- how it stands ---------------------------------------------------------------------------------------------------


def _show_status(options: Options, sink: str | None, as_json: bool) -> int:
    from tfaudit.ledger.spool import Spool
    from tfaudit.runs.standing import standings

    world = this_world()
    config = this_config(options, world)
    found = standings(config, world, only=sink)
    waiting = len(Spool.at(config.spool, entropy=world.entropy).waiting())
    if as_json:
        write_json({"waiting": waiting, "sinks": [_standing(one) for one in found]})
        return 0
    if waiting:
        click.echo(f"{_records(waiting)} wait in the spool for the ledger")
    if not found:
        click.echo("there is no [[sink]]")
    for one in found:
        click.echo(f"{one.name}  {printable(one.url)}")
        for line in _words(one):
            click.echo(f"  {line}")
    return 0


def _words(one: Standing) -> list[str]:
    from tfaudit.ledger import ids

    lines = []
    if one.moved is None or one.position == one.line == 0:
        lines.append("nothing delivered yet")
    else:
        lines.append(f"delivered up to position {one.position} of the log, last at {ids.time_text(one.moved)}")
    lines.append(
        "nothing left" if one.left == 0 else f"{'many records' if one.left is None else _records(one.left)} left"
    )
    if one.busy is not None:
        lines.append(f"a job delivers to it, until {ids.time_text(one.busy)} at most")
    if one.url_changed:
        lines.append("it has another URL than at its last delivery")
    if one.dead:
        number = f"{one.dead} document{'s' if one.dead != 1 else ''}"
        lines.append(f"{number} will never be taken; tfaudit deliver --retry-dead tries them again")
        lines += [f"  {each.id}  {printable(each.reason)}" for each in one.dead_letters]
        if one.dead > len(one.dead_letters):
            lines.append(f"  and {one.dead - len(one.dead_letters)} more")
    return lines


def _standing(one: Standing) -> dict[str, Any]:
    from tfaudit.ledger import ids

    return {
        "name": one.name,
        "url": one.url,
        "position": one.position,
        "line": one.line,
        "moved": None if one.moved is None else ids.time_text(one.moved),
        "left": one.left,
        "url_changed": one.url_changed,
        "busy_until": None if one.busy is None else ids.time_text(one.busy),
        "dead": one.dead,
        "dead_letters": [
            {"id": each.id, "reason": each.reason, "time": ids.time_text(each.time)} for each in one.dead_letters
        ],
    }
