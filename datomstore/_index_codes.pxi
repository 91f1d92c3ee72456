# Columns of codes: what one code stands for, and how ids become codes.

cdef enum:
    RULE_DIRECT = 0
    RULE_ENTITY = 1
    RULE_NAMED = 2
    RULE_STORED = 3

DIRECT, ENTITY, NAMED, STORED = RULE_DIRECT, RULE_ENTITY, RULE_NAMED, RULE_STORED

cdef int64_t NO_CODE = -(<int64_t> 1 << 62) * 2  # no id and no code is as small
cdef int64_t TX_FIRST = TX_BASE  # the entity of transaction 0

NONE = NO_CODE

cdef struct Codes:
    const void *data  # owned by the array that a Column, or a tail, keeps
    int64_t count
    int64_t width  # bytes
    int64_t rule
    const int64_t *lut
    int64_t lut_count

ctypedef const Codes *CodesPointer
ctypedef const uint32_t *OffsetsPointer
ctypedef const int64_t *IdsPointer


cdef inline int64_t code_at(const Codes *codes, int64_t at) noexcept nogil:
    if codes.width == 4:
        return (<const int32_t *> codes.data)[at]
    if codes.width == 8:
        return (<const int64_t *> codes.data)[at]
    if codes.width == 1:
        return (<const int8_t *> codes.data)[at]
    return (<const int16_t *> codes.data)[at]


cdef inline int64_t id_of(const Codes *codes, int64_t code) noexcept nogil:
    """Return the id of a code; NO_CODE where its table does not have it, or has not loaded it."""
    cdef int64_t found
    if codes.rule == RULE_DIRECT:
        return code
    if codes.rule == RULE_ENTITY:
        return code << 1 if code >= 0 else (TX_FIRST - 1 - code) << 1
    if codes.rule == RULE_STORED:
        if not code & 1:
            return code
        code >>= 1
    if code < 0 or code >= codes.lut_count:
        return NO_CODE
    found = codes.lut[code]
    return NO_CODE if found == 0 and codes.rule == RULE_STORED else found


cdef inline int64_t fitting(int64_t code, int64_t width) noexcept nogil:
    """Return a code that the width can hold, else NO_CODE."""
    cdef int64_t bound
    if width == 8:
        return code
    bound = <int64_t> 1 << (8 * width - 1)
    return code if -bound <= code < bound else NO_CODE


cdef inline int64_t entity_code(int64_t identifier, int64_t width) noexcept nogil:
    cdef int64_t e = identifier >> 1
    if identifier & 1 or e < 0:
        return NO_CODE
    return fitting(TX_FIRST - 1 - e if e >= TX_FIRST else e, width)


cdef bint decoded(
    const Codes *codes, const int64_t *rows, int64_t count, int64_t start, int64_t *out
) noexcept nogil:
    """Write the ids of some rows; False where one is not loaded."""
    cdef int64_t i
    cdef bint whole = True
    if codes.rule == RULE_DIRECT and codes.width == 8:
        for i in range(count):
            out[i] = (<const int64_t *> codes.data)[rows[i] - start]
    elif codes.rule == RULE_DIRECT and codes.width == 4:
        for i in range(count):
            out[i] = (<const int32_t *> codes.data)[rows[i] - start]
    elif codes.rule == RULE_ENTITY and codes.width == 4:
        for i in range(count):
            out[i] = id_of(codes, (<const int32_t *> codes.data)[rows[i] - start])
    else:
        for i in range(count):
            out[i] = id_of(codes, code_at(codes, rows[i] - start))
            whole &= out[i] != NO_CODE
    return whole


cdef bint decoded_span(const Codes *codes, int64_t at, int64_t count, int64_t *out) noexcept nogil:
    """Write the ids of rows that follow one another; False where one is not loaded."""
    cdef int64_t i
    cdef bint whole = True
    if codes.rule == RULE_DIRECT and codes.width == 8:
        memcpy(out, <const int64_t *> codes.data + at, count * 8)
        return True
    for i in range(count):
        out[i] = id_of(codes, code_at(codes, at + i))
        whole &= out[i] != NO_CODE
    return whole


cdef inline int64_t *ids_in(object array) noexcept:
    """Return what an array that `as_ids` has made points to."""
    return <int64_t *> cnp.PyArray_DATA(<cnp.ndarray> array)


