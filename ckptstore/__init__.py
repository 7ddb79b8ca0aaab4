"""LangGraph checkpoints on SQLAlchemy: SQLite to begin with, PostgreSQL and S3 when agents go to production."""

from ckptstore.saver import SQLAlchemySaver

__all__ = ["SQLAlchemySaver"]
