"""Segments packed where they shrink, unpacked and checked."""

from __future__ import annotations

import threading

import zstandard

from ckptstore.errors import BlobCorrupt
from ckptstore.values.dictionaries import MESSAGES
from ckptstore.values.digests import compact_digest_of, matches_digest

#: Below this compression gains next to nothing.
SMALL_BYTES = 128
# Up to here a dictionary helps, and a try costs less than a look at a sample.
_DICTIONARY_BYTES = 64 * 1024
_SAMPLE_BYTES = 16 * 1024
_WORTH_PACKING = 0.9
_ZSTD_LEVEL = 3


class _Zstd(threading.local):
    """Making a compressor costs more than a small segment takes to compress; none may serve two threads at once."""

    def __init__(self) -> None:
        words = zstandard.ZstdCompressionDict(MESSAGES, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        self.compress = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress
        self.compress_small = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, dict_data=words).compress
        self.try_quickly = zstandard.ZstdCompressor(level=1).compress
        self.decompress = {
            "zstd": zstandard.ZstdDecompressor().decompress,
            "zstd-messages": zstandard.ZstdDecompressor(dict_data=words).decompress,
        }


_zstd = _Zstd()


def compress(data: bytes | memoryview) -> tuple[str, bytes | memoryview]:
    """A segment as it is stored: its encoding (`raw`, `zstd` or `zstd-messages`), and the bytes. What does not shrink stays as it is."""
    if len(data) < SMALL_BYTES:
        return "raw", data
    if len(data) <= _DICTIONARY_BYTES:
        encoding, shrunk = "zstd-messages", _zstd.compress_small(data)
    elif _shrinks(data):
        encoding, shrunk = "zstd", _zstd.compress(data)
    else:
        return "raw", data
    return (encoding, shrunk) if len(shrunk) < len(data) * _WORTH_PACKING else ("raw", data)


def _shrinks(data: bytes | memoryview) -> bool:
    """Whether compressing large data is worth a try: a sample from its middle tells."""
    middle = len(data) // 2
    sample = data[middle : middle + _SAMPLE_BYTES]
    return len(_zstd.try_quickly(sample)) < len(sample) * _WORTH_PACKING


def decompress_segment(digest: str, size: int, encoding: str, data: bytes) -> bytes:
    """The segment that `compress` was given, checked.

    Raises:
        BlobCorrupt: the bytes are not those that the digest names.
    """
    if encoding not in ("raw", "list"):
        data = decompress(f"segment {digest}", size, encoding, data)
    if len(data) != size or not matches_digest(digest, data):
        raise BlobCorrupt(f"segment {digest}: {len(data)} bytes hash to {compact_digest_of(data)}, expected {size} bytes")
    return data


def decompress(what: str, size: int, encoding: str, data: bytes) -> bytes:
    """Compressed bytes as they were.

    Raises:
        BlobCorrupt: they can't be decompressed to this size; `what` names them.
    """
    try:
        # A frame that claims to hold more is a bomb, or altered: it is refused before anything is allocated for it.
        claimed = zstandard.get_frame_parameters(data).content_size
        if claimed not in (size, zstandard.CONTENTSIZE_UNKNOWN):
            raise BlobCorrupt(f"{what}: its {len(data)} bytes claim to be {claimed} when decompressed, expected {size}")
        return _zstd.decompress[encoding](data, max_output_size=size)
    except (zstandard.ZstdError, MemoryError, KeyError) as exc:
        raise BlobCorrupt(f"{what}: its {len(data)} bytes can't be decompressed as {encoding} ({exc})") from exc
