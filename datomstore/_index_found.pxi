# What a view shows, what is wanted of it, and the rows that are found.

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


cdef Wanted as_wanted(e, a, v) except *:
    cdef Wanted wanted
    wanted.by_e, wanted.by_a, wanted.by_v = e is not None, a is not None, v is not None
    wanted.e = as_id(e) if wanted.by_e else 0
    wanted.a = as_id(a) if wanted.by_a else 0
    wanted.v = as_id(v) if wanted.by_v else 0
    return wanted


cdef int64_t as_id(given) except? -1:
    """Return an id; of a number that is too large to be one, an id that nothing has."""
    try:
        return given
    except OverflowError:
        return NO_CODE
