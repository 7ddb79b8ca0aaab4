"""Map the errors of backends to ckptstore's, the only place that does: which are transient, which permanent, and what to say.

Messages are made from error codes, type names and the backend's URL, never from an error's text: that may repeat a request.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from ckptstore.errors import BlobCorrupt, BlobMissing, BlobUnavailable, CkptStoreError

# A file system that checks what it reads found a checksum that does not fit (ext4, XFS); not every system has these.
_DAMAGED_ERRNOS = {number for name in ("EBADMSG", "EUCLEAN") if (number := getattr(errno, name, None)) is not None}
_PERMANENT_ERRNOS = {
    *_DAMAGED_ERRNOS,
    errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EFBIG,
    errno.ELOOP, errno.EEXIST, errno.ENOENT, errno.ENOSYS, errno.EINVAL, errno.ENXIO, errno.ENODEV,
}  # fmt: skip
# fsspec raises these without an errno.
_PERMANENT_KINDS = (PermissionError, FileExistsError, FileNotFoundError, NotADirectoryError, IsADirectoryError)
# Source: "Error responses" of the S3 API reference. Those about an upload's bytes or parts: the next attempt begins the upload anew.
_TRANSIENT_CODES = {
    "SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted", "IncompleteBody", "BadDigest",
    "XAmzContentSHA256Mismatch", "InvalidPart", "NoSuchUpload",
}  # fmt: skip
# Not implemented, and no space left: a server's answers that do not pass within seconds.
_PERMANENT_STATUSES = (501, 507)
_DENYING_CODES = {
    "401", "403", "AccessDenied", "AccountProblem", "AllAccessDisabled", "AuthorizationHeaderMalformed", "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidSecurity", "InvalidToken", "NotSignedUp", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired",
}  # fmt: skip
_REDIRECTING_CODES = {"301", "307", "PermanentRedirect", "Redirect", "TemporaryRedirect", "IllegalLocationConstraintException"}
_MISSING_CODES = {"404", "NoSuchKey", "NoSuchVersion"}
_DENYING_KINDS = {
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "NoAuthTokenError", "TokenRetrievalError",
    "ProfileNotFound", "SSOError", "LoginError", "MetadataRetrievalError",
}  # fmt: skip
_TRANSIENT_KINDS = {"ConnectionError", "HTTPClientError", "IncompleteReadError", "ResponseParserError", "FlexibleChecksumError"}
# What arrived does not fit the checksum that the server keeps with the object (botocore, gcsfs).
_CHECKSUM_KINDS = {"FlexibleChecksumError", "ChecksumError"}

_CREDENTIALS_HINT = (
    "check the credentials that the standard AWS chain finds (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or ?profile=, "
    "the instance's role) and their permissions"
)


@contextmanager
def mapped_errors(url: str, key: str | None = None, *, reads: bool = False) -> Iterator[None]:
    """Raise errors of the backend at `url` as ckptstore's.

    Args:
        url: the backend, without secrets.
        key: the object that the operation is about, if any.
        reads: whether the operation reads this object: only then does "not found" mean that the object is missing.
    """
    try:
        yield
    except Exception as exc:
        if not _is_backend_error(exc):
            raise
        raise map_error(exc, url, key, reads=reads) from exc


def _is_backend_error(exc: Exception) -> bool:
    # Other built-in exceptions (a TypeError, say) are defects of ckptstore and are not mapped.
    known = isinstance(exc, (OSError, NotImplementedError)) or type(exc).__module__ != "builtins"
    return known and not isinstance(exc, CkptStoreError)


def map_error(exc: Exception, url: str, key: str | None = None, *, reads: bool = False) -> CkptStoreError:
    """The error to raise, `from exc`, in place of a backend's error.

    Args:
        exc: an error of a file system, fsspec or botocore.
        url: the backend, without secrets.
        key: the object that the operation is about, if any.
        reads: whether the operation reads that object; a write that finds no folder does not mean that the object is missing.

    Returns:
        `BlobMissing` where an object to be read is missing, `BlobCorrupt` where its bytes do not fit the checksum that the backend
        keeps of them, otherwise `BlobUnavailable`.
    """
    read_key = key if reads else None
    code, status = _response_of(exc)
    if code is not None:
        return _from_response(code, status, url, read_key)
    if isinstance(exc, FileNotFoundError) and read_key is not None:
        return blob_missing(read_key, url)
    if isinstance(exc, NotImplementedError):
        return BlobUnavailable(f"{url}: this file system lacks an operation that a blob backend needs", transient=False)
    kinds = {kind.__name__ for kind in type(exc).__mro__}
    if read_key is not None and (kinds & _CHECKSUM_KINDS or (isinstance(exc, OSError) and exc.errno in _DAMAGED_ERRNOS)):
        return BlobCorrupt(f"object {read_key} at {url} was truncated or altered: {type(exc).__name__}, its checksum there does not fit")
    if kinds & _DENYING_KINDS:
        return BlobUnavailable(f"{url}: {type(exc).__name__}; {_CREDENTIALS_HINT}", transient=False)
    if "BotoCoreError" in kinds:
        return BlobUnavailable(f"{url}: {type(exc).__name__}{_endpoint(exc)}", transient=bool(kinds & _TRANSIENT_KINDS))
    if isinstance(exc, OSError):
        return _from_os(exc, url, key)
    return _from_other_store(exc, url)


def blob_missing(key: str, url: str) -> BlobMissing:
    """The error for an object that is missing."""
    return BlobMissing(f"object {key} is not at {url}; was it deleted, or is the URL another than when it was stored?")


def blob_too_long(key: str, url: str, max_bytes: int) -> BlobCorrupt:
    """The error for an object that was extended after it was stored."""
    return BlobCorrupt(f"object {key} at {url} has more than the {max_bytes} bytes that it was stored with; restore it")


def is_missing_bucket(exc: BaseException) -> bool:
    """Whether S3 answered that the bucket does not exist."""
    return _response_of(exc)[0] == "NoSuchBucket"


def _response_of(exc: BaseException | None) -> tuple[str | None, int]:
    # s3fs raises built-in errors, with the server's response as their cause.
    while exc is not None:
        response = getattr(exc, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return str(response.get("Error", {}).get("Code", "")), int(status)
        exc = exc.__cause__
    return None, 0


def _from_response(code: str, status: int, url: str, read_key: str | None) -> CkptStoreError:
    if code == "NoSuchBucket":
        bucket = url.partition("://")[2].partition("?")[0].partition("/")[0]
        return BlobUnavailable(f"{url}: there is no bucket {bucket}; create it, or correct the URL", transient=False)
    if code in _MISSING_CODES and read_key is not None:
        return blob_missing(read_key, url)
    if code in _DENYING_CODES:
        return BlobUnavailable(f"{url}: the server answered {code}; {_CREDENTIALS_HINT}", transient=False)
    if code in _REDIRECTING_CODES:
        return BlobUnavailable(f"{url}: the server answered {code}; the bucket is in another region: give ?region=", transient=False)
    if code == "InvalidObjectState":
        return BlobUnavailable(f"object {read_key or '(one)'} at {url} is archived; restore it in the bucket first", transient=False)
    transient = status >= 500 or status in (408, 429) or code in _TRANSIENT_CODES or "Throttl" in code
    transient = transient and status not in _PERMANENT_STATUSES
    return BlobUnavailable(f"{url}: the server answered {code} ({status})", transient=transient)


def _from_other_store(exc: Exception, url: str) -> BlobUnavailable:
    """An error of another store's client, which tells the server's status by one of these names: Azure's, Google's, aiohttp's."""
    statuses = [getattr(exc, name, None) for name in ("status_code", "code", "status")]
    status = next((value for value in statuses if isinstance(value, int)), 0)
    refused = (400 <= status < 500 and status not in (408, 425, 429)) or status in _PERMANENT_STATUSES
    return BlobUnavailable(f"{url}: {type(exc).__name__}{f' ({status})' if status else ''}", transient=not refused)


def _endpoint(exc: Exception) -> str:
    url = getattr(exc, "kwargs", {}).get("endpoint_url")
    if not url:
        return ""
    # Only the host: the rest of the address is about the object and may contain what must not be logged.
    address = urlsplit(str(url)).netloc.rpartition("@")[2]
    return f" at {address}; is the server running and the address right?"


def _from_os(exc: OSError, url: str, key: str | None) -> BlobUnavailable:
    reason = os.strerror(exc.errno) if exc.errno else type(exc).__name__
    subject = url if key is None else f"object {key} at {url}"
    permanent = exc.errno in _PERMANENT_ERRNOS or isinstance(exc, _PERMANENT_KINDS)
    return BlobUnavailable(f"{subject}: {reason}", transient=not permanent)
