"""What holds the collector of blobs off."""

from __future__ import annotations

from ckptstore import SQLAlchemySaver
from ckptstore.maintenance.hold import Hold, hold_collector, is_held, release_collector


def test_a_hold_ends_by_its_time_or_by_whoever_holds(lasting_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        runner = saver.store.runner

        def held(now: int) -> bool:
            return runner.read(lambda db: is_held(db, now)).result()

        def release(by: str) -> None:
            runner.write(lambda db: release_collector(db, by)).result()

        assert not held(0)
        runner.write(lambda db: hold_collector(db, Hold(100, "first"))).result()
        assert (held(99), held(100)) == (True, False)
        # A second backup takes it over, so that the end of the first does not end it.
        runner.write(lambda db: hold_collector(db, Hold(200, "second"))).result()
        release("first")
        assert held(150)
        release("second")
        assert not held(150)
