# Bytes that grow, and how msgpack writes plain things into them: the shortest form of everything.
# Included by `_codec` and `_transact`, each with a class of its own.
# Source: the msgpack specification.

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

    cdef inline int real(self, double number) except -1:
        cdef uint64_t bits
        memcpy(&bits, &number, 8)
        return self.head(0xCB, bits, 8)

    cdef inline int extension(self, int code, Py_ssize_t size) except -1:
        """Write the head of an extension whose body follows."""
        cdef int power
        if size == 1 or size == 2 or size == 4 or size == 8 or size == 16:
            power = 0
            while size >> (power + 1):
                power += 1
            self.more(1)[0] = 0xD4 + power
        elif size < 0x100:
            self.head(0xC7, size, 1)
        elif size < 0x10000:
            self.head(0xC8, size, 2)
        else:
            self.head(0xC9, size, 4)
        self.more(1)[0] = code
        return 0

    cdef inline int name(self, int code, object value) except -1:
        """Write a keyword or a symbol: an extension of its name."""
        cdef Py_ssize_t size
        cdef const char* data
        name = value.name
        data = PyUnicode_AsUTF8AndSize(name, &size)
        self.extension(code, size)
        return self.raw(data, size)


cdef void* resized(void* memory, size_t size) except NULL:
    cdef void* made = realloc(memory, size)
    if made is NULL:
        raise MemoryError
    return made