cdef object as_ids(object given):
    """Return an array of int64 without gaps."""
    cdef cnp.ndarray array
    if cnp.PyArray_Check(given):
        array = <cnp.ndarray> given
        if (
            array.ndim == 1
            and cnp.PyArray_TYPE(array) == cnp.NPY_INT64
            and cnp.PyArray_IS_C_CONTIGUOUS(array)
        ):
            return array
    array = np.ascontiguousarray(given, np.int64)
    if array.ndim != 1:
        raise ValueError("a column has one dimension")
    return array


cdef cnp.ndarray empty_ids(int64_t count):
    cdef cnp.npy_intp size = count
    return <cnp.ndarray> cnp.PyArray_SimpleNew(1, &size, cnp.NPY_INT64)


cdef cnp.ndarray empty_offsets(int64_t count):
    cdef cnp.npy_intp size = count
    return <cnp.ndarray> cnp.PyArray_SimpleNew(1, &size, cnp.NPY_UINT32)


cdef class Attributes:
    """Attributes by number, only ever added to. All of it happens with the GIL held."""

    cdef object ids  # array with room to spare; a new one when it is full, so that readers keep theirs
    cdef int64_t count
    cdef int64_t *slots  # owned; (id, number + 1) by open addressing, 0 is free
    cdef uint64_t mask

    def __cinit__(self, ids=()):
        self.ids = np.empty(16, np.int64)
        self.mask = 63
        self.slots = <int64_t *> calloc(2 * (self.mask + 1), sizeof(int64_t))
        if self.slots == NULL:
            raise MemoryError()
        self.numbered(as_ids(ids))

    def __dealloc__(self):
        free(self.slots)

    def __len__(self):
        return self.count

    cdef inline int64_t *slot(self, int64_t identifier) noexcept:
        cdef uint64_t at = (<uint64_t> identifier * 0x9E3779B97F4A7C15ULL) >> 32
        cdef int64_t *found
        while True:
            found = &self.slots[2 * (at & self.mask)]
            if found[1] == 0 or found[0] == identifier:
                return found
            at += 1

    cdef int grow(self) except -1:
        cdef int64_t *old = self.slots
        cdef int64_t size = <int64_t> self.mask + 1
        cdef int64_t i
        cdef int64_t *found
        self.slots = <int64_t *> calloc(4 * size, sizeof(int64_t))
        if self.slots == NULL:
            self.slots = old
            raise MemoryError()
        self.mask = 2 * size - 1
        for i in range(size):
            if old[2 * i + 1]:
                found = self.slot(old[2 * i])
                found[0], found[1] = old[2 * i], old[2 * i + 1]
        free(old)
        return 0

    cdef int64_t number(self, int64_t identifier) noexcept:
        """Return the number of an id, or NO_CODE."""
        cdef int64_t *found = self.slot(identifier)
        return found[1] - 1 if found[1] else NO_CODE

    cdef int64_t add(self, int64_t identifier) except -1:
        cdef int64_t *found = self.slot(identifier)
        if found[1]:
            return found[1] - 1
        if 2 * (self.count + 1) > <int64_t> self.mask:
            self.grow()
            found = self.slot(identifier)
        if self.count == len(self.ids):
            self.ids = np.concatenate((self.ids, np.empty_like(self.ids)))
        ids_in(self.ids)[self.count] = identifier
        self.count += 1
        found[0], found[1] = identifier, self.count
        return self.count - 1

    @property
    def lut(self):
        """Return the ids by number."""
        return self.ids[:self.count]

    def load(self, numbers):
        """Do nothing: all are there."""

    def numbers_of(self, ids):
        """Return the number of each id, -1 where it has none."""
        cdef object given = as_ids(ids)
        cdef cnp.ndarray out = empty_ids(len(given))
        cdef int64_t i
        for i in range(len(given)):
            out_at = self.number(ids_in(given)[i])
            ids_in(out)[i] = -1 if out_at == NO_CODE else out_at
        return out

    def numbered(self, ids):
        """Return the number of each id; those that had none get one."""
        cdef object given = as_ids(ids)
        cdef int64_t count = len(given)
        cdef cnp.ndarray out = empty_ids(count)
        cdef const int64_t *source = ids_in(given)
        cdef int64_t *target = ids_in(out)
        cdef int64_t i
        for i in range(count):
            target[i] = self.add(source[i])
        return out


