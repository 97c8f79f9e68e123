"""``tfaudit config``: the gate that holds for every stack of a ledger, whatever a repository says."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from tfaudit.cli.main import Options
from tfaudit.cli.output import printable, say, style, write_json
from tfaudit.cli.place import this_config, this_world
from tfaudit.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfaudit.gate.bundle import Bundle, Pinned
    from tfaudit.gate.comparing import Change
    from tfaudit.runs.pinning import Proposal


@click.group("config")
def command() -> None:
    """Pin the gate in the ledger, show the pinned one, compare the repository's with it."""


@command.command("push")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--yes", is_flag=True, help="Pin it without asking; without a terminal it is needed.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option(
    "--root-key",
    metavar="URI",
    default="file:.tfaudit/keys/root.pem",
    show_default=True,
    help="The root key; it alone can pin a gate.",
)
@click.pass_obj
def push(options: Options, dry_run: bool, yes: bool, as_json: bool, root_key: str) -> int:
    """Pin tfaudit.toml's gate, approvers, policy and identities as the least for every stack of the ledger.

    From its place in the log on, a repository may only tighten it. Shows first what changes against the one in force,
    and asks.
    """
    from tfaudit.runs import pinning

    world = this_world()
    shown: list[Proposal] = []

    def agree(proposal: Proposal) -> bool:
        shown.append(proposal)
        if not as_json:
            _show_proposal(proposal)
        if proposal.same or dry_run:
            return False
        if yes:
            return True
        if not sys.stdin.isatty():
            raise UsageError("there is no terminal to ask at", hint="--yes pins it without asking")
        return click.confirm("Pin this?", default=False, err=True)

    receipt = pinning.push(this_config(options, world), world, root_key, agree=agree)
    (proposal,) = shown
    if as_json:
        write_json(
            {
                "record_id": receipt.record_id if receipt else None,
                "digest": proposal.digest,
                "loosens": proposal.loosens,
                "changes": _changes(proposal.changes),
            }
        )
    elif receipt is not None:
        click.echo(f"pinned, as record {receipt.record_id} says; size {receipt.size}")
    return 0


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def show(options: Options, as_json: bool) -> int:
    """Show the pinned bundle in force at the log's end."""
    from tfaudit.gate import bundle

    found = _in_force(options)
    if as_json:
        write_json(
            {
                "record_id": found.record_id if found else None,
                "position": found.position if found else None,
                "digest": bundle.digest(found.bundle) if found else None,
                "bundle": bundle.readable(found.bundle) if found else None,
            }
        )
    elif found is None:
        click.echo("nothing is pinned: a repository's own gate is all there is")
    else:
        click.echo(f"{'record':<14}{found.record_id}, position {found.position}")
        click.echo(f"{'digest':<14}{bundle.digest(found.bundle)}")
        _show_bundle(found.bundle)
    return 0


@command.command("diff")
@click.option("--stack", metavar="NAME", help="Of this stack, in place of the one that this folder is.")
@click.option("--exit-code", is_flag=True, help="End with 78 where the repository asks for less.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def diff(options: Options, stack: str | None, exit_code: bool, as_json: bool) -> int:
    """Show in what this repository's gate says otherwise than the pinned one; what it leaves out is as pinned."""
    from tfaudit.gate import inforce
    from tfaudit.runs.stack import stack_here

    world = this_world()
    config = this_config(options, world)
    found = _in_force(options)
    name = stack or stack_here(config, world)
    changes = inforce.differences(config, found, name)
    loosens = any(change.loosens for change in changes)
    if as_json:
        write_json(
            {
                "record_id": found.record_id if found else None,
                "stack": name,
                "loosens": loosens,
                "changes": _changes(changes),
            }
        )
    else:
        if found is None:
            click.echo("nothing is pinned: a repository's own gate is all there is")
        _show_changes(changes)
        if found is not None and not changes:
            click.echo(f"nothing in this repository says otherwise than record {found.record_id}")
        if loosens:
            say("gate-changed: every gated command is refused here until the lines marked LOOSENS are gone")
    return ConfigError.exit_code if loosens and exit_code else 0


def _in_force(options: Options) -> Pinned | None:
    from tfaudit.ledger import pinned
    from tfaudit.runs.ledgers import open_reader

    return pinned.in_force(open_reader(this_config(options, this_world())))


def _show_proposal(proposal: Proposal) -> None:
    if proposal.same:
        click.echo("the bundle in force is this very one: there is nothing to pin")
    elif proposal.lost is not None:
        say(proposal.lost.message)
        click.echo("what was in force can't be compared; from here on this would be:")
    elif proposal.before is None:
        click.echo("nothing is pinned yet; from here on this would be, for every stack of the ledger:")
    if proposal.before is None:
        _show_bundle(proposal.bundle)
    _show_changes(proposal.changes)
    if proposal.bundle.gate.approvals and len(proposal.approvers) == 0:
        say("none of the approvers' keys can sign records: somebody has to carry every approval into the ledger")


def _show_bundle(bundle: Bundle) -> None:
    from tfaudit.cli import bundleview

    for name, text in bundleview.rows(bundle):
        click.echo(f"{name:<14}{printable(text)}")


def _show_changes(changes: Iterable[Change]) -> None:
    for change in changes:
        mark = style("LOOSENS", "red") if change.loosens else "       "
        click.echo(f"{mark}  {printable(change.text())}")


def _changes(changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [{"key": one.key, "before": one.before, "after": one.after, "loosens": one.loosens} for one in changes]
