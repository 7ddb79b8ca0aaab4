"""A cluster as a store finds it."""

from __future__ import annotations

import json

import psycopg
import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.db.cluster import read_cluster
from tests.support.build import chain, config, put
from tests.support.databases import SHARDS, on_citus


@pytest.mark.parametrize("url", ["asyncpg"], indirect=True)
async def test_plain_tables_are_on_no_cluster(url: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--citus"):
        pytest.skip("the tables are distributed")
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await saver.setup()
        assert saver.store.runner.read(read_cluster).result() is None


@on_citus
@pytest.mark.parametrize("url", ["asyncpg", "psycopg"], indirect=True)
async def test_nodes_shards_sizes_and_the_largest_thread_are_found(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await chain(saver, "small", 2)
        await put(saver, config("large"), {"text": "x" * 200_000})
        found = saver.store.runner.read(read_cluster).result()
    assert found is not None
    assert [node.fault for node in found.nodes] == ["", "", ""]
    assert len(found.shards) == SHARDS
    assert found.shard_bytes.keys() == set(found.shards)
    assert min(found.shard_bytes.values()) >= 8192
    assert found.largest_thread is not None
    assert found.largest_thread[0] == "large"
    assert found.largest_thread[1] > 200_000
    assert (found.without_functions, found.astray) == ([], [])


@on_citus
@pytest.mark.parametrize("arguments", [(), ("--one-node",)])
async def test_check_and_doctor_know_the_cluster(postgres_url: str, tenant: str, arguments: tuple[str, ...]) -> None:
    run, where = CliRunner(), ["--url", postgres_url, "--schema", tenant]
    assert run.invoke(main, ["upgrade", *where, "--distribute", "--shards", "2", *arguments]).exit_code == 0
    checks = json.loads(run.invoke(main, ["check", *where, "--json"]).output)
    (found,) = [check for check in checks["checks"] if check["name"] == "cluster"]
    assert found["status"] == "ok"
    assert ("all tables are on node" in found["message"]) == bool(arguments)
    findings = json.loads(run.invoke(main, ["doctor", *where, "--json"]).output)["findings"]
    assert {"shards"} <= {finding["name"] for finding in findings}
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'DROP FUNCTION "{tenant}".ckpt_commit_on_node_1')
    checks = json.loads(run.invoke(main, ["check", *where, "--json"]).output)
    (found,) = [check for check in checks["checks"] if check["name"] == "cluster"]
    assert (found["status"], found["way_out"]) == ("warning", "ckptstore upgrade")
