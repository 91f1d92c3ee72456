# Hash indexes: from the ids of some columns to the rows that have them.
#
# Is:     open addressing from keys to groups of rows, for keys of any width, extended as its table grows.
# Is not: the table (`_kernel_table.pxi`).
# Fits:   a table's own rows are found by one of all columns; joins probe others.

cdef extern from *:
    """
    #define prefetch(address) __builtin_prefetch(address)
    """
    void prefetch(void *address) noexcept nogil

cdef enum:
    COLUMNS_MAX = 256  # twice what a rule can have, and some
    CAPACITY_MIN = 16
    SLOTS_MIN = 32

cdef struct Hashed

cdef struct Columns:
    int64_t arity
    int64_t count
    int64_t capacity
    int64_t **at  # a pointer for each column
    Hashed *whole  # of all columns: what is there already; NULL in a fixed table
    void *owner  # the Table

cdef struct Group:  # the rows with one key
    int64_t first
    int64_t last
    int64_t count

cdef struct Slot:
    uint64_t tag  # see `tag_of`
    int64_t number  # of a group plus one, of a row plus one if `distinct`; 0: free

cdef struct Hashed:  # an index: open addressing
    Columns *table
    int64_t n  # columns of the key
    int64_t *places
    int64_t covered  # rows that are in it
    bint exact  # a tag is the key itself
    bint distinct  # every key has one row
    uint64_t mask
    Slot *slots
    int64_t used  # slots
    Group *groups
    int64_t group_capacity
    int64_t *following  # the next row of the same group, -1 at its end
    int64_t following_capacity


# Of this process: whoever chooses ids cannot foresee which of them meet.
cdef uint64_t SEED = int.from_bytes(os.urandom(8), "little")


cdef inline uint64_t scattered(uint64_t tag) noexcept nogil:
    """Return where a tag's search begins; the finaliser of MurmurHash3."""
    tag ^= SEED
    tag = (tag ^ (tag >> 33)) * 0xFF51AFD7ED558CCDULL
    tag = (tag ^ (tag >> 33)) * 0xC4CEB9FE1A85EC53ULL
    return tag ^ (tag >> 33)


cdef inline bint tag_of(Hashed *index, const int64_t *key, uint64_t *tag) noexcept nogil:
    """Set the tag of a key; False if it has none, and so is not in the index.

    One id is its own tag, two that fit 32 bits are one number. So most searches look at slots alone. An index that gets a
    key of another shape goes over to hashes, whose keys have to be compared.
    """
    cdef int64_t i
    if index.exact:
        if index.n == 1:
            tag[0] = <uint64_t> key[0]
            return True
        if key[0] != <int32_t> key[0] or key[1] != <int32_t> key[1]:
            return False
        tag[0] = <uint64_t> key[0] << 32 | <uint32_t> key[1]
        return True
    tag[0] = SEED
    for i in range(index.n):
        tag[0] = (tag[0] ^ <uint64_t> key[i]) * 0x9E3779B97F4A7C15ULL
        tag[0] ^= tag[0] >> 29
    return True


cdef inline int64_t first_row(Hashed *index, int64_t number) noexcept nogil:
    return number if index.distinct else index.groups[number].first


cdef inline int64_t find(Hashed *index, const int64_t *key, uint64_t tag) noexcept nogil:
    """Return the number of the group (of the row, if `distinct`) with a key, or -1."""
    cdef uint64_t at = scattered(tag) & index.mask
    cdef Slot *slot
    cdef int64_t i
    cdef int64_t row
    while True:
        slot = &index.slots[at]
        if slot.number == 0:
            return -1
        if slot.tag == tag:
            if index.exact:
                return slot.number - 1
            row = first_row(index, slot.number - 1)
            for i in range(index.n):
                if index.table.at[index.places[i]][row] != key[i]:
                    break
            else:
                return slot.number - 1
        at = (at + 1) & index.mask


cdef void key_of(Hashed *index, int64_t row, int64_t *key) noexcept nogil:
    cdef int64_t i
    for i in range(index.n):
        key[i] = index.table.at[index.places[i]][row]


