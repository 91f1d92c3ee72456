# Tables: distinct rows of ids in columns that numpy can see.
#
# Is:     adding rows, looking up whole columns of keys.
# Is not: how keys are found (`_kernel_index.pxi`).
# Fits:   rules keep their answers in tables, sources the facts of a pattern.

cdef class Table:
    """Distinct rows of ids, only ever added to.

    A table that grows belongs to one thread; a fixed one (`of`) may be looked up by many.
    """

    cdef Columns data
    cdef _Index whole
    cdef list columns  # the arrays that `data` points into
    cdef dict indexes

    def __cinit__(self, int64_t arity):
        if arity > COLUMNS_MAX:
            raise ValueError(f"a table of more than {COLUMNS_MAX} columns")
        self.data.arity = arity
        self.data.at = <int64_t **> calloc(arity + 1, sizeof(int64_t *))
        if self.data.at == NULL:
            raise MemoryError
        self.data.owner = <void *> self
        self.indexes = {}
        self.columns = [None] * arity

    def __init__(self, arity):
        if arity:
            self.grow(CAPACITY_MIN)
            self.whole = _Index(self, tuple(range(arity)), True)
            self.data.whole = &self.whole.it

    def __dealloc__(self):
        free(self.data.at)

    @staticmethod
    def of(columns, count=None):
        """Return a table over columns that are distinct rows already and never grow."""
        cdef Table table = Table.__new__(Table, len(columns))
        cdef int64_t place
        table.data.count = len(columns[0]) if count is None else count
        table.data.capacity = table.data.count
        for place, column in enumerate(columns):
            table.point(place, np.ascontiguousarray(column, np.int64))
        return table

    cdef int point(self, int64_t place, object column) except -1:
        cdef const int64_t[::1] view = column
        self.columns[place] = column
        self.data.at[place] = <int64_t *> &view[0] if view.shape[0] else NULL
        return 0

    cdef int grow(self, int64_t capacity) except -1:
        """Give every column a larger array; whoever has a view of the old one keeps it."""
        cdef int64_t place
        cdef int64_t *old
        for place in range(self.data.arity):
            old = self.data.at[place]
            kept = self.columns[place]
            self.point(place, np.empty(capacity, np.int64))
            if self.data.count:
                memcpy(self.data.at[place], old, self.data.count * sizeof(int64_t))
            del kept
        self.data.capacity = capacity
        return 0

    @property
    def arity(self):
        """Number of columns."""
        return self.data.arity

    @property
    def count(self):
        """Number of rows."""
        return self.data.count

    def column(self, int64_t place):
        """Return one column, of all rows there are now."""
        return self.columns[place][: self.data.count]

    def add(self, columns, int64_t count):
        """Add rows; return how many of them are new."""
        cdef int64_t before = self.data.count
        cdef int64_t row[COLUMNS_MAX]
        cdef int64_t *from_columns[COLUMNS_MAX]
        cdef const int64_t[::1] view
        cdef int64_t i
        cdef int64_t place
        cdef int64_t n = self.data.arity
        cdef int done = 0
        if not count:
            return 0
        if not n:
            self.data.count = 1
            return 1 - before
        kept = []
        for place, column in enumerate(columns):
            column = np.ascontiguousarray(column, np.int64)
            kept.append(column)
            view = column
            from_columns[place] = <int64_t *> &view[0]
        with nogil:
            for i in range(count):
                for place in range(n):
                    row[place] = from_columns[place][i]
                done = insert(&self.data, row)
                if done < 0:
                    break
        if done < 0:
            raise MemoryError
        return self.data.count - before

    cdef _Index index(self, tuple places):
        """Return the index of some columns, up to date."""
        cdef _Index found = self.indexes.get(places)
        if found is None:
            found = _Index(self, places, False)
            found.update()
            self.indexes[places] = found  # whole, for whoever else looks the same up meanwhile
        else:
            found.update()
        return found

    def is_indexed(self, tuple places):
        """Return whether a look-up by these columns finds its index made."""
        return places in self.indexes

    def probe(self, tuple places, keys, spend):
        """Return (number of the key, row) for every row whose columns at `places` are a key's.

        Args:
            places: distinct columns, at least one.
            keys: a column of ids for each of them.
            spend: told how many rows there will be, before they are made; raises if they are too many.
        """
        cdef Hashed *index
        cdef _Index owner = self.index(places)
        cdef int64_t key[COLUMNS_MAX]
        cdef int64_t *from_columns[COLUMNS_MAX]
        cdef const int64_t[::1] view
        cdef int64_t[::1] groups
        cdef int64_t[::1] probes
        cdef int64_t[::1] rows
        cdef int64_t n = len(places)
        cdef int64_t count = len(keys[0])
        cdef int64_t total = 0
        cdef int64_t i
        cdef int64_t j
        cdef int64_t row
        cdef int64_t made = 0
        cdef uint64_t tag = 0
        kept = []
        index = &owner.it
        if not count or not index.used:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        for j, column in enumerate(keys):
            column = np.ascontiguousarray(column, np.int64)
            kept.append(column)
            view = column
            from_columns[j] = <int64_t *> &view[0]
        groups = np.empty(count, np.int64)
        with nogil:
            for i in range(count):
                for j in range(n):
                    key[j] = from_columns[j][i]
                groups[i] = find(index, key, tag) if tag_of(index, key, &tag) else -1
                if groups[i] >= 0:
                    total += index.groups[groups[i]].count
        spend(total)
        probe_array = np.empty(total, np.int64)
        row_array = np.empty(total, np.int64)
        probes, rows = probe_array, row_array
        with nogil:
            for i in range(count):
                if groups[i] < 0:
                    continue
                row = index.groups[groups[i]].first
                while row >= 0:
                    probes[made] = i
                    rows[made] = row
                    made += 1
                    row = index.following[row]
        return probe_array, row_array


cdef int insert(Columns *data, const int64_t *row) noexcept nogil:
    """Add a row; 1 if it is new, 0 if not, -1 without memory."""
    cdef Hashed *whole = data.whole
    cdef uint64_t tag = 0
    cdef int64_t place
    if tag_for(whole, row, &tag) < 0:
        return -1
    if find(whole, row, tag) >= 0:
        return 0
    if data.count == data.capacity and not grown(data.owner):
        return -1
    for place in range(data.arity):
        data.at[place][data.count] = row[place]
    if occupy(whole, tag, data.count) < 0:
        return -1
    data.count += 1
    whole.covered = data.count
    return 1


cdef int insert_many(Columns *data, const int64_t *rows, int64_t n) noexcept nogil:
    """Add some rows, one behind the other in memory: their slots are fetched together."""
    cdef uint64_t tag = 0
    cdef int64_t i
    for i in range(n):
        if tag_of(data.whole, &rows[i * data.arity], &tag):
            prefetch(&data.whole.slots[scattered(tag) & data.whole.mask])
    for i in range(n):
        if insert(data, &rows[i * data.arity]) < 0:
            return -1
    return 0


cdef bint grown(void *owner) noexcept with gil:
    cdef Table table = <Table> owner
    try:
        table.grow(2 * table.data.capacity)
    except MemoryError:
        return False
    return True
