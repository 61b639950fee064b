# Every target sets up what it needs in .venv; nothing outside this folder is touched.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: help demo test test-slow test-torch coverage lint check release changelog oldest bench safety kills wires mutation gallery api architecture instruments peers clean

help:
	@echo "make demo       train the emulated 4x4 array, write its record and report"
	@echo "make test       run the tests"
	@echo "make test-slow  run the tests that take minutes: more random truths, larger circuits, longer runs that are killed"
	@echo "make test-torch install PyTorch and run the tests that need it"
	@echo "make lint       formatting, linting, spelling, types, import layers, workflow file"
	@echo "make check      make lint, and the tests with coverage by branch: what must pass"
	@echo "make release    build wheel and sdist, and run the main job from the wheel in an empty environment"
	@echo "make changelog  join the fragments of changelog.d in CHANGELOG.md"
	@echo "make oldest     write constraints-oldest.txt, the lowest versions allowed"
	@echo "make bench      time hwloop beside its peers"
	@echo "make peers      install packages that tests and benchmarks compare with (needs libcairo2-dev, pkg-config)"
	@echo "make gallery    run every procedure on the emulator and make docs/gallery.md of its figures"
	@echo "make architecture  draw the layers and trace the walks of docs/explanation/architecture.md"
	@echo "make api        write docs/reference/api.md from the public names and their docstrings"
	@echo "make instruments write docs/reference/instruments: every command that a driver sends, and its source"
	@echo "make safety     end runs in every way there is, and write what the bench is left like"
	@echo "make kills      end 300 runs at random moments, and judge their records and what is left on"
	@echo "make wires      disturb 640 messages between runs and instruments, and judge what is made of it"
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

# Twice as many processes as two cores: half of a process's time is waits for links and children.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "not slow"

# The same tests once, counted by line and branch; twice as long as without.
coverage: $(VENV)/.dev
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "not slow" --cov --cov-report=term:skip-covered --cov-fail-under=90

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

# PyTorch from an index of CPU wheels, a tenth of the size; empty: from PyPI.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

test-torch: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -e '.[torch]'
	$(BIN)/python -m pytest -m torch

lint: $(VENV)/.dev
	$(BIN)/pre-commit run --all-files

check: lint coverage

# Build wheel and sdist, install the wheel where nothing else is, and run the main job there.
release: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m build
	set -e; \
	away=$$(mktemp -d); trap 'rm -rf "$$away"' EXIT; \
	$(PYTHON) -m venv "$$away/env"; \
	"$$away/env/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl; \
	cp procedures/manhattan_4x4.yaml "$$away"; \
	cd "$$away"; \
	env/bin/hwloop run manhattan_4x4.yaml --backend sim --report

# Join the fragments of changelog.d in CHANGELOG.md and remove them.
changelog: $(VENV)/.dev
	$(BIN)/towncrier build --yes --version "$$($(BIN)/python -c 'from importlib.metadata import version; print(version("hwloop"))')"

# The lowest versions that pyproject.toml allows, for the job that tests them.
oldest:
	$(PYTHON) -m venv $(VENV)/uv
	$(VENV)/uv/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)/uv/bin/uv pip compile --quiet --upgrade --resolution lowest-direct --python-version 3.11 --no-header \
	    --no-annotate pyproject.toml --output-file constraints-oldest.txt

mutation: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutation]'
	$(BIN)/python -m benchmarks.mutation --sample 40

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

safety: $(VENV)/.dev
	$(BIN)/python -m benchmarks.safety

kills: $(VENV)/.dev
	$(BIN)/python -m benchmarks.kills

wires: $(VENV)/.dev
	$(BIN)/python -m benchmarks.wire_faults

gallery: $(VENV)/.dev
	$(BIN)/python -m benchmarks.gallery

architecture: $(VENV)/.dev
	$(BIN)/python -m benchmarks.architecture

api: $(VENV)/.dev
	$(BIN)/python -m benchmarks.api

instruments: $(VENV)/.dev
	$(BIN)/python -m benchmarks.instrument_pages

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
