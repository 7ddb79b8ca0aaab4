from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.dialects import postgresql

from ckptstore.langgraph.imports import postgres_sql as sql


@pytest.mark.parametrize("shallow", [True, False])
@pytest.mark.parametrize("has_task_path", [True, False])
def test_statements_name_only_columns_that_the_tables_have(shallow: bool, has_task_path: bool) -> None:
    layout = sql.Layout(shallow, has_task_path)
    builds = (sql.page_of_threads, sql.checkpoint_sizes, sql.checkpoints, sql.blob_sizes, sql.blobs, sql.write_sizes, sql.writes)
    dialect: Any = postgresql.dialect  # SQLAlchemy does not type its constructor.
    texts = [str(build("postgresql", layout).compile(dialect=dialect())) for build in builds]
    assert any("parent_checkpoint_id" in text for text in texts) != shallow
    assert any("checkpoint_blobs.version" in text for text in texts) != shallow
    assert any("task_path" in text for text in texts) == has_task_path
