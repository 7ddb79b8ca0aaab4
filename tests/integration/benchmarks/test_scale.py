"""The arithmetic of growth is made from a real store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.scale.__main__ import main
from benchmarks.scale.page import BEGIN, END

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
    assert {"ckpt_checkpoint", "ckpt_checkpoint_pkey", "ckpt_tag"} <= larger["parts"].keys()
    assert larger["parts"]["ckpt_checkpoint"]["rows"] == 400
    assert sum(part["bytes"] for part in larger["parts"].values()) > sum(part["bytes"] for part in smaller["parts"].values())
    for load in larger["loads"].values():
        assert load["per_second"] > 0
        assert load["log_bytes"] > 1_000
        # The first step of a thread inserts its row.
        assert 1.0 <= load["updates"]["ckpt_thread"] <= 2.0
    assert larger["loads"]["50"]["commits"] < larger["loads"]["1"]["commits"]
    assert "Made from the 200 checkpoints, and checked against the 400" in page.read_text(encoding="utf-8")


def test_the_page_is_made_from_the_record_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = Path(__file__).parents[3] / "benchmarks" / "scale" / "measured.json"
    main(["--sizes", "--results", str(results), "--gigabyte", "0.5"])
    assert "at $0.5 for a GB" in capsys.readouterr().out
