"""The one seam at which a backend's errors become ckptstore's: what passes, what stays, and what to say.

Messages are made from error codes, type names and the backend's URL, never from an error's text: that may repeat a request.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from ckptstore.errors import BlobMissing, BlobUnavailable, CkptStoreError

_STAYING_ERRNOS = {
    errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EFBIG,
    errno.ELOOP, errno.EEXIST, errno.ENOENT, errno.ENOSYS, errno.EINVAL,
}  # fmt: skip
# fsspec raises them without a number.
_STAYING_KINDS = (PermissionError, FileExistsError, FileNotFoundError, NotADirectoryError, IsADirectoryError)
# Source: "Error responses" of the S3 API reference.
_PASSING_CODES = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted", "IncompleteBody", "BadDigest"}
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
_PASSING_KINDS = {"ConnectionError", "HTTPClientError", "IncompleteReadError", "ResponseParserError", "FlexibleChecksumError"}

_CHAIN = (
    "check the credentials that the standard AWS chain finds (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or ?profile=, "
    "the instance's role) and what they may do"
)


@contextmanager
def mapped_errors(url: str, key: str | None = None, *, reads: bool = False) -> Iterator[None]:
    """Whatever the backend at `url` raises within comes out as ckptstore's error, about `key` where the work has one.

    `reads` says that the work asks for the object of this key: only then does "not found" mean that it is missing.
    """
    try:
        yield
    except Exception as exc:
        if not _is_backends(exc):
            raise
        raise map_error(exc, url, key, reads=reads) from exc


def _is_backends(exc: Exception) -> bool:
    # What Python itself defines and is no OSError (a TypeError, say) is a defect of ours, to be seen as such.
    known = isinstance(exc, (OSError, NotImplementedError)) or type(exc).__module__ != "builtins"
    return known and not isinstance(exc, CkptStoreError)


def map_error(exc: Exception, url: str, key: str | None = None, *, reads: bool = False) -> CkptStoreError:
    """What to raise, `from exc`, in place of a backend's error.

    Args:
        exc: what a file system, fsspec or botocore raised.
        url: the backend, without secrets.
        key: the object that the work was about, if there was one.
        reads: whether the work asks for that object; a write that finds no place is not told that something was deleted.

    Returns:
        `BlobMissing` where an object that was asked for is not there, else `BlobUnavailable`.
    """
    wanted = key if reads else None
    code, status = _answer(exc)
    if code is not None:
        return _from_answer(code, status, url, wanted)
    if isinstance(exc, FileNotFoundError) and wanted is not None:
        return blob_missing(wanted, url)
    if isinstance(exc, NotImplementedError):
        return BlobUnavailable(f"{url}: this file system lacks an operation that a blob backend needs", transient=False)
    kinds = {kind.__name__ for kind in type(exc).__mro__}
    if kinds & _DENYING_KINDS:
        return BlobUnavailable(f"{url}: {type(exc).__name__}; {_CHAIN}", transient=False)
    if "BotoCoreError" in kinds:
        return BlobUnavailable(f"{url}: {type(exc).__name__}{_endpoint(exc)}", transient=bool(kinds & _PASSING_KINDS))
    if isinstance(exc, OSError):
        return _from_os(exc, url, key)
    return BlobUnavailable(f"{url}: {type(exc).__name__}")


def blob_missing(key: str, url: str) -> BlobMissing:
    """There is no object of this key."""
    return BlobMissing(f"object {key} is not at {url}; was it deleted, or is the URL another than when it was stored?")


def is_missing_bucket(exc: BaseException) -> bool:
    """Whether S3 said that it is the bucket that does not exist."""
    return _answer(exc)[0] == "NoSuchBucket"


def _answer(exc: BaseException | None) -> tuple[str | None, int]:
    # s3fs raises Python's own errors and keeps what the server answered as their cause.
    while exc is not None:
        response = getattr(exc, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return str(response.get("Error", {}).get("Code", "")), int(status)
        exc = exc.__cause__
    return None, 0


def _from_answer(code: str, status: int, url: str, wanted: str | None) -> CkptStoreError:
    if code == "NoSuchBucket":
        bucket = url.partition("://")[2].partition("?")[0].partition("/")[0]
        return BlobUnavailable(f"{url}: there is no bucket {bucket}; create it, or correct the URL", transient=False)
    if code in _MISSING_CODES and wanted is not None:
        return blob_missing(wanted, url)
    if code in _DENYING_CODES:
        return BlobUnavailable(f"{url}: the server answered {code}; {_CHAIN}", transient=False)
    if code in _REDIRECTING_CODES:
        return BlobUnavailable(f"{url}: the server answered {code}; the bucket is in another region: give ?region=", transient=False)
    transient = status >= 500 or status in (408, 429) or code in _PASSING_CODES or "Throttl" in code
    return BlobUnavailable(f"{url}: the server answered {code} ({status})", transient=transient)


def _endpoint(exc: Exception) -> str:
    url = getattr(exc, "kwargs", {}).get("endpoint_url")
    if not url:
        return ""
    # Only where it went: the rest of the address is the object's, and may hold what nobody should log.
    address = urlsplit(str(url)).netloc.rpartition("@")[2]
    return f" at {address}; is the server running and the address right?"


def _from_os(exc: OSError, url: str, key: str | None) -> BlobUnavailable:
    said = os.strerror(exc.errno) if exc.errno else type(exc).__name__
    about = url if key is None else f"object {key} at {url}"
    stays = exc.errno in _STAYING_ERRNOS or isinstance(exc, _STAYING_KINDS)
    return BlobUnavailable(f"{about}: {said}", transient=not stays)
