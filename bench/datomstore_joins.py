"""Selective joins, an aggregate and a recursive join over 1 and 10 million facts, beside all peers.

Is:     people with name, city, age, salary and boss; every peer loads them as it does that best, before any clock starts.
Is not: loading in transactions (`bench.datomstore_writes`).
Fits:   `bench.datomstore`.

DuckDB has one table for each attribute; SQLite one table of facts with two covering orders; DataScript and Datalevin
their own, over 1 million facts only: loading 10 million takes them minutes.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.datomstore_data import entities
from bench.datomstore_peers import DATALEVIN, DATASCRIPT, DUCKDB, SQLITE
from bench.datomstore_queries import script
from bench.datomstore_rounds import PEERS, Rounds
from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import pull_many, q
from datomstore.datom import TX_BASE
from datomstore.facts import ORDERS, Facts
from datomstore.intern import Ids, intern, intern_many
from datomstore.value import Keyword

Columns = dict[str, NDArray[Any]]
ATTRIBUTES = ("name", "city", "age", "salary", "boss")
SCHEMA = "{:person/boss {:db/valueType :db.type/ref}}"
RULES = "[[(above ?e ?b) [?e :person/boss ?b]] [(above ?e ?b) [?e :person/boss ?c] (above ?c ?b)]]"
SAMPLE = 1_000  # whole entities that are read

# (key's group, what, query, DuckDB, SQLite); attributes of SQLite are numbers in the order of ATTRIBUTES.
QUERIES = (
    (
        "joins",
        "name and city to age",
        '[:find ?e ?age :where [?e :person/name "name 7"] [?e :person/city "city 7"] [?e :person/age ?age]]',
        "select n.e, a.v from name n join city c on c.e = n.e join age a on a.e = n.e where n.v = 'name 7' and c.v = 'city 7'",
        (
            "select n.e, a.v from datoms n join datoms c on c.e = n.e and c.a = 1 and c.v = 'city 7' "
            "join datoms a on a.e = n.e and a.a = 2 where n.a = 0 and n.v = 'name 7'"
        ),
    ),
    (
        "joins",
        "name to boss's city",
        '[:find ?e ?city :where [?e :person/name "name 7"] [?e :person/boss ?b] [?b :person/city ?city]]',
        "select n.e, c.v from name n join boss b on b.e = n.e join city c on c.e = b.v where n.v = 'name 7'",
        (
            "select n.e, c.v from datoms n join datoms b on b.e = n.e and b.a = 4 "
            "join datoms c on c.e = b.v and c.a = 1 where n.a = 0 and n.v = 'name 7'"
        ),
    ),
    (
        "joins",
        "salary range, boss, city",
        (
            "[:find ?e ?b :where [?e :person/salary ?s] [(> ?s 99000)] [?e :person/boss ?b] "
            '[?b :person/city "city 7"]]'
        ),
        (
            "select s.e, b.v from salary s join boss b on b.e = s.e join city c on c.e = b.v "
            "where s.v > 99000 and c.v = 'city 7'"
        ),
        (
            "select s.e, b.v from datoms s join datoms b on b.e = s.e and b.a = 4 "
            "join datoms c on c.e = b.v and c.a = 1 and c.v = 'city 7' where s.a = 3 and s.v > 99000"
        ),
    ),
    (
        "aggregate",
        "average salary by city",
        "[:find ?city (avg ?s) :with ?e :where [?e :person/city ?city] [?e :person/salary ?s]]",
        "select c.v, avg(s.v) from city c join salary s on s.e = c.e group by c.v",
        "select c.v, avg(s.v) from datoms c join datoms s on s.e = c.e and s.a = 3 where c.a = 1 group by c.v",
    ),
)
CHIEFS = '[:find ?b :in $ % :where [?e :person/name "name 7"] (above ?e ?b)]'
CHIEFS_DUCKDB = """with recursive above(b) as (
    select b.v from name n join boss b on b.e = n.e where n.v = 'name 7'
    union select boss.v from above join boss on boss.e = above.b) select b from above"""
CHIEFS_SQLITE = """with recursive above(b) as (
    select b.v from datoms n join datoms b on b.e = n.e and b.a = 4 where n.a = 0 and n.v = 'name 7'
    union select d.v from above join datoms d on d.e = above.b and d.a = 4) select b from above"""


def database_of(columns: Columns) -> Database:
    """Return people as a database."""
    count = len(columns["e"])
    ids: list[Ids] = []
    for name in ATTRIBUTES:
        column = columns[name]
        if column.dtype.kind == "U":
            distinct, places = np.unique(column, return_inverse=True)
            ids.append(intern_many(distinct.tolist())[places])
        else:
            ids.append(column << 1)
    # Person after person, as they would come in.
    e = np.repeat(columns["e"] << 1, len(ATTRIBUTES))
    v = np.stack(ids, axis=1).ravel()
    a = np.tile(
        np.array([intern(Keyword(f"person/{name}")) for name in ATTRIBUTES], np.int64), count
    )
    t = np.full(len(e), (TX_BASE + 1) << 1, np.int64)
    facts = Facts.of_columns(e, a, v, t, np.ones(len(e), np.bool_))
    facts.distinct = True
    schema = Database.empty(edn.read(SCHEMA)).schema  # type: ignore[arg-type]
    return Database(facts, schema, [(1, len(e))], basis_t=1, count=len(e))


def run(rounds: Rounds) -> None:
    """Measure both sizes."""
    if rounds.settings.quick:
        _measure(rounds, 10_000, "1 M", "joins_1m", "aggregate", PEERS)
        return
    _measure(rounds, 1_000_000, "1 M", "joins_1m", "aggregate", PEERS)
    for name in (DATASCRIPT, DATALEVIN):  # they need not keep a million facts any longer
        rounds.peers.stop(name)
    _measure(rounds, 10_000_000, "10 M", "joins_10m", "aggregate", (DUCKDB, SQLITE))


def _measure(
    rounds: Rounds, datoms: int, size: str, joins: str, aggregate: str, names: tuple[str, ...]
) -> None:
    columns = entities(datoms)
    loads = _load(rounds, columns, names)
    started = time.perf_counter()
    database = database_of(columns)
    for run in database.facts.view(database.count_rows).runs:
        for order in ORDERS:
            run.order(order)
    rounds.note(
        "loading", f"bulk load, {size}", "ms", (time.perf_counter() - started) * 1000, loads
    )
    groups = {"joins": joins, "aggregate": aggregate}
    for group, what, query, duckdb, sqlite in QUERIES:
        _compare(
            rounds, groups[group], f"{what}, {size}", database, query, None, duckdb, sqlite, names
        )
    what = f"everybody above, {size}"
    _compare(rounds, joins, what, database, CHIEFS, RULES, CHIEFS_DUCKDB, CHIEFS_SQLITE, names)
    _entities(rounds, size, database, columns, names)
    for name in names:
        rounds.ask(name, "reset" if name in (DUCKDB, SQLITE) else "forget")


def _compare(
    rounds: Rounds,
    group: str,
    what: str,
    database: Database,
    query: str,
    rules: str | None,
    duckdb: str,
    sqlite: str,
    names: tuple[str, ...],
) -> None:
    given = () if rules is None else (rules,)
    requests: dict[str, dict[str, object]] = {
        DATASCRIPT: {"db": "joins", "query": script(query), "rules": rules and script(rules)},
        DATALEVIN: {"db": "joins", "query": query, "rules": rules},
        DUCKDB: {"sql": duckdb},
        SQLITE: {"sql": sqlite},
    }
    rounds.compare(
        group,
        what,
        lambda: q(query, database, *given),
        {name: requests[name] for name in names},
    )


def _entities(
    rounds: Rounds, size: str, database: Database, columns: Columns, names: tuple[str, ...]
) -> None:
    """Read all that is known of many entities: one row for each."""
    count = len(columns["e"])
    chance = np.random.default_rng(8).choice(count, min(SAMPLE, count // 10), replace=False)
    wanted = [int(e) for e in columns["e"][np.sort(chance)]]
    marks = ", ".join(map(str, wanted))
    patterns = " ".join(f"[?e :person/{name} ?{name}]" for name in ATTRIBUTES)
    query = (
        f"[:find ?e {' '.join(f'?{name}' for name in ATTRIBUTES)} :in $ [?e ...] :where {patterns}]"
    )
    selected = ", ".join(f"{name}.v" for name in ATTRIBUTES)
    tables = " ".join(f"join {name} on {name}.e = name.e" for name in ATTRIBUTES[1:])
    joined = " ".join(
        f"join datoms {name} on {name}.e = name.e and {name}.a = {a}"
        for a, name in enumerate(ATTRIBUTES)
        if a
    )
    requests: dict[str, dict[str, object]] = {
        DATASCRIPT: {"db": "joins", "query": script(query), "inputs": [wanted]},
        DATALEVIN: {"db": "joins", "query": query, "inputs": [wanted]},
        DUCKDB: {"sql": f"select name.e, {selected} from name {tables} where name.e in ({marks})"},
        SQLITE: {
            "sql": f"select name.e, {selected} from datoms name {joined} "
            f"where name.a = 0 and name.e in ({marks})"
        },
    }
    rounds.compare(
        "entities",
        f"{len(wanted)} whole entities, {size}",
        lambda: q(query, database, wanted),
        {name: requests[name] for name in names},
    )
    pulled = [Keyword(f"person/{name}") for name in ATTRIBUTES]
    what = f"{len(wanted)} whole entities pulled, {size}"
    rounds.compare("entities", what, lambda: pull_many(database, tuple(pulled), wanted), {})


def _load(rounds: Rounds, columns: Columns, names: tuple[str, ...]) -> dict[str, float | None]:
    """Load every peer; return the milliseconds it took each."""
    arrays: Path = rounds.file(".npz")
    np.savez(
        arrays,
        **{
            f"{name}.{part}": columns["e" if part == "e" else name]
            for name in ATTRIBUTES
            for part in "ev"
        },
    )  # type: ignore[arg-type]
    tables = {name: ["e", "v"] for name in ATTRIBUTES}
    inserts = [
        f"insert into datoms select e, {a}, v from {name} order by e"
        for a, name in enumerate(ATTRIBUTES)
    ]
    sqlite = [
        "create table datoms (e integer, a integer, v, primary key (e, a, v)) without rowid",
        *("begin", *inserts, "commit"),
        "create index ave on datoms (a, v, e)",
        "create index aev on datoms (a, e, v)",
        *(f"drop table {name}" for name in ATTRIBUTES),
        "analyze",
    ]
    facts: Path = rounds.file("joins.jsonl")
    if DATASCRIPT in names or DATALEVIN in names:
        _write_facts(facts, columns)
    found: dict[str, float | None] = {}
    for name in names:
        if name in (DUCKDB, SQLITE):
            rounds.ask(name, "reset")
            after = sqlite if name == SQLITE else []
            found[name] = rounds.ask(name, "load", file=str(arrays), tables=tables, after=after)
        else:
            found[name] = rounds.ask(name, "load", db="joins", file=str(facts))
    return found


def _write_facts(path: Path, columns: Columns) -> None:
    listed = {name: columns[name].tolist() for name in ("e", *ATTRIBUTES)}
    with path.open("w") as file:
        for place, e in enumerate(listed["e"]):
            for name in ATTRIBUTES:
                file.write(json.dumps([e, f"person/{name}", listed[name][place]]) + "\n")
