# Persistent maps and sets: a small array in order of insertion, then a CHAMP trie.
#
# Is:     find, put, remove; in place where nobody else holds the part, otherwise the path is copied.
# Is not: equality and hash of keys (`_equal.pxi`).
# Fits:   a SET is a MAP whose values are nil; the functions serve both.
# Source: Steindorfer and Vinju, "Optimizing Hash-Array Mapped Tries for Fast and Lean Immutable JVM Collections" (2015);
#         Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), for the second hash.
#
# A MAP_NODE for 5 bits of the hash: data_map says for which digits a pair is here, node_map for which a child is:
#     [k v][k v] ... child child ...       position of a digit = popcount of the map's bits below it
# Removal keeps nodes canonical: a child with one pair and no children is replaced by the pair.
#
# TWO HASHES. The first is the same for all agents, so that they share constants and cached hashes, and walk equal maps in
# the same order. Whoever sends keys can make them collide in it. Below its seven levels a few such keys stand in a
# MAP_COLLISION; more than that are spread over seven more levels by a second hash, which is keyed by the agent and which
# nobody outside can foresee. Only keys without content of their own (atoms, continuations) collide in both.

cdef enum:
    ARRAY_PAIRS_MAX = 8
    COLLISION_PAIRS_MAX = 8  # before the second hash is used
    LEVELS = 7  # of one hash: 32 bits, 5 to a level
    HASH_END = 35  # the shift behind the first hash
    KEYED_START = 64  # the shift of the second hash's first level; its low 5 bits count
    KEYED_END = 99

cdef extern from *:
    """
    /* Not the builtin: without a flag for newer processors it is a call. */
    static inline uint32_t popcount(uint32_t bits) {
        bits -= bits >> 1 & 0x55555555u;
        bits = (bits & 0x33333333u) + (bits >> 2 & 0x33333333u);
        return ((bits + (bits >> 4)) & 0x0F0F0F0Fu) * 0x01010101u >> 24;
    }
    """
    uint32_t popcount(uint32_t bits) noexcept nogil


cdef Outcome give_map(Heap *heap, uint32_t kind, int64_t count, Value root, Value *result) noexcept nogil:
    """Set result to a new MAP or SET head, which takes the root over."""
    cdef Map *map = <Map *> allocate(heap, kind, sizeof(Map), 1)
    if map == NULL:
        return NO_MEMORY
    map.count = count
    map.spare = 0
    map.root = root
    result[0] = pointer_value(map)
    return OK


cdef Outcome map_own(Heap *heap, Value *handle) noexcept nogil:
    """Make the head of the map unique."""
    cdef Map *map = <Map *> handle.object
    cdef Value fresh
    if map.head.count == 1:
        map.head.extra = 0
        return OK
    if give_map(heap, map.head.kind, map.count, retained(map.root), &fresh) != OK:
        return NO_MEMORY
    release(heap, handle[0])
    handle[0] = fresh
    return OK


cdef inline int64_t map_count(Value map) noexcept nogil:
    return (<Map *> map.object).count


cdef inline uint32_t pair_count(Object *node) noexcept nogil:
    """Return the pairs directly in a root or node of a map."""
    if node.kind == MAP_NODE:
        return popcount((<MapNode *> node).data_map)
    return node.length >> 1


cdef inline uint32_t child_count(Object *node) noexcept nogil:
    return popcount((<MapNode *> node).node_map) if node.kind == MAP_NODE else 0


cdef Outcome find_in_pairs(Heap *heap, Object *node, Value key, Value **found) noexcept nogil:
    """Set found to the pair with this key among the pairs of an array or collision node, or NULL."""
    cdef Value *pairs = values_of(node)
    cdef uint32_t i
    cdef bint same = False
    cdef Outcome outcome
    found[0] = NULL
    if node.kind == MAP_COLLISION:
        outcome = spend(heap, node.length)
        if outcome != OK:
            return outcome
    for i in range(0, node.length, 2):
        outcome = keys_equal(heap, pairs[i], key, &same)
        if outcome != OK:
            return outcome
        if same:
            found[0] = &pairs[i]
            return OK
    return OK


