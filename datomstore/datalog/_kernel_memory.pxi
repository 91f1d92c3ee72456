# Memory: columns that grow, and sets of small numbers as bits.
#
# Is:     Buffer, one column; Dense, how ids that lie close together become numbers from 0 on.
# Is not: rows (`_kernel_table.pxi`), or keys of any other kind (`_kernel_index.pxi`).
# Fits:   everything else of the kernel.

cdef extern from *:
    """
    #define prefetch(address) __builtin_prefetch(address)
    #if defined(__linux__)
    #include <sys/mman.h>
    #include <stdint.h>
    /* Large pages where the system gives them on demand: a column is written once, from one end to the other. */
    static inline void in_large_pages(void *at, size_t size) {
        uintptr_t from = ((uintptr_t) at + 4095) & ~(uintptr_t) 4095;
        uintptr_t to = ((uintptr_t) at + size) & ~(uintptr_t) 4095;
        if (to > from) madvise((void *) from, to - from, MADV_HUGEPAGE);
    }
    #else
    static inline void in_large_pages(void *at, size_t size) {}
    #endif
    """
    void prefetch(void *address) noexcept nogil
    void in_large_pages(void *at, size_t size) noexcept nogil

cdef enum:
    COLUMNS_MAX = 256  # twice what a rule can have, and some
    CAPACITY_MIN = 16
    LARGE = 1 << 22  # bytes from which on memory is asked for in large pages


cdef class Buffer:
    """A column. It is moved when it grows, or copied while an array looks at it."""

    cdef int64_t *at
    cdef int64_t capacity
    cdef int64_t viewed
    cdef Py_ssize_t shape
    cdef Py_ssize_t stride

    def __cinit__(self, int64_t capacity):
        self.stride = sizeof(int64_t)
        self.resize(capacity)

    def __dealloc__(self):
        free(self.at)

    cdef int resize(self, int64_t capacity) except -1:
        cdef int64_t *at = <int64_t *> realloc(self.at, capacity * sizeof(int64_t))
        if at == NULL:
            raise MemoryError
        self.at = at
        self.shape = self.capacity = capacity
        if capacity * <int64_t> sizeof(int64_t) >= LARGE:
            in_large_pages(at, capacity * sizeof(int64_t))
        return 0

    def __getbuffer__(self, Py_buffer *view, int flags):
        self.viewed += 1
        view.buf = self.at
        view.obj = self
        view.len = self.capacity * sizeof(int64_t)
        view.itemsize = sizeof(int64_t)
        view.readonly = 0
        view.ndim = 1
        view.format = "q"
        view.shape = &self.shape
        view.strides = &self.stride
        view.suboffsets = NULL
        view.internal = NULL

    def __releasebuffer__(self, Py_buffer *view):
        self.viewed -= 1


cdef struct Dense:  # ids base, base + step, ... as numbers below width
    int64_t base
    int64_t width
    int shift  # the step's: ids of small integers are even
    int64_t odd  # bits that an id's distance from the base cannot have


cdef inline int64_t number_of(Dense *dense, int64_t one) noexcept nogil:
    """Return the number of an id, -1 if it has none."""
    cdef uint64_t away = <uint64_t> one - <uint64_t> dense.base
    if away & <uint64_t> dense.odd:
        return -1
    away >>= dense.shift
    return <int64_t> away if away < <uint64_t> dense.width else -1


cdef bint measured(Dense *dense, const int64_t *column, int64_t count, int64_t most) noexcept nogil:
    """Set what makes numbers of the ids of a column; False if there would be more than `most`."""
    cdef int64_t least = column[0]
    cdef int64_t last = column[0]
    cdef int64_t odd = 0
    cdef int64_t i
    for i in range(count):
        odd |= column[i] ^ column[0]
        if column[i] < least:
            least = column[i]
        if column[i] > last:
            last = column[i]
    return spread(dense, least, last, odd & 1, most)


cdef bint spread(Dense *dense, int64_t least, int64_t last, int64_t odd, int64_t most) noexcept nogil:
    """Set what makes numbers of the ids from `least` to `last`; False if there would be more than `most`."""
    cdef uint64_t away = <uint64_t> last - <uint64_t> least
    dense.base = least
    dense.shift = 0 if odd else 1
    dense.odd = 0 if odd else 1
    away >>= dense.shift
    if away >= <uint64_t> most:
        return False
    dense.width = <int64_t> away + 1
    return True


cdef bint widened(Dense *dense, int64_t one, int64_t most) noexcept nogil:
    """Have a number for one id more, and room for others beside it; False if there would be more than `most`."""
    cdef int64_t least = dense.base
    cdef int64_t last = dense.base + ((dense.width - 1) << dense.shift)
    cdef int64_t odd = 1 - dense.odd
    cdef int64_t more
    odd |= (one ^ dense.base) & 1
    if one < least:
        least = one
    if one > last:
        last = one
    if not spread(dense, least, last, odd, most):
        return False
    more = dense.width if 2 * dense.width <= most else most - dense.width
    if one == least:  # as it came from below, so may the next
        if dense.base > INLINE_LEAST + (more << dense.shift):
            dense.base -= more << dense.shift
            dense.width += more
    else:
        dense.width += more
    return True


cdef int64_t INLINE_LEAST = -(1LL << 62)
