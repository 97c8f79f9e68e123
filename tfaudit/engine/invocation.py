"""What does one command line of the engine mean?

Pure: the environment comes in, nothing is run. ``TF_CLI_ARGS`` and ``TF_CLI_ARGS_<command>`` are expanded into the
arguments as the engine would. Options of ``plan``, ``apply`` and ``destroy`` are read strictly, because they must be
routed; those of other commands only as far as a record needs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from tfaudit.engine import commands, flags, words
from tfaudit.engine.flags import Flag

GUARD: Final = "-tfaudit-guard-no-engine-has-this-option"

# Options whose value is an address, a switch or a number; every other value may be a secret or a private path.
_RECORDED_VALUES: Final = flags.SWITCHES | {
    "deprecation",
    "exclude",
    "include",
    "invoke",
    "lock-timeout",
    "parallelism",
    "replace",
    "target",
}
# How many of a command's arguments are names to record: an import's second is the object's id, a push's is a path.
_NAMED_ARGUMENTS: Final = {
    "import": 1,
    "taint": 1,
    "untaint": 1,
    "state mv": 2,
    "state rm": None,
    "state replace-provider": 2,
    "state show": 1,
    "state list": None,
    "output": 1,
    "workspace new": 1,
    "workspace delete": 1,
    "workspace select": 1,
    "force-unlock": 1,
}


class Role(Enum):
    """What tfaudit does with a command."""

    PLAN = commands.PLAN
    APPLY = commands.APPLY
    """``apply`` and ``destroy``."""
    OPERATION = commands.OPERATION
    """Another audited command, run as typed."""
    INIT = commands.INIT
    READ = commands.READ
    PASS = commands.PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why the engine is expected to refuse the command line itself."""

    reason: str
    probe: tuple[str, ...] | None
    """A command line that is refused in any case, by GUARD if by nothing before it; None if the typed one surely is."""
    expand: bool = False
    """Whether the engine is to expand TF_CLI_ARGS itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One command line of the engine, understood."""

    typed: tuple[str, ...]
    """The arguments as they were typed, without the program's name."""
    chdir: str | None
    """The directory of ``-chdir``, or None."""
    spelled: str
    """The subcommand as spelled."""
    command: str
    """The subcommand under its main name: ``env new`` is ``workspace new``."""
    role: Role
    flags: tuple[Flag, ...]
    """Options after the subcommand, ``TF_CLI_ARGS*`` included."""
    positionals: tuple[str, ...]
    """Arguments that are no options."""
    refusal: Refusal | None = None
    silence: bool = False
    """Whether ``TF_CLI_CONFIG_FILE`` names no file: every engine process warns of it, one warning is enough."""

    @property
    def globals(self) -> tuple[str, ...]:
        """The options before the subcommand, for any call in the same directory."""
        return () if self.chdir is None else (f"-chdir={self.chdir}",)

    def given(self, name: str) -> bool:
        """Whether the option ``name`` is there."""
        return any(flag.name == name for flag in self.flags)

    def value(self, name: str) -> str | None:
        """Return the last value of an option, as Go's flag package does, or None."""
        return next((flag.value for flag in reversed(self.flags) if flag.name == name), None)

    def values(self, name: str) -> tuple[str, ...]:
        """Return every value of an option that may be repeated."""
        return tuple(flag.value or "" for flag in self.flags if flag.name == name)

    def switch(self, name: str, *, default: bool) -> bool:
        """Return what the switch ``name`` says."""
        return flags.is_true(self.value(name)) if self.given(name) else default

    @property
    def auto_approve(self) -> bool:
        """Whether no approval is asked for."""
        return self.switch("auto-approve", default=False)

    @property
    def json(self) -> bool:
        """Whether the user wants the machine-readable stream."""
        return self.switch("json", default=False)

    @property
    def input(self) -> bool:
        """Whether the engine may ask for variables (it asks for approval all the same)."""
        return self.switch("input", default=True) and not self.json

    @property
    def no_color(self) -> bool:
        """Whether colours are off by option."""
        return self.given("no-color")

    @property
    def detailed_exitcode(self) -> bool:
        """Whether a plan with changes ends with 2."""
        return self.switch("detailed-exitcode", default=False)

    @property
    def destroy(self) -> bool:
        """Whether everything is to be destroyed."""
        return self.command == "destroy" or self.switch("destroy", default=False)

    @property
    def refresh_only(self) -> bool:
        """Whether only the state is to be brought up to date."""
        return self.switch("refresh-only", default=False)

    @property
    def lock(self) -> bool:
        """Whether the state is locked."""
        return self.switch("lock", default=True)

    @property
    def out(self) -> str | None:
        """The user's own plan file to write, relative to the engine's directory, or None."""
        return self.value("out") or None

    @property
    def plan_file(self) -> str | None:
        """The saved plan to apply, relative to the engine's directory, or None."""
        return self.positionals[0] if self.role is Role.APPLY and self.positionals else None

    @property
    def targets(self) -> tuple[str, ...]:
        """The addresses of ``-target``."""
        return self.values("target")

    @property
    def replaces(self) -> tuple[str, ...]:
        """The addresses of ``-replace``."""
        return self.values("replace")

    @property
    def variables(self) -> tuple[str, ...]:
        """The names given by ``-var``."""
        return tuple(value.partition("=")[0].strip() for value in self.values("var"))

    def options(self) -> tuple[str, ...]:
        """Return the options for the record: values only of addresses, switches and numbers, names of variables."""
        return tuple(_recorded(flag) for flag in self.flags)

    def arguments(self) -> tuple[str, ...]:
        """Return the arguments for the record: addresses, providers, workspaces, lock ids; never an object's id."""
        return self.positionals[: _NAMED_ARGUMENTS.get(self.command, 0)]


