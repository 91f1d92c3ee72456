# Persistent maps and sets: pairs in order of insertion, and above eight an index from hashes to their positions.
#
# Is:     find, put, remove; in place where nobody else holds the part, otherwise the path is copied.
# Is not: equality and hash of keys (`_equal.pxi`).
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
# index, and what is removed from these leaves the others in order.
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


# ---- the index

cdef inline uint32_t digit_of(uint32_t hashed, uint32_t level) noexcept nogil:
    """Return the digit of a hash that chooses the child of a node at a level."""
    return (hashed >> (32 - DIGIT_BITS - DIGIT_BITS * (level & (HASH_LEVELS - 1)))) & (DIGITS - 1)


cdef inline Outcome key_hash(Heap *heap, Value key, uint32_t *result) noexcept nogil:
    """As `hash_value`, quick for simple keys."""
    if key.tag == INT:
        result[0] = mix(<uint64_t> key.integer + 0x9E3779B97F4A7C15ULL)
        return OK
    if STRING <= key.tag <= BIG and key.object.extra != 0 and key.object.length < 16:
        result[0] = key.object.extra
        return OK
    return hash_value(heap, key, result)


cdef uint32_t place_from(MapPage *page, uint32_t place, uint32_t length, uint32_t hashed) noexcept nogil:
    """Return what `page_place` does, looking from a place on in both directions."""
    while place > 0 and page.at[place - 1].hash >= hashed:
        place -= 1
    while place < length and page.at[place].hash < hashed:
        place += 1
    return place


cdef inline uint32_t page_place(Value reference, uint32_t level, uint32_t hashed) noexcept nogil:
    """Return the place of the first entry of a page whose hash is not below this one; perhaps behind all.

    Hashes are spread evenly, so the digits below those that all entries share say about where.
    """
    cdef MapPage *page = <MapPage *> reference.object
    cdef uint32_t length = reference.spare
    cdef uint32_t rest = hashed << (DIGIT_BITS * (level & (HASH_LEVELS - 1)))
    cdef uint32_t place = <uint32_t> (<uint64_t> rest * length >> 32)
    cdef uint32_t start = 0
    cdef uint32_t less
    if length <= WINDOW:
        less = lesser_of_eight(page.at, hashed)  # what is behind the last entry is not defined
        return less if less < length else length
    if place > WINDOW // 2:
        start = place - WINDOW // 2
    if start > length - WINDOW:
        start = length - WINDOW
    less = lesser_of_eight(&page.at[start], hashed)
    if likely((less > 0 or start == 0) and (less < WINDOW or start + WINDOW == length)):
        return start + less
    return place_from(page, place, length, hashed)


cdef inline bint is_full(Heap *heap, MapPage *page, uint32_t run) noexcept nogil:
    """Return whether a page splits before another entry comes, `run` of whose hash it has."""
    cdef uint32_t level = page.head.flags
    if likely(run < RUN_MAX and page.head.length < PAGE_MAX):
        return False
    return level != LEVELS_MAX and not (level == HASH_LEVELS and (heap.fixed_layout or run < RUN_MAX))


cdef inline Outcome is_key(Heap *heap, Value known, Value key, bint *same) noexcept nogil:
    """As `keys_equal`, for what is nearly always equal."""
    if likely(known.tag == INT and key.tag == INT):
        same[0] = known.integer == key.integer
        return OK
    return keys_equal(heap, known, key, same)


cdef inline Outcome index_find(
    Heap *heap, Map *map, Value key, uint32_t *hashes, Value **found, uint32_t *position
) noexcept nogil:
    """Set found to the pair of a key whose first hash is given, or to NULL; hashes[1] is set if it was needed."""
    cdef Value *part = &map.index
    cdef MapPage *page
    cdef Value *pair
    cdef uint32_t level = 0
    cdef uint32_t hashed = hashes[0]
    cdef uint32_t place
    cdef bint same = False
    cdef Outcome outcome
    found[0] = NULL
    while part.tag == MAP_INDEX:
        if unlikely(level == HASH_LEVELS):
            outcome = keyed_hash(heap, key, &hashes[1])
            if outcome != OK:
                return outcome
            hashed = hashes[1]
        part = &(<Values *> part.object).at[digit_of(hashed, level)]
        level += 1
    if part.tag == NIL:
        return OK
    page = <MapPage *> part.object
    place = page_place(part[0], level, hashed)
    while place < part.spare and page.at[place].hash == hashed:
        pair = map_pair(map, page.at[place].position)
        outcome = is_key(heap, pair[0], key, &same)
        if outcome != OK:
            return outcome
        if likely(same):
            found[0] = pair
            position[0] = page.at[place].position
            return OK
        outcome = spend(heap, 2)
        if outcome != OK:
            return outcome
        place += 1
    return OK


