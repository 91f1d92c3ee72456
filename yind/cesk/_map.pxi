# Persistent maps and sets: pairs in order of insertion, and above eight an index from hashes to their positions.
#
# Is:     find, put, remove; in place where nobody else holds the part, otherwise the path is copied.
# Is not: the index (`_map_index.pxi`); equality and hash of keys (`_equal.pxi`).
# Fits:   a SET is a MAP whose values are nil; the functions serve both.
# Source: Hettinger, "More compact dictionaries with faster iteration" (2012): dense pairs, a sparse index of positions.
#         Bagwell, "Ideal Hash Trees" (2001), and Fagin et al., "Extendible Hashing" (1979): a trie whose leaves are pages
#         that split. Perl, Itai, Avni, "Interpolation Search" (1978), in a page. Aumasson and Bernstein, "SipHash: a fast
#         short-input PRF" (2012), for the second hash.
#
#     root:  MAP_NODE -> MAP_ARRAY 0..15, MAP_ARRAY 16..31 ...       a vector of pairs; one MAP_ARRAY up to 16 pairs
#     index: MAP_INDEX -> by four bits of the hash -> MAP_PAGE: (hash, position) in order of hashes
# A pair costs 32 bytes and its entry in the index 8. Pairs that were put one after another lie so, and the index of a
# hundred thousand keys fits the second cache: to look up what is not cached costs one access to memory, not one a level.
#
# A walk is in order of insertion; the place of a removed pair is taken by the last one. Up to eight pairs there is no
# index, and what is removed from these leaves the others in order; an index once made stays until the map is empty.
#
# The reference to a page has its length in `spare`, so that a look-up need not touch the page's header.
#
# ROOM. How large a block is follows from how much is in it (`map_size`), so that an image need not tell.
#
# TWO HASHES. The first is the same for all agents, so that they share constants and cached hashes. Whoever sends keys can
# make them collide in it. Below its eight levels a few such keys stand in one page; more than that are spread over
# eight more levels by a second hash, which is keyed by the agent and which nobody outside can foresee; `extra` of the first
# MAP_INDEX of that kind is the first hash of all below. Only keys without content of their own (atoms, continuations)
# collide in both.

cdef enum:
    ARRAY_PAIRS_MAX = 8  # without an index
    LEAF_PAIRS = 16
    LEAF_SHIFT = 4  # of the nodes right above leaves
    NODE_BITS = 5
    NO_NODES = -1  # the shift of a map whose root is a leaf: LEAF_SHIFT - NODE_BITS
    DIGIT_BITS = 4
    DIGITS = 16
    HASH_LEVELS = 8  # of one hash: 32 bits, 4 to a level
    LEVELS_MAX = 16  # of both
    PAGE_MAX = 120  # entries before a page splits; no block over 1 KiB
    WINDOW = 8  # entries that are compared at once; blocks of pages have room for a multiple of it
    PAGE_MERGED_MAX = 30  # entries in all pages below one node that become one page again
    RUN_MAX = 8  # entries of one hash before their page splits
    POSITIONS_MAX = 0xFFFFFFF0

cdef extern from *:
    """
    #ifdef __SSE2__
    #include <emmintrin.h>
    /* Of eight entries in order of hashes, how many are below a hash. */
    static inline uint32_t lesser_of_eight(const void *entries, uint32_t hashed) {
        const __m128i *at = (const __m128i *) entries;
        const __m128i sign = _mm_set1_epi32((int) 0x80000000u);
        const __m128i wanted = _mm_xor_si128(_mm_set1_epi32((int) hashed), sign);
        __m128 low = _mm_shuffle_ps(
            _mm_castsi128_ps(_mm_loadu_si128(at)), _mm_castsi128_ps(_mm_loadu_si128(at + 1)), 0x88);
        __m128 high = _mm_shuffle_ps(
            _mm_castsi128_ps(_mm_loadu_si128(at + 2)), _mm_castsi128_ps(_mm_loadu_si128(at + 3)), 0x88);
        __m128i less_low = _mm_cmplt_epi32(_mm_xor_si128(_mm_castps_si128(low), sign), wanted);
        __m128i less_high = _mm_cmplt_epi32(_mm_xor_si128(_mm_castps_si128(high), sign), wanted);
        uint32_t less = (uint32_t) _mm_movemask_ps(_mm_castsi128_ps(less_low));
        less |= (uint32_t) _mm_movemask_ps(_mm_castsi128_ps(less_high)) << 4;
        return (uint32_t) __builtin_ctz(~less);
    }
    #else
    static inline uint32_t lesser_of_eight(const void *entries, uint32_t hashed) {
        const uint32_t *at = (const uint32_t *) entries;
        uint32_t less = 0;
        while (less < 8 && at[2 * less] < hashed)
            less++;
        return less;
    }
    #endif
    """
    uint32_t lesser_of_eight(const void *entries, uint32_t hashed) noexcept nogil

