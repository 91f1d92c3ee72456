# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# The index of facts: columns of codes, runs of rows with their sorted orders, and the searches over them.
#
# Is:     Column (codes and the rule that makes ids of them), Run (an immutable stretch of rows and its four orders),
#         Ended (which row ended which), Segments (the runs and the unsorted tail that a reader sees,
#         and its searches), Walk (a join of few rows).
# Is not: a choice of when to sort or merge (`datomstore.facts`), nor of what is asked (`datomstore.database`).
# Fits:   codes of a run may be ids of the process, or those of a file that is mapped; the searches are the same.
# Source: LSM trees (O'Neil et al. 1996) for runs and their merging; interpolation search for keys that are nearly dense.
#
# A row is a number in the log. An order of a run is a permutation of its rows, and keys are read through it from the
# columns, so an order costs four bytes a row. It comes in two parts: the rows that were live when the run was made, and
# those that were not, which only views of the past look at.

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from threading import Lock

cimport numpy as cnp

import numpy as np

from datomstore._ids cimport value_at

from datomstore.datom import TX_BASE, Datom
from datomstore.limits import ROWS_MAX

cnp.import_array()

cdef object new_tuple = tuple.__new__  # Datom's own takes keywords and is slower

include "_index_codes.pxi"
include "_index_order.pxi"
include "_index_ended.pxi"
include "_index_run.pxi"
include "_index_found.pxi"
include "_index_stretches.pxi"
include "_index_segments.pxi"
include "_index_walk.pxi"
