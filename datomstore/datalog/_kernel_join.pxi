# Joins: one body as one loop.
#
# Is:     the operations of a body, and the loop that runs them.
# Is not: which operations a body becomes (`fused`), or how often it is run (`_kernel_rounds.pxi`).
# Fits:   `fused` makes one for each body of a recursive rule.
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

cdef enum:
    EMITTED_TOGETHER = 32  # rows whose slots are fetched together
    DISTINCT_TRIED = 4096  # rows after which DISTINCT looks whether it finds any twice
    GROUP_SMALL = 8  # rows of a key that are compared one by one rather than found by a larger key

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
    int64_t **column
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
    int64_t end  # SCAN; PROBE of ranges
    bint linked  # PROBE: rows are a list
    bint live  # SCAN: rows that come meanwhile are read too
    int64_t partner  # of NOT its END, of END its NOT
    int64_t code  # TEST, CALC
    int64_t a
    int64_t b
    int64_t c  # CALC: the register it sets, or compares with
    bint binds  # CALC
    int64_t *waiting  # EMIT: rows
    int64_t waiting_count
    Trail *trail  # EMIT: how rows are told apart while one group is walked; NULL: as ever
    int64_t tried  # DISTINCT: rows since the join began
    int64_t met  # DISTINCT: of them, those that were there already

cdef struct Trail:  # the ids of one column, among the rows of one group
    int64_t place
    Dense dense
    uint64_t *bits

cdef struct Running:  # a join, for those who run several
    Operation *operations
    int64_t count
    int64_t *registers
    int64_t level
    bint forward
    int64_t read_to  # of the first operation's table
    bint underway


cdef class Join:
    """A body as one loop.

    Args:
        registers: their values at the beginning: those of constants, and anything for variables.
        operations: (kind, {field: value}) of each, see `fused`.
    """

    cdef Running it
    cdef int64_t register_count
    cdef list kept
    cdef list written  # of them, those that it adds to
    cdef readonly bint running

    def __cinit__(self, list registers, list operations):
        cdef int64_t i
        self.it.count = len(operations)
        self.register_count = len(registers)
        self.it.operations = <Operation *> calloc(self.it.count + 1, sizeof(Operation))
        self.it.registers = <int64_t *> calloc(self.register_count + 1, sizeof(int64_t))
        if self.it.operations == NULL or self.it.registers == NULL:
            raise MemoryError
        for i in range(self.register_count):
            self.it.registers[i] = registers[i]
        self.kept = []
        self.written = []
        for i in range(self.it.count):
            self.make(i, operations[i][0], operations[i][1])

    def __dealloc__(self):
        cdef int64_t i
        if self.it.operations != NULL:
            for i in range(self.it.count):
                free(self.it.operations[i].registers)
                free(self.it.operations[i].unify)
                free(self.it.operations[i].waiting)
        free(self.it.operations)
        free(self.it.registers)

    cdef int make(self, int64_t number, str kind, dict fields) except -1:
        cdef Operation *it = &self.it.operations[number]
        cdef Table table = fields.get("table")
        cdef int64_t i
        it.kind = KINDS[kind]
        if it.kind == DISTINCT:
            table = Table(len(fields["registers"]))
        if table is not None:
            it.table = &table.data
            self.kept.append(table)
        if it.kind == DISTINCT or it.kind == EMIT:
            self.written.append(table)
        registers, unify = fields.get("registers", ()), fields.get("unify", ())
        if it.kind == PROBE:
            registers, unify = self.seek(it, table, fields["places"], registers, unify)
        it.n = len(registers)
        if it.n > COLUMNS_MAX:
            raise ValueError(f"an operation on more than {COLUMNS_MAX} registers")
        it.registers = <int64_t *> malloc((it.n + 1) * sizeof(int64_t))
        it.unify_count = len(unify)
        it.unify = <Unify *> malloc((it.unify_count + 1) * sizeof(Unify))
        i = it.n * EMITTED_TOGETHER if it.kind == EMIT else 0
        it.waiting = <int64_t *> malloc(i * sizeof(int64_t) + 1)
        if it.registers == NULL or it.unify == NULL or it.waiting == NULL:
            raise MemoryError
        for i in range(it.n):
            it.registers[i] = registers[i]
        for i in range(it.unify_count):
            it.unify[i].place, it.unify[i].register, it.unify[i].binds = unify[i]
            it.unify[i].column = &table.data.at[it.unify[i].place]
            if it.index != NULL and it.index.layout == RANGES and it.index.order != NULL:
                if gather(it.index, it.unify[i].place) < 0:
                    raise MemoryError
                it.unify[i].column = &it.index.gathered[it.unify[i].place]
        it.once = fields.get("once", False)
        it.partner = fields.get("partner", 0)
        it.code = fields.get("code", 0)
        it.a = fields.get("a", 0)
        it.b = fields.get("b", 0)
        it.c = fields.get("c", 0)
        it.binds = fields.get("binds", False)
        return 0

    cdef tuple seek(self, Operation *it, Table table, tuple places, registers, unify):
        """Choose the index of a probe; return the registers of its key, and what is left to compare."""
        cdef _Index index
        if len(places) > 1 and table.data.seen == NULL:
            for place, register in zip(places, registers):
                index = table.index((place,))
                if index.it.layout == RANGES and index.it.largest <= GROUP_SMALL:
                    it.index = &index.it
                    compared = [(p, r, False) for p, r in zip(places, registers) if p != place]
                    return [register], [*compared, *unify]
        index = table.index(places)
        it.index = &index.it
        return registers, unify

    def begin(self, int64_t start, int64_t end):
        """Stand before the first row; the first operation, if it is a scan, reads rows from start to end."""
        cdef Table table
        for table in self.written:
            table.ready()
        if begin_join(&self.it, start, end) < 0:
            raise MemoryError
        self.running = True

    def run(self, int64_t rows_max):
        """Go on for about so many rows; return how many were visited. `running` is false at the end.

        Raises:
            JoinGivenUp: a test or calculation met an id that is no inline integer.
        """
        cdef int64_t visited = 0
        cdef int status
        with nogil:
            status = execute(&self.it, rows_max, &visited)
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


