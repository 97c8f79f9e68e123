"""``tfaudit setup``: make a ledger, its keys and tfaudit.toml."""

from __future__ import annotations

import sys
from dataclasses import replace

import click

from tfaudit.cli.main import Options
from tfaudit.cli.output import write_json
from tfaudit.cli.place import this_world
from tfaudit.config import MAX_DAYS, PROFILE_DAYS, Retention, S3Settings, retention_rule
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
@click.option("--ledger", metavar="URL", help="The ledger: a folder, or s3://BUCKET/PREFIX.")
@click.option("--working", metavar="URL", help="The working store: a folder, or s3://BUCKET/PREFIX without retention.")
@click.option("--create-bucket", is_flag=True, help="Make the buckets, the ledger's with Object Lock.")
@click.option("--endpoint-url", metavar="URL", help="The S3 endpoint, where it is not AWS.")
@click.option("--region", metavar="NAME", help="The buckets' region; default: as AWS is configured.")
@click.option("--profile", metavar="NAME", help="The AWS profile; default: as AWS is configured.")
@click.option("--kms-key-id", metavar="ID", help="The KMS key that objects are encrypted with.")
@click.option(
    "--retention",
    metavar="RULE",
    help=f"How long each object is locked: {', '.join(PROFILE_DAYS)} or a number of days; default: as the bucket says.",
)
@click.option(
    "--retention-mode", type=click.Choice(["GOVERNANCE", "COMPLIANCE"]), help="The lock; default: GOVERNANCE."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was made as one JSON object.")
@click.pass_obj
def command(
    options: Options,
    yes: bool,
    stack: str | None,
    origin: str | None,
    algorithm: str,
    post_quantum: bool,
    ledger: str | None,
    working: str | None,
    create_bucket: bool,
    endpoint_url: str | None,
    region: str | None,
    profile: str | None,
    kms_key_id: str | None,
    retention: str | None,
    retention_mode: str | None,
    as_json: bool,
) -> int:
    """Make a ledger, its keys and tfaudit.toml in this folder.

    The ledger lies in .tfaudit/ledger unless --ledger names another folder, or a bucket that has Object Lock.
    """
    from tfaudit.runs import bucketing, setup
    from tfaudit.runs.ledgers import evidence_store

    world = this_world()
    plan = setup.propose(world.cwd, world, ledger=ledger or options.ledger, working=working or options.working)
    plan = replace(
        plan,
        stack=stack or plan.stack,
        origin=origin or plan.origin,
        algorithm="ecdsa-p256" if algorithm == "ecdsa-p256" else "ed25519",
        post_quantum=post_quantum,
        s3=S3Settings(endpoint_url=endpoint_url, region=region, profile=profile, kms_key_id=kms_key_id),
        retention=_rule(retention, retention_mode),
        create_buckets=create_bucket,
    )
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("setup asks two questions and there is no terminal to ask them", hint="give --yes")
        ledger = click.prompt("Ledger", default=plan.ledger, err=True)
        if plan.stack is not None:
            plan = replace(plan, stack=click.prompt("Stack name", default=plan.stack, err=True))
        plan = replace(plan, ledger=ledger)
    made = setup.make(plan, world)
    if as_json:
        write_json(
            {
                "config": str(made.config_file),
                "ledger": made.ledger,
                "origin": made.origin,
                "genesis": made.genesis,
                "root_key": str(made.root_key),
            }
        )
        return 0
    store = evidence_store(made.ledger, s3=bucketing.effective(plan.s3, world.environ))
    click.echo(f"wrote {made.config_file}")
    click.echo(f"made the ledger {made.origin} in {made.ledger}")
    click.echo(f"its trust anchor is {made.genesis}; give it to your auditors")
    click.echo(f"keep {made.root_key} offline: it alone can accept or remove other keys")
    if made.gitignore:
        click.echo("added .tfaudit/ to .gitignore; commit tfaudit.toml")
    if bucketing.locks_nothing(store, plan.retention):
        click.echo(f"nothing but genesis is locked: {bucketing.LOCK_IT}")
    click.echo("next: tfaudit doctor, then tfaudit apply in place of terraform apply")
    return 0


def _rule(text: str | None, mode: str | None) -> Retention | None:
    """Return the retention of ``--retention``, a profile's name or a number of days."""
    days = int(text) if text is not None and text.isdecimal() and len(text) < 9 else None
    if days is not None and not 0 < days <= MAX_DAYS:
        raise UsageError(f"--retention {days} is not a number of days from 1 to {MAX_DAYS}")
    return retention_rule(text if days is None else None, days, mode, where="the command line")
