"""All datoms of a stream as columns of ids: sorted runs, and behind them the newest rows as they came.

Is:     rows in the order of the log, with for each added row the row that ended it; runs with their orders by EAVT, AEVT,
        AVET and VAET; when the tail is sorted, and which runs are merged.
Is not: a database value: that is a Facts together with how many of its rows it sees.
Fits:   one writer appends (`datomstore.transactor`); any number of threads read below the row count they hold.
Source: the covering indexes of Datomic; columns of interned ids after column stores such as QLever; log-structured
        merging after O'Neil et al. 1996.

A row is live at n if it was added below n and not ended below n. So the current database, any earlier one and the whole
history are the same columns under another n, and looking back costs what looking now costs.

    rows   0 ................................ tail_start .......... count ...... written
           [ run, large ][ run ][ run, small ][ tail: unsorted ... ][ staged rows ]

A reader that finds more than TAIL_ROWS_MAX rows in the tail sorts these alone, as a run; then runs of like size are merged
from behind, so that each is larger than RUN_FACTOR times the next and every row is moved O(log rows) times. A writer
that nobody reads puts its tail away unsorted. Readers keep the Segments they have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from threading import Lock
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from datomstore._index import (
    DIRECT,
    ENTITY,
    NAMED,
    STORED,
    Attributes,
    Column,
    Ended,
    Run,
    Segments,
    merged_offsets,
)
from datomstore.datom import TX_BASE, Datom
from datomstore.intern import Ids, find, intern, values_of
from datomstore.limits import RUN_FACTOR, RUN_ROWS_MIN, TAIL_ROWS_MAX
from datomstore.segments.dictionary import Dictionary
from datomstore.value import Keyword

if TYPE_CHECKING:
    from datomstore._index import Offsets
    from datomstore._transact import Pending

NEVER = np.iinfo(np.int64).max
Rows = NDArray[np.int64]  # row numbers

# ORDER: the sort keys of each index, first key first.
ORDERS: dict[str, tuple[str, str, str]] = {
    "eavt": ("e", "a", "v"),
    "aevt": ("a", "e", "v"),
    "avet": ("a", "v", "e"),
    "vaet": ("v", "a", "e"),
}
_MERGED = ("eavt", "aevt", "avet")  # VAET is made again: which attributes it has may be others


class Facts:
    """Columns e, a, v, t (ids), added, and `ended`: the row that retracted this one, or NEVER."""

    def __init__(
        self, segments: Segments | None = None, attributes: Attributes | None = None
    ) -> None:
        self.count = 0  # committed rows; the writer may have staged more behind them
        # Whether no two live rows have the same e, a and v: a writer makes none, others may.
        self.distinct = True
        self.generation = 0  # how often staged rows were given up: row numbers then come again
        # The numbers of attributes in all runs; only ever added to, and shared with forks.
        self.attributes = Attributes() if attributes is None else attributes
        if segments is None:
            segments = Segments((), (), (), Ended(), 0, *_no_rows(0))
        self._segments = segments
        self._tail = segments.tail
        self._written = segments.tail_start  # row after the last that is committed or staged
        self._staged: tuple[int, Segments, Segments] | None = None  # (rows, made of, sorted)
        self._loose = False  # whether the writer has put runs away that nobody has merged
        self._lock = Lock()  # around changes of the tail's arrays and the list of runs
        self._settling = Lock()  # around sorting and merging

    # -- making --

    @staticmethod
    def of_columns(e: Ids, a: Ids, v: Ids, t: Ids, added: NDArray[np.bool_]) -> Facts:
        """Return the facts of columns in the order of a log; what each row ended is found by sorting."""
        facts = Facts()
        facts.distinct = False  # unless its caller knows
        run = run_of(0, e, a, v, t, facts.attributes)
        ended = Ended()
        if not added.all():
            rows, by, _ = run.ends(~added)
            retractions = np.flatnonzero(~added)
            ended.set_many(retractions, retractions)
            ended.set_many(rows, by)
            run = _parted(run, ended, len(e))
        facts._hold([run] if len(e) else [], ended)
        return facts

    @staticmethod
    def of_runs(runs: Sequence[Run], ended: Ended, attributes: Attributes | None = None) -> Facts:
        """Return the facts of runs that follow one another from row 0; their attributes are numbered by `attributes`."""
        facts = Facts(attributes=attributes)
        facts._hold(list(runs), ended)
        return facts

    def _hold(self, runs: list[Run], ended: Ended) -> None:
        end = runs[-1].end if runs else 0
        self._segments = _segments(runs, ended, end, _no_rows(0))
        self._tail = self._segments.tail
        self._written = self.count = end

    @staticmethod
    def of_log(
        transactions: Iterable[tuple[int, Sequence[tuple[int, Keyword, object, bool]]]],
    ) -> tuple[Facts, list[tuple[int, int]]]:
        """Return the facts of (t, rows) and (t, row after it) of every transaction."""
        e: list[int] = []
        a: list[int] = []
        v: list[int] = []
        added: list[bool] = []
        ends: list[tuple[int, int]] = []
        for t, rows in transactions:
            for entity, attribute, value, op in rows:
                e.append(entity << 1)
                a.append(intern(attribute))
                v.append(intern(value))
                added.append(op)
            ends.append((t, len(e)))
        tx = np.array([(TX_BASE + t) << 1 for t, _ in ends], np.int64)
        after = np.array([0, *(end for _, end in ends)], np.int64)
        facts = Facts.of_columns(
            np.array(e, np.int64),
            np.array(a, np.int64),
            np.array(v, np.int64),
            np.repeat(tx, after[1:] - after[:-1]),
            np.array(added, np.bool_),
        )
        facts.distinct = True
        return facts, ends

    def fork(self, count: int) -> Facts:
        """Return facts with the first `count` rows, to which another writer may append. Cost: a copy of the tail."""
        seen = self._segments
        runs, ends, pasts = [], [], []
        for run, end, past in zip(seen.runs, seen.ends, seen.pasts, strict=True):
            if run.start < count:
                runs.append(run)
                ends.append(min(end, count))
                # What ended after `count` did not end in the fork, however many rows that will have.
                pasts.append(past if past <= count else NEVER)
        start = min(seen.tail_start, count)
        room = _no_rows(count - start + TAIL_ROWS_MAX)
        for grown, column in zip(room, seen.tail, strict=True):
            grown[: count - start] = column[: count - start]
        made = Facts(
            Segments(tuple(runs), tuple(ends), tuple(pasts), seen.ended.fork(count), start, *room),
            self.attributes,
        )
        made.count = made._written = count
        made.distinct = self.distinct
        return made

    def is_set(self) -> bool:
        """Return whether no fact stands here twice, by sorting; False also where some are retracted or in many runs."""
        if not self.count:
            return True
        seen = self.view(self.count)
        if len(seen.runs) != 1 or seen.tail_start < self.count or len(seen.runs[0].past):
            return False
        return seen.runs[0].ends(np.zeros(self.count, np.bool_))[2]

    def attributes_known(self, count: int) -> list[int]:
        """Return the ids of all attributes of rows below `count`, and perhaps of others."""
        start = min(self._segments.tail_start, count)
        return np.union1d(self.attributes.lut, self.a[start:count]).tolist()  # type: ignore[no-any-return]

    # -- stored runs --

    def find(self, value: object) -> int | None:
        """Return the id of a value; None means that no fact here can hold it. Raises TypeError for what is no value."""
        found = find(value)
        if found is None:  # what is stored may be new to the process
            for table in {run.v.table for run in self._segments.runs}:
                if isinstance(table, Dictionary):
                    found = table.find(value)
                    if found is not None:
                        break
        return found

    def keep_stored(self, run: Run) -> None:
        """Take a stored run of committed rows in the place of what has them until now. The writer must be at rest."""
        with self._settling, self._lock:
            seen = self._segments
            runs, pasts = [], []
            parts = list(zip(seen.runs, seen.ends, seen.pasts, strict=True))
            for part, end, past in parts:
                assert end == part.end, "what has been forked from others is not stored"
                if end <= run.start:
                    runs.append(part)
                    pasts.append(past)
            runs.append(run)
            pasts.append(run.past_until)
            for part, end, past in parts:
                if part.start < run.end < end:
                    part = self._behind(part, run.end)
                    past = part.past_until
                if part.start >= run.end:
                    runs.append(part)
                    pasts.append(past)
            start, columns = seen.tail_start, self._tail
            if start < run.end:
                left = self._written - run.end
                columns = _no_rows(left + TAIL_ROWS_MAX)
                for grown, column in zip(columns, self._tail, strict=True):
                    grown[:left] = column[run.end - start : self._written - start]
                start = run.end
            ends = tuple(part.end for part in runs)
            self._replace(seen, tuple(runs), ends, tuple(pasts), start, columns)
            self._staged = None

    def _behind(self, run: Run, start: int) -> Run:
        """Return the rows of a run from a row on."""
        first, end = start - run.start, run.end
        past, until = self._segments.ended.past(start, end, self.count)
        columns = [self._segments.span(column, start, end) for column in range(4)]
        e, a, v, t = columns
        assert len(e) == len(run) - first, "a run is there as a whole"
        return run_of(start, e, a, v, t, self.attributes, past, until)

    # -- columns --

    def changes(self, start: int, end: int) -> tuple[Ids, Ids, Ids, Ids]:
        """Return entities, attributes and values of a range of rows, and +1 for additions, -1 for retractions."""
        seen = self._segments
        e, a, v = (seen.span(column, start, end) for column in range(3))
        return e, a, v, seen.signs(start, end)

    def attributes_of(self, start: int, end: int) -> set[int]:
        """Return the ids of the attributes of a range of rows."""
        return self._segments.attributes_of(start, end)

    @property
    def e(self) -> FactColumn:
        """Return the ids of the entities of rows."""
        return FactColumn(self, 0)

    @property
    def a(self) -> FactColumn:
        """Return the ids of the attributes of rows."""
        return FactColumn(self, 1)

    @property
    def v(self) -> FactColumn:
        """Return the ids of the values of rows."""
        return FactColumn(self, 2)

    @property
    def t(self) -> FactColumn:
        """Return the ids of the transactions of rows."""
        return FactColumn(self, 3)

    @property
    def added(self) -> AddedColumn:
        """Return whether rows are additions."""
        return AddedColumn(self)

    @property
    def ended(self) -> EndedColumn:
        """Return the row that retracted each row, NEVER for none."""
        return EndedColumn(self)

    def __len__(self) -> int:
        return self._written

    @property
    def nbytes(self) -> int:
        """Return how much memory columns and orders take."""
        seen = self._segments
        return sum(run.nbytes for run in seen.runs) + sum(column.nbytes for column in seen.tail)

    # -- the writer: nobody else changes rows --

    def write(
        self,
        start: int,
        e: Sequence[int],
        a: Sequence[int],
        v: Sequence[int],
        tx: int,
        ends: Iterable[tuple[int, int]],
    ) -> None:
        """Put the rows of a transaction, as ids, behind what is committed or staged; nothing shows them yet.

        `start` is the first of these rows, `tx` the id of the transaction; `ends` are (row of a retraction, the row that
        it ends), and all other rows are additions.
        """
        end = start + len(e)
        self._put_much_away()
        with self._lock:
            segments = self._reaching(end)
            segments.write(start, e, a, v, tx)
            segments.ended.retract(ends)
            self._written = end

    def take(self, pending: Pending, rows: int, ends: int) -> None:
        """Have a writer put its first rows, and what they end, behind what is committed or staged."""
        end = pending.start + rows
        self._put_much_away()
        with self._lock:
            pending.write(self._reaching(end), rows, ends)
            self._written = end

    def _put_much_away(self) -> None:
        if self.count - self._segments.tail_start >= RUN_ROWS_MIN:
            self._put_away()

    def _reaching(self, end: int) -> Segments:
        """Return the segments, whose tail has room for all rows below `end`. Only with the lock."""
        if end > self._segments.tail_end:
            self._grow(end)
        return self._segments

    def take_back(self, start: int) -> None:
        """Give up the staged rows from `start` on; their numbers come again. What they ended is `live_again` before."""
        self.generation += 1
        self._segments.ended.clear_from(start, self._written)
        self._written = start
        self._staged = None

    def end(self, row: int, by: int) -> None:
        """Note which row retracts a row."""
        self._segments.ended.set(row, by)

    def live_again(self, row: int) -> None:
        """Note that no row retracts a row after all."""
        self._segments.ended.clear(row)

    def replace_value(self, row: int, v: int) -> None:
        """Give a staged row, which nobody has seen, another value."""
        with self._lock:
            assert row >= self._segments.tail_start, row
            self._tail[2][row - self._segments.tail_start] = v

    def e_at(self, row: int) -> int:
        """Return the id of a row's entity."""
        return self._segments.at(0, row)

    def v_at(self, row: int) -> int:
        """Return the id of a row's value."""
        return self._segments.at(2, row)

    def _grow(self, end: int) -> None:
        seen = self._segments
        used = self._written - seen.tail_start
        room = _no_rows(max(end - seen.tail_start, 2 * used, TAIL_ROWS_MAX))
        for grown, column in zip(room, seen.tail, strict=True):
            grown[:used] = column[:used]
        self._replace(seen, seen.runs, seen.ends, seen.pasts, seen.tail_start, room)

    def _replace(
        self,
        seen: Segments,
        runs: tuple[Run, ...],
        ends: tuple[int, ...],
        pasts: tuple[int, ...],
        start: int,
        columns: tuple[Ids, Ids, Ids, Ids],
    ) -> Segments:
        self._segments = Segments(runs, ends, pasts, seen.ended, start, *columns)
        self._tail = self._segments.tail
        return self._segments

    # -- sorting and merging --

    def view(self, count: int) -> Segments:
        """Return what a reader of the first `count` rows searches, with a short tail."""
        seen = self._segments
        if not self._loose and count - seen.tail_start <= TAIL_ROWS_MAX:
            return seen
        return self._settled() if count <= self.count else self._staged_view(count)

    def _settled(self) -> Segments:
        """Sort the committed rows of the tail and merge runs of like size."""
        with self._settling:
            if self.count - self._segments.tail_start > TAIL_ROWS_MAX:
                self._seal()
            self._loose = False
            seen = self._segments
            first = _first_to_merge(seen)
            if first < len(seen.runs) - 1:
                merged = _merged(seen.runs[first:], seen.ended, self.count)
                with self._lock:
                    seen = self._segments  # the writer may have put more away meanwhile
                    last = first + len(_up_to(seen.runs[first:], merged.end))
                    runs = (*seen.runs[:first], merged, *seen.runs[last:])
                    pasts = (*seen.pasts[:first], merged.past_until, *seen.pasts[last:])
                    ends = (*seen.ends[:first], merged.end, *seen.ends[last:])
                    self._replace(seen, runs, ends, pasts, seen.tail_start, self._tail)
            return self._segments

    def _put_away(self) -> None:
        """Make a run of the tail without sorting it; a reader who sorts at this moment does the same."""
        if self._settling.acquire(blocking=False):
            try:
                self._seal()
                self._loose = True
            finally:
                self._settling.release()

    def _seal(self) -> None:
        """Make a run of the committed rows of the tail. Only while settling."""
        seen, count = self._segments, self.count
        assert count <= self._written, "what is committed is written"
        rows = count - seen.tail_start
        e, a, v, t = (column[:rows] for column in seen.tail)
        past, until = seen.ended.past(seen.tail_start, count, count)
        run = run_of(seen.tail_start, e, a, v, t, self.attributes, past, until)
        with self._lock:
            seen = self._segments  # its arrays may have grown meanwhile
            left = self._written - count
            room = _no_rows(left + TAIL_ROWS_MAX)
            for grown, column in zip(room, self._tail, strict=True):
                grown[:left] = column[rows : rows + left]
            self._replace(
                seen,
                (*seen.runs, run),
                (*seen.ends, count),
                (*seen.pasts, until),
                count,
                room,
            )
            self._staged = None

    def _staged_view(self, count: int) -> Segments:
        """Return what the writer searches who sees staged rows: these may be given up, so their run is kept apart."""
        seen = self._segments
        if self._staged is not None:
            rows, made_of, found = self._staged
            if made_of is seen and rows <= count <= rows + TAIL_ROWS_MAX:
                return found
        size = count - seen.tail_start
        e, a, v, t = (column[:size] for column in seen.tail)
        past, until = seen.ended.past(seen.tail_start, count, count)
        run = run_of(seen.tail_start, e, a, v, t, self.attributes, past, until)
        made = Segments(
            (*seen.runs, run),
            (*seen.ends, count),
            (*seen.pasts, until),
            seen.ended,
            count,
            *(column[size:] for column in seen.tail),
        )
        self._staged = count, seen, made
        return made


