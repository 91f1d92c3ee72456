# Indexes: from the ids of some columns to the rows that have them.
#
# Is:     three layouts: ranges of rows by an id that is a number, lists of rows by such an id, lists of rows by a hash.
# Is not: the table (`_kernel_table.pxi`), or which rows it has (`_kernel_seen.pxi`).
# Fits:   look-ups of whole columns, and joins.
#
# A table that never grows, asked by one column whose ids lie close together, has its rows sorted by counting; the facts
# of an attribute are so sorted by entity already. A table that grows has lists, found by the id itself or by a hash.

cdef enum Layout:
    RANGES = 0
    LISTS = 1
    HASHES = 2

cdef enum:
    SLOTS_MIN = 32
    NUMBERS_PER_ROW = 6  # that an index by number may have,
    NUMBERS_MIN = 1 << 12  # or so many
    ROWS_NUMBERED_MOST = 1 << 30  # in ranges

cdef struct Hashed
cdef struct Seen

cdef struct Columns:
    int64_t arity
    int64_t count
    int64_t capacity
    int64_t **at  # a pointer for each column
    Seen *seen  # NULL if it never could be added to
    bint fixed  # is not added to any more
    int64_t best  # the column of which the best id for all others counts, -1: none
    bint most  # the largest is best
    uint8_t *stale  # of each row, if there is a best: a better one has come
    void *owner  # the Table

cdef struct Group:  # the rows with one key, as a list
    int64_t first
    int64_t last
    int64_t count

cdef struct Slot:
    uint64_t tag  # see `tag_of`
    int64_t number  # of a group plus one, of a row plus one if `distinct`; 0: free

cdef struct Hashed:  # an index
    Columns *table
    int64_t arity  # the table's, which may be gone before its index
    int64_t n  # columns of the key
    int64_t *places
    int64_t covered  # rows that are in it
    Layout layout
    Dense dense  # RANGES, LISTS
    int32_t *starts  # RANGES: of each number, and the end
    int32_t *order  # RANGES: the rows; NULL: as they are
    int64_t **gathered  # RANGES: columns in that order, those that joins read
    int64_t largest  # RANGES: rows of one key, at most
    int32_t *heads  # LISTS: group plus one of each number; 0: none
    bint exact  # HASHES: a tag is the key itself
    bint distinct  # HASHES: every key has one row
    uint64_t mask
    Slot *slots
    int64_t used  # groups; rows, if distinct
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


cdef inline int64_t group_of(Hashed *index, const int64_t *key) noexcept nogil:
    """Return the number of the rows with a key, -1 if there are none."""
    cdef int64_t number
    cdef uint64_t tag = 0
    if index.layout == HASHES:
        return find(index, key, tag) if tag_of(index, key, &tag) else -1
    number = number_of(&index.dense, key[0])
    if number < 0:
        return -1
    if index.layout == LISTS:
        return index.heads[number] - 1
    return number if index.starts[number] < index.starts[number + 1] else -1


cdef inline int64_t group_size(Hashed *index, int64_t number) noexcept nogil:
    if index.layout == RANGES:
        return index.starts[number + 1] - index.starts[number]
    return index.groups[number].count


cdef void key_of(Hashed *index, int64_t row, int64_t *key) noexcept nogil:
    cdef int64_t i
    for i in range(index.n):
        key[i] = index.table.at[index.places[i]][row]


# -- by hash --

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


cdef int to_hashes(Hashed *index) noexcept nogil:
    """Go over from numbers to hashes."""
    cdef int64_t groups = index.used
    cdef int64_t number
    cdef uint64_t tag = 0
    free(index.heads)
    index.heads = NULL
    index.layout = HASHES
    index.used = 0
    for number in range(groups):
        if tag_for(index, &index.table.at[index.places[0]][index.groups[number].first], &tag) < 0:
            return -1
        if occupy(index, tag, number) < 0:
            return -1
    return 0


# -- as lists --

cdef int new_group(Hashed *index, int64_t row) noexcept nogil:
    """Add a group with one row, whose key no other has."""
    cdef int64_t capacity = index.group_capacity
    cdef Group *groups
    if index.used == capacity:
        capacity = 2 * capacity if capacity else CAPACITY_MIN
        groups = <Group *> realloc(index.groups, capacity * sizeof(Group))
        if groups == NULL:
            return -1
        index.groups = groups
        index.group_capacity = capacity
    index.groups[index.used] = Group(row, row, 1)
    return 0


cdef inline int64_t numbers_most(int64_t rows) noexcept nogil:
    return NUMBERS_MIN if rows < NUMBERS_MIN // NUMBERS_PER_ROW else rows * NUMBERS_PER_ROW


cdef bint headed(Hashed *index, Dense *dense) noexcept nogil:
    """Have a head for each number; False without memory."""
    cdef int32_t *heads = <int32_t *> calloc(dense.width, sizeof(int32_t))
    cdef int64_t group
    if heads == NULL:
        return False
    free(index.heads)
    index.heads = heads
    index.dense = dense[0]
    for group in range(index.used):
        heads[number_of(dense, index.table.at[index.places[0]][index.groups[group].first])] = <int32_t> (group + 1)
    return True


