# A map from an id to two numbers, in 24 bytes an entry: what a dictionary of boxed integers would take five times for.
# Open addressing with linear probing; an entry that goes is filled by those that probe past it (Knuth, 6.4 R).

cdef int64_t VACANT = <int64_t> -0x7FFFFFFFFFFFFFFF - 1  # no id


cdef struct Slot:
    int64_t key
    int64_t first
    int64_t second


cdef class IdMap:
    cdef Slot* slots
    cdef uint64_t mask  # slots - 1; 0 while there are none
    cdef int shift
    cdef Py_ssize_t used

    def __cinit__(self):
        self.slots = NULL
        self.mask = 0
        self.used = 0

    def __dealloc__(self):
        free(self.slots)

    cdef inline Slot* find(self, int64_t key) noexcept:
        """Return the entry of a key, NULL if there is none."""
        cdef uint64_t place
        if not self.used:
            return NULL
        place = (<uint64_t> key * <uint64_t> 0x9E3779B97F4A7C15) >> self.shift
        while self.slots[place].key != key:
            if self.slots[place].key == VACANT:
                return NULL
            place = (place + 1) & self.mask
        return &self.slots[place]

    cdef int put(self, int64_t key, int64_t first, int64_t second) except -1:
        cdef uint64_t place
        if 3 * self.used >= 2 * <Py_ssize_t> self.mask:
            self.grow()
        place = (<uint64_t> key * <uint64_t> 0x9E3779B97F4A7C15) >> self.shift
        while self.slots[place].key != key:
            if self.slots[place].key == VACANT:
                self.used += 1
                break
            place = (place + 1) & self.mask
        self.slots[place] = Slot(key, first, second)
        return 0

    cdef void drop(self, int64_t key) noexcept:
        cdef Slot* found = self.find(key)
        cdef uint64_t hole, place, home
        if found is NULL:
            return
        hole = place = <uint64_t> (found - self.slots)
        while True:
            place = (place + 1) & self.mask
            if self.slots[place].key == VACANT:
                break
            home = (<uint64_t> self.slots[place].key * <uint64_t> 0x9E3779B97F4A7C15) >> self.shift
            if ((place - home) & self.mask) >= ((place - hole) & self.mask):
                self.slots[hole] = self.slots[place]
                hole = place
        self.slots[hole].key = VACANT
        self.used -= 1

    cdef int grow(self) except -1:
        cdef Slot* old = self.slots
        cdef uint64_t count = self.mask + 1 if self.mask else 0, size = 2 * count if count else 8, place
        cdef Slot* made = <Slot*> malloc(size * sizeof(Slot))
        if made is NULL:
            raise MemoryError
        for place in range(size):
            made[place].key = VACANT
        self.slots, self.mask, self.used = made, size - 1, 0
        self.shift = 64
        while size > 1:
            self.shift -= 1
            size >>= 1
        for place in range(count):
            if old[place].key != VACANT:
                self.put(old[place].key, old[place].first, old[place].second)
        free(old)
        return 0
