# Records: a kind and fields to one object.
#
# Is:     the check of every field against what the machine could have made itself, as far as the record shows.
# Is not: what needs the whole graph (`_image_state.pxi`).
# Fits:   `read_record` is called for each until the objects of the image are used up.

cdef enum:
    DECIMAL_SCALE_MAX = 2000  # ORDER: decimals
    DECIMAL_BYTES_MAX = 831  # of 2000 digits

# ---- records of one size

cdef bint read_simple(Reader *reader, uint32_t kind, uint32_t n) noexcept nogil:
    """Read an object of n values without a raw part."""
    cdef Values *object = new_values(&reader.state.heap, kind, n)
    if object == NULL:
        return out_of_memory(reader)
    return read_values(reader, object.at, n) and add_entry(reader, object)


cdef bint read_ratio(Reader *reader) noexcept nogil:
    """Read a ratio; that it is reduced is checked where both parts are small."""
    cdef Values *ratio
    cdef uint64_t a
    cdef uint64_t b
    cdef uint64_t rest
    if not read_simple(reader, RATIO, 2):
        return False
    ratio = <Values *> last_entry(reader).object
    if not (is_integer(ratio.at[0]) and is_integer(ratio.at[1])):
        return refuse(reader, b"a ratio is not of integers")
    if ratio.at[1].tag == BIG:
        return not (<Text *> ratio.at[1].object).char_count or refuse(reader, b"a denominator is negative")
    if ratio.at[1].integer <= 1:
        return refuse(reader, b"a denominator is not above one")
    if ratio.at[0].tag == INT:
        a = <uint64_t> ratio.at[0].integer
        if ratio.at[0].integer < 0:
            a = -a
        b = <uint64_t> ratio.at[1].integer
        while b != 0:
            rest = a % b
            a = b
            b = rest
        return a == 1 or refuse(reader, b"a ratio is not reduced")
    return True


cdef bint read_decimal(Reader *reader) noexcept nogil:
    """Read a decimal, whose size is bounded."""
    cdef Values *decimal
    if not read_simple(reader, DECIMAL, 2):
        return False
    decimal = <Values *> last_entry(reader).object
    if not (is_integer(decimal.at[0]) and decimal.at[1].tag == INT):
        return refuse(reader, b"a decimal is not of integers")
    if not -DECIMAL_SCALE_MAX <= decimal.at[1].integer <= DECIMAL_SCALE_MAX:
        return refuse(reader, b"the scale of a decimal is too large")
    return number_bytes(decimal.at[0]) <= DECIMAL_BYTES_MAX or refuse(reader, b"a decimal is too large")


cdef bint read_pair(Reader *reader, uint32_t kind, bint next_to_it) noexcept nogil:
    """Read a LIST or CONS; the rest of one that is next to it is the object before."""
    cdef Values *cell
    cdef Value rest
    cdef uint32_t before = reader.count - 1
    if next_to_it and reader.count == 0:
        return refuse(reader, b"there is no object before")
    cell = new_values(&reader.state.heap, kind, 2)
    if cell == NULL:
        return out_of_memory(reader)
    if not read_value(reader, &cell.at[0]):
        return False
    if next_to_it:
        cell.at[1] = refer(reader, before)
    elif not read_value(reader, &cell.at[1]):
        return False
    rest = cell.at[1]
    if kind == LIST:
        if rest.tag != LIST and rest.tag != EMPTY:
            return refuse(reader, b"the rest of a list is no list")
        cell.head.extra = 1 if rest.tag == EMPTY else rest.object.extra + 1
    elif rest.tag != NIL and rest.tag != EMPTY and not LIST <= rest.tag <= SEQ:
        return refuse(reader, b"the rest of a seq is no seq")
    return add_entry(reader, cell)


cdef bint read_cell(Reader *reader, uint32_t kind, uint32_t flags) noexcept nogil:
    """Read an atom or lazy seq; it is filled later."""
    cdef Values *cell = new_values(&reader.state.heap, kind, 1)
    if cell == NULL:
        return out_of_memory(reader)
    cell.at[0] = nil()
    cell.head.flags = <uint8_t> flags
    return add_entry(reader, cell)


