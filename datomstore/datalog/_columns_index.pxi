# Where in a column a key stands.
#
# Is:     an index from ids to positions, of the cheapest kind that the column allows.
# Is not: a hash index: columns of scattered ids in no order are left to `_kernel`.
# Fits:   one for each column that is looked up, kept with the facts of a pattern.
#
#     CONSECUTIVE  ids follow one another: the position is a subtraction
#     SINGLE       ids lie close together, each once: position by number of the id, -1 where there is none
#     GROUPED      ids lie close together: for each number where its positions begin, and the positions
#     ASCENDING    ids lie far apart but in order: the place is searched, from where the last one was found

cdef enum:
    SPREAD_MAX = 4  # numbers of ids for each row, up to which an id's number is an address
    SPREAD_FREE = 1024  # numbers that are addresses however few rows there are
    PORTION = 1 << 20  # keys that are looked up before the caller is asked whether to go on

cdef enum Kind:
    NOTHING
    CONSECUTIVE
    SINGLE
    GROUPED
    ASCENDING
    SCATTERED


cdef struct Shape:  # of a column
    int64_t low
    int64_t high
    bint even_steps  # all ids are even, or all are odd: they can be numbered by halves
    bint ascending
    bint strictly


cdef Shape shape_of(const int64_t *ids, int64_t count) noexcept nogil:
    cdef Shape found = Shape(ids[0], ids[0], True, True, True)
    cdef int64_t differing = 0
    cdef int64_t descents = 0
    cdef int64_t equals = 0
    cdef int64_t i
    for i in range(1, count):
        found.low = min(found.low, ids[i])
        found.high = max(found.high, ids[i])
        differing |= ids[i] ^ ids[0]
        descents += ids[i] < ids[i - 1]
        equals += ids[i] == ids[i - 1]
    found.even_steps = not differing & 1
    found.ascending = descents == 0
    found.strictly = found.ascending and equals == 0
    return found


def is_ascending(const int64_t[::1] column):
    """Return whether no id is less than the one before."""
    cdef int64_t count = column.shape[0]
    cdef int64_t i
    cdef int64_t descents = 0
    with nogil:
        for i in range(1, count):
            descents += column[i] < column[i - 1]
    return descents == 0


cdef inline int64_t number_of(int64_t key, int64_t low, int64_t high, int64_t step) noexcept nogil:
    """Return the number of a key within a range of ids, -1 outside of it."""
    cdef uint64_t past
    if key < low or key > high:
        return -1
    past = <uint64_t> key - <uint64_t> low
    if step == 1:
        return <int64_t> past
    return -1 if past & 1 else <int64_t> (past >> 1)


