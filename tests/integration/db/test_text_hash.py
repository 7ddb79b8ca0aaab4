"""The hash of a text is PostgreSQL's."""

from __future__ import annotations

import random

import psycopg

from ckptstore.db.text_hash import text_hash


def test_it_is_what_the_server_computes(postgres_url: str) -> None:
    some = random.Random(7)
    lengths = [*range(40), 255, 1_000]
    texts = [
        "",
        "a" * 11,
        "a" * 12,
        "a" * 13,
        "ä\U0001f600\x01",
        *("".join(some.choices("ab-0ü\U0001f600\n", k=length)) for length in lengths),
    ]
    with psycopg.connect(postgres_url) as connection:
        rows = connection.execute('SELECT hashtext(t COLLATE "C") FROM unnest(%s::text[]) WITH ORDINALITY AS u (t, n) ORDER BY n', (texts,))
        assert [text_hash(text) for text in texts] == [found for (found,) in rows]
