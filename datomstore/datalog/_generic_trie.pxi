# Rows in order, as a tree.
#
# Is:     a level for each column: the ids that follow one another there, and where the children of each begin below.
# Is not: a table that grows; one is made at a time from columns that do not change.
# Fits:   `_generic_join.pxi` walks down several of them together.
#
#     rows          level 0          level 1
#     (1, 5)        keys   1  2      keys   5  7  5
#     (1, 7)        starts 0  2  3
#     (2, 5)
#
# Columns are put in order from the last to the first, each pass keeping the order of the one before (a radix sort whose
# digits are whole ids). Ids that lie close together are counted into their places; others are sorted.

cdef enum:
    SPREAD_MAX = 4  # numbers of ids for each row, up to which they are counted
    SPREAD_FREE = 1024  # numbers that are counted however few rows there are


cdef struct Span:  # ids base, base + step, ... as numbers below width
    int64_t base
    uint64_t width
    int shift
    uint64_t odd  # bits that an id's distance from the base cannot have


cdef bint spanned(Span *span, const int64_t *ids, int64_t count, uint64_t most) noexcept nogil:
    """Set what makes numbers of ids, of which there is one at least; False if there would be more than `most`."""
    cdef int64_t least = ids[0]
    cdef int64_t last = ids[0]
    cdef int64_t differing = 0
    cdef int64_t i
    for i in range(count):
        differing |= ids[i] ^ ids[0]
        least = min(least, ids[i])
        last = max(last, ids[i])
    span.base = least
    span.shift = 0 if differing & 1 else 1
    span.odd = 0 if differing & 1 else 1
    span.width = ((<uint64_t> last - <uint64_t> least) >> span.shift) + 1
    return 0 < span.width <= most


cdef inline uint64_t number_in(const Span *span, int64_t one) noexcept nogil:
    """Return the number of an id, at least `width` if it has none."""
    cdef uint64_t away = <uint64_t> one - <uint64_t> span.base
    return span.width if away & span.odd else away >> span.shift


cdef bint in_order(const int64_t **columns, int depth, int64_t count) noexcept nogil:
    """Return whether no row is less than the one before."""
    cdef int64_t i
    cdef int place
    for i in range(1, count):
        for place in range(depth):
            if columns[place][i] != columns[place][i - 1]:
                if columns[place][i] < columns[place][i - 1]:
                    return False
                break
    return True


cdef void count_into_place(
    const int64_t *column, const Span *span, int32_t *counts, const int32_t *order, int32_t *made, int64_t count
) noexcept nogil:
    """Put rows in the order of one column, those alike as they stand in `order`. `counts` has width + 1 zeros."""
    cdef int64_t i
    cdef uint64_t at
    for i in range(count):
        counts[number_in(span, column[i]) + 1] += 1
    for at in range(span.width):
        counts[at + 1] += counts[at]
    for i in range(count):
        at = number_in(span, column[order[i]])
        made[counts[at]] = order[i]
        counts[at] += 1


cdef object ordered_by(const int64_t[::1] column, object order):
    """Return rows in the order of a column, those alike in the order given."""
    cdef int64_t count = column.shape[0]
    cdef Span span
    cdef bint close
    cdef const int32_t[::1] before = order
    with nogil:
        close = spanned(&span, &column[0], count, <uint64_t> (SPREAD_MAX * count + SPREAD_FREE))
    if not close:
        return order[np.argsort(np.asarray(column)[order], kind="stable")]
    counts_array = np.zeros(span.width + 1, np.int32)
    made_array = np.empty(count, np.int32)
    cdef int32_t[::1] counts = counts_array
    cdef int32_t[::1] made = made_array
    with nogil:
        count_into_place(&column[0], &span, &counts[0], &before[0], &made[0], count)
    return made_array


