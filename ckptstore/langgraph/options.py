"""The options of a saver, documented once: the constructor and `from_conn_string` take the same ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict

from langgraph.checkpoint.serde.base import SerializerProtocol
from sqlalchemy import URL

from ckptstore.blobs.settings import DEFAULT_BLOB_SETTINGS, BlobSettings
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import default_blob_url
from ckptstore.errors import InvalidConfig
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.monitoring.settings import MonitoringSettings
from ckptstore.tags.keys import TagKeys
from ckptstore.values.size_limits import SizeLimits


class SaverOptions(TypedDict, total=False):
    """Keyword arguments of `SQLAlchemySaver(engine, ...)` and of `SQLAlchemySaver.from_conn_string(url, ...)`.

    A subclass passes them on: `def __init__(self, engine, *, tenant: str, **options: Unpack[SaverOptions])`.
    """

    blob_url: str | os.PathLike[str] | None
    """Where values of 64 KiB and more are stored: a folder, `file://`, `s3://bucket/prefix`, `memory://`, or any URL that fsspec
    knows. By default a folder next to the SQLite file; for PostgreSQL and SQLite in memory, the database itself."""

    blob_options: Mapping[str, Any] | None
    """Keyword arguments of the fsspec file system, in addition to those that follow from `blob_url`."""

    blob_settings: BlobSettings | None
    """Parallelism, retries and caches of the blobs."""

    schema: str | None
    """The PostgreSQL schema that holds the tables. By default the first one of the connection's search path."""

    read_url: str | os.PathLike[str] | URL | None
    """A streaming standby of the PostgreSQL database, for what may be some seconds old: listings, searches, and the dry runs of upkeep. A
    listing of one thread with `limit=1` is not: a graph continues there. While the standby can't be read, or is too far behind, the
    database itself is. By default there is none."""

    read_newest: bool
    """Whether single checkpoints are read from `read_url` too. A graph that continues with a checkpoint some seconds old repeats what was
    done since: set it only for savers that show states and run no graph. By default False."""

    max_lag_seconds: float
    """How far behind the standby of `read_url` may be. By default 60."""

    serde: SerializerProtocol | None
    """The serialiser of values. By default LangGraph's `JsonPlusSerializer`."""

    moved_to: str | os.PathLike[str] | URL | None
    """Where the threads of this database will move (`ckptstore move`): the URL with its password. When the saver meets the seal, it goes on
    there, once the move has ended; what was refused meanwhile is written there. The seal must name the same host, port and database; it
    names the schema, and the new database where its blobs are. Until then each read looks for the seal, too. Without it, writes raise
    `StoreMoved`."""

    reuse: bool
    """Remember the messages and documents that LangGraph's own serialiser wrote and read, so that a turn of a long chat costs what is new
    in it. What is stored and what is read stay the same; the process keeps up to 64 MiB for this. By default True."""

    strict: bool
    """Refuse a serialiser that builds objects of any class which a stored value names: whoever can write to the database could run code
    in this process. Without `serde`, LangGraph's own is used with an empty allowlist, as `LANGGRAPH_STRICT_MSGPACK=true` does; a graph
    adds the classes of its state. By default False, as in LangGraph."""

    allow_plain: bool
    """Whether an `EncryptedSerializer` reads values that are not encrypted. By default False: whoever can write to the database could
    otherwise leave the encryption out. Set it for a store that was filled before encryption was switched on."""

    settings: DatabaseSettings | None
    """Pool size, durability, timeouts and retries of the database."""

    clock: Callable[[], datetime]
    """Returns the time of each write, an aware `datetime`. By default the system's clock, in UTC."""

    tag_keys: TagKeys
    """The metadata keys that filters can use, and the words by which credentials are recognised. By default all keys can be used."""

    limits: SizeLimits
    """The largest checkpoint, writes of a task, metadata, and blob. By default 10 MiB for the first two, 256 KiB and 1,000 tags for
    the metadata, no limit for a blob."""

    retention: RetentionPolicy | Mapping[str, Any] | None
    """What to keep when old checkpoints are to be deleted in the background: a policy, or a dict with its fields. A worker thread
    of this process deletes; if several processes use a database, one of them at a time. Failures are logged and retried.
    By default nothing is deleted."""

    monitoring: MonitoringSettings | None
    """What is logged as slow, and other settings of what the saver tells about itself."""

    one_writer: Literal["refuse", "wait"] | None
    """Let one graph run at a time write to a thread, across processes and machines: with `refuse`, a run of a thread that another one holds
    raises `ThreadBusy`; with `wait`, it waits its turn, in the order of asking. Writes outside of runs (`update_state`) are refused while a
    run holds the thread. Reads, listings and time travel are free. By default None: two runs of a thread at the same time both go on from
    the same checkpoint, as with every saver. All savers on a database should agree."""

    one_writer_wait: float
    """How many seconds a run waits for its turn at most, with `one_writer="wait"`. By default 60."""

    retention_interval: timedelta
    """Time from the start of one background run to the next, over all processes. By default one day."""


def check_names(options: SaverOptions) -> None:
    """Refuse unknown options, as Python does for parameters that are written out.

    Raises:
        TypeError: an option does not exist; the message names it and those that do.
    """
    unknown = sorted(options.keys() - SaverOptions.__annotations__.keys())
    if unknown:
        raise TypeError(f"SQLAlchemySaver has no option {unknown[0]!r}; its options are {', '.join(SaverOptions.__annotations__)}")


#: What an option may be besides None; the first type is named in messages.
_KINDS: dict[str, tuple[type, ...]] = {
    "limits": (SizeLimits,),
    "tag_keys": (TagKeys,),
    "settings": (DatabaseSettings,),
    "blob_settings": (BlobSettings,),
    "blob_options": (Mapping,),
    "blob_url": (str, os.PathLike),
    "monitoring": (MonitoringSettings,),
    "clock": (Callable,),  # type: ignore[dict-item]
}
# None is refused for these: it might mean no limit (or no keys), or the default.
_NEVER_NONE = ("limits", "tag_keys", "clock")


def check_kinds(options: SaverOptions) -> None:
    """Refuse options of another type.

    Raises:
        InvalidConfig: an option has another type; the message names it.
    """
    for name, kinds in _KINDS.items():
        given = options.get(name, kinds)
        if given is kinds or (given is None and name not in _NEVER_NONE) or isinstance(given, kinds):
            continue
        raise InvalidConfig(f"{name} must be a {kinds[0].__name__}, got {type(given).__name__}; leave it out for the default")


def blob_url_of(options: SaverOptions, database_url: URL) -> str | None:
    """Where large values are stored; None for the database itself."""
    blob_url = options.get("blob_url")
    return default_blob_url(database_url) if blob_url is None else os.fspath(blob_url)


def blob_settings_of(options: SaverOptions) -> BlobSettings:
    """The settings of the blobs, with `blob_options` merged in."""
    settings = options.get("blob_settings") or DEFAULT_BLOB_SETTINGS
    extra = options.get("blob_options")
    return replace(settings, options={**settings.options, **extra}) if extra else settings
