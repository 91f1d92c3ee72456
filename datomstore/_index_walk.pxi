# A join of few rows: from a transaction's rows to the facts they lead to, step by step, in an order that was planned.
#
# A walk is made once and gone after every transaction, so nothing is allocated, boxed or looked up by name on the way.
# Each row has a sign, +1 for what is added and -1 for what is retracted. As soon as rows differ only in what is not looked
# at any more they are summed, so that what a transaction leaves as it was is not followed further.
#
# A walk knows ids only: integers compare by theirs, and where another value is to be compared it says that it cannot go.

cdef enum:
    FACT_PLACES = 4  # of a fact: e, a, v, t
    WIDTH_MAX = 32  # columns

cdef enum TermKind:
    TERM_ANY
    TERM_SAME  # as an id
    TERM_KNOWN  # as a column
    TERM_NEW  # makes a column
    TERM_AGAIN  # as a column that the same step has made

cdef enum StepKind:
    STEP_FACTS
    STEP_ROWS
    STEP_TEST

cdef enum Comparison:
    LESS
    LESS_OR_EQUAL
    MORE
    MORE_OR_EQUAL
    EQUAL
    UNEQUAL

WALK_WIDTH_MAX = WIDTH_MAX

_TERMS = {
    "any": TERM_ANY, "same": TERM_SAME, "known": TERM_KNOWN, "new": TERM_NEW, "again": TERM_AGAIN
}
_STEPS = {"facts": STEP_FACTS, "rows": STEP_ROWS, "test": STEP_TEST}
_COMPARISONS = {
    "<": LESS, "<=": LESS_OR_EQUAL, ">": MORE, ">=": MORE_OR_EQUAL, "=": EQUAL, "not=": UNEQUAL, "!=": UNEQUAL
}

cdef struct Term:
    TermKind kind
    int64_t it  # the id, or the number of the column

cdef struct WalkStep:
    StepKind kind
    Term[WIDTH_MAX] terms
    int64_t term_count
    Comparison comparison
    bint is_later  # than the clause whose facts the walk begins with: looks at what was before them
    uint64_t needed  # columns that are looked at after it
    bint sums  # some are not, that were until then
    const int64_t *rows  # of ROWS, one behind another
    int64_t row_count

cdef struct WalkRows:  # each is its sign, and then the columns
    int64_t *cells  # owned
    int64_t count
    int64_t capacity


