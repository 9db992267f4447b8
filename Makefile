# Every target sets up what it needs. PYTHON names the interpreter that .venv is made with.
PYTHON ?= python3
SHELL := /bin/bash
BIN := .venv/bin
INSTALLED := .venv/.installed
READY := .venv/.ready
# stages are started as `python`: it must be the environment's
export PATH := $(CURDIR)/$(BIN):$(PATH)

# a killed DVC may have left its lock file empty: each later command would fail
MEND := @fashionboard restore --lock

.PHONY: help setup repro demo restore verify board bench bench-board screenshots torture checks damage soak emulate test lint tensorboard
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## create .venv with the pinned requirements and this package

$(INSTALLED): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: expected Python 3.11 or newer, found $$($(PYTHON) --version 2>&1); name one: make PYTHON=python3.11 ..." >&2; exit 1; }
	@echo "Setting up .venv: about 6 GB, mostly torch; a few minutes, once."
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --quiet --requirement requirements.txt
	@touch $@

$(READY): $(INSTALLED) pyproject.toml
	@echo "Installing this package into .venv."
	@$(BIN)/python -m pip install --quiet --quiet --no-deps --no-build-isolation --editable .
	@touch $@

repro: $(READY) ## run what params.yaml says: Fashion-MNIST, unless it was changed
	$(MEND)
	@echo "Running the stages that need it: dvc repro"
	@dvc repro
	@cat metrics/evaluate.json
	@echo "Look at it: make board"

demo: $(READY) ## run the pipeline on the drawn data set, without any download
	$(MEND)
	@scripts/demo

restore: $(READY) ## bring back the last commit after a run that failed or was killed
	@fashionboard restore

verify: $(READY) ## run all stages again in a clone and compare every byte with dvc.lock
	$(MEND)
	@fashionboard verify

board: $(READY) ## serve the workspace, HEAD, its experiments and what is running, side by side, until Ctrl-C
	$(MEND)
	@fashionboard board

bench: $(READY) ## measure everything against the tutorial's script and against DVC itself
	@python -m benchmarks.bench

bench-board: $(READY) ## measure the board with 100 and 1,000 generated experiments
	@python benchmarks/board.py

screenshots: $(READY) ## make the README's pictures again, in a real browser
	@python -m scripts.screenshots

torture: $(READY) ## kill stages and DVC at 200 random moments each; run it in 10 different surroundings
	@KILLS=200 RUNS=10 FUZZED=5000 pytest --numprocesses 2 tests/test_killed.py tests/test_reproducible.py tests/test_fuzzed.py

test: $(READY) ## run all tests
	@pytest --numprocesses 2 --dist loadfile

checks: $(READY) ## what takes minutes and CI runs: emulated processors, 500 damaged repositories, the pages
	@pytest --numprocesses 2 tests/check_emulated.py tests/check_damaged.py tests/check_docs.py

damage: $(READY) ## look at 2,000 damaged repositories, and at each while a board is open
	@DAMAGED=2000 pytest --numprocesses 2 tests/check_damaged.py

soak: $(READY) ## let everything happen to a repository for ten minutes while a board is open, and compare with a new one
	@SECONDS=600 pytest --numprocesses 2 tests/check_open.py

emulate: $(READY) ## run the stages on emulated processors of both vendors and compare every byte
	@pytest --numprocesses 2 tests/check_emulated.py

lint: $(READY) ## check style and types
	@ruff check
	@ruff format --check
	@mypy

tensorboard: $(READY) ## serve the workspace's runs/ until Ctrl-C, on http://localhost:6006
	@[ -d runs ] || echo "There is nothing in runs/ yet: make repro, or dvc exp apply demo after make demo."
	@tensorboard --logdir runs --samples_per_plugin images=1000,scalars=1000000
