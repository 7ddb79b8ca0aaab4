"""Every error that ckptstore raises: the class says what the caller can do, the message says what happened.

No message contains a password, a key or a value of the user's.
"""

from __future__ import annotations

import math
import sys
from datetime import datetime
from numbers import Integral, Real
from typing import Any, TypeVar

E = TypeVar("E", bound=BaseException)


class CkptStoreError(Exception):
    """The base class: `except CkptStoreError` catches every error that ckptstore raises by design."""


class InvalidUrl(CkptStoreError, ValueError):
    """A connection string or blob URL that ckptstore can't use. Correct it."""


class InvalidEngine(CkptStoreError, TypeError):
    """A saver was given something other than an asynchronous engine or a connection string. The message shows the right form."""


class MissingDriver(CkptStoreError, ImportError):
    """The driver of this database or blob URL is not installed. The message holds the command that installs it."""


class InvalidConfig(CkptStoreError, ValueError):
    """A `RunnableConfig`, an id in it, or another argument that is missing or has the wrong type. Correct the call."""


class InvalidFilter(CkptStoreError, ValueError):
    """A metadata filter with an unknown operator or a value that can't be compared. The message names the key."""


class KeyNotIndexed(InvalidFilter):
    """A metadata filter on a key that the saver's `tag_keys` exclude from the index: only a full scan could answer it."""


class InvalidPolicy(CkptStoreError, ValueError):
    """A retention policy or size limits with an impossible value. The message names the field."""


class TagKeysChanged(CkptStoreError, ValueError):
    """The tags in the database were built with other `tag_keys` than this saver's, so searches would miss results. Rebuild them."""


class SerializationFailed(CkptStoreError, TypeError):
    """A value that the serialiser can't write or read. The message names its channel; nothing was written."""


class NotEncrypted(CkptStoreError):
    """A value that is stored without encryption, under an encrypting serialiser. `allow_plain=True` reads it."""


class CheckpointTooLarge(CkptStoreError, ValueError):
    """A checkpoint, a task's writes or a blob that exceeds a size limit. Nothing was written."""


class BlobUrlChanged(CkptStoreError, ValueError):
    """The blobs of the database are not at this saver's `blob_url`. Use theirs, or say that they moved: `ckptstore blobs relocate`."""


class BlobMissing(CkptStoreError):
    """A blob that the database refers to is not in the backend. Set `blob_url` to where the blobs are, or restore them."""


class BlobCorrupt(CkptStoreError):
    """The bytes of a blob are truncated or altered. Restore the blob; nothing of it was used."""


class CheckpointCorrupt(CkptStoreError):
    """A stored checkpoint, value or write was altered, or a part of it is missing. Nothing of it was used; restore it from a backup."""


class DatabaseCorrupt(CkptStoreError):
    """The files of the database are damaged: the database itself can't read them. Restore a backup."""


class _Unavailable(CkptStoreError):
    """Something outside ckptstore failed. Nothing was acknowledged; safe to retry.

    Attributes:
        transient: whether the fault may end by itself within seconds, so that a retry at once makes sense.
    """

    def __init__(self, message: str, *, transient: bool = True) -> None:
        super().__init__(message)
        self.transient = transient


class BlobUnavailable(_Unavailable):
    """The blob backend failed or refused. Nothing was acknowledged; safe to retry."""


class SchemaOutOfDate(CkptStoreError):
    """The database has an older schema than this release, or none. Run the command in the message."""


class SchemaTooNew(CkptStoreError):
    """The database was upgraded by a newer release. Upgrade ckptstore, or downgrade the schema."""


class DatabaseUnavailable(_Unavailable):
    """The database can't be reached, or stayed locked. Nothing was acknowledged; safe to retry."""


