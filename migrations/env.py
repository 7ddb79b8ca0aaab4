"""Alembic's entry: from the command line (offline and online) and from `ckptstore.schema`, which hands a connection over."""

from __future__ import annotations

import logging.config

from alembic import context

from ckptstore import schema

config = context.config
arguments = context.get_x_argument(as_dictionary=True)
handed_over = config.attributes.get("connection")

if handed_over is not None:
    schema.run_migrations(context, handed_over, config.attributes.get("schema"))
elif context.is_offline_mode():
    schema.write_migrations(context, schema.url_for_alembic(arguments), arguments.get("schema"))
else:
    if config.config_file_name is not None:
        logging.config.fileConfig(config.config_file_name, disable_existing_loggers=False)
    schema.run_migrations_at(context, schema.url_for_alembic(arguments), arguments.get("schema"))
