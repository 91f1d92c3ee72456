"""Recursion over graphs of 1,000 to 100,000 edges, beside DuckDB and SQLite.

Is:     closures, same generation, reach, triangles, points-to, growth with size; recursion over cycles in every shape.
Is not: rules over trees of syntax (`bench.datomstore_ast`).
Fits:   `bench.datomstore`.

Both ends give columns: ours by `columns`, DuckDB by its numpy interface; SQLite, which has none, only counts.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.datomstore_data import Edges, chain, points_to, power_law, scattered, tree
from bench.datomstore_peers import DUCKDB, SQLITE
from bench.datomstore_rounds import Rounds, columns_of
from datomstore.database import Database
from datomstore.datalog import columns, q
from datomstore.datom import TX_BASE
from datomstore.facts import Facts
from datomstore.intern import intern
from datomstore.value import Keyword

CLOSURE = "[[(path ?a ?b) [?a :edge ?b]] [(path ?a ?b) (path ?a ?c) [?c :edge ?b]]]"
CLOSURE_SQL = """with recursive path(a, b) as (
    select a, b from edge union select path.a, edge.b from path join edge on path.b = edge.a)
    select a, b from path"""
GENERATION = """[[(same ?x ?y) [?p :edge ?x] [?p :edge ?y]]
                 [(same ?x ?y) [?p :edge ?x] (same ?p ?q) [?q :edge ?y]]]"""
GENERATION_SQL = """with recursive same(x, y) as (
    select l.b, r.b from edge l join edge r on l.a = r.a
    union select l.b, r.b from same join edge l on l.a = same.x join edge r on r.a = same.y)
    select x, y from same"""
REACH_SQL = """with recursive reach(b) as (
    select b from edge where a = {start} union select edge.b from reach join edge on reach.b = edge.a)
    select b from reach"""
TRIANGLES = "[:find ?a ?b ?c :where [?a :edge ?b] [?b :edge ?c] [?a :edge ?c]]"
TRIANGLES_SQL = """select x.a, x.b, y.b as c from edge x join edge y on x.b = y.a
                   join edge z on z.a = x.a and z.b = y.b"""
CLIQUES = """[:find ?a ?b ?c ?d :where [?a :edge ?b] [?b :edge ?c] [?a :edge ?c]
              [?a :edge ?d] [?b :edge ?d] [?c :edge ?d]]"""
CLIQUES_SQL = """select u.a, u.b, v.b as c, w.b as d from edge u join edge v on v.a = u.b
                 join edge x on x.a = u.a and x.b = v.b join edge w on w.a = v.b
                 join edge y on y.a = u.a and y.b = w.b join edge z on z.a = u.b and z.b = w.b"""
SQUARES = "[:find ?a ?b ?c ?d :where [?a :edge ?b] [?b :edge ?c] [?c :edge ?d] [?a :edge ?d]]"
SQUARES_SQL = """select u.a, u.b, v.b as c, w.b as d from edge u join edge v on v.a = u.b
                 join edge w on w.a = v.b join edge x on x.a = u.a and x.b = w.b"""
CYCLES = {
    "triangles": (TRIANGLES, TRIANGLES_SQL),
    "4-cliques": (CLIQUES, CLIQUES_SQL),
    "4-cycles": (SQUARES, SQUARES_SQL),
}
HUBS, HUBS_BOTH_WAYS = 3.5, 3.0  # powers: the greatest node has one edge in twenty
POINTS_TO = """[[(points ?v ?h) [?v :new ?h]]
                [(points ?v ?h) [?v :assign ?w] (points ?w ?h)]
                [(points ?v ?h) [?v :load ?p] (points ?p ?g) (heap ?g ?h)]
                [(heap ?g ?h) [?p :store ?w] (points ?p ?g) (points ?w ?h)]]"""
PATHS = "[:find ?a ?b :in $ % :where (path ?a ?b)]"
CYCLE = 3
RECURSIONS = {
    "left": CLOSURE,
    "right": "[[(path ?a ?b) [?a :edge ?b]] [(path ?a ?b) [?a :edge ?c] (path ?c ?b)]]",
    "non-linear": "[[(path ?a ?b) [?a :edge ?b]] [(path ?a ?b) (path ?a ?c) (path ?c ?b)]]",
    "mutual": """[[(path ?a ?b) [?a :edge ?b]] [(path ?a ?b) (step ?a ?b)]
                  [(step ?a ?b) (path ?a ?c) [?c :edge ?b]]]""",
}
LADDER = 16
OTHER = "rules, other"
FIRST = f"""
import time
from datomstore.datalog import q
started = time.perf_counter()
q({PATHS!r}, [(1, 2), (2, 3), (3, 1)], {CLOSURE.replace(":edge ", "")!r})
print((time.perf_counter() - started) * 1000)
"""


def database_of(relations: Mapping[str, Edges]) -> Database:
    """Return relations of integers as the facts of attributes."""
    e = np.concatenate([edges.a for edges in relations.values()]) << 1
    v = np.concatenate([edges.b for edges in relations.values()]) << 1
    names = [intern(Keyword(name)) for name in relations]
    a = np.repeat(names, [len(edges.a) for edges in relations.values()]).astype(np.int64)
    t = np.full(len(e), (TX_BASE + 1) << 1, np.int64)
    facts = Facts.of_columns(e, a, v, t, np.ones(len(e), np.bool_))
    facts.distinct = True
    return Database(facts, Database.empty().schema, [(1, len(e))], basis_t=1, count=len(e))


def load(
    rounds: Rounds, relations: Mapping[str, Edges], names: tuple[str, ...] = (DUCKDB, SQLITE)
) -> None:
    """Load relations (a, b) into the peers."""
    file: Path = rounds.file(".npz")
    arrays = {
        f"{name}.{end}": getattr(edges, end) for name, edges in relations.items() for end in "ab"
    }
    np.savez(file, **arrays)
    tables = {name: ["a", "b"] for name in relations}
    for peer in names:
        indexes = [
            f"create index {name}_{x}{y} on {name} ({x}, {y})"
            for name in relations
            for x, y in ("ab", "ba")
        ]
        rounds.ask(peer, "reset")
        rounds.ask(
            peer,
            "load",
            file=str(file),
            tables=tables,
            after=[*indexes, "analyze"] if peer == SQLITE else [],
        )


def measure(
    rounds: Rounds,
    group: str,
    what: str,
    database: Database,
    query: str,
    rules: str | None,
    sql: str,
) -> None:
    """Compare a query that gives columns of integers."""
    given = () if rules is None else (rules,)
    files = {name: str(rounds.file(".npz")) for name in (DUCKDB, SQLITE)}
    rounds.compare(
        group,
        what,
        lambda: columns(query, database, *given),
        {
            DUCKDB: {"sql": sql, "file": files[DUCKDB], "columns": True},
            SQLITE: {"sql": sql, "file": files[SQLITE], "timed": f"select count(*) from ({sql})"},
        },
        same=lambda answer: columns_of(_read(answer, files)),
        rounds=3,
    )


def _read(answer: object, files: dict[str, str]) -> object:
    if not isinstance(answer, int):
        return answer
    newest = max(
        (file for file in files.values() if Path(file).exists()),
        key=lambda f: Path(f).stat().st_mtime_ns,
    )
    arrays = np.load(newest)
    return [arrays[f"arr_{place}"] for place in range(len(arrays.files))]


def run(rounds: Rounds) -> None:
    """Measure the graphs."""
    quick = rounds.settings.quick
    part = 20 if quick else 1
    graphs = {
        "closure, chain": chain(1_000 // part),
        "closure, random 2 k": scattered(1_000 // part, 2_000 // part),
        "closure, random 10 k": scattered(10_000 // part, 10_000 // part),
        "closure, tree 100 k": tree(100_000 // part),
    }
    for what, edges in graphs.items():
        load(rounds, {"edge": edges})
        database = database_of({"edge": edges})
        measure(rounds, "closure", what, database, PATHS, CLOSURE, CLOSURE_SQL)
    edges = tree(1_023 // part)
    load(rounds, {"edge": edges})
    query = "[:find ?x ?y :in $ % :where (same ?x ?y)]"
    what = "same generation"
    measure(
        rounds, "closure", what, database_of({"edge": edges}), query, GENERATION, GENERATION_SQL
    )
    edges = scattered(50_000 // part, 100_000 // part)
    load(rounds, {"edge": edges})
    start = int(np.bincount(edges.a).argmax())
    query, sql = f"[:find ?b :in $ % :where (path {start} ?b)]", REACH_SQL.format(start=start)
    database = database_of({"edge": edges})
    measure(rounds, "closure", "bound reach, 100 k", database, query, CLOSURE, sql)
    edges = power_law(50_000 // part, 100_000 // part)
    load(rounds, {"edge": edges})
    database = database_of({"edge": edges})
    measure(rounds, "closure", "triangles, 100 k", database, TRIANGLES, None, TRIANGLES_SQL)
    _cycles(rounds, part)
    _points_to(rounds)
    _growth(rounds)
    _shapes(rounds)
    for peer in (DUCKDB, SQLITE):
        rounds.ask(peer, "reset")


def _cycles(rounds: Rounds, part: int) -> None:
    """Clauses that form cycles, over a graph with hubs: two by two they make far more rows than there are answers."""
    edges = power_law(50_000 // part, 100_000 // part, HUBS)
    load(rounds, {"edge": edges})
    database = database_of({"edge": edges})
    for what, (query, sql) in CYCLES.items():
        measure(rounds, "cyclic", f"{what} at hubs, 100 k", database, query, None, sql)
    edges = power_law(50_000 // part, 100_000 // part, HUBS_BOTH_WAYS, both_ways=True)
    load(rounds, {"edge": edges})
    what = "triangles at hubs both ways, 100 k"
    measure(rounds, "cyclic", what, database_of({"edge": edges}), TRIANGLES, None, TRIANGLES_SQL)


def _points_to(rounds: Rounds) -> None:
    """Mutual recursion, which the SQL of the peers cannot express."""
    query = "[:find ?v ?h :in $ % :where (points ?v ?h)]"
    for variables in (1_000, 10_000) if rounds.settings.quick else (1_000, 10_000, 100_000):
        database = database_of(points_to(variables))
        what = f"points-to, {variables:,} variables"
        rounds.compare("recursion", what, lambda d=database: columns(query, d, POINTS_TO), {})  # type: ignore[misc]


def _growth(rounds: Rounds) -> None:
    """Show how a closure's time grows with what it derives."""
    for nodes in (125, 250, 500, 1_000)[: 2 if rounds.settings.quick else 4]:
        database = database_of({"edge": chain(nodes)})
        rows = nodes * (nodes + 1) // 2
        what = f"closure of a chain, {rows:,} rows"
        rounds.compare("growth", what, lambda d=database: columns(PATHS, d, CLOSURE), {})  # type: ignore[misc]