cdef Outcome index_find_or_gap(
    Heap *heap, Map *map, Value key, uint32_t *hashes, Value **found, uint32_t *position, Gap *gap
) noexcept nogil:
    """As `index_find`; when the key is not there the gap is where its entry belongs, if all on the way is unique."""
    cdef Value *part = &map.index
    cdef MapPage *page
    cdef Value *pair
    cdef uint32_t level = 0
    cdef uint32_t hashed = hashes[0]
    cdef uint32_t place
    cdef uint32_t first
    cdef bint owned = map.head.count == 1
    cdef bint same = False
    cdef Outcome outcome
    found[0] = NULL
    gap.handle = NULL
    while part.tag == MAP_INDEX:
        if unlikely(level == HASH_LEVELS):
            outcome = keyed_hash(heap, key, &hashes[1])
            if outcome != OK:
                return outcome
            hashed = hashes[1]
        owned = owned and part.object.count == 1
        part = &(<Values *> part.object).at[digit_of(hashed, level)]
        level += 1
    if part.tag == NIL:
        return OK
    page = <MapPage *> part.object
    place = page_place(part[0], level, hashed)
    first = place
    while place < part.spare and page.at[place].hash == hashed:
        pair = map_pair(map, page.at[place].position)
        outcome = is_key(heap, pair[0], key, &same)
        if outcome != OK:
            return outcome
        if likely(same):
            found[0] = pair
            position[0] = page.at[place].position
            return OK
        outcome = spend(heap, 2)
        if outcome != OK:
            return outcome
        place += 1
    if owned and page.head.count == 1 and not is_full(heap, page, place - first):
        gap.handle = part
        gap.place = place
        gap.hash = hashed
    return OK


cdef inline void set_page_length(Value *handle, uint32_t length) noexcept nogil:
    handle.object.length = length
    handle.spare = length


cdef Outcome page_insert(Heap *heap, Value *handle, uint32_t place, uint32_t hashed, uint32_t position) noexcept nogil:
    """Put an entry at a place of a page."""
    cdef uint32_t length = handle.object.length
    cdef MapPage *page
    if map_fit(heap, handle, length, length + 1) != OK:
        return NO_MEMORY
    page = <MapPage *> handle.object
    memmove(&page.at[place + 1], &page.at[place], (length - place) * sizeof(MapEntry))
    page.at[place].hash = hashed
    page.at[place].position = position
    set_page_length(handle, length + 1)
    return OK


cdef Outcome give_page(Heap *heap, uint32_t level, const MapEntry *entries, uint32_t n, Value *result) noexcept nogil:
    """Set result to a new page with n entries, or room for them when none are given."""
    cdef MapPage *page = <MapPage *> new_map_part(heap, MAP_PAGE, n)
    if page == NULL:
        return NO_MEMORY
    page.head.flags = <uint8_t> level
    if n > 0:
        memcpy(page.at, entries, n * sizeof(MapEntry))
    result[0] = pointer_value(page)
    result.spare = n
    return OK


cdef Values *new_index_node(Heap *heap, uint32_t level) noexcept nogil:
    """Return a node without children."""
    cdef Values *node = <Values *> new_map_part(heap, MAP_INDEX, DIGITS)
    cdef uint32_t i
    if node != NULL:
        node.head.flags = <uint8_t> level
        for i in range(DIGITS):
            node.at[i] = nil()
    return node


