"""Which versions and markers does a bucket hold?"""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from tfaudit.ledger import ids
from tfaudit.ledger.s3_listing import PAGE, Pages, version_pages
from tfaudit.ledger.verify.versions import Version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tfaudit.ledger.s3 import Bucket


class _Listed(NamedTuple):
    key: str
    marker: bool
    modified: datetime


def versions(bucket: Bucket, prefix: str, *, after: str) -> Iterator[Version]:
    """Yield all versions and markers under ``prefix`` by key, the versions of a key from the oldest on.

    With ``after``, the key of an object, only those of keys that sort after it.
    """
    for _, group in groupby(_listed(bucket, prefix, after), key=attrgetter("key")):
        # A listing gives the newest first.
        for one in [*group][::-1]:
            yield Version(key=one.key, marker=one.marker, modified=ids.milliseconds(one.modified))


def _listed(bucket: Bucket, prefix: str, after: str) -> Iterator[_Listed]:
    start = len(bucket.place.prefix)
    for page, _ in version_pages(Pages(bucket), prefix, after=after, count=PAGE, pages=None):
        found = [
            _Listed(one["Key"][start:], marker, one["LastModified"])
            for marker, kind in ((False, "Versions"), (True, "DeleteMarkers"))
            for one in page.get(kind, ())
        ]
        # Versions and markers come apart, and times are in whole seconds: how the two lie together can't be told.
        found.sort(key=attrgetter("key"))
        yield from found