cdef bint read_fill(Reader *reader) noexcept nogil:
    """Read the content of the first cell that is not filled yet."""
    cdef Values *cell = NULL
    while cell == NULL:
        if reader.next_cell == reader.count:
            return refuse(reader, b"there is no atom or lazy seq to fill")
        if reader.entries[reader.next_cell].object.kind == ATOM or reader.entries[reader.next_cell].object.kind == LAZY:
            cell = <Values *> reader.entries[reader.next_cell].object
        reader.next_cell += 1
    if not read_value(reader, &cell.at[0]):
        return False
    if cell.head.kind == LAZY and not cell.head.flags & REALIZED and cell.at[0].tag != CLOSURE:
        return refuse(reader, b"a lazy seq without a function")
    return True


cdef bint read_range(Reader *reader) noexcept nogil:
    cdef Values *bounds
    cdef bint valid
    if not read_simple(reader, RANGE, 3):
        return False
    bounds = <Values *> last_entry(reader).object
    if bounds.at[0].tag == INT and bounds.at[1].tag == INT and bounds.at[2].tag == INT:
        if bounds.at[2].integer > 0:
            valid = bounds.at[0].integer < bounds.at[1].integer
        else:
            valid = bounds.at[2].integer < 0 and bounds.at[0].integer > bounds.at[1].integer
    elif bounds.at[0].tag == DOUBLE and bounds.at[1].tag == DOUBLE and bounds.at[2].tag == DOUBLE:
        if bounds.at[2].real > 0:
            valid = bounds.at[0].real < bounds.at[1].real
        else:
            valid = bounds.at[2].real < 0 and bounds.at[0].real > bounds.at[1].real
    else:
        valid = False
    return valid or refuse(reader, b"a range that is empty or not of numbers")


cdef bint read_seq(Reader *reader) noexcept nogil:
    cdef Seq *seq = <Seq *> allocate(&reader.state.heap, SEQ, sizeof(Seq), 1)
    cdef int64_t flags = 0
    cdef bint valid = False
    if seq == NULL:
        return out_of_memory(reader)
    if not (read_number(reader, SEQ_ITEMS, SEQ_DESCENDING + SEQ_VALUES, &flags) and read_value(reader, &seq.source)):
        return False
    if not read_number(reader, 0, GREATEST_INTEGER, &seq.index):
        return False
    seq.head.flags = <uint8_t> flags
    seq.spare = 0
    if seq.source.tag == SORTED_MAP or (seq.source.tag == SORTED_SET and flags & SEQ_PARTS == SEQ_ITEMS):
        valid = seq.index < map_count(seq.source) and flags & SEQ_PARTS <= SEQ_VALUES
    elif flags > SEQ_VALUES:
        valid = False
    elif seq.source.tag == MAP or (seq.source.tag == SET and flags == SEQ_ITEMS):
        valid = seq.index < map_count(seq.source)
    elif seq.source.tag == VECTOR:
        valid = flags == SEQ_ITEMS and seq.index < vector_count(seq.source)
    elif seq.source.tag == STRING:
        valid = flags == SEQ_ITEMS and seq.index < seq.source.object.length
        valid = valid and (<Text *> seq.source.object).bytes[seq.index] & 0xC0 != 0x80
    return (valid or refuse(reader, b"a seq that stands nowhere")) and add_entry(reader, seq)


# ---- vectors

cdef bint read_leaf(Reader *reader) noexcept nogil:
    cdef Value items[32]
    cdef uint32_t n = 0
    if not (read_count(reader, 1, LEAF_ITEMS, &n) and read_values(reader, items, n)):
        return False
    if not add_entry(reader, leaf_of(&reader.state.heap, items, n)):
        return False
    last_entry(reader).size = n
    reader.leaf_items += n
    return True


