"""Where the bytes are."""

from __future__ import annotations

from datetime import date

from starlette.testclient import TestClient

from ckptstore import SQLAlchemySaver
from ckptstore.inspection.stats import Day
from ckptstore.inspector.space_page import HEIGHT, WIDTH, bars
from tests.support.conversations import converse
from tests.support.inspector import inspecting, text_of


def test_tables_blobs_threads_channels_and_days(lasting_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        converse(saver)
    with inspecting(lasting_url) as client:
        page = client.get("/space")
        assert page.status_code == 200
        text = text_of(page.text)
        assert "checkpoints" in text
        assert "Largest threads Thread Checkpoints Size ann 10" in text
        assert "messages" in text
        assert page.text.count("<g class=") > 4
        assert ("blobs, live" in text) == (not lasting_url.startswith("postgresql"))


def test_what_was_measured_is_kept_for_a_while(client: TestClient) -> None:
    client.get("/space")
    # Another request within the same second may find figures of no age.
    assert client.get("/space").status_code == 200
    assert "Measuring" in client.get("/space?again=1").text


def test_an_empty_store(sqlite_url: str) -> None:
    with inspecting(sqlite_url) as client:
        page = client.get("/space")
        assert page.status_code == 200
        assert "There are no threads yet" in page.text


def test_a_store_that_can_not_be_measured_says_so(sqlite_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        saver.store.runner.write(lambda db: db.execute("DROP TABLE ckpt_object")).result()
    with inspecting(sqlite_url) as client:
        page = client.get("/space").text
        assert 'class="problem"' in page
        assert page.rstrip().endswith("</html>")


def test_bars_fill_the_chart() -> None:
    days = [Day(date(2026, 1, number), number, size) for number, size in ((1, 0), (2, 1), (3, 10**9))]
    made = bars(days)
    assert [round(bar.height) for bar in made] == [0, 2, HEIGHT]
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in made)
    assert bars([]) == []