cdef inline uint32_t digit_bit(uint32_t hashed, uint32_t shift) noexcept nogil:
    """Return the bit of a hash's digit in the maps of a node."""
    return (<uint32_t> 1) << ((hashed >> (shift & 31)) & 31)


cdef Outcome map_find(Heap *heap, Value map, Value key, Value **found) noexcept nogil:
    """Set found to the pair (found[0] key, found[1] value; borrowed) of a MAP or SET, or to NULL."""
    cdef Object *node
    cdef MapNode *branch
    cdef Value *pair
    cdef uint32_t hashed = 0
    cdef uint32_t shift = 0
    cdef uint32_t bit
    cdef bint same = False
    cdef Outcome outcome
    found[0] = NULL
    if (<Map *> map.object).root.tag == NIL:
        return OK
    node = (<Map *> map.object).root.object
    if node.kind == MAP_ARRAY:
        return find_in_pairs(heap, node, key, found)
    outcome = hash_value(heap, key, &hashed)
    if outcome != OK:
        return outcome
    while node.kind == MAP_NODE:
        if unlikely(shift == HASH_END):
            shift = KEYED_START
            outcome = keyed_hash(heap, key, &hashed)
            if outcome != OK:
                return outcome
        branch = <MapNode *> node
        bit = digit_bit(hashed, shift)
        if branch.data_map & bit:
            pair = &branch.at[2 * popcount(branch.data_map & (bit - 1))]
            outcome = keys_equal(heap, pair[0], key, &same)
            if outcome == OK and same:
                found[0] = pair
            return outcome
        if not branch.node_map & bit:
            return OK
        node = branch.at[2 * popcount(branch.data_map) + popcount(branch.node_map & (bit - 1))].object
        shift += 5
    return find_in_pairs(heap, node, key, found)


cdef MapNode *new_map_node(Heap *heap, uint32_t kind, uint32_t data_map, uint32_t node_map, uint32_t length) noexcept nogil:
    cdef MapNode *node = <MapNode *> allocate(heap, kind, 32 + <size_t> length * sizeof(Value), length)
    if node != NULL:
        node.data_map = data_map
        node.node_map = node_map
        node.spare[0] = 0
        node.spare[1] = 0
    return node


cdef Outcome two_pairs(
    Heap *heap,
    uint32_t shift,
    uint32_t hash_1,
    const Value *pair_1,
    uint32_t hash_2,
    const Value *pair_2,
    Value *result,
) noexcept nogil:
    """Set result to the node of two pairs (taken over) whose hashes agree below `shift`. Depth is at most 8."""
    cdef MapNode *node
    cdef uint32_t digit_1 = digit_bit(hash_1, shift)
    cdef uint32_t digit_2 = digit_bit(hash_2, shift)
    cdef Value child
    if shift == HASH_END or shift == KEYED_END:
        node = new_map_node(heap, MAP_COLLISION, 0, 0, 4)
        digit_1 = 0
        digit_2 = 0
    elif digit_1 == digit_2:
        if two_pairs(heap, shift + 5, hash_1, pair_1, hash_2, pair_2, &child) != OK:
            return NO_MEMORY
        node = new_map_node(heap, MAP_NODE, 0, digit_1, 1)
        if node == NULL:
            return NO_MEMORY
        node.at[0] = child
        result[0] = pointer_value(node)
        return OK
    else:
        node = new_map_node(heap, MAP_NODE, digit_1 | digit_2, 0, 4)
    if node == NULL:
        return NO_MEMORY
    if digit_2 < digit_1:
        memcpy(&node.at[0], pair_2, 2 * sizeof(Value))
        memcpy(&node.at[2], pair_1, 2 * sizeof(Value))
    else:
        memcpy(&node.at[0], pair_1, 2 * sizeof(Value))
        memcpy(&node.at[2], pair_2, 2 * sizeof(Value))
    result[0] = pointer_value(node)
    return OK


