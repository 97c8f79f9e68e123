"""Which lines are to be tried again, of all that are dead letters of a sink?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tfaudit.sinks import deadletters

if TYPE_CHECKING:
    from tfaudit.sinks.deadletters import DeadLetter
    from tfaudit.sinks.documents import Documents, Line
    from tfaudit.sinks.shelf import Shelf


def lines(shelf: Shelf, documents: Documents) -> Iterator[Line]:
    """Return the lines that dead letters are about, in log order; errors as :meth:`Documents.start`."""
    for letter in deadletters.every(shelf):
        if letter.rest:
            _spread(shelf, documents, letter)
    return documents.only(letter.place for letter in deadletters.every(shelf))


def _spread(shelf: Shelf, documents: Documents, letter: DeadLetter) -> None:
    """Make one dead letter a line of a record that can be read again."""
    found = [line.place for line in documents.rest(letter.place) if line.id is not None and line.problem is None]
    record_id = letter.id.partition("/")[0]
    if not found or found[0] != letter.place:
        return
    for place in found[1:]:
        deadletters.put(shelf, replace(letter, id=f"{record_id}/{place.line}", place=place, rest=False))
    # A crash before this leaves the letter about them all: they are spread once more.
    deadletters.put(shelf, replace(letter, rest=False))
