# Persistent vectors: 32-way tries with a tail.
#
# Is:     append, set, pop, look-up; in place where nobody else holds the part, otherwise the path is copied.
# Is not: seqs over vectors (`_cursor.pxi`) or the functions programs call.
# Fits:   `Value *` handles are owned by the caller, see `_core.pxd`.
# Source: Bagwell's tries as in Clojure's PersistentVector; transience by reference counts instead of transients.
#
#     count 70, shift 5:   root (VECTOR_NODE) -> leaf 0..31, leaf 32..63        tail (VECTOR_LEAF): 64..69
# The tail is empty only in the empty vector. Nodes and leaves are as long as they have children, so the last path is
# always the rightmost one. A tail may be longer than a vector that shares it can see: an append writes behind the
# end of a shared tail if the item is no pointer to something with pointers (that could close a cycle).

cdef inline int64_t tail_start(int64_t count) noexcept nogil:
    return 0 if count == 0 else ((count - 1) >> 5) << 5


cdef Outcome make_editable(Heap *heap, Value *handle, uint32_t keep, uint32_t room) noexcept nogil:
    """Make the object of a handle unique, with its first `keep` values and space for `room` more; else copy it.

    Fuel is taken for the copy of a large block that others hold, not for the growth of one's own: how much room there
    is behind the values is not part of the state, and an image does not keep it.
    """
    cdef Object *old = handle.object
    cdef Object *fresh
    cdef Value *source = values_of(old)
    cdef Value *target
    cdef uint32_t start = VALUES_AT[old.kind]
    cdef uint32_t capacity = keep + room
    cdef uint32_t i
    cdef size_t size
    cdef bint unique = old.count == 1
    if unique:
        while old.length > keep:
            old.length -= 1
            release(heap, source[old.length])
        if block_size(old) >= start + <size_t> capacity * sizeof(Value):
            return OK
    if room:
        capacity = (capacity + 3) & ~(<uint32_t> 3)
        if old.kind == VECTOR_LEAF or old.kind == VECTOR_NODE:
            capacity = 32 if capacity > 16 else 16 if capacity > 8 else capacity
    size = start + <size_t> capacity * sizeof(Value)
    fresh = allocate(heap, old.kind, size, keep)
    if fresh == NULL:
        return NO_MEMORY
    if size > SMALL_UNITS_MAX * UNIT:
        charge(heap, (0 if unique else keep >> 4) - <int64_t> (size >> FUEL_PER_ALLOCATION_SHIFT))
    fresh.flags = old.flags
    memcpy(<char *> fresh + sizeof(Object), <char *> old + sizeof(Object), start - sizeof(Object))
    target = values_of(fresh)
    memcpy(target, source, keep * sizeof(Value))
    if unique:
        free_block(heap, old)  # its values have moved
    else:
        for i in range(keep):
            retain(target[i])
        release_object(heap, old)
    handle.object = fresh
    return OK


cdef Outcome give_vector(Heap *heap, int64_t count, uint32_t shift, Value root, Value tail, Value *result) noexcept nogil:
    """Set result to a new vector head, which takes root and tail over."""
    cdef Vector *vector = <Vector *> allocate(heap, VECTOR, sizeof(Vector), 2)
    if vector == NULL:
        return NO_MEMORY
    vector.count = count
    vector.shift = shift
    vector.spare = 0
    vector.root = root
    vector.tail = tail
    result[0] = pointer_value(vector)
    return OK


cdef Outcome give_empty(Heap *heap, uint32_t kind, Value *result) noexcept nogil:
    """Set result to the empty VECTOR, MAP or SET, or EMPTY for any other kind."""
    if kind == VECTOR:
        return give_vector(heap, 0, 5, nil(), nil(), result)
    if kind == MAP or kind == SET:
        return give_map(heap, kind, 0, nil(), result)
    result[0] = immediate(EMPTY, 0)
    return OK


