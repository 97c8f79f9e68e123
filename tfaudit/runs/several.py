"""How is the same done with many objects of a store, some at once?"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

AT_ONCE: Final = 8
_BATCH: Final = 256
T = TypeVar("T")


def each(function: Callable[..., T], keys: Iterable[str], *stores: Any) -> Iterator[T]:  # noqa: ANN401 - any stores
    """Yield ``function(*stores, key)`` for each key, in order; raises the first error, what was begun being finished.

    Every thread has copies of the stores for itself: what a store remembers is not to be shared.
    """
    own = threading.local()

    def one(key: str) -> T:
        if not hasattr(own, "stores"):
            own.stores = tuple(map(copy, stores))
        return function(*own.stores, key)

    rest = iter(keys)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while batch := list(islice(rest, _BATCH)):
            yield from pool.map(one, batch)
