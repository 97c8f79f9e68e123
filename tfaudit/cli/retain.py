"""``tfaudit retain``: how long evidence stays; each change leaves a record of its own, or was stated in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tfaudit.cli.looking import Looked, looking
from tfaudit.cli.main import Options
from tfaudit.cli.output import counted, write_json
from tfaudit.cli.place import this_config, this_world
from tfaudit.errors import UsageError

if TYPE_CHECKING:
    from tfaudit.runs.retention import Done


@click.group("retain")
def command() -> None:
    """Extend locks, hold runs, let old events go, erase change keys."""


@command.command("extend")
@click.option("--days", type=click.IntRange(1, 36500), required=True, help="How long from now, at least.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_obj
def extend(options: Options, days: int, as_json: bool) -> int:
    """Extend the lock of every object in the ledger's bucket to at least so many days from now.

    Locks only ever get longer. tfaudit doctor and verify warn of those that end soon.
    """
    from tfaudit.runs import bucketing, retention
    from tfaudit.runs.ledgers import evidence_of

    world = this_world()
    config = this_config(options, world)
    done = retention.extend(config, world, days=days)
    _tell(done, f"{done.objects} locks extended to {days} days from now", as_json)
    if bucketing.locks_nothing(evidence_of(config), config.retention):
        world.say(f"nothing locks what is written from now on, this record among it: {bucketing.LOCK_IT}")
    return 0


@command.command("hold")
@click.argument("name", metavar="RUN|RECORD")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_obj
def hold(options: Options, name: str, as_json: bool) -> int:
    """Keep a run's records until they are released, whatever their locks and prune say."""
    return _hold(options, name, as_json, release=False)


@command.command("release")
@click.argument("name", metavar="RUN|RECORD")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_obj
def release(options: Options, name: str, as_json: bool) -> int:
    """Release a run's records from a hold."""
    return _hold(options, name, as_json, release=True)


@command.command("prune")
@click.option("--before", metavar="DATE", required=True, help="Only of records older than this, as in 2019-01-01.")
@click.option("--yes", is_flag=True, help="Do it; without it only what would go is said.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_obj
def prune(options: Options, before: str, yes: bool, as_json: bool) -> int:
    """Remove the events and disclosed values of old records, for good.

    The first line of every record and all commits stay, so that the log verifies as before. What is locked, held, open
    or within the configured retention stays whole.
    """
    from tfaudit.export import dates
    from tfaudit.ledger.ids import milliseconds
    from tfaudit.runs import retention

    world = this_world()
    moment = milliseconds(dates.start(before, now=world.clock()))
    config, looked = this_config(options, world), Looked()
    retention.check_date(config, now=milliseconds(world.clock()), before=moment)
    if yes:
        retention.resume(config)
    with looking(options, looked) as view:
        if not yes:
            number = sum(1 for _ in retention.prunable(view, before=moment))
            raise UsageError(
                f"the events and values of {counted(number, 'record')} would go", hint="--yes lets them go"
            )
        done = retention.prune(config, world, view, before=moment)
    _tell(done, f"the events of {counted(done.objects, 'record')} are gone", as_json)
    return looked.exit_code


@command.command("erase")
@click.option("--since", metavar="DATE", help="Only of records since then, as in 2026-01-01; without it of all.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_obj
def erase(options: Options, since: str | None, as_json: bool) -> int:
    """Erase the change keys that outcomes state to be erased, where the job's own role could not.

    Of what was applied by an approval the key of the change digest goes. A second time there is nothing left to do.
    """
    from tfaudit.export import dates
    from tfaudit.ledger.ids import milliseconds
    from tfaudit.runs import erasures

    world = this_world()
    start = milliseconds(dates.start(since, now=world.clock())) if since is not None else 0
    count = erasures.carry_out(this_config(options, world), since=start)
    if as_json:
        write_json({"objects": count})
    else:
        click.echo(f"{counted(count, 'change key')} erased")
    return 0


def _hold(options: Options, name: str, as_json: bool, *, release: bool) -> int:
    from tfaudit.runs import retention

    world = this_world()
    looked = Looked()
    with looking(options, looked) as view:
        done = retention.hold(this_config(options, world), world, view, name, release=release)
    is_held = f"{'is' if done.objects == 1 else 'are'} {'released' if release else 'held'}"
    _tell(done, f"{counted(done.objects, 'record')} {is_held}", as_json)
    return looked.exit_code


def _tell(done: Done, text: str, as_json: bool) -> None:
    if as_json:
        receipt = done.receipt
        write_json(
            {"objects": done.objects, "record_id": receipt.record_id, "size": receipt.size, "root": receipt.root}
        )
    else:
        click.echo(f"{text}, as record {done.receipt.record_id} says; size {done.receipt.size}")
