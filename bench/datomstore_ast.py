"""Four sets of rules over the syntax of Python's standard library, beside DuckDB and SQLite.

Is:     the scope of every node, the free variables of every scope, what every name resolves to, calls in tail position.
Is not: the compiler's own rules (`yang/rules`), which are of the same kind over another tree.
Fits:   `bench.datomstore`; DuckDB and SQLite have one table for each attribute, of integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.datomstore_data import TEXTUAL, Ast, Edges, standard_library
from bench.datomstore_graphs import load
from bench.datomstore_peers import DUCKDB, SQLITE
from bench.datomstore_rounds import Rounds, columns_of
from datomstore.database import Database
from datomstore.datalog import columns
from datomstore.datom import TX_BASE
from datomstore.facts import Facts
from datomstore.intern import intern, intern_many
from datomstore.value import Keyword

DATOMS = 500_000
OPENERS = (
    "Module",
    "FunctionDef",
    "AsyncFunctionDef",
    "Lambda",
    "ClassDef",
    "ListComp",
    "SetComp",
    "DictComp",
    "GeneratorExp",
)
BINDERS = ("arg", "FunctionDef", "AsyncFunctionDef", "ClassDef", "alias", "ExceptHandler")

SCOPE = (
    "".join(f"[(opens ?s) [?s :ast/type :{name}]]" for name in OPENERS)
    + """
 [(scope ?n ?s) [?n :ast/parent ?s] (opens ?s)]
 [(scope ?n ?s) [?n :ast/parent ?p] (not (opens ?p)) (scope ?p ?s)]"""
)
NAMES = (
    SCOPE
    + """
 [(uses ?n ?s ?x) [?n :ast/context :Load] [?n :ast/name ?x] (scope ?n ?s)]
 [(binds ?s ?x) [?n :ast/context :Store] [?n :ast/name ?x] (scope ?n ?s)]"""
    + "".join(
        f"[(binds ?s ?x) [?n :ast/type :{name}] [?n :ast/name ?x] (scope ?n ?s)]"
        for name in BINDERS
    )
)
FREE = (
    NAMES
    + """
 [(free ?s ?x) (uses ?n ?s ?x) (not (binds ?s ?x))]
 [(free ?p ?x) (free ?s ?x) (scope ?s ?p) (not (binds ?p ?x))]"""
)
RESOLVE = (
    NAMES
    + """
 [(seeks ?n ?s ?x) (uses ?n ?s ?x)]
 [(seeks ?n ?p ?x) (seeks ?n ?s ?x) (not (binds ?s ?x)) (scope ?s ?p)]
 [(resolves ?n ?s) (seeks ?n ?s ?x) (binds ?s ?x)]"""
)
TAIL = """[(tail ?e) [?r :ast/type :Return] [?e :ast/parent ?r]]
 [(tail ?e) [?f :ast/type :Lambda] [?e :ast/parent ?f] [?e :ast/field :body]]
 [(tail ?e) (tail ?p) [?p :ast/type :IfExp] [?e :ast/parent ?p] [?e :ast/field :body]]
 [(tail ?e) (tail ?p) [?p :ast/type :IfExp] [?e :ast/parent ?p] [?e :ast/field :orelse]]
 [(tail ?e) (tail ?p) [?p :ast/type :BoolOp] [?e :ast/parent ?p] [?p :ast/end ?last] [?e :ast/end ?last]]
 [(tail-call ?e) (tail ?e) [?e :ast/type :Call]]"""

OPENS_SQL = "opens(s) as (select a from type where b in ({openers}))"
SCOPE_SQL = (
    OPENS_SQL
    + """,
 scope(n, s) as (
    select parent.a, parent.b from parent join opens on opens.s = parent.b
    union all
    select parent.a, scope.s from scope join parent on parent.b = scope.n
    where scope.n not in (select s from opens))"""
)
NAMES_SQL = (
    SCOPE_SQL
    + """,
 uses(n, s, x) as (
    select context.a, scope.s, name.b from context join name on name.a = context.a
    join scope on scope.n = context.a where context.b = {Load}),
 binds(s, x) as (
    select scope.s, name.b from context join name on name.a = context.a
    join scope on scope.n = context.a where context.b = {Store}
    union
    select scope.s, name.b from type join name on name.a = type.a
    join scope on scope.n = type.a where type.b in ({binders}))"""
)
ABSENT = "not exists (select 1 from binds where binds.s = {s} and binds.x = {x})"
# What is free climbs from scope to scope, so it is found level by level, not node by node.
FREE_SQL = (
    NAMES_SQL
    + f""",
 free(s, x) as (
    select s, x from uses where {ABSENT.format(s="uses.s", x="uses.x")}
    union
    select scope.s, free.x from free join scope on scope.n = free.s
    where {ABSENT.format(s="scope.s", x="free.x")})"""
)
RESOLVE_SQL = (
    NAMES_SQL
    + f""",
 seeks(n, s, x) as (
    select n, s, x from uses
    union
    select seeks.n, scope.s, seeks.x from seeks join scope on scope.n = seeks.s
    where {ABSENT.format(s="seeks.s", x="seeks.x")})"""
)
TAIL_SQL = """tail(e) as (
    select parent.a from type join parent on parent.b = type.a where type.b = {Return}
    union
    select parent.a from type join parent on parent.b = type.a join field on field.a = parent.a
    where type.b = {Lambda} and field.b = {body}
    union
    select parent.a from tail join parent on parent.b = tail.e
    join type on type.a = parent.b
    left join field on field.a = parent.a
    join ending own on own.a = parent.a join ending whole on whole.a = parent.b
    where (type.b = {IfExp} and field.b in ({body}, {orelse})) or (type.b = {BoolOp} and own.b = whole.b))"""

# (what, rules, rule, columns of the answer, SQL)
SETS = (
    ("scope", SCOPE, "(scope ?n ?s)", "?n ?s", SCOPE_SQL, "select n, s from scope"),
    ("free variables", FREE, "(free ?s ?x)", "?s ?x", FREE_SQL, "select s, x from free"),
    (
        "name resolution",
        RESOLVE,
        "(resolves ?n ?s)",
        "?n ?s",
        RESOLVE_SQL,
        "select n, seeks.s from seeks join binds on binds.s = seeks.s and binds.x = seeks.x",
    ),
    (
        "tail position",
        TAIL,
        "(tail-call ?e)",
        "?e",
        TAIL_SQL,
        "select e from tail join type on type.a = tail.e where type.b = {Call}",
    ),
)


def database_of(tree: Ast) -> Database:
    """Return the facts of syntax as a database; types, fields and contexts are keywords, names are texts."""
    values = {
        True: intern_many(map(Keyword, tree.texts)),
        False: intern_many(tree.texts),
    }
    columns_v = [
        values[name != "name"][edges.b] if name in TEXTUAL else edges.b << 1
        for name, edges in tree.relations.items()
    ]
    e = np.concatenate([edges.a for edges in tree.relations.values()]) << 1
    names = [intern(Keyword(f"ast/{name}")) for name in tree.relations]
    a = np.repeat(names, [len(edges.a) for edges in tree.relations.values()]).astype(np.int64)
    t = np.full(len(e), (TX_BASE + 1) << 1, np.int64)
    facts = Facts.of_columns(e, a, np.concatenate(columns_v), t, np.ones(len(e), np.bool_))
    facts.distinct = True
    return Database(facts, Database.empty().schema, [(1, len(e))], basis_t=1, count=len(e))


def _sql(ctes: str, select: str, tree: Ast) -> str:
    number = {text: place for place, text in enumerate(tree.texts)}
    numbers: Mapping[str, object] = {
        **{
            name: number.get(name, -1)
            for name in ("Load", "Store", "Return", "Lambda", "IfExp", "BoolOp", "Call")
        },
        **{name: number.get(name, -1) for name in ("body", "orelse")},
        "openers": ", ".join(str(number.get(name, -1)) for name in OPENERS),
        "binders": ", ".join(str(number.get(name, -1)) for name in BINDERS),
    }
    return "with recursive " + f"{ctes} {select}".format(**numbers)


def run(rounds: Rounds) -> None:
    """Measure the four sets."""
    tree = standard_library(20_000 if rounds.settings.quick else DATOMS)
    rounds.note("ast_rules", "facts of the standard library", "datoms", tree.datoms)
    database = database_of(tree)
    _load(rounds, tree.relations)
    number = {text: place for place, text in enumerate(tree.texts)}
    for what, rules, call, found, ctes, select in SETS:
        query = f"[:find {found} :in $ % :where {call}]"
        sql, text = _sql(ctes, select, tree), f"[{rules}]"
        file = str(rounds.file(".npz"))
        rounds.compare(
            "ast",
            what,
            lambda query=query, text=text: columns(query, database, text),  # type: ignore[misc]
            {
                DUCKDB: {"sql": sql, "file": file, "columns": True},
                SQLITE: {"sql": sql, "file": file},
            },
            same=lambda answer, file=file: _comparable(answer, file, number),  # type: ignore[misc]
            rounds=3,
        )
    for peer in (DUCKDB, SQLITE):
        rounds.ask(peer, "reset")


def _load(rounds: Rounds, relations: Mapping[str, Edges]) -> None:
    load(
        rounds, {("ending" if name == "end" else name): edges for name, edges in relations.items()}
    )


def _comparable(answer: object, file: str, number: dict[str, int]) -> object:
    """Return columns of integers; names by their numbers."""
    if isinstance(answer, int):
        arrays = np.load(Path(file))
        return columns_of([arrays[f"arr_{place}"] for place in range(len(arrays.files))])
    assert isinstance(answer, tuple), answer
    return columns_of(
        [c if isinstance(c, np.ndarray) else [number[text] for text in c] for c in answer]
    )
