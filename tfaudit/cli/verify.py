"""``tfaudit verify``: prove that the ledger is whole, and say what is not."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfaudit.cli.main import Options
from tfaudit.cli.output import counted, printable, say, style, write_json
from tfaudit.cli.place import this_config, this_world
from tfaudit.errors import InputError, VerificationError

if TYPE_CHECKING:
    from tfaudit.ledger.verify.report import Report

MAX_CHECKPOINT_BYTES = 64 * 1024


@click.command("verify")
@click.option("--genesis", metavar="DIGEST", help="The trust anchor, sha256:…; default: the one in tfaudit.toml.")
@click.option("--checkpoint", metavar="FILE", help="A checkpoint kept from earlier: the log must have grown out of it.")
@click.option("--since", metavar="FILE", help="A checkpoint verified before: check only what came after it.")
@click.option("--without-disclosures", is_flag=True, help="Don't check values, for a reader who may not see them.")
@click.option("--processes", type=click.IntRange(1, 256), help="How many processes check records; default: all cores.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_obj
def command(
    options: Options,
    genesis: str | None,
    checkpoint: str | None,
    since: str | None,
    without_disclosures: bool,
    processes: int | None,
    as_json: bool,
) -> int:
    """Check every record, signature, hash and link of the ledger. Exit code 76 if anything is wrong.

    Needs no key and trusts nobody but the trust anchor. With --without-disclosures the working store is not read: the
    values are not checked, everything else is. --since takes the checkpoint of an earlier report and proves that the
    log has grown out of it.
    """
    from tfaudit.ledger import ids
    from tfaudit.ledger.verify import verify
    from tfaudit.runs.ledgers import evidence_of, store_clock, working_of

    world = this_world()
    config = this_config(options, world)
    kept, known = _checkpoint(checkpoint, "--checkpoint"), _checkpoint(since, "--since")
    evidence = evidence_of(config)
    report = verify(
        evidence,
        None if without_disclosures else working_of(config),
        now=ids.milliseconds(store_clock(evidence, world.clock)()),
        anchor=anchor_digest(genesis) or config.genesis,
        kept=kept,
        since=known,
        processes=processes,
    )
    if as_json:
        write_json(report.to_json())
    else:
        _show(report)
        if any(finding.code == "missing-disclosure" for finding in report.findings) and _is_no_folder(config.working):
            say(
                f"there is no working store {config.working}: name it by --working, "
                "or leave values out by --without-disclosures"
            )
    sys.stdout.flush()
    if config.alerts:
        from tfaudit.runs import alerting

        alerting.verified(config, world, report)
    return 0 if report.ok else VerificationError.exit_code


def _show(report: Report) -> None:
    """Print the report for people."""
    for finding in report.findings:
        colour = "red" if finding.severity == "error" else "yellow"
        where = f" at {finding.where}" if finding.where else ""
        click.echo(f"{style(finding.severity, colour)} {finding.code}{where}: {printable(finding.message)}")
    if report.omitted:
        click.echo(f"… and {report.omitted} more of these")
    events = (
        f"{counted(report.records, 'record')} with {counted(report.events, 'event')} "
        f"in {counted(report.commits, 'commit')}"
    )
    if report.ok:
        click.echo(f"{style('ok', 'green')}: {events}, {_head(report)}")
        if report.values is None:
            click.echo("values were not checked: --without-disclosures")
        if report.trust != "anchor":
            click.echo(
                "trust on first use: give --genesis, or pin genesis in tfaudit.toml, to check it is the right ledger"
            )
        if report.pending:
            waits = "waits" if report.pending == 1 else "wait"
            click.echo(f"{counted(report.pending, 'staged record')} {waits} for a commit")
    else:
        click.echo(f"{style('NOT ok', 'red')}: {events}; tfaudit verify --json has the details")


def _is_no_folder(working: str) -> bool:
    # Path.is_dir would raise where the folders above are closed to us.
    return "://" not in working and not os.path.isdir(working)  # noqa: PTH112


def _head(report: Report) -> str:
    return f"size {report.size}, root {report.root}" if report.size else "nothing is recorded yet"


def anchor_digest(text: str | None) -> str | None:
    """Return ``--genesis`` in its usual form; :class:`InputError` for what is no digest."""
    if text is None:
        return None
    digest = text.removeprefix("sha256:").lower()
    if len(digest) != 64 or any(character not in "0123456789abcdef" for character in digest):
        raise InputError(f"--genesis {text[:80]} is not a digest", hint='it is "sha256:" and 64 hexadecimal digits')
    return f"sha256:{digest}"


def _checkpoint(path: str | None, option: str) -> bytes | None:
    if path is None:
        return None
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_CHECKPOINT_BYTES + 1)
    except OSError as error:
        raise InputError(f"{option} {path} can't be read: {error.strerror}") from error
    if len(content) > MAX_CHECKPOINT_BYTES:
        raise InputError(f"{option} {path} is too large to be a checkpoint")
    return content
