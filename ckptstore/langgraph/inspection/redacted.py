"""States without the values of keys that must not be shown."""

from __future__ import annotations

from ckptstore.langgraph.inspection.state import CheckpointState
from ckptstore.langgraph.structure.redaction import Redaction


def redacted(found: CheckpointState, redaction: Redaction) -> CheckpointState:
    """A state in which the values of matching channels and keys are hidden, in its metadata and pending writes too."""
    if not redaction.patterns:
        return found
    channels = {name: of._replace(content=redaction.of(of.content, (name,))) for name, of in found.channels.items()}
    writes = [write._replace(content=redaction.of(write.content, (write.channel,))) for write in found.writes]
    metadata = {key: redaction.of(value, (key,)) for key, value in found.metadata.items()}
    return found._replace(channels=channels, writes=writes, metadata=metadata)
