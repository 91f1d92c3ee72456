# Totals of groups, and rows by group.
#
# Is:     counts, sums, least and greatest of a column of small integers for each number of a group, in one pass;
#         the order that puts the rows of each group together; each id once.
# Is not: the numbers of groups (`aggregates` makes them), or aggregates of anything but integers.
# Fits:   `aggregates` calls these.

cdef int64_t SUM_BOUND = <int64_t> 1 << 62


def counts_of(const int64_t[::1] groups not None, int64_t low, int64_t shift, int64_t number):
    """Return how many rows each of the `number` groups has; a row's group is (id - low) >> shift."""
    cdef int64_t count = groups.shape[0]
    cdef int64_t i
    made_array = np.zeros(number, np.int64)
    cdef int64_t[::1] made = made_array
    with nogil:
        for i in range(count):
            made[(groups[i] - low) >> shift] += 1
    return made_array


def totals_of(
    const int64_t[::1] groups not None, int64_t low, int64_t shift, int64_t number, const int64_t[::1] column not None
):
    """Return (counts, sums, least, greatest) of a column by group; None unless all are small integers whose sums are.

    The sums are exact. A group without rows has a least value above its greatest.
    """
    cdef int64_t count = groups.shape[0]
    cdef int64_t i
    cdef int64_t at
    cdef int64_t value
    cdef int64_t odd = 0
    cdef int64_t largest = 0
    cdef int64_t magnitude
    counts_array, sums_array = np.zeros(number, np.int64), np.zeros(number, np.int64)
    least_array = np.full(number, SUM_BOUND, np.int64)
    greatest_array = np.full(number, -SUM_BOUND, np.int64)
    cdef int64_t[::1] counts = counts_array
    cdef int64_t[::1] sums = sums_array
    cdef int64_t[::1] least = least_array
    cdef int64_t[::1] greatest = greatest_array
    with nogil:
        for i in range(count):
            at = (groups[i] - low) >> shift
            odd |= column[i]
            value = column[i] >> 1
            counts[at] += 1
            sums[at] += value
            magnitude = value if value >= 0 else -value
            largest = max(largest, magnitude)
            least[at] = min(least[at], value)
            greatest[at] = max(greatest[at], value)
    if odd & 1 or largest >= SUM_BOUND // max(count, 1):
        return None
    return counts_array, sums_array, least_array, greatest_array


def sums_of(
    const int64_t[::1] groups not None, int64_t low, int64_t shift, int64_t number, const int64_t[::1] column not None
):
    """Return (counts, sums) of a column by group, as `totals_of` does."""
    cdef int64_t count = groups.shape[0]
    cdef int64_t i
    cdef int64_t at
    cdef int64_t value
    cdef int64_t odd = 0
    cdef int64_t largest = 0
    pairs_array = np.zeros((number, 2), np.int64)
    cdef int64_t[:, ::1] pairs = pairs_array
    with nogil:
        for i in range(count):
            at = (groups[i] - low) >> shift
            odd |= column[i]
            value = column[i] >> 1
            pairs[at, 0] += 1
            pairs[at, 1] += value
            largest |= value ^ (value >> 63)  # as many bits as the largest has
    if odd & 1 or largest >= SUM_BOUND // max(2 * count, 1):
        return None
    return np.ascontiguousarray(pairs_array[:, 0]), np.ascontiguousarray(pairs_array[:, 1])


def gathered(const int64_t[::1] groups not None, int64_t number):
    """Return (order, starts): the rows group by group, in their order there, and where each group begins."""
    cdef int64_t count = groups.shape[0]
    cdef int64_t i
    order_array, starts_array = np.empty(count, np.int64), np.zeros(number + 1, np.int64)
    next_array = np.empty(number + 1, np.int64)
    cdef int64_t[::1] order = order_array
    cdef int64_t[::1] starts = starts_array
    cdef int64_t[::1] upcoming = next_array
    with nogil:
        for i in range(count):
            starts[groups[i] + 1] += 1
        for i in range(number):
            starts[i + 1] += starts[i]
        for i in range(number + 1):
            upcoming[i] = starts[i]
        for i in range(count):
            order[upcoming[groups[i]]] = i
            upcoming[groups[i]] += 1
    return order_array, starts_array


def span_of(const int64_t[::1] column not None):
    """Return (least id, step, how many ids there can be up to the greatest); step is 2 if all are even or all odd."""
    cdef Shape shape
    cdef int64_t step
    with nogil:
        shape = shape_of(&column[0], column.shape[0])
    step = 2 if shape.even_steps else 1
    return shape.low, step, (<uint64_t> shape.high - <uint64_t> shape.low) // <uint64_t> step + 1


def first_rows(const int64_t[::1] column not None, int64_t low, int64_t shift, int64_t number):
    """Return the row of the first of each distinct id; (id - low) >> shift is below `number`."""
    cdef int64_t count = column.shape[0]
    cdef int64_t i
    cdef int64_t at
    cdef int64_t made = 0
    seen_array, rows_array = np.zeros(number, np.uint8), np.empty(min(number, count), np.int64)
    cdef unsigned char[::1] seen = seen_array
    cdef int64_t[::1] rows = rows_array
    with nogil:
        for i in range(count):
            at = (column[i] - low) >> shift
            if not seen[at]:
                seen[at] = 1
                rows[made] = i
                made += 1
    return rows_array[:made]
