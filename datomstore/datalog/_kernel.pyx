# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# Tables of ids with indexes, and joins over them as one loop.
#
# Is:     Table (distinct rows, only ever added to), its indexes by any columns, Join, which answers one body, and what
#         runs joins until nothing is new: Rounds and Walk.
# Is not: a choice of order, of index or of what to run: `plan`, `fused` and `fixpoint` choose.
# Fits:   `steps` probes a Table with whole columns; `fused` makes a Join of the steps of a body.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

import os

import numpy as np

include "_kernel_memory.pxi"
include "_kernel_index.pxi"
include "_kernel_seen.pxi"
include "_kernel_best.pxi"
include "_kernel_table.pxi"
include "_kernel_join.pxi"
include "_kernel_rounds.pxi"
