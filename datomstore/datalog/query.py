"""Queries answered: `q`, `explain`, and `derive` for programs of rules.

Is:     inputs bound, the body planned and run; parsed queries and checked programs are kept.
Is not: parsing, planning, joining or the shape of results, which it calls.
Fits:   the package's front door.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from datomstore.database import Database
from datomstore.datalog._kernel import Table
from datomstore.datalog.aggregates import Aggregator, aggregate_of
from datomstore.datalog.budget import Budget, Meter, Overrun
from datomstore.datalog.check import Program
from datomstore.datalog.cyclic import Cyclic
from datomstore.datalog.errors import QueryError, text_of
from datomstore.datalog.limits import (
    JOIN_ROWS_MAX,
    PAIRED_PART,
    PARSED_MAX,
    PATIENCE_GROWTH,
    PATIENCE_PART,
    PATIENCE_ROWS_MIN,
    PLANS_MAX,
)
from datomstore.datalog.parse import parse_query, parse_rules
from datomstore.datalog.plan import Planner
from datomstore.datalog.pull_pattern import PullPattern, parse_pattern
from datomstore.datalog.references import resolved
from datomstore.datalog.relation import Relation
from datomstore.datalog.results import Column, Given, column_of, columns_of, set_of, shaped
from datomstore.datalog.rules import Evaluation
from datomstore.datalog.sources import DatabaseSource, Source, source_of
from datomstore.datalog.steps import Step, merged, run, unfold
from datomstore.datalog.syntax import (
    DEFAULT_SOURCE,
    RULES,
    BindCollection,
    Binding,
    BindScalar,
    Call,
    Clause,
    Not,
    Pattern,
    Query,
    Rules,
    binding_variables,
    is_source,
    is_variable,
)
from datomstore.datalog.views import NO_VIEWS, Views, views_of
from datomstore.intern import Ids, intern_many, values_of
from datomstore.value import Map, Set, Symbol

NO_RULES = Rules()
UNIT = Relation.unit()
FAILURES = frozenset({"query/function", "query/binding"})


class _Cache:
    """Results by text, or by identity of an immutable value, which is kept with its result."""

    def __init__(self) -> None:
        self._entries: OrderedDict[object, tuple[object, object]] = OrderedDict()
        self._lock = Lock()

    def get(self, *parts: object) -> object | None:
        with self._lock:
            key = _key(parts)
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)  # what is longest unused goes first
            return found[1]

    def put(self, result: object, *parts: object) -> None:
        with self._lock:
            self._entries[_key(parts)] = (parts, result)
            if len(self._entries) > PARSED_MAX:
                self._entries.popitem(last=False)


def _key(parts: tuple[object, ...]) -> object:
    return tuple(part if isinstance(part, str) else id(part) for part in parts)


_queries, _rules, _programs = _Cache(), _Cache(), _Cache()


def parse(query: object) -> Query:
    """Return a parsed query; texts and immutable values are parsed once. Raises QueryError."""
    if isinstance(query, Query):
        return query
    found = _queries.get(query)
    if found is None:
        found = parse_query(query)
        if _is_fixed(query):
            _queries.put(found, query)
    assert isinstance(found, Query), found
    return found


def rules_of(rules: object) -> Rules:
    """Return parsed rules; texts and immutable values are parsed once. Raises QueryError."""
    if isinstance(rules, Rules):
        return rules
    found = _rules.get(rules)
    if found is None:
        found = parse_rules(rules)
        if _is_fixed(rules):
            _rules.put(found, rules)
    assert isinstance(found, Rules), found
    return found


def _is_fixed(source: object) -> bool:
    return isinstance(source, (str, tuple, Map))


def _program(query: Query, given: _Inputs) -> Program:
    rules, views = given.rules, _views(given.sources)
    found = _programs.get(query, rules, views)
    if found is None:
        bound = {
            n
            for item in query.inputs
            if not isinstance(item, Symbol)
            for n in binding_variables(item)
        }
        found = Program(query.where, [*query.variables(), *query.with_], bound, rules, views)
        _programs.put(found, query, rules, views)
    assert isinstance(found, Program), found
    return found


def _views(sources: Mapping[Symbol, Source]) -> Views:
    """Return the derived attributes of all databases of a query."""
    found = [
        source.database.schema.views
        for source in sources.values()
        if isinstance(source, DatabaseSource) and source.database.schema.views
    ]
    return views_of(frozenset().union(*found)) if found else NO_VIEWS


def q(
    query: object,
    *inputs: object,
    budget: Budget | None = None,
    seed: int | None = None,
    written: bool = False,
) -> Any:
    """Return a query's answer: a Set of tuples, or what the shape of its :find asks for.

    Args:
        query: text, a vector or a map, or a parsed query.
        inputs: in the order of :in; databases and relations for `$`, rules for `%`.
        budget: how much it may do.
        seed: of the chance in `rand` and `sample`, which are refused without.
        written: answer clauses in the order in which they are written, to compare with the planned one.

    Raises:
        QueryError: refused, or a function failed; BudgetExceeded.
    """
    meter = Meter(budget)
    try:
        parsed = parse(query)
        try:
            return _answer(parsed, inputs, meter, seed, cautious=written)
        except QueryError as error:
            # A clause further on may have been written to keep such values away from the function.
            if error.code not in FAILURES:
                raise
        return _answer(parsed, inputs, meter, seed, cautious=True)
    except RecursionError:
        raise too_deep() from None


def columns(query: object, *inputs: object, budget: Budget | None = None) -> tuple[Column, ...]:
    """Return a query's rows as columns, one for each variable of :find: no tuple is made, and no integer boxed.

    A column of integers below 2**61 is an array of int64, any other a list of values. The rows are distinct.

    Raises:
        QueryError: as `q`; also for a :find of more than variables.
    """
    meter = Meter(budget)
    with bounded_depth():
        parsed = parse(query)
        if parsed.shape != "relation" or not all(isinstance(e, Symbol) for e in parsed.find):
            raise QueryError("query/syntax", "columns are of variables", parsed.form)
        try:
            return _columns(parsed, inputs, meter, cautious=False)
        except QueryError as error:
            if error.code not in FAILURES:
                raise
        return _columns(parsed, inputs, meter, cautious=True)


def _columns(
    query: Query, inputs: Sequence[object], meter: Meter, *, cautious: bool
) -> tuple[Column, ...]:
    plan = _plan(query, inputs, meter, cautious=cautious)
    found = columns_of(query, _run(plan, meter))
    _keep(plan)
    return found


@contextmanager
def bounded_depth() -> Iterator[None]:
    """Turn what is nested too deeply into a QueryError."""
    try:
        yield
    except RecursionError:
        raise too_deep() from None


def too_deep() -> QueryError:
    """Return the error of what is nested too deeply."""
    return QueryError("query/depth", "rules or values nested too deeply")


class StepReport(NamedTuple):
    """What one clause of a query did: rows it has by itself as estimated, rows after it, and how long it took."""

    clause: str
    estimated: int | None
    rows: int
    milliseconds: float


def explain(
    query: object, *inputs: object, budget: Budget | None = None, written: bool = False
) -> tuple[StepReport, ...]:
    """Answer a query and return what each clause did, in the order in which they were answered. Raises QueryError.

    `written`: in the order in which they are written, to compare.
    """
    meter = Meter(budget)
    reports: list[StepReport] = []
    with bounded_depth():
        plan = _plan(parse(query), inputs, meter, cautious=written)
        relation = plan.relation
        parts = iter(plan.ordered)
        for step in plan.plain:
            for clause, estimated, taken in _taken(step, parts, relation, plan.planner, meter):
                started = perf_counter()
                relation = taken.execute(relation, meter) if relation.count else relation
                passed = (perf_counter() - started) * 1_000
                reports.append(StepReport(clause, estimated, relation.count, passed))
    return tuple(reports)


_Taken = tuple[str, int | None, Step]


def _taken(
    step: Step, parts: Iterator[Clause], relation: Relation, planner: Planner, meter: Meter
) -> list[_Taken]:
    """Return the steps that one of a plan comes to, with their clauses and the rows expected of these."""
    if not isinstance(step, Cyclic):
        return [_expected(step, next(parts), planner)]
    clauses = [next(parts) for _ in step.pairwise]
    chosen = step.chosen(relation, meter)
    if chosen is step.pairwise:
        return [_expected(*pair, planner) for pair in zip(chosen, clauses, strict=True)]
    found: list[_Taken] = [(text_of(step.form), step.core.bound(), chosen[0])]
    return found + [(text_of(taken.form), None, taken) for taken in chosen[1:]]


def _expected(step: Step, clause: Clause, planner: Planner) -> _Taken:
    estimated = planner.size(clause) if isinstance(clause, (Pattern, Call)) else None
    return text_of(clause.form), estimated, step


class _Plan(NamedTuple):
    """A query that is ready to run; without its inputs, it can run again on the same sources.

    One that calls rules has their tables, so it is kept only while it does not run.
    """

    evaluation: Evaluation
    planner: Planner
    relation: Relation
    ordered: list[Clause]
    plain: list[Step]  # one for each clause, but for those that form a cycle
    steps: list[Step]
    wanted: list[Symbol]
    patience: int = 0  # rows that they may make before the written order is tried
    written: list[Step] | None = None  # if it is another one
    place: tuple[dict[object, object], object] | None = None  # where it is kept after it has run


def _run(plan: _Plan, meter: Meter) -> Relation:
    """Return the rows that a plan finds.

    An order is planned by guesses. Where they were far off, the written order gets as many rows, then the planned one
    some times more, and so on: so planning never costs more than a small multiple of the written order.
    """
    if plan.written is None:
        return run(plan.steps, plan.relation, meter)
    before, patience = meter.rows, plan.patience
    while patience < JOIN_ROWS_MAX:
        for steps in (plan.steps, plan.written):
            try:
                with meter.within(patience):
                    return run(steps, plan.relation, meter)
            except Overrun:
                meter.rows = before  # what was too much was not made
        patience *= PATIENCE_GROWTH
    return run(plan.steps, plan.relation, meter)


def _answer(
    query: Query, inputs: Sequence[object], meter: Meter, seed: int | None, *, cautious: bool
) -> object:
    plan = _plan(query, inputs, meter, cautious=cautious)
    found = _run(plan, meter)
    if query.shape == "relation" and not query.keys and query.finds_variables:
        made: object = set_of(query, found, plan.wanted, meter)
    else:
        sources, aggregates = plan.planner.answers.sources, _aggregates(query, inputs)
        given = Given(sources, _patterns(query, inputs), aggregates, seed, meter)
        made = shaped(query, found, plan.wanted, given)
    del found  # it may look at the tables of rules
    _keep(plan)
    return made


def _keep(plan: _Plan) -> None:
    """Keep a plan that has tables of rules, once it has run."""
    if plan.place is not None and plan.evaluation.end():
        kept, key = plan.place
        _put(kept, key, plan._replace(relation=UNIT))


def _put(kept: dict[object, object], key: object, plan: _Plan) -> None:
    if len(kept) >= PLANS_MAX:
        kept.clear()
    kept[key] = plan


def _patterns(query: Query, inputs: Sequence[object]) -> dict[Symbol, PullPattern]:
    """Return the pull patterns among the inputs by their names."""
    return {
        item: parse_pattern(value)
        for item, value in zip(query.inputs, inputs, strict=True)
        if isinstance(item, Symbol) and item in query.patterns
    }


def _aggregates(query: Query, inputs: Sequence[object]) -> dict[Symbol, Aggregator]:
    """Return the aggregates among the inputs by their names."""
    return {
        item: aggregate_of(value)
        for item, value in zip(query.inputs, inputs, strict=True)
        if isinstance(item, Symbol) and item in query.aggregates
    }


def _plan(query: Query, inputs: Sequence[object], meter: Meter, *, cautious: bool) -> _Plan:
    given = _given(query, inputs)
    key = None if given.kept is None else (query, given.rules, cautious, *given.sources.values())
    if given.kept is not None:
        found = given.kept.get(key)
        if isinstance(found, _Plan) and found.place is not None:
            found = given.kept.pop(key, None)  # unless another thread was faster
        if found is not None:
            assert isinstance(found, _Plan), found
            if found.place is not None:
                found.evaluation.begin(meter)
            return found._replace(relation=_bound(query, given, meter))
    program = _program(query, given)
    evaluation = Evaluation(program, given.sources, meter, cautious=cautious)
    relation = _bound(query, given, meter)
    wanted = list(dict.fromkeys([*query.variables(), *query.with_]))
    visible = {*wanted, *relation.columns}
    planner = Planner(evaluation, DEFAULT_SOURCE)
    ordered = planner.order(program.where, relation.columns, visible)
    steps = planner.steps(ordered, relation.columns, wanted, visible)
    plan = _Plan(evaluation, planner, relation, ordered, steps, merged(steps), wanted)
    if not cautious and not any(map(_calls, ordered)):
        written = planner.written(program.where, relation.columns, visible)
        if written != ordered:
            others = planner.steps(written, relation.columns, wanted, visible, pairwise=True)
            facts = sum(planner.size(part) for part in ordered if isinstance(part, Pattern))
            part = PATIENCE_PART
            if any(isinstance(step, Cyclic) for step in steps):  # it tries another way by itself
                part += PAIRED_PART
            patience = max(PATIENCE_ROWS_MIN, part * (facts + relation.count))
            plan = plan._replace(patience=patience, written=merged(others))
    if given.kept is not None:
        if any(map(_calls, ordered)):
            return plan._replace(place=(given.kept, key))
        _put(given.kept, key, plan._replace(relation=UNIT))
    return plan


def _calls(clause: Clause) -> bool:
    """Return whether a clause needs answers of rules, which belong to one run."""
    if isinstance(clause, Not):
        return any(map(_calls, clause.body))
    return isinstance(clause, Call)


class _Inputs(NamedTuple):
    """What the caller gave, by kind."""

    sources: dict[Symbol, Source]
    rules: Rules
    bindings: list[tuple[Binding, object]]
    kept: (
        dict[object, object] | None
    )  # where plans for these sources are kept, if they all are databases


def _given(query: Query, inputs: Sequence[object]) -> _Inputs:
    if len(inputs) != len(query.inputs):
        raise QueryError(
            "query/input",
            f"{len(query.inputs)} inputs are named in :in, {len(inputs)} are given",
            query.form,
        )
    sources: dict[Symbol, Source] = {}
    rules = NO_RULES
    bindings: list[tuple[Binding, object]] = []
    kept: dict[object, object] | None = None
    passing = False
    for item, value in zip(query.inputs, inputs, strict=True):
        if item is RULES:
            rules = rules_of(value)
        elif is_source(item):
            source = sources[item] = source_of(value)
            if isinstance(source, DatabaseSource):
                kept = source.plans if kept is None else kept
            else:
                passing = True
        elif not isinstance(item, Symbol):
            bindings.append((item, value))
    return _Inputs(sources, rules, bindings, None if passing else kept)


def _bound(query: Query, given: _Inputs, meter: Meter, *, resolving: bool = True) -> Relation:
    """Return the relation of the inputs' variables."""
    relation = UNIT
    for binding, value in given.bindings:
        made = _input(binding, value, query, meter)
        relation = made if relation is UNIT else _product(relation, made, meter, query)
    if resolving and relation.columns:
        return resolved(relation, query.where, given.sources)
    return relation


