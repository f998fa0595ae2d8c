# `make demo` and `make test` work on a fresh machine: each makes .venv first if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

.PHONY: demo test test-all lint clean

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[test]"
	touch $@

demo: $(VENV)/.installed
	$(BIN)/symsi demo --output demo.png --force

test: $(VENV)/.installed lint
	$(PYTEST) -m "not slow"

test-all: $(VENV)/.installed lint
	$(PYTEST)

lint: $(VENV)/.installed
	$(BIN)/ruff check symsi tests
	$(BIN)/ruff format --check symsi tests
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
