# Rows by their numbers, as they are at one moment: runs, and behind them the tail in the order of the log.

cdef enum:
    FREE_ROWS = 20_000  # rows from which on the GIL is given up

cdef struct Stretch:
    int64_t start
    int64_t end  # row after the last that counts
    int64_t past_until
    Codes[3] columns  # e, a, v
    const uint32_t *t_offsets  # of a run: where transactions begin
    const int64_t *t_ids
    int64_t t_count
    const int64_t *t  # of the tail: a column


cdef class Stretches:
    """Runs and a tail, as they are at one moment; immutable but for rows that are appended to the tail."""

    cdef readonly tuple runs
    cdef readonly int64_t tail_start
    cdef readonly int64_t tail_end  # rows that the tail has room for
    cdef readonly Ended ended
    cdef Stretch *stretches  # owned; of the runs, then of the tail
    cdef int64_t count
    cdef readonly tuple tail  # columns e, a, v, t

    def __cinit__(self, tuple runs, tuple ends, tuple pasts, Ended ended not None, int64_t tail_start, e, a, v, t):
        """`ends` are the rows after the last that counts of each run, `pasts` until when its second part is looked at."""
        cdef int64_t i
        cdef Stretch *stretch
        cdef Run run
        self.runs, self.ended, self.tail_start = runs, ended, tail_start
        self.count = len(runs)
        self.tail = tuple(as_ids(column) for column in (e, a, v, t))
        self.tail_end = tail_start + min(map(len, self.tail))
        self.stretches = <Stretch *> calloc(self.count + 1, sizeof(Stretch))
        if self.stretches == NULL:
            raise MemoryError()
        at = 0
        for i in range(self.count):
            run, stretch = runs[i], &self.stretches[i]
            if run.start != at:
                raise ValueError("runs follow one another")
            at = ends[i]
            stretch.start, stretch.end = run.start, at
            stretch.past_until = pasts[i]
            stretch.columns[0], stretch.columns[1], stretch.columns[2] = run.e.it, run.a.it, run.v.it
            stretch.t_offsets = <const uint32_t *> cnp.PyArray_DATA(<cnp.ndarray> run.t_offsets)
            stretch.t_ids = ids_in(run.t_ids)
            stretch.t_count = len(run.t_ids)
            if stretch.end > run.end:
                raise ValueError("a run has fewer rows")
        if at != tail_start:
            raise ValueError("the tail follows the runs")
        stretch = &self.stretches[self.count]
        stretch.start, stretch.end = tail_start, self.tail_end
        for i in range(3):
            stretch.columns[i].data = ids_in(self.tail[i])
            stretch.columns[i].width = 8
            stretch.columns[i].rule = RULE_DIRECT
        stretch.t = ids_in(self.tail[3])

    def __dealloc__(self):
        free(self.stretches)

    # -- the writer --

    def write(self, int64_t start, e, a, v, t):
        """Put rows into the tail, from row `start` on. `t` is the transaction's id, or an array with that of each row."""
        cdef int64_t count = len(e)
        cdef int64_t i, tx
        cdef int64_t *times
        cdef const Stretch *tail = &self.stretches[self.count]
        if not tail.start <= start <= start + count <= tail.end:
            raise IndexError(f"rows {start} to {start + count} of {tail.start} to {tail.end}")
        for i, given in enumerate((e, a, v)):
            self.put(<int64_t *> tail.columns[i].data + (start - tail.start), as_ids(given), count)
        times = <int64_t *> tail.t + (start - tail.start)
        if isinstance(t, int):
            tx = t
            for i in range(count):
                times[i] = tx
        else:
            self.put(times, as_ids(t), count)

    cdef int put(self, int64_t *out, given, int64_t count) except -1:
        if len(given) != count:
            raise ValueError("the columns of rows are equally long")
        if count:
            memcpy(out, ids_in(given), count * sizeof(int64_t))
        return 0

    # -- what it has --

    @property
    def ends(self):
        """Return for each run the row after the last that counts."""
        return tuple([self.stretches[i].end for i in range(self.count)])

    @property
    def pasts(self):
        """Return for each run until when its second part is looked at."""
        return tuple([self.stretches[i].past_until for i in range(self.count)])

    cdef Sight sight(self, int64_t count, int64_t start, bint everything) noexcept:
        cdef Sight made
        made.start, made.count, made.everything = start, count, everything
        made.ends = self.ended.view()
        return made

    cdef bint is_plain(self, Run run, const Stretch *stretch, const Sight *sight) noexcept:
        """Return whether all rows of the run's first part show."""
        return (
            sight.start <= stretch.start
            and sight.count >= run.end
            and stretch.end == run.end
            and not any_ended(&sight.ends, stretch.start, stretch.end)
        )

    # -- columns --

    cdef int64_t stretch_of(self, int64_t row) noexcept nogil:
        """Return which stretch has a row; the number of stretches if none has."""
        cdef int64_t i
        if row < 0 or row >= self.tail_end:
            return self.count + 1
        if row >= self.tail_start:
            return self.count
        for i in range(self.count):
            if row < self.stretches[i].end:
                return i
        return self.count

    cdef int64_t value_at(self, int64_t column, int64_t row) except? -1:
        cdef int64_t i = self.stretch_of(row)
        cdef const Stretch *stretch = &self.stretches[i]
        cdef int64_t found
        if i > self.count:
            raise IndexError(f"no row {row}")
        if column == 3:
            return t_at(stretch, row - stretch.start, 0)[0]
        found = id_of(&stretch.columns[column], code_at(&stretch.columns[column], row - stretch.start))
        return found if found != NO_CODE else self.ids(column, np.array([row]))[0]

    def at(self, int64_t column, int64_t row):
        """Return one id: 0 is of the entity, 1 of the attribute, 2 of the value, 3 of the transaction."""
        return self.value_at(column, row)

    def ids(self, int64_t column, rows):
        """Return the ids of some rows."""
        cdef cnp.ndarray given = as_ids(rows)
        cdef cnp.ndarray out = empty_ids(len(given))
        cdef int64_t count = len(given)
        cdef const int64_t *source = ids_in(given)
        cdef int64_t *target = ids_in(out)
        cdef int64_t done
        if count < FREE_ROWS:
            done = self.gather(column, source, count, target)
        else:
            with nogil:
                done = self.gather(column, source, count, target)
        if done == 1:
            self.load(column, given)
            done = self.gather(column, source, count, target)
        if done == 2:
            raise IndexError(f"a row is not below {self.tail_end}")
        if done:
            raise IndexError("a code stands for nothing in its table")
        return out

    cdef int64_t gather(self, int64_t column, const int64_t *rows, int64_t count, int64_t *out) noexcept nogil:
        """Write ids; 1 if one is not loaded, 2 if there is no such row."""
        cdef int64_t at = 0
        cdef int64_t last, i
        cdef int64_t done = 0
        cdef const Stretch *stretch
        cdef const int64_t *t
        while at < count:
            i = self.stretch_of(rows[at])
            if i > self.count:
                return 2
            stretch = &self.stretches[i]
            last = at + 1
            while last < count and stretch.start <= rows[last] < stretch.end:
                last += 1
            if column < 3:
                if not decoded(&stretch.columns[column], rows + at, last - at, stretch.start, out + at):
                    done = 1
            elif stretch.t != NULL:
                for i in range(at, last):
                    out[i] = stretch.t[rows[i] - stretch.start]
            else:
                t = stretch.t_ids
                for i in range(at, last):
                    t = t_at(stretch, rows[i] - stretch.start, t - stretch.t_ids)
                    out[i] = t[0]
            at = last
        return done

    cdef int load(self, int64_t column, cnp.ndarray rows) except -1:
        """Have dictionaries load what some rows need."""
        cdef int64_t i
        cdef Run run
        for i in range(self.count):
            run = self.runs[i]
            if self.stretches[i].columns[column].rule == RULE_STORED:
                here = rows[(rows >= self.stretches[i].start) & (rows < self.stretches[i].end)]
                if len(here):
                    (<Column> (run.e, run.a, run.v)[column]).load(here, run.start)
        return 0

    def span(self, int64_t column, int64_t low, int64_t high):
        """Return the ids of the rows from `low` on, before `high`."""
        cdef cnp.ndarray out
        cdef const Stretch *stretch
        cdef int64_t i, first, last
        cdef bint whole = True
        if not 0 <= low <= high <= self.tail_end:
            raise IndexError(f"rows {low} to {high} of {self.tail_end}")
        if column == 3:
            return self.ids(column, np.arange(low, high, dtype=np.int64))
        out = empty_ids(high - low)
        for i in range(self.count + 1):
            stretch = &self.stretches[i]
            first, last = max(low, stretch.start), min(high, stretch.end)
            if first < last:
                with nogil:
                    whole &= decoded_span(
                        &stretch.columns[column], first - stretch.start, last - first,
                        <int64_t *> cnp.PyArray_DATA(out) + (first - low)
                    )
        return out if whole else self.ids(column, np.arange(low, high, dtype=np.int64))

    def signs(self, int64_t low, int64_t high):
        """Return +1 for each row of a range that is an addition, -1 for each that is a retraction."""
        cdef Ends ends = self.ended.view()
        cdef cnp.ndarray out
        cdef int64_t *signs
        cdef int64_t row
        if not 0 <= low <= high <= self.tail_end:
            raise IndexError(f"rows {low} to {high} of {self.tail_end}")
        out = empty_ids(high - low)
        signs = <int64_t *> cnp.PyArray_DATA(out)
        for row in range(low, high):
            signs[row - low] = -1 if ended_by(&ends, row) == row + 1 else 1
        return out

    def attributes_of(self, int64_t low, int64_t high):
        """Return the ids of the attributes of a range of rows, as a set."""
        cdef int64_t row, a
        cdef int64_t before = NO_CODE
        cdef set made = set()
        if not 0 <= low <= high <= self.tail_end:
            raise IndexError(f"rows {low} to {high} of {self.tail_end}")
        for row in range(low, high):
            a = self.value_at(1, row)
            if a != before:
                made.add(a)
                before = a
        return made


