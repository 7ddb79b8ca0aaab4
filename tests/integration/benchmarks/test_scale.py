"""The arithmetic of growth is made from a real store."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import asyncpg
import pytest

from benchmarks.contenders import CKPTSTORE_POSTGRES, contenders
from benchmarks.scale import fill as filling
from benchmarks.scale.__main__ import main
from benchmarks.scale.page import BEGIN, END
from ckptstore import SQLAlchemySaver

pytestmark = pytest.mark.starts_processes


def test_two_small_stores_are_measured_and_written_down(postgres_url: str, tmp_path: Path) -> None:
    results, page = tmp_path / "scale.json", tmp_path / "scale.md"
    page.write_text(f"# Scale\n{BEGIN}\n{END}\n", encoding="utf-8")
    options = ["--postgres", postgres_url, "--steps", "50", "--results", str(results), "--page", str(page)]
    main(["--sizes", "200", *options])
    main(["--sizes", "400", *options])
    record = json.loads(results.read_text(encoding="utf-8"))
    assert [each["checkpoints"] for each in record["measured"]] == [200, 400]
    smaller, larger = record["measured"]
    assert {"ckpt_checkpoint", "ckpt_checkpoint_pkey", "ckpt_tag_posting"} <= larger["parts"].keys()
    assert larger["parts"]["ckpt_checkpoint"]["rows"] == 400
    assert sum(part["bytes"] for part in larger["parts"].values()) > sum(part["bytes"] for part in smaller["parts"].values())
    for load in larger["loads"].values():
        assert load["per_second"] > 0
        assert load["log_bytes"] > 1_000
        # The first step of a thread inserts its row.
        assert 1.0 <= load["updates"]["ckpt_thread"] <= 2.0
    assert larger["loads"]["50"]["commits"] < larger["loads"]["1"]["commits"]
    assert "Made from the 200 checkpoints, and checked against the 400" in page.read_text(encoding="utf-8")
    main(["--sizes", "400", "--freezing", *options])
    again = json.loads(results.read_text(encoding="utf-8"))["measured"][1]
    assert again == {**larger, "freeze_all": again["freeze_all"]}
    for one in (larger, again):
        # Every page of every table is new to it.
        assert one["freeze_all"]["log_bytes"] > 0
        assert one["freeze_all"]["pages"] > larger["parts"]["ckpt_checkpoint"]["bytes"] / 8192
    with pytest.raises(SystemExit, match="no 800 checkpoints"):
        main(["--sizes", "800", "--freezing", *options])


async def test_copies_are_checkpoints_like_any_other(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "_ENCODED", 5_000)
    (contender,) = [each for each in contenders(postgres_url)[0] if each.name == CKPTSTORE_POSTGRES]
    async with contender:
        assert contender.database is not None
        connection = await asyncpg.connect(contender.database.url)
        await filling.fill(contender, 10_000, connection)
        await connection.close()
        saver = contender.saver
        assert isinstance(saver, SQLAlchemySaver)
        assert (await saver.averify(deep=True)).ok
        threads = [thread async for thread in saver.alist_threads()]
        assert [thread.checkpoints for thread in threads] == [10] * 1_000
        found = [each async for each in saver.alist({"configurable": {"thread_id": threads[0].thread_id}})]
        metadata = [dict(each.metadata) for each in found]
        assert [each["step"] for each in metadata] == [*range(9, -1, -1)]
        assert len({each["user"] for each in metadata}) == 1
        assert all(each.parent_config == before.config for each, before in pairwise(found))


def test_the_page_is_made_from_the_record_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = Path(__file__).parents[3] / "benchmarks" / "scale" / "measured.json"
    main(["--sizes", "--results", str(results), "--gigabyte", "0.5"])
    assert "at $0.5 for a GB" in capsys.readouterr().out