cdef class Walk:
    """What a pattern's facts in a transaction lead to. Not for two threads at once.

    Args:
        width: how many columns there are, at most `WALK_WIDTH_MAX`.
        steps: (kind, terms, what, is_later, columns needed after it). The first is "facts" of the transaction, "facts" after
            it are looked up; "rows" are joined with the rows of `what`, one behind another; "test" compares two terms as
            `what` says. A term is (kind, id or column); those of facts are entity, attribute, value, transaction. What
            `is_later` looks at what was before the transaction, where that has facts of its attribute.
        outs: the columns that are wanted.
        rows_max: that are made before it gives up.
    """

    cdef int64_t width, count, rows_max
    cdef readonly int64_t made  # rows, by the last time
    cdef WalkStep *steps  # owned
    cdef list held  # what steps point into
    cdef list outs
    cdef WalkRows now, then
    cdef Found found
    cdef int32_t *slots  # owned
    cdef int64_t slot_count

    def __cinit__(self, int64_t width, steps, outs, int64_t rows_max):
        cdef int64_t i
        cdef uint64_t live = 0
        cdef WalkStep *step
        if not 0 <= width <= WIDTH_MAX:
            raise ValueError(f"at most {WIDTH_MAX} columns")
        self.width, self.outs, self.rows_max, self.held = width, list(outs), rows_max, []
        if any(not 0 <= out < width for out in self.outs):
            raise ValueError("no such column")
        self.count = len(steps)
        if not self.count or len(steps[0][1]) < 2:
            raise ValueError("a walk begins with a transaction's facts")
        self.steps = <WalkStep *> calloc(max(1, self.count), sizeof(WalkStep))
        if self.steps == NULL:
            raise MemoryError()
        for i in range(self.count):
            step = &self.steps[i]
            kind, terms, what, is_later, needed = steps[i]
            live |= self.set_step(step, kind, terms, what, is_later, needed)
            step.sums = live & ~step.needed != 0
            live &= step.needed

    def __dealloc__(self):
        free(self.steps)
        free(self.now.cells)
        free(self.then.cells)
        free(self.found.rows)
        free(self.slots)

    cdef uint64_t set_step(self, WalkStep *step, kind, terms, what, bint is_later, needed) except? 0:
        """Return the columns that it makes."""
        cdef int64_t i
        cdef uint64_t made = 0
        step.kind, step.is_later = _STEPS[kind], is_later
        step.term_count = len(terms)
        if step.term_count > (FACT_PLACES if step.kind == STEP_FACTS else WIDTH_MAX):
            raise ValueError("too many terms")
        for i in range(step.term_count):
            term, it = terms[i]
            step.terms[i].kind, step.terms[i].it = _TERMS[term], it
            if step.terms[i].kind >= TERM_KNOWN and not 0 <= it < self.width:
                raise ValueError(f"no column {it}")
            if step.terms[i].kind == TERM_NEW:
                made |= <uint64_t> 1 << <uint64_t> it
        for column in needed:
            step.needed |= <uint64_t> 1 << <uint64_t> column
        if step.kind == STEP_ROWS:
            rows = as_ids(what)
            self.held.append(rows)
            step.rows, step.row_count = ids_in(rows), len(rows) // max(1, step.term_count)
        elif step.kind == STEP_TEST:
            if step.term_count != 2:
                raise ValueError("two are compared")
            step.comparison = _COMPARISONS[what]
        return made

    # -- what it finds --

    cdef int add(self, dict net) except -1:
        """Add to `net` how many derivations each row at the end has more or fewer."""
        cdef int64_t i
        cdef int64_t *row
        for i in range(self.now.count):
            row = self.now.cells + i * (self.width + 1)
            key = tuple([row[1 + <int64_t> out] for out in self.outs])
            net[key] = net.get(key, 0) + row[0]
        return 0

    def columns(self, Segments facts not None, int64_t start, int64_t end):
        """Return the signs and `outs` of the rows at the end, None if it cannot go."""
        if not self.walked(facts, start, end):
            return None
        return [self.column(0), *[self.column(1 + <int64_t> out) for out in self.outs]]

    cdef cnp.ndarray column(self, int64_t cell):
        cdef cnp.ndarray made = empty_ids(self.now.count)
        cdef int64_t i
        for i in range(self.now.count):
            ids_in(made)[i] = self.now.cells[i * (self.width + 1) + cell]
        return made

    cdef bint walked(self, Segments facts, int64_t start, int64_t end) except -1:
        """Leave the rows at the end in `now`; return False if it cannot go."""
        cdef int64_t i
        cdef bint goes = True
        cdef Sight after = facts.sight(end, 0, False)
        cdef Sight before = facts.sight(start, 0, False)
        cdef WalkStep *step
        self.now.count = self.made = 0
        self.begin(&self.steps[0], facts, &after.ends, start, end)
        for i in range(self.count):
            step = &self.steps[i]
            if i:
                self.then.count = 0
                if step.kind == STEP_FACTS:
                    old = step.is_later and has_attribute(facts, &step.terms[1], start, end)
                    goes = self.look(step, facts, &before if old else &after)
                elif step.kind == STEP_ROWS:
                    goes = self.join(step)
                else:
                    goes = self.test(step)
                if not goes:
                    return False
                self.now, self.then = self.then, self.now
            self.made += self.now.count
            if step.sums and self.now.count > 1:
                self.sum(step.needed)
            if not self.now.count:
                break
        return True

    # -- steps --

    cdef int begin(
        self, const WalkStep *step, Segments facts, const Ends *ends, int64_t start, int64_t end
    ) except -1:
        """Take the facts of the transaction."""
        cdef int64_t row, place, id_
        cdef int64_t *out
        cdef const Term *term
        cdef bint fits
        for row in range(start, end):
            out = self.room(&self.now)
            out[0] = -1 if ended_by(ends, row) == row + 1 else 1
            fits = True
            for place in range(step.term_count):
                term = &step.terms[place]
                id_ = facts.value_at(place, row)
                fits = placed(term, id_, out)
                if not fits:
                    break
            self.now.count += fits
        return 0

    cdef bint look(self, const WalkStep *step, Segments facts, const Sight *sight) except -1:
        """Join with the facts that a view shows; return False if they are too many."""
        cdef int64_t i, j, place
        cdef int64_t *out
        cdef const int64_t *row
        cdef Wanted wanted = Wanted(False, False, False, 0, 0, 0)
        cdef bint fits
        for i in range(self.now.count):
            row = self.now.cells + i * (self.width + 1)
            wanted.by_e = given(&step.terms[0], row, &wanted.e)
            wanted.by_a = given(&step.terms[1], row, &wanted.a)
            wanted.by_v = given(&step.terms[2], row, &wanted.v)
            self.found.count = 0
            if not wanted.by_e and self.made + facts.size(&wanted, sight) > self.rows_max:
                return False
            facts.find(&wanted, sight, &self.found)
            for j in range(self.found.count):
                out = self.room(&self.then)
                memcpy(out, row, (self.width + 1) * sizeof(int64_t))
                fits = True
                for place in range(step.term_count):
                    if step.terms[place].kind >= TERM_NEW or place == 3:
                        fits = placed(&step.terms[place], facts.value_at(place, self.found.rows[j]), out)
                        if not fits:
                            break
                self.then.count += fits
            if self.made + self.then.count > self.rows_max:
                return False
        return True

    cdef bint join(self, const WalkStep *step) except -1:
        """Join with the rows of a table; return False if they are too many."""
        cdef int64_t i, j, place
        cdef int64_t *out
        cdef const int64_t *row
        cdef bint fits
        if self.made + self.now.count * step.row_count > self.rows_max:
            return False
        for i in range(self.now.count):
            row = self.now.cells + i * (self.width + 1)
            for j in range(step.row_count):
                out = self.room(&self.then)
                memcpy(out, row, (self.width + 1) * sizeof(int64_t))
                fits = True
                for place in range(step.term_count):
                    fits = placed(&step.terms[place], step.rows[j * step.term_count + place], out)
                    if not fits:
                        break
                self.then.count += fits
        return True

    cdef bint test(self, const WalkStep *step) except -1:
        """Keep the rows for which a comparison holds; return False if something else than small integers is compared."""
        cdef int64_t i
        cdef int64_t left = 0
        cdef int64_t right = 0
        cdef const int64_t *row
        for i in range(self.now.count):
            row = self.now.cells + i * (self.width + 1)
            given(&step.terms[0], row, &left)
            given(&step.terms[1], row, &right)
            if (left | right) & 1:
                return False
            if holds(step.comparison, left, right):
                memcpy(self.room(&self.then), row, (self.width + 1) * sizeof(int64_t))
                self.then.count += 1
        return True

    cdef int64_t *room(self, WalkRows *rows) except NULL:
        """Return where the next row goes."""
        cdef int64_t *grown
        cdef int64_t capacity
        if rows.count == rows.capacity:
            capacity = max(32, 2 * rows.capacity)
            grown = <int64_t *> realloc(rows.cells, capacity * (self.width + 1) * sizeof(int64_t))
            if grown == NULL:
                raise MemoryError()
            rows.cells, rows.capacity = grown, capacity
        return rows.cells + rows.count * (self.width + 1)

    # -- sums --

    cdef int sum(self, uint64_t needed) except -1:
        """Make one row of those that are alike in some columns, with the sum of their signs; of a sum of 0, none."""
        cdef int64_t width = self.width + 1
        cdef int64_t kept = 0
        cdef int64_t i, at
        cdef int64_t *row
        cdef int64_t *cells = self.now.cells
        self.clear_slots()
        for i in range(self.now.count):
            row = cells + i * width
            at = hashed(row, needed, self.width) & (self.slot_count - 1)
            while self.slots[at] >= 0 and not alike(cells + self.slots[at] * width, row, needed, self.width):
                at = (at + 1) & (self.slot_count - 1)
            if self.slots[at] >= 0:
                cells[self.slots[at] * width] += row[0]
            else:
                self.slots[at] = <int32_t> kept
                if kept < i:
                    memcpy(cells + kept * width, row, width * sizeof(int64_t))
                kept += 1
        self.now.count = 0
        for i in range(kept):
            if cells[i * width]:
                if self.now.count < i:
                    memcpy(cells + self.now.count * width, cells + i * width, width * sizeof(int64_t))
                self.now.count += 1
        return 0

    cdef int clear_slots(self) except -1:
        """Have twice as many slots as rows, all empty."""
        cdef int64_t size = 64
        cdef int32_t *slots
        while size < 2 * self.now.count:
            size *= 2
        if size != self.slot_count:
            slots = <int32_t *> realloc(self.slots, size * sizeof(int32_t))
            if slots == NULL:
                raise MemoryError()
            self.slots, self.slot_count = slots, size
        memset(self.slots, 0xFF, size * sizeof(int32_t))
        return 0


