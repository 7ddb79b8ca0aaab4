"""Revisions in the code and in the folder are the same; a host's autogenerate leaves our tables out."""

from __future__ import annotations

from alembic.script import ScriptDirectory

from ckptstore.db import schema
from ckptstore.db.migrations_folder import migrations_folder


def test_the_revisions_in_the_code_are_those_of_the_folder() -> None:
    with migrations_folder() as folder:
        found = [revision.revision for revision in ScriptDirectory(str(folder)).walk_revisions()]
    assert tuple(reversed(found)) == schema.REVISIONS
