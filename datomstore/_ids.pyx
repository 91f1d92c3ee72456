# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# The table of values of the process.
#
# Is:     value -> id and back, with one dictionary look-up; the common types need no key made for them.
# Is not: what an id means for those who use it: `intern` says.
# Fits:   `intern` is its face in Python, `_transact` calls it from C.
#
# A value and its id come into the table together as far as other threads can tell: nothing between the two calls Python.

from cpython.dict cimport PyDict_GetItemWithError
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from sys import getsizeof
from threading import Lock

import numpy as np

from datomstore.value import Keyword as _Keyword
from datomstore.value import Map, Set
from datomstore.value import Symbol as _Symbol
from datomstore.value import exact_key

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident()
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1

cdef type Keyword = _Keyword
cdef type Symbol = _Symbol
cdef int64_t BOUND = <int64_t> 1 << 61  # integers below it in magnitude are their own ids

cdef int ENTRY_BYTES = 100  # about, of a value's places in the table, and of a key made for it

cdef dict _ids = {}  # key -> id
cdef dict _floats = {}  # bits -> id: 0.0 is not -0.0, and every NaN is one value
cdef list _values = []
_lock = Lock()  # keys of other types compare in Python, and threads may change there


cdef inline bint _inline(object value, int64_t* found) except -1:
    """Return whether an int is its own id."""
    cdef int overflow = 0
    cdef long long number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow or not -BOUND < number < BOUND:
        return False
    found[0] = <int64_t> number << 1
    return True


cdef inline object _bits(double number):
    cdef int64_t bits
    if number != number:
        number = float("nan")
    memcpy(&bits, &number, 8)
    return bits


cdef inline bint _simple(object value, type kind):
    """Return whether a value is its own key, and keys like it compare without Python."""
    return kind is str or kind is Keyword or kind is Symbol or kind is bytes or kind is int


cdef dict _watched = {}  # thread -> bytes of values that it has added


def watch():
    """Begin to count the bytes of the values that this thread adds."""
    _watched[PyThread_get_thread_ident()] = 0


def watched():
    """Return how many bytes of values this thread has added since `watch`; end counting."""
    return _watched.pop(PyThread_get_thread_ident(), 0)


cdef int _count(object value) except -1:
    thread = PyThread_get_thread_ident()
    known = _watched.get(thread)
    if known is not None:
        _watched[thread] = known + _bytes_of(value)
    return 0


cdef object _bytes_of(value):
    """Return about how many bytes a value takes in the table, with all that it holds."""
    cdef list parts = [value]
    size = 0
    while parts:
        part = parts.pop()
        size += ENTRY_BYTES + getsizeof(part)
        if isinstance(part, (tuple, Set)):
            parts.extend(part)
        elif isinstance(part, Map):
            for pair in part.items():
                parts.extend(pair)
        elif isinstance(part, (Keyword, Symbol)):
            size += getsizeof(part.name)
    return size


cdef int64_t _added(dict table, object key, object value) except -1:
    cdef int64_t found = ((<int64_t> len(_values)) << 1) | 1
    _values.append(value)  # before the id is visible to anyone
    table[key] = found
    if _watched:
        _count(value)
    return found


cdef int64_t intern_id(object value) except -1:
    cdef type kind = type(value)
    cdef int64_t found = 0
    cdef PyObject* known
    cdef dict table = _ids
    cdef object key = value
    if kind is int:
        if _inline(value, &found):
            return found
    elif kind is float:
        table = _floats
        key = _bits(PyFloat_AS_DOUBLE(value))
    elif kind is bool:
        return _true if value is True else _false
    elif not _simple(value, kind):
        return _intern_other(value)
    known = PyDict_GetItemWithError(table, key)
    if known is not NULL:
        return <object> known
    return _added(table, key, value)


cdef int64_t _intern_other(object value) except -1:
    cdef int64_t found = 0
    key = exact_key(value)
    if type(key) is int and _inline(key, &found):  # a ratio that is whole
        return found
    known = _ids.get(key)
    if known is not None:
        return known
    with _lock:
        known = _ids.get(key)
        return _added(_ids, key, value) if known is None else known


cdef int64_t _false = _intern_other(False), _true = _intern_other(True)


cdef object value_at(int64_t value_id):
    if value_id & 1:
        return _values[value_id >> 1]
    return value_id >> 1


def intern(value):
    """Return the id of a value; a value that differs in anything has another one. Raises TypeError for what is no value."""
    return intern_id(value)


def intern_many(values):
    """Return the ids of many values as a column."""
    cdef list listed = list(values)
    cdef Py_ssize_t place
    made = np.empty(len(listed), np.int64)
    cdef int64_t[::1] ids = made
    for place in range(len(listed)):
        ids[place] = intern_id(listed[place])
    return made


def find(value):
    """Return the id of a value that has one already; None means that no fact can hold it."""
    cdef type kind = type(value)
    cdef int64_t found = 0
    if kind is float:
        return _floats.get(_bits(PyFloat_AS_DOUBLE(value)))
    key = value if _simple(value, kind) else exact_key(value)
    if type(key) is int and _inline(key, &found):
        return found
    return _ids.get(key)


def value_of(int64_t value_id):
    """Return the value of an id."""
    return value_at(value_id)


def value_table():
    """Return the values by half of their ids, integers aside; it only grows."""
    return _values


def values_of_rows(rows, tuple places, set types):
    """Return the values at some places of rows of ids, as tuples; the types of these are added to `types`."""
    cdef tuple row
    cdef list made = []
    for row in rows:
        found = tuple([value_at(row[place]) for place in places])
        for value in found:
            types.add(type(value))
        made.append(found)
    return made


def values_of(ids):
    """Return the values of a column of ids."""
    cdef const int64_t[:] column
    cdef Py_ssize_t place
    cdef list made
    if not isinstance(ids, np.ndarray):
        return [value_at(value_id) for value_id in ids]
    column = ids
    made = [None] * column.shape[0]
    for place in range(column.shape[0]):
        made[place] = value_at(column[place])
    return made