def _no_rows(room: int) -> tuple[Ids, Ids, Ids, Ids]:
    return (
        np.empty(room, np.int64),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
    )


def _segments(
    runs: Sequence[Run], ended: Ended, start: int, columns: tuple[Ids, Ids, Ids, Ids]
) -> Segments:
    ends, pasts = (tuple(run.end for run in runs), tuple(run.past_until for run in runs))
    return Segments(tuple(runs), ends, pasts, ended, start, *columns)


# -- runs --


def run_of(
    start: int,
    e: Ids,
    a: Ids,
    v: Ids,
    t: Ids,
    attributes: Attributes,
    past: Offsets | None = None,
    past_until: int = 0,
) -> Run:
    """Return a run of columns of ids, in as few bytes as these need. Its orders are made when they are asked for."""
    begins = np.concatenate(([True], t[1:] != t[:-1])) if len(t) else np.empty(0, np.bool_)
    offsets = np.flatnonzero(begins)
    return Run(
        start,
        _entities(e),
        Column(_narrow(attributes.numbered(a)), NAMED, attributes),
        Column(_narrow(v)),
        offsets.astype(np.uint32),
        t[offsets],
        past=past,
        past_until=past_until,
    )


def _narrow(codes: Ids) -> NDArray[np.signedinteger]:
    """Return codes in the fewest bytes that hold all of them; never a view, for what is given may be written to."""
    low, high = (int(codes.min()), int(codes.max())) if len(codes) else (0, 0)
    for kind in (np.int8, np.int16, np.int32):
        bounds = np.iinfo(kind)
        if bounds.min <= low and high <= bounds.max:
            return codes.astype(kind)
    return codes.copy()


