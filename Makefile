# dspex-tui. A newcomer needs two commands: `make run` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help run test setup sandbox build worker lint lint-python lint-rust test-rust test-python bench sessions lock

VENV := $(abspath python/.venv)
FEATURES := --features worker
TARGET := $(or $(CARGO_TARGET_DIR),target)
LOGS := $(TARGET)/checks
# The worker is built against the environment's own Python and tested in it.
export PYO3_PYTHON = $(VENV)/bin/python
export DSPEX_VENV = $(VENV)
export DENO_DIR = $(VENV)/deno
# Nothing here may phone home or wait for an answer.
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1
export CARGO_TERM_PROGRESS_WHEN ?= never
export PYTHON ?=
# Compiled files beside the sources would be carried into the worker's build.
export PYTHONDONTWRITEBYTECODE = 1

help: ## Say what there is to type.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 20

run: build ## Set up, build and open the workbench (ARGS='...' are passed on).
	@exec $(TARGET)/release/dspex-tui $(ARGS)

test: setup ## Every check and test, quick ones first; ends with a line of counts.
	@mkdir -p $(LOGS); start=$$SECONDS
	$(MAKE) lint-python
	$(MAKE) lint-rust
	$(MAKE) test-rust
	$(MAKE) test-python
	echo "make test: format, clippy, docs, ruff, pyright clean; $$(cat $(LOGS)/rust.count); $$(cat $(LOGS)/python.count); $$((SECONDS - start)) s"

setup: ## Find Python, make python/.venv from the lock files; quick when nothing is missing.
	@command -v cargo >/dev/null || { echo "setup: no Rust toolchain. Get one from https://rustup.rs" >&2; exit 1; }
	python/environment.sh

sandbox: ## Fetch Pyodide again, which DSPy's sandboxed interpreters need.
	@python/environment.sh sandbox

build: setup ## Build both binaries, optimised.
	@cargo build --release --locked $(FEATURES) --bins

worker: ## Build a worker for another Python: make worker PYTHON=/path/to/python3.X
	@[ -n "$(PYTHON)" ] || { echo "worker: name the interpreter: make worker PYTHON=/path/to/python3.X" >&2; exit 1; }
	found=$$(python/environment.sh check "$(PYTHON)"); read -r version exe <<<"$$found"
	PYO3_PYTHON=$$exe cargo build --release --locked $(FEATURES) --bin dspex-worker --target-dir "$(TARGET)/worker-$$version"
	mkdir -p $(TARGET)/release
	install -m 755 "$(TARGET)/worker-$$version/release/dspex-worker" "$(TARGET)/release/dspex-worker-$$version"
	echo "worker: built $(TARGET)/release/dspex-worker-$$version for $$exe"

lint: setup lint-python lint-rust ## Format, clippy, docs, ruff, pyright: no tests.

lint-python:
	@$(VENV)/bin/ruff check --quiet --config python/pyproject.toml python tests
	$(VENV)/bin/ruff format --quiet --check --config python/pyproject.toml python tests
	$(VENV)/bin/pyright --project python --pythonpath $(VENV)/bin/python | tail -n 40

lint-rust:
	@cargo fmt --check
	cargo clippy --locked --quiet $(FEATURES) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet $(FEATURES) --no-deps --document-private-items

test-rust:
	@mkdir -p $(LOGS); log=$(LOGS)/rust.log
	if cargo nextest --version >/dev/null 2>&1; then
		cargo nextest run --locked $(FEATURES) 2>&1 | tee $$log
		sed -nE 's/.*Summary.*\] *([0-9]+) tests? run: ([0-9]+) passed.*/\2 of \1 Rust tests passed/p' $$log | tail -n 1 >$(LOGS)/rust.count
	else
		cargo test --locked --quiet $(FEATURES) 2>&1 | tee $$log
		awk '/^test result:/ { passed += $$4; all += $$4 + $$6 } END { print passed " of " all " Rust tests passed" }' $$log >$(LOGS)/rust.count
	fi

test-python:
	@mkdir -p $(LOGS)
	if compgen -G 'tests/python/**/test_*.py' >/dev/null || compgen -G 'tests/python/test_*.py' >/dev/null; then
		$(VENV)/bin/python -m pytest -q -c python/pyproject.toml tests/python 2>&1 | tee $(LOGS)/python.log
		tail -n 1 $(LOGS)/python.log | sed -E 's/=+ ?//g; s/ in .*//; s/passed/Python tests passed/' >$(LOGS)/python.count
	else
		echo "no Python tests" >$(LOGS)/python.count
	fi

bench: build ## Measure the workbench beside its rivals, on this machine.
	@$(TARGET)/release/dspex-tui bench

sessions: build ## Record the worked sessions in sessions/ anew, on the demo LM.
	@sessions/record.sh $(TARGET)/release/dspex-tui

lock: ## Write the lock files anew from python/requirements*.in (needs uv).
	@command -v uv >/dev/null || { echo "lock: uv is missing. Type: pipx install uv" >&2; exit 1; }
	cd python
	for name in requirements requirements-dev; do
		uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-annotate --no-header $$name.in -o $$name.lock
	done

.ONESHELL:
