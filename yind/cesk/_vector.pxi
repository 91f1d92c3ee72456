# Persistent vectors: 32-way tries with a tail, whose leaves are as narrow as their items allow.
#
# Is:     append, set, pop, look-up; in place where nobody else holds the part, otherwise the path is copied.
# Is not: seqs over vectors (`_cursor.pxi`) or the functions programs call.
# Fits:   `Value *` handles are owned by the caller, see `_core.pxd`. `leaf_item` is the one way to look into a leaf.
# Source: Bagwell, "Fast and Space Efficient Trie Searches" (2000), with the tail of Clojure's PersistentVector; Bolz,
#         Diekmann and Tratt, "Storage Strategies for Collections in Dynamically Typed Languages" (2013), for the forms
#         of leaves; Ullrich and de Moura, "Counting Immutable Beans" (2019), for changes in place without transients.
#
#     count 70, shift 5:   root (VECTOR_NODE) -> leaf 0..31, leaf 32..63        tail (a leaf): 64..69
# There is no tail in the empty vector only. Nodes and leaves are as long as they have children, so the last path is
# always the rightmost one, and a tail has exactly the items its vectors see.
#
# FORMS. Items of one family stand side by side in few bytes; `flags` of a leaf is the family, MIXED if they differ:
#     VECTOR_TAGS      nil, false, true                    1 byte each, the tag
#     VECTOR_WORDS     one other tag without pointer       8 bytes each: all INT, all DOUBLE, all CHAR ...
#     VECTOR_OBJECTS   pointers                            8 bytes each; the tag is the object's kind
#     VECTOR_LEAF      MIXED                               values
# NOTHING HIDDEN. The form of a leaf and the room behind its items follow from the items, and the room of a node from
# its length. So an image has neither, and what is restored from it takes as many bytes as what it was made from.

cdef enum Family:  # of items that can be in one narrow leaf; otherwise the tag itself
    MIXED = 0
    FAMILY_TAGS = 2
    FAMILY_OBJECTS = 16

cdef enum:
    LEAF_ITEMS = 32
    NOWHERE = 0xFFFFFFFF

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


# ---- leaves

cdef inline uint32_t family_of(uint32_t tag) noexcept nogil:
    tag = tag if tag > TRUE else <uint32_t> TRUE
    return tag if tag < HEAP else <uint32_t> HEAP


cdef inline bint is_leaf(uint32_t kind) noexcept nogil:
    return kind == VECTOR_LEAF or VECTOR_TAGS <= kind <= VECTOR_OBJECTS


cdef inline bint is_vector_part(uint32_t kind) noexcept nogil:
    return kind == VECTOR_NODE or is_leaf(kind)


cdef inline Value leaf_item(Object *leaf, uint32_t i) noexcept nogil:
    """Return an item of a leaf, borrowed."""
    if leaf.kind == VECTOR_WORDS:
        return immediate(leaf.flags, (<Words *> leaf).at[i])
    if leaf.kind == VECTOR_LEAF:
        return (<Values *> leaf).at[i]
    if leaf.kind == VECTOR_TAGS:
        return immediate((<Tags *> leaf).at[i], 0)
    return pointer_value((<Pointers *> leaf).at[i])


cdef inline void leaf_store(Object *leaf, uint32_t i, Value item) noexcept nogil:
    """Put an item of the leaf's family into it; counts nothing."""
    if leaf.kind == VECTOR_WORDS:
        (<Words *> leaf).at[i] = item.integer
    elif leaf.kind == VECTOR_LEAF:
        (<Values *> leaf).at[i] = item
    elif leaf.kind == VECTOR_TAGS:
        (<Tags *> leaf).at[i] = <uint8_t> item.tag
    else:
        (<Pointers *> leaf).at[i] = item.object


cdef inline bint has_objects(uint32_t family) noexcept nogil:
    return family == MIXED or family == FAMILY_OBJECTS


cdef inline size_t item_size(uint32_t family) noexcept nogil:
    return sizeof(Value) if family == MIXED else 1 if family == FAMILY_TAGS else 8


cdef inline uint32_t leaf_capacity(uint32_t family, uint32_t length) noexcept nogil:
    """Return how many items a leaf of this length has room for: a power of two, from 16 on when items are bytes."""
    if family == FAMILY_TAGS:
        return 16 if length <= 16 else 32
    return 2 if length <= 2 else 4 if length <= 4 else 8 if length <= 8 else 16 if length <= 16 else 32


cdef inline bint leaf_has_room(uint32_t family, uint32_t length) noexcept nogil:
    """Return whether a leaf with items has room for one more: `leaf_capacity` is then the same with it."""
    return length & 15 != 0 if family == FAMILY_TAGS else length & (length - 1) != 0 or length == 1


cdef inline size_t leaf_size(uint32_t family, uint32_t length) noexcept nogil:
    """Return the bytes of a leaf."""
    return sizeof(Object) + leaf_capacity(family, length) * item_size(family)


cdef Object *new_leaf(Heap *heap, uint32_t family, uint32_t length) noexcept nogil:
    """Return a leaf of a family, whose items are to be filled at once by the caller."""
    cdef uint32_t kind = VECTOR_WORDS
    cdef Object *leaf
    if family == FAMILY_TAGS:
        kind = VECTOR_TAGS
    elif family == FAMILY_OBJECTS:
        kind = VECTOR_OBJECTS
    elif family == MIXED:
        kind = VECTOR_LEAF
    leaf = allocate(heap, kind, leaf_size(family, length), length)
    if leaf != NULL:
        leaf.flags = <uint8_t> family
    return leaf


cdef inline uint32_t common_family(const Value *items, uint32_t n) noexcept nogil:
    """Return the family of n > 0 items, MIXED if there are several."""
    cdef uint32_t family = family_of(items[0].tag)
    cdef uint32_t i
    for i in range(1, n):
        if family_of(items[i].tag) != family:
            return MIXED
    return family


cdef Object *leaf_of(Heap *heap, const Value *items, uint32_t n) noexcept nogil:
    """Return a new leaf of 1 to 32 items, whose references it takes over; NULL without memory."""
    cdef Object *leaf = new_leaf(heap, common_family(items, n), n)
    cdef uint32_t i
    if leaf == NULL:
        return NULL
    for i in range(n):
        leaf_store(leaf, i, items[i])
    return leaf


cdef Object *leaf_slice(Heap *heap, Object *leaf, uint32_t start, uint32_t n) noexcept nogil:
    """Return a new leaf of n > 0 items of another one; NULL without memory."""
    cdef uint32_t family = leaf.flags
    cdef Object *slice
    cdef uint32_t i
    if has_objects(family):
        for i in range(start, start + n):
            retain(leaf_item(leaf, i))
        if family == MIXED:
            return leaf_of(heap, &(<Values *> leaf).at[start], n)
    slice = new_leaf(heap, family, n)
    if slice != NULL:
        memcpy(slice + 1, <char *> (leaf + 1) + start * item_size(family), n * item_size(family))
    return slice


cdef Outcome leaf_remake(
    Heap *heap, Object **handle, uint32_t keep, uint32_t family, uint32_t place, Value item
) noexcept nogil:
    """Replace the leaf of a handle by one of a family: the first `keep` items but for `place`, where `item` (borrowed) is.

    The place is one of those kept, the one behind them, or NOWHERE.
    """
    cdef Object *old = handle[0]
    cdef bint unique = old.count == 1
    cdef Object *fresh = new_leaf(heap, family, keep + 1 if place == keep else keep)
    cdef uint32_t i
    if fresh == NULL:
        return NO_MEMORY
    if family == old.flags:
        memcpy(fresh + 1, old + 1, keep * item_size(family))
    else:
        for i in range(keep):
            if i != place:
                leaf_store(fresh, i, leaf_item(old, i))
    if place != NOWHERE:
        leaf_store(fresh, place, retained(item))
    if has_objects(old.flags):
        for i in range(old.length):
            if i < keep and i != place:
                if not unique:
                    retain(leaf_item(old, i))
            elif unique:
                release(heap, leaf_item(old, i))
    handle[0] = fresh
    if unique:
        free_block(heap, old)  # its items have moved
    else:
        release_object(heap, old)
    return OK


cdef bint others_are(Object *leaf, uint32_t place, uint32_t family) noexcept nogil:
    """Return whether only the item at a place keeps a MIXED leaf from being of a family."""
    cdef Value *at = (<Values *> leaf).at
    cdef uint32_t i
    if family_of(at[place].tag) == family:
        return False
    for i in range(leaf.length):
        if i != place and family_of(at[i].tag) != family:
            return False
    return True


cdef Outcome leaf_set(Heap *heap, Object **handle, uint32_t place, Value item) noexcept nogil:
    """Replace an item of the leaf of a handle."""
    cdef Object *leaf = handle[0]
    cdef Value old
    cdef uint32_t family = family_of(item.tag)
    if leaf.flags == MIXED:
        if not others_are(leaf, place, family):
            family = MIXED
    elif leaf.flags != family and leaf.length > 1:
        family = MIXED
    if leaf.flags != family or leaf.count != 1:
        return leaf_remake(heap, handle, leaf.length, family, place, item)
    old = leaf_item(leaf, place)
    leaf_store(leaf, place, retained(item))
    release(heap, old)
    return OK


cdef Outcome leaf_add(Heap *heap, Object **handle, Value item) noexcept nogil:
    """Add an item at the end of the leaf of a handle, which is not full."""
    cdef Object *leaf = handle[0]
    cdef uint32_t length = leaf.length
    cdef uint32_t family = family_of(item.tag)
    if leaf.flags != family:
        family = MIXED
    if leaf.flags != family or leaf.count != 1 or not leaf_has_room(family, length):
        return leaf_remake(heap, handle, length, family, length, item)
    leaf_store(leaf, length, retained(item))
    leaf.length = length + 1
    return OK


cdef Outcome leaf_drop(Heap *heap, Object **handle) noexcept nogil:
    """Remove the last item of the leaf of a handle, which has another one."""
    cdef Object *leaf = handle[0]
    cdef Value last
    cdef uint32_t length = leaf.length - 1
    cdef uint32_t family = leaf.flags
    if family == MIXED:
        last = (<Values *> leaf).at[0]
        if others_are(leaf, length, family_of(last.tag)):
            family = family_of(last.tag)
    if leaf.flags != family or leaf.count != 1 or not leaf_has_room(family, length):
        return leaf_remake(heap, handle, length, family, NOWHERE, nil())
    last = leaf_item(leaf, length)
    leaf.length = length
    release(heap, last)
    return OK


# ---- nodes

cdef Pointers *new_node(Heap *heap, uint32_t length) noexcept nogil:
    """Return a node, whose children are to be filled at once by the caller."""
    return <Pointers *> allocate(heap, VECTOR_NODE, leaf_size(FAMILY_OBJECTS, length), length)


cdef Object *node_above(Heap *heap, Object *child) noexcept nogil:
    """Return a node whose only child (taken over) is given; NULL without memory."""
    cdef Pointers *node = new_node(heap, 1)
    if node == NULL:
        return NULL
    node.at[0] = child
    return &node.head


cdef Outcome node_remake(Heap *heap, Object **handle, uint32_t keep, Object *child) noexcept nogil:
    """Replace the node of a handle by one with its first `keep` children and one more (taken over) if there is one.

    What is not kept of a node nobody else holds was taken from it.
    """
    cdef Pointers *old = <Pointers *> handle[0]
    cdef Pointers *node = new_node(heap, keep + (child != NULL))
    cdef uint32_t i
    if node == NULL:
        return NO_MEMORY
    memcpy(node.at, old.at, keep * sizeof(Object *))
    if child != NULL:
        node.at[keep] = child
    handle[0] = &node.head
    if old.head.count == 1:
        free_block(heap, &old.head)  # its children have moved
        return OK
    for i in range(keep):
        retain_object(node.at[i])
    release_object(heap, &old.head)
    return OK


cdef inline Outcome node_own(Heap *heap, Object **handle) noexcept nogil:
    """Make the node of a handle unique."""
    if likely(handle[0].count == 1):
        return OK
    return node_remake(heap, handle, handle[0].length, NULL)


cdef Outcome node_add(Heap *heap, Object **handle, Object *child) noexcept nogil:
    """Add a child (taken over) at the end of the node of a handle, which is not full."""
    cdef Pointers *node = <Pointers *> handle[0]
    cdef uint32_t length = node.head.length
    if node.head.count != 1 or not leaf_has_room(FAMILY_OBJECTS, length):
        return node_remake(heap, handle, length, child)
    node.at[length] = child
    node.head.length = length + 1
    return OK


cdef Outcome node_take_last(Heap *heap, Object **handle, Object **child) noexcept nogil:
    """Take the last child out of the node of a handle; if it was the only one the node goes and the handle is NULL."""
    cdef Pointers *node = <Pointers *> handle[0]
    cdef uint32_t length = node.head.length - 1
    child[0] = node.at[length]
    if node.head.count != 1:
        retain_object(child[0])
    if length == 0:
        handle[0] = NULL
        if node.head.count == 1:
            free_block(heap, &node.head)
        else:
            release_object(heap, &node.head)
        return OK
    if node.head.count != 1 or not leaf_has_room(FAMILY_OBJECTS, length):
        return node_remake(heap, handle, length, NULL)
    node.head.length = length
    return OK


# ---- vectors

cdef Outcome give_vector(
    Heap *heap, int64_t count, uint32_t shift, Object *root, Object *tail, Value *result
) noexcept nogil:
    """Set result to a new vector head, which takes root and tail over."""
    cdef Vector *vector = <Vector *> allocate(heap, VECTOR, sizeof(Vector), VECTOR_PARTS)
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
    """Set result to the empty VECTOR, MAP or SET, or EMPTY for any other kind; not for the sorted kinds."""
    if kind == VECTOR:
        return give_vector(heap, 0, 5, NULL, NULL, result)
    if kind == MAP or kind == SET:
        return give_map(heap, kind, 0, nil(), result)
    result[0] = immediate(EMPTY, 0)
    return OK


cdef Outcome vector_copy(Heap *heap, Value *handle) noexcept nogil:
    """Replace a vector that others hold too by one with the same root and tail."""
    cdef Vector *vector = <Vector *> handle.object
    cdef Value fresh
    if vector.root != NULL:
        retain_object(vector.root)
    if vector.tail != NULL:
        retain_object(vector.tail)
    if give_vector(heap, vector.count, vector.shift, vector.root, vector.tail, &fresh) != OK:
        return NO_MEMORY
    release(heap, handle[0])
    handle[0] = fresh
    return OK


cdef inline Outcome vector_own(Heap *heap, Value *handle) noexcept nogil:
    """Make the head of the vector unique."""
    return OK if handle.object.count == 1 else vector_copy(heap, handle)


