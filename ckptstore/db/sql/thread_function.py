"""The writes of one thread by a function that a distributed database calls on the node that has the thread.

It does what the function for whole batches does (`batch_function`), row by row: Citus plans such inserts once for each connection, while
one from a query is planned, and moved through the calling node, each time.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, LargeBinary, Select, Text, bindparam, select

from ckptstore.db.sql.batch_function import PARTS, Call

#: With the version of its parameters, as `batch_function.FUNCTION`.
FUNCTION = "ckpt_commit_thread_1"
_TYPES = f"text, text, bigint, bytea{', text' * len(PARTS)}"
# Texts that are read as arrays in the function: Citus can't send the cast of a parameter.
_PARAMETERS = ", ".join(f"{part}_text text" for part in PARTS)
_ARRAYS = "\n".join(f"    {part} text[] := {part}_text::text[];" for part in PARTS)

_LATER = "excluded.updated_at > t.updated_at + 1000000"

_VALUES = "for_thread, entries[e + 1], entries[e + 2]"

#: In it, SCHEMA is the quoted name of the tables' schema. The parts are those of migration 0006's function, each row beginning with the
#: position of its entry in `entries`.
CREATE = f"""
CREATE OR REPLACE FUNCTION SCHEMA.{FUNCTION}(
    for_thread text, wait_for_locks text, new_generation bigint, data bytea, {_PARAMETERS}
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $function$
DECLARE
{_ARRAYS}
    left_out int[] := '{{}}';
    e int;
    added int := 0;
    added_size bigint := 0;
    latest bigint := 0;
BEGIN
    IF wait_for_locks IS NOT NULL THEN
        PERFORM set_config('lock_timeout', wait_for_locks, true);
    END IF;
    FOR i IN 1..cardinality(entries) BY 5 LOOP
        latest := greatest(latest, entries[i + 3]::bigint);
        IF entries[i + 4] <> '' THEN
            added := added + 1;
            added_size := added_size + entries[i + 4]::bigint;
        END IF;
    END LOOP;
    -- This locks the thread's row. Every deletion of values holds that lock, so nothing that is found below is deleted before the commit.
    INSERT INTO SCHEMA.ckpt_thread AS t (thread_id, created_at, updated_at, generation, checkpoint_count, size)
    VALUES (for_thread, latest, latest, new_generation, added, added_size)
    ON CONFLICT (thread_id) DO UPDATE SET
        updated_at = CASE WHEN {_LATER} THEN excluded.updated_at ELSE t.updated_at END,
        checkpoint_count = t.checkpoint_count + excluded.checkpoint_count,
        size = t.size + excluded.size;

    FOR i IN 1..coalesce(cardinality(carried), 0) BY 3 LOOP
        e := carried[i]::int;
        PERFORM 1 FROM SCHEMA.ckpt_channel
        WHERE thread_id = for_thread AND checkpoint_ns = entries[e + 1] AND channel = carried[i + 1] AND version = carried[i + 2];
        IF NOT FOUND THEN
            left_out := left_out || e;
        END IF;
    END LOOP;
    FOR i IN 1..coalesce(cardinality(known), 0) BY 2 LOOP
        PERFORM 1 FROM SCHEMA.ckpt_segment WHERE thread_id = for_thread AND digest = known[i + 1];
        IF NOT FOUND THEN
            left_out := left_out || known[i]::int;
        END IF;
    END LOOP;
    FOR i IN 1..coalesce(cardinality(checkpoints), 0) BY 10 LOOP
        e := checkpoints[i]::int;
        CONTINUE WHEN e = ANY (left_out);
        INSERT INTO SCHEMA.ckpt_checkpoint (
            thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, created_at, format, type, body,
            channel_versions, metadata, size, hidden, value_count, checksum
        )
        VALUES (
            {_VALUES}, substr(nullif(checkpoints[i + 1], ''), 2), entries[e + 3]::bigint, checkpoints[i + 2]::smallint,
            checkpoints[i + 3], substr(data, checkpoints[i + 4]::int, checkpoints[i + 5]::int), checkpoints[i + 6]::json,
            checkpoints[i + 7]::json, entries[e + 4]::bigint, false, checkpoints[i + 8]::int, checkpoints[i + 9]::bigint
        )
        ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO NOTHING;
        IF NOT FOUND THEN
            left_out := left_out || e;
        END IF;
    END LOOP;
    FOR i IN 1..coalesce(cardinality(channels), 0) BY 9 LOOP
        e := channels[i]::int;
        CONTINUE WHEN e = ANY (left_out);
        INSERT INTO SCHEMA.ckpt_channel (thread_id, checkpoint_ns, channel, version, type, size, value, layout, checksum)
        VALUES (
            for_thread, entries[e + 1], channels[i + 1], channels[i + 2], channels[i + 3], channels[i + 4]::bigint,
            substr(data, channels[i + 5]::int, nullif(channels[i + 6], '')::int), nullif(channels[i + 7], '')::json, channels[i + 8]::bigint
        )
        ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO UPDATE SET
            type = excluded.type, size = excluded.size, value = excluded.value, layout = excluded.layout, checksum = excluded.checksum;
    END LOOP;
    FOR i IN 1..coalesce(cardinality(tags), 0) BY 3 LOOP
        e := tags[i]::int;
        CONTINUE WHEN e = ANY (left_out);
        INSERT INTO SCHEMA.ckpt_tag (key, value, checkpoint_id, thread_id, checkpoint_ns)
        VALUES (tags[i + 1], tags[i + 2], entries[e + 2], for_thread, entries[e + 1])
        ON CONFLICT (key, value, checkpoint_id, thread_id, checkpoint_ns) DO NOTHING;
    END LOOP;
    FOR i IN 1..coalesce(cardinality(segments), 0) BY 6 LOOP
        CONTINUE WHEN segments[i]::int = ANY (left_out);
        INSERT INTO SCHEMA.ckpt_segment (thread_id, digest, size, encoding, data)
        VALUES (
            for_thread, segments[i + 1], segments[i + 2]::bigint, segments[i + 3],
            substr(data, segments[i + 4]::int, nullif(segments[i + 5], '')::int)
        )
        ON CONFLICT (thread_id, digest) DO NOTHING;
    END LOOP;
WRITES
    IF left_out <> '{{}}' THEN
        -- They were counted when the thread was locked.
        FOR i IN 1..cardinality(entries) BY 5 LOOP
            IF i = ANY (left_out) AND entries[i + 4] <> '' THEN
                UPDATE SCHEMA.ckpt_thread SET checkpoint_count = checkpoint_count - 1, size = size - entries[i + 4]::bigint
                WHERE thread_id = for_thread;
            END IF;
        END LOOP;
    END IF;
    RETURN array_to_string(left_out, ',');
END
$function$
"""

_REPLACE = """DO UPDATE SET
            task_path = excluded.task_path, channel = excluded.channel, created_at = excluded.created_at, type = excluded.type,
            size = excluded.size, value = excluded.value, layout = excluded.layout, checksum = excluded.checksum"""

_WRITES = f"""
    FOR i IN 1..coalesce(cardinality(PART), 0) BY 11 LOOP
        e := PART[i]::int;
        CONTINUE WHEN e = ANY (left_out);
        INSERT INTO SCHEMA.ckpt_write (
            thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, created_at, type, size, value, layout, checksum
        )
        VALUES (
            {_VALUES}, PART[i + 1], PART[i + 2]::bigint, PART[i + 3], PART[i + 4], entries[e + 3]::bigint, PART[i + 5],
            PART[i + 6]::bigint, substr(data, PART[i + 7]::int, nullif(PART[i + 8], '')::int), nullif(PART[i + 9], '')::json,
            PART[i + 10]::bigint
        )
        ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) CONFLICT;
    END LOOP;
