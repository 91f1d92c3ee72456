# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# Joins of many tables at once, one variable after the other.
#
# Is:     Trie (distinct rows in order, shared beginnings once), and GenericJoin, which finds the rows that all tries have.
# Is not: a choice of when to join so (`cyclic`), or joins of two tables (`_kernel`, `_columns`).
# Fits:   `extents` keeps tries of facts; `cyclic` runs the join in portions.
# Source: Ngo, Re, Rudra: Skew strikes back (the generic join); Veldhuizen: Leapfrog Triejoin (the search outwards).

cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

import numpy as np

include "_generic_trie.pxi"
include "_generic_join.pxi"
