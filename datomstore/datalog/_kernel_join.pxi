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
#     EMIT    add a row of registers to a table                      HAS       go on if a table has a row of registers
#
#                                                                  EXISTS    go on if there is a row with some columns
#
# HAS is what becomes of a PROBE by all columns of a table: it needs no index. EXISTS is what becomes of one that sets
# nothing. Of either alone between NOT and END, the opposite is asked instead.
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
    HAS = 8
    EXISTS = 9
    PASS = 10

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
    Columns *table  # SCAN, PROBE, EMIT, HAS; DISTINCT: what it has met
    Hashed *index  # PROBE
    int64_t n  # registers: PROBE: of the key; EMIT, DISTINCT, HAS: of the row
    int64_t *registers
    int64_t unify_count
    Unify *unify
    bint once  # the first row is enough: nothing it sets is read
    int64_t cursor  # the next row; -1: none
    int64_t end  # SCAN; PROBE of ranges
    bint linked  # PROBE: rows are a list
    int64_t given  # PROBE before EMIT: the place of the row emitted that its one column is, and nothing else; else -1
    bint live  # SCAN: rows that come meanwhile are read too
    int64_t laps  # of a live SCAN: how often it came to the end of the rows that were there at the last
    int64_t partner  # of NOT its END, of END its NOT
    int64_t code  # TEST, CALC
    int64_t a
    int64_t b
    int64_t c  # CALC: the register it sets, or compares with
    bint binds  # CALC
    bint absent  # HAS, EXISTS: go on if there is none
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
    bint straight  # see `is_straight`


cdef class Join:
    """A body as one loop.

    Args:
        registers: their values at the beginning: those of constants, and anything for variables.
        operations: (kind, {field: value}) of each, see `fused`.
    """

    cdef Running it
    cdef int64_t register_count
    cdef list kept
    cdef list noted  # of them, those of which it has to be known which rows they have
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
        self.noted = []
        for i in range(self.it.count):
            self.make(i, operations[i][0], operations[i][1])
        self.hasten()

    cdef void hasten(self) noexcept:
        """Make negations of one look-up one operation; note if all that changes in the innermost loop is one column."""
        cdef Operation *it
        cdef Operation *last
        cdef int64_t i
        for i in range(self.it.count - 2):
            it = &self.it.operations[i]
            if it.kind == NOT and it.partner == i + 2 and it[1].kind >= HAS:
                it[1].absent = True
                it.kind = it[2].kind = PASS
        self.squeeze()
        it = &self.it.operations[self.it.count - 2]
        last = it + 1
        if self.it.count < 2 or it.kind != PROBE or last.kind != EMIT:
            return
        it.given = -1
        if it.once or it.index.layout != RANGES or it.unify_count != 1 or not it.unify.binds:
            return
        for i in range(last.n):
            if last.registers[i] == it.unify.register:
                if it.given >= 0:
                    it.given = -1
                    return
                it.given = i

    cdef void squeeze(self) noexcept:
        """Take out the operations that do nothing."""
        cdef Operation *operations = self.it.operations
        cdef int64_t *place = <int64_t *> malloc((self.it.count + 1) * sizeof(int64_t))
        cdef Operation left
        cdef int64_t i
        cdef int64_t kept = 0
        if place == NULL:
            return  # they do nothing
        for i in range(self.it.count):
            place[i] = kept
            kept += operations[i].kind != PASS
        kept = 0
        for i in range(self.it.count):
            if operations[i].kind == PASS:
                free(operations[i].registers)
                free(operations[i].unify)
                free(operations[i].waiting)
                continue
            left = operations[i]
            if left.kind == NOT or left.kind == END:
                left.partner = place[left.partner]
            operations[kept] = left
            kept += 1
        self.it.count = kept
        free(place)

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
        registers, unify = fields.get("registers", ()), fields.get("unify", ())
        if it.kind == PROBE and table.data.seen != NULL and table.data.best < 0 and len(registers) == table.data.arity:
            it.kind = HAS
            registers = [register for _, register in sorted(zip(fields["places"], registers))]
        if it.kind == DISTINCT or it.kind == EMIT or it.kind == HAS:
            self.noted.append(table)
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
        if it.kind == PROBE and it.once and not it.unify_count and table.data.best < 0:
            it.kind = EXISTS
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
        if len(places) > 1 and table.data.fixed:
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
        for table in self.noted:
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
            raise_for(self.noted)
        return visited


