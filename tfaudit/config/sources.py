"""Who says what: one setting out of the machine's file, the command line, the environment and the repository's file.

The first source that has a setting decides, in this order; but what the machine's file says can't be overridden at all:
another value elsewhere is an error, not a choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, cast

from tfaudit.config.reading import TABLES, unknown
from tfaudit.errors import ConfigError

T = TypeVar("T")


class Source(Protocol):
    """One place where settings come from. A key is ``ledger`` or ``signer.record``."""

    base: Path
    """Where relative paths start."""

    def name(self, key: str) -> str:
        """Return how an error names the setting and its place."""
        ...

    def get(self, key: str, kind: type) -> object:
        """Return a text, number (int), flag (bool) or list as ``kind`` says, checked for its type; None where unset."""
        ...

    def speaks_of(self, table: str) -> bool:
        """Tell whether anything of a table is set here."""
        ...


class FileSource:
    """A parsed file, or the options of the command line; ``where`` is its name in errors."""

    def __init__(self, table: Mapping[str, object], where: str, base: Path) -> None:
        self.base = base
        self._table = table
        self.where = where

    def name(self, key: str) -> str:
        """Return ``key in place``."""
        return f"{key} in {self.where}"

    def member(self, key: str) -> object:
        """Return what stands at a key, of whatever type; None where nothing does."""
        table, dot, rest = key.partition(".")
        value = self._table.get(table)
        return cast(Mapping[str, object], value or {}).get(rest) if dot else value

    def get(self, key: str, kind: type) -> object:
        """Return the value; :class:`ConfigError` for one of another type."""
        value = self.member(key)
        if value is None:
            return None
        if kind is str and (not isinstance(value, str) or not value or "\n" in value or "\0" in value):
            raise ConfigError(f"{self.name(key)} is not a text", hint=f'write {key} = "..."')
        if kind is bool and not isinstance(value, bool):
            raise ConfigError(f"{self.name(key)} is not true or false")
        if kind is int and (isinstance(value, bool) or not isinstance(value, int)):
            raise ConfigError(f"{self.name(key)} is not a number")
        if kind is list:
            if not isinstance(value, list) or not all(isinstance(entry, str) and entry for entry in value):
                raise ConfigError(f"{self.name(key)} is not a list of texts", hint='as in ["a", "b"]')
            return tuple(value)
        return value

    def speaks_of(self, table: str) -> bool:
        """Tell whether the table is there, if empty."""
        return table in self._table


class Environment:
    """The variables ``TFAUDIT_…``; an empty one is unset. It has no lists."""

    def __init__(self, environ: Mapping[str, str], base: Path) -> None:
        self.base = base
        self._environ = environ

    def name(self, key: str) -> str:
        """Return the variable's name."""
        return f"TFAUDIT_{key.replace('.', '_').upper()}"

    def get(self, key: str, kind: type) -> object:
        """Return the value; :class:`ConfigError` for one that can't be read as ``kind``."""
        text = self._environ.get(self.name(key))
        if not text or kind is list:
            return None
        if kind is bool:
            if text.lower() not in ("1", "true", "0", "false"):
                raise ConfigError(f'{self.name(key)} is "{text}"', hint="it is true or false")
            return text.lower() in ("1", "true")
        if kind is int:
            if not re.fullmatch(r"[0-9]{1,9}", text):
                raise ConfigError(f"{self.name(key)} is not a number")
            return int(text)
        return text

    def speaks_of(self, table: str) -> bool:
        """Tell whether a variable of the table is set."""
        start = self.name(f"{table}.")
        return any(value and name.startswith(start) for name, value in self._environ.items())

    def check(self, table: str, known: Collection[str]) -> None:
        """Raise :class:`ConfigError` for a variable of the table that is none of the ``known`` ones."""
        start = self.name(f"{table}.")
        names = {self.name(f"{table}.{key}") for key in known}
        for name, value in self._environ.items():
            if value and name.startswith(start) and name not in names:
                raise unknown(name, names, "the environment")


class Sources:
    """All of them, the strongest first."""

    def __init__(self, machine: FileSource | None, others: Sequence[Source]) -> None:
        self.machine = machine
        self.others = tuple(others)

    def text(self, key: str, convert: Callable[[str, Source], str] = lambda text, _source: text) -> str | None:
        """Return a text, converted by what knows the place it comes from (where a relative path starts)."""

        def read(source: Source) -> str | None:
            text = source.get(key, str)
            return None if text is None else convert(cast(str, text), source)

        return self._choose(key, read)

    def flag(self, key: str) -> bool | None:
        """Return true or false, None where nobody says."""
        return self._choose(key, lambda source: cast("bool | None", source.get(key, bool)))

    def number(self, key: str, *, least: int = 1, most: int) -> int | None:
        """Return a number within its limits, None where nobody says."""
        return self._choose(key, lambda source: number(source, key, least=least, most=most))

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return a list of texts, None where nobody says."""
        return self._choose(key, lambda source: cast("tuple[str, ...] | None", source.get(key, list)))

    def place(self, key: str) -> str:
        """Return the name of the setting in the place that it is taken from, for an error about its value."""
        for source in self._all():
            if source.get(key, object) is not None:
                return source.name(key)
        return key

    def must_be_the_machines(self, key: str) -> None:
        """Raise :class:`ConfigError` where only another source than the machine's file has the setting."""
        if self.machine is not None and self.machine.get(key, object) is None:
            for source in self.others:
                if source.get(key, object) is not None:
                    raise overridden(source.name(key), self.machine.name(key))

    def speak_of(self, table: str) -> bool:
        """Tell whether anybody sets anything of a table."""
        return any(source.speaks_of(table) for source in self._all())

    def check(self, table: str) -> None:
        """Raise :class:`ConfigError` for a variable of the table that is none of its keys."""
        for source in self.others:
            if isinstance(source, Environment):
                source.check(table, TABLES[table])

    def _all(self) -> tuple[Source, ...]:
        return (self.machine, *self.others) if self.machine else self.others

    def _choose(self, key: str, read: Callable[[Source], T | None]) -> T | None:
        said = [(source, value) for source in self.others if (value := read(source)) is not None]
        fixed = read(self.machine) if self.machine else None
        if fixed is None or self.machine is None:
            return said[0][1] if said else None
        for source, value in said:
            if value != fixed:
                raise overridden(source.name(key), self.machine.name(key))
        return fixed


def number(source: Source, key: str, *, least: int = 1, most: int) -> int | None:
    """Return a source's number; :class:`ConfigError` beyond the limits."""
    try:
        value = cast("int | None", source.get(key, int))
    except ConfigError as error:
        raise ConfigError(f"{source.name(key)} is not a number from {least} to {most}") from error
    if value is not None and not least <= value <= most:
        raise ConfigError(f"{source.name(key)} is not a number from {least} to {most}")
    return value


def overridden(what: str, fixed: str) -> ConfigError:
    """Return the error for a setting that differs from the machine's own."""
    return ConfigError(
        f"{what} is another than {fixed}, which can't be overridden",
        hint="take it out, or ask whoever keeps this machine's configuration",
    )
