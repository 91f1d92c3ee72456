# What is so now for one attribute: the live row of every entity, and the owner of every unique value. `live` tells more.

# How a value comes into a fact without a further look.
cdef enum Way:
    LOOK  # it may have something in it to resolve, to convert or to refuse
    SCALAR  # a value of one of `scalars` is kept as it is
    ENTITY  # a number is an entity


cdef inline bint magnitude_below(object number, int64_t bound):
    cdef int overflow = 0
    cdef int64_t value = PyLong_AsLongLongAndOverflow(number, &overflow)
    return not overflow and -bound < value < bound


cdef inline bint natural_below(object number, int64_t bound):
    cdef int overflow = 0
    cdef int64_t value = PyLong_AsLongLongAndOverflow(number, &overflow)
    return not overflow and 0 <= value < bound


cdef class Held:
    cdef readonly int64_t a
    cdef readonly object attribute, ident
    cdef readonly bint many, unique, identity, watched
    cdef readonly tuple composites
    cdef frozenset scalars
    cdef Way way
    cdef type taken  # the type that was last found among `scalars`
    cdef IdMap one  # entity -> live row and value, cardinality one
    cdef dict sets  # entity -> value -> live row, cardinality many
    cdef IdMap owners  # unique value -> entity
    cdef object base, asked, asked_values
    cdef int64_t fresh_from  # entities from here on, below transactions, are none of the base
    cdef Py_ssize_t misses
    cdef int64_t size  # facts of the base, -1 until it is asked for

    def __cinit__(self, int64_t a, attribute, schema, base):
        self.a = a
        self.attribute = attribute
        self.ident = attribute.ident
        self.many = attribute.many
        self.unique = attribute.unique is not None
        self.identity = attribute.unique is IDENTITY
        self.composites = tuple([found.ident for found in schema.composites_of(attribute.ident)])
        self.watched = bool(self.composites) or self.ident in SCHEMA_ATTRIBUTES or self.ident is EXCISE
        self.scalars = scalars_of(attribute)
        if attribute.tuple_attrs or attribute.tuple_types or attribute.tuple_type or self.ident is TX_INSTANT:
            self.way = LOOK
        else:
            self.way = ENTITY if attribute.is_ref else SCALAR
        self.taken = None
        self.one, self.sets, self.owners = IdMap(), {}, IdMap()
        self.base = base
        self.fresh_from = 0 if base is None else base.next_entity
        self.asked, self.asked_values = set(), set()
        self.misses = 0
        self.size = -1

    def __len__(self):
        """Return about how many facts are kept in memory."""
        return self.one.used + len(self.sets) + self.owners.used + len(self.asked) + len(self.asked_values)

    cdef inline bint takes(self, object value):
        """Return whether a value can be added as it is, without a further look."""
        cdef type kind = type(value)
        if self.way == SCALAR:
            if kind is not self.taken:
                if kind not in self.scalars:
                    return False
                self.taken = kind
            return kind is not int or magnitude_below(value, INLINE)
        return self.way == ENTITY and kind is int and natural_below(value, ENTITIES)

    # -- for the writer --

    cdef inline Slot* row_of(self, int64_t e) except? NULL:
        """Return the live fact of an entity, cardinality one; NULL if there is none."""
        cdef Slot* found = self.one.find(e)
        if found is NULL and self.base is not None and self.unasked(e):
            return self.one.find(e)
        return found

    cdef dict values_at(self, int64_t e):
        """Return value -> live row of an entity, cardinality many; the caller may change it."""
        found = self.sets.get(e)
        if found is None:
            if self.base is not None:
                self.unasked(e)
            found = self.sets.setdefault(e, {})
        return found

    cdef int64_t owner_of(self, int64_t v) except? -1:
        """Return the entity that has a unique value, -1 if none has."""
        cdef Slot* found = self.owners.find(v)
        if found is NULL and self.base is not None and v not in self.asked_values:
            if not self.read_all_if_often():
                self.asked_values.add(v)
                database = self.base.database
                for row in database.rows(None, self.a, v).tolist():
                    self.owners.put(v, database.facts.e_at(row) >> 1, 0)
            found = self.owners.find(v)
        return -1 if found is NULL else found.first

    cdef int gone(self, int64_t e, int64_t v) except -1:
        """A live fact is none any more."""
        if self.unique and self.owner_of(v) == e:
            self.owners.drop(v)
        if self.many:
            self.values_at(e).pop(v, None)
        else:
            self.one.drop(e)
        return 0

    cdef int noted(self, int64_t e, int64_t v, int64_t row) except -1:
        """A fact is live in a row."""
        if self.many:
            self.values_at(e)[v] = row
        else:
            self.one.put(e, v, row)
        if self.unique:
            self.owners.put(v, e, 0)
        return 0

    # -- for Python --

    def live(self, int64_t e):
        """Return the ids of the values an entity has now."""
        cdef Slot* found
        if self.many:
            return list(self.values_at(e))
        found = self.row_of(e)
        return [] if found is NULL else [found.first]

    def owner(self, int64_t v):
        """Return the entity that has a unique value."""
        cdef int64_t e = self.owner_of(v)
        return None if e < 0 else e

    # -- the facts that were there before the writer --

    cdef bint unasked(self, int64_t e) except -1:
        """Read an entity's facts of the base on first use; return whether there was something to ask."""
        if self.fresh_from <= e < TX_BASE or e in self.asked:
            return False
        if not self.read_all_if_often():
            self.asked.add(e)
            database = self.base.database
            for row in database.rows(e << 1, self.a).tolist():
                self.fill(e, database.facts.v_at(row), row)
        return True

    cdef int fill(self, int64_t e, int64_t v, int64_t row) except -1:
        if self.many:
            self.sets.setdefault(e, {})[v] = row
        else:
            self.one.put(e, v, row)
        return 0

    cdef bint read_all_if_often(self) except -1:
        """Read the whole attribute once it has been asked for often; return whether it was."""
        self.misses += 1
        if self.misses <= LOOKUP_MISSES_MAX:
            return False
        if self.size < 0:
            self.size = self.base.database.count(None, self.a, None)
        if self.size > HELD_READ_MAX:
            return False
        database, self.base = self.base.database, None
        rows = database.rows(None, self.a)
        entities, values = database.facts.e[rows] >> 1, database.facts.v[rows]
        for e, v, row in zip(entities.tolist(), values.tolist(), rows.tolist(), strict=True):
            if e not in self.asked:  # what was asked for may have changed since
                self.fill(e, v, row)
            if self.unique and v not in self.asked_values:
                self.owners.put(v, e, 0)
        return True
