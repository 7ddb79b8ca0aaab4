"""The ORM models of ckptstore's tables, for statements and sessions of your own."""

from ckptstore.db.models import Base, Channel, Checkpoint, Lease, Load, ObjectContent, Segment, Setting, StoredObject, Tag, Thread, Write

__all__ = [
    "Base",
    "Channel",
    "Checkpoint",
    "Lease",
    "Load",
    "ObjectContent",
    "Segment",
    "Setting",
    "StoredObject",
    "Tag",
    "Thread",
    "Write",
]
