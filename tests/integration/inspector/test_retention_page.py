"""What a policy would delete."""

from __future__ import annotations

import json
import os
import re
import shlex

import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.errors import InvalidPolicy
from ckptstore.inspector.retention_page import OPTIONS, policy_of
from tests.support.build import chain
from tests.support.inspector import inspecting, text_of

EMPTY = dict.fromkeys(OPTIONS, "")


async def test_it_is_counted_and_the_command_deletes_it(lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for thread_id in ("a", "b"):
            await chain(saver, thread_id, 5)
        with inspecting(lasting_url) as client:
            page = client.get("/retention?keep_last=1")
            text = text_of(page.text)
            assert "Checkpoints 8 Of threads 2" in text
            command = re.search("(ckptstore prune .* --keep-last 1) ", text)
            assert command is not None
        assert len(await saver.alist(None)) == 10
        # As a shell would.
        monkeypatch.setenv("CKPTSTORE_DATABASE_URL", lasting_url)
        pasted = CliRunner().invoke(main, [*shlex.split(os.path.expandvars(command[1]))[1:], "--json"])
        assert json.loads(pasted.stdout)["checkpoints"] == 8
        assert len(await saver.alist(None)) == 2


def test_a_policy_that_keeps_all_says_so(sqlite_url: str) -> None:
    with inspecting(sqlite_url) as client:
        assert "Nothing would be deleted" in client.get("/retention?keep_last=3").text
        assert "No policy yet" in client.get("/retention").text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"older_than": "soon"}, '"Older than" must be a number of days, or text such as'),
        ({"idle_for": "-1d"}, '"Threads idle for" must be from 0 to 36600 days'),
        ({"keep_last": "x"}, '"Keep the newest" must be a whole number, got'),
        ({"keep_last": "0"}, '"Keep the newest" must be a whole number from 1'),
        ({"keep_tag": "{"}, '"Keep those with tags (JSON)" must be JSON'),
        ({"keep_tag": '{"a": 1}'}, 'never deletes anything: give "Older than", "Keep the newest" or "Threads idle for"'),
        ({"keep_tag": '{"keep_last": {"$near": 1}}', "keep_last": "1"}, "keep_last"),
        ({"older_than": "<script>"}, "<script>"),
    ],
)
def test_a_policy_that_can_not_be_read_is_a_sentence(sqlite_url: str, query: dict[str, str], said: str) -> None:
    with inspecting(sqlite_url) as client:
        answer = client.get("/retention", params=query)
        assert answer.status_code == 400
        (problem,) = re.findall('<p class="problem" role="alert">.*</p>', answer.text)
        assert said in text_of(problem)
        assert "<script>" not in problem


async def test_the_command_is_quoted_for_a_shell(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await chain(saver, "t", 2)
    with inspecting(sqlite_url) as client:
        given = {"older_than": "0d", "keep_tag": '{"a": "$(rm -rf)\'"}'}
        page = text_of(client.get("/retention", params=given).text)
        command = page[page.index("ckptstore prune") : page.index(" Keys")]
        assert shlex.split(command)[-1] == '{"a": "$(rm -rf)\'"}'


def test_policies() -> None:
    assert policy_of(EMPTY) is None
    found = policy_of({**EMPTY, "older_than": "30d", "keep_last": "2", "keep_tag": '{"pinned": true}'})
    assert found is not None
    assert (found.keep_last, found.keep_tags) == (2, ({"pinned": True},))
    with pytest.raises(InvalidPolicy):
        policy_of({**EMPTY, "keep_last": "9" * 30})