cdef Outcome push_leaf(Heap *heap, Vector *vector) noexcept nogil:
    """Move the full tail of a unique vector into its trie; there is no tail afterwards."""
    cdef int64_t index = tail_start(vector.count) >> 5  # of the new leaf
    cdef Object **handle = &vector.root
    cdef Object *moved = vector.tail
    cdef uint32_t level
    vector.tail = NULL
    if vector.root == NULL:
        vector.root = node_above(heap, moved)
        return OK if vector.root != NULL else NO_MEMORY
    if index == (<int64_t> 1) << vector.shift:
        vector.root = node_above(heap, vector.root)
        if vector.root == NULL:
            return NO_MEMORY
        vector.shift += 5
    level = vector.shift - 5
    while level > 0 and ((index >> level) & 31) < handle[0].length:
        if node_own(heap, handle) != OK:
            return NO_MEMORY
        handle = &(<Pointers *> handle[0]).at[(index >> level) & 31]
        level -= 5
    while level > 0:  # a new path down to the leaf
        moved = node_above(heap, moved)
        if moved == NULL:
            return NO_MEMORY
        level -= 5
    return node_add(heap, handle, moved)


cdef inline bint vector_conj_fast(Value vector, Value item) noexcept nogil:
    """Add an item (borrowed) in place to the last leaf; nearly always there is one owner, and room in the leaf.

    False, and nothing is done, unless this is a vector nobody else holds a part of, and the item fits the leaf.
    """
    cdef Object *leaf
    cdef uint32_t visible
    cdef uint32_t family
    if unlikely(vector.tag != VECTOR or vector.object.count != 1):
        return False
    visible = <uint32_t> (<Vector *> vector.object).count & 31
    if visible == 0:
        return False
    leaf = (<Vector *> vector.object).tail
    family = family_of(item.tag)
    if leaf.count != 1 or leaf.flags != family or not leaf_has_room(family, visible):
        return False
    leaf_store(leaf, visible, retained(item))
    leaf.length = visible + 1
    (<Vector *> vector.object).count += 1
    return True


cdef Outcome vector_append(Heap *heap, Value *handle, Value item) noexcept nogil:
    """Add the item (borrowed) at the end."""
    cdef Vector *vector
    if vector_conj_fast(handle[0], item):
        return OK
    if vector_own(heap, handle) != OK:
        return NO_MEMORY
    vector = <Vector *> handle.object
    if vector.count & 31 == 0:
        if vector.tail != NULL and push_leaf(heap, vector) != OK:
            return NO_MEMORY
        retain(item)
        vector.tail = leaf_of(heap, &item, 1)
        if vector.tail == NULL:
            return NO_MEMORY
    elif leaf_add(heap, &vector.tail, item) != OK:
        return NO_MEMORY
    vector.count += 1
    return OK


cdef Outcome vector_add_leaf(Heap *heap, Value *handle, Object *leaf) noexcept nogil:
    """Add a new leaf (taken over; NULL: no memory) behind the items of a vector, which are a multiple of 32."""
    cdef Vector *vector
    if leaf == NULL or vector_own(heap, handle) != OK:
        return NO_MEMORY
    vector = <Vector *> handle.object
    if vector.tail != NULL and push_leaf(heap, vector) != OK:
        return NO_MEMORY
    vector.tail = leaf
    vector.count += leaf.length
    return OK


cdef inline uint32_t room_in_leaf(Value vector, int64_t n) noexcept nogil:
    """Return how many of n items go into the last leaf of a vector: into a new one if its last is full."""
    cdef int64_t room = LEAF_ITEMS - ((<Vector *> vector.object).count & 31)
    return <uint32_t> (n if n < room else room)


cdef Outcome vector_extend(Heap *heap, Value *handle, const Value *items, uint32_t n) noexcept nogil:
    """Add n items (borrowed) at the end."""
    cdef uint32_t part
    cdef uint32_t i
    while n > 0:
        part = room_in_leaf(handle[0], n)
        if part > 1 and (<Vector *> handle.object).count & 31 == 0:
            for i in range(part):
                retain(items[i])
            if vector_add_leaf(heap, handle, leaf_of(heap, items, part)) != OK:
                return NO_MEMORY
        else:
            for i in range(part):
                if vector_append(heap, handle, items[i]) != OK:
                    return NO_MEMORY
        items += part
        n -= part
    return OK


cdef Outcome vector_extend_from(Heap *heap, Value *handle, Value source, int64_t start, int64_t end) noexcept nogil:
    """Add the items of another vector from start up to end, which are in range."""
    cdef Object *leaf
    cdef uint32_t first
    cdef uint32_t part
    cdef uint32_t i
    while start < end:
        leaf = vector_leaf(<Vector *> source.object, start)
        first = <uint32_t> start & 31
        part = room_in_leaf(handle[0], end - start)
        if part > LEAF_ITEMS - first:
            part = LEAF_ITEMS - first
        if part > 1 and (<Vector *> handle.object).count & 31 == 0:
            if vector_add_leaf(heap, handle, leaf_slice(heap, leaf, first, part)) != OK:
                return NO_MEMORY
        else:
            for i in range(first, first + part):
                if vector_append(heap, handle, leaf_item(leaf, i)) != OK:
                    return NO_MEMORY
        start += part
    return OK


cdef uint64_t range_left(const Value *bounds, int64_t first) noexcept nogil:
    """Return how many integers of a RANGE come after one of them."""
    cdef uint64_t end = <uint64_t> bounds[1].integer
    if bounds[2].integer > 0:
        return (end - <uint64_t> first - 1) // <uint64_t> bounds[2].integer
    return (<uint64_t> first - end - 1) // (0 - <uint64_t> bounds[2].integer)


cdef Outcome vector_extend_range(Heap *heap, Value *handle, int64_t first, int64_t step, int64_t n) noexcept nogil:
    """Add n integers at the end: first, first + step ..., of which none overflows."""
    cdef Object *leaf
    cdef uint32_t part
    cdef uint32_t i
    while n > 0:
        part = room_in_leaf(handle[0], n)
        if part > 1 and (<Vector *> handle.object).count & 31 == 0:
            leaf = new_leaf(heap, INT, part)
            if leaf == NULL:
                return NO_MEMORY
            for i in range(part):
                (<Words *> leaf).at[i] = first + i * step
            if vector_add_leaf(heap, handle, leaf) != OK:
                return NO_MEMORY
        else:
            for i in range(part):
                if vector_append(heap, handle, integer_value(first + i * step)) != OK:
                    return NO_MEMORY
        n -= part
        if n > 0:
            first += part * step
    return OK


cdef inline Object *vector_leaf(Vector *vector, int64_t index) noexcept nogil:
    """Return the leaf that holds an index in range; the item is at index & 31."""
    cdef Object *node
    cdef uint32_t level
    if index >= tail_start(vector.count):
        return vector.tail
    node = vector.root
    level = vector.shift
    while level > 0:
        node = (<Pointers *> node).at[(index >> level) & 31]
        level -= 5
    return node


cdef inline Value vector_item(Value vector, int64_t index) noexcept nogil:
    """Return an item, borrowed. The caller ensures 0 <= index < count."""
    return leaf_item(vector_leaf(<Vector *> vector.object, index), <uint32_t> index & 31)


cdef inline int64_t vector_count(Value vector) noexcept nogil:
    return (<Vector *> vector.object).count


cdef inline bint vector_nth_fast(Value vector, Value index, Value *item) noexcept nogil:
    """Set item to that at an index, borrowed; False unless these are a vector and an integer in range."""
    if vector.tag != VECTOR or index.tag != INT:
        return False
    if <uint64_t> index.integer >= <uint64_t> (<Vector *> vector.object).count:
        return False
    item[0] = vector_item(vector, index.integer)
    return True


