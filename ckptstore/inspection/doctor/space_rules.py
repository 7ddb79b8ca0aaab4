"""Rules about what a database holds: free pages, dead rows, the log, indexes, statistics, retention and tags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import NamedTuple

from ckptstore.inspection.doctor import thresholds as limit
from ckptstore.inspection.doctor.facts import Facts, TableFacts
from ckptstore.inspection.doctor.findings import Finding, Severity, severity_of

_VACUUM = "ckptstore vacuum"


def space_findings(facts: Facts) -> Iterator[Finding]:
    """Free pages and the log (SQLite), dead rows and statistics (PostgreSQL), indexes."""
    if facts.free_bytes is not None:
        yield _free_pages(facts.bytes, facts.free_bytes)
    if facts.wal is not None:
        yield _wal(facts)
    if not facts.on_sqlite:
        yield _dead_rows(facts.tables)
        yield _statistics(facts.tables)
    yield from _indexes(facts)


def _free_pages(size: int, free: int) -> Finding:
    share = free / size if size and free >= limit.LEAST_FREE_BYTES else 0
    severity = severity_of(share, limit.FREE_SHARE)
    evidence = {"bytes": size, "free_bytes": free}
    message = f"{free / limit.MB:,.0f} of {size / limit.MB:,.0f} MB of the file hold nothing"
    return Finding("vacuum", severity, message, evidence, "" if severity is Severity.OK else _VACUUM)


def _wal(facts: Facts) -> Finding:
    assert facts.wal is not None
    severity = severity_of(facts.wal.pinned_bytes, limit.WAL_PINNED_BYTES)
    evidence = {"bytes": facts.wal.bytes, "pinned_bytes": facts.wal.pinned_bytes}
    size = f"the write-ahead log has {facts.wal.bytes / limit.MB:,.0f} MB"
    if severity is Severity.OK:
        return Finding("wal", severity, size, evidence)
    message = f"{size}, of which a reader that does not end keeps {facts.wal.pinned_bytes / limit.MB:,.0f} MB out of the file"
    return Finding("wal", severity, message, evidence, "end the transaction that reads: a session, a shell or a backup that is left open")


class _Ill(NamedTuple):
    """A table with the share that is too high."""

    severity: Severity
    share: float
    name: str


def _worst_table(tables: Sequence[TableFacts], shares: Sequence[float], limits: limit.Limits) -> _Ill | None:
    found = [
        _Ill(severity_of(share, limits), share, table.name)
        for table, share in zip(tables, shares, strict=True)
        if table.live_rows + table.dead_rows + table.changed_rows >= limit.LEAST_ROWS
    ]
    return max((ill for ill in found if ill.severity is not Severity.OK), key=lambda ill: ill.share, default=None)


def _dead_rows(tables: Sequence[TableFacts]) -> Finding:
    evidence = {table.name: table.dead_rows for table in tables if table.dead_rows}
    ill = _worst_table(tables, [table.dead_rows / max(1, table.live_rows + table.dead_rows) for table in tables], limit.DEAD_SHARE)
    if ill is None:
        return Finding("dead rows", Severity.OK, "autovacuum keeps up", evidence)
    message = f"{ill.share:.0%} of the rows of {ill.name} are dead: autovacuum does not keep up, or a long transaction holds it back"
    return Finding("dead rows", ill.severity, message, evidence, _VACUUM)


def _statistics(tables: Sequence[TableFacts]) -> Finding:
    never = [table for table in tables if not table.is_analysed and table.live_rows + table.changed_rows >= limit.LEAST_ROWS]
    evidence = {table.name: table.changed_rows for table in tables if table.changed_rows}
    if never:
        message = f"{', '.join(table.name for table in never)} was never analysed: plans of searches may be slow"
        return Finding("statistics", Severity.CARE, message, evidence, _VACUUM)
    ill = _worst_table(tables, [table.changed_rows / max(1, table.live_rows) for table in tables], limit.CHANGED_SHARE)
    if ill is None:
        return Finding("statistics", Severity.OK, "the planner's statistics are up to date", evidence)
    message = f"rows of {ill.name} that changed since it was analysed are {ill.share:.0%} of those that it has"
    return Finding("statistics", ill.severity, message, evidence, _VACUUM)


def _indexes(facts: Facts) -> Iterator[Finding]:
    for statement in facts.missing_indexes:
        name = statement.split(" INDEX ", 1)[-1].split(" ", 1)[0]
        yield Finding("index", Severity.URGENT, f"the index {name} is missing", {"index": name}, statement)
    for name in facts.invalid_indexes:
        message = f"the index {name} was built without success: no statement uses it"
        # REINDEX TABLE CONCURRENTLY would skip it.
        yield Finding("index", Severity.URGENT, message, {"index": name}, f"REINDEX INDEX CONCURRENTLY {name}")
    if not facts.missing_indexes and not facts.invalid_indexes:
        yield Finding("index", Severity.OK, "every index is there and valid", {})


def retention_findings(facts: Facts) -> Iterator[Finding]:
    """Whether old checkpoints are deleted as fast as they become old."""
    known = facts.retention
    shown = asdict(known)
    if known.overdue_checkpoints is not None:
        days = known.overdue_checkpoints / known.checkpoints_per_day if known.checkpoints_per_day else 0
        severity = severity_of(days, limit.OVERDUE_DAYS)
        message = f"{known.overdue_checkpoints:,} checkpoints are older than the policy keeps: {days:.1f} days of what comes"
        yield Finding("retention", severity, message, shown, "" if severity is Severity.OK else "ckptstore prune, with the same policy")
    elif known.hours_since_run is not None:
        severity = severity_of(known.hours_since_run, limit.HOURS_SINCE_RUN)
        message = f"the last run in the background was {known.hours_since_run:,.0f} hours ago"
        yield Finding("retention", severity, message, shown, "" if severity is Severity.OK else "is a saver with retention= running?")
    else:
        message = "no saver deletes old checkpoints in the background; with a policy, ckptstore doctor says what is overdue"
        yield Finding("retention", Severity.NOTE if known.checkpoints_per_day else Severity.OK, message, shown, "see how-to/retention.md")


def tag_findings(facts: Facts) -> Iterator[Finding]:
    """Keys that are indexed and that nobody searches."""
    days = 0 if facts.load is None else facts.load.days
    if days < limit.LEAST_SEARCH_DAYS:
        message = f"searches were recorded for {days:.1f} days: too few to say which tags nobody searches"
        yield Finding("tags", Severity.OK, message, {"days": days})
        return
    share = sum(each.share for each in facts.unsearched)
    severity = severity_of(share, limit.UNSEARCHED_SHARE)
    names = [each.key for each in facts.unsearched]
    message = f"{len(names)} tag keys were not searched in {days:.0f} days, which have {share:.0%} of the tags"
    excluded = " ".join(f"--exclude '{name}'" for name in names)
    command = "" if severity is Severity.OK else f"ckptstore tags rebuild {excluded}, and the same tag_keys for every saver"
    yield Finding("tags", severity, message, {each.key: each.share for each in facts.unsearched}, command)
