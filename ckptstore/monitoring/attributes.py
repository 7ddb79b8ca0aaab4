"""Attributes of spans and metrics, by OpenTelemetry's semantic conventions of databases (the stable ones)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from urllib.parse import urlsplit

from sqlalchemy import URL

from ckptstore.monitoring.subject import Subject

Attributes = Mapping[str, str | int]

_SUBJECT_NAMES = ("ckptstore.thread.id", "ckptstore.checkpoint.ns", "ckptstore.checkpoint.id")


def database_attributes(url: URL, schema: str | None) -> Attributes:
    """What identifies a database: its system, name and server. Of a SQLite file the name without its folder."""
    if url.get_backend_name() == "sqlite":
        path = urlsplit(url.database).path if url.database and url.database.startswith("file:") else url.database
        return {"db.system.name": "sqlite", "db.namespace": PurePath(path or ":memory:").name}
    names = [url.database, schema] if schema else [url.database]
    found: dict[str, str | int] = {"db.system.name": "postgresql", "db.namespace": "|".join(name for name in names if name)}
    if url.host:
        found["server.address"] = url.host
    if url.port:
        found["server.port"] = url.port
    return found


def subject_attributes(subject: Subject) -> Attributes:
    """What an operation is about. Only of spans: metrics would have a time series for each thread."""
    return {name: part for name, part in zip(_SUBJECT_NAMES, subject, strict=True) if part is not None}