cdef inline bint vector_assoc_fast(Value vector, Value index, Value item) noexcept nogil:
    """Replace an item of the same family without pointers, in place.

    False, and nothing is done, unless these are a vector nobody else holds a part of, and an integer in range.
    """
    cdef Object *node
    cdef uint32_t level
    cdef uint32_t place = <uint32_t> index.integer & 31
    if vector.tag != VECTOR or index.tag != INT or vector.object.count != 1:
        return False
    if <uint64_t> index.integer >= <uint64_t> (<Vector *> vector.object).count:
        return False
    node = (<Vector *> vector.object).tail
    if index.integer < tail_start((<Vector *> vector.object).count):
        node = (<Vector *> vector.object).root
        level = (<Vector *> vector.object).shift
        while level > 0:
            if unlikely(node.count != 1):
                return False
            node = (<Pointers *> node).at[(index.integer >> level) & 31]
            level -= 5
    if unlikely(node.count != 1):
        return False
    if node.kind == VECTOR_TAGS and item.tag <= TRUE:
        (<Tags *> node).at[place] = <uint8_t> item.tag
        return True
    if node.kind == VECTOR_WORDS and node.flags == item.tag:
        (<Words *> node).at[place] = item.integer
        return True
    return False


cdef Outcome vector_set(Heap *heap, Value *handle, int64_t index, Value item) noexcept nogil:
    """Replace the item at 0 <= index < count; index = count appends."""
    cdef Vector *vector = <Vector *> handle.object
    cdef Object **place
    cdef uint32_t level
    if index == vector.count:
        return vector_append(heap, handle, item)
    if vector_own(heap, handle) != OK:
        return NO_MEMORY
    vector = <Vector *> handle.object
    place = &vector.tail
    if index < tail_start(vector.count):
        place = &vector.root
        level = vector.shift
        while level > 0:
            if node_own(heap, place) != OK:
                return NO_MEMORY
            place = &(<Pointers *> place[0]).at[(index >> level) & 31]
            level -= 5
    return leaf_set(heap, place, <uint32_t> index & 31, item)


cdef Outcome vector_pop(Heap *heap, Value *handle) noexcept nogil:
    """Remove the last item. The caller ensures count > 0."""
    cdef Vector *vector
    cdef Object **path[12]
    cdef Object *gone
    cdef uint32_t depth = 0
    cdef uint32_t level
    if vector_own(heap, handle) != OK:
        return NO_MEMORY
    vector = <Vector *> handle.object
    vector.count -= 1
    if vector.tail.length > 1:
        return leaf_drop(heap, &vector.tail)
    gone = vector.tail
    vector.tail = NULL
    release_object(heap, gone)
    if vector.count == 0:
        return OK
    path[0] = &vector.root  # the rightmost leaf becomes the tail; nodes that are empty then go
    level = vector.shift
    while level > 5:
        if node_own(heap, path[depth]) != OK:
            return NO_MEMORY
        gone = path[depth][0]
        path[depth + 1] = &(<Pointers *> gone).at[gone.length - 1]
        depth += 1
        level -= 5
    if node_take_last(heap, path[depth], &vector.tail) != OK:
        return NO_MEMORY
    while path[depth][0] == NULL:
        if depth == 0:
            vector.shift = 5
            return OK
        depth -= 1
        if node_take_last(heap, path[depth], &gone) != OK:
            return NO_MEMORY
    while vector.shift > 5 and vector.root.length == 1:
        gone = vector.root
        vector.root = (<Pointers *> gone).at[0]
        retain_object(vector.root)
        release_object(heap, gone)
        vector.shift -= 5
    return OK


cdef Outcome vector_of(Heap *heap, const Value *items, uint32_t n, Value *result) noexcept nogil:
    """Set result to the vector of n items (borrowed)."""
    cdef Object *leaf
    cdef uint32_t i
    if n == 0 or n > LEAF_ITEMS:
        if give_empty(heap, VECTOR, result) != OK:
            return NO_MEMORY
        return vector_extend(heap, result, items, n)
    for i in range(n):
        retain(items[i])
    leaf = leaf_of(heap, items, n)
    if leaf == NULL:
        return NO_MEMORY
    return give_vector(heap, n, 5, NULL, leaf, result)
