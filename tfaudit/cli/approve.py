"""``tfaudit approve``: a person's signed word that a plan may be applied, or that a break-glass run was right."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

import click

from tfaudit.cli.looking import Looked, looking
from tfaudit.cli.main import Options
from tfaudit.cli.output import printable, say, style, write_json
from tfaudit.cli.place import this_config, this_world
from tfaudit.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from datetime import timedelta
    from typing import TextIO

    from tfaudit.gate.document import Word
    from tfaudit.gate.model import VoteKind
    from tfaudit.runs.ballot import Ballot
    from tfaudit.runs.voting import Cast

NOT_SIGNED: Final = 1
"""The exit code of who was asked and did not say yes."""
_DONE: Final = {
    "approval": "approved",
    "rejection": "rejected",
    "break-glass": "signed to break the glass",
    "review": "reviewed",
}


class Given(TypedDict):
    """The options that approving and rejecting have in common."""

    key: str | None
    principal: str | None
    reason: str | None
    expires: str | None
    out: str | None
    yes: bool
    as_json: bool


def signing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what approving and rejecting have in common."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print what was signed as one JSON object."),
        click.option("--yes", is_flag=True, help="Sign without asking; without a terminal it is needed."),
        click.option("--out", metavar="FILE", help="Write the signed word there, and not into the ledger."),
        click.option("--expires", metavar="TIME", help="How long it is valid, as in 2h; else as the gate has it."),
        click.option("--reason", metavar="TEXT", help="Why; it is signed with the rest."),
        click.option("--as", "principal", metavar="NAME", help="As whom, where the key is listed for several."),
        click.option(
            "--key",
            metavar="KEY",
            help="An OpenSSH key or its .pub file (then the agent signs), a PEM file, awskms:… or ssh:SHA256:…; "
            "without it git's SSH signing key, else ~/.ssh/id_ed25519.",
        ),
    ):
        command = option(command)
    return command


@click.command("approve")
@click.argument("what", metavar="PLANFILE|RUN")
@signing_options
@click.option("--break-glass", is_flag=True, help="Let it go past approvals and freezes; another person reviews it.")
@click.option("--review", is_flag=True, help="Review a run that broke the glass.")
@click.pass_obj
def command(options: Options, /, what: str, break_glass: bool, review: bool, **given: Unpack[Given]) -> int:
    """Approve a plan, with your own key, after it is shown what the plan does.

    PLANFILE is what plan -out wrote, RUN the id of the run that planned (tfaudit log lists them), or the start of one.
    Asked on a terminal, only yes signs; any other answer ends with exit code 1 and nothing signed.
    """
    if break_glass and review:
        raise UsageError("--break-glass and --review exclude each other")
    kind: VoteKind = "break-glass" if break_glass else "review" if review else "approval"
    return vote(options, what, kind, given)


def vote(options: Options, what: str, kind: VoteKind, given: Given) -> int:
    """Show, ask, sign, and put the word where it belongs; return the exit code."""
    from tfaudit.runs import ballot

    if not sys.stdin.isatty() and not given["yes"]:
        raise UsageError("there is no terminal to ask at", hint="--yes signs without asking")
    world = this_world()
    target = None if given["out"] is None else world.cwd / given["out"]
    if target is not None and os.path.lexists(target):
        raise UsageError(f"{target} is there already", hint="name another file")
    config, lasts = this_config(options, world), _duration(given["expires"])
    with looking(options, Looked()) as view:
        prepared = ballot.prepare(
            config, world, view, what, kind, key=given["key"], principal=given["principal"], lasts=lasts
        )
        _show(prepared, as_json=given["as_json"])
        if not given["yes"] and not _agrees(prepared):
            say("nothing was signed")
            return NOT_SIGNED
        word, envelope = ballot.sign(prepared, world, given["reason"] or options.reason)
        cast = None
        if target is not None:
            ballot.write(envelope, target)
        else:
            cast = ballot.cast(config, world, view, envelope, prepared)
    _tell(prepared, word, envelope, cast, target, as_json=given["as_json"])
    return 0


def _duration(text: str | None) -> timedelta | None:
    from tfaudit.config import durations

    if text is None:
        return None
    try:
        return durations.parse(text, what="--expires")
    except ConfigError as error:
        raise UsageError(error.message, hint=error.hint) from error


def _show(prepared: Ballot, *, as_json: bool) -> None:
    """Write the text that the signature covers; JSON keeps stdout to itself."""
    stream = sys.stderr if as_json or not sys.stdout.isatty() else sys.stdout
    for line in prepared.asked.text.splitlines():
        stream.write(_coloured(line, stream) + "\n")
    stream.write("\n")
    stream.flush()
    for warning in prepared.warnings:
        say(f"warning: {warning}")


def _coloured(line: str, stream: TextIO) -> str:
    mark = line[2:5] if line.startswith("  ") else ""
    if mark.startswith(("- ", "-/+", "? ")):
        return style(line, "red", stream=stream)
    if mark.startswith("+ "):
        return style(line, "green", stream=stream)
    return style(line, "yellow", stream=stream) if mark.startswith("~ ") else line


def _agrees(prepared: Ballot) -> bool:
    who = printable(prepared.approver)
    sys.stderr.write(f"Type yes to sign as {who} with the key {prepared.key.key.fingerprint}: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == "yes"


def _tell(
    prepared: Ballot, word: Word, envelope: bytes, cast: Cast | None, target: Path | None, *, as_json: bool
) -> None:
    from tfaudit.gate import document

    subject, until = word.subject, document.time_text(word.expires)
    receipt = cast.receipt if cast is not None else None
    if as_json:
        write_json(
            {
                "vote": document.open_envelope(envelope).id,
                "kind": word.kind,
                "approver": word.approver,
                "key": prepared.key.key.fingerprint,
                "plan_record": subject.plan_record,
                "run_id": prepared.asked.run_id,
                "stack": subject.stack,
                "change_digest": subject.change_digest,
                "plan_digest": subject.plan_sha256,
                "shown": word.shown,
                "made": document.time_text(word.made),
                "expires": until,
                "warnings": list(prepared.warnings),
                "record_id": receipt.record_id if receipt else None,
                "position": receipt.position if receipt else None,
                "size": receipt.size if receipt else None,
                "root": receipt.root if receipt else None,
                "carried": cast.carried if cast else None,
                "file": str(target) if target else None,
            }
        )
        return
    where = f"in {printable(str(target))}" if receipt is None else f"as record {receipt.record_id}"
    waits = "" if receipt is None or receipt.position is not None else ", which waits for a commit"
    validity = "" if word.kind == "review" else f", valid until {until}"
    click.echo(f"{_DONE[word.kind]} as {printable(word.approver)}{validity}, {where}{waits}")
