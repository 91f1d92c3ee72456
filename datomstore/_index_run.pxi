# A run: rows that do not change any more, as columns, with the orders that were asked for.

cdef class Order:
    """Offsets of rows in one order: those that were live, and those that were not."""

    cdef readonly object current
    cdef readonly object past
    cdef OffsetsPointer[2] rows
    cdef int64_t[2] counts
    cdef object bounds  # what `starts` point to
    cdef IdsPointer[2] starts  # where each attribute begins; only where attributes are the first key
    cdef int64_t names  # attributes numbered below this occur
    cdef object dense  # by attribute: 1 where its keys follow one another without a gap, 2 where not, 0 unknown

    def __init__(self, current, past, Column first, bint by_name):
        cdef int64_t part
        self.current = np.ascontiguousarray(current, np.uint32)
        self.past = np.ascontiguousarray(past, np.uint32)
        self.bounds = []
        self.names = 0
        self.starts[0] = self.starts[1] = NULL
        for part, rows in enumerate((self.current, self.past)):
            self.rows[part] = <const uint32_t *> cnp.PyArray_DATA(<cnp.ndarray> rows)
            self.counts[part] = len(rows)
            if by_name and len(rows):
                self.names = max(self.names, code_at(&first.it, self.rows[part][len(rows) - 1]) + 1)
        if by_name:
            for part in range(2):
                self.bounds.append(self.starts_of(first, part))
                self.starts[part] = ids_in(self.bounds[part])
            self.dense = np.zeros(self.names, np.int8)

    cdef cnp.ndarray starts_of(self, Column first, int64_t part):
        cdef cnp.ndarray made = empty_ids(self.names + 1)
        cdef int64_t *starts = ids_in(made)
        cdef int64_t name, at = 0
        for name in range(self.names):
            at = leap(&first.it, self.rows[part], at, self.counts[part], name)
            starts[name] = at
        starts[self.names] = self.counts[part]
        return made

    cdef inline void window(self, int64_t part, int64_t name, int64_t *low, int64_t *high) noexcept:
        """Say where the rows of an attribute stand."""
        if 0 <= name < self.names:
            low[0], high[0] = self.starts[part][name], self.starts[part][name + 1]
        else:
            low[0] = high[0] = 0


