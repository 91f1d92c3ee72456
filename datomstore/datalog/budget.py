"""How much a query may do.

Is:     a bound on rows, bytes, rounds and seconds, a way to call a query off, and the meter that is asked before every join, and now and then inside of long ones.
Is not: a bound on what a database keeps for further queries, which has its own (`limits`).
Fits:   callers give a Budget; the evaluator spends from a Meter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from datomstore.datalog._kernel import Table
from datomstore.datalog.errors import BudgetExceeded, QueryCancelled
from datomstore.datalog.limits import (
    JOIN_PAUSE_ROWS,
    JOIN_ROWS_MAX,
    ROUNDS_MAX,
    ROUNDS_PAUSE_ROWS,
    WORK_BYTES,
)

ID_BYTES = 8


class Overrun(Exception):
    """One way to an answer takes more rows than it may; there is another."""


class Cancellation:
    """Calls off the queries whose budgets hold it; any thread may do so, at any time."""

    __slots__ = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        """End them with QueryCancelled where they next look: before a join, and between parts of a long one."""
        self.cancelled = True


@dataclass(frozen=True, slots=True)
class Budget:
    """Rows made in all joins together, and seconds; None is no bound. A cancellation can be shared by several.

    `memory` bounds the bytes of the rows that one join makes at a time, and of all that are found; those of the tables
    that recursive rules fill; and those of all values that functions make. `rounds` bounds how often in turn one recursion goes on from what it found last:
    about the length of the longest way that it follows. `pay` is told of all work, also of what is done in vain, counted
    in rows; what it raises ends the query.
    """

    rows: int | None = None
    seconds: float | None = None
    cancellation: Cancellation | None = None
    memory: int | None = None
    rounds: int | None = None
    pay: Callable[[int], None] | None = None


UNBOUNDED = Budget()


class Meter:
    """What one query has used."""

    __slots__ = (
        "cancellation",
        "deadline",
        "limit",
        "memory",
        "pay",
        "rounds_max",
        "rows",
        "rows_max",
        "seconds",
        "tables",
        "values_bytes",
    )

    def __init__(self, budget: Budget | None) -> None:
        budget = budget or UNBOUNDED
        self.cancellation = budget.cancellation
        self.rows = 0
        self.limit: int | None = None  # of rows, while one of several ways is tried
        self.rows_max = budget.rows
        self.memory = budget.memory
        self.pay = budget.pay
        self.values_bytes = 0  # of what functions made
        self.rounds_max = ROUNDS_MAX if budget.rounds is None else budget.rounds
        self.tables: list[Table] = []  # that rules fill, if memory is bounded
        self.seconds = budget.seconds
        self.deadline = None if budget.seconds is None else perf_counter() + budget.seconds

    def spend(self, rows: int, clause: object) -> None:
        """Count rows that are about to be made. Raises BudgetExceeded, QueryCancelled."""
        if self.cancellation is not None and self.cancellation.cancelled:
            raise QueryCancelled(clause)
        if self.pay is not None and rows:
            self.pay(min(rows, self.portion(JOIN_PAUSE_ROWS)) if self._is_over(rows) else rows)
        if self.limit is not None and self.rows + rows > self.limit:
            raise Overrun
        self.rows += rows
        if rows > JOIN_ROWS_MAX:
            raise BudgetExceeded(f"{rows} rows of one join; at most {JOIN_ROWS_MAX}", clause)
        if self.rows_max is not None and self.rows > self.rows_max:
            raise BudgetExceeded(f"more than {self.rows_max} rows", clause)
        if self.deadline is not None and perf_counter() > self.deadline:
            raise BudgetExceeded(f"more than {self.seconds} seconds", clause)

    def _is_over(self, rows: int) -> bool:
        """Return whether so many rows are too many, so that no more than a portion of them has been made."""
        bounds = (self.rows_max, self.limit, self.rows + JOIN_ROWS_MAX)
        return any(bound is not None and self.rows + rows > bound for bound in bounds)

    def work(self, rows: int) -> None:
        """Tell who pays of work that takes as long as so many rows."""
        if self.pay is not None:
            self.pay(rows)

    def hold(self, size: int, clause: object) -> None:
        """Count bytes of values that a function made. Raises BudgetExceeded."""
        self.values_bytes += size
        self.work(size // WORK_BYTES)
        if self.memory is not None and self.values_bytes > self.memory:
            raise BudgetExceeded(f"more than {self.memory} bytes of values", clause)

    def room(self, rows: int, columns: int, clause: object) -> None:
        """Ask for memory for rows that are about to be made. Raises BudgetExceeded."""
        if self.memory is not None and rows * columns * ID_BYTES > self.memory:
            raise BudgetExceeded(f"more than {self.memory} bytes of rows", clause)

    def fills(self, table: Table) -> None:
        """Note a table whose rows count as memory."""
        if self.memory is not None and not any(table is held for held in self.tables):
            self.tables.append(table)

    def weigh(self, clause: object) -> None:
        """Ask whether the tables are too large. Raises BudgetExceeded."""
        if self.memory is not None and sum(t.size for t in self.tables) > self.memory:
            raise BudgetExceeded(f"more than {self.memory} bytes of rows", clause)

    def turn(self, rounds: int, clause: object) -> None:
        """Ask whether a recursion may take so many rounds. Raises BudgetExceeded."""
        if rounds > self.rounds_max:
            raise BudgetExceeded(f"more than {self.rounds_max} rounds of a recursion", clause)

    def portion(self, most: int) -> int:
        """Return after how many rows, at most so many, to ask again."""
        most = min(
            most, max(ROUNDS_PAUSE_ROWS, self.rounds_max)
        )  # every round takes a row at least
        bounds = [bound for bound in (self.rows_max, self.limit) if bound is not None]
        return max(1, min(most, min(bounds) - self.rows + 1)) if bounds else most

    @contextmanager
    def within(self, rows: int) -> Iterator[None]:
        """Raise Overrun, before they are made, if more rows are made in this block."""
        outer, limit = self.limit, self.rows + rows
        self.limit = limit if outer is None else min(outer, limit)
        try:
            yield
        finally:
            self.limit = outer

    def of(self, clause: object, columns: int = 0) -> Callable[[int], None]:
        """Return what a look-up of a clause spends from, whose rows will have so many columns."""

        def spend(rows: int) -> None:
            self.spend(rows, clause)
            self.room(rows, columns, clause)

        return spend if columns else lambda rows: self.spend(rows, clause)
