# Two targets are all that a newcomer needs: `make run` and `make test`.
PYTHON ?= python3.11
BIN := .venv/bin
PACKAGES := domain application projections adapters api ops

.PHONY: run run-kafka test lint format bench campaign mutants lock wheel clean

# `make run ARGS="--port 9000 --data DIR"`
run: .venv/.ready
	$(BIN)/bursar up $(ARGS)

# The same on a real Apache Kafka, fetched by Maven.
run-kafka: .venv/.ready
	$(BIN)/python -m ops.kafka_broker run -- $(BIN)/bursar up --kafka $(ARGS)

test: .venv/.ready-dev lint
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/pyright

format: .venv/.ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.ready-dev
	$(BIN)/python -m tests.bench $(ARGS)

# Minutes of kill -9 under load, also under worse conditions; too long for every commit. `make campaign ARGS="-k read_only"`
campaign: .venv/.ready-dev
	$(BIN)/python -m pytest -m campaign tests/crash $(ARGS)

# Changes the functions of the domain a bit at a time, and sees whether its tests notice.
mutants: .venv/.ready-dev
	$(BIN)/python -m tests.mutants $(ARGS)

# Locks every package with its hashes; the locks name no index. Pins that still hold are kept; all are taken
# anew with `make lock ARGS=--upgrade`. The larger lock comes first, so that the smaller is a part of it.
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --universal --python-version 3.11
lock: $(BIN)/uv
	$(LOCK) $(ARGS) --extra build --extra dev -o requirements-dev.lock
	$(LOCK) $(ARGS) --extra build --constraint requirements-dev.lock -o requirements.lock

# All that an installation elsewhere needs, in dist/: the wheel, and the lock to install it with.
wheel: .venv/.ready
	rm -rf build dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	cp requirements.lock dist

clean:
	rm -rf .venv build dist mutants *.egg-info

# --- the environment

# A lock is complete, so nothing is resolved here: each package comes by its hash, and `pip check` has the last word.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
CHECK := $(BIN)/python -m pip --disable-pip-version-check check

# Where the tools are installed too, the larger lock keeps both in step.
.venv/.ready: requirements.lock pyproject.toml | $(BIN)/pip
	@echo "Installing, about a minute: what Bursar runs on, into .venv."
	@$(INSTALL) --require-hashes -r $(if $(wildcard .venv/.ready-dev),requirements-dev.lock,requirements.lock)
	@$(INSTALL) --no-build-isolation --editable .
	@$(CHECK)
	@touch $@

.venv/.ready-dev: .venv/.ready requirements-dev.lock
	@echo "Installing, about a minute: the tools for tests and development, into .venv."
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@$(CHECK)
	@touch $@

$(BIN)/pip:
	$(PYTHON) -m venv .venv

$(BIN)/uv: | $(BIN)/pip
	$(INSTALL) --require-hashes -r requirements-dev.lock
