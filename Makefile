# `make demo` and `make test` work on a fresh clone: each makes .venv first when it is missing.
PYTHON ?= python3
VENV ?= .venv
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-gpu test-slow test-lowest fuzz audit lint format clean

help: ## say what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## */\t/' | expand -t 10

venv: $(STAMP) ## make .venv with the pinned versions

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "constraints.txt needs Python 3.11 or newer: make PYTHON=python3.11 venv"; exit 1; }
	@echo "Installing into $(VENV) (a few minutes, once)"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e '.[dev,images]'
	@touch $@

demo: $(STAMP) ## the main job on the built-in 2D task; writes runs/demo/report.html
	@$(VENV)/bin/gantandem demo

# Two workers with one thread each: torch's own threads would fight over the same cores. A file's
# tests stay together, so that what they share is made once; compiled tests are kept, whatever the
# environment says, since half of pytest's start is compiling them.
WORKERS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=
TWO := -n 2 --dist loadfile

test: $(STAMP) ## run the tests but the slow ones
	@$(WORKERS) $(VENV)/bin/python -m pytest -q $(TWO) -m 'not slow'

test-slow: $(STAMP) ## run the tests that take more than a second each
	@$(WORKERS) $(VENV)/bin/python -m pytest -q -n 2 -m slow

test-gpu: $(STAMP) ## run the tests that need an accelerator; writes runs/accelerator.json
	@$(VENV)/bin/python -m pytest -q -m accelerator tests/accelerator

# An environment of its own, Python 3.11; pip may fetch a build of torch with CUDA (gigabytes).
test-lowest: ## run the tests with the lowest versions that are allowed, in .venv-lowest
	@test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	@.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints-lowest.txt -e '.[images,chains,tables]' hypothesis pytest pytest-xdist
	@$(WORKERS) .venv-lowest/bin/python -m pytest -q $(TWO) -m 'not slow'

fuzz: $(STAMP) ## 100,000 broken and odd inputs; only our own errors may come out
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m experiments fuzz --json runs/fuzz.json

audit: $(STAMP) ## known vulnerabilities of what is installed, where there are data on them
	@$(VENV)/bin/python .ci/audit.py

lint: $(STAMP) ## ruff and pyright
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python

format: $(STAMP) ## let ruff mend what it can
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

clean: ## remove what the tools leave behind (not .venv, not runs)
	rm -rf .pytest_cache .ruff_cache dist site
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
