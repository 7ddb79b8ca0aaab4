"""Open the backend of a URL. fsspec, and what uses it, is imported only for URLs that need it, not for a saver with a folder."""

from __future__ import annotations

import asyncio
import functools
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ckptstore.blobs.backends.local import LocalBackend
from ckptstore.blobs.backends.observed import ObservedBackend
from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.blobs.backends.wrappers import BoundedBackend, RetryingBackend
from ckptstore.blobs.settings import DEFAULT_BLOB_SETTINGS, BlobSettings
from ckptstore.errors import InvalidUrl, MissingDriver
from ckptstore.monitoring.monitor import Monitor
from ckptstore.runtime.regular_files import is_encodable

if TYPE_CHECKING:
    from ckptstore.blobs.backends.fsspec_files import RemoteFiles

_SCHEMES = "a folder, file://, memory://, s3://bucket/prefix, or another URL that fsspec supports"
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+._-]*)://(?P<rest>.*)", re.DOTALL)
# A password can only be before the path, which may itself contain both characters.
_PASSWORD = re.compile(r"[^@/?#]*:[^@/?#]*@")
_ALMOST_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+._-]*)(?P<gap>:/?(?![:/])|//+)")
# A folder on Windows in a URL: file:///C:/blobs.
_DRIVE = re.compile(r"/[A-Za-z]:[/\\]")
# Schemes of fsspec that are common names of folders and can't hold blobs: `data//x` is a folder with one slash too many.
_FOLDER_NAMES = {"data", "dir"}


def open_backend(url: str | os.PathLike[str], settings: BlobSettings | None = None, monitor: Monitor | None = None) -> BlobBackend:
    """The backend of a URL, with bounded parallelism and retries. It connects at its first use, on the event loop that runs then.

    Args:
        url: a folder's path, `file://` or `local://` and a path, `memory://prefix` (the memory of this process, shared by all
            that name it), `s3://bucket/prefix?endpoint_url=...&region=...&profile=...&anon=...&addressing_style=...`, or
            any other URL of a file system that fsspec supports. S3's credentials come from the standard AWS chain.
        settings: parallelism, retries and options of the file system.
        monitor: counts what is uploaded and downloaded.

    Raises:
        InvalidUrl: it can't be parsed, has an unknown scheme, or contains credentials. The message never repeats them.
        MissingDriver: the file system's package is not installed.
    """
    settings = settings or DEFAULT_BLOB_SETTINGS
    bounded = BoundedBackend(_open_bare(os.fspath(url), settings), settings.max_parallel)
    monitor = monitor or Monitor()
    return ObservedBackend(RetryingBackend(bounded, settings.retry_seconds, monitor), monitor)


def _open_bare(text: str, settings: BlobSettings) -> BlobBackend:
    if not isinstance(text, str) or not text.strip() or not is_encodable(text):
        raise InvalidUrl(f"the blob URL is empty, or contains a NUL character or half of a surrogate pair; expected {_SCHEMES}")
    parsed = _URL.fullmatch(text)
    if parsed is None:
        _refuse_almost_url(text)
        if "://" in text:
            raise InvalidUrl(f"the blob URL can't be parsed, or chains several URLs; expected {_SCHEMES}")
        return LocalBackend(text)
    scheme, rest = parsed["scheme"].lower(), parsed["rest"]
    if scheme in ("file", "local"):
        if not rest:
            raise InvalidUrl(f"the blob URL {text} names no folder; expected file:///path/to/folder")
        return LocalBackend(_folder_of(rest, on_windows=os.name == "nt"))
    if scheme in ("s3", "s3a"):
        return _open_s3(scheme, rest, settings)
    return _open_fsspec(scheme, rest, settings)


def _folder_of(rest: str, *, on_windows: bool) -> str:
    """The folder that a `file://` URL names, given what follows `file://`."""
    folder = unquote(rest.removeprefix("localhost") if rest.startswith("localhost/") else rest)
    return folder[1:] if on_windows and _DRIVE.match(folder) else folder


def _refuse_almost_url(text: str) -> None:
    # It would be accepted as the name of a folder: the blobs would stay on this machine, in a folder whose name may contain a secret.
    found = _ALMOST_URL.match(text.lstrip())
    if found is None:
        return
    import fsspec

    scheme = found["scheme"].lower()
    if scheme not in fsspec.available_protocols() or (scheme in _FOLDER_NAMES and ":" not in found["gap"]):
        return
    raise InvalidUrl(f"the blob URL looks like {scheme}:// without its colon or a slash; for a folder of that name give ./{scheme}")


def _open_s3(scheme: str, rest: str, settings: BlobSettings) -> BlobBackend:
    from ckptstore.blobs.backends.fsspec_backend import FsspecBackend
    from ckptstore.blobs.backends.s3 import CREDENTIALS_ELSEWHERE, s3_options

    if _PASSWORD.match(rest) and not rest.startswith("arn:"):
        raise InvalidUrl(CREDENTIALS_ELSEWHERE)
    kind, options = _file_system(scheme), s3_options(f"s3://{rest}", settings)
    path = "/".join(part for part in rest.partition("?")[0].split("/") if part)
    return FsspecBackend(f"s3://{rest}", path, functools.partial(_connect_s3, kind, options, settings.part_bytes))


def _open_fsspec(scheme: str, rest: str, settings: BlobSettings) -> BlobBackend:
    from ckptstore.blobs.backends.fsspec_backend import FsspecBackend

    if _PASSWORD.match(rest):
        raise InvalidUrl(f"the {scheme}:// URL contains a password, and URLs end up in logs; pass it in blob_options")
    url, kind = f"{scheme}://{rest}", _file_system(scheme)
    if "?" in rest:
        raise InvalidUrl(f"{scheme}:// takes no parameters in the URL; pass them in blob_options")
    try:
        from_url, path = kind._get_kwargs_from_urls(url), str(kind._strip_protocol(url))
    except Exception as exc:
        # Not chained: the messages of fsspec and urllib repeat parts of the URL, which may contain a password.
        raise InvalidUrl(f"the {scheme}:// URL can't be parsed ({type(exc).__name__}); check its host, port and path") from None
    return FsspecBackend(url, path, functools.partial(_connect, kind, {**from_url, **settings.options}))


def _file_system(scheme: str) -> Any:
    import fsspec

    try:
        return fsspec.get_filesystem_class(scheme)
    except ValueError as exc:
        raise InvalidUrl(f"unknown URL scheme {scheme!r}; expected {_SCHEMES}") from exc
    except ImportError as exc:
        package = "'ckptstore[s3]'" if scheme in ("s3", "s3a") else _missing_package(exc, scheme)
        raise MissingDriver(f"{scheme}:// needs a package that is not installed: pip install {package}") from exc


def _missing_package(exc: ImportError, scheme: str) -> str:
    cause = exc.__cause__
    return (isinstance(cause, ImportError) and cause.name) or f"what fsspec needs for {scheme}"


async def _connect_s3(kind: Any, options: dict[str, Any], part_bytes: int) -> RemoteFiles:
    from ckptstore.blobs.backends.s3 import S3Files

    return S3Files(_on_this_loop(kind, options), part_bytes)


async def _connect(kind: Any, options: dict[str, Any]) -> RemoteFiles:
    from ckptstore.blobs.backends.fsspec_files import AsyncFiles, AzureFiles, MemoryFiles, ThreadedFiles

    if "abfs" in kind.protocol:
        # adlfs closes when Python exits, on a loop that an asynchronous file system does not have. Its coroutines run on ours anyway.
        return AzureFiles(_uncached(kind(skip_instance_cache=True, **options)))
    if kind.async_impl:
        return AsyncFiles(_on_this_loop(kind, options))
    from fsspec.implementations.memory import MemoryFileSystem

    # The constructor may connect, which blocks.
    fs = await asyncio.to_thread(functools.partial(kind, skip_instance_cache=True, **options))
    return MemoryFiles(fs) if isinstance(fs, MemoryFileSystem) else ThreadedFiles(_uncached(fs))


def _on_this_loop(kind: Any, options: dict[str, Any]) -> Any:
    # Never fsspec's shared instance, which may belong to another loop.
    return _uncached(kind(asynchronous=True, loop=asyncio.get_running_loop(), skip_instance_cache=True, **options))


def _uncached(fs: Any) -> Any:
    # Other processes add and delete objects. Not passed to the constructor: some file systems pass unknown options to their driver.
    if hasattr(fs, "dircache"):
        fs.dircache.use_listings_cache = False
    return fs
