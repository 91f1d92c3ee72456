# All tries at once, one variable after the other.
#
# Is:     for each value of the first variable that all tries with it have, those of the second, and so on.
# Is not: an order of the variables (`cyclic` chooses).
# Fits:   runs in portions; what it has found is handed out between two of them.
#
# A *side* is one trie at the level of one variable. Its ids there are those below the id chosen above, so a range.
# The side with the fewest ids leads; every other one is asked for each of them: by its address, if the side is the
# first level of a trie; by a bit, if the same range is asked many times; or by a search outwards from where the last one
# stood. So a row costs no more than the least of its
# ranges, which is what keeps the whole within the bound of Atserias, Grohe and Marx for every order of variables.
#
# Invariants:
#     a range is [low, high) of its side's keys; those ascend and differ
#     `at` of a side at a level above the current one is where its trie has the current id of that level's variable
#     bits of a side stand for [marked_low, marked_high), or are all clear where that is empty
#     rows come in the order of the variables, each once if all variables are kept, or those not kept come last

cdef enum:
    LEVELS_MAX = 64
    SIDES_MAX = 512
    MARKED_PART = 4  # a range is marked by bits once a fourth as many ids as it has are asked
    BIT_WORTH = 3  # log2 of how many bits are asked in the time of one search
    CLOSE_BITS = 64  # numbers of ids for each id of a level, up to which a range of it is marked by bits


cdef struct Side:
    const int64_t *keys
    const int32_t *starts  # of the level above; NULL: there is none
    int32_t count
    int above  # the side of the same trie at the level above
    bint last  # nothing stands below
    bint steady  # the range stays while the variable before this one moves on
    int32_t low
    int32_t high
    int32_t at
    Span span
    const int32_t *places  # where an id of a first level stands; NULL: it is searched
    uint64_t *bits  # owned; NULL: ids lie too far apart
    int32_t marked_low
    int32_t marked_high
    int64_t asked  # of the range, since it began


cdef struct Level:
    int first  # its sides
    int past
    int leader
    int64_t value
    int64_t *column  # of the rows that are found; NULL: not kept


cdef inline int32_t found_from(const int64_t *keys, int32_t at, int32_t high, int64_t one) noexcept nogil:
    """Return where the first id that is not less stands in [at, high), searching outwards from `at`."""
    cdef int32_t low = at
    cdef int32_t width = 1
    cdef int32_t middle
    if at >= high or keys[at] >= one:
        return at
    while high - low > width and keys[low + width] < one:
        low += width
        width *= 2
    high = min(high, low + width)
    low += 1
    while low < high:
        middle = low + ((high - low) >> 1)
        if keys[middle] < one:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline bint bit_of(const Span *span, const uint64_t *bits, int64_t one) noexcept nogil:
    cdef uint64_t number = number_in(span, one)
    return number < span.width and (bits[number >> 6] >> (number & 63)) & 1


cdef inline bint has_bit(const Side *side, int64_t one) noexcept nogil:
    return bit_of(&side.span, side.bits, one)


cdef inline int32_t place_of(const Side *side, int64_t one) noexcept nogil:
    """Return where an id stands in a side that has addresses, -1 if nowhere."""
    cdef uint64_t number = number_in(&side.span, one)
    return side.places[number] if number < side.span.width else -1


cdef uint64_t *bits_for(Span *span, const Side *side) except? NULL:
    """Return a zero for each number of an id of a side; NULL: they lie too far apart. The caller owns it."""
    cdef uint64_t *bits
    if not side.count or not spanned(span, side.keys, side.count, <uint64_t> CLOSE_BITS * side.count):
        return NULL
    bits = <uint64_t *> calloc((span.width >> 6) + 1, sizeof(uint64_t))
    if bits == NULL:
        raise MemoryError
    return bits


cdef void clear(Side *side) noexcept nogil:
    """Have no bits."""
    cdef int32_t i
    for i in range(side.marked_low, side.marked_high):
        side.bits[number_in(&side.span, side.keys[i]) >> 6] = 0
    side.marked_low = side.marked_high = 0


