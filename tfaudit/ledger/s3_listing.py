"""What does a bucket hold under a prefix: all versions, or what stands on top?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import LedgerError
from tfaudit.ledger import ids
from tfaudit.ledger.store import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfaudit.ledger.s3 import Bucket
    from tfaudit.ledger.store import Listing

    Asked = tuple[str, dict[str, Any]]

PAGE: Final = 1000
GONE: Final = ("NoSuchVersion", "NoSuchKey")
"""What the store says where there is no such thing to delete or look at."""

_NEXT: Final = {"list_object_versions": "NextKeyMarker", "list_objects_v2": "NextContinuationToken"}
_NEEDED: Final = {
    "Versions": {"Key", "VersionId", "Size"},
    "DeleteMarkers": {"Key", "VersionId"},
    "Contents": {"Key", "Size"},
    "CommonPrefixes": {"Prefix"},
}


class Pages:
    """The pages of a bucket's listings, some of them asked for before they are wanted."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._asked: list[tuple[Asked, Mapping[str, Any]]] = []

    def ask(self, *, commits_after: str | None, listings: Sequence[Listing]) -> None:
        """Ask for the first pages of these listings at once: the next one that begins in the same way takes its page.

        Until :meth:`drop`: they tell how it was when they were asked for. What fails is asked for again.
        """

        def answer(asked: Asked) -> Mapping[str, Any] | None:
            try:
                return _page(self.bucket, asked)
            except LedgerError:
                return None

        wanted = [current_page(self.bucket, each.prefix, after=each.after, shallow=each.shallow) for each in listings]
        if commits_after is not None:
            wanted.insert(0, version_page(self.bucket, ids.COMMITS, after=commits_after, count=PAGE))
        here = [one for one, _ in self._asked]
        wanted = [one for one in wanted if one not in here]
        pages = zip(wanted, self.bucket.each(answer, wanted), strict=True)
        self._asked += [(one, page) for one, page in pages if page is not None]

    def drop(self) -> None:
        """Forget the pages that were asked for and not taken."""
        self._asked = []

    def get(self, asked: Asked) -> Mapping[str, Any]:
        """Return a page."""
        for at, (one, page) in enumerate(self._asked):
            if one == asked:
                del self._asked[at]
                return page
        return _page(self.bucket, asked)


def _page(bucket: Bucket, asked: Asked) -> Mapping[str, Any]:
    """Return a page that is one: of something else the SDK makes an empty one, or one with holes."""
    operation, parameters = asked
    page = bucket.call(operation, **parameters).body
    truncated = page.get("IsTruncated")
    whole = truncated is not None and not (truncated and _NEXT[operation] not in page)
    if not whole or not all(names <= one.keys() for kind, names in _NEEDED.items() for one in page.get(kind, ())):
        raise bucket.unreadable(operation)
    return page


def version_page(bucket: Bucket, prefix: str, *, after: str, count: int) -> Asked:
    """Return the request for the first page of versions after ``after``."""
    parameters: dict[str, Any] = {"Prefix": bucket.place.prefix + prefix, "MaxKeys": count}
    if after:
        parameters["KeyMarker"] = bucket.place.prefix + after
    return "list_object_versions", parameters


def current_page(bucket: Bucket, prefix: str, *, after: str, shallow: bool) -> Asked:
    """Return the request for the first page of what stands on top."""
    parameters: dict[str, Any] = {"Prefix": bucket.place.prefix + prefix, "MaxKeys": PAGE}
    if after:
        parameters["StartAfter"] = bucket.place.prefix + after
    if shallow:
        parameters["Delimiter"] = "/"
    return "list_objects_v2", parameters


def version_pages(
    source: Pages, prefix: str, *, after: str, count: int, pages: int | None
) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Yield pages of versions and whether the last key of the page is whole in it; ``after`` is an object's key."""
    bucket = source.bucket
    operation, parameters = version_page(bucket, prefix, after=after, count=count)
    while pages is None or pages > 0:
        page = source.get((operation, parameters))
        truncated = page.get("IsTruncated", False)
        # Some stores list from the marker on, inclusive.
        for kind in ("Versions", "DeleteMarkers"):
            if after and kind in page:
                page = {**page, kind: [one for one in page[kind] if one["Key"] > bucket.place.prefix + after]}
        yield page, not truncated
        if not truncated:
            return
        last = parameters.get("KeyMarker", ""), parameters.get("VersionIdMarker")
        parameters["KeyMarker"] = page["NextKeyMarker"]
        if page.get("NextVersionIdMarker"):
            parameters["VersionIdMarker"] = page["NextVersionIdMarker"]
        else:
            parameters.pop("VersionIdMarker", None)
        if parameters["KeyMarker"] < last[0] or (parameters["KeyMarker"], parameters.get("VersionIdMarker")) == last:
            # It would never end.
            raise bucket.unreadable(operation)
        pages = None if pages is None else pages - 1


def list_current(source: Pages, prefix: str, *, after: str, shallow: bool) -> Iterator[Entry]:
    """Yield what stands on top under ``prefix``, as :meth:`tfaudit.ledger.store.Store.list` says."""
    start = len(source.bucket.place.prefix)
    operation, parameters = current_page(source.bucket, prefix, after=after, shallow=shallow)
    while True:
        page = source.get((operation, parameters))
        found = [Entry(one["Key"][start:], one["Size"]) for one in page.get("Contents", ())]
        found += [Entry(one["Prefix"][start:], None) for one in page.get("CommonPrefixes", ())]
        yield from sorted(found)
        if not page.get("IsTruncated"):
            return
        if parameters.get("ContinuationToken") == page["NextContinuationToken"]:
            raise source.bucket.unreadable(operation)
        parameters["ContinuationToken"] = page["NextContinuationToken"]
