"""Models whose rows a session reads and never writes: values, tags and blobs that rows share would be lost, or left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.orm import DeclarativeBase, Mapper, object_session

from ckptstore.errors import ReadOnlyModel

Model = TypeVar("Model", bound=DeclarativeBase)


def read_only(*, write: str, delete: str) -> Callable[[type[Model]], type[Model]]:
    """A class decorator: a flush that would insert, update or delete a row raises `ReadOnlyModel`.

    Statements that a session executes (`session.execute(delete(Checkpoint))`) and its bulk methods pass: SQLAlchemy has no hook for
    those of one model, and one for all models would be in every session of the user's.

    Args:
        write: what stores such rows, for the message.
        delete: what deletes them.
    """

    def decorate(model: type[Model]) -> type[Model]:
        def refuse(action: str, instead: str) -> NoReturn:
            raise ReadOnlyModel(f"a session can't {action} a {model.__name__}: its tables are written by a saver; use {instead}")

        def before_insert(_mapper: Mapper[Any], _connection: Connection, _row: object) -> None:
            refuse("insert", write)

        def before_update(_mapper: Mapper[Any], _connection: Connection, row: object) -> None:
            session = object_session(row)
            # SQLAlchemy also calls this for rows whose attributes were assigned the values that they had.
            if session is None or session.is_modified(row, include_collections=False):
                refuse("update", write)

        def before_delete(_mapper: Mapper[Any], _connection: Connection, _row: object) -> None:
            refuse("delete", delete)

        for listener in (before_insert, before_update, before_delete):
            event.listen(model, listener.__name__, listener, propagate=True)
        return model

    return decorate