cdef struct Gap:  # where an entry belongs
    Value *handle  # of the page; NULL if somebody else holds a part of the way, or the page has to split
    uint32_t place
    uint32_t hash

cdef struct MapPath:  # where a key is in the index
    uint32_t hashes[2]
    uint32_t position
    uint32_t depth  # of `handles`
    Value *handles[18]  # of the nodes, the last one that of the page


# ---- blocks

cdef inline size_t map_size(uint32_t kind, uint32_t length) noexcept nogil:
    """Return the bytes of the block of a MAP_ARRAY, MAP_NODE, MAP_INDEX or MAP_PAGE with so much in it."""
    if kind == MAP_PAGE:
        return sizeof(Object) + ((<size_t> length + (WINDOW - 1)) & ~(<size_t> WINDOW - 1)) * sizeof(MapEntry)
    if kind == MAP_ARRAY:
        return sizeof(Object) + (32 if length > 16 else (length + 3) & ~(<uint32_t> 3)) * sizeof(Value)
    if kind == MAP_NODE:
        return sizeof(Object) + (32 if length > 16 else 16 if length > 8 else 8 if length > 4 else 4) * sizeof(Value)
    return sizeof(Object) + DIGITS * sizeof(Value)


cdef inline Object *new_map_part(Heap *heap, uint32_t kind, uint32_t length) noexcept nogil:
    """Return a block of the right size, to be filled at once by the caller."""
    return allocate(heap, kind, map_size(kind, length), length)


cdef Outcome map_refit(Heap *heap, Value *handle, uint32_t after) noexcept nogil:
    """Replace a part of a map by a copy with room for `after` values or entries, of its own."""
    cdef Object *old = handle.object
    cdef Object *fresh = allocate(heap, old.kind, map_size(old.kind, after), old.length)
    cdef uint32_t i
    if fresh == NULL:
        return NO_MEMORY
    fresh.flags = old.flags
    fresh.extra = old.extra
    memcpy(fresh + 1, old + 1, old.length * (sizeof(MapEntry) if old.kind == MAP_PAGE else sizeof(Value)))
    if old.count == 1:
        free_block(heap, old)  # what is in it has moved
    else:
        if old.kind != MAP_PAGE:
            for i in range(old.length):
                retain((<Values *> fresh).at[i])
        release_object(heap, old)
    handle.object = fresh
    return OK


cdef inline Outcome map_fit(Heap *heap, Value *handle, uint32_t before, uint32_t after) noexcept nogil:
    """Make a part of a map unique, and its block, which is one for `before` values or entries, one for `after`."""
    cdef Object *part = handle.object
    if likely(part.count == 1 and map_size(part.kind, before) == map_size(part.kind, after)):
        return OK
    return map_refit(heap, handle, after)


cdef inline Outcome map_part_own(Heap *heap, Value *handle) noexcept nogil:
    if likely(handle.object.count == 1):
        return OK
    return map_refit(heap, handle, handle.object.length)


# ---- heads

cdef Outcome give_map(Heap *heap, uint32_t kind, int64_t count, Value root, Value *result) noexcept nogil:
    """Set result to a new MAP or SET head without an index, which takes the root over: an array or NIL."""
    cdef Map *map = <Map *> allocate(heap, kind, sizeof(Map) - sizeof(Value), 1)
    if map == NULL:
        return NO_MEMORY
    map.count = count
    map.shift = NO_NODES
    map.spare = 0
    map.root = root
    result[0] = pointer_value(map)
    return OK


cdef Outcome give_indexed(
    Heap *heap, uint32_t kind, int64_t count, int32_t shift, Value root, Value index, Value *result
) noexcept nogil:
    """Set result to a new MAP or SET head with an index; takes root and index over."""
    cdef Map *map = <Map *> allocate(heap, kind, sizeof(Map), 2)
    if map == NULL:
        return NO_MEMORY
    map.count = count
    map.shift = shift
    map.spare = 0
    map.root = root
    map.index = index
    result[0] = pointer_value(map)
    return OK


