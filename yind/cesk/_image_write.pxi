# The writer of images.
#
# Is:     msgpack into growing buffers, and the walk over a state's objects.
# Is not: the form, which `_image.pxi` explains.
# Fits:   `image_of` calls `write_state` without the GIL. Its memory is not the agent's: a full agent has an image too.
#
# The walk is depth-first with a stack of its own; a table from address to number says what is written. Of texts only
# those with more than one reference are in it: the others are met once.

cdef struct Output:
    uint8_t *bytes  # owned
    size_t length
    size_t capacity
    bint failed  # no memory: what follows is lost

cdef struct Seen:
    Object *object  # NULL: free
    uint32_t number  # OPEN until it is written

cdef struct Visit:
    Object *object
    uint32_t next  # child to look at

cdef struct Writer:
    State *state
    Output head
    Output objects
    Output roots
    Output *out  # objects or roots
    uint32_t count  # objects written
    uint32_t items  # msgpack values in `objects`
    Seen *seen  # owned; open addressing
    size_t seen_count
    size_t seen_capacity  # a power of two
    Visit *stack  # owned
    size_t depth
    size_t stack_capacity
    Object **cells  # owned; atoms and lazy seqs, in the order of their numbers
    size_t cell_count
    size_t cell_capacity
    const char *problem

cdef enum:
    OPEN = 0xFFFFFFFF
    HASH_KEY_BYTES = 16
    OBJECTS_MAX = 0xFFFFFFF0


cdef void writer_free(Writer *writer) noexcept nogil:
    c_free(writer.head.bytes)
    c_free(writer.objects.bytes)
    c_free(writer.roots.bytes)
    c_free(writer.seen)
    c_free(writer.stack)
    c_free(writer.cells)


# ---- msgpack, always the shortest form

cdef uint8_t *room(Output *out, size_t size) noexcept nogil:
    """Return the place for `size` more bytes, or NULL."""
    cdef size_t capacity = out.capacity
    cdef uint8_t *bytes
    if unlikely(out.length + size > capacity):
        capacity = capacity * 2 + size + 512
        bytes = NULL if out.failed else <uint8_t *> c_realloc(out.bytes, capacity)
        if bytes == NULL:
            out.failed = True
            return NULL
        out.bytes = bytes
        out.capacity = capacity
    bytes = out.bytes + out.length
    out.length += size
    return bytes


cdef inline void put_big_endian(uint8_t *bytes, uint64_t number, uint32_t size) noexcept nogil:
    cdef uint32_t i
    for i in range(size):
        bytes[i] = <uint8_t> (number >> (8 * (size - 1 - i)))


cdef void out_head(Output *out, uint8_t first, uint64_t number, uint32_t size) noexcept nogil:
    """Write a first byte and a number of `size` bytes, big endian."""
    cdef uint8_t *bytes = room(out, 1 + size)
    if likely(bytes != NULL):
        bytes[0] = first
        put_big_endian(bytes + 1, number, size)


cdef void out_integer(Output *out, int64_t number) noexcept nogil:
    if -32 <= number < 128:
        out_head(out, <uint8_t> (number & 0xFF), 0, 0)
    elif number > 0:
        if number < 1 << 8:
            out_head(out, 0xCC, number, 1)
        elif number < 1 << 16:
            out_head(out, 0xCD, number, 2)
        elif number < <int64_t> 1 << 32:
            out_head(out, 0xCE, number, 4)
        else:
            out_head(out, 0xCF, number, 8)
    elif number >= -(1 << 7):
        out_head(out, 0xD0, number, 1)
    elif number >= -(1 << 15):
        out_head(out, 0xD1, number, 2)
    elif number >= -(<int64_t> 1 << 31):
        out_head(out, 0xD2, number, 4)
    else:
        out_head(out, 0xD3, number, 8)


