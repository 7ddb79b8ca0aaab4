"""A sealed store refuses every write, of savers that were open before, too, and goes on being read."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.errors import StoreMoved
from ckptstore.transfer.seal import Seal, read_seal, seal_store, unseal_store
from tests.support.build import checkpoint, config, metadata
from tests.support.transfers import contents, fill, rows_of, schema

# With everything that a statement might take for something else.
PLACE = "postgresql://user:***@host/data'base%2Fx?a=%%&b=$1"


def put(saver: SQLAlchemySaver, thread_id: str = "new") -> None:
    made = checkpoint({"n": 1}, {"n": "1"})
    saver.put(config(thread_id), made, metadata(0), {"n": "1"})


def test_every_write_is_refused_and_reads_go_on(lasting_url: str, tmp_path: Path) -> None:
    with SQLAlchemySaver.from_conn_string(lasting_url, blob_url=tmp_path / "blobs") as saver:
        fill(saver)
        before, rows = contents(saver), rows_of(saver)
        saver.store.runner.write(partial(seal_store, seal=Seal(PLACE, 5))).result()
        with SQLAlchemySaver.from_conn_string(lasting_url, blob_url=tmp_path / "blobs") as other:
            newest = other.get_tuple(config("t1"))
            assert newest is not None
            for write in (
                lambda: put(saver),
                lambda: put(other, "t0"),
                lambda: other.put(newest.config, newest.checkpoint, newest.metadata, {}),
                lambda: saver.put_writes(newest.config, [("n", 1)], "task"),
                lambda: saver.blobs.put(b"x" * 100_000).result(),
                lambda: saver.delete_thread("t0"),
                lambda: other.prune(["t0"], strategy="keep_latest"),
                lambda: other.prune_by(RetentionPolicy(max_age=timedelta(0))),
                lambda: other.copy_thread("t0", "copy"),
            ):
                with pytest.raises(StoreMoved) as moved:
                    write()
                assert moved.value.to == PLACE
                assert PLACE in str(moved.value)
            assert contents(other) == contents(saver) == before
            assert rows_of(saver) == rows
        assert saver.store.runner.read(read_seal).result() == Seal(PLACE, 5)
        # Once more changes nothing.
        saver.store.runner.write(partial(seal_store, seal=Seal("elsewhere", 6))).result()
        assert saver.store.runner.write(unseal_store).result()
        assert not saver.store.runner.write(unseal_store).result()
        put(saver)
        saver.delete_thread("t0")


def test_who_reads_the_log_knows_of_it(lasting_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        put(saver)
        caplog.set_level(logging.INFO, "ckptstore.transfer.seal")
        for work in (partial(seal_store, seal=Seal("there", 5)), partial(seal_store, seal=Seal("again", 6)), unseal_store, unseal_store):
            saver.store.runner.write(work).result()
    events = [
        (record.levelname, vars(record)["event"], vars(record)["to"])
        for record in caplog.records
        if record.name == "ckptstore.transfer.seal"
    ]
    assert events == [("INFO", "store_sealed", "there"), ("INFO", "store_unsealed", "there")]


def test_the_queue_goes_on_after_it(lasting_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        put(saver)
        saver.store.runner.write(partial(seal_store, seal=Seal("there", 5))).result()
        for number in range(3):
            with pytest.raises(StoreMoved):
                put(saver, str(number))
        saver.store.runner.write(unseal_store).result()
        put(saver, "after")
        assert saver.get_tuple(config("after")) is not None


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_in_a_schema_and_with_partitions(postgres_url: str, partitioned_url: str, driver: str) -> None:
    url = postgres_url.replace("postgresql:", f"postgresql+{driver}:")
    with schema(postgres_url, 'odd "name%'):
        with SQLAlchemySaver.from_conn_string(url, schema='odd "name%') as saver:
            saver.store.runner.write(partial(seal_store, seal=Seal(PLACE, 5))).result()
            with pytest.raises(StoreMoved):
                put(saver)
        with SQLAlchemySaver.from_conn_string(url) as saver:
            put(saver)
    with SQLAlchemySaver.from_conn_string(partitioned_url.replace("postgresql:", f"postgresql+{driver}:")) as saver:
        put(saver)
        saver.store.runner.write(partial(seal_store, seal=Seal(PLACE, 5))).result()
        with pytest.raises(StoreMoved):
            put(saver)
        saver.store.runner.write(unseal_store).result()
        saver.delete_thread("new")
