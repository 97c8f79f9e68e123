"""What does a bucket hold under a prefix: all versions, or what stands on top?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfaudit.ledger.store import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfaudit.ledger.s3 import Bucket

PAGE: Final = 1000
GONE: Final = ("NoSuchVersion", "NoSuchKey")
"""What the store says where there is no such thing to delete or look at."""


def version_pages(
    bucket: Bucket, prefix: str, *, after: str, count: int, pages: int | None
) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Yield pages of versions and whether the last key of the page is whole in it; ``after`` is an object's key."""
    parameters: dict[str, Any] = {"Prefix": bucket.place.prefix + prefix, "MaxKeys": count}
    if after:
        parameters["KeyMarker"] = bucket.place.prefix + after
    while pages is None or pages > 0:
        page = bucket.call("list_object_versions", **parameters).body
        truncated = page.get("IsTruncated", False)
        # Some stores list from the marker on, inclusive.
        for kind in ("Versions", "DeleteMarkers"):
            if after and kind in page:
                page = {**page, kind: [one for one in page[kind] if one["Key"] > bucket.place.prefix + after]}
        yield page, not truncated
        if not truncated:
            return
        parameters["KeyMarker"] = page["NextKeyMarker"]
        if page.get("NextVersionIdMarker"):
            parameters["VersionIdMarker"] = page["NextVersionIdMarker"]
        else:
            parameters.pop("VersionIdMarker", None)
        pages = None if pages is None else pages - 1


def list_current(bucket: Bucket, prefix: str, *, after: str, shallow: bool) -> Iterator[Entry]:
    """Yield what stands on top under ``prefix``, as :meth:`tfaudit.ledger.store.Store.list` says."""
    start = len(bucket.place.prefix)
    parameters: dict[str, Any] = {"Prefix": bucket.place.prefix + prefix, "MaxKeys": PAGE}
    if after:
        parameters["StartAfter"] = bucket.place.prefix + after
    if shallow:
        parameters["Delimiter"] = "/"
    while True:
        page = bucket.call("list_objects_v2", **parameters).body
        found = [Entry(one["Key"][start:], one["Size"]) for one in page.get("Contents", ())]
        found += [Entry(one["Prefix"][start:], None) for one in page.get("CommonPrefixes", ())]
        yield from sorted(found)
        if not page.get("IsTruncated"):
            return
        parameters["ContinuationToken"] = page["NextContinuationToken"]