cdef bint read_part(Reader *reader, Object **part, uint32_t *level, int64_t *size) noexcept nogil:
    """Read a reference to a node or leaf, NULL for nil; sets its level above the leaves and how many items are below."""
    cdef Value value
    cdef Object *last
    cdef uint32_t above
    part[0] = NULL
    level[0] = 0
    size[0] = 0
    if not read_any(reader, &value):
        return False
    if value.tag == NIL and value.spare != VACANT:
        return True
    if not is_vector_part(value.tag):
        return refuse(reader, b"a part of a vector is of another kind")
    part[0] = value.object
    if value.object.count < IMMORTAL:
        level[0] = reader.entries[reader.number].level
        size[0] = reader.entries[reader.number].size
        return True
    last = value.object  # of a constant: full except on the right
    while last.kind == VECTOR_NODE:
        level[0] += 1
        last = (<Pointers *> last).at[0]
    last = value.object
    for above in range(level[0], 0, -1):
        size[0] += <int64_t> (last.length - 1) << (5 * above)
        last = (<Pointers *> last).at[last.length - 1]
    size[0] += last.length
    reader.leaf_items += size[0]
    return True


cdef bint read_vector_node(Reader *reader) noexcept nogil:
    """Read a node; all its children are of one level, and full except on the right."""
    cdef Pointers *node
    cdef uint32_t n = 0
    cdef uint32_t i
    cdef uint32_t level = 0
    cdef uint32_t below = 0
    cdef int64_t size = 0
    cdef int64_t part = 0
    if not read_count(reader, 1, LEAF_ITEMS, &n):
        return False
    node = new_node(&reader.state.heap, n)
    if node == NULL:
        return out_of_memory(reader)
    for i in range(n):
        if not read_part(reader, &node.at[i], &below, &part):
            return False
        if node.at[i] == NULL:
            return refuse(reader, b"a part of a vector is of another kind")
        if i == 0:
            level = below + 1
        if level > VECTOR_LEVEL_MAX or below + 1 != level:
            return refuse(reader, b"a vector's node has children of two levels")
        if (i + 1 < n or level == 1) and part != <int64_t> 1 << (5 * level):
            return refuse(reader, b"a vector's node is not full")
        size += part
    if not add_entry(reader, node):
        return False
    last_entry(reader).level = level
    last_entry(reader).size = size
    return True


cdef bint read_vector(Reader *reader) noexcept nogil:
    """Read a vector, whose root holds all whole leaves but the last and whose tail the last 1 to 32 items."""
    cdef Object *root = NULL
    cdef Object *tail = NULL
    cdef Value vector
    cdef uint32_t level = 0
    cdef uint32_t in_tail_level = 0
    cdef int64_t count = 0
    cdef int64_t in_root = 0
    cdef int64_t in_tail = 0
    if not read_number(reader, 0, GREATEST_INTEGER, &count):
        return False
    if not (read_part(reader, &root, &level, &in_root) and read_part(reader, &tail, &in_tail_level, &in_tail)):
        return False
    if root == NULL:
        level = 1
    elif root.kind != VECTOR_NODE:
        return refuse(reader, b"a part of a vector is of another kind")
    elif level > 1 and root.length == 1:
        return refuse(reader, b"a vector is deeper than it need be")
    if tail != NULL and not is_leaf(tail.kind):
        return refuse(reader, b"a part of a vector is of another kind")
    if tail == NULL and (count != 0 or root != NULL):
        return refuse(reader, b"a vector without a tail")
    if count != in_root + in_tail or count > reader.leaf_items:
        return refuse(reader, b"a vector's count is wrong")
    if give_vector(&reader.state.heap, count, 5 * level, root, tail, &vector) != OK:
        return out_of_memory(reader)
    return add_entry(reader, vector.object)


# ---- maps and sets

cdef bint read_pairs(Reader *reader, Value *pairs, uint32_t n, uint32_t *flags) noexcept nogil:
    """Read n keys and values; flags tell whether these could be a set's."""
    cdef uint32_t i
    if not read_values(reader, pairs, 2 * n):
        return False
    for i in range(n):
        if pairs[2 * i + 1].tag != NIL:
            flags[0] = 0
    return True


