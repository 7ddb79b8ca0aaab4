"""Rules about the load: whether the machine and the database keep up with it, and where to move to."""

from __future__ import annotations

from collections.abc import Iterator

from ckptstore.inspection.doctor import thresholds as limit
from ckptstore.inspection.doctor.facts import Facts, LoadFacts
from ckptstore.inspection.doctor.findings import Finding, Severity, severity_of, worst

_MOVE = "ckptstore move --from {here} --to postgresql://..."


def load_findings(facts: Facts) -> Iterator[Finding]:
    """The load, errors and the pool."""
    load = facts.load
    if load is None:
        message = "no load was recorded in the last 14 days: no saver did anything for a minute, or record_load is off"
        if facts.ceiling:
            message += f"; this machine stored {facts.ceiling:,.0f} writes per second in a test"
        command = "" if facts.ceiling else "ckptstore doctor --measure"
        yield Finding("load", Severity.NOTE, message, {"ceiling": facts.ceiling}, command)
        return
    yield _ceiling(load, facts.ceiling)
    share = load.errors / max(1, load.errors + load.writes)
    evidence = {"errors": load.errors, "writes": load.writes}
    severity = severity_of(share, limit.ERROR_SHARE)
    yield Finding("errors", severity, f"{load.errors:,} operations failed, for {load.writes:,} writes", evidence)
    yield _pool(load)


def _ceiling(load: LoadFacts, ceiling: float | None) -> Finding:
    evidence = {"peak_writes_per_second": load.peak_writes_per_second, "minutes": load.minutes, "ceiling": ceiling}
    peak = f"the busiest of {load.minutes:,} minutes had {load.peak_writes_per_second:,.1f} writes per second"
    if not ceiling:
        return Finding("ceiling", Severity.OK, f"{peak}; what this machine can do was not measured", evidence, "ckptstore doctor --measure")
    share = load.peak_writes_per_second / ceiling
    message = f"{peak}: {share:.0%} of the {ceiling:,.0f} that this machine stored in a test"
    return Finding("ceiling", severity_of(share, limit.CEILING_SHARE), message, {**evidence, "share": share})


def _pool(load: LoadFacts) -> Finding:
    severity = severity_of(load.pool_full_share, limit.POOL_FULL_SHARE)
    message = f"every connection of a saver's pool was in use at the end of {load.pool_full_share:.0%} of the minutes"
    command = "" if severity is Severity.OK else "DatabaseSettings(pool_size=...) with more connections, if the server has them"
    return Finding("pool", severity, message, {"pool_full_share": load.pool_full_share}, command)


def place_findings(facts: Facts) -> Iterator[Finding]:
    """Whether the database is the right one: SQLite, PostgreSQL, one with partitions, or a distributed one."""
    yield _sqlite(facts) if facts.on_sqlite else _server(facts)


def _sqlite(facts: Facts) -> Finding:
    load = facts.load
    reasons: dict[str, tuple[float, limit.Limits]] = {"bytes": (facts.bytes, limit.SQLITE_BYTES)}
    if load is not None:
        reasons["lock_wait_share"] = (load.lock_wait_share or 0, limit.LOCK_WAIT_SHARE)
        reasons["commit_p99_seconds"] = (load.commit_p99_seconds or 0, limit.COMMIT_P99_SECONDS)
        reasons["queue_depth"] = (load.queue_depth, limit.QUEUE_DEPTH)
        reasons["ceiling_share"] = (load.peak_writes_per_second / facts.ceiling if facts.ceiling else 0, limit.CEILING_SHARE)
    severities = {name: severity_of(*reason) for name, reason in reasons.items()}
    severity = worst(*severities.values())
    evidence = {name: value for name, (value, _) in reasons.items()}
    if severity is Severity.OK:
        return Finding("database", severity, "SQLite is the right database for this load", evidence)
    why = ", ".join(f"{name} {evidence[name]:,.3g} is {each}" for name, each in severities.items() if each is not Severity.OK)
    advice = "SQLite is near its end" if severity is Severity.NOTE else "move to PostgreSQL"
    return Finding("database", severity, f"{advice}: {why}", evidence, _MOVE.format(here="URL"))


def _server(facts: Facts) -> Finding:
    largest = max(facts.tables, key=lambda table: table.bytes, default=None)
    evidence = {"bytes": facts.bytes, "largest_table": largest.name if largest else None, "largest_bytes": largest.bytes if largest else 0}
    severity = severity_of(facts.bytes, limit.SERVER_BYTES)
    if severity is not Severity.OK:
        message = "one server has much to hold: shorten retention, or distribute the tables by thread_id"
        return Finding("database", severity, message, evidence, "see docs/doctor.md")
    unparted = max((table.bytes for table in facts.tables if not table.partitions), default=0)
    severity = severity_of(unparted, limit.TABLE_BYTES)
    if severity is not Severity.OK:
        return Finding("database", severity, "a table is large, and has no partitions", evidence, "ckptstore upgrade --partitions 16")
    return Finding("database", Severity.OK, "PostgreSQL is the right database for this size", evidence)
