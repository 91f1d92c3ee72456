"""Every search over runs and tail finds what looking at all rows finds: in memory, stored, forked, and while rows come and go."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from datomstore import facts as facts_module
from datomstore._index import ENTITY, NAMED, STORED, Attributes, Column, Ended, Run
from datomstore.database import Database
from datomstore.datom import TX_BASE
from datomstore.facts import NEVER, Facts
from datomstore.intern import Ids, intern
from datomstore.schema import Schema
from datomstore.value import Keyword

ATTRIBUTES = [intern(Keyword(name)) for name in ("size", "name", "friend")]
WIDE = 1 << 40  # is no code of four bytes
VALUES = [
    intern(value) for value in (0, 1, 2, 3, 7, -4, -1, WIDE, "a", "b", "c", True, TX_BASE + 1)
]
ENTITIES = [e << 1 for e in (1, 2, 3, 5, 9, TX_BASE + 1, TX_BASE + 2)]

# Every example is some hundreds of searches; to make a failing one smaller would take minutes.
EXAMPLES = settings(max_examples=12, phases=[Phase.generate])

adding = st.tuples(
    st.booleans(), st.sampled_from(ENTITIES), st.sampled_from(ATTRIBUTES), st.sampled_from(VALUES)
)
transactions = st.lists(adding, max_size=8)


@pytest.fixture(autouse=True)
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_module, "TAIL_ROWS_MAX", 4)
    monkeypatch.setattr(facts_module, "RUN_ROWS_MIN", 9)
    monkeypatch.setattr(facts_module, "RUN_FACTOR", 2)


@dataclass
class Row:
    e: int
    a: int
    v: int
    t: int
    added: bool
    ended: int = NEVER


@dataclass
class Model:
    """Rows as a list, and the facts under test beside it."""

    facts: Facts = field(default_factory=Facts)
    rows: list[Row] = field(default_factory=list)
    t: int = 0

    def stage(self, items: list[tuple[bool, int, int, int]]) -> int:
        """Write a transaction's rows; return the first."""
        start, self.t = len(self.rows), self.t + 1
        tx = (TX_BASE + self.t) << 1
        ends = []
        for wanted, e, a, v in items:
            row = len(self.rows)
            live = [
                number
                for number, one in enumerate(self.rows)
                if (one.e, one.a, one.v) == (e, a, v) and one.added and one.ended == NEVER
            ]
            if wanted == bool(live):
                continue
            if live:
                ends.append((row, live[0]))
                self.rows[live[0]].ended = row
            self.rows.append(Row(e, a, v, tx, wanted))
        written = self.rows[start:]
        columns: list[list[int]] = [[getattr(row, name) for row in written] for name in "eav"]
        self.facts.write(start, columns[0], columns[1], columns[2], tx, ends)
        return start

    def commit(self) -> None:
        self.facts.count = len(self.rows)

    def take_back(self, start: int) -> None:
        for number, row in enumerate(self.rows):
            if row.ended != NEVER and row.ended >= start:
                row.ended = NEVER
                self.facts.live_again(number)
        self.facts.take_back(start)
        del self.rows[start:]

    def fork(self, count: int) -> Model:
        kept = [
            Row(row.e, row.a, row.v, row.t, row.added, row.ended if row.ended < count else NEVER)
            for row in self.rows[:count]
        ]
        return Model(self.facts.fork(count), kept, self.t)

    def view(self, count: int, start: int = 0, *, everything: bool = False) -> Database:
        return Database(
            self.facts,
            Schema(),
            [],
            basis_t=0,
            count=count,
            start=start,
            everything=everything,
        )

    def shown(self, view: Database) -> list[int]:
        count = view.count_rows
        return [
            number
            for number, row in enumerate(self.rows[:count])
            if number >= view.start and (view._all or (row.added and row.ended >= count))
        ]

    def check(self, view: Database, draw: st.DataObject) -> None:
        """Compare every form of search."""
        shown = self.shown(view)
        one_of = [None, draw.draw(st.sampled_from(ENTITIES))]
        for e in one_of:
            for a in (None, *ATTRIBUTES):
                for v in (None, *draw.draw(st.lists(st.sampled_from(VALUES), max_size=2))):
                    expected = [
                        n
                        for n in shown
                        if (e is None or self.rows[n].e == e)
                        and (a is None or self.rows[n].a == a)
                        and (v is None or self.rows[n].v == v)
                    ]
                    assert sorted(view.rows(e, a, v).tolist()) == expected, (e, a, v)
                    assert view.count(e, a, v) >= len(expected)
        for a in (None, *ATTRIBUTES):
            for name, ids in (("e", ENTITIES), ("v", VALUES)):
                probes = draw.draw(st.lists(st.sampled_from([*ids, 8, intern("none")]), max_size=9))
                told: list[int] = []
                given = {name: np.array(probes, np.int64)}
                number, rows = view.scan_bound(a, spend=told.append, **given)
                found = sorted(zip(number.tolist(), rows.tolist(), strict=True))
                assert found == sorted(
                    (place, n)
                    for place, key in enumerate(probes)
                    for n in shown
                    if getattr(self.rows[n], name) == key and a in (None, self.rows[n].a)
                )
        low = draw.draw(st.integers(-5, 8))
        high = draw.draw(st.sampled_from([low - 1, low, low + 3, WIDE - 1, WIDE, 1 << 70]))
        for a in ATTRIBUTES:
            expected = [
                n
                for n in shown
                if self.rows[n].a == a
                and not self.rows[n].v & 1
                and low <= self.rows[n].v >> 1 <= high
            ]
            assert sorted(view.rows_between(a, low, high).tolist()) == expected
            odd = any(row.a == a and row.v & 1 for row in self.rows[: view.count_rows])
            assert not (odd and view.has_integers_only(a))

    def check_columns(self) -> None:
        rows = np.random.default_rng(1).permutation(len(self.rows))
        for name in ("e", "a", "v", "t", "added", "ended"):
            column = [getattr(row, name) for row in self.rows]
            kept = getattr(self.facts, name)
            assert kept[: len(self.rows)].tolist() == column, name
            assert kept[rows].tolist() == [column[row] for row in rows], name
        entities = [row.e >> 1 for row in self.rows]
        linked = [row.v >> 1 for row in self.rows if row.a == ATTRIBUTES[2] and not row.v & 1]
        known = [entity for entity in entities + linked if entity < TX_BASE]
        seen = self.facts.view(self.facts.count)
        assert seen.highest_entity((ATTRIBUTES[2],), len(self.rows)) >= max(known, default=-1)

    def check_all(self, draw: st.DataObject) -> None:
        self.check_columns()
        count = self.facts.count
        past = draw.draw(st.integers(0, count))
        self.check(self.view(count), draw)
        self.check(self.view(past), draw)
        self.check(self.view(count, start=past), draw)
        self.check(self.view(past, everything=True), draw)


