"""The Merkle tree, held against the definitions of RFC 6962, section 2.1, written out."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.merkle import (
    Frontier,
    consistency_path,
    inclusion_path,
    leaf_hash,
    root_from_proof,
    root_of,
    roots_from_consistency,
)


def reference_root(data: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not data:
        return hashlib.sha256().digest()
    if len(data) == 1:
        return hashlib.sha256(b"\x00" + data[0]).digest()
    k = 1
    while k * 2 < len(data):
        k *= 2
    return hashlib.sha256(b"\x01" + reference_root(data[:k]) + reference_root(data[k:])).digest()


def reference_path(m: int, data: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1, word for word."""
    if len(data) == 1:
        return []
    k = 1
    while k * 2 < len(data):
        k *= 2
    if m < k:
        return [*reference_path(m, data[:k]), reference_root(data[k:])]
    return [*reference_path(m - k, data[k:]), reference_root(data[:k])]


def entries(count: int) -> list[bytes]:
    return [f"entry {place}".encode() for place in range(count)]


def test_the_tree_of_the_certificate_transparency_test_vectors_has_their_root() -> None:
    vectors = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    root = root_of(leaf_hash(bytes.fromhex(data)) for data in vectors)
    assert root.hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("count", range(34))
def test_roots_and_proofs_of_every_size_agree_with_the_definitions(count: int) -> None:
    data = entries(count)
    leaves = [leaf_hash(entry) for entry in data]
    root = root_of(leaves)
    assert root == reference_root(data)
    for place in range(count):
        path = inclusion_path(place, count, iter(leaves))
        assert path == reference_path(place, data)
        assert root_from_proof(place, count, leaves[place], path) == root


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), st.integers(0, 300))
def test_a_tree_continued_from_its_frontier_is_the_tree_made_at_once(first: int, more: int) -> None:
    leaves = [leaf_hash(entry) for entry in entries(first + more)]
    begun = Frontier()
    for leaf in leaves[:first]:
        begun.append(leaf)
    continued = Frontier(begun.size, begun.peaks)
    for leaf in leaves[first:]:
        continued.append(leaf)
    assert continued.root() == root_of(leaves)


def test_a_proof_of_the_wrong_length_or_place_is_refused() -> None:
    leaves = [leaf_hash(entry) for entry in entries(7)]
    path = inclusion_path(2, 7, iter(leaves))
    with pytest.raises(ValueError, match="3 hashes"):
        root_from_proof(2, 7, leaves[2], path[:-1])
    with pytest.raises(ValueError, match="not in a tree"):
        inclusion_path(7, 7, iter(leaves))
    assert root_from_proof(3, 7, leaves[2], path) != root_of(leaves)
    with pytest.raises(ValueError, match="subtrees"):
        Frontier(3, [leaves[0]])


def reference_consistency(m: int, data: list[bytes], *, whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962, section 2.1.2, word for word."""
    if m == len(data):
        return [] if whole else [reference_root(data)]
    k = 1
    while k * 2 < len(data):
        k *= 2
    if m <= k:
        return [*reference_consistency(m, data[:k], whole=whole), reference_root(data[k:])]
    return [*reference_consistency(m - k, data[k:], whole=False), reference_root(data[:k])]


@pytest.mark.parametrize("new", range(1, 34))
def test_proofs_that_a_tree_only_grew_agree_with_the_definition(new: int) -> None:
    data = entries(new)
    leaves = [leaf_hash(entry) for entry in data]
    for old in range(1, new + 1):
        path = consistency_path(tree_of(leaves[:old]), new, iter(leaves[old:]))
        assert path == reference_consistency(old, data)
        roots = roots_from_consistency(old, new, root_of(leaves[:old]), path)
        assert roots == (root_of(leaves[:old]), root_of(leaves))


@pytest.mark.parametrize("changed", range(7))
def test_no_tree_with_another_leaf_proves_that_it_grew_from_the_old_one(changed: int) -> None:
    leaves = [leaf_hash(entry) for entry in entries(11)]
    other = [*leaves[:changed], leaf_hash(b"another"), *leaves[changed + 1 :]]
    path = consistency_path(tree_of(other[:7]), 11, iter(other[7:]))
    old = root_of(leaves[:7])
    assert roots_from_consistency(7, 11, old, path) != (old, root_of(other))


def test_a_proof_that_a_tree_grew_of_the_wrong_length_or_sizes_is_refused() -> None:
    leaves = [leaf_hash(entry) for entry in entries(7)]
    path = consistency_path(tree_of(leaves[:3]), 7, iter(leaves[3:]))
    with pytest.raises(ValueError, match="4 hashes, not 3"):
        roots_from_consistency(3, 7, root_of(leaves[:3]), path[:-1])
    for old, new in ((0, 7), (8, 7)):
        with pytest.raises(ValueError, match="does not begin"):
            roots_from_consistency(old, new, root_of(leaves), path)


def tree_of(leaves: list[bytes]) -> Frontier:
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf)
    return tree