def start(
    query: Query,
    inputs: Sequence[object],
    meter: Meter,
    *,
    cautious: bool = False,
    resolving: bool = True,
) -> tuple[Evaluation, Relation]:
    """Return the evaluation of a query's program and the relation of its inputs' variables. Raises QueryError."""
    given = _given(query, inputs)
    program = _program(query, given)
    relation = _bound(query, given, meter, resolving=resolving)
    return Evaluation(program, given.sources, meter, cautious=cautious), relation


def _input(binding: Binding, value: object, query: Query, meter: Meter) -> Relation:
    if isinstance(binding, BindScalar) and isinstance(value, list):
        value = tuple(value)
    if isinstance(binding, BindCollection) and not isinstance(value, (tuple, list, Set, Mapping)):
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise QueryError("query/input", "a collection is wanted", query.form)
        value = list(value)
    if isinstance(binding, BindScalar) and is_variable(binding.term):
        return Relation({binding.term: _ids([value], query)}, 1)
    if (
        isinstance(binding, BindCollection)
        and isinstance(binding.item, BindScalar)
        and is_variable(binding.item.term)
        and isinstance(value, (tuple, list))
    ):
        meter.spend(len(value), query.form)
        return Relation({binding.item.term: _ids(value, query)}, len(value))
    rows = unfold(binding, value, query.form, meter)
    names = sorted(binding_variables(binding))
    columns = {name: np.array([row[name] for row in rows], np.int64) for name in names}
    return Relation(columns, len(rows))