cdef void out_real(Output *out, double real) noexcept nogil:
    cdef uint64_t bits
    memcpy(&bits, &real, 8)
    if isnan(real):
        bits = CANONICAL_NAN  # a program cannot tell one from another
    out_head(out, 0xCB, bits, 8)


cdef void out_content(Output *out, const uint8_t *content, size_t length) noexcept nogil:
    cdef uint8_t *bytes = room(out, length)
    if bytes != NULL and length > 0:
        memcpy(bytes, content, length)


cdef void out_bytes_head(Output *out, uint8_t first, size_t length) noexcept nogil:
    """Write the head of a bin (first = 0xC4) or str (0xD9)."""
    if first == 0xD9 and length < 32:
        out_head(out, <uint8_t> (0xA0 | length), 0, 0)
    elif length < 1 << 8:
        out_head(out, first, length, 1)
    elif length < 1 << 16:
        out_head(out, first + 1, length, 2)
    else:
        out_head(out, first + 2, length, 4)


cdef void out_bytes(Output *out, uint8_t first, const uint8_t *content, size_t length) noexcept nogil:
    """Write a bin (first = 0xC4) or str (0xD9)."""
    out_bytes_head(out, first, length)
    out_content(out, content, length)


cdef void out_ext_head(Output *out, uint8_t kind, size_t length) noexcept nogil:
    if length == 1:
        out_head(out, 0xD4, kind, 1)
    elif length == 2:
        out_head(out, 0xD5, kind, 1)
    elif length == 4:
        out_head(out, 0xD6, kind, 1)
    elif length == 8:
        out_head(out, 0xD7, kind, 1)
    elif length == 16:
        out_head(out, 0xD8, kind, 1)
    else:
        out_ext_length(out, length)
        out_content(out, &kind, 1)


cdef void out_ext_length(Output *out, size_t length) noexcept nogil:
    if length < 1 << 8:
        out_head(out, 0xC7, length, 1)
    elif length < 1 << 16:
        out_head(out, 0xC8, length, 2)
    else:
        out_head(out, 0xC9, length, 4)


cdef void out_ext_number(Output *out, uint8_t kind, uint32_t number) noexcept nogil:
    cdef uint32_t size = 1 if number < 1 << 8 else 2 if number < 1 << 16 else 4
    cdef uint8_t *bytes
    out_ext_head(out, kind, size)
    bytes = room(out, size)
    if likely(bytes != NULL):
        put_big_endian(bytes, number, size)


cdef void out_array(Output *out, uint32_t length) noexcept nogil:
    if length < 16:
        out_head(out, <uint8_t> (0x90 | length), 0, 0)
    elif length < 1 << 16:
        out_head(out, 0xDC, length, 2)
    else:
        out_head(out, 0xDD, length, 4)


# ---- which objects are written

cdef inline size_t seen_place(Writer *writer, Object *object) noexcept nogil:
    """Return the place of an object in the table, or the free place where it belongs.

    Neighbours in a 64 KiB block of memory are neighbours in the table, which is what caches like; blocks are scattered.
    """
    cdef size_t mask = writer.seen_capacity - 1
    cdef uint64_t block = (<uint64_t> object >> 16) * 0x9E3779B97F4A7C15ULL >> 24
    cdef size_t place = <size_t> (block + (<uint64_t> object >> 4)) & mask
    while writer.seen[place].object != NULL and writer.seen[place].object != object:
        place = (place + 1) & mask
    return place


cdef bint seen_grow(Writer *writer) noexcept nogil:
    cdef Seen *old = writer.seen
    cdef size_t old_capacity = writer.seen_capacity
    cdef size_t capacity = old_capacity * 2 if old_capacity else 256
    cdef size_t i
    writer.seen = <Seen *> c_malloc(capacity * sizeof(Seen))
    if writer.seen == NULL:
        writer.seen = old
        return False
    memset(writer.seen, 0, capacity * sizeof(Seen))
    writer.seen_capacity = capacity
    for i in range(old_capacity):
        if old[i].object != NULL:
            writer.seen[seen_place(writer, old[i].object)] = old[i]
    c_free(old)
    return True


