# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# Tables of ids with hash indexes, and joins over them as one loop.
#
# Is:     Table (distinct rows, only ever added to), its indexes by any columns, and Join, which answers one body.
# Is not: a choice of order, of index or of what to run: `plan` and `fused` choose.
# Fits:   `steps` probes a Table with whole columns; `fused` makes a Join of the steps of a body.
# Source: Jordan, Scholz and Subotic, "Souffle: on synthesis of program analyzers" (2016), for bodies as nested loops over
#         indexes; Bancilhon (1986) for the rows that are new since the last round.
#
# A JOIN is a list of operations over registers, one for each variable and constant. It is run by backtracking: forward to
# the next operation, back to the last one that has another row. Where it is stands in the operations, so that it can be
# left after any number of rows, for a budget to be looked at, and gone on with. It runs without the GIL.
#
#     SCAN    each row of a range: registers are set or compared     TEST      two registers compared
#     PROBE   each row whose columns are those of registers          CALC      arithmetic on two registers
#     NOT .. END  go on if what stands between finds nothing         DISTINCT  go on once for each row of registers
#     EMIT    add a row of registers to a table
#
# TEST and CALC know inline integers alone (`datomstore.intern`). For other ids the join gives up: its caller then answers
# the body by the general steps. What it has found until then is right, and adding it a second time changes nothing.

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

import os

import numpy as np

cdef extern from *:
    """
    #define prefetch(address) __builtin_prefetch(address)
    """
    void prefetch(void *address) noexcept nogil

cdef enum:
    COLUMNS_MAX = 256  # twice what a rule can have, and some
    CAPACITY_MIN = 16
    SLOTS_MIN = 32
    EMITTED_TOGETHER = 32
    DISTINCT_TRIED = 4096  # rows after which DISTINCT looks whether it finds any twice

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


# ---- indexes

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


# ---- tables

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


# ---- joins

cdef enum Kind:
    SCAN = 0
    PROBE = 1
    NOT = 2
    END = 3
    TEST = 4
    CALC = 5
    DISTINCT = 6
    EMIT = 7

KINDS = {
    "scan": SCAN,
    "probe": PROBE,
    "not": NOT,
    "end": END,
    "test": TEST,
    "calc": CALC,
    "distinct": DISTINCT,
    "emit": EMIT,
}
TESTS = {"<": 0, "<=": 1, ">": 2, ">=": 3, "=": 4, "not=": 5, "!=": 5}
CALCULATIONS = {"+": 0, "-": 1, "max": 2, "min": 3, "identity": 4}

cdef enum:
    DONE = 0
    PAUSED = 1
    GIVEN_UP = 2
    NO_MEMORY = 3

cdef struct Unify:
    int64_t place
    int64_t register
    bint binds  # sets the register, else compares with it

cdef struct Operation:
    int64_t kind
    Columns *table  # SCAN, PROBE, EMIT; DISTINCT: what it has met
    Hashed *index  # PROBE
    int64_t n  # registers: PROBE: of the key; EMIT, DISTINCT: of the row
    int64_t *registers
    int64_t unify_count
    Unify *unify
    bint once  # the first row is enough: nothing it sets is read
    int64_t cursor  # the next row; -1: none
    int64_t end  # SCAN
    int64_t partner  # of NOT its END, of END its NOT
    int64_t code  # TEST, CALC
    int64_t a
    int64_t b
    int64_t c  # CALC: the register it sets, or compares with
    bint binds  # CALC
    int64_t *waiting  # EMIT: rows
    int64_t waiting_count
    int64_t tried  # DISTINCT: rows since the join began
    int64_t met  # DISTINCT: of them, those that were there already


