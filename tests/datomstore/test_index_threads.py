"""Readers hold what they hold, and see new values whole, while one writer goes on and runs are sorted and merged."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from threading import Thread

import numpy as np
import pytest

from datomstore import facts as facts_module
from datomstore.database import Database
from datomstore.datom import TX_BASE
from datomstore.facts import Facts
from datomstore.intern import intern
from datomstore.schema import Schema
from datomstore.value import Keyword

SIZE, OTHER = intern(Keyword("size")), intern(Keyword("other"))
ENTITIES, TRANSACTIONS = 20, 1_000


@pytest.fixture(autouse=True)
def often() -> Iterator[None]:
    """Let threads take turns often."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def view(facts: Facts, count: int) -> Database:
    return Database(facts, Schema(), [], basis_t=0, count=count)


def write(facts: Facts, failures: list[object]) -> None:
    """Replace the size of every entity in each transaction; now and then give one up first."""
    try:
        for t in range(TRANSACTIONS):
            start = facts.count
            for kept in (False, True) if t % 3 == 0 else (True,):
                e: list[int] = []
                v: list[int] = []
                ends: list[tuple[int, int]] = []
                for entity in range(ENTITIES):
                    if t:
                        ends.append((start + len(e), start - ENTITIES + entity))
                        e.append(entity << 1)
                        v.append((t - 1) << 1)
                # Additions come last, so that those of the transaction before stand together.
                for entity in range(ENTITIES):
                    e.append(entity << 1)
                    v.append(t << 1)
                facts.write(start, e, [SIZE] * len(e), v, (TX_BASE + t) << 1, ends)
                if not kept:
                    for _, row in ends:
                        facts.live_again(row)
                    facts.take_back(start)
            facts.count = start + len(e)
    except BaseException as error:  # told by the test's own thread
        failures.append(error)
        raise


def read(facts: Facts, failures: list[object], seed: int) -> None:
    random = np.random.default_rng(seed)
    held: list[tuple[Database, int]] = []
    probes = np.arange(ENTITIES, dtype=np.int64) << 1
    try:
        while facts.count < 2 * ENTITIES * TRANSACTIONS - ENTITIES:
            count = facts.count
            if not count:
                continue
            held.append((view(facts, count), (count + ENTITIES) // (2 * ENTITIES) - 1))
            for _ in range(3):
                database, t = held[int(random.integers(len(held)))]
                rows = database.rows(None, SIZE)
                assert len(rows) == ENTITIES, (t, len(rows))
                assert set(facts.v[rows].tolist()) == {t << 1}, t
                assert set(facts.t[rows].tolist()) == {(TX_BASE + t) << 1}
                assert len(database.scan_bound(SIZE, e=probes)[0]) == ENTITIES
                assert len(database.rows(None, SIZE, t << 1)) == ENTITIES
                assert len(database.rows_between(SIZE, t - 3, t + 3)) == ENTITIES
                assert not len(database.rows(None, OTHER))
    except BaseException as error:
        failures.append((seed, error))
        raise


def test_readers_and_a_writer_do_not_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_module, "TAIL_ROWS_MAX", 64)
    monkeypatch.setattr(facts_module, "RUN_ROWS_MIN", 500)
    facts, failures = Facts(), []  # type: ignore[var-annotated]
    threads = [Thread(target=read, args=(facts, failures, seed)) for seed in (1, 2)]
    threads.append(Thread(target=write, args=(facts, failures)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