cdef Seen *seen_entry(Writer *writer, Object *object) noexcept nogil:
    """Return the entry of an object, a new one (OPEN and counted) if there is none; NULL without memory."""
    cdef Seen *entry
    if writer.seen_count * 2 >= writer.seen_capacity and not seen_grow(writer):
        return NULL
    entry = &writer.seen[seen_place(writer, object)]
    if entry.object == NULL:
        entry.object = object
        entry.number = OPEN
        writer.seen_count += 1
    return entry


cdef inline void set_number(Writer *writer, Object *object) noexcept nogil:
    """Give the next number to an object that has an entry."""
    writer.seen[seen_place(writer, object)].number = writer.count
    writer.count += 1


# ---- fields

cdef inline void write_number(Writer *writer, int64_t number) noexcept nogil:
    writer.items += 1
    out_integer(writer.out, number)


cdef inline void write_nil(Writer *writer) noexcept nogil:
    writer.items += 1
    out_head(writer.out, 0xC0, 0, 0)


cdef inline uint32_t packed(State *state, CodeInfo *code, uint32_t number) noexcept nogil:
    """Return how an image names a function or arity, by its number in the session."""
    return 2 * number + <uint32_t> (code == state.core)


cdef inline bint holds(CodeInfo *code, Object *object) noexcept nogil:
    """Return whether an immortal object is of a constant of this code, or of a unit before it."""
    cdef uint32_t number = object.count & ~IMMORTAL
    while code != NULL and number < code.static_base:
        code = code.before
    return (
        code != NULL and number - code.static_base < code.static_count
        and code.statics[number - code.static_base] == object
    )


cdef inline bint is_constant(State *state, Object *object) noexcept nogil:
    """Return whether an object is of a constant, and one that a value can be, or a part of a vector."""
    if object.count < IMMORTAL or (is_inner(object.kind) and not is_vector_part(object.kind)):
        return False
    return holds(state.code, object) or holds(state.core, object)


cdef inline bint is_static_closure(Object *object) noexcept nogil:
    """Return whether a closure is the one of a function without captured values."""
    return object.kind == CLOSURE and (<Closure *> object).function.closure == <Closure *> object


cdef inline bint is_static(State *state, Object *object) noexcept nogil:
    """Return whether an object belongs to the code, which an image only names."""
    return object.count >= IMMORTAL and (is_static_closure(object) or is_constant(state, object))


cdef void write_big(Writer *writer, Text *big) noexcept nogil:
    cdef uint8_t negative = <uint8_t> big.char_count
    out_ext_head(writer.out, EXT_BIG, big.head.length + 1)
    out_content(writer.out, &negative, 1)
    out_content(writer.out, big.bytes, big.head.length)


cdef bint write_text(Writer *writer, Text *text) noexcept nogil:
    """Write an object of a kind of bytes: whole where it is met first, then its number."""
    cdef Seen *entry
    cdef Output *out = writer.out
    cdef uint32_t kind = text.head.kind
    if text.head.count != 1:
        entry = seen_entry(writer, &text.head)
        if entry == NULL:
            return False
        if entry.number != OPEN:
            out_ext_number(out, EXT_REFERENCE, entry.number)
            return True
        entry.number = writer.count
    writer.count += 1
    if kind == STRING:
        out_bytes(out, 0xD9, text.bytes, text.head.length)
    elif kind == BYTES:
        out_bytes(out, 0xC4, text.bytes, text.head.length)
    elif kind == BIG:
        write_big(writer, text)
    else:
        out_ext_head(
            out, EXT_KEYWORD if kind == KEYWORD else EXT_SYMBOL if kind == SYMBOL else EXT_UUID, text.head.length
        )
        out_content(out, text.bytes, text.head.length)
    return True


