"""What one run is made of before anything is done: command, place, engine, clock, and the ways to reach people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.engine.argv import Invocation
    from tfaudit.engine.brand import Engine
    from tfaudit.engine.workdir import Workdir
    from tfaudit.plan.source import SourceScan


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything outside that a run reads: passed in, so that a test can be the world."""

    environ: Mapping[str, str]
    cwd: Path
    clock: Callable[[], datetime]
    """The present time, in UTC."""
    entropy: Callable[[int], bytes]
    """That many unpredictable bytes."""
    say: Callable[[str], None]
    """Shows one line of tfaudit's own to the user, on stderr."""
    step: Callable[[str], None]
    """Told the name of each step that is about to be taken; a test may end the process there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One invocation of an audited command."""

    run_id: str
    """UUIDv7, in every record of this invocation."""
    world: World
    config: Config
    invocation: Invocation
    workdir: Workdir
    scan: SourceScan
    """Reads where the configuration's blocks are written, for a plan or an apply."""
    engine: Engine
    started: datetime
    reason: str | None
    """What the user gave as ``--reason``."""
    ticket: str | None
    verbose: bool
    approvals: tuple[str, ...] = ()
    """Files with approvals that were not sent to the ledger."""
    evidence: tuple[str, ...] = ()
    """Files with other tools' findings about the plan."""
    break_glass: bool = False
    """The user asks to go past approvals and freezes, on an on-call person's word."""
    seal: bool = False
    """The plan file is to be handed over encrypted."""
    sealed: bool = False
    """The plan file to apply is encrypted."""


def no_step(_name: str) -> None:
    """Take no notice of a step."""


def new_run_id(world: World) -> str:
    """Return a fresh UUIDv7 of the present time."""
    from tfaudit.ledger import ids

    return ids.new_record_id(ids.milliseconds(world.clock()), world.entropy)
