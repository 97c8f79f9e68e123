"""Is this leaf in that tree, and is this tree the start of that one (RFC 6962, section 2.1). Pure.

A *frontier* is what a growing tree must remember: the roots of the complete subtrees it is made of, largest first, one
for each bit that is set in its size. Hashes are 32 bytes of SHA-256.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EMPTY_ROOT: Final = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry: SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def grow(frontier: Sequence[bytes], size: int, leaves: Iterable[bytes]) -> tuple[tuple[bytes, ...], int]:
    """Return the frontier and the size of the tree of ``size`` leaves after more leaf hashes were added.

    Raises :class:`ValueError` for a frontier that is not one of that size.
    """
    if len(frontier) != size.bit_count():
        raise ValueError("the frontier does not fit the size")
    stack = list(frontier)
    for leaf in leaves:
        size += 1
        node = leaf
        carry = size
        while not carry & 1:
            node = sha256(b"\x01" + stack.pop() + node).digest()
            carry >>= 1
        stack.append(node)
    return tuple(stack), size


def root(frontier: Sequence[bytes]) -> bytes:
    """Return the root of the tree with this frontier."""
    if not frontier:
        return EMPTY_ROOT
    node = frontier[-1]
    for left in reversed(frontier[:-1]):
        node = node_hash(left, node)
    return node


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root of the tree of these leaf hashes."""
    return root(grow((), 0, leaves)[0])


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the audit path of leaf ``index`` in the tree of these leaf hashes (RFC 6962, section 2.1.1).

    Raises :class:`ValueError` for an index outside the tree.
    """
    if not 0 <= index < len(leaves):
        raise ValueError("index outside the tree")
    path: list[bytes] = []
    low, high = 0, len(leaves)
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(root_of(leaves[middle:high]))
            high = middle
        else:
            path.append(root_of(leaves[low:middle]))
            low = middle
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> bool:
    """Tell whether ``proof`` leads from the leaf hash at ``index`` to the root of the tree of ``size`` (RFC 9162)."""
    if not 0 <= index < size or any(len(step) != 32 for step in proof):
        return False
    node, last, position = leaf, size - 1, index
    for step in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            node = node_hash(step, node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, step)
        position >>= 1
        last >>= 1
    return last == 0 and node == expected


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> tuple[bytes, ...]:
    """Return the proof that the first ``old_size`` of these leaf hashes are their own tree's start (section 2.1.2).

    Raises :class:`ValueError` unless 0 < ``old_size`` <= the number of leaves.
    """
    if not 0 < old_size <= len(leaves):
        raise ValueError("old size outside the tree")
    proof: list[bytes] = []
    low, high, whole = 0, len(leaves), True
    old = old_size
    while old != high - low:
        middle = _split(high - low)
        if old <= middle:
            proof.append(root_of(leaves[low + middle : high]))
            high = low + middle
        else:
            proof.append(root_of(leaves[low : low + middle]))
            low += middle
            old -= middle
            whole = False
    if not whole:
        proof.append(root_of(leaves[low:high]))
    return tuple(reversed(proof))


def verify_consistency(old_size: int, size: int, old_root: bytes, expected: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether ``proof`` shows the tree of ``old_size`` to be the start of the tree of ``size`` (RFC 9162)."""
    if not 0 < old_size <= size or any(len(step) != 32 for step in proof):
        return False
    if old_size == size:
        return not proof and old_root == expected
    steps = list(proof)
    if old_size & (old_size - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        return False
    position, last = old_size - 1, size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old_node = node = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_node = node_hash(step, old_node)
            node = node_hash(step, node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, step)
        position >>= 1
        last >>= 1
    return last == 0 and old_node == old_root and node == expected


def _split(size: int) -> int:
    """Return the largest power of two below ``size`` (which is at least 2)."""
    return 1 << (size - 1).bit_length() - 1


class Growing:
    """A tree that is being written: add entries, ask for the root. Memory does not grow with it."""

    __slots__ = ("_stack", "size")

    def __init__(self) -> None:
        self._stack: list[bytes] = []
        self.size = 0

    def add(self, entry: bytes) -> None:
        """Add one entry (not its hash)."""
        node = sha256(b"\x00" + entry).digest()
        self.size = carry = self.size + 1
        while not carry & 1:
            node = sha256(b"\x01" + self._stack.pop() + node).digest()
            carry >>= 1
        self._stack.append(node)

    def root(self) -> bytes:
        """Return the root of what was added so far."""
        return root(self._stack)
