"""Generated schemas, transactions, points in time and queries against naive evaluation over all datoms.

Is:     one stream with attributes of every value type, many and one, unique, components and a composite; transactions of
        every form; views as of, since and of the whole history, each asked queries with joins, negation, choices,
        recursion and aggregates. Values and entities lie near one another and far apart in the process's table.
Is not: the rules of transactions one by one (`test_transaction`); what was committed is read from the log.
Fits:   shares `datalog/naive.py` with the tests of queries; the log's datoms are the oracle's only source.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore import edn
from datomstore.database import Database
from datomstore.datalog import columns, q
from datomstore.datom import TX_BASE
from datomstore.intern import intern
from datomstore.storage.memory import MemoryStorage
from datomstore.streams import Stream, Streams
from datomstore.transaction import TransactionError
from datomstore.value import Char, Keyword, Map, Set, Symbol, exact_key, hash_key
from tests.datomstore.datalog.naive import Naive, Row

VALUES: dict[str, list[object]] = {
    "string": ["a", "b", "", "far from a"],
    "keyword": [Keyword("k"), Keyword("n/k")],
    "symbol": [Symbol("s"), Symbol("n/s")],
    "long": [0, -1, 7, 2**40],
    "bigint": [2**70, -(2**70), 7],
    "ratio": [Fraction(1, 2), Fraction(-1, 3), 7],
    "bigdec": [Decimal("1.0"), Decimal("1.00"), Decimal(7)],
    "double": [-0.0, 0.0, float("nan"), 1.5],
    "boolean": [True, False],
    "instant": [datetime(2020, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC)],
    "uuid": [UUID(int=1), UUID(int=2)],
    "bytes": [b"", b"\0a"],
    "char": [Char("a"), Char("b")],
    "ref": [2001, 2002, 2003],
}
EQUAL = ["double", "bigdec"]  # of which values are equal that patterns tell apart
ENTITIES = [2001, 2002, 2003, 2004, 2_000_001]
APART = 2_000  # values between two: ids so far apart have no quick index
BEGINNING: Any = edn.read("""[{:db/id 2001 :o/name "a" :o/link [2002 2003] :o/x 0}
                              {:db/id 2002 :o/link 2003 :o/x 7 :o/y 7 :o/part {:o/x -1}}
                              {:db/id 2003 :o/link 2001 :o/y 0 :o/part [2004]}
                              {:db/id 2004 :o/link 2004 :o/x 7 :o/y -1}]""")
ADD, RETRACT, CAS = Keyword("db/add"), Keyword("db/retract"), Keyword("db/cas")
NAME, PART, LINK, KEY = (Keyword(f"o/{name}") for name in ("name", "part", "link", "key"))


@pytest.fixture(scope="module", autouse=True)
def values_apart() -> None:
    """Give values ids that lie far apart, as in a process that has seen many."""
    for place, value in enumerate(value for values in VALUES.values() for value in values):
        intern(value)
        for number in range(APART):
            intern(f"between {place} {number}")


def attribute(kind: str, number: int) -> Keyword:
    return Keyword(f"o/{kind}{number}")


@st.composite
def schemas(draw: st.DrawFn) -> tuple[list[Map], list[tuple[Keyword, str]]]:
    """A schema, and its plain attributes with their types."""
    others = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=2, max_size=4, unique=True))
    chosen = dict.fromkeys([draw(st.sampled_from(EQUAL)), *others])
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
            [(valued ?a ?c) [?a :o/d ?c]]
            [(valued ?a ?c) [?b :o/d ?c] (valued ?b ?c) [?a :o/link ?b]]
            [(lonely ?a) [?a :o/x _] (not (linked ?a ?b))]]"""
