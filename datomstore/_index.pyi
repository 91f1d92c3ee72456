"""Types of the index of facts (`_index.pyx`): columns of codes, runs with sorted orders, and the searches over them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from datomstore.datom import Datom

Ids = NDArray[np.int64]  # of the process's table of values
Rows = NDArray[np.int64]  # row numbers of a Facts
Offsets = NDArray[np.uint32]  # row numbers within a run, from its start
Codes = NDArray[Any]  # signed integers of 1, 2, 4 or 8 bytes

# Rules that make ids of codes. Orders are by code, as a signed integer.
DIRECT: int  # the code is the id
ENTITY: int  # code e is entity e, code -(t + 1) is transaction t
NAMED: int  # code c is `lut[c]` of a table of attributes
STORED: int  # an even code is the id; an odd one is `lut[code >> 1]` of a dictionary, 0 where not loaded

NONE: int  # the code of what a column cannot hold

class Dictionary(Protocol):
    """Values of stored runs by number. Its order is that of the numbers, whatever the ids of the process are."""

    @property
    def lut(self) -> Ids:
        """Number -> id, 0 where it is not loaded yet. Never moves while a Column holds it."""
    def load(self, numbers: Ids, /) -> None:
        """Fill `lut` at these numbers, ascending and distinct."""
    def numbers_of(self, ids: Ids, /) -> Ids:
        """Return the number of each id, -1 for a value that is not here; fills `lut` for those that are."""
    def boxed_between(self, low: int, high: int, /) -> Ids:
        """Return the ids from `low` to `high`, both included, of inline integers that are kept here for their width."""

class Attributes:
    """Attributes by number: ids of the process, appended to; shared by the runs of a Facts, so that their codes agree."""

    def __init__(self, ids: Ids | Sequence[int] = ()) -> None: ...
    @property
    def lut(self) -> Ids: ...
    def load(self, numbers: Ids, /) -> None: ...
    def numbers_of(self, ids: Ids, /) -> Ids: ...
    def numbered(self, ids: Ids, /) -> Ids:
        """Return the number of each id; those that had none get one."""

class Column:
    """Codes with the rule that makes ids of them. `codes` may be a view into a mapped file; it is only read."""

    def __init__(
        self, codes: Codes, rule: int = ..., table: Dictionary | Attributes | None = None
    ) -> None: ...
    @property
    def codes(self) -> Codes: ...
    @property
    def rule(self) -> int: ...
    @property
    def table(self) -> Dictionary | Attributes | None: ...
    @property
    def width(self) -> int: ...
    def __len__(self) -> int: ...
    def __getitem__(self, offsets: slice | NDArray[Any], /) -> Ids:
        """Return ids."""
    def encode(self, ids: Ids, /) -> NDArray[np.int64]:
        """Return the code of each id, NONE where no code stands for it."""

class Run:
    """Rows [start, start + len) as columns, and their sorted orders.

    `t_offsets` ascend from 0: where rows of another transaction begin; `t_ids` are the transactions' ids.
    `orders` has for "eavt", "aevt", "avet" and "vaet" the offsets of rows in that order, in two parts: rows that were live
    when the run was made, then those that were not (retractions, and what they ended). An order that is not given is made
    when it is first used. All that is in the second part shows for no database value at or after row `past_until`.
    VAET has the rows of the attributes `references` only (ids; None lets the run choose those with integers); searches by a
    value alone look for those of other attributes in AVET. `integers` are the ids of the attributes whose codes are all
    even; without it a run of stored codes reads them all to know.
    """

    def __init__(
        self,
        start: int,
        e: Column,
        a: Column,
        v: Column,
        t_offsets: Codes,
        t_ids: Ids,
        orders: Mapping[str, tuple[Offsets, Offsets]] | None = None,
        *,
        past: Offsets | None = None,
        past_until: int = 0,
        references: Ids | None = None,
        integers: Ids | None = None,
    ) -> None:
        """`past` are the offsets of the rows that are in no second part yet, ascending; needed to make an order."""
    def __len__(self) -> int: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def e(self) -> Column: ...
    @property
    def a(self) -> Column: ...
    @property
    def v(self) -> Column: ...
    @property
    def t_offsets(self) -> Codes: ...
    @property
    def t_ids(self) -> Ids: ...
    @property
    def past(self) -> Offsets: ...
    @property
    def past_until(self) -> int: ...
    @property
    def references(self) -> Ids | None: ...
    @property
    def integers(self) -> Ids | None: ...
    @property
    def nbytes(self) -> int: ...
    def order(self, name: str) -> tuple[Offsets, Offsets]:
        """Return (rows that were live, rows that were not) in an order, which is made if it is not there."""
    def has_order(self, name: str) -> bool: ...
    def drop_order(self, name: str) -> None: ...
    def ends(self, retractions: NDArray[np.bool_]) -> tuple[list[int], list[int], bool]:
        """Return (offsets of rows, offsets of what ended them) of facts in the order of a log, and whether none is twice.

        `retractions` says for each row whether it is one. The run has no rows in the second part of its orders.
        """

class Ended:
    """Which row ended each row; sparse. A retraction is noted as ended by itself."""

    def __init__(self) -> None: ...
    def fork(self, count: int) -> Ended:
        """Return what ended rows by rows below `count`, to which others may be added."""
    def set(self, row: int, by: int) -> None: ...
    def set_many(self, rows: Ids | Sequence[int], by: Ids | Sequence[int]) -> None: ...
    def retract(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Note (row of a retraction, row that it ends) of a few."""
    def clear(self, row: int) -> None: ...
    def clear_from(self, start: int, end: int) -> None: ...
    def by(self, rows: Rows) -> Ids:
        """Return the row that ended each row, plus one; 0 for none, a retraction's own plus one for a retraction."""
    def past(self, start: int, end: int, count: int) -> tuple[Offsets, int]:
        """Return (offsets of the rows of a range that were ended by rows below `count`, row after the last of these)."""

