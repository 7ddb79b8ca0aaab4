"""The statements by which migrations create functions of PostgreSQL's, to create copies of these functions."""

from __future__ import annotations

from ckptstore.db.migrations_folder import migrations_folder


def text_that_creates(function: str) -> str:
    """The statement of the newest migration that creates a function; in it `%1$I` is the tables' schema, and `%1$L` the same as a text.

    Raises:
        LookupError: no migration creates it.
    """
    from alembic.script import ScriptDirectory

    with migrations_folder() as folder:
        for revision in ScriptDirectory(str(folder)).walk_revisions():
            text: str = getattr(revision.module, "CREATE", "")
            if f"FUNCTION %1$I.{function}(" in text:
                return text
    raise LookupError(f"no migration creates {function}")
