"""``tfaudit export``: the change events of a time, for whoever samples or computes on them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, get_args

import click

from tfaudit.cli.looking import Looked, chosen, json_line, looking, period_options, stack_option
from tfaudit.cli.main import Options
from tfaudit.cli.output import counted, say, write_json
from tfaudit.errors import VerificationError

_STDOUT: Final = "-"

Form = Literal["jsonl", "csv", "ocsf", "ecs"]


@click.command("export")
@click.option("--format", "form", type=click.Choice(get_args(Form)), required=True, help="The format.")
@click.option("-o", "--output", "output", metavar="FILE", required=True, help="The file to write; - is stdout.")
@period_options
@stack_option
@click.option("--plans", is_flag=True, help="Also what was planned only.")
@click.option("--force", is_flag=True, help="Take the place of a file that is there already.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as one JSON object; not with -o -.")
@click.pass_obj
def command(
    options: Options,
    form: Form,
    output: str,
    start: str | None,
    end: str | None,
    stack: str | None,
    plans: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Write every recorded change of a time with what came of it.

    The file is there whole or not at all; what goes to stdout is whole if the exit code is 0. Nothing is left out:
    where a record is altered or missing, it stops with 76. jsonl is tfaudit's own schema, one change event a line; ocsf
    and ecs are the same events in those schemas.
    """
    from tfaudit.export import table
    from tfaudit.export.population import population

    if as_json and output == _STDOUT:
        raise click.UsageError("--json and -o - would both write to stdout")
    wanted = chosen(stack=stack, start=start, end=end)
    looked = Looked()
    encode = _encoder(form)
    with looking(options, looked) as view, _opened(output, force=force) as out:
        events = population(view, wanted, plans=plans)
        if form == "csv":
            out.write(table.header())
        number = 0
        for event in events:
            out.write(encode(event))
            number += 1
        if looked.exit_code:
            raise VerificationError("not all records can be read; nothing was exported", hint="run `tfaudit verify`")
        tree = view.reader.state
    if as_json:
        write_json(
            {
                "file": output,
                "format": form,
                "events": number,
                "origin": view.reader.origin,
                "size": tree.size,
                "root": tree.root.hex(),
            }
        )
        return 0
    say(
        f"exported {counted(number, 'change event')} of the ledger {view.reader.origin}, "
        f"size {tree.size} root {tree.root.hex()}"
    )
    return 0


def _encoder(form: Form) -> Callable[[Mapping[str, Any]], bytes]:
    if form == "csv":
        from tfaudit.export import table

        return table.row
    if form == "jsonl":
        return json_line
    from tfaudit.events import shapes

    return lambda event: json_line(shapes.shape(form, shapes.of_event(event)))


@contextmanager
def _opened(output: str, *, force: bool) -> Iterator[BinaryIO]:
    from tfaudit.export.whole import whole_file

    if output == _STDOUT:
        yield sys.stdout.buffer
        return
    with whole_file(Path(output), force=force) as stream:
        yield stream
