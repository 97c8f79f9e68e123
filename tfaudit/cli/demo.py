"""``tfaudit demo``: the whole story in a temporary folder, in under a minute."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from shlex import quote

import click

from tfaudit.cli.output import style


@click.command("demo")
@click.option("--folder", type=click.Path(path_type=Path), help="Play it here (an empty folder) and not in a new one.")
@click.option("--s3", "in_s3", is_flag=True, help="With the ledger in an S3 of this machine's own, by moto.")
def command(folder: Path | None, in_s3: bool) -> int:
    """Show what tfaudit does, on a real engine: two changes, their history, and a forged record that verify finds.

    Touches nothing outside the folder, which is kept so that you can look around.
    """
    from tfaudit.errors import InputError
    from tfaudit.runs import demo, demo_s3

    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="tfaudit-demo-"))
    else:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(f"{folder} is not empty", hint="name an empty or a new folder")
    teller = demo.Teller(
        say=lambda text: _flushed(f"\n{style(text, 'bold')}"), show=lambda line: _flushed(style(f"$ {line}", "cyan"))
    )
    tell = demo_s3.tell if in_s3 else demo.tell
    tell(folder.resolve(), dict(os.environ), teller)
    click.echo(f"Remove it with: rm -r {quote(str(folder))}")
    return 0


def _flushed(line: str) -> None:
    """Write a line before what the next command writes to the same place."""
    click.echo(line)
    sys.stdout.flush()
