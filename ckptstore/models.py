"""The ORM models of ckptstore's tables, for statements and sessions of your own."""

from ckptstore.db.content_model import ObjectContent
from ckptstore.db.lease_model import Lease
from ckptstore.db.load_model import Load
from ckptstore.db.model_base import Base
from ckptstore.db.models import Channel, Checkpoint, Segment, StoredObject, Tag, Thread, Write
from ckptstore.db.setting_model import Setting

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
