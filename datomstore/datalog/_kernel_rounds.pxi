# Rounds: joins run again and again until nothing is new.
#
# Is:     Rounds, semi-naive rounds of several joins; Walk, one join after another within one group of rows at a time.
# Is not: the choice between them (`fixpoint`).
# Fits:   `fixpoint` makes one for each set of tables that depend on one another.
# Source: Bancilhon (1986) for the rounds.
#
# A WALK is for a table whose recursive bodies read it once and hand all its columns on but one, as in
# (path ?a ?c) [?c :edge ?b] -> (path ?a ?b). Rows that differ in what is handed on never meet, so each such group is
# walked to its end before the next: rows of it are told apart by the bits of one column, which stay in the cache, and
# are taken back afterwards. No table of all rows is needed for that.

cdef enum:
    TRAIL_MOST = 1 << 30  # bits of a trail; those that are not used cost nothing


cdef class Rounds:
    """Joins, each of which reads the new rows of a table first."""

    cdef Running **joins
    cdef int64_t count
    cdef readonly int64_t current  # the join that runs
    cdef int64_t idle  # joins that found nothing to read, one after the other
    cdef readonly int64_t rounds  # that have ended
    cdef list kept
    cdef readonly bint running

    def __cinit__(self, list joins, list read_to):
        cdef Join join
        cdef int64_t i
        self.count = len(joins)
        self.joins = <Running **> calloc(self.count + 1, sizeof(Running *))
        if self.joins == NULL:
            raise MemoryError
        self.kept = list(joins)
        for i in range(self.count):
            join = joins[i]
            self.joins[i] = &join.it
            join.it.read_to = read_to[i]

    def __dealloc__(self):
        free(self.joins)

    def begin(self):
        """Stand before the first round."""
        cdef Join join
        cdef Table table
        for join in self.kept:
            for table in join.noted:
                table.ready()
        self.current = self.idle = self.rounds = 0
        self.running = True

    def read_to(self):
        """Return how many rows each join has read of its first table."""
        cdef int64_t i
        return [self.joins[i].read_to for i in range(self.count)]

    def run(self, int64_t rows_max):
        """Go on for about so many rows; return how many were visited. `running` is false at the end.

        Raises:
            JoinGivenUp: a test or calculation met an id that is no inline integer.
        """
        cdef int64_t visited = 0
        cdef int status
        with nogil:
            status = go_round(self, rows_max, &visited)
        if status != PAUSED:
            self.running = False
        if status == GIVEN_UP:
            raise JoinGivenUp
        if status == NO_MEMORY:
            raise_for([table for join in self.kept for table in (<Join> join).noted])
        return visited


cdef int go_round(Rounds rounds, int64_t rows_max, int64_t *visited) noexcept nogil:
    cdef Running *join
    cdef int64_t end
    cdef int status
    while rounds.idle < rounds.count:
        join = rounds.joins[rounds.current]
        if not join.underway:
            end = join.operations[0].table.count
            if join.read_to == end:
                rounds.idle += 1
                turn(rounds)
                continue
            if begin_join(join, join.read_to, end) < 0:
                return NO_MEMORY
            join.underway = True
        if visited[0] >= rows_max:
            return PAUSED
        status = execute(join, rows_max - visited[0], visited)
        if status != DONE:
            return status
        join.underway = False
        join.read_to = join.operations[0].end
        rounds.idle = 0
        turn(rounds)
    return DONE


cdef inline void turn(Rounds it) noexcept nogil:
    """Go on to the next join."""
    it.current += 1
    if it.current == it.count:
        it.current = 0
        it.rounds += it.idle < it.count