cdef void mark(Side *side) noexcept nogil:
    """Have a bit for each id of the range."""
    cdef int32_t i
    cdef uint64_t number
    for i in range(side.low, side.high):
        number = number_in(&side.span, side.keys[i])
        side.bits[number >> 6] |= (<uint64_t> 1) << (number & 63)
    side.marked_low, side.marked_high = side.low, side.high


cdef inline bint is_marked(const Side *side) noexcept nogil:
    return side.marked_high > side.marked_low


@cython.final
cdef class GenericJoin:
    """The rows over all variables that agree with every trie."""

    cdef Side sides[SIDES_MAX]
    cdef Level levels[LEVELS_MAX]
    cdef int depth
    cdef int level  # the current one; below 0: at the end
    cdef int kept  # the last level whose variable is kept
    cdef int64_t made  # rows of this portion
    cdef int64_t room
    cdef readonly int64_t visited  # ids that led
    cdef readonly int64_t matched  # rows over the first variables, however many
    # The last variable: ids of the sides that stay while the one before moves on, and of those that move.
    cdef bint sweeps
    cdef int fixed[SIDES_MAX]
    cdef int fixed_count
    cdef int moving[SIDES_MAX]
    cdef int moving_count
    cdef bint begun
    cdef const int64_t *ids  # that all fixed sides have
    cdef int64_t ids_count
    cdef int64_t *buffer  # owned; of them, if there are several sides
    cdef Span span
    cdef uint64_t *bits  # owned; of these ids if `marked`; NULL: they lie too far apart
    cdef bint marked
    cdef int64_t asked
    cdef Side *leader  # NULL: the fixed ones lead
    cdef const int64_t *leads
    cdef int64_t left
    cdef int32_t cursor
    cdef tuple tries  # whose arrays the sides point into
    cdef tuple keeps

    def __init__(self, tries, levels, keeps):
        """Begin a join.

        Args:
            tries: one for each table.
            levels: for each variable, in order, the (number of the trie, level in it) of those that have it: all levels
                of a trie, in order.
            keeps: for each variable whether its ids are wanted.
        """
        cdef int number = 0
        cdef int place
        if not 0 < len(levels) <= LEVELS_MAX or sum(map(len, levels)) > SIDES_MAX:
            raise ValueError("so many variables or tables are not joined at once")
        self.tries = tuple(tries)
        self.keeps = tuple(keeps)
        self.depth = len(levels)
        self.kept = max((place for place, keep in enumerate(keeps) if keep), default=-1)
        places = {}
        for place, among in enumerate(levels):
            self.levels[place].first = number
            for trie, level in among:
                self.begin_side(number, trie, level, place, places)
                places[trie, level] = number, place
                number += 1
            self.levels[place].past = number
        if self.depth > 1 and self.kept == self.depth - 1:
            self.begin_sweep()
        self.level = 0
        self.enter(&self.levels[0])
        if self.sweeps and self.depth == 2 and not self.fix():
            self.level = -1

    cdef int begin_sweep(self) except -1:
        """Tell the sides of the last variable apart, and have memory for what the fixed ones have in common."""
        cdef Level *last = &self.levels[self.depth - 1]
        cdef Level *before = &self.levels[self.depth - 2]
        cdef Side *side
        cdef int64_t least = 0
        cdef int number
        for number in range(last.first, last.past):
            side = &self.sides[number]
            if before.first <= side.above < before.past:
                self.moving[self.moving_count] = number
                self.moving_count += 1
            else:
                least = min(least, side.count) if self.fixed_count else side.count
                self.fixed[self.fixed_count] = number
                self.fixed_count += 1
        self.sweeps = self.fixed_count > 0 and self.moving_count > 0
        if not self.sweeps:
            return 0
        self.buffer = <int64_t *> calloc(max(least, 1), sizeof(int64_t))
        if self.buffer == NULL:
            raise MemoryError
        self.bits = bits_for(&self.span, &self.sides[self.fixed[0]])
        return 0

    cdef int begin_side(self, int number, int which, int level, int place, dict places) except -1:
        cdef Side *side = &self.sides[number]
        cdef Trie trie = self.tries[which]
        cdef const int64_t[::1] keys = trie.keys[level]
        cdef const int32_t[::1] starts
        side.count = <int32_t> keys.shape[0]
        side.keys = &keys[0] if side.count else NULL
        side.last = level == trie.depth - 1
        side.above = -1
        side.steady = place > 0
        if level:
            starts = trie.starts[level - 1]
            side.starts = &starts[0]
            side.above, above_place = places[which, level - 1]
            side.steady = above_place < place - 1
        elif trie.address():
            side.places, side.span = trie.places, trie.span
            return 0
        if side.steady and place < self.depth - 1:
            side.bits = bits_for(&side.span, side)
        return 0

    def __dealloc__(self):
        cdef int number
        for number in range(SIDES_MAX):
            free(self.sides[number].bits)
        free(self.buffer)
        free(self.bits)

    @property
    def running(self):
        """Return whether more rows may come."""
        return self.level >= 0

    def run(self, int64_t rows_max, int64_t visits_max):
        """Return columns of the next rows over the variables that are kept; stops soon after so many visits.

        A join that keeps no variable has one row, which has no columns: `matched` tells whether it is there.
        """
        cdef int64_t[::1] view
        cdef int place
        columns = []
        for place in range(self.depth):
            self.levels[place].column = NULL
            if self.keeps[place]:
                column = np.empty(rows_max, np.int64)
                view = column
                self.levels[place].column = &view[0]
                columns.append(column)
        self.made, self.room = 0, rows_max
        with nogil:
            self.proceed(self.visited + visits_max)
        return [column[:self.made].copy() for column in columns], self.made

    cdef void proceed(self, int64_t most) noexcept nogil:
        cdef Level *current
        while self.level >= 0 and self.visited < most and self.made < self.room:
            current = &self.levels[self.level]
            if self.sweeps and self.level == self.depth - 2:
                self.sweep(most)
            elif self.level == self.depth - 1 and self.kept == self.level:
                self.finish(current)
            elif not self.advance(current):
                self.level -= 1
            elif self.level < self.depth - 1:
                self.matched += 1
                self.level += 1
                self.enter(&self.levels[self.level])
                if self.sweeps and self.level == self.depth - 2 and not self.fix():
                    self.level -= 1
            else:
                self.matched += 1
                self.emit(current, self.made, self.made + 1)
                self.made += 1
                self.level = self.kept  # one way to go on is as good as all of them

    cdef inline void find_range(self, Side *side, int32_t *low, int32_t *high) noexcept nogil:
        """Find where the ids of a side stand below the one chosen above."""
        low[0], high[0] = 0, side.count
        if side.starts != NULL:
            low[0] = side.starts[self.sides[side.above].at]
            high[0] = side.starts[self.sides[side.above].at + 1]

    cdef void enter(self, Level *level) noexcept nogil:
        """Begin a level: find the ranges, and the side that leads."""
        cdef Side *side
        cdef Side *leader
        cdef int number
        cdef int32_t low
        cdef int32_t high
        level.leader = level.first
        for number in range(level.first, level.past):
            side = &self.sides[number]
            self.find_range(side, &low, &high)
            if low != side.low or high != side.high:
                side.low, side.high, side.asked = low, high, 0
                if side.bits != NULL:
                    clear(side)
            side.at = low
            if high - low < self.sides[level.leader].high - self.sides[level.leader].low:
                level.leader = number
        leader = &self.sides[level.leader]
        leader.at -= 1
        for number in range(level.first, level.past):
            side = &self.sides[number]
            if number != level.leader and side.bits != NULL and not is_marked(side):
                side.asked += leader.high - leader.low
                if side.asked >= side.high - side.low:  # it has been searched for as much as it takes to mark it
                    mark(side)

    cdef bint advance(self, Level *level) noexcept nogil:
        """Go on to the next id that all sides have; False if there is none."""
        cdef Side *leader = &self.sides[level.leader]
        cdef Side *other = leader
        cdef int32_t at = leader.at
        cdef int32_t place = -1
        if level.past - level.first == 2:
            other = &self.sides[level.first + (level.leader == level.first)]
        if other.places == NULL or other == leader:
            return self.advance_all(level, leader)
        while place < 0 and at + 1 < leader.high:
            at += 1
            place = place_of(other, leader.keys[at])
        self.visited += at - leader.at
        leader.at, other.at = at, place
        level.value = leader.keys[at] if place >= 0 else 0
        return place >= 0

    cdef bint advance_all(self, Level *level, Side *leader) noexcept nogil:
        """Go on to the next id of any number of sides."""
        cdef Side *side
        cdef int64_t one
        cdef int number
        while leader.at + 1 < leader.high:
            leader.at += 1
            self.visited += 1
            one = leader.keys[leader.at]
            for number in range(level.first, level.past):
                side = &self.sides[number]
                if number == level.leader:
                    continue
                if side.places != NULL:
                    side.at = place_of(side, one)
                    if side.at < 0:
                        break
                    continue
                if is_marked(side):
                    if not has_bit(side, one):
                        break
                    if side.last:
                        continue
                side.at = found_from(side.keys, side.at, side.high, one)
                if side.at == side.high:
                    leader.at = leader.high
                    return False
                if side.keys[side.at] != one:
                    leader.at = found_from(leader.keys, leader.at, leader.high, side.keys[side.at]) - 1
                    break
            else:
                level.value = one
                return True
        return False

    # -- the last two variables --

    cdef bint fix(self) noexcept nogil:
        """Have the ids of the last variable that do not depend on the one before; False if there are none."""
        cdef Side *side
        cdef int32_t low
        cdef int32_t high
        cdef bint changed = False
        cdef int number
        for number in range(self.fixed_count):
            side = &self.sides[self.fixed[number]]
            self.find_range(side, &low, &high)
            changed |= low != side.low or high != side.high
            side.low = side.at = low
            side.high = high
        if changed or not self.begun:
            self.begun = True
            self.unmark()
            self.intersect_fixed()
        if not self.marked and self.bits != NULL:
            side = &self.sides[self.levels[self.depth - 2].leader]
            self.asked += side.high - side.low
            if MARKED_PART * self.asked >= self.ids_count:
                self.mark()
        return self.ids_count > 0

    cdef void intersect_fixed(self) noexcept nogil:
        cdef Side *least = &self.sides[self.fixed[0]]
        cdef Side *side
        cdef int number
        for number in range(1, self.fixed_count):
            side = &self.sides[self.fixed[number]]
            if side.high - side.low < least.high - least.low:
                least = side
        self.ids, self.ids_count = least.keys + least.low, least.high - least.low
        for number in range(self.fixed_count):
            side = &self.sides[self.fixed[number]]
            if side != least:
                self.ids_count = common(side, self.ids, self.ids_count, self.buffer)
                self.ids = self.buffer
        self.visited += least.high - least.low if self.fixed_count > 1 else 0
        self.asked = 0

    cdef void mark(self) noexcept nogil:
        """Have a bit for each of these ids."""
        cdef int64_t i
        cdef uint64_t number
        for i in range(self.ids_count):
            number = number_in(&self.span, self.ids[i])
            self.bits[number >> 6] |= (<uint64_t> 1) << (number & 63)
        self.marked = True

    cdef void unmark(self) noexcept nogil:
        cdef int64_t i
        if self.marked:
            for i in range(self.ids_count):
                self.bits[number_in(&self.span, self.ids[i]) >> 6] = 0
        self.marked = False

    cdef void sweep(self, int64_t most) noexcept nogil:
        """Go on with the last two variables, until there is no room or the variables before have to move on."""
        cdef Level *level = &self.levels[self.depth - 2]
        cdef int64_t count
        cdef int64_t found
        while self.made < self.room and self.visited < most:
            if not self.left:
                if not self.advance(level):
                    self.level -= 1
                    return
                self.matched += 1
                self.lead()
            count = min(self.left, self.room - self.made)
            found = self.agreeing(count, self.levels[self.depth - 1].column + self.made)
            self.visited += count
            self.leads += count
            self.left -= count
            if found:
                self.matched += found
                self.emit(NULL, self.made, self.made + found)
                self.made += found

    cdef void lead(self) noexcept nogil:
        """Choose the fewest ids of the last variable, where the variable before stands now."""
        cdef Side *least = NULL
        cdef Side *side
        cdef int number
        for number in range(self.moving_count):
            side = &self.sides[self.moving[number]]
            self.find_range(side, &side.low, &side.high)
            side.at = side.low
            if least == NULL or side.high - side.low < least.high - least.low:
                least = side
        self.leader = least
        self.left, self.leads = least.high - least.low, least.keys + least.low
        self.cursor = 0
        # A bit is asked faster than a range is searched.
        if self.ids_count < (self.left >> BIT_WORTH if self.marked else self.left):
            self.leader = NULL
            self.left, self.leads = self.ids_count, self.ids

    cdef int64_t agreeing(self, int64_t count, int64_t *found) noexcept nogil:
        """Write those of the next ids that lead which all others have; return how many."""
        cdef const int64_t *ids = self.leads
        cdef Side *side
        cdef int64_t i
        cdef int64_t made = 0
        cdef int number
        if self.leader != NULL:
            if self.marked:
                for i in range(count):
                    found[made] = ids[i]
                    made += bit_of(&self.span, self.bits, ids[i])
            else:
                for i in range(count):
                    self.cursor = found_from(self.ids, self.cursor, <int32_t> self.ids_count, ids[i])
                    if self.cursor == self.ids_count:
                        break
                    found[made] = ids[i]
                    made += self.ids[self.cursor] == ids[i]
            count, ids = made, found
        for number in range(self.moving_count):
            side = &self.sides[self.moving[number]]
            if side != self.leader and count:
                count = common(side, ids, count, found)
                ids = found
        return count

    cdef void finish(self, Level *level) noexcept nogil:
        """Find ids of the last variable, as many as there is room for."""
        cdef Side *leader = &self.sides[level.leader]
        cdef int64_t *found = level.column + self.made
        cdef int64_t count = min(<int64_t> (leader.high - leader.at - 1), self.room - self.made)
        cdef const int64_t *ids = leader.keys + leader.at + 1
        cdef int64_t i
        cdef int number
        leader.at += <int32_t> count
        self.visited += count
        for number in range(level.first, level.past):
            if number != level.leader:
                count = common(&self.sides[number], ids, count, found)
                ids = found
        if ids != found:
            for i in range(count):
                found[i] = ids[i]
        self.matched += count
        if count:
            self.emit(NULL, self.made, self.made + count)
            self.made += count
        if leader.at + 1 >= leader.high:
            self.level -= 1

    cdef void emit(self, Level *last, int64_t start, int64_t end) noexcept nogil:
        """Write the current ids of the variables before the last one, and of `last`, into rows."""
        cdef int64_t *column
        cdef int64_t one
        cdef int64_t row
        cdef int place
        for place in range(self.depth - (1 if last == NULL else 0)):
            column, one = self.levels[place].column, self.levels[place].value
            if column != NULL:
                for row in range(start, end):
                    column[row] = one


cdef int64_t common(Side *side, const int64_t *ids, int64_t count, int64_t *found) noexcept nogil:
    """Write those of some ascending ids that a side has; return how many. `found` may be where they stand."""
    cdef int64_t made = 0
    cdef int64_t i
    cdef int64_t one
    cdef int32_t at = side.at
    if side.places != NULL:
        for i in range(count):
            found[made] = ids[i]
            made += place_of(side, ids[i]) >= 0
        return made
    if is_marked(side):
        for i in range(count):
            one = ids[i]
            found[made] = one
            made += has_bit(side, one)
        return made
    for i in range(count):
        one = ids[i]
        at = found_from(side.keys, at, side.high, one)
        if at == side.high:
            break
        found[made] = one
        made += side.keys[at] == one
    side.at = at
    return made
