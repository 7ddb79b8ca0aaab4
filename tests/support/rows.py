"""The contents of the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import MappingResult, Select, Table, func, select

from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.db.models import Base
from ckptstore.db.sql.tables import CHECKPOINT, TAG
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.tags.encoding import postings


def select_in_schema(db: Db, query: Select[Any]) -> MappingResult:
    """What a query finds in the schema of a saver: whatever else the search path has."""
    schema = db.statements.schema
    options = {"schema_translate_map": {None: schema}} if schema else {}
    return db.connection.execute(query, execution_options=options).mappings()


def _in_order(db: Db, table: Table) -> Select[Any]:
    """All rows; of shards they come in another order each time."""
    return table.select().order_by(*table.primary_key) if db.statements.sharded else table.select()


@dataclass
class Rows:
    """Every row of every table, and the references between them."""

    tables: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    @classmethod
    def of(cls, saver: SQLAlchemySaver) -> Rows:
        found = saver.store.runner.read(
            lambda db: {name: select_in_schema(db, _in_order(db, table)).all() for name, table in Base.metadata.tables.items()}
        ).result()
        return cls({name: [dict(row) for row in rows] for name, rows in found.items()})

    def orphans(self) -> dict[str, set[Any]]:
        """Keys of rows that refer to a missing row, or that no row refers to, by table."""
        checkpoints = {(row["thread_id"], row["checkpoint_ns"], row["checkpoint_id"]): row for row in self.tables["ckpt_checkpoint"]}
        visible = {key for key, row in checkpoints.items() if not row["hidden"]}
        needed = {up for key in visible for up in self._ancestors(checkpoints, key)}
        linked = {(*key[:2], *version) for key, row in checkpoints.items() for version in row["channel_versions"].items()}
        layouts = [row for table in ("ckpt_channel", "ckpt_write") for row in self.tables[table] if row["layout"]]
        named = {(row["thread_id"], part) for row in layouts for part in row["layout"] if isinstance(part, str)}
        segments = {(row["thread_id"], row["digest"]): row for row in self.tables["ckpt_segment"]}
        lists = [key for key in named if key in segments and segments[key]["encoding"] == "list"]
        named |= {(thread_id, part) for thread_id, digest in lists for part in json.loads(segments[thread_id, digest]["data"])}
        threads = {key[0] for key in checkpoints} | {row["thread_id"] for row in self.tables["ckpt_write"]}
        left = {
            "ckpt_checkpoint": set(checkpoints) - visible - needed,
            "ckpt_channel": self._keys("ckpt_channel", "thread_id", "checkpoint_ns", "channel", "version") - linked,
            "ckpt_write": self._keys("ckpt_write", "thread_id", "checkpoint_ns", "checkpoint_id") - set(checkpoints),
            "ckpt_tag": self._keys("ckpt_tag", "thread_id", "checkpoint_ns", "checkpoint_id") - visible,
            "ckpt_segment": set(segments) - named,
            "ckpt_segment, missing": named - set(segments),
            "ckpt_thread": {key[0] for key in self._keys("ckpt_thread", "thread_id")} ^ threads,
        }
        return {table: keys for table, keys in left.items() if keys}

    def referred_objects(self) -> set[str]:
        return {row["object_key"] for row in self.tables["ckpt_segment"] if row["object_key"]}

    def _keys(self, table: str, *names: str) -> set[tuple[Any, ...]]:
        return {tuple(row[name] for name in names) for row in self.tables[table]}

    @staticmethod
    def _ancestors(checkpoints: Mapping[Any, Any], key: Any) -> Iterable[Any]:
        while (parent := checkpoints[key]["parent_checkpoint_id"]) is not None and (key := (*key[:2], parent)) in checkpoints:
            yield key


def rows(saver: SQLAlchemySaver) -> dict[str, int]:
    def count(db: Db) -> dict[str, int]:
        return {
            name: db.connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in Base.metadata.tables.items()
        }

    found = saver.store.runner.read(count).result()
    return {name: number for name, number in found.items() if number}


def tag_rows(saver: SQLAlchemySaver) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in saver.store.runner.read(lambda db: db.connection.execute(TAG.select()).all()).result()}


async def expect_tags_of(saver: SQLAlchemySaver) -> None:
    expected = {
        (*posting, c.checkpoint["id"], c.config["configurable"]["thread_id"], c.config["configurable"]["checkpoint_ns"])
        for c in await saver.alist(None)
        for posting in postings(dict(c.metadata), saver.tag_keys, LANGGRAPH.unindexed_when_empty)
    }
    assert tag_rows(saver) == expected


async def listed_counts(saver: SQLAlchemySaver) -> dict[str, tuple[int, int]]:
    return {thread.thread_id: (thread.checkpoints, thread.size) for thread in await saver.alist_threads()}


async def counted(saver: SQLAlchemySaver) -> dict[str, tuple[int, int]]:
    """Like `listed_counts`, counted from the checkpoints themselves."""
    query = CHECKPOINT.select().where(CHECKPOINT.c.hidden.is_(False))
    rows = saver.store.runner.read(lambda db: db.connection.execute(query).mappings().all()).result()
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        number, size = found.get(row["thread_id"], (0, 0))
        found[row["thread_id"]] = (number + 1, size + row["size"])
    return found
