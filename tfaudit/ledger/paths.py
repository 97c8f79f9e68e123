"""Which audit paths lead from some leaves to the root of a tree that goes by only once (RFC 6962). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfaudit.ledger import merkle

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class _Subtree(NamedTuple):
    root: bytes
    wanted: tuple[int, ...]
    """The leaves in it whose paths are asked for."""


class Paths:
    """A tree that is fed leaf hashes in order and remembers the way up from some of them (section 2.1.1).

    Memory grows with the number of wanted leaves, not with the tree. The tree may start from a ``frontier`` of ``size``
    leaves; then all wanted leaves come after those.
    """

    def __init__(self, wanted: Iterable[int], *, frontier: Sequence[bytes] = (), size: int = 0) -> None:
        self.size = size
        self._paths: dict[int, list[bytes]] = {index: [] for index in wanted}
        self._stack = [_Subtree(root, ()) for root in frontier]
        if len(self._stack) != size.bit_count() or any(index < size for index in self._paths):
            raise ValueError("the frontier does not fit the size, or holds a wanted leaf")

    def add(self, leaf: bytes) -> None:
        """Add the next leaf's hash."""
        node = _Subtree(leaf, (self.size,) if self.size in self._paths else ())
        self.size = carry = self.size + 1
        while not carry & 1:
            node = self._join(self._stack.pop(), node)
            carry >>= 1
        self._stack.append(node)

    def finish(self) -> tuple[bytes, dict[int, tuple[bytes, ...]]]:
        """Return the tree's root and each wanted leaf's path, from the leaf up; nothing may be added afterwards.

        Raises :class:`ValueError` where the tree ended before a wanted leaf.
        """
        if any(index >= self.size for index in self._paths):
            raise ValueError("the tree ended before a wanted leaf")
        if not self._stack:
            return merkle.EMPTY_ROOT, {}
        node = self._stack.pop()
        while self._stack:
            node = self._join(self._stack.pop(), node)
        return node.root, {index: tuple(path) for index, path in self._paths.items()}

    def _join(self, left: _Subtree, right: _Subtree) -> _Subtree:
        for index in left.wanted:
            self._paths[index].append(right.root)
        for index in right.wanted:
            self._paths[index].append(left.root)
        return _Subtree(merkle.node_hash(left.root, right.root), left.wanted + right.wanted)
