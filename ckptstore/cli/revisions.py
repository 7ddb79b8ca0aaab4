"""`ckptstore upgrade`, `downgrade` and `revision`: the schema of a database."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import click
from sqlalchemy import URL

from ckptstore.cli.options import database_options, errors_as_messages, existing_database, parse_url
from ckptstore.db import schema
from ckptstore.db.connection import Db
from ckptstore.db.distribute import DEFAULT_SHARDS
from ckptstore.db.layout import Layout
from ckptstore.db.open import open_database
from ckptstore.db.settings import DatabaseSettings
from ckptstore.store.hints import has_threads

T = TypeVar("T")


@click.command()
@database_options
@click.option("--partitions", type=int, help="Also split every per-thread table into so many partitions (PostgreSQL).")
@click.option("--distribute", is_flag=True, help="Also distribute the tables over the nodes of a Citus cluster (PostgreSQL).")
@click.option("--shards", type=int, default=DEFAULT_SHARDS, show_default=True, help="With --distribute: into how many shards.")
@click.option("--one-node", is_flag=True, help="With --distribute: all tables of the schema on one node, for a schema for each tenant.")
def upgrade(url: str, in_schema: str | None, partitions: int | None, distribute: bool, shards: int, one_node: bool) -> None:
    """Upgrade the schema to the revision that this release needs.

    --one-node goes with --distribute and --schema.

    With --partitions, tables with rows are converted under a lock that keeps everybody else out meanwhile; with --distribute, one that
    keeps writers out.
    """
    database = parse_url(url)
    layout = Layout(partitions, shards if distribute and not one_node else None, one_node=distribute and one_node)
    with errors_as_messages():
        # Before a SQLite file is created.
        layout.require(on_sqlite=database.get_backend_name() == "sqlite")
    _run(database, in_schema, layout.upgrade)
    click.echo(f"the schema is at revision {schema.HEAD}")
    if database.get_backend_name() != "sqlite" and not _run(database, in_schema, has_threads):
        click.echo(
            "it has no threads yet; bring yours with: ckptstore copy --from checkpoints.sqlite --to URL, or, from LangGraph's own savers: "
            "ckptstore import SOURCE --to URL"
        )


@click.command()
@database_options
@click.argument("to")
def downgrade(url: str, in_schema: str | None, to: str) -> None:
    """Downgrade the schema to revision TO; `base` drops all of ckptstore's tables."""
    _run(existing_database(url), in_schema, partial(schema.downgrade, revision=to))
    click.echo(f"the schema is at revision {to}")


@click.command()
@database_options
def revision(url: str, in_schema: str | None) -> None:
    """Print the database's schema revision and the one that this release needs. Exits with 1 if they differ."""
    found = _run(existing_database(url), in_schema, schema.current_revision)
    click.echo(f"database: {found or 'none'}, this release: {schema.HEAD}")
    sys.exit(found != schema.HEAD)


def _run(url: URL, in_schema: str | None, work: Callable[[Db], T]) -> T:
    with errors_as_messages():
        database = open_database(url, DatabaseSettings(), in_schema)
        try:
            return database.write(work).result()
        finally:
            database.close()
