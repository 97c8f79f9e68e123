"""What the reading verbs share: the view of the configured ledger, their filters, their JSON lines."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tfaudit.cli.output import printable, say
from tfaudit.cli.place import this_config, this_world
from tfaudit.errors import LedgerError, UsageError, VerificationError

if TYPE_CHECKING:
    from tfaudit.cli.main import Options
    from tfaudit.export.view import Filter, View

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Looked:
    """What was found amiss while looking; the exit code tells of it at the end."""

    def __init__(self) -> None:
        self._problems: set[str] = set()

    def problem(self, text: str) -> None:
        """Say it, once."""
        if text not in self._problems:
            self._problems.add(text)
            say(text)

    @property
    def exit_code(self) -> int:
        """0, or that of a failed verification."""
        return VerificationError.exit_code if self._problems else 0


@contextmanager
def looking(options: Options, looked: Looked) -> Iterator[View]:
    """Give the view of the ledger that is configured or named; no key is needed."""
    import sqlite3

    import msgspec

    from tfaudit.export.indexfile import forget
    from tfaudit.export.view import View
    from tfaudit.ledger.ids import milliseconds
    from tfaudit.runs.ledgers import evidence_of, index_folder, working_of, working_store

    world = this_world()
    config = this_config(options, world)
    folder = index_folder(config, world.environ)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that can't show a letter gets its number.
        sys.stdout.reconfigure(errors="backslashreplace")
    view = View.open(
        evidence=evidence_of(config),
        working=working_of(config),
        # Path.is_dir would raise where the folders above are closed to us.
        spool=working_store(str(config.spool)) if os.path.isdir(config.spool) else None,  # noqa: PTH112
        genesis_digest=config.genesis,
        folder=folder,
        time=milliseconds(world.clock()),
        on_problem=looked.problem,
        on_catch_up=_tell_of_reading,
    )
    try:
        with view:
            yield view
    except (sqlite3.DatabaseError, msgspec.DecodeError) as error:
        if folder is not None:
            forget(folder)
        raise LedgerError("the index of the ledger was damaged; it is removed", hint="try again") from error


def _tell_of_reading(commits: int) -> None:
    if sys.stderr.isatty():
        say(f"reading {commits:,} commits; the next time this is quick")


def period_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--from`` and ``--to``."""
    date = "a date or time in UTC, or 7d for seven days ago"
    command = click.option("--to", "end", metavar="TIME", help=f"Up to and with {date}.")(command)
    return click.option("--from", "start", metavar="TIME", help=f"From {date}.")(command)


def stack_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--stack``."""
    return click.option("--stack", metavar="PATTERN", help="Only of the stacks that match, as in '*/network'.")(command)


def chosen(
    *, stack: str | None = None, start: str | None = None, end: str | None = None, kinds: tuple[str, ...] = ()
) -> Filter:
    """Return the filter that the options ask for; :class:`UsageError` for what is no date."""
    from tfaudit.export import dates
    from tfaudit.export.view import Filter
    from tfaudit.ledger.ids import milliseconds

    now = this_world().clock()
    first = milliseconds(dates.start(start, now=now)) if start else None
    last = milliseconds(dates.end(end, now=now)) if end else None
    if first is not None and last is not None and first >= last:
        raise UsageError(f"--from {start} is not before --to {end}")
    return Filter(stack=stack, start=first, end=last, kinds=kinds)


def write_line(document: Mapping[str, Any]) -> None:
    """Write one JSON document, which may hold values as the engine spelled them, as one line to stdout."""
    sys.stdout.buffer.write(json_line(document))


def json_line(document: Mapping[str, Any]) -> bytes:
    """Return the document's JSON and a newline; whatever could steer a terminal stands in it escaped."""
    from tfaudit.events.native import encode

    text = encode(document)
    if not text.isascii() or b"\x7f" in text:
        text = printable(text.decode("utf-8", "replace")).encode()
    return text + b"\n"
