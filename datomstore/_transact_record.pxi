# The bytes of a transaction, straight from its rows: what `record.encode_record` makes of the same rows, byte for byte.
# Source: the msgpack specification; the shortest form of everything, as `codec.pack` writes it.

cdef class Bytes:
    """Bytes that grow."""

    cdef uint8_t* data
    cdef Py_ssize_t size, room

    def __cinit__(self):
        self.data, self.size, self.room = NULL, 0, 0

    def __dealloc__(self):
        free(self.data)

    cdef inline uint8_t* more(self, Py_ssize_t size) except NULL:
        """Return where the next bytes go."""
        cdef uint8_t* place
        if self.size + size > self.room:
            self.room = 2 * (self.size + size) + 256
            self.data = <uint8_t*> resized(self.data, self.room)
        place = self.data + self.size
        self.size += size
        return place

    cdef inline int head(self, uint8_t first, uint64_t number, int size) except -1:
        """Write a type's byte and a number behind it, big end first."""
        cdef uint8_t* place = self.more(1 + size)
        place[0] = first
        while size:
            place[size] = number & 0xFF
            number >>= 8
            size -= 1
        return 0

    cdef inline int integer(self, int64_t number) except -1:
        if number >= 0:
            if number < 0x80:
                self.more(1)[0] = number
            elif number < 0x100:
                self.head(0xCC, number, 1)
            elif number < 0x10000:
                self.head(0xCD, number, 2)
            elif number < 0x100000000:
                self.head(0xCE, number, 4)
            else:
                self.head(0xCF, number, 8)
        elif number >= -0x20:
            self.more(1)[0] = <uint8_t> <int8_t> number
        elif number >= -0x80:
            self.head(0xD0, <uint64_t> number, 1)
        elif number >= -0x8000:
            self.head(0xD1, <uint64_t> number, 2)
        elif number >= -<int64_t> 0x80000000:
            self.head(0xD2, <uint64_t> number, 4)
        else:
            self.head(0xD3, <uint64_t> number, 8)
        return 0

    cdef inline int array(self, Py_ssize_t count) except -1:
        if count < 0x10:
            self.more(1)[0] = 0x90 | count
        elif count < 0x10000:
            self.head(0xDC, count, 2)
        else:
            self.head(0xDD, count, 4)
        return 0

    cdef inline int raw(self, const void* data, Py_ssize_t size) except -1:
        memcpy(self.more(size), data, size)
        return 0

    cdef inline int text(self, object value) except -1:
        cdef Py_ssize_t size
        cdef const char* data = PyUnicode_AsUTF8AndSize(value, &size)
        if size < 0x20:
            self.more(1)[0] = 0xA0 | size
        elif size < 0x100:
            self.head(0xD9, size, 1)
        elif size < 0x10000:
            self.head(0xDA, size, 2)
        else:
            self.head(0xDB, size, 4)
        return self.raw(data, size)

    cdef inline int binary(self, bytes value) except -1:
        cdef Py_ssize_t size = PyBytes_GET_SIZE(value)
        if size < 0x100:
            self.head(0xC4, size, 1)
        elif size < 0x10000:
            self.head(0xC5, size, 2)
        else:
            self.head(0xC6, size, 4)
        return self.raw(PyBytes_AS_STRING(value), size)

    cdef inline int name(self, int code, object value) except -1:
        """Write a keyword or a symbol: an extension of its name."""
        cdef Py_ssize_t size
        cdef const char* data
        name = value.name
        data = PyUnicode_AsUTF8AndSize(name, &size)
        if size == 1 or size == 2 or size == 4 or size == 8 or size == 16:
            self.more(1)[0] = 0xD4  # and the next codes for the next powers of two
            while size >> (self.data[self.size - 1] - 0xD3):
                self.data[self.size - 1] += 1
        elif size < 0x100:
            self.head(0xC7, size, 1)
        elif size < 0x10000:
            self.head(0xC8, size, 2)
        else:
            self.head(0xC9, size, 4)
        self.more(1)[0] = code
        return self.raw(data, size)

    cdef int value(self, object value) except -1:
        cdef type kind = type(value)
        cdef double number
        cdef uint64_t bits
        if kind is str:
            return self.text(value)
        if kind is Keyword:
            return self.name(KEYWORD_CODE, value)
        if kind is float:
            number = PyFloat_AS_DOUBLE(value)
            memcpy(&bits, &number, 8)
            return self.head(0xCB, bits, 8)
        if kind is bool:
            self.more(1)[0] = 0xC3 if value else 0xC2
            return 0
        if kind is bytes:
            return self.binary(value)
        packed = pack(value)
        return self.raw(PyBytes_AS_STRING(packed), PyBytes_GET_SIZE(packed))

    cdef inline int instant(self, int64_t ms) except -1:
        cdef uint64_t microseconds = <uint64_t> (ms * 1000)
        cdef uint8_t* place = self.more(10)
        cdef int i
        place[0] = 0xD7
        place[1] = INSTANT_CODE
        for i in range(9, 1, -1):
            place[i] = microseconds & 0xFF
            microseconds >>= 8
        return 0


cdef Bytes _scratch = Bytes()  # of the transaction that is being written: memory that is there already


cdef bytes record_of(Pending pending, Staged staged, int64_t instant_id):
    """Return the record of a staged transaction none of whose rows are in the columns yet. Raises CodecError."""
    global _scratch
    cdef Bytes out = _scratch
    _scratch = Bytes()  # values may be packed by Python, where another thread may come in between
    out.size = 0
    try:
        _write_record(out, pending, staged.start, staged.end, staged.instant_ms, instant_id)
    except UnicodeEncodeError as error:
        raise CodecError(f"no encoding: {error}") from error
    blob = PyBytes_FromStringAndSize(<char*> out.data, out.size)
    if out.room <= SCRATCH_MAX:
        _scratch = out
    return blob


cdef int _write_record(
    Bytes out, Pending pending, int64_t start, int64_t end, int64_t instant_ms, int64_t instant_id
) except -1:
    cdef Py_ssize_t base = start - pending.start, count = end - start, i, next_end
    cdef int64_t number, v
    cdef dict numbers = {}
    cdef list order = []
    cdef int64_t last = -1, last_number = 0
    cdef Bytes column = Bytes()
    for i in range(base, base + count):
        if pending.rows[i].a != last:
            last = pending.rows[i].a
            known = numbers.get(last)
            if known is None:
                known = numbers[last] = len(order)
                order.append(last)
            last_number = known
        column.integer(last_number)
    out.array(7)
    out.integer(RECORD_VERSION)
    out.integer(instant_ms)
    out.array(len(order))
    for a in order:
        out.text(value_at(a).name)
    out.array(count)
    for i in range(base, base + count):
        out.integer(pending.rows[i].e >> 1)
    out.array(count)
    out.raw(column.data, column.size)
    out.array(count)
    for i in range(base, base + count):
        v = pending.rows[i].v
        if not v & 1:
            out.integer(v >> 1)
        elif v == instant_id:
            out.instant(instant_ms)
        else:
            out.value(value_at(v))
    out.array(count)
    next_end = 0
    while next_end < pending.end_count and pending.ends[next_end].row < start:
        next_end += 1
    for i in range(base, base + count):
        if next_end < pending.end_count and pending.ends[next_end].row == pending.start + i:
            out.more(1)[0] = 0xC2
            next_end += 1
        else:
            out.more(1)[0] = 0xC3
    return 0
