"""What a put's metadata is made of: what LangGraph passes and the caller says, as far as it is JSON."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.base import EXCLUDED_METADATA_KEYS, get_serializable_checkpoint_metadata

from ckptstore import SizeLimits, TagKeys
from ckptstore.errors import InvalidConfig, SerializationFailed
from ckptstore.langgraph.metadata import MetadataEncoder
from ckptstore.records import CheckpointKey

KEY = CheckpointKey("t", "", "c")
LANGGRAPHS: Any = {"source": "loop", "step": 1, "parents": {}}


class Stage(str, Enum):  # noqa: UP042  # as code that is older than StrEnum has it
    DRAFT = "draft"


def stored(config: Any, metadata: Any = LANGGRAPHS, encoder: MetadataEncoder | None = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((encoder or MetadataEncoder(TagKeys(), SizeLimits())).encode(KEY, config, metadata).text)
    return found


NAMES = st.one_of(st.sampled_from(sorted(EXCLUDED_METADATA_KEYS)), st.sampled_from(["a", "b", "source", "__x", "langgraph_x", "writes"]))
SCALARS = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.integers(-5, 5), st.booleans(), st.floats(-1, 1))
SAID = st.dictionaries(NAMES, SCALARS, max_size=5)


@given(SAID, SAID)
def test_scalars_are_merged_as_langgraphs_helper_does(said: dict[str, Any], configurable: dict[str, Any]) -> None:
    config: Any = {"metadata": said, "configurable": configurable}
    theirs: dict[str, Any] = dict(get_serializable_checkpoint_metadata(config, LANGGRAPHS))
    # LangGraph's helper drops this key. It is kept here, as everything that a caller says.
    writes = {**configurable, **said}.get("writes", ...)
    kept = writes.replace("\0", "") if isinstance(writes, str) else writes
    assert stored(config) == (theirs if writes is ... else {**theirs, "writes": kept})


def test_lists_dicts_and_none_of_the_configs_metadata_are_kept() -> None:
    said = {
        "tags": ["billing", 1],
        "user": {"email": "a@b", "roles": ("x",)},
        "nothing": None,
        "empty": [],
        "stage": Stage.DRAFT,
        "writes": {"n": 1},
    }
    kept = {**said, "user": {"email": "a@b", "roles": ["x"]}, "stage": "draft"}
    assert stored({"metadata": said}) == {**LANGGRAPHS, **kept}
    assert stored({}, {**LANGGRAPHS, **said}) == {**LANGGRAPHS, **kept}


def test_lists_and_dicts_of_the_configurable_are_not_merged_as_langgraph_has_it() -> None:
    config = {"configurable": {"user": {"token": "x"}, "list": [1], "none": None, "limit": 3}, "metadata": {"user": {"name": "ann"}}}
    assert stored(config) == {**LANGGRAPHS, "user": {"name": "ann"}, "limit": 3}


def test_what_frameworks_tell_each_other_is_not_kept() -> None:
    said = {"langgraph_triggers": ("x",), "langgraph_new": [1], "lc_versions": {"core": "1"}, "thread_id": ["t"], "__private": [1]}
    assert stored({"metadata": said}) == LANGGRAPHS


@pytest.mark.parametrize(
    "value", [datetime.now(UTC), UUID(int=1), {1, 2}, [object()], {"deep": [b"x"]}, {(1, 2): 3}], ids=lambda value: type(value).__name__
)
def test_what_is_not_json_is_left_out_of_the_configs_and_logged_once(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    encoder = MetadataEncoder(TagKeys(), SizeLimits())
    for _ in range(3):
        assert stored({"metadata": {"when": value, "kept": 1}}, encoder=encoder) == {**LANGGRAPHS, "kept": 1}
    (record,) = caplog.records
    assert "'when'" in record.message
    with pytest.raises(SerializationFailed, match=r"metadata\['when'\]"):
        stored({}, {**LANGGRAPHS, "when": value})


def test_a_credential_is_logged_once_by_its_name(caplog: pytest.LogCaptureFixture) -> None:
    encoder = MetadataEncoder(TagKeys(), SizeLimits())
    secrets = {"openai_api_key": "s3cret-1", "note": "postgresql://u:s3cret@h/d"}
    for _ in range(3):
        # LangChain copies some entries of the configurable into the metadata.
        assert stored({"configurable": secrets, "metadata": secrets}, encoder=encoder) == LANGGRAPHS
    assert sorted(record.__dict__["key"] for record in caplog.records) == ["note", "openai_api_key"]
    assert all(record.levelno == logging.WARNING and "s3cret" not in record.getMessage() for record in caplog.records)


def test_numbers_and_booleans_are_no_credentials() -> None:
    given: dict[str, Any] = {
        "max_tokens": 500,
        "token": 7,
        "auth": True,
        "password": 1.5,
        "langgraph_auth_user_id": "ann",
        "auth_user_id": "ann",
    }
    assert stored({"configurable": given}) == {**LANGGRAPHS, **given}


def test_who_the_user_is_is_no_credential_under_any_name() -> None:
    given = {"langgraph_auth_user_id": "ann", "langgraph_auth_token": "anything", "langgraph_auth_user": "postgresql://ann:pw@host/db"}
    assert stored({"configurable": given}) == {**LANGGRAPHS, **given}


def test_what_a_caller_passes_in_metadata_alone_is_kept() -> None:
    assert stored({"metadata": {"token": "said", "user": {"api_key": "said"}}})["token"] == "said"


@pytest.mark.parametrize(
    ("config", "metadata"), [({"metadata": ["a"]}, LANGGRAPHS), ({"metadata": "a"}, LANGGRAPHS), ({}, None), ({}, [1])]
)
def test_metadata_is_a_dict(config: Any, metadata: Any) -> None:
    with pytest.raises(InvalidConfig, match=r"metadata.* must be a dict"):
        stored(config, metadata)
