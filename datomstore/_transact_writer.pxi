# The writer: a transaction's rows by cardinality and uniqueness, its commit and its undoing. `transactor` has the rest.

cdef class Staged:
    """One transaction that has rows but is not committed."""

    cdef readonly int64_t t, tx, start  # start: its first row
    cdef readonly object schema_before
    cdef int64_t instant_before
    cdef public int64_t instant_ms
    cdef public int64_t end  # row after the last
    cdef readonly dict tempids
    cdef readonly list reshaped  # attributes kept in another way since
    # These are None while there is nothing in them.
    cdef dict _ends  # row of a retraction -> the row it ends
    cdef readonly dict touched  # composites to renew: (attribute, entity) -> None
    cdef readonly dict properties_of  # entities of attributes changed -> None
    cdef readonly dict excisions  # entities that ask for some -> None
    cdef public object schema_after
    cdef public object excised  # the rows they ask to remove
    cdef public bytes root  # after it, once its bytes are known
    cdef bytes root_before

    @property
    def instant_before(self):
        return self.instant_before

    @property
    def ends(self):
        return self._ends or {}

    cdef void watch(self, Held held, int64_t e):
        """Note what a change of an attribute that is watched makes necessary."""
        if self.touched is None:
            self.touched, self.properties_of, self.excisions = {}, {}, {}
        for composite in held.composites:
            self.touched[composite, e] = None
        if held.ident in SCHEMA_ATTRIBUTES:
            self.properties_of[e] = None
        elif held.ident is EXCISE:
            self.excisions[e] = None