cdef class Walk:
    """Joins from a table to itself that hand on all columns but one.

    Args:
        head: the table; its rows are not looked at.
        place: the column that is not handed on.
        joins: each scans the table first and adds to it.
    """

    cdef Table head
    cdef Running **joins
    cdef int64_t count
    cdef list kept
    cdef Trail trail
    cdef int64_t **base  # columns of the rows to begin with
    cdef int64_t base_count
    cdef int64_t base_read
    cdef list base_kept
    cdef int64_t start  # of the rows of the group
    cdef readonly int64_t rounds  # of the group that took most
    cdef bint inside
    cdef readonly bint running

    def __cinit__(self, Table head, int64_t place, list joins):
        cdef Join join
        cdef int64_t i
        self.head = head
        self.count = len(joins)
        self.joins = <Running **> calloc(self.count + 1, sizeof(Running *))
        self.base = <int64_t **> calloc(head.data.arity + 1, sizeof(int64_t *))
        if self.joins == NULL or self.base == NULL:
            raise MemoryError
        self.kept = list(joins)
        self.trail.place = place
        for i in range(self.count):
            join = joins[i]
            self.joins[i] = &join.it

    def __dealloc__(self):
        free(self.joins)
        free(self.base)
        free(self.trail.bits)

    def begin(self, columns, int64_t count):
        """Stand before the first group of rows, which follow one another by what is handed on; none is in the head yet."""
        cdef Join join
        cdef Table table
        cdef int64_t i
        cdef const int64_t[::1] view
        self.base_kept = []
        self.base_count = count
        self.base_read = 0
        for i, column in enumerate(columns):
            column = np.ascontiguousarray(column, np.int64)
            view = column
            self.base_kept.append(column)
            self.base[i] = <int64_t *> &view[0]
        if self.trail.bits == NULL:
            measured(&self.trail.dense, self.base[self.trail.place], 1, 1)
            if not trodden(&self.trail, &self.head.data, self.trail.dense.base):
                raise MemoryError
        for join in self.kept:
            for table in join.noted:
                if table is not self.head:
                    table.ready()
            if begin_join(&join.it, 0, 0) < 0:
                raise MemoryError
            join.it.operations[0].live = True
            join.it.operations[join.it.count - 1].trail = &self.trail
            join.it.straight = is_straight(&join.it, &self.trail)
        self.inside = False
        self.rounds = 0
        self.start = self.head.data.count
        self.running = True

    def end(self):
        """Let the joins be run in rounds again."""
        cdef Join join
        for join in self.kept:
            join.it.operations[0].live = False
            join.it.operations[join.it.count - 1].trail = NULL
            join.it.underway = False

    def run(self, int64_t rows_max):
        """Go on for about so many rows; return how many were visited. `running` is false at the end.

        Raises:
            JoinGivenUp: as `Join.run`; or the ids are too far apart.
        """
        cdef int64_t visited = 0
        cdef int status
        with nogil:
            status = walk(self, rows_max, &visited)
            count_rounds(self)
        if status != PAUSED:
            self.running = False
        if status == GIVEN_UP:
            raise JoinGivenUp
        if status == NO_MEMORY:
            raise MemoryError
        return visited


cdef int walk(Walk it, int64_t rows_max, int64_t *visited) noexcept nogil:
    cdef Columns *head = &it.head.data
    cdef Running *join
    cdef int64_t i
    cdef int status
    cdef bint moved
    while True:
        if not it.inside:
            leave(&it.trail, head, it.start)
            count_rounds(it)
            if it.base_read == it.base_count:
                return DONE
            it.start = head.count
            status = enter(it)
            if status != DONE:
                return status
            it.inside = True
            for i in range(it.count):
                it.joins[i].read_to = it.start
                it.joins[i].underway = False
                it.joins[i].operations[0].laps = 0
        moved = True
        while moved:
            moved = False
            for i in range(it.count):
                join = it.joins[i]
                if not join.underway:
                    if join.read_to == head.count:
                        continue
                    join.operations[0].a = join.operations[0].end = join.read_to
                    join.level = 0
                    join.forward = True
                    join.underway = True
                moved = True
                if visited[0] >= rows_max:
                    return PAUSED
                status = stride(join, rows_max, visited) if join.straight else DONE
                if status != DONE:
                    return status
                status = execute(join, rows_max - visited[0], visited)
                if status != DONE:
                    return status
                join.read_to = join.operations[0].cursor
                join.underway = False
        it.inside = False


cdef void count_rounds(Walk it) noexcept nogil:
    """Note how many rounds the group took so far: rows are read in the order in which they were found."""
    cdef int64_t i
    for i in range(it.count):
        if it.joins[i].operations[0].laps > it.rounds:
            it.rounds = it.joins[i].operations[0].laps


cdef bint is_straight(Running *join, Trail *trail) noexcept nogil:
    """Return whether a join looks up one column of a row in an index and emits what that gives, and nothing else."""
    cdef Operation *scan = &join.operations[0]
    cdef Operation *probe = &join.operations[1]
    cdef int64_t i
    if join.count != 3 or scan.table.arity != 2 or probe.kind != PROBE or probe.n != 1 or scan.once:
        return False
    if probe.given != trail.place or scan.unify_count != 2:
        return False
    for i in range(2):
        if not scan.unify[i].binds:
            return False
    return True


