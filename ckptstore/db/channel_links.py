"""The link between checkpoints and the values of their channels, which is JSON in `channel_versions`, as a table for joins."""

from __future__ import annotations

from typing import Any

from sqlalchemy import FromClause, Subquery, Text, column, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _JsonEntries(FunctionElement[Any]):
    """The entries of a JSON object as rows: key and value, both text."""

    name = "json_entries"
    inherit_cache = True


@compiles(_JsonEntries)
def _on_postgresql(element: _JsonEntries, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each_text({compiler.process(element.clauses, **options)})"


@compiles(_JsonEntries, "sqlite")
def _on_sqlite(element: _JsonEntries, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


def channel_links(checkpoints: FromClause) -> Subquery:
    """Rows (thread_id, checkpoint_ns, checkpoint_id, channel, version) of the table of checkpoints.

    Both databases merge it into the statement that joins it: only the checkpoints that the statement is about are read.
    """
    entries = _JsonEntries(checkpoints.c.channel_versions).table_valued(column("key", Text), column("value", Text), name="entries")
    key = (checkpoints.c.thread_id, checkpoints.c.checkpoint_ns, checkpoints.c.checkpoint_id)
    links = select(*key, entries.c.key.label("channel"), entries.c.value.label("version"))
    return links.select_from(checkpoints.join(entries, true())).subquery("links")
