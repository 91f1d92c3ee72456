# A whole state from an image.
#
# Is:     objects, roots and globals, and the checks for which everything has to be there.
# Is not: a way to run anything; after `read_state` the loop may trust what it finds as if it had made it.
# Fits:   `restore_state` calls `read_state` without the GIL.
#
# Counts of objects begin at zero and grow with each reference; an object that ends with none is refused. Work that can
# be more than linear (equality and hash of keys) has a budget for the whole image.

cdef enum:
    CHECK_STEPS_MIN = 1 << 22  # of work on keys: a tenth of a second
    CHECK_STEPS_PER_BYTE = 1 << 8  # more for larger images, at most STEPS_MAX_OUTSIDE

cdef bint read_records(Reader *reader, uint32_t fields) noexcept nogil:
    cdef uint32_t begin = reader.tokens
    while reader.tokens - begin < fields:
        if not read_record(reader):
            return False
    return reader.tokens - begin == fields or refuse(reader, b"a record is cut")


cdef bint read_objects(Reader *reader) noexcept nogil:
    """Read all records into a table that is as large as announced."""
    cdef int64_t announced = 0
    cdef uint32_t fields = 0
    cdef int64_t most = <int64_t> (reader.state.heap.max // BLOCK_MIN)
    if not read_number(reader, 0, <int64_t> bytes_left(reader), &announced):
        return False
    if announced > most or announced > OBJECTS_MAX:
        return out_of_memory(reader)
    reader.entries = <Entry *> c_malloc((<size_t> announced + 1) * sizeof(Entry))
    if reader.entries == NULL:
        return out_of_memory(reader)
    reader.capacity = <uint32_t> announced
    return read_array(reader, 0, 0xFFFFFFFF, &fields) and read_records(reader, fields)


cdef bint read_roots(Reader *reader) noexcept nogil:
    """Read frame, marks, effect, error and result into the state; which of them there are depends on the status."""
    cdef State *state = reader.state
    cdef Value frame = nil()
    cdef uint32_t flags = 0
    cdef uint32_t n = 0
    cdef bint running = state.status == STATUS_OUT_OF_FUEL or state.status == STATUS_FAULT
    if not (read_array(reader, IMAGE_ROOTS, IMAGE_ROOTS, &n) and read_inner(reader, FRAME, True, &frame)):
        return False
    if (frame.tag == FRAME) != (running or state.status == STATUS_EFFECT):
        return refuse(reader, b"frames do not fit the status")
    if frame.tag == FRAME:
        state.frame = <Frame *> frame.object
        flags = reader.entries[reader.number].flags
    if running and state.frame.head.slot != 0:
        return refuse(reader, b"the frame that runs waits")
    if not read_inner(reader, MARK, True, &state.marks):
        return False
    if state.marks.tag == MARK and state.frame == NULL:
        return refuse(reader, b"marks without frames")
    if not read_effect(reader, flags):
        return False
    if not (read_inner(reader, ERROR, True, &state.error) and read_value(reader, &state.result)):
        return False
    if state.error.tag == NIL and state.status == STATUS_FAULT:
        return refuse(reader, b"a fault without an error")
    if state.error.tag == ERROR and not running:
        return refuse(reader, b"an error does not fit the status")
    if state.result.tag != NIL and state.status != STATUS_DONE:
        return refuse(reader, b"a result does not fit the status")
    return True


cdef bint read_effect(Reader *reader, uint32_t frame_flags) noexcept nogil:
    """Read number and arguments of the effect that waits, or that there is none."""
    cdef State *state = reader.state
    cdef PrimitiveInfo *primitive
    cdef Values *asked
    cdef int64_t effect = 0
    cdef Value none = nil()
    cdef uint32_t n = 0
    if state.status != STATUS_EFFECT:
        return read_inner(reader, NIL, True, &none) and read_array(reader, 0, 0, &n)
    if not (read_number(reader, 0, PRIMITIVE_TABLE_SIZE - 1, &effect) and read_array(reader, 0, 0xFFFF, &n)):
        return False
    primitive = &PRIMITIVE_TABLE[effect]
    if primitive.kind != 2 or n < primitive.least or n > primitive.most:
        return refuse(reader, b"the effect is none, or has a wrong number of arguments")
    if not frame_flags & WAITING:
        return refuse(reader, b"the frame does not wait for an effect")
    asked = new_values(&state.heap, CAPTURES, n)
    if asked == NULL:
        return out_of_memory(reader)
    if not read_values(reader, asked.at, n):
        return False
    state.effect = <uint32_t> effect
    state.effect_arguments = pointer_value(asked)
    return True


cdef bint read_globals(Reader *reader) noexcept nogil:
    """Read the bound globals, in ascending order."""
    cdef int64_t least = 0
    cdef int64_t number = 0
    cdef uint32_t n = 0
    cdef uint32_t i
    if not read_array(reader, 0, 0xFFFFFFFF, &n):
        return False
    if n & 1:
        return refuse(reader, b"a global without a value")
    for i in range(n >> 1):
        if not read_number(reader, least, <int64_t> reader.state.global_count - 1, &number):
            return False
        if not read_value(reader, &reader.state.globals[number]):
            return False
        least = number + 1
    return True


cdef bint read_hash_key(Reader *reader) noexcept nogil:
    """Read the key of the agent's own hash."""
    cdef Token token
    if not read_token(reader, &token):
        return False
    if token.kind != TOKEN_BIN or token.length != HASH_KEY_BYTES:
        return refuse(reader, b"a hash key is 16 bytes")
    memcpy(reader.state.heap.hash_key, token.bytes, HASH_KEY_BYTES)
    return True


# ---- what can be checked only when everything is there

cdef bint check_keys(Reader *reader, Value *pairs, uint32_t n) noexcept nogil:
    """Refuse two equal keys among n pairs. Keys that would have to be realised first are taken as different."""
    cdef Heap *heap = &reader.state.heap
    cdef uint32_t i
    cdef uint32_t k
    cdef bint same = False
    cdef Outcome outcome
    for i in range(n):
        if spend(heap, i >> 2) != OK:
            return refuse(reader, b"keys of maps are too costly to compare")
        for k in range(i):
            outcome = keys_equal(heap, pairs[2 * i], pairs[2 * k], &same)
            if outcome == FAILED or outcome == DEFER or outcome == NO_MEMORY:
                return refuse(reader, b"keys of maps are too costly to compare")
            if outcome == OK and same:
                return refuse(reader, b"a map has a key twice")
    return True


cdef bint check_run(Reader *reader, Map *map, MapPage *page, uint32_t place) noexcept nogil:
    """Refuse a key of a page that equals one before it."""
    cdef Heap *heap = &reader.state.heap
    cdef Value key = map_pair(map, page.at[place].position)[0]
    cdef uint32_t i = place
    cdef bint same = False
    cdef Outcome outcome
    while i > 0 and page.at[i - 1].hash == page.at[place].hash:
        i -= 1
        outcome = keys_equal(heap, map_pair(map, page.at[i].position)[0], key, &same)
        if outcome == FAILED or outcome == DEFER or outcome == NO_MEMORY or spend(heap, 1) != OK:
            return refuse(reader, b"keys of maps are too costly to compare")
        if outcome == OK and same:
            return refuse(reader, b"a map has a key twice")
    return True


cdef inline bint share_bits(uint32_t a, uint32_t b, uint32_t n) noexcept nogil:
    return n == 0 or (a ^ b) >> (32 - n) == 0


cdef bint fill_page(Reader *reader, Map *map, Entry *entry, const uint32_t *prefix) noexcept nogil:
    """Set the hashes of a page from the keys of a map that has it; refuse keys that are not where their hash says."""
    cdef Heap *heap = &reader.state.heap
    cdef MapPage *page = <MapPage *> entry.object
    cdef uint32_t level = page.head.flags
    cdef bint keyed = level > HASH_LEVELS
    cdef uint32_t hashes[2]
    cdef uint64_t weight
    cdef uint32_t i
    cdef Value key
    hashes[1] = 0
    for i in range(page.head.length):
        key = map_pair(map, page.at[i].position)[0]
        if hash_value(heap, key, &hashes[0]) != OK or (keyed and keyed_hash(heap, key, &hashes[1]) != OK):
            return refuse(reader, b"a key of a map has no hash")
        page.at[i].hash = hashes[keyed]
        if (
            not share_bits(hashes[0], prefix[0], DIGIT_BITS * (HASH_LEVELS if keyed else level))
            or (keyed and not share_bits(hashes[1], prefix[1], DIGIT_BITS * (level - HASH_LEVELS)))
            or (i > 0 and hashes[keyed] < page.at[i - 1].hash)
        ):
            return refuse(reader, b"a key of a map is not where its hash says")
        if not check_run(reader, map, page, i):
            return False
        weight = 1 if keyed else hash_weight(hashes[0])  # of keyed ones the node of level 8 knows the first hash
        entry.sum += weight
        entry.weighted += weight * page.at[i].position
    return True


cdef bint fill_part(Reader *reader, Map *map, Object *part, const uint32_t *prefix) noexcept nogil:
    """Set the hashes in a part of an index, and its sums; once for all maps that share it."""
    cdef Entry *entry = &reader.entries[part.extra]
    cdef Values *node = <Values *> part
    cdef uint32_t level = part.flags
    cdef Entry *child
    cdef uint32_t below[2]
    cdef uint32_t i
    if entry.flags & FILLED:
        return True
    entry.flags |= FILLED
    if part.kind == MAP_PAGE:
        return fill_page(reader, map, entry, prefix)
    for i in range(DIGITS):
        if node.at[i].tag == NIL:
            continue
        memcpy(below, prefix, sizeof(below))
        below[level >= HASH_LEVELS] |= i << (32 - DIGIT_BITS - DIGIT_BITS * (level & (HASH_LEVELS - 1)))
        if not fill_part(reader, map, node.at[i].object, below):
            return False
        child = &reader.entries[node.at[i].object.extra]
        entry.sum += child.sum
        entry.weighted += child.weighted
    if level == HASH_LEVELS:
        entry.hash = prefix[0]
        entry.sum *= hash_weight(entry.hash)
        entry.weighted *= hash_weight(entry.hash)
    return True


cdef bint sum_pairs(Reader *reader, Entry *entry) noexcept nogil:
    """Sum up hashes and positions of the keys of an array; positions count from its first pair."""
    cdef Values *array = <Values *> entry.object
    cdef uint32_t hashed = 0
    cdef uint32_t i
    for i in range(array.head.length >> 1):
        if hash_value(&reader.state.heap, array.at[2 * i], &hashed) != OK:
            return refuse(reader, b"a key of a map has no hash")
        entry.sum += hash_weight(hashed)
        entry.weighted += hash_weight(hashed) * i
    return True


cdef void sum_children(Reader *reader, Entry *entry) noexcept nogil:
    cdef Values *node = <Values *> entry.object
    cdef Entry *child
    cdef uint64_t i
    for i in range(node.head.length):
        child = &reader.entries[node.at[i].object.extra]
        entry.sum += child.sum
        entry.weighted += child.weighted + child.sum * (i << (NODE_BITS * entry.level - 1))


cdef bint check_index(Reader *reader, Entry *entry) noexcept nogil:
    """Refuse a map whose index does not give for each key its position."""
    cdef Entry *root = &reader.entries[entry.most]
    cdef Entry *index = &reader.entries[entry.hash]
    cdef uint32_t prefix[2]
    memset(prefix, 0, sizeof(prefix))
    if not fill_part(reader, <Map *> entry.object, index.object, prefix):
        return False
    if root.sum != index.sum or root.weighted != index.weighted:
        return refuse(reader, b"a key of a map is not where its hash says")
    return True


cdef bint check_map_parts(Reader *reader) noexcept nogil:
    cdef Entry *entry
    cdef uint32_t i
    for i in range(reader.count):
        entry = &reader.entries[i]
        if entry.object.kind == MAP_ARRAY:
            if entry.flags & ALONE:
                if not check_keys(reader, (<Values *> entry.object).at, entry.object.length >> 1):
                    return False
            if entry.flags & INDEXED and not sum_pairs(reader, entry):
                return False
        elif entry.object.kind == MAP_NODE:
            sum_children(reader, entry)
        elif (entry.object.kind == MAP or entry.object.kind == SET) and is_indexed(<Map *> entry.object):
            if not check_index(reader, entry):
                return False
    return True


cdef bint check_maps(Reader *reader) noexcept nogil:
    """Refuse maps that have a key twice or an index that is not of their keys.

    Hashes are those of the keys of the first map that has a part. Versions of a map share parts of pairs and of the index;
    of all others sums over hashes and over hashes times positions are compared, which each part has once. Somebody
    could find another index with these sums; it would be as good as any other wrong data in an agent of his own.
    """
    cdef Object *object
    cdef uint32_t i
    cdef bint valid
    for i in range(reader.count):
        object = reader.entries[i].object
        if MAP_ARRAY <= object.kind <= MAP_INDEX or object.kind == MAP_PAGE:
            object.extra = i
    valid = check_map_parts(reader)
    for i in range(reader.count):
        object = reader.entries[i].object
        if MAP_ARRAY <= object.kind <= MAP_INDEX or object.kind == MAP_PAGE:
            object.extra = reader.entries[i].hash if object.kind == MAP_INDEX else 0
    return valid


# The order a tree is in is noted in `extra` of its nodes and leaves while they are checked: all of a tree are in one.

cdef enum:
    ORDER_NATURAL = 1
    ORDER_OF_CALLS = 2  # a function of the program has it; nothing relies on it
    ORDER_OF_HOST = 16  # plus the number of the host function


cdef uint32_t order_number(Value order) noexcept nogil:
    if order.tag == NIL:
        return ORDER_NATURAL
    return ORDER_OF_HOST + <uint32_t> order.integer if orders_here(order) else ORDER_OF_CALLS


cdef bint note_order(Reader *reader, Value part, uint32_t number) noexcept nogil:
    if part.object.extra != 0 and part.object.extra != number:
        return refuse(reader, b"a part of a sorted map or set is in two orders")
    part.object.extra = number
    return True


cdef bint note_orders(Reader *reader) noexcept nogil:
    """Note the order of every part. What refers to a part has a greater number, so it is met before."""
    cdef Object *object
    cdef Sorted *sorted
    cdef uint32_t i
    cdef uint32_t k
    for i in range(reader.count, 0, -1):
        object = reader.entries[i - 1].object
        if is_sorted(object.kind):
            sorted = <Sorted *> object
            if sorted.root.tag != NIL and not note_order(reader, sorted.root, order_number(sorted.order)):
                return False
        elif object.kind == SORTED_NODE:
            for k in range(parts_of(object)):
                if not note_order(reader, values_of(object)[OF_NODE * k], object.extra):
                    return False
    return True


cdef Value last_key(Object *node) noexcept nogil:
    while node.kind == SORTED_NODE:
        node = values_of(node)[node.length - OF_NODE].object
    return values_of(node)[node.length - OF_LEAF]


cdef bint check_order(Reader *reader, Object *part) noexcept nogil:
    """Refuse a leaf whose keys are not in order, or a node whose children are not."""
    cdef Heap *heap = &reader.state.heap
    cdef Value *at = values_of(part)
    cdef Value order = nil()
    cdef Value before
    cdef uint32_t width = width_of(part)
    cdef uint32_t i
    cdef int found = 0
    if part.extra == ORDER_OF_CALLS:
        return True
    if part.extra > ORDER_OF_HOST:
        order = immediate(PRIMITIVE, part.extra - ORDER_OF_HOST)
    for i in range(1, parts_of(part)):
        before = at[width * (i - 1)] if part.kind == SORTED_LEAF else last_key(at[width * (i - 1)].object)
        if spend(heap, 4) != OK:
            return refuse(reader, b"keys of maps are too costly to compare")
        if sorted_order(heap, order, before, first_key(part)[width * i], &found) != OK or found >= 0:
            return refuse(reader, b"a sorted map or set is not in order")
    return True


cdef bint check_sorted(Reader *reader) noexcept nogil:
    cdef Object *object
    cdef uint32_t i
    if not note_orders(reader):
        return False
    for i in range(reader.count):
        object = reader.entries[i].object
        if (object.kind == SORTED_NODE or object.kind == SORTED_LEAF) and not check_order(reader, object):
            return False
    for i in range(reader.count):
        object = reader.entries[i].object
        if object.kind == SORTED_NODE or object.kind == SORTED_LEAF:
            object.extra = 0
    return True


cdef bint check_lazy(Reader *reader) noexcept nogil:
    """Refuse lazy seqs that are each other's value in a circle: looking at one would never end.

    Each is followed to the end of its chain once; `extra` of those on the way holds the number of the walk.
    """
    cdef Object *object
    cdef uint32_t i
    for i in range(reader.count):
        object = reader.entries[i].object
        while object.kind == LAZY and object.extra == 0:
            object.extra = i + 1
            if object.flags & REALIZED and (<Values *> object).at[0].tag == LAZY:
                object = (<Values *> object).at[0].object
                if object.extra == i + 1:
                    return refuse(reader, b"a lazy seq is its own value")
    for i in range(reader.count):
        if reader.entries[i].object.kind == LAZY:
            reader.entries[i].object.extra = 0
    return True


cdef bint check_references(Reader *reader) noexcept nogil:
    """Refuse objects nobody refers to and cells without content."""
    cdef uint32_t i
    for i in range(reader.count):
        if reader.entries[i].object.count == 0:
            return refuse(reader, b"an object that nothing refers to")
    for i in range(reader.next_cell, reader.count):
        if reader.entries[i].object.kind == ATOM or reader.entries[i].object.kind == LAZY:
            return refuse(reader, b"an atom or lazy seq without content")
    if reader.state.frame != NULL and reader.state.frame.head.count != 1:
        return refuse(reader, b"the frame that runs is shared")
    return reader.count == reader.capacity or refuse(reader, b"fewer objects than announced")


cdef bint read_state(Reader *reader) noexcept nogil:
    """Read objects, roots and globals into the state; False with the problem noted."""
    cdef Heap *heap = &reader.state.heap
    cdef uint64_t steps = CHECK_STEPS_MIN + CHECK_STEPS_PER_BYTE * <uint64_t> bytes_left(reader)
    heap.steps = 0
    heap.steps_max = steps if steps < STEPS_MAX_OUTSIDE else STEPS_MAX_OUTSIDE
    if not (read_objects(reader) and read_roots(reader) and read_globals(reader) and read_hash_key(reader)):
        return False
    if reader.at != reader.end:
        return refuse(reader, b"something follows the image")
    if not (check_references(reader) and check_lazy(reader) and check_maps(reader) and check_sorted(reader)):
        return False
    release(heap, heap.forced)  # of a comparison of keys
    heap.forced = nil()
    heap.fuel = 0
    heap.steps_max = STEPS_MAX
    return True
