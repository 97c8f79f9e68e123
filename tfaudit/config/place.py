"""Is this value of the kind that belongs here? What is wrong is named by its place."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tfaudit.config.reading import check_members
from tfaudit.errors import ConfigError

MAX_ENTRIES: Final = 1_000
"""Of one list or table."""
MAX_NAME: Final = 300
"""Characters."""

_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class Place:
    """A table in a document."""

    path: str
    """Such as ``gate.rule``; empty for the document itself."""
    where: str
    """The document."""

    def under(self, key: str) -> Place:
        """Return the place of a table below this one."""
        return Place(f"{self.path}.{key}" if self.path else key, self.where)

    def of(self, key: str) -> str:
        """Return how an error names a key of this table."""
        return f"{self.under(key).path} in {self.where}"

    def table(self, value: object, known: Collection[str] | None) -> Mapping[str, object]:
        """Return a table whose keys are all ``known``, or, where that is None, usable names."""
        if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
            raise ConfigError(f"{self.path or 'the whole'} in {self.where} is not a table")
        if known is not None:
            check_members(value, known, f"{self.path}." if self.path else "", self.where)
        for key in value:
            self.name(key, "a key")
        return value

    def tables(self, value: object, known: Collection[str]) -> Iterator[Mapping[str, object]]:
        """Yield the tables of a list; none where it is None."""
        if value is None:
            return
        if not isinstance(value, list) or len(value) > MAX_ENTRIES:
            raise ConfigError(
                f"{self.path} in {self.where} is not a list of tables", hint=f"write [[{self.path}]] for each"
            )
        for one in value:
            yield self.table(one, known)

    def named(self, value: object, known: Collection[str]) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Yield (name, table) of a list of tables that have a name each, all different."""
        seen = set()
        for one in self.tables(value, known):
            name = self.name(one.get("name"), "name")
            if name in seen:
                raise ConfigError(f'{self.path} in {self.where} has two of the name "{name}"')
            seen.add(name)
            yield name, one

    def name(self, value: object, key: str) -> str:
        """Return a text of one line."""
        if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not value.isprintable() or value.isspace():
            raise ConfigError(f"{self.of(key)} is not a text of one line")
        return value

    def names(self, value: object, key: str) -> tuple[str, ...]:
        """Return a list of different texts of one line each."""
        if not isinstance(value, list) or len(value) > MAX_ENTRIES:
            raise ConfigError(f"{self.of(key)} is not a list of texts", hint='as in ["a", "b"]')
        found = tuple(self.name(one, key) for one in value)
        if len(set(found)) != len(found):
            raise ConfigError(f"{self.of(key)} has an entry twice")
        return found

    def count(self, value: object, key: str, *, least: int, most: int) -> int:
        """Return a number within its limits."""
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ConfigError(f"{self.of(key)} is not a number from {least} to {most}")
        return value

    def flag(self, value: object, key: str) -> bool:
        """Return true or false."""
        if not isinstance(value, bool):
            raise ConfigError(f"{self.of(key)} is not true or false")
        return value

    def moment(self, value: object, key: str) -> datetime:
        """Return an offset date-time, TOML's own or its RFC 3339 text, in UTC.

        A local time is refused: it is another moment on another machine.
        """
        found = value
        try:
            if isinstance(value, str) and _RFC_3339.fullmatch(value):
                found = datetime.fromisoformat(value)
            if isinstance(found, datetime) and found.tzinfo is not None:
                return found.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise ConfigError(f"{self.of(key)} is no date and time") from error
        raise ConfigError(
            f"{self.of(key)} is no date and time with an offset",
            hint="as in 2026-12-19T00:00:00Z, without quotes in TOML",
        )
