"""Objects as the database knows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db


class RegisteredObject(NamedTuple):
    """An object as the database knows it."""

    key: str
    #: Bytes of its content.
    size: int


def registered_objects(db: Db, digests: Sequence[str]) -> dict[str, list[RegisteredObject]]:
    """The objects with one of some digests that a writer may refer to, by digest, newest first: one statement."""
    keys = db.key_parameters(("digest",), [(digest,) for digest in digests])
    found: dict[str, list[RegisteredObject]] = {}
    for digest, key, size in db.run(sql.objects.objects_with_digests, keys):
        found.setdefault(digest, []).append(RegisteredObject(key, size))
    return found
