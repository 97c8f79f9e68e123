"""tfaudit's own verbs, by click: each reads its options, calls what does the work, and renders what comes back."""

from __future__ import annotations

import importlib
from typing import Any, Final

import click

from tfaudit import __version__
from tfaudit.cli.main import Options
from tfaudit.errors import UsageError

_MODULES: Final = {
    "approve": "tfaudit.cli.approve",
    "config": "tfaudit.cli.config",
    "deliver": "tfaudit.cli.deliver",
    "demo": "tfaudit.cli.demo",
    "doctor": "tfaudit.cli.doctor",
    "export": "tfaudit.cli.export",
    "gate": "tfaudit.cli.gate",
    "history": "tfaudit.cli.history",
    "inspect": "tfaudit.cli.inspect",
    "keys": "tfaudit.cli.keys",
    "log": "tfaudit.cli.log",
    "migrate": "tfaudit.cli.migrate",
    "policy": "tfaudit.cli.policy",
    "prove": "tfaudit.cli.prove",
    "recover": "tfaudit.cli.recover",
    "reject": "tfaudit.cli.reject",
    "retain": "tfaudit.cli.retain",
    "sequence": "tfaudit.cli.sequence",
    "setup": "tfaudit.cli.setup",
    "verify": "tfaudit.cli.verify",
    "verify-proof": "tfaudit.cli.verify_proof",
    "whoami": "tfaudit.cli.whoami",
}


class _Verbs(click.Group):
    """Imports a verb's module only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        command = getattr(importlib.import_module(_MODULES[cmd_name]), "command")  # noqa: B009 - a name from a table
        return command if isinstance(command, click.Command) else None


@click.group(
    cls=_Verbs,
    name="tfaudit",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every other command is the engine's own: plan, apply, destroy and whatever else changes state run under "
    "audit, the rest is passed through untouched.",
)
@click.option("--config", metavar="FILE", help="The configuration, in place of the nearest tfaudit.toml.")
@click.option("--ledger", metavar="URL", help="The ledger: a folder or s3://BUCKET/PREFIX (or TFAUDIT_LEDGER).")
@click.option("--working", metavar="URL", help="The working store with the disclosures (or TFAUDIT_WORKING).")
@click.option("--reason", metavar="TEXT", help="Why the run is made; recorded with it (or TFAUDIT_REASON).")
@click.option("--ticket", metavar="ID", help="The ticket it belongs to; recorded as claimed (or TFAUDIT_TICKET).")
@click.option("--approval", metavar="FILE", multiple=True, help="An approval from outside the ledger; may be repeated.")
@click.option("--evidence", metavar="FILE", multiple=True, help="Another tool's findings (SARIF); may be repeated.")
@click.option("--break-glass", is_flag=True, help="Apply on an on-call person's word, to be reviewed later.")
@click.option("--seal", is_flag=True, help="Encrypt the plan file that plan -out writes.")
@click.option("--sealed", is_flag=True, help="The plan file to apply is encrypted.")
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr where each record lies.")
@click.version_option(__version__, message="tfaudit %(version)s")
def group(**_options: object) -> None:
    """Run Terraform or OpenTofu so that every change leaves a signed record that anyone can verify.

    tfaudit [OPTIONS] plan|apply|destroy|… in place of terraform: same output, same exit codes, and a record in the
    ledger before anything changes.
    """


def run_verb(argv: list[str], options: Options) -> int:
    """Run one of tfaudit's own verbs; a usage error is 64, never click's 2."""
    try:
        result: Any = group.main(args=argv or ["--help"], prog_name="tfaudit", standalone_mode=False, obj=options)
    except click.exceptions.Abort:
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return UsageError.exit_code
    except click.UsageError as error:
        hint = f"{error.ctx.command_path} --help" if error.ctx else "tfaudit --help"
        raise UsageError(error.format_message().rstrip("."), hint=hint) from error
    except click.ClickException as error:
        raise UsageError(error.format_message()) from error
    return result if isinstance(result, int) else 0
