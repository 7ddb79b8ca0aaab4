"""Headers of msgpack are those that msgpack writes."""

from __future__ import annotations

import msgpack
import pytest

from ckptstore.langgraph.serialiser.msgpack_headers import (
    array_header,
    extension_payload,
    map_header,
    read_array_header,
    read_map_header,
    split_extensions,
)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
def test_headers_of_every_length(count: int) -> None:
    packer = msgpack.Packer()
    for header, read, wanted in (
        (array_header(count), read_array_header, packer.pack_array_header(count)),
        (map_header(count), read_map_header, packer.pack_map_header(count)),
    ):
        assert header == wanted
        assert read(b"x" + header, 1) == (count, len(header) + 1)
    assert read_map_header(array_header(count)) is None
    assert read_array_header(map_header(count)) is None


@pytest.mark.parametrize("length", [0, 3, 255, 256, 65_535, 65_536])
def test_extensions_of_every_length(length: int) -> None:
    payloads = [bytes(length), b"abc"]
    elements = [msgpack.packb(msgpack.ExtType(5, payload)) for payload in payloads]
    data = b"".join(elements)
    assert split_extensions(data, 0, 2, 5) == elements
    assert list(map(extension_payload, elements)) == payloads
    assert split_extensions(data, 0, 2, 6) is None
    assert split_extensions(data[:-1], 0, 2, 5) is None
    assert split_extensions(b"\xc0" + data, 0, 2, 5) is None
