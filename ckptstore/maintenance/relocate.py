"""Relocation: the objects of a database were copied to another blob URL, which the database remembers from now on."""

from __future__ import annotations

import asyncio
import logging

from ckptstore.blobs.backends.database import is_in_database
from ckptstore.blobs.registered import RegisteredObject
from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.db import sql
from ckptstore.errors import BlobUrlChanged

logger = logging.getLogger(__name__)

_PAGE_SIZE = 500


async def relocate(objects: ObjectRegistry, *, force: bool) -> None:
    """Remember the registry's backend as the location of the database's objects, on the event loop of the objects.

    Args:
        objects: the registry.
        force: do so although objects are missing there.

    Raises:
        BlobUrlChanged: objects are missing there; nothing was changed.
        BlobUnavailable: the backend failed; nothing was changed.
    """
    missing = [] if force else await _missing_objects(objects)
    if missing:
        raise BlobUrlChanged(
            f"{len(missing)} blobs of this database are not at {objects.location.url}, for example {missing[0]}; copy them first "
            "(ckptstore blobs copy), or, if they are lost, use --force (force=True)"
        )
    await objects.write(lambda db: objects.location.remember(db, "replace"))
    logger.info("the blobs are at %s now", objects.location.url, extra={"event": "blobs_relocated", "blob_url": objects.location.url})


async def _missing_objects(objects: ObjectRegistry) -> list[str]:
    """Keys of the objects whose upload has ended and that the backend does not have."""
    missing: list[str] = []
    after = ""
    while rows := await objects.rows(sql.verify.registered_objects, {"after": after, "page_size": _PAGE_SIZE}):
        stored = [(key, size) for key, _, size, state in rows if state in ("live", "marked")]
        found = [RegisteredObject(key, size) for key, size in stored if not is_in_database(key)]
        sizes = await asyncio.gather(*[objects.backend.size(each.key) for each in found])
        missing += [each.key for each, size in zip(found, sizes, strict=True) if size != each.size]
        after = rows[-1][0]
    return missing