cdef class Column:
    """Codes with the rule that makes ids of them."""

    cdef readonly object codes
    cdef readonly object table
    cdef object lut  # what `it` points to
    cdef Codes it

    def __init__(self, codes, int64_t rule=RULE_DIRECT, table=None):
        codes = np.ascontiguousarray(codes)
        if codes.ndim != 1 or codes.dtype.kind != "i":
            raise ValueError("codes are a column of signed integers")
        if not RULE_DIRECT <= rule <= RULE_STORED or (rule >= RULE_NAMED) != (table is not None):
            raise ValueError("a rule, and a table where it looks one up")
        self.codes = codes
        self.table = table
        self.it.data = cnp.PyArray_DATA(<cnp.ndarray> codes)
        self.it.count = len(codes)
        self.it.width = codes.dtype.itemsize
        self.it.rule = rule
        self.it.lut = NULL
        self.it.lut_count = 0
        if table is not None:
            self.lut = as_ids(table.lut)
            self.it.lut = ids_in(self.lut)
            self.it.lut_count = len(self.lut)

    @property
    def rule(self):
        return self.it.rule

    @property
    def width(self):
        return self.it.width

    def __len__(self):
        return self.it.count

    def __getitem__(self, offsets):
        cdef cnp.ndarray given
        cdef cnp.ndarray out
        cdef int64_t i
        if isinstance(offsets, slice):
            offsets = np.arange(self.it.count, dtype=np.int64)[offsets]
        given = as_ids(offsets)
        for i in range(len(given)):
            if not 0 <= ids_in(given)[i] < self.it.count:
                raise IndexError(f"no row {ids_in(given)[i]} in a column of {self.it.count}")
        out = empty_ids(len(given))
        if not decoded(&self.it, ids_in(given), len(given), 0, ids_in(out)):
            self.load(given, 0)
            if not decoded(&self.it, ids_in(given), len(given), 0, ids_in(out)):
                raise IndexError("a code stands for nothing in its table")
        return out

    cdef int load(self, cnp.ndarray rows, int64_t start) except -1:
        """Have the dictionary load what some rows need."""
        codes = self.codes[rows - start]
        self.table.load(np.unique(codes[codes & 1 == 1].astype(np.int64) >> 1))
        return 0

    cdef int64_t encoded(self, int64_t identifier) except? -1:
        """Return the code of an id, or NO_CODE."""
        cdef int64_t found
        if self.it.rule == RULE_DIRECT:
            return fitting(identifier, self.it.width)
        if self.it.rule == RULE_ENTITY:
            return entity_code(identifier, self.it.width)
        if self.it.rule == RULE_STORED and not identifier & 1:
            found = fitting(identifier, self.it.width)
            if found != NO_CODE:
                return found
        if isinstance(self.table, Attributes):
            return (<Attributes> self.table).number(identifier)
        found = self.table.numbers_of(np.array([identifier], np.int64))[0]
        if found < 0:
            return NO_CODE
        return fitting(found if self.it.rule == RULE_NAMED else (found << 1) | 1, self.it.width)

    def encode(self, ids):
        """Return the code of each id, NONE where no code stands for it."""
        cdef cnp.ndarray given = as_ids(ids)
        cdef int64_t count = len(given)
        cdef cnp.ndarray out
        cdef const int64_t *source = ids_in(given)
        cdef int64_t *target
        cdef int64_t i
        if self.it.rule == RULE_DIRECT and self.it.width == 8:
            return given
        out = empty_ids(count)
        target = ids_in(out)
        if self.it.rule == RULE_DIRECT:
            for i in range(count):
                target[i] = fitting(source[i], self.it.width)
            return out
        if self.it.rule == RULE_ENTITY:
            for i in range(count):
                target[i] = entity_code(source[i], self.it.width)
            return out
        for i in range(count):
            target[i] = NO_CODE
            if self.it.rule == RULE_STORED and not source[i] & 1:
                target[i] = fitting(source[i], self.it.width)
        absent = np.flatnonzero(out == NO_CODE)
        if len(absent):
            numbers = self.table.numbers_of(given[absent])
            codes = numbers if self.it.rule == RULE_NAMED else (numbers << 1) | 1
            bound = <int64_t> 1 << (8 * min(self.it.width, <int64_t> 7) - 1)
            codes[(numbers < 0) | (codes >= bound)] = NO_CODE
            out[absent] = codes
        return out
