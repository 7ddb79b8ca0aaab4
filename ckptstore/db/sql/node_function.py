"""Batches on a distributed database: a function that Citus calls on the node that has their threads.

For each shard there is a copy of the functions for plain PostgreSQL (`batch_function`) that names the tables of that shard. So its
statements are planned once for each connection and executed as on one server, while one that names a distributed table costs Citus
0.1 to 0.2 ms each time. The function of this module locks the shards of a batch against being moved or split, as Citus does for every
statement that writes, and calls their copies. A shard that is elsewhere by now, or split, is left to the caller.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, LargeBinary, Select, Text, bindparam, select

from ckptstore.db.sql.batch_function import FUNCTION as BATCH_FUNCTION
from ckptstore.db.sql.batch_function import HELD_FUNCTION, PARTS, Call

#: With the version of its parameters, as `batch_function.FUNCTION`.
FUNCTION = "ckpt_commit_on_node_1"
#: Locks a shard as a statement that writes to it does.
LOCK_FUNCTION = "ckpt_lock_shard_1"
#: What a batch of a shard consists of: each an array as a text, '' where there is none.
SHARD_PARTS = ("leases", *PARTS)
#: The answer for a shard of which nothing was stored.
DECLINED = "-"


def copy_name(function: str, shard: int | str) -> str:
    """The name of the copy of a function for a shard."""
    return f"{function}_{shard}"


_TYPES = "text, text, bigint, bytea, text, text"
_ARRAYS = [f"nullif(given[at + {number}], '')::text[]" for number in range(1, len(SHARD_PARTS) + 1)]
_SCALARS = ["SCHEMA_LITERAL", "wait_for_locks", "new_generation", "data"]

# Not by EXECUTE, which would plan the call each time.
_BRANCH = f"""
        WHEN SHARD THEN
            IF given[at + 1] = '' THEN
                answer := SCHEMA.{copy_name(BATCH_FUNCTION, "SHARD")}({", ".join([*_SCALARS, *_ARRAYS[1:]])});
            ELSE
                answer := SCHEMA.{copy_name(HELD_FUNCTION, "SHARD")}({", ".join([_ARRAYS[0], *_SCALARS, *_ARRAYS[1:]])});
            END IF;"""

# As the owner of the tables: Citus lets nobody else call `lock_shard_metadata`. It takes the lock (5: ShareLock) that each statement of
# Citus's takes that writes to the shard.
_LOCK = f"""
CREATE OR REPLACE FUNCTION SCHEMA.{LOCK_FUNCTION}(shard bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    -- One that was split is there no more.
    PERFORM pg_catalog.lock_shard_metadata(5, ARRAY[s.shardid]) FROM pg_catalog.pg_dist_shard AS s WHERE s.shardid = shard;
END
$function$
"""

_COMMIT = f"""
CREATE OR REPLACE FUNCTION SCHEMA.{FUNCTION}(
    for_thread text,         -- a thread of the first shard: it says on which node this is executed
    wait_for_locks text, new_generation bigint, data bytea,
    shards text,             -- ids of shards of ckpt_thread, in order
    parts text               -- for each of them {", ".join(SHARD_PARTS)}
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET plan_cache_mode = force_generic_plan AS $function$
DECLARE
    ids bigint[] := shards::bigint[];
    given text[] := parts::text[];
    entries text[];
    answers text[] := '{{}}';
    answer text;
    at int;
    is_here boolean;
BEGIN
    IF wait_for_locks IS NOT NULL THEN
        PERFORM set_config('lock_timeout', wait_for_locks, true);
    END IF;
    FOR n IN 1..cardinality(ids) LOOP
        PERFORM SCHEMA.{LOCK_FUNCTION}(ids[n]);
    END LOOP;
    FOR n IN 1..cardinality(ids) LOOP
        at := (n - 1) * {len(SHARD_PARTS)};
        answer := '{DECLINED}';
        SELECT coalesce(bool_and(p.groupid = g.groupid AND p.shardstate = 1), false) INTO is_here
        FROM pg_catalog.pg_dist_placement AS p CROSS JOIN pg_catalog.pg_dist_local_group AS g WHERE p.shardid = ids[n];
        entries := given[at + 2]::text[];
        FOR i IN 1..cardinality(entries) BY 5 LOOP
            is_here := is_here AND get_shard_id_for_distribution_column('SCHEMA_TEXT.ckpt_thread'::regclass, entries[i]) = ids[n];
        END LOOP;
        IF NOT is_here THEN
            answers := answers || answer;
            CONTINUE;
        END IF;
        CASE ids[n]BRANCHES
        ELSE
            -- It was made when a shard was split.
        END CASE;
        answers := answers || coalesce(answer, '{DECLINED}');
    END LOOP;
    RETURN array_to_string(answers, ';');
END
$function$
"""


def definition(quoted_schema: str, schema: str, shards: Sequence[int], *, by_thread: bool = True) -> list[str]:
    """Statements that create the function and let Citus call it where its threads are.

    Args:
        quoted_schema: the schema of the tables as SQL has it.
        schema: the same as it is.
        shards: the ids of the shards of `ckpt_thread`.
        by_thread: whether rows are distributed by their thread; else all of the schema are on one node.
    """
    in_text = quoted_schema.replace("'", "''")
    names = {"SCHEMA_LITERAL": _literal(schema), "SCHEMA_TEXT": in_text, "SCHEMA": quoted_schema}
    branches = "".join(_BRANCH.replace("SHARD", str(shard)) for shard in shards)
    texts = (_LOCK, _COMMIT.replace("BRANCHES", branches))
    filled = [re.sub("SCHEMA_LITERAL|SCHEMA_TEXT|SCHEMA", lambda found: names[found[0]], text) for text in texts]
    argument = "'for_thread', " if by_thread else ""
    distribute = f"'{in_text}.{FUNCTION}({_TYPES})', {argument}colocate_with => '{in_text}.ckpt_thread'"
    return [*filled, f"SELECT create_distributed_function({distribute})"]


def copy_for_shard(create: str, quoted_schema: str, schema: str, shard: int, tables: Mapping[str, str]) -> str:
    """The statement that creates the copy of a function for a shard.

    Args:
        create: creates the function for plain PostgreSQL; in it `%1$I` is the schema, and `%1$L` the same as a text.
        quoted_schema: the schema of the tables as SQL has it.
        schema: the same as it is.
        shard: the id of the shard of `ckpt_thread`.
        tables: the names of the shard's tables, by those of the distributed ones.
    """
    names = {**tables, **{name: copy_name(name, shard) for name in (BATCH_FUNCTION, HELD_FUNCTION)}}
    named = re.sub(r"%1\$I\.(\w+)", lambda found: f"%1$I.{names[found[1]]}", create)
    return named.replace("%1$I", quoted_schema).replace("%1$L", _literal(schema)).replace("%%", "%")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def commit_on_node(_database: str, schema: str) -> Select[Any]:
    """Store batches of shards of one node; returns an answer for each between semicolons: `DECLINED`, or as `batch_function.commit_batch`.

    Args:
        _database: always PostgreSQL.
        schema: the function's schema.
    """
    types: dict[str, Any] = {"for_thread": Text(), "wait_for_locks": Text(), "new_generation": BigInteger(), "data": LargeBinary()}
    types |= {"shards": Text(), "parts": Text()}
    return select(Call(schema, FUNCTION, [bindparam(name, type_=type_) for name, type_ in types.items()]))
