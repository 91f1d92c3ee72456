"""Generated schemas, transactions, points in time and queries against naive evaluation over all datoms.

Is:     one stream with attributes of every value type, many and one, unique, components and a composite; transactions of
        every form; views as of, since and of the whole history, each asked queries with joins, negation, choices,
        recursion and aggregates.
Is not: the rules of transactions one by one (`test_transaction`); what was committed is read from the log.
Fits:   shares `datalog/naive.py` with the tests of queries; the log's datoms are the oracle's only source.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import product
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import q
from datomstore.datom import TX_BASE
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.transaction import TransactionError
from datomstore.value import Keyword, Map, Set, Symbol, hash_key
from tests.datomstore.datalog.naive import Naive, Row

VALUES: dict[str, list[object]] = {
    "string": ["a", "b", ""],
    "keyword": [Keyword("k"), Keyword("n/k")],
    "symbol": [Symbol("s"), Symbol("n/s")],
    "long": [0, -1, 7],
    "bigint": [2**70, -(2**70), 7],
    "double": [0.0, -0.0, 1.5],
    "boolean": [True, False],
    "instant": [datetime(2020, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC)],
    "uuid": [UUID(int=1), UUID(int=2)],
    "bytes": [b"", b"\0a"],
    "ref": [2001, 2002, 2003],
}
ENTITIES = [2001, 2002, 2003, 2004]
BEGINNING: Any = edn.read("""[{:db/id 2001 :o/name "a" :o/link [2002 2003] :o/x 0}
                              {:db/id 2002 :o/link 2003 :o/x 7 :o/y 7 :o/part {:o/x -1}}
                              {:db/id 2003 :o/link 2001 :o/y 0 :o/part [2004]}
                              {:db/id 2004 :o/link 2004 :o/x 7 :o/y -1}]""")
ADD, RETRACT, CAS = Keyword("db/add"), Keyword("db/retract"), Keyword("db/cas")
NAME, PART, LINK, KEY = (Keyword(f"o/{name}") for name in ("name", "part", "link", "key"))


def attribute(kind: str, number: int) -> Keyword:
    return Keyword(f"o/{kind}{number}")


@st.composite
def schemas(draw: st.DrawFn) -> tuple[list[Map], list[tuple[Keyword, str]]]:
    """A schema, and its plain attributes with their types."""
    chosen = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=3, max_size=5, unique=True))
    made: list[Map] = []
    plain: list[tuple[Keyword, str]] = []
    for kind in chosen:
        for number in range(draw(st.integers(1, 2))):
            ident = attribute(kind, number)
            many = draw(st.booleans())
            unique = (
                draw(st.sampled_from(["", "", "", "value"])) if kind in ("long", "string") else ""
            )
            pairs = {"ident": ident, "valueType": Keyword(f"db.type/{kind}")}
            pairs["cardinality"] = Keyword(f"db.cardinality/{'many' if many else 'one'}")
            if unique:
                pairs["unique"] = Keyword(f"db.unique/{unique}")
            made.append(Map({Keyword(f"db/{key}"): value for key, value in pairs.items()}))
            plain.append((ident, kind))
    text = """[{:db/ident :o/name :db/unique :db.unique/identity :db/valueType :db.type/string}
               {:db/ident :o/part :db/valueType :db.type/ref :db/isComponent true
                :db/cardinality :db.cardinality/many}
               {:db/ident :o/link :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
               {:db/ident :o/x :db/valueType :db.type/long}
               {:db/ident :o/y :db/valueType :db.type/long}
               {:db/ident :o/key :db/tupleAttrs [:o/x :o/y]}]"""
    fixed: Any = edn.read(text)
    plain += [(NAME, "string"), (LINK, "ref"), (PART, "ref")]
    plain += [(Keyword("o/x"), "long"), (Keyword("o/y"), "long")]
    return [*made, *fixed], plain


@st.composite
def histories(draw: st.DrawFn, plain: list[tuple[Keyword, str]]) -> list[list[object]]:
    def fact(verb: Keyword) -> tuple[object, ...]:
        ident, kind = draw(st.sampled_from(plain))
        return (verb, draw(entity), ident, draw(st.sampled_from(VALUES[kind])))

    entity = st.sampled_from([*ENTITIES, *ENTITIES, (NAME, "a"), "new"])

    def item() -> object:
        match draw(st.integers(0, 12)):
            case 0:
                return (Keyword("db/retractEntity"), draw(st.sampled_from(ENTITIES)))
            case 1:
                was, now = draw(st.sampled_from([None, 0, 7])), draw(st.sampled_from([0, 7, -1]))
                return (CAS, draw(st.sampled_from(ENTITIES)), Keyword("o/x"), was, now)
            case 2:  # an upsert
                _, _, ident, value = fact(ADD)
                return Map({NAME: draw(st.sampled_from(["a", "b"])), ident: value})
            case 3:  # an entity in another one
                _, _, ident, value = fact(ADD)
                inner = Map({ident: value, Keyword("o/x"): 7})
                return Map({Keyword("db/id"): draw(st.sampled_from(ENTITIES)), PART: (inner,)})
            case 4:
                return (RETRACT, draw(st.sampled_from(ENTITIES)), draw(st.sampled_from(plain))[0])
            case 5 | 6:
                return fact(RETRACT)
        return fact(ADD)

    return [
        [item() for _ in range(draw(st.integers(1, 5)))] for _ in range(draw(st.integers(3, 8)))
    ]


# -- the oracle: the log's datoms, one after the other --


def rows_of(stream: Stream) -> list[Row]:
    return [tuple(datom) for record in stream.log() for datom in record.datoms]


def live(rows: list[Row], after: int, upto: int) -> list[Row]:
    """What is so after transaction `upto`, of what was said after transaction `after`."""
    found: dict[object, Row] = {}
    for row in rows:
        e, a, v, tx, added = row
        assert isinstance(tx, int)
        if tx - TX_BASE > upto:
            break
        key = (e, a, edn.write(v))  # exact: 0.0 is not -0.0
        if added:
            found[key] = row
        else:
            del found[key]
    return [row for row in found.values() if row[3] - TX_BASE > after]  # type: ignore[operator]


# -- queries --

RULES = """[[(linked ?a ?b) [?a :o/link ?b]]
            [(linked ?a ?b) (linked ?a ?c) (linked ?c ?b)]
            [(below ?a ?b) [?a :o/part ?b]]
            [(below ?a ?b) [?a :o/part ?c] (below ?c ?b)]
            [(even ?a ?b) [?a :o/link ?c] (odd ?c ?b)]
            [(odd ?a ?b) [?a :o/link ?b]]
            [(odd ?a ?b) [?a :o/link ?c] (even ?c ?b)]
            [(lonely ?a) [?a :o/x _] (not (linked ?a ?b))]]"""
BODIES = [
    "[?a :o/link ?b] [?b {p} ?c]",
    "[?a {p} ?c] [?b {r} ?c]",
    "[?a {p} ?c] [?a {r} ?b ?t]",
    "[?a :o/x ?b] [?a {p} ?c] (not [?a :o/link ?a])",
    "[?a {p} ?c] [?a :o/x ?b] [(< ?b 7)]",
    "[?a {p} ?c] (or [?a :o/x ?b] [?a :o/y ?b])",
    "[?a {p} ?c] (or-join [?a ?b] [?a :o/link ?b] (and [?a :o/part ?d] [?d :o/x ?b]))",
    "[?a {p} ?c] [?a :o/link ?b] (not-join [?a] [?a :o/part ?d] [?d {r} _])",
    "(linked ?a ?b) [?b {p} ?c]",
    "[?a {p} ?c] (linked ?b ?a)",
    "(below ?a ?b) [?a {p} ?c]",
    "(even ?a ?b) [?a {p} ?c]",
    "(lonely ?a) [?a {p} ?c] [(identity ?a) ?b]",
    "[?a :o/key ?b] [?a {p} ?c]",
    "[?a ?b ?c] [?a {p} ?c]",
]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_view_answers_as_all_its_datoms_do(data: st.DataObject) -> None:
    schema, plain = data.draw(schemas())
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("s")
    stream.transact(schema)
    stream.transact(BEGINNING)
    for transaction in data.draw(histories(plain)):
        try:
            stream.transact(transaction)
        except TransactionError:
            continue
    rows, now, last = rows_of(stream), stream.db(), stream.t
    point, from_t = data.draw(st.integers(0, last)), data.draw(st.integers(0, last))
    views: list[tuple[Database, list[Row]]] = [
        (now, live(rows, 0, last)),
        (now.as_of(point), live(rows, 0, point)),
        (now.since(from_t), live(rows, from_t, last)),
        (now.as_of(point).since(from_t), live(rows, from_t, point)),
        (now.history(), rows),
    ]
    names = [ident.name for ident, _ in plain]
    rules: Any = edn.read(RULES)
    p, r = data.draw(st.sampled_from(names)), data.draw(st.sampled_from(names))
    bodies = data.draw(st.lists(st.sampled_from(BODIES), min_size=2, max_size=3, unique=True))
    for (view, facts), body in product(views, [b.format(p=f":{p}", r=f":{r}") for b in bodies]):
        where: Any = edn.read(f"[{body}]")
        answers = Naive({"$": facts}, rules).answers(where, {}, {"?a", "?b", "?c"})
        found = {hash_key((one["?a"], one["?b"], one["?c"])) for one in answers}
        asked = q(f"[:find ?a ?b ?c :in $ % :where {body}]", view, RULES)
        assert {hash_key(row) for row in asked} == found, (body, view.basis_t)
        exact = {(one["?a"], edn.write(one["?c"])) for one in answers}  # as ids tell values apart
        counts = Counter(a for a, _ in exact)
        counted = q(f"[:find ?a (count ?c) :in $ % :where {body}]", view, RULES)
        assert counted == Set(counts.items()), (body, view.basis_t)
