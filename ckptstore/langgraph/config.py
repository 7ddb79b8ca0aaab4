"""Reads LangGraph's configs and checks arguments: which thread, namespace and checkpoint a call is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from sqlalchemy import Row, inspect

from ckptstore.db.times import to_microseconds
from ckptstore.errors import InvalidConfig, brief
from ckptstore.reads.plans import CheckpointQuery
from ckptstore.records import CheckpointKey
from ckptstore.tags.filters import Filter
from ckptstore.tags.metadata_json import shown
from ckptstore.values.metadata_limits import MAX_ROW_KEY_BYTES

#: The longest id or name that is stored, in bytes of UTF-8.
MAX_ID_BYTES = 1_024
# So many characters have at most `MAX_ID_BYTES` bytes.
_SHORT_IDS = MAX_ID_BYTES // 4


def configurable_of(config: RunnableConfig) -> Mapping[str, Any]:
    """The `configurable` part of a config, the only part that savers read."""
    found = config.get("configurable", {}) if isinstance(config, (dict, Mapping)) else None
    # `dict` first: `isinstance` of an abstract class is much slower.
    if not isinstance(found, (dict, Mapping)):
        raise InvalidConfig(f"a config must be a dict with a 'configurable' dict in it, got {type(config).__name__}")
    return found


def thread_id_of(thread_id: Any) -> str:
    """A thread id as text; whole numbers and UUIDs are accepted too."""
    if isinstance(thread_id, str):
        return require_text(thread_id, "thread_id")
    return _number_or_uuid(thread_id, "thread_id")


def _number_or_uuid(given: Any, what: str) -> str:
    if isinstance(given, UUID):
        return str(given)
    # Python refuses to write larger numbers as text.
    if isinstance(given, bool) or not isinstance(given, int) or given.bit_length() > MAX_ID_BYTES:
        raise InvalidConfig(f"the {what} must be text, a whole number or a UUID, got {type(given).__name__}")
    return str(given)


def ids_of(config: RunnableConfig) -> tuple[str, str, str | None]:
    """Thread id, namespace and checkpoint id of a config. The namespace defaults to the root graph's, the checkpoint id to None."""
    configurable = configurable_of(config)
    thread_id, checkpoint_ns = configurable.get("thread_id"), configurable.get("checkpoint_ns")
    checkpoint_id = configurable.get("checkpoint_id")
    if thread_id is None:
        raise InvalidConfig("the config has no thread_id: pass {'configurable': {'thread_id': ...}}")
    return (
        require_text(thread_id, "thread_id") if isinstance(thread_id, str) else thread_id_of(thread_id),
        require_text(checkpoint_ns, "checkpoint_ns") if checkpoint_ns else "",
        require_text(checkpoint_id, "checkpoint_id") if checkpoint_id else None,
    )


def key_of(config: RunnableConfig) -> CheckpointKey:
    """The key of the checkpoint that a config names, for writes to it."""
    thread_id, checkpoint_ns, checkpoint_id = ids_of(config)
    if checkpoint_id is None:
        raise InvalidConfig("the config has no checkpoint_id: writes belong to a checkpoint")
    return CheckpointKey(thread_id, checkpoint_ns, checkpoint_id)


def search_of(
    config: RunnableConfig | None,
    before: RunnableConfig | None,
    wanted: Filter,
    created_after: datetime | None,
    created_before: datetime | None,
) -> CheckpointQuery:
    """The query of a listing. Keys that the config does not have do not restrict it: without a namespace, all namespaces are listed."""
    configurable = configurable_of(config) if config else {}
    thread_id, checkpoint_ns = configurable.get("thread_id"), configurable.get("checkpoint_ns")
    checkpoint_id = configurable.get("checkpoint_id")
    before_id = configurable_of(before).get("checkpoint_id") if before else None
    return CheckpointQuery(
        thread_id=None if thread_id is None else thread_id_of(thread_id),
        checkpoint_ns=None if checkpoint_ns is None else require_text(checkpoint_ns, "checkpoint_ns"),
        checkpoint_id=require_text(checkpoint_id, "checkpoint_id") if checkpoint_id else None,
        before=require_text(before_id, "before's checkpoint_id") if before_id else None,
        created_after=_microseconds(created_after, "created_after"),
        created_before=_microseconds(created_before, "created_before"),
        metadata_filter=wanted,
    )


