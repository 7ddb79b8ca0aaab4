"""Random names differ, whatever an application seeds."""

from __future__ import annotations

import random
from base64 import b64decode

from ckptstore.runtime.random_ids import random_bits, random_text


def test_a_text_is_base64_of_so_many_bytes() -> None:
    assert len(b64decode(random_text(9))) == 9
    assert len({random_text(9) for _ in range(1_000)}) == 1_000


def test_a_seed_of_the_application_repeats_nothing() -> None:
    random.seed(7)
    first = (random_text(9), random_bits(64))
    random.seed(7)
    assert (random_text(9), random_bits(64)) != first
