"""The Merkle tree of RFC 6962, section 2.1, over SHA-256: leaf hashes, roots, inclusion proofs; O(log n) memory."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Hash a leaf: SHA-256(0x00 || data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash an inner node: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that only grows, kept as the roots of its perfect subtrees, largest first."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if len(peaks) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} perfect subtrees, not {len(peaks)}.")
        self.size = size
        self.peaks = list(peaks)

    def append(self, leaf: bytes) -> None:
        """Add the next leaf hash."""
        node, size = leaf, self.size
        while size & 1:
            node = node_hash(self.peaks.pop(), node)
            size >>= 1
        self.peaks.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return the Merkle tree hash of all leaves so far."""
        if not self.peaks:
            return EMPTY_ROOT
        *others, node = self.peaks
        for peak in reversed(others):
            node = node_hash(peak, node)
        return node


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the Merkle tree hash of leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def proof_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Return the subtrees (first leaf, one past the last) whose roots prove leaf `index` in a tree of `size` leaves.

    They come in the order of RFC 6962, section 2.1.1: from the leaf upwards.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size} leaves.")
    ranges: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        split = start + (1 << (end - start - 1).bit_length() - 1)
        if index < split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((start, split))
            start = split
    return ranges[::-1]


def inclusion_path(index: int, size: int, leaves: Iterator[bytes]) -> list[bytes]:
    """Compute the audit path of leaf `index` from the tree's leaf hashes, read once and in order."""
    ranges = proof_ranges(index, size)
    roots: dict[tuple[int, int], bytes] = {}
    position = 0
    for start, end in sorted([*ranges, (index, index + 1)]):
        assert start == position
        roots[start, end] = root_of(next(leaves) for _ in range(start, end))
        position = end
    return [roots[part] for part in ranges]


def root_from_proof(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """Compute the root that an inclusion proof leads to; the proof holds if that is the signed root.

    Raises:
        ValueError: the path has not the length that this leaf and size need.

    """
    ranges = proof_ranges(index, size)
    if len(ranges) != len(path):
        raise ValueError(f"the proof of leaf {index} of {size} has {len(ranges)} hashes, not {len(path)}.")
    node = leaf
    for (start, _), sibling in zip(ranges, path, strict=True):
        node = node_hash(sibling, node) if start < index else node_hash(node, sibling)
    return node
