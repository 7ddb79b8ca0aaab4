"""The halves of ids, as PostgreSQL makes them."""

from __future__ import annotations

from random import Random
from uuid import UUID

import psycopg

from ckptstore.db.sql.tag_ids import HALF, filled
from ckptstore.db.sql.tag_ids import UUID as UUID_OF

ODD = ["", "\x01", "a", "c1", "c10", "zzz", "é", "é🙂", "-", "0", "f" * 40, "0" * 8, "0" * 8 + "-", "0" * 8 + "!"]


def half(checkpoint_id: str) -> int:
    """The first 16 hexadecimal digits of a UUID; of any other text, a number that sorts no differently than the text does."""
    number, digits_left = 0, 16
    for place, character in enumerate(checkpoint_id[:18].ljust(18, "\0")):
        bits_left = 4 * digits_left
        if place in (8, 13):
            if character == "-":
                continue
            return number << bits_left if character < "-" else (number + 1 << bits_left) - 1
        below = sum(digit < character for digit in "0123456789abcdef")
        if character not in "0123456789abcdef":
            return max(number << bits_left, (number << bits_left) + (below << bits_left - 4) - 1)
        number, digits_left = number << 4 | below, digits_left - 1
    return number


def nearly_uuids(count: int) -> list[str]:
    """UUIDs, most of them with another character, or one less, somewhere."""
    random, found = Random(1), list(ODD)
    for _ in range(count):
        text = str(UUID(int=random.getrandbits(128)))
        place = random.randrange(len(text))
        rest = text[place + random.randrange(2) :] if random.random() < 0.7 else ""
        found.append(text[:place] + random.choice(["", "-", "/", "!", ":", "@", "A", "F", "g", "~", "é", "0", "f", " ", "`"]) + rest)
        found.append(text)
    return found


def test_halves_sort_as_ids_do_and_uuids_are_told_apart(postgres_url: str) -> None:
    ids = nearly_uuids(2_000)
    columns = f"replace(({filled(HALF, 'id')})::text, ':', ''), ({filled(UUID_OF, 'id')})::text"
    with psycopg.connect(postgres_url) as connection:
        rows = connection.execute(f"SELECT id, {columns} FROM unnest(%s::text[]) AS given(id)", [ids]).fetchall()
    assert [(text, found) for text, found, _ in rows] == [(text, f"{half(text):016x}") for text in ids]
    in_order = [found for _, found in sorted((text.encode(), found) for text, found, _ in rows)]
    assert in_order == sorted(in_order)
    assert {uuid == text for text, _, uuid in rows if uuid is not None} == {True}
    assert sum(uuid is not None for *_, uuid in rows) >= 2_000