"""


def definition(schema: str) -> list[str]:
    """Statements that create the function in a schema, whose name is quoted, and let Citus call it where a thread is."""
    writes = "".join(
        _WRITES.replace("PART", part).replace(" CONFLICT;", f" {conflict};")
        for part, conflict in (("kept_writes", "DO NOTHING"), ("replaced_writes", _REPLACE))
    )
    literals = [text.replace("'", "''") for text in (f"{schema}.{FUNCTION}({_TYPES})", f"{schema}.ckpt_thread")]
    return [
        CREATE.replace("WRITES\n", writes, 1).replace("SCHEMA", schema),
        f"SELECT create_distributed_function('{literals[0]}', 'for_thread', colocate_with => '{literals[1]}')",
    ]


def commit_thread(_database: str, schema: str) -> Select[Any]:
    """Store the writes of one thread; returns one text, see `batch_function.commit_batch`.

    Args:
        _database: always PostgreSQL.
        schema: the function's schema.
    """
    types: dict[str, Any] = {"for_thread": Text(), "wait_for_locks": Text(), "new_generation": BigInteger(), "data": LargeBinary()}
    types |= dict.fromkeys(PARTS, Text())
    return select(Call(schema, FUNCTION, [bindparam(name, type_=type_) for name, type_ in types.items()]))
