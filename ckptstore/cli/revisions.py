"""`ckptstore upgrade`, `downgrade` and `revision`: the schema of a database."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import click
from sqlalchemy import URL

from ckptstore.cli.options import existing, of_database, parsed, words_for_errors
from ckptstore.db import schema
from ckptstore.db.handle import Db
from ckptstore.db.open import open_database
from ckptstore.db.settings import DatabaseSettings

T = TypeVar("T")


@click.command()
@of_database
def upgrade(url: str, in_schema: str | None) -> None:
    """Bring the schema to what this release needs."""
    _run(parsed(url), in_schema, schema.upgrade_if_needed)
    click.echo(f"the schema is at revision {schema.HEAD}")


@click.command()
@of_database
@click.argument("to")
def downgrade(url: str, in_schema: str | None, to: str) -> None:
    """Take the schema back to revision TO; `base` drops every table of ckptstore's."""
    _run(existing(url), in_schema, partial(schema.downgrade, revision=to))
    click.echo(f"the schema is at revision {to}")


@click.command()
@of_database
def revision(url: str, in_schema: str | None) -> None:
    """Say which revision the database has, and which one this release needs. Exits with 1 where they differ."""
    found = _run(existing(url), in_schema, schema.current_revision)
    click.echo(f"database: {found or 'none'}, this release: {schema.HEAD}")
    sys.exit(found != schema.HEAD)


def _run(url: URL, in_schema: str | None, work: Callable[[Db], T]) -> T:
    with words_for_errors():
        database = open_database(url, DatabaseSettings(), in_schema)
        try:
            return database.write(work).result()
        finally:
            database.close()