def _ids(values: Sequence[object], query: Query) -> Ids:
    """Return values as a column. Raises QueryError for what is no value."""
    try:
        return intern_many(values)
    except (TypeError, RecursionError) as error:
        raise QueryError("query/input", str(error), query.form) from error


def _product(left: Relation, right: Relation, meter: Meter, query: Query) -> Relation:
    meter.spend(left.count * right.count, query.form)
    columns = {name: np.repeat(column, right.count) for name, column in left.columns.items()}
    for name, column in right.columns.items():
        columns[name] = np.tile(column, left.count)
    return Relation(columns, left.count * right.count)


def derive(
    rules: object,
    names: Iterable[str],
    source: Database | Iterable[tuple[object, ...]],
    *,
    budget: Budget | None = None,
) -> dict[str, list[tuple[Any, ...]]]:
    """Return all answers of some rules, each rule of the program evaluated once.

    Raises:
        QueryError: as `q`; also for a rule that needs arguments.
    """
    with bounded_depth():
        return _derived(rules_of(rules), tuple(names), source_of(source), Meter(budget))


def derive_columns(
    rules: object, names: Iterable[str], source: Database, *, budget: Budget | None = None
) -> dict[str, tuple[Column, ...]]:
    """Return all answers of some rules as columns, see `columns`. Raises QueryError as `derive`."""
    with bounded_depth():
        tables = _tables(rules_of(rules), tuple(names), source_of(source), Meter(budget))
        return {
            name: tuple(column_of(table.column(place)) for place in range(table.arity))
            for name, table in tables
        }


