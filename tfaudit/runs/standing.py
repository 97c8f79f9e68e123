"""How far is each sink behind the log, and what will it never take?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from tfaudit.ledger import ids
from tfaudit.runs.delivering import chosen
from tfaudit.runs.ledgers import evidence_of, open_reader, store_clock, working_of
from tfaudit.sinks import cursor, deadletters, lease
from tfaudit.sinks.documents import behind
from tfaudit.sinks.shelf import Shelf

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.config.delivering import SinkSettings
    from tfaudit.ledger.reader import Reader
    from tfaudit.runs.run import World
    from tfaudit.sinks.deadletters import DeadLetter

SHOWN: Final = 20
"""Dead letters of a sink that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of one sink without asking it."""

    name: str
    url: str
    position: int | None
    """The leaf index in the log at which delivery goes on; None where nothing was delivered yet."""
    line: int | None
    """The line of that record."""
    moved: int | None
    """When something was delivered last, milliseconds since the epoch."""
    left: int | None
    """Records that are to be delivered, at least in part; None where they are very many."""
    url_changed: bool
    """It has another URL than at its last delivery."""
    busy: int | None
    """Until when a job delivers to it; None where none does."""
    dead: int
    dead_letters: tuple[DeadLetter, ...]
    """The first of them."""


def standings(config: Config, world: World, *, only: str | None = None) -> tuple[Standing, ...]:
    """Return how it stands with all sinks, or with ``only`` one, in the order of configuration; nothing is written.

    Raises :class:`ConfigError` for an unknown sink or one that was delivered to from another ledger,
    :class:`LedgerError` and :class:`VerificationError` where the ledger or the working store can't be read.
    """
    wanted = chosen(config, only)
    return tuple(_standings(config, world, wanted)) if wanted else ()


def _standings(config: Config, world: World, wanted: tuple[SinkSettings, ...]) -> Iterator[Standing]:
    reader = open_reader(config)
    now = ids.milliseconds(store_clock(evidence_of(config), world.clock)())
    for settings in wanted:
        yield _standing(settings, Shelf(working_of(config), settings.name), reader, now)


def _standing(settings: SinkSettings, shelf: Shelf, reader: Reader, now: int) -> Standing:
    at = cursor.read(shelf, ledger=reader.genesis.digest)
    start = 0 if settings.start == "beginning" else reader.state.size
    until = lease.held(shelf)
    return Standing(
        name=settings.name,
        url=settings.url,
        position=at.next.position if at else None,
        line=at.next.line if at else None,
        moved=at.time if at else None,
        left=behind(reader, at.next.position if at else start),
        url_changed=at is not None and at.url != cursor.url_digest(settings.url),
        busy=until if until > now else None,
        dead=deadletters.count(shelf),
        dead_letters=tuple(islice(deadletters.every(shelf), SHOWN)),
    )
