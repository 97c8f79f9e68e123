"""Are the buckets of the configured ledger as they should be, and what is to be done where they are not?"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError, InputError, LedgerError
from tfaudit.runs.bucketing import LOCK_IT
from tfaudit.runs.doctor import Check

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfaudit.config import Config
    from tfaudit.ledger.s3_evidence import EvidenceBucket
    from tfaudit.ledger.s3_setup import Fitness
    from tfaudit.runs.run import World

CLOCK_TOLERANCE_SECONDS: Final = 60.0
AHEAD_SECONDS: Final = 300.0
_OLDEST: Final = 8
"""So many commits are looked at, and what they hold."""
_KMS: Final = "awskms:"
_PROBE: Final = b"tfaudit doctor\n"
"""Neither a checkpoint nor a statement, whatever key signs it."""


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
        return Check(name="retention", result="warning", message="the bucket's default is unknown", hint=LOCK_IT)
    return Check(
        name="retention",
        result="warning",
        message="nothing locks what is recorded: no [retention], and the bucket has no default",
        hint=LOCK_IT,
    )


def policy(config: Config) -> Check:
    """Look whether the bucket policy denies what Object Lock does not."""
    from tfaudit.ledger import s3_policy, s3_setup

    store = _evidence(config)
    found: Fitness = s3_setup.fitness(store.bucket)
    if found.policy is None:
        return Check(
            name="policy",
            result="warning",
            message="these credentials may not read the bucket policy",
            hint="allow s3:GetBucketPolicy, or check it against docs/aws.md",
        )
    rule = config.retention
    try:
        open_to = s3_policy.allowed(
            found.policy or '{"Statement":[]}',
            bucket=store.bucket.place.bucket,
            prefix=store.bucket.place.prefix,
            mode=rule.mode if rule else found.default_mode,
            days=rule.days if rule else found.default_days,
        )
    except ValueError:
        raise LedgerError("the bucket policy can't be read", hint="check it against docs/aws.md") from None
    if not open_to:
        return Check(name="policy", result="ok", message="the bucket policy denies to all what would hide evidence")
    return Check(
        name="policy",
        result="warning",
        message=f"the bucket policy does not deny to all: {', '.join(each.what for each in open_to)}",
        hint=f"add the statements {', '.join(each.statement for each in open_to)} of deploy/aws/; verify sees through",
    )


def kms(config: Config, world: World) -> Check:
    """Try out the keys in KMS: encrypt and decrypt an object, sign with each key that signs there."""
    from tfaudit.ledger import ids
    from tfaudit.ledger.s3_setup import fresh
    from tfaudit.ledger.store import read
    from tfaudit.runs.ledgers import store_clock
    from tfaudit.signing.signer import open_signer

    done = []
    key = config.s3.kms_key_id
    if key:
        store = _evidence(config)
        name = f"probe/{ids.new_record_id(ids.milliseconds(store_clock(store, world.clock)()), world.entropy)}"
        content = world.entropy(32)
        _needing(f"kms:GenerateDataKey on {key}", lambda: store.create(name, content))
        _needing(f"kms:Decrypt on {key}", lambda: read(fresh(store), name, limit=64))
        done.append("encrypted and decrypted an object")
    for role, uri in (("record", config.signer_record), ("log", config.signer_log)):
        if uri and uri.startswith(_KMS):
            signer = open_signer(uri, base=config.root)
            if not signer.public.verify(signer.sign(_PROBE), _PROBE):
                raise LedgerError(f"what {uri} signs does not verify", hint="it needs an ECC_NIST_P256 key, or Ed25519")
            done.append(f"signed with the {role} key")
    return Check(name="kms", result="ok", message=" and ".join(done) or "no key in KMS is configured")


def _needing(right: str, request: Callable[[], object]) -> None:
    try:
        request()
    except LedgerError as error:
        raise LedgerError(error.message, hint=f"these credentials need {right}; is the key enabled?") from error


def expiring(config: Config, world: World, *, within: int) -> Check:
    """Ask for the locks of the oldest objects, and say when the first of them ends if that is in ``within`` days."""
    from tfaudit.ledger import commit, ids
    from tfaudit.ledger.store import read

    store = _evidence(config)
    keys = [ids.GENESIS_KEY]
    for entry in islice(store.list(ids.COMMITS), _OLDEST):
        keys.append(entry.key)
        with suppress(InputError):
            found = commit.parse(read(store, entry.key, limit=commit.MAX_COMMIT) or b"")
            keys += [line.key for line in found.header.records]
    locks = [(store.lock(key), key) for key in keys[: 4 * _OLDEST]]
    ends = [(lock.until, key) for lock, key in locks if lock is not None and lock.until is not None and not lock.held]
    if not ends:
        return Check(
            name="expiry",
            result="warning",
            message="the oldest objects show no lock",
            hint="allow s3:GetObjectRetention; or was the bucket's default set later?",
        )
    until, key = min(ends)
    day = datetime.fromtimestamp(until / 1000, UTC).date()
    if until > ids.milliseconds(world.clock()) + within * 86_400_000:
        return Check(name="expiry", result="ok", message=f"the first lock ends on {day}")
    return Check(
        name="expiry",
        result="warning",
        message=f"the first lock ends on {day} ({key})",
        hint="tfaudit retain extend --days DAYS keeps all of them longer",
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
