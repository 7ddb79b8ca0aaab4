"""Where large values go: one small protocol, and backends for any fsspec URL."""

from ckptstore.blobs.backend import BlobBackend, BlobEntry

__all__ = ["BlobBackend", "BlobEntry"]
