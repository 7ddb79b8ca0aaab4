"""`ckptstore threads state`."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from tests.support.build import checkpoint, config, metadata, put
from tests.support.conversations import FILE, converse
from tests.support.serialisers import Pickling, encrypting


def run(url: str, *arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(main, ["threads", "state", "--url", url, *arguments])


def test_the_newest_state_of_a_conversation(lasting_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        converse(saver)
    done = run(lasting_url, "ann")
    assert done.exit_code == 0, done.output
    text = done.stdout
    assert '  - human: What is the weather? \\x1b[31m\n  - ai: I\'ll look. -> search(q="weather")\n  - human: And in Rome?' in text
    assert 'Verdict(text="fine")' in text
    assert 'value: {question: "really?"}' in text
    assert ("in blob storage" in text) == (not lasting_url.startswith("postgresql"))
    found = json.loads(run(lasting_url, "ann", "--json").stdout)
    assert found["channels"]["file"]["value"]["$bytes"] == len(FILE)
    assert found["channels"]["verdict"]["value"] == {"$type": "tests.support.conversations.Verdict", "fields": {"text": "fine"}}
    assert [message["role"] for message in found["channels"]["messages"]["value"]] == ["human", "ai", "human", "tool"]
    assert found["writes"][0]["channel"] == "__interrupt__"


async def test_what_is_shared_with_the_parent_is_said(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        lines = [f"line {number} of a note that grows" for number in range(4_000)]
        first = checkpoint(
            {"notes": lines[:3_900], "kept": "a text of more than thirty-two characters"}, {"notes": "00000001.a", "kept": "00000001.a"}
        )
        where = await saver.aput(config("t"), first, metadata(), first["channel_versions"])
        second = checkpoint(
            {"notes": lines, "kept": "a text of more than thirty-two characters"}, {"notes": "00000002.a", "kept": "00000001.a"}
        )
        await saver.aput(where, second, metadata(1), {"notes": "00000002.a"})
    text = run(lasting_url, "t").stdout
    assert "unchanged: stored once" in text
    assert "shared with its parent" in text
    channels = json.loads(run(lasting_url, "t", "--json").stdout)["channels"]
    assert channels["kept"]["shared"] == {"is_unchanged": True, "bytes": 0}
    assert channels["notes"]["size"] / 2 < channels["notes"]["shared"]["bytes"] < channels["notes"]["size"]
    at_first = json.loads(run(lasting_url, "t", "--at", first["id"], "--json").stdout)["channels"]
    assert at_first["notes"]["shared"] is None


def test_no_class_is_imported(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shop.py").write_text("from dataclasses import dataclass\n@dataclass\nclass Order:\n    amount: int\n")
    import shop  # type: ignore[import-not-found]

    with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        made = checkpoint({"order": shop.Order(3)})
        saver.put(config("t"), made, metadata(), made["channel_versions"])
    del sys.modules["shop"]
    assert "Order(amount=3)" in run(sqlite_url, "t").stdout
    assert "shop" not in sys.modules


async def test_a_checkpoint_is_named_by_the_beginning_of_its_id(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        for name in ("aa1", "aa2"):
            made = checkpoint({"n": name}, id=name)
            await saver.aput(config("t"), made, metadata(), made["channel_versions"])
    assert json.loads(run(sqlite_url, "t", "--at", "aa1", "--json").stdout)["channels"]["n"]["value"] == "aa1"
    assert json.loads(run(sqlite_url, "t", "--json").stdout)["checkpoint_id"] == "aa2"
    for given, said in (("aa", "several checkpoints begin with 'aa': 'aa1' "), ("b", "has no checkpoint 'b'"), ("", "several")):
        done = run(sqlite_url, "t", "--at", given)
        assert (done.exit_code, said in done.output) == (1, True), done.output
    assert "no channel 'x'; it has n" in run(sqlite_url, "t", "--channel", "x").output
    assert "has no checkpoint in namespace 'sub'" in run(sqlite_url, "t", "--ns", "sub").output


async def test_what_can_not_be_shown_says_why_and_the_rest_is_shown(sqlite_url: str, tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await put(saver, config("t"), {"n": [1, 2], "file": FILE})
    shutil.rmtree(f"{sqlite_url}.blobs")
    done = run(sqlite_url, "t")
    assert done.exit_code == 0, done.output
    assert "<not shown: object" in done.stdout
    assert "[1, 2]" in done.stdout
    elsewhere = run(sqlite_url, "t", "--blob-url", str(tmp_path / "nowhere"))
    assert (elsewhere.exit_code, "<not shown: " in elsewhere.stdout) == (0, True)


async def test_encrypted_values_need_the_key(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url, serde=encrypting()) as saver:
        await put(saver, config("t"), {"n": 1, "word": [1, "hidden"]})
    without = json.loads(run(sqlite_url, "t", "--json").stdout)["channels"]
    assert without.keys() == {"n", "word"}
    (of_tree,) = json.loads(CliRunner().invoke(main, ["threads", "show", "--url", sqlite_url, "t", "--json"]).stdout)["checkpoints"]
    assert f"stored {of_tree['created_at'][:19].replace('T', ' ')} (UTC)" in run(sqlite_url, "t").stdout
    assert all("--serde" in each["value"]["$not_shown"] for each in without.values())
    given = json.loads(run(sqlite_url, "t", "--json", "--serde", "tests.support.serialisers:encrypting").stdout)["channels"]
    assert {name: each["value"] for name, each in given.items()} == {"n": 1, "word": [1, "hidden"]}
    plain = run(sqlite_url, "t", "--serde", "langgraph.checkpoint.serde.jsonplus:JsonPlusSerializer")
    assert (plain.exit_code, "does not encrypt" in plain.output) == (1, True)
    missing = run(sqlite_url, "t", "--serde", "no_such_module:x")
    assert (missing.exit_code, "can't be imported" in missing.output) == (1, True)


async def test_a_serialiser_of_ones_own_is_named(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url, serde=Pickling()) as saver:
        await put(saver, config("t"), {"n": [1]})
    found: dict[str, Any] = json.loads(run(sqlite_url, "t", "--json").stdout)
    assert "stored as 'pickled'" in found["channels"]["n"]["value"]["$not_shown"]


async def test_an_altered_row_is_a_sentence(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await put(saver, config("t"), {"n": [1]})
        saver.store.runner.write(lambda db: db.execute("UPDATE ckpt_channel SET type = 'json'")).result()
    done = run(sqlite_url, "t")
    assert (done.exit_code, "was altered" in done.output, isinstance(done.exception, SystemExit)) == (1, True, True)
