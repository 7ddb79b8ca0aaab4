"""The change of keys in SECURITY.md runs as it is written."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.errors import SerializationFailed
from tests.support.build import chain, config
from tests.support.documents import python_blocks

_PAGE = Path(__file__).parents[2] / "SECURITY.md"


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The module of the page, importable, as the page calls it."""
    (source,) = [block for block in python_blocks(_PAGE) if "key_ring" in block]
    path = tmp_path / source.splitlines()[0].removeprefix("# ")
    path.parent.mkdir()
    path.write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OLD_KEY", "00" * 32)
    monkeypatch.setenv("NEW_KEY", "11" * 32)
    for name in ("my_app", "my_app.keys"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "my_app.keys"


async def test_the_key_of_a_store_in_use_is_changed(keys: str, lasting_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(keys)
    monkeypatch.setenv("CKPTSTORE_DATABASE_URL", lasting_url)
    async with SQLAlchemySaver.from_conn_string(lasting_url, serde=module.old) as saver:
        await chain(saver, "t", 3)
    (command,) = re.findall(r"\$ ckptstore (reencrypt .*)", _PAGE.read_text())
    async with SQLAlchemySaver.from_conn_string(lasting_url, serde=module.both) as saver:
        await chain(saver, "u", 2)
        done = CliRunner().invoke(main, shlex.split(command))
        assert done.exit_code == 0, done.output
        assert len(await saver.alist(None)) == 5
    async with SQLAlchemySaver.from_conn_string(lasting_url, serde=module.new) as saver:
        assert len(await saver.alist(None)) == 5
    async with SQLAlchemySaver.from_conn_string(lasting_url, serde=module.old) as saver:
        with pytest.raises(SerializationFailed):
            await saver.aget_tuple(config("t"))