cdef inline bint is_indexed(Map *map) noexcept nogil:
    return map.head.length == 2


cdef Outcome map_own(Heap *heap, Value *handle) noexcept nogil:
    """Make the head of the map unique."""
    cdef Map *map = <Map *> handle.object
    cdef Value fresh
    cdef Outcome outcome
    if map.head.count == 1:
        map.head.extra = 0
        return OK
    if is_indexed(map):
        outcome = give_indexed(
            heap, map.head.kind, map.count, map.shift, retained(map.root), retained(map.index), &fresh
        )
    else:
        outcome = give_map(heap, map.head.kind, map.count, retained(map.root), &fresh)
    if outcome != OK:
        return outcome
    release(heap, handle[0])
    handle[0] = fresh
    return OK


cdef inline int64_t map_count(Value map) noexcept nogil:
    return (<Map *> map.object).count


# ---- pairs

cdef inline Value *map_leaf(Map *map, uint32_t position) noexcept nogil:
    """Return the pairs of the leaf that holds a position in range."""
    cdef Object *node = map.root.object
    cdef int32_t shift = map.shift
    while shift >= LEAF_SHIFT:
        node = (<Values *> node).at[(position >> shift) & 31].object
        shift -= NODE_BITS
    return (<Values *> node).at


cdef inline Value *map_pair(Map *map, uint32_t position) noexcept nogil:
    """Return the pair at a position in range."""
    return map_leaf(map, position) + 2 * (position & (LEAF_PAIRS - 1))


cdef Outcome own_pair(Heap *heap, Map *map, uint32_t position, Value **pair) noexcept nogil:
    """Set pair to the one at a position in range, in a leaf of its own."""
    cdef Value *handle = &map.root
    cdef int32_t shift = map.shift
    while shift >= LEAF_SHIFT:
        if map_part_own(heap, handle) != OK:
            return NO_MEMORY
        handle = &(<Values *> handle.object).at[(position >> shift) & 31]
        shift -= NODE_BITS
    if map_part_own(heap, handle) != OK:
        return NO_MEMORY
    pair[0] = &(<Values *> handle.object).at[2 * (position & (LEAF_PAIRS - 1))]
    return OK


cdef Outcome give_branch(Heap *heap, int32_t shift, Value key, Value **pair, Value *result) noexcept nogil:
    """Set result to a leaf with one key, or to nodes of one child down to it."""
    cdef Values *part = <Values *> new_map_part(heap, MAP_ARRAY, 2)
    if part == NULL:
        return NO_MEMORY
    part.at[0] = retained(key)
    part.at[1] = nil()
    pair[0] = part.at
    result[0] = pointer_value(part)
    while shift >= LEAF_SHIFT:
        part = <Values *> new_map_part(heap, MAP_NODE, 1)
        if part == NULL:
            return NO_MEMORY
        part.at[0] = result[0]
        result[0] = pointer_value(part)
        shift -= NODE_BITS
    return OK


cdef Outcome append_key(Heap *heap, Map *map, Value key, Value **pair) noexcept nogil:
    """Add a key whose value is nil behind the last pair of a unique head, and set pair to where it is."""
    cdef uint32_t position = <uint32_t> map.count
    cdef Value *handle = &map.root
    cdef int32_t shift = map.shift
    cdef Values *node
    cdef uint32_t length
    map.count += 1
    if position == 0:
        return give_branch(heap, NO_NODES, key, pair, &map.root)
    if position == <uint64_t> 1 << (shift + NODE_BITS):
        node = <Values *> new_map_part(heap, MAP_NODE, 1)
        if node == NULL:
            return NO_MEMORY
        node.at[0] = map.root
        map.root = pointer_value(node)
        shift += NODE_BITS
        map.shift = shift
    while shift >= LEAF_SHIFT:
        length = handle.object.length
        if ((position >> shift) & 31) == length:
            if map_fit(heap, handle, length, length + 1) != OK:
                return NO_MEMORY
            node = <Values *> handle.object
            if give_branch(heap, shift - NODE_BITS, key, pair, &node.at[length]) != OK:
                return NO_MEMORY
            node.head.length = length + 1
            return OK
        if map_part_own(heap, handle) != OK:
            return NO_MEMORY
        handle = &(<Values *> handle.object).at[(position >> shift) & 31]
        shift -= NODE_BITS
    length = handle.object.length
    if map_fit(heap, handle, length, length + 2) != OK:
        return NO_MEMORY
    node = <Values *> handle.object
    node.at[length] = retained(key)
    node.at[length + 1] = nil()
    node.head.length = length + 2
    pair[0] = &node.at[length]
    return OK


