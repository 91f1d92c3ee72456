# Host functions on vectors, maps and sets.
#
# Is:     the entry points, argument counts already checked; Clojure's treatment of nil included.
# Is not: the structures (`_vector.pxi`, `_map.pxi`) nor seqs (`_primitives_sequences.pxi`).
# Fits:   `_table.pxi` finds them by name.
#
# What grows or shrinks takes its first argument out of the caller's slot, so that the structures, which copy only what
# somebody else holds too, change in place what has one owner. With one argument, which may lie where others read it
# (yang.isa, `primitive-read`), only `pop` does so. Before an instruction is done again the slot gets back what it is by
# then: doing the same once more changes nothing.

cdef enum:
    PUT_STEPS = 32  # of work to put a pair into a map


cdef Outcome primitive_vector(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if spend(heap, 2 * <uint64_t> n) != OK:
        return DEFER
    return vector_of(heap, arguments, n, result)


cdef Outcome primitive_hash_map(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef uint32_t i
    cdef Outcome outcome = OK
    if n & 1:
        return fault(heap, b"argument", b"hash-map: the last key has no value")
    if give_empty(heap, MAP, result) != OK:
        return NO_MEMORY
    for i in range(0, n, 2):
        outcome = spend(heap, PUT_STEPS)
        if outcome == OK:
            outcome = map_put(heap, result, arguments[i], arguments[i + 1])
        if outcome != OK:
            break
    return outcome


cdef Outcome primitive_hash_set(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef uint32_t i
    cdef Outcome outcome = OK
    if give_empty(heap, SET, result) != OK:
        return NO_MEMORY
    for i in range(n):
        outcome = spend(heap, PUT_STEPS)
        if outcome == OK:
            outcome = map_put(heap, result, arguments[i], nil())
        if outcome != OK:
            break
    return outcome


cdef Outcome add_integers(Heap *heap, const Value *bounds, Value *handle) noexcept nogil:
    """Add every item of a RANGE of integers to the VECTOR of a handle."""
    cdef uint64_t left = range_left(bounds, bounds[0].integer)
    if left >= <uint64_t> heap.steps_max or spend(heap, 2 * (left + 1)) != OK:
        return DEFER
    return vector_extend_range(heap, handle, bounds[0].integer, bounds[2].integer, <int64_t> left + 1)


cdef Outcome add_all(Heap *heap, Value source, Value *handle) noexcept nogil:
    """Add every item of anything seqable to the VECTOR or SET of a handle."""
    cdef Cursor cursor
    cdef Value item = nil()
    cdef bint more = False
    cdef Outcome outcome = cursor_start(heap, &cursor, source)
    while outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        outcome = spend(heap, 2 if handle.tag == VECTOR else PUT_STEPS)
        if outcome == OK:
            outcome = cursor_item(heap, &cursor, &item)
        if outcome != OK:
            break
        if handle.tag == VECTOR:
            outcome = vector_append(heap, handle, item)
        else:
            outcome = map_put(heap, handle, item, nil())
        release(heap, item)
    return whole(outcome)


cdef Outcome primitive_vec(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if arguments[0].tag == VECTOR:
        result[0] = retained(arguments[0])
        return OK
    if give_empty(heap, VECTOR, result) != OK:
        return NO_MEMORY
    if arguments[0].tag == RANGE and (<Values *> arguments[0].object).at[0].tag == INT:
        return add_integers(heap, (<Values *> arguments[0].object).at, result)
    return add_all(heap, arguments[0], result)


# ---- growing and shrinking

cdef inline Outcome put_entry(Heap *heap, Value *handle, Value key, Value value) noexcept nogil:
    """Set key to value in a map of either kind."""
    return map_put(heap, handle, key, value) if handle.tag == MAP else sorted_put(heap, handle, key, value)


cdef Outcome conj_to_map(Heap *heap, Value *handle, Value item) noexcept nogil:
    """Add an entry [key value], or all entries of a map, to the map of a handle."""
    cdef Cursor cursor
    cdef bint more = False
    cdef Outcome outcome
    item = bare(item)
    if item.tag == NIL:
        return OK
    if item.tag == VECTOR:
        if vector_count(item) != 2:
            return fault(heap, b"argument", b"conj: an entry of a map is a vector of two, [key value]")
        return put_entry(heap, handle, vector_item(item, 0), vector_item(item, 1))
    if not is_map(item.tag):
        return fault_type(heap, b"conj", b"a map or an entry [key value]", item)
    outcome = cursor_start(heap, &cursor, item)
    while outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        outcome = spend(heap, PUT_STEPS)
        if outcome == OK:
            outcome = put_entry(heap, handle, cursor.item, cursor.value)
    return outcome


cdef Outcome conj_one(Heap *heap, Value *handle, Value item) noexcept nogil:
    """Add an item (borrowed) to the collection of an owned handle."""
    if handle.tag == VECTOR:
        return vector_append(heap, handle, item)
    if is_map(handle.tag):
        return conj_to_map(heap, handle, item)
    if handle.tag == SET:
        return map_put(heap, handle, item, nil())
    if handle.tag == SORTED_SET:
        return sorted_put(heap, handle, item, nil())
    if handle.tag == NIL or handle.tag == EMPTY:
        return give_cell(heap, retained(item), immediate(EMPTY, 0), handle)
    if handle.tag == LIST:
        return give_cell(heap, retained(item), handle[0], handle)
    if is_seq_kind(handle.tag):
        return give_cons(heap, retained(item), handle[0], handle)
    return fault_type(heap, b"conj", b"a collection", handle[0])


cdef inline void give_back(Value *argument, Value *result) noexcept nogil:
    """Undo `taken`: the instruction has failed or will be done again."""
    argument[0] = result[0]
    result[0] = nil()


cdef Outcome primitive_conj(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef uint32_t i
    cdef Outcome outcome = OK
    if n == 0:
        return give_empty(heap, VECTOR, result)
    if n == 2 and vector_conj_fast(arguments[0], arguments[1]):
        result[0] = taken(arguments)
        return OK
    if n > 1 and calls_out(arguments[0]):
        return DEFER
    if n > 2 and spend(heap, PUT_STEPS * <uint64_t> (n - 2)) != OK:
        return DEFER
    result[0] = taken(arguments) if n > 1 else retained(arguments[0])
    for i in range(1, n):
        outcome = conj_one(heap, result, arguments[i])
        if outcome != OK:
            give_back(<Value *> arguments, result)
            break
    return outcome


cdef Outcome primitive_empty(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if is_sorted(arguments[0].tag):
        return give_sorted(heap, arguments[0].tag, (<Sorted *> arguments[0].object).order, result)
    if is_collection(arguments[0].tag):
        return give_empty(heap, arguments[0].tag, result)
    result[0] = nil()
    return OK


cdef Outcome primitive_peek(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value source = arguments[0]
    result[0] = nil()
    if source.tag == VECTOR:
        if vector_count(source) > 0:
            result[0] = retained(vector_item(source, vector_count(source) - 1))
        return OK
    if source.tag == LIST:
        result[0] = retained((<Values *> source.object).at[0])
        return OK
    if source.tag == NIL or source.tag == EMPTY:
        return OK
    return fault_type(heap, b"peek", b"a vector or a list", source)


cdef Outcome primitive_pop(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value source = arguments[0]
    if source.tag == VECTOR:
        if vector_count(source) == 0:
            return fault(heap, b"state", b"pop: Can't pop empty vector")
        result[0] = taken(arguments)
        return vector_pop(heap, result)
    if source.tag == LIST:
        result[0] = retained((<Values *> source.object).at[1])
        return OK
    if source.tag == EMPTY:
        return fault(heap, b"state", b"pop: Can't pop empty list")
    if source.tag == NIL:
        result[0] = nil()
        return OK
    return fault_type(heap, b"pop", b"a vector or a list", source)


cdef Outcome primitive_subvec(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """A copy: cost is proportional to what is in it."""
    cdef int64_t count
    cdef int64_t start
    cdef int64_t end
    cdef uint32_t i
    if arguments[0].tag != VECTOR:
        return fault_type(heap, b"subvec", b"a vector", arguments[0])
    for i in range(1, n):
        if arguments[i].tag != INT:
            return fault_type(heap, b"subvec", b"an index", arguments[i])
    count = vector_count(arguments[0])
    start = arguments[1].integer
    end = arguments[2].integer if n == 3 else count
    if end < 0 or end > count:
        return fault_index(heap, b"subvec", end, count)
    if start < 0 or start > end:
        return fault_index(heap, b"subvec", start, end)
    if start == 0 and end == count:
        result[0] = retained(arguments[0])
        return OK
    if spend(heap, 4 * <uint64_t> (end - start)) != OK:
        return DEFER
    if give_empty(heap, VECTOR, result) != OK:
        return NO_MEMORY
    return vector_extend_from(heap, result, arguments[0], start, end)


# ---- look-up

cdef inline Outcome find_pair(Heap *heap, Value source, Value key, Value **found) noexcept nogil:
    """Set found to the pair of a key of a map or set of any kind, or to NULL. DEFER when its comparator is to be called."""
    cdef int64_t rank = 0
    if is_sorted(source.tag):
        if calls_out(source):
            return DEFER
        return sorted_find(heap, source, key, &rank, found)
    return map_find(heap, source, key, found)


cdef Outcome look_up_key(Heap *heap, Value source, Value key, bint *found, Value *result) noexcept nogil:
    """Set result to the value at a key of a map, set, vector or string; found is false for anything else."""
    cdef Value *pair = NULL
    cdef Outcome outcome
    found[0] = False
    if MAP <= source.tag <= SORTED_SET:
        outcome = find_pair(heap, source, key, &pair)
        if pair != NULL:
            found[0] = True
            result[0] = retained(pair[1] if is_map(source.tag) else pair[0])
        return outcome
    if key.tag != INT or key.integer < 0:
        return OK
    if source.tag == VECTOR and key.integer < vector_count(source):
        found[0] = True
        result[0] = retained(vector_item(source, key.integer))
    elif source.tag == STRING and key.integer < (<Text *> source.object).char_count:
        found[0] = True
        return string_char(heap, source, key.integer, result)
    return OK


cdef Outcome primitive_get(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef bint found = False
    cdef Outcome outcome = look_up_key(heap, arguments[0], arguments[1], &found, result)
    if outcome == OK and not found:
        result[0] = retained(arguments[2]) if n == 3 else nil()
    return outcome


cdef Outcome primitive_is_contains(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value source = arguments[0]
    cdef Value key = arguments[1]
    cdef Value *pair = NULL
    cdef int64_t count
    cdef Outcome outcome
    if MAP <= source.tag <= SORTED_SET:
        outcome = find_pair(heap, source, key, &pair)
        result[0] = boolean_value(pair != NULL)
        return outcome
    if source.tag == VECTOR or source.tag == STRING:
        if source.tag == STRING and key.tag != INT:
            return fault_type(heap, b"contains?", b"an index", key)
        count = vector_count(source) if source.tag == VECTOR else (<Text *> source.object).char_count
        result[0] = boolean_value(key.tag == INT and 0 <= key.integer < count)
        return OK
    if source.tag != NIL:
        return fault_type(heap, b"contains?", b"a map, set, vector or string", source)
    result[0] = boolean_value(False)
    return OK


cdef Outcome primitive_find(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value source = arguments[0]
    cdef Value *pair = NULL
    cdef Value entry[2]
    cdef Outcome outcome
    result[0] = nil()
    if is_map(source.tag):
        outcome = find_pair(heap, source, arguments[1], &pair)
        if outcome != OK or pair == NULL:
            return outcome
        return vector_of(heap, pair, 2, result)
    if source.tag == VECTOR:
        if arguments[1].tag != INT or not 0 <= arguments[1].integer < vector_count(source):
            return OK
        entry[0] = arguments[1]
        entry[1] = vector_item(source, arguments[1].integer)
        return vector_of(heap, entry, 2, result)
    if source.tag == NIL:
        return OK
    return fault_type(heap, b"find", b"a map or a vector", source)


# ---- change

cdef Outcome assoc_in_vector(Heap *heap, Value *handle, Value key, Value value) noexcept nogil:
    if key.tag != INT:
        return fault_type(heap, b"assoc", b"an index", key)
    if not 0 <= key.integer <= vector_count(handle[0]):
        return fault_index(heap, b"assoc", key.integer, vector_count(handle[0]))
    return vector_set(heap, handle, key.integer, value)


cdef Outcome primitive_assoc(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef uint32_t i
    cdef Outcome outcome = OK
    if n == 3 and vector_assoc_fast(arguments[0], arguments[1], arguments[2]):
        result[0] = taken(arguments)
        return OK
    if not n & 1:
        return fault(heap, b"argument", b"assoc: the last key has no value")
    if arguments[0].tag == NIL:
        outcome = give_empty(heap, MAP, result)
    elif calls_out(arguments[0]) and arguments[0].tag == SORTED_MAP:
        return DEFER
    elif is_map(arguments[0].tag) or arguments[0].tag == VECTOR:
        result[0] = taken(arguments)
    else:
        return fault_type(heap, b"assoc", b"a map or a vector", arguments[0])
    if outcome == OK and n > 3:
        outcome = spend(heap, PUT_STEPS * <uint64_t> (n - 3) >> 1)
    for i in range(1, n, 2):
        if outcome != OK:
            break
        if is_map(result.tag):
            outcome = put_entry(heap, result, arguments[i], arguments[i + 1])
        else:
            outcome = assoc_in_vector(heap, result, arguments[i], arguments[i + 1])
    if outcome != OK:
        give_back(<Value *> arguments, result)
    return outcome


cdef Outcome remove_keys(
    Heap *heap, const char *name, uint32_t kind, const Value *arguments, uint32_t n, Value *result
) noexcept nogil:
    """Set result to a map or set without the keys a1 ..."""
    cdef uint32_t i
    cdef Outcome outcome = OK
    result[0] = nil()
    if arguments[0].tag == NIL:
        return OK
    if plain_tag(arguments[0].tag) != kind:
        return fault_type(heap, name, b"a map" if kind == MAP else b"a set", arguments[0])
    if n == 1:
        result[0] = retained(arguments[0])
        return OK
    if calls_out(arguments[0]):
        return DEFER
    if n > 2 and spend(heap, PUT_STEPS * <uint64_t> (n - 2)) != OK:
        return DEFER
    result[0] = taken(arguments)
    for i in range(1, n):
        if result.tag == kind:
            outcome = map_remove(heap, result, arguments[i])
        else:
            outcome = sorted_take(heap, result, arguments[i])
        if outcome != OK:
            give_back(<Value *> arguments, result)
            break
    return outcome


cdef Outcome primitive_dissoc(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return remove_keys(heap, b"dissoc", MAP, arguments, n, result)


cdef Outcome primitive_disj(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return remove_keys(heap, b"disj", SET, arguments, n, result)


# ---- entries

cdef Outcome parts_of_entries(Heap *heap, const char *name, uint32_t part, Value source, Value *result) noexcept nogil:
    """Set result to a seq of the keys (part 0) or values (1) of a seq of entries."""
    cdef Cursor cursor
    cdef Value vector = nil()
    cdef Value item
    cdef bint more = False
    cdef Outcome outcome = cursor_start(heap, &cursor, source)
    result[0] = nil()
    if outcome == OK and give_empty(heap, VECTOR, &vector) != OK:
        return NO_MEMORY
    while outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        outcome = spend(heap, 4)
        if outcome != OK:
            break
        if cursor.pairs:
            item = cursor.value if part else cursor.item
        elif cursor.item.tag == VECTOR and vector_count(cursor.item) == 2:
            item = vector_item(cursor.item, part)
        else:
            outcome = fault_type(heap, name, b"entries of a map", cursor.item)
            break
        outcome = vector_append(heap, &vector, item)
    if outcome == OK and vector_count(vector) > 0:
        outcome = give_seq(heap, vector, SEQ_ITEMS, 0, result)
    release(heap, vector)
    return whole(outcome)


cdef Outcome primitive_keys(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if is_map(arguments[0].tag):
        return seq_of(heap, arguments[0], SEQ_KEYS, result)
    return parts_of_entries(heap, b"keys", 0, arguments[0], result)


cdef Outcome primitive_vals(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if is_map(arguments[0].tag):
        return seq_of(heap, arguments[0], SEQ_VALUES, result)
    return parts_of_entries(heap, b"vals", 1, arguments[0], result)


cdef Outcome part_of_entry(Heap *heap, const char *name, uint32_t part, Value entry, Value *result) noexcept nogil:
    if entry.tag != VECTOR or vector_count(entry) != 2:
        return fault_type(heap, name, b"an entry [key value]", entry)
    result[0] = retained(vector_item(entry, part))
    return OK


cdef Outcome primitive_key(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return part_of_entry(heap, b"key", 0, arguments[0], result)


cdef Outcome primitive_val(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return part_of_entry(heap, b"val", 1, arguments[0], result)
