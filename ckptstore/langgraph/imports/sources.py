"""Checkpoints as the saver of an import's source loads them."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.serde.base import SerializerProtocol
from sqlalchemy import URL

from ckptstore.db.secrets import masked
from ckptstore.db.url import parse_database_url
from ckptstore.errors import InvalidSource, MissingDriver
from ckptstore.langgraph.comparing import Load
from ckptstore.langgraph.imports.official_sqlite import open_read_only
from ckptstore.langgraph.imports.opening import Source
from ckptstore.records import CheckpointKey
from ckptstore.runtime.steps import Steps
from ckptstore.runtime.worker_threads import run_in_thread

Saver = BaseCheckpointSaver[Any]

# The shallow saver has one checkpoint of each namespace, without a column for its id.
_HAS_ID = """
SELECT 1 FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = 'checkpoints' AND column_name = 'checkpoint_id'
"""


@contextmanager
def loading_from(
    source: Source, schema: str | None, serde: SerializerProtocol | None, loop: asyncio.AbstractEventLoop | None
) -> Iterator[Load]:
    """Load from the source of an import: by the saver itself, or by the official one on its file or tables, which is only read.

    Args:
        source: see `import_from`, and so are the others.
        schema: the PostgreSQL schema of its tables.
        serde: the serialiser that wrote it; None for LangGraph's own.
        loop: the event loop that an asynchronous saver belongs to.

    Raises:
        MissingDriver: the official saver is not installed.
        InvalidSource: while loading: it can't read this source.
    """
    if isinstance(source, BaseCheckpointSaver):
        yield partial(_load, partial(_get, source, loop))
        return
    with _official(parse_database_url(source), schema, serde) as saver:
        yield partial(_load, partial(_get_official, saver))


def _load(get: Callable[[Any], CheckpointTuple | None], key: CheckpointKey) -> Steps[CheckpointTuple | None]:
    found: CheckpointTuple | None = yield run_in_thread(partial(get, {"configurable": key._asdict()}), "ckptstore-compare")
    return found


def _get(saver: Saver, loop: asyncio.AbstractEventLoop | None, config: Any) -> CheckpointTuple | None:
    if loop is not None:
        try:
            return asyncio.run_coroutine_threadsafe(saver.aget_tuple(config), loop).result()
        except NotImplementedError:
            # A saver without asynchronous methods.
            pass
    return saver.get_tuple(config)


def _get_official(saver: Saver, config: Any) -> CheckpointTuple | None:
    try:
        return saver.get_tuple(config)
    except Exception as exc:
        raise InvalidSource(
            f"the installed {type(saver).__name__} can't load checkpoint {config['configurable']['checkpoint_id']!r} of thread "
            f"{config['configurable']['thread_id']!r} ({type(exc).__name__}); the import is done and was compared row by row"
        ) from exc


def _official(url: URL, schema: str | None, serde: SerializerProtocol | None) -> AbstractContextManager[Saver]:
    try:
        if url.get_backend_name() == "sqlite":
            import langgraph.checkpoint.sqlite

            return _sqlite(Path(str(url.database)), serde)
        import langgraph.checkpoint.postgres  # noqa: F401

        return _postgres(url, schema, serde)
    except ImportError as exc:
        raise MissingDriver(
            "to compare objects, the source is read through the official saver, which is not installed: "
            f"pip install langgraph-checkpoint-{url.get_backend_name().removesuffix('ql')}"
        ) from exc


@contextmanager
def _sqlite(path: Path, serde: SerializerProtocol | None) -> Iterator[Saver]:
    from langgraph.checkpoint.sqlite import SqliteSaver

    with closing(open_read_only(path)) as connection:
        saver = SqliteSaver(connection, serde=serde)
        # Its tables are there, and can't be made on this connection.
        saver.is_setup = True
        yield saver


@contextmanager
def _postgres(url: URL, schema: str | None, serde: SerializerProtocol | None) -> Iterator[Saver]:
    import psycopg
    from langgraph.checkpoint.postgres import PostgresSaver
    from langgraph.checkpoint.postgres.shallow import ShallowPostgresSaver
    from psycopg.rows import dict_row
    from psycopg.sql import SQL, Identifier

    try:
        address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = psycopg.connect(address, autocommit=True, prepare_threshold=0, row_factory=dict_row)
    except psycopg.Error as exc:
        raise InvalidSource(f"{masked(url)} can't be opened by the official saver: {type(exc).__name__}") from exc
    with connection:
        connection.execute("SET default_transaction_read_only = on")
        if schema is not None:
            connection.execute(SQL("SET search_path TO {}").format(Identifier(schema)))
        kind = PostgresSaver if connection.execute(_HAS_ID).fetchone() else ShallowPostgresSaver
        with warnings.catch_warnings():
            # The shallow one is deprecated.
            warnings.simplefilter("ignore")
            saver = kind(connection, serde=serde)
        yield saver