def _entities(ids: Ids) -> Column:
    """Return entities as numbers, transactions as negative ones, so that four bytes hold them."""
    if len(ids) and (int(ids.min()) < 0 or (ids & 1).any()):
        return Column(ids.copy(), DIRECT)
    entities = ids >> 1
    codes = np.where(entities >= TX_BASE, TX_BASE - 1 - entities, entities)
    narrow = _narrow(codes)
    return Column(narrow if narrow.itemsize > 4 else narrow.astype(np.int32), ENTITY)


def _parted(run: Run, ended: Ended, count: int) -> Run:
    """Return a run whose rows that ended below `count` stand apart in its orders."""
    past, until = ended.past(run.start, run.end, count)
    gone = np.zeros(len(run), np.bool_)
    gone[past] = True
    orders = {}
    for name in _MERGED:
        if run.has_order(name):
            rows = run.order(name)[0]
            orders[name] = rows[~gone[rows]], rows[gone[rows]]
    return Run(
        run.start,
        run.e,
        run.a,
        run.v,
        run.t_offsets,
        run.t_ids,
        orders,
        past=past,
        past_until=until,
    )


def _first_to_merge(seen: Segments) -> int:
    """Return from which run on all are to be one."""
    first = len(seen.runs)
    size = 0
    while first:
        run = seen.runs[first - 1]
        shared = run.end != seen.ends[first - 1] or run.past_until != seen.pasts[first - 1]
        if shared or run.v.rule == STORED or (size and len(run) > RUN_FACTOR * size):
            break
        size += len(run)
        first -= 1
    return first


