# Joins: one body as one loop.
#
# Is:     the operations of a body, and the loop that runs them.
# Is not: which operations a body becomes (`fused`).
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