cdef Outcome append_pair(Heap *heap, Value *handle, Value key, Value value) noexcept nogil:
    """Add a pair at the end of an array or collision node."""
    cdef Value *pairs
    cdef uint32_t length = handle.object.length
    if make_editable(heap, handle, length, 2) != OK:
        return NO_MEMORY
    pairs = values_of(handle.object)
    pairs[length] = retained(key)
    pairs[length + 1] = retained(value)
    handle.object.length = length + 2
    return OK


cdef Outcome replace_value(Heap *heap, Value *handle, uint32_t position, Value value) noexcept nogil:
    """Set the value of the pair whose key is at a position of the node."""
    if make_editable(heap, handle, handle.object.length, 0) != OK:
        return NO_MEMORY
    set_value(heap, &values_of(handle.object)[position + 1], retained(value))
    return OK


cdef Outcome collision_to_trie(Heap *heap, Value *handle) noexcept nogil:
    """Replace a node of keys with one first hash by nodes of the second."""
    cdef MapNode *node = new_map_node(heap, MAP_NODE, 0, 0, 0)
    cdef Value trie
    cdef Value *pairs = values_of(handle.object)
    cdef uint32_t hashed = 0
    cdef uint32_t i
    cdef bint added = False
    cdef Outcome outcome
    if node == NULL:
        return NO_MEMORY
    trie = pointer_value(node)
    for i in range(0, handle.object.length, 2):
        outcome = keyed_hash(heap, pairs[i], &hashed)
        if outcome == OK:
            outcome = node_put(heap, &trie, KEYED_START, hashed, pairs[i], pairs[i + 1], &added)
        if outcome != OK:
            release(heap, trie)
            return outcome
    set_value(heap, handle, trie)
    return OK


cdef Outcome node_put(
    Heap *heap, Value *handle, uint32_t shift, uint32_t hashed, Value key, Value value, bint *added
) noexcept nogil:
    """Put a pair into the trie of a handle, whose level is that of `shift`; tells whether the key is new."""
    cdef MapNode *node
    cdef Value *pair
    cdef Value *at
    cdef Value fresh[2]
    cdef Value child
    cdef uint32_t bit
    cdef uint32_t place
    cdef uint32_t other = 0
    cdef uint32_t length
    cdef bint same = False
    cdef Outcome outcome
    added[0] = False
    while True:
        if shift == HASH_END:
            if handle.object.kind == MAP_COLLISION:
                break
            shift = KEYED_START
            outcome = keyed_hash(heap, key, &hashed)
            if outcome != OK:
                return outcome
        elif shift == KEYED_END:
            break
        node = <MapNode *> handle.object
        length = node.head.length
        bit = digit_bit(hashed, shift)
        if node.data_map & bit:
            place = 2 * popcount(node.data_map & (bit - 1))
            outcome = keys_equal(heap, node.at[place], key, &same)
            if outcome != OK:
                return outcome
            if same:
                return replace_value(heap, handle, place, value)
            if shift >= KEYED_START:
                outcome = keyed_hash(heap, node.at[place], &other)
            else:
                outcome = hash_value(heap, node.at[place], &other)
            if outcome != OK:
                return outcome
            if make_editable(heap, handle, length, 0) != OK:
                return NO_MEMORY
            node = <MapNode *> handle.object
            fresh[0] = retained(key)
            fresh[1] = retained(value)
            if two_pairs(heap, shift + 5, other, &node.at[place], hashed, fresh, &child) != OK:
                return NO_MEMORY
            node.data_map ^= bit
            node.node_map |= bit
            memmove(&node.at[place], &node.at[place + 2], (length - place - 2) * sizeof(Value))
            place = 2 * popcount(node.data_map) + popcount(node.node_map & (bit - 1))
            memmove(&node.at[place + 1], &node.at[place], (length - 2 - place) * sizeof(Value))
            node.at[place] = child
            node.head.length = length - 1
            added[0] = True
            return OK
        if not node.node_map & bit:
            place = 2 * popcount(node.data_map & (bit - 1))
            if make_editable(heap, handle, length, 2) != OK:
                return NO_MEMORY
            node = <MapNode *> handle.object
            memmove(&node.at[place + 2], &node.at[place], (length - place) * sizeof(Value))
            node.at[place] = retained(key)
            node.at[place + 1] = retained(value)
            node.data_map |= bit
            node.head.length = length + 2
            added[0] = True
            return OK
        if make_editable(heap, handle, length, 0) != OK:
            return NO_MEMORY
        node = <MapNode *> handle.object
        handle = &node.at[2 * popcount(node.data_map) + popcount(node.node_map & (bit - 1))]
        shift += 5
    outcome = find_in_pairs(heap, handle.object, key, &pair)
    if outcome != OK:
        return outcome
    at = values_of(handle.object)
    if pair != NULL:
        return replace_value(heap, handle, <uint32_t> (pair - at), value)
    if shift == HASH_END and handle.object.length >= 2 * COLLISION_PAIRS_MAX and not heap.fixed_layout:
        outcome = collision_to_trie(heap, handle)
        if outcome == OK:
            outcome = keyed_hash(heap, key, &hashed)
        if outcome == OK:
            outcome = node_put(heap, handle, KEYED_START, hashed, key, value, added)
        return outcome
    added[0] = True
    return append_pair(heap, handle, key, value)


