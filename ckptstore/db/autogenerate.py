"""What Alembic compares with a database when it checks or generates migrations."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from ckptstore.db.sql.tables import PARTITIONED
from ckptstore.db.tables import TABLE_PREFIX, TAG, tables_for_ddl
from ckptstore.db.tag_tables import ON_POSTGRESQL, ON_SQLITE


def what_is_compared(dialect_name: str, *, numbers_tags: bool = True) -> dict[str, Any]:
    """Options of `context.configure`: the tables that a database has, and which of those that are there are ours.

    Args:
        dialect_name: of the database.
        numbers_tags: whether `ckpt_tag` is a view, if it is one of PostgreSQL.
    """
    if dialect_name != "sqlite" and not numbers_tags:
        return {"target_metadata": tables_for_ddl(), "include_object": _is_ours}
    tables = ON_SQLITE if dialect_name == "sqlite" else ON_POSTGRESQL
    return {"target_metadata": [tables_for_ddl(), tables], "include_object": partial(_is_ours, view=TAG.name)}


def _is_ours(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any, view: str | None = None) -> bool:
    is_partition = re.fullmatch(rf"({'|'.join(PARTITIONED)})_p\d+", name or "")
    return kind != "table" or ((name or "").startswith(TABLE_PREFIX) and not is_partition and name != view)


def leave_out_ckptstore(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    """For a host application's `context.configure(include_object=...)`: autogenerate then ignores ckptstore's tables."""
    return kind != "table" or not (name or "").startswith(TABLE_PREFIX)
