# What a stream has to know of every transaction: where its rows end, and the root after it. Stored parts are mapped arrays,
# the newest are 8 and 32 bytes each. Only ever appended to, by one thread; others may read meanwhile.

cdef class Times:
    """A sequence of parts, which are stored, and newer items."""

    cdef readonly object parts
    cdef readonly list firsts  # of each part, and the number of items in all of them
    cdef Py_ssize_t stored, count, room
    cdef uint8_t* more
    cdef int width

    def __cinit__(self):
        self.more = NULL
        self.stored = self.count = self.room = 0

    def __dealloc__(self):
        free(self.more)

    cdef int begin(self, parts, sizes, int width) except -1:
        self.parts, self.width, self.firsts = parts, width, [0]
        for size in sizes:
            self.stored += size
            self.firsts.append(self.stored)
        return 0

    cdef uint8_t* next_item(self) except NULL:
        if self.count == self.room:
            self.room = max(16, self.room + self.room // 2)
            self.more = <uint8_t*> resized(self.more, self.room * self.width)
        self.count += 1
        return self.more + (self.count - 1) * self.width

    def at(self, Py_ssize_t place):
        """Return the item at a place that there is."""
        if place >= self.stored:
            return self.newer(place - self.stored)
        part = bisect_right(self.firsts, place) - 1
        return self.older(part, place - self.firsts[part])

    def __len__(self):
        return self.stored + self.count

    def __getitem__(self, index):
        cdef Py_ssize_t place
        if isinstance(index, slice):
            return [self.at(place) for place in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        return self.at(place)

    def __iter__(self):
        cdef Py_ssize_t place = 0
        while place < len(self):
            yield self.at(place)
            place += 1

    def __eq__(self, other):
        return isinstance(other, (Times, list)) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None


cdef class Ends(Times):
    """(t, row after it) of every transaction, numbered from 1 without a gap."""

    def __init__(self, parts=(), more=()):
        self.begin(parts, [len(part.offsets) for part in parts], 8)
        for end in more:
            self.append(end)

    def append(self, item):
        """Add (t, row after it)."""
        assert item[0] == self.stored + self.count + 1, "transactions are numbered without a gap"
        self.push(item[1])

    cdef int push(self, int64_t end) except -1:
        (<int64_t*> self.next_item())[0] = end
        return 0

    def newer(self, Py_ssize_t place):
        return self.stored + place + 1, (<int64_t*> self.more)[place]

    def older(self, Py_ssize_t part, Py_ssize_t place):
        start, offsets = self.parts[part]
        return self.firsts[part] + place + 1, start + int(offsets[place])


cdef class Roots(Times):
    """The root after every transaction."""

    def __init__(self, parts=(), more=()):
        self.begin(parts, [len(part) // ROOT_SIZE for part in parts], ROOT_SIZE)
        for root in more:
            self.append(root)

    def append(self, bytes root):
        """Add a root."""
        assert len(root) == ROOT_SIZE, "a root is a digest"
        memcpy(self.next_item(), PyBytes_AS_STRING(root), ROOT_SIZE)

    def newer(self, Py_ssize_t place):
        return PyBytes_FromStringAndSize(<char*> self.more + ROOT_SIZE * place, ROOT_SIZE)

    def older(self, Py_ssize_t part, Py_ssize_t place):
        return self.parts[part][ROOT_SIZE * place:ROOT_SIZE * (place + 1)].tobytes()