cdef uint32_t constant_number(State *state, Object *object) noexcept nogil:
    return 2 * (object.count & ~IMMORTAL) + <uint32_t> (not holds(state.code, object))


cdef bint write_value(Writer *writer, Value value) noexcept nogil:
    """Write a field; a compound object is written already."""
    cdef Output *out = writer.out
    cdef FunctionInfo *function
    writer.items += 1
    if value.tag >= HEAP and unlikely(is_constant(writer.state, value.object)):
        out_ext_number(out, EXT_CONSTANT, constant_number(writer.state, value.object))
        return True
    if value.tag <= TRUE:
        out_head(out, 0xC0 if value.tag == NIL else <uint8_t> (0xC1 + value.tag), 0, 0)
    elif value.tag == INT:
        out_integer(out, value.integer)
    elif value.tag == DOUBLE:
        out_real(out, value.real)
    elif value.tag == CHAR:
        out_ext_number(out, EXT_CHAR, <uint32_t> value.integer)
    elif value.tag == INSTANT:
        out_head(out, 0xD7, EXT_INSTANT, 1)
        out_eight(out, <uint64_t> value.integer)
    elif value.tag == PRIMITIVE:
        out_ext_number(out, EXT_PRIMITIVE, <uint32_t> value.integer)
    elif value.tag < HEAP:
        out_array(out, 0)
    elif value.tag <= BIG:
        return write_text(writer, <Text *> value.object)
    elif is_static_closure(value.object):
        function = (<Closure *> value.object).function
        out_ext_number(out, EXT_FUNCTION, packed(writer.state, function.code, function.code.function_base + function.index))
    else:
        out_ext_number(out, EXT_REFERENCE, writer.seen[seen_place(writer, value.object)].number)
    return True


cdef void out_eight(Output *out, uint64_t number) noexcept nogil:
    cdef uint8_t *bytes = room(out, 8)
    if bytes != NULL:
        put_big_endian(bytes, number, 8)


cdef bint write_values(Writer *writer, const Value *values, uint32_t n) noexcept nogil:
    cdef uint32_t i
    for i in range(n):
        if not write_value(writer, values[i]):
            return False
    return True


# ---- records

cdef bint write_cell(Writer *writer, Object *cell) noexcept nogil:
    """Write an atom or lazy seq, still empty; its content comes later, as FILL."""
    cdef Object **cells
    cdef size_t capacity = writer.cell_capacity * 2 if writer.cell_capacity else 64
    if writer.cell_count == writer.cell_capacity:
        cells = <Object **> c_realloc(writer.cells, capacity * sizeof(Object *))
        if cells == NULL:
            return False
        writer.cells = cells
        writer.cell_capacity = capacity
    writer.cells[writer.cell_count] = cell
    writer.cell_count += 1
    write_number(writer, RECORD_LAZY_REALIZED if cell.kind == LAZY and cell.flags & REALIZED else cell.kind)
    set_number(writer, cell)
    return True


cdef bint write_pair(Writer *writer, Object *object) noexcept nogil:
    """Write a LIST or CONS; its rest is often the object before."""
    cdef Value *at = values_of(object)
    if (
        at[1].tag >= RATIO
        and not is_static(writer.state, at[1].object)
        and writer.seen[seen_place(writer, at[1].object)].number + 1 == writer.count
    ):
        write_number(writer, RECORD_LIST_NEXT if object.kind == LIST else RECORD_CONS_NEXT)
        return write_value(writer, at[0])
    write_number(writer, object.kind)
    return write_values(writer, at, 2)


cdef bint write_seq(Writer *writer, Seq *seq) noexcept nogil:
    write_number(writer, SEQ)
    write_number(writer, seq.head.flags)
    if not write_value(writer, seq.source):
        return False
    write_number(writer, seq.index)
    return True


