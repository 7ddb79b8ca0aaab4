"""The files in a location of backups besides blobs: descriptions, copies of databases, which blobs each backup needs, and which none does.

A backup stores the keys of its blobs before it looks for them, and its description last. A blob that no backup needs is first noted, and
deleted a day later if that is still so: by then a restore that had begun is done, and a backup that was to use it has said so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.db.times import from_microseconds
from ckptstore.maintenance.hold import HOLD_MICROSECONDS

#: Keys of a backup's files begin with this; those of blobs have two digits here.
FOLDER = "backup/"
DESCRIPTION, KEYS = ".json", ".keys"
_BLOB = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}-[0-9a-f]+")
_UNNEEDED = f"{FOLDER}unneeded-"
#: No file of a backup but the copy of the database is longer.
LONGEST = 1024 * 1024 * 1024
# Between two looks at which backups there are.
_DELETED_AT_ONCE = 100


@dataclass(slots=True)
class Unneeded:
    """The blobs in a location that no backup needs."""

    #: Key -> since when it is known (microseconds since 1970, UTC).
    since: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    #: Those that were deleted now, and their bytes.
    deleted: int = 0
    deleted_bytes: int = 0


def backup_time(now: int) -> str:
    """What the name of a backup begins with: names sort by time."""
    return f"{from_microseconds(now):%Y%m%dT%H%M%SZ}"


class BackupLocation:
    """A folder or bucket with backups.

    Args:
        backend: the location.
    """

    def __init__(self, backend: BlobBackend) -> None:
        self.backend = backend

    async def names(self, suffix: str = DESCRIPTION) -> list[str]:
        """The names of the backups, the oldest first; with another suffix, those that have such a file."""
        keys = [entry.key async for entry in self.backend.entries() if entry.key.startswith(FOLDER)]
        found = [key for key in keys if key.endswith(suffix) and not key.startswith(_UNNEEDED)]
        return sorted(key.removeprefix(FOLDER).removesuffix(suffix) for key in found)

    async def store_keys(self, name: str, keys: Iterable[str]) -> None:
        """Say which blobs a backup needs."""
        await self.backend.put(f"{FOLDER}{name}{KEYS}", "\n".join(keys).encode())

    async def _needed_by(self, names: Iterable[str]) -> set[str]:
        needed: set[str] = set()
        for name in names:
            needed.update((await self.backend.get(f"{FOLDER}{name}{KEYS}", LONGEST)).decode().splitlines())
        return needed

    async def safe_keys(self) -> set[str]:
        """The blobs that backups which have ended need: nobody deletes them."""
        return await self._needed_by({*await self.names()} & {*await self.names(KEYS)})

    async def review(self, now: int, *, prune: bool) -> Unneeded:
        """Note the blobs that no backup needs; with `prune`, delete those that were noted a day ago.

        Args:
            now: microseconds since 1970, UTC.
            prune: whether to delete.
        """
        ended, named = await self.names(), await self.names(KEYS)
        if not {*ended} <= {*named}:
            # Nobody knows what one of them needs.
            return Unneeded()
        # One that began a day ago and has not ended is none.
        needed = await self._needed_by(name for name in named if name in ended or name >= backup_time(now - HOLD_MICROSECONDS))
        noted, earlier = await self._noted()
        found = Unneeded()
        due: dict[str, int] = {}
        async for entry in self.backend.entries():
            # What else is in the folder is not ours.
            if entry.key in needed or _BLOB.fullmatch(entry.key) is None:
                continue
            since = noted.get(entry.key, now)
            if prune and now - since >= HOLD_MICROSECONDS:
                due[entry.key] = entry.size
            else:
                found.since[entry.key] = since
                found.bytes += entry.size
        await self._delete(due, named, found)
        await self._note(found, earlier, now)
        return found

    async def _delete(self, due: dict[str, int], named: list[str], found: Unneeded) -> None:
        keys = sorted(due)
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            if await self.names(KEYS) != named:
                # A backup has begun, and may use them: the next run looks again.
                return
            for key in keys[start : start + _DELETED_AT_ONCE]:
                await self.backend.delete(key)
                found.deleted += 1
                found.deleted_bytes += due[key]

    async def _noted(self) -> tuple[dict[str, int], list[str]]:
        """What earlier runs noted, and in which files."""
        files = [entry.key async for entry in self.backend.entries() if entry.key.startswith(_UNNEEDED)]
        noted: dict[str, int] = {}
        for key in files:
            for blob, since in json.loads(await self.backend.get(key, LONGEST)).items():
                noted[blob] = min(since, noted.get(blob, since))
        return noted, files

    async def _note(self, found: Unneeded, earlier: Iterable[str], now: int) -> None:
        # Nothing is written over: the new file first, then the old ones go.
        key = f"{_UNNEEDED}{now}.json"
        if found.since:
            await self.backend.put(key, json.dumps(found.since).encode())
        for old in earlier:
            if old != key:
                await self.backend.delete(old)