cdef Outcome vector_own(Heap *heap, Value *handle) noexcept nogil:
    """Make the head of the vector unique."""
    cdef Vector *vector = <Vector *> handle.object
    cdef Value fresh
    if vector.head.count == 1:
        vector.head.extra = 0
        return OK
    if give_vector(heap, vector.count, vector.shift, retained(vector.root), retained(vector.tail), &fresh) != OK:
        return NO_MEMORY
    release(heap, handle[0])
    handle[0] = fresh
    return OK


cdef Outcome push_leaf(Heap *heap, Vector *vector) noexcept nogil:
    """Move the full tail of a unique vector into its trie; the tail is nil afterwards."""
    cdef int64_t index = tail_start(vector.count) >> 5  # of the new leaf
    cdef Value *handle = &vector.root
    cdef Value moved = vector.tail
    cdef Values *node
    cdef uint32_t level = vector.shift
    if vector.root.tag == NIL or index == (<int64_t> 1) << vector.shift:
        node = new_values(heap, VECTOR_NODE, 1)
        if node == NULL:
            return NO_MEMORY
        if vector.root.tag == NIL:
            node.at[0] = moved
            vector.root = pointer_value(node)
            vector.tail = nil()
            return OK
        node.at[0] = vector.root
        vector.root = pointer_value(node)
        vector.shift += 5
        level = vector.shift
    while True:
        node = <Values *> handle.object
        level -= 5
        if level == 0 or ((index >> level) & 31) == node.head.length:
            break
        if make_editable(heap, handle, node.head.length, 0) != OK:
            return NO_MEMORY
        node = <Values *> handle.object
        handle = &node.at[(index >> level) & 31]
    if make_editable(heap, handle, node.head.length, 1) != OK:
        return NO_MEMORY
    while level > 0:  # a new path down to the leaf
        node = new_values(heap, VECTOR_NODE, 1)
        if node == NULL:
            return NO_MEMORY
        node.at[0] = moved
        moved = pointer_value(node)
        level -= 5
    node = <Values *> handle.object
    node.at[node.head.length] = moved
    node.head.length += 1
    vector.tail = nil()
    return OK


cdef Outcome vector_append(Heap *heap, Value *handle, Value item) noexcept nogil:
    """Add the item (borrowed) at the end."""
    cdef Vector *vector = <Vector *> handle.object
    cdef Values *leaf
    cdef uint32_t visible
    if vector.head.count == 1 and vector.count & 31:  # nearly always: one owner, and room in the tail
        visible = vector.count & 31
        leaf = <Values *> vector.tail.object
        if (
            leaf.head.count == 1
            and leaf.head.length == visible
            and block_size(&leaf.head) > sizeof(Object) + visible * sizeof(Value)
        ):
            vector.head.extra = 0
            leaf.at[visible] = retained(item)
            leaf.head.length = visible + 1
            vector.count += 1
            return OK
    if vector_own(heap, handle) != OK:
        return NO_MEMORY
    vector = <Vector *> handle.object
    if vector.count - tail_start(vector.count) == 32:
        if push_leaf(heap, vector) != OK:
            return NO_MEMORY
    if vector.tail.tag == NIL:
        leaf = <Values *> allocate(heap, VECTOR_LEAF, sizeof(Object) + 4 * sizeof(Value), 1)
        if leaf == NULL:
            return NO_MEMORY
        leaf.at[0] = retained(item)
        vector.tail = pointer_value(leaf)
        vector.count += 1
        return OK
    visible = <uint32_t> (vector.count - tail_start(vector.count))
    leaf = <Values *> vector.tail.object
    if not (
        item.tag <= BIG
        and leaf.head.length == visible
        and leaf.head.count < IMMORTAL
        and block_size(&leaf.head) >= sizeof(Object) + (visible + 1) * sizeof(Value)
    ):
        if make_editable(heap, &vector.tail, visible, 1) != OK:
            return NO_MEMORY
        leaf = <Values *> vector.tail.object
    leaf.at[visible] = retained(item)
    leaf.head.length = visible + 1
    vector.count += 1
    return OK


cdef inline Value *leaf_of(Vector *vector, int64_t index) noexcept nogil:
    """Return the items of the leaf that holds an index in range; the item is at index & 31."""
    cdef Values *node
    cdef uint32_t level
    if index >= tail_start(vector.count):
        return (<Values *> vector.tail.object).at
    node = <Values *> vector.root.object
    level = vector.shift
    while level > 0:
        node = <Values *> node.at[(index >> level) & 31].object
        level -= 5
    return node.at


