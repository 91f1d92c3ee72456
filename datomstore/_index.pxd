# What the writer calls of `_index` without a detour through Python.
from libc.stdint cimport int64_t

cdef int write_facts(
    object segments, int64_t start, const int64_t *facts, int64_t count, const int64_t *txs, int64_t tx_count,
    const int64_t *ends, int64_t end_count
) except -1