def _shapes(rounds: Rounds) -> None:
    """Check every shape of recursion over a cycle, and time a ladder of choices and the start of a program."""
    cycle = database_of(
        {"edge": Edges(np.arange(1, CYCLE + 1), np.arange(1, CYCLE + 1) % CYCLE + 1)}
    )
    for shape, rules in RECURSIONS.items():
        assert len(q(PATHS, cycle, rules)) == CYCLE * CYCLE, shape
        rounds.compare(
            OTHER, f"{shape} recursion over a cycle", lambda r=rules: q(PATHS, cycle, r), {}
        )  # type: ignore[misc]
    rungs = "".join(
        f"[(r{n} ?a ?b) [?a :edge ?c] (r{n + 1} ?c ?b)] [(r{n} ?a ?b) [?a :other ?c] (r{n + 1} ?c ?b)]"
        for n in range(LADDER)
    )
    line = chain(LADDER + 4)
    ladder = database_of({"edge": line, "other": line})
    query, rules = (
        "[:find ?b :in $ % :where (r0 1 ?b)]",
        f"[{rungs} [(r{LADDER} ?a ?b) [?a :edge ?b]]]",
    )
    rounds.compare(OTHER, "ladder of 16 choices", lambda: q(query, ladder, rules), {})
    times = []
    for number in range(5):  # texts that no cache has
        text = f"{POINTS_TO} ;{number}{time.perf_counter_ns()}"
        started = time.perf_counter()
        q("[:find ?v ?h :in $ % :where (points ?v ?h)]", cycle, text)
        times.append((time.perf_counter() - started) * 1000)
    rounds.note(OTHER, "start of a rule program", "ms", sorted(times)[2])
    first = [float(_output(FIRST)) for _ in range(3)]
    rounds.note(OTHER, "the first rule program of a process", "ms", sorted(first)[1])


def _output(program: str) -> str:
    """Return what a program prints in a process of its own."""
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout
