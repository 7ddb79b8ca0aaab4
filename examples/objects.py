"""How many objects a blob store has, counted from outside: by fsspec, without ckptstore."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import fsspec


def count_objects(place: str) -> int:
    """The objects below a folder or a URL; 0 where there is none yet."""
    parts = urlsplit(place)
    given = {name: values[0] for name, values in parse_qs(parts.query).items()}
    options: dict[str, Any] = {"use_listings_cache": False}
    if parts.scheme == "s3":
        options |= {"endpoint_url": given.get("endpoint_url"), "client_kwargs": {"region_name": given.get("region")}}
    files, root = fsspec.core.url_to_fs(place.partition("?")[0] if parts.scheme else place, **options)
    return len(files.find(root)) if files.exists(root) else 0
