"""Are the buckets of the configured ledger as they should be, and what is to be done where they are not?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError, LedgerError
from tfaudit.runs.doctor import Check

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.ledger.s3_evidence import EvidenceBucket
    from tfaudit.ledger.s3_setup import Fitness
    from tfaudit.runs.run import World

CLOCK_TOLERANCE_SECONDS: Final = 60.0
AHEAD_SECONDS: Final = 300.0


def bucket(config: Config) -> Check:
    """Look at versions and Object Lock of the evidence store's bucket."""
    from tfaudit.ledger import s3_setup

    found = s3_setup.must_hold_evidence(_evidence(config).bucket)
    if found.lock is None or found.versions is None:
        return Check(
            name="bucket",
            result="warning",
            message="these credentials may not ask whether the bucket has versions and Object Lock",
            hint="allow s3:GetBucketVersioning and s3:GetBucketObjectLockConfiguration",
        )
    return Check(name="bucket", result="ok", message=f"{config.ledger} has versions and Object Lock")


def retention(config: Config) -> Check:
    """Compare the configured retention with the bucket's default."""
    from tfaudit.ledger import s3_setup

    found = s3_setup.fitness(_evidence(config).bucket)
    rule = config.retention
    if rule is not None:
        named = f" ({rule.profile})" if rule.profile else ""
        message = f"each object is locked for {rule.days} days{named} in {rule.mode} mode"
        if rule.profile == "sec17a4":
            return Check(
                name="retention",
                result="warning",
                message=f"{message}; 17a-4 wants a second copy and values that can't be erased as well",
                hint="replicate the bucket into another account, and keep the working store for as long",
            )
        return Check(name="retention", result="ok", message=message)
    if found.default_mode is not None:
        days = f"{found.default_days} days" if found.default_days else "an unknown time"
        message = f"the bucket's default locks each object for {days} in {found.default_mode} mode"
        return Check(name="retention", result="ok", message=message)
    if found.lock is None:
        return Check(name="retention", result="warning", message="the bucket's default is unknown", hint=_SET)
    return Check(
        name="retention",
        result="warning",
        message="nothing locks what is recorded: no [retention], and the bucket has no default",
        hint=_SET,
    )


_SET: Final = 'set [retention] profile = "soc2", or days, in tfaudit.toml'


def policy(config: Config) -> Check:
    """Look whether the bucket policy keeps delete markers off the evidence."""
    from tfaudit.ledger import s3_setup

    found: Fitness = s3_setup.fitness(_evidence(config).bucket)
    if found.keeps_deletes:
        return Check(name="policy", result="ok", message="the bucket policy denies s3:DeleteObject")
    if found.keeps_deletes is None:
        return Check(
            name="policy",
            result="warning",
            message="these credentials may not read the bucket policy",
            hint="allow s3:GetBucketPolicy, or check that it denies s3:DeleteObject",
        )
    return Check(
        name="policy",
        result="warning",
        message="no bucket policy denies s3:DeleteObject: delete markers could hide objects from people",
        hint="deny s3:DeleteObject to everyone; verify sees through markers",
    )


def working(config: Config) -> Check:
    """Look whether what the working store holds can be erased, and try to write there."""
    from tfaudit.ledger import s3_setup
    from tfaudit.ledger.s3_working import WorkingBucket
    from tfaudit.runs.ledgers import working_of

    if config.working == config.default_working:
        raise ConfigError("no working store is named for the disclosures", hint='set working = "s3://BUCKET/PREFIX"')
    store = working_of(config)
    if not isinstance(store, WorkingBucket):
        return Check(name="working", result="ok", message=f"disclosures lie in the folder {config.working}")
    found = s3_setup.must_hold_disclosures(store.bucket)
    store.replace("probe", b"tfaudit doctor\n")
    store.remove("probe")
    if found.lock:
        return Check(
            name="working",
            result="warning",
            message=f"{config.working} has Object Lock: whoever sets a retention there keeps it from being erased",
            hint="a bucket without Object Lock is enough",
        )
    return Check(name="working", result="ok", message=f"{config.working} can be written and erased")


def ledger(config: Config, world: World) -> Check:
    """Write a probe, read it back, see a second write and a delete refused, and look at the head."""
    from tfaudit.ledger import ids, s3_setup
    from tfaudit.runs.ledgers import open_reader, store_clock

    reader = open_reader(config)
    store = _evidence(config)
    now = ids.milliseconds(store_clock(store, world.clock)())
    s3_setup.try_out(store, ids.new_record_id(now, world.entropy), world.entropy(32))
    return Check(
        name="ledger",
        result="ok",
        message=f"{reader.origin}, size {reader.state.size}: written, read back, overwrite and delete refused",
    )


def clock(config: Config) -> Check:
    """Compare the machine's clock with the store's."""
    from tfaudit.ledger.store import read

    store = _evidence(config)
    read(store, "genesis.json", limit=1)
    time = store.bucket.time
    if not time.known:
        raise LedgerError(f"{store} does not say what time it is", hint="is there a proxy that drops Date headers?")
    skew = time.difference
    if abs(skew) > CLOCK_TOLERANCE_SECONDS:
        more = "; S3 refuses requests fifteen minutes off" if abs(skew) > AHEAD_SECONDS else ""
        return Check(
            name="clock",
            result="warning",
            message=f"this machine's clock and the store's are {abs(skew):.0f} seconds apart; the store's counts{more}",
            hint="set the clock by NTP",
        )
    return Check(name="clock", result="ok", message=f"within {abs(skew) + 1:.0f} seconds of the store's")


def _evidence(config: Config) -> EvidenceBucket:
    from tfaudit.ledger.s3_evidence import EvidenceBucket
    from tfaudit.runs.ledgers import evidence_of

    store = evidence_of(config)
    if not isinstance(store, EvidenceBucket):
        raise ConfigError(f"{config.ledger} is no bucket")
    return store
