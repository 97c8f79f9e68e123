"""How are the buckets of a new or moving ledger made ready, and refused where a ledger would be lost on them?"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final

from tfaudit.config import PROFILE_DAYS, Retention, S3Settings
from tfaudit.errors import ConfigError, LedgerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfaudit.ledger.s3 import Bucket
    from tfaudit.ledger.s3_evidence import EvidenceBucket
    from tfaudit.ledger.store import Store
    from tfaudit.runs.run import World
    from tfaudit.runs.setup import Plan

LOCK_IT: Final = 'set [retention] profile = "soc2", or days, in tfaudit.toml'
GENESIS_RULE: Final = Retention(mode="GOVERNANCE", days=max(PROFILE_DAYS.values()))


def prepare(plan: Plan, world: World) -> EvidenceBucket:
    """Return the evidence store of a ledger that is to lie in a bucket, tried out; make the buckets where asked to.

    Raises :class:`ConfigError` where the two stores lie one in the other, :class:`UnfitStoreError` for a bucket without
    Object Lock or a working one that locks by default, and :class:`LedgerError` when they can't be reached.
    """
    from tfaudit.ledger import ids, s3_setup
    from tfaudit.ledger.s3 import Bucket
    from tfaudit.ledger.s3_evidence import EvidenceBucket

    settings = effective(plan.s3, world.environ)
    evidence = Bucket(plan.ledger, settings)
    working = Bucket(plan.working, settings) if plan.working.startswith("s3://") else None
    _must_lie_apart(evidence, working)
    if plan.create_buckets:
        s3_setup.make_bucket(evidence, lock=True)
        if working is not None and working.place.bucket != evidence.place.bucket:
            s3_setup.make_bucket(working, lock=False)
    found = s3_setup.must_hold_evidence(evidence)
    if working is not None:
        s3_setup.must_hold_disclosures(working)
    # Genesis is locked whatever follows: it is what all trust in the ledger starts from.
    store = EvidenceBucket(evidence, plan.retention or (GENESIS_RULE if found.default_mode is None else None))
    s3_setup.try_out(store, ids.new_record_id(ids.milliseconds(world.clock()), world.entropy), world.entropy(32))
    return store


def must_fit(evidence: Store, working: Store | None) -> None:
    """Raise as :func:`prepare` where one of the two, if it lies in a bucket, would not do."""
    from tfaudit.ledger import s3_setup
    from tfaudit.ledger.s3_evidence import EvidenceBucket
    from tfaudit.ledger.s3_working import WorkingBucket

    erasable = working.bucket if isinstance(working, WorkingBucket) else None
    if erasable is not None:
        s3_setup.must_hold_disclosures(erasable)
    if isinstance(evidence, EvidenceBucket):
        _must_lie_apart(evidence.bucket, erasable)
        s3_setup.must_hold_evidence(evidence.bucket)


def locks_nothing(evidence: Store, retention: Retention | None) -> bool:
    """Tell whether a bucket surely locks nothing that is written there; of a folder nobody expects it to."""
    from tfaudit.ledger import s3_setup
    from tfaudit.ledger.s3_evidence import EvidenceBucket

    if retention is not None or not isinstance(evidence, EvidenceBucket):
        return False
    try:
        found = s3_setup.fitness(evidence.bucket)
    except LedgerError:
        # What was done is done: a hint is not worth a failure.
        return False
    return found.lock is not None and found.default_mode is None


def _must_lie_apart(evidence: Bucket, working: Bucket | None) -> None:
    if working is not None and working.place.bucket == evidence.place.bucket:
        one, other = working.place.prefix, evidence.place.prefix
        if one.startswith(other) or other.startswith(one):
            raise ConfigError(
                f"{working} and {evidence} overlap", hint="give the working store a bucket, or a prefix, of its own"
            )


def effective(settings: S3Settings, environ: Mapping[str, str]) -> S3Settings:
    """Return the settings with what ``TFAUDIT_S3_*`` says where they say nothing."""
    missing = [field.name for field in fields(S3Settings) if getattr(settings, field.name) is None]
    return replace(settings, **{name: environ.get(f"TFAUDIT_S3_{name.upper()}") or None for name in missing})
