"""The operators of a plan: each takes the rows so far and gives the next ones.

Is:     look-up in a table, a function or predicate, negation, a call of a rule that needs its arguments.
Is not: their order (`plan`) or their repetition (`rules`).
Fits:   `plan` makes them; `run` executes a list of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

import numpy as np

from datomstore.datalog import vectors
from datomstore.datalog._kernel import Table
from datomstore.datalog.budget import Meter
from datomstore.datalog.builtins import CLOSED_FUNCTIONS, FUNCTIONS, FunctionError, bytes_of
from datomstore.datalog.derivations import lookup_in
from datomstore.datalog.errors import BudgetExceeded, QueryError
from datomstore.datalog.extents import Extent
from datomstore.datalog.fulltext import search
from datomstore.datalog.limits import (
    BATCH_LEAST,
    BATCH_ROWS,
    BINDING_ROWS_MAX,
    DISTINCT_ROWS_MIN,
    FUNCTION_ROWS_MAX,
    FUNCTION_WORK,
    INDEXED_MIN,
    JOIN_ROWS_MAX,
    WEIGHED_ROWS,
    WORK_BYTES,
)
from datomstore.datalog.relation import Relation, distinct_rows, repeated, together
from datomstore.datalog.sources import DatabaseSource, Key, Seek, Source
from datomstore.datalog.syntax import (
    BLANK,
    Apply,
    BindCollection,
    Binding,
    BindScalar,
    Constant,
    Term,
    is_variable,
)
from datomstore.errors import AttributeForbidden, DatomstoreError
from datomstore.facts import Rows
from datomstore.intern import INLINE_BOUND, Ids, intern, intern_many, values_of
from datomstore.value import Map, Set, Symbol

Keep = frozenset[Symbol]


class Step(Protocol):
    """One operator."""

    form: object
    keep: Keep

    def execute(self, relation: Relation, meter: Meter) -> Relation:
        """Return the rows after this step, over at most the variables of `keep`."""


def run(steps: Sequence[Step], relation: Relation, meter: Meter) -> Relation:
    """Return what a list of steps makes of a relation."""
    for place, step in enumerate(steps):
        if not relation.count:
            return relation
        if relation.count > BATCH_LEAST:
            times = expansion(step, relation)
            most = max(BATCH_LEAST, BATCH_ROWS // times)
            if relation.count > most:
                if relation.count * times > JOIN_ROWS_MAX:
                    meter.spend(relation.count * times, step.form)  # which is refused
                return _run_in_parts(steps[place:], relation, most, meter)
        relation = step.execute(relation, meter)
        meter.room(relation.count, len(relation.columns), step.form)
    return relation


def expansion(step: Step, relation: Relation) -> int:
    """Return how many rows a step makes of one, if that is known before: of a product."""
    if not isinstance(step, LookUp) or step.looks_up(relation):
        return 1
    return max(1, step.count())


def _run_in_parts(steps: Sequence[Step], relation: Relation, most: int, meter: Meter) -> Relation:
    """Return what steps make of many rows, part by part: what is not kept takes memory for one part only."""
    before, found = meter.rows, 0
    parts: list[Relation] = []
    for start in range(0, relation.count, most):
        part = run(steps, relation.part(start, start + most), meter)
        if not part.count:
            continue
        parts.append(part)
        found += part.count
        meter.room(found, len(part.columns), steps[-1].form)
        if found > JOIN_ROWS_MAX or meter.rows - before > JOIN_ROWS_MAX * len(steps):
            raise BudgetExceeded(f"more than {JOIN_ROWS_MAX} rows of one join", steps[0].form)
    if not parts:
        return run(steps, relation.part(0, 0), meter)
    return together(parts)


class LookUp:
    """Join with a table: terms that are bound are looked up, the others are read."""

    def __init__(
        self, table: Callable[[], Table], terms: Sequence[Term], form: object, keep: Keep
    ) -> None:
        self.table = table
        self.terms = [
            (place, intern(term.value) if isinstance(term, Constant) else term)
            for place, term in enumerate(terms)
            if term is not BLANK
        ]
        self.form = form
        self.keep = keep

    def execute(self, relation: Relation, meter: Meter) -> Relation:
        """Return the rows after this step, over at most the variables of `keep`."""
        return self.join(relation, self.table(), meter)

    def seeks(self, places: Sequence[int], probes: int) -> bool:
        """Return whether so few look-ups are better done without an index of the table."""
        return False

    def looks_up(self, relation: Relation) -> bool:
        """Return whether something of the table is bound already."""
        return any(isinstance(term, int) or term in relation.columns for _, term in self.terms)

    def count(self) -> int:
        """Return how many rows the table has."""
        return self.table().count

    def join(self, relation: Relation, table: Table | Extent | Seek, meter: Meter) -> Relation:
        """Return the rows joined with those of a table."""
        bound, keep = relation.columns, self.keep
        places: list[int] = []
        keys: list[Ids] = []
        reads: list[tuple[int, Symbol]] = []
        repeats: list[tuple[int, Symbol]] = []
        read_names: set[Symbol] = set()
        for place, term in self.terms:
            if isinstance(term, int):
                places.append(place)
                keys.append(np.full(relation.count, term, np.int64))
            elif term in bound:
                places.append(place)
                keys.append(bound[term])
            elif term in read_names:
                repeats.append((place, term))
            else:
                read_names.add(term)
                reads.append((place, term))
        probe: Rows | None
        rows: Rows | None
        if places:
            meter.spend(0, self.form)
            width = len(bound) + len(reads) + 2
            probe, rows = table.probe(tuple(places), keys, meter.of(self.form, width))
        else:
            assert not isinstance(table, Seek), "an index is asked only for what is bound"
            if not bound:
                return self._whole(table, reads, repeats, meter)
            count = table.count
            meter.spend(count * relation.count, self.form)
            meter.room(count * relation.count, len(bound) + len(reads) + 2, self.form)
            probe, rows = _product(relation.count, count)
        for place, name in repeats:
            first = next(p for p, n in reads if n is name)
            same = _at(table, place, rows) == _at(table, first, rows)
            chosen = np.flatnonzero(same)
            probe = chosen if probe is None else probe[chosen]
            rows = chosen if rows is None else rows[chosen]
        if probe is None:
            columns = {name: column for name, column in bound.items() if name in keep}
            made = relation.count
        else:
            columns = {name: column[probe] for name, column in bound.items() if name in keep}
            made = len(probe)
        for place, name in reads:
            if name in keep:
                columns[name] = _at(table, place, rows)
        kept = self._keeps(bound, reads) and relation.is_distinct
        joined = Relation(columns, made, is_distinct=kept and self.tells_rows_apart(table))
        # What is not kept made these rows differ; without it they may be few, and the next join is by as much smaller.
        grown = made > max(DISTINCT_ROWS_MIN, relation.count)
        fewer = len(columns) < len(bound) + table.arity - len(places)
        if grown and fewer and not joined.is_distinct and repeated(list(columns.values()), made):
            return joined.distinct(list(columns))
        return joined

    def _keeps(self, bound: Iterable[Symbol], reads: Iterable[tuple[int, Symbol]]) -> bool:
        return self.keep.issuperset(bound) and all(name in self.keep for _, name in reads)

    def tells_rows_apart(self, table: Table | Extent | Seek) -> bool:
        """Return whether no two rows of a table agree in all terms: then rows that were distinct stay so."""
        return len(self.terms) == table.arity

    def _whole(
        self,
        table: Table | Extent,
        reads: list[tuple[int, Symbol]],
        repeats: list[tuple[int, Symbol]],
        meter: Meter,
    ) -> Relation:
        meter.spend(table.count, self.form)
        columns = {name: table.column(place) for place, name in reads}
        kept = self._keeps((), reads) and self.tells_rows_apart(table)
        relation = Relation(columns, table.count, is_distinct=kept)
        for place, name in repeats:
            first = next(p for p, n in reads if n is name)
            mask = table.column(place) == table.column(first)
            return _filtered(relation, table, reads, repeats, mask).keep(self.keep)
        return relation.keep(self.keep)


def _filtered(
    relation: Relation,
    table: Table | Extent,
    reads: list[tuple[int, Symbol]],
    repeats: list[tuple[int, Symbol]],
    mask: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> Relation:
    for place, name in repeats:
        first = next(p for p, n in reads if n is name)
        mask = mask & (table.column(place) == table.column(first))
    return relation.take(np.flatnonzero(mask).astype(np.int64))


def _at(table: Table | Extent | Seek, place: int, rows: Rows | None) -> Ids:
    """Return a column at some rows; None: at all of them."""
    if rows is None:
        assert not isinstance(table, Seek), "an index is asked only for what is bound"
        return table.column(place)
    return table.column(place)[rows]


def _product(left: int, right: int) -> tuple[Rows, Rows | None]:
    """Return the rows of every pair."""
    if left == 1:
        return np.zeros(right, np.int64), None
    probe = np.repeat(np.arange(left, dtype=np.int64), right)
    return probe, np.tile(np.arange(right, dtype=np.int64), left)


class Match(LookUp):
    """Join with the facts of a pattern, by its table or, for few rows, by the database's own index."""

    def __init__(
        self, source: Source, key: Key | None, terms: Sequence[Term], form: object, keep: Keep
    ) -> None:
        super().__init__(lambda: source.table(key), terms, form, keep)
        self.source = source
        self.key = key
        self.width = len(terms)

    def execute(self, relation: Relation, meter: Meter) -> Relation:
        """Return the rows after this step, over at most the variables of `keep`."""
        source = self.source
        if isinstance(source, DatabaseSource) and self.width < 5:
            places = [place for place, term in self.terms if term in relation.columns]
            seek = source.seek(self.key, places, relation.count)
            if seek is not None:
                return self.join(relation, seek, meter)
        return self.join(relation, source.extent(self.key), meter)

    def count(self) -> int:
        """Return how many facts the pattern has."""
        return self.source.extent(self.key).count

    def tells_rows_apart(self, table: Table | Extent | Seek) -> bool:
        """Return whether entity, attribute and value are known of each row, as far as they can differ."""
        places = {place for place, _ in self.terms}
        return self.source.tells_apart(self.key, places)

    def seeks(self, places: Sequence[int], probes: int) -> bool:
        """Return whether so few look-ups are better done without an index of the table."""
        source = self.source
        if not isinstance(source, DatabaseSource) or self.width > 4:
            return False
        if source.count(self.key) <= INDEXED_MIN:
            return False
        return source.seeks(self.key, places, probes)


