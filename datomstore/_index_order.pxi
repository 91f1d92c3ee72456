# Orders: offsets of rows, sorted by three columns of codes. Sorting, merging and searching them.
#
# Sorting is by digits, last column first, each pass stable; so equal rows stay in the order of the log. A search begins
# where the key would stand if keys were spread evenly, which they are where entities follow one another.

cdef enum:
    DIGIT_BITS = 11
    DIGITS = 2048

cdef extern from *:
    """
    /* ORDER: the columns of each order, first key first: 0 is e, 1 is a, 2 is v. */
    static const int KEYS[4][3] = {{0, 1, 2}, {1, 0, 2}, {1, 2, 0}, {2, 1, 0}};
    """
    const int[4][3] KEYS

cdef enum:
    EAVT = 0
    AEVT = 1
    AVET = 2
    VAET = 3

_NAMES = {"eavt": EAVT, "aevt": AEVT, "avet": AVET, "vaet": VAET}


cdef int sort_by(const Codes *codes, uint32_t **rows, uint32_t **spare, int64_t count) noexcept nogil:
    """Sort rows by a column, stably; the result is in `rows`, which may have changed places with `spare`."""
    cdef int64_t[DIGITS] places
    cdef int64_t least, most, code, before, i, sum_, size
    cdef uint64_t span
    cdef int shift = 0
    cdef uint32_t *swapped
    cdef bint ascending = True
    if count < 2:
        return 0
    least = most = before = code_at(codes, rows[0][0])
    for i in range(1, count):
        code = code_at(codes, rows[0][i])
        if code < before:
            ascending = False
        before = code
        if code < least:
            least = code
        elif code > most:
            most = code
    if ascending:
        return 0
    span = <uint64_t> most - <uint64_t> least
    while shift < 64 and span >> shift:
        memset(places, 0, sizeof(places))
        for i in range(count):
            code = code_at(codes, rows[0][i])
            places[((<uint64_t> code - <uint64_t> least) >> shift) & (DIGITS - 1)] += 1
        sum_ = 0
        for i in range(DIGITS):
            size = places[i]
            places[i] = sum_
            sum_ += size
            if size == count:
                break  # all have this digit: nothing moves
        else:
            for i in range(count):
                code = ((<uint64_t> code_at(codes, rows[0][i]) - <uint64_t> least) >> shift) & (DIGITS - 1)
                spare[0][places[code]] = rows[0][i]
                places[code] += 1
            swapped = rows[0]
            rows[0] = spare[0]
            spare[0] = swapped
        shift += DIGIT_BITS
    return 0


cdef cnp.ndarray sorted_rows(int64_t order, CodesPointer *columns, cnp.ndarray given, int64_t sorted_keys):
    """Return given offsets sorted; the last `sorted_keys` keys are in order already."""
    cdef int64_t count = len(given)
    cdef cnp.ndarray first = empty_offsets(count)
    cdef cnp.ndarray second = empty_offsets(count)
    cdef uint32_t *rows = <uint32_t *> cnp.PyArray_DATA(first)
    cdef uint32_t *spare = <uint32_t *> cnp.PyArray_DATA(second)
    cdef uint32_t *home = rows
    cdef int64_t key
    memcpy(rows, cnp.PyArray_DATA(given), count * 4)
    with nogil:
        for key in range(2 - sorted_keys, -1, -1):
            sort_by(columns[KEYS[order][key]], &rows, &spare, count)
    return first if rows == home else second


def sorted_offsets(name, e, a, v, offsets=None):
    """Return offsets in an order, equal rows in the order of the log."""
    cdef CodesPointer[3] codes
    cdef Column one
    listed = [Column(e), Column(a), Column(v)]
    for place in range(3):
        one = listed[place]
        codes[place] = &one.it
    if offsets is None:
        offsets = np.arange(len(e), dtype=np.uint32)
    return sorted_rows(_NAMES[name], codes, np.ascontiguousarray(offsets, np.uint32), 0)


cdef inline int64_t lower(
    const Codes *codes, const uint32_t *rows, int64_t low, int64_t high, int64_t key
) noexcept nogil:
    """Return the first position in [low, high) whose code is not below the key, or high."""
    cdef int64_t middle
    while low < high:
        middle = (low + high) >> 1
        if code_at(codes, rows[middle]) < key:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline int64_t leap(
    const Codes *codes, const uint32_t *rows, int64_t low, int64_t high, int64_t key
) noexcept nogil:
    """Return the same, in time that grows with the logarithm of how far it is from `low`."""
    cdef int64_t step = 1
    if low >= high or code_at(codes, rows[low]) >= key:
        return low
    while low + step < high and code_at(codes, rows[low + step]) < key:
        low += step
        step <<= 1
    return lower(codes, rows, low + 1, min(low + step, high), key)


