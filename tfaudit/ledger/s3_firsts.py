"""Which version of an object is its first: the one that counts, whatever was put on top of it later?

Ids are learnt from listings of versions, a page at a time, and kept: they never change.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from tfaudit.ledger import ids
from tfaudit.ledger.s3_listing import PAGE, version_pages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfaudit.ledger.s3_listing import Pages

_KNOWN: Final = 20_000
"""So many are kept."""


class First(NamedTuple):
    """What a listing says of an object's first version."""

    version: str
    size: int


class Firsts:
    """The first versions of a bucket's objects, as far as they are known."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._known: OrderedDict[str, First] = OrderedDict()
        self._last = ""
        self._page = 16

    def find(self, key: str) -> First | None:
        """Return the first version of an object, by one request where it is not known; None where there is none."""
        if key not in self._known:
            self._look(key)
        return self._known.get(key)

    def known(self, key: str) -> First | None:
        """Return the first version of an object if no request is needed for it."""
        return self._known.get(key)

    def learn(self, keys: Iterable[str]) -> None:
        """Learn the first versions of many objects, in their order, by pages."""
        for key in sorted({*keys} - self._known.keys()):
            if key not in self._known:
                self._look(key)

    def forget(self, key: str) -> None:
        """Know nothing of an object any more: it is gone."""
        self._known.pop(key, None)

    def after(
        self, prefix: str, after: str, *, count: int = PAGE, pages: int | None = None
    ) -> Iterator[tuple[str, First]]:
        """Yield keys with their first versions, and remember these.

        Of a key whose versions go on after the last page that may be asked for nothing is said.
        """
        start = len(self._pages.bucket.place.prefix)
        pending: tuple[str, First] | None = None
        for page, whole in version_pages(self._pages, prefix, after=after, count=count, pages=pages):
            for one in page.get("Versions", ()):
                key = one["Key"][start:]
                if pending is not None and pending[0] != key:
                    yield self._remember(*pending)
                pending = (key, First(one["VersionId"], one["Size"]))
            if not whole:
                # The last key may have older versions yet.
                continue
            if pending is not None:
                yield self._remember(*pending)
                pending = None

    def before_slot(self, number: int) -> str | None:
        """Return the known commit's key from which on a look at slot ``number`` lists; None where none is near.

        From two before, so that the head's own versions are seen again. A marker has to be an object's key.
        """
        for before in (number - 2, number - 1):
            if before >= 0 and ids.commit_key(before) in self._known:
                return ids.commit_key(before)
        return None

    def _look(self, key: str) -> None:
        """Learn the first version of ``key``, and of what comes after it where that will be asked for next."""
        if is_commit(key):
            number = int(key.removeprefix(ids.COMMITS), 16)
            before = self.before_slot(number)
            if before is not None:
                self._learn_after(ids.COMMITS, before, PAGE)
            else:
                self._learn_prefix(_block(number))
            return
        folder = key.rpartition("/")[0] + "/"
        if folder.count("/") > 1:
            # Records: those of one writer are mostly read in their order.
            writer = "/".join(key.split("/", 2)[:2]) + "/"
            if self._last.startswith(writer) and self._last < key and self._last in self._known:
                self._page = min(self._page * 2, PAGE)
                self._learn_after(writer, self._last, self._page)
        if key not in self._known:
            self._page = 16
            self._learn_prefix(key)
        self._last = key

    def _learn_prefix(self, prefix: str) -> None:
        for _ in self.after(prefix, ""):
            pass

    def _learn_after(self, prefix: str, after: str, count: int) -> None:
        for _ in self.after(prefix, after, count=count, pages=1):
            pass

    def _remember(self, key: str, first: First) -> tuple[str, First]:
        self._known[key] = first
        self._known.move_to_end(key)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return key, first


def is_commit(key: str) -> bool:
    """Whether this is the key of a slot of the log."""
    number = key.removeprefix(ids.COMMITS)
    return len(number) == 16 and len(key) == len(ids.COMMITS) + 16 and {*number} <= {*"0123456789abcdef"}


def _block(number: int) -> str:
    """Return the start of a few commits' keys, those two before and after ``number`` among them where that can be."""
    first, last = ids.commit_key(max(number - 2, 0)), ids.commit_key(number + 2)
    return next((first[:-cut] for cut in (1, 2) if first[:-cut] == last[:-cut]), ids.commit_key(number))
