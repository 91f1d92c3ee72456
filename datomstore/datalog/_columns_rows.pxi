# Rows of values.
#
# Is:     tuples and lists of Python objects, made from columns of ids in one pass.
# Is not: a choice of rows or columns: `results` has made it.
# Fits:   `results` and `values` call these, a portion at a time, for a loop in here keeps the interpreter's lock.
#
# A tuple of values that are all older than itself, and that do not change, is in no cycle: the collector need not know it.

cdef extern from "Python.h":
    bint PyFloat_CheckExact(object) noexcept
    double PyFloat_AS_DOUBLE(object) noexcept
    void PyObject_GC_UnTrack(object) noexcept

cdef enum:
    WIDTH_MAX = 512  # columns of one row


cdef inline object value_at(list table, int64_t one):
    """Return the value of an id. Raises IndexError."""
    cdef int64_t place
    if not one & 1:
        return PyLong_FromLongLong(one >> 1)
    place = one >> 1
    # The table is looked at anew each time: making an object can let another thread append to it.
    if place < 0 or place >= PyList_GET_SIZE(table):
        raise IndexError("an id of no value")
    return <object> PyList_GET_ITEM(table, place)


def tuples_of(list columns not None, list table not None, int64_t start, int64_t stop):
    """Return the rows [start, stop) as tuples."""
    cdef int64_t width = len(columns)
    cdef const int64_t *at[WIDTH_MAX]
    cdef const int64_t[::1] view
    cdef int64_t place
    cdef int64_t i
    cdef list made
    cdef object row
    cdef object value
    if width > WIDTH_MAX:
        raise ValueError(f"rows of more than {WIDTH_MAX} values")
    for place in range(width):
        view = columns[place]
        if view.shape[0] < stop or start < 0 or start > stop:
            raise ValueError("no such rows")
        at[place] = &view[0] if view.shape[0] else NULL
    made = PyList_New(stop - start)
    for i in range(start, stop):
        row = PyTuple_New(width)
        for place in range(width):
            value = value_at(table, at[place][i])
            Py_INCREF(value)
            PyTuple_SET_ITEM(row, place, value)
        PyObject_GC_UnTrack(row)
        Py_INCREF(row)
        PyList_SET_ITEM(made, i - start, row)
    return made


def values_in(const int64_t[::1] column not None, list table not None, int64_t start, int64_t stop):
    """Return the values of the ids [start, stop)."""
    cdef int64_t i
    cdef list made
    cdef object value
    if start < 0 or start > stop or stop > column.shape[0]:
        raise ValueError("no such rows")
    made = PyList_New(stop - start)
    for i in range(start, stop):
        value = value_at(table, column[i])
        Py_INCREF(value)
        PyList_SET_ITEM(made, i - start, value)
    return made


def types_of(const int64_t[::1] column not None, list table not None):
    """Return the types of the values of a column."""
    cdef int64_t i
    cdef int64_t one
    cdef object last = None
    cdef object kind
    cdef set found = set()
    cdef bint small = False
    for i in range(column.shape[0]):
        one = column[i]
        if not one & 1:
            small = True
            continue
        kind = type(value_at(table, one))
        if kind is not last:
            found.add(kind)
            last = kind
    if small:
        found.add(int)
    return found
