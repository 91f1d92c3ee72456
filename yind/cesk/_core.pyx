# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The compiled machine: one compilation unit made of the .pxi pieces next to it.

Is:     a CESK machine over 16-byte values in a heap per agent, run in slices without the GIL.
Is not: the meaning of the instructions (`yang.isa`, `yind.cesk.reference`); the choice of what runs when.
Fits:   `_core.pxd` declares the layout; `_core.pyi` is what Python sees. Unchecked indexing is sound because
        `yind.cesk.verify` checked every segment and `_image.pxi` checks every image.
"""

from libc.math cimport fabs, isfinite, isnan, trunc  # no-cython-lint: used in the pieces
from libc.stdio cimport snprintf
from libc.stdlib cimport free as c_free
from libc.stdlib cimport calloc as c_calloc
from libc.stdlib cimport malloc as c_malloc
from libc.stdlib cimport realloc as c_realloc
from libc.string cimport memcmp, memcpy, memmove, memset, strlen, strncpy

include "_heap.pxi"
include "_vector.pxi"
include "_map.pxi"
include "_map_index.pxi"
include "_sorted.pxi"
include "_cursor.pxi"
include "_equal.pxi"
include "_numbers.pxi"
include "_print.pxi"
include "_opcodes.pxd"

cdef extern from *:
    """
    #define LEAST_INTEGER INT64_MIN
    #define GREATEST_INTEGER INT64_MAX
    """
    const int64_t LEAST_INTEGER
    const int64_t GREATEST_INTEGER


cdef Outcome missing_primitive(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Stand in the table for what has no code, and for what the call sequence does itself."""
    return fault(heap, b"missing", b"this host function is not provided")


cdef void set_primitive(
    uint32_t number, PrimitiveFunction function, uint32_t least, uint32_t most, uint32_t kind, uint32_t bare_mask,
    uint32_t keeps, const char *name,
) noexcept:
    PRIMITIVE_TABLE[number].function = function
    PRIMITIVE_TABLE[number].least = least
    PRIMITIVE_TABLE[number].most = most
    PRIMITIVE_TABLE[number].kind = kind
    PRIMITIVE_TABLE[number].bare = bare_mask
    PRIMITIVE_TABLE[number].keeps = keeps
    PRIMITIVE_TABLE[number].name = name


include "_table.pxi"
include "_calls.pxi"
include "_control.pxi"
include "_loop.pxi"
include "_convert.pxi"
include "_collect.pxi"
include "_standing.pxi"
include "_code.pxi"
include "_image.pxi"
include "_hostile.pxi"
include "_machine.pxi"
include "_state.pxi"
