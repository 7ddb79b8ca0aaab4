"""One way in: the constructor runs whatever a saver is made from, and refuses what is no engine at once."""

from __future__ import annotations

import sqlite3
import warnings
from pathlib import Path
from typing import Any, Unpack, get_type_hints

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from ckptstore import SaverOptions, SQLAlchemySaver, TagKeys
from ckptstore.errors import CkptStoreError, InvalidConfig, InvalidEngine, InvalidPolicy
from ckptstore.langgraph.database import OwnDatabase
from tests.support.build import config, put


class TenantSaver(SQLAlchemySaver):
    """A user's subclass with an argument of its own."""

    def __init__(self, engine: AsyncEngine | OwnDatabase, *, tenant: str, **options: Unpack[SaverOptions]) -> None:
        super().__init__(engine, **options)
        self.tenant = tenant


async def test_a_subclass_has_its_own_arguments_whatever_it_is_made_from(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    keys = TagKeys(include=("source",))
    from_url: Any = TenantSaver.from_conn_string
    async with from_url(path, tenant="a", tag_keys=keys) as saver:
        assert (type(saver), saver.tenant, saver.tag_keys) == (TenantSaver, "a", keys)
        stored = await put(saver, config("t"))
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", poolclass=NullPool)
    async with TenantSaver(engine, tenant="b", tag_keys=keys) as saver:
        assert saver.tenant == "b"
        assert await saver.aget_tuple(stored) is not None


async def test_a_url_object_is_a_connection_string(tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(make_url(f"sqlite:///{tmp_path}/c.sqlite")) as saver:
        await put(saver, config("t"))
    assert (tmp_path / "c.sqlite").exists()


@pytest.mark.parametrize("make", [SQLAlchemySaver, SQLAlchemySaver.from_conn_string], ids=["constructor", "from_conn_string"])
def test_an_unknown_option_is_refused_by_name(make: Any) -> None:
    first = ":memory:" if make == SQLAlchemySaver.from_conn_string else create_async_engine("sqlite+aiosqlite://")
    with pytest.raises(TypeError, match="no option 'blob_ur'; its options are blob_url"):
        make(first, blob_ur="blobs")


@pytest.mark.parametrize("first", [":memory:", create_async_engine("sqlite+aiosqlite://")], ids=["URL", "engine"])
def test_options_that_make_no_sense_are_refused_in_both_ways(first: Any) -> None:
    make: Any = SQLAlchemySaver.from_conn_string if isinstance(first, str) else SQLAlchemySaver
    with pytest.raises(InvalidConfig, match="no schemas"):
        make(first, schema="tenant")
    with pytest.raises(InvalidPolicy):
        make(first, retention={"max_ag": "30d"})


def test_every_option_is_documented() -> None:
    source = Path(str(__import__("ckptstore.langgraph.options", fromlist=["x"]).__file__)).read_text()
    for name in get_type_hints(SaverOptions):
        _, _, after = source.partition(f"\n    {name}: ")
        assert after.partition("\n")[2].startswith('    """'), f"{name} has no docstring"


def wrong_first_arguments(folder: Path) -> dict[str, tuple[Any, str]]:
    psycopg = pytest.importorskip("psycopg")
    return {
        "path": (folder / "a.sqlite", "from_conn_string"),
        "URL": ("postgresql://user:secret@host/db", "from_conn_string"),
        "URL object": (make_url("postgresql://user:secret@host/db"), "from_conn_string"),
        "None": (None, "from_conn_string"),
        "sqlite3 connection": (sqlite3.connect(":memory:"), "from_conn_string.*create_async_engine"),
        "psycopg connection": (psycopg.Connection.__new__(psycopg.Connection), "psycopg.Connection; .*from_conn_string"),
        "synchronous engine": (create_engine("sqlite://"), "create_async_engine"),
        "connection": (create_engine("sqlite://").connect(), "create_async_engine"),
        "class": (SQLAlchemySaver, "create_async_engine"),
    }


def test_a_wrong_first_argument_is_refused_at_once(tmp_path: Path) -> None:
    for given, says in wrong_first_arguments(tmp_path).values():
        with pytest.raises(InvalidEngine, match=says) as caught:
            SQLAlchemySaver(given)
        assert "secret" not in str(caught.value)
        assert isinstance(caught.value, TypeError)
        assert isinstance(caught.value, CkptStoreError)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (create_async_engine("sqlite+aiosqlite://"), r"SQLAlchemySaver\(engine\)"),
        (create_engine("sqlite://"), "create_async_engine"),
        (None, "got None; give text"),
        (sqlite3.connect(":memory:"), "sqlite3.Connection; give text"),
    ],
)
def test_a_connection_string_that_is_none_is_refused_at_once(given: Any, says: str) -> None:
    with pytest.raises(InvalidEngine, match=says):
        SQLAlchemySaver.from_conn_string(given)


async def test_a_blob_that_is_put_and_not_awaited_warns(tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite") as saver:
        with pytest.warns(RuntimeWarning, match=r"operation 'blobs\.put' was never awaited"):
            saver.blobs.put(b"content")
        with pytest.warns(RuntimeWarning, match="operation 'setup' was never awaited"):
            saver.setup()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await saver.setup()
            assert await saver.blobs.get(await saver.blobs.put(b"content")) == b"content"
            # A listing is an iterable: one that nobody iterates over is no mistake.
            saver.alist(None)


def test_setup_in_plain_code_runs_at_once(tmp_path: Path) -> None:
    with warnings.catch_warnings(), SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite") as saver:
        warnings.simplefilter("error")
        saver.setup()
        assert (tmp_path / "c.sqlite").exists()