cdef class Trie:
    """Distinct rows of some columns, in order. Cost: two passes for each column whose ids lie close together."""

    cdef readonly int depth
    cdef readonly int64_t count  # distinct rows
    cdef list keys  # of each level, int64
    cdef list starts  # of each level but the last, int32: one more than keys
    cdef Span span  # of the first level
    cdef object addresses  # of the first level, int32: where an id stands, by its number, -1 for nowhere; or None
    cdef const int32_t *places  # the same

    def __init__(self, columns):
        """Make it of columns of one length, below 2**31."""
        cdef int64_t count = len(columns[0])
        cdef const int64_t *at[LEVELS_MAX]
        cdef const int64_t[::1] view
        cdef bint sorted_already
        cdef int place
        self.depth = len(columns)
        if not 0 < self.depth <= LEVELS_MAX or count >= 1 << 31:
            raise ValueError("so many columns or rows have no trie")
        columns = [np.ascontiguousarray(column, np.int64) for column in columns]
        if not count:
            self.keys = [np.empty(0, np.int64) for _ in columns]
            self.starts = [np.zeros(1, np.int32) for _ in columns[1:]]
            return
        for place in range(self.depth):
            view = columns[place]
            at[place] = &view[0]
        with nogil:
            sorted_already = in_order(at, self.depth, count)
        order = np.arange(count, dtype=np.int32)
        if not sorted_already:
            for column in reversed(columns):
                order = ordered_by(column, order)
        self.share_beginnings(at, order, count)

    cdef int share_beginnings(self, const int64_t **columns, const int32_t[::1] order, int64_t count) except -1:
        """Write each level: an id where the row differs from the one before in this column or an earlier one."""
        cdef int64_t *keys[LEVELS_MAX]
        cdef int32_t *starts[LEVELS_MAX]
        cdef int32_t made[LEVELS_MAX + 1]
        cdef int64_t[::1] key_view
        cdef int32_t[::1] start_view
        cdef int depth = self.depth
        cdef int place
        cdef int64_t i
        key_arrays = [np.empty(count, np.int64) for _ in range(depth)]
        start_arrays = [np.empty(count + 1, np.int32) for _ in range(depth)]
        for place in range(depth):
            key_view, start_view = key_arrays[place], start_arrays[place]
            keys[place], starts[place] = &key_view[0], &start_view[0]
        memset(made, 0, sizeof(made))
        with nogil:
            for i in range(count):
                place = 0
                if i:
                    while place < depth and columns[place][order[i]] == columns[place][order[i - 1]]:
                        place += 1
                while place < depth:
                    keys[place][made[place]] = columns[place][order[i]]
                    starts[place][made[place]] = made[place + 1]
                    made[place] += 1
                    place += 1
            for place in range(depth - 1):
                starts[place][made[place]] = made[place + 1]
        self.count = made[depth - 1]
        self.keys = [_cut(key_arrays[place], made[place]) for place in range(depth)]
        self.starts = [_cut(start_arrays[place], made[place] + 1) for place in range(depth - 1)]
        return 0

    @property
    def size(self):
        """Return how many bytes it takes."""
        arrays = self.keys + self.starts
        return sum(array.nbytes for array in arrays) + (0 if self.addresses is None else self.addresses.nbytes)

    def width(self, int level):
        """Return how many ids stand in a level."""
        return len(self.keys[level])

    cdef bint address(self) except -1:
        """Have a place for each number of an id of the first level; False if these lie too far apart."""
        cdef const int64_t[::1] keys = self.keys[0]
        cdef int32_t[::1] places
        cdef int32_t i
        if self.addresses is not None or not keys.shape[0]:
            return self.addresses is not None
        if not spanned(&self.span, &keys[0], keys.shape[0], <uint64_t> (SPREAD_MAX * keys.shape[0] + SPREAD_FREE)):
            return False
        made = np.full(self.span.width, -1, np.int32)
        places = made
        with nogil:
            for i in range(<int32_t> keys.shape[0]):
                places[number_in(&self.span, keys[i])] = i
        if self.addresses is None:  # another thread may have been faster, and what it made is looked at
            self.places = &places[0]
            self.addresses = made
        return True

    def ends(self):
        """Return where the rows of each id of the first level begin, and at last their number."""
        if self.depth == 1:
            return np.arange(self.count + 1, dtype=np.int32)
        ends = self.starts[0]
        for below in self.starts[1:]:
            ends = below[ends]
        return ends


def _cut(array, int64_t count):
    """Return the beginning of an array, without the memory of the rest."""
    return array if count == len(array) else array[:count].copy()


def paired_rows(Trie left not None, Trie right not None):
    """Return how many rows a join of two tries by their first columns has, as a double."""
    cdef const int64_t[::1] left_keys = left.keys[0]
    cdef const int64_t[::1] right_keys = right.keys[0]
    cdef const int32_t[::1] left_ends = left.ends()
    cdef const int32_t[::1] right_ends = right.ends()
    cdef int64_t i = 0
    cdef int64_t j = 0
    cdef double total = 0
    with nogil:
        while i < left_keys.shape[0] and j < right_keys.shape[0]:
            if left_keys[i] == right_keys[j]:
                total += <double> (left_ends[i + 1] - left_ends[i]) * (right_ends[j + 1] - right_ends[j])
                i += 1
                j += 1
            elif left_keys[i] < right_keys[j]:
                i += 1
            else:
                j += 1
    return total