cdef bint read_map_array(Reader *reader) noexcept nogil:
    cdef Values *array
    cdef uint32_t n = 0
    cdef uint32_t flags = VALUES_NIL
    if not read_count(reader, 1, LEAF_PAIRS, &n):
        return False
    array = <Values *> new_map_part(&reader.state.heap, MAP_ARRAY, 2 * n)
    if array == NULL:
        return out_of_memory(reader)
    if not (read_pairs(reader, array.at, n, &flags) and add_entry(reader, array)):
        return False
    last_entry(reader).size = n
    last_entry(reader).flags = flags
    return True


cdef bint read_map_node(Reader *reader) noexcept nogil:
    """Read a node above pairs; all its children are of one level, and full except on the right."""
    cdef Values *node
    cdef Entry *child = NULL
    cdef uint32_t n = 0
    cdef uint32_t flags = VALUES_NIL
    cdef uint32_t level = 0
    cdef uint32_t i
    cdef int64_t size = 0
    if not read_count(reader, 1, 32, &n):
        return False
    node = <Values *> new_map_part(&reader.state.heap, MAP_NODE, n)
    if node == NULL:
        return out_of_memory(reader)
    for i in range(n):
        if not read_any(reader, &node.at[i]):
            return False
        if node.at[i].tag != MAP_NODE and node.at[i].tag != MAP_ARRAY:
            return refuse(reader, b"a map's node has a child of another kind")
        child = &reader.entries[reader.number]
        if i == 0:
            level = child.level + 1
        if level > NODE_LEVEL_MAX or child.level + 1 != level:
            return refuse(reader, b"a map's node has children of two levels")
        if i + 1 < n and child.size != <int64_t> 1 << (NODE_BITS * level - 1):
            return refuse(reader, b"a map's node is not full")
        size += child.size
        flags &= child.flags
        child.flags |= INDEXED
    if not add_entry(reader, node):
        return False
    last_entry(reader).level = level
    last_entry(reader).size = size
    last_entry(reader).flags = flags
    return True


cdef bint read_positions(Reader *reader, MapPage *page, Token *token) noexcept nogil:
    """Fill a page but for the hashes, and its entry in the reader's table."""
    cdef uint32_t length = page.head.length
    cdef uint32_t width = token.length // length
    cdef const uint8_t *bytes = token.bytes
    cdef uint32_t most = 0
    cdef uint32_t position
    cdef uint32_t i
    cdef uint32_t k
    for i in range(length):
        position = 0
        for k in range(width):
            position = position << 8 | bytes[k]
        bytes += width
        page.at[i].hash = 0
        page.at[i].position = position
        if position > most:
            most = position
    if width != position_width(most) or token.length != length * width:
        return refuse(reader, b"a page of a map's index has a wrong length")
    if not add_entry(reader, page):
        return False
    last_entry(reader).size = length
    last_entry(reader).most = most
    return True


cdef bint read_page(Reader *reader) noexcept nogil:
    cdef Token token
    cdef MapPage *page
    cdef int64_t level = 0
    cdef uint32_t n = 0
    if not (read_number(reader, 0, LEVELS_MAX, &level) and read_count(reader, 1, 1 << 30, &n)):
        return False
    if n > PAGE_MAX and level != HASH_LEVELS and level != LEVELS_MAX:
        return refuse(reader, b"a page of a map's index is too long")
    if not read_token(reader, &token):
        return False
    if token.kind != TOKEN_BIN or token.length < n or token.length > 4 * <uint64_t> n:
        return refuse(reader, b"a page of a map's index has a wrong length")
    page = <MapPage *> new_map_part(&reader.state.heap, MAP_PAGE, n)
    if page == NULL:
        return out_of_memory(reader)
    page.head.flags = <uint8_t> level
    return read_positions(reader, page, &token)