cdef int write_facts(
    object segments, int64_t start, const int64_t *facts, int64_t count, const int64_t *txs, int64_t tx_count,
    const int64_t *ends, int64_t end_count
) except -1:
    """Put rows into the tail, from row `start` on, and note what they end.

    A fact is e, a, v; `txs` are (first row, transaction's id), of which the first may have begun before; `ends` are (row
    of a retraction, row that it ends).
    """
    cdef Stretches into = <Stretches?> segments
    cdef const Stretch *tail = &into.stretches[into.count]
    cdef int64_t offset = start - tail.start
    cdef int64_t tx = 0
    cdef int64_t i, column
    if not tail.start <= start <= start + count <= tail.end:
        raise IndexError(f"rows {start} to {start + count} of {tail.start} to {tail.end}")
    for column in range(3):
        for i in range(count):
            (<int64_t *> tail.columns[column].data)[offset + i] = facts[3 * i + column]
    for i in range(count):
        while tx + 1 < tx_count and txs[2 * tx + 2] <= start + i:
            tx += 1
        (<int64_t *> tail.t)[offset + i] = txs[2 * tx + 1]
    for i in range(end_count):
        into.ended.note(ends[2 * i], ends[2 * i])
        into.ended.note(ends[2 * i + 1], ends[2 * i])
    return 0


cdef inline const int64_t *t_at(const Stretch *stretch, int64_t offset, int64_t hint) noexcept nogil:
    """Return where the transaction of a row stands; `hint` is where that of another one stood."""
    cdef int64_t low = 0
    cdef int64_t high = stretch.t_count
    cdef int64_t middle
    if stretch.t != NULL:
        return stretch.t + offset
    if stretch.t_offsets[hint] <= offset:
        low = hint
        if hint + 1 >= high or offset < stretch.t_offsets[hint + 1]:
            return stretch.t_ids + hint
    else:
        high = hint
    while high - low > 1:
        middle = (low + high) >> 1
        if stretch.t_offsets[middle] <= offset:
            low = middle
        else:
            high = middle
    return stretch.t_ids + low