cdef class Walks:
    """The walks from all clauses of a query, each to the same kind of rows.

    `made` are the rows that the last changes took.
    """

    cdef tuple walks
    cdef readonly int64_t made

    def __cinit__(self, walks):
        self.walks = tuple(walks)

    def changes(self, Segments facts not None, int64_t start, int64_t end):
        """Return what the rows of a transaction change, row of ids -> derivations; None if one of the walks cannot go."""
        cdef dict net = {}
        cdef Walk walk
        self.made = 0
        for walk in self.walks:
            if has_attribute(facts, &walk.steps[0].terms[1], start, end):
                goes = walk.walked(facts, start, end)
                self.made += walk.made
                if not goes:
                    return None
                walk.add(net)
        return net


cdef inline bint given(const Term *term, const int64_t *row, int64_t *out) noexcept nogil:
    """Tell the id that a term has already; return whether it has one."""
    if term.kind == TERM_SAME:
        out[0] = term.it
    elif term.kind == TERM_KNOWN:
        out[0] = row[1 + term.it]
    else:
        return False
    return True


cdef inline bint placed(const Term *term, int64_t id_, int64_t *row) noexcept nogil:
    """Put an id where a term says; return whether it is what the term has already."""
    if term.kind == TERM_ANY:
        return True
    if term.kind == TERM_SAME:
        return id_ == term.it
    if term.kind == TERM_NEW:
        row[1 + term.it] = id_
        return True
    return id_ == row[1 + term.it]


