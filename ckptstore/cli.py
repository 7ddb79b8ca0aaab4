"""The command line: `ckptstore upgrade`, `ckptstore downgrade`, `ckptstore revision`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from ckptstore import schema
from ckptstore.config import DATABASE_URL_VARIABLE, DatabaseSettings, parse_database_url
from ckptstore.database import open_database
from ckptstore.errors import CkptStoreError

try:
    import click
except ImportError as exc:  # pragma: no cover - the test of the installed wheel sees this
    sys.exit(f"the command line needs click ({exc.name} is missing): pip install 'ckptstore[cli]'")

T = TypeVar("T")

_url = click.option("--url", envvar=DATABASE_URL_VARIABLE, required=True, help=f"The database; by default ${DATABASE_URL_VARIABLE}.")
_schema = click.option("--schema", "in_schema", default=None, help="The PostgreSQL schema that holds the tables.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ckptstore")
def main() -> None:
    """Look after a ckptstore database."""


@main.command()
@_url
@_schema
def upgrade(url: str, in_schema: str | None) -> None:
    """Bring the schema to what this release needs."""
    _run(url, lambda connection: schema.upgrade_if_needed(connection, in_schema))
    click.echo(f"the schema is at revision {schema.HEAD}")


@main.command()
@_url
@_schema
@click.argument("to")
def downgrade(url: str, in_schema: str | None, to: str) -> None:
    """Take the schema back to revision TO; `base` drops every table of ckptstore's."""
    _run(url, lambda connection: schema.downgrade(connection, in_schema, to))
    click.echo(f"the schema is at revision {to}")


@main.command()
@_url
@_schema
def revision(url: str, in_schema: str | None) -> None:
    """Say which revision the database has, and which one this release needs. Exits with 1 where they differ."""
    found = _run(url, lambda connection: schema.current_revision(connection, in_schema))
    click.echo(f"database: {found or 'none'}, this release: {schema.HEAD}")
    sys.exit(found != schema.HEAD)


def _run(url: str, work: Callable[[Connection], T]) -> T:
    try:
        database = open_database(parse_database_url(url), DatabaseSettings())
        try:
            return database.write(work).result()
        finally:
            database.close()
    except CkptStoreError as exc:
        raise click.ClickException(str(exc)) from exc