cdef int begin_join(Running *join, int64_t start, int64_t end) noexcept nogil:
    """Stand before the first row, with every index up to date; -1 without memory."""
    cdef Operation *it
    cdef int64_t i
    for i in range(join.count):
        it = &join.operations[i]
        if it.kind == PROBE and it.index.covered != it.table.count and cover(it.index) < 0:
            return -1
        if it.kind == DISTINCT:
            it.tried = it.met = 0
            if clear(it.table) < 0:
                return -1
    if join.count and join.operations[0].kind == SCAN:
        join.operations[0].a = start
        join.operations[0].end = end
    join.level = 0
    join.forward = True
    return 0


cdef int clear(Columns *table) noexcept nogil:
    """Forget the rows of a table that nobody else has."""
    cdef Seen *seen = table.seen
    if not table.count:
        return 0
    table.count = 0
    if seen.way == BY_BITS:
        memset(seen.bits, 0, (seen.left.width * seen.right.width + 63) // 64 * sizeof(uint64_t))
        return 0
    if seen.way == BY_HASH:
        memset(seen.whole.slots, 0, (seen.whole.mask + 1) * sizeof(Slot))
        seen.whole.used = 0
        return 0
    return begin_seen(seen, 0)


cdef inline bint unified(Operation *it, int64_t *registers, int64_t row) noexcept nogil:
    """Set and compare registers by a row; whether it fits."""
    cdef int64_t i
    cdef int64_t found
    for i in range(it.unify_count):
        found = it.unify[i].column[0][row]
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


cdef inline bint locate(Operation *it, int64_t *registers) noexcept nogil:
    """Stand before the rows of a key; False if there are none."""
    cdef int64_t key[COLUMNS_MAX]
    cdef int64_t i
    cdef int64_t group
    if it.n == 1:
        group = group_of(it.index, &registers[it.registers[0]])
    else:
        for i in range(it.n):
            key[i] = registers[it.registers[i]]
        group = group_of(it.index, key)
    if group < 0:
        return False
    it.linked = it.index.layout != RANGES
    if it.linked:
        it.cursor = it.index.groups[group].first
    else:
        it.cursor = it.index.starts[group]
        it.end = it.index.starts[group + 1]
    return True


cdef inline bint next_row(Operation *it, int64_t *registers, int64_t *seen) noexcept nogil:
    """Set registers by the next row that fits; False if there is none."""
    cdef int64_t row
    if it.linked:
        while it.cursor >= 0:
            row = it.cursor
            it.cursor = it.index.following[row]
            seen[0] += 1
            if unified(it, registers, row):
                return True
        return False
    if it.live:
        it.end = it.table.count
    while it.cursor < it.end:
        it.cursor += 1
        seen[0] += 1
        if unified(it, registers, it.cursor - 1):
            return True
    return False


cdef inline int emit(Operation *it, int64_t *registers) noexcept nogil:
    """Add a row, or let it wait: DONE, GIVEN_UP, NO_MEMORY."""
    cdef int64_t *row = &it.waiting[it.waiting_count * it.n]
    cdef int64_t i
    cdef int64_t number
    for i in range(it.n):
        row[i] = registers[it.registers[i]]
    if it.trail != NULL:
        number = number_of(&it.trail.dense, row[it.trail.place])
        if number < 0:
            if not trodden(it.trail, it.table, row[it.trail.place]):
                return GIVEN_UP
            number = number_of(&it.trail.dense, row[it.trail.place])
        if it.trail.bits[number >> 6] >> (number & 63) & 1:
            return DONE
        it.trail.bits[number >> 6] |= 1ULL << (number & 63)
        return DONE if append(it.table, row) == 0 else NO_MEMORY
    if it.table.seen.way == BY_BITS:
        return DONE if insert(it.table, row) >= 0 else NO_MEMORY
    it.waiting_count += 1
    if it.waiting_count < EMITTED_TOGETHER or emitted(it):
        return DONE
    return NO_MEMORY


cdef bint emitted(Operation *it) noexcept nogil:
    """Add the rows that wait to the table; False without memory."""
    cdef int64_t n = it.waiting_count
    it.waiting_count = 0
    return n == 0 or insert_many(it.table, it.waiting, n) == 0


cdef int execute(Running *join, int64_t rows_max, int64_t *visited) noexcept nogil:
    """Run until the end, or for so many rows."""
    cdef Operation *operations = join.operations
    cdef Operation *it
    cdef Operation *last = &operations[join.count - 1]  # EMIT
    cdef int64_t *registers = join.registers
    cdef int64_t level = join.level
    cdef bint forward = join.forward
    cdef int64_t row[COLUMNS_MAX]
    cdef int64_t seen = 0
    cdef int64_t i
    cdef int64_t made = 0
    cdef int truth
    cdef int status = DONE
    while level >= 0:
        it = &operations[level]
        if it.kind <= PROBE:
            if seen >= rows_max:
                join.level = level
                join.forward = forward
                visited[0] += seen
                return PAUSED if emitted(last) else NO_MEMORY
            if forward:
                forward = False
                if it.kind == SCAN:
                    it.cursor = it.a if level == 0 else 0
                    if level:
                        it.end = it.table.count
                elif not locate(it, registers):
                    level -= 1
                    continue
            elif it.once:
                level -= 1
                continue
            if it + 1 == last and not it.once:
                while seen < rows_max and next_row(it, registers, &seen):
                    status = emit(last, registers)
                    if status != DONE:
                        visited[0] += seen
                        return status if emitted(last) else NO_MEMORY
                if seen < rows_max:
                    level -= 1
                continue
            forward = next_row(it, registers, &seen)
            level += 1 if forward else -1
        elif it.kind == EMIT:
            status = emit(it, registers)
            if status != DONE:
                visited[0] += seen
                return status if emitted(last) else NO_MEMORY
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
    visited[0] += seen
    return DONE if emitted(last) else NO_MEMORY
