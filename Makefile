# Everything here runs in a virtual environment of its own. `make help` lists the targets.
#
# Variables: PYTHON (3.11 or newer), VENV, WORKERS (parallel test processes, 0 for none),
# PYTEST_ARGS, and NEARSIGHT_DEV=1, which installs the source tree in place of the wheel.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
PYTEST_ARGS ?=
DEMO ?= nearsight-demo

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
SOURCES := $(shell find src -type f ! -name '*.pyc')

# Stamps live in the environment they describe, so that deleting it deletes them too.
DEPENDENCIES := $(VENV)/.stamp-dependencies
WHEEL := $(VENV)/.stamp-wheel
EDITABLE := $(VENV)/.stamp-editable
INSTALLED := $(if $(filter-out 0,$(NEARSIGHT_DEV)),$(EDITABLE),$(WHEEL))

# One thread a test process: the processes are what runs in parallel.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help venv install develop demo test lint format docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

venv: $(DEPENDENCIES) ## create the virtual environment with every dependency

install: $(INSTALLED) ## build the wheel and install it (NEARSIGHT_DEV=1: as develop)

develop: $(EDITABLE) ## install the source tree, so that edits count at once

demo: $(INSTALLED) ## label, prune, train, predict and report on 32-atom Al
	$(BIN)/nearsight demo --out $(DEMO)

test: lint ## lint, then run the tests against the installed wheel
	$(ONE_THREAD) $(BIN)/pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: $(INSTALLED) ## style, types and the ranks of the rooms
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(DEPENDENCIES) ## let ruff format and fix the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(INSTALLED) ## build the documentation into site/, warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean: ## remove the environment, builds and caches
	rm -rf $(VENV) dist build site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "nearsight needs Python 3.11 or newer; say which: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The project comes along here because pip takes dependencies from nowhere else; it is replaced below.
$(DEPENDENCIES): $(BIN)/python pyproject.toml constraints.txt
	rm -f $(WHEEL) $(EDITABLE)
	$(PIP) install --quiet -c constraints.txt hatchling '.[cluster,materials,dev,docs]'
	@touch $@

$(WHEEL): $(DEPENDENCIES) $(SOURCES) README.md LICENSE
	rm -rf dist $(EDITABLE)
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	$(PIP) install --quiet --no-deps --force-reinstall dist/nearsight-*.whl
	@touch $@

$(EDITABLE): $(DEPENDENCIES)
	rm -f $(WHEEL)
	$(PIP) install --quiet --no-deps --editable .
	@touch $@
