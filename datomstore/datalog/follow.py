"""Queries that are followed: what each transaction adds to their answers and takes away.

Is:     `follow`, and the subscription it returns.
Is not: how changes are found: from the changed facts by `delta` where that can be, else by asking again.
Fits:   a listener of a stream (`datomstore.streams`); it runs in the thread that commits, after the commit.

Asking again is for recursive rules, rules that must be told arguments, aggregates, pulls, full text, and constants
that name entities by an ident or a lookup ref. It is done only if the transaction has facts of attributes that the
query reads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from threading import RLock
from typing import NamedTuple

from datomstore.database import Database
from datomstore.datalog.budget import Budget, Meter
from datomstore.datalog.delta import Delta, NotTold, attributes_read, incremental
from datomstore.datalog.errors import QueryError
from datomstore.datalog.query import FAILURES, bounded_depth, parse, q, start
from datomstore.datalog.references import depends_on_names
from datomstore.datalog.syntax import DEFAULT_SOURCE, Pull
from datomstore.intern import intern, values_of
from datomstore.streams import Stream
from datomstore.transaction import TxReport
from datomstore.value import Set


class Change(NamedTuple):
    """What transaction t did to a query's answers, as rows of :find; after an `error` there are no more changes."""

    t: int
    added: Set
    removed: Set
    error: QueryError | None = None


class Subscription:
    """A query that is followed. `first` are its rows when it began, `t` is the transaction it has seen."""

    def __init__(
        self,
        query: object,
        stream: Stream,
        callback: Callable[[Change], None],
        inputs: tuple[object, ...],
        budget: Budget | None,
    ) -> None:
        parsed = parse(query)
        if DEFAULT_SOURCE not in parsed.inputs:
            raise QueryError("query/input", "a query that is followed reads $", parsed.form)
        self._query = replace(parsed, shape="relation", keys=())
        self._place = parsed.inputs.index(DEFAULT_SOURCE)
        self._inputs = inputs
        self._budget = budget
        self._callback = callback
        self._lock = RLock()
        self._waiting: deque[TxReport] | None = deque()  # None once the first answers are there
        self._stop = stream.listen(self._committed)
        try:
            database = stream.db()
            self.t = database.basis_t
            with bounded_depth():
                meter = Meter(budget)
                given = self._given(database)
                evaluation, relation = start(self._query, given, meter, resolving=False)
                where = self._query.where
                named = depends_on_names(relation, where, evaluation.sources)
                self._program = evaluation.program
            any_fact = named or any(isinstance(e, Pull) for e in self._query.find)
            self._reads = None if any_fact else attributes_read(self._program, database.schema)
            self._relation = relation
            self._others = {n: s for n, s in evaluation.sources.items() if n is not DEFAULT_SOURCE}
            self.incremental = not named and incremental(
                self._query, self._program, database.schema
            )
            self.first = self._asked(database)
            self._answers = Set() if self.incremental else self.first
            self._catch_up()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Follow no further."""
        stop, self._stop = self._stop, _nothing
        stop()

    def _catch_up(self) -> None:
        """Take the transactions that were committed meanwhile."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
            for report in waiting or ():
                self._committed(report)

    def _given(self, database: Database) -> tuple[object, ...]:
        return (*self._inputs[: self._place], database, *self._inputs[self._place :])

    def _asked(self, database: Database) -> Set:
        return Set(q(self._query, *self._given(database), budget=self._budget))

    # -- after a commit --

    def _committed(self, report: TxReport) -> None:
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
            if added or removed:
                self._callback(Change(report.t, added, removed))

    def _changes(self, report: TxReport) -> tuple[Set, Set]:
        if not self._concerns(report):
            return Set(), Set()
        if self.incremental:
            try:
                return self._told(report)
            except NotTold:
                self._answers = self._asked(report.db_before)
                self.incremental = False
            except QueryError as error:
                if error.code not in FAILURES:
                    raise
                before, after = self._asked(report.db_before), self._asked(report.db_after)
                return _difference(after, before), _difference(before, after)
        before, self._answers = self._answers, self._asked(report.db_after)
        return _difference(self._answers, before), _difference(before, self._answers)

    def _concerns(self, report: TxReport) -> bool:
        reads = self._reads
        return reads is None or any(intern(datom.a) in reads for datom in report.datoms)

    def _told(self, report: TxReport) -> tuple[Set, Set]:
        with bounded_depth():
            meter = Meter(self._budget)
            delta = Delta(self._program, self._others, self._relation, report, meter)
            new, lost = delta.changes(self._query.variables())
        return _rows(new), _rows(lost)


def _nothing() -> None:
    """Stop nothing."""


def _rows(rows: set[tuple[int, ...]]) -> Set:
    return Set(tuple(values_of(row)) for row in rows)


def _difference(left: Set, right: Set) -> Set:
    return Set(row for row in left if row not in right)


def follow(
    query: object,
    stream: Stream,
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
