# make run    a paper session of one minute on the simulated exchange, from nothing to a report
# make test   everything that is tested without waiting: unit, property, process tests
# make backtest   the market maker on a market of its own, with a report; ARGS="--data day.npz" for yours
# make build  the environment and our C;  make hot  the hot Python too, through mypyc (`make run` does it by itself)
# make lint   ruff and mypy;  make test-hot  the rooms once more, compiled;  make test-long  the long hauls;  make clean
# make kills  200 random kill -9 of real processes that trade, and whether the books were right;  KILLS=20 SEED=7
#
# Every target makes what it needs first. A second run finds the stamp and starts at once.

SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
STAMP := $(VENV)/.installed
C_STAMP := $(VENV)/.compiled
C_SOURCES := $(wildcard cffi_build/include/*.h cffi_build/src/*.c) cffi_build/build.py

BACKTEST_STAMP := $(VENV)/.installed-backtest

.PHONY: run backtest test test-hot build lint test-long kills hot clean

run: build
	@$(MAKE) -s hot || echo "the hot Python could not be compiled: it is interpreted, and a decision takes longer"
	@$(BIN)/crypto-trade run $(ARGS)

backtest: build $(BACKTEST_STAMP)
	@$(BIN)/crypto-trade backtest $(or $(STRATEGY),obi-mm) $(ARGS)

# What needs one process, on two cores at once; then, one after another, what starts processes of its own.
in_two_parts = $(PYTEST) -n 2 --dist loadfile -m "not long and not processes" $(1) && \
               $(PYTEST) -m "not long and processes" $(1)

# Tests plant bugs and watch from inside: they look at the files themselves.
test: export CRYPTO_TRADE_INTERPRETED := 1
test: build
	@$(if $(ARGS),$(PYTEST) $(ARGS),$(call in_two_parts))

HOT_TESTS := tests/prepost tests/engine tests/collector tests/exchanges tests/loop tests/simulation tests/processes
test-hot: hot
	@$(if $(ARGS),$(PYTEST) $(ARGS),$(call in_two_parts,$(HOT_TESTS)))

test-long: build
	@$(PYTEST) -m long $(ARGS)

kills: build
	@KILLS=$(or $(KILLS),200) SEED=$(SEED) $(PYTEST) -m long tests/processes/test_kill_campaign.py $(ARGS)

lint: build
	@$(BIN)/ruff check .
	@$(BIN)/mypy

build: $(STAMP) $(C_STAMP)

# The environment: made once, made again when the list of packages changed.
$(STAMP): pyproject.toml setup.py deploy/check_tools.sh
	@deploy/check_tools.sh $(PYTHON)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "making $(VENV)"; rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@echo "installing from the package index (a minute or two, once)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade pip setuptools cffi
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[test]'
	@touch $(STAMP) $(C_STAMP)

# What backtests need besides: hftbacktest, Numba, matplotlib, pyarrow.
$(BACKTEST_STAMP): pyproject.toml | $(STAMP)
	@echo "installing what backtests need"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[backtest,plot,parquet]'
	@touch $(BACKTEST_STAMP)

# Our C alone: seconds, after a header or a source changed.
$(C_STAMP): $(C_SOURCES) | $(STAMP)
	@echo "compiling our C"
	@$(BIN)/python cffi_build/build.py
	@touch $(C_STAMP)

# What stands between a tick and an order, compiled: a minute, again after an edit. Without it the same files are interpreted.
hot: build
	@$(BIN)/python cffi_build/hot.py

clean:
	rm -rf $(VENV) build dist .build-* *.egg-info shm/_native*.so shm/_lanes*.so reactor/_native*.so shm/_native.c reactor/_native.c
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
