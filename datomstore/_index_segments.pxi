# What a reader sees: runs, and behind them the tail in the order of the log. Every search of the store is here.

cdef enum:
    LEAP_PART = 4  # ascending keys are followed step by step when at least every fourth row is asked for
    TAIL_COMPARISONS = 1 << 15  # keys times rows of the tail that are compared before the tail's keys are sorted
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

cdef struct Sight:  # what a view shows
    int64_t start
    int64_t count
    bint everything
    Ends ends

cdef struct Wanted:  # ids; what is not given matches all
    bint by_e
    bint by_a
    bint by_v
    int64_t e
    int64_t a
    int64_t v

cdef struct Found:
    int64_t *rows  # owned
    int64_t count
    int64_t capacity


cdef inline bint shows(const Sight *sight, int64_t row) noexcept nogil:
    cdef int64_t by
    if row < sight.start or row >= sight.count:
        return False
    if sight.everything:
        return True
    by = ended_by(&sight.ends, row)
    return by == 0 or by > sight.count


cdef int reserve(Found *found, int64_t more) except -1 nogil:
    cdef int64_t capacity = found.capacity
    cdef int64_t *grown
    if found.count + more <= capacity:
        return 0
    capacity = max(found.count + more, 2 * capacity, 16)
    grown = <int64_t *> realloc(found.rows, capacity * sizeof(int64_t))
    if grown == NULL:
        with gil:
            raise MemoryError()
    found.rows, found.capacity = grown, capacity
    return 0


cdef cnp.ndarray taken(Found *found):
    cdef cnp.ndarray out = empty_ids(found.count)
    if found.count:  # else there may be no rows to copy from
        memcpy(cnp.PyArray_DATA(out), found.rows, found.count * sizeof(int64_t))
    return out


cdef void emit(
    const uint32_t *rows, int64_t low, int64_t high, const Stretch *stretch, const Sight *sight,
    bint plain, Found *found
) noexcept nogil:
    """Add the rows at some positions of an order that show; there is room for all."""
    cdef int64_t i, row
    cdef int64_t *out = found.rows + found.count
    if plain:
        for i in range(low, high):
            out[i - low] = stretch.start + rows[i]
        found.count += high - low
        return
    for i in range(low, high):
        row = stretch.start + rows[i]
        out[0] = row
        out += row < stretch.end and shows(sight, row)
    found.count = out - found.rows


cdef void ranges(
    const Codes *codes, const uint32_t *rows, int64_t low, int64_t high, bint dense,
    const int64_t *keys, int64_t count, int64_t *firsts, int64_t *sizes
) noexcept nogil:
    """Say for each key where its rows stand."""
    cdef int64_t i, key, at
    cdef int64_t first = low
    cdef int64_t before = NO_CODE
    cdef int64_t position = low
    cdef bint ascending = count * LEAP_PART >= high - low
    if dense:
        first = code_at(codes, rows[low])
        for i in range(count):
            at = keys[i] - first
            if keys[i] >= first and at < high - low:
                firsts[i], sizes[i] = low + at, 1
            else:
                sizes[i] = 0
        return
    for i in range(count):
        key = keys[i]
        if key == NO_CODE:
            sizes[i] = 0
            continue
        if key == before:
            firsts[i], sizes[i] = first, position - first
            continue
        ascending = ascending and key > before
        if ascending:
            first = leap(codes, rows, position, high, key)
        else:
            first = guessed(codes, rows, low, high, key)
        position = first
        if first < high and code_at(codes, rows[first]) == key:
            position = first + 1
            if position < high and code_at(codes, rows[position]) == key:
                position = leap(codes, rows, position, high, key + 1)
        firsts[i], sizes[i] = first, position - first
        before = key


cdef bint follows(const Codes *codes, const uint32_t *rows, int64_t low, int64_t high) noexcept nogil:
    """Return whether keys follow one another without a gap, and each is there once."""
    cdef int64_t i
    cdef int64_t first = code_at(codes, rows[low])
    if code_at(codes, rows[high - 1]) - first != high - 1 - low:
        return False
    for i in range(low, high):
        if code_at(codes, rows[i]) - first != i - low:
            return False
    return True