cdef class Writer:
    """Appends rows to a Facts. Not thread-safe: its owner lets one transaction in at a time; anybody may read."""

    cdef object columns  # the Facts
    cdef readonly list schemas  # (t, schema from then on), shared with database values
    cdef readonly object tx_ends, roots  # appended to, shared like `schemas`; roots is None if this is no stream's
    cdef public object schema
    cdef readonly int64_t t, rows  # staged ones included
    cdef public int64_t instant_ms  # of the newest transaction; time does not run backwards in a stream
    cdef readonly dict helds
    cdef dict helds_by_id
    cdef public object base
    cdef public int64_t next_entity
    cdef public object resolver
    cdef Pending pending
    cdef list staged
    cdef bytes newest_root
    cdef object committed  # the database, None until somebody asks for it
    cdef int64_t committed_t, committed_end
    cdef object committed_schema
    cdef object gate  # of what moves rows into the columns, which readers do, too
    cdef int64_t known_ms, known_instant  # the last instant, and its id

    def __init__(self, facts, schemas, tx_ends, *, base=None, roots=None):
        self.columns = facts
        self.roots = roots
        self.schemas = schemas
        self.schema = self.committed_schema = schemas[-1][1]
        self.tx_ends = tx_ends
        self.t = self.committed_t = tx_ends[-1][0] if len(tx_ends) else 0
        self.rows = self.committed_end = facts.count
        self.instant_ms = 0
        self.helds, self.helds_by_id = {}, {}
        self.pending = Pending(self.rows)
        self.staged = []
        self.newest_root = None  # as it is when somebody asks: `roots` may be filled meanwhile
        self.gate = RLock()
        self.known_ms = -1
        self.committed = base

    # -- what readers see --

    @property
    def facts(self):
        """Return the facts, with every row in their columns."""
        self.flush()
        return self.columns

    def database(self):
        """Return the committed database."""
        cdef int64_t t
        found = self.committed
        if found is not None:
            return found
        t, end, schema = self.committed_t, self.committed_end, self.committed_schema
        made = self.view(t, end, schema)
        if self.committed is None and self.committed_t == t:
            self.committed = made
        return made

    def staged_database(self):
        """Return the database with all staged transactions, complete once they are committed."""
        return self.view(self.t, self.rows, self.schema)

    cdef object view(self, int64_t t, int64_t end, schema):
        if end > self.pending.start:
            self.flush()
        return Database(
            self.columns, schema, self.tx_ends, basis_t=t, count=end, schemas=self.schemas, roots=self.roots
        )

    def flush(self):
        """Move all rows into the columns."""
        cdef Pending pending = self.pending
        cdef Py_ssize_t rows, ends
        with self.gate:
            rows, ends = pending.count, pending.end_count
            if rows:
                self.columns.take(pending, rows, ends)
                pending.written(rows, ends)
            # The writer may have committed more meanwhile: those rows are not in the columns yet.
            end = min(self.committed_end, pending.start)
            if self.columns.count < end:
                self.columns.count = end

    @property
    def committed_rows(self):
        """Return how many rows are committed."""
        return self.committed_end

    def rebase(self, tx_ends, roots):
        """Take other sequences that say the same; new database values share these."""
        assert not self.staged, "nothing is staged while the write lock is free"
        self.tx_ends, self.roots = tx_ends, roots
        self.committed = None

    def forget(self):
        """Let go of what is so now: it is looked up again when it is asked for."""
        assert not self.staged, "nothing is staged while the write lock is free"
        self.helds.clear()  # the resolver has this dictionary, too
        self.helds_by_id.clear()

    @property
    def root(self):
        """Return the root after the newest transaction whose bytes are known."""
        if self.newest_root is None:
            self.newest_root = self.roots[-1] if self.roots else EMPTY_ROOT
        return self.newest_root

    @property
    def staged_count(self):
        """Return how many transactions are not committed."""
        return len(self.staged)

    def attributes_of(self, int64_t start, int64_t end):
        """Return the ids of the attributes of the rows between two."""
        cdef int64_t row
        cdef set found
        if start < self.pending.start:
            return self.facts.attributes_of(start, end)
        found = set()
        for row in range(start - self.pending.start, end - self.pending.start):
            found.add(self.pending.rows[row].a)
        return found

    # -- the life of a transaction --

    def begin(self, int64_t t, int64_t instant_ms):
        """Begin a transaction."""
        cdef Staged staged = Staged.__new__(Staged)
        staged.t, staged.tx, staged.start = t, TX_BASE + t, self.rows
        staged.schema_before, staged.instant_before = self.schema, self.instant_ms
        staged.tempids, staged.reshaped = {}, []
        staged.root_before = self.newest_root
        self.instant_ms = staged.instant_ms = max(instant_ms, self.instant_ms)
        self.staged.append(staged)
        self.t = t
        self.pending.push_tx(self.rows, staged.tx << 1)
        return staged

    def stage(self, int64_t now_ms, meta, Items items, tx_data):
        """Append the rows of a transaction, without showing them. Raises TransactionError, nothing changed."""
        cdef Staged staged = self.begin(self.t + 1, now_ms)
        try:
            self.append(staged.tx, TX_INSTANT_ID, self.instant_id(staged.instant_ms))
            if meta:
                for attribute, value in meta.items():
                    self.put(staged, self.held(attribute), staged.tx, value)
            items.run(staged, tx_data)
            if staged.touched is not None:
                self.settle(staged)
            self.finish(staged)
        except BaseException:
            self.rollback(staged)
            raise
        return staged

    def finish(self, Staged staged):
        """Note that a transaction has all its rows."""
        staged.end = self.rows
        staged.schema_after = self.schema

    cdef int64_t instant_id(self, int64_t ms) except -1:
        if ms != self.known_ms:
            self.known_instant = intern_id(EPOCH + timedelta(milliseconds=ms))
            self.known_ms = ms
        return self.known_instant

    def move_instant(self, Staged staged, int64_t ms):
        """Give a staged transaction another instant."""
        cdef int64_t v = self.instant_id(ms)
        staged.instant_ms = self.instant_ms = ms
        with self.gate:
            if staged.start >= self.pending.start:
                self.pending.rows[staged.start - self.pending.start].v = v
            else:
                self.columns.replace_value(staged.start, v)

    def record(self, Staged staged):
        """Return the bytes of a staged transaction, and note the root after it. Raises CodecError."""
        blob = None
        if staged.start >= self.pending.start:
            blob = record_of(self.pending, staged, self.instant_id(staged.instant_ms))
        if blob is None:
            blob = encode_record(staged.instant_ms, self.facts, slice(staged.start, staged.end))
        staged.root = self.newest_root = sha256(self.root + sha256(blob).digest()).digest()
        return blob

    def set_root(self, Staged staged, bytes root):
        """Note another root after the newest transaction: what it follows was rewritten."""
        staged.root = self.newest_root = root

    def commit(self, Staged staged):
        """Show the rows of the oldest staged transaction to new database values."""
        assert self.staged[0] is staged, "transactions commit in the order they were staged"
        assert staged.schema_after is not None, "a transaction is staged to its end before it is committed"
        assert self.roots is None or staged.root is not None, "a stream's transaction has bytes"
        del self.staged[0]
        if staged.schema_after is not staged.schema_before:
            self.schemas.append((staged.t, staged.schema_after))
        if self.roots is not None:
            self.roots.append(staged.root)
        if type(self.tx_ends) is Ends:
            (<Ends> self.tx_ends).push(staged.end)
        else:
            self.tx_ends.append((staged.t, staged.end))
        self.committed_t, self.committed_end, self.committed_schema = staged.t, staged.end, staged.schema_after
        self.committed = None
        if self.pending.count > PENDING_ROWS_MAX:
            self.flush()
        elif self.pending.start >= staged.end:
            self.columns.count = staged.end

    def rollback(self, Staged staged):
        """Take back the newest staged transaction."""
        cdef int64_t row
        cdef Held held
        assert self.staged[len(self.staged) - 1] is staged, "the newest transaction is taken back first"
        with self.gate:
            self.staged.pop()
            for row in range(self.rows - 1, staged.start - 1, -1):
                self.undo(staged, row)
            if staged.start < self.pending.start:
                self.columns.take_back(staged.start)
            self.pending.forget_after(staged.start)
            self.rows = staged.start
        self.t = staged.t - 1
        self.instant_ms = staged.instant_before
        self.newest_root = staged.root_before
        self.schema = staged.schema_before
        for ident in staged.reshaped:
            self.reshape(ident)

    cdef int undo(self, Staged staged, int64_t row) except -1:
        cdef int64_t e, a, v
        cdef Held held
        cdef Row* found
        if row >= self.pending.start:
            found = &self.pending.rows[row - self.pending.start]
            e, a, v = found.e >> 1, found.a, found.v
        else:
            e, a, v = self.columns.e_at(row) >> 1, int(self.columns.a[row]), self.columns.v_at(row)
        held = self.helds_by_id.get(a)
        if held is None:
            held = self.held(value_at(a))
        ended = staged._ends.get(row) if staged._ends is not None else None
        if ended is None:
            held.gone(e, v)
        else:
            held.noted(e, v, ended)
            if row < self.pending.start:
                self.columns.live_again(ended)
        return 0

    # -- rows --

    def held(self, ident):
        """Return what is so now for an attribute."""
        found = self.helds.get(ident)
        return self.make_held(ident) if found is None else found

    def keep(self, Held held):
        """Have what is so now for an attribute from now on."""
        self.helds[held.ident] = self.helds_by_id[held.a] = held

    def new_entity(self):
        """Return a fresh entity id."""
        self.next_entity += 1
        return self.next_entity - 1

    def reserve_entity(self, int64_t e):
        """Never give out an id that the transaction data names itself."""
        self.reserve(e)

    cdef inline int reserve(self, int64_t e) except -1:
        if self.next_entity <= e < TX_BASE:
            self.next_entity = e + 1
        return 0

    def append(self, int64_t e, int64_t a, int64_t v):
        """Append a row as it is."""
        self.pending.push(e << 1, a, v)
        self.rows += 1

    def add(self, Staged staged, Held held, int64_t e, value):
        """Append a fact unless it is so already; a cardinality-one value ends the one before."""
        self.put(staged, held, e, value)

    cdef int put(self, Staged staged, Held held, int64_t e, value) except -1:
        cdef int64_t v = intern_id(value), owner, before, row
        cdef Slot* found
        cdef dict values
        if held.unique:
            owner = held.owner_of(v)
            if owner >= 0 and owner != e:
                raise unique_conflict(held.ident, value, owner, e)
        if held.many:
            values = held.values_at(e)
            if v in values:
                return 0
            values[v] = self.rows
        else:
            found = held.row_of(e)
            if found is not NULL:
                before, row = found.first, found.second
                if before == v:
                    return 0
                self.cease(staged, held, e, before, row)
            held.one.put(e, v, self.rows)
        if held.unique:
            held.owners.put(v, e, 0)
        if held.watched:
            staged.watch(held, e)
        self.pending.push(e << 1, held.a, v)
        self.rows += 1
        return 0

    def end(self, Staged staged, Held held, int64_t e, int64_t v):
        """Append a retraction of a live fact; nothing when it is not live."""
        cdef Slot* found
        if held.many:
            row = held.values_at(e).get(v)
            if row is not None:
                self.cease(staged, held, e, v, row)
        else:
            found = held.row_of(e)
            if found is not NULL and found.first == v:
                self.cease(staged, held, e, v, found.second)

    cdef int cease(self, Staged staged, Held held, int64_t e, int64_t v, int64_t row) except -1:
        held.gone(e, v)
        if held.watched:
            staged.watch(held, e)
        if staged._ends is None:
            staged._ends = {}
        staged._ends[self.rows] = row
        self.pending.push(e << 1, held.a, v)
        self.pending.push_end(self.rows, row)
        self.rows += 1
        return 0


cdef object unique_conflict(ident, value, owner, e):
    return UniqueConflict(
        f"{ident!r} {value!r} is unique and belongs to entity {owner}, not {e}", rule="db/unique", datom=(e, ident, value)
    )
