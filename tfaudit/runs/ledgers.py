"""Which ledger does the configuration name, and with which keys is it written?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError
from tfaudit.runs.run import no_step

EVIDENCE_MODE: Final = 0o444
WORKING_MODE: Final = 0o600

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.ledger.folder import FolderStore
    from tfaudit.ledger.log import Ledger
    from tfaudit.ledger.reader import Reader
    from tfaudit.runs.run import World


def evidence_store(location: str, step: Callable[[str], None] = no_step) -> FolderStore:
    """Return the evidence store at a folder's path or a URL; :class:`ConfigError` for a scheme that has none."""
    return _STORES[_scheme(location)](location, step, EVIDENCE_MODE)


def working_store(location: str) -> FolderStore:
    """Return the working store, which holds values: only its owner may read it. Errors as :func:`evidence_store`."""
    return _STORES[_scheme(location)](location, no_step, WORKING_MODE)


def _scheme(location: str) -> str:
    return location.partition("://")[0] if "://" in location else ""


def _folder(location: str, step: Callable[[str], None], mode: int) -> FolderStore:
    from tfaudit.ledger.folder import FolderStore

    return FolderStore(Path(location), step=step, mode=mode)


def _bucket(location: str, step: Callable[[str], None], mode: int) -> FolderStore:
    raise ConfigError(f"{location}: this version of tfaudit keeps ledgers in folders only", hint="name a folder")


_STORES: Final[dict[str, Callable[[str, Callable[[str], None], int], FolderStore]]] = {"": _folder, "s3": _bucket}


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
    from tfaudit.identity.environment import writer_name
    from tfaudit.ledger.log import Ledger
    from tfaudit.signing.signer import open_signer

    base = config.root
    return Ledger.open(
        evidence=evidence_store(evidence_location(config), world.step),
        working=working_store(config.working),
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


def open_reader(config: Config) -> Reader:
    """Return a reader of the configured ledger; it needs no key. Errors as :func:`open_ledger`."""
    from tfaudit.ledger.reader import Reader

    return Reader.open(
        evidence=evidence_store(evidence_location(config)),
        working=working_store(config.working),
        genesis_digest=config.genesis,
    )
