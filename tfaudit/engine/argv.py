"""Which command lines stand for one invocation: what was typed, and the engine calls that tfaudit makes of it.

Pure: the environment comes in, nothing is run. A bare ``apply`` becomes ``plan -out``, ``show -json``, ``apply
PLANFILE`` and ``state pull``; ``TF_CLI_ARGS`` and ``TF_CLI_ARGS_<command>`` are expanded into the arguments as the
engine would and taken out of the environment, so that they don't reach the wrong one of these calls.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from tfaudit.engine import commands, flags, words
from tfaudit.engine.flags import Flag

GUARD: Final = "-tfaudit-guard-no-engine-has-this-option"

# What a saved plan doesn't hold and `apply PLANFILE` takes: the rest is in the plan, and the engine refuses it there.
_AT_APPLY: Final = frozenset(
    (
        "backup",
        "compact-warnings",
        "concise",
        "consolidate-errors",
        "consolidate-warnings",
        "deprecation",
        "input",
        "lock",
        "lock-timeout",
        "no-color",
        "parallelism",
        "show-sensitive",
        "state",
        "state-out",
        "suppress-forget-errors",
    )
)
_NOT_AT_PLAN: Final = frozenset(("auto-approve", "suppress-forget-errors", "json-into"))
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
        probe = (*_global(invocation), *expanded[:after], *good, parsed.unread, GUARD, GUARD)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One engine process to start."""

    args: tuple[str, ...]
    """Its arguments, without the words that start the engine."""
    env: Mapping[str, str]
    """Its whole environment."""


def typed_call(invocation: Invocation, environ: Mapping[str, str]) -> Call:
    """Return the command exactly as it was typed."""
    return Call(args=invocation.typed, env=dict(environ))


def probe_call(invocation: Invocation, environ: Mapping[str, str]) -> Call | None:
    """Return the call that finds out whether the engine refuses a command line that we can't read; None if it must.

    It can't change anything. If what it prints holds GUARD, the engine can read the line and we must not let it run:
    that is a usage error. Otherwise the engine refuses the typed line, and running that shows its own words.
    """
    refusal = invocation.refusal
    if refusal is None or refusal.probe is None:
        return None
    return Call(args=refusal.probe, env=dict(environ) if refusal.expand else _inner(environ))


def plan_call(invocation: Invocation, environ: Mapping[str, str], *, out: str) -> Call:
    """Return the plan, the user's own or the one inside an apply; it writes ``out`` unless the user gave -out."""
    own = invocation.out
    options = [flag.word() for flag in invocation.flags if flag.name not in _NOT_AT_PLAN or _is_plan(invocation)]
    mode = ["-destroy"] if invocation.command == "destroy" else []
    file = [] if own else [f"-out={out}"]
    env = _inner(environ)
    if not own:
        # Else the engine ends with advice on how to apply a file that the user never asked for.
        env["TF_IN_AUTOMATION"] = "1"
    return Call(args=(*_global(invocation), "plan", *mode, *file, *options), env=env)


def show_call(invocation: Invocation, environ: Mapping[str, str], *, plan_file: str) -> Call:
    """Return ``show -json`` of a saved plan."""
    return Call(args=(*_global(invocation), "show", "-json", plan_file), env=_quiet(invocation, _unlogged(environ)))


def state_pull_call(invocation: Invocation, environ: Mapping[str, str]) -> Call:
    """Return ``state pull``: the state with its lineage and serial on stdout, nothing when there is none."""
    return Call(args=(*_global(invocation), "state", "pull"), env=_quiet(invocation, _unlogged(environ)))


def apply_call(
    invocation: Invocation,
    environ: Mapping[str, str],
    *,
    plan_file: str,
    json: bool,
    json_into: str | None = None,
    ephemeral: Collection[str] = (),
) -> Call:
    """Return the apply of a saved plan, by its stream with ``json``.

    ``ephemeral`` names the variables that must be given again (:mod:`tfaudit.engine.variables`): older engines refuse
    every variable beside a plan file, newer ones all but these. A variable file is given whole: its other values are
    those of the plan.
    """
    env = _inner(environ)
    if invocation.plan_file:
        kept = [flag for flag in invocation.flags if flag.name not in ("json", "json-into")]
    else:
        kept = [flag for flag in invocation.flags if flag.name in _AT_APPLY or _is_ephemeral(flag, ephemeral)]
        env = _quiet(invocation, env)
    stream = ["-json"] if json else []
    into = [f"-json-into={json_into}"] if json_into else []
    options = [flag.word() for flag in kept]
    return Call(args=(*_global(invocation), "apply", *stream, *into, *options, plan_file), env=env)


def help_filter(invocation: Invocation) -> Callable[[bytes], bytes] | None:
    """Return what puts the typed command's name into the help hint of the plan inside an apply, or None for a plan."""
    if _is_plan(invocation):
        return None
    right = f" {invocation.spelled} -help\n".encode()
    return lambda line: line.replace(b" plan -help\n", right) if line.endswith(b" plan -help\n") else line


def _is_plan(invocation: Invocation) -> bool:
    return invocation.role is Role.PLAN


def _is_ephemeral(flag: Flag, ephemeral: Collection[str]) -> bool:
    if flag.name == "var":
        return (flag.value or "").partition("=")[0].strip() in ephemeral
    return flag.name == "var-file" and bool(ephemeral)


def _global(invocation: Invocation) -> tuple[str, ...]:
    return () if invocation.chdir is None else (f"-chdir={invocation.chdir}",)


def _inner(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith("TF_CLI_ARGS")}


def _unlogged(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in _inner(environ).items() if not name.startswith("TF_LOG")}


def _quiet(invocation: Invocation, env: dict[str, str]) -> dict[str, str]:
    """An empty file in place of the missing one: unsetting the variable would bring in ``~/.terraformrc``."""
    return {**env, "TF_CLI_CONFIG_FILE": os.devnull} if invocation.silence else env
