"""Queries that are followed: what each transaction adds to their answers and takes away.

Is:     `follow`, and the subscription it returns; the answers' counts of derivations.
Is not: how changes are found: from the changed facts by `delta` where that can be, else by asking again.
Fits:   a listener of a stream (`datomstore.streams`); it runs in the thread that commits, after the commit.

Asking again is for recursive rules, pulls, full text, and where counting derivations would take more than the budget. It
is done only if the transaction has facts of attributes that the query reads. It is done once, too, when the schema has
changed, when an ident or a lookup ref that stands in the query names another entity, after an excision, and where a
function failed.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from threading import RLock
from typing import NamedTuple, Protocol

import numpy as np

from datomstore.database import Database
from datomstore.datalog._columns import Counts
from datomstore.datalog.budget import Budget, Meter
from datomstore.datalog.check import Program
from datomstore.datalog.delta.bodies import Derivations, Row
from datomstore.datalog.delta.closure import Closure
from datomstore.datalog.delta.reads import attributes_read, names_read, naming, touches
from datomstore.datalog.delta.refusal import NotTold, refused
from datomstore.datalog.delta.transaction import Transaction
from datomstore.datalog.delta.view import View
from datomstore.datalog.errors import BudgetExceeded, QueryError
from datomstore.datalog.groups import Answer, Groups
from datomstore.datalog.limits import CLOSURE_ROWS_MIN, CLOSURE_ROWS_TIMES
from datomstore.datalog.query import FAILURES, bounded_depth, parse, q, start
from datomstore.datalog.references import depends_on_names, resolved
from datomstore.datalog.relation import Relation
from datomstore.datalog.sources import Source
from datomstore.datalog.syntax import DEFAULT_SOURCE, Aggregate, Pull
from datomstore.intern import intern, value_of, values_of_rows
from datomstore.schema import Schema
from datomstore.value import EXACT_TYPES, Set, Symbol, hash_key


class Change(NamedTuple):
    """What transaction t did to a query's answers, as rows of :find; after an `error` there are no more changes."""

    t: int
    added: Set
    removed: Set
    error: QueryError | None = None


class Report(Protocol):
    """What is to be known of a transaction: a TxReport, or what is shown of one."""

    @property
    def t(self) -> int:
        """Return its number."""

    @property
    def rewrites(self) -> bool:
        """Return whether it is an excision."""

    @property
    def schema(self) -> Schema:
        """Return the schema after it."""

    @property
    def attributes(self) -> set[int]:
        """Return the ids of the attributes of its facts."""

    @property
    def db_before(self) -> Database:
        """Return the database before it."""

    @property
    def db_after(self) -> Database:
        """Return the database after it."""


class Followed(Protocol):
    """What can be followed: a stream."""

    def db(self) -> Database:
        """Return the current database value."""

    def listen(self, listener: Callable[[Report], None], /) -> Callable[[], None]:
        """Call `listener` with every transaction's report, in their order; return how to stop it."""


