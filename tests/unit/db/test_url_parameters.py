"""URLs as providers of databases print them."""

from __future__ import annotations

import logging
import re

import pytest

from ckptstore import DatabaseSettings
from ckptstore.db.url import parse_database_url, split_connect_args
from ckptstore.db.url_parameters import behind_pooler
from ckptstore.errors import InvalidUrl, MissingDriver

NEON = "postgresql://u:p@ep-x-pooler.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require"
SUPABASE = "postgresql://postgres.abc:p@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true"
VERCEL = "postgres://u:p@h.supabase.com:5432/postgres?sslmode=require&supa=base-pooler.x"
AZURE = "postgresql://u%40tenant:p@h.postgres.database.azure.com:5432/db?sslmode=verify-full&sslrootcert=/etc/ssl/root.crt"
RENDER = "postgresql://u:p@dpg-x-a.frankfurt-postgres.render.com/db"
KEEPALIVES = "postgresql://u:p@h/db?keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=5"
SETTINGS = "postgresql://u:p@h/db?options=-c%20search_path%3Da&application_name=agents&target_session_attrs=read-write"


@pytest.mark.parametrize(
    ("written", "driver"),
    [
        (NEON, "psycopg"),
        (SUPABASE, "psycopg"),
        (VERCEL, "asyncpg"),
        (AZURE, "psycopg"),
        (RENDER, "asyncpg"),
        (KEEPALIVES, "psycopg"),
        (SETTINGS, "asyncpg"),
    ],
)
def test_a_url_as_it_is_printed(written: str, driver: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="ckptstore"):
        url = parse_database_url(written)
    assert url.get_driver_name() == driver
    assert ("driver_chosen" in [getattr(record, "event", None) for record in caplog.records]) == (driver == "psycopg")
    assert "u:p@" not in caplog.text


def test_every_parameter_arrives() -> None:
    assert set(parse_database_url(KEEPALIVES).query) == {"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"}
    assert parse_database_url(VERCEL).query == {"ssl": "require"}


@pytest.mark.parametrize("named", ["sslmode=require&connect_timeout=5", "ssl=require&timeout=5"])
def test_the_names_of_either_driver_reach_both(named: str) -> None:
    assert parse_database_url(f"postgresql+asyncpg://u:p@h/db?{named}").query == {"ssl": "require", "timeout": "5"}
    assert parse_database_url(f"postgresql+psycopg://u:p@h/db?{named}").query == {"sslmode": "require", "connect_timeout": "5"}


@pytest.mark.parametrize(("written", "limit"), [("5", 5.0), ("0", None), ("-1", None)])
def test_no_limit_is_written_as_libpq_has_it(written: str, limit: float | None) -> None:
    _, arguments = split_connect_args(parse_database_url(f"postgresql+asyncpg://h/db?connect_timeout={written}"))
    assert arguments == {"timeout": limit}


def test_psycopg_is_taken_where_no_statement_may_be_prepared(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="ckptstore"):
        assert parse_database_url(RENDER, prepares=False).get_driver_name() == "psycopg"
    assert "psycopg is used: asyncpg always prepares statements" in caplog.text


def test_a_pooler_is_given_no_prepared_statements() -> None:
    url, settings = behind_pooler(parse_database_url(SUPABASE), DatabaseSettings())
    assert (dict(url.query), settings.prepared_statements) == ({}, False)
    url, settings = behind_pooler(parse_database_url(SUPABASE.replace("true", "false")), DatabaseSettings())
    assert (dict(url.query), settings.prepared_statements) == ({}, True)
    with pytest.raises(InvalidUrl, match="true or false"):
        behind_pooler(parse_database_url(SUPABASE.replace("true", "maybe")), DatabaseSettings())


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("schema=public", "pass schema=..."),
        ("connection_limit=5", "DatabaseSettings(pool_size=...)"),
        ("sslmod=require", "libpq has no URL parameter 'sslmod'"),
        ("statement_cache_size=0", "write pgbouncer=true"),
        ("ssl=true", "write sslmode=require"),
        ("sslmode=require&sslmode=disable", "'sslmode' is given 2 times"),
        ("connect_timeout=soon", "a number of seconds, not 'soon'"),
    ],
)
def test_a_parameter_that_no_driver_has(query: str, says: str) -> None:
    with pytest.raises(InvalidUrl, match=re.escape(says)):
        parse_database_url(f"postgresql://u:p@h/db?{query}")


def test_asyncpg_by_name_keeps_to_asyncpg() -> None:
    for written in (NEON, SUPABASE):
        with pytest.raises(InvalidUrl, match=r"postgresql\+psycopg://"):
            parse_database_url(written.replace("postgresql://", "postgresql+asyncpg://"))


@pytest.mark.parametrize("written", ["postgresql+psycopg2://u:p@h/db", "postgresql+pg8000://u:p@h/db"])
def test_another_driver_is_refused_by_its_alternative(written: str) -> None:
    with pytest.raises(InvalidUrl, match=r"write postgresql\+psycopg://"):
        parse_database_url(written)


def test_a_parameter_whose_driver_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name == "asyncpg" else None)
    with pytest.raises(MissingDriver, match="'channel_binding' needs the driver psycopg"):
        parse_database_url(NEON)
