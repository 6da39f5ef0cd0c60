"""The Merkle tree of RFC 6962, section 2.1, over SHA-256: leaf hashes, roots, and both proofs; O(log n) memory."""

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


def consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """Return the subtrees whose roots prove that a tree of `new` leaves begins with that of `old`, lowest first.

    They are those of RFC 6962, section 2.1.2. Where `old` is a power of two, the old root itself is left out.
    """
    if not 1 <= old <= new:
        raise ValueError(f"a tree of {new} leaves does not begin with one of {old} leaves.")
    ranges: list[tuple[int, int]] = []
    start, end = 0, new
    while end > old:
        split = start + (1 << (end - start - 1).bit_length() - 1)
        if old <= split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((start, split))
            start = split
    if start:
        ranges.append((start, end))
    return ranges[::-1]


def consistency_path(old: Frontier, new: int, added: Iterator[bytes]) -> list[bytes]:
    """Compute the proof that a tree of `new` leaves begins with `old`, from the leaf hashes that were added since.

    All that the proof takes from the old tree are perfect subtrees of it, so its frontier is enough: O(new - old).
    """
    roots: dict[tuple[int, int], bytes] = {}
    position = 0
    for peak in old.peaks:
        length = 1 << (old.size - position).bit_length() - 1
        roots[position, position + length] = peak
        position += length
    ranges = consistency_ranges(old.size, new)
    for start, end in sorted(part for part in ranges if part[0] >= old.size):
        roots[start, end] = root_of(next(added) for _ in range(start, end))
    return [roots[part] for part in ranges]


def roots_from_consistency(old: int, new: int, old_root: bytes, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Compute the old and the new root that a consistency proof leads to; it holds if both are the signed ones.

    Raises:
        ValueError: the path has not the length that these sizes need.

    """
    ranges = consistency_ranges(old, new)
    if len(ranges) != len(path):
        raise ValueError(f"the proof from {old} to {new} leaves has {len(ranges)} hashes, not {len(path)}.")
    steps = list(zip(ranges, path, strict=True))
    node = old_root
    if steps and steps[0][0][1] == old:
        node = steps.pop(0)[1]
    first = second = node
    for (start, _), sibling in steps:
        if start < old:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
        else:
            second = node_hash(second, sibling)
    return first, second