cdef Outcome split_page(Heap *heap, Value *handle) noexcept nogil:
    """Replace a page by a node with a page for each digit that occurs."""
    cdef MapPage *page = <MapPage *> handle.object
    cdef uint32_t level = page.head.flags
    cdef Values *node = new_index_node(heap, level)
    cdef uint32_t start = 0
    cdef uint32_t end
    cdef uint32_t digit
    if node == NULL:
        return NO_MEMORY
    while start < page.head.length:
        digit = digit_of(page.at[start].hash, level)
        end = start + 1
        while end < page.head.length and digit_of(page.at[end].hash, level) == digit:
            end += 1
        if give_page(heap, level + 1, &page.at[start], end - start, &node.at[digit]) != OK:
            return NO_MEMORY
        start = end
    set_value(heap, handle, pointer_value(node))
    return OK


cdef Outcome spread_collision(Heap *heap, Map *map, Value *handle) noexcept nogil:
    """Replace the page of keys with one first hash by a node of the second."""
    cdef MapPage *page = <MapPage *> handle.object
    cdef Values *node = new_index_node(heap, HASH_LEVELS)
    cdef MapEntry entry
    cdef Value *child
    cdef uint32_t i
    cdef Outcome outcome
    if node == NULL:
        return NO_MEMORY
    node.head.extra = page.at[0].hash
    for i in range(page.head.length):
        entry.position = page.at[i].position
        outcome = keyed_hash(heap, map_pair(map, entry.position)[0], &entry.hash)
        if outcome == OK:
            child = &node.at[digit_of(entry.hash, HASH_LEVELS)]
            if child.tag == NIL:
                outcome = give_page(heap, HASH_LEVELS + 1, &entry, 1, child)
            else:
                outcome = page_insert(
                    heap, child, page_place(child[0], HASH_LEVELS + 1, entry.hash), entry.hash, entry.position
                )
        if outcome != OK:
            release_object(heap, &node.head)
            return outcome
    set_value(heap, handle, pointer_value(node))
    return OK


cdef Outcome index_insert(Heap *heap, Map *map, Value key, uint32_t *hashes, uint32_t position) noexcept nogil:
    """Note the position of a new key, whose first hash is given. If this fails nothing has changed."""
    cdef Value *handle = &map.index
    cdef MapPage *page
    cdef MapEntry entry
    cdef uint32_t hashed = hashes[0]
    cdef uint32_t level = 0
    cdef uint32_t place
    cdef uint32_t end
    cdef Outcome outcome
    while True:
        while handle.tag == MAP_INDEX:
            if unlikely(level == HASH_LEVELS):
                outcome = keyed_hash(heap, key, &hashes[1])
                if outcome != OK:
                    return outcome
                hashed = hashes[1]
            if map_part_own(heap, handle) != OK:
                return NO_MEMORY
            handle = &(<Values *> handle.object).at[digit_of(hashed, level)]
            level += 1
        if handle.tag == NIL:
            entry.hash = hashed
            entry.position = position
            return give_page(heap, level, &entry, 1, handle)
        page = <MapPage *> handle.object
        place = page_place(handle[0], level, hashed)
        end = place
        while end < page.head.length and page.at[end].hash == hashed:
            end += 1
        if likely(not is_full(heap, page, end - place)):
            return page_insert(heap, handle, end, hashed, position)
        outcome = spread_collision(heap, map, handle) if level == HASH_LEVELS else split_page(heap, handle)
        if outcome != OK:
            return outcome


cdef Outcome own_path(Heap *heap, Map *map, MapPath *path) noexcept nogil:
    """Make the way to the page of hashes unique and note it."""
    cdef Value *handle = &map.index
    path.depth = 0
    while True:
        if map_part_own(heap, handle) != OK:
            return NO_MEMORY
        path.handles[path.depth] = handle
        path.depth += 1
        if handle.tag != MAP_INDEX:
            return OK
        handle = &(<Values *> handle.object).at[
            digit_of(path.hashes[path.depth > HASH_LEVELS], path.depth - 1)
        ]


cdef inline MapEntry *path_entry(MapPath *path) noexcept nogil:
    """Return the entry of a position that is in the page of a path."""
    cdef Value *handle = path.handles[path.depth - 1]
    cdef MapPage *page = <MapPage *> handle.object
    cdef uint32_t place = page_place(handle[0], path.depth - 1, path.hashes[path.depth - 1 > HASH_LEVELS])
    while page.at[place].position != path.position:
        place += 1
    return &page.at[place]


