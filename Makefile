# Every target sets itself up: a virtual environment in .venv, from pyproject.toml and constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PACKAGES := convert optimize pipeline verify runtime cli
NAMESPACE := $(VENV)/namespace

.DEFAULT_GOAL := help
.PHONY: help build test check lint namespace types imports bench clean

help:
	@echo "make build   weights -> artifacts/all-MiniLM-L6-v2, verified"
	@echo "make test    the tests"
	@echo "make check   lint, types, import contract, tests"
	@echo "make bench   this project beside its peers"
	@echo "make clean   remove what builds, tests and tools wrote (the environment stays)"

build: $(READY)
	$(BIN)/toolkit build

test: $(READY)
	$(BIN)/python -m pytest

check: lint types imports test

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# An editable install maps the namespace with an import hook, which mypy and import-linter do not run.
# These links lay the same namespace out as folders; the install stays as it is.
namespace: $(READY)
	@rm -rf $(NAMESPACE) && mkdir -p $(NAMESPACE)/minilm
	@ln -s $(foreach package,$(PACKAGES),"$(CURDIR)/$(package)") $(NAMESPACE)/minilm

types: namespace
	MYPYPATH=$(NAMESPACE) $(BIN)/mypy --namespace-packages --explicit-package-bases \
		$(foreach package,$(PACKAGES),-p minilm.$(package)) -p tests

imports: namespace
	PYTHONPATH=$(NAMESPACE) $(BIN)/lint-imports

# Peers get environments of their own in .venv-peers. Options go through: make bench ARGS="--texts FILE"
bench: $(READY)
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -not -path './.venv*/*' -prune -exec rm -rf {} +
	find artifacts -mindepth 1 -maxdepth 1 -not -name README.md -exec rm -rf {} +
	rm -rf benchmarks/results

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else f"error: Python 3.11 or later is needed, {sys.executable} is {sys.version.split()[0]}: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@touch $@
