"""Where does a verb work: the configuration in force, and the world around it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from tfaudit import config
from tfaudit.cli.main import Options
from tfaudit.cli.output import say
from tfaudit.runs.run import World, no_step


def this_world() -> World:
    """Return the world as it is."""
    return World(
        environ=dict(os.environ),
        cwd=Path.cwd(),
        clock=lambda: datetime.now(UTC),
        entropy=os.urandom,
        say=say,
        step=no_step,
    )


def this_config(options: Options, world: World) -> config.Config:
    """Return the configuration that the options, the environment and the nearest file give."""
    return config.load(
        cwd=world.cwd,
        environ=world.environ,
        config_file=options.config,
        ledger=options.ledger,
        working=options.working,
    )
