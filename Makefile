# Every target sets itself up: a virtual environment in .venv, from pyproject.toml and constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NATIVE := $(VENV)/.native
# The packages below `minilm` as pyproject.toml lists them, each behind `-p`.
PACKAGES = $(shell $(BIN)/python -c 'import tomllib; \
	names = tomllib.load(open("pyproject.toml", "rb"))["tool"]["setuptools"]["packages"]; \
	print(*(f"-p {name}" for name in names if name.count(".") == 1))')

.DEFAULT_GOAL := help
.PHONY: help build test check lint types imports docs bench lowest clean

help:
	@echo "make build   weights -> artifacts/all-MiniLM-L6-v2, verified"
	@echo "make test    the tests"
	@echo "make check   lint, types, import contract, tests"
	@echo "make docs    the documentation, into site/"
	@echo "make bench   this project beside its peers"
	@echo "make lowest  the lowest versions that each extra allows, installed and used on the built bundle"
	@echo "make clean   remove what builds, tests and tools wrote (the environment stays)"

build: $(READY) $(NATIVE)
	$(BIN)/toolkit build

test: $(READY) $(NATIVE)
	$(BIN)/python -m pytest

check: lint types imports test

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy $(PACKAGES) -p tests -p benchmarks

imports: $(READY)
	$(BIN)/lint-imports

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Peers get environments of their own in .venv-peers. Options go through: make bench ARGS="--texts FILE"
bench: $(READY) $(NATIVE)
	$(BIN)/python -m benchmarks $(ARGS)

# Makes environments of its own in a temporary folder; needs a package index and what `make build` made.
lowest: $(READY)
	$(BIN)/python .ci/lowest.py $(ARGS)

clean:
	rm -rf build dist site runtime/native/minilm_native.* $(NATIVE) *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -not -path './.venv*/*' -prune -exec rm -rf {} +
	find artifacts -mindepth 1 -maxdepth 1 -not -name README.md -exec rm -rf {} +
	rm -rf benchmarks/results

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else f"error: Python 3.11 or later is needed, {sys.executable} is {sys.version.split()[0]}: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@rm -rf $(VENV)/namespace && mkdir $(VENV)/namespace && ln -s ../.. $(VENV)/namespace/minilm
	@touch $@

# Without a C++ compiler the toolkit works too, so a failure is only shown.
$(NATIVE): $(READY) runtime/native/build.py $(shell find runtime/native/include runtime/native/src -type f)
	-@$(BIN)/python runtime/native/build.py && touch $@