cdef class Join:
    """A body as one loop.

    Args:
        registers: their values at the beginning: those of constants, and anything for variables.
        operations: (kind, {field: value}) of each, see `fused`.
    """

    cdef Operation *operations
    cdef int64_t count
    cdef int64_t *registers
    cdef int64_t register_count
    cdef int64_t level
    cdef bint forward
    cdef list kept
    cdef list probed  # (operation, table, places): indexes to bring up to date
    cdef readonly bint running

    def __cinit__(self, list registers, list operations):
        cdef int64_t i
        self.count = len(operations)
        self.register_count = len(registers)
        self.operations = <Operation *> calloc(self.count + 1, sizeof(Operation))
        self.registers = <int64_t *> calloc(self.register_count + 1, sizeof(int64_t))
        if self.operations == NULL or self.registers == NULL:
            raise MemoryError
        for i in range(self.register_count):
            self.registers[i] = registers[i]
        self.kept = []
        self.probed = []
        for i in range(self.count):
            self.make(i, operations[i][0], operations[i][1])

    def __dealloc__(self):
        cdef int64_t i
        if self.operations != NULL:
            for i in range(self.count):
                free(self.operations[i].registers)
                free(self.operations[i].unify)
                free(self.operations[i].waiting)
        free(self.operations)
        free(self.registers)

    cdef int make(self, int64_t number, str kind, dict fields) except -1:
        cdef Operation *it = &self.operations[number]
        cdef Table table = fields.get("table")
        cdef int64_t i
        it.kind = KINDS[kind]
        if it.kind == DISTINCT:
            table = Table(len(fields["registers"]))
        if table is not None:
            it.table = &table.data
            self.kept.append(table)
        it.n = len(fields.get("registers", ()))
        if it.n > COLUMNS_MAX:
            raise ValueError(f"an operation on more than {COLUMNS_MAX} registers")
        it.registers = <int64_t *> malloc((it.n + 1) * sizeof(int64_t))
        it.unify_count = len(fields.get("unify", ()))
        it.unify = <Unify *> malloc((it.unify_count + 1) * sizeof(Unify))
        i = it.n * EMITTED_TOGETHER if it.kind == EMIT else 0
        it.waiting = <int64_t *> malloc(i * sizeof(int64_t) + 1)
        if it.registers == NULL or it.unify == NULL or it.waiting == NULL:
            raise MemoryError
        for i in range(it.n):
            it.registers[i] = fields["registers"][i]
        for i in range(it.unify_count):
            it.unify[i].place, it.unify[i].register, it.unify[i].binds = fields["unify"][i]
        it.once = fields.get("once", False)
        it.partner = fields.get("partner", 0)
        it.code = fields.get("code", 0)
        it.a = fields.get("a", 0)
        it.b = fields.get("b", 0)
        it.c = fields.get("c", 0)
        it.binds = fields.get("binds", False)
        if it.kind == PROBE:
            self.probed.append((number, table, fields["places"]))
        return 0

    def begin(self, int64_t start, int64_t end):
        """Stand before the first row; the first operation, if it is a scan, reads rows from start to end."""
        cdef Table table
        cdef _Index index
        cdef int64_t i
        for number, table, places in self.probed:
            index = table.index(places)
            i = number
            self.operations[i].index = &index.it
        for i in range(self.count):
            if self.operations[i].kind == DISTINCT:
                self.operations[i].tried = self.operations[i].met = 0
                clear(self.operations[i].table)
        if self.count and self.operations[0].kind == SCAN:
            self.operations[0].a = start
            self.operations[0].end = end
        self.level = 0
        self.forward = True
        self.running = True

    def run(self, int64_t rows_max):
        """Go on for about so many rows; return how many were visited. `running` is false at the end.

        Raises:
            JoinGivenUp: a test or calculation met an id that is no inline integer.
        """
        cdef int64_t visited = 0
        cdef int status
        with nogil:
            status = execute(self, rows_max, &visited)
        if status == PAUSED:
            return visited
        self.running = False
        if status == GIVEN_UP:
            raise JoinGivenUp
        if status == NO_MEMORY:
            raise MemoryError
        return visited


class JoinGivenUp(Exception):
    """Not every id a join computes with is an inline integer's."""


cdef int clear(Columns *table) except -1:
    """Forget the rows of a table that nobody else has."""
    cdef Hashed *whole = table.whole
    cdef uint64_t i
    if table.count:
        table.count = 0
        whole.used = whole.covered = 0
        for i in range(whole.mask + 1):
            whole.slots[i].number = 0
    return 0


cdef inline bint unified(Operation *it, int64_t *registers, int64_t row) noexcept nogil:
    """Set and compare registers by a row; whether it fits."""
    cdef int64_t i
    cdef int64_t found
    for i in range(it.unify_count):
        found = it.table.at[it.unify[i].place][row]
        if it.unify[i].binds:
            registers[it.unify[i].register] = found
        elif registers[it.unify[i].register] != found:
            return False
    return True


cdef int tested(Operation *it, int64_t a, int64_t b) noexcept nogil:
    """1 or 0, or -1 for ids that have to be looked at as values."""
    if it.code >= 4:
        if a == b:
            return it.code == 4
        return -1 if a & b & 1 else it.code == 5
    if (a | b) & 1:
        return -1
    if it.code == 0:
        return a < b
    if it.code == 1:
        return a <= b
    if it.code == 2:
        return a > b
    return a >= b