cdef Outcome array_to_trie(Heap *heap, Value *root) noexcept nogil:
    """Replace a full array by a trie of the same pairs."""
    cdef MapNode *node = new_map_node(heap, MAP_NODE, 0, 0, 0)
    cdef Value trie
    cdef Value *pairs = values_of(root.object)
    cdef uint32_t hashed = 0
    cdef uint32_t i
    cdef bint added = False
    cdef Outcome outcome
    if node == NULL:
        return NO_MEMORY
    trie = pointer_value(node)
    for i in range(0, root.object.length, 2):
        outcome = hash_value(heap, pairs[i], &hashed)
        if outcome == OK:
            outcome = node_put(heap, &trie, 0, hashed, pairs[i], pairs[i + 1], &added)
        if outcome != OK:
            release(heap, trie)
            return outcome
    set_value(heap, root, trie)
    return OK


cdef Outcome map_put(Heap *heap, Value *handle, Value key, Value value) noexcept nogil:
    """Set key to value in a MAP (key and value borrowed); for a SET the value is nil."""
    cdef Map *map
    cdef Value *pair
    cdef Values *array
    cdef uint32_t hashed = 0
    cdef bint added = False
    cdef Outcome outcome
    if (<Map *> handle.object).root.tag == NIL:
        if map_own(heap, handle) != OK:
            return NO_MEMORY
        array = <Values *> allocate(heap, MAP_ARRAY, sizeof(Object) + 4 * sizeof(Value), 2)
        if array == NULL:
            return NO_MEMORY
        array.at[0] = retained(key)
        array.at[1] = retained(value)
        map = <Map *> handle.object
        map.root = pointer_value(array)
        map.count = 1
        return OK
    if (<Map *> handle.object).root.tag == MAP_ARRAY:
        outcome = find_in_pairs(heap, (<Map *> handle.object).root.object, key, &pair)
        if outcome != OK:
            return outcome
        if map_own(heap, handle) != OK:
            return NO_MEMORY
        map = <Map *> handle.object
        if pair != NULL:
            return replace_value(heap, &map.root, <uint32_t> (pair - values_of(map.root.object)), value)
        if map.count < ARRAY_PAIRS_MAX:
            map.count += 1
            return append_pair(heap, &map.root, key, value)
        outcome = array_to_trie(heap, &map.root)
        if outcome != OK:
            return outcome
    outcome = hash_value(heap, key, &hashed)
    if outcome != OK:
        return outcome
    if map_own(heap, handle) != OK:
        return NO_MEMORY
    map = <Map *> handle.object
    outcome = node_put(heap, &map.root, 0, hashed, key, value, &added)
    if outcome == OK and added:
        map.count += 1
    return outcome


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