cdef bint read_index_node(Reader *reader) noexcept nogil:
    cdef Values *node
    cdef Entry *child
    cdef int64_t level = 0
    cdef int64_t size = 0
    cdef uint32_t most = 0
    cdef uint32_t i
    if not read_number(reader, 0, LEVELS_MAX - 1, &level):
        return False
    node = new_index_node(&reader.state.heap, <uint32_t> level)
    if node == NULL:
        return out_of_memory(reader)
    for i in range(DIGITS):
        if not read_any(reader, &node.at[i]):
            return False
        if node.at[i].tag == NIL and node.at[i].spare != VACANT:
            continue
        if node.at[i].tag != MAP_INDEX and node.at[i].tag != MAP_PAGE:
            return refuse(reader, b"a map's index has a child of another kind")
        child = &reader.entries[reader.number]
        if child.object.flags != level + 1:
            return refuse(reader, b"a part of a map's index stands at a wrong level")
        if node.at[i].tag == MAP_PAGE:
            node.at[i].spare = child.object.length
        size += child.size
        if child.most > most:
            most = child.most
    if size == 0:
        return refuse(reader, b"a node of a map's index is empty")
    if not add_entry(reader, node):
        return False
    last_entry(reader).size = size
    last_entry(reader).most = most
    return True


cdef bint read_index(Reader *reader, Entry *root, Value *index) noexcept nogil:
    """Read the index of a map, or nil when it has few pairs."""
    cdef Entry *entry
    if not read_any(reader, index):
        return False
    if index.tag == NIL and index.spare != VACANT:
        if root != NULL and (root.object.kind != MAP_ARRAY or root.size > ARRAY_PAIRS_MAX):
            return refuse(reader, b"a map without an index")
        if root != NULL:
            root.flags |= ALONE
        return True
    if root == NULL or (index.tag != MAP_INDEX and index.tag != MAP_PAGE):
        return refuse(reader, b"the index of a map is none")
    entry = &reader.entries[reader.number]
    if entry.object.flags != 0 or entry.size != root.size or entry.most >= root.size:
        return refuse(reader, b"the index of a map is not its own")
    root.flags |= INDEXED
    if index.tag == MAP_PAGE:
        index.spare = entry.object.length
    return True


cdef bint read_map(Reader *reader, uint32_t kind) noexcept nogil:
    cdef Heap *heap = &reader.state.heap
    cdef Value root = nil()
    cdef Value index = nil()
    cdef Value map
    cdef Entry *entry = NULL
    cdef int64_t count = 0
    cdef uint32_t number = 0
    cdef int32_t shift = NO_NODES
    if not read_any(reader, &root):
        return False
    if root.tag == MAP_ARRAY or root.tag == MAP_NODE:
        number = reader.number
        entry = &reader.entries[number]
        if kind == SET and not entry.flags & VALUES_NIL:
            return refuse(reader, b"the root of a map or set is no root")
        if root.tag == MAP_NODE and root.object.length == 1:
            return refuse(reader, b"a map is deeper than it need be")
        count = entry.size
        shift += NODE_BITS * <int32_t> entry.level
    elif root.tag != NIL or root.spare == VACANT:
        return refuse(reader, b"the root of a map or set is no root")
    if not read_index(reader, entry, &index):
        return False
    if index.tag == NIL:
        if give_map(heap, kind, count, root, &map) != OK:
            return out_of_memory(reader)
        return add_entry(reader, map.object)
    if give_indexed(heap, kind, count, shift, root, index, &map) != OK:
        return out_of_memory(reader)
    entry = &reader.entries[reader.count]
    if not add_entry(reader, map.object):
        return False
    entry.most = number
    entry.hash = reader.number
    return True


# ---- sorted maps and sets

cdef bint read_sorted_leaf(Reader *reader) noexcept nogil:
    cdef Values *leaf
    cdef uint32_t n = 0
    cdef uint32_t flags = VALUES_NIL
    if not read_count(reader, 1, SORTED_MAX, &n):
        return False
    leaf = new_values(&reader.state.heap, SORTED_LEAF, OF_LEAF * n)
    if leaf == NULL:
        return out_of_memory(reader)
    if not (read_pairs(reader, leaf.at, n, &flags) and add_entry(reader, leaf)):
        return False
    reader.leaf_entries += n
    last_entry(reader).size = n
    last_entry(reader).flags = flags
    return True


