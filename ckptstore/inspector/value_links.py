"""The addresses of the values of a checkpoint, and of their parts."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.requests import Request

from ckptstore.errors import InvalidConfig
from ckptstore.inspector.addressing import Path, shown
from ckptstore.inspector.context import checkpoint_of, inspector_of, text_of
from ckptstore.inspector.rendering import link
from ckptstore.inspector.structure_html import Links
from ckptstore.langgraph.structure.nodes import Structure
from ckptstore.records import CheckpointKey


def _links(key: CheckpointKey, **named: Any) -> Links:
    of_checkpoint = {"thread": key.thread_id, "ns": key.checkpoint_ns, "id": key.checkpoint_id, **named}
    return Links(partial(_more, of_checkpoint), partial(_raw, of_checkpoint))


def _more(named: dict[str, Any], path: Path, start: int) -> str:
    return link("/value", **named, path=shown(path) or None, start=start or None)


def _raw(named: dict[str, Any], path: Path) -> str:
    return link("/raw", **named, path=shown(path) or None)


def of_channel(key: CheckpointKey, name: str) -> Links:
    """Those of the parts of a channel's value."""
    return _links(key, channel=name)


def of_write(key: CheckpointKey, number: int) -> Links:
    """Those of the parts of a pending write."""
    return _links(key, write=number)


def of_metadata(key: CheckpointKey) -> Links:
    """Those of the parts of the metadata."""
    return _links(key, metadata=1)


def value_of(request: Request) -> tuple[CheckpointKey, str, Structure, Links]:
    """The value that a request names: of which checkpoint, what it is called, the value, and the addresses of its parts.

    Raises:
        InvalidConfig: there is no such value.
    """
    key = checkpoint_of(request)
    state = inspector_of(request).states.recent(key)
    name, number = text_of(request, "channel"), request.query_params.get("write")
    if name is not None:
        if name not in state.channels:
            raise InvalidConfig(f"this checkpoint has no channel {name[:80]!r} (any more)")
        return key, name, state.channels[name].content, of_channel(key, name)
    if number is None:
        return key, "metadata", state.metadata, of_metadata(key)
    if not (number.isascii() and number.isdigit() and len(number) < 7 and int(number) < len(state.writes)):
        raise InvalidConfig("this checkpoint has no such write (any more)")
    write = state.writes[int(number)]
    return key, write.channel, write.content, of_write(key, int(number))
