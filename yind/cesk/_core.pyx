# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The compiled machine: one compilation unit made of the .pxi pieces next to it.

Is:     a CESK machine over 16-byte values in a heap per agent, run in slices without the GIL.
Is not: the meaning of the instructions (`yang.isa`, `yind.cesk.reference`); the choice of what runs when.
Fits:   `_core.pxd` declares the layout; `_core.pyi` is what Python sees. Unchecked indexing is sound because
        `yind.cesk.verify` checked every segment and `_image.pxi` checks every image.
"""

from libc.math cimport floor, isfinite, isnan, trunc
from libc.stdio cimport snprintf
from libc.stdlib cimport free as c_free
from libc.stdlib cimport malloc as c_malloc
from libc.stdlib cimport realloc as c_realloc
from libc.string cimport memcmp, memcpy, memmove, memset, strlen, strncpy

include "_heap.pxi"
