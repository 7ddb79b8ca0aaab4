# The words people try first. Each target is complete on a machine with Python 3.11 or later and make.
# The system's Python comes first, unless it can make no environment with pip: distributions build it with optimisations, version
# managers seldom do, and without them the tests take a fifth longer. `PYTHON=` is another one.
PYTHONS := $(addprefix /usr/bin/python3.,11 12 13 14) python3.11 python3.12 python3.13 python3.14 python3
PYTHON ?= $(shell for module in ensurepip sys; do for found in $(PYTHONS); do \
    $$found -c "import $$module, sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null && { echo $$found; exit; }; done; done; echo python3.11)
VENV ?= .venv
BIN := $(VENV)/bin
# pip gets lost between the botocore that aiobotocore allows and the newest boto3 that moto takes; uv's resolver does not.
# It compiles nothing by default, and then every process that a test starts compiles all that it imports.
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(VENV)
comma := ,
URL ?=
BLOB_URL ?=
FILES ?=
SECTIONS ?=
SIZE ?= quick
FULL ?=
FAULTS ?=

# For the same reason what is in this checkout is compiled once, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-quick test-partitions test-imports test-lowest bench faults docs screenshots lint format clean

# An environment of its own, without the tests' and linters' packages. It is light on the processor: pip is not copied, and only
# what the demo imports is compiled.
demo: .venv-demo/bin/uv
	@.venv-demo/bin/uv pip install --quiet --python .venv-demo --editable '.[inspect$(if $(URL),$(comma)postgres)$(if $(findstring s3://,$(BLOB_URL)),$(comma)s3)]' --group examples
	@.venv-demo/bin/python examples/demo.py $(if $(URL),--url '$(URL)') $(if $(BLOB_URL),--blob-url '$(BLOB_URL)') $(FILES)

# The second line is for a Python without pip.
.venv-demo/bin/uv:
	@echo "Installing into .venv-demo, once: LangGraph and what else the demo needs, 155 MB with it"
	@$(PYTHON) -m venv --without-pip .venv-demo
	@$(PYTHON) -m pip --python .venv-demo install --quiet --no-compile uv 2>/dev/null || \
	    { $(PYTHON) -m venv .venv-demo && .venv-demo/bin/python -m pip install --quiet uv; }

test: $(VENV)/installed
	$(BIN)/python -m pytest $(ARGS)

# The inner loop, about a minute: tests/unit, and of every module of tests/integration and tests/langgraph the first test that runs
# on SQLite (`--quick` in tests/conftest.py). What starts a server or a process is left to `make test`.
test-quick: $(VENV)/installed
	$(BIN)/python -m pytest --quick $(ARGS)

# What runs on PostgreSQL, on partitioned tables (`--partitioned` in tests/conftest.py). `make test` has some of it.
test-partitions: $(VENV)/installed
	$(BIN)/python -m pytest --partitioned -k 'asyncpg or psycopg' $(ARGS)

# The site, into site/: every link within it is checked, and nothing is fetched. The variables silence advertisements for other tools.
docs: export NO_MKDOCS_2_WARNING := 1
docs: export DISABLE_MKDOCS_2_WARNING := true
docs: $(VENV)/installed
	$(BIN)/mkdocs build --quiet

# Also the sizes of modules and functions, the complexity of functions (ruff's C901) and the types of the tests.
lint: docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python scripts/check_sizes.py
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(INSTALL) --editable '.[all]' --group test --group lint --group docs
	touch $@

# What earlier releases of the official savers wrote, each in an environment of its own: some minutes.
test-imports: $(VENV)/installed
	$(BIN)/python scripts/check_imports.py

# The oldest release of every dependency that pyproject.toml allows.
test-lowest:
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	.venv-lowest/bin/uv pip install --quiet --compile-bytecode --python .venv-lowest --resolution lowest-direct --editable '.[all]' --group test
	.venv-lowest/bin/python -m pytest $(ARGS)

# Against the official savers, in one run of three minutes; SIZE=normal for the figures that are published (half an hour),
# FULL=1 for these and tables of a million checkpoints, SECTIONS="chat upload" for some of it, URL= for a PostgreSQL of yours.
# A quick run leaves the published figures alone.
bench: CHOSEN := $(if $(FULL),full,$(SIZE))
bench: $(VENV)/installed
	$(INSTALL) --group bench
	$(BIN)/python -m benchmarks $(SECTIONS) $(if $(URL),--postgres '$(URL)') $(if $(filter-out normal,$(CHOSEN)),--$(CHOSEN)) $(if $(filter normal full,$(CHOSEN)),--results benchmarks/results) $(ARGS)

# What kills, cuts, interrupts, damage and full disks do to it and to the official savers: at most ten minutes, ARGS=--quick for about one.
# ARGS="--seed N" repeats a run, FAULTS="kills silence" is some of it; ARGS="--write docs/faults.md" publishes the results.
faults: $(VENV)/installed
	$(INSTALL) --group bench
	$(BIN)/python -m benchmarks.faults $(FAULTS) $(if $(URL),--postgres '$(URL)') $(ARGS)

# The pictures in docs/images of the inspector, the command line, the demo and the site; needs chromium. ARGS="site demo" is some of them.
screenshots: $(VENV)/installed
	$(BIN)/python scripts/make_screenshots.py $(ARGS)

clean:
	rm -rf $(VENV) .venv-demo .venv-lowest site demo-data .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