class Ranged:
    """Facts of a pattern whose value compares with a constant as predicates want it, read instead of all of them."""

    def __init__(self, match: Match, filters: Sequence[Compute], place: int) -> None:
        self.match = match
        self.filters = filters
        self.form = match.form
        self.keep = filters[-1].keep
        self._place = place
        self._names = [term for _, term in match.terms]

    def execute(self, relation: Relation, meter: Meter) -> Relation:
        """Return the rows after this step, over at most the variables of `keep`."""
        # Nothing of the pattern is known yet, and the constants are: rows that fail need not be made.
        source = self.match.source
        if relation.count == 1 and relation.columns.keys().isdisjoint(self._names):
            few = self._few(relation)
            if few is not None:
                meter.spend(few.count, self.form)
                return few
            extent = source.extent(self.match.key)
            if isinstance(extent, Extent):
                rows = self._rows(extent, relation)
                if rows is not None:
                    meter.spend(len(rows), self.form)
                    return self._made(extent, rows, relation)
        relation = self.match.execute(relation, meter)
        for step in self.filters:
            if relation.count:
                relation = step.execute(relation, meter)
        return relation.keep(self.keep)

    def _few(self, relation: Relation) -> Relation | None:
        """Return the rows that pass, by the order of values, if that is the cheapest."""
        source = self.match.source
        if not isinstance(source, DatabaseSource) or self.match.width > 3:
            return None
        bounds = [self._bound(step, relation) for step in self.filters]
        if any(bound & 1 for _, bound in bounds):
            return None
        low, high = interval((name, bound >> 1) for name, bound in bounds)
        rows = source.few_between(self.match.key, low, high)
        return (
            None if rows is None else self._made(Extent(source.database, rows, {}), None, relation)
        )

    def _bound(self, step: Compute, relation: Relation) -> tuple[str, int]:
        """Return a comparison as one of the pattern's value with an id."""
        name, (left, right) = step.clause.function, step.arguments
        if is_variable(right) and right in self._names:
            name, right = FLIPPED[name], left
        return name, int(column_of(right, relation)[0])

    def _rows(self, extent: Extent, relation: Relation) -> Rows | None:
        """Return the rows that pass; None if some values have to be looked at one by one."""
        rows: Rows | None = None
        for step in self.filters:
            name, bound = self._bound(step, relation)
            if rows is None:
                rows = extent.rows_where(self._place, name, bound)
                if rows is None:
                    return None
            elif bound & 1:
                return None
            else:
                values = extent.column(self._place)[rows]
                rows = rows[vectors.COMPARE[name](values, np.full(len(values), bound))]
        return rows

    def _made(self, extent: Extent, rows: Rows | None, relation: Relation) -> Relation:
        count = extent.count if rows is None else len(rows)
        columns = {
            name: np.full(count, column[0])
            for name, column in relation.columns.items()
            if name in self.keep
        }
        for place, name in self.match.terms:
            if name in self.keep:
                assert isinstance(name, Symbol), name
                columns[name] = _at(extent, place, rows)
        apart = self.match.tells_rows_apart(extent) and self.keep.issuperset(self._names)
        return Relation(columns, count, is_distinct=apart)


FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def interval(comparisons: Iterable[tuple[str, int]]) -> tuple[int, int]:
    """Return the least and the greatest integer for which all comparisons hold."""
    low, high = -INLINE_BOUND, INLINE_BOUND
    for name, bound in comparisons:
        match name:
            case "<":
                high = min(high, bound - 1)
            case "<=":
                high = min(high, bound)
            case ">":
                low = max(low, bound + 1)
            case _:
                low = max(low, bound)
    return low, high


def merged(steps: Sequence[Step]) -> list[Step]:
    """Return the same plan with comparisons done where the facts are read, if they come right behind it."""
    made: list[Step] = []
    place = 0
    while place < len(steps):
        step = steps[place]
        place += 1
        if isinstance(step, Match):
            first = place
            while place < len(steps) and _compares(steps[place], step):
                place += 1
            if place > first:
                filters = [part for part in steps[first:place] if isinstance(part, Compute)]
                value = next(p for p, term in step.terms if term in filters[0].arguments)
                made.append(Ranged(step, filters, value))
                continue
        made.append(step)
    return made


def _compares(step: Step, match: Match) -> bool:
    """Return whether a step compares the value that a pattern reads with what is known before it."""
    if not isinstance(step, Compute) or step.clause.binding is not None:
        return False
    if step.clause.function not in FLIPPED or len(step.arguments) != 2:
        return False
    if not isinstance(match.source, DatabaseSource):
        return False
    names = [term for _, term in match.terms]
    read = [term for term in step.arguments if term in names]
    return len(read) == 1 and names.count(read[0]) == 1 and (2, read[0]) in match.terms


