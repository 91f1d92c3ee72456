# Host functions that fold: many items in one step, for the core library's `reduce`, `into` and `frequencies`.
#
# Is:     a few host functions applied to a stretch of a vector or range; counts of items; who may fold a lazy seq.
# Is not: a loop over more than the stretch: the core library asks for short ones, so that slices stay short.
# Fits:   `_table.pxi` finds them by name.
#
# What is folded into is taken out of the caller's slot, so that what has one owner grows in place; if the instruction
# will be done again the slot gets back what it is by then, which only happens to sets and maps, where adding the same
# items once more changes nothing. When it is too much for one instruction the slot gets back what it was, or an equal one.

cdef bint is_fold_function(Value function) noexcept nogil:
    """Return whether a value is a host function that is applied to two values and never calls back."""
    if function.tag != PRIMITIVE:
        return False
    return (
        function.integer == PRIMITIVE_ADD or function.integer == PRIMITIVE_SUBTRACT
        or function.integer == PRIMITIVE_MULTIPLY or function.integer == PRIMITIVE_MAX
        or function.integer == PRIMITIVE_MIN or function.integer == PRIMITIVE_CONJ
        or function.integer == PRIMITIVE_BIT_AND or function.integer == PRIMITIVE_BIT_OR
        or function.integer == PRIMITIVE_BIT_XOR
    )


cdef Outcome fold_one(Heap *heap, int64_t number, Value *result, Value item) noexcept nogil:
    """Set the owned result to the function of result and item (borrowed)."""
    cdef Value pair[2]
    cdef Value made = nil()
    cdef int64_t sum = 0
    cdef Outcome outcome
    if number == PRIMITIVE_CONJ:
        if MAP <= result.tag <= SORTED_SET and spend(heap, PUT_STEPS) != OK:
            return DEFER
        return conj_one(heap, result, item)
    if number == PRIMITIVE_ADD and result.tag == INT and item.tag == INT:
        if likely(not add_overflows(result.integer, item.integer, &sum)):
            result.integer = sum
            return OK
    pair[0] = result[0]
    pair[1] = item
    outcome = run_primitive(heap, number, pair, 2, &made)
    if outcome == OK:
        set_value(heap, result, made)
    else:
        release(heap, made)
    return outcome


cdef Outcome check_stretch(
    Heap *heap, const char *name, Value start, Value end, int64_t count
) noexcept nogil:
    """Fault unless 0 <= start <= end <= count, both integers."""
    if start.tag != INT or end.tag != INT:
        return fault_type(heap, name, b"an index", start if start.tag != INT else end)
    if not 0 <= start.integer <= end.integer:
        return fault_index(heap, name, start.integer, count)
    if end.integer > count:
        return fault_index(heap, name, end.integer, count)
    return spend(heap, 2 * <uint64_t> (end.integer - start.integer))


cdef int64_t add_words(Words *leaf, int64_t start, int64_t end, int64_t *sum) noexcept nogil:
    """Add the integers of a leaf from an index of its vector on, up to the leaf's end or `end`; return how many.

    It stops before one that would be too much for 64 bits.
    """
    cdef int64_t so_far = sum[0]
    cdef int64_t i = start
    if end > (start | 31) + 1:
        end = (start | 31) + 1
    while i < end and not add_overflows(so_far, leaf.at[i & 31], &so_far):
        sum[0] = so_far
        i += 1
    return i - start