class Segments:
    """Runs and a tail of columns of ids, as they are at one moment, with all searches over them.

    Every search takes a view: rows from `start` on, below `count`; `everything` shows past rows and retractions too.
    """

    def __init__(
        self,
        runs: tuple[Run, ...],
        ends: tuple[int, ...],
        pasts: tuple[int, ...],
        ended: Ended,
        tail_start: int,
        e: Ids,
        a: Ids,
        v: Ids,
        t: Ids,
    ) -> None:
        """`ends` are the rows after the last that counts of each run, `pasts` until when its second part is looked at."""
    @property
    def runs(self) -> tuple[Run, ...]: ...
    @property
    def ends(self) -> tuple[int, ...]: ...
    @property
    def pasts(self) -> tuple[int, ...]: ...
    @property
    def ended(self) -> Ended: ...
    @property
    def tail(self) -> tuple[Ids, Ids, Ids, Ids]: ...
    @property
    def tail_start(self) -> int: ...
    @property
    def tail_end(self) -> int:
        """Return up to which row the tail has room."""
    def write(
        self,
        start: int,
        e: Sequence[int] | Ids,
        a: Sequence[int] | Ids,
        v: Sequence[int] | Ids,
        t: int | Ids,
    ) -> None:
        """Put rows into the tail, from row `start` on; there is room."""
    def rows(
        self,
        e: int | None,
        a: int | None,
        v: int | None,
        count: int,
        start: int = 0,
        everything: bool = False,
    ) -> Rows:
        """Return the rows with the ids given."""
    def showing(self, rows: Rows, count: int, start: int = 0, everything: bool = False) -> Rows: ...
    def datoms(
        self, e: int | None, a: int | None, v: int | None, count: int, start: int = 0
    ) -> list[Datom]:
        """Return the datoms with the ids given, in no order."""
    def rows_of_transactions(
        self, count: int, start: int = 0, everything: bool = False
    ) -> Rows: ...
    def counted(
        self,
        e: int | None,
        a: int | None,
        v: int | None,
        count: int,
        start: int = 0,
        everything: bool = False,
    ) -> int:
        """Return about how many rows that are: by position, exact but for rows ended since their run was made."""
    def bound(
        self,
        a: int | None,
        by_value: bool,
        probes: Ids,
        spend: Callable[[int], None] | None,
        count: int,
        start: int = 0,
        everything: bool = False,
    ) -> tuple[Rows, Rows]:
        """Return (number of the key, row) of the rows of an attribute, or of any, whose entity or value is a key."""
    def between(
        self, a: int, low: int, high: int, count: int, start: int = 0, everything: bool = False
    ) -> Rows:
        """Return the rows of an attribute whose values are inline integers from id `low` to id `high`, both included."""
    def counted_between(self, a: int, low: int, high: int, count: int, start: int = 0) -> int: ...
    def has_integers_only(self, a: int, count: int) -> bool: ...
    def highest_entity(self, references: Collection[int], count: int) -> int:
        """Return the largest entity, transactions aside, among entities and values of attributes (ids); -1 for none."""
    def at(self, column: int, row: int) -> int:
        """Return one id: 0 is of the entity, 1 of the attribute, 2 of the value, 3 of the transaction."""
    def ids(self, column: int, rows: Rows) -> Ids: ...
    def span(self, column: int, low: int, high: int) -> Ids: ...
    def signs(self, low: int, high: int) -> Ids:
        """Return +1 for each row of a range that is an addition, -1 for each that is a retraction."""
    def attributes_of(self, low: int, high: int) -> set[int]:
        """Return the ids of the attributes of a range of rows."""

