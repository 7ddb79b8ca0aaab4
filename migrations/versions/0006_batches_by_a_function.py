"""A function stores batches on PostgreSQL: it locks each thread's row, checks what a batch requires, and inserts.

No table changes, so this takes no longer on a large database than on a small one. Where functions can't be created (no right to, no
PL/pgSQL), the upgrade continues without it, and batches are stored by one statement, as before.

Revision: 0006, after 0005.
"""

from __future__ import annotations

from alembic import op

from ckptstore.db.migrated_functions import create_function, drop_function

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Sequential scans are off within it: its plans are kept, and one that was made when a table had a few rows would read all of it later.
#
# Parts are flat arrays of text, a fixed number of elements a row: asyncpg asks the server about every other kind of array, and to take one
# array apart costs less than eight. Bytes are slices of `data`, by start and length; a length of '' is null. Rows name their entry by the
# position of its first element in `entries`.
CREATE = """
CREATE OR REPLACE FUNCTION %1$I.ckpt_commit_batch_1(
    for_schema text, wait_for_locks text, new_generation bigint, data bytea,
    entries text[],          -- thread_id, checkpoint_ns, checkpoint_id, time, size ('' where it is no checkpoint)
    carried text[],          -- entry, channel, version
    known text[],            -- entry, digest
    checkpoints text[],      -- entry, parent ('=' before it, '' for null), format, type, start, length, versions, metadata,
                             -- value_count, checksum
    channels text[],         -- entry, channel, version, type, size, start, length, layout ('' for null), checksum
    tags text[],             -- entry, key, value
    segments text[],         -- entry, digest, size, encoding, start, length
    kept_writes text[],      -- entry, task_id, idx, task_path, channel, type, size, start, length, layout ('' for null), checksum
    replaced_writes text[]   -- the same
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET enable_seqscan = off AS $function$
DECLARE
    -- Entries of which nothing is stored: something that they require is missing, or their checkpoint exists.
    left_out int[] := '{}';
BEGIN
    -- The schema may have been renamed since: the names below are those of another one then, or of none. And what a batch requires is
    -- looked up after its threads are locked, which must see what was committed until then.
    IF for_schema <> %1$L OR current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN NULL;
    END IF;
    IF wait_for_locks IS NOT NULL THEN
        PERFORM set_config('lock_timeout', wait_for_locks, true);
    END IF;

    -- This locks the threads' rows. Every deletion of values holds that lock, so nothing that is found below is deleted before the commit.
    IF cardinality(entries) = 5 THEN
        INSERT INTO %1$I.ckpt_thread AS t (thread_id, created_at, updated_at, generation, checkpoint_count, size)
        VALUES (
            entries[1], entries[4]::bigint, entries[4]::bigint, new_generation,
            CASE entries[5] WHEN '' THEN 0 ELSE 1 END, coalesce(nullif(entries[5], '')::bigint, 0)
        )
        ON CONFLICT (thread_id) DO UPDATE SET
            updated_at = CASE WHEN excluded.updated_at > t.updated_at + 1000000 THEN excluded.updated_at ELSE t.updated_at END,
            checkpoint_count = t.checkpoint_count + excluded.checkpoint_count,
            size = t.size + excluded.size;
    ELSE
        -- In the order of their ids: two processes that lock the same threads never deadlock.
        INSERT INTO %1$I.ckpt_thread AS t (thread_id, created_at, updated_at, generation, checkpoint_count, size)
        SELECT e.thread_id, min(e.at), max(e.at), new_generation, count(e.size), coalesce(sum(e.size), 0)
        FROM (
            SELECT entries[i] AS thread_id, entries[i + 3]::bigint AS at, nullif(entries[i + 4], '')::bigint AS size
            FROM generate_series(1, cardinality(entries), 5) AS i
        ) AS e
        GROUP BY e.thread_id ORDER BY e.thread_id COLLATE "C"
        ON CONFLICT (thread_id) DO UPDATE SET
            updated_at = CASE WHEN excluded.updated_at > t.updated_at + 1000000 THEN excluded.updated_at ELSE t.updated_at END,
            checkpoint_count = t.checkpoint_count + excluded.checkpoint_count,
            size = t.size + excluded.size;
    END IF;

    IF carried IS NOT NULL THEN
        left_out := left_out || ARRAY(
            SELECT e FROM (SELECT i, carried[i]::int AS e FROM generate_series(1, cardinality(carried), 3) AS i) AS r
            WHERE NOT EXISTS (
                SELECT FROM %1$I.ckpt_channel AS c
                WHERE c.thread_id = entries[e] AND c.checkpoint_ns = entries[e + 1]
                AND c.channel = carried[i + 1] AND c.version = carried[i + 2]
                OFFSET 0
            )
        );
    END IF;
    IF known IS NOT NULL THEN
        left_out := left_out || ARRAY(
            SELECT e FROM (SELECT i, known[i]::int AS e FROM generate_series(1, cardinality(known), 2) AS i) AS r
            WHERE NOT EXISTS (
                SELECT FROM %1$I.ckpt_segment AS s WHERE s.thread_id = entries[e] AND s.digest = known[i + 1] OFFSET 0
            )
        );
    END IF;
    IF checkpoints IS NOT NULL AND cardinality(entries) = 5 AND left_out = '{}' THEN
        INSERT INTO %1$I.ckpt_checkpoint (
            thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, created_at, format, type, body,
            channel_versions, metadata, size, hidden, value_count, checksum
        )
        VALUES (
            entries[1], entries[2], entries[3], substr(nullif(checkpoints[2], ''), 2), entries[4]::bigint,
            checkpoints[3]::smallint, checkpoints[4],
            substr(data, checkpoints[5]::int, checkpoints[6]::int), checkpoints[7]::json, checkpoints[8]::json,
            entries[5]::bigint, false, checkpoints[9]::int, checkpoints[10]::bigint
        )
        ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO NOTHING;
        IF NOT FOUND THEN
            left_out := '{1}';
        END IF;
    ELSIF checkpoints IS NOT NULL THEN
        left_out := left_out || ARRAY(
            SELECT e FROM (SELECT i, checkpoints[i]::int AS e FROM generate_series(1, cardinality(checkpoints), 10) AS i) AS r
            WHERE EXISTS (
                SELECT FROM %1$I.ckpt_checkpoint AS c
                WHERE c.thread_id = entries[e] AND c.checkpoint_ns = entries[e + 1] AND c.checkpoint_id = entries[e + 2]
                OFFSET 0
            )
        );
        INSERT INTO %1$I.ckpt_checkpoint (
            thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, created_at, format, type, body,
            channel_versions, metadata, size, hidden, value_count, checksum
        )
        SELECT
            entries[e], entries[e + 1], entries[e + 2], substr(nullif(checkpoints[i + 1], ''), 2), entries[e + 3]::bigint,
            checkpoints[i + 2]::smallint, checkpoints[i + 3],
            substr(data, checkpoints[i + 4]::int, checkpoints[i + 5]::int), checkpoints[i + 6]::json, checkpoints[i + 7]::json,
            entries[e + 4]::bigint, false, checkpoints[i + 8]::int, checkpoints[i + 9]::bigint
        FROM (SELECT i, checkpoints[i]::int AS e FROM generate_series(1, cardinality(checkpoints), 10) AS i) AS r
        WHERE e <> ALL (left_out);
    END IF;
    IF channels IS NOT NULL THEN
        INSERT INTO %1$I.ckpt_channel (thread_id, checkpoint_ns, channel, version, type, size, value, layout, checksum)
        SELECT
            entries[e], entries[e + 1], channels[i + 1], channels[i + 2], channels[i + 3], channels[i + 4]::bigint,
            substr(data, channels[i + 5]::int, nullif(channels[i + 6], '')::int), nullif(channels[i + 7], '')::json, channels[i + 8]::bigint
        FROM (SELECT i, channels[i]::int AS e FROM generate_series(1, cardinality(channels), 9) AS i) AS r
        WHERE e <> ALL (left_out)
        ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO UPDATE SET
            type = excluded.type, size = excluded.size, value = excluded.value, layout = excluded.layout, checksum = excluded.checksum;
    END IF;
    IF tags IS NOT NULL THEN
        INSERT INTO %1$I.ckpt_tag (key, value, checkpoint_id, thread_id, checkpoint_ns)
        SELECT tags[i + 1], tags[i + 2], entries[e + 2], entries[e], entries[e + 1]
        FROM (SELECT i, tags[i]::int AS e FROM generate_series(1, cardinality(tags), 3) AS i) AS r
        WHERE e <> ALL (left_out);
    END IF;
    IF segments IS NOT NULL THEN
        INSERT INTO %1$I.ckpt_segment (thread_id, digest, size, encoding, data)
        SELECT
            entries[e], segments[i + 1], segments[i + 2]::bigint, segments[i + 3],
            substr(data, segments[i + 4]::int, nullif(segments[i + 5], '')::int)
        FROM (SELECT i, segments[i]::int AS e FROM generate_series(1, cardinality(segments), 6) AS i) AS r
        WHERE e <> ALL (left_out)
        AND NOT EXISTS (
            SELECT FROM %1$I.ckpt_segment AS s WHERE s.thread_id = entries[e] AND s.digest = segments[i + 1] OFFSET 0
        );
    END IF;
    IF kept_writes IS NOT NULL THEN
        INSERT INTO %1$I.ckpt_write (
            thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, created_at, type, size, value, layout, checksum
        )
        SELECT
            entries[e], entries[e + 1], entries[e + 2], kept_writes[i + 1], kept_writes[i + 2]::bigint, kept_writes[i + 3],
            kept_writes[i + 4], entries[e + 3]::bigint, kept_writes[i + 5], kept_writes[i + 6]::bigint,
            substr(data, kept_writes[i + 7]::int, nullif(kept_writes[i + 8], '')::int), nullif(kept_writes[i + 9], '')::json,
            kept_writes[i + 10]::bigint
        FROM (SELECT i, kept_writes[i]::int AS e FROM generate_series(1, cardinality(kept_writes), 11) AS i) AS r
        WHERE e <> ALL (left_out)
        ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO NOTHING;
    END IF;
    IF replaced_writes IS NOT NULL THEN
        INSERT INTO %1$I.ckpt_write (
            thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, created_at, type, size, value, layout, checksum
        )
        SELECT
            entries[e], entries[e + 1], entries[e + 2], replaced_writes[i + 1], replaced_writes[i + 2]::bigint, replaced_writes[i + 3],
            replaced_writes[i + 4], entries[e + 3]::bigint, replaced_writes[i + 5], replaced_writes[i + 6]::bigint,
            substr(data, replaced_writes[i + 7]::int, nullif(replaced_writes[i + 8], '')::int), nullif(replaced_writes[i + 9], '')::json,
            replaced_writes[i + 10]::bigint
        FROM (SELECT i, replaced_writes[i]::int AS e FROM generate_series(1, cardinality(replaced_writes), 11) AS i) AS r
        WHERE e <> ALL (left_out)
        ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO UPDATE SET
            task_path = excluded.task_path, channel = excluded.channel, created_at = excluded.created_at, type = excluded.type,
            size = excluded.size, value = excluded.value, layout = excluded.layout, checksum = excluded.checksum;
    END IF;

    IF left_out <> '{}' THEN
        -- They were counted when their threads were locked.
        UPDATE %1$I.ckpt_thread AS t SET checkpoint_count = t.checkpoint_count - l.checkpoint_count, size = t.size - l.size
        FROM (
            SELECT entries[e] AS thread_id, count(*) AS checkpoint_count, sum(entries[e + 4]::bigint) AS size
            FROM (SELECT DISTINCT unnest(left_out) AS e) AS each WHERE entries[e + 4] <> '' GROUP BY entries[e]
        ) AS l
        WHERE t.thread_id = l.thread_id;
    END IF;
    RETURN array_to_string(left_out, ',');
END
$function$
"""


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        create_function(CREATE, "store batches with", "they are stored by one statement, which takes longer")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        drop_function("ckpt_commit_batch_1")