cdef inline bint holds(Comparison comparison, int64_t left, int64_t right) noexcept nogil:
    if comparison == LESS:
        return left < right
    if comparison == LESS_OR_EQUAL:
        return left <= right
    if comparison == MORE:
        return left > right
    if comparison == MORE_OR_EQUAL:
        return left >= right
    return (left == right) == (comparison == EQUAL)


cdef inline uint64_t hashed(const int64_t *row, uint64_t columns, int64_t width) noexcept nogil:
    cdef uint64_t made = 0
    cdef int64_t column
    for column in range(width):
        if columns >> column & 1:
            made = (made ^ <uint64_t> row[1 + column]) * 0x9E3779B97F4A7C15ULL
            made ^= made >> 32
    return made


cdef inline bint alike(const int64_t *left, const int64_t *right, uint64_t columns, int64_t width) noexcept nogil:
    cdef int64_t column
    for column in range(width):
        if columns >> column & 1 and left[1 + column] != right[1 + column]:
            return False
    return True


cdef bint has_attribute(Segments facts, const Term *attribute, int64_t start, int64_t end) except -1:
    """Return whether rows can have an attribute: any, if it is not known."""
    cdef int64_t row
    if attribute.kind != TERM_SAME:
        return True
    for row in range(start, end):
        if facts.value_at(1, row) == attribute.it:
            return True
    return False
