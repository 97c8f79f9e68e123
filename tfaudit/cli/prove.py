"""``tfaudit prove``: one event with its proof, in a file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

import click

from tfaudit.cli.main import Options
from tfaudit.cli.output import say
from tfaudit.cli.place import this_config, this_world

RECORD = "record:"
"""Before a pointer: into the record's statement, in place of the event."""


@click.command("prove")
@click.argument("event_id", metavar="EVENT_ID")
@click.option("-o", "--output", "output", metavar="FILE", required=True, help="The file to write.")
@click.option(
    "--reveal",
    "reveal",
    metavar="POINTER",
    multiple=True,
    help="Reveal the event's value at this JSON pointer, or with record:/actor the record's; may be repeated.",
)
@click.option("--force", is_flag=True, help="Take the place of a file that is there already.")
@click.pass_obj
def command(options: Options, event_id: str, output: str, reveal: tuple[str, ...], force: bool) -> int:
    """Write the proof that one event is in the ledger, with no value but those revealed.

    EVENT_ID is a record's id, a slash and the event's number, as history and export show it; with the number 0 the
    record's own statement is proven. The file proves by itself, offline: tfaudit verify-proof FILE.
    """
    from tfaudit.export import proof, proofmaking
    from tfaudit.export.whole import whole_file
    from tfaudit.runs.ledgers import evidence_of, open_reader, working_of

    config = this_config(options, this_world())
    reader = open_reader(config)
    made = proofmaking.make(
        event_id,
        evidence=evidence_of(config),
        working=working_of(config),
        reader=reader,
        reveal=tuple(pointer for pointer in reveal if not pointer.startswith(RECORD)),
        reveal_record=tuple(pointer.removeprefix(RECORD) for pointer in reveal if pointer.startswith(RECORD)),
    )
    with whole_file(Path(output), force=force) as stream:
        stream.write(proof.encode(made))
    say(f"{output} proves {made.event_id} in {reader.origin}, size {reader.state.size} root {reader.state.root.hex()}")
    return 0
