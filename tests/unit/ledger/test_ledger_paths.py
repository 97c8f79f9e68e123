"""Audit paths from one pass over a tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.ledger import merkle
from tfaudit.ledger.paths import Paths

LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(70)]


@given(size=st.integers(1, 70), wanted=st.sets(st.integers(0, 69), max_size=5), start=st.integers(0, 70))
def test_the_paths_are_those_of_the_whole_tree(size, wanted, start):
    """Whatever leaves are asked for, and wherever the pass starts, root and paths are RFC 6962's."""
    start = min(start, size)
    wanted = {index for index in wanted if start <= index < size}
    frontier, _ = merkle.grow((), 0, LEAVES[:start])
    tree = Paths(wanted, frontier=frontier, size=start)
    for leaf in LEAVES[start:size]:
        tree.add(leaf)
    root, paths = tree.finish()
    assert root == merkle.root_of(LEAVES[:size])
    assert paths == {index: merkle.inclusion_proof(LEAVES[:size], index) for index in wanted}
    assert all(merkle.verify_inclusion(LEAVES[index], index, size, path, root) for index, path in paths.items())


def test_an_empty_tree_has_the_empty_root():
    """The tree of no leaves ends in RFC 6962's root of nothing."""
    assert Paths(()).finish() == (merkle.EMPTY_ROOT, {})


def test_a_wanted_leaf_must_come():
    """A tree that ends before a wanted leaf gives no path."""
    tree = Paths((1,))
    tree.add(LEAVES[0])
    with pytest.raises(ValueError, match="ended before"):
        tree.finish()


@pytest.mark.parametrize(("wanted", "frontier", "size"), [((), (LEAVES[0],), 2), ((0,), (LEAVES[0],), 1)])
def test_the_frontier_must_fit(wanted, frontier, size):
    """A frontier of another size, or one that holds a wanted leaf, is refused."""
    frontier = (*frontier, LEAVES[1]) if size == 2 else frontier
    with pytest.raises(ValueError, match="frontier"):
        Paths(wanted, frontier=frontier, size=size)
