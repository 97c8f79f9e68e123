"""Which ledger does the configuration name, and with which keys is it written?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tfaudit.config import NO_S3_SETTINGS, Retention, S3Settings
from tfaudit.errors import ConfigError
from tfaudit.runs.run import no_step

EVIDENCE_MODE: Final = 0o444
WORKING_MODE: Final = 0o600
_S3: Final = "s3://"

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.ledger.ids import Clock
    from tfaudit.ledger.log import Ledger
    from tfaudit.ledger.reader import Reader
    from tfaudit.ledger.store import Store, Working
    from tfaudit.runs.run import World
    from tfaudit.signing.signer import Signer


def evidence_store(
    location: str,
    step: Callable[[str], None] = no_step,
    *,
    s3: S3Settings = NO_S3_SETTINGS,
    retention: Retention | None = None,
) -> Store:
    """Return the evidence store in a folder or at an ``s3://`` URL; :class:`ConfigError` for what names neither.

    In a bucket, objects are locked as ``retention`` says. Nothing is read or written yet.
    """
    if location.startswith(_S3):
        from tfaudit.ledger.s3 import Bucket
        from tfaudit.ledger.s3_evidence import EvidenceBucket

        return EvidenceBucket(Bucket(location, s3), retention)
    from tfaudit.ledger.folder import FolderStore

    return FolderStore(_folder(location), step=step, mode=EVIDENCE_MODE)


def working_store(location: str, *, s3: S3Settings = NO_S3_SETTINGS) -> Working:
    """Return the working store, which holds values: only its owner may read it. Errors as :func:`evidence_store`."""
    if location.startswith(_S3):
        from tfaudit.ledger.s3 import Bucket
        from tfaudit.ledger.s3_working import WorkingBucket

        return WorkingBucket(Bucket(location, s3))
    from tfaudit.ledger.folder import FolderStore

    return FolderStore(_folder(location), mode=WORKING_MODE)


def evidence_of(config: Config, step: Callable[[str], None] = no_step) -> Store:
    """Return the configured evidence store; :class:`ConfigError` where none is set up."""
    return evidence_store(evidence_location(config), step, s3=config.s3, retention=config.retention)


def working_of(config: Config) -> Working:
    """Return the configured working store."""
    return working_store(config.working, s3=config.s3)


def index_folder(config: Config, environ: Mapping[str, str]) -> Path | None:
    """Return the folder for the index of what was read: the working store's own, else one in this user's cache."""
    if not config.working.startswith(_S3):
        return _folder(config.working)
    from tfaudit.engine.brand import default_cache

    cache = default_cache(environ)
    name = hashlib.sha256(f"{config.ledger}\n{config.working}\n{config.genesis}".encode()).hexdigest()[:32]
    return cache.with_name("ledgers") / name if cache else None


def store_clock(evidence: Store, local: Clock) -> Clock:
    """Return the evidence store's own clock where it has one that tells more than this machine's."""
    from tfaudit.ledger.store import Timed

    return evidence.clock(local) if isinstance(evidence, Timed) else local


def _folder(location: str) -> Path:
    if "://" in location:
        raise ConfigError(f"{location} is no place for a ledger", hint="name a folder, or s3://bucket/prefix")
    return Path(location)


def evidence_location(config: Config) -> str:
    """Return where the evidence lies; raises :class:`ConfigError` when nothing is set up."""
    if config.ledger is None:
        raise ConfigError(f"no ledger is set up for {config.root}", hint="run tfaudit setup, or set TFAUDIT_LEDGER")
    return config.ledger


def is_far(config: Config) -> bool:
    """Whether the evidence is in a bucket, where each look takes a while."""
    return (config.ledger or "").startswith(_S3)


class Stores(NamedTuple):
    """Where a ledger's records lie, and what belongs to them."""

    evidence: Store
    working: Working


def open_stores(config: Config, step: Callable[[str], None] = no_step) -> Stores:
    """Return the configured stores; in buckets, what every process reads of them first has been read by then.

    A failure to read is not told: whoever uses the ledger meets it too. Raises :class:`ConfigError` where none is set
    up.
    """
    found = Stores(evidence_of(config, step), working_of(config))
    if config.working.startswith(_S3) and evidence_location(config).startswith(_S3):
        from tfaudit.ledger.s3_evidence import EvidenceBucket
        from tfaudit.ledger.s3_start import read_ahead
        from tfaudit.ledger.s3_working import WorkingBucket

        if isinstance(found.evidence, EvidenceBucket) and isinstance(found.working, WorkingBucket):
            read_ahead(found.evidence, found.working)
    return found


def open_ledger(
    config: Config,
    world: World,
    *,
    signer: Signer | None = None,
    stage_only: bool = False,
    stores: Stores | None = None,
) -> Ledger:
    """Return the configured ledger, ready to append to.

    ``signer`` signs records in place of the configured key; with ``stage_only`` nothing is committed. ``stores`` are
    its own where they are open already.

    Raises :class:`ConfigError` for a missing or foreign key or another ledger than the pinned one, and
    :class:`LedgerError` when the ledger can't be reached.
    """
    from tfaudit.identity.environment import writer_name
    from tfaudit.ledger.log import Ledger
    from tfaudit.signing.signer import open_signer

    base = config.root
    evidence = stores.evidence if stores else evidence_of(config, world.step)
    if evidence_location(config).startswith(_S3) and config.working == config.default_working:
        raise ConfigError(
            "the ledger is in a bucket, and no working store is named for the disclosures",
            hint='set working = "s3://another-bucket/prefix", or TFAUDIT_WORKING',
        )
    return Ledger.open(
        evidence=evidence,
        working=stores.working if stores else working_of(config),
        spool=config.spool,
        signer=signer or open_signer(config.signer_record, base=base),
        log_signer=open_signer(config.signer_log, base=base) if config.signer_log and not stage_only else None,
        second_log_signer=open_signer(config.signer_second, base=base)
        if config.signer_second and not stage_only
        else None,
        writer=config.writer or writer_name(world.environ),
        genesis_digest=config.genesis,
        clock=store_clock(evidence, world.clock),
        entropy=world.entropy,
        step=world.step,
    )


def open_reader(config: Config) -> Reader:
    """Return a reader of the configured ledger; it needs no key. Errors as :func:`open_ledger`."""
    from tfaudit.ledger.reader import Reader

    return Reader.open(evidence=evidence_of(config), working=working_of(config), genesis_digest=config.genesis)
