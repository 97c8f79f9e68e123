"""``tfaudit setup``: make a ledger, its keys and tfaudit.toml."""

from __future__ import annotations

import sys
from dataclasses import replace

import click

from tfaudit.cli.main import Options
from tfaudit.cli.output import write_json
from tfaudit.cli.place import this_world
from tfaudit.errors import UsageError


@click.command("setup")
@click.option("--yes", is_flag=True, help="Ask nothing, take the defaults.")
@click.option("--stack", metavar="NAME", help="The stack's name, with {path} and {workspace}; default: the git remote.")
@click.option("--origin", metavar="NAME", help="The log's name in its checkpoints.")
@click.option(
    "--algorithm",
    type=click.Choice(["ed25519", "ecdsa-p256"]),
    default="ed25519",
    show_default=True,
    help="The keys' algorithm.",
)
@click.option("--post-quantum", is_flag=True, help="Sign checkpoints with an ML-DSA-44 key as well.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made as one JSON object.")
@click.pass_obj
def command(
    options: Options,
    yes: bool,
    stack: str | None,
    origin: str | None,
    algorithm: str,
    post_quantum: bool,
    as_json: bool,
) -> int:
    """Make a ledger, its keys and tfaudit.toml in this folder.

    Nothing is sent anywhere. The ledger lies in .tfaudit/ledger unless --ledger (before the verb) names another folder.
    """
    from tfaudit.runs import setup

    world = this_world()
    plan = setup.propose(world.cwd, world, ledger=options.ledger, working=options.working)
    plan = replace(
        plan,
        stack=stack or plan.stack,
        origin=origin or plan.origin,
        algorithm="ecdsa-p256" if algorithm == "ecdsa-p256" else "ed25519",
        post_quantum=post_quantum,
    )
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("setup asks two questions and there is no terminal to ask them", hint="give --yes")
        ledger = click.prompt("Ledger folder", default=plan.ledger, err=True)
        if plan.stack is not None:
            plan = replace(plan, stack=click.prompt("Stack name", default=plan.stack, err=True))
        plan = replace(plan, ledger=ledger)
    made = setup.make(plan, world)
    if as_json:
        write_json(
            {
                "config": str(made.config_file),
                "ledger": str(made.ledger),
                "origin": made.origin,
                "genesis": made.genesis,
                "root_key": str(made.root_key),
            }
        )
        return 0
    click.echo(f"wrote {made.config_file}")
    click.echo(f"made the ledger {made.origin} in {made.ledger}")
    click.echo(f"its trust anchor is {made.genesis}; give it to your auditors")
    click.echo(f"keep {made.root_key} offline: it alone can accept or remove other keys")
    if made.gitignore:
        click.echo("added .tfaudit/ to .gitignore; commit tfaudit.toml")
    click.echo("next: tfaudit doctor, then tfaudit apply in place of terraform apply")
    return 0