class JoinGivenUp(Exception):
    """Not every id a join computes with is an inline integer's."""


cdef int begin_join(Running *join, int64_t start, int64_t end) noexcept nogil:
    """Stand before the first row, with every index up to date; -1 without memory."""
    cdef Operation *it
    cdef int64_t i
    for i in range(join.count):
        it = &join.operations[i]
        if (it.kind == PROBE or it.kind == EXISTS) and it.index.covered != it.table.count and cover(it.index) < 0:
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
    if it.table.stale != NULL and it.table.stale[row]:
        return False
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
    while True:
        while it.cursor < it.end:
            it.cursor += 1
            seen[0] += 1
            if unified(it, registers, it.cursor - 1):
                return True
        if not it.live or it.end == it.table.count:
            return False
        it.end = it.table.count
        it.laps += 1


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


cdef int pour(Operation *it, Operation *last, int64_t *registers, int64_t *seen) noexcept nogil:
    """Emit a row for each of a range, of which one column differs alone; PAUSED: some are left to the general way."""
    cdef Columns *head = last.table
    cdef int64_t *column = it.unify.column[0]
    cdef int64_t row[COLUMNS_MAX]
    cdef int64_t given = it.given
    cdef int64_t count
    cdef int64_t number
    cdef int64_t step = 1
    cdef int64_t i
    cdef uint64_t *bits
    cdef uint64_t bit
    cdef Dense dense
    cdef int64_t before = 0  # the number of the bit, but for the column that differs
    for i in range(last.n):
        row[i] = registers[last.registers[i]]
    if last.trail != NULL:
        if last.trail.place != given:
            return PAUSED
        bits, dense = last.trail.bits, last.trail.dense
    elif head.seen.way == BY_BITS:
        bits = head.seen.bits
        dense = head.seen.left
        if head.arity == 2 and given == 1:
            dense = head.seen.right
            before = number_of(&head.seen.left, row[0])
            if before < 0:
                return PAUSED
            before *= dense.width
        elif head.arity == 2:
            step = head.seen.right.width
            before = number_of(&head.seen.right, row[1])
            if before < 0:
                return PAUSED
    else:
        return PAUSED
    seen[0] += it.end - it.cursor
    count = head.count
    while it.cursor < it.end:
        number = number_of(&dense, column[it.cursor])
        if number < 0 or count == head.capacity:
            break
        number = before + number * step
        bit = 1ULL << (number & 63)
        if not bits[number >> 6] & bit:
            bits[number >> 6] |= bit
            row[given] = column[it.cursor]
            for i in range(head.arity):
                head.at[i][count] = row[i]
            count += 1
        it.cursor += 1
    seen[0] -= it.end - it.cursor
    if last.trail == NULL:
        head.seen.covered = count
    head.count = count
    return DONE if it.cursor == it.end else PAUSED


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
                if it.kind == PROBE and it.given >= 0 and pour(it, last, registers, &seen) == DONE:
                    level -= 1
                    continue
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
        elif it.kind == HAS:
            for i in range(it.n):
                row[i] = registers[it.registers[i]]
            forward = has(it.table, row) != it.absent
            level += 1 if forward else -1
        elif it.kind == EXISTS:
            forward = locate(it, registers) != it.absent
            level += 1 if forward else -1
        elif it.kind == PASS:
            level += 1
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
