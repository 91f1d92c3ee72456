# Which row ended which: sparse, for most rows are never ended.
#
# The number of a row, plus one, that ended each row, 0 for none; a retraction counts as ended by itself, so that it shows
# in no view but the history. In pieces of 65,536 rows that come into being with their first entry.

cdef enum:
    PIECE_BITS = 16
    PIECE_ROWS = 65536

cdef struct Ends:  # taken with the GIL held, so that its parts belong together
    uint32_t **pieces
    int64_t count
    uint32_t **below  # of what this was forked from
    int64_t below_count
    int64_t below_limit  # rows of it that count


cdef inline int64_t ended_by(const Ends *ends, int64_t row) noexcept nogil:
    """Return the row that ended a row, plus one; 0 for none."""
    cdef int64_t piece = row >> PIECE_BITS
    cdef int64_t found
    if row < ends.below_limit and piece < ends.below_count and ends.below[piece] != NULL:
        found = ends.below[piece][row & (PIECE_ROWS - 1)]
        if found and found <= ends.below_limit:
            return found
    if piece < ends.count and ends.pieces[piece] != NULL:
        return ends.pieces[piece][row & (PIECE_ROWS - 1)]
    return 0


cdef bint any_ended(const Ends *ends, int64_t start, int64_t end) noexcept nogil:
    """Return whether some row of a range may have ended."""
    cdef int64_t piece
    for piece in range(start >> PIECE_BITS, ((end - 1) >> PIECE_BITS) + 1):
        if piece < ends.count and ends.pieces[piece] != NULL:
            return True
        if piece < ends.below_count and piece << PIECE_BITS < ends.below_limit:
            if ends.below[piece] != NULL:
                return True
    return False


cdef class Ended:
    """What ended each row. One writer; what it notes while readers read ends no row that they see."""

    cdef uint32_t **pieces  # owned, and what they point to; before the first stands the table that this one replaced
    cdef int64_t count
    cdef Ended below
    cdef int64_t below_limit

    def __dealloc__(self):
        cdef int64_t i
        cdef uint32_t **table = NULL
        cdef uint32_t **replaced
        if self.count:
            table = self.pieces - 1
        for i in range(self.count):
            free(self.pieces[i])
        while table != NULL:
            replaced = <uint32_t **> table[0]
            free(table)
            table = replaced

    def fork(self, int64_t count):
        """Return what ended rows below `count` before it, to which others may be added."""
        cdef Ended made = Ended()
        cdef int64_t i, piece
        if self.below is None:
            made.below, made.below_limit = self, count
            return made
        # A fork of a fork: it stands on the same, and has what the first one added.
        made.below, made.below_limit = self.below, min(count, self.below_limit)
        for piece in range(self.count):
            if self.pieces[piece] == NULL:
                continue
            for i in range(PIECE_ROWS):
                if 0 < self.pieces[piece][i] <= count:
                    made.note((piece << PIECE_BITS) + i, self.pieces[piece][i] - 1)
        return made

    cdef Ends view(self) noexcept:
        cdef Ends ends
        ends.pieces, ends.count = self.pieces, self.count
        ends.below, ends.below_count, ends.below_limit = NULL, 0, 0
        if self.below is not None:
            ends.below, ends.below_count = self.below.pieces, self.below.count
            ends.below_limit = self.below_limit
        return ends

    cdef int grow(self, int64_t piece) except -1:
        """Make room; the table that was is kept, for a reader may be using it."""
        cdef int64_t size = max(16, 2 * (piece + 1))
        cdef uint32_t **table = <uint32_t **> calloc(size + 1, sizeof(uint32_t *))
        if table == NULL:
            raise MemoryError()
        if self.count:
            memcpy(table + 1, self.pieces, self.count * sizeof(uint32_t *))
            table[0] = <uint32_t *> (self.pieces - 1)
        self.pieces = table + 1
        self.count = size
        return 0

    def set(self, int64_t row, int64_t by):
        """Note that a row was ended by another; a retraction ends itself."""
        self.note(row, by)

    cdef int note(self, int64_t row, int64_t by) except -1:
        cdef int64_t piece = row >> PIECE_BITS
        if not 0 <= row <= by or by >= ROWS_MAX:
            raise ValueError(f"row {row} cannot be ended by row {by}")
        if piece >= self.count:
            self.grow(piece)
        if self.pieces[piece] == NULL:
            self.pieces[piece] = <uint32_t *> calloc(PIECE_ROWS, sizeof(uint32_t))
            if self.pieces[piece] == NULL:
                raise MemoryError()
        self.pieces[piece][row & (PIECE_ROWS - 1)] = <uint32_t> (by + 1)
        return 0

    def set_many(self, rows, by):
        """Note which rows were ended by which."""
        cdef object given = as_ids(rows)
        cdef object ending = as_ids(by)
        cdef const int64_t *ended = ids_in(given)
        cdef const int64_t *enders = ids_in(ending)
        cdef int64_t count = len(given)
        cdef int64_t i
        if count != len(ending):
            raise ValueError("every row that ended was ended by one")
        for i in range(count):
            self.note(ended[i], enders[i])

    def retract(self, pairs):
        """Note (row of a retraction, row that it ends) of a few."""
        cdef int64_t row, it
        for row, it in pairs:
            self.note(row, row)
            self.note(it, row)

    def clear(self, int64_t row):
        """Note that a row was not ended after all, or is none."""
        if row >> PIECE_BITS < self.count and self.pieces[row >> PIECE_BITS] != NULL:
            self.pieces[row >> PIECE_BITS][row & (PIECE_ROWS - 1)] = 0

    def clear_from(self, int64_t start, int64_t end):
        """Note that nothing ended the rows of a range."""
        cdef int64_t row
        for row in range(start, end):
            self.clear(row)

    def by(self, rows):
        """Return the row that ended each row, plus one; 0 for none, a retraction's own for a retraction."""
        cdef cnp.ndarray given = as_ids(rows)
        cdef cnp.ndarray out = empty_ids(len(given))
        cdef int64_t count = len(given)
        cdef const int64_t *source = ids_in(given)
        cdef int64_t *target = ids_in(out)
        cdef int64_t i
        cdef Ends ends = self.view()
        for i in range(count):
            target[i] = ended_by(&ends, source[i]) if source[i] >= 0 else 0
        return out

    def past(self, int64_t start, int64_t end, int64_t count):
        """Return (offsets of the rows in a range that were ended by a row below `count`, row after the last of these)."""
        cdef Ends ends = self.view()
        cdef int64_t i, by, until = 0, made = 0
        cdef cnp.ndarray out
        if end <= start or not any_ended(&ends, start, end):
            return empty_offsets(0), 0
        out = empty_offsets(end - start)
        with nogil:
            for i in range(start, end):
                by = ended_by(&ends, i)
                if by and by <= count:
                    (<uint32_t *> cnp.PyArray_DATA(out))[made] = <uint32_t> (i - start)
                    made += 1
                    if by > until:
                        until = by
        return out[:made].copy(), until
