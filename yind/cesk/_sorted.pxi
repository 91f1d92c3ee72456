# Sorted maps and sets: B+ trees whose nodes count what is below them.
#
# Is:     find, put and remove by key; read, insert, replace and remove by rank, the position in the order. In place where
#         nobody else holds the part, otherwise the path is copied.
# Is not: the calls of a comparator that is a function of the program: the core library (yang/lib/sorted.clj) asks it
#         where a key belongs, as ordinary calls, and comes here with the rank.
# Fits:   a SORTED_SET is a SORTED_MAP whose values are nil; the functions serve both.
# Source: Bayer and McCreight, "Organization and Maintenance of Large Ordered Indices" (1972); Comer, "The Ubiquitous
#         B-Tree" (1979), for entries in leaves alone; Guibas and Sedgewick, "A Dichromatic Framework for Balanced Trees"
#         (1978), for one way down that makes room, or something to spare, before it goes on; Knuth, "The Art of Computer
#         Programming", volume 3, 6.2.3, for ranks; Rodeh, "B-trees, Shadowing, and Clones" (2008), for sharing by counts.
#
# A B+ tree and no binary one: ten to twenty entries lie side by side, where one comparison costs about as much as one
# step to other memory; an entry takes two values and not a block of its own; and a change in place moves a few of them.
#
#     SORTED_NODE  [child, first key, entries] [child, first key, entries] ...
#     SORTED_LEAF  [key value] [key value] ...
#
# All leaves are equally deep. A leaf has 10 to 20 entries and a node 10 to 20 children; the root may have fewer, a node
# two at least. The first key is that of the child's first leaf, the same object.

cdef enum:
    SORTED_MAX = 20  # entries of a leaf, children of a node
    SORTED_MIN = 10  # half of it: a full one is split into two, and two with the least make a full one
    SORTED_LEVEL_MAX = 12  # nodes above a leaf: more than memory has room for
    SORTED_STEPS = 8  # of work at each level to find a key or rank
    SORTED_PUT_STEPS = 64  # of work to change the paths of a tree, but for finding the place

cdef enum:
    OF_LEAF = 2  # values of an entry
    OF_NODE = 3  # values of a child: itself, first key, entries below


cdef void remove_values(Heap *heap, Object *node, uint32_t place, uint32_t n) noexcept nogil:
    """Take n values, up to four, out of a unique node."""
    cdef Value *at = values_of(node)
    cdef Value gone[4]
    cdef uint32_t i
    memcpy(gone, &at[place], n * sizeof(Value))
    memmove(&at[place], &at[place + n], (node.length - place - n) * sizeof(Value))
    node.length -= n
    for i in range(n):
        release(heap, gone[i])


cdef inline uint32_t width_of(Object *node) noexcept nogil:
    """Return how many values an entry or child takes."""
    return OF_LEAF if node.kind == SORTED_LEAF else OF_NODE


cdef inline uint32_t parts_of(Object *node) noexcept nogil:
    """Return the number of entries of a leaf, or children of a node."""
    return node.length >> 1 if node.kind == SORTED_LEAF else node.length // OF_NODE


cdef inline Value *first_key(Object *node) noexcept nogil:
    return values_of(node) if node.kind == SORTED_LEAF else values_of(node) + 1


cdef int64_t entries_of(Object *node) noexcept nogil:
    """Return the number of entries in a leaf or below a node."""
    cdef Value *at = values_of(node)
    cdef int64_t count = 0
    cdef uint32_t i
    if node.kind == SORTED_LEAF:
        return node.length >> 1
    for i in range(parts_of(node)):
        count += at[OF_NODE * i + 2].integer
    return count


cdef Outcome give_sorted(Heap *heap, uint32_t kind, Value order, Value *result) noexcept nogil:
    """Set result to an empty SORTED_MAP or SORTED_SET with a comparator, which is borrowed."""
    cdef Sorted *sorted = <Sorted *> allocate(heap, kind, sizeof(Sorted), 2)
    if sorted == NULL:
        return NO_MEMORY
    sorted.count = 0
    sorted.spare = 0
    sorted.root = nil()
    sorted.order = retained(order)
    result[0] = pointer_value(sorted)
    return OK


cdef Outcome sorted_own(Heap *heap, Value *handle) noexcept nogil:
    """Make the head of the tree unique."""
    cdef Sorted *sorted = <Sorted *> handle.object
    cdef Value fresh
    if sorted.head.count == 1:
        return OK
    if give_sorted(heap, sorted.head.kind, sorted.order, &fresh) != OK:
        return NO_MEMORY
    (<Sorted *> fresh.object).count = sorted.count
    (<Sorted *> fresh.object).root = retained(sorted.root)
    release(heap, handle[0])
    handle[0] = fresh
    return OK


