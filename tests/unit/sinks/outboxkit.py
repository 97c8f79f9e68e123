"""What the tests of the outbox share: lines as a log gives them, a sink that answers by a script, a pace of its own."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from tfaudit.ledger.folder import FolderStore
from tfaudit.sinks import cursor as cursor_
from tfaudit.sinks import deadletters, lease
from tfaudit.sinks.cursor import Cursor, Place
from tfaudit.sinks.documents import Line
from tfaudit.sinks.model import Accepted, Document, Encoded, Limits, Refused
from tfaudit.sinks.outbox import Outbox, Pace
from tfaudit.sinks.shelf import Shelf

LEDGER = "sha256:" + "a" * 64
BEGINNING = Place(0, 0)
URL = "webhook:http://127.0.0.1:1/"


def record_id(position):
    """Return the id of the record at a position."""
    return f"019ca8d7-2d01-7000-8000-{position:012x}"


def lines(*counts, start=BEGINNING):
    """Return the lines of records with so many event lines each, from a place on."""
    found = []
    for position, count in enumerate(counts):
        for line in range(count + 1):
            name = f"{record_id(position)}/{line}"
            document = Document(id=name, time=1_000 * position, kind="record", body={"id": name})
            found.append(Line(place=Place(position, line), next=Place(position, line + 1), id=name, document=document))
        found.append(Line(place=Place(position, count + 1), next=Place(position + 1, 0), id=None, document=None))
    return [line for line in found if line.place >= start]


def ids(*counts):
    """Return the ids of the documents that those lines give."""
    return [line.id for line in lines(*counts) if line.id]


@dataclass
class Scripted:
    """A sink: ``script(batch of ids)`` gives the answers; what it accepted is there in ``has``."""

    script: object = None
    limits: Limits = field(default_factory=lambda: Limits(documents=3, size=10_000))
    unfit: frozenset = frozenset()
    """Ids that can never be encoded."""
    note: str | None = None
    """What every document lacks."""
    asked: list = field(default_factory=list)
    has: list = field(default_factory=list)

    def encode(self, document):
        """Encode a document as its own id."""
        if document.id in self.unfit:
            return Refused(reason="too long")
        return Encoded(document.id, document.time, document.id.encode(), self.note)

    def send(self, batch):
        """Answer by the script."""
        names = [one.id for one in batch]
        self.asked.append(names)
        answers = self.script(names) if self.script else [Accepted() for _ in names]
        self.has += [name for name, answer in zip(names, answers, strict=False) if isinstance(answer, Accepted)]
        return answers

    def check(self):
        """Be there."""


class Clock:
    """A pace whose pauses take no time, with a budget of its own seconds."""

    def __init__(self, budget=1_000.0):
        self.time = 0.0
        self.budget = budget
        self.pauses = []

    def wait(self, seconds):
        """Let time go by."""
        self.pauses.append(seconds)
        self.time += seconds

    def pace(self):
        """Return the pace; each look at the clock takes a millisecond."""

        def seconds():
            self.time += 0.001
            return self.time

        return Pace(
            seconds=seconds,
            now=lambda: int(self.time * 1000),
            wait=self.wait,
            over=lambda: self.time >= self.budget,
            left=lambda: self.budget - self.time,
            chance=lambda: 0.5,
        )


class Bench:
    """One sink's part of a working store in a folder, and deliveries to it."""

    def __init__(self, folder, store=FolderStore):
        self.store = store(folder, mode=0o600)
        self.shelf = Shelf(self.store, "test")
        self._numbers = itertools.count()

    @property
    def place(self):
        """Where the cursor stands."""
        found = cursor_.read(self.shelf, ledger=LEDGER)
        return found.next if found else Place(0, 0)

    @property
    def dead(self):
        """The ids of the dead letters."""
        return [letter.id for letter in deadletters.every(self.shelf)]

    def receipts(self):
        """Return all that stands in the receipts, in order."""
        return [line for name in self.shelf.names("receipts/") for line in self.shelf.read(name)["accepted"]]

    def deliver(self, sink, *counts, clock=None):
        """Deliver from the cursor on, and return how that ended."""
        pace = (clock or Clock()).pace()
        held = lease.take(self.shelf, lambda: 10**12 * (next(self._numbers) + 1))
        start = Cursor(ledger=LEDGER, url=cursor_.url_digest(URL), next=self.place, time=0)
        outbox = Outbox(sink=sink, shelf=self.shelf, cursor=start, lease=held, pace=pace)
        self.outbox = outbox
        return outbox.deliver(iter(lines(*counts, start=start.next)))
