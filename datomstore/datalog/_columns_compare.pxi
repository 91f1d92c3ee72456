# Rows by what stands in one column.
#
# Is:     comparison of small integers with a constant, and a column of numbers as doubles.
# Is not: what a comparison means, which is said in `builtins`.
# Fits:   `vectors` calls these; where they give None, values are compared one by one.

cdef enum Comparison:  # ORDER: comparisons
    LESS
    AT_MOST
    MORE
    AT_LEAST

cdef int64_t EXACT_DOUBLE = <int64_t> 1 << 53  # integers up to here are doubles without loss

COMPARISONS = {"<": LESS, "<=": AT_MOST, ">": MORE, ">=": AT_LEAST}


def rows_where(const int64_t[::1] column not None, int64_t code, int64_t bound):
    """Return the rows whose id compares so with that of a constant; None unless all are small integers'."""
    cdef int64_t count = column.shape[0]
    cdef int64_t made = 0
    cdef int64_t odd = bound & 1
    cdef int64_t i
    rows_array = np.empty(count, np.int64)
    if not count:
        return rows_array
    cdef int64_t[::1] rows = rows_array
    with nogil:
        if code == LESS:
            for i in range(count):
                rows[made] = i
                odd |= column[i]
                made += column[i] < bound
        elif code == AT_MOST:
            for i in range(count):
                rows[made] = i
                odd |= column[i]
                made += column[i] <= bound
        elif code == MORE:
            for i in range(count):
                rows[made] = i
                odd |= column[i]
                made += column[i] > bound
        else:
            for i in range(count):
                rows[made] = i
                odd |= column[i]
                made += column[i] >= bound
    return None if odd & 1 else rows_array[:made]


def doubles_of(const int64_t[::1] column not None, list table not None):
    """Return numbers as doubles; None if one is no double and no integer that a double holds exactly."""
    cdef int64_t count = column.shape[0]
    cdef int64_t i
    cdef int64_t number
    made_array = np.empty(count, np.float64)
    cdef double[::1] made = made_array
    cdef PyObject *value
    for i in range(count):
        if column[i] & 1:
            value = PyList_GET_ITEM(table, column[i] >> 1)
            if not PyFloat_CheckExact(<object> value):
                return None
            made[i] = PyFloat_AS_DOUBLE(<object> value)
        else:
            number = column[i] >> 1
            if number > EXACT_DOUBLE or number < -EXACT_DOUBLE:
                return None
            made[i] = <double> number
    return made_array