# ---- order

cdef inline bint orders_here(Value order) noexcept nogil:
    """Return whether keys are compared here, because the comparator is a host function that is nothing else."""
    return order.tag == NIL or (
        order.tag == PRIMITIVE
        and (
            order.integer == PRIMITIVE_LESS or order.integer == PRIMITIVE_LESS_EQUAL
            or order.integer == PRIMITIVE_GREATER or order.integer == PRIMITIVE_GREATER_EQUAL
        )
    )


cdef inline bint calls_out(Value source) noexcept nogil:
    """Return whether a value is sorted by a comparator that only the core library can ask."""
    return is_sorted(source.tag) and not orders_here((<Sorted *> source.object).order)


cdef inline bint is_comparator(Value value) noexcept nogil:
    """Return whether a value can be a comparator; `compare` itself is written as nil."""
    return value.tag == CLOSURE or value.tag == CONTINUATION or (
        value.tag == PRIMITIVE and value.integer != PRIMITIVE_COMPARE
    )


cdef Outcome ordered_by(Heap *heap, int64_t number, Value a, Value b, bint *before) noexcept nogil:
    """Set before to what the host function <, <=, > or >= says of two values."""
    cdef int order = 0
    cdef Outcome outcome = checked_compare(heap, PRIMITIVE_TABLE[number].name, a, b, &order)
    if number == PRIMITIVE_LESS or number == PRIMITIVE_LESS_EQUAL:
        before[0] = order == -1 or (order == 0 and number == PRIMITIVE_LESS_EQUAL)
    else:
        before[0] = order == 1 or (order == 0 and number == PRIMITIVE_GREATER_EQUAL)
    return outcome


cdef inline int integers_ordered(Value order, int64_t a, int64_t b) noexcept nogil:
    """As `sorted_order` for two integers."""
    cdef int found = (a > b) - (a < b)
    if order.tag == NIL or order.integer == PRIMITIVE_LESS:
        return found
    if order.integer == PRIMITIVE_GREATER:
        return -found
    if order.integer == PRIMITIVE_LESS_EQUAL:
        return 1 if found > 0 else -1
    return 1 if found < 0 else -1


cdef Outcome sorted_order(Heap *heap, Value order, Value a, Value b, int *result) noexcept nogil:
    """Set result to -1, 0 or 1: the order of two keys by a comparator that `orders_here`.

    One that gives booleans is asked the other way round too when it denies, as Clojure's functions are as comparators.
    """
    cdef bint before = False
    cdef Outcome outcome
    if likely(a.tag == INT and b.tag == INT):
        result[0] = integers_ordered(order, a.integer, b.integer)
        return OK
    if order.tag == NIL:
        return compare_values(heap, a, b, True, result)
    outcome = ordered_by(heap, order.integer, a, b, &before)
    if outcome != OK or before:
        result[0] = -1
        return outcome
    outcome = ordered_by(heap, order.integer, b, a, &before)
    result[0] = 1 if before else 0
    return outcome


# ---- finding

cdef Outcome sorted_find(Heap *heap, Value source, Value key, int64_t *rank, Value **found) noexcept nogil:
    """Set rank to the number of entries before a key, and found to its pair (borrowed) or NULL.

    The comparator must be one that `orders_here`.
    """
    cdef Sorted *sorted = <Sorted *> source.object
    cdef Object *node = sorted.root.object
    cdef Value *at
    cdef uint32_t low
    cdef uint32_t high
    cdef uint32_t middle
    cdef uint32_t i
    cdef int order = 0
    cdef Outcome outcome
    found[0] = NULL
    rank[0] = 0
    if not orders_here(sorted.order):
        return fault(heap, b"type", b"the comparator cannot be called here")
    if sorted.root.tag == NIL:
        return OK
    while True:
        outcome = spend(heap, SORTED_STEPS)
        if outcome != OK:
            return outcome
        at = values_of(node)
        low = 0 if node.kind == SORTED_LEAF else 1  # what is before all others belongs to the first child
        high = parts_of(node)
        while low < high:
            middle = (low + high) >> 1
            outcome = sorted_order(heap, sorted.order, key, first_key(node)[middle * width_of(node)], &order)
            if outcome != OK:
                return outcome
            if order < 0:
                high = middle
            elif order > 0 or node.kind == SORTED_NODE:
                low = middle + 1
            else:
                rank[0] += middle
                found[0] = &at[OF_LEAF * middle]
                return OK
        if node.kind == SORTED_LEAF:
            rank[0] += low
            return OK
        for i in range(low - 1):
            rank[0] += at[OF_NODE * i + 2].integer
        node = at[OF_NODE * (low - 1)].object


