"""No password leaves through a message, wherever the user wrote it."""

from __future__ import annotations

import traceback

import psycopg
import pytest
from sqlalchemy import event, make_url

from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.db.postgres import postgres_engine
from ckptstore.db.retries import Retries, seconds_from_now
from ckptstore.db.secrets import Secrets, masked
from ckptstore.db.url import parse_database_url
from ckptstore.errors import CkptStoreError, DatabaseUnavailable
from ckptstore.langgraph.database import parse_conn_string
from ckptstore.monitoring.monitor import Monitor

SECRET = "hunter2-geheim"
PLACES = {
    "user part": f"postgresql://me:{SECRET}@h/db",
    "password in the query": f"postgresql://me@h/db?password={SECRET}",
    "password twice in the query": f"postgresql://me@h/db?password=old&password={SECRET}",
    "sslpassword": f"postgresql+psycopg://me@h/db?sslmode=require&sslpassword={SECRET}",
}
if psycopg.pq.version() >= 18_00_00:
    # libpq knows it from 18 on.
    PLACES["client secret"] = f"postgresql+psycopg://me@h/db?oauth_client_secret={SECRET}"


@pytest.mark.parametrize("written", PLACES.values(), ids=PLACES)
def test_no_text_of_a_url_shows_a_secret(written: str) -> None:
    url = parse_database_url(written)
    engine = postgres_engine(url, DatabaseSettings())
    shown = [
        masked(make_url(written)),
        masked(url),
        repr(parse_conn_string(written)),
        repr(engine),
        repr(engine.sync_engine),
        str(engine.url),
    ]
    assert [text for text in shown if SECRET in text] == []
    assert "***" in masked(url)
    assert masked(url).startswith("postgresql+")


@pytest.mark.parametrize("written", PLACES.values(), ids=PLACES)
def test_the_driver_still_gets_the_secret(written: str) -> None:
    engine = postgres_engine(parse_database_url(written), DatabaseSettings())
    arguments: list[object] = []

    @event.listens_for(engine.sync_engine, "do_connect")
    def connect(_dialect: object, _entry: object, _args: object, named: dict[str, object]) -> None:
        arguments.extend(named.values())
        raise ConnectionError("far enough")

    with pytest.raises(ConnectionError):
        engine.sync_engine.raw_connection()
    assert SECRET in arguments


def test_settings_do_not_show_what_the_driver_is_given() -> None:
    assert SECRET not in repr(DatabaseSettings(connect_args={"password": SECRET}))


class DriverError(Exception):
    """As psycopg's: with a SQLSTATE, and a part of the connection's parameters in its message."""

    sqlstate = "08001"


@pytest.mark.parametrize("where", ["url", "connect_args"])
def test_a_drivers_message_is_repeated_without_secrets(where: str) -> None:
    url = make_url(f"postgresql+psycopg://me:{SECRET}@h/db" if where == "url" else "postgresql+psycopg://me@h/db")
    retries = Retries(url, DatabaseSettings(connect_args={} if where == "url" else {"sslpassword": SECRET}), Monitor(), on_file=False)

    def attempt() -> None:
        raise DriverError(f'invalid connection string: missing "=" after "{SECRET}"')

    with pytest.raises(CkptStoreError, match=r'missing "=" after "\*\*\*"') as caught:
        retries.run(seconds_from_now(0), attempt)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_names_are_shown_even_if_they_are_the_password() -> None:
    secrets = Secrets(make_url("postgresql://postgres:postgres@h/db"), {"password": "db"})
    assert secrets.hide('no password for user "postgres" of "db"') == 'no password for user "postgres" of "db"'


def test_a_dsn_is_not_repeated_by_the_saver() -> None:
    with pytest.raises(CkptStoreError) as caught:
        SQLAlchemySaver.from_conn_string(f"host=h user=me password={SECRET}")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_an_unreachable_server_is_said_without_the_drivers_frames(driver: str) -> None:
    saver = SQLAlchemySaver.from_conn_string(f"postgresql+{driver}://u:secret@127.0.0.1:1/db")
    with pytest.raises(DatabaseUnavailable, match="is the server running") as caught:
        saver.setup().result()
    saver.close()
    shown = "".join(traceback.format_exception(caught.value))
    assert f"/{driver}/" not in shown
    assert "refused" in shown.lower() or "Connect call failed" in shown