cdef bint read_sorted_child(Reader *reader, Value *at, Entry *node) noexcept nogil:
    """Read a child of a node: as deep as the others and at least half full; its first key and count follow."""
    cdef Entry *child
    if not read_any(reader, &at[0]):
        return False
    if at[0].tag != SORTED_NODE and at[0].tag != SORTED_LEAF:
        return refuse(reader, b"a reference to an object of another kind")
    child = &reader.entries[reader.number]
    if node.size == 0:
        node.level = child.level + 1
    if child.level + 1 != node.level or node.level > SORTED_LEVEL_MAX or parts_of(child.object) < SORTED_MIN:
        return refuse(reader, b"a sorted map or set is not in balance")
    at[1] = first_key(child.object)[0]
    if at[1].tag >= HEAP and at[1].object.count < IMMORTAL:
        at[1].object.count += 1
    at[2] = integer_value(child.size)
    node.size += child.size
    node.flags &= child.flags
    return True


cdef bint read_sorted_node(Reader *reader) noexcept nogil:
    cdef Values *node
    cdef Entry known
    cdef uint32_t n = 0
    cdef uint32_t i
    known.size = 0
    known.level = 0
    known.flags = VALUES_NIL
    if not read_count(reader, 2, SORTED_MAX, &n):
        return False
    node = new_values(&reader.state.heap, SORTED_NODE, OF_NODE * n)
    if node == NULL:
        return out_of_memory(reader)
    for i in range(n):
        if not read_sorted_child(reader, &node.at[OF_NODE * i], &known):
            return False
    if not add_entry(reader, node):
        return False
    last_entry(reader).size = known.size
    last_entry(reader).level = known.level
    last_entry(reader).flags = known.flags
    return True


cdef bint read_sorted(Reader *reader, uint32_t kind) noexcept nogil:
    cdef Sorted *sorted = <Sorted *> allocate(&reader.state.heap, kind, sizeof(Sorted), 2)
    if sorted == NULL:
        return out_of_memory(reader)
    sorted.count = 0
    sorted.spare = 0
    sorted.order = nil()
    if not read_any(reader, &sorted.root):
        return False
    if sorted.root.tag == SORTED_NODE or sorted.root.tag == SORTED_LEAF:
        sorted.count = reader.entries[reader.number].size
        if sorted.count > reader.leaf_entries:
            return refuse(reader, b"a part of a sorted map or set is in it twice")
        if kind == SORTED_SET and not reader.entries[reader.number].flags & VALUES_NIL:
            return refuse(reader, b"the root of a map or set is no root")
    elif sorted.root.tag != NIL or sorted.root.spare == VACANT:
        return refuse(reader, b"the root of a map or set is no root")
    if not read_value(reader, &sorted.order):
        return False
    if sorted.order.tag != NIL and not is_comparator(sorted.order):
        return refuse(reader, b"a comparator that is none")
    return add_entry(reader, sorted)


# ---- functions and frames

cdef bint read_captures(Reader *reader) noexcept nogil:
    cdef uint32_t n = 0
    return read_count(reader, 1, GREATEST_INTEGER, &n) and read_simple(reader, CAPTURES, n)


cdef bint read_closure(Reader *reader) noexcept nogil:
    cdef int64_t number = 0
    cdef FunctionInfo *function
    cdef Closure *closure
    cdef Value captures = nil()
    if not (read_number(reader, 0, 0xFFFFFFFF, &number) and read_inner(reader, CAPTURES, True, &captures)):
        return False
    function = read_function(reader, <uint32_t> number)
    if function == NULL:
        return refuse(reader, b"the code has no such function")
    if function.capture_count > 0 and (captures.tag == NIL or captures.object.length < function.capture_count):
        return refuse(reader, b"a function has too few captured values")
    closure = new_closure(&reader.state.heap, function, captures)
    return add_entry(reader, closure)


cdef bint read_waiting(Reader *reader, Value *frame) noexcept nogil:
    """Read a reference to a frame that waits."""
    if not read_inner(reader, FRAME, False, frame):
        return False
    return reader.entries[reader.number].flags & WAITING or refuse(reader, b"a continuation of a frame that does not wait")


cdef bint read_continuation(Reader *reader, uint32_t flags, uint32_t length) noexcept nogil:
    cdef Values *continuation = new_values(&reader.state.heap, CONTINUATION, length)
    if continuation == NULL:
        return out_of_memory(reader)
    continuation.head.flags = <uint8_t> flags
    if not (read_waiting(reader, &continuation.at[0]) and read_inner(reader, MARK, True, &continuation.at[1])):
        return False
    if length == SUSPENDED_LENGTH and not read_value(reader, &continuation.at[2]):
        return False
    return add_entry(reader, continuation)