class Subscription:
    """A query that is followed. `first` are its rows when it began, `t` is the transaction it has seen.

    `incremental` says whether its changes are told from the changed facts; `how` says it in words, with the reason.
    """

    def __init__(
        self,
        query: object,
        stream: Followed,
        callback: Callable[[Change], None],
        inputs: tuple[object, ...],
        budget: Budget | None,
    ) -> None:
        parsed = parse(query)
        if DEFAULT_SOURCE not in parsed.inputs:
            raise QueryError("query/input", "a query that is followed reads $", parsed.form)
        if parsed.aggregates:
            raise QueryError(
                "query/input", "a query that is followed has no own aggregates", parsed.form
            )
        self._query = replace(parsed, shape="relation", keys=())
        names = parsed.variables()
        if any(isinstance(element, Aggregate) for element in parsed.find):
            names += parsed.with_  # without an aggregate, what differs only in these is one row
        self._wanted = list(dict.fromkeys(names))
        self._places = tuple(self._wanted.index(name) for name in parsed.variables())
        self._place = parsed.inputs.index(DEFAULT_SOURCE)
        self._inputs = inputs
        self._budget = budget
        self._callback = callback
        self._lock = RLock()
        self._waiting: deque[Report] | None = deque()  # None once the first answers are there
        self._closes = False  # whether there is a closure where facts are only added
        self._stop = stream.listen(self._committed)
        try:
            database = stream.db()
            self.t = database.basis_t
            self.first = self._begin(database)
            self._catch_up()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Follow no further."""
        stop, self._stop = self._stop, _nothing
        stop()

    @property
    def incremental(self) -> bool:
        """Return whether changes are told from the changed facts alone."""
        return self._view is not None

    def _catch_up(self) -> None:
        """Take the transactions that were committed meanwhile."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
            for report in waiting or ():
                self._committed(report)

    def _given(self, database: Database) -> tuple[object, ...]:
        return (*self._inputs[: self._place], database, *self._inputs[self._place :])

    def _asked(self, database: Database) -> Set:
        found = q(self._query, *self._given(database), budget=self._budget)
        return found if isinstance(found, Set) else Set(found)

    # -- how it is followed --

    def _begin(self, database: Database, *, closing: bool = True) -> Set:
        """Choose how the query is followed from this value on, and return its answers.

        `closing` is whether to keep what recursive rules have, if that can be.
        """
        self._began: Database = database
        self._seen: Report | None = None  # since then
        self._schema = database.schema
        self._view: View | None = None
        self._counts: Counts | None = None  # of every row, where it can have several
        self._groups: Groups | None = None
        self._alike: Counter[object] | None = None  # rows whose values others may equal, by key
        self._closure: Closure | None = None  # has the answers, where there is one
        self._closes = self._closes and not closing
        self._answers = answers = self._asked(database)
        meter = Meter(self._budget)
        with bounded_depth():
            given = self._given(database)
            evaluation, named = start(self._query, given, meter, resolving=False)
            program, sources = evaluation.program, evaluation.sources
            bodies = [r.body for rules in program.rules.values() for r in rules]
            names = names_read(
                [c for body in (program.where, *bodies) for c in body], database.schema
            )
            if depends_on_names(named, self._query.where, sources):
                ids = np.concatenate(list(named.columns.values()))
                names = names.union(*(naming(value_of(one)) for one in np.unique(ids).tolist()))
            self._names = frozenset(map(intern, names))
            reads = attributes_read(program, program.where)
            pulls = any(isinstance(element, Pull) for element in self._query.find)
            self._reads = None if pulls or reads is None else reads | self._names
            why = "it pulls" if pulls else refused(program)
            inputs = resolved(named, self._query.where, sources)
            others = {n: s for n, s in sources.items() if n is not DEFAULT_SOURCE}
            if why is not None:
                self.how = f"asked again: {why}"
                if not pulls and closing:
                    self._close(program, inputs, others, database)
                if self._closes:
                    self.how += "; what new facts add is derived from them"
                return answers
            try:
                view = View(program, self._wanted, inputs, others, database)
                self._keep(view, database, meter)
            except (NotTold, BudgetExceeded) as reason:
                self.how = f"asked again: {reason}"
                return answers
            except QueryError as error:  # what the query, in its own order, does not meet
                if error.code not in FAILURES:
                    raise
                self.how = f"asked again: {error}"
                return answers
        self._view = view
        self._answers = Set()
        return answers

    def _close(
        self, program: Program, inputs: Relation, others: dict[Symbol, Source], database: Database
    ) -> None:
        """Keep what rules have, so that new facts need not be asked for."""
        if any(isinstance(element, Aggregate) for element in self._query.find):
            return
        meter = Meter(self._budget)
        most = max(CLOSURE_ROWS_MIN, CLOSURE_ROWS_TIMES * len(self._answers))
        try:
            closure = Closure(program, self._wanted, inputs, others, database, meter, most)
        except (NotTold, BudgetExceeded):
            return
        except QueryError as error:
            if error.code not in FAILURES:
                raise
            return
        types: set[type] = set()
        values_of_rows(closure.rows(), self._places, types)
        if types <= EXACT_TYPES:
            self._closure = closure
            self._closes = True
            self._answers = Set()

    def _keep(self, view: View, database: Database, meter: Meter) -> None:
        """Keep what the answers' changes need beside the changed facts."""
        self.how = "told from the changed facts: "
        self.how += "one derivation each" if view.once else "derivations are counted"
        aggregates = any(isinstance(element, Aggregate) for element in self._query.find)
        if not aggregates and view.once:
            return
        counts = _counted(view, database, meter)
        if aggregates:
            self.how += ", groups are kept"
            self._groups = Groups(self._query, self._wanted)
            self._groups.change(counts, ())
        if not view.once:
            self._counts = counts

    # -- after a commit --

    def _committed(self, report: Report) -> None:
        with self._lock:
            if self._waiting is not None:
                self._waiting.append(report)
                return
            if report.t <= self.t:
                return
            self.t = report.t
            try:
                added, removed = self._changes(report)
            except QueryError as error:
                self.stop()
                self._callback(Change(report.t, Set(), Set(), error))
                return
            self._seen = report
            if added or removed:
                self._callback(Change(report.t, added, removed))

    def _changes(self, report: Report) -> tuple[Set, Set]:
        """Return what comes and goes. A transaction that concerns nothing of the query makes no database value."""
        if report.rewrites or report.schema is not self._schema:
            return self._anew(report.db_after)
        attributes = report.attributes
        if not touches(attributes, self._reads):
            return NO_ROWS, NO_ROWS
        try:
            return self._changed(report, attributes)
        except RecursionError:
            raise QueryError("query/depth", "rules or values nested too deeply") from None

    def _changed(self, report: Report, attributes: set[int]) -> tuple[Set, Set]:
        if touches(attributes, self._names):
            return self._anew(report.db_after)
        if self._view is not None:
            meter = Meter(self._budget)
            transaction = Transaction(report.db_before, report.db_after, attributes, meter)
            try:
                return self._told(self._view, transaction)
            except NotTold:
                return self._anew(report.db_after)
            except QueryError as error:
                if error.code not in FAILURES:
                    raise
                return self._anew(report.db_after)
        if self._closes:
            return self._closed(report, attributes)
        before, self._answers = self._answers, self._asked(report.db_after)
        return _difference(self._answers, before), _difference(before, self._answers)

    def _closed(self, report: Report, attributes: set[int]) -> tuple[Set, Set]:
        """Return what new facts add to what is kept; it is let go when facts go, and kept again with the next that come."""
        meter = Meter(self._budget)
        transaction = Transaction(report.db_before, report.db_after, attributes, meter)
        if not transaction.only_adds(self._reads):
            return self._anew(report.db_after, closing=False)
        if self._closure is not None:
            added = self._grown(self._closure, transaction)
            if added is not None:
                return added, NO_ROWS
            self._answers = self._asked(transaction.before)
            self._closure = None  # it may have some of the new rows
        return self._anew(report.db_after)

    def _grown(self, closure: Closure, transaction: Transaction) -> Set | None:
        """Return the answers that new facts add; None if that fails, or an answer may equal another."""
        types: set[type] = set()
        try:
            found = values_of_rows(closure.grow(transaction), self._places, types)
        except (NotTold, BudgetExceeded):
            return None  # asking may take less
        except QueryError as error:
            if error.code not in FAILURES:
                raise
            return None
        return Set.of_distinct(found) if types <= EXACT_TYPES else None

    def _anew(self, database: Database, *, closing: bool = True) -> tuple[Set, Set]:
        """Begin again with a database value; return what differs from the answers before."""
        before = self._known()
        after = self._begin(database, closing=closing)
        return _difference(after, before), _difference(before, after)

    def _known(self) -> Set:
        """Return the answers before a transaction that is being looked at."""
        if self._closure is not None:
            return Set.of_distinct(values_of_rows(self._closure.rows(), self._places, set()))
        if self._view is None:
            return self._answers
        return self._asked(self._began if self._seen is None else self._seen.db_after)

    def _told(self, view: View, transaction: Transaction) -> tuple[Set, Set]:
        """Return the answers that come and go, from the changed derivations of rows."""
        net = view.changes(transaction)
        turned = _turned(net) if self._counts is None else self._counts.turn(net)
        if turned is None:
            raise NotTold
        new, lost = turned
        if not new and not lost:
            return NO_ROWS, NO_ROWS
        types: set[type] = set()
        if self._groups is not None:
            come, gone = self._groups.change(new, lost)
            types.update(type(value) for row in (*come, *gone) for value in row)
        else:
            come = values_of_rows(new, self._places, types)
            gone = values_of_rows(lost, self._places, types)
        if types <= EXACT_TYPES and self._alike is None:  # which is kept up with every change
            return Set.of_distinct(come), Set.of_distinct(gone)
        return self._alone(view, come, gone, transaction)

    def _alone(
        self, view: View, come: list[Answer], gone: list[Answer], transaction: Transaction
    ) -> tuple[Set, Set]:
        """Return the answers that come without an equal one being there before, and go without one staying.

        Rows whose ids differ can be equal: a list and a vector, 0.0 and -0.0.
        """
        net: Counter[object] = Counter()
        by_key: dict[object, Answer] = {}
        for rows, times in ((gone, -1), (come, 1)):
            for row in rows:
                key = hash_key(row)
                by_key[key] = row
                net[key] += times
        if self._alike is None:
            self._alike = Counter(map(hash_key, self._all(view, transaction)))
            self._alike.subtract(net)
        added: list[object] = []
        removed: list[object] = []
        for key, change in net.items():
            before = self._alike[key]
            after = before + change
            if after:
                self._alike[key] = after
            else:
                del self._alike[key]
            if after and not before:
                added.append(by_key[key])
            elif before and not after:
                removed.append(by_key[key])
        return Set(added), Set(removed)

    def _all(self, view: View, transaction: Transaction) -> Iterable[Answer]:
        """Return the answers after a transaction, equal ones as often as there are ids for them."""
        if self._groups is not None:
            return self._groups.answers()
        counts = self._counts
        if counts is None:
            counts = _counted(view, transaction.after, transaction.meter)
        return values_of_rows(counts, self._places, set())


