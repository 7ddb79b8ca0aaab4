"""A bit that flips in the SQLite file: reads give what was stored or refuse, and a verification reports what reads can't notice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from tests.support.bit_flips import contents, flipped, outcomes_of
from tests.support.build import checkpoint, config, metadata
from tests.support.clocks import Clock
from tests.support.databases import url_of

FLIPS = 300
#: What may be found after a flip: a read can't notice that a row is missing whose key was altered.
ALLOWED = {"right", "refused", "missing"}


def fill(file: Path) -> None:
    """Three threads with values of each form and tasks' writes."""
    with SQLAlchemySaver.from_conn_string(str(file), clock=Clock()) as saver:
        for number in range(3):
            where = config(f"thread-{number}")
            for step in range(6):
                messages = [f"{each} of {number}: " * 20 for each in range(step + 3)]
                values = {"n": step, "text": f"{number} and {step}, " * 8, "messages": messages}
                versions = dict.fromkeys(values, f"{step + 1:010}.{'0' * 12}")
                # The same ids and times each time, so that a flip always hits the same place.
                made = checkpoint(values, versions, id=f"1f06{step:04}-{number:04}-6000-8000-000000000000", ts="2026-01-01T00:00:00+00:00")
                where = saver.put(where, made, metadata(step, user=f"ann-{number}"), made["channel_versions"])
                saver.put_writes(where, [("text", f"write {step} " * 4), ("n", step), ("messages", ["more " * 40] * 4)], f"task-{step}")


@pytest.mark.parametrize("seed", range(2))
def test_no_read_gives_a_wrong_value(request: pytest.FixtureRequest, tmp_path: Path, seed: int) -> None:
    file = Path(url_of("sqlite", request, tmp_path))
    fill(file)
    with SQLAlchemySaver.from_conn_string(str(file)) as saver:
        before = contents(saver)
        newest = {thread_id: max(each for thread, each in before if thread == thread_id) for thread_id, _ in before}
    assert len(before) == 18
    total: Counter[str] = Counter()
    for bit in flipped(file, FLIPS // 2, seed, tmp_path / "flipped.sqlite"):
        found = outcomes_of(tmp_path / "flipped.sqlite", before, newest)
        assert found.keys() <= ALLOWED, f"bit {bit % 8} of byte {bit // 8}: {found}"
        total += found
    # The test would show nothing if flips were not noticed, or if each made the whole file unreadable.
    assert total["right"] > 0
    assert total["refused"] > 0