def _derived(
    rules: Rules, wanted: tuple[str, ...], source: Source, meter: Meter
) -> dict[str, list[tuple[object, ...]]]:
    answers: dict[str, list[tuple[Any, ...]]] = {}
    for name, table in _tables(rules, wanted, source, meter):
        columns = [values_of(table.column(place)) for place in range(table.arity)]
        answers[name] = list(zip(*columns, strict=True))
    return answers


def _tables(
    rules: Rules, wanted: tuple[str, ...], source: Source, meter: Meter
) -> list[tuple[str, Table]]:
    program = _derivation(rules, wanted)
    for name in wanted:
        if program.required[name]:
            raise QueryError("query/unbound", f"rule {name} needs arguments")
    try:
        return _completed(program, wanted, source, meter, cautious=False)
    except QueryError as error:
        # A clause further on may have been written to keep such values away from the function.
        if error.code not in FAILURES:
            raise
    return _completed(program, wanted, source, meter, cautious=True)


def _completed(
    program: Program, wanted: tuple[str, ...], source: Source, meter: Meter, *, cautious: bool
) -> list[tuple[str, Table]]:
    sources = {DEFAULT_SOURCE: source}
    evaluation = Evaluation(program, sources, meter, whole=True, cautious=cautious)
    found = [(name, evaluation.complete(name, DEFAULT_SOURCE)) for name in wanted]
    evaluation.let_go()
    return found


def _derivation(rules: Rules, names: tuple[str, ...]) -> Program:
    key = "\0".join(names)
    found = _programs.get(key, rules)
    if found is None:
        calls = []
        for name in names:
            if name not in rules.by_name:
                raise QueryError("query/unknown-rule", f"no rule {name}")
            first = rules.by_name[name][0]
            calls.append(Call(DEFAULT_SOURCE, name, first.parameters, first.form))
        found = Program(calls, (), (), rules)
        _programs.put(found, key, rules)
    assert isinstance(found, Program), found
    return found
