"""Which of tfaudit's two faces is asked for: a command of the engine to run under audit, or a verb of its own?"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfaudit.cli.output import say
from tfaudit.errors import ConfigError, InternalError, LedgerError, TfauditError, UsageError

if TYPE_CHECKING:
    from tfaudit.engine.argv import Invocation
    from tfaudit.plan.source import SourceScan
    from tfaudit.runs.run import Run

VERBS: Final = frozenset(
    {
        "approve",
        "config",
        "deliver",
        "demo",
        "doctor",
        "export",
        "gate",
        "history",
        "inspect",
        "keys",
        "log",
        "migrate",
        "policy",
        "prove",
        "recover",
        "reject",
        "retain",
        "sequence",
        "setup",
        "verify",
        "verify-proof",
        "whoami",
    }
)
_VALUES: Final = ("config", "ledger", "working", "reason", "ticket")
_LISTS: Final = ("approval", "evidence")
"""Options that may be given again."""
_SWITCHES: Final = {
    "-v": "verbose",
    "--verbose": "verbose",
    "--break-glass": "break_glass",
    "--seal": "seal",
    "--sealed": "sealed",
}


@dataclass(slots=True)
class Options:
    """tfaudit's own options, from the command line or ``TFAUDIT_*``."""

    config: str | None = None
    ledger: str | None = None
    working: str | None = None
    reason: str | None = None
    ticket: str | None = None
    approval: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    break_glass: bool = False
    seal: bool = False
    sealed: bool = False
    verbose: bool = False


def main(argv: Sequence[str], *, shim: str | None) -> int:
    """Run one command line (without the program's name) and return its exit code.

    ``shim`` is the engine's name that tfaudit was called by, or None. This is the one place that turns an unforeseen
    exception into a message: exit code 70, no traceback unless ``TFAUDIT_DEBUG`` is set.
    """
    try:
        code = _dispatch(list(argv), shim)
        sys.stdout.flush()  # here a full disk can still be told
    except TfauditError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; Python must not complain when it flushes at exit.
        _drop_output()
        return 128 + signal.SIGPIPE
    except OSError as error:
        if os.environ.get("TFAUDIT_DEBUG"):
            raise
        _drop_output()
        say(f"reading or writing failed: {os.strerror(error.errno) if error.errno else type(error).__name__}")
        return LedgerError.exit_code
    except Exception as error:
        if os.environ.get("TFAUDIT_DEBUG"):
            raise
        # The text of a foreign exception may hold a value: only its kind is said.
        say(f"internal error: {type(error).__name__} (set TFAUDIT_DEBUG=1 for the traceback, and report it)")
        return InternalError.exit_code
    else:
        return code


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(argv: list[str], shim: str | None) -> int:
    options, rest = (Options(), argv) if shim else split_options(argv)
    _complete(options, os.environ)
    if not shim and (not rest or rest[0] in VERBS or rest[0] in ("--help", "-h", "--version")):
        from tfaudit.cli.verbs import run_verb

        return run_verb(rest, options)
    if not shim and rest[0].startswith("--"):
        raise UsageError(f"unknown option {rest[0]}", hint="tfaudit --help lists the options")
    return _run_engine_command(rest, options, shim)


def split_options(argv: Sequence[str]) -> tuple[Options, list[str]]:
    """Return tfaudit's own options, which stand before the command, and what follows them.

    Raises :class:`UsageError` for an option without its value.
    """
    options = Options()
    position = 0
    while position < len(argv):
        name, equals, value = argv[position].partition("=")
        word = name.removeprefix("--")
        if name in _SWITCHES and not equals:
            setattr(options, _SWITCHES[name], True)
        elif word in (*_VALUES, *_LISTS) and name.startswith("--"):
            if not equals:
                position += 1
                if position >= len(argv):
                    raise UsageError(f"{name} needs a value")
                value = argv[position]
            setattr(options, word, value if word in _VALUES else (*getattr(options, word), value))
        else:
            break
        position += 1
    return options, list(argv[position:])


def _complete(options: Options, environ: os._Environ[str]) -> None:
    options.reason = options.reason or environ.get("TFAUDIT_REASON") or None
    options.ticket = options.ticket or environ.get("TFAUDIT_TICKET") or None
    for word in _LISTS:
        named = environ.get(f"TFAUDIT_{word.upper()}")
        if named and not getattr(options, word):
            setattr(options, word, tuple(named.split(os.pathsep)))
    for word in _SWITCHES.values():
        setattr(options, word, getattr(options, word) or _is_on(f"TFAUDIT_{word.upper()}", environ))


def _is_on(name: str, environ: Mapping[str, str]) -> bool:
    """Return whether a switch is on in the environment; one that is misspelt must not leave a plan in clear."""
    text = environ.get(name, "").lower()
    if text not in ("", "0", "false", "1", "true"):
        raise ConfigError(f'{name} is "{text}"', hint="it is true or false")
    return text in ("1", "true")


def _run_engine_command(rest: list[str], options: Options, shim: str | None) -> int:
    """Run an engine's command under audit, or step aside where a closer look shows that it needs none."""
    # A run makes much that stays and little garbage: the collector would mostly look at modules.
    gc.set_threshold(50_000)
    from tfaudit.engine import argv, find, handover
    from tfaudit.runs.pipeline import execute

    run = engine_run(rest, options, shim)
    invocation = run.invocation
    if invocation.role is argv.Role.PASS or (invocation.role is argv.Role.INIT and not _changes_backend(run)):
        handover.become(rest, run.world.environ, name=shim, own=find.own_path())
    return execute(run)


def _changes_backend(run: Run) -> bool:
    from tfaudit.engine.backend import init_changes_backend

    return init_changes_backend(run.invocation, run.workdir)


def _scan(invocation: Invocation, root: Path, data_dir: Path, environ: Mapping[str, str]) -> SourceScan:
    """Return the scan of the configuration's places that a plan or an apply begins once the engine runs."""
    from tfaudit.engine import argv, brand
    from tfaudit.plan.source import SourceScan

    if invocation.role not in (argv.Role.PLAN, argv.Role.APPLY):
        return SourceScan(None)
    cache = brand.default_cache(environ)
    return SourceScan(root, data_dir=data_dir, cache=cache.with_name("sources") if cache else None)


def engine_run(rest: Sequence[str], options: Options, shim: str | None) -> Run:
    """Return the run of an engine's command line in this place, with nothing done yet."""
    from tfaudit import config
    from tfaudit.cli.place import this_world
    from tfaudit.engine import argv, brand, find
    from tfaudit.engine.workdir import Workdir
    from tfaudit.runs.run import Run, new_run_id

    world = this_world()
    invocation = argv.parse(rest, world.environ)
    workdir = Workdir.of(invocation, world.environ, world.cwd)
    command = find.command(world.environ, name=shim, own=find.own_path())
    return Run(
        run_id=new_run_id(world),
        world=world,
        config=config.load(
            cwd=world.cwd,
            environ=world.environ,
            folder=workdir.root,
            config_file=options.config,
            ledger=options.ledger,
            working=options.working,
        ),
        invocation=invocation,
        workdir=workdir,
        scan=_scan(invocation, workdir.root, workdir.data, world.environ),
        engine=brand.identify(command, world.environ, cache=brand.default_cache(world.environ)),
        started=world.clock(),
        reason=options.reason,
        ticket=options.ticket,
        approvals=options.approval,
        evidence=options.evidence,
        break_glass=options.break_glass,
        seal=options.seal,
        sealed=options.sealed,
        verbose=options.verbose,
    )
