# Every target sets up what it needs. PYTHON names the interpreter that .venv is made with. TORCH_INDEX names an index
# of PyTorch's wheels for the CPU: then no NVIDIA package is installed.
PYTHON ?= python3
# a later call without it means the same; `TORCH_INDEX=` on the command line goes back
NAMED := $(shell cat .venv/.torch-index 2>/dev/null)
ifneq ($(origin TORCH_INDEX),command line)
TORCH_INDEX := $(or $(TORCH_INDEX),$(NAMED))
endif
# what only torch's build for NVIDIA's cards needs
CUDA := nvidia-.*|cuda-.*|triton
SHELL := /bin/bash
BIN := .venv/bin
INSTALLED := .venv/.installed
READY := .venv/.ready
# stages are started as `python`: it must be the environment's
export PATH := $(CURDIR)/$(BIN):$(PATH)

# a killed DVC may have left its lock file empty: each later command would fail
MEND := @fashionboard restore --lock
# a file's tests share what they have made; conftest.py chooses the order. TOGETHER: tests that run at a time
TOGETHER ?= 2
WORKERS = --numprocesses $(TOGETHER) --dist loadfile --no-loadscope-reorder
# what takes minutes
CHECKS := check_emulated.py check_docs.py check_sweep.py check_large.py check_damaged.py

.PHONY: help setup repro demo best restore verify board bench bench-board bench-sweep screenshots torture checks everything damage soak emulate mutants test test-all lint tensorboard
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## create .venv with the pinned requirements and this package

# another index than .venv was made with: make it anew
ifneq ($(TORCH_INDEX),$(NAMED))
.PHONY: $(INSTALLED)
endif

$(INSTALLED): export TORCH_INDEX := $(TORCH_INDEX)
$(INSTALLED): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: expected Python 3.11 or newer, found $$($(PYTHON) --version 2>&1); name one: make PYTHON=python3.11 ..." >&2; exit 1; }
ifeq ($(TORCH_INDEX),)
	@echo "Setting up .venv: about 6 GB, mostly torch; a few minutes, once."
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --quiet --requirement requirements.txt
else
	@echo "Setting up .venv with torch from TORCH_INDEX, without NVIDIA's packages; a few minutes, once."
	@$(PYTHON) -m venv --clear .venv
	@printf '%s\n' "$$TORCH_INDEX" > .venv/.torch-index
	@grep -E '^(torch|torchvision)==' requirements.txt > .venv/torch.txt
	@grep -Ev '^(torch|torchvision|$(CUDA))==' requirements.txt > .venv/others.txt
	@$(BIN)/python -m pip install --quiet --quiet --no-deps --index-url "$$TORCH_INDEX" --requirement .venv/torch.txt || \
		{ echo "error: expected torch and torchvision in the index TORCH_INDEX, found what is said above; name another: make setup TORCH_INDEX=URL, or none: make setup TORCH_INDEX=" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --quiet --requirement .venv/others.txt
endif
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

best: $(READY) ## train with the most accurate settings that we know: 9 to 16 minutes; SEED=1 EPOCHS=4 for others
	$(MEND)
	@scripts/best "$(or $(SEED),0)" "$(or $(EPOCHS),24)"

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

bench-sweep: $(READY) ## measure what a sweep costs beyond its experiments
	@python -m benchmarks.sweep

screenshots: $(READY) ## make the README's pictures again, in a real browser
	@python -m scripts.screenshots

torture: $(READY) ## kill stages and DVC at 200 random moments each; run it in 10 different surroundings
	@KILLS=200 RUNS=10 FUZZED=5000 pytest --numprocesses 2 tests/test_killed.py tests/test_reproducible.py tests/test_fuzzed.py

test: $(READY) ## run the tests that are quick: each module and a whole pipeline; 2 to 3 minutes
	@pytest $(WORKERS) -m "not slow"

test-all: $(READY) ## run all tests
	@pytest $(WORKERS)

checks: $(READY) ## what takes minutes: emulated processors, 500 damaged repositories, the pages, hosts, a large data set
	@pytest $(WORKERS) $(CHECKS:%=tests/%)

everything: TOGETHER := 3
everything: $(READY) ## run test-all and checks as one, three at a time, for a third of their time is waiting
	@pytest $(WORKERS) --override-ini 'python_files=test_*.py $(CHECKS)'

damage: $(READY) ## look at 2,000 damaged repositories, and at each while a board is open
	@DAMAGED=2000 pytest --numprocesses 2 tests/check_damaged.py

soak: $(READY) ## let everything happen to a repository for ten minutes while a board is open, and compare with a new one
	@SECONDS=600 pytest --numprocesses 2 tests/check_open.py

emulate: $(READY) ## run the stages on emulated processors of both vendors and compare every byte
	@pytest --numprocesses 2 tests/check_emulated.py

mutants: $(READY) ## make 20 faults in a copy of the code, one at a time, and see that a test finds each
	@python -m scripts.mutants

lint: $(READY) ## check style and types
	@ruff check
	@ruff format --check
	@mypy

tensorboard: $(READY) ## serve the workspace's runs/ until Ctrl-C, on http://localhost:6006
	@[ -d runs ] || echo "There is nothing in runs/ yet: make repro, or dvc exp apply demo after make demo."
	@tensorboard --logdir runs --samples_per_plugin images=1000,scalars=1000000
