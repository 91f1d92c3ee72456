# Which rows a table has already.
#
# Is:     a bit for each row there could be, where ids lie close together; else a set of keys; else hashes of rows.
# Is not: looking rows up by some of their columns (`_kernel_index.pxi`).
# Fits:   a table that grows has one.
#
# A table begins with keys, of one column or of two that fit 32 bits each. When it grows it looks at its columns: the
# bits are a few per row, or few altogether, or it goes on with keys. Rows of other shapes are hashed and compared.

cdef enum Way:
    BY_KEYS = 0
    BY_BITS = 1
    BY_HASH = 2
    BY_BEST = 3

cdef enum:
    KEYS_MIN = 32
    BITS_LEAST = 1 << 18  # that are few altogether
    BITS_PER_ROW = 1 << 8  # that are few for each row
    BITS_SPARSE = 1 << 12  # bits for each row, of which most pages are never touched,
    BITS_SPARSE_MOST = 1 << 29  # up to so many

cdef struct Seen:
    Way way
    int64_t covered  # rows of the table that are in it
    uint64_t *keys  # 0: free
    uint64_t mask
    int64_t used
    bint has_zero  # the key 0
    uint64_t *bits
    Dense left
    Dense right
    Hashed whole


cdef inline bint key_for(const int64_t *row, int64_t n, uint64_t *key) noexcept nogil:
    """Set the key of a row; False if it has none."""
    if n == 1:
        key[0] = <uint64_t> row[0]
        return True
    key[0] = <uint64_t> row[0] << 32 | <uint32_t> row[1]
    return n == 2 and row[0] == <int32_t> row[0] and row[1] == <int32_t> row[1]


cdef inline int64_t bit_for(Seen *seen, const int64_t *row, int64_t n) noexcept nogil:
    """Return the number of a row's bit, -1 if it has none."""
    cdef int64_t left = number_of(&seen.left, row[0])
    cdef int64_t right
    if n == 1 or left < 0:
        return left
    right = number_of(&seen.right, row[1])
    return left * seen.right.width + right if right >= 0 else -1


cdef int see(Columns *table, const int64_t *row) noexcept nogil:
    """Note a row that is about to be the table's last; 1 if it is new, 0 if not, -1 without memory."""
    cdef Seen *seen = table.seen
    cdef int64_t bit
    cdef uint64_t key = 0
    cdef uint64_t at
    if seen.way == BY_BEST:
        return see_best(table, row)
    if seen.way == BY_BITS:
        bit = bit_for(seen, row, table.arity)
        while bit < 0:
            if not refit(table, row):
                if to_keys(table) < 0:
                    return -1
                return see(table, row)
            bit = bit_for(seen, row, table.arity)
        if seen.bits[bit >> 6] >> (bit & 63) & 1:
            return 0
        seen.bits[bit >> 6] |= 1ULL << (bit & 63)
        return 1
    if seen.way == BY_KEYS:
        if not key_for(row, table.arity, &key):
            if to_hash(table) < 0:
                return -1
            return see(table, row)
        if key == 0:
            if seen.has_zero:
                return 0
            seen.has_zero = True
            return 1
        at = scattered(key) & seen.mask
        while seen.keys[at]:
            if seen.keys[at] == key:
                return 0
            at = (at + 1) & seen.mask
        if 3 * (seen.mask + 1) < 5 * <uint64_t> (seen.used + 1):
            if more_keys(seen) < 0:
                return -1
            at = scattered(key) & seen.mask
            while seen.keys[at]:
                at = (at + 1) & seen.mask
        seen.keys[at] = key
        seen.used += 1
        return 1
    if tag_for(&seen.whole, row, &key) < 0:
        return -1
    if find(&seen.whole, row, key) >= 0:
        return 0
    return 1 if occupy(&seen.whole, key, table.count) == 0 else -1


cdef bint has(Columns *table, const int64_t *row) noexcept nogil:
    """Return whether a row is among those that are noted."""
    cdef Seen *seen = table.seen
    cdef int64_t bit
    cdef uint64_t key = 0
    cdef uint64_t at
    if seen.way == BY_BITS:
        bit = bit_for(seen, row, table.arity)
        return bit >= 0 and seen.bits[bit >> 6] >> (bit & 63) & 1
    if seen.way == BY_HASH:
        return tag_of(&seen.whole, row, &key) and find(&seen.whole, row, key) >= 0
    if not key_for(row, table.arity, &key):
        return False
    if key == 0:
        return seen.has_zero
    at = scattered(key) & seen.mask
    while seen.keys[at]:
        if seen.keys[at] == key:
            return True
        at = (at + 1) & seen.mask
    return False


cdef inline void fetch(Columns *table, const int64_t *row) noexcept nogil:
    """Have the memory fetched that `see` will look at."""
    cdef Seen *seen = table.seen
    cdef uint64_t key = 0
    if seen.way == BY_KEYS:
        if key_for(row, table.arity, &key):
            prefetch(&seen.keys[scattered(key) & seen.mask])
    elif seen.way == BY_HASH and tag_of(&seen.whole, row, &key):
        prefetch(&seen.whole.slots[scattered(key) & seen.whole.mask])


