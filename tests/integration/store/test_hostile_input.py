"""Whatever is passed to a public method, it works or raises an error of ours, and the store goes on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckptstore import SQLAlchemySaver
from ckptstore.errors import CkptStoreError
from tests.support.build import checkpoint, metadata
from tests.support.databases import url_of
from tests.support.hostile import CALLS, WITHOUT_ARGUMENTS

EXAMPLES = {"memory": 80, "asyncpg": 10, "psycopg": 10}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("database", EXAMPLES)
def test_no_argument_raises_another_error(name: str, database: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    call, strategies = CALLS[name]
    outcomes: Counter[str] = Counter()
    longest = 0
    with SQLAlchemySaver.from_conn_string(url_of(database, request, tmp_path), blob_url="memory://hostile") as saver:
        saver.put({"configurable": {"thread_id": "t", "checkpoint_ns": ""}}, checkpoint({"a": [1]}), metadata(user={"name": "ann"}), {})

        @settings(max_examples=EXAMPLES[database], derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.tuples(*strategies))
        def attempt(arguments: tuple[Any, ...]) -> None:
            nonlocal longest
            try:
                call(saver, *arguments)
                outcomes["accepted"] += 1
            except CkptStoreError as exc:
                outcomes[type(exc).__name__] += 1
                longest = max(longest, len(str(exc)))

        attempt()
        assert longest < 3_000, "a message repeats what it was given"
        # The store goes on.
        where = {"configurable": {"thread_id": "after", "checkpoint_ns": ""}}
        saver.put(where, checkpoint({"a": [2]}), metadata(), {})  # type: ignore[arg-type]
        assert saver.get_tuple(where) is not None  # type: ignore[arg-type]
    assert sum(outcomes.values()) > 0


def test_every_public_method_is_called() -> None:
    methods = {name for name in dir(SQLAlchemySaver) if not name.startswith("_") and callable(getattr(SQLAlchemySaver, name))}
    synchronous = {name for name in methods if not (name.startswith("a") and name[1:] in methods)}
    assert synchronous <= {*CALLS, *WITHOUT_ARGUMENTS}
