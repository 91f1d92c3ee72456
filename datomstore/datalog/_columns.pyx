# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# Whole columns of ids at once: looked up, compared, grouped, and made into rows of values.
#
# Is:     Index (where in a column a key stands), filters, totals by group, the tuples of a result, and counts of rows.
# Is not: tables that grow, or joins in one loop (`_kernel`).
# Fits:   `sources` keeps an Index with the facts of a pattern; `vectors`, `aggregates` and `results` do the rest with it.
#
# Loops over ids leave the interpreter's lock alone; those that make Python objects hold it, and are called in portions.

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE, PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_FromLong, PyLong_FromLongLong
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

import numpy as np

include "_columns_index.pxi"
include "_columns_compare.pxi"
include "_columns_groups.pxi"
include "_columns_rows.pxi"
include "_columns_counts.pxi"