@EXAMPLES
@given(st.lists(transactions, max_size=10), st.data())
def test_a_view_at_any_time_finds_what_all_rows_say(
    history: list[list[tuple[bool, int, int, int]]], data: st.DataObject
) -> None:
    model = Model()
    for items in history:
        model.stage(items)
        model.commit()
        if data.draw(st.booleans()):
            model.check_all(data)
    model.check_all(data)


@EXAMPLES
@given(st.lists(st.tuples(transactions, st.booleans()), max_size=8), st.data())
def test_rows_that_are_taken_back_leave_no_trace(
    history: list[tuple[list[tuple[bool, int, int, int]], bool]], data: st.DataObject
) -> None:
    model = Model()
    for items, kept in history:
        start = model.stage(items)
        if data.draw(st.booleans()):
            model.check(model.view(len(model.rows)), data)  # the writer sees what it staged
        if kept:
            model.commit()
        else:
            model.take_back(start)
        model.check(model.view(model.facts.count), data)
    model.check_all(data)


@EXAMPLES
@given(st.lists(transactions, max_size=6), st.lists(transactions, max_size=4), st.data())
def test_forks_and_what_they_came_from_go_their_own_ways(
    history: list[list[tuple[bool, int, int, int]]],
    after: list[list[tuple[bool, int, int, int]]],
    data: st.DataObject,
) -> None:
    model = Model()
    for items in history:
        model.stage(items)
        model.commit()
        if data.draw(st.booleans()):
            model.view(model.facts.count).rows(None, ATTRIBUTES[0])
    models = [model]
    for items in after:
        parent = data.draw(st.sampled_from(models))
        models.append(parent.fork(data.draw(st.integers(0, parent.facts.count))))
        for one in models:
            one.stage(items if one is models[-1] else items[::-1])
            one.commit()
    for one in models:
        one.check_all(data)


# -- runs whose codes are those of a file --