cdef bint write_map(Writer *writer, Map *map) noexcept nogil:
    write_number(writer, map.head.kind)
    if not write_value(writer, map.root):
        return False
    return write_value(writer, map.index if is_indexed(map) else nil())


cdef bint write_sorted_node(Writer *writer, Object *node) noexcept nogil:
    """Write the children; first keys and counts follow from them."""
    cdef uint32_t i
    write_number(writer, SORTED_NODE)
    write_number(writer, parts_of(node))
    for i in range(parts_of(node)):
        write_value(writer, values_of(node)[OF_NODE * i])
    return True


cdef inline uint32_t position_width(uint32_t most) noexcept nogil:
    """Return the bytes of each position in a page whose greatest one is given."""
    return 1 if most < 1 << 8 else 2 if most < 1 << 16 else 4


cdef bint write_page(Writer *writer, MapPage *page) noexcept nogil:
    """Write a page: its level and its positions as bytes, one, two or four for each, big endian.

    Hashes are not written: whoever reads has the keys.
    """
    cdef uint32_t most = 0
    cdef uint32_t width
    cdef uint8_t *bytes
    cdef uint32_t i
    for i in range(page.head.length):
        if page.at[i].position > most:
            most = page.at[i].position
    width = position_width(most)
    write_number(writer, MAP_PAGE)
    write_number(writer, page.head.flags)
    write_number(writer, page.head.length)
    writer.items += 1
    out_bytes_head(writer.out, 0xC4, page.head.length * <size_t> width)
    bytes = room(writer.out, page.head.length * <size_t> width)
    if bytes == NULL:
        return False
    for i in range(page.head.length):
        put_big_endian(bytes + i * <size_t> width, page.at[i].position, width)
    return True


cdef bint write_frame(Writer *writer, Frame *frame) noexcept nogil:
    cdef bint running = frame == writer.state.frame and writer.state.status != STATUS_EFFECT
    cdef int32_t slot = 0 if running else frame.head.slot  # a running frame's slot means nothing
    cdef CodeInfo *code = frame.arity.function.code
    if frame.arity == &HALT_ARITY:
        write_number(writer, RECORD_HALT)
        write_number(writer, HALT_CHECKED if pc_of(frame) == 1 else slot)
        return write_value(writer, frame.at[0])
    write_number(writer, FRAME)
    write_number(writer, packed(writer.state, code, code.arity_base + frame.arity.index))
    write_number(writer, pc_of(frame))
    write_number(writer, slot)
    write_value(writer, pointer_value(frame.parent))
    if is_static_closure(&frame.closure.head):
        write_nil(writer)
    else:
        write_value(writer, pointer_value(frame.closure))
    return write_slots(writer, frame.at, frame.head.length)


cdef bint write_pointers(Writer *writer, Object *object) noexcept nogil:
    """Write references to the parts of a vector, or to the children of a node."""
    cdef Object **pointers = pointers_of(object)
    cdef uint32_t i
    for i in range(object.length):
        if not write_value(writer, nil() if pointers[i] == NULL else pointer_value(pointers[i])):
            return False
    return True


cdef bint write_leaf(Writer *writer, Object *leaf) noexcept nogil:
    """Write the items of a leaf, whose form follows from them."""
    cdef uint32_t i
    write_number(writer, leaf.length)
    for i in range(leaf.length):
        if not write_value(writer, leaf_item(leaf, i)):
            return False
    return True


cdef bint write_slots(Writer *writer, const Value *slots, uint32_t n) noexcept nogil:
    """Write the slots of a frame, which may be vacant."""
    cdef uint32_t i
    for i in range(n):
        if slots[i].tag == NIL and slots[i].spare == VACANT:
            writer.items += 1
            out_ext_number(writer.out, EXT_VACANT, 0)
        elif not write_value(writer, slots[i]):
            return False
    return True


