"""Attributes that identify a database, and what an operation is about."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.semconv.attributes import db_attributes, server_attributes
from sqlalchemy import make_url

from ckptstore.monitoring.attributes import database_attributes, subject_attributes


@pytest.mark.parametrize(
    ("url", "schema", "found"),
    [
        ("sqlite+aiosqlite:////home/ann/checkpoints.sqlite", None, ("sqlite", "checkpoints.sqlite")),
        ("sqlite+aiosqlite:///file:/home/ann/c.sqlite?mode=ro&uri=true", None, ("sqlite", "c.sqlite")),
        ("sqlite+aiosqlite://", None, ("sqlite", ":memory:")),
        ("postgresql+asyncpg://ann:geheim@db.example:5433/agents", None, ("postgresql", "agents", "db.example", 5433)),
        ("postgresql+psycopg://db.example/agents", "prod", ("postgresql", "agents|prod", "db.example")),
    ],
)
def test_a_database(url: str, schema: str | None, found: tuple[Any, ...]) -> None:
    names = (db_attributes.DB_SYSTEM_NAME, db_attributes.DB_NAMESPACE, server_attributes.SERVER_ADDRESS, server_attributes.SERVER_PORT)
    assert database_attributes(make_url(url), schema) == dict(zip(names, found, strict=False))


def test_what_is_known_of_a_subject() -> None:
    assert subject_attributes(("t", "", None)) == {"ckptstore.thread.id": "t", "ckptstore.checkpoint.ns": ""}
    assert subject_attributes((None, None, None)) == {}