cdef class Segments:
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

    # -- one key --

    def rows(self, e, a, v, int64_t count, int64_t start=0, bint everything=False):
        """Return the rows below `count` with the ids given that show in a view."""
        cdef Wanted wanted = as_wanted(e, a, v)
        cdef Sight sight = self.sight(count, start, everything)
        cdef Found found = Found(NULL, 0, 0)
        try:
            self.find(&wanted, &sight, &found)
            return taken(&found)
        finally:
            free(found.rows)

    def datoms(self, e, a, v, int64_t count, int64_t start=0):
        """Return the datoms with the ids given, in no order; e and a, at least, for few."""
        cdef Wanted wanted = as_wanted(e, a, v)
        cdef Sight sight = self.sight(count, start, False)
        cdef Found found = Found(NULL, 0, 0)
        cdef int64_t i, row
        cdef list out = []
        try:
            self.find(&wanted, &sight, &found)
            for i in range(found.count):
                row = found.rows[i]
                parts = (
                    self.value_at(0, row) >> 1,
                    value_at(self.value_at(1, row)),
                    value_at(self.value_at(2, row)),
                    self.value_at(3, row) >> 1,
                    True,
                )
                out.append(new_tuple(Datom, parts))
            return out
        finally:
            free(found.rows)

    def showing(self, rows, int64_t count, int64_t start=0, bint everything=False):
        """Return those of some rows that show in a view."""
        cdef Sight sight = self.sight(count, start, everything)
        cdef object given = as_ids(rows)
        cdef cnp.ndarray out = empty_ids(len(given))
        cdef int64_t i
        cdef int64_t kept = 0
        for i in range(len(given)):
            if shows(&sight, ids_in(given)[i]):
                ids_in(out)[kept] = ids_in(given)[i]
                kept += 1
        return out[:kept]

    cdef int find(self, const Wanted *wanted, const Sight *sight, Found *found) except -1:
        cdef int64_t i
        for i in range(self.count):
            if self.stretches[i].end > sight.start and self.stretches[i].start < sight.count:
                self.find_in_run(i, wanted, sight, found)
        self.find_in_tail(wanted, sight, found)
        return 0

    cdef int find_in_run(self, int64_t i, const Wanted *wanted, const Sight *sight, Found *found) except -1:
        cdef Run run = self.runs[i]
        cdef const Stretch *stretch = &self.stretches[i]
        cdef int64_t part, low, high, name
        cdef int64_t e = 0
        cdef int64_t a = 0
        cdef int64_t v = 0
        cdef int64_t before = found.count
        cdef bint plain = self.is_plain(run, stretch, sight)
        cdef Order order
        if not wanted.by_e and not wanted.by_a and not wanted.by_v:
            return self.find_all(stretch, sight, found)
        if wanted.by_e:
            e = run.e.encoded(wanted.e)
        if wanted.by_a:
            a = run.a.encoded(wanted.a)
        if wanted.by_v:
            v = run.v.encoded(wanted.v)
        if e == NO_CODE or a == NO_CODE or v == NO_CODE:
            return 0
        for part in range(2 if sight.everything or sight.count < stretch.past_until else 1):
            plain = plain and part == 0
            if wanted.by_e:
                order = run.need(EAVT)
                low, high = 0, order.counts[part]
                narrow(&run.e.it, order.rows[part], e, &low, &high)
                if wanted.by_a:
                    narrow(&run.a.it, order.rows[part], a, &low, &high)
                    if wanted.by_v:
                        narrow(&run.v.it, order.rows[part], v, &low, &high)
            elif wanted.by_a:
                order = run.need(AVET if wanted.by_v else AEVT)
                order.window(part, a, &low, &high)
                if wanted.by_v:
                    narrow(&run.v.it, order.rows[part], v, &low, &high)
            else:
                linked = run.linked_now()
                if linked.any():
                    order = run.need(VAET)
                    low, high = 0, order.counts[part]
                    narrow(&run.v.it, order.rows[part], v, &low, &high)
                    self.take(order, part, low, high, stretch, sight, plain, found)
                order = run.need(AVET)
                for name in range(min(order.names, <int64_t> len(linked))):
                    if not linked[name]:
                        order.window(part, name, &low, &high)
                        narrow(&run.v.it, order.rows[part], v, &low, &high)
                        self.take(order, part, low, high, stretch, sight, plain, found)
                continue
            self.take(order, part, low, high, stretch, sight, plain, found)
        if wanted.by_e and wanted.by_v and not wanted.by_a:
            keep_values(stretch, v, before, found)
        return 0

    cdef int take(
        self, Order order, int64_t part, int64_t low, int64_t high,
        const Stretch *stretch, const Sight *sight, bint plain, Found *found
    ) except -1:
        reserve(found, high - low)
        if high - low < FREE_ROWS:
            emit(order.rows[part], low, high, stretch, sight, plain, found)
        else:
            with nogil:
                emit(order.rows[part], low, high, stretch, sight, plain, found)
        return 0

    cdef int find_all(self, const Stretch *stretch, const Sight *sight, Found *found) except -1:
        cdef int64_t row
        cdef int64_t low = max(stretch.start, sight.start)
        cdef int64_t high = min(stretch.end, sight.count)
        if high > low:
            reserve(found, high - low)
            with nogil:
                for row in range(low, high):
                    found.rows[found.count] = row
                    found.count += shows(sight, row)
        return 0

    cdef int find_in_tail(self, const Wanted *wanted, const Sight *sight, Found *found) except -1:
        cdef const Stretch *tail = &self.stretches[self.count]
        cdef const int64_t *e = <const int64_t *> tail.columns[0].data
        cdef const int64_t *a = <const int64_t *> tail.columns[1].data
        cdef const int64_t *v = <const int64_t *> tail.columns[2].data
        cdef int64_t row, i
        if not wanted.by_e and not wanted.by_a and not wanted.by_v:
            return self.find_all(tail, sight, found)
        for row in range(max(tail.start, sight.start), min(tail.end, sight.count)):
            i = row - tail.start
            if (
                (not wanted.by_a or a[i] == wanted.a)
                and (not wanted.by_e or e[i] == wanted.e)
                and (not wanted.by_v or v[i] == wanted.v)
                and shows(sight, row)
            ):
                reserve(found, 1)
                found.rows[found.count] = row
                found.count += 1
        return 0

    def rows_of_transactions(self, int64_t count, int64_t start=0, bint everything=False):
        """Return the rows below `count` about transactions that show in a view."""
        cdef Sight sight = self.sight(count, start, everything)
        cdef Found found = Found(NULL, 0, 0)
        cdef const Stretch *tail = &self.stretches[self.count]
        cdef int64_t i, part, row, low, high
        cdef Order order
        cdef Run run
        try:
            for i in range(self.count):
                if self.stretches[i].end <= start or self.stretches[i].start >= count:
                    continue
                run = self.runs[i]
                order = run.need(EAVT)
                for part in range(2 if everything or count < self.stretches[i].past_until else 1):
                    low, high = 0, order.counts[part]
                    if run.e.it.rule == RULE_ENTITY:
                        high = lower(&run.e.it, order.rows[part], low, high, 0)
                    else:
                        low = lower(&run.e.it, order.rows[part], low, high, TX_FIRST << 1)
                    self.take(order, part, low, high, &self.stretches[i], &sight, False, &found)
            for row in range(max(tail.start, start), min(tail.end, count)):
                if code_at(&tail.columns[0], row - tail.start) >> 1 >= TX_FIRST and shows(&sight, row):
                    reserve(&found, 1)
                    found.rows[found.count] = row
                    found.count += 1
            return taken(&found)
        finally:
            free(found.rows)

    def counted(self, e, a, v, int64_t count, int64_t start=0, bint everything=False):
        """Return how many rows there are with the ids given: exact but for rows that ended since their run was made.

        The value is not looked at where the entity is given and the attribute is not.
        """
        cdef Wanted wanted = as_wanted(e, a, v)
        cdef Sight sight = self.sight(count, start, everything)
        return self.size(&wanted, &sight)

    cdef int64_t size(self, const Wanted *asked, const Sight *sight) except -1:
        cdef Wanted wanted = asked[0]
        cdef Found found = Found(NULL, 0, 0)
        cdef Run run
        cdef Order order
        cdef int64_t i, part, low, high, name
        cdef int64_t sum_ = 0
        cdef int64_t[3] codes
        if wanted.by_e and not wanted.by_a:
            wanted.by_v = False
        if not wanted.by_e and not wanted.by_a and not wanted.by_v:
            return max(0, sight.count - sight.start)
        try:
            if not wanted.by_a and not wanted.by_e:
                self.find(&wanted, sight, &found)
                return found.count
            for i in range(self.count):
                if self.stretches[i].end <= sight.start or self.stretches[i].start >= sight.count:
                    continue
                run = self.runs[i]
                codes[0] = run.e.encoded(wanted.e) if wanted.by_e else 0
                codes[1] = run.a.encoded(wanted.a) if wanted.by_a else 0
                codes[2] = run.v.encoded(wanted.v) if wanted.by_v else 0
                if NO_CODE == codes[0] or NO_CODE == codes[1] or NO_CODE == codes[2]:
                    continue
                order = run.need(EAVT if wanted.by_e else AVET if wanted.by_v else AEVT)
                for part in range(2 if sight.everything or sight.count < self.stretches[i].past_until else 1):
                    low, high = 0, order.counts[part]
                    if wanted.by_e:
                        narrow(&run.e.it, order.rows[part], codes[0], &low, &high)
                        if wanted.by_a:
                            narrow(&run.a.it, order.rows[part], codes[1], &low, &high)
                    else:
                        order.window(part, codes[1], &low, &high)
                    if wanted.by_v:
                        narrow(&run.v.it, order.rows[part], codes[2], &low, &high)
                    sum_ += high - low
            self.find_in_tail(&wanted, sight, &found)
            return sum_ + found.count
        finally:
            free(found.rows)

    # -- many keys --

    def bound(
        self, a, bint by_value, probes, spend, int64_t count, int64_t start=0, bint everything=False
    ):
        """Return (number of the key, row) of the rows of attribute `a`, or of any, whose entity or value is a key."""
        cdef Sight sight = self.sight(count, start, everything)
        cdef Found numbers = Found(NULL, 0, 0)
        cdef Found found = Found(NULL, 0, 0)
        cdef object keys = as_ids(probes)
        cdef int64_t i
        try:
            if len(keys):
                for i in range(self.count):
                    if self.stretches[i].end > start and self.stretches[i].start < count:
                        self.probe_run(i, a, by_value, keys, spend, &sight, &numbers, &found)
                self.probe_tail(a, by_value, keys, spend, &sight, &numbers, &found)
            return taken(&numbers), taken(&found)
        finally:
            free(numbers.rows)
            free(found.rows)

    cdef int probe_run(
        self, int64_t i, a, bint by_value, keys, spend, const Sight *sight, Found *numbers, Found *found
    ) except -1:
        cdef Run run = self.runs[i]
        cdef Order order
        cdef int64_t part, low, high, name
        cdef object codes = (run.v if by_value else run.e).encode(keys)
        if a is not None:
            name = run.a.encoded(a)
            if name == NO_CODE:
                return 0
        order = run.need((VAET if by_value else EAVT) if a is None else AVET if by_value else AEVT)
        for part in range(2 if sight.everything or sight.count < self.stretches[i].past_until else 1):
            if a is not None:
                order.window(part, name, &low, &high)
                dense = part == 0 and not by_value and self.is_dense(run, order, name, len(codes))
                self.probe(i, order, part, low, high, dense, by_value, codes, spend, sight, numbers, found)
            else:
                self.probe(
                    i, order, part, 0, order.counts[part], False, by_value, codes, spend, sight, numbers, found
                )
        if a is None and by_value:
            linked = run.linked_now()
            for name in range(len(linked)):
                if not linked[name]:
                    self.probe_run(i, run.a.table.lut[name], by_value, keys, spend, sight, numbers, found)
        return 0

    cdef bint is_dense(self, Run run, Order order, int64_t name, int64_t probes) except *:
        cdef int64_t low, high
        cdef int8_t *known
        order.window(0, name, &low, &high)
        if high <= low:
            return False
        known = <int8_t *> cnp.PyArray_DATA(<cnp.ndarray> order.dense) + name
        if known[0] == 0:
            if 8 * probes < high - low:
                return False  # too few to look at all of them for
            known[0] = 1 if follows(&run.e.it, order.rows[0], low, high) else 2
        return known[0] == 1

    cdef int probe(
        self, int64_t i, Order order, int64_t part, int64_t low, int64_t high, bint dense,
        bint by_value, keys, spend, const Sight *sight, Found *numbers, Found *found
    ) except -1:
        cdef Run run = self.runs[i]
        cdef const Stretch *stretch = &self.stretches[i]
        cdef const Codes *codes = &run.v.it if by_value else &run.e.it
        cdef const int64_t *wanted = ids_in(keys)
        cdef int64_t count = len(keys)
        cdef int64_t number, row
        cdef int64_t total = 0
        cdef int64_t before
        cdef bint plain = part == 0 and self.is_plain(run, stretch, sight)
        cdef int64_t *firsts
        cdef int64_t *sizes
        if high <= low:
            return 0
        firsts = <int64_t *> malloc(2 * count * sizeof(int64_t))
        if firsts == NULL:
            raise MemoryError()
        sizes = firsts + count
        try:
            with nogil:
                ranges(codes, order.rows[part], low, high, dense, wanted, count, firsts, sizes)
                for number in range(count):
                    total += sizes[number]
            if spend is not None:
                spend(total)
            if not total:
                return 0
            reserve(numbers, total)
            reserve(found, total)
            with nogil:
                for number in range(count):
                    if sizes[number] == 1 and plain:
                        found.rows[found.count] = stretch.start + order.rows[part][firsts[number]]
                        numbers.rows[found.count] = number
                        found.count += 1
                    elif sizes[number]:
                        before = found.count
                        emit(
                            order.rows[part], firsts[number], firsts[number] + sizes[number],
                            stretch, sight, plain, found
                        )
                        for row in range(before, found.count):
                            numbers.rows[row] = number
            numbers.count = found.count
        finally:
            free(firsts)
        return 0

    cdef int probe_tail(
        self, a, bint by_value, keys, spend, const Sight *sight, Found *numbers, Found *found
    ) except -1:
        cdef const Stretch *tail = &self.stretches[self.count]
        cdef const int64_t *attributes = <const int64_t *> tail.columns[1].data
        cdef const int64_t *column = <const int64_t *> tail.columns[2 if by_value else 0].data
        cdef const int64_t *wanted = ids_in(keys)
        cdef int64_t count = len(keys)
        cdef bint any_attribute = a is None
        cdef int64_t attribute = 0 if a is None else a
        cdef int64_t low = max(tail.start, sight.start) - tail.start
        cdef int64_t high = min(tail.end, sight.count) - tail.start
        cdef int64_t i, number, at
        cdef Codes codes
        cdef Found chosen = Found(NULL, 0, 0)
        cdef cnp.ndarray rows
        cdef uint32_t *sorted_
        cdef CodesPointer[3] columns
        if high <= low:
            return 0
        try:
            for i in range(low, high):
                if (any_attribute or attributes[i] == attribute) and shows(sight, tail.start + i):
                    reserve(&chosen, 1)
                    chosen.rows[chosen.count] = i
                    chosen.count += 1
            if not chosen.count:
                return 0
            if chosen.count * count <= TAIL_COMPARISONS:
                for number in range(count):
                    for i in range(chosen.count):
                        if column[chosen.rows[i]] == wanted[number]:
                            add_pair(numbers, found, number, tail.start + chosen.rows[i])
                return 0
            codes = tail.columns[2 if by_value else 0]
            columns[0] = columns[1] = columns[2] = &codes
            rows = sorted_rows(EAVT, columns, taken(&chosen).astype(np.uint32), 2)
            sorted_ = <uint32_t *> cnp.PyArray_DATA(rows)
            for number in range(count):
                at = lower(&codes, sorted_, 0, chosen.count, wanted[number])
                while at < chosen.count and column[sorted_[at]] == wanted[number]:
                    add_pair(numbers, found, number, tail.start + sorted_[at])
                    at += 1
            return 0
        finally:
            free(chosen.rows)

    # -- integers --

    def between(self, int64_t a, int64_t low, int64_t high, int64_t count, int64_t start=0, bint everything=False):
        """Return the rows of an attribute whose values are inline integers from id `low` to id `high`, both included."""
        cdef Sight sight = self.sight(count, start, everything)
        cdef Found found = Found(NULL, 0, 0)
        cdef int64_t i
        try:
            for i in range(self.count):
                if self.stretches[i].end > start and self.stretches[i].start < count:
                    self.between_in_run(i, a, low, high, &sight, &found)
            self.between_in_tail(a, low, high, &sight, &found)
            return taken(&found)
        finally:
            free(found.rows)

    def counted_between(self, int64_t a, int64_t low, int64_t high, int64_t count, int64_t start=0):
        """Return about how many rows that are: by position: rows that ended and other values count."""
        cdef Sight sight = self.sight(count, start, False)
        cdef Found found = Found(NULL, 0, 0)
        cdef Run run
        cdef Order order
        cdef int64_t i, part, name, first, last
        cdef int64_t sum_ = 0
        try:
            for i in range(self.count):
                if self.stretches[i].end <= start or self.stretches[i].start >= count:
                    continue
                run = self.runs[i]
                name = run.a.encoded(a)
                order = run.need(AVET)
                for part in range(2 if count < self.stretches[i].past_until else 1):
                    order.window(part, name, &first, &last)
                    first = lower(&run.v.it, order.rows[part], first, last, low)
                    sum_ += max(0, lower(&run.v.it, order.rows[part], first, last, high + 1) - first)
            self.between_in_tail(a, low, high, &sight, &found)
            return sum_ + found.count
        finally:
            free(found.rows)

    cdef int between_in_run(
        self, int64_t i, int64_t a, int64_t low, int64_t high, const Sight *sight, Found *found
    ) except -1:
        cdef Run run = self.runs[i]
        cdef const Stretch *stretch = &self.stretches[i]
        cdef const Codes *values = &run.v.it
        cdef int64_t name = run.a.encoded(a)
        cdef int64_t part, begin, end, first, last, code, row, at
        cdef int64_t kept
        cdef bint plain = self.is_plain(run, stretch, sight)
        cdef Order order
        if name == NO_CODE:
            return 0
        order = run.need(AVET)
        boxed = []
        if values.rule == RULE_STORED:
            boxed = [run.v.encoded(one) for one in run.v.table.boxed_between(low, high).tolist()]
        for part in range(2 if sight.everything or sight.count < stretch.past_until else 1):
            order.window(part, name, &begin, &end)
            if begin == end:
                continue
            first = lower(values, order.rows[part], begin, end, low)
            last = lower(values, order.rows[part], first, end, high + 1)
            kept = found.count
            self.take(order, part, first, last, stretch, sight, plain and part == 0, found)
            if not run.is_whole(name):
                for at in range(kept, found.count):
                    row = found.rows[at]
                    found.rows[kept] = row
                    kept += not code_at(values, row - stretch.start) & 1
                found.count = kept
            for code in boxed:
                first, last = begin, end
                narrow(values, order.rows[part], code, &first, &last)
                self.take(order, part, first, last, stretch, sight, plain and part == 0, found)
        return 0

    cdef int between_in_tail(self, int64_t a, int64_t low, int64_t high, const Sight *sight, Found *found) except -1:
        cdef const Stretch *tail = &self.stretches[self.count]
        cdef const int64_t *attributes = <const int64_t *> tail.columns[1].data
        cdef const int64_t *values = <const int64_t *> tail.columns[2].data
        cdef int64_t row, i
        for row in range(max(tail.start, sight.start), min(tail.end, sight.count)):
            i = row - tail.start
            if attributes[i] == a and not values[i] & 1 and low <= values[i] <= high and shows(sight, row):
                reserve(found, 1)
                found.rows[found.count] = row
                found.count += 1
        return 0

    def has_integers_only(self, int64_t a, int64_t count):
        """Return whether all values of an attribute below row `count`, past ones too, are inline integers."""
        cdef const Stretch *tail = &self.stretches[self.count]
        cdef const int64_t *attributes = <const int64_t *> tail.columns[1].data
        cdef const int64_t *values = <const int64_t *> tail.columns[2].data
        cdef int64_t i, name
        cdef Run run
        for run in self.runs:
            name = run.a.encoded(a)
            if name != NO_CODE and name < run.a.it.lut_count and not run.is_whole(name):
                return False
        for i in range(min(tail.end, count) - tail.start):
            if attributes[i] == a and values[i] & 1:
                return False
        return True

    def highest_entity(self, references, int64_t count):
        """Return the largest entity, transactions aside, among entities and values of attributes (ids); -1 for none."""
        cdef const Stretch *tail = &self.stretches[self.count]
        cdef const int64_t *entities = <const int64_t *> tail.columns[0].data
        cdef const int64_t *attributes = <const int64_t *> tail.columns[1].data
        cdef const int64_t *values = <const int64_t *> tail.columns[2].data
        cdef int64_t i
        cdef int64_t best = -1
        cdef Run run
        for i in range(self.count):
            if self.stretches[i].start < count:
                run = self.runs[i]
                best = max(best, <int64_t> run.highest_entity(references))
        known = frozenset(references)
        for i in range(min(tail.end, count) - tail.start):
            if entities[i] >> 1 < TX_FIRST and entities[i] >> 1 > best:
                best = entities[i] >> 1
            if values[i] & 1 == 0 and values[i] >> 1 > best and values[i] >> 1 < TX_FIRST:
                if attributes[i] in known:
                    best = values[i] >> 1
        return best

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
    cdef Segments into = <Segments?> segments
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