cdef inline uint32_t child_of_rank(Object *node, int64_t *rank) noexcept nogil:
    """Return which child of a node has the entry of a rank, which becomes that below the child."""
    cdef Value *at = values_of(node)
    cdef uint32_t i = 0
    while rank[0] >= at[OF_NODE * i + 2].integer:
        rank[0] -= at[OF_NODE * i + 2].integer
        i += 1
    return i


cdef Object *sorted_leaf(Object *node, int64_t *rank) noexcept nogil:
    """Return the leaf with the entry of a rank below a node; the rank becomes that in the leaf."""
    while node.kind == SORTED_NODE:
        node = values_of(node)[OF_NODE * child_of_rank(node, rank)].object
    return node


cdef Value *sorted_pair(Object *node, int64_t rank) noexcept nogil:
    """Return the pair of a rank below a node."""
    cdef Object *leaf = sorted_leaf(node, &rank)
    return values_of(leaf) + OF_LEAF * rank


cdef inline Value *sorted_at(Value source, int64_t rank) noexcept nogil:
    """Return the pair of a rank of a SORTED_MAP or SORTED_SET."""
    return sorted_pair((<Sorted *> source.object).root.object, rank)


# ---- changing by rank; nothing here can fail but for want of memory

cdef Outcome sorted_editable(Heap *heap, Value *handle, uint32_t more) noexcept nogil:
    """Make a leaf or node unique, with room for so many parts more; room grows by eight values or twelve at a time."""
    cdef uint32_t length = handle.object.length
    cdef uint32_t width = width_of(handle.object)
    cdef uint32_t wanted = (length // width + more + 3) & ~(<uint32_t> 3)
    return make_editable(heap, handle, length, wanted * width - length if more else 0)


cdef Outcome split_child(Heap *heap, Value *handle, uint32_t place) noexcept nogil:
    """Split a full child of a node that is not full into two; makes both unique."""
    cdef Object *node
    cdef Object *left
    cdef Object *right
    cdef Value *at
    cdef uint32_t width
    cdef uint32_t half
    if sorted_editable(heap, handle, 1) != OK:
        return NO_MEMORY
    node = handle.object
    at = values_of(node) + OF_NODE * place
    if sorted_editable(heap, &at[0], 0) != OK:
        return NO_MEMORY
    left = at[0].object
    width = width_of(left)
    half = (SORTED_MAX - SORTED_MIN) * width
    right = <Object *> allocate(heap, left.kind, sizeof(Object) + <size_t> (half + 2 * width) * sizeof(Value), half)
    if right == NULL:
        return NO_MEMORY
    memcpy(values_of(right), values_of(left) + SORTED_MIN * width, half * sizeof(Value))
    left.length = SORTED_MIN * width
    memmove(at + 2 * OF_NODE, at + OF_NODE, (node.length - OF_NODE * (place + 1)) * sizeof(Value))
    node.length += OF_NODE
    at[OF_NODE] = pointer_value(right)
    at[OF_NODE + 1] = retained(first_key(right)[0])
    at[OF_NODE + 2] = integer_value(entries_of(right))
    at[2].integer -= at[OF_NODE + 2].integer
    return OK


cdef Outcome raise_root(Heap *heap, Sorted *sorted) noexcept nogil:
    """Put a node with one child above a full root."""
    cdef Values *node = <Values *> allocate(heap, SORTED_NODE, sizeof(Object) + 4 * OF_NODE * sizeof(Value), OF_NODE)
    if node == NULL:
        return NO_MEMORY
    node.at[0] = sorted.root
    node.at[1] = retained(first_key(sorted.root.object)[0])
    node.at[2] = integer_value(sorted.count)
    sorted.root = pointer_value(node)
    return OK


cdef Outcome plant(Heap *heap, Sorted *sorted, Value key, Value value) noexcept nogil:
    """Put the first entry into a tree."""
    cdef Values *leaf = <Values *> allocate(heap, SORTED_LEAF, sizeof(Object) + 4 * OF_LEAF * sizeof(Value), OF_LEAF)
    if leaf == NULL:
        return NO_MEMORY
    leaf.at[0] = retained(key)
    leaf.at[1] = retained(value)
    sorted.root = pointer_value(leaf)
    sorted.count = 1
    return OK


cdef Outcome sorted_insert(Heap *heap, Value *handle, int64_t rank, Value key, Value value) noexcept nogil:
    """Insert an entry (borrowed) so that it gets a rank, 0 <= rank <= count. What is full on the way down is split."""
    cdef Sorted *sorted
    cdef Value *place
    cdef Value *at
    cdef uint32_t i
    if sorted_own(heap, handle) != OK:
        return NO_MEMORY
    sorted = <Sorted *> handle.object
    if sorted.root.tag == NIL:
        return plant(heap, sorted, key, value)
    if parts_of(sorted.root.object) == SORTED_MAX and raise_root(heap, sorted) != OK:
        return NO_MEMORY
    place = &sorted.root
    while place.object.kind == SORTED_NODE:
        if sorted_editable(heap, place, 0) != OK:
            return NO_MEMORY
        i = 0
        while rank > values_of(place.object)[OF_NODE * i + 2].integer:
            rank -= values_of(place.object)[OF_NODE * i + 2].integer
            i += 1
        if parts_of(values_of(place.object)[OF_NODE * i].object) == SORTED_MAX:
            if split_child(heap, place, i) != OK:
                return NO_MEMORY
            if rank > values_of(place.object)[OF_NODE * i + 2].integer:
                rank -= values_of(place.object)[OF_NODE * i + 2].integer
                i += 1
        at = values_of(place.object) + OF_NODE * i
        at[2].integer += 1
        if rank == 0:
            set_value(heap, &at[1], retained(key))
        place = &at[0]
    if sorted_editable(heap, place, 1) != OK:
        return NO_MEMORY
    at = values_of(place.object) + OF_LEAF * rank
    memmove(at + OF_LEAF, at, (place.object.length - OF_LEAF * rank) * sizeof(Value))
    place.object.length += OF_LEAF
    at[0] = retained(key)
    at[1] = retained(value)
    sorted.count += 1
    return OK


cdef Outcome sorted_replace(Heap *heap, Value *handle, int64_t rank, Value value) noexcept nogil:
    """Set the value (borrowed) of the entry of a rank."""
    cdef Value *place
    if sorted_own(heap, handle) != OK:
        return NO_MEMORY
    place = &(<Sorted *> handle.object).root
    while True:
        if sorted_editable(heap, place, 0) != OK:
            return NO_MEMORY
        if place.object.kind == SORTED_LEAF:
            break
        place = values_of(place.object) + OF_NODE * child_of_rank(place.object, &rank)
    set_value(heap, values_of(place.object) + OF_LEAF * rank + 1, retained(value))
    return OK


cdef Outcome move_left(Heap *heap, Value *children, uint32_t count) noexcept nogil:
    """Move the first parts of the second of two unique children to the end of the first one."""
    cdef Object *left
    cdef Object *right = children[OF_NODE].object
    cdef uint32_t moved = count * width_of(right)
    if sorted_editable(heap, &children[0], count) != OK:
        return NO_MEMORY
    left = children[0].object
    memcpy(values_of(left) + left.length, values_of(right), moved * sizeof(Value))
    memmove(values_of(right), values_of(right) + moved, (right.length - moved) * sizeof(Value))
    left.length += moved
    right.length -= moved
    return OK


cdef Outcome move_right(Heap *heap, Value *children) noexcept nogil:
    """Move the last part of the first of two unique children to the front of the second one."""
    cdef Object *left = children[0].object
    cdef Object *right
    cdef uint32_t moved = width_of(left)
    if sorted_editable(heap, &children[OF_NODE], 1) != OK:
        return NO_MEMORY
    right = children[OF_NODE].object
    memmove(values_of(right) + moved, values_of(right), right.length * sizeof(Value))
    memcpy(values_of(right), values_of(left) + left.length - moved, moved * sizeof(Value))
    left.length -= moved
    right.length += moved
    return OK


cdef Outcome fill_child(Heap *heap, Value *handle, uint32_t *place, int64_t *rank) noexcept nogil:
    """Give the child of a unique node that has the least a part of a neighbour, or join the two.

    Place and rank stay those of the entry that is looked for.
    """
    cdef Object *node = handle.object
    cdef bint is_second = place[0] > 0  # of the two: the neighbour is the one before, but for the first child
    cdef uint32_t left = place[0] - 1 if is_second else 0
    cdef Value *at = values_of(node) + OF_NODE * left
    cdef int64_t both = at[2].integer + at[OF_NODE + 2].integer
    cdef int64_t before
    cdef Outcome outcome
    if sorted_editable(heap, &at[0], 0) != OK or sorted_editable(heap, &at[OF_NODE], 0) != OK:
        return NO_MEMORY
    if is_second:
        rank[0] += at[2].integer  # from the beginning of both
    if parts_of(at[0].object if is_second else at[OF_NODE].object) == SORTED_MIN:
        if move_left(heap, at, SORTED_MIN) != OK:
            return NO_MEMORY
        at[2].integer = both
        remove_values(heap, node, OF_NODE * (left + 1), OF_NODE)
        place[0] = left
        return OK
    outcome = move_right(heap, at) if is_second else move_left(heap, at, 1)
    if outcome != OK:
        return NO_MEMORY
    before = entries_of(at[0].object)
    at[2].integer = before
    at[OF_NODE + 2].integer = both - before
    set_value(heap, &at[OF_NODE + 1], retained(first_key(at[OF_NODE].object)[0]))
    if is_second:
        rank[0] -= before
    return OK


cdef Outcome sorted_remove(Heap *heap, Value *handle, int64_t rank) noexcept nogil:
    """Remove the entry of a rank. What has the least on the way down is filled first."""
    cdef Sorted *sorted
    cdef Value *place
    cdef Value *at
    cdef Value child
    cdef uint32_t i
    if sorted_own(heap, handle) != OK:
        return NO_MEMORY
    sorted = <Sorted *> handle.object
    sorted.count -= 1
    if sorted.count == 0:
        set_value(heap, &sorted.root, nil())
        return OK
    place = &sorted.root
    while True:
        if sorted_editable(heap, place, 0) != OK:
            return NO_MEMORY
        if place.object.kind == SORTED_LEAF:
            break
        i = child_of_rank(place.object, &rank)
        if parts_of(values_of(place.object)[OF_NODE * i].object) == SORTED_MIN:
            if fill_child(heap, place, &i, &rank) != OK:
                return NO_MEMORY
            if place.object.length == OF_NODE:  # of the root: two children became one
                child = retained(values_of(place.object)[0])
                set_value(heap, place, child)
                continue
        at = values_of(place.object) + OF_NODE * i
        at[2].integer -= 1
        if rank == 0:
            set_value(heap, &at[1], retained(sorted_pair(at[0].object, 1)[0]))
        place = &at[0]
    remove_values(heap, place.object, OF_LEAF * <uint32_t> rank, OF_LEAF)
    return OK


# ---- changing by key; the comparator must be one that `orders_here`

cdef Outcome sorted_put(Heap *heap, Value *handle, Value key, Value value) noexcept nogil:
    """Set key to value (borrowed); a key that is there stays as it was. For a SORTED_SET the value is nil."""
    cdef Value *found = NULL
    cdef int64_t rank = 0
    cdef Outcome outcome = sorted_find(heap, handle[0], key, &rank, &found)
    if outcome == OK:
        outcome = spend(heap, SORTED_PUT_STEPS)
    if outcome != OK:
        return outcome
    if found == NULL:
        return sorted_insert(heap, handle, rank, key, value)
    if handle.tag == SORTED_SET:
        return OK
    return sorted_replace(heap, handle, rank, value)


cdef Outcome sorted_take(Heap *heap, Value *handle, Value key) noexcept nogil:
    """Remove a key (borrowed) if it is there."""
    cdef Value *found = NULL
    cdef int64_t rank = 0
    cdef Outcome outcome = sorted_find(heap, handle[0], key, &rank, &found)
    if outcome == OK and found != NULL:
        outcome = spend(heap, SORTED_PUT_STEPS)
        if outcome == OK:
            outcome = sorted_remove(heap, handle, rank)
    return outcome


# ---- walking

cdef Value *sorted_step(Cursor *cursor) noexcept nogil:
    """Return the pair a cursor over a SORTED_MAP or SORTED_SET stands at, and move it on; NULL at the end."""
    cdef Value *pair = cursor.entry
    cdef Object *leaf
    cdef int64_t place = cursor.index
    if not 0 <= place < cursor.end:
        return NULL
    if pair == NULL:
        leaf = sorted_leaf((<Sorted *> cursor.at.object).root.object, &place)
        pair = values_of(leaf) + OF_LEAF * place
        cursor.depth = <uint32_t> (place + 1 if cursor.flags & SEQ_DESCENDING else parts_of(leaf) - place)
    cursor.depth -= 1
    if cursor.flags & SEQ_DESCENDING:
        cursor.index -= 1
        cursor.entry = pair - OF_LEAF if cursor.depth else NULL
    else:
        cursor.index += 1
        cursor.entry = pair + OF_LEAF if cursor.depth else NULL
    return pair
