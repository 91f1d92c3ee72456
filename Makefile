# `make demo` and `make test` need only Python 3.11, gcc, make and git; each makes .venv if it is missing or stale.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
CORE := $(wildcard yind/cesk/*.pyx yind/cesk/*.pxd yind/cesk/*.pxi yind/cesk/*.h)

.PHONY: install demo test check lint types layers bench bench-machine bench-peers soak clean

install: $(INSTALLED)

.venv/bin/python:
	$(PYTHON) -m venv .venv

$(INSTALLED): .venv/bin/python pyproject.toml setup.py $(CORE)
	$(BIN)/pip install -q --disable-pip-version-check -U pip "setuptools>=77" "cython>=3.1,<4"
	$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation -e ".[dev]"
	touch $@

demo: install
	$(BIN)/yin demo

test: install
	$(BIN)/pytest -q

check: install lint types layers test

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PATH=$(BIN):$$PATH $(BIN)/cython-lint yind

types: install
	$(BIN)/mypy

layers: install
	$(BIN)/lint-imports

bench: install
	$(BIN)/python -m bench

bench-machine: install
	$(BIN)/python -m bench machine

# The languages that `bench-machine` compares with; what Debian's list lacks is shown as `-` in the table.
PEERS := lua5.4 guile-3.0 chezscheme erlang-base

bench-peers:
	apt-get update -q
	for peer in $(PEERS); do \
	  apt-get install -y -q --no-install-recommends $$peer || echo "bench-peers: $$peer is not available, left out"; \
	done

soak: install
	$(BIN)/python -m bench soak

clean:
	rm -rf .venv build *.egg-info yind/cesk/*.so yind/cesk/_core.c
