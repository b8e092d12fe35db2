"""The tree against the RFC's own definition, written recursively, and every proof that must not pass."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subsidy.merkle import (
    EMPTY,
    Peaks,
    consistency_ranges,
    hash_of,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    proves_consistency,
    proves_inclusion,
    subtrees,
)

LARGEST = 40
LEAVES = [leaf_hash(b"leaf %d" % number) for number in range(LARGEST)]


def tree(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\1" + tree(leaves[:split]) + tree(leaves[split:])).digest()


def stored(level: int, number: int) -> bytes:
    return tree(LEAVES[number << level : number + 1 << level])


def inclusion(leaf: int, size: int) -> list[bytes]:
    return [hash_of(span, stored) for span in inclusion_ranges(leaf, size)]


def consistency(first: int, second: int) -> list[bytes]:
    return [hash_of(span, stored) for span in consistency_ranges(first, second)]


def test_a_growing_tree_has_the_roots_of_the_definition() -> None:
    peaks = Peaks()
    assert peaks.root() == EMPTY
    for size, leaf in enumerate(LEAVES, start=1):
        for level, number, sha256 in peaks.append(leaf):
            assert sha256 == stored(level, number)
        assert peaks.root() == tree(LEAVES[:size]) == hash_of((0, size), stored)
        assert peaks.hashes == [stored(*at) for at in subtrees((0, size))]


def test_known_answers_of_the_rfcs_hashes() -> None:
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert node_hash(leaf_hash(b""), leaf_hash(b"\0")).hex().startswith("fac54203e7cc696cf0dfcb42c92a1d9d")


def test_every_inclusion_is_proved_and_no_other() -> None:
    for size in range(1, LARGEST + 1):
        root = tree(LEAVES[:size])
        for leaf in range(size):
            proof = inclusion(leaf, size)
            known = {"leaf_sha256": LEAVES[leaf], "leaf": leaf, "size": size, "root": root}
            assert proves_inclusion(proof=proof, **known)
            assert not proves_inclusion(proof=[*proof, EMPTY], **known)
            assert not proof or not proves_inclusion(proof=proof[:-1], **known)
            assert not proves_inclusion(proof=proof, **known | {"leaf_sha256": EMPTY})
            assert not proves_inclusion(proof=proof, **known | {"root": EMPTY})
            assert size == 1 or not proves_inclusion(proof=proof, **known | {"leaf": (leaf + 1) % size})
    assert not proves_inclusion(leaf_sha256=LEAVES[0], leaf=1, size=1, proof=[], root=LEAVES[0])


def test_every_beginning_is_proved_and_no_other() -> None:
    for second in range(1, LARGEST + 1):
        for first in range(1, second + 1):
            proof = consistency(first, second)
            roots = {"first_root": tree(LEAVES[:first]), "second_root": tree(LEAVES[:second])}
            sizes = {"first": first, "second": second}
            assert proves_consistency(proof=proof, **sizes, **roots)
            assert not proves_consistency(proof=[*proof, EMPTY], **sizes, **roots)
            assert not proves_consistency(proof=proof, **sizes, **roots | {"first_root": EMPTY})
            assert not proves_consistency(proof=proof, **sizes, **roots | {"second_root": EMPTY})
            assert not proof or not proves_consistency(proof=proof[:-1], **sizes, **roots)
    assert not proves_consistency(first=0, first_root=EMPTY, second=1, second_root=LEAVES[0], proof=[])


@given(st.integers(2, LARGEST), st.data())
def test_one_flipped_bit_breaks_a_proof(size: int, data: st.DataObject) -> None:
    leaf = data.draw(st.integers(0, size - 1))
    proof = inclusion(leaf, size)
    at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    broken = bytearray(proof[at])
    broken[bit // 8] ^= 1 << bit % 8
    proof[at] = bytes(broken)
    root = tree(LEAVES[:size])
    assert not proves_inclusion(leaf_sha256=LEAVES[leaf], leaf=leaf, size=size, proof=proof, root=root)


@pytest.mark.parametrize("size", [1, 7, 8, 1_000_000])
def test_proofs_stay_short(size: int) -> None:
    assert len(inclusion_ranges(size - 1, size)) <= 20
    assert len(inclusion_ranges(0, size)) <= 20
    assert len(consistency_ranges((size + 1) // 2, size)) <= 21
