from __future__ import annotations

import pytest

from ckptstore.records import Posting
from ckptstore.writes import sent_tags
from ckptstore.writes.sent_tags import in_order

SOURCE, STEP, RUN = Posting("source", "sloop"), Posting("step", "n1"), Posting("run_id", "sa")


@pytest.fixture(autouse=True)
def nothing_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent_tags, "_known", set())


def test_what_was_not_sent_yet_comes_last() -> None:
    in_order(frozenset({SOURCE, STEP}))
    found = list(in_order(frozenset({SOURCE, RUN, STEP})))
    assert (set(found), found[-1]) == ({SOURCE, STEP, RUN}, RUN)
    other = Posting("run_id", "sb")
    assert list(in_order(frozenset({other, RUN, STEP})))[-1] == other


def test_no_more_are_known_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent_tags, "_MOST_KNOWN", 2)
    for number in range(10):
        in_order(frozenset({Posting("run_id", f"s{number}")}))
        assert len(sent_tags._known) <= 2
