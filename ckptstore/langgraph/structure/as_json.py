"""Structures as JSON, for `--json`.

Plain values are themselves. What JSON does not have is an object whose first key begins with a dollar sign; `docs/look-inside.md` lists
these objects. A dict that could be taken for one of them is written as `$pairs`.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

from ckptstore.langgraph.structure.messages import Message, message_of
from ckptstore.langgraph.structure.nodes import NotShown, Pairs, Structure, Typed

# Python's own limit of calls within calls is reached a little later.
_MAX_DEPTH = 150
_TOO_DEEP = {"$not_shown": f"nested deeper than {_MAX_DEPTH} levels"}


def as_json(structure: Structure, depth: int = 0) -> Any:
    """A structure as what `json.dumps` takes with `allow_nan=False`.

    Args:
        structure: the structure.
        depth: how many levels are around it.
    """
    if depth > _MAX_DEPTH:
        return _TOO_DEEP
    match structure:
        case None | bool() | int() | str():
            return structure
        case float():
            return structure if math.isfinite(structure) else {"$float": str(structure)}
        case bytes():
            return {"$bytes": len(structure), "sha256": hashlib.sha256(structure).hexdigest()}
        case list() | tuple():
            return [as_json(each, depth + 1) for each in structure]
        case dict():
            return _mapping(structure, depth)
        case Pairs(pairs):
            return {"$pairs": [[as_json(part, depth + 1) for part in pair] for pair in pairs]}
        case NotShown(reason):
            return {"$not_shown": reason}
        case Typed():
            return _object(structure, depth)
    raise AssertionError(f"a {type(structure).__name__} in a structure")


def _mapping(structure: dict[Any, Structure], depth: int) -> Any:
    if all(isinstance(key, str) and not key.startswith("$") for key in structure):
        return {key: as_json(value, depth + 1) for key, value in structure.items()}
    return {"$pairs": [[as_json(key, depth + 1), as_json(value, depth + 1)] for key, value in structure.items()]}


def _object(structure: Typed, depth: int) -> Any:
    message = message_of(structure)
    if message is not None:
        return {"$message": structure.type, **_message(message, depth)}
    return {"$type": structure.type, structure.form: as_json(structure.content, depth + 1)}


def _message(message: Message, depth: int) -> dict[str, Any]:
    parts = {
        "role": message.role,
        "id": message.id,
        "name": message.name,
        "content": message.content,
        "tool_calls": message.tool_calls,
        "tool_call_id": message.tool_call_id,
        "more": message.more,
    }
    return {name: as_json(part, depth + 1) for name, part in parts.items() if name in ("role", "content") or part not in (None, [], {})}
