"""Is a bucket fit to hold a ledger, and how is one made that is?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfaudit.errors import LedgerError
from tfaudit.ledger.s3 import NEEDS, NO_LOCK, UnfitStoreError
from tfaudit.ledger.store import read

if TYPE_CHECKING:
    from tfaudit.ledger.s3 import Bucket
    from tfaudit.ledger.s3_evidence import EvidenceBucket

_UNLOCKED = (
    "ObjectLockConfigurationNotFoundError",
    "NoSuchObjectLockConfiguration",
    "InvalidRequest",
    "NotImplemented",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """What a bucket says of itself; None where these credentials may not ask."""

    versions: bool | None
    lock: bool | None
    default_mode: str | None
    """The mode of its default retention."""
    default_days: int | None
    policy: str | None
    """The JSON of its policy, empty where it has none."""


def fitness(bucket: Bucket) -> Fitness:
    """Ask a bucket; raises :class:`LedgerError` when it can't be reached or is not there."""
    versions = bucket.call("get_bucket_versioning", expected=("AccessDenied", "NotImplemented"))
    locking = bucket.call("get_object_lock_configuration", expected=("AccessDenied", *_UNLOCKED))
    rule: dict[str, Any] = {}
    lock: bool | None = False
    if locking.code is None:
        configuration = locking.body.get("ObjectLockConfiguration", {})
        lock = configuration.get("ObjectLockEnabled") == "Enabled"
        rule = configuration.get("Rule", {}).get("DefaultRetention", {})
    elif locking.code == "AccessDenied":
        lock = None
    days = rule.get("Days", 365 * rule["Years"] if "Years" in rule else None)
    return Fitness(
        versions=None if versions.code == "AccessDenied" else versions.body.get("Status") == "Enabled",
        lock=lock,
        default_mode=rule.get("Mode"),
        default_days=days,
        policy=_policy(bucket),
    )


def _policy(bucket: Bucket) -> str | None:
    expected = ("NoSuchBucketPolicy", "AccessDenied", "NotImplemented", "MethodNotAllowed")
    answer = bucket.call("get_bucket_policy", expected=expected)
    if answer.code == "NoSuchBucketPolicy":
        return ""
    return str(answer.body.get("Policy", "")) if answer.code is None else None


def must_hold_evidence(bucket: Bucket) -> Fitness:
    """Return what the bucket says of itself; :class:`UnfitStoreError` where a ledger would be lost on it."""
    found = fitness(bucket)
    if found.lock is False:
        raise UnfitStoreError(f"the bucket {bucket.place.bucket} has no Object Lock", hint=NO_LOCK)
    if found.versions is False:
        raise UnfitStoreError(f"the bucket {bucket.place.bucket} keeps no versions", hint=NEEDS)
    return found


def must_hold_disclosures(bucket: Bucket) -> Fitness:
    """Return what the bucket says of itself; :class:`UnfitStoreError` where what it holds could not be erased."""
    found = fitness(bucket)
    if found.default_mode is not None:
        raise UnfitStoreError(
            f"the bucket {bucket.place.bucket} locks by default what is put there, so that disclosures can't be erased",
            hint="name a bucket without a default retention as the working store",
        )
    return found


def try_out(store: EvidenceBucket, record_id: str, content: bytes) -> None:
    """Write, read back, write again and delete a probe, the last two in vain.

    Raises :class:`UnfitStoreError` where one of the two succeeds, :class:`LedgerError` where writing or reading fails.
    """
    key = f"probe/{record_id}"
    # Read as another process would: this one has kept what it wrote.
    if not store.create(key, content) or read(fresh(store), key, limit=len(content) + 1) != content:
        raise LedgerError(f"what is written to {store} does not read back")
    if store.create(key, content):
        raise UnfitStoreError(f"{store} lets an object be written twice", hint=NEEDS)
    written = store.written(key)
    bucket = store.bucket
    answer = bucket.call(
        "delete_object",
        expected=("AccessDenied", "403", "InvalidRequest", "ObjectLocked", "WORMProtected", "MethodNotAllowed"),
        Key=bucket.place.prefix + key,
        VersionId=written.version_id if written else None,
    )
    if answer.code is None:
        raise UnfitStoreError(f"{store} lets a locked object be deleted", hint=NEEDS)


def fresh(store: EvidenceBucket) -> EvidenceBucket:
    """Return the same store, knowing nothing."""
    return type(store)(store.bucket, store.retention)


def make_bucket(bucket: Bucket, *, lock: bool) -> bool:
    """Make the bucket, with Object Lock where wanted; False where this account has it already.

    Raises :class:`LedgerError` where it can't be made.
    """
    parameters: dict[str, Any] = {"ObjectLockEnabledForBucket": True} if lock else {}
    region = bucket.client.meta.region_name
    if region not in (None, "us-east-1", "aws-global"):
        parameters["CreateBucketConfiguration"] = {"LocationConstraint": region}
    answer = bucket.call("create_bucket", expected=("BucketAlreadyOwnedByYou",), **parameters)
    return answer.code is None
