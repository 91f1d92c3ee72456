# The index of a map: from hashes to positions of pairs.
#
# Is:     pages of entries in order of hashes, the nodes above them, splitting and merging, the second hash.
# Is not: the pairs, nor what a map is; its form and its sources are explained in `_map.pxi`.
# Fits:   `_map.pxi` finds, puts and removes by it.

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
