"""Clauses that form a cycle, joined all together where two by two makes too many rows.

Is:     the step for them: the choice while it runs, the order of the variables, the join in portions.
Is not: the test for cycles (`hypergraph`), the join itself (`_generic`), or the joins of two (`steps`).
Fits:   `plan` puts it in the place of the steps of such clauses.
Source: Atserias, Grohe and Marx, Size bounds and query plans for relational joins; Ngo, Re and Rudra, Skew strikes back.

In `[?a :edge ?b] [?b :edge ?c] [?a :edge ?c]` any two clauses make a row for each way in and out of a node, of which
a node with many edges has its square. All three together never have more rows than m ** 1.5 of m edges.

Joins of two are fast where no node has many edges, and a look-up counts the rows it is about to make. So these are
tried first: with HUBS_PART times as many rows as there are facts to read, and if there is no hub, with PAIRED_PART
times. What would be more was not made, and the clauses are joined together. A plan that is kept remembers it.

Invariants:
    the rows are the same either way, over the variables of `keep`
    what is tried in vain makes at most that many rows, or PAIRED_ROWS_MIN
    an order of variables is chosen by counts alone, so the same database has the same order
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile

import numpy as np

from datomstore.datalog._generic import GenericJoin, Trie
from datomstore.datalog._kernel import Table
from datomstore.datalog.budget import ID_BYTES, Meter, Overrun
from datomstore.datalog.errors import BudgetExceeded
from datomstore.datalog.extents import Extent, most_rows
from datomstore.datalog.limits import (
    DISTINCT_ROWS_MIN,
    HUB_ROWS,
    HUBS_PART,
    JOIN_PAUSE_ROWS,
    JOIN_ROWS_MAX,
    PAIRED_PART,
    PAIRED_ROWS_MIN,
    TRIE_ROWS_MAX,
)
from datomstore.datalog.relation import Relation, repeated, together
from datomstore.datalog.steps import (
    Compute,
    DemandCall,
    Keep,
    LookUp,
    Match,
    Step,
    merged,
    run,
)
from datomstore.datalog.variables import Atom, chosen
from datomstore.intern import Ids
from datomstore.value import Symbol


class Cyclic:
    """Clauses of which some form a cycle.

    Args:
        pairwise: a step for each clause, in the order planned.
        members: of them, those that form the cycle.
        rest: steps for the others after these.
        keep: variables that are needed after the members.
        form: the members as they were written.
        facts: about how many rows the members have.
        forget: told when rules may have been left in the middle of being asked.
    """

    def __init__(
        self,
        pairwise: Sequence[Step],
        members: Sequence[Step],
        rest: Sequence[Step],
        keep: Keep,
        form: object,
        facts: int,
        forget: Callable[[], None],
    ) -> None:
        self.form = form
        self.keep = pairwise[-1].keep
        self.pairwise = list(pairwise)
        self.core = _Core(members, rest, keep, form)
        self._merged = merged(pairwise)
        self._facts = facts
        self._forget = forget
        self._together_from: int | None = None  # rows before it, of which two by two was too much
        self._is_even = False  # whether no node has many edges, as far as that has been asked

    def execute(self, relation: Relation, meter: Meter) -> Relation:
        """Return the rows after this step, over at most the variables of `keep`."""
        found = self._paired(relation, meter)
        return found if found is not None else run(self.core.steps, relation, meter)

    def chosen(self, relation: Relation, meter: Meter) -> list[Step]:
        """Return the steps by which these rows are answered."""
        paired = self._paired(relation, meter) is not None
        return self.pairwise if paired else self.core.steps

    def _paired(self, relation: Relation, meter: Meter) -> Relation | None:
        """Return the rows that joins of two find; None if they would make too many on the way."""
        known = self._together_from
        if known is not None and relation.count >= known:
            return None
        before, left = meter.rows, self._left(relation, meter)
        for part in (HUBS_PART, PAIRED_PART)[self._is_even :]:
            patience = max(PAIRED_ROWS_MIN, part * (self._facts + relation.count))
            try:
                with meter.within(min(patience, left)):
                    return run(self._merged, relation, meter)
            except Overrun:
                meter.rows = before  # what was too much was not made
                self._forget()
            members = self.core.members()  # not sooner: few rows are looked up without them
            if members is None:
                return run(self._merged, relation, meter)
            if left < patience:
                return None
            self._is_even = all(one.most() <= HUB_ROWS for one in members)
            if not self._is_even:
                break
        self._together_from = relation.count if known is None else min(known, relation.count)
        return None

    def _left(self, relation: Relation, meter: Meter) -> int:
        """Return how many rows a budget has left, which may be too few for joins of two and do for the other way."""
        left = JOIN_ROWS_MAX
        if meter.limit is not None:
            left = min(left, meter.limit - meter.rows)
        if meter.rows_max is not None:
            left = min(left, meter.rows_max - meter.rows)
        if meter.memory is not None:
            width = len(self.core.names | {*relation.columns}) + 2
            left = min(left, meter.memory // (ID_BYTES * width))
        return max(0, left)


class _Core:
    """The members of a cycle as one step, and what follows them."""

    def __init__(
        self, members: Sequence[Step], rest: Sequence[Step], keep: Keep, form: object
    ) -> None:
        self.form = form
        self._members = members
        self.names = {name for step in members for name in _variables(step)}
        # Predicates right behind are asked portion by portion, so that what they refuse takes no memory.
        self.filters = list(takewhile(_is_predicate, rest))
        self.keep = self.filters[-1].keep if self.filters else keep
        self._found_keep = keep
        self.steps: list[Step] = [self, *merged(rest[len(self.filters) :])]

    def members(self) -> list[Atom] | None:
        """Return the tables that are joined; None if not all answers of a rule are at hand, or too many rows."""
        made = [_atom(step) for step in self._members]
        if any(one is None or one.rows > TRIE_ROWS_MAX for one in made):
            return None
        return [one for one in made if one is not None]

    def bound(self) -> int | None:
        """Return how many rows the members can have at most, by the number of facts of each.

        Of n variables that stand in at least d members each, the product of all sizes to the power of 1 / d is such a
        bound: each member is taken for 1 / d, and every variable is then covered.
        """
        members = self.members()
        if members is None:
            return None
        names = {name for one in members for name in one.names}
        least = min(sum(name in one.names for one in members) for name in names)
        logs = sum(np.log(max(1, one.rows)) for one in members) / least
        return int(np.exp(min(logs, 63 * np.log(2)))) if all(one.rows for one in members) else 0

    def execute(self, relation: Relation, meter: Meter) -> Relation:
        """Return the rows that all members have, over at most the variables of `keep`."""
        meter.spend(0, self.form)
        members = self.members()
        assert members is not None, "a choice was made for what can be joined"
        names = {name for one in members for name in one.names}
        shared = [name for name in relation.columns if name in names]
        if shared:
            members.append(_rows(relation, shared))
        others = relation.columns.keys() - names
        wanted = self._found_keep & names
        if others & self._found_keep:
            wanted |= {*shared}
        found = self._joined(members, wanted, meter, back=bool(others & self._found_keep))
        if others & self._found_keep and found.count:
            found = self._beside(found, relation, meter)
        return found

    def _beside(self, found: Relation, relation: Relation, meter: Meter) -> Relation:
        """Return rows with what the relation before knows besides, and the predicates asked."""
        wanted = found.columns.keys() | self._found_keep
        names = [name for name in relation.columns if name in wanted]
        before = relation.distinct(names)
        table = Table.of([before.columns[name] for name in names], before.count)
        step = LookUp(lambda: table, names, self.form, self._found_keep)
        return run(self.filters, step.execute(found, meter), meter).keep(self.keep)

    def _joined(
        self, members: Sequence[Atom], wanted: Keep | set[Symbol], meter: Meter, *, back: bool
    ) -> Relation:
        order = chosen(members, wanted)
        tries: list[Trie] = []
        levels: list[list[tuple[int, int]]] = [[] for _ in order]
        for number, one in enumerate(members):
            names = sorted(one.names, key=order.index)
            tries.append(one.trie(tuple(names)))
            for level, name in enumerate(names):
                levels[order.index(name)].append((number, level))
            meter.spend(0, self.form)
        keeps = [name in wanted for name in order]
        kept = [name for name in order if name in wanted]
        filters = [] if back else self.filters
        join, parts, count = GenericJoin(tries, levels, keeps), list[Relation](), 0
        while join.running:
            before = join.matched
            columns, made = join.run(JOIN_PAUSE_ROWS, JOIN_PAUSE_ROWS)
            meter.spend(join.matched - before, self.form)
            if not made:
                continue
            apart = all(
                keeps[: len(kept)]
            )  # no variable that is not kept stands before one that is
            part = Relation(dict(zip(kept, columns, strict=True)), made, is_distinct=apart)
            part = run(filters, part, meter)
            count += part.count
            meter.room(count, len(part.columns), self.form)
            if count > JOIN_ROWS_MAX:
                raise BudgetExceeded(f"more than {JOIN_ROWS_MAX} rows of one join", self.form)
            if part.count:
                parts.append(part)
        return self._whole(parts, kept, back=back)

    def _whole(self, parts: Sequence[Relation], kept: Sequence[Symbol], *, back: bool) -> Relation:
        """Return all portions, of which no row stands in two if none stands twice in one."""
        if not parts:
            names = kept if back else [name for name in kept if name in self.keep]
            return Relation({name: np.empty(0, np.int64) for name in names}, 0)
        whole = together(parts) if len(parts) > 1 else parts[0]
        if parts[0].is_distinct and len(parts[0].columns) == len(kept):
            return Relation(whole.columns, whole.count, is_distinct=True)
        columns = list(whole.columns.values())
        if whole.count > DISTINCT_ROWS_MIN and repeated(columns, whole.count):
            return whole.distinct(list(whole.columns))
        return whole


def _variables(step: Step) -> Iterator[Symbol]:
    look_up = step.lookup if isinstance(step, DemandCall) else step
    assert isinstance(look_up, LookUp), step
    return (term for _, term in look_up.terms if isinstance(term, Symbol))


def _is_predicate(step: Step) -> bool:
    return isinstance(step, Compute) and step.clause.binding is None


def _atom(step: Step) -> Atom | None:
    """Return what a step reads; None if its rows are not all at hand."""
    if isinstance(step, DemandCall):
        table = step.whole(eager=True)
        return None if table is None else _of_table(step.lookup, table)
    assert isinstance(step, LookUp), step
    if isinstance(step, Match):
        return _of_table(step, step.source.extent(step.key))
    return _of_table(step, step.table())


def _of_table(step: LookUp, table: Table | Extent) -> Atom:
    """Return the rows of a table that have the constants of a step, and one id where a variable stands twice."""
    constants = [(place, term) for place, term in step.terms if isinstance(term, int)]
    places: dict[Symbol, int] = {}
    twice: list[tuple[int, int]] = []
    for place, term in step.terms:
        if isinstance(term, Symbol):
            first = places.setdefault(term, place)
            if first != place:
                twice.append((first, place))

    def trie(names: tuple[Symbol, ...]) -> Trie:
        wanted = tuple(places[name] for name in names)
        if isinstance(table, Extent) and not constants and not twice:
            return table.trie(wanted)
        mask = np.ones(table.count, np.bool_)
        for place, one in constants:
            mask &= table.column(place) == one
        for first, place in twice:
            mask &= table.column(first) == table.column(place)
        return Trie([table.column(place)[mask] for place in wanted])

    def most() -> int:
        if isinstance(table, Extent):
            return max(table.most(place) for place in places.values())
        return max(most_rows(table.column(place)) for place in places.values())

    return Atom(tuple(places), table.count, trie, most)


def _rows(relation: Relation, names: Sequence[Symbol]) -> Atom:
    """Return the rows so far as one more table."""

    def trie(wanted: tuple[Symbol, ...]) -> Trie:
        columns: list[Ids] = [relation.columns[name] for name in wanted]
        return Trie(columns)

    return Atom(tuple(names), relation.count, trie, lambda: 1)
