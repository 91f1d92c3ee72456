# How many derivations each row of a followed query has: a hash table whose slots hold the rows themselves.

cdef class Counts:
    """Rows of ids, each with a number above 0. For one thread at a time."""

    cdef int64_t width
    cdef int64_t stride  # of a slot: the number, 0 where it is free, and then the row
    cdef int64_t used
    cdef int64_t size  # slots, a power of two, at least a quarter of them free
    cdef int64_t *slots  # owned

    def __cinit__(self, int64_t width):
        self.width, self.stride, self.size = width, width + 1, 16
        self.slots = <int64_t *> calloc(self.size * self.stride, sizeof(int64_t))
        if self.slots == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.slots)

    def __len__(self):
        return self.used

    def __iter__(self):
        cdef int64_t i
        for i in range(self.size):
            if self.slots[i * self.stride]:
                yield self.row(i)

    cdef tuple row(self, int64_t slot):
        cdef int64_t place
        return tuple([self.slots[slot * self.stride + 1 + place] for place in range(self.width)])

    def add(self, columns, signs):
        """Add numbers to rows; return False, and no more is added, when one would fall below 0."""
        cdef const int64_t[:, ::1] cells = np.array([signs, *columns], np.int64).reshape(self.stride, len(signs))
        cdef int64_t *row = <int64_t *> malloc(self.stride * sizeof(int64_t))
        cdef int64_t i, place
        if row == NULL:
            raise MemoryError()
        try:
            for i in range(cells.shape[1]):
                for place in range(self.width):
                    row[place] = cells[1 + place, i]
                if cells[0, i] and self.change(row, cells[0, i]) < 0:
                    return False
            return True
        finally:
            free(row)

    def turn(self, dict net):
        """Add numbers to rows; return the rows that were not there before and those that are not any more.

        None, and no more is added, when a number would fall below 0.
        """
        cdef int64_t *ids = <int64_t *> malloc(self.stride * sizeof(int64_t))
        cdef int64_t by, before, place
        cdef list new = []
        cdef list lost = []
        if ids == NULL:
            raise MemoryError()
        try:
            for row, number in net.items():
                by = number
                if not by:
                    continue
                for place in range(self.width):
                    ids[place] = (<tuple> row)[place]
                before = self.change(ids, by)
                if before < 0:
                    return None
                if not before:
                    new.append(row)
                elif not before + by:
                    lost.append(row)
            return new, lost
        finally:
            free(ids)

    cdef int64_t change(self, const int64_t *row, int64_t by) except? -1:
        """Add a number, which is not 0, to a row's; return what it was, -1 if it would fall below 0."""
        cdef int64_t at = self.slot_of(row)
        cdef int64_t *slot = self.slots + at * self.stride
        cdef int64_t before = slot[0]
        if before + by < 0:
            return -1
        slot[0] = before + by
        if not before:
            memcpy(slot + 1, row, self.width * sizeof(int64_t))
            self.used += 1
            if 4 * self.used > 3 * self.size:
                self.grow()
        elif not slot[0]:
            self.used -= 1
            self.close(at)
        return before

    cdef int64_t slot_of(self, const int64_t *row) noexcept nogil:
        """Return the slot that has a row, or the free one where it would be."""
        cdef int64_t at = self.home(row)
        while self.slots[at * self.stride]:
            if not memcmp(self.slots + at * self.stride + 1, row, self.width * sizeof(int64_t)):
                break
            at = (at + 1) & (self.size - 1)
        return at

    cdef int64_t home(self, const int64_t *row) noexcept nogil:
        cdef uint64_t mixed = 0
        cdef int64_t place
        for place in range(self.width):
            mixed = (mixed ^ <uint64_t> row[place]) * 0x9E3779B97F4A7C15ULL
            mixed ^= mixed >> 32
        return <int64_t> (mixed & <uint64_t> (self.size - 1))

    cdef void close(self, int64_t hole) noexcept nogil:
        """Move back into a freed slot what stands behind it only because it was taken, and so on."""
        cdef int64_t at = hole
        cdef int64_t home
        cdef int64_t *slots = self.slots
        while True:
            at = (at + 1) & (self.size - 1)
            if not slots[at * self.stride]:
                return
            home = self.home(slots + at * self.stride + 1)
            if (at - home) & (self.size - 1) >= (at - hole) & (self.size - 1):
                memcpy(slots + hole * self.stride, slots + at * self.stride, self.stride * sizeof(int64_t))
                slots[at * self.stride] = 0
                hole = at

    cdef int grow(self) except -1:
        cdef int64_t *old = self.slots
        cdef int64_t size = self.size
        cdef int64_t i
        cdef int64_t *slots = <int64_t *> calloc(2 * size * self.stride, sizeof(int64_t))
        if slots == NULL:
            raise MemoryError()
        self.slots, self.size = slots, 2 * size
        for i in range(size):
            if old[i * self.stride]:
                memcpy(
                    slots + self.slot_of(old + i * self.stride + 1) * self.stride, old + i * self.stride,
                    self.stride * sizeof(int64_t)
                )
        free(old)
        return 0
