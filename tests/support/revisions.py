"""Alembic's commands in this process: a process of its own takes two seconds to start."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config

CHECKOUT = Path(__file__).parents[2]


def run_alembic(url: str, name: str, *arguments: str) -> None:
    """Run a command on a database."""
    getattr(command, name)(_config(f"url={url}"), *arguments)


def offline_sql(schema: str) -> str:
    """The statements that build the tables in a schema of PostgreSQL's, as `alembic upgrade head --sql` prints them."""
    printed = io.StringIO()
    command.upgrade(_config("url=postgresql://nowhere/db", f"schema={schema}", output_buffer=printed), "head", sql=True)
    return printed.getvalue()


def _config(*x_arguments: str, **options: Any) -> Config:
    config = Config(**options)
    config.set_main_option("script_location", str(CHECKOUT / "migrations"))
    config.cmd_opts = argparse.Namespace(x=list(x_arguments))
    return config
