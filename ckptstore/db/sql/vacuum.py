"""What a vacuum reports (PostgreSQL)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Select, Text, bindparam, cast, column, func, literal_column, or_, select, table
from sqlalchemy.dialects.postgresql import REGCLASS

from ckptstore.db.sql.routing import SCATTERED
from ckptstore.db.sql.tag_layouts import has_numbers
from ckptstore.db.tag_tables import names_in

# PostgreSQL's catalogue.
_CLASS = table("pg_class", column("oid"), column("relname"), column("relnamespace"), schema="pg_catalog")
_INHERITS = table("pg_inherits", column("inhrelid"), column("inhparent"), schema="pg_catalog")
_NAMESPACE = table("pg_namespace", column("oid"), column("nspname"), schema="pg_catalog")


def table_bytes(database: str) -> Select[Any]:
    """The size of ckptstore's tables and of their partitions, with indexes, in the schema `:schema` or in the connection's own."""
    named = (
        select(_CLASS.c.oid)
        .join(_NAMESPACE, _NAMESPACE.c.oid == _CLASS.c.relnamespace)
        .where(
            _CLASS.c.relname.in_([literal_column(f"'{name}'") for name in names_in(on_sqlite=False, numbers_tags=has_numbers(database))])
        )
        .where(_NAMESPACE.c.nspname == func.coalesce(cast(bindparam("schema"), Text), func.current_schema()))
    )
    if database == SCATTERED:
        # The rows are on other nodes, and this one's tables are empty.
        total = func.citus_total_relation_size(cast(_CLASS.c.oid, REGCLASS))
        return select(cast(func.coalesce(func.sum(total), 0), BigInteger)).where(_CLASS.c.oid.in_(named))
    partitions = select(_INHERITS.c.inhrelid).where(_INHERITS.c.inhparent.in_(named))
    size = cast(func.coalesce(func.sum(func.pg_total_relation_size(_CLASS.c.oid)), 0), BigInteger)
    return select(size).where(or_(_CLASS.c.oid.in_(named), _CLASS.c.oid.in_(partitions)))
