# Two commands for a fresh clone, each doing its own set-up on a bare Python >= 3.11:
#
#   make audit    audit the demo model, without network (about 6 minutes after installation, on 2 quiet cores)
#   make test     the test suite (about 10 minutes on 2 cores)
#
# Another Python: make audit PYTHON=python3.12
# The CPU build of torch on Linux: export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu

PYTHON ?= python3
VENV ?= .venv
OUT ?= runs/demo
JOBS ?= 2

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
OFFLINE := HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 TOKENIZERS_PARALLELISM=false

.PHONY: audit test lint types contracts docs install dev clean

audit: install
	$(OFFLINE) $(BIN)/bezoar audit --out $(OUT)

# One thread a worker: two workers of two threads each would wait for one another.
test: dev
	$(OFFLINE) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

lint: dev
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .

types: dev
	$(BIN)/mypy

contracts: dev
	$(BIN)/lint-imports --no-cache

docs: dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site

install: $(VENV)/.installed
dev: $(VENV)/.installed-dev

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "bezoar needs Python 3.11 or later, and '$(PYTHON)' is not. Give one: make $(MAKECMDGOALS) PYTHON=python3.12"; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)

# The demo comes from this clone, so that no index is asked for it.
$(VENV)/.installed: pyproject.toml demo/pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV), once (some minutes, mostly torch) …"
	$(PIP) -e ./demo -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing what the tests need …"
	$(PIP) -e ./demo -e '.[dev]'
	@touch $@

clean:
	rm -rf site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
