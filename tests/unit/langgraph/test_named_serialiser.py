"""The serialisers that a command line names, and the one that a saver has of itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig
from ckptstore.langgraph.named_serialiser import default_serialiser, load_serialiser

MODULE = """
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer as Class

made = Class()
number = 5

def make():
    return made
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "application_keys.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "application_keys", raising=False)
    return tmp_path


def test_without_a_name_it_is_that_of_a_saver_that_is_given_none() -> None:
    with SQLAlchemySaver.from_conn_string(":memory:") as saver:
        assert type(default_serialiser()) is type(saver.serde)


@pytest.mark.parametrize("name", ["made", "make"])
def test_an_object_or_what_a_function_returns_is_the_serialiser(folder: Path, name: str) -> None:
    path = list(sys.path)
    found = load_serialiser(f"application_keys:{name}")
    assert found.loads_typed(found.dumps_typed("text")) == "text"
    assert sys.path == path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("application_keys:missing", "can't be imported.*module:object"),
        ("no_such_module:made", "can't be imported"),
        ("application_keys", "module:object"),
        (":made", "module:object"),
        ("application_keys:number", "is no serialiser, it is of type int"),
    ],
)
def test_what_is_no_serialiser_is_refused_by_name(folder: Path, name: str, says: str) -> None:
    with pytest.raises(InvalidConfig, match=says):
        load_serialiser(name)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("import os\n\nmade = os.environ['CKPTSTORE_TEST_NO_SUCH_KEY']", "KeyError: 'CKPTSTORE_TEST_NO_SUCH_KEY'"),
        ("def made(:", "SyntaxError: "),
        ("def made():\n    raise OSError('no key file')", "OSError: no key file"),
    ],
)
def test_a_module_that_fails_is_no_traceback(folder: Path, content: str, says: str) -> None:
    (folder / "application_keys.py").write_text(content)
    with pytest.raises(InvalidConfig, match=f"'application_keys:made' can't be imported .{says}"):
        load_serialiser("application_keys:made")