NO_ROWS = Set()


def _nothing() -> None:
    """Stop nothing."""


def _counted(view: View, database: Database, meter: Meter) -> Counts:
    """Return how many derivations each row has; a function that fails is kept behind the clauses written before it."""
    try:
        return view.counts(database, meter)
    except QueryError as error:
        if error.code not in FAILURES:
            raise
    return view.counts(database, meter, cautious=True)


def _turned(net: Derivations) -> tuple[list[Row], list[Row]] | None:
    """Return the rows that are new and those that are lost, of rows with one derivation at most; None if one has more."""
    new: list[Row] = []
    lost: list[Row] = []
    for row, change in net.items():
        if change == 1:
            new.append(row)
        elif change == -1:
            lost.append(row)
        elif change:
            return None
    return new, lost


def _difference(left: Set, right: Set) -> Set:
    return Set(row for row in left if row not in right)


def follow(
    query: object,
    stream: Followed,
    callback: Callable[[Change], None],
    *inputs: object,
    budget: Budget | None = None,
) -> Subscription:
    """Call `callback` with the Change of every transaction that adds answers to a query or takes some away.

    It is called in the thread that commits, after the commit; what it raises comes out there.

    Args:
        query: as `q` takes it.
        stream: whose database is `$`.
        callback: takes the Change.
        inputs: what else :in names.
        budget: for the first answers, and again for each transaction.

    Raises:
        QueryError: as `q`. What goes wrong later is in the last Change.
    """
    return Subscription(query, stream, callback, inputs, budget)