cdef int rebuild(Hashed *index, uint64_t size) noexcept nogil:
    """Put everything into so many slots. Returns -1 without memory, as all of these do."""
    cdef Slot *slots = <Slot *> calloc(size, sizeof(Slot))
    cdef int64_t key[COLUMNS_MAX]
    cdef uint64_t tag = 0
    cdef uint64_t at
    cdef uint64_t old
    if slots == NULL:
        return -1
    for old in range(index.mask + 1):
        if index.slots[old].number == 0:
            continue
        tag = index.slots[old].tag
        if not index.exact:  # it may have been
            key_of(index, first_row(index, index.slots[old].number - 1), key)
            tag_of(index, key, &tag)
        at = scattered(tag) & (size - 1)
        while slots[at].number:
            at = (at + 1) & (size - 1)
        slots[at] = Slot(tag, index.slots[old].number)
    free(index.slots)
    index.slots = slots
    index.mask = size - 1
    return 0


cdef int occupy(Hashed *index, uint64_t tag, int64_t number) noexcept nogil:
    """Give a slot to a key that has none."""
    cdef uint64_t at
    if 3 * (index.mask + 1) < 4 * <uint64_t> (index.used + 1) and rebuild(index, 2 * (index.mask + 1)) < 0:
        return -1
    at = scattered(tag) & index.mask
    while index.slots[at].number:
        at = (at + 1) & index.mask
    index.slots[at] = Slot(tag, number + 1)
    index.used += 1
    return 0


cdef int tag_for(Hashed *index, const int64_t *key, uint64_t *tag) noexcept nogil:
    """Set the tag of a key that is going to be in the index."""
    if not tag_of(index, key, tag):
        index.exact = False
        if rebuild(index, index.mask + 1) < 0:
            return -1
        tag_of(index, key, tag)
    return 0


cdef int new_group(Hashed *index, uint64_t tag, int64_t row) noexcept nogil:
    """Add a group with one row, whose key no other has."""
    cdef int64_t capacity = index.group_capacity
    cdef int64_t number = index.used
    cdef Group *groups
    if number == capacity:
        capacity = 2 * capacity if capacity else CAPACITY_MIN
        groups = <Group *> realloc(index.groups, capacity * sizeof(Group))
        if groups == NULL:
            return -1
        index.groups = groups
        index.group_capacity = capacity
    index.groups[number] = Group(row, row, 1)
    return occupy(index, tag, number)


cdef int cover(Hashed *index) noexcept nogil:
    """Take in the rows that are new in the table."""
    cdef Columns *table = index.table
    cdef int64_t key[COLUMNS_MAX]
    cdef int64_t row
    cdef int64_t number
    cdef int64_t *following
    cdef uint64_t tag = 0
    cdef Group *group
    if index.following_capacity < table.capacity:
        following = <int64_t *> realloc(index.following, table.capacity * sizeof(int64_t))
        if following == NULL:
            return -1
        index.following = following
        index.following_capacity = table.capacity
    for row in range(index.covered, table.count):
        key_of(index, row, key)
        if tag_for(index, key, &tag) < 0:
            return -1
        number = find(index, key, tag)
        index.following[row] = -1
        if number < 0:
            if new_group(index, tag, row) < 0:
                return -1
            continue
        group = &index.groups[number]
        index.following[group.last] = row
        group.last = row
        group.count += 1
    index.covered = table.count
    return 0


cdef class _Index:
    """Owns a Hashed."""

    cdef Hashed it
    cdef object table  # keeps what `it` points to

    def __cinit__(self, Table table, tuple places, bint distinct):
        self.table = table
        self.it.table = &table.data
        self.it.n = len(places)
        self.it.places = <int64_t *> malloc((self.it.n + 1) * sizeof(int64_t))
        self.it.exact = self.it.n <= 2
        self.it.distinct = distinct
        self.it.slots = <Slot *> calloc(SLOTS_MIN, sizeof(Slot))
        self.it.mask = SLOTS_MIN - 1
        if self.it.places == NULL or self.it.slots == NULL:
            raise MemoryError
        for i, place in enumerate(places):
            self.it.places[i] = place

    def __dealloc__(self):
        free(self.it.places)
        free(self.it.slots)
        free(self.it.groups)
        free(self.it.following)

    cdef int update(self) except -1:
        cdef int done
        if self.it.covered != self.it.table.count:
            with nogil:
                done = cover(&self.it)
            if done < 0:
                raise MemoryError
        return 0
