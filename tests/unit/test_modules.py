"""Modules of ckptstore have a test file of their own, in the folder of their package."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "ckptstore"

# Modules that say nothing by themselves.
EXEMPT = {
    "models.py": "re-exports db/models.py",
    "schema.py": "re-exports db/schema.py",
    "tagkeys.py": "re-exports tags/keys.py",
    "records.py": "types without behaviour",
    "cli/__main__.py": "calls main",
    "db/runner.py": "a protocol; each runner is tested",
    "blobs/backends/protocol.py": "a protocol; testing/conformance.py holds every backend to it",
    "pyinstaller/hook-ckptstore.py": "PyInstaller runs it",
}

# Reached only through savers as yet. No module may be added to these; one that gets its test leaves them.
UNTESTED = {
    "blobs/backends/fsspec_backend.py",
    "blobs/backends/s3.py",
    "blobs/copy.py",
    "blobs/download.py",
    "blobs/registered.py",
    "blobs/registry.py",
    "blobs/upload.py",
    "cli/reencrypt.py",
    "db/channel_links.py",
    "db/connection.py",
    "db/peer.py",
    "db/postgres.py",
    "db/server_connections.py",
    "db/times.py",
    "langgraph/base.py",
    "langgraph/checks.py",
    "langgraph/database.py",
    "langgraph/decode.py",
    "langgraph/deleting.py",
    "langgraph/encode.py",
    "langgraph/options.py",
    "langgraph/reading.py",
    "langgraph/saver.py",
    "langgraph/serialise.py",
    "langgraph/upkeep.py",
    "maintenance/copy.py",
    "maintenance/pages.py",
    "maintenance/prune_progress.py",
    "maintenance/prune_run.py",
    "maintenance/prune_thread.py",
    "maintenance/relocate.py",
    "maintenance/row_pages.py",
    "maintenance/thread_rows.py",
    "maintenance/verify_rows.py",
    "reads/assemble.py",
    "reads/delta_history.py",
    "reads/tag_keys.py",
    "runtime/logged_names.py",
    "runtime/regular_files.py",
    "store/base.py",
    "store/reading.py",
    "store/schema_gate.py",
    "store/store.py",
    "store/upkeep.py",
    "tags/conditions.py",
    "tags/filter_input.py",
    "tags/matching.py",
    "tags/metadata_json.py",
    "testing/conformance.py",
    "values/checksums.py",
    "values/decode.py",
    "values/digests.py",
    "values/encode.py",
    "writes/commit_postgres.py",
    "writes/entry.py",
    "writes/replace.py",
    "writes/tag_rows.py",
}


def has_test_file(module: Path) -> bool:
    folder, name = module.parent, module.stem
    places = [TESTS / "unit" / folder, TESTS / "integration" / folder, TESTS / folder]
    return any((place / f"test_{name}.py").exists() or any(place.glob(f"test_{name}_*.py")) for place in places)


def test_every_module_has_a_test_file_of_its_own() -> None:
    modules = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    without = {module.as_posix() for module in modules if not has_test_file(module)} - EXEMPT.keys()
    added = [f"tests/unit/{name.rpartition('/')[0]}/test_{name.rpartition('/')[2]}" for name in sorted(without - UNTESTED)]
    assert added == [], "add these test files, or the same below tests/integration if they need a database"
    assert UNTESTED - without == set(), "these have a test file now, or are gone: take them out of UNTESTED"
