from __future__ import annotations

from ckptstore.records import CheckpointKey
from ckptstore.transfer.sample import Sample


def test_a_sample_is_spread_over_all_that_it_was_shown() -> None:
    sample = Sample()
    sample.add(CheckpointKey("t", "", str(number)) for number in range(30))
    assert len(sample.keys) == 30
    sample.add(CheckpointKey("t", "", str(number)) for number in range(30, 2_000))
    chosen = sorted(int(key.checkpoint_id) for key in sample.keys)
    assert len(set(chosen)) == 50
    assert chosen[0] < 500 < 1_500 < chosen[-1]
