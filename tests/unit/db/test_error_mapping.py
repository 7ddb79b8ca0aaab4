"""A driver's errors become the store's: the class says what to do, the message what happened, and neither shows a row."""

from __future__ import annotations

import sqlite3
from importlib import import_module

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ckptstore.db.error_mapping import ConnectionLost, is_driver_error, is_ending, translate
from ckptstore.errors import CkptStoreError, DatabaseCorrupt, DatabaseUnavailable, SchemaOutOfDate, StatementRefused, StoreClosed

# asyncpg has no types.
InterfaceError: type[Exception] = import_module("asyncpg").exceptions.InterfaceError
InternalClientError: type[Exception] = import_module("asyncpg").exceptions.InternalClientError
SERVER = make_url("postgresql+asyncpg://me:secret@db.example/name")


class DriverError(Exception):
    """An error with a SQLSTATE, as asyncpg and psycopg raise them."""

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class OperationalError(Exception):
    """What psycopg raises of a connection that it could not open; it has no SQLSTATE."""


@pytest.mark.parametrize(
    ("sqlstate", "kind", "transient"),
    [
        ("40001", DatabaseUnavailable, True),
        ("40P01", DatabaseUnavailable, True),
        ("08006", DatabaseUnavailable, True),
        ("57P01", DatabaseUnavailable, True),
        ("53300", DatabaseUnavailable, True),
        ("28P01", DatabaseUnavailable, False),
        ("3D000", DatabaseUnavailable, False),
        ("42P01", SchemaOutOfDate, None),
        ("42703", SchemaOutOfDate, None),
        ("23505", StatementRefused, None),
    ],
)
def test_a_sqlstate_decides_the_class(sqlstate: str, kind: type[CkptStoreError], transient: bool | None) -> None:
    error = translate(DriverError(sqlstate, "what happened\nDETAIL: row (1, 'private')"), SERVER)
    assert type(error) is kind
    assert getattr(error, "transient", None) == transient
    assert "what happened" in str(error)
    assert "db.example" in str(error)
    assert "private" not in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("before", ["", "<class 'asyncpg.exceptions.InvalidParameterValueError'>: "], ids=["now", "SQLAlchemy 2.0"])
def test_stored_json_of_another_shape_is_damage_however_sqlalchemy_words_it(before: str) -> None:
    error = translate(DriverError("22023", f"{before}cannot call json_array_elements_text on a non-array"), SERVER)
    assert isinstance(error, DatabaseCorrupt)
    assert "data (cannot call json_array_elements_text on a non-array)" in str(error)


def test_a_lost_connection_is_transient_whatever_its_cause() -> None:
    lost = ConnectionLost()
    lost.__cause__ = ValueError("the stream ended")
    error = translate(lost, SERVER)
    assert isinstance(error, DatabaseUnavailable)
    assert error.transient
    assert "the stream ended" in str(error)


@pytest.mark.parametrize(
    ("message", "asks"),
    [
        ("connection refused", "is the server running"),
        ('connection to server failed: FATAL:  password authentication failed for user "u"', None),
        ("SSL error: certificate verify failed", None),
        ('root certificate file "/root/.postgresql/root.crt" does not exist', "add sslrootcert="),
    ],
)
def test_whether_a_server_runs_is_asked_where_it_may_not(message: str, asks: str | None) -> None:
    shown = str(translate(OperationalError(message), SERVER))
    assert ("; " in shown) == (asks is not None)
    assert (asks or message) in shown


@pytest.mark.parametrize(
    "exc",
    [
        InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
        InterfaceError("cannot perform operation: another operation is in progress"),
        psycopg.OperationalError("sending query failed: another command is already in progress"),
    ],
)
def test_a_connection_that_the_server_is_ending_is_lost(exc: Exception) -> None:
    found = translate(exc, SERVER)
    assert isinstance(found, DatabaseUnavailable)
    assert found.transient
    assert str(found).endswith(": the server ended the connection")
    assert is_ending(exc)
    assert not is_ending(ValueError("another operation"))


def test_an_exhausted_pool_names_the_setting() -> None:
    error = translate(PoolTimeout("no connection"), SERVER)
    assert isinstance(error, DatabaseUnavailable)
    assert "pool_size" in str(error)


def test_the_drivers_own_error_is_looked_at_beneath_sqlalchemys() -> None:
    wrapped = DBAPIError("INSERT ...", {"value": "private"}, DriverError("40001", "could not serialize access"))
    error = translate(wrapped, SERVER)
    assert isinstance(error, DatabaseUnavailable)
    assert error.transient
    assert "private" not in str(error)


@pytest.mark.parametrize(
    ("message", "kind", "transient"),
    [
        ("database is locked", DatabaseUnavailable, True),
        ("unable to open database file", DatabaseUnavailable, False),
        ("no such table: ckpt_thread", SchemaOutOfDate, None),
        ("NOT NULL constraint failed", StatementRefused, None),
    ],
)
def test_sqlites_errors_are_known_by_their_text(message: str, kind: type[CkptStoreError], transient: bool | None) -> None:
    error = translate(sqlite3.OperationalError(message), make_url("sqlite:////tmp/some.sqlite"))
    assert type(error) is kind
    assert getattr(error, "transient", None) == transient


def test_an_error_of_the_store_stays_as_it_is() -> None:
    error = StoreClosed("closed")
    assert translate(error, SERVER) is error


def test_only_errors_from_the_way_to_the_database_are_translated() -> None:
    assert is_driver_error(OSError("refused"))
    assert is_driver_error(sqlite3.OperationalError("locked"))
    assert is_driver_error(DriverError("40001", "x"))
    assert not is_driver_error(ValueError("a defect of ours"))
    assert not is_driver_error(KeyError("x"))