def _up_to(runs: Sequence[Run], end: int) -> list[Run]:
    return [run for run in runs if run.end <= end]


def _merged(runs: Sequence[Run], ended: Ended, count: int) -> Run:
    """Return adjacent runs as one. An order is merged if most rows have it already; others wait until they are needed."""
    start, end = runs[0].start, runs[-1].end
    e = _joined([run.e for run in runs])
    alike = all(run.e.rule == e.rule for run in runs)  # else codes have another order now
    offsets = np.concatenate([run.t_offsets.astype(np.int64) + run.start - start for run in runs])
    past, until = ended.past(start, end, count)
    gone = np.zeros(end - start, np.bool_)
    gone[past] = True
    orders: dict[str, tuple[Offsets, Offsets]] = {}
    for name in _MERGED:
        ready = sum(len(run) for run in runs if run.has_order(name))
        if alike and 2 * ready > end - start:
            orders[name] = _merged_order(name, runs, gone if len(past) else None)
    return Run(
        start,
        e,
        _joined([run.a for run in runs]),
        _joined([run.v for run in runs]),
        offsets.astype(np.uint32),
        np.concatenate([run.t_ids for run in runs]),
        orders,
        past=past,
        past_until=until,
    )


def _joined(columns: Sequence[Column]) -> Column:
    first = columns[0]
    if any(column.rule != first.rule for column in columns):
        return Column(np.concatenate([column[:] for column in columns]), DIRECT)
    return Column(np.concatenate([column.codes for column in columns]), first.rule, first.table)