class Delta(LookUp):
    """The rows of a table that are new in this round; the first step of its plan."""

    window: tuple[int, int] = (0, 0)

    def execute(self, relation: Relation, meter: Meter) -> Relation:
        """Return the rows after this step, over at most the variables of `keep`."""
        start, end = self.window
        whole = self.table()
        columns = [whole.column(place)[start:end] for place in range(whole.arity)]
        return self.join(relation, Table.of(columns, end - start), meter)


class Whole(Protocol):
    """Gives all answers of a rule, or None."""

    def __call__(self, *, eager: bool) -> Table | None:
        """Return them if they are there, or, if `eager`, can be had without too much work."""


class DemandCall:
    """A call of a rule some of whose arguments are bound: tell it those of all rows, then join with its answers."""

    def __init__(
        self,
        answer: Callable[[list[Ids], int], Table],
        whole: Whole,
        places: Sequence[int],
        terms: Sequence[Term],
        form: object,
        keep: Keep,
    ) -> None:
        self.answer = answer
        self.whole = whole
        self.places = places
        self.terms = terms
        self.form = form
        self.keep = keep
        self.lookup = LookUp(lambda: Table(0), terms, form, keep)

    def execute(self, relation: Relation, meter: Meter) -> Relation:
        """Return the rows after this step, over at most the variables of `keep`."""
        whole = self.whole(eager=False)
        if whole is not None:
            return self.lookup.join(relation, whole, meter)
        columns = [column_of(self.terms[place], relation) for place in self.places]
        rows = distinct_rows(columns)
        table = self.answer([column[rows] for column in columns], len(rows))
        return self.lookup.join(relation, table, meter)


class Without:
    """Rows for which a body has no answer."""

    def __init__(
        self, steps: Sequence[Step], shared: Sequence[Symbol], form: object, keep: Keep
    ) -> None:
        self.steps = steps
        self.shared = list(shared)
        self.form = form
        self.keep = keep

    def execute(self, relation: Relation, meter: Meter) -> Relation:
        """Return the rows after this step, over at most the variables of `keep`."""
        found = run(self.steps, relation.distinct(self.shared), meter)
        if not found.count:
            return relation.keep(self.keep)
        if not self.shared:
            return relation.take(np.empty(0, np.int64)).keep(self.keep)
        table = Table.of([found.columns[name] for name in self.shared])
        keys = [relation.columns[name] for name in self.shared]
        probe, _ = table.probe(tuple(range(len(self.shared))), keys, meter.of(self.form))
        mask = np.ones(relation.count, np.bool_)
        mask[probe] = False
        return relation.keep(self.keep).take(mask)


