# The bytes of a transaction, straight from its rows: what `record.encode_record` makes of the same rows, byte for byte.
# Source: the msgpack specification; the shortest form of everything, as `codec.pack` writes it.

cdef class RecordBytes(Bytes):
    """The bytes of a record: most values are written here, the others by `codec`."""

    cdef int value(self, object value) except -1:
        cdef type kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is Keyword:
            return self.name(KEYWORD_CODE, value)
        if kind is float:
            return self.real(PyFloat_AS_DOUBLE(value))
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


cdef RecordBytes _scratch = RecordBytes()  # of the transaction that is being written: memory that is there already


cdef bytes record_of(Pending pending, Staged staged, int64_t instant_id):
    """Return the record of a staged transaction none of whose rows are in the columns yet. Raises CodecError."""
    global _scratch
    cdef RecordBytes out = _scratch
    _scratch = RecordBytes()  # values may be packed by Python, where another thread may come in between
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
    RecordBytes out, Pending pending, int64_t start, int64_t end, int64_t instant_ms, int64_t instant_id
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
