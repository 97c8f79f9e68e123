"""``tfaudit demo``: the whole story in a temporary folder, in under a minute."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from shlex import quote

import click

from tfaudit.cli.output import style, write_json


@click.command("demo")
@click.option("--folder", type=click.Path(path_type=Path), help="Play it here (an empty folder) and not in a new one.")
@click.option("--s3", "in_s3", is_flag=True, help="With the ledger in an S3 of this machine's own, by moto.")
@click.option("--json", "as_json", is_flag=True, help="Tell the story on stderr, and print what was run as JSON.")
def command(folder: Path | None, in_s3: bool, as_json: bool) -> int:
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
    screen = sys.stderr if as_json else sys.stdout
    steps: list[dict[str, object]] = []

    def write(line: str) -> None:
        # Before what the next command writes to the same place.
        click.echo(line, file=screen)
        screen.flush()

    teller = demo.Teller(
        say=lambda text: write(f"\n{style(text, 'bold', stream=screen)}"),
        show=lambda line: write(style(f"$ {line}", "cyan", stream=screen)),
        ran=lambda arguments, code: steps.append({"arguments": list(arguments), "exit_code": code}),
        screen=screen,
    )
    tell = demo_s3.tell if in_s3 else demo.tell
    tell(folder.resolve(), dict(os.environ), teller)
    write(f"Remove it with: rm -r {quote(str(folder))}")
    if as_json:
        write_json({"folder": str(folder.resolve()), "steps": steps})
    return 0
