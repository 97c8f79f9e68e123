"""Which versions and markers does a bucket hold, and until when are they locked?"""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tfaudit.ledger import ids
from tfaudit.ledger.s3_listing import GONE, version_pages
from tfaudit.ledger.verify.versions import Version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tfaudit.ledger.s3 import Bucket

_BATCH: Final = 256
"""So many objects are asked about, several at a time, before the first answer is passed on."""


class _Listed(NamedTuple):
    key: str
    marker: bool
    modified: datetime
    version: str


def versions(bucket: Bucket, prefix: str, *, locks: bool) -> Iterator[Version]:
    """Yield all versions and markers under ``prefix`` by key, those of a key from the oldest on.

    With ``locks`` the oldest object of each key is asked for its lock, which a listing does not tell: one request each.
    """
    batch: list[list[_Listed]] = []
    for _, group in groupby(_listed(bucket, prefix), key=attrgetter("key")):
        # A listing gives the newest first.
        batch.append(list(group)[::-1])
        if len(batch) >= _BATCH:
            yield from _told(bucket, batch, locks=locks)
            batch = []
    yield from _told(bucket, batch, locks=locks)


def _listed(bucket: Bucket, prefix: str) -> Iterator[_Listed]:
    start = len(bucket.place.prefix)
    for page, _ in version_pages(bucket, prefix, after="", count=1000, pages=None):
        found = [
            _Listed(one["Key"][start:], marker, one["LastModified"], one["VersionId"])
            for marker, kind in ((False, "Versions"), (True, "DeleteMarkers"))
            for one in page.get(kind, ())
        ]
        # Within the page objects and markers come apart; the sort keeps the store's order where two are of one moment.
        found.sort(key=lambda one: one.modified, reverse=True)
        found.sort(key=lambda one: one.key)
        yield from found


def _told(bucket: Bucket, batch: list[list[_Listed]], *, locks: bool) -> Iterator[Version]:
    def lock(group: list[_Listed]) -> dict[str, Any]:
        first = next((one for one in group if not one.marker), None)
        if first is None or not locks:
            return {}
        key = bucket.place.prefix + first.key
        answer = bucket.call("head_object", expected=("404", *GONE), Key=key, VersionId=first.version)
        return dict(answer.body) if answer.code is None else {}

    for group, told in zip(batch, bucket.each(lock, batch), strict=True):
        first = next((one for one in group if not one.marker), None)
        for one in group:
            about = told if one is first else {}
            until = about.get("ObjectLockRetainUntilDate")
            yield Version(
                key=one.key,
                marker=one.marker,
                modified=ids.milliseconds(one.modified),
                mode=about.get("ObjectLockMode"),
                retain_until=ids.milliseconds(until) if until else None,
                held=about.get("ObjectLockLegalHoldStatus") == "ON",
            )