class Numbers:
    """Values of stored runs by number, loaded when they are needed."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids
        self.lut = np.zeros(len(ids), np.int64)

    def load(self, numbers: Ids) -> None:
        self.lut[numbers] = np.array(self.ids, np.int64)[numbers]

    def numbers_of(self, ids: Ids) -> Ids:
        return np.array([self.ids.index(i) if i in self.ids else -1 for i in ids.tolist()])

    def boxed_between(self, low: int, high: int) -> Ids:
        return np.array([i for i in self.ids if not i & 1 and low <= i <= high], np.int64)


def stored_run(
    model: Model, start: int, end: int, attributes: Attributes, numbers: Numbers
) -> tuple[Run, NDArray[np.uint32]]:
    rows = model.rows[start:end]
    entities = [row.e >> 1 for row in rows]
    e = [TX_BASE - 1 - entity if entity >= TX_BASE else entity for entity in entities]
    a = attributes.numbered(np.array([row.a for row in rows], np.int64))
    v = [(numbers.ids.index(row.v) << 1) | 1 if row.v in numbers.ids else row.v for row in rows]
    t = [row.t for row in rows]
    begins = [n for n in range(len(rows)) if n == 0 or t[n] != t[n - 1]]
    past, until = model.facts.ended.past(start, end, end)
    columns = (
        Column(np.array(e, np.int32), ENTITY),
        Column(a.astype(np.int8), NAMED, attributes),
        Column(np.array(v, np.int32), STORED, numbers),
    )
    run = Run(
        start,
        *columns,
        np.array(begins, np.uint32),
        np.array([t[n] for n in begins], np.int64),
        past=past,
        past_until=until,
        references=np.array(ATTRIBUTES[2:], np.int64),
        integers=np.array(
            [a for a in ATTRIBUTES if not any(row.a == a and row.v in numbers.ids for row in rows)],
            np.int64,
        ),
    )
    if len(rows) % 2:  # as they are read back
        orders = {name: run.order(name) for name in ("eavt", "aevt", "avet", "vaet")}
        run = Run(
            start,
            *columns,
            run.t_offsets,
            run.t_ids,
            orders,
            past=past,
            past_until=until,
            references=run.references,
            integers=run.integers,
        )
    return run, past


@EXAMPLES
@given(
    st.lists(transactions, max_size=8),
    st.lists(transactions, max_size=4),
    st.lists(st.integers(0, 60), max_size=3),
    st.permutations([v for v in VALUES if v & 1 or v >> 1 >= WIDE]),
    st.data(),
)
def test_stored_runs_answer_as_those_in_memory(
    history: list[list[tuple[bool, int, int, int]]],
    after: list[list[tuple[bool, int, int, int]]],
    cuts: list[int],
    order: list[int],
    data: st.DataObject,
) -> None:
    model = Model()
    for items in history:
        model.stage(items)
        model.commit()
    attributes, numbers = Attributes(), Numbers(order)
    bounds = sorted({0, len(model.rows), *(cut for cut in cuts if cut < len(model.rows))})
    runs = [
        stored_run(model, start, end, attributes, numbers)[0] for start, end in pairwise(bounds)
    ]
    ended = Ended()
    for number, row in enumerate(model.rows):
        if not row.added:
            ended.set(number, number)
        elif row.ended != NEVER:
            ended.set(number, row.ended)
    model.facts = Facts.of_runs(runs, ended, attributes)
    model.check_all(data)
    for items in after:
        model.stage(items)
        model.commit()
    model.check_all(data)


def test_a_long_history_is_kept_in_few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_module, "TAIL_ROWS_MAX", 16)
    model = Model()
    size = ATTRIBUTES[0]
    for t in range(200):
        rows = [(n << 1, size, t << 1) for n in range(10)]
        e, a, v = (list(column) for column in zip(*rows, strict=True))
        model.facts.write(10 * t, e, a, v, (TX_BASE + t) << 1, [])
        model.facts.count = 10 * t + 10
        assert len(model.view(10 * t + 10).rows(6, size)) == t + 1
    assert len(model.facts.view(2_000).runs) <= 10
    assert len(model.view(1_000).rows(None, size, 14)) == 10


def test_a_code_that_its_dictionary_does_not_have_is_refused() -> None:
    numbers = Numbers([intern("a")])
    column = Column(np.array([1, 3], np.int32), STORED, numbers)
    assert column[np.array([0])].tolist() == [intern("a")]
    with pytest.raises(IndexError):
        column[np.array([1])]
