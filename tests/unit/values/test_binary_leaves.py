"""Large binary leaves are found in serialised bytes."""

from __future__ import annotations

import random
from array import array
from typing import Any

import pytest

from ckptstore.records import Value
from ckptstore.values.binary_leaves import locate_leaves, walk_large_leaves
from ckptstore.values.chunking import BLOB_BYTES
from ckptstore.values.digests import compact_digest_of
from tests.support.cuts import check
from tests.support.serialised import SERIALISERS, serialised


def found(value: Any, data: bytes) -> list[bytes]:
    """What lies between the cuts."""
    cuts = locate_leaves(walk_large_leaves(value), data)
    assert cuts == sorted(cuts)
    return [data[start:end] for start, end in zip(cuts[::2], cuts[1::2], strict=True)]


def leaf(seed: int, size: int = BLOB_BYTES) -> bytes:
    return random.Random(seed).randbytes(size)


OWN_HEADER = b"\xc6\x00\x01\x00\x00"


HOSTILE: dict[str, list[bytes]] = {
    "zeros": [bytes(BLOB_BYTES)],
    "zeros twice": [bytes(BLOB_BYTES), bytes(BLOB_BYTES)],
    "zeros of growing length": [bytes(BLOB_BYTES + n) for n in range(4)],
    "zeros of shrinking length": [bytes(BLOB_BYTES + n) for n in (3, 2, 1, 0)],
    "its own header again and again": [OWN_HEADER * 20_000],
    "equal": [leaf(1), leaf(1), leaf(1)],
    "one within the next": [leaf(1), leaf(2) + leaf(1) + leaf(3)],
    "one within the last": [leaf(2) + leaf(1) + leaf(3), leaf(1)],
    "one that begins as the next": [leaf(1), leaf(1) + leaf(2)],
    "one that begins as the last": [leaf(1) + leaf(2), leaf(1)],
    "one that ends as the next begins": [leaf(2) + leaf(1), leaf(1) + leaf(3)],
}


@pytest.mark.parametrize("serialiser", SERIALISERS)
def test_every_large_leaf_is_found_in_its_order(serialiser: str) -> None:
    first, second, third, fourth = (leaf(n, BLOB_BYTES + n) for n in range(4))
    value = {
        "a": first,
        "deep": [{"b": (second, "text", leaf(9, 1_000))}, "x"],
        "c": bytearray(third),
        "d": leaf(8, BLOB_BYTES - 1),
        "e": fourth,
    }
    assert found(value, SERIALISERS[serialiser](value)) == [first, second, third, fourth]


@pytest.mark.parametrize("serialiser", ["JsonPlusSerializer", "its own"])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_leaves_with_hostile_contents_are_found(serialiser: str, hostile: str) -> None:
    leaves = HOSTILE[hostile]
    data = SERIALISERS[serialiser](leaves)
    assert found(leaves, data) == leaves
    assert {compact_digest_of(each) for each in leaves} <= check(
        Value("mine", data, locate_leaves(walk_large_leaves(leaves), data))
    ).segments.keys()


def test_a_leaf_behind_many_like_it_costs_only_itself() -> None:
    decoys = [leaf(1)[:100]] * 1_000
    value = {"decoys": decoys, "hidden": leaf(1), "plain": leaf(2)}
    assert found(value, serialised(value)) in ([leaf(1), leaf(2)], [leaf(2)])


def test_a_leaf_that_was_serialised_as_something_else_is_left_out() -> None:
    assert found([leaf(1), leaf(2)], leaf(3) + leaf(2)) == [leaf(2)]
    assert found([leaf(1)], leaf(1)[:-1]) == []
    assert found([leaf(1)], b"") == []


class Searched(bytes):
    """Bytes that count how much of them was searched."""

    searched = 0

    def find(self, *args: Any) -> int:
        at = super().find(*args)
        self.searched += (len(self) if at < 0 else at) - args[1]
        return at


def test_leaves_that_are_not_in_the_bytes_are_not_searched_for_one_by_one() -> None:
    # As under encryption: hundreds of leaves, and none of them is there.
    leaves = [n.to_bytes(8) * (BLOB_BYTES // 8) for n in range(300)]
    ciphertext = Searched(leaf(0, 300 * BLOB_BYTES))
    assert locate_leaves(leaves, ciphertext) == []
    assert ciphertext.searched < 50 * len(ciphertext)


@pytest.mark.parametrize(
    "view",
    [
        memoryview(array("d", range(20_000))),
        memoryview(leaf(1, 2 * BLOB_BYTES))[::2],
        memoryview(leaf(1))[::-1],
        memoryview(leaf(1, 1 << 17)).cast("B", (1 << 8, 1 << 9)),
        memoryview(bytearray(leaf(1))),
    ],
    ids=["of floats", "every other byte", "backwards", "of two dimensions", "writable"],
)
def test_a_view_of_any_shape_is_found_by_its_bytes(view: memoryview) -> None:
    data = b"head" + view.tobytes() + b"tail"
    assert found({"view": [view]}, data) == [view.tobytes()]


def test_a_small_view_is_no_large_leaf() -> None:
    assert list(walk_large_leaves([memoryview(array("d", range(8_000))), memoryview(b"")])) == []
