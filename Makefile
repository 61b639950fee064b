# Every target sets up what it needs in .venv; nothing outside this folder is touched.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: help demo test test-slow lint check bench safety mutation gallery peers clean

help:
	@echo "make demo       train the emulated 4x4 array, write its record and report"
	@echo "make test       run the tests"
	@echo "make test-slow  run the tests that take minutes"
	@echo "make check      formatting, linting, types, import layers, and the tests"
	@echo "make bench      time hwloop beside its peers"
	@echo "make peers      install packages that tests and benchmarks compare with (needs libcairo2-dev, pkg-config)"
	@echo "make gallery    run every procedure on the emulator and make docs/gallery.md of its figures"
	@echo "make safety     end runs in every way there is, and write what the bench is left like"
	@echo "make mutation   change the parts that protect the array, and count the changes that tests notice"

$(VENV)/.runtime: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"hwloop needs Python 3.11 or newer; {sys.executable} is {v[0]}.{v[1]}. Set PYTHON=, for example: make demo PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,third-party]'
	@touch $@

# Compared with in tests and benchmarks; needs Debian's libcairo2-dev and pkg-config.
peers: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[peers]'

demo: $(VENV)/.runtime
	$(BIN)/hwloop run procedures/manhattan_4x4.yaml --backend sim --report

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

mutation: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutation]'
	$(BIN)/python -m benchmarks.mutation --sample 40

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

safety: $(VENV)/.dev
	$(BIN)/python -m benchmarks.safety

gallery: $(VENV)/.dev
	$(BIN)/python -m benchmarks.gallery

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
