"""Changes of the schema are logged: at INFO where there was one; a new one is no news."""

from __future__ import annotations

import logging

import pytest

from ckptstore.db.schema_events import log_changed, log_started


def events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, vars(record)["event"]) for record in caplog.records]


@pytest.mark.parametrize(("before", "level"), [(None, "DEBUG"), ("0001", "INFO")])
def test_a_change_is_logged(before: str | None, level: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ckptstore.db.schema_events")
    log_started(before, "0002")
    log_changed(before, "0002", 1.5)
    assert events(caplog) == [(level, "schema_change_started"), (level, "schema_changed")]
    assert vars(caplog.records[1])["seconds"] == 1.5


def test_a_schema_that_is_as_wanted_is_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ckptstore.db.schema_events")
    log_started("0002", "0002")
    log_changed("0002", "0002", 0.1)
    log_changed(None, None, 0.1)
    assert events(caplog) == []
