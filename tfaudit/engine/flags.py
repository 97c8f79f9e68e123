"""How the engines read the options of ``plan``, ``apply`` and ``destroy``: the grammar of Go's ``flag`` package.

``-name`` and ``--name`` are one; a value follows after ``=`` or, unless the option is a switch, as the next word; the
first word that is no option, or ``--``, ends them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

# Words that both engines take out wherever they stand, before any other parsing (internal/command/arguments/view.go).
VIEW_WORDS: Final = frozenset(
    (
        "-no-color",
        "-compact-warnings",
        "-concise",
        "-consolidate-warnings",
        "-consolidate-warnings=true",
        "-consolidate-warnings=false",
        "-consolidate-errors",
        "-consolidate-errors=true",
        "-consolidate-errors=false",
    )
)

# Terraform 0.15 to 1.17-dev and OpenTofu to 1.13-dev, whichever engine has it.
SWITCHES: Final = frozenset(
    (
        "allow-deferral",
        "auto-approve",
        "destroy",
        "detailed-exitcode",
        "input",
        "json",
        "light",
        "lock",
        "refresh",
        "refresh-only",
        "show-sensitive",
        "suppress-forget-errors",
    )
)
VALUED: Final = frozenset(
    (
        "backup",
        "deprecation",
        "exclude",
        "exclude-file",
        "generate-config-out",
        "include",
        "invoke",
        "json-into",
        "lock-timeout",
        "out",
        "parallelism",
        "policies",
        "replace",
        "state",
        "state-out",
        "target",
        "target-file",
        "var",
        "var-file",
    )
)
# Of the other audited commands: enough to tell an option's value from an argument.
OTHER_VALUED: Final = VALUED | {
    "backend-config",
    "backup-out",
    "cloud-run",
    "config",
    "filter",
    "from-module",
    "junit-xml",
    "lockfile",
    "plugin-dir",
    "provider",
    "run",
    "test-directory",
}

_TRUE: Final = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE: Final = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_INTEGER: Final = re.compile(r"[+-]?(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]*|[1-9][0-9_]*)")
_DURATION: Final = re.compile(r"[+-]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")


class Flag(NamedTuple):
    """One option as given: its name without dashes, its value or None where it stands alone."""

    name: str
    value: str | None

    def word(self) -> str:
        """Return the option as one word of a command line."""
        return f"-{self.name}" if self.value is None else f"-{self.name}={self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a list of arguments says, up to the first thing that can't be read."""

    flags: tuple[Flag, ...]
    """The options in order, the words of VIEW_WORDS first."""
    positionals: tuple[str, ...]
    """What follows the options."""
    unread: str | None = None
    """The word that can't be read, or None."""
    reason: str = ""
    """Why it can't."""
    certain: bool = False
    """Whether it is wrong for every engine, whichever options it has."""


def parse(words: tuple[str, ...]) -> Parsed:
    """Return the arguments of ``plan``, ``apply`` or ``destroy``; never raises."""
    flags = [Flag(*_named(word)) for word in words if word in VIEW_WORDS]
    queue = [word for word in words if word not in VIEW_WORDS]
    position = 0
    while position < len(queue):
        word = queue[position]
        if len(word) < 2 or not word.startswith("-"):
            break
        position += 1
        if word == "--":
            break
        name, value = _named(word)
        takes_next = name in VALUED and value is None
        if takes_next and position < len(queue):
            value = queue[position]
            position += 1
        ends = takes_next and value is None
        reason = f"option -{name} has no value" if ends else _wrong(name, value)
        if reason:
            return Parsed(flags=tuple(flags), positionals=(), unread=word, reason=reason, certain=ends)
        flags.append(Flag(name, value))
    return Parsed(flags=tuple(flags), positionals=tuple(queue[position:]))


def skim(words: tuple[str, ...]) -> Parsed:
    """Return the arguments of any other command as well as can be said without knowing all its options."""
    flags: list[Flag] = []
    position = 0
    while position < len(words):
        word = words[position]
        if len(word) < 2 or not word.startswith("-"):
            break
        position += 1
        if word == "--":
            break
        name, value = _named(word)
        if name in OTHER_VALUED and value is None and position < len(words):
            value = words[position]
            position += 1
        flags.append(Flag(name, value))
    return Parsed(flags=tuple(flags), positionals=tuple(words[position:]))


def _named(word: str) -> tuple[str, str | None]:
    name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
    return name, value if equals else None


def _wrong(name: str, value: str | None) -> str:
    """Return why the engine refuses this option, or "" when it doesn't."""
    if name in SWITCHES:
        return "" if value is None or value in _TRUE or value in _FALSE else f"option -{name} takes true or false"
    if name not in VALUED:
        return f"option -{name} is not known"
    text = value or ""
    if name == "parallelism" and not _INTEGER.fullmatch(text):
        return f"option -{name} takes a number"
    if name == "lock-timeout" and not _DURATION.fullmatch(text):
        return f"option -{name} takes a duration"
    return ""


def is_true(value: str | None) -> bool:
    """Return what a switch given with ``value`` (None: standing alone) means."""
    return value is None or value in _TRUE
