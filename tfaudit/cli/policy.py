"""``tfaudit policy``: rules tried out on a plan."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tfaudit.cli.main import Options
from tfaudit.cli.output import printable, style, write_json
from tfaudit.cli.place import this_config, this_world
from tfaudit.errors import ConfigError, DeniedError

if TYPE_CHECKING:
    from tfaudit.policy.model import Evaluation, Finding
    from tfaudit.runs.policytest import Tried

_COLOURS = {"deny": "red", "require": "yellow", "warn": "cyan"}


@click.group("policy")
def command() -> None:
    """Try the policy's rules on a plan."""


@command.command("test")
@click.argument("plan", metavar="PLAN")
@click.option("--cel", metavar="FILE", help="Rules in CEL, in place of the configuration's.")
@click.option("--rego", metavar="PATH", help="Rules in Rego, in place of the configuration's.")
@click.option("--actor", metavar="NAME", help="Who applies it, for rules that ask; you, if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_obj
def test(options: Options, plan: str, cel: str | None, rego: str | None, actor: str | None, as_json: bool) -> int:
    """Show what the rules say of a plan file, or of the JSON of one.

    Nothing is recorded, and no approval is looked for. Exit code 77 where a rule denies, 78 where one can't be
    evaluated, 65 for what is no plan.
    """
    from tfaudit.identity.machine import operating_system_user
    from tfaudit.runs.policytest import try_rules

    world = this_world()
    principal = actor or operating_system_user().principal or "unknown"
    tried = try_rules(
        this_config(options, world),
        world,
        plan,
        principal=principal,
        cel=cel,
        rego=rego,
        evidence=tuple(options.evidence),
    )
    if as_json:
        write_json(tried.document())
    else:
        for one in tried.evaluations:
            _write(one)
    return _exit_code(tried)


def _exit_code(tried: Tried) -> int:
    if tried.broken:
        return ConfigError.exit_code
    return DeniedError.exit_code if tried.denied else 0


def _write(one: Evaluation) -> None:
    count = f"{one.rules} rule{'' if one.rules == 1 else 's'} evaluated"
    sys.stdout.write(f"{style(f'{one.engine} {one.version}'.strip(), 'bold')}: {count}\n")
    if one.error is not None:
        sys.stdout.write(f"  {style('error', 'red')}    {printable(one.error)}\n")
    elif one.rules < 1:
        sys.stdout.write(f"  {style('error', 'red')}    a policy that checks nothing has not passed\n")
    for finding in one.findings:
        word = style(f"{finding.severity:<8}", _COLOURS[finding.severity])
        sys.stdout.write(f"  {word} {printable(_said(finding))}\n")


def _said(finding: Finding) -> str:
    text = f"{finding.rule}: {finding.message}"
    if finding.address is not None and finding.address not in finding.message:
        text += f" ({finding.address})"
    if finding.severity == "require":
        of = f" of {', '.join(finding.groups)}" if finding.groups else ""
        text += f": {finding.approvals} approval{'' if finding.approvals == 1 else 's'}{of}"
    return text