cdef class Index:
    """Positions by id, of one column that does not change. Cost: one or two passes over it."""

    cdef Kind kind
    cdef int64_t count
    cdef int64_t low
    cdef int64_t high
    cdef int64_t step
    cdef const int64_t[::1] column  # if ASCENDING
    cdef const int32_t[::1] starts  # a place for each number; of GROUPED one more
    cdef const int32_t[::1] positions  # if GROUPED and not in order
    cdef bint in_order  # a place in `starts` is a position
    cdef readonly bint unique  # known to have each id once
    cdef readonly bint ascending
    cdef readonly int64_t most  # rows of one id, at most

    def __init__(self, const int64_t[::1] column not None):
        cdef Shape shape
        cdef uint64_t span
        self.count = column.shape[0]
        self.unique = self.ascending = self.in_order = True
        self.most = 1
        if not self.count:
            self.kind = NOTHING
            return
        if self.count >= 1 << 31:
            self.kind, self.unique = SCATTERED, False
            return
        with nogil:
            shape = shape_of(&column[0], self.count)
        self.low, self.high = shape.low, shape.high
        self.step = 2 if shape.even_steps else 1
        self.ascending = shape.ascending
        span = (<uint64_t> shape.high - <uint64_t> shape.low) // <uint64_t> self.step + 1
        if shape.strictly and span == <uint64_t> self.count:
            self.kind = CONSECUTIVE
        elif span <= <uint64_t> (SPREAD_MAX * self.count + SPREAD_FREE):
            self.address(column, <int64_t> span)
        elif shape.ascending:
            self.kind = ASCENDING
            self.column = column
            self.unique = shape.strictly
            with nogil:
                self.most = longest_run(&column[0], self.count)
        else:
            self.kind, self.unique = SCATTERED, False  # nobody has counted

    cdef int address(self, const int64_t[::1] column, int64_t span) except -1:
        """Count the rows of each id, and give each a place."""
        starts_array = np.zeros(span + 1, np.int32)
        cdef int32_t[::1] starts = starts_array
        cdef int32_t[::1] positions
        cdef int64_t low = self.low
        cdef int64_t shift = self.step - 1
        cdef int64_t count = self.count
        cdef int64_t i
        cdef int64_t at
        cdef int32_t most = 0
        cdef int32_t before = 0
        cdef int32_t here
        with nogil:
            for i in range(count):
                at = (column[i] - low) >> shift
                starts[at] += 1
                most = max(most, starts[at])
        self.most = most
        self.unique = most == 1
        if self.unique:
            self.kind = SINGLE
            with nogil:
                for i in range(span + 1):
                    starts[i] = -1
                for i in range(count):
                    starts[(column[i] - low) >> shift] = <int32_t> i
            self.starts = starts_array
            return 0
        self.kind = GROUPED
        with nogil:
            for i in range(span + 1):
                here = starts[i]
                starts[i] = before
                before += here
        self.in_order = self.ascending
        if not self.in_order:
            positions_array = np.empty(count, np.int32)
            positions = positions_array
            with nogil:
                for i in range(count):  # this moves each beginning to its end ...
                    at = (column[i] - low) >> shift
                    positions[starts[at]] = <int32_t> i
                    starts[at] += 1
                for i in range(span, 0, -1):  # ... which is where the next one begins
                    starts[i] = starts[i - 1]
                starts[0] = 0
            self.positions = positions_array
        self.starts = starts_array
        return 0

    @property
    def usable(self):
        """Return whether keys can be found; else the column needs a hash index."""
        return self.kind != SCATTERED

    def probe(self, const int64_t[::1] keys not None, spend):
        """Return (number of the key, position) for every position with a key's id; None for all keys, each once.

        Args:
            keys: ids, in any order.
            spend: told how many rows there will be, before they are made where a key can have several; may raise.
        """
        if self.unique:
            return self.probe_unique(keys, spend)
        return self.probe_groups(keys, spend)

    cdef object probe_unique(self, const int64_t[::1] keys, object spend):
        cdef int64_t count = keys.shape[0]
        cdef int64_t made = 0
        cdef int64_t start
        cdef int64_t end
        probes_array = np.empty(count, np.int64)
        rows_array = np.empty(count, np.int64)
        if not count or not self.count:
            spend(0)
            return probes_array[:0], rows_array[:0]
        cdef int64_t[::1] probes = probes_array
        cdef int64_t[::1] rows = rows_array
        for start in range(0, count, PORTION):
            end = min(start + PORTION, count)
            with nogil:
                made = self.singles(&keys[0], start, end, &probes[0], &rows[0], made)
            spend(0)
        spend(made)
        if made == count:
            return None, rows_array
        return probes_array[:made], rows_array[:made]

    cdef int64_t singles(
        self, const int64_t *keys, int64_t start, int64_t end, int64_t *probes, int64_t *rows, int64_t made
    ) noexcept nogil:
        """Write what is found; return how many rows there are then."""
        cdef int64_t i
        cdef int64_t at
        cdef int64_t last = 0
        if self.kind == CONSECUTIVE:
            for i in range(start, end):
                at = number_of(keys[i], self.low, self.high, self.step)
                probes[made] = i
                rows[made] = at
                made += at >= 0
            return made
        if self.kind == SINGLE:
            for i in range(start, end):
                at = number_of(keys[i], self.low, self.high, self.step)
                if at >= 0:
                    at = self.starts[at]
                probes[made] = i
                rows[made] = at
                made += at >= 0
            return made
        for i in range(start, end):
            last = lower_bound(&self.column[0], self.count, keys[i], last)
            if last < self.count and self.column[last] == keys[i]:
                probes[made] = i
                rows[made] = last
                made += 1
        return made

    cdef object probe_groups(self, const int64_t[::1] keys, object spend):
        cdef int64_t count = keys.shape[0]
        cdef int64_t total = 0
        cdef int64_t made = 0
        cdef int64_t start
        cdef int64_t end
        if not count or not self.count:
            spend(0)
            return np.empty(0, np.int64), np.empty(0, np.int64)
        firsts_array = np.empty(count, np.int32)
        ends_array = np.empty(count, np.int32)
        cdef int32_t[::1] firsts = firsts_array
        cdef int32_t[::1] ends = ends_array
        for start in range(0, count, PORTION):
            end = min(start + PORTION, count)
            with nogil:
                total += self.ranges(&keys[0], start, end, &firsts[0], &ends[0])
            spend(0)
        spend(total)
        probes_array = np.empty(total, np.int64)
        rows_array = np.empty(total, np.int64)
        if not total:
            return probes_array, rows_array
        cdef int64_t[::1] probes = probes_array
        cdef int64_t[::1] rows = rows_array
        for start in range(0, count, PORTION):
            end = min(start + PORTION, count)
            with nogil:
                made = self.spread(start, end, &firsts[0], &ends[0], &probes[0], &rows[0], made)
        return probes_array, rows_array

    cdef int64_t ranges(
        self, const int64_t *keys, int64_t start, int64_t end, int32_t *firsts, int32_t *ends
    ) noexcept nogil:
        """Write where each key's positions begin and end; return how many there are."""
        cdef int64_t total = 0
        cdef int64_t i
        cdef int64_t at
        cdef int64_t last = 0
        for i in range(start, end):
            if self.kind == GROUPED:
                at = number_of(keys[i], self.low, self.high, self.step)
                firsts[i] = self.starts[at] if at >= 0 else 0
                ends[i] = self.starts[at + 1] if at >= 0 else 0
            else:
                last = lower_bound(&self.column[0], self.count, keys[i], last)
                firsts[i] = <int32_t> last
                at = last
                while at < self.count and self.column[at] == keys[i]:
                    at += 1
                ends[i] = <int32_t> at
            total += ends[i] - firsts[i]
        return total

    cdef int64_t spread(
        self, int64_t start, int64_t end, const int32_t *firsts, const int32_t *ends,
        int64_t *probes, int64_t *rows, int64_t made
    ) noexcept nogil:
        cdef int64_t i
        cdef int32_t at
        for i in range(start, end):
            for at in range(firsts[i], ends[i]):
                probes[made] = i
                rows[made] = at if self.in_order else self.positions[at]
                made += 1
        return made


cdef int64_t longest_run(const int64_t *ids, int64_t count) noexcept nogil:
    """Return how often the commonest id stands in a column that is in order."""
    cdef int64_t found = 1
    cdef int64_t run = 1
    cdef int64_t i
    for i in range(1, count):
        run = run + 1 if ids[i] == ids[i - 1] else 1
        found = max(found, run)
    return found


cdef int64_t lower_bound(const int64_t *ids, int64_t count, int64_t key, int64_t near) noexcept nogil:
    """Return where the first id that is not less stands, searching outwards from `near`."""
    cdef int64_t low = 0
    cdef int64_t high = count
    cdef int64_t width = 1
    cdef int64_t middle
    if near < count and ids[near] < key:  # gallop to the right
        low = near + 1
        while near + width < count and ids[near + width] < key:
            low = near + width + 1
            width *= 2
        high = min(near + width, count)
    elif near:  # ... or to the left
        high = min(near, count)
        while width <= near and ids[near - width] >= key:
            high = near - width
            width *= 2
        low = max(near - width + 1, 0) if width <= near else 0
    while low < high:
        middle = (low + high) >> 1
        if ids[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low
