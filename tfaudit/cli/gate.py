"""``tfaudit gate``: may this plan be applied, as far as the ledger can tell now?"""

from __future__ import annotations

import random
import sys
import time
from typing import TYPE_CHECKING, Final

import click

from tfaudit.cli.looking import Looked, looking
from tfaudit.cli.main import Options
from tfaudit.cli.output import printable, say, style, write_json
from tfaudit.cli.place import this_config, this_world
from tfaudit.errors import ConfigError, DeniedError, UsageError

if TYPE_CHECKING:
    from tfaudit.runs.gatecheck import Answer

_SHORTEST, _LONGEST = 2.0, 30.0
"""Seconds between two looks, the first and the last ones."""
_FORMATS: Final = ("text", "json", "markdown")


@click.command("gate")
@click.argument("what", metavar="PLANFILE|RUN")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON object, as --format json does.")
@click.option("--format", "form", type=click.Choice(_FORMATS), help="How to print it; markdown for a comment.")
@click.option("--wait", "wait", metavar="TIME", help="Wait so long, as in 30m, for what is missing.")
@click.pass_obj
def command(options: Options, what: str, as_json: bool, form: str | None, wait: str | None) -> int:
    """Say whether a plan may be applied now: exit code 0, or 77 with every reason why not.

    It needs no engine: what is decided on stands in the plan's record. The apply decides again.
    """
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} contradict each other")
    looked = Looked()
    answer = _waited(options, what, _seconds(wait), looked)
    for problem in answer.problems:
        say(printable(problem))
    match "json" if as_json else form or "text":
        case "json":
            write_json(answer.document())
        case "markdown":
            from tfaudit.export.gatecomment import markdown

            sys.stdout.write(markdown(answer.document(), answer.planned.record.predicate))
        case _:
            _write(answer)
    return looked.exit_code or (0 if answer.decision.allowed else DeniedError.exit_code)


def _seconds(wait: str | None) -> float:
    if wait is None:
        return 0.0
    from tfaudit.config import durations

    try:
        return durations.parse(wait, what="--wait").total_seconds()
    except ConfigError as error:
        raise UsageError(error.message, hint=error.hint) from error


def _waited(options: Options, what: str, seconds: float, looked: Looked) -> Answer:
    """Return the answer; where something is missing that may still come, look again until the time is over."""
    end = time.monotonic() + seconds
    pause = _SHORTEST
    said = False
    while True:
        answer = _asked(options, what, looked)
        left = end - time.monotonic()
        if not answer.waiting or left <= 0:
            return answer
        if not said:
            codes = ", ".join(dict.fromkeys(reason.code for reason in answer.decision.reasons))
            say(f"waiting for approval of plan {answer.planned.record.record_id} ({codes})")
            said = True
        # Not all jobs at once.
        time.sleep(min(left, pause * random.uniform(0.8, 1.2)))  # noqa: S311 - no secret
        pause = min(pause * 1.5, _LONGEST)


def _asked(options: Options, what: str, looked: Looked) -> Answer:
    from tfaudit.runs.gatecheck import check

    world = this_world()
    config = this_config(options, world)
    with looking(options, looked) as view:
        return check(view, config, world, what, approvals=options.approval, break_glass=options.break_glass)


def _write(answer: Answer) -> None:
    document, decision = answer.document(), answer.decision
    word = style("allowed", "green") if decision.allowed else style("denied", "red")
    sys.stdout.write(f"{word}: plan {document['plan_record']} of {printable(document['stack'])}\n")
    if decision.break_glass:
        sys.stdout.write(
            f"  {style('break-glass', 'yellow')}: to be reviewed by {document['break_glass']['review_by']}\n"
        )
    for reason in decision.reasons:
        sys.stdout.write(f"  {reason.code:<17} {printable(reason.message)}\n")
    for vote in document["approvals"]:
        by = f"{vote['approver']} with {vote['key']}" if vote["key"] else f"{vote['approver']} by {vote['source']}"
        sys.stdout.write(f"  {vote['kind']:<17} {printable(by)}, {vote['made']}, valid until {vote['expires']}\n")
    if not decision.allowed or decision.required:
        sys.stdout.write(f"  required {decision.required}, counted {decision.persons}\n")
