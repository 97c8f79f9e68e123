"""The tree is RFC 6962's, and its proofs convince exactly of what is true."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.ledger import merkle

# The test leaves that implementations of RFC 6962 share, and the roots of the trees of the first n of them.
ENTRIES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")] + [
    bytes.fromhex("606162636465666768696a6b6c6d6e6f")
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}

sizes = st.integers(1, 70)


def leaves(count: int) -> list[bytes]:
    """Return as many different leaf hashes."""
    return [merkle.leaf_hash(b"%d" % number) for number in range(count)]


def naive(hashes: list[bytes]) -> bytes:
    """Return the root as section 2.1 of RFC 6962 defines it."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    return merkle.node_hash(naive(hashes[:middle]), naive(hashes[middle:]))


@pytest.mark.parametrize("count", ROOTS)
def test_known_roots(count: int) -> None:
    """The shared test vectors come out."""
    assert merkle.root_of(map(merkle.leaf_hash, ENTRIES[:count])).hex() == ROOTS[count]


@given(sizes, st.integers(0, 70))
def test_growing_in_two_steps_is_growing_at_once(first: int, more: int) -> None:
    """A frontier is all that a tree must remember, and the root is the definition's."""
    all_leaves = leaves(first + more)
    frontier, size = merkle.grow((), 0, all_leaves[:first])
    frontier, size = merkle.grow(frontier, size, all_leaves[first:])
    assert size == first + more
    assert len(frontier) == size.bit_count()
    assert merkle.root(frontier) == naive(all_leaves)


@given(st.lists(st.binary(max_size=20), max_size=40))
def test_growing_by_entries_is_the_same_tree(entries: list[bytes]) -> None:
    """Adding entries one by one gives the root of their leaf hashes."""
    tree = merkle.Growing()
    for entry in entries:
        tree.add(entry)
    assert (tree.size, tree.root()) == (len(entries), naive([merkle.leaf_hash(entry) for entry in entries]))


@given(st.data())
def test_inclusion_proofs_verify(data: st.DataObject) -> None:
    """A leaf's proof verifies at its own index and nowhere else."""
    count = data.draw(sizes)
    index, other = data.draw(st.integers(0, count - 1)), data.draw(st.integers(0, count))
    all_leaves = leaves(count)
    root = merkle.root_of(all_leaves)
    proof = merkle.inclusion_proof(all_leaves, index)
    assert merkle.verify_inclusion(all_leaves[index], index, count, proof, root)
    assert other == index or not merkle.verify_inclusion(all_leaves[index], other, count, proof, root)
    assert not merkle.verify_inclusion(all_leaves[index], index, count, (*proof, bytes(32)), root)
    assert not merkle.verify_inclusion(merkle.leaf_hash(b"no"), index, count, proof, root)
    if proof:
        assert not merkle.verify_inclusion(all_leaves[index], index, count, proof[:-1], root)


@given(st.data())
def test_consistency_proofs_verify(data: st.DataObject) -> None:
    """The proof between two sizes of one tree verifies, and not for another old root."""
    count = data.draw(sizes)
    old = data.draw(st.integers(1, count))
    all_leaves = leaves(count)
    roots = merkle.root_of(all_leaves[:old]), merkle.root_of(all_leaves)
    proof = merkle.consistency_proof(all_leaves, old)
    assert merkle.verify_consistency(old, count, *roots, proof)
    assert not merkle.verify_consistency(old, count, bytes(32), roots[1], proof)
    assert not merkle.verify_consistency(old, count, roots[0], bytes(32), proof)
    assert not merkle.verify_consistency(old, count, *roots, (*proof, bytes(32)))


def test_indexes_outside_the_tree_are_refused() -> None:
    """There is no proof for what is not there."""
    with pytest.raises(ValueError, match="outside"):
        merkle.inclusion_proof(leaves(3), 3)
    for old in (0, 4):
        with pytest.raises(ValueError, match="outside"):
            merkle.consistency_proof(leaves(3), old)
    with pytest.raises(ValueError, match="fit"):
        merkle.grow((bytes(32),), 2 + 1, [])
    assert not merkle.verify_inclusion(bytes(32), 3, 3, (), bytes(32))
    assert not merkle.verify_consistency(0, 3, merkle.EMPTY_ROOT, bytes(32), ())