def _merged_order(
    name: str, runs: Sequence[Run], gone: NDArray[np.bool_] | None
) -> tuple[Offsets, Offsets]:
    orders = [run.order(name) for run in runs]
    if gone is None:
        return merged_offsets(name, runs, [live for live, _ in orders]), np.empty(0, np.uint32)
    live: list[Offsets] = []
    past_runs: list[Run] = []
    past: list[Offsets] = []
    for run, (current, ended) in zip(runs, orders, strict=True):
        ended_since = gone[current.astype(np.int64) + run.start - runs[0].start]
        live.append(current[~ended_since])
        past_runs += [run, run]
        past += [ended, current[ended_since]]
    return merged_offsets(name, runs, live), merged_offsets(name, past_runs, past)


# -- columns and rows for others --


class FactColumn:
    """One column of all rows, written and staged; read by row, by rows or by a slice."""

    __slots__ = ("_column", "_facts")

    def __init__(self, facts: Facts, column: int) -> None:
        self._facts = facts
        self._column = column

    def __len__(self) -> int:
        return len(self._facts)

    @overload
    def __getitem__(self, rows: int) -> int: ...
    @overload
    def __getitem__(self, rows: slice | NDArray[np.integer] | NDArray[np.bool_]) -> Ids: ...
    def __getitem__(self, rows: int | slice | NDArray[np.integer] | NDArray[np.bool_]) -> int | Ids:
        seen = self._facts._segments
        if isinstance(rows, np.ndarray):
            return seen.ids(self._column, _numbers(rows))
        if isinstance(rows, slice):
            low, high, step = rows.indices(len(self._facts))
            found = seen.span(self._column, low, max(low, high))
            return found if step == 1 else found[::step]
        return seen.at(self._column, rows)