cdef class Run:
    """Rows [start, end) as columns, and their sorted orders."""

    cdef readonly int64_t start
    cdef readonly int64_t end
    cdef readonly Column e
    cdef readonly Column a
    cdef readonly Column v
    cdef readonly object t_offsets
    cdef readonly object t_ids
    cdef readonly object past  # offsets of the rows that were not live, ascending
    cdef readonly int64_t past_until
    cdef readonly object references
    cdef readonly object integers
    cdef list orders
    cdef object lock
    cdef object linked  # by number of an attribute: whether VAET has its rows
    cdef object whole  # by number of an attribute: whether all its values are integers that are their own codes
    cdef object tops  # by number of an attribute: the largest such code below the transactions', or -1
    cdef int64_t entity_top  # the largest entity that is no transaction

    def __init__(
        self,
        int64_t start,
        Column e,
        Column a,
        Column v,
        t_offsets,
        t_ids,
        orders=None,
        *,
        past=None,
        int64_t past_until=0,
        references=None,
        integers=None,
    ):
        if not len(e) == len(a) == len(v):
            raise ValueError("columns of a run are equally long")
        if start < 0 or start + len(e) >= ROWS_MAX:
            raise ValueError(f"rows are numbered below {ROWS_MAX}")
        if len(t_offsets) != len(t_ids) or (len(e) and (not len(t_ids) or t_offsets[0] != 0)):
            raise ValueError("every row has a transaction")
        if a.it.rule != RULE_NAMED:
            raise ValueError("attributes are numbered")
        self.start, self.end = start, start + len(e)
        self.e, self.a, self.v = e, a, v
        self.t_offsets = np.ascontiguousarray(t_offsets, np.uint32)
        self.t_ids = as_ids(t_ids)
        self.past = np.ascontiguousarray([] if past is None else past, np.uint32)
        self.past_until = past_until
        self.references, self.integers = references, integers
        self.lock = Lock()
        self.orders = [None] * 4
        for name, (current, ended) in (orders or {}).items():
            self.orders[_NAMES[name]] = self.order_of(_NAMES[name], current, ended)

    def __len__(self):
        return self.end - self.start

    def __repr__(self):
        return f"Run({self.start}, {self.end})"

    cdef void point(self, CodesPointer *columns) noexcept:
        columns[0], columns[1], columns[2] = &self.e.it, &self.a.it, &self.v.it

    cdef Order order_of(self, int64_t order, current, past):
        """The caller vouches for the offsets: they are not looked at here, for they may be in a large file."""
        return Order(current, past, self.a, order == AEVT or order == AVET)

    @property
    def nbytes(self):
        """Return how much memory columns and orders take."""
        arrays = [self.e.codes, self.a.codes, self.v.codes, self.t_offsets, self.t_ids, self.past]
        for order in self.orders:
            if order is not None:
                arrays += [order.current, order.past]
        return sum(array.nbytes for array in arrays)

    def has_order(self, name):
        """Return whether an order is there already."""
        return self.orders[_NAMES[name]] is not None

    def drop_order(self, name):
        """Let go of an order; it is made again when it is needed."""
        self.orders[_NAMES[name]] = None

    def order(self, name):
        """Return (rows that were live, rows that were not) in an order, which is made if it is not there."""
        cdef Order found = self.need(_NAMES[name])
        return found.current, found.past

    cdef Order need(self, int64_t order):
        found = self.orders[order]
        if found is None:
            with self.lock:
                found = self.orders[order]
                if found is None:
                    found = self.orders[order] = self.made(order)
        return <Order> found

    cdef Order made(self, int64_t order):
        """Sort; what another order has sorted already is not sorted again."""
        cdef CodesPointer[3] columns
        cdef Order other
        cdef int64_t sorted_keys = 0
        self.point(columns)
        parts = None
        for name, keys in ((AEVT, 1 if order == AVET else 2), (EAVT, 2 if order == AEVT else 1)):
            if name != order and self.orders[name] is not None:
                other = self.orders[name]
                parts, sorted_keys = (other.current, other.past), keys
                break
        if parts is None:
            live = np.arange(self.end - self.start, dtype=np.uint32)
            if len(self.past):
                mask = np.ones(len(live), np.bool_)
                mask[self.past] = False
                live = live[mask]
            parts = live, self.past
        if order == VAET:
            linked = self.linked_now()
            parts = tuple(part[linked[self.a.codes[part]]] for part in parts)
        current = sorted_rows(order, columns, parts[0], sorted_keys)
        past = sorted_rows(order, columns, parts[1], sorted_keys)
        return self.order_of(order, current, past)

    # -- what is known of attributes --

    cdef object linked_now(self):
        if self.linked is None:
            self.profile()
        return self.linked

    cdef int profile(self) except -1:
        """Look at all rows once: which attributes have integers only, and how large."""
        cdef int64_t names = self.a.it.lut_count
        cdef int64_t i, name, v
        cdef int64_t count = self.end - self.start
        cdef cnp.ndarray tops = empty_ids(names)
        cdef cnp.ndarray wholes = np.ones(names, np.uint8)
        cdef cnp.ndarray links = np.ones(names, np.uint8)
        cdef int64_t *top = ids_in(tops)
        cdef uint8_t *whole = <uint8_t *> cnp.PyArray_DATA(wholes)
        cdef uint8_t *link = <uint8_t *> cnp.PyArray_DATA(links)
        cdef const Codes *attributes = &self.a.it
        cdef const Codes *values = &self.v.it
        stored = self.v.it.rule == RULE_STORED
        if stored and self.integers is not None and self.references is not None:
            wholes[:] = np.isin(self.a.table.lut[:names], self.integers)
            links[:] = np.isin(self.a.table.lut[:names], self.references)
            tops[:] = -2  # to be looked up in AVET
        else:
            tops[:] = -1
            with nogil:
                for i in range(count):
                    name, v = code_at(attributes, i), code_at(values, i)
                    if v & 1:
                        whole[name] = link[name] = 0
                    elif v < 0:
                        link[name] = 0
                    elif v > top[name] and v < TX_FIRST << 1:
                        top[name] = v
            if self.references is not None:
                links[:] = np.isin(self.a.table.lut[:names], self.references)
        self.tops, self.whole = tops, wholes.astype(np.bool_)
        self.linked = links.astype(np.bool_)
        return 0

    cdef bint is_whole(self, int64_t name) except *:
        if self.whole is None:
            self.profile()
        return self.whole[name]

    def highest_entity(self, references):
        """Return the largest entity, transactions aside, among entities and values of attributes (ids); -1 for none."""
        cdef int64_t best = self.highest_subject()
        cdef int64_t name
        if self.tops is None:
            self.profile()
        for reference in references:
            name = self.a.encoded(reference)
            if 0 <= name < len(self.tops):
                found = self.tops[name]
                best = max(best, (self.highest_value(name) if found == -2 else found) >> 1)
        return best

    cdef int64_t highest_subject(self) except? -2:
        cdef int64_t i, code, best = -1
        cdef Order order
        cdef int64_t part
        if self.entity_top:
            return self.entity_top - 2
        if self.orders[EAVT] is not None and self.e.it.rule == RULE_ENTITY:
            order = self.orders[EAVT]
            for part in range(2):
                if order.counts[part]:
                    code = code_at(&self.e.it, order.rows[part][order.counts[part] - 1])
                    best = max(best, code)
        else:
            for i in range(self.end - self.start):
                code = id_of(&self.e.it, code_at(&self.e.it, i)) >> 1
                if best < code < TX_FIRST:
                    best = code
        self.entity_top = best + 2
        return best

    cdef int64_t highest_value(self, int64_t name) except? -2:
        """Look for the largest reference of an attribute at the end of its part of AVET."""
        cdef Order order = self.need(AVET)
        cdef int64_t part, low, high, at, best = -1
        for part in range(2):
            order.window(part, name, &low, &high)
            at = lower(&self.v.it, order.rows[part], low, high, TX_FIRST << 1)
            while at > low and code_at(&self.v.it, order.rows[part][at - 1]) & 1:
                at -= 1
            if at > low:
                best = max(best, code_at(&self.v.it, order.rows[part][at - 1]))
            for boxed in self.v.table.boxed_between(0, (TX_FIRST << 1) - 2).tolist():
                at = lower(&self.v.it, order.rows[part], low, high, self.v.encoded(boxed))
                if at < high and code_at(&self.v.it, order.rows[part][at]) == self.v.encoded(boxed):
                    best = max(best, <int64_t> boxed)
        return best

    # -- facts as they come, without what ended them --

    def ends(self, retractions):
        """Return (rows, rows that ended them) of facts in the order of a log, and whether no two are the same.

        `retractions` says for each row whether it is one. Rows are offsets. All rows must be in the first part.
        """
        cdef Order order = self.need(EAVT)
        cdef cnp.ndarray is_retraction = np.ascontiguousarray(retractions, np.uint8)
        cdef const uint8_t *gone = <const uint8_t *> cnp.PyArray_DATA(is_retraction)
        cdef const uint32_t *rows = order.rows[0]
        cdef int64_t i, one, other
        cdef list ended = []
        cdef list by = []
        cdef bint distinct = True
        for i in range(order.counts[0] - 1):
            one, other = rows[i], rows[i + 1]
            if (
                code_at(&self.e.it, one) == code_at(&self.e.it, other)
                and code_at(&self.a.it, one) == code_at(&self.a.it, other)
                and code_at(&self.v.it, one) == code_at(&self.v.it, other)
            ):
                if gone[other] and not gone[one]:
                    ended.append(one)
                    by.append(other)
                else:
                    distinct = False
        return ended, by, distinct
