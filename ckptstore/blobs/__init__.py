"""Where large values go: one small protocol, and backends for any fsspec URL."""

from ckptstore.blobs.backend import BlobBackend, BlobEntry
from ckptstore.blobs.local import LocalBackend
from ckptstore.blobs.opening import open_backend
from ckptstore.blobs.remote import FsspecBackend
from ckptstore.blobs.settings import BlobSettings
from ckptstore.blobs.wrappers import Bounded, Retrying, Wrapper

__all__ = ["BlobBackend", "BlobEntry", "BlobSettings", "Bounded", "FsspecBackend", "LocalBackend", "Retrying", "Wrapper", "open_backend"]