cdef int more_keys(Seen *seen) noexcept nogil:
    """Have room for twice as many keys."""
    cdef uint64_t mask = 2 * (seen.mask + 1) - 1
    cdef uint64_t *keys = <uint64_t *> calloc(mask + 1, sizeof(uint64_t))
    cdef uint64_t old
    cdef uint64_t at
    if keys == NULL:
        return -1
    for old in range(seen.mask + 1):
        if seen.keys[old]:
            at = scattered(seen.keys[old]) & mask
            while keys[at]:
                at = (at + 1) & mask
            keys[at] = seen.keys[old]
    free(seen.keys)
    seen.keys = keys
    seen.mask = mask
    return 0


cdef int begin_seen(Seen *seen, int64_t rows) noexcept nogil:
    """Have no rows, and room for keys of some."""
    cdef uint64_t size = KEYS_MIN
    while 3 * size < 5 * <uint64_t> rows:
        size *= 2
    free(seen.keys)
    free(seen.bits)
    seen.bits = NULL
    seen.keys = <uint64_t *> calloc(size, sizeof(uint64_t))
    if seen.keys == NULL:
        return -1
    seen.mask = size - 1
    seen.used = 0
    seen.has_zero = False
    seen.way = BY_KEYS
    seen.covered = 0
    return 0


cdef int to_keys(Columns *table) noexcept nogil:
    """Go over from bits to keys."""
    if begin_seen(table.seen, 2 * table.count) < 0:
        return -1
    return catch_up(table)


cdef int to_hash(Columns *table) noexcept nogil:
    """Go over from keys to hashes of rows."""
    cdef Seen *seen = table.seen
    free(seen.keys)
    seen.keys = NULL
    seen.way = BY_HASH
    seen.covered = 0
    return catch_up(table)


cdef int catch_up(Columns *table) noexcept nogil:
    """Note the rows of a table that are not noted yet; no two of them are the same."""
    cdef Seen *seen = table.seen
    cdef int64_t row[COLUMNS_MAX]
    cdef int64_t count = table.count
    cdef int64_t i
    cdef int64_t place
    cdef int done = 0
    for i in range(seen.covered, count):
        for place in range(table.arity):
            row[place] = table.at[place][i]
        table.count = i  # `see` takes the row for the last
        done = see(table, row)
        if done < 0:
            break
    table.count = count
    if done < 0:
        return -1
    seen.covered = count
    return 0


cdef inline int64_t bits_most(int64_t rows) noexcept nogil:
    """Return how many bits may be spent on so many rows."""
    cdef int64_t most = rows * BITS_SPARSE
    if most > BITS_SPARSE_MOST:
        most = BITS_SPARSE_MOST
    if most < rows * BITS_PER_ROW:
        most = rows * BITS_PER_ROW
    return most if most > BITS_LEAST else BITS_LEAST


cdef bint refit(Columns *table, const int64_t *row) noexcept nogil:
    """Have bits for one row more; False if that is not worth it, and the bits are as they were."""
    cdef Seen *seen = table.seen
    cdef int64_t most = bits_most(table.count)
    cdef Dense left = seen.left
    cdef Dense right = seen.right
    if number_of(&left, row[0]) < 0 and not widened(&left, row[0], most):
        return False
    if table.arity == 2 and number_of(&right, row[1]) < 0 and not widened(&right, row[1], most):
        return False
    return with_bits(table, &left, &right, most)


cdef bint to_bits(Columns *table) noexcept nogil:
    """Go over to bits if they are few; all rows must be noted."""
    cdef int64_t most = bits_most(table.count)
    cdef Dense left
    cdef Dense right
    left = right = Dense(0, 1, 0, 0)
    if table.arity > 2 or not measured(&left, table.at[0], table.count, most):
        return False
    if table.arity == 2 and not measured(&right, table.at[1], table.count, most):
        return False
    return with_bits(table, &left, &right, most)


cdef bint with_bits(Columns *table, Dense *left, Dense *right, int64_t most) noexcept nogil:
    cdef Seen *seen = table.seen
    cdef uint64_t *bits
    cdef int64_t row[2]
    cdef int64_t bit
    cdef int64_t i
    if left.width > most // right.width:
        return False
    bits = <uint64_t *> calloc((left.width * right.width + 63) // 64, sizeof(uint64_t))
    if bits == NULL:
        return False
    free(seen.bits)
    free(seen.keys)
    seen.keys = NULL
    seen.bits = bits
    seen.left = left[0]
    seen.right = right[0]
    seen.way = BY_BITS
    for i in range(table.count):
        row[0] = table.at[0][i]
        row[1] = table.at[table.arity - 1][i]
        bit = bit_for(seen, row, table.arity)
        bits[bit >> 6] |= 1ULL << (bit & 63)
    return True
