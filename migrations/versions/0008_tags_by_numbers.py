"""Tags name their value, and the thread and namespace of their checkpoint, by numbers. On PostgreSQL, ids become numbers too.

All tags are copied. Roles that had rights on `ckpt_tag` have the same on the new tables.

Revision: 0008, after 0007.
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from ckptstore.db.tag_ids import ID_ORDER, ID_REST, ID_TEXT, OWN_ID, filled

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ORDER = sa.Text().with_variant(sa.BigInteger(), "postgresql")
OLD_KEY = ("key", "value", "checkpoint_id", "thread_id", "checkpoint_ns")
TABLES = ("ckpt_tag", "ckpt_tag_value", "ckpt_tag_owner")

# What the function did with tags, and what it does. Owners are locked with their threads. Values are inserted in an order, so that two
# transactions with the same new ones never deadlock.
TAGS_BEFORE = """
        INSERT INTO %1$I.ckpt_tag (key, value, checkpoint_id, thread_id, checkpoint_ns)
        SELECT tags[i + 1], tags[i + 2], entries[e + 2], entries[e], entries[e + 1]
        FROM (SELECT i, tags[i]::int AS e FROM generate_series(1, cardinality(tags), 3) AS i) AS r
        WHERE e <> ALL (left_out);
"""
TAGS_NOW = """
        INSERT INTO %1$I.ckpt_tag_value (key, value)
        SELECT DISTINCT tags[i + 1], tags[i + 2] FROM generate_series(1, cardinality(tags), 3) AS i
        WHERE tags[i]::int <> ALL (left_out) AND NOT EXISTS (
            SELECT FROM %1$I.ckpt_tag_value AS v WHERE v.key = tags[i + 1] AND v.value = tags[i + 2] OFFSET 0
        )
        ORDER BY 1, 2
        ON CONFLICT (key, value) DO NOTHING;
        INSERT INTO %1$I.ckpt_tag_owner (thread_id, checkpoint_ns, own_id)
        SELECT DISTINCT entries[e], entries[e + 1], r.own_id
        FROM (
            SELECT e, OWN_ID AS own_id
            FROM (SELECT DISTINCT tags[i]::int AS e FROM generate_series(1, cardinality(tags), 3) AS i) AS each
            WHERE e <> ALL (left_out)
        ) AS r
        WHERE NOT EXISTS (
            SELECT FROM %1$I.ckpt_tag_owner AS o
            WHERE o.thread_id = entries[e] AND o.checkpoint_ns = entries[e + 1] AND o.own_id = r.own_id
            OFFSET 0
        )
        ON CONFLICT (thread_id, checkpoint_ns, own_id) DO NOTHING;
        INSERT INTO %1$I.ckpt_tag (value_id, id_order, id_rest, owner_id)
        SELECT n.value_id, n.id_order, n.id_rest, n.owner_id
        FROM (
            SELECT
                (SELECT v.id FROM %1$I.ckpt_tag_value AS v WHERE v.key = tags[i + 1] AND v.value = tags[i + 2]) AS value_id,
                r.id_order, r.id_rest,
                (
                    SELECT o.id FROM %1$I.ckpt_tag_owner AS o
                    WHERE o.thread_id = entries[e] AND o.checkpoint_ns = entries[e + 1] AND o.own_id = r.own_id
                ) AS owner_id
            FROM (
                SELECT e, ID_ORDER AS id_order, ID_REST AS id_rest, OWN_ID AS own_id
                FROM (SELECT DISTINCT tags[i]::int AS e FROM generate_series(1, cardinality(tags), 3) AS i) AS each
                WHERE e <> ALL (left_out) OFFSET 0
            ) AS r JOIN generate_series(1, cardinality(tags), 3) AS i ON tags[i]::int = e OFFSET 0
        ) AS n
        WHERE NOT EXISTS (
            SELECT FROM %1$I.ckpt_tag AS t
            WHERE t.value_id = n.value_id AND t.id_order = n.id_order AND t.id_rest = n.id_rest AND t.owner_id = n.owner_id
            OFFSET 0
        );
"""

OWNERS = """
    INSERT INTO ckpt_tag_owner (thread_id, checkpoint_ns, own_id)
    SELECT DISTINCT thread_id, checkpoint_ns, OWN_ID FROM ckpt_tag_old
"""
COPY = """
    INSERT INTO ckpt_tag (value_id, id_order, id_rest, owner_id)
    SELECT v.id, ID_ORDER, ID_REST, o.id
    FROM ckpt_tag_old AS t
    JOIN ckpt_tag_value AS v ON v.key = t.key AND v.value = t.value
    JOIN ckpt_tag_owner AS o ON o.thread_id = t.thread_id AND o.checkpoint_ns = t.checkpoint_ns AND o.own_id = OWN_ID
"""
COPY_BACK = """
    INSERT INTO ckpt_tag (key, value, checkpoint_id, thread_id, checkpoint_ns)
    SELECT v.key, v.value, ID_TEXT, o.thread_id, o.checkpoint_ns
    FROM ckpt_tag_old AS t JOIN ckpt_tag_value AS v ON v.id = t.value_id JOIN ckpt_tag_owner AS o ON o.id = t.owner_id
