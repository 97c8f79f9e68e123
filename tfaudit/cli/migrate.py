"""``tfaudit migrate``: a ledger moves to another store, history and proofs intact."""

from __future__ import annotations

import click

from tfaudit.cli.main import Options
from tfaudit.cli.output import printable, write_json
from tfaudit.cli.place import this_config, this_world
from tfaudit.errors import VerificationError


@click.command("migrate")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--from-working", metavar="URL", help="Where its disclosures are; default: the configured working store.")
@click.option("--to-working", metavar="URL", help="Where they go; without it they stay where they are.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_obj
def command(
    options: Options, source: str, target: str, from_working: str | None, to_working: str | None, as_json: bool
) -> int:
    """Copy the ledger in FROM, a folder or s3:// URL, to TO, byte for byte, and verify it there.

    Stop its writers first. FROM stays as it is. TO must be empty, or hold the start of such a copy: one that was cut
    off goes on where it was. Afterwards set ledger = "TO" in tfaudit.toml; genesis and keys stay the same.
    """
    from tfaudit.ledger.ids import milliseconds
    from tfaudit.runs import bucketing, migration
    from tfaudit.runs.ledgers import evidence_store, working_store

    world = this_world()
    config = this_config(options, world)
    evidence = evidence_store(target, s3=config.s3, retention=config.retention)
    working = working_store(to_working, s3=config.s3) if to_working else None
    bucketing.must_fit(evidence, working)
    moved = migration.migrate(
        evidence_store(source, s3=config.s3),
        evidence,
        source_working=working_store(from_working or config.working, s3=config.s3),
        target_working=working,
        now=milliseconds(world.clock()),
        step=world.step,
    )
    report = moved.report
    if bucketing.locks_nothing(evidence, config.retention):
        world.say(f"nothing locks what was copied: {bucketing.LOCK_IT}, and run `tfaudit retain extend`")
    if as_json:
        counts = {"copied": moved.copied, "there": moved.there, "disclosures": moved.disclosures}
        write_json({**counts, "genesis": moved.genesis.digest, "report": report.to_json()})
    else:
        click.echo(
            f"{moved.genesis.origin}: {moved.copied} objects copied to {target}, {moved.there} were there, "
            f"{moved.disclosures} disclosure files copied; size {report.size} root {report.root}"
        )
        for finding in report.findings:
            click.echo(f"{finding.severity} {finding.code} at {finding.where}: {printable(finding.message)}")
        named = f'ledger = "{target}"' + (f', working = "{to_working}"' if to_working else "")
        click.echo(f"now set {named} in tfaudit.toml, and let nobody write to {source} any more")
    return 0 if report.ok else VerificationError.exit_code
