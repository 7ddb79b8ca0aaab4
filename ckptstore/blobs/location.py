"""Where the blobs of a database are, as the database itself remembers it: nobody collects them anywhere else.

The URL is remembered after the first upload, without secrets and without parameters other than an endpoint. What is next to a SQLite
file is remembered relative to it, so that both can be moved together.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from sqlalchemy import URL

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.stored_settings import read_setting
from ckptstore.db.url import is_memory
from ckptstore.errors import BlobUrlChanged

if TYPE_CHECKING:
    from ckptstore.blobs.registry import ObjectRegistry

logger = logging.getLogger(__name__)

_SETTING = "blob_url"
_FILE = "file://"
# What a remembered folder begins with: the path of the SQLite file, or the path of its folder.
_BESIDE_FILE = "database:"
_IN_FOLDER = "folder:"
_ENDPOINT = "?endpoint_url="


class BlobLocation:
    """The location that a store has for blobs, and the one that its database remembers.

    Args:
        database: the URL of the database.
        url: that of the store's backend, without secrets; None if it has none.
    """

    def __init__(self, database: URL, url: str | None) -> None:
        self._database = database
        self._given = url
        #: As of the last `look_up`; None if nothing was remembered.
        self.remembered: str | None = None
        self._noted = False

    @cached_property
    def url(self) -> str | None:
        """The normalised URL of the store's backend. Links are resolved when it is first compared: mostly nothing is remembered."""
        return None if self._given is None else normalised(self._given)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the database remembers another location than the store's."""
        return self.remembered is not None and (self.url is None or not _are_same(self.url, self.remembered))

    @property
    def explanation(self) -> str:
        """What is wrong, and the way out, for a message."""
        if self.url is None:
            where = "at another location" if self.remembered is None else f"at {self.remembered}"
            return f"this saver has no blob_url, and the blobs of its database are {where}; pass that blob_url (--blob-url)"
        return (
            f"the blobs of this database are at {self.remembered}, and the blob_url of this saver is {self.url}; use that one, or copy "
            f"them: ckptstore blobs copy --from {shlex.quote(self.remembered or '')} --to {shlex.quote(self.url)}, and say so: ckptstore "
            "blobs relocate --url URL --blob-url BLOB_URL"
        )

    # --- work on the database

    def look_up(self, db: Db) -> None:
        """Read which location is remembered."""
        self.remembered = read_setting(db, _SETTING, lambda stored: from_portable(stored["url"], self._database))

    def check(self, db: Db) -> None:
        """Like `look_up`, and log a warning if it is not the store's."""
        self.look_up(db)
        if self.is_elsewhere:
            logger.warning("%s", self.explanation, extra={"event": "blobs_elsewhere", "remembered": self.remembered, "blob_url": self.url})

    def remember(self, db: Db, conflict: str = "keep") -> None:
        """Remember the store's location; with `replace` also where another is remembered."""
        assert self.url is not None
        value = json.dumps({"url": to_portable(self.url, self._database)})
        db.run(sql.settings_table.set_setting, {"name": _SETTING, "value": value}, conflict)
        # Another process may have been first.
        self.check(db)

    # --- on the event loop of the objects

    async def note_upload(self, objects: ObjectRegistry) -> None:
        """Remember where this process uploaded its first object, unless a location is remembered already."""
        if self._noted:
            return
        self._noted = True
        if self.remembered is None:
            await objects.read(self.check)
        # The objects of a database from before there was the setting may be elsewhere.
        if self.remembered is None and await self._has_objects_of(objects):
            await objects.write(self.remember)

    async def require(self, objects: ObjectRegistry) -> None:
        """Return if the database has no objects, or they are at the store's location.

        Raises:
            BlobUrlChanged: they are elsewhere, or the store has no backend.
        """
        await objects.read(self.look_up)
        if not await objects.rows(sql.objects.any_object, {}):
            return
        if self.url is None or self.is_elsewhere:
            raise BlobUrlChanged(self.explanation)
        if self.remembered is None:
            if not await self._has_objects_of(objects):
                raise BlobUrlChanged(
                    f"none of the newest blobs of this database is at {self.url}; pass the blob_url where they are (--blob-url), or, if "
                    "they are lost, say so: ckptstore blobs relocate --force --url URL --blob-url BLOB_URL"
                )
            await objects.write(self.remember)

    async def _has_objects_of(self, objects: ObjectRegistry) -> bool:
        """Whether the backend has one of the newest objects of the database, or the database has none."""
        keys = [key for (key,) in await objects.rows(sql.objects.newest_objects, {})]
        for key in keys:
            if await objects.backend.size(key) is not None:
                return True
        return not keys


def normalised(url: str) -> str:
    """A backend's URL without what does not identify the location: parameters except an endpoint, slashes, links to a folder."""
    if url.startswith(_FILE):
        return f"{_FILE}{os.path.realpath(url.removeprefix(_FILE))}"
    base, _, query = url.partition("?")
    scheme, _, rest = base.partition("://")
    path = "/".join(part for part in rest.split("/") if part)
    endpoint = dict(parse_qsl(query)).get("endpoint_url", "").rstrip("/")
    return f"{'s3' if scheme == 's3a' else scheme}://{path}" + (f"{_ENDPOINT}{endpoint}" if endpoint else "")


def _are_same(one: str, other: str) -> bool:
    (here, _, my_endpoint), (there, _, its_endpoint) = one.partition(_ENDPOINT), other.partition(_ENDPOINT)
    # An endpoint may also come from the environment, or from options.
    return here == there and (my_endpoint == its_endpoint or not my_endpoint or not its_endpoint)


def to_portable(url: str, database: URL) -> str:
    """A normalised URL as it is remembered: relative to a SQLite file that it is next to."""
    file = _file_of(database)
    if file is None or not url.startswith(_FILE):
        return url
    folder = url.removeprefix(_FILE)
    if folder.startswith(f"{file}."):
        return _BESIDE_FILE + folder.removeprefix(file)
    parent = os.path.dirname(file)
    if PurePath(folder).is_relative_to(parent):
        return _IN_FOLDER + PurePath(folder).relative_to(parent).as_posix()
    return url


def from_portable(text: str, database: URL) -> str:
    """The normalised URL that `to_portable` was given, or its counterpart where the SQLite file was moved."""
    file = _file_of(database)
    if file is not None and text.startswith(_BESIDE_FILE):
        return f"{_FILE}{file}{text.removeprefix(_BESIDE_FILE)}"
    if file is not None and text.startswith(_IN_FOLDER):
        return f"{_FILE}{os.path.normpath(os.path.join(os.path.dirname(file), text.removeprefix(_IN_FOLDER)))}"
    return text


def _file_of(database: URL) -> str | None:
    if database.get_backend_name() != "sqlite" or is_memory(database):
        return None
    return os.path.realpath(str(database.database))
