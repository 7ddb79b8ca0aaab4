"""Ids in the tag index: PostgreSQL's numbers are in the order of the texts, and give them back."""

from __future__ import annotations

import string
from itertools import pairwise
from random import Random
from typing import Any

import psycopg
import pytest
from sqlalchemy import ColumnElement, literal_column
from sqlalchemy.dialects import postgresql, sqlite

from ckptstore.db.tag_ids import first_id, id_above, id_order, id_rest, id_text, is_below, own_id

Found = tuple[str, int, int, str, str, str, str]

UUIDS = ["00000000-0000-0000-0000-000000000000", "1f0abc12-3456-6789-8abc-0123456789ab", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
OTHERS = [
    "", "-", "0", "9", ":", "A", "a", "f", "g", "\U0001f642", "é", "1ef", "00000000", "ffffffff-", "ffffffff-ffff-ffff-ffff-fffffffffff",
    "1f0abc12-3456-6789-8abc-0123456789ab.", "1f0abc12-3456-6789-8abc-0123456789aB", "1f0abc12-3456-6789-8abc-0123456789a",
    "1f0abc12-3456-6789-8abc0-123456789ab", "1f0abc12.3456", "1F0ABC12-3456-6789-8ABC-0123456789AB",
    "1f0abc12-3456-6789-8abc-0123456789ab\n", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "checkpoint-1", "checkpoint-10", "dead-beef",
]  # fmt: skip


def some_ids() -> list[str]:
    """Ids that are near each other in all ways."""
    chance = Random(7)
    made: list[str] = []
    for _ in range(400):
        digits = "".join(chance.choices("01ef", k=32))
        uuid = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        cut = chance.randrange(37)
        made += [uuid, uuid[:cut], uuid[:cut] + chance.choice(string.printable[:95]) + uuid[cut + 1 :]]
    return [*UUIDS, *OTHERS, *made]


def _named(name: str) -> ColumnElement[Any]:
    return literal_column(name)


def on_server(expression: ColumnElement[Any]) -> str:
    """An expression as PostgreSQL gets it."""
    return str(expression.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def found(postgres_url: str) -> list[Found]:
    """For each id, in the order of their texts: the id, what the index has of it, the id from that, and the texts around its place."""
    id_, order, rest, own = [_named(name) for name in ("id", "id_order", "id_rest", "own")]
    of_id: list[ColumnElement[Any]] = [id_order(id_), id_rest(id_), own_id(id_)]
    of_tag: list[ColumnElement[Any]] = [id_text(order, rest, own), first_id(order), id_above(order)]
    inner, outer = (", ".join(map(on_server, each)) for each in (of_id, of_tag))
    query = f"""
        SELECT *, {outer}
        FROM (SELECT id, {inner} FROM unnest(%s::text[]) AS id) AS each (id, id_order, id_rest, own)
    """
    with psycopg.connect(postgres_url) as connection:
        rows = connection.execute(query, [sorted(set(some_ids()), key=str.encode)]).fetchall()
    return [*rows]


def test_numbers_are_in_the_order_of_the_ids(found: list[Found]) -> None:
    assert len(found) > 800
    for one, other in pairwise(found):
        assert one[1] <= other[1], (one[0], other[0])


def test_an_id_is_its_numbers_or_the_owner_has_it(found: list[Found]) -> None:
    for id_, _, _, own, text, _, _ in found:
        assert (text, own in ("", f"={id_}")) == (id_, True)
    uuids = [row for row in found if row[3] == ""]
    assert len(uuids) > 400
    assert {row[0] for row in uuids}.isdisjoint(OTHERS)
    assert len({(row[1], row[2]) for row in uuids}) == len(uuids)


def test_the_texts_round_a_place_hold_the_uuids_in_it(found: list[Found]) -> None:
    for id_, _, _, own, _, first, above in found:
        assert id_.encode() < above.encode()
        assert own or first <= id_


def test_what_is_below_an_id_is_found(postgres_url: str, found: list[Found]) -> None:
    text = on_server(is_below(literal_column("u.o"), literal_column("b.bound")))
    query = f"SELECT {text} FROM unnest(%s::bigint[]) WITH ORDINALITY AS u (o, n), (SELECT %s::text) AS b (bound) ORDER BY n"
    sample = found[::40]
    with psycopg.connect(postgres_url) as connection:
        for bound, *_ in sample:
            below = [row[0] for row in connection.execute(query, [[row[1] for row in sample], bound])]
            assert all(is_found for is_found, (id_, *_) in zip(below, sample, strict=True) if id_.encode() < bound.encode())


def test_sqlite_has_the_texts_themselves() -> None:
    id_, order = _named("id"), _named("o")
    expressions = (id_order(id_), id_rest(id_), own_id(id_), id_text(order, id_, id_), is_below(order, id_))
    texts = [str(each.compile(dialect=sqlite.dialect())) for each in expressions]
    assert texts == ["(id)", "(0)", "('')", "(o)", "(o < id)"]