class Compute:
    """A function or predicate on every row."""

    def __init__(self, clause: Apply, source: DatabaseSource | None, keep: Keep) -> None:
        self.clause = clause
        self.form = clause.form
        self.keep = keep
        self.source = source
        self.arguments = clause.arguments if source is None else clause.arguments[1:]

    def execute(self, relation: Relation, meter: Meter) -> Relation:
        """Return the rows after this step, over at most the variables of `keep`."""
        meter.spend(relation.count, self.form)
        columns = [column_of(term, relation) for term in self.arguments]
        binding = self.clause.binding
        if self.source is None:
            if binding is None:
                mask = vectors.predicate(self.clause.function, columns)
                if mask is not None:
                    return relation.keep(self.keep).take(mask)
            elif isinstance(binding, BindScalar):
                made = vectors.function(self.clause.function, columns, relation.count)
                if made is not None:
                    return self.bind_column(relation, binding.term, made)
        results = self.results(columns, relation.count, meter)
        if binding is None:
            mask = np.fromiter(
                (r is not None and r is not False for r in results), np.bool_, relation.count
            )
            return relation.keep(self.keep).take(mask)
        if isinstance(binding, BindScalar):
            if self.clause.function in ("get-some",):
                some = np.fromiter((r is not None for r in results), np.bool_, relation.count)
                relation = relation.take(some)
                results = [r for r in results if r is not None]
            return self.bind_column(relation, binding.term, self.ids(results))
        return self.bind_rows(relation, binding, results, meter)

    def results(self, columns: list[Ids], count: int, meter: Meter) -> list[object]:
        """Return the function's value for every row; asks for the time now and then."""
        if count <= FUNCTION_ROWS_MAX:
            return self.apply(columns, count, meter)
        made: list[object] = []
        for start in range(0, count, FUNCTION_ROWS_MAX):
            part = [column[start : start + FUNCTION_ROWS_MAX] for column in columns]
            made.extend(self.apply(part, min(FUNCTION_ROWS_MAX, count - start), meter))
            meter.spend(0, self.form)
        return made

    def apply(self, columns: list[Ids], count: int, meter: Meter) -> list[object]:
        """Return the function's value for every row."""
        try:
            function = self.function()
            if not columns:
                return [function() for _ in range(count)]
            given = [values_of(column) for column in columns]
            if meter.pay is not None:
                meter.pay(FUNCTION_WORK * count + sum(map(bytes_of, given)) // WORK_BYTES)
            rows = zip(*given, strict=True)
            if meter.memory is None or self.clause.function in CLOSED_FUNCTIONS:
                return [function(*row) for row in rows]
            return self.weighed(function, rows, meter)
        except FunctionError as error:
            raise QueryError("query/function", str(error), self.form) from error
        except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            message = f"{self.clause.function} does not take this: {error}"
            raise QueryError("query/function", message, self.form) from error
        except (AttributeForbidden, BudgetExceeded):
            raise
        except DatomstoreError as error:  # a lookup ref of an attribute that is not unique
            raise QueryError("query/function", str(error), self.form) from error

    def weighed(
        self, function: Callable[..., object], rows: Iterator[tuple[object, ...]], meter: Meter
    ) -> list[object]:
        """Return the function's value for every row, a few at a time: their bytes count before there are more."""
        made: list[object] = []
        while part := [function(*row) for row in islice(rows, WEIGHED_ROWS)]:
            meter.hold(bytes_of(part), self.form)
            made += part
        return made

    def function(self) -> Callable[..., object]:
        """Return the function; those of a source have it bound."""
        source = self.source
        if source is None:
            return FUNCTIONS[self.clause.function]
        if self.clause.function == "fulltext":
            return lambda a, text: search(source.database, a, text)
        if self.clause.function == "derived":
            return lookup_in(source.database)
        if self.clause.function == "ordered":
            return source.ordered
        if self.clause.function == "missing?":
            return lambda e, a: not source.entity_attribute(e, a)
        if self.clause.function == "get-else":
            return lambda e, a, default: next(iter(source.entity_attribute(e, a)), default)
        return lambda e, *attributes: next(
            ((a, v) for a in attributes for v in source.entity_attribute(e, a)), None
        )

    def ids(self, values: list[object]) -> Ids:
        """Return values as a column. Raises QueryError for what is no value."""
        try:
            return intern_many(values)
        except (TypeError, RecursionError) as error:
            raise QueryError("query/function", str(error), self.form) from error

    def bind_column(self, relation: Relation, term: Term, made: Ids) -> Relation:
        """Return the relation with a new column, or filtered if the term is bound."""
        if isinstance(term, Constant):
            return relation.keep(self.keep).take(made == intern(term.value))
        if term in relation.columns:
            return relation.keep(self.keep).take(made == relation.columns[term])
        columns = {name: c for name, c in relation.columns.items() if name in self.keep}
        kept = relation.is_distinct and len(columns) == len(relation.columns)
        if term in self.keep:
            columns[term] = made
        return Relation(columns, relation.count, is_distinct=kept)

    def bind_rows(
        self, relation: Relation, binding: Binding, results: list[object], meter: Meter
    ) -> Relation:
        """Return the relation joined with what a binding form makes of each result."""
        numbers: list[int] = []
        made: list[dict[Symbol, int]] = []
        for number, result in enumerate(results):
            if result is None and self.clause.function == "get-some":
                continue
            unfolded = unfold(binding, result, self.form, meter, lenient=self.clause.lenient)
            numbers.extend([number] * len(unfolded))
            made.extend(unfolded)
        rows = np.array(numbers, np.int64)
        relation = relation.take(rows)
        names = list(made[0]) if made else []
        mask = np.ones(len(rows), np.bool_)
        columns = dict(relation.columns)
        for name in names:
            column = np.array([row[name] for row in made], np.int64)
            if name in columns:
                mask &= column == columns[name]
            else:
                columns[name] = column
        return Relation(columns, len(rows)).keep(self.keep).take(mask)


def column_of(term: Term, relation: Relation) -> Ids:
    """Return the column of a variable, or a constant as a column."""
    if isinstance(term, Constant):
        return np.full(relation.count, intern(term.value), np.int64)
    return relation.columns[term]


def unfold(
    binding: Binding, value: object, form: object, meter: Meter, *, lenient: bool = False
) -> list[dict[Symbol, int]]:
    """Return the rows that a binding form makes of a value. Raises QueryError if it does not fit."""
    if isinstance(binding, BindScalar):
        return _scalar(binding, value, form)
    if isinstance(value, (Map, dict)):
        value = tuple(value.items())
    if isinstance(binding, BindCollection):
        if value is None:
            return []
        if not isinstance(value, (tuple, list, Set, set, frozenset)):
            raise QueryError("query/binding", "a collection binding of what is no collection", form)
        meter.spend(len(value), form)
        return [
            row
            for item in value
            for row in unfold(binding.item, item, form, meter, lenient=lenient)
        ]
    if not isinstance(value, (tuple, list)) or len(value) < len(binding.items):
        if lenient:
            return []
        raise QueryError(
            "query/binding", f"{len(binding.items)} items are bound, there are fewer", form
        )
    rows: list[dict[Symbol, int]] = [{}]
    for item, part in zip(binding.items, value, strict=False):
        more = unfold(item, part, form, meter, lenient=lenient)
        if len(rows) * len(more) > BINDING_ROWS_MAX:
            raise BudgetExceeded(f"more than {BINDING_ROWS_MAX} rows of one binding", form)
        meter.spend(len(rows) * len(more), form)
        rows = [
            row | extra
            for row in rows
            for extra in more
            if all(row.get(name, found) == found for name, found in extra.items())
        ]
    return rows


def _scalar(binding: BindScalar, value: object, form: object) -> list[dict[Symbol, int]]:
    term = binding.term
    if term is BLANK:
        return [{}]
    try:
        found = intern(value)
    except (TypeError, RecursionError) as error:
        raise QueryError("query/binding", str(error), form) from error
    if isinstance(term, Constant):
        return [{}] if found == intern(term.value) else []
    return [{term: found}]


def is_bound(term: Term, names: Collection[Symbol]) -> bool:
    """Return whether a term has a value once these variables have."""
    return isinstance(term, Constant) or (is_variable(term) and term in names)