def _microseconds(time: datetime | None, name: str) -> int | None:
    if time is None:
        return None
    if not isinstance(time, datetime):
        raise InvalidConfig(f"{name} must be a datetime, got {type(time).__name__}")
    return to_microseconds(time)


def require_limit(limit: int | None) -> int | None:
    """The largest number of results; None for no limit."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise InvalidConfig(f"limit must be a whole number of at least 0, or None, got {brief(limit)}")
    return limit


def require_ids(ids: Sequence[str], name: str) -> list[Any]:
    """A list of ids. A single string is refused: it would be taken for a sequence of one-letter ids."""
    if isinstance(ids, str) or not isinstance(ids, Sequence):
        raise InvalidConfig(f"{name} must be a sequence of ids, got {type(ids).__name__}")
    return list(ids)


def run_ids_of(run_ids: Sequence[Any]) -> list[str]:
    """Run ids as text, as they are in metadata."""
    return [each if isinstance(each, str) else _number_or_uuid(each, "run id") for each in require_ids(run_ids, "run_ids")]


def keys_of(rows: Iterable[Any]) -> list[CheckpointKey]:
    """The keys of rows of `ckptstore.models.Checkpoint`, also of rows whose session has ended.

    Raises:
        InvalidConfig: the rows are something else, or were not read from a database.
    """
    if isinstance(rows, Row) or not isinstance(rows, Iterable):
        raise InvalidConfig(f"rows must be an iterable of Checkpoint rows, got {type(rows).__name__}")
    return [_key_of_row(row) for row in rows]


def _key_of_row(row: Any) -> CheckpointKey:
    # Imported here: the models load SQLAlchemy's ORM.
    from ckptstore.db.models import Checkpoint

    if not isinstance(row, Checkpoint):
        way_out = "; use session.scalars(...), or row.Checkpoint" if isinstance(row, Row) else ""
        raise InvalidConfig(f"each row must be a ckptstore.models.Checkpoint, got {type(row).__name__}{way_out}")
    # Not the attributes: once a session has committed, it would have to read them again.
    identity = inspect(row).identity
    if identity is None:
        raise InvalidConfig("a Checkpoint row was not read from a database; read it in a session first")
    return CheckpointKey(*identity)


def require_text(text: Any, what: str) -> str:
    """An id or a name, unchanged.

    Args:
        text: the id or name.
        what: what it names, for the message.

    Raises:
        InvalidConfig: it is not text, or has characters that databases refuse.
    """
    if not isinstance(text, str):
        raise InvalidConfig(f"the {what} must be text, got {type(text).__name__}")
    if text.isascii() and text.isprintable():
        # The usual case, and much faster to check than the rest.
        return text
    if "\0" in text:
        raise InvalidConfig(f"the {what} contains a NUL character, which databases refuse")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidConfig(f"the {what} contains half of a surrogate pair, which databases refuse") from exc
    return text


def check_ids(key: Mapping[str, str], **others: str) -> None:
    """Check the lengths of what is to be stored. Reads take ids of any length, and find nothing by longer ones.

    Args:
        key: the key of a row, by column.
        others: further ids and names of the row.

    Raises:
        InvalidConfig: one has more than 1,024 bytes, or the key does not fit into an index.
    """
    if sum(map(len, key.values())) <= _SHORT_IDS >= sum(map(len, others.values())):
        # The usual case.
        return
    sizes = {name: len(text.encode()) for name, text in key.items()}
    for name, size in (*sizes.items(), *((name, len(text.encode())) for name, text in others.items())):
        if size > MAX_ID_BYTES:
            raise InvalidConfig(f"the {name} has {size} bytes, more than {MAX_ID_BYTES}; use a shorter one, for example a digest")
    if sum(sizes.values()) > MAX_ROW_KEY_BYTES:
        listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise InvalidConfig(f"these have more than {MAX_ROW_KEY_BYTES} bytes together, which fit into an index: {listed}; use shorter ones")


def check_channels(channels: Iterable[str]) -> None:
    """Check the names of channels.

    Raises:
        InvalidConfig: see `require_text`.
    """
    for channel in channels:
        if isinstance(channel, str):
            _check_channel(channel)
        else:
            require_text(channel, "channel name")


# Cached: all checkpoints of an application have the same few channels.
@lru_cache(maxsize=4096)
def _check_channel(channel: str) -> None:
    require_text(channel, f"channel name {shown(channel)}")
    check_ids({"channel name": channel})