cdef bint write_record(Writer *writer, Object *object) noexcept nogil:
    """Write an object whose children are written."""
    cdef uint32_t kind = object.kind
    cdef FunctionInfo *function
    if kind == LIST or kind == CONS:
        return write_pair(writer, object)
    if kind == FRAME:
        return write_frame(writer, <Frame *> object)
    if kind == SEQ:
        return write_seq(writer, <Seq *> object)
    if kind == MAP or kind == SET:
        return write_map(writer, <Map *> object)
    if kind == MAP_PAGE:
        return write_page(writer, <MapPage *> object)
    if kind == SORTED_NODE:
        return write_sorted_node(writer, object)
    if kind == CONTINUATION and object.flags & COMPOSABLE:
        kind = RECORD_SUSPENDED if object.length == SUSPENDED_LENGTH else RECORD_CONTINUATION_PART
    write_number(writer, VECTOR_LEAF if is_leaf(kind) else kind)
    if kind == VECTOR:
        write_number(writer, (<Vector *> object).count)
        return write_pointers(writer, object)
    if kind == VECTOR_NODE:
        write_number(writer, object.length)
        return write_pointers(writer, object)
    if is_leaf(kind):
        return write_leaf(writer, object)
    if kind == CLOSURE:
        function = (<Closure *> object).function
        write_number(writer, packed(writer.state, function.code, function.code.function_base + function.index))
    elif kind == MAP_ARRAY or kind == SORTED_LEAF:
        write_number(writer, object.length >> 1)
    elif kind == MAP_INDEX:
        write_number(writer, object.flags)
    elif kind == MAP_NODE or kind == CAPTURES:
        write_number(writer, object.length)
    return write_values(writer, values_of(object), object.length)


# ---- the walk

cdef bint enter(Writer *writer, Value value) noexcept nogil:
    """Put a compound object on the stack if it is not written yet."""
    cdef Seen *entry
    cdef Visit *stack
    cdef size_t capacity = writer.stack_capacity * 2 if writer.stack_capacity else 64
    if value.tag < RATIO or is_static(writer.state, value.object):
        return True
    entry = seen_entry(writer, value.object)
    if entry == NULL:
        return False
    if entry.number != OPEN:
        return True
    if value.tag == ATOM or value.tag == LAZY:
        return write_cell(writer, value.object)
    if writer.depth == writer.stack_capacity:
        stack = <Visit *> c_realloc(writer.stack, capacity * sizeof(Visit))
        if stack == NULL:
            return False
        writer.stack = stack
        writer.stack_capacity = capacity
    writer.stack[writer.depth].object = value.object
    writer.stack[writer.depth].next = 0
    writer.depth += 1
    return True


cdef bint next_child(Visit *visit, Value *child) noexcept nogil:
    """Set child to the next child that may be an object to walk over, or return False."""
    cdef Object *object = visit.object
    cdef Value *values = values_of(object)
    cdef Object **pointers
    cdef uint32_t place = visit.next
    cdef uint32_t skipped = FRAME_FIELDS if object.kind == FRAME else 0
    cdef Frame *frame
    child[0] = nil()
    if VALUES_AT[object.kind] == 0:
        pointers = pointers_of(object)
        while POINTERS_AT[object.kind] != 0 and place < object.length and child.tag < RATIO:
            if pointers[place] != NULL:
                child[0] = pointer_value(pointers[place])
            place += 1
        visit.next = place
        return child.tag >= RATIO
    while place < skipped and child.tag == NIL:
        frame = <Frame *> object
        if place == 0 and frame.parent != NULL:
            child[0] = pointer_value(frame.parent)
        elif place == 1 and frame.arity != &HALT_ARITY:
            child[0] = pointer_value(frame.closure)
        place += 1
    while place < skipped + object.length and child.tag < RATIO:
        child[0] = values[place - skipped]
        place += 1
    visit.next = place
    return child.tag >= RATIO


