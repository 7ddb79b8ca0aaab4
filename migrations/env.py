"""Alembic's entry: from the command line (offline and online) and from `ckptstore.db.schema`, which passes a connection."""

from __future__ import annotations

import logging.config

import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError

from ckptstore.db import schema
from ckptstore.db.connection import Db
from ckptstore.db.sql.insert import row_parameters
from ckptstore.db.sql.numbered_rows import insert_tag_arrays
from ckptstore.db.tables import TAG
from ckptstore.errors import CkptStoreError
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.tags.encoding import postings

config = context.config
arguments = context.get_x_argument(as_dictionary=True)
given_db = config.attributes.get("db")

PAGE = 5_000
KEY = [sa.column(name, sa.Text) for name in ("thread_id", "checkpoint_ns", "checkpoint_id")]
COLUMNS = ("key", "value", "checkpoint_id", "thread_id", "checkpoint_ns")


def run_from_command_line() -> None:
    """Run on the database that the command or the environment names."""
    if config.config_file_name is not None:
        logging.config.fileConfig(config.config_file_name, disable_existing_loggers=False)
    try:
        url = schema.url_for_alembic(arguments)
        if context.is_offline_mode():
            schema.write_migrations(context, url, arguments.get("schema"))
        else:
            schema.run_migrations_at(context, url, arguments.get("schema"), make_tags_again)
    except CkptStoreError as exc:
        # Alembic prints its own errors as one line.
        raise CommandError(str(exc)) from exc


def make_tags_again(db: Db) -> None:
    """Make the tags of all checkpoints again, if a migration of this run changed what they are: once, whatever the number of migrations."""
    if not config.attributes.pop("tags_changed", False):
        return
    connection = db.connection
    columns = connection.execute(sa.text("SELECT * FROM ckpt_checkpoint WHERE 1 = 0")).keys()
    hidden = sa.column("hidden" if "hidden" in columns else "support", sa.Boolean)
    checkpoint = sa.table("ckpt_checkpoint", *KEY, sa.column("metadata", sa.JSON))
    numbered = connection.dialect.name != "sqlite" and not is_table(connection, "ckpt_tag")
    connection.execute(sa.delete(sa.table("ckpt_tag_posting" if numbered else "ckpt_tag")))
    after = ("", "", "")
    page = sa.select(*KEY, sa.column("metadata", sa.JSON)).select_from(checkpoint).where(hidden.is_(False))
    while rows := connection.execute(page.where(sa.tuple_(*KEY) > sa.tuple_(*after)).order_by(*KEY).limit(PAGE)).all():
        after = tuple(rows[-1][:3])
        # Sorted as the index is: neighbours are inserted together.
        insert_tags(
            connection,
            sorted(
                (posting.key, posting.value, checkpoint_id, thread_id, checkpoint_ns)
                for thread_id, checkpoint_ns, checkpoint_id, metadata in rows
                for posting in postings(metadata, unindexed_when_empty=LANGGRAPH.unindexed_when_empty)
            ),
            numbered=numbered,
        )


def is_table(connection: sa.Connection, name: str) -> bool:
    """Whether a name is that of a table, and not of a view."""
    return name in sa.inspect(connection).get_table_names()


def insert_tags(connection: sa.Connection, tags: list[tuple[str, ...]], *, numbered: bool) -> None:
    """Insert tags: on PostgreSQL as arrays, in one statement."""
    if not tags:
        return
    if numbered:
        # A view, whose trigger would insert each by itself.
        connection.execute(insert_tag_arrays("postgresql"), row_parameters(TAG, tags))
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"INSERT INTO ckpt_tag ({', '.join(COLUMNS)}) VALUES (?, ?, ?, ?, ?)", tags)
        return
    arrays = ", ".join(f"CAST(:{name} AS text[])" for name in COLUMNS)
    columns = dict(zip(COLUMNS, map(list, zip(*tags, strict=True)), strict=True))
    connection.execute(sa.text(f"INSERT INTO ckpt_tag ({', '.join(COLUMNS)}) SELECT * FROM unnest({arrays})"), columns)


if given_db is not None:
    schema.run_migrations(context, given_db, make_tags_again)
else:
    run_from_command_line()
