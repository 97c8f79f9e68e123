"""Which ledger does the configuration name, and with which keys is it written?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError
from tfaudit.identity.environment import writer_name

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.ledger.folder import FolderStore
    from tfaudit.ledger.log import Ledger
    from tfaudit.runs.run import World


def _folder(location: str, step: Callable[[str], None]) -> FolderStore:
    from tfaudit.ledger.folder import FolderStore

    return FolderStore(Path(location), step=step)


def _bucket(location: str, step: Callable[[str], None]) -> FolderStore:
    raise ConfigError(f"{location}: this version of tfaudit keeps ledgers in folders only", hint="name a folder")


_STORES: Final[dict[str, Callable[[str, Callable[[str], None]], FolderStore]]] = {"": _folder, "s3": _bucket}


def open_store(location: str, step: Callable[[str], None] = lambda _name: None) -> FolderStore:
    """Return the store at a folder's path or a URL; raises :class:`ConfigError` for a scheme that has none."""
    scheme = location.partition("://")[0] if "://" in location else ""
    return _STORES[scheme](location, step)


def evidence_location(config: Config) -> str:
    """Return where the evidence lies; raises :class:`ConfigError` when nothing is set up."""
    if config.ledger is None:
        raise ConfigError(f"no ledger is set up for {config.root}", hint="run tfaudit setup, or set TFAUDIT_LEDGER")
    return config.ledger


def open_ledger(config: Config, world: World) -> Ledger:
    """Return the configured ledger, ready to append to.

    Raises :class:`ConfigError` for a missing or foreign key or another ledger than the pinned one, and
    :class:`LedgerError` when the ledger can't be reached.
    """
    from tfaudit.ledger.log import Ledger
    from tfaudit.signing.signer import open_signer

    base = config.root
    return Ledger.open(
        evidence=open_store(evidence_location(config), world.step),
        working=open_store(config.working),
        spool=config.spool,
        signer=open_signer(config.signer_record, base=base),
        log_signer=open_signer(config.signer_log, base=base) if config.signer_log else None,
        second_log_signer=open_signer(config.signer_second, base=base) if config.signer_second else None,
        writer=config.writer or writer_name(world.environ),
        genesis_digest=config.genesis,
        clock=world.clock,
        entropy=world.entropy,
        step=world.step,
    )
