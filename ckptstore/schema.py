"""The database schema's revisions, and what a host application's Alembic needs to leave ckptstore's tables alone."""

from ckptstore.db.autogenerate import leave_out_ckptstore
from ckptstore.db.schema import HEAD, REVISIONS

__all__ = ["HEAD", "REVISIONS", "leave_out_ckptstore"]
