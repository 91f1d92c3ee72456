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

cdef extern from *:
    """
    /* A tuple of NULLs that the collector does not know. */
    static inline PyObject *untracked_tuple(Py_ssize_t width) {
    #if PY_VERSION_HEX < 0x030E0000
        PyTupleObject *made;
        if (width == 0) return PyTuple_New(0);
        made = PyObject_GC_NewVar(PyTupleObject, &PyTuple_Type, width);
        if (made != NULL) memset(made->ob_item, 0, width * sizeof(PyObject *));
        return (PyObject *) made;
    #else  /* which has more fields */
        PyObject *made = PyTuple_New(width);
        if (made != NULL) PyObject_GC_UnTrack(made);
        return made;
    #endif
    }
    """
    object untracked_tuple(Py_ssize_t width)

cdef enum:
    WIDTH_MAX = 512  # columns of one row
    ONE_DIGIT = 1 << 30


cdef inline object value_at(list table, int64_t one):
    """Return the value of an id. Raises IndexError."""
    cdef int64_t place = one >> 1
    if not one & 1:
        # Of what is one digit for Python, this is the shorter way.
        if -ONE_DIGIT < place < ONE_DIGIT:
            return PyLong_FromLong(<long> place)
        return PyLong_FromLongLong(place)
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
        row = untracked_tuple(width)
        for place in range(width):
            value = value_at(table, at[place][i])
            Py_INCREF(value)
            PyTuple_SET_ITEM(row, place, value)
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
    cdef int64_t count = column.shape[0]
    cdef int64_t odd = 0
    with nogil:
        for i in range(count):
            odd |= column[i]
    if not odd & 1:
        return {int} if count else found
    for i in range(count):
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
