# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# Tables of ids with hash indexes, and joins over them as one loop.
#
# Is:     Table (distinct rows, only ever added to), its indexes by any columns, and Join, which answers one body.
# Is not: a choice of order, of index or of what to run: `plan` and `fused` choose.
# Fits:   `steps` probes a Table with whole columns; `fused` makes a Join of the steps of a body.

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

import os

import numpy as np

include "_kernel_index.pxi"
include "_kernel_table.pxi"
include "_kernel_join.pxi"
