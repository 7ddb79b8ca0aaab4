"""What an operation is about."""

from __future__ import annotations

#: Thread id, namespace and checkpoint id, as far as they are known. Never a value, never metadata.
Subject = tuple[str | None, str | None, str | None]

NO_SUBJECT: Subject = (None, None, None)
