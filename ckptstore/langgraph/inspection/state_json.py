"""The state of a checkpoint as a JSON document: for `--json`, and for exports."""

from __future__ import annotations

from typing import Any

from ckptstore.langgraph.inspection.state import CheckpointState
from ckptstore.langgraph.structure.as_json import as_json as json_of


def state_as_json(found: CheckpointState) -> dict[str, Any]:
    """The state as a JSON document."""
    return {
        **found.key._asdict(),
        "parent_checkpoint_id": found.parent_checkpoint_id,
        "format": found.format,
        "ts": found.ts,
        "metadata": json_of(found.metadata),
        "channels": {
            name: {"version": of.version, "size": of.size, "blob_bytes": of.blob_bytes, "value": json_of(of.content)}
            for name, of in found.channels.items()
        },
        "writes": [
            {"task_id": of.task_id, "task_path": of.task_path, "channel": of.channel, "size": of.size, "value": json_of(of.content)}
            for of in found.writes
        ],
    }
