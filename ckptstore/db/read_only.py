"""Models whose rows a session reads and never writes: values, tags and blobs that rows share would be lost, or left behind.

SQLAlchemy tells of statements session by session, not model by model: one listener, on every session of the process, looks whether a
statement is about one of these models. A statement on the table (`delete(Checkpoint.__table__)`) is not the ORM's, and passes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.orm import DeclarativeBase, Mapper, ORMExecuteState, Session, object_session

from ckptstore.errors import ReadOnlyModel

Model = TypeVar("Model", bound=DeclarativeBase)
Refuse = Callable[[str, str], NoReturn]

#: For each model: a function that raises, what stores its rows, and what deletes them.
_READ_ONLY: dict[type[Any], tuple[Refuse, str, str]] = {}


def read_only(*, write: str, delete: str) -> Callable[[type[Model]], type[Model]]:
    """A class decorator: a flush or a statement of the ORM that would insert, update or delete rows raises `ReadOnlyModel`.

    The session's legacy bulk methods (`bulk_save_objects`) pass: SQLAlchemy tells nobody of them.

    Args:
        write: what stores such rows, for the message.
        delete: what deletes them.
    """

    def decorate(model: type[Model]) -> type[Model]:
        def refuse(action: str, instead: str) -> NoReturn:
            raise ReadOnlyModel(f"a session can't {action} rows of {model.__name__}, which only a saver writes; use {instead}")

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
        _READ_ONLY[model] = (refuse, write, delete)
        return model

    return decorate


@event.listens_for(Session, "do_orm_execute")
def _refuse_statement(state: ORMExecuteState) -> None:
    mapper = None if state.is_select else state.bind_mapper
    found = None if mapper is None else _READ_ONLY.get(mapper.class_)
    if found is None:
        return
    refuse, write, delete = found
    if state.is_delete:
        refuse("delete", delete)
    if state.is_update or state.is_insert:
        refuse("update" if state.is_update else "insert", write)