cdef int stride(Running *join, int64_t rows_max, int64_t *visited) noexcept nogil:
    """Take the rows of a group; `execute` goes on where this ends, between two rows. DONE, GIVEN_UP or NO_MEMORY."""
    cdef Operation *scan = &join.operations[0]
    cdef Operation *probe = &join.operations[1]
    cdef Operation *last = &join.operations[2]
    cdef Columns *head = last.table
    cdef Trail *trail = last.trail
    cdef Hashed *index = probe.index
    cdef Dense keys = index.dense
    cdef Dense dense = trail.dense
    cdef uint64_t *bits = trail.bits
    cdef int32_t *starts = index.starts
    cdef int64_t *column = probe.unify.column[0]
    cdef int64_t *moved = head.at[trail.place]
    cdef int64_t *handed = head.at[1 - trail.place]
    cdef int64_t by = 1 - trail.place  # the column of the key
    cdef int64_t *wanted
    cdef int64_t cursor
    cdef int64_t count = head.count
    cdef int64_t capacity = head.capacity
    cdef int64_t seen = visited[0]
    cdef int64_t lap = scan.end
    cdef int64_t same
    cdef int64_t number
    cdef int64_t at
    cdef int64_t end
    cdef uint64_t bit
    if not join.forward or join.level != 0:
        return DONE
    cursor = scan.a
    same = handed[cursor]
    for at in range(2):
        if scan.unify[at].register == probe.registers[0]:
            by = scan.unify[at].place
    wanted = head.at[by]
    while cursor < count and seen < rows_max:
        if cursor == lap:
            lap = count
            scan.laps += 1
        number = number_of(&keys, wanted[cursor])
        cursor += 1
        seen += 1
        if number < 0:
            continue
        at, end = starts[number], starts[number + 1]
        while count + end - at > capacity:
            head.count = count
            if not grown(head.owner):
                return NO_MEMORY
            moved, handed, wanted = head.at[trail.place], head.at[1 - trail.place], head.at[by]
            capacity = head.capacity
        seen += end - at
        while at < end:
            number = number_of(&dense, column[at])
            if number < 0:
                if not trodden(trail, head, column[at]):
                    head.count = count
                    return GIVEN_UP
                bits, dense = trail.bits, trail.dense
                continue
            bit = 1ULL << (number & 63)
            if not bits[number >> 6] & bit:
                bits[number >> 6] |= bit
                moved[count] = column[at]
                handed[count] = same
                count += 1
            at += 1
    head.count = count
    scan.a = cursor
    scan.end = lap
    visited[0] = seen
    return DONE


cdef int enter(Walk it) noexcept nogil:
    """Add the rows that a group begins with."""
    cdef Columns *head = &it.head.data
    cdef int64_t row[COLUMNS_MAX]
    cdef int64_t first = it.base_read
    cdef int64_t place
    cdef int64_t number
    while it.base_read < it.base_count:
        for place in range(head.arity):
            row[place] = it.base[place][it.base_read]
            if place != it.trail.place and row[place] != it.base[place][first]:
                return DONE
        number = number_of(&it.trail.dense, row[it.trail.place])
        if number < 0:
            if not trodden(&it.trail, head, row[it.trail.place]):
                return GIVEN_UP
            continue
        it.base_read += 1
        if not it.trail.bits[number >> 6] >> (number & 63) & 1:
            it.trail.bits[number >> 6] |= 1ULL << (number & 63)
            if append(head, row) < 0:
                return NO_MEMORY
    return DONE


cdef void leave(Trail *trail, Columns *head, int64_t start) noexcept nogil:
    """Take back the bits of a group."""
    cdef int64_t i
    for i in range(start, head.count):
        trail.bits[number_of(&trail.dense, head.at[trail.place][i]) >> 6] = 0


cdef bint trodden(Trail *trail, Columns *head, int64_t one) noexcept nogil:
    """Have a bit for one more id; False if the ids are too far apart."""
    cdef Dense dense = trail.dense
    cdef uint64_t *bits
    cdef int64_t old
    cdef int64_t number
    if number_of(&dense, one) < 0 and not widened(&dense, one, TRAIL_MOST):
        return False
    bits = <uint64_t *> calloc((dense.width + 63) // 64, sizeof(uint64_t))
    if bits == NULL:
        return False
    if trail.bits != NULL:
        old = 0
        while old < trail.dense.width:
            if trail.bits[old >> 6] == 0:
                old = (old | 63) + 1
                continue
            if trail.bits[old >> 6] >> (old & 63) & 1:
                number = number_of(&dense, trail.dense.base + (old << trail.dense.shift))
                bits[number >> 6] |= 1ULL << (number & 63)
            old += 1
    free(trail.bits)
    trail.bits = bits
    trail.dense = dense
    return True
