"""Finds out what the source of an import is, and opens it read-only."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from sqlalchemy import URL

from ckptstore.db.open import open_database
from ckptstore.db.schema_name import check_schema_name
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import is_memory, parse_database_url
from ckptstore.errors import InvalidConfig, InvalidSource, brief
from ckptstore.langgraph.base import SaverBase
from ckptstore.langgraph.encode import Encoder
from ckptstore.langgraph.imports.any_saver import AnySaver
from ckptstore.langgraph.imports.official_postgres import OfficialPostgres, find_layout
from ckptstore.langgraph.imports.official_sqlite import OfficialSqlite
from ckptstore.langgraph.imports.postgres_sql import Layout
from ckptstore.langgraph.imports.records import RawRecords
from ckptstore.langgraph.metadata import MetadataEncoder
from ckptstore.runtime.steps import Steps
from ckptstore.tags.keys import EVERYTHING, TagKeys
from ckptstore.transfer.record_source import RecordReader
from ckptstore.values.size_limits import NO_ROOM, SizeChecker, SizeLimits

#: What can be imported from: the path or URL of an official saver's database, or any saver.
Source = str | os.PathLike[str] | BaseCheckpointSaver[Any]

# An import refuses nothing for its size: it is stored elsewhere already.
_NO_LIMITS = SizeLimits(max_checkpoint_bytes=None, max_metadata_bytes=None, max_tags=None)


def open_source(
    source: Source,
    schema: str | None,
    serde: SerializerProtocol | None,
    target: SerializerProtocol,
    tag_keys: TagKeys,
    loop: asyncio.AbstractEventLoop | None,
) -> Steps[RecordReader]:
    """Open a source; the caller closes it.

    Args:
        source: what to import from.
        schema: the PostgreSQL schema of its tables.
        serde: the serialiser that wrote it; None for LangGraph's own.
        target: the target's serialiser.
        tag_keys: which metadata keys are in the target's index.
        loop: the event loop that an asynchronous saver belongs to.

    Raises:
        InvalidSource: there is no saver's store.
        InvalidConfig: the source is one of ours.
    """
    if isinstance(source, SaverBase):
        raise InvalidConfig("the source is a store of ckptstore: use its copy_to")
    if isinstance(source, BaseCheckpointSaver):
        limiter = SizeChecker(_NO_LIMITS, leaf_room=NO_ROOM, remedy="")
        return AnySaver(source, Encoder(target, MetadataEncoder(tag_keys, _NO_LIMITS), limiter), loop)
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidConfig(f"the source must be a path, a URL or a saver, got {brief(source)}")
    url, records = parse_database_url(source), RawRecords(serde, target, tag_keys)
    check_schema_name(schema, url)
    if url.get_backend_name() == "sqlite":
        if is_memory(url):
            raise InvalidSource("a database in memory can be read only by its own saver: pass the saver")
        return OfficialSqlite(Path(str(url.database)), records)
    return (yield from _open_postgres(url, schema, records))


def require_source(source: str | os.PathLike[str], schema: str | None) -> Steps[None]:
    """Return if there is an official saver's database: before a target is made for it.

    Raises:
        InvalidSource: there is none.
    """
    reader = yield from open_source(source, schema, None, JsonPlusSerializer(), EVERYTHING, None)
    reader.close()


def _open_postgres(url: URL, schema: str | None, records: RawRecords) -> Steps[RecordReader]:
    runner = open_database(url, DatabaseSettings(), schema)
    try:
        layout: Layout = yield runner.read(find_layout)
    except BaseException:
        runner.close()
        raise
    return OfficialPostgres(runner, layout, records)
