"""``tfaudit keys``: which keys the ledger accepts, and how one is replaced."""

from __future__ import annotations

from typing import Literal

import click

from tfaudit.cli.main import Options
from tfaudit.cli.output import table, write_json
from tfaudit.cli.place import this_config, this_world


@click.group("keys")
def command() -> None:
    """List the keys that the ledger accepts, or replace one."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a key.")
@click.pass_obj
def list_keys(options: Options, as_json: bool) -> int:
    """List the keys in force: the root key, the log's keys, and who may sign records."""
    from tfaudit.runs import keyring
    from tfaudit.runs.ledgers import open_reader

    world = this_world()
    found = keyring.in_force(open_reader(this_config(options, world)).state.keys)
    if as_json:
        for key in found:
            write_json(
                {
                    "role": key.role,
                    "keyid": key.keyid,
                    "algorithm": key.algorithm,
                    "writers": list(key.writers),
                    "vkey": key.vkey,
                }
            )
        return 0
    rows = [(key.role, key.algorithm, key.keyid, key.vkey or ", ".join(key.writers)) for key in found]
    click.echo(table(rows, header=("ROLE", "ALGORITHM", "KEY ID", "WRITERS / VERIFIER KEY")))
    return 0


@command.command("rotate")
@click.argument("role", type=click.Choice(["record", "log"]))
@click.option(
    "--root-key",
    metavar="URI",
    default="file:.tfaudit/keys/root.pem",
    show_default=True,
    help="The root key; it alone can change the keys.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_obj
def rotate(options: Options, role: Literal["record", "log"], root_key: str, as_json: bool) -> int:
    """Replace this configuration's record or log key by a new one, in force from its place in the log."""
    from tfaudit.runs import keyring

    world = this_world()
    receipt = keyring.rotate(this_config(options, world), world, role, root_key)
    if as_json:
        write_json({"role": role, "record_id": receipt.record_id, "size": receipt.size, "root": receipt.root})
    else:
        click.echo(f"the {role} key is replaced, as record {receipt.record_id} says; size {receipt.size}")
    return 0
