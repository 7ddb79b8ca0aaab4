"""What is said of rows that can't be read.

On SQLite, a cell may have any type, and what columns hold is not checked where it is only shown.
"""

from __future__ import annotations

#: What code that reads rows raises where a cell has another type or form than its column.
UNREADABLE = (TypeError, ValueError, ArithmeticError, AttributeError)


def why_unreadable(exc: Exception) -> str:
    """Why a row can't be shown, as a sentence without a full stop."""
    return f"a row of the database was altered and can't be read ({type(exc).__name__}); find it: ckptstore blobs verify --deep"
