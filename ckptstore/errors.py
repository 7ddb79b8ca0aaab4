"""Every error that ckptstore raises: the class says what the caller can do, the message what was seen.

No message holds a password, a key or a value of the user's.
"""

from __future__ import annotations


class CkptStoreError(Exception):
    """The root of the tree: `except CkptStoreError` catches all that ckptstore raises by design."""


class InvalidUrl(CkptStoreError, ValueError):
    """A connection string or blob URL that ckptstore can't use. Correct it."""


class InvalidEngine(CkptStoreError, TypeError):
    """A saver was given something else than an asynchronous engine or a connection string. The message names what to write."""


class MissingDriver(CkptStoreError, ImportError):
    """The driver of this database or blob URL is not installed. The message holds the command that installs it."""


class InvalidConfig(CkptStoreError, ValueError):
    """A `RunnableConfig` (or an id in it) that names no place in the store. Correct the call."""


class InvalidFilter(CkptStoreError, ValueError):
    """A metadata filter that has no meaning here. The message names the key."""


class KeyNotIndexed(InvalidFilter):
    """A metadata filter asks for a key that is kept out of the tag index, so that only a scan could answer it."""


class InvalidPolicy(CkptStoreError, ValueError):
    """A retention policy, or size limits, that make no sense. The message names the field."""


class TagKeysChanged(CkptStoreError, ValueError):
    """The tags in the database were made with other `tag_keys` than this saver's: answers would be wrong. Make them again."""


class SerializationFailed(CkptStoreError, TypeError):
    """A value that the serialiser refuses. The message names its channel; nothing was written."""


class CheckpointTooLarge(CkptStoreError, ValueError):
    """A checkpoint, or a task's writes, past the size limit. Nothing was written."""


class BlobMissing(CkptStoreError):
    """A blob that the database refers to is not in the backend. Point `blob_url` to where the blobs are, or restore them."""


class BlobCorrupt(CkptStoreError):
    """The bytes of a blob are not those that were stored: truncated or altered. Restore them; nothing of it was used."""


class _Unavailable(CkptStoreError):
    """Something outside ckptstore failed. Nothing was acknowledged; safe to try again.

    Attributes:
        transient: whether the fault may end by itself within seconds, so that a retry at once makes sense.
    """

    def __init__(self, message: str, *, transient: bool = True) -> None:
        super().__init__(message)
        self.transient = transient


class BlobUnavailable(_Unavailable):
    """The blob backend failed or refused. Nothing was acknowledged; safe to try again."""


class SchemaOutOfDate(CkptStoreError):
    """The database holds an older schema than this release, or none. Run the command in the message."""


class SchemaTooNew(CkptStoreError):
    """The database was upgraded by a newer release. Upgrade ckptstore, or downgrade the schema."""


class DatabaseUnavailable(_Unavailable):
    """The database can't be reached, or stayed locked. Nothing was acknowledged; safe to try again."""


class StatementRefused(CkptStoreError):
    """The database answered and refused. Trying again will not help."""


class ReadOnlyModel(CkptStoreError, TypeError):
    """A session would write a row of ckptstore's tables. Nothing was written; the message names the saver's method to use instead."""


class StoreClosed(CkptStoreError):
    """The saver was closed. Build another one."""

    def __init__(self, message: str = "the saver is closed; build another one") -> None:
        super().__init__(message)