cdef inline void narrow(
    const Codes *codes, const uint32_t *rows, int64_t key, int64_t *low, int64_t *high
) noexcept nogil:
    """Keep of a range of positions where the code is the key."""
    cdef int64_t first = guessed(codes, rows, low[0], high[0], key)
    low[0] = first
    high[0] = leap(codes, rows, first, high[0], key + 1)


cdef Wanted as_wanted(e, a, v) except *:
    cdef Wanted wanted
    wanted.by_e, wanted.by_a, wanted.by_v = e is not None, a is not None, v is not None
    wanted.e = as_id(e) if wanted.by_e else 0
    wanted.a = as_id(a) if wanted.by_a else 0
    wanted.v = as_id(v) if wanted.by_v else 0
    return wanted


cdef int add_pair(Found *numbers, Found *found, int64_t number, int64_t row) except -1:
    reserve(numbers, 1)
    reserve(found, 1)
    numbers.rows[numbers.count] = number
    found.rows[found.count] = row
    numbers.count += 1
    found.count += 1
    return 0


cdef void keep_values(const Stretch *stretch, int64_t v, int64_t start, Found *found) noexcept:
    """Keep of the rows found those with a value."""
    cdef int64_t i
    cdef int64_t kept = start
    for i in range(start, found.count):
        found.rows[kept] = found.rows[i]
        kept += code_at(&stretch.columns[2], found.rows[i] - stretch.start) == v
    found.count = kept


cdef int64_t as_id(given) except? -1:
    """Return an id; of a number that is too large to be one, an id that nothing has."""
    try:
        return given
    except OverflowError:
        return NO_CODE