cdef Outcome map_remove(Heap *heap, Value *handle, Value key) noexcept nogil:
    """Remove the key (borrowed) from a MAP or SET if it is there."""
    cdef Map *map
    cdef Value *pair
    cdef Value *first
    cdef Value *path[16]
    cdef uint32_t bits[16]
    cdef uint32_t depth = 0
    cdef uint32_t place
    cdef uint32_t hashed = 0
    cdef MapNode *node
    cdef Outcome outcome = map_find(heap, handle[0], key, &pair)
    if outcome != OK or pair == NULL:
        return outcome
    if (<Map *> handle.object).root.tag != MAP_ARRAY:
        outcome = hash_value(heap, key, &hashed)
        if outcome != OK:
            return outcome
    if map_own(heap, handle) != OK:
        return NO_MEMORY
    map = <Map *> handle.object
    path[0] = &map.root
    while True:
        place = 0
        first = values_of(path[depth].object)
        if first <= pair < first + 2 * pair_count(path[depth].object):
            place = <uint32_t> (pair - first) + 1  # here; plus one, so that zero says no
        if make_editable(heap, path[depth], path[depth].object.length, 0) != OK:
            return NO_MEMORY
        if depth == LEVELS and path[depth].object.kind == MAP_NODE:
            outcome = keyed_hash(heap, key, &hashed)
            if outcome != OK:
                return outcome
        bits[depth] = digit_bit(hashed, 5 * (depth % LEVELS))
        if place:
            break
        node = <MapNode *> path[depth].object
        path[depth + 1] = &node.at[2 * popcount(node.data_map) + popcount(node.node_map & (bits[depth] - 1))]
        depth += 1
    if path[depth].object.kind == MAP_NODE:
        (<MapNode *> path[depth].object).data_map ^= bits[depth]
    remove_values(heap, path[depth].object, place - 1, 2)
    map.count -= 1
    while depth > 0 and pair_count(path[depth].object) == 1 and child_count(path[depth].object) == 0:
        depth -= 1
        if inline_child(heap, path[depth], bits[depth]) != OK:
            return NO_MEMORY
    if map.count == 0:
        release(heap, map.root)
        map.root = nil()
    return OK


cdef Outcome inline_child(Heap *heap, Value *handle, uint32_t bit) noexcept nogil:
    """Replace the child for a digit, which has one pair and nothing else, by that pair; the node is unique."""
    cdef MapNode *node
    cdef Value child
    cdef Value *pair
    cdef uint32_t length = handle.object.length
    cdef uint32_t place
    if make_editable(heap, handle, length, 1) != OK:
        return NO_MEMORY
    node = <MapNode *> handle.object
    place = 2 * popcount(node.data_map) + popcount(node.node_map & (bit - 1))
    child = node.at[place]
    memmove(&node.at[place], &node.at[place + 1], (length - 1 - place) * sizeof(Value))
    place = 2 * popcount(node.data_map & (bit - 1))
    memmove(&node.at[place + 2], &node.at[place], (length - 1 - place) * sizeof(Value))
    pair = values_of(child.object)
    node.at[place] = retained(pair[0])
    node.at[place + 1] = retained(pair[1])
    node.data_map |= bit
    node.node_map ^= bit
    node.head.length = length + 1
    release(heap, child)
    return OK
