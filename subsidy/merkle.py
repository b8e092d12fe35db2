"""The Merkle tree of RFC 9162 (as RFC 6962): hashes of leaves and nodes, proofs, and how anybody checks them.

Standard library only. A tree stands over leaves 0 … size − 1; proofs are lists of hashes, lowest first, as in the RFC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

EMPTY = hashlib.sha256().digest()
Range = tuple[int, int]  # leaves from … up to, the last excluded


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf; its prefix keeps a node from passing for a leaf."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over its two subtrees."""
    return hashlib.sha256(b"\1" + left + right).digest()


def joined(subtrees: Sequence[bytes]) -> bytes:
    """Return the hash over adjoining whole subtrees of falling size, as the tree joins them: from the right."""
    if not subtrees:
        return EMPTY
    whole = subtrees[-1]
    for left in reversed(subtrees[:-1]):
        whole = node_hash(left, whole)
    return whole


@dataclass(slots=True)
class Peaks:
    """The right edge of a growing tree: the whole subtrees its leaves fall into, largest first."""

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add one leaf's hash; return (level, number, hash) of every whole subtree that it completes, above itself."""
        number, level, made = self.size, 0, []
        self.hashes.append(leaf)
        while number & 1:
            right = self.hashes.pop()
            self.hashes[-1] = node_hash(self.hashes[-1], right)
            number, level = number >> 1, level + 1
            made.append((level, number, self.hashes[-1]))
        self.size += 1
        return made

    def root(self) -> bytes:
        """Return the root of the tree as it stands."""
        return joined(self.hashes)


def subtrees(span: Range) -> Iterator[tuple[int, int]]:
    """Yield (level, number) of the whole subtrees that a range of a proof, or a whole tree, falls into."""
    start, end = span
    while start < end:
        level = (end - start).bit_length() - 1
        while start % (1 << level):
            level -= 1
        yield level, start >> level
        start += 1 << level


def inclusion_ranges(leaf: int, size: int) -> list[Range]:
    """Return the ranges whose hashes prove that ``leaf`` stands in the tree of ``size`` leaves."""
    assert 0 <= leaf < size, "a leaf of the tree"
    ranges: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if leaf < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """Return the ranges whose hashes prove that the tree of ``first`` leaves is the beginning of that of ``second``."""
    assert 0 < first <= second, "an older tree that is not empty"
    ranges: list[Range] = []
    start, end, whole = 0, second, True
    while end != first:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, whole = middle, False
    if not whole:
        ranges.append((start, end))
    return ranges[::-1]


def hash_of(span: Range, subtree: Callable[[int, int], bytes]) -> bytes:
    """Return the hash over a range; ``subtree`` gives that of a whole subtree by level and number."""
    return joined([subtree(level, number) for level, number in subtrees(span)])


def proves_inclusion(*, leaf_sha256: bytes, leaf: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether ``proof`` shows that the leaf stands at ``leaf`` in the tree with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= leaf < size:
        return False
    number, last, computed = leaf, size - 1, leaf_sha256
    for sibling in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            computed = node_hash(sibling, computed)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and computed == root


def proves_consistency(
    *, first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Say whether ``proof`` shows that the second tree begins with the whole first one (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        return False
    number, last = first - 1, second - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    older = newer = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and older == first_root and newer == second_root