def _recorded(flag: Flag) -> str:
    if flag.name == "var":
        return f"-var={(flag.value or '').partition('=')[0].strip()}"
    return flag.word() if flag.name in _RECORDED_VALUES else f"-{flag.name}"


def parse(
    args: Sequence[str], environ: Mapping[str, str], *, exists: Callable[[str], bool] = os.path.exists
) -> Invocation:
    """Return what the engine command line ``args`` (without a program name) means; never raises.

    ``exists`` says whether the file of ``TF_CLI_CONFIG_FILE`` is there. A line that the engine will refuse, or that we
    can't read, has a ``refusal``.
    """
    typed = tuple(args)
    chdir, rest = commands.split_chdir(list(args))
    refusal = None
    try:
        expanded = commands.expand(rest, environ)
    except words.WordsError as error:
        expanded = rest
        refusal = _unsplittable(typed, str(error))
    spelled, after = commands.subcommand(expanded)
    command = commands.canonical(spelled)
    arguments = tuple(expanded[after:])
    helps = bool(environ.get("COMP_LINE")) or commands.asks_for_help(expanded)
    role = Role.PASS if helps else Role(commands.role(command, arguments))
    whole = role in (Role.PLAN, Role.APPLY)
    parsed = flags.parse(arguments) if whole else flags.skim(arguments)
    config_file = environ.get("TF_CLI_CONFIG_FILE")
    invocation = Invocation(
        typed=typed,
        chdir=chdir,
        spelled=spelled,
        command=command,
        role=role,
        flags=parsed.flags,
        positionals=parsed.positionals,
        refusal=refusal,
        silence=bool(config_file) and not exists(config_file or ""),
    )
    if whole and refusal is None:
        return _checked(invocation, expanded, parsed)
    return invocation


def _unsplittable(typed: tuple[str, ...], reason: str) -> Refusal:
    """The engine reports the variable before anything else; should it be able to split it, it meets the guard."""
    _, after = commands.subcommand(typed)
    guarded = (*typed[:after], GUARD, *typed[after:])
    return Refusal(reason=f"TF_CLI_ARGS: {reason}", probe=guarded, expand=True)


def _checked(invocation: Invocation, expanded: list[str], parsed: flags.Parsed) -> Invocation:
    """Return the invocation with a refusal if the engine won't take it."""
    _, after = commands.subcommand(expanded)
    if parsed.unread is not None:
        # Two guards: an option of an arity that we don't know may swallow one as its value.
        good = [flag.word() for flag in parsed.flags]
        probe = (*invocation.globals, *expanded[:after], *good, parsed.unread, GUARD, GUARD)
        return replace(invocation, refusal=Refusal(reason=parsed.reason, probe=None if parsed.certain else probe))
    reason = _impossible(invocation, expanded[0].startswith("-"))
    return replace(invocation, refusal=Refusal(reason=reason, probe=None)) if reason else invocation


def _impossible(invocation: Invocation, options_first: bool) -> str:
    """Return why every engine since 0.15 refuses this combination, or ""."""
    if options_first:
        return "options stand before the subcommand"
    if len(invocation.positionals) > (1 if invocation.role is Role.APPLY else 0):
        return "there are too many arguments"
    if invocation.command == "destroy":
        if invocation.positionals:
            return "destroy takes no plan file"
        if invocation.switch("destroy", default=False) or invocation.refresh_only:
            return "destroy takes no plan mode"
    if invocation.role is Role.APPLY and invocation.json and not (invocation.auto_approve or invocation.positionals):
        return "-json needs a plan file or -auto-approve"
    return ""
