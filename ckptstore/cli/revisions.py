"""`ckptstore upgrade`, `downgrade` and `revision`: the schema of a database."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import click
from sqlalchemy import URL, Connection

from ckptstore import schema
from ckptstore.cli.options import existing, of_database, parsed, words_for_errors
from ckptstore.config import DatabaseSettings
from ckptstore.database import open_database

T = TypeVar("T")


@click.command()
@of_database
def upgrade(url: str, in_schema: str | None) -> None:
    """Bring the schema to what this release needs."""
    _run(parsed(url), lambda connection: schema.upgrade_if_needed(connection, in_schema))
    click.echo(f"the schema is at revision {schema.HEAD}")


@click.command()
@of_database
@click.argument("to")
def downgrade(url: str, in_schema: str | None, to: str) -> None:
    """Take the schema back to revision TO; `base` drops every table of ckptstore's."""
    _run(existing(url), lambda connection: schema.downgrade(connection, in_schema, to))
    click.echo(f"the schema is at revision {to}")


@click.command()
@of_database
def revision(url: str, in_schema: str | None) -> None:
    """Say which revision the database has, and which one this release needs. Exits with 1 where they differ."""
    found = _run(existing(url), lambda connection: schema.current_revision(connection, in_schema))
    click.echo(f"database: {found or 'none'}, this release: {schema.HEAD}")
    sys.exit(found != schema.HEAD)


def _run(url: URL, work: Callable[[Connection], T]) -> T:
    with words_for_errors():
        database = open_database(url, DatabaseSettings())
        try:
            return database.write(work).result()
        finally:
            database.close()