cdef bint walk(Writer *writer, Value root) noexcept nogil:
    """Write the records of everything a value reaches without passing an atom or lazy seq."""
    cdef Value child
    cdef Object *object
    if not enter(writer, root):
        return False
    while writer.depth > 0:
        if next_child(&writer.stack[writer.depth - 1], &child):
            if not enter(writer, child):
                return False
            continue
        object = writer.stack[writer.depth - 1].object
        if not write_record(writer, object):
            return False
        set_number(writer, object)
        writer.depth -= 1
        if writer.count >= OBJECTS_MAX or writer.items >= OBJECTS_MAX:
            writer.problem = b"the agent has too many objects for an image"
            return False
    return True


cdef bint write_cells(Writer *writer) noexcept nogil:
    """Write the contents of atoms and lazy seqs, also of those found on the way."""
    cdef size_t i = 0
    cdef Value content
    while i < writer.cell_count:
        content = values_of(writer.cells[i])[0]
        if not walk(writer, content):
            return False
        write_number(writer, RECORD_FILL)
        if not write_value(writer, content):
            return False
        i += 1
    return True


cdef bint write_objects(Writer *writer) noexcept nogil:
    cdef State *state = writer.state
    cdef uint32_t i
    if state.frame != NULL and not (walk(writer, pointer_value(state.frame)) and walk(writer, state.marks)):
        return False
    if state.effect_arguments.tag == CAPTURES:
        for i in range(state.effect_arguments.object.length):
            if not walk(writer, (<Values *> state.effect_arguments.object).at[i]):
                return False
    if not walk(writer, state.error) or not walk(writer, state.result):
        return False
    for i in range(state.global_count):
        if not walk(writer, state.globals[i]):
            return False
    return write_cells(writer)


cdef bint write_roots(Writer *writer) noexcept nogil:
    cdef State *state = writer.state
    cdef Values *asked = NULL
    out_array(writer.out, IMAGE_ROOTS)
    if state.frame == NULL:
        write_nil(writer)
    else:
        write_value(writer, pointer_value(state.frame))
    if not write_value(writer, state.marks):
        return False
    if state.effect_arguments.tag == CAPTURES:
        asked = <Values *> state.effect_arguments.object
        write_number(writer, state.effect)
        out_array(writer.out, asked.head.length)
        if not write_values(writer, asked.at, asked.head.length):
            return False
    else:
        write_nil(writer)
        out_array(writer.out, 0)
    return write_value(writer, state.error) and write_value(writer, state.result)


cdef bint write_globals(Writer *writer) noexcept nogil:
    cdef State *state = writer.state
    cdef uint32_t bound = 0
    cdef uint32_t i
    for i in range(state.global_count):
        bound += state.globals[i].tag != UNBOUND
    out_array(writer.out, 2 * bound)
    for i in range(state.global_count):
        if state.globals[i].tag != UNBOUND:
            write_number(writer, i)
            if not write_value(writer, state.globals[i]):
                return False
    return True


cdef bint write_state(Writer *writer) noexcept nogil:
    """Write objects, roots and globals of a state; False without memory, or with a problem noted.

    Out of memory the heap may have been left in the middle of a change, so such an agent's image says only that.
    """
    cdef uint32_t items
    writer.out = &writer.objects
    if writer.state.status != STATUS_OUT_OF_MEMORY and not write_objects(writer):
        return False
    items = writer.items
    writer.out = &writer.roots
    if writer.state.status == STATUS_OUT_OF_MEMORY:
        out_array(writer.out, IMAGE_ROOTS)
        write_nil(writer)
        write_nil(writer)
        write_nil(writer)
        out_array(writer.out, 0)
        write_nil(writer)
        write_nil(writer)
        out_array(writer.out, 0)
    elif not (write_roots(writer) and write_globals(writer)):
        return False
    out_bytes(writer.out, 0xC4, <const uint8_t *> writer.state.heap.hash_key, HASH_KEY_BYTES)
    writer.items = items
    return not writer.objects.failed and not writer.roots.failed