cdef bint read_mark(Reader *reader) noexcept nogil:
    cdef Values *mark = new_values(&reader.state.heap, MARK, 3)
    cdef Value tag
    if mark == NULL:
        return out_of_memory(reader)
    if not (read_value(reader, &mark.at[0]) and read_waiting(reader, &mark.at[1])):
        return False
    tag = mark.at[0]
    if tag.tag != NIL and tag.tag != CLOSURE and not is_prompt_tag(tag):
        return refuse(reader, b"a mark with a tag that prompts cannot have")
    if not read_inner(reader, MARK, True, &mark.at[2]):
        return False
    mark.head.extra = mark_depth(mark.at[2]) + 1
    return add_entry(reader, mark)


cdef bint may_wait(ArityInfo *arity, uint32_t pc, int32_t slot) noexcept nogil:
    """Return whether a frame at pc can be one that waits for a value for the slot.

    It waits behind a call that names the slot, or behind an instruction that a long form does; or, without a slot, for a
    lazy seq that the instruction at pc needs; or for what the `unless-...` at pc tests.
    """
    cdef Step *step
    if slot == -1:
        return True
    if slot == JUDGED:
        return is_judging(arity.steps[pc].opcode)
    if slot < 0 or pc == arity.entry:
        return False
    step = &arity.steps[pc - 1]
    if step.opcode == OP_APPLY or step.opcode == OP_CALL:
        return step.a == slot
    if step.opcode >= OP_COUNT or step.opcode == OP_PRIMITIVE or step.opcode == OP_PRIMITIVE_READ:
        return slot_number(step.a) == slot
    if OP_ADD <= step.opcode <= OP_DECREMENT:
        return slot_number(step.a) == slot
    return False


cdef bint read_frame_closure(Reader *reader, Frame *frame) noexcept nogil:
    """Read what runs in a frame: a closure of its arity's function."""
    cdef Value closure = nil()
    cdef FunctionInfo *function = frame.arity.function
    if not read_inner(reader, CLOSURE, True, &closure):
        return False
    if closure.tag == NIL:
        frame.closure = function.closure
        return frame.closure != NULL or refuse(reader, b"a frame without a closure")
    frame.closure = <Closure *> closure.object
    return frame.closure.function == function or refuse(reader, b"a frame of another function")


cdef ArityInfo *read_arity(Reader *reader) noexcept nogil:
    """Read what names a body, or return NULL."""
    cdef int64_t number = 0
    cdef CodeInfo *code
    if not read_number(reader, 0, 0xFFFFFFFF, &number):
        return NULL
    code = reader.state.core if number & 1 else reader.state.code
    number >>= 1
    while code != NULL and number < code.arity_base:
        code = code.before
    if code == NULL or number - code.arity_base >= code.arity_count:
        refuse(reader, b"the code has no such body")
        return NULL
    return &code.arities[number - code.arity_base]


cdef bint read_frame(Reader *reader) noexcept nogil:
    """Read a frame: where it is, what it waits for, and as many slots as its body has."""
    cdef ArityInfo *arity = read_arity(reader)
    cdef int64_t pc = 0
    cdef int64_t slot = 0
    cdef Frame *frame
    cdef Value parent = nil()
    if arity == NULL or not read_number(reader, arity.entry, <int64_t> arity.end - 1, &pc):
        return False
    if not read_number(reader, JUDGED, arity.slot_count, &slot) or not read_inner(reader, FRAME, False, &parent):
        return False
    if not reader.entries[reader.number].flags & WAITING:
        return refuse(reader, b"the parent of a frame does not wait")
    if arity.slot_count > bytes_left(reader):
        return refuse(reader, b"the image ends early")
    frame = new_frame(&reader.state.heap, arity, NULL, <Frame *> parent.object)
    if frame == NULL:
        return out_of_memory(reader)
    go_to(frame, <uint32_t> pc)
    frame.head.slot = <int32_t> slot
    if not (read_frame_closure(reader, frame) and read_slots(reader, frame.at, arity.slot_count)):
        return False
    if not add_entry(reader, frame):
        return False
    last_entry(reader).flags = WAITING if may_wait(arity, <uint32_t> pc, <int32_t> slot) else 0
    return True


