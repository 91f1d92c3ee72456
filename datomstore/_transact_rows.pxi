# Rows that are not in the columns yet: those of the newest transactions, committed or not.
# They go there together, when somebody looks or when many wait: a transaction of one fact has no array operation.

cdef struct Row:
    int64_t e
    int64_t a
    int64_t v


cdef struct Pair:
    int64_t row
    int64_t other


cdef class Pending:
    cdef readonly int64_t start  # number of the first row
    cdef Py_ssize_t count, room
    cdef Row* rows
    cdef Py_ssize_t end_count, end_room
    cdef Pair* ends  # (retraction, row it ends)
    cdef Py_ssize_t tx_count, tx_room
    cdef Pair* txs  # (first row, transaction's id)

    def __cinit__(self, int64_t start):
        self.start = start
        self.count = self.room = self.end_count = self.end_room = self.tx_count = self.tx_room = 0
        self.rows, self.ends, self.txs = NULL, NULL, NULL

    def __dealloc__(self):
        free(self.rows)
        free(self.ends)
        free(self.txs)

    cdef inline int push(self, int64_t e, int64_t a, int64_t v) except -1:
        if self.count == self.room:
            self.room = max(64, 2 * self.room)
            self.rows = <Row*> resized(self.rows, self.room * sizeof(Row))
        self.rows[self.count] = Row(e, a, v)
        self.count += 1
        return 0

    cdef inline int push_end(self, int64_t row, int64_t ended) except -1:
        if self.end_count == self.end_room:
            self.end_room = max(16, 2 * self.end_room)
            self.ends = <Pair*> resized(self.ends, self.end_room * sizeof(Pair))
        self.ends[self.end_count] = Pair(row, ended)
        self.end_count += 1
        return 0

    cdef inline int push_tx(self, int64_t row, int64_t tx) except -1:
        if not self.count:
            self.tx_count = 0
        if self.tx_count == self.tx_room:
            self.tx_room = max(16, 2 * self.tx_room)
            self.txs = <Pair*> resized(self.txs, self.tx_room * sizeof(Pair))
        self.txs[self.tx_count] = Pair(row, tx)
        self.tx_count += 1
        return 0

    cdef void forget_after(self, int64_t row) noexcept:
        """Drop what is from a row on, which is of the newest transaction."""
        if row >= self.start:
            self.count = row - self.start
        else:
            self.start, self.count = row, 0
        while self.end_count and self.ends[self.end_count - 1].row >= row:
            self.end_count -= 1
        while self.tx_count and self.txs[self.tx_count - 1].row >= row:
            self.tx_count -= 1

    def write(self, segments, Py_ssize_t rows, Py_ssize_t ends):
        """Put the first rows, and what they end, into the columns."""
        write_facts(
            segments, self.start, <int64_t*> self.rows, rows, <int64_t*> self.txs, self.tx_count,
            <int64_t*> self.ends, ends
        )

    cdef void written(self, Py_ssize_t rows, Py_ssize_t ends) noexcept:
        """The first rows, and what they end, are in the columns."""
        self.count -= rows
        self.start += rows
        memmove(self.rows, self.rows + rows, self.count * sizeof(Row))
        self.end_count -= ends
        memmove(self.ends, self.ends + ends, self.end_count * sizeof(Pair))
        # The transaction that the next row may be of stays, and so does every later one.
        cdef Py_ssize_t gone = 0
        while gone + 1 < self.tx_count and self.txs[gone + 1].row <= self.start:
            gone += 1
        self.tx_count -= gone
        memmove(self.txs, self.txs + gone, self.tx_count * sizeof(Pair))
