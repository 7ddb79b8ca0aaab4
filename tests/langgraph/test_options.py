"""The options of a saver: each is documented, and an unknown one is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from ckptstore import SaverOptions, SQLAlchemySaver
from ckptstore.errors import InvalidConfig, InvalidPolicy


@pytest.mark.parametrize("make", [SQLAlchemySaver, SQLAlchemySaver.from_conn_string], ids=["constructor", "from_conn_string"])
def test_an_unknown_option_is_refused_by_name(make: Any) -> None:
    first = ":memory:" if make == SQLAlchemySaver.from_conn_string else create_async_engine("sqlite+aiosqlite://")
    with pytest.raises(TypeError, match="no option 'blob_ur'; its options are blob_url"):
        make(first, blob_ur="blobs")


@pytest.mark.parametrize("first", [":memory:", create_async_engine("sqlite+aiosqlite://")], ids=["URL", "engine"])
def test_options_that_make_no_sense_are_refused_in_both_ways(first: Any) -> None:
    make: Any = SQLAlchemySaver.from_conn_string if isinstance(first, str) else SQLAlchemySaver
    with pytest.raises(InvalidConfig, match="no schemas"):
        make(first, schema="tenant")
    with pytest.raises(InvalidPolicy):
        make(first, retention={"max_ag": "30d"})


def test_every_option_is_documented() -> None:
    source = Path(str(__import__("ckptstore.langgraph.options", fromlist=["x"]).__file__)).read_text()
    for name in get_type_hints(SaverOptions):
        _, _, after = source.partition(f"\n    {name}: ")
        assert after.partition("\n")[2].startswith('    """'), f"{name} has no docstring"
