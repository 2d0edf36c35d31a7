# Two targets are all that a newcomer needs: `make run` and `make test`.
PYTHON ?= python3.11
BIN := .venv/bin
PACKAGES := domain application projections adapters api ops

.PHONY: run run-kafka test lint format bench campaign lock clean

# `make run ARGS="--port 9000 --data DIR"`
run: .venv/.ready
	$(BIN)/bursar up $(ARGS)

# The same on a real Apache Kafka, fetched by Maven.
run-kafka: .venv/.ready
	$(BIN)/python -m ops.kafka_broker run -- $(BIN)/bursar up --kafka $(ARGS)

test: .venv/.ready lint
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/pyright

format: .venv/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.ready
	$(BIN)/python -m tests.bench $(ARGS)

# Minutes of kill -9 under load; too long for every commit.
campaign: .venv/.ready
	$(BIN)/python -m pytest -m campaign tests/crash $(ARGS)

# Locks every package with its hashes; the lock names no index.
lock: .venv/.ready
	$(BIN)/uv pip compile pyproject.toml --extra dev --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --universal --python-version 3.11 --upgrade -o requirements.lock

clean:
	rm -rf .venv build *.egg-info

.venv/.ready: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
