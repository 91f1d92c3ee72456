# The items of a transaction that need no resolving: [:db/add e a v] and entity maps of numbers and plain values.

cdef enum:
    MAP_FACTS = 64  # of an entity map that is taken at once


cdef class Items:
    """Turns the items of one transaction into rows; what is not plain goes to the methods of `transaction`."""

    cdef readonly Writer transactor
    cdef readonly Staged staged
    cdef readonly object identities  # composites that find an entity by its parts
    cdef object schema  # that these are of
    cdef dict slots

    def __init__(self, Writer transactor):
        self.transactor = transactor
        self.slots = transactor.helds
        self.schema = None

    def run(self, Staged staged, tx_data):
        """Append the rows of the items. Raises TransactionError."""
        cdef list items = list(tx_data)
        self.staged = staged
        if self.schema is not self.transactor.schema:
            self.schema = self.transactor.schema
            self.identities = self.identities_of(self.schema)
        item = None
        try:
            for item in items:
                if self.may_bind(item):
                    self.bind_tempid(item)
            for item in items:
                if type(item) is tuple:
                    if not self.plain(<tuple> item):
                        self.operation(item)
                elif type(item) is Map or type(item) is dict:
                    if not self.plain_map(item):
                        self.entity_map(item)
                else:
                    self.other(item)
        except Exception as error:
            self.refuse_item(item, error)
            raise

    cdef bint may_bind(self, item) except -1:
        """Return whether an item may have a tempid."""
        if type(item) is tuple:
            return len(<tuple> item) <= 1 or type((<tuple> item)[1]) is not int or (<tuple> item)[1] < 0
        if type(item) is Map:
            entry = (<dict> item._entries).get(ID)
            return entry is not None and (type((<tuple> entry)[1]) is not int or (<tuple> entry)[1] < 0)
        if type(item) is dict:
            given = (<dict> item).get(ID, 0)
            return type(given) is not int or given < 0
        return True

    cdef bint plain(self, tuple item) except -1:
        """Assert [:db/add e a v] of a number and a value that is kept as it is; False if it is anything else."""
        cdef int64_t e
        cdef Writer writer = self.transactor
        if len(item) != 4 or item[0] is not ADD or type(item[1]) is not int or not natural_below(item[1], TX_BASE):
            return False
        held = self.slots.get(item[2]) if type(item[2]) is Keyword else None
        if held is None or not (<Held> held).takes(item[3]):
            return False
        e = item[1]
        writer.reserve(e)
        self.put(held, e, item[3])
        return True

    cdef inline int put(self, Held held, int64_t e, value) except -1:
        if held.way == ENTITY:
            self.transactor.reserve(value)
        return self.transactor.put(self.staged, held, e, value)

    cdef bint plain_map(self, item) except -1:
        """Assert an entity map of plain facts; False if it is another, with nothing done."""
        cdef PyObject* helds[MAP_FACTS]
        cdef PyObject* values[MAP_FACTS]
        cdef dict entries = item._entries if type(item) is Map else dict(item)  # which nobody else can change
        cdef bint pairs = type(item) is Map
        cdef Py_ssize_t position = 0, count = 0, i
        cdef PyObject *entry_key
        cdef PyObject *entry
        cdef PyObject *known
        cdef Writer writer = self.transactor
        cdef int64_t e
        given = None
        if self.identities or PyDict_Size(entries) > MAP_FACTS:
            return False
        while PyDict_Next(entries, &position, &entry_key, &entry):
            key = <object> entry_key
            known = PyTuple_GET_ITEM(<object> entry, 1) if pairs else entry
            if key is ID:
                given = <object> known
                if type(given) is not int or not natural_below(given, ENTITIES):
                    return False
                continue
            if type(key) is not Keyword:
                return False
            values[count] = known
            helds[count] = PyDict_GetItemWithError(self.slots, key)
            if helds[count] is NULL or not self.is_plain(<Held> helds[count], <object> known):
                return False
            count += 1
        if given is None:
            for i in range(count):
                if (<Held> helds[i]).identity:
                    return False
            e = writer.next_entity
            writer.next_entity += 1
        else:
            e = given
            writer.reserve(e)
        for i in range(count):
            self.put_all(<Held> helds[i], e, <object> values[i])
        return True

    cdef bint is_plain(self, Held held, value) except -1:
        """Return whether a value, or each of several, can be added as it is."""
        if held.takes(value):
            return True
        if held.many and type(value) is tuple and held.way != LOOK:
            for single in <tuple> value:
                if not held.takes(single):
                    return False
            return True
        return False

    cdef inline int put_all(self, Held held, int64_t e, value) except -1:
        if held.many and type(value) is tuple:
            for single in <tuple> value:
                self.put(held, e, single)
            return 0
        return self.put(held, e, value)
