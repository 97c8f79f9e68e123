"""``tfaudit keys``: which keys the ledger accepts, and how they are replaced, added and removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import click

from tfaudit.cli.main import Options
from tfaudit.cli.output import say, table, write_json
from tfaudit.cli.place import this_config, this_world

if TYPE_CHECKING:
    from tfaudit.ledger.receipt import Receipt


@click.group("keys")
def command() -> None:
    """List the keys that the ledger accepts; replace, add or remove one; make one for sealed plans."""


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
                    "stacks": list(key.stacks),
                    "vkey": key.vkey,
                }
            )
        return 0
    rows = [(key.role, key.algorithm, key.keyid, key.vkey or ", ".join(key.writers + key.stacks)) for key in found]
    click.echo(table(rows, header=("ROLE", "ALGORITHM", "KEY ID", "WRITERS, STACKS / VERIFIER KEY")))
    return 0


def _changing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of what changes keys."""
    command = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")(command)
    return click.option(
        "--root-key",
        metavar="URI",
        default="file:.tfaudit/keys/root.pem",
        show_default=True,
        help="The root key; it alone can change the keys.",
    )(command)


@command.command("rotate")
@click.argument("role", type=click.Choice(["record", "log", "root"]))
@click.option("--to", metavar="URI", help="The new key, as [signer] will name it; without it a key file is made anew.")
@_changing
@click.pass_obj
def rotate(
    options: Options, role: Literal["record", "log", "root"], to: str | None, root_key: str, as_json: bool
) -> int:
    """Replace this configuration's record or log key by a new one, in force from its place in the log.

    Or the root key: what the old one signed stays valid, and from there on only the new one can change anything.
    """
    from tfaudit.runs import keyring

    world = this_world()
    receipt = keyring.rotate(this_config(options, world), world, role, root_key, to=to)
    _tell(receipt, f"the {role} key is replaced", as_json, role=role)
    if to is not None and role == "root":
        say(f"from here on --root-key is {to}")
    elif to is not None:
        say(f'set {role} = "{to}" under [signer] in tfaudit.toml: the old key is no longer accepted')
    return 0


@command.command("add")
@click.argument("key", metavar="PUBLICKEY")
@click.option("--writers", metavar="NAME", multiple=True, help="A prefix under which it writes; may be repeated.")
@click.option("--stacks", metavar="PATTERN", multiple=True, help="Limit it to stacks that match; may be repeated.")
@_changing
@click.pass_obj
def add(
    options: Options, key: str, writers: tuple[str, ...], stacks: tuple[str, ...], root_key: str, as_json: bool
) -> int:
    """Let another key sign records, such as a CI system's, from here on in the log.

    PUBLICKEY is a PEM or OpenSSH .pub file, base64 of the key's DER, or a signer's URI (awskms:…, ssh:…). In a PATTERN,
    as in 'github.com/acme/*', the * stands for any characters.
    """
    from tfaudit.runs import keyring

    world = this_world()
    public = keyring.read_public(key, base=world.cwd)
    names = [name for given in writers for name in given.split(",")]
    config = this_config(options, world)
    receipt = keyring.add(config, world, public, writers=names, stacks=stacks, root_key=root_key)
    _tell(receipt, f"the key {public.keyid} may sign records", as_json, keyid=public.keyid)
    return 0


@command.command("remove")
@click.argument("keyid", metavar="KEYID")
@_changing
@click.pass_obj
def remove(options: Options, keyid: str, root_key: str, as_json: bool) -> int:
    """Accept no more records of a key, from here on in the log; what it signed before stays valid.

    KEYID is a record key's id, or its first digits, at least eight.
    """
    from tfaudit.runs import keyring

    world = this_world()
    receipt, removed = keyring.remove(this_config(options, world), world, keyid.lower(), root_key=root_key)
    _tell(receipt, f"the key {removed} may sign no more records", as_json, keyid=removed)
    return 0


@command.command("seal")
@click.option(
    "--out",
    metavar="FILE",
    default=".tfaudit/keys/seal.key",
    show_default=True,
    help="Where the private key goes, mode 0600; an age identity file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def seal(out: str, as_json: bool) -> int:
    """Make a key for sealed plans (--seal plan, --sealed apply) and print its public half.

    It signs nothing and the ledger knows nothing of it. The jobs that plan get the public half as TFAUDIT_SEAL_TO, the
    apply job alone the file, named by TFAUDIT_SEAL_KEY.
    """
    from tfaudit.runs import sealing

    path = this_world().cwd / out
    recipient = sealing.new_identity(path)
    if as_json:
        write_json({"recipient": recipient, "file": str(path)})
    else:
        click.echo(recipient)
        say(f"the private key is in {path}; whoever has it can open every plan sealed for it")
    return 0


def _tell(receipt: Receipt, text: str, as_json: bool, **members: str) -> None:
    if as_json:
        write_json({**members, "record_id": receipt.record_id, "size": receipt.size, "root": receipt.root})
    else:
        click.echo(f"{text}, as record {receipt.record_id} says; size {receipt.size}")