cdef bint read_halt(Reader *reader) noexcept nogil:
    """Read the frame below all others."""
    cdef int64_t slot = 0
    cdef Frame *frame = new_frame(&reader.state.heap, &HALT_ARITY, HALT_FUNCTION.closure, NULL)
    if frame == NULL:
        return out_of_memory(reader)
    if not (read_number(reader, -1, HALT_CHECKED, &slot) and read_value(reader, &frame.at[0])):
        return False
    frame.head.slot = <int32_t> slot
    if slot == HALT_CHECKED:
        frame.head.slot = 0
        go_to(frame, 1)
    if not add_entry(reader, frame):
        return False
    last_entry(reader).flags = WAITING
    return True


cdef bint read_described(Reader *reader) noexcept nogil:
    """Read a value with metadata."""
    cdef Values *described
    if not read_simple(reader, DESCRIBED, 2):
        return False
    described = <Values *> last_entry(reader).object
    reader.state.heap.described = True
    if not may_be_described(described.at[0].tag):
        return refuse(reader, b"a value that cannot have metadata")
    return is_map(described.at[1].tag) or refuse(reader, b"metadata that is no map")


# ---- all of them

cdef bint read_record(Reader *reader) noexcept nogil:
    cdef int64_t number = 0
    cdef uint32_t kind
    if not read_number(reader, RATIO, RECORD_SUSPENDED, &number):
        return False
    kind = <uint32_t> number
    if kind == RATIO:
        return read_ratio(reader)
    if kind == DECIMAL:
        return read_decimal(reader)
    if kind == LIST or kind == CONS:
        return read_pair(reader, kind, False)
    if kind == RECORD_LIST_NEXT or kind == RECORD_CONS_NEXT:
        return read_pair(reader, LIST if kind == RECORD_LIST_NEXT else CONS, True)
    if kind == ATOM or kind == LAZY:
        return read_cell(reader, kind, 0)
    if kind == RECORD_LAZY_REALIZED:
        return read_cell(reader, LAZY, REALIZED)
    if kind == RECORD_FILL:
        return read_fill(reader)
    if kind == RANGE:
        return read_range(reader)
    if kind == SEQ:
        return read_seq(reader)
    if kind == VECTOR:
        return read_vector(reader)
    if kind == VECTOR_NODE:
        return read_vector_node(reader)
    if kind == VECTOR_LEAF:
        return read_leaf(reader)
    if kind == MAP or kind == SET:
        return read_map(reader, kind)
    if is_sorted(kind):
        return read_sorted(reader, kind)
    if kind == SORTED_NODE:
        return read_sorted_node(reader)
    if kind == SORTED_LEAF:
        return read_sorted_leaf(reader)
    if kind == MAP_ARRAY:
        return read_map_array(reader)
    if kind == MAP_NODE:
        return read_map_node(reader)
    if kind == MAP_INDEX:
        return read_index_node(reader)
    if kind == MAP_PAGE:
        return read_page(reader)
    if kind == CLOSURE:
        return read_closure(reader)
    if kind == CAPTURES:
        return read_captures(reader)
    if kind == CONTINUATION:
        return read_continuation(reader, 0, 2)
    if kind == RECORD_CONTINUATION_PART:
        return read_continuation(reader, COMPOSABLE, 2)
    if kind == RECORD_SUSPENDED:
        return read_continuation(reader, COMPOSABLE, SUSPENDED_LENGTH)
    if kind == MARK:
        return read_mark(reader)
    if kind == ERROR:
        return read_simple(reader, ERROR, 3)
    if kind == DESCRIBED:
        return read_described(reader)
    if kind == FRAME:
        return read_frame(reader)
    if kind == RECORD_HALT:
        return read_halt(reader)
    return refuse(reader, b"a record of an unknown kind")