cdef inline int64_t leap_back(
    const Codes *codes, const uint32_t *rows, int64_t low, int64_t high, int64_t key
) noexcept nogil:
    """Return the same, in time that grows with the logarithm of how far it is from `high`."""
    cdef int64_t step = 1
    while high - step >= low and code_at(codes, rows[high - step]) >= key:
        high -= step
        step <<= 1
    return lower(codes, rows, max(low, high - step + 1), high, key)


cdef inline int64_t guessed(
    const Codes *codes, const uint32_t *rows, int64_t low, int64_t high, int64_t key
) noexcept nogil:
    """Return the same, beginning where the key stands if keys are spread evenly."""
    cdef int64_t first, last, guess
    if high - low <= 8:
        return lower(codes, rows, low, high, key)
    first = code_at(codes, rows[low])
    if key <= first:
        return low
    last = code_at(codes, rows[high - 1])
    if key > last:
        return high
    guess = low + <int64_t> (
        <double> (key - first) * <double> (high - 1 - low) / <double> (last - first)
    )
    if guess >= high:  # by rounding
        guess = high - 1
    if code_at(codes, rows[guess]) < key:
        return leap(codes, rows, guess + 1, high, key)
    return leap_back(codes, rows, low, guess, key)


cdef struct Head:  # one of the lists that are merged
    const uint32_t *rows
    int64_t at
    int64_t count
    int64_t shift  # from offsets of this run to those of the first
    CodesPointer[3] columns  # first key first
    int64_t[3] keys  # of the row at `at`


cdef inline void read_head(Head *head) noexcept nogil:
    cdef int64_t row
    if head.at < head.count:
        row = head.rows[head.at]
        head.keys[0] = code_at(head.columns[0], row)
        head.keys[1] = code_at(head.columns[1], row)
        head.keys[2] = code_at(head.columns[2], row)


cdef inline bint precedes(Head *one, Head *other) noexcept nogil:
    cdef int64_t i
    for i in range(3):
        if one.keys[i] != other.keys[i]:
            return one.keys[i] < other.keys[i]
    return one.rows[one.at] + one.shift < other.rows[other.at] + other.shift


cdef void merge(Head *heads, int64_t count, uint32_t *out) noexcept nogil:
    cdef int64_t i, best, made = 0
    for i in range(count):
        read_head(&heads[i])
    while True:
        best = -1
        for i in range(count):
            if heads[i].at < heads[i].count and (best < 0 or precedes(&heads[i], &heads[best])):
                best = i
        if best < 0:
            return
        out[made] = <uint32_t> (heads[best].rows[heads[best].at] + heads[best].shift)
        made += 1
        heads[best].at += 1
        read_head(&heads[best])


def merged_offsets(name, runs, parts, out=None):
    """Return one order of adjacent runs, whose codes mean the same, as offsets from the first run's start."""
    cdef int64_t order = _NAMES[name]
    cdef int64_t count = len(runs)
    cdef int64_t i, key
    cdef Run run
    cdef Column column
    cdef CodesPointer[3] columns
    cdef cnp.ndarray target
    cdef Head *heads = <Head *> calloc(max(count, 1), sizeof(Head))
    if heads == NULL:
        raise MemoryError()
    try:
        kept = [np.ascontiguousarray(part, np.uint32) for part in parts]
        total = sum(map(len, kept))
        if out is None:
            out = empty_offsets(total)
        if len(out) != total or out.dtype != np.uint32 or not out.flags.c_contiguous:
            raise ValueError("merged offsets need as much room as they are")
        target = out
        first = min((run.start for run in runs), default=0)
        for i in range(count):
            run = runs[i]
            heads[i].rows = <const uint32_t *> cnp.PyArray_DATA(<cnp.ndarray> kept[i])
            heads[i].count = len(kept[i])
            heads[i].shift = run.start - <int64_t> first
            run.point(columns)
            for key in range(3):
                heads[i].columns[key] = columns[KEYS[order][key]]
        with nogil:
            merge(heads, count, <uint32_t *> cnp.PyArray_DATA(target))
    finally:
        free(heads)
    return out
