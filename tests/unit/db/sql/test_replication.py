"""Statements about a standby."""

from __future__ import annotations

from ckptstore.db.sql import replication
from tests.support.statements import compiled


def test_the_standby_is_asked_how_far_it_is_from_a_position_of_the_primary() -> None:
    assert "pg_current_wal_lsn" in compiled("postgresql", replication.primary_position("postgresql")).text
    asked = compiled("postgresql", replication.standby_position("postgresql"))
    assert asked.parameters == {"position"}
    assert all(name in asked.text for name in ("pg_is_in_recovery", "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp"))


def test_a_primary_and_its_standby_have_a_number_in_common() -> None:
    assert "system_identifier" in compiled("postgresql", replication.cluster_identifier("postgresql")).text