class DatabaseFileLost(DatabaseUnavailable):
    """The SQLite file of an open saver was deleted, replaced or truncated. Nothing was acknowledged since; the message has the way out."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=False)


class UpgradeUnderWay(DatabaseUnavailable):
    """Another process is changing the schema, since the time in the message. Nothing was done; try again when it is done."""


class StatementRefused(CkptStoreError):
    """The database refused a statement. A retry will not help."""


class StoreMoved(CkptStoreError):
    """The threads of this database have moved (`ckptstore move`), and it refuses writes. Nothing was stored; open a saver there.

    Attributes:
        to: the URL of the new location, without secrets.
    """

    def __init__(self, message: str, to: str = "") -> None:
        super().__init__(message)
        self.to = to


class ThreadBusy(CkptStoreError):
    """Another run or task holds the thread. Nothing was stored; try again later, or wait for it (`hold(..., wait=...)`).

    Attributes:
        thread_id: the thread.
        host: the machine of the holder.
        pid: its process id there.
        label: what the holder calls itself; a run of `one_writer` has its run id in it.
        until: when its lease expires unless it is renewed, in UTC, by the database's clock.
    """

    def __init__(
        self, message: str, *, thread_id: str = "", host: str = "", pid: int = 0, label: str = "", until: datetime | None = None
    ) -> None:
        super().__init__(message)
        self.thread_id, self.host, self.pid, self.label, self.until = thread_id, host, pid, label, until


class LeaseLost(CkptStoreError):
    """The lease of a thread expired and another one took it, or it was released. Nothing was stored since; read the thread again.

    Attributes:
        thread_id: the thread.
    """

    def __init__(self, message: str, thread_id: str = "") -> None:
        super().__init__(message)
        self.thread_id = thread_id


class InvalidSource(CkptStoreError, ValueError):
    """What is to be imported from is no saver's store, or can't be read. The message says what is there; nothing was stored."""


class ThreadExists(CkptStoreError, ValueError):
    """A thread of a copy or an import is at the target already, with something else, and `refuse` was asked for. Nothing was stored."""


class ReadOnlyModel(CkptStoreError, TypeError):
    """A session would write a row of ckptstore's tables. Nothing was written; the message names the saver's method to use instead."""


class StoreClosed(CkptStoreError):
    """The saver was closed. Create another one."""

    def __init__(self, message: str = "the saver is closed; build another one") -> None:
        super().__init__(message)


def own(exc: E) -> E:
    """The error for one of several callers who wait for the same thing.

    Each raise adds its frames to the traceback of what is raised: if all raised the same object, the thousandth caller would log the
    frames of a thousand. Errors of others may not be copied.
    """
    if not isinstance(exc, CkptStoreError):
        return exc
    copied = type(exc).__new__(type(exc), *exc.args).with_traceback(exc.__traceback__)
    copied.__dict__.update(exc.__dict__)
    copied.__cause__, copied.__context__, copied.__suppress_context__ = exc.__cause__, exc.__context__, exc.__suppress_context__
    return copied


def require_number(name: str, value: Any, least: float, *, whole: bool = False, finite: bool = False) -> None:
    """Return if an argument is a number of at least so much. NaN is none: it is neither smaller nor larger than a bound.

    Args:
        name: of the argument, for the message.
        value: what was given.
        least: the smallest number that is allowed.
        whole: whether it has to be a whole number.
        finite: whether infinity is refused.

    Raises:
        InvalidConfig: it is not; the message names it.
    """
    if not _is_number(value, whole=whole):
        raise InvalidConfig(f"{name} must be a {'whole ' if whole else ''}number, got {brief(value)}")
    if value < least:
        raise InvalidConfig(f"{name} must {f'be at least {least:g}' if least else 'not be negative'}, got {brief(value)}")
    if sys.float_info.max < value < math.inf:
        # A time is added to floats.
        raise InvalidConfig(f"{name} must be less than 2**1024, got {brief(value)}")
    if finite and value == math.inf:
        raise InvalidConfig(f"{name} must be finite, got {brief(value)}")


def _is_number(value: object, *, whole: bool) -> bool:
    # Mostly it is one of Python's own. To ask an abstract class takes ten times as long, and each saver checks a dozen numbers.
    kind = type(value)
    is_number = kind is int or (kind is float and not whole)
    if not is_number and (kind is bool or not isinstance(value, Integral if whole else Real)):
        return False
    # Only NaN differs from itself; `math.isnan` refuses large integers.
    return bool(value == value)  # noqa: PLR0124


def require_functions(**given: object) -> None:
    """Return if arguments are functions: one that is not would be met only after something was done.

    Raises:
        InvalidConfig: one is something else; the message names it.
    """
    for name, value in given.items():
        if not callable(value):
            raise InvalidConfig(f"{name} must be a function, got {brief(value)}")


_LONGEST_SHOWN = 40


def brief(value: object) -> str:
    """An argument as a message shows it: a short text or number as it is, and of anything else its type."""
    if value is None or type(value) in (bool, float):
        return repr(value)
    if (type(value) is int and value.bit_length() <= _LONGEST_SHOWN) or (type(value) is str and len(value) <= _LONGEST_SHOWN):
        return repr(value)
    return f"a value of type {type(value).__name__}"
