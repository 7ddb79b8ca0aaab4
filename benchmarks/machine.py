"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from importlib import metadata
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from ckptstore.db.url import parse_database_url

_PACKAGES = (
    "ckptstore", "langgraph", "langgraph-checkpoint", "langgraph-checkpoint-sqlite", "langgraph-checkpoint-postgres", "langchain-core",
    "sqlalchemy", "aiosqlite", "asyncpg", "psycopg", "psycopg-pool", "msgpack", "zstandard", "fsspec", "s3fs", "moto",
)  # fmt: skip


def describe() -> dict[str, str]:
    """The machine, the interpreter and every package that takes part."""
    python = f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.release()}"
    return {
        "machine": f"{_cpu()}, {os.cpu_count()} cores, {_ram_gib():.0f} GiB RAM",
        "python": python,
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "SQLite": sqlite3.sqlite_version,
    }


async def describe_postgres(url: str | None) -> str:
    """The server's release, and what it promises about a commit."""
    if url is None:
        return "none"
    engine = create_async_engine(parse_database_url(url))
    try:
        async with engine.connect() as connection:
            settings = [(name, await connection.scalar(text(f"SHOW {name}"))) for name in ("server_version", "fsync", "synchronous_commit")]
    finally:
        await engine.dispose()
    (_, version), *others = settings
    return f"{version}, {', '.join(f'{name}={value}' for name, value in others)}"


def peak_rss_mb() -> float | None:
    """The most memory that this process has had so far; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource

    # macOS counts bytes, everyone else KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1_024) / 1e6


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _ram_gib() -> float:
    if sys.platform == "win32":
        return float("nan")
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"
