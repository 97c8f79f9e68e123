"""How is an object's lock extended, and how is one let go whose lock has ended? Always the first version's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tfaudit.errors import LedgerError
from tfaudit.ledger import ids
from tfaudit.ledger.s3_listing import GONE, PAGE, Pages, version_pages
from tfaudit.ledger.store import Lock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfaudit.ledger.s3 import Bucket


def extend(bucket: Bucket, key: str, version: str, *, until: int, mode: str) -> bool:
    """Lock a version for longer, one without a lock in ``mode``; see :meth:`tfaudit.ledger.store.Locking.extend`."""
    name = bucket.place.prefix + key
    about = bucket.call("head_object", Key=name, VersionId=version).body
    now = about.get("ObjectLockRetainUntilDate")
    wanted = datetime.fromtimestamp(until / 1000, UTC)
    if now is not None and now >= wanted:
        return False
    rule = {"Mode": about.get("ObjectLockMode") or mode, "RetainUntilDate": wanted}
    bucket.call("put_object_retention", Key=name, VersionId=version, Retention=rule)
    return True


def lock_of(answer: Mapping[str, Any]) -> Lock:
    """Return what the answer to a GET or HEAD tells of the version's lock."""
    until = answer.get("ObjectLockRetainUntilDate")
    return Lock(
        mode=answer.get("ObjectLockMode"),
        until=ids.milliseconds(until) if until else None,
        held=answer.get("ObjectLockLegalHoldStatus") == "ON",
    )


def may_see(bucket: Bucket, key: str, version: str) -> bool:
    """Tell whether these credentials may see a version's lock: answers leave out what they may not.

    Raises :class:`LedgerError` when the store failed.
    """
    which = {"Key": bucket.place.prefix + key, "VersionId": version}
    try:
        answer = bucket.call("get_object_retention", expected=("AccessDenied", "403"), **which)
    except LedgerError:
        # Each store says in words of its own that there is no lock; one that is away says nothing else either.
        bucket.call("head_object", **which)
        return True
    return answer.code is None


def hold(bucket: Bucket, key: str, version: str, *, on: bool) -> None:
    """Set or lift a legal hold; see :meth:`tfaudit.ledger.store.Locking.hold`."""
    status = {"Status": "ON" if on else "OFF"}
    bucket.call("put_object_legal_hold", Key=bucket.place.prefix + key, VersionId=version, LegalHold=status)


def prune(bucket: Bucket, key: str) -> None:
    """Remove all versions and markers of a key; see :meth:`tfaudit.ledger.store.Locking.prune`."""
    name = bucket.place.prefix + key
    for page, _whole in version_pages(Pages(bucket), key, after="", count=PAGE, pages=None):
        for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            if one["Key"] == name:
                bucket.call("delete_object", expected=GONE, Key=name, VersionId=one["VersionId"])
