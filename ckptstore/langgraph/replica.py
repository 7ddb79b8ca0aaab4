"""The options `read_url`, `read_newest` and `max_lag_seconds`."""

from __future__ import annotations

from dataclasses import replace

from ckptstore.db.open import open_database
from ckptstore.db.runner import Runner
from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import InvalidConfig, require_number
from ckptstore.langgraph.database import parse_conn_string
from ckptstore.langgraph.options import SaverOptions
from ckptstore.store.replica import Replica

_MAX_LAG_SECONDS = 60.0


def open_replica(options: SaverOptions, primary: Runner, settings: DatabaseSettings) -> Replica | None:
    """The standby that the options name, None if they name none. Connects at first use.

    Raises:
        InvalidConfig: either database is SQLite, `moved_to` was given too, or `max_lag_seconds` is no positive number.
        InvalidEngine: `read_url` is not text, a path or a URL.
        InvalidUrl: it can't be read.
        MissingDriver: no driver for it is installed.
    """
    max_lag = options.get("max_lag_seconds", _MAX_LAG_SECONDS)
    require_number("max_lag_seconds", max_lag, 0)
    if not max_lag:
        raise InvalidConfig("max_lag_seconds must be above 0, got 0")
    read_url = options.get("read_url")
    if read_url is None:
        return None
    if options.get("moved_to") is not None:
        raise InvalidConfig(
            "read_url and moved_to can't be combined: the standby does not follow a move; leave read_url out until it is done"
        )
    url = parse_conn_string(read_url, settings).url
    if primary.statements.on_sqlite or url.get_backend_name() == "sqlite":
        raise InvalidConfig("read_url is for a standby of a PostgreSQL database; SQLite has none: its readers do not wait for a writer")
    # What fails is read from the primary at once.
    runner = open_database(url, replace(settings, retry_seconds=0.0), primary.statements.schema, primary.monitor)
    return Replica(runner, primary, max_lag, reads_newest=options.get("read_newest", False))