class EndedColumn:
    """The row that retracted each row, or NEVER."""

    __slots__ = ("_facts",)

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def past(self, start: int, end: int, count: int) -> tuple[Offsets, int]:
        """Return (offsets of the rows of a range that ended below `count`, row after the last of what ended them)."""
        return self._facts._segments.ended.past(start, end, count)

    def by(self, rows: Rows) -> Ids:
        """Return the row that ended each row, plus one; 0 for none, a retraction's own plus one for a retraction."""
        return self._facts._segments.ended.by(rows)

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> Ids:
        given = _given(rows, len(self._facts))
        by = self._facts._segments.ended.by(given)
        return np.where((by == 0) | (by == given + 1), NEVER, by - 1)


class AddedColumn:
    """Whether each row is an addition."""

    __slots__ = ("_facts",)

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    @overload
    def __getitem__(self, rows: int) -> bool: ...
    @overload
    def __getitem__(self, rows: slice | NDArray[np.integer]) -> NDArray[np.bool_]: ...
    def __getitem__(self, rows: int | slice | NDArray[np.integer]) -> bool | NDArray[np.bool_]:
        if isinstance(rows, (slice, np.ndarray)):
            given = _given(rows, len(self._facts))
            return np.not_equal(self._facts._segments.ended.by(given), given + 1)
        return bool(self._facts._segments.ended.by(np.array([rows]))[0] != rows + 1)


def _given(rows: slice | NDArray[np.integer], count: int) -> Rows:
    if isinstance(rows, slice):
        return np.arange(*rows.indices(count), dtype=np.int64)
    return _numbers(rows)


def _numbers(rows: NDArray[np.integer] | NDArray[np.bool_]) -> Rows:
    """Return row numbers, also of a mask."""
    if rows.dtype == np.bool_:
        return np.flatnonzero(rows)
    return rows.astype(np.int64, copy=False)


class DatomRows(Sequence[Datom]):
    """The datoms of some rows, made when they are looked at."""

    __slots__ = ("_end", "_facts", "_start")

    def __init__(self, facts: Facts, start: int, end: int) -> None:
        self._facts = facts
        self._start = start
        self._end = end

    def __len__(self) -> int:
        return self._end - self._start

    @overload
    def __getitem__(self, index: int) -> Datom: ...
    @overload
    def __getitem__(self, index: slice) -> list[Datom]: ...
    def __getitem__(self, index: int | slice) -> Datom | list[Datom]:
        rows = np.arange(self._start, self._end, dtype=np.int64)
        if isinstance(index, slice):
            return datoms_at(self._facts, rows[index])
        return datoms_at(self._facts, rows[index : index + 1 or None])[0]

    def __iter__(self) -> Iterator[Datom]:
        return iter(self[:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (list, DatomRows)) and self[:] == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self[:])


def datoms_at(facts: Facts, rows: Rows) -> list[Datom]:
    """Return the datoms of some rows."""
    columns = (facts.e, facts.a, facts.v, facts.t)
    added: list[bool] = facts.added[rows].tolist()
    return list(map(Datom, *(values_of(column[rows]) for column in columns), added))
