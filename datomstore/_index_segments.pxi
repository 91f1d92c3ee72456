# Every search of the store: by one key, by many, and by ranges of integers.

cdef enum:
    LEAP_PART = 4  # ascending keys are followed step by step when at least every fourth row is asked for
    TAIL_COMPARISONS = 1 << 15  # keys times rows of the tail that are compared before the tail's keys are sorted


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


cdef inline void narrow(
    const Codes *codes, const uint32_t *rows, int64_t key, int64_t *low, int64_t *high
) noexcept nogil:
    """Keep of a range of positions where the code is the key."""
    cdef int64_t first = guessed(codes, rows, low[0], high[0], key)
    low[0] = first
    high[0] = leap(codes, rows, first, high[0], key + 1)


cdef class Segments(Stretches):
    """Runs and a tail, which a reader searches by their orders, and the tail row by row."""

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
