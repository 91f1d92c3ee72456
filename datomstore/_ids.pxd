# What other extensions of the store call of `_ids` without a detour through Python.
from libc.stdint cimport int64_t

cdef int64_t intern_id(object value) except -1
cdef object value_at(int64_t value_id)