cdef Outcome primitive_fold_items(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value items = arguments[2]
    cdef Value item = nil()
    cdef Object *leaf = NULL
    cdef Values *bounds = NULL
    cdef Value original = nil()
    cdef int64_t number = arguments[0].integer
    cdef int64_t count = 0
    cdef int64_t added
    cdef int64_t i
    cdef Outcome outcome
    if not is_fold_function(arguments[0]):
        return fault_type(heap, b"fold-items", b"a host function to fold with", arguments[0])
    if number == PRIMITIVE_CONJ and calls_out(arguments[1]):
        return DEFER
    if items.tag == RANGE and (<Values *> items.object).at[0].tag == INT:
        bounds = <Values *> items.object
    elif items.tag != VECTOR:
        return fault_type(heap, b"fold-items", b"a vector or a range of integers", items)
    outcome = count_items(heap, items, &count)
    if outcome == OK:
        outcome = check_stretch(heap, b"fold-items", arguments[3], arguments[4], count)
    if outcome != OK:
        return outcome
    if number != PRIMITIVE_CONJ:
        original = retained(arguments[1])
    result[0] = taken(&arguments[1])
    if number == PRIMITIVE_CONJ and result.tag == VECTOR:  # leaf by leaf, and nothing can fail but memory
        i = arguments[3].integer
        count = arguments[4].integer
        if bounds == NULL:
            return vector_extend_from(heap, result, items, i, count)
        if i < count:
            item = integer_value(bounds.at[0].integer + i * bounds.at[2].integer)
        return vector_extend_range(heap, result, item.integer, bounds.at[2].integer, count - i)
    i = arguments[3].integer
    while i < arguments[4].integer:
        if bounds != NULL:
            item = integer_value(bounds.at[0].integer + i * bounds.at[2].integer)
        else:
            if leaf == NULL or i & 31 == 0:
                leaf = vector_leaf(<Vector *> items.object, i)
                if number == PRIMITIVE_ADD and result.tag == INT and leaf.flags == INT:
                    added = add_words(<Words *> leaf, i, arguments[4].integer, &result.integer)
                    if added > 0:
                        i += added
                        leaf = NULL
                        continue
            item = leaf_item(leaf, <uint32_t> i & 31)
        i += 1
        outcome = fold_one(heap, number, result, item)
        if outcome != OK:
            if number != PRIMITIVE_CONJ:
                set_value(heap, result, retained(original))
            give_back(<Value *> &arguments[1], result)
            break
    release(heap, original)
    return outcome


cdef Outcome primitive_is_fold_fn(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    result[0] = boolean_value(is_fold_function(arguments[0]))
    return OK


cdef Outcome primitive_range_bounds(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Values *bounds = <Values *> arguments[0].object
    result[0] = nil()
    if arguments[0].tag == RANGE and bounds.at[0].tag == INT and bounds.at[2].integer > 0:
        return vector_of(heap, bounds.at, 3, result)
    return OK


cdef Outcome count_one(Heap *heap, Value *counts, Value item) noexcept nogil:
    """Add one to the count of an item in the map of an owned handle."""
    cdef Value *place = NULL
    cdef Value sum = nil()
    cdef bint added = False
    cdef Outcome outcome = map_place(heap, counts, item, &place, &added)
    if outcome != OK:
        return outcome
    if added:
        place[0] = integer_value(1)
    elif likely(place.tag == INT and place.integer != GREATEST_INTEGER):
        place.integer += 1
    else:
        outcome = number_add(heap, place[0], integer_value(1), &sum)
        if outcome == OK:
            set_value(heap, place, sum)
    return outcome


cdef Outcome primitive_count_each(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """All lazy seqs inside are realised, and what it will cost is known, before anything is counted."""
    cdef uint32_t hashed = 0
    cdef Value items = arguments[1]
    cdef Value item
    cdef int64_t i
    cdef Outcome outcome = OK
    if arguments[0].tag != MAP:
        return fault_type(heap, b"count-each", b"a map", arguments[0])
    if items.tag != VECTOR:
        return fault_type(heap, b"count-each", b"a vector", items)
    outcome = check_stretch(heap, b"count-each", arguments[2], arguments[3], vector_count(items))
    if outcome != OK:
        return outcome
    for i in range(arguments[2].integer, arguments[3].integer):
        item = vector_item(items, i)
        if item.tag >= HEAP or item.tag == EMPTY:
            outcome = check_data(heap, item, False)
            if outcome == OK:
                outcome = hash_value(heap, item, &hashed)
            if outcome != OK:
                return outcome
    if spend(heap, 2 * PUT_STEPS * <uint64_t> (arguments[3].integer - arguments[2].integer)) != OK:
        return DEFER
    heap.steps_max = STEPS_MAX_WHOLE  # now that it is known to be little
    result[0] = taken(&arguments[0])
    for i in range(arguments[2].integer, arguments[3].integer):
        outcome = count_one(heap, result, vector_item(items, i))
        if outcome != OK:
            break
    heap.steps_max = STEPS_MAX
    return FAILED if outcome == DEFER else outcome


cdef Outcome primitive_lazy_folder(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Only the core library makes lazy seqs whose function has a body for (step, result so far)."""
    cdef Value cell = arguments[0]
    cdef Value thunk
    cdef ArityInfo *arity
    result[0] = nil()
    if cell.tag != LAZY:
        return fault_type(heap, b"lazy-folder", b"a lazy seq", cell)
    if cell.object.flags & REALIZED or cell.object.count != 1:
        return OK
    thunk = (<Values *> cell.object).at[0]
    if thunk.tag != CLOSURE:
        return OK
    arity = select_arity((<Closure *> thunk.object).function, 2)
    if arity != NULL and not arity.variadic:
        result[0] = retained(thunk)
    return OK