cdef inline Value *vector_at(Value vector, int64_t index) noexcept nogil:
    """Return the place of an item, borrowed. The caller ensures 0 <= index < count."""
    return leaf_of(<Vector *> vector.object, index) + (index & 31)


cdef inline int64_t vector_count(Value vector) noexcept nogil:
    return (<Vector *> vector.object).count


cdef Outcome vector_set(Heap *heap, Value *handle, int64_t index, Value item) noexcept nogil:
    """Replace the item at 0 <= index < count; index = count appends."""
    cdef Vector *vector = <Vector *> handle.object
    cdef Value *place
    cdef Values *node
    cdef uint32_t level
    if index == vector.count:
        return vector_append(heap, handle, item)
    if vector_own(heap, handle) != OK:
        return NO_MEMORY
    vector = <Vector *> handle.object
    if index >= tail_start(vector.count):
        if make_editable(heap, &vector.tail, <uint32_t> (vector.count - tail_start(vector.count)), 0) != OK:
            return NO_MEMORY
        place = &vector.tail
    else:
        place = &vector.root
        level = vector.shift
        while True:
            if make_editable(heap, place, place.object.length, 0) != OK:
                return NO_MEMORY
            if level == 0:
                break
            node = <Values *> place.object
            place = &node.at[(index >> level) & 31]
            level -= 5
    node = <Values *> place.object
    set_value(heap, &node.at[index & 31], retained(item))
    return OK


cdef Outcome vector_pop(Heap *heap, Value *handle) noexcept nogil:
    """Remove the last item. The caller ensures count > 0."""
    cdef Vector *vector
    cdef Value *path[12]
    cdef Values *node
    cdef uint32_t depth = 0
    cdef uint32_t level
    cdef uint32_t visible
    if vector_own(heap, handle) != OK:
        return NO_MEMORY
    vector = <Vector *> handle.object
    visible = <uint32_t> (vector.count - tail_start(vector.count))
    if visible > 1:
        if vector.tail.object.count == 1:
            make_editable(heap, &vector.tail, visible - 1, 0)
        vector.count -= 1
        return OK
    release(heap, vector.tail)
    vector.tail = nil()
    vector.count -= 1
    if vector.count == 0:
        return OK
    path[0] = &vector.root  # the rightmost leaf becomes the tail; nodes that are empty then go
    level = vector.shift
    while True:
        if make_editable(heap, path[depth], path[depth].object.length, 0) != OK:
            return NO_MEMORY
        node = <Values *> path[depth].object
        level -= 5
        if level == 0:
            break
        depth += 1
        path[depth] = &node.at[node.head.length - 1]
    node.head.length -= 1
    vector.tail = node.at[node.head.length]
    while (<Values *> path[depth].object).head.length == 0:
        release(heap, path[depth][0])
        path[depth][0] = nil()
        if depth == 0:
            vector.shift = 5
            return OK
        depth -= 1
        path[depth].object.length -= 1
    while vector.shift > 5 and vector.root.object.length == 1:
        node = <Values *> vector.root.object
        vector.root = retained(node.at[0])
        release_object(heap, &node.head)
        vector.shift -= 5
    return OK


cdef Outcome vector_of(Heap *heap, const Value *items, uint32_t n, Value *result) noexcept nogil:
    """Set result to the vector of n items (borrowed)."""
    cdef Values *leaf
    cdef uint32_t i
    if n <= 32:
        if n == 0:
            return give_empty(heap, VECTOR, result)
        leaf = new_values(heap, VECTOR_LEAF, n)
        if leaf == NULL:
            return NO_MEMORY
        for i in range(n):
            leaf.at[i] = retained(items[i])
        return give_vector(heap, n, 5, nil(), pointer_value(leaf), result)
    if give_empty(heap, VECTOR, result) != OK:
        return NO_MEMORY
    for i in range(n):
        if vector_append(heap, result, items[i]) != OK:
            return NO_MEMORY
    return OK