cdef bint calculated(Operation *it, int64_t a, int64_t b, int64_t *result) noexcept nogil:
    """Set result; False if the general way has to do it."""
    if it.code == 4:
        result[0] = a
        return True
    if (a | b) & 1:
        return False
    if it.code == 0:
        result[0] = a + b
    elif it.code == 1:
        result[0] = a - b
    elif it.code == 2:
        result[0] = a if a > b else b
    else:
        result[0] = a if a < b else b
    return -INLINE_END < result[0] < INLINE_END


cdef int64_t INLINE_END = 1 << 62  # of the ids of inline integers


cdef int execute(Join join, int64_t rows_max, int64_t *visited) noexcept nogil:
    """Run until the end, or for so many rows."""
    cdef Operation *operations = join.operations
    cdef Operation *it
    cdef Operation *last = &operations[join.count - 1]  # EMIT
    cdef int64_t *registers = join.registers
    cdef int64_t level = join.level
    cdef bint forward = join.forward
    cdef int64_t row[COLUMNS_MAX]
    cdef int64_t seen = 0
    cdef int64_t group
    cdef int64_t i
    cdef int64_t made = 0
    cdef uint64_t tag = 0
    cdef int truth
    while level >= 0:
        it = &operations[level]
        if it.kind == SCAN or it.kind == PROBE:
            if forward:
                if seen >= rows_max:
                    join.level = level
                    join.forward = True
                    visited[0] = seen
                    return PAUSED if emitted(last) else NO_MEMORY
                if it.kind == SCAN:
                    it.cursor = it.a if level == 0 else 0
                    if level:
                        it.end = it.table.count
                else:
                    for i in range(it.n):
                        row[i] = registers[it.registers[i]]
                    group = find(it.index, row, tag) if tag_of(it.index, row, &tag) else -1
                    it.cursor = it.index.groups[group].first if group >= 0 else -1
            elif it.once:
                it.cursor = -1
            forward = False
            if it.kind == SCAN:
                while 0 <= it.cursor < it.end:
                    it.cursor += 1
                    seen += 1
                    if unified(it, registers, it.cursor - 1):
                        forward = True
                        break
            else:
                while it.cursor >= 0:
                    i = it.cursor
                    it.cursor = it.index.following[i]
                    seen += 1
                    if unified(it, registers, i):
                        forward = True
                        break
            level += 1 if forward else -1
        elif it.kind == EMIT:
            for i in range(it.n):
                it.waiting[it.waiting_count * it.n + i] = registers[it.registers[i]]
            it.waiting_count += 1
            if it.waiting_count == EMITTED_TOGETHER and not emitted(it):
                return NO_MEMORY
            forward = False
            level -= 1
        elif not forward:
            if it.kind == NOT:  # nothing was found in between
                level = it.partner + 1
                forward = True
            elif it.kind == END:
                level = it.partner - 1
            else:
                level -= 1
        elif it.kind == END:  # something was found
            level = it.partner - 1
            forward = False
        elif it.kind == NOT:
            level += 1
        elif it.kind == TEST:
            truth = tested(it, registers[it.a], registers[it.b])
            if truth < 0:
                return GIVEN_UP if emitted(last) else NO_MEMORY
            forward = truth == 1
            level += 1 if forward else -1
        elif it.kind == CALC:
            if not calculated(it, registers[it.a], registers[it.b], &made):
                return GIVEN_UP if emitted(last) else NO_MEMORY
            if it.binds:
                registers[it.c] = made
            else:
                forward = registers[it.c] == made
            level += 1 if forward else -1
        else:
            if it.tried < DISTINCT_TRIED or it.met * 16 > it.tried:
                for i in range(it.n):
                    row[i] = registers[it.registers[i]]
                truth = insert(it.table, row)
                if truth < 0:
                    return NO_MEMORY
                it.tried += 1
                it.met += 1 - truth
                forward = truth == 1
            level += 1 if forward else -1
    visited[0] = seen
    return DONE if emitted(last) else NO_MEMORY


cdef bint emitted(Operation *it) noexcept nogil:
    """Add the rows that wait to the table; False without memory."""
    cdef int64_t n = it.waiting_count
    it.waiting_count = 0
    return insert_many(it.table, it.waiting, n) == 0