"""

# The owner of the old table, and who has which rights on it, as statements for a new one.
SAME_RIGHTS = """
    SELECT format('ALTER TABLE %I OWNER TO %s', CAST(:new AS text), relowner::regrole) FROM pg_class
    WHERE oid = CAST('ckpt_tag_old' AS regclass) AND relowner <> CAST(current_user AS regrole)
    UNION ALL
    SELECT format(
        'GRANT %s ON %I TO %s', a.privilege_type, CAST(:new AS text), CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
    )
    FROM pg_class AS c, aclexplode(c.relacl) AS a
    WHERE c.oid = CAST('ckpt_tag_old' AS regclass) AND a.grantee <> c.relowner
"""


def on_postgresql() -> bool:
    return bool(op.get_context().dialect.name == "postgresql")


def with_ids(text: str, checkpoint_id: str) -> str:
    """A text with the expressions of an id in place of their names."""
    of_server = {"ID_ORDER": ID_ORDER, "ID_REST": ID_REST, "OWN_ID": OWN_ID}
    expressions = of_server if on_postgresql() else {"ID_ORDER": "ID", "ID_REST": "0", "OWN_ID": "''"}
    return re.sub("ID_ORDER|ID_REST|OWN_ID", lambda found: f"({filled(expressions[found[0]], {'ID': checkpoint_id})})", text)


def batch_functions() -> Any:
    """The migration that creates functions for batches."""
    return context.script.get_revision("0006").module


def function_now() -> str:
    earlier: str = batch_functions().CREATE
    assert earlier.count(TAGS_BEFORE) == 1
    now = earlier.replace(TAGS_BEFORE, with_ids(TAGS_NOW, "entries[e + 2]"))
    return now.replace("ckpt_commit_batch_1", "ckpt_commit_batch_2")


def keys(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, KEY, nullable=False) for name in names]


def create_tables() -> None:
    for table, names in (("ckpt_tag_value", ("key", "value")), ("ckpt_tag_owner", ("thread_id", "checkpoint_ns", "own_id"))):
        unique = sa.UniqueConstraint(*names, name=f"{table}_key")
        op.create_table(table, sa.Column("id", NUMBER, sa.Identity(), primary_key=True), *keys(*names), unique)
    types = {"value_id": sa.BigInteger(), "id_order": ORDER, "id_rest": sa.BigInteger(), "owner_id": sa.BigInteger()}
    columns = [sa.Column(name, type_, nullable=False, autoincrement=False) for name, type_ in types.items()]
    key = [] if on_postgresql() else [sa.PrimaryKeyConstraint(*types, name="ckpt_tag_pkey")]
    op.create_table("ckpt_tag", *columns, *key, sqlite_with_rowid=False)


def keep_rights(*new: str) -> None:
    # Offline, nobody can ask for them: whoever runs the script grants them again.
    if on_postgresql() and not context.is_offline_mode():
        connection = op.get_bind()
        for name in new:
            for (statement,) in connection.execute(sa.text(SAME_RIGHTS), {"new": name}).all():
                connection.execute(sa.text(statement.replace(":", "\\:")))


def upgrade() -> None:
    op.rename_table("ckpt_tag", "ckpt_tag_old")
    create_tables()
    if context.is_offline_mode() or not context.config.attributes.get("tags_changed"):
        # Else they are made again after the last revision of the run.
        op.execute("INSERT INTO ckpt_tag_value (key, value) SELECT DISTINCT key, value FROM ckpt_tag_old ORDER BY key, value")
        op.execute(with_ids(OWNERS, "checkpoint_id"))
        op.execute(with_ids(COPY, "t.checkpoint_id"))
    keep_rights(*TABLES)
    op.drop_table("ckpt_tag_old")
    if on_postgresql():
        op.create_index("ckpt_tag_newest", "ckpt_tag", ["value_id", "id_order"])
        # For logical replication: the table has no unique index.
        op.execute("ALTER TABLE ckpt_tag REPLICA IDENTITY FULL")
    batch_functions().drop("ckpt_commit_batch_1")
    batch_functions().create(function_now())


def downgrade() -> None:
    batch_functions().drop("ckpt_commit_batch_2")
    if on_postgresql():
        op.drop_index("ckpt_tag_newest", "ckpt_tag")
    op.rename_table("ckpt_tag", "ckpt_tag_old")
    key = sa.PrimaryKeyConstraint(*OLD_KEY, name="ckpt_tag_pkey" if on_postgresql() else None)
    op.create_table("ckpt_tag", *keys(*OLD_KEY), key, sqlite_with_rowid=False)
    arguments = {"ORDER": "t.id_order", "REST": "t.id_rest", "OWN": "o.own_id"}
    op.execute(COPY_BACK.replace("ID_TEXT", filled(ID_TEXT, arguments) if on_postgresql() else "t.id_order"))
    keep_rights("ckpt_tag")
    for table in ("ckpt_tag_old", *TABLES[1:]):
        op.drop_table(table)
    batch_functions().create(batch_functions().CREATE)
