# Tables: distinct rows of ids in columns that numpy can see.
#
# Is:     adding rows, looking up whole columns of keys.
# Is not: how rows are told apart (`_kernel_seen.pxi`) or found (`_kernel_index.pxi`).
# Fits:   rules keep their answers in tables, sources the facts of a pattern.

cdef enum:
    ADDED_TOGETHER = 32  # rows whose memory is fetched together
    GROWS_SMALL = 1 << 12  # rows up to which a table grows by more than twice

EMPTY = np.empty(0, np.int64)

cdef class Table:
    """Distinct rows of ids, only ever added to.

    A table that grows belongs to one thread; a fixed one (`of`) may be looked up by many.
    """

    cdef Columns data
    cdef Seen seen
    cdef list columns  # what `data` points into: buffers, or arrays of a fixed table
    cdef dict indexes
    cdef object better  # tells whether an id is better than another
    cdef object failure  # what it raised

    def __cinit__(self, int64_t arity, best=None, most=False, better=None):
        if arity > COLUMNS_MAX:
            raise ValueError(f"a table of more than {COLUMNS_MAX} columns")
        self.data.arity = arity
        self.data.at = <int64_t **> calloc(arity + 1, sizeof(int64_t *))
        if self.data.at == NULL:
            raise MemoryError
        self.data.owner = <void *> self
        self.data.best = -1 if best is None else best
        self.data.most = most
        self.better = better
        self.indexes = {}
        self.columns = [None] * arity

    def __init__(self, arity, best=None, most=False, better=None):
        """Have so many columns. Given `best`, the least (`most`: the largest) id of that column stays for all others."""
        places = None if best is None else tuple(place for place in range(arity) if place != best)
        if arity:
            self.data.seen = &self.seen
            if begin_seen(&self.seen, 0) < 0 or begin_hashed(&self.seen.whole, &self.data, places, True) < 0:
                raise MemoryError
            if best is not None:
                self.seen.way = BY_BEST
                self.seen.whole.exact = False
            self.grow(CAPACITY_MIN)

    def __dealloc__(self):
        free(self.data.at)
        free(self.data.stale)
        free(self.seen.keys)
        free(self.seen.bits)
        end_hashed(&self.seen.whole)

    @staticmethod
    def of(columns, count=None):
        """Return a table over columns that are distinct rows already and never grow."""
        cdef Table table = Table.__new__(Table, len(columns))
        cdef int64_t place
        cdef const int64_t[::1] view
        table.data.count = len(columns[0]) if count is None else count
        table.data.capacity = table.data.count
        table.data.fixed = True
        for place, column in enumerate(columns):
            column = np.ascontiguousarray(column, np.int64)
            view = column
            table.columns[place] = column
            table.data.at[place] = <int64_t *> &view[0] if view.shape[0] else NULL
        return table

    def finish(self):
        """Say that no row will be added any more: indexes made from now on are those of fixed tables."""
        self.data.fixed = True

    def restart(self):
        """Have no rows and no indexes, as at the beginning. A join that has an index of it cannot be run any more."""
        cdef int64_t place
        cdef Buffer buffer
        if self.data.best >= 0 or (self.data.arity and self.data.seen == NULL):
            raise ValueError("only a table of rows that stay can begin again")
        self.indexes = {}
        self.data.count = 0
        self.data.fixed = False
        if not self.data.arity:
            return
        if self.seen.way != BY_KEYS or self.seen.used or self.seen.has_zero:
            end_hashed(&self.seen.whole)
            memset(&self.seen.whole, 0, sizeof(Hashed))
            if begin_seen(&self.seen, 0) < 0 or begin_hashed(&self.seen.whole, &self.data, None, True) < 0:
                raise MemoryError
        self.seen.covered = 0
        for place in range(self.data.arity):
            buffer = self.columns[place]
            if buffer.viewed or self.data.capacity > GROWS_SMALL:
                self.columns = [None] * self.data.arity
                self.grow(CAPACITY_MIN)
                return

    cdef int grow(self, int64_t capacity) except -1:
        """Give every column more memory; whoever has a view of the old one keeps it."""
        cdef int64_t place
        cdef Buffer buffer
        cdef Buffer fresh
        cdef uint8_t *stale
        for place in range(self.data.arity):
            buffer = self.columns[place]
            if buffer is None or buffer.viewed:
                fresh = Buffer(capacity)
                if buffer is not None:
                    memcpy(fresh.at, buffer.at, self.data.count * sizeof(int64_t))
                self.columns[place] = buffer = fresh
            else:
                buffer.resize(capacity)
            self.data.at[place] = buffer.at
        if self.data.best >= 0:
            stale = <uint8_t *> realloc(self.data.stale, capacity)
            if stale == NULL:
                raise MemoryError
            memset(stale + self.data.capacity, 0, capacity - self.data.capacity)
            self.data.stale = stale
        self.data.capacity = capacity
        return 0

    cdef int ready(self) except -1:
        """Have all rows noted, so that more can be added."""
        cdef int done
        if self.data.arity and self.seen.covered != self.data.count:
            with nogil:
                done = begin_seen(&self.seen, self.data.count) if not self.seen.covered else 0
                if done == 0 and not self.seen.covered and to_bits(&self.data):
                    self.seen.covered = self.data.count
                if done == 0:
                    done = catch_up(&self.data)
            if done < 0:
                raise MemoryError
        return 0

    @property
    def size(self):
        """Bytes of its columns, and of what tells rows apart and finds them."""
        cdef _Index index
        cdef int64_t total = self.data.capacity * (8 * self.data.arity + (1 if self.data.best >= 0 else 0))
        if self.seen.bits != NULL:
            total += self.seen.left.width * self.seen.right.width // 8
        if self.seen.keys != NULL:
            total += 8 * (self.seen.mask + 1)
        if self.data.seen != NULL:
            total += hashed_size(&self.seen.whole)
        for index in self.indexes.values():
            total += hashed_size(&index.it)
        return total

    @property
    def has_best(self):
        """Whether rows give way to better ones."""
        return self.data.best >= 0

    def settled(self):
        """Return the rows that gave way to none; the table itself if none ever does."""
        cdef const uint8_t[::1] stale
        if self.data.best < 0 or not self.data.count:
            return self
        stale = <const uint8_t[:self.data.count]> self.data.stale
        rows = np.flatnonzero(np.asarray(stale) == 0)
        return Table.of([self.column(place)[rows] for place in range(self.data.arity)])

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
        column = self.columns[place]
        if not self.data.count:
            return EMPTY
        if self.data.seen == NULL:
            return column[: self.data.count]
        return np.frombuffer(column, np.int64, self.data.count)

    def extend(self, columns, int64_t count):
        """Add rows of which no two are the same, to a table that has none."""
        cdef const int64_t[::1] view
        cdef int64_t place
        if self.data.count or not count:
            raise ValueError("some rows, to a table that has none")
        if self.data.capacity < count:
            self.grow(count)
        for place, column in enumerate(columns):
            view = np.ascontiguousarray(column, np.int64)
            if view.shape[0] != count:
                raise ValueError("columns of other lengths")
            memcpy(self.data.at[place], &view[0], count * sizeof(int64_t))
        self.data.count = count

    def add(self, columns, int64_t count):
        """Add rows; return how many of them are new."""
        cdef int64_t before = self.data.count
        cdef int64_t rows[COLUMNS_MAX * ADDED_TOGETHER]
        cdef int64_t *from_columns[COLUMNS_MAX]
        cdef const int64_t[::1] view
        cdef int64_t start
        cdef int64_t some
        cdef int64_t i
        cdef int64_t place
        cdef int64_t n = self.data.arity
        cdef int done = 0
        if not count:
            return 0
        if not n:
            self.data.count = 1
            return 1 - before
        self.ready()
        kept = []
        for place, column in enumerate(columns):
            column = np.ascontiguousarray(column, np.int64)
            kept.append(column)
            view = column
            from_columns[place] = <int64_t *> &view[0]
        with nogil:
            start = 0
            while start < count and done == 0:
                some = count - start if count - start < ADDED_TOGETHER else ADDED_TOGETHER
                for i in range(some):
                    for place in range(n):
                        rows[i * n + place] = from_columns[place][start + i]
                done = insert_many(&self.data, rows, some)
                start += some
        if done < 0:
            raise_for([self])
        return self.data.count - before

    cdef _Index index(self, tuple places):
        """Return the index of some columns, up to date."""
        cdef _Index found = self.indexes.get(places)
        if found is None:
            found = _Index(self, places)
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
        cdef int64_t at
        cdef int64_t made = 0
        kept = []
        index = &owner.it
        if not count or not self.data.count:
            return EMPTY, EMPTY
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
                groups[i] = group_of(index, key)
                if groups[i] >= 0:
                    total += group_size(index, groups[i])
        spend(total)
        probe_array = np.empty(total, np.int64)
        row_array = np.empty(total, np.int64)
        probes, rows = probe_array, row_array
        with nogil:
            for i in range(count):
                if groups[i] < 0:
                    continue
                if index.layout == RANGES:
                    for at in range(index.starts[groups[i]], index.starts[groups[i] + 1]):
                        probes[made] = i
                        rows[made] = index.order[at] if index.order != NULL else at
                        made += 1
                else:
                    at = index.groups[groups[i]].first
                    while at >= 0:
                        probes[made] = i
                        rows[made] = at
                        made += 1
                        at = index.following[at]
        return probe_array, row_array


