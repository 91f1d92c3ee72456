"""DataScript's own benchmark set over 20,000 people, beside DataScript and Datalevin.

Is:     adding, opening, look-ups, queries, predicates, pulls and rules, as DataScript publishes them.
Is not: its freeze and thaw: a stream's log is already on disk.
Fits:   `bench.datomstore`.
Source: bench/datascript/bench/datascript.cljc of DataScript.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.datomstore_data import Person, facts_of, long, people, wide
from bench.datomstore_peers import DATALEVIN, DATASCRIPT
from bench.datomstore_rounds import Request, Rounds
from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import pull, q
from datomstore.datom import TX_BASE, Datom
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.value import Keyword, Map

SCHEMA = """{:follows {:db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
             :alias {:db/cardinality :db.cardinality/many}}"""
SCHEMA_FACTS = """[{:db/ident :follows :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
                   {:db/ident :alias :db/valueType :db.type/string :db/cardinality :db.cardinality/many}]"""
ADD_1 = ("name", "last-name", "sex", "age", "salary")

QUERIES = {
    "q1": '[:find ?e :where [?e :name "Ivan"]]',
    "q2": '[:find ?e ?a :where [?e :name "Ivan"] [?e :age ?a]]',
    "q2-switch": '[:find ?e ?a :where [?e :age ?a] [?e :name "Ivan"]]',
    "q3": '[:find ?e ?a :where [?e :name "Ivan"] [?e :age ?a] [?e :sex :male]]',
    "q4": '[:find ?e ?l ?a :where [?e :name "Ivan"] [?e :last-name ?l] [?e :age ?a] [?e :sex :male]]',
}
SHORT_CIRCUIT = """[:find ?e ?n ?l ?a ?s ?al :in $ ?n ?a
                    :where [?e :name ?n] [?e :age ?a] [?e :last-name ?l] [?e :sex ?s] [?e :alias ?al]]"""
PREDICATES: dict[str, tuple[str, list[object]]] = {
    "qpred1": ("[:find ?e ?s :where [?e :salary ?s] [(> ?s 50000)]]", []),
    "qpred2": (
        "[:find ?e ?s :in $ ?min_s :where [?e :salary ?s] [(> ?s ?min_s)]]",
        [50_000],
    ),
}
# Written well and badly: what is planned should never cost more than what is written.
ORDERS = {
    "names first": """[:find ?e ?l ?a :where [?e :name "Ivan"] [?e :age 20] [?e :last-name ?l] [?e :alias ?a]]""",
    "names last": """[:find ?e ?l ?a :where [?e :alias ?a] [?e :last-name ?l] [?e :age 20] [?e :name "Ivan"]]""",
    "filter early": "[:find ?e ?n :where [?e :salary ?s] [(< ?s 500)] [?e :name ?n]]",
    "filter late": "[:find ?e ?n :where [?e :name ?n] [?e :salary ?s] [(< ?s 500)]]",
    "two people": """[:find ?e ?f :where [?e :age 20] [?e :salary ?s] [?f :salary ?s] [?f :age 30]]""",
    "two apart": """[:find ?e ?f :where [?e :age 20] [?f :age 30] [?e :salary ?s] [?f :salary ?s]]""",
    "not first": """[:find ?e :where (not [?e :sex :male]) [?e :age 20] [?e :name "Ivan"]]""",
}
RULES = "[[(follows ?x ?y) [?x :follows ?y]] [(follows ?x ?y) [?x :follows ?t] (follows ?t ?y)]]"
FOLLOWS = "[:find ?e ?e2 :in $ % :where (follows ?e ?e2)]"
PULLS = {
    "pull-one": "[:name {:follows ...}]",
    "pull-many": "[:db/id :last-name :alias :sex :age :salary {:follows ...}]",
    "pull-wildcard": "[* {:follows ...}]",
}
WORDS = re.compile(r":(?!find|in|where|with|db/id)([a-z][a-z/-]*)")


def script(text: str) -> str:
    """Return a query for JavaScript, where attributes and keywords are texts."""
    return WORDS.sub(r'"\1"', text).replace("follows ...", "follows ...").replace('"..."', "...")


def run(rounds: Rounds) -> None:
    """Measure the set."""
    folk = people(500 if rounds.settings.quick else 20_000)
    database = _loaded(rounds, "people", folk)
    for what, query in QUERIES.items():
        group = "queries, other" if what == "q2-switch" else "q1_q4"
        _query(rounds, group, what, database, "people", query)
    _query(
        rounds,
        "queries, other",
        "q5-shortcircuit",
        database,
        "people",
        SHORT_CIRCUIT,
        ["Anastasia", 35],
    )
    for what, (query, inputs) in PREDICATES.items():
        _query(rounds, "qpred", what, database, "people", query, inputs)
    _orders(rounds, database)
    _lookups(rounds, database, len(folk))
    _rules(rounds)
    _pulls(rounds)
    _adds(rounds, folk)


def database_of(folk: list[Person]) -> Database:
    """Return people as a database."""
    facts = [
        Datom(e, Keyword(a), Keyword(v) if a == "sex" else v, TX_BASE + 1, True)
        for e, a, v in facts_of(folk)
    ]
    return Database.from_datoms(facts, edn.read(SCHEMA))  # type: ignore[arg-type]


def _loaded(rounds: Rounds, name: str, folk: list[Person]) -> Database:
    file = rounds.file(".jsonl")
    file.write_text("".join(json.dumps(fact) + "\n" for fact in facts_of(folk)))
    for peer in (DATASCRIPT, DATALEVIN):
        rounds.ask(peer, "load", db=name, file=str(file))
    return database_of(folk)


def _query(
    rounds: Rounds,
    group: str,
    what: str,
    database: Database,
    name: str,
    query: str,
    inputs: list[object] | None = None,
    rules: str | None = None,
) -> None:
    given = [] if rules is None else [rules]
    given_here = [*given, *(inputs or [])]
    request: Request = {"db": name, "query": query, "rules": rules, "inputs": inputs or []}
    rounds.compare(
        group,
        what,
        lambda: q(query, database, *given_here),
        {
            DATASCRIPT: {**request, "query": script(query), "rules": rules and script(rules)},
            DATALEVIN: request,
        },
    )


def _orders(rounds: Rounds, database: Database) -> None:
    """Compare the planned order with the written one, in turn."""
    for what, query in ORDERS.items():
        planned = rounds.fastest(partial(q, query, database))
        written = rounds.fastest(partial(q, query, database, written=True))
        rounds.note("planner", f"planned to written, {what}", "times", planned / written)


def _lookups(rounds: Rounds, database: Database, count: int) -> None:
    name, wanted = Keyword("full-name"), list(range(count // 2, count // 2 + count // 10))

    def ours() -> int:
        for entity in wanted:
            next(iter(database.datoms("eavt", entity, name)))
        return 0

    request: Request = {"db": "people", "lookups": wanted, "attribute": "full-name"}
    rounds.compare(
        "look-ups",
        f"find-datoms, {len(wanted)}",
        ours,
        {DATASCRIPT: request, DATALEVIN: request},
        same=lambda _: 0,
    )


def _rules(rounds: Rounds) -> None:
    shapes = [("wide", 3, 3), ("wide", 5, 3), ("wide", 7, 3), ("wide", 4, 6)]
    shapes += [("long", 10, 3), ("long", 30, 3), ("long", 30, 5)]
    for shape, depth, width in shapes[::3] if rounds.settings.quick else shapes:
        what = f"rules-{shape}-{depth}x{width}"
        folk = (wide if shape == "wide" else long)(depth, width)
        database = _loaded(rounds, what, folk)
        _query(rounds, "rules", what, database, what, FOLLOWS, rules=RULES)


def _pulls(rounds: Rounds) -> None:
    database = _loaded(rounds, "tree", wide(4, 5))
    for what, pattern in PULLS.items():
        request: Request = {"db": "tree", "pull": pattern, "entity": 1}
        rounds.compare(
            "pulls",
            what,
            lambda pattern=pattern: pull(database, pattern, 1),  # type: ignore[misc]
            {DATASCRIPT: {**request, "pull": script(pattern)}, DATALEVIN: request},
            same=tree_of,
        )


def tree_of(pulled: object) -> object:
    """Return what was pulled with texts as keys; the order of many values is not compared."""
    if isinstance(pulled, (Map, dict)):
        return {
            (key.name if isinstance(key, Keyword) else key.removeprefix(":")): tree_of(value)
            for key, value in pulled.items()
        }
    if isinstance(pulled, (list, tuple)):
        return sorted(
            (tree_of(item) for item in pulled), key=lambda item: json.dumps(item, sort_keys=True)
        )
    return pulled.name if isinstance(pulled, Keyword) else pulled


# -- adding --


def _empty_stream() -> Stream:
    stream = Streams(MemoryStorage(), now_ms=lambda: 1).create("people")
    stream.transact(edn.read(SCHEMA_FACTS))  # type: ignore[arg-type]
    return stream


def _prepared(folk: list[Person]) -> list[Map]:
    """Return people as transaction data."""
    return [
        Map(
            (
                Keyword("db/id" if a == ":db/id" else a),
                Keyword(v) if a == "sex" else tuple(v) if isinstance(v, list) else v,
            )
            for a, v in person.items()
        )
        for person in folk
    ]


def _add_1(folk: list[Map]) -> Stream:
    stream, names = _empty_stream(), [Keyword(name) for name in ADD_1]
    add, number = Keyword("db/add"), Keyword("db/id")
    for person in folk:
        for name in names:
            stream.transact([(add, person[number], name, person[name])])
    return stream


def _add_5(folk: list[Map]) -> Stream:
    stream = _empty_stream()
    for person in folk:
        stream.transact([person])
    return stream


def _add_all(folk: list[Map]) -> Stream:
    stream = _empty_stream()
    stream.transact(folk)
    return stream


def _adds(rounds: Rounds, folk: list[Person]) -> None:
    """Measure adding all people; with fewer runs, for each takes seconds."""
    file: Path = rounds.file(".json")
    file.write_text(json.dumps(folk))
    prepared = _prepared(folk)
    ways: dict[str, Callable[[list[Map]], Stream]] = {
        "add-1": _add_1,
        "add-5": _add_5,
        "add-all": _add_all,
    }
    for what, add in ways.items():
        expected = len(folk) * len(ADD_1) if what == "add-1" else len(list(facts_of(folk)))
        request: Request = {"add": what, "people": str(file)}
        rounds.compare(
            "add",
            what,
            lambda add=add: add(prepared),  # type: ignore[misc]
            {DATASCRIPT: request, DATALEVIN: request},
            same=lambda answer, expected=expected: (
                expected if isinstance(answer, Stream) else answer
            ),  # type: ignore[misc]
            rounds=3,
            warm=False,  # the answers were such runs
        )
    for name in (DATASCRIPT, DATALEVIN):
        rounds.ask(name, "forget")