cdef Outcome take_last_pair(Heap *heap, Map *map, Value *taken_pair) noexcept nogil:
    """Take the last pair out of a unique head, whose count is then one less; parts that are empty go."""
    cdef Value *path[8]
    cdef Value *handle = &map.root
    cdef uint32_t last = <uint32_t> map.count - 1
    cdef int32_t shift = map.shift
    cdef uint32_t depth = 0
    cdef Object *part
    while True:
        if map_part_own(heap, handle) != OK:
            return NO_MEMORY
        path[depth] = handle
        if shift < LEAF_SHIFT:
            break
        handle = &(<Values *> handle.object).at[(last >> shift) & 31]
        shift -= NODE_BITS
        depth += 1
    part = handle.object
    part.length -= 2
    memcpy(taken_pair, &(<Values *> part).at[part.length], 2 * sizeof(Value))
    map.count -= 1
    while path[depth].object.length == 0:
        release(heap, path[depth][0])
        path[depth][0] = nil()
        if depth == 0:
            return OK
        depth -= 1
        path[depth].object.length -= 1
    part = path[depth].object
    if map_fit(heap, path[depth], part.length + (2 if part.kind == MAP_ARRAY else 1), part.length) != OK:
        return NO_MEMORY
    while map.root.tag == MAP_NODE and map.root.object.length == 1:  # unique: its length has just become one
        part = map.root.object
        map.root = retained((<Values *> part).at[0])
        release_object(heap, part)
        map.shift -= NODE_BITS
    return OK


# ---- maps

cdef Outcome find_in_pairs(Heap *heap, Object *array, Value key, Value **found) noexcept nogil:
    """Set found to the pair with this key in an array, or to NULL."""
    cdef Value *pairs = values_of(array)
    cdef uint32_t i
    cdef bint same = False
    cdef Outcome outcome
    found[0] = NULL
    for i in range(0, array.length, 2):
        outcome = keys_equal(heap, pairs[i], key, &same)
        if outcome != OK:
            return outcome
        if same:
            found[0] = &pairs[i]
            return OK
    return OK


cdef Outcome map_find(Heap *heap, Value map, Value key, Value **found) noexcept nogil:
    """Set found to the pair (found[0] key, found[1] value; borrowed) of a MAP or SET, or to NULL."""
    cdef Map *head = <Map *> map.object
    cdef uint32_t hashes[2]
    cdef uint32_t position = 0
    cdef Outcome outcome
    if not is_indexed(head):
        found[0] = NULL
        if head.root.tag == NIL:
            return OK
        return find_in_pairs(heap, head.root.object, key, found)
    outcome = key_hash(heap, key, &hashes[0])
    if outcome != OK:
        found[0] = NULL
        return outcome
    return index_find(heap, head, key, hashes, found, &position)


cdef Outcome map_place(Heap *heap, Value *handle, Value key, Value **place, bint *added) noexcept nogil:
    """Set place to where the value of a key (borrowed) is, to be changed by the caller; of a new key it is nil.

    What a SET has already has no place: NULL.
    """
    cdef Map *map = <Map *> handle.object
    cdef Value *pair = NULL
    cdef Gap gap
    cdef uint32_t hashes[2]
    cdef uint32_t position = 0
    cdef Outcome outcome
    added[0] = False
    place[0] = NULL
    if not is_indexed(map):
        if map.root.tag != NIL:
            outcome = find_in_pairs(heap, map.root.object, key, &pair)
            if outcome != OK:
                return outcome
            position = <uint32_t> (pair - values_of(map.root.object)) >> 1 if pair != NULL else 0
        if pair == NULL and map.count == ARRAY_PAIRS_MAX:
            outcome = make_index(heap, handle)
            if outcome != OK:
                return outcome
            map = <Map *> handle.object
    if is_indexed(map):
        outcome = key_hash(heap, key, &hashes[0])
        if outcome == OK:
            outcome = index_find_or_gap(heap, map, key, hashes, &pair, &position, &gap)
        if outcome != OK:
            return outcome
    if map_own(heap, handle) != OK:
        return NO_MEMORY
    map = <Map *> handle.object
    if pair == NULL:
        if is_indexed(map):
            if unlikely(map.count >= POSITIONS_MAX):
                return fault(heap, b"limit", b"a map has too many keys")
            if likely(gap.handle != NULL):
                outcome = page_insert(heap, gap.handle, gap.place, gap.hash, <uint32_t> map.count)
            else:
                outcome = index_insert(heap, map, key, hashes, <uint32_t> map.count)
            if outcome != OK:
                return outcome
        added[0] = True
        outcome = append_key(heap, map, key, &pair)
    elif map.head.kind == SET:
        return OK
    else:
        outcome = own_pair(heap, map, position, &pair)
    place[0] = pair + 1
    return outcome


