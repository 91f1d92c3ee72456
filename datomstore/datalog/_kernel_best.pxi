# The best row for each key: least or largest values in recursion.
#
# Is:     for a table with such a column, whether a row is better than the one its key has.
# Is not: which rules may use it (`lattice`).
# Fits:   `_kernel_seen.pxi` asks it; rows that are no longer best stay, and joins pass over them.
#
# Small integers are compared as they are. For other values the table's owner is asked, who may raise.

cdef int see_best(Columns *table, const int64_t *row) noexcept nogil:
    """Note a row that is about to be the table's last; 1 if it is the best of its key, 0 if not, -1 if that failed."""
    cdef Hashed *index = &table.seen.whole
    cdef Slot *slot
    cdef int64_t key[COLUMNS_MAX]
    cdef int64_t old
    cdef int64_t i
    cdef uint64_t tag = 0
    cdef uint64_t at
    cdef int better
    for i in range(index.n):
        key[i] = row[index.places[i]]
    if tag_for(index, key, &tag) < 0:
        return -1
    if find(index, key, tag) < 0:
        return 1 if occupy(index, tag, table.count) == 0 else -1
    at = scattered(tag) & index.mask
    while True:
        slot = &index.slots[at]
        old = slot.number - 1
        if slot.tag == tag:
            for i in range(index.n):
                if table.at[index.places[i]][old] != key[i]:
                    break
            else:
                break
        at = (at + 1) & index.mask
    better = is_better(table, row[table.best], table.at[table.best][old])
    if better == 1:
        table.stale[old] = 1
        slot.number = table.count + 1
    return better


cdef int is_better(Columns *table, int64_t one, int64_t other) noexcept nogil:
    if one == other:
        return 0
    if (one | other) & 1:
        return asked_better(table.owner, one, other)
    return one > other if table.most else one < other


cdef int asked_better(void *owner, int64_t one, int64_t other) noexcept with gil:
    cdef Table table = <Table> owner
    try:
        return 1 if table.better(one, other) else 0
    except BaseException as error:  # raised by whoever called the loop
        table.failure = error
        return -1


cdef int raise_for(list tables) except -1:
    """Raise what a table could not do: it has no memory, or its ids cannot be compared."""
    cdef Table table
    for table in tables:
        if table.failure is not None:
            failure, table.failure = table.failure, None
            raise failure
    raise MemoryError
