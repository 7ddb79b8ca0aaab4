"""Replacing the payload of a row in place."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Table, Text, Update, bindparam, case, cast, update

from ckptstore.db.sql import checksums
from ckptstore.db.sql.tables import CHECKPOINT


def replace_payload(database: str, table: Table) -> Update:
    """Replace type tag, value and checksum of one checkpoint, channel's value or write, if it is still the one that was read.

    Its parameters are the columns of the key, `old_type` and `old_checksum` (of the visible checkpoint), and the new cells, whose names
    begin with `new_`.
    """
    c = table.c
    checksum = bindparam("new_checksum", type_=BigInteger)
    stored, new = (c.checksum, checksum) if table is not CHECKPOINT else (checksums.of_visible(table), _as_hidden(table, checksum))
    unchanged = [c.type == bindparam("old_type"), stored.is_not_distinct_from(bindparam("old_checksum", type_=BigInteger))]
    cells: dict[str, Any] = {"type": bindparam("new_type"), "checksum": new}
    if table is CHECKPOINT:
        cells["body"] = bindparam("new_body")
    else:
        layout = bindparam("new_layout", type_=Text())
        cells["layout"] = cast(layout, c.layout.type) if database != "sqlite" else layout
        cells |= {"size": bindparam("new_size", type_=BigInteger), "value": bindparam("new_value")}
    return update(table).where(*[column == bindparam(column.name) for column in table.primary_key], *unchanged).values(cells)


def _as_hidden(checkpoints: Table, checksum: Any) -> Any:
    return case((checkpoints.c.hidden, checksums.combined(checksum, checksums.HIDDEN)), else_=checksum)