cdef Outcome map_put(Heap *heap, Value *handle, Value key, Value value) noexcept nogil:
    """Set key to value in a MAP (key and value borrowed); for a SET the value is nil."""
    cdef Value *place = NULL
    cdef bint added = False
    cdef Outcome outcome = map_place(heap, handle, key, &place, &added)
    if outcome == OK and added:
        place[0] = retained(value)
    elif outcome == OK and place != NULL:
        set_value(heap, place, retained(value))
    return outcome


cdef Outcome remove_from_array(Heap *heap, Map *map, uint32_t position) noexcept nogil:
    """Take a pair out of the array of a unique head without an index."""
    cdef Value *at
    cdef Object *array
    cdef Value gone[2]
    if map_part_own(heap, &map.root) != OK:
        return NO_MEMORY
    array = map.root.object
    at = &values_of(array)[2 * position]
    memcpy(gone, at, sizeof(gone))
    array.length -= 2
    memmove(at, at + 2, (array.length - 2 * position) * sizeof(Value))
    map.count -= 1
    if map.count == 0:
        release(heap, map.root)
        map.root = nil()
    elif map_fit(heap, &map.root, array.length + 2, array.length) != OK:
        return NO_MEMORY
    release(heap, gone[0])
    release(heap, gone[1])
    return OK


cdef Outcome remove_indexed(Heap *heap, Value *handle, MapPath *gone, MapPath *moved) noexcept nogil:
    """Take a pair out of an indexed map; the last one, which is at moved.position, comes to its place."""
    cdef Map *map
    cdef Value last[2]
    cdef Value *pair
    cdef Value fresh
    if map_own(heap, handle) != OK:
        return NO_MEMORY
    map = <Map *> handle.object
    if index_remove(heap, map, gone) != OK or take_last_pair(heap, map, last) != OK:
        return NO_MEMORY
    if gone.position != moved.position:
        if own_path(heap, map, moved) != OK or own_pair(heap, map, gone.position, &pair) != OK:
            return NO_MEMORY
        path_entry(moved).position = gone.position
        fresh = pair[0]
        pair[0] = last[0]
        last[0] = fresh
        fresh = pair[1]
        pair[1] = last[1]
        last[1] = fresh
    elif map.count == 0:
        if give_map(heap, map.head.kind, 0, nil(), &fresh) != OK:
            return NO_MEMORY
        set_value(heap, handle, fresh)
    release(heap, last[0])
    release(heap, last[1])
    return OK


cdef Outcome map_remove(Heap *heap, Value *handle, Value key) noexcept nogil:
    """Remove the key (borrowed) from a MAP or SET if it is there."""
    cdef Map *map = <Map *> handle.object
    cdef MapPath gone
    cdef MapPath moved
    cdef Value *pair = NULL
    cdef Outcome outcome
    if not is_indexed(map):
        outcome = map_find(heap, handle[0], key, &pair)
        if outcome != OK or pair == NULL:
            return outcome
        gone.position = <uint32_t> (pair - values_of(map.root.object)) >> 1
        if map_own(heap, handle) != OK:
            return NO_MEMORY
        return remove_from_array(heap, <Map *> handle.object, gone.position)
    outcome = key_hash(heap, key, &gone.hashes[0])
    if outcome == OK:
        outcome = index_find(heap, map, key, gone.hashes, &pair, &gone.position)
    if outcome != OK or pair == NULL:
        return outcome
    moved.position = <uint32_t> map.count - 1
    if gone.position != moved.position:
        outcome = index_hashes(heap, map, map_pair(map, moved.position)[0], moved.hashes)
        if outcome != OK:
            return outcome
    return remove_indexed(heap, handle, &gone, &moved)
