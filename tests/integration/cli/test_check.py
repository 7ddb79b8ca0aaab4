"""`ckptstore check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.transfer.seal import Seal, seal_store, unseal_store
from tests.support.build import checkpoint, config, metadata, put
from tests.support.s3 import S3Server


def run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["check", "--url", url, *arguments])


async def test_a_store_that_can_be_used(lasting_url: str, pytestconfig: pytest.Config) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await put(saver, config("t"), {"file": bytes(70_000)})
    done = run(lasting_url)
    assert done.exit_code == 0, done.output
    # A cluster has one check more: its nodes.
    on_cluster = "postgresql" in lasting_url and pytestconfig.getoption("--citus")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ok"] * (7 if on_cluster else 6)
    found = json.loads(run(lasting_url, "--write-blob", "--json").stdout)
    assert (found["ok"], {each["status"] for each in found["checks"]}) == (True, {"ok"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--include", "user"], "failed   tag keys: the index has all keys, and given are the keys user"),
        (["--blob-url", "elsewhere"], "failed   blobs: the blobs of this database are at"),
        (["--exclude", ""], "tag_keys.exclude must be a sequence of texts"),
        (["--blob-url", "s3://"], "s3"),
    ],
)
async def test_a_problem_is_a_sentence_with_a_way_out(sqlite_url: str, arguments: list[str], said: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await put(saver, config("t"), {"file": bytes(70_000)})
    done = run(sqlite_url, *arguments)
    assert (done.exit_code, said in done.output) == (1, True), done.output
    assert isinstance(done.exception, SystemExit)


async def test_objects_in_s3(sqlite_url: str, s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = s3.bucket_url(bucket)
    async with SQLAlchemySaver.from_conn_string(sqlite_url, blob_url=place) as saver:
        await put(saver, config("t"), {"file": bytes(range(256)) * 400})
    done = run(sqlite_url, "--blob-url", place)
    assert (
        done.exit_code,
        "answers and has the newest 1 blobs of the database; whether objects can be written was not tried" in done.stdout,
    ) == (0, True)
    done = run(sqlite_url, "--blob-url", place, "--write-blob")
    assert (done.exit_code, "an object was written and deleted" in done.stdout) == (0, True), done.output
    s3.empty(bucket)
    done = run(sqlite_url, "--blob-url", place)
    assert (done.exit_code, "none of the newest 1 blobs of the database is at s3://" in done.stdout) == (1, True), done.output
    done = run(sqlite_url, "--blob-url", s3.bucket_url("no-such-bucket"), "--write-blob")
    assert (done.exit_code, "failed   blobs" in done.stdout) == (1, True), done.output
    assert isinstance(done.exception, SystemExit)


async def test_a_store_that_has_moved(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        saver.store.runner.write(lambda db: seal_store(db, Seal("postgresql://new/place", 1))).result()
        try:
            done = run(lasting_url, "--json")
        finally:
            saver.store.runner.write(unseal_store).result()
    found = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    assert (done.exit_code, "moved to postgresql://new/place" in found["seal"]["message"]) == (1, True)


def test_a_schema_that_does_not_fit(tmp_path: Path) -> None:
    (tmp_path / "empty.sqlite").touch()
    done = run(str(tmp_path / "empty.sqlite"))
    assert (done.exit_code, "ckptstore upgrade" in done.stdout) == (1, True)


def test_a_schema_of_a_tenant(postgres_url: str) -> None:
    tenant = "Tenant 'x'"
    try:
        with SQLAlchemySaver.from_conn_string(postgres_url, schema=tenant) as saver:
            saver.setup()
            made = checkpoint({"n": 1})
            saver.put(config("t"), made, metadata(), made["channel_versions"])
        assert run(postgres_url, "--schema", tenant).exit_code == 0
        for command in (["stats", "--json"], ["threads", "list", "--json"], ["threads", "show", "t", "--json"]):
            done = CliRunner().invoke(main, [*command, "--url", postgres_url, "--schema", tenant])
            assert done.exit_code == 0, done.output
            found = json.loads(done.stdout)
            assert found.get("checkpoint_count", found.get("checkpoints", 1)) == 1
        assert next(table["bytes"] for table in found_tables(postgres_url, tenant) if table["name"] == "ckpt_checkpoint") > 0
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA \"Tenant 'x'\" CASCADE")


def found_tables(url: str, tenant: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(main, ["stats", "--json", "--url", url, "--schema", tenant])
    tables: list[dict[str, Any]] = json.loads(done.stdout)["tables"]
    return tables