cdef inline int append(Columns *data, const int64_t *row) noexcept nogil:
    """Have one row more; 0, or -1 without memory."""
    cdef int64_t place
    if data.count == data.capacity and not grown(data.owner):
        return -1
    for place in range(data.arity):
        data.at[place][data.count] = row[place]
    data.count += 1
    return 0


cdef inline int insert(Columns *data, const int64_t *row) noexcept nogil:
    """Add a row; 1 if it is new, 0 if not, -1 without memory."""
    cdef int64_t place
    cdef int done
    # Before it is noted: a table that grows may go over to bits.
    if data.count == data.capacity and not grown(data.owner):
        return -1
    done = see(data, row)
    if done == 1:
        for place in range(data.arity):
            data.at[place][data.count] = row[place]
        data.count += 1
        data.seen.covered = data.count
    return done


cdef int insert_many(Columns *data, const int64_t *rows, int64_t n) noexcept nogil:
    """Add some rows, one behind the other in memory: what is looked at for each is fetched together."""
    cdef int64_t i
    if data.seen.way != BY_BITS:
        for i in range(n):
            fetch(data, &rows[i * data.arity])
    for i in range(n):
        if insert(data, &rows[i * data.arity]) < 0:
            return -1
    return 0


cdef bint grown(void *owner) noexcept with gil:
    cdef Table table = <Table> owner
    try:
        table.grow((8 if table.data.capacity <= GROWS_SMALL else 2) * table.data.capacity)
    except MemoryError:
        return False
    if table.seen.way == BY_KEYS and table.seen.covered == table.data.count:
        to_bits(&table.data)
    return True
