"""The tables and their keys, as the statements know them."""

from __future__ import annotations

import pytest
from sqlalchemy import Table

from ckptstore.db.models import Base
from ckptstore.db.sql import tables
from ckptstore.db.tag_tables import ON_POSTGRESQL, ON_SQLITE


def test_every_table_of_the_models_is_known_to_the_statements() -> None:
    known = {each for each in vars(tables).values() if isinstance(each, Table)}
    assert known >= {*Base.metadata.tables.values(), *ON_SQLITE.tables.values()}
    assert {each.name for each in known} >= ON_POSTGRESQL.tables.keys()


@pytest.mark.parametrize(
    ("table", "key"),
    [
        (tables.CHECKPOINT, tables.CHECKPOINT_KEY),
        (tables.CHANNEL, tables.VERSION_KEY),
        (tables.SEGMENT, tables.SEGMENT_KEY),
        (tables.OBJECT, tables.OBJECT_KEY),
        (tables.TAG, tables.TAG_KEY),
    ],
    ids=lambda value: value.name if isinstance(value, Table) else None,
)
def test_a_key_is_the_tables_primary_key(table: Table, key: tuple[str, ...]) -> None:
    assert tuple(column.name for column in table.primary_key) == key


def test_every_table_of_a_thread_leads_its_key_with_the_thread() -> None:
    for table in (tables.THREAD, tables.CHECKPOINT, tables.CHANNEL, tables.SEGMENT, tables.WRITE):
        assert next(iter(table.primary_key)).name == "thread_id"


@pytest.mark.parametrize(("table", "cells"), [(tables.CHECKPOINT, tables.CheckpointCells), (tables.SEGMENT, tables.SegmentCells)])
def test_cells_are_named_as_the_tables_columns(table: Table, cells: type[tables.CheckpointCells | tables.SegmentCells]) -> None:
    assert cells._fields == tuple(table.c.keys())