cdef int take(Hashed *index, int64_t row) noexcept nogil:
    """Put a row into its list."""
    cdef int64_t key[COLUMNS_MAX]
    cdef int64_t number = -1
    cdef int64_t group
    cdef uint64_t tag = 0
    cdef Dense dense
    cdef Group *found
    key_of(index, row, key)
    if index.layout == LISTS:
        number = number_of(&index.dense, key[0])
        if number < 0:
            dense = index.dense
            if widened(&dense, key[0], numbers_most(index.table.count)) and headed(index, &dense):
                number = number_of(&index.dense, key[0])
            elif to_hashes(index) < 0:
                return -1
    if index.layout == LISTS:
        group = index.heads[number] - 1
    else:
        if tag_for(index, key, &tag) < 0:
            return -1
        group = find(index, key, tag)
    index.following[row] = -1
    if group >= 0:
        found = &index.groups[group]
        index.following[found.last] = row
        found.last = row
        found.count += 1
        return 0
    if new_group(index, row) < 0:
        return -1
    if index.layout == HASHES:
        return occupy(index, tag, index.used)
    index.used += 1
    index.heads[number] = <int32_t> index.used
    return 0


cdef int cover(Hashed *index) noexcept nogil:
    """Take in the rows that are new in the table."""
    cdef Columns *table = index.table
    cdef int64_t row
    cdef int64_t *following
    cdef Dense dense
    if not index.covered and index.n == 1 and table.count and table.count < ROWS_NUMBERED_MOST:
        if measured(&dense, table.at[index.places[0]], table.count, numbers_most(table.count)):
            if table.fixed:
                return sort(index, &dense)
            if headed(index, &dense):
                index.layout = LISTS
    if index.following_capacity < table.capacity:
        following = <int64_t *> realloc(index.following, table.capacity * sizeof(int64_t))
        if following == NULL:
            return -1
        index.following = following
        index.following_capacity = table.capacity
    for row in range(index.covered, table.count):
        if take(index, row) < 0:
            return -1
    index.covered = table.count
    return 0


# -- as ranges --

cdef int sort(Hashed *index, Dense *dense) noexcept nogil:
    """Sort the rows of a fixed table by the numbers of their keys."""
    cdef int64_t *column = index.table.at[index.places[0]]
    cdef int64_t count = index.table.count
    cdef int32_t *starts = <int32_t *> calloc(dense.width + 2, sizeof(int32_t))
    cdef int32_t *order = NULL
    cdef int64_t largest = 0
    cdef int64_t i
    cdef int64_t number
    cdef bint sorted = True
    if starts == NULL:
        return -1
    for i in range(count):  # counted two places further on, so that they end up where ranges start
        number = number_of(dense, column[i])
        starts[number + 2] += 1
        sorted = sorted and (i == 0 or column[i - 1] <= column[i])
    for number in range(dense.width):
        if starts[number + 2] > largest:
            largest = starts[number + 2]
        starts[number + 2] += starts[number + 1]
    if not sorted:
        order = <int32_t *> malloc(count * sizeof(int32_t))
        if order == NULL:
            free(starts)
            return -1
        for i in range(count):
            number = number_of(dense, column[i]) + 1
            order[starts[number]] = <int32_t> i
            starts[number] += 1
    else:
        for number in range(dense.width):
            starts[number + 1] = starts[number + 2]
    index.dense = dense[0]
    index.starts = starts
    index.order = order
    index.largest = largest
    index.layout = RANGES
    index.covered = count
    return 0


cdef int gather(Hashed *index, int64_t place) noexcept nogil:
    """Have a column in the order of the ranges."""
    cdef int64_t *column
    cdef int64_t i
    if index.order == NULL or index.gathered[place] != NULL:
        return 0
    column = <int64_t *> malloc(index.table.count * sizeof(int64_t))
    if column == NULL:
        return -1
    for i in range(index.table.count):
        column[i] = index.table.at[place][index.order[i]]
    if index.gathered[place] == NULL:
        index.gathered[place] = column
    else:
        free(column)
    return 0


# -- owners --

cdef int begin_hashed(Hashed *it, Columns *table, tuple places, bint distinct) except -2:
    """Have no rows, by some columns or by all."""
    cdef int64_t i
    it.table = table
    it.arity = table.arity
    it.n = table.arity if places is None else len(places)
    it.places = <int64_t *> malloc((it.n + 1) * sizeof(int64_t))
    it.exact = it.n <= 2
    it.distinct = distinct
    it.layout = HASHES
    it.slots = <Slot *> calloc(SLOTS_MIN, sizeof(Slot))
    it.gathered = <int64_t **> calloc(table.arity + 1, sizeof(int64_t *))
    it.mask = SLOTS_MIN - 1
    if it.places == NULL or it.slots == NULL or it.gathered == NULL:
        return -1
    for i in range(it.n):
        it.places[i] = i if places is None else places[i]
    return 0


cdef void end_hashed(Hashed *it) noexcept:
    cdef int64_t i
    if it.gathered != NULL:
        for i in range(it.arity):
            free(it.gathered[i])
    free(it.gathered)
    free(it.places)
    free(it.starts)
    free(it.order)
    free(it.heads)
    free(it.slots)
    free(it.groups)
    free(it.following)


cdef int64_t hashed_size(Hashed *it) noexcept:
    """Return about how many bytes an index takes."""
    cdef int64_t total = (it.mask + 1) * sizeof(Slot)
    total += it.group_capacity * sizeof(Group) + 8 * it.following_capacity
    if it.layout != HASHES:
        total += 4 * it.dense.width
    if it.order != NULL:
        total += 4 * it.covered
    return total


cdef class _Index:
    """Owns an index. Its table has it, so it must not keep the table: nothing would be let go before a collection."""

    cdef Hashed it

    def __cinit__(self, Table table, tuple places):
        if begin_hashed(&self.it, &table.data, places, False) < 0:
            raise MemoryError

    def __dealloc__(self):
        end_hashed(&self.it)

    cdef int update(self) except -1:
        cdef int done
        if self.it.covered != self.it.table.count:
            with nogil:
                done = cover(&self.it)
            if done < 0:
                raise MemoryError
        return 0