BODIES = [
    "[?a :o/link ?b] [?b {p} ?c]",
    "[?a {p} ?c] [?b {r} ?c]",
    "[?a {p} ?c ?t] [?b {r} ?c]",
    "[?a {p} ?c] [?b {r} ?d] [(= ?c ?d)]",
    "[?a {p} ?c] [?b :o/link ?a] (not [?b {r} ?c])",
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


def views(stream: Stream, point: int, after: int) -> list[tuple[Database, list[Row]]]:
    """Every view of a stream, and its datoms."""
    rows, now, last = rows_of(stream), stream.db(), stream.t
    return [
        (now, live(rows, 0, last)),
        (now.as_of(point), live(rows, 0, point)),
        (now.since(after), live(rows, after, last)),
        (now.as_of(point).since(after), live(rows, after, point)),
        (now.history(), rows),
    ]


def answers_are_those_of_all_datoms(view: Database, facts: list[Row], body: str) -> None:
    """Ask for the rows of a body, exactly and as a set, and for how many values each entity has."""
    where: Any = edn.read(f"[{body}]")
    rules: Any = edn.read(RULES)
    answers = Naive({"$": facts}, rules).answers(where, {}, {"?a", "?b", "?c"})
    rows = [(one["?a"], one["?b"], one["?c"]) for one in answers]
    exact = {exact_key(row): row for row in rows}
    query = f"[:find ?a ?b ?c :in $ % :where {body}]"
    found = [c if isinstance(c, list) else c.tolist() for c in columns(query, view, RULES)]
    made = Counter(map(exact_key, zip(*found, strict=True)))
    assert made == Counter(exact.keys()), (body, view.basis_t)
    asked = q(query, view, RULES)
    assert all(exact_key(row) in exact for row in asked), (body, view.basis_t)
    assert len(asked) == len(set(map(hash_key, exact.values()))), (body, view.basis_t)
    counts = Counter(a for a, _ in {(exact_key(a), exact_key(c)) for a, _, c in rows})
    counted = q(f"[:find ?a (count ?c) :in $ % :where {body}]", view, RULES)
    assert counted == Set(counts.items()), (body, view.basis_t)


@pytest.mark.timeout(300)  # a failure is made small before it is told
@settings(max_examples=100)
@given(st.data())
def test_every_view_answers_as_all_its_datoms_do(data: st.DataObject) -> None:
    schema, plain = data.draw(schemas())
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("s")
    stream.transact(schema)
    stream.transact(BEGINNING)
    left = data.draw(st.sampled_from(plain))
    alike = [other for other in plain if other[1] == left[1]]  # whose values can meet
    right = data.draw(st.sampled_from(alike) | st.sampled_from(plain))
    for transaction in data.draw(histories([*plain, *[left, right] * (len(plain) // 2)])):
        with suppress(TransactionError):
            stream.transact(transaction)
    point, after = data.draw(st.integers(0, stream.t)), data.draw(st.integers(0, stream.t))
    p, r = (f":{ident.name}" for ident, _ in (left, right))
    bodies = data.draw(st.lists(st.sampled_from(BODIES), min_size=2, max_size=3, unique=True))
    for (view, facts), body in product(views(stream, point, after), bodies):
        answers_are_those_of_all_datoms(view, facts, body.format(p=p, r=r))


ALIKE = {
    "double": [("0.0", "-0.0"), ("-0.0", "0.0"), ("##NaN", "##NaN")],
    "bigdec": [("1.0M", "1.00M"), ("1.00M", "1.0M")],
    "ratio": [("1/2", "2/4"), ("7", "14/2")],
    "bigint": [(str(2**70), str(2**70))],
    "instant": [('#inst "2020-01-01T00:00:00Z"', '#inst "2020-01-01T01:00:00+01:00"')],
}
MEETING = [
    "[?a :o/d ?c] [?b :o/d ?c]",
    "[?a :o/d ?c] [?b :o/d ?d] [(= ?c ?d)]",
    "[?a :o/link ?b] [?a :o/d ?c] (not [?b :o/d ?c])",
    "[?a :o/d ?c] (or-join [?a ?b ?c] [?b :o/d ?c] [?b :o/link ?a])",
    "(valued ?a ?c) [?b :o/d ?c]",
]
PAIRS = [(kind, *pair) for kind, pairs in ALIKE.items() for pair in pairs]


@pytest.mark.parametrize(("kind", "one", "other"), PAIRS)
def test_values_that_are_equal_meet_as_they_do_in_all_datoms(
    kind: str, one: str, other: str
) -> None:
    stream = Streams(MemoryStorage(), now_ms=lambda: 0).create("s")
    steps = [
        f"[{{:db/ident :o/link}} {{:db/ident :o/d :db/valueType :db.type/{kind}}}]",
        f"[{{:db/id 2001 :o/d {one} :o/link 2005}} {{:db/id 2003 :o/d {other}}}]",
        "[[:db/retract 2001 :o/d]]",
        f"[{{:db/id 2005 :o/d {other}}}]",
        f"[{{:db/id 2001 :o/d {other}}} {{:db/id 2003 :o/d {one}}}]",
    ]
    for step in steps:
        stream.transact(edn.read(step))  # type: ignore[arg-type]
    for point in range(stream.t + 1):
        for (view, facts), body in product(views(stream, point, stream.t - point), MEETING):
            answers_are_those_of_all_datoms(view, facts, body)