cdef Outcome merge_pages(Heap *heap, MapPath *path) noexcept nogil:
    """Replace nodes above a page that has gone by a page of all entries below them, while these are few."""
    cdef Value *handle
    cdef Values *node
    cdef Value merged
    cdef MapPage *page
    cdef uint32_t total
    cdef uint32_t most
    cdef uint32_t i
    cdef uint32_t k
    while path.depth > 0:
        path.depth -= 1
        handle = path.handles[path.depth]
        node = <Values *> handle.object
        total = 0
        most = RUN_MAX // 2 if node.head.flags == HASH_LEVELS else PAGE_MERGED_MAX
        for i in range(DIGITS):
            if node.at[i].tag == MAP_INDEX:
                return OK
            if node.at[i].tag == MAP_PAGE:
                total += node.at[i].object.length
        if total > most:
            return OK
        merged = nil()
        if total > 0:
            page = <MapPage *> new_map_part(heap, MAP_PAGE, total)
            if page == NULL:
                return NO_MEMORY
            page.head.flags = node.head.flags
            total = 0
            for i in range(DIGITS):
                if node.at[i].tag == MAP_PAGE:
                    for k in range(node.at[i].object.length):
                        page.at[total] = (<MapPage *> node.at[i].object).at[k]
                        if node.head.flags == HASH_LEVELS:
                            page.at[total].hash = node.head.extra
                        total += 1
            merged = pointer_value(page)
            merged.spare = total
        set_value(heap, handle, merged)
    return OK


cdef Outcome index_remove(Heap *heap, Map *map, MapPath *path) noexcept nogil:
    """Forget a position."""
    cdef MapEntry *entry
    cdef MapPage *page
    cdef Value *handle
    if own_path(heap, map, path) != OK:
        return NO_MEMORY
    entry = path_entry(path)
    handle = path.handles[path.depth - 1]
    page = <MapPage *> handle.object
    set_page_length(handle, page.head.length - 1)
    memmove(entry, entry + 1, (page.head.length - (entry - page.at)) * sizeof(MapEntry))
    if page.head.length > 0:
        return map_fit(heap, handle, page.head.length + 1, page.head.length)
    release(heap, handle[0])
    handle[0] = nil()
    path.depth -= 1
    return merge_pages(heap, path)


cdef Outcome index_hashes(Heap *heap, Map *map, Value key, uint32_t *hashes) noexcept nogil:
    """Set hashes to those that lead to a key."""
    cdef Object *node = map.index.object
    cdef uint32_t level = 0
    cdef Outcome outcome = key_hash(heap, key, &hashes[0])
    while outcome == OK and node.kind == MAP_INDEX and level < HASH_LEVELS:
        node = (<Values *> node).at[digit_of(hashes[0], level)].object
        level += 1
    if outcome == OK and node.kind == MAP_INDEX:
        outcome = keyed_hash(heap, key, &hashes[1])
    return outcome


cdef Outcome make_index(Heap *heap, Value *handle) noexcept nogil:
    """Give an index to the map of a handle, which has few pairs."""
    cdef Map *map = <Map *> handle.object
    cdef Value *pairs = map_leaf(map, 0)
    cdef uint32_t hashes[ARRAY_PAIRS_MAX]
    cdef MapEntry first
    cdef Value index
    cdef Value fresh
    cdef uint32_t place
    cdef uint32_t i
    cdef Outcome outcome
    for i in range(<uint32_t> map.count):
        outcome = key_hash(heap, pairs[2 * i], &hashes[i])
        if outcome != OK:
            return outcome
    first = MapEntry(hashes[0], 0)  # a page is never empty
    if give_page(heap, 0, &first, 1, &index) != OK:
        return NO_MEMORY
    for i in range(1, <uint32_t> map.count):
        place = page_place(index, 0, hashes[i])
        while place < index.object.length and (<MapPage *> index.object).at[place].hash == hashes[i]:
            place += 1
        if page_insert(heap, &index, place, hashes[i], i) != OK:
            return NO_MEMORY
    if give_indexed(heap, map.head.kind, map.count, NO_NODES, retained(map.root), index, &fresh) != OK:
        return NO_MEMORY
    set_value(heap, handle, fresh)
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
