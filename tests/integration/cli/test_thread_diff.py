"""`ckptstore threads diff`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from tests.support.build import checkpoint, config, metadata
from tests.support.conversations import converse


def run(url: str, *arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(main, ["threads", "diff", "--url", url, *arguments])


def test_two_checkpoints_of_a_conversation(lasting_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        base = converse(saver)["configurable"]["checkpoint_id"]
        newest = saver.get_tuple(config("ann"))
    assert newest is not None
    last = newest.checkpoint["id"]
    done = run(lasting_url, "ann", base, last)
    assert done.exit_code == 0, done.output
    assert "messages  2 added\n  + [2]  human: And in Rome?\n  + [3]  tool: Sunny.\n" in done.stdout
    assert "unchanged: count" in done.stdout
    found = json.loads(run(lasting_url, "ann", base, last, "--json").stdout)
    assert [change["path"] for change in found["channels"]["messages"]["changes"]] == [[2], [3]]
    assert found["channels"]["verdict"]["kind"] == "added"
    assert {"path": ["step"], "kind": "changed", "before": 1, "after": 3} in found["metadata"]
    assert "no differences" in run(lasting_url, "ann", base, base).stdout


async def test_texts_of_several_lines_are_compared_by_lines(sqlite_url: str) -> None:
    texts = {"a": "one\ntwo\nthree\n" + "same\n" * 20, "b": "one\n2\x1b[1m\nthree\n" + "same\n" * 20}
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        for id_, text in texts.items():
            made: Any = {"text": text, "n": {"x y": id_}, "long": "same " * 200 + {"a": "begins", "b": "ends"}[id_]}
            made = checkpoint(made, dict.fromkeys(made, id_), id=id_)
            await saver.aput(config("t"), made, metadata(), made["channel_versions"])
    text = run(sqlite_url, "t", "a", "b").stdout
    assert "-two" in text
    assert "+2\\x1b[1m" in text
    assert text.partition("\nlong")[2].count("same\n") == 0
    assert '["x y"]  "a" -> "b"' in text
    # Long texts of one line are shown from where they differ.
    assert 'begins"' in text
    assert 'ends"' in text


@pytest.mark.parametrize(("ids", "said"), [(["nope", "a"], "has no checkpoint 'nope'"), (["a", "nope"], "has no checkpoint 'nope'")])
async def test_a_checkpoint_that_does_not_exist_is_a_sentence(sqlite_url: str, ids: list[str], said: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        made = checkpoint({"n": 1}, id="a")
        await saver.aput(config("t"), made, metadata(), made["channel_versions"])
    done = run(sqlite_url, "t", *ids)
    assert (done.exit_code, said in done.output) == (1, True), done.output