WALK_WIDTH_MAX: int  # columns of a walk

class Walk:
    """What a pattern's facts in a transaction lead to, row by row. Not for two threads at once."""

    def __init__(
        self,
        width: int,
        steps: Sequence[
            tuple[str, Sequence[tuple[str, int]], Ids | str | None, bool, Sequence[int]]
        ],
        outs: Sequence[int],
        rows_max: int,
    ) -> None:
        """`steps` are (kind, terms, what, is later, columns needed after it); a term is (kind, id or column).

        The first step is "facts" of the transaction; "facts" after it are looked up by what is known of entity, attribute
        and value; "rows" are joined with the rows of `what`, one behind another; a "test" compares two terms as `what`
        says. What is later looks at what was before the transaction, if that has facts of its attribute.
        """
    @property
    def made(self) -> int:
        """Return how many rows the last walk has made."""
    def columns(self, facts: Segments, start: int, end: int) -> list[Ids] | None:
        """Return the signs and `outs` of the rows at the end; None if it cannot go."""

class Walks:
    """The walks from all clauses of a query, each to the same kind of rows."""

    def __init__(self, walks: Iterable[Walk]) -> None: ...
    @property
    def made(self) -> int:
        """Return how many rows the last changes took."""
    def changes(self, facts: Segments, start: int, end: int) -> dict[tuple[int, ...], int] | None:
        """Return what a transaction's rows change, row of ids -> derivations; None if one of the walks cannot go."""

def sorted_offsets(
    name: str, e: Codes, a: Codes, v: Codes, offsets: Offsets | None = None
) -> Offsets:
    """Return offsets (all of them, or those given, ascending) in an order, equal rows in the order of the log."""

def merged_offsets(
    name: str, runs: Sequence[Run], parts: Sequence[Offsets], out: Offsets | None = None
) -> Offsets:
    """Return one order of adjacent runs, whose codes mean the same, as offsets from the first run's start.

    `parts` are offsets of each run in that order: what `Run.order` gives, or less of it. Cost: O(rows * log runs), and no
    memory but `out`, which may be mapped.
    """
