"""Layouts of tags that `scripts/measure_tag_layouts.py` measures: their tables, and the parts of searches that read them.

The tables begin with `try_`. Each layout is filled from `try_tag`, which has the tags of a store with numbers and hashes (`prepared`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

BATCH = 500
THREAD_NS, KEY = ("thread_id", "checkpoint_ns"), ("thread_id", "checkpoint_ns", "checkpoint_id")
#: The corpus has six keys of metadata: each has a column in the layout that has columns.
COLUMNS = [f"t{slot}" for slot in range(1, 7)]
ORDER = "ORDER BY t.{0} DESC, t.thread_id DESC, t.checkpoint_ns DESC LIMIT 100".format


class Layout(NamedTuple):
    """Tables of a layout. In `inserts`, `{at}` is the condition on the checkpoints that are inserted; `ASKED` has what searches name."""

    name: str
    #: What takes space for tags; of the last one, only what it takes beyond `base`.
    tables: Sequence[str]
    setup: Sequence[str]
    insert: str
    searches: dict[str, str]
    base: str | None = None


def same(one: str, other: str, names: Sequence[str] = KEY) -> str:
    """The condition that two rows have the same values in some columns."""
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in names)


def prepared(hash_of: str) -> list[str]:
    """Statements that give each value, thread and checkpoint a number, and each key a column."""
    return [
        "CREATE TABLE try_value AS SELECT key, value, CAST(row_number() OVER (ORDER BY key, value) AS INTEGER) AS number,"
        f" CAST(dense_rank() OVER (ORDER BY key) AS INTEGER) AS slot, {hash_of} AS hash"
        " FROM (SELECT DISTINCT key, value FROM ckpt_tag) AS found",
        "CREATE UNIQUE INDEX try_value_by_text ON try_value (key, value)",
        "CREATE TABLE try_thread AS SELECT thread_id, updated_at, CAST(row_number() OVER (ORDER BY thread_id) AS INTEGER) AS number"
        " FROM ckpt_thread",
        "CREATE UNIQUE INDEX try_thread_by_number ON try_thread (number)",
        "CREATE UNIQUE INDEX try_thread_by_text ON try_thread (thread_id)",
        "CREATE TABLE try_tag AS SELECT t.*, v.number, v.slot, v.hash, dense_rank() OVER (ORDER BY t.checkpoint_id) AS nth"
        " FROM ckpt_tag AS t JOIN try_value AS v ON v.key = t.key AND v.value = t.value",
        "CREATE INDEX try_tag_by_nth ON try_tag (nth)",
    ]


def sqlite_layout(name: str, posting: str, id_of: str, found: str, probed: str) -> Layout:
    """A table that is its own index: what stands for key and value, what stands for the id, the thread's texts.

    Args:
        name: what the layout is called.
        posting: `texts`, or the column that stands for key and value.
        id_of: the expression that stands for the id.
        found: the condition on the id of a tag's checkpoint.
        probed: what stands for the id of a checkpoint `c`.
    """
    tag, of_texts = "try_" + name.replace(" ", "_"), posting == "texts"
    columns = f"{'key, value' if of_texts else 'posting'}, id, {', '.join(THREAD_NS)}"
    typed = columns.replace("posting", "posting INTEGER")
    match = "{0}.key = '{{{1}[0]}}' AND {0}.value = '{{{1}[1]}}'".format if of_texts else ("{0}.posting = {{{1}[" + posting + "]}}").format
    visible = f"{match('t', 'tenant')} AND c.hidden IS 0"
    tagged = f"SELECT c.* FROM {tag} AS t CROSS JOIN ckpt_checkpoint AS c ON {same('c', 't', THREAD_NS)} AND {found} WHERE {visible}"
    probe = f"SELECT 1 FROM {tag} AS h WHERE {match('h', 'kind')} AND"
    in_thread = "SELECT c.* FROM ckpt_checkpoint AS c WHERE c.thread_id = '{thread}' AND c.checkpoint_ns = '' AND c.hidden IS 0"
    distinct = f"SELECT DISTINCT thread_id FROM {tag} AS t WHERE {match('t', 'user')}"
    return Layout(
        name,
        [tag] if of_texts else [tag, "try_value"],
        [f"CREATE TABLE {tag} ({typed}, PRIMARY KEY ({columns})) WITHOUT ROWID"],
        f"INSERT INTO {tag} SELECT {'key, value' if of_texts else posting}, {id_of}, {', '.join(THREAD_NS)} FROM try_tag WHERE {{at}}"
        f" ORDER BY (nth - 1) / {BATCH}, 1, 2, 3, 4",
        {
            "a tag": f"{tagged} {ORDER('id')}",
            "two tags": f"{tagged} AND EXISTS ({probe} {same('h', 't', (*THREAD_NS, 'id'))}) {ORDER('id')}",
            "tags in a thread": f"{in_thread} AND EXISTS ({probe} {same('h', 'c', THREAD_NS)} AND h.id = {probed})"
            " ORDER BY c.checkpoint_id DESC",
            "threads of a user": f"SELECT s.thread_id, s.updated_at FROM ({distinct}) AS f CROSS JOIN ckpt_thread AS s"
            " ON s.thread_id = f.thread_id ORDER BY s.updated_at DESC LIMIT 50",
        },
    )


def sqlite_row() -> Layout:
    """One row for all tags of a checkpoint: a column for each, with an index on (number of the value, half of the id as a number)."""
    table, name, columns = "try_row", "a row per checkpoint", ", ".join(COLUMNS)
    joined = f"FROM {table} AS t CROSS JOIN ckpt_checkpoint AS c ON {same('c', 't')} WHERE c.hidden IS 0 AND"
    # The plus sign keeps SQLite from using an index for the condition.
    of_kind, order = "+t.t{kind[slot]} = {kind[number]}", "ORDER BY t.half DESC LIMIT 100"
    pivoted = ", ".join(f"max(number) FILTER (WHERE slot = {slot})" for slot in range(1, len(COLUMNS) + 1))
    distinct = f"SELECT DISTINCT thread_id FROM {table} AS t WHERE t.t{{user[slot]}} = {{user[number]}}"
    return Layout(
        name,
        [table, "try_value"],
        [
            f"CREATE TABLE {table} ({', '.join(KEY)}, half INTEGER, {columns}, UNIQUE ({', '.join(KEY)}))",
            *[f"CREATE INDEX {table}_{column} ON {table} ({column}, half) WHERE {column} IS NOT NULL" for column in COLUMNS],
        ],
        f"INSERT INTO {table} SELECT {', '.join(KEY)}, half_of(checkpoint_id), {pivoted} FROM try_tag WHERE {{at}}"
        f" GROUP BY {', '.join(KEY)} ORDER BY checkpoint_id",
        {
            "a tag": f"SELECT c.* {joined} t.t{{tenant[slot]}} = {{tenant[number]}} {order}",
            "two tags": f"SELECT c.* {joined} t.t{{tenant[slot]}} = {{tenant[number]}} AND {of_kind} {order}",
            "tags in a thread": f"SELECT c.* {joined} t.thread_id = '{{thread}}' AND t.checkpoint_ns = '' AND {of_kind}"
            " ORDER BY t.checkpoint_id DESC LIMIT 100",
            "threads of a user": f"SELECT s.thread_id, s.updated_at FROM ({distinct}) AS f CROSS JOIN ckpt_thread AS s"
            " ON s.thread_id = f.thread_id ORDER BY s.updated_at DESC LIMIT 50",
        },
    )


BEGINS = "c.checkpoint_id >= t.id AND c.checkpoint_id < t.id || '~'"
EQUALS = ("checkpoint_id", "c.checkpoint_id = t.id", "c.checkpoint_id")
SQLITE = [
    sqlite_layout("texts", "texts", *EQUALS),
    sqlite_layout("number and id", "number", *EQUALS),
    sqlite_layout("hash and id", "hash", *EQUALS),
    sqlite_layout("number and half of the id", "number", "substr(checkpoint_id, 1, 18)", BEGINS, "substr(c.checkpoint_id, 1, 18)"),
    sqlite_layout("texts and half of the id", "texts", "substr(checkpoint_id, 1, 18)", BEGINS, "substr(c.checkpoint_id, 1, 18)"),
    sqlite_row(),
]


def threads_of(found: str, table: str, name: str) -> str:
    """The 50 most recently active of some threads, on PostgreSQL."""
    each = f"SELECT * FROM {table} AS s WHERE s.{name} = f.{name} OFFSET 0"
    return f"SELECT s.thread_id, s.updated_at FROM ({found}) AS f CROSS JOIN LATERAL ({each}) AS s ORDER BY s.updated_at DESC LIMIT 50"


def postgres_rows(name: str, table: str, selected: str, match: Callable[[str, str], str], id_name: str, found: str, order: str) -> Layout:
    """A row for each tag, with the thread's texts.

    Args:
        name: what the layout is called.
        table: the table's columns, and after a semicolon those of its index.
        selected: the columns of `try_tag` in the order of the table's.
        match: the condition that a row of an alias is of a tag.
        id_name: the column that stands for the checkpoint's id.
        found: the condition on the id of a tag's checkpoint.
        order: the end of a search.
    """
    tag, (columns, indexed) = f"try_{name}", table.split(";")
    each = f"SELECT * FROM try_checkpoint AS c WHERE {same('c', 't', THREAD_NS)} AND {found} OFFSET 0"
    tagged = f"SELECT c.* FROM {tag} AS t JOIN LATERAL ({each}) AS c ON true WHERE {match('t', 'tenant')} AND c.hidden IS FALSE"
    probe = f"SELECT 1 FROM {tag} AS h WHERE {match('h', 'kind')} AND {same('h', 't', (*THREAD_NS, id_name))} OFFSET 0"
    threads = {of: f"SELECT DISTINCT t.thread_id FROM {tag} AS t WHERE {match('t', of)}" for of in ("user", "tenant")}
    return Layout(
        name,
        [tag] if name == "texts" else ["try_value", tag],
        [f"CREATE TABLE {tag} ({columns})", f"CREATE INDEX {tag}_index ON {tag} ({indexed})"],
        f"INSERT INTO {tag} SELECT {selected} FROM try_tag WHERE {{at}} ORDER BY (nth - 1) / {BATCH}, 1, 2, 3",
        {
            "a tag": f"{tagged} {order}",
            "two tags": f"{tagged} AND EXISTS ({probe}) {order}",
            "threads of a user": threads_of(threads["user"], "ckpt_thread", "thread_id"),
            "threads of a tenant": threads_of(threads["tenant"], "ckpt_thread", "thread_id"),
        },
    )


def postgres_columns(name: str, row: str, values: str, found: str, base: str | None) -> Layout:
    """One row for all tags of a checkpoint: a column for each, with an index on (value's number, half of the id, thread's number).

    Args:
        name: what the layout is called.
        row: the table's other columns.
        values: what they have of the checkpoint `c`.
        found: how the checkpoints of rows `t` are joined.
        base: the table that is there without tags, if it has one.
    """
    table, order = f"try_{name.replace(' ', '_')}", "ORDER BY t.half DESC LIMIT 100"
    selected = f"SELECT {'c.*, t.half' if found else 't.*'} FROM {table} AS t {found} WHERE hidden IS FALSE AND"
    anywhere = (
        f"SELECT * FROM ({' UNION ALL '.join(f'({selected} t.{column} = {{tenant[number]}} {{more}} {order})' for column in COLUMNS)}) AS t"
    )
    pivoted = ", ".join(f"max(number) FILTER (WHERE slot = {slot}) AS {column}" for slot, column in enumerate(COLUMNS, 1))
    numbered = f"SELECT {', '.join(KEY)}, {pivoted} FROM try_tag WHERE {{at}} GROUP BY {', '.join(KEY)}"
    more = f"AND {{kind[number]}} IN ({', '.join(COLUMNS)})"
    threads = {of: f"SELECT DISTINCT thread AS number FROM {table} WHERE t{{{of}[slot]}} = {{{of}[number]}}" for of in ("user", "tenant")}
    return Layout(
        name,
        ["try_value", table],
        [
            f"CREATE TABLE {table} ({row})",
            f"ALTER TABLE {table} ADD half macaddr8, ADD thread int, {', '.join(f'ADD {column} int' for column in COLUMNS)}",
            *[f"CREATE INDEX ON {table} ({column}, half, thread) WHERE {column} IS NOT NULL" for column in COLUMNS],
        ],
        f"INSERT INTO {table} SELECT {values}, replace(left(c.checkpoint_id, 18), '-', '')::macaddr8, s.number, {', '.join(COLUMNS)}"
        f" FROM ({numbered}) AS p JOIN ckpt_checkpoint AS c ON {same('c', 'p')} JOIN try_thread AS s ON s.thread_id = c.thread_id"
        " ORDER BY c.checkpoint_id",
        {
            "a tag": f"{selected} t.t{{tenant[slot]}} = {{tenant[number]}} {order}",
            "two tags": f"{selected} t.t{{tenant[slot]}} = {{tenant[number]}} AND t.t{{kind[slot]}} = {{kind[number]}} {order}",
            "a tag, in any column": f"{anywhere.replace('{more}', '')} {order}",
            "two tags, in any columns": f"{anywhere.replace('{more}', more)} {order}",
            "threads of a user": threads_of(threads["user"], "try_thread", "number"),
            "threads of a tenant": threads_of(threads["tenant"], "try_thread", "number"),
        },
        base=base,
    )


CHECKPOINT = Layout(
    "the checkpoint alone",
    [],
    ["CREATE TABLE try_checkpoint (LIKE ckpt_checkpoint INCLUDING ALL)"],
    "INSERT INTO try_checkpoint SELECT c.* FROM ckpt_checkpoint AS c WHERE EXISTS"
    f" (SELECT 1 FROM try_tag WHERE {{at}} AND {same('c', 'try_tag')}) ORDER BY c.checkpoint_id",
    {},
)
FUNCTIONS = [
    "CREATE FUNCTION try_id(text) RETURNS bigint LANGUAGE sql IMMUTABLE AS"
    " $$ SELECT ('x' || replace(left($1, 18), '-', ''))::bit(64)::bigint $$",
    "CREATE FUNCTION try_text(bigint) RETURNS text LANGUAGE sql IMMUTABLE AS"
    " $$ SELECT left(h, 8) || '-' || substr(h, 9, 4) || '-' || substr(h, 13) FROM (SELECT lpad(to_hex($1), 16, '0') AS h) AS hex $$",
]
OF_THREAD = 'thread_id text COLLATE "C", checkpoint_ns text COLLATE "C"'
TEXTS = "key, value, checkpoint_id, thread_id, checkpoint_ns"
POSTGRES = [
    postgres_rows(
        "texts",
        f'key text COLLATE "C", value text COLLATE "C", checkpoint_id text COLLATE "C", {OF_THREAD};{TEXTS}',
        TEXTS,
        lambda alias, tag: f"{alias}.key = '{{{tag}[0]}}' AND {alias}.value = '{{{tag}[1]}}'",
        "checkpoint_id",
        "c.checkpoint_id = t.checkpoint_id",
        ORDER("checkpoint_id"),
    ),
    postgres_rows(
        "hash",
        f"hash bigint, id bigint, {OF_THREAD};hash, id",
        "hash, try_id(checkpoint_id), thread_id, checkpoint_ns",
        lambda alias, tag: f"{alias}.hash = {{{tag}[hash]}}",
        "id",
        "c.checkpoint_id >= try_text(t.id) AND c.checkpoint_id < try_text(t.id) || '~'",
        "ORDER BY t.id DESC LIMIT 100",
    ),
    postgres_columns(
        "a row per checkpoint",
        f'{OF_THREAD}, checkpoint_id text COLLATE "C", PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)',
        ", ".join(f"c.{name}" for name in KEY),
        f"JOIN LATERAL (SELECT * FROM try_checkpoint AS c WHERE {same('c', 't')} OFFSET 0) AS c ON true",
        None,
    ),
    postgres_columns("columns of the checkpoint", "LIKE ckpt_checkpoint INCLUDING ALL", "c.*", "", "try_checkpoint"),
]
