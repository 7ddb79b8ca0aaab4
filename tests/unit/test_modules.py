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
    "store/store.py": "joins base, reading and upkeep",
    "cli/__main__.py": "calls main",
    "transfer/options.py": "types without behaviour",
    "transfer/parcel.py": "types, almost without behaviour",
    "transfer/report.py": "a type without behaviour",
    "monitoring/gauges.py": "a type without behaviour",
    "monitoring/subject.py": "a type without behaviour",
    "db/runner.py": "a protocol; each runner is tested",
    "blobs/backends/protocol.py": "a protocol; testing/conformance.py holds every backend to it",
    "pyinstaller/hook-ckptstore.py": "PyInstaller runs it",
}


def has_test_file(module: Path) -> bool:
    """Whether there is `test_<module>.py`, or `test_<module>_<topic>.py` if no longer module's name begins so."""
    folder, name = module.parent, module.stem
    longer = tuple(f"test_{each.stem}" for each in (PACKAGE / folder).glob(f"{name}_*.py"))
    found = [path.stem for tests in ("unit", "integration", ".") for path in (TESTS / tests / folder).glob(f"test_{name}*.py")]
    return any(test == f"test_{name}" or (test.startswith(f"test_{name}_") and not test.startswith(longer or "-")) for test in found)


def test_every_module_has_a_test_file_of_its_own() -> None:
    modules = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    without = {module.as_posix() for module in modules if not has_test_file(module)} - EXEMPT.keys()
    added = [f"tests/unit/{name.rpartition('/')[0]}/test_{name.rpartition('/')[2]}" for name in sorted(without)]
    assert added == [], "add these test files, or the same below tests/integration if they need a database"
