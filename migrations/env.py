"""Alembic's entry: from the command line (offline and online) and from `ckptstore.db.schema`, which passes a connection."""

from __future__ import annotations

import logging.config

from alembic import context
from alembic.util import CommandError

from ckptstore.db import schema
from ckptstore.errors import CkptStoreError

config = context.config
arguments = context.get_x_argument(as_dictionary=True)
given_db = config.attributes.get("db")


def run_from_command_line() -> None:
    """Run on the database that the command or the environment names."""
    if config.config_file_name is not None:
        logging.config.fileConfig(config.config_file_name, disable_existing_loggers=False)
    try:
        url = schema.url_for_alembic(arguments)
        run = schema.write_migrations if context.is_offline_mode() else schema.run_migrations_at
        run(context, url, arguments.get("schema"))
    except CkptStoreError as exc:
        # Alembic prints its own errors as one line.
        raise CommandError(str(exc)) from exc


if given_db is not None:
    schema.run_migrations(context, given_db)
else:
    run_from_command_line()
