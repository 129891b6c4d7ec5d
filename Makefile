# The commands of the project. `make run` and `make test` need only Debian with Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
MODEL ?= demo
HOST ?= 127.0.0.1
PORT ?= 8000
DATA ?= data
# Tests wait for processes and events more than they compute. Each process takes about 1 GB.
TEST_PROCESSES ?= 4
# Files go out in the order of tests/conftest.py, not by their number of tests.
PYTEST := $(BIN)/pytest -q -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup run test test-all test-packages test-processes test-page test-containers lint bench demo-model lock

setup: $(VENV)/.installed

# torch first and pinned: where an index offers a CPU build it satisfies the rest.
$(VENV)/.installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 13)' 2>/dev/null || \
		{ echo "Python 3.11 or 3.12 is needed: apt-get install python3.11 python3.11-venv, or make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint requirements.lock torch
	$(BIN)/pip install --quiet --constraint requirements.lock --editable '.[api,worker,s3,embedded-redis,train,dev]'
	@touch $@

run: setup
	$(BIN)/whisper-sv up --host $(HOST) --port $(PORT) --data-dir $(DATA) --model $(MODEL)

test: setup
	bash tests/system_packages.sh espeak-ng wswedish
	$(PYTEST) -m 'not slow and not browser and not containers and not gpu'

test-all: setup test-packages
	$(MAKE) --no-print-directory --jobs 3 --output-sync=target \
		TEST_PROCESSES=$$(($(TEST_PROCESSES) - 1)) test-processes test-page test-containers

test-packages:
	bash tests/system_packages.sh espeak-ng wswedish ffmpeg chromium iproute2

test-processes:
	$(PYTEST) -m 'not browser and not containers and not gpu'

# In one process: its tests share a browser and a stack, and the others are in a network that containers change.
test-page:
	bash tests/alone.sh $(BIN)/pytest -q -m browser

# Beside the others: building and starting containers is mostly waiting.
test-containers:
	$(BIN)/pytest -q -m 'containers and not gpu'

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	bash tests/system_packages.sh espeak-ng
	$(BIN)/python -m benchmarks

demo-model: setup
	bash tests/system_packages.sh espeak-ng wswedish
	$(BIN)/python -m training recipe --config training/configs/demo.yaml

# Exact versions of everything, as installed and tested, without local version tags.
lock:
	$(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//' | grep -v -E '^(nvidia-|triton)' > requirements.lock
