# `make serve` and `make test` need only Python 3.11 or newer and pip; everything else they install in .venv.

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
# A module's tests, which share a server, stay in one process.
PROCESSES := 2
PYTEST = $(BIN)/python -m pytest -q -n $(PROCESSES) --dist loadfile $(OPTIONS)
STAMP := $(VENV)/.installed
COMPILED := $(VENV)/.compiled

# Where it is set, as in many images for containers, each of some hundred processes would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: test-slow help setup serve test test-all test-gpu coverage mutation lint types check chaos soak fuzz bench

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(STAMP)  ## install into .venv

# Some systems ship venv without ensurepip: the second line then brings pip in from outside.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found; set PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --without-pip --clear $(VENV) \
		&& $(PYTHON) -m pip --python $(BIN)/python install pip; }

$(STAMP): pyproject.toml clients/python/pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet $(PIP_OPTIONS) -c constraints.txt -e '.[dev]' -e clients/python
	@touch $@

# Done once, so that every start takes seconds; without it the first start would compile.
$(COMPILED): $(STAMP) $(wildcard engine/*.py engine/backends/*.py) artifacts/bundled/model/model.json
	$(BIN)/vtv compile
	@touch $@

serve: setup $(COMPILED)  ## run the server on http://127.0.0.1:8000
	$(BIN)/vtv serve

# What needs a tool that is missing is skipped; the last lines name the tool and the command that brings it.
# Many tests wait: three processes keep two cores busy.
test test-slow: PROCESSES := 3
test: setup  ## run the tests that take minutes
	@echo "The tests marked slow are left out: make test-all"
	$(PYTEST) -m 'not slow and not gpu'

test-all: setup  ## run every test but those that need a GPU
	$(PYTEST)

test-slow: setup  ## run the tests that `make test` leaves out
	$(PYTEST) --no-loadscope-reorder -m 'slow and not gpu'

coverage: setup  ## run every test and measure the branches that they take
	$(PYTEST) --cov --cov-report=term:skip-covered

mutation: setup  ## plant faults in the core and list those that its tests miss
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,mutation]' -e clients/python
	mkdir -p mutants
	OMP_NUM_THREADS=1 $(BIN)/python -m mutmut run
	$(BIN)/python -m mutmut results

test-gpu: setup  ## run the tests that need a GPU; benchmarks/gpu_day.sh measures there too
	@$(BIN)/python -c 'import sys, torch; torch.cuda.is_available() or sys.exit("make test-gpu: no CUDA device is to be seen by torch " + torch.__version__ + ", which must be a build for CUDA")'
	$(BIN)/python -m pytest -q -m gpu

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache

types: setup
	$(BIN)/mypy

check: lint types test  ## lint, types, tests

chaos: setup  ## three servers behind HAProxy for ten minutes of failures; needs root
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.balancer.run 10

soak: setup  ## 100,000 requests of every kind of client on one server, with changes of its tasks
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak.run 100000

fuzz: setup  ## a million inputs for the readers of strangers' bytes; RUNS=N for N of each; needs atheris
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,fuzz]'
	for target in artifact pickle checkpoint multipart json query tensors image; do \
		OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz.run $$target $${RUNS:-125000} || exit 1; done

bench: setup  ## measure the engine, then the whole service
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,bench]'
	$(BIN)/vtv bench engine
	$(BIN)/vtv bench load
