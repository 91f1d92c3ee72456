# Host functions that do a part of what is too much for one instruction.
#
# Is:     the inner loops of the long forms (`yang/lib/long.clj`), each cut after half of what an instruction may do.
# Is not: reachable from programs; nor needed where an instruction has no bound (the reference machine).
# Fits:   `_table.pxi` finds them by name. What is left to do is their result: a list used as a stack, or a seq.
#
# A part that is small is done at once; of one that is not, what has to be done is put on the stack, where a later portion
# opens it: so depth costs nothing, and nothing is begun twice that is larger than SMALL_STEPS. At an unrealised lazy seq
# a portion ends if it has come anywhere, so that doing it again costs nothing.

cdef enum:
    SMALL_STEPS = 48  # of work on a part before it is put off
    EQUAL_PLAIN = -1  # on the stack of equal-some: the caller makes the second one a plain map or set first
    EQUAL_ANY = 0  # compare the two
    EQUAL_PAIRS = 1  # the first is what is left of a map or set
    EQUAL_BYTES = 2  # and more: two texts, from the byte of this number less two on


cdef inline bint portion_is_over(Heap *heap) noexcept nogil:
    return heap.steps > heap.steps_max >> 1


cdef inline uint64_t begin_small(Heap *heap) noexcept nogil:
    """Lower the bound for a part; give what it returns to `end_small`."""
    cdef uint64_t steps_max = heap.steps_max
    if heap.steps + SMALL_STEPS < steps_max:
        heap.steps_max = heap.steps + SMALL_STEPS
    return steps_max


cdef inline void end_small(Heap *heap, uint64_t steps_max) noexcept nogil:
    heap.steps_max = steps_max


cdef inline Outcome push_cell(Heap *heap, Value item, Value *stack) noexcept nogil:
    """Put an item (borrowed) on a list."""
    return give_cell(heap, retained(item), stack[0], stack)


cdef Outcome push_rest(Heap *heap, Cursor *cursor, Value *stack) noexcept nogil:
    """Put what a cursor has not given yet on a list, EMPTY for nothing."""
    cdef Value rest = nil()
    if cursor_rest(heap, cursor, &rest) != OK:
        return NO_MEMORY
    if rest.tag == NIL:
        rest = immediate(EMPTY, 0)
    return give_cell(heap, rest, stack[0], stack)


cdef Outcome give_two(Heap *heap, Value first, Value second, Value *result) noexcept nogil:
    """Set result to the vector of two values, which are taken over."""
    cdef Value items[2]
    cdef Outcome outcome
    items[0] = first
    items[1] = second
    outcome = vector_of(heap, items, 2, result)
    release(heap, first)
    release(heap, second)
    return outcome


cdef inline Outcome expect_stack(Heap *heap, Value stack, uint32_t least) noexcept nogil:
    if stack.tag != LIST or stack.object.extra < least:
        return fault_type(heap, b"portion", b"a list", stack)
    return OK


cdef inline Value stack_item(Value *stack) noexcept nogil:
    """Return the first item (borrowed) and move the borrowed list on."""
    cdef Value item = (<Values *> stack.object).at[0]
    stack[0] = (<Values *> stack.object).at[1]
    return item


# ---- what has no portions

cdef Outcome primitive_whole(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Call a pure host function in one go, unless it is far too much."""
    cdef Value function = arguments[0]
    cdef uint64_t steps_max = heap.steps_max
    cdef PrimitiveInfo *primitive
    cdef Outcome outcome
    if function.tag != PRIMITIVE or PRIMITIVE_TABLE[function.integer].kind != 0:
        return fault_type(heap, b"portion", b"a host function", function)
    primitive = &PRIMITIVE_TABLE[function.integer]
    if n - 1 < primitive.least or n - 1 > primitive.most or function.integer == PRIMITIVE_WHOLE:
        return fault_type(heap, b"portion", b"other arguments", function)
    heap.steps_max = STEPS_MAX_WHOLE
    outcome = run_primitive(heap, function.integer, arguments + 1, n - 1, result)
    heap.steps_max = steps_max
    return FAILED if outcome == DEFER else outcome


cdef Outcome primitive_small(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Call a pure host function, or nil when it is too much for one instruction."""
    cdef Value function = arguments[0]
    cdef PrimitiveInfo *primitive
    cdef Outcome outcome
    if function.tag != PRIMITIVE or PRIMITIVE_TABLE[function.integer].kind != 0:
        return fault_type(heap, b"portion", b"a host function", function)
    primitive = &PRIMITIVE_TABLE[function.integer]
    if n - 1 < primitive.least or n - 1 > primitive.most or function.integer == PRIMITIVE_SMALL:
        return fault_type(heap, b"portion", b"other arguments", function)
    outcome = run_primitive(heap, function.integer, arguments + 1, n - 1, result)
    if outcome != DEFER:
        return outcome
    set_value(heap, result, nil())
    return OK


cdef Outcome primitive_number_size(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """The bytes of an integer's magnitude, 8 at least."""
    if not is_integer(arguments[0]):
        return fault_type(heap, b"portion", b"an integer", arguments[0])
    result[0] = integer_value(number_bytes(arguments[0]))
    return OK


cdef Outcome primitive_ratio_of(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """The ratio of two integers that have no common divisor, the second above one."""
    if not is_integer(arguments[0]) or not is_integer(arguments[1]) or sign_of(arguments[1]) <= 0:
        return fault_type(heap, b"portion", b"two integers", arguments[0])
    return give_values(heap, RATIO, arguments, 2, result)


# ---- looking through data, see check_data()

cdef Outcome check_part(Heap *heap, Value part, bint data_only, Value *stack) noexcept nogil:
    """Look through a part, or put it on the stack."""
    cdef uint64_t steps_max
    cdef Outcome outcome
    if part.tag != PRIMITIVE and part.tag <= BIG:
        return spend(heap, 1)
    steps_max = begin_small(heap)
    outcome = check_data(heap, part, data_only)
    end_small(heap, steps_max)
    return push_cell(heap, part, stack) if outcome == DEFER else outcome


cdef Outcome primitive_check_some(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Look through a part of what is on a stack; what is left of it."""
    cdef Value left = arguments[0]
    cdef Value value
    cdef Cursor cursor
    cdef Cursor before
    cdef bint data_only = is_truthy(arguments[1])
    cdef bint more = False
    cdef Outcome outcome = expect_stack(heap, left, 1)
    if outcome != OK:
        return outcome
    value = bare(stack_item(&left))
    left = retained(left)
    if value.tag != EMPTY and not LIST <= value.tag <= SORTED_SET:
        outcome = check_data(heap, value, data_only)
        result[0] = left
        return outcome
    outcome = cursor_start(heap, &cursor, value)
    while outcome == OK:
        before = cursor
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        outcome = check_part(heap, cursor.item, data_only, &left)
        if outcome == OK and cursor.pairs:
            outcome = check_part(heap, cursor.value, data_only, &left)
        if outcome == OK and portion_is_over(heap):
            before = cursor
            outcome = FORCE
        if outcome == FORCE and (before.steps > 0 or portion_is_over(heap)):
            outcome = push_rest(heap, &before, &left)
            break
    result[0] = left
    return whole(outcome)


# ---- adding

cdef Outcome add_stretch(Heap *heap, Cursor *cursor, Value *handle) noexcept nogil:
    """Add what a portion allows of a vector or a RANGE of integers to the VECTOR of a handle, leaf by leaf."""
    cdef int64_t n = (<int64_t> (heap.steps_max >> 1) - <int64_t> heap.steps) >> 2  # at four steps an item
    cdef Values *bounds
    cdef uint64_t left
    cdef int64_t first
    cdef Outcome outcome = OK
    if n <= 0:
        return OK
    if cursor.kind == VECTOR:
        if n > cursor.end - cursor.index:
            n = cursor.end - cursor.index
        outcome = vector_extend_from(heap, handle, cursor.at, cursor.index, cursor.index + n)
        cursor.index += n
        cursor.leaf = NULL
    elif cursor.kind == RANGE and cursor.value.tag == INT:
        bounds = <Values *> cursor.at.object
        first = cursor.value.integer
        left = range_left(bounds.at, first)
        if left < <uint64_t> n:
            n = <int64_t> left + 1
            cursor.kind = NIL
        else:
            cursor.value.integer += n * bounds.at[2].integer
        outcome = vector_extend_range(heap, handle, first, bounds.at[2].integer, n)
    else:
        return OK
    cursor.steps += n
    return spend(heap, 4 * <uint64_t> n) if outcome == OK else outcome


cdef Outcome primitive_add_some(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Add items of a seq to a collection; [collection what-is-left], nil for nothing left."""
    cdef Value built
    cdef Value item = nil()
    cdef Value rest = nil()
    cdef Cursor cursor
    cdef Cursor before
    cdef bint more = False
    cdef Outcome outcome = cursor_start(heap, &cursor, arguments[1])
    if outcome != OK:
        return outcome
    built = taken(&arguments[0])
    if built.tag == VECTOR:
        outcome = add_stretch(heap, &cursor, &built)
    while outcome == OK:
        before = cursor
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        outcome = spend(heap, PUT_STEPS if MAP <= built.tag <= SORTED_SET else 4)
        if outcome == OK:
            outcome = cursor_item(heap, &cursor, &item)
        if outcome == OK:
            outcome = conj_one(heap, &built, item)
            release(heap, item)
        if outcome == OK and portion_is_over(heap):
            before = cursor
            break
    if (outcome == FORCE or outcome == DEFER) and before.steps > 0:
        outcome = OK
        more = True
    if outcome != OK:
        (<Value *> arguments)[0] = built
        return outcome
    if more:
        outcome = cursor_rest(heap, &before, &rest)
    if outcome == OK:
        outcome = give_two(heap, built, rest, result)
    return outcome


# ---- equality, see equal()

cdef Outcome push_pair(Heap *heap, int64_t kind, Value a, Value b, Value *stack) noexcept nogil:
    """Put two values (borrowed) on the stack, to be compared."""
    cdef Outcome outcome = push_cell(heap, b, stack)
    if outcome == OK:
        outcome = push_cell(heap, a, stack)
    if outcome == OK:
        outcome = push_cell(heap, integer_value(kind), stack)
    return outcome


cdef Outcome equal_part(Heap *heap, Value a, Value b, bint *same, Value *stack) noexcept nogil:
    """Compare two values, or put them on the stack."""
    cdef uint64_t steps_max
    cdef Outcome outcome = spend(heap, 1)
    if outcome != OK:
        return outcome
    steps_max = begin_small(heap)
    outcome = equal(heap, a, b, same)
    end_small(heap, steps_max)
    if outcome == DEFER:
        same[0] = True
        return push_pair(heap, EQUAL_ANY, a, b, stack)
    return outcome


cdef Outcome equal_cursors(Heap *heap, Value a, Value b, bint *same, Value *stack) noexcept nogil:
    """Compare a part of two sequential values."""
    cdef Cursor left
    cdef Cursor right
    cdef Cursor left_before
    cdef Cursor right_before
    cdef Value items[2]
    cdef bint more_left = False
    cdef bint more_right = False
    cdef bint stops = False
    cdef Outcome outcome = cursor_start(heap, &left, a)
    if outcome == OK:
        outcome = cursor_start(heap, &right, b)
    while outcome == OK:
        if left.kind == VECTOR and left.index & 31 == 0:
            outcome = equal_leaves(heap, &left, &right, heap.steps_max >> 1, same)
            if outcome != OK or not same[0]:
                break
        left_before = left
        right_before = right
        outcome = cursor_next(heap, &left, &more_left)
        if outcome == OK:
            outcome = cursor_next(heap, &right, &more_right)
        if outcome == OK:
            if not more_left or not more_right:
                same[0] = more_left == more_right
                return OK
            if left.pairs or right.pairs:
                outcome = cursor_item(heap, &left, &items[0])
                if outcome == OK:
                    outcome = cursor_item(heap, &right, &items[1])
                if outcome == OK:
                    outcome = equal_part(heap, items[0], items[1], same, stack)
                    release(heap, items[0])
                    release(heap, items[1])
            else:
                outcome = equal_part(heap, left.item, right.item, same, stack)
            if outcome == OK and not same[0]:
                return OK
            stops = portion_is_over(heap)
            if outcome == OK and stops:
                left_before = left
                right_before = right
        if stops or (outcome == FORCE and left_before.steps > 0):
            outcome = push_rest(heap, &right_before, stack)
            if outcome == OK:
                outcome = push_rest(heap, &left_before, stack)
            if outcome == OK:
                outcome = push_cell(heap, integer_value(EQUAL_ANY), stack)
            return outcome
    return outcome


cdef Outcome equal_found(Heap *heap, Value a, Value b, bint *same, Value *stack) noexcept nogil:
    """Look a part of the pairs of map or set `a`, or of a seq over one, up in `b`."""
    cdef Cursor cursor
    cdef Value *found = NULL
    cdef bint more = False
    cdef Outcome outcome = cursor_start(heap, &cursor, a)
    while outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        outcome = spend(heap, 8)
        if outcome == OK:
            outcome = find_equal(heap, b, cursor.item, &found)
        if outcome != OK:
            break
        if found == NULL:
            same[0] = False
            return OK
        if is_map(b.tag):
            outcome = equal_part(heap, cursor.value, found[1], same, stack)
        if outcome != OK or not same[0]:
            break
        if portion_is_over(heap):
            outcome = push_cell(heap, b, stack)
            if outcome == OK:
                outcome = push_rest(heap, &cursor, stack)
            if outcome == OK:
                outcome = push_cell(heap, integer_value(EQUAL_PAIRS), stack)
            break
    return outcome


cdef Outcome equal_maps_opened(Heap *heap, Value a, Value b, bint *same, Value *stack) noexcept nogil:
    """Compare a part of two maps or two sets, see equal_maps()."""
    same[0] = map_count(a) == map_count(b)
    if not same[0]:
        return OK
    if in_same_order(a, b):
        return equal_cursors(heap, a, b, same, stack)
    if looks_up_worse(a, b):
        return equal_found(heap, b, a, same, stack) if not calls_out(a) else push_pair(heap, EQUAL_PLAIN, a, b, stack)
    return equal_found(heap, a, b, same, stack)


cdef Outcome equal_bytes(Heap *heap, int64_t start, Value a, Value b, bint *same, Value *stack) noexcept nogil:
    """Compare a part of two objects of one kind of bytes and one length."""
    cdef int64_t end = start + (<int64_t> PORTION_STEPS << BYTES_SHIFT) // 4
    if end > a.object.length:
        end = a.object.length
    if spend_bytes(heap, <size_t> (end - start)) != OK:
        return DEFER
    same[0] = memcmp((<Text *> a.object).bytes + start, (<Text *> b.object).bytes + start, end - start) == 0
    if same[0] and end < a.object.length:
        return push_pair(heap, EQUAL_BYTES + end, a, b, stack)
    return OK


cdef Outcome equal_opened(Heap *heap, int64_t kind, Value a, Value b, bint *same, Value *stack) noexcept nogil:
    """Compare a part of two values that are not small."""
    if kind == EQUAL_PAIRS and MAP <= b.tag <= SORTED_SET and not calls_out(b):
        return equal_found(heap, a, b, same, stack)
    if is_sequential(a.tag) and is_sequential(b.tag):
        if a.tag == VECTOR and b.tag == VECTOR and vector_count(a) != vector_count(b):
            same[0] = False
            return OK
        return equal_cursors(heap, a, b, same, stack)
    if plain_tag(a.tag) != plain_tag(b.tag) or a.object == b.object:
        same[0] = a.tag == b.tag
        return OK
    if MAP <= a.tag <= SORTED_SET:
        return equal_maps_opened(heap, a, b, same, stack)
    if STRING <= a.tag <= BIG:
        same[0] = a.object.length == b.object.length and (<Text *> a.object).char_count == (<Text *> b.object).char_count
        if not same[0]:
            return OK
        return equal_bytes(heap, kind - EQUAL_BYTES if kind > EQUAL_BYTES else 0, a, b, same, stack)
    if a.tag == RATIO:
        if push_pair(heap, EQUAL_ANY, (<Values *> a.object).at[0], (<Values *> b.object).at[0], stack) != OK:
            return NO_MEMORY
        return push_pair(heap, EQUAL_ANY, (<Values *> a.object).at[1], (<Values *> b.object).at[1], stack)
    return equal_step(heap, a, b, same)


cdef Outcome primitive_equal_some(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Compare a part of the pairs on a stack of (kind a b ...); false, or what is left."""
    cdef Value left = arguments[0]
    cdef Value kind
    cdef Value a
    cdef Value b
    cdef bint same = True
    cdef Outcome outcome = expect_stack(heap, left, 3)
    if outcome != OK:
        return outcome
    kind = stack_item(&left)
    a = bare(stack_item(&left))
    b = bare(stack_item(&left))
    if kind.tag != INT or kind.integer < 0:
        return fault_type(heap, b"portion", b"a kind", kind)
    if kind.integer > EQUAL_BYTES:
        if a.tag < STRING or a.tag > BIG or a.tag != b.tag or kind.integer - EQUAL_BYTES > a.object.length:
            return fault_type(heap, b"portion", b"two texts", a)
    left = retained(left)
    outcome = equal_opened(heap, kind.integer, a, b, &same, &left)
    if outcome == OK and not same:
        release(heap, left)
        left = boolean_value(False)
    result[0] = left
    return outcome


# ---- order, see compare_values()

cdef Outcome compare_vectors(Heap *heap, int64_t start, Value a, Value b, int *order, Value *stack) noexcept nogil:
    """Compare a part of two vectors of one length."""
    cdef Value x
    cdef Value y
    cdef uint64_t steps_max
    cdef int64_t i
    cdef Outcome outcome
    for i in range(start, vector_count(a)):
        x = vector_item(a, i)
        y = vector_item(b, i)
        outcome = spend(heap, 4)
        if outcome != OK:
            return outcome
        steps_max = begin_small(heap)
        outcome = compare_values(heap, x, y, False, order)
        end_small(heap, steps_max)
        if outcome == DEFER:
            outcome = push_pair(heap, i + 1, a, b, stack)
            return push_pair(heap, 0, x, y, stack) if outcome == OK else outcome
        if outcome != OK or order[0] != 0:
            return outcome
        if portion_is_over(heap):
            return push_pair(heap, i + 1, a, b, stack)
    return OK


cdef Outcome primitive_compare_some(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Compare a part of the pairs on a stack of (index a b ...); their order, or what is left while they are equal."""
    cdef Value left = arguments[0]
    cdef Value start
    cdef Value a
    cdef Value b
    cdef int order = 0
    cdef Outcome outcome = expect_stack(heap, left, 3)
    if outcome != OK:
        return outcome
    start = stack_item(&left)
    a = bare(stack_item(&left))
    b = bare(stack_item(&left))
    if start.tag != INT or start.integer < 0:
        return fault_type(heap, b"portion", b"an index", start)
    left = retained(left)
    if a.tag == VECTOR and b.tag == VECTOR:
        if vector_count(a) != vector_count(b):
            order = -1 if vector_count(a) < vector_count(b) else 1
        else:
            outcome = compare_vectors(heap, start.integer, a, b, &order, &left)
    else:
        heap.steps_max = STEPS_MAX_WHOLE  # two texts, which differ somewhere or are compared at a go
        outcome = compare_simple(heap, a, b, False, &order)
        heap.steps_max = STEPS_MAX
        if outcome == DEFER:
            outcome = FAILED
    if outcome == OK and order != 0:
        release(heap, left)
        left = integer_value(0 if order == UNORDERED else order)
    result[0] = left
    return outcome


# ---- hash, see hash_nested()

cdef inline bint is_depth(Value value) noexcept nogil:
    return value.tag == INT and 0 <= value.integer <= HASH_DEPTH_MAX


cdef Outcome primitive_hash_part(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """The hash of a value that is this deep inside another, or nil when it is not small; any other than a collection is."""
    cdef uint64_t steps_max
    cdef uint32_t hashed = 0
    cdef bint flat = not is_collection(arguments[0].tag)
    cdef Outcome outcome
    if not is_depth(arguments[1]):
        return fault_type(heap, b"portion", b"a depth", arguments[1])
    steps_max = begin_small(heap)
    if flat:
        heap.steps_max = STEPS_MAX_WHOLE
    outcome = hash_nested(heap, arguments[0], <uint32_t> arguments[1].integer, &hashed)
    end_small(heap, steps_max)
    result[0] = integer_value(hashed)
    if outcome == DEFER and not flat:
        result[0] = nil()
        return OK
    return FAILED if outcome == DEFER else outcome


cdef Outcome primitive_hash_begin(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """The state of the hash of a collection before any item."""
    result[0] = integer_value(<int64_t> hash_begin(arguments[0].tag))
    return OK


cdef Outcome primitive_hash_end(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """The hash of a collection from its state after all items."""
    if arguments[0].tag != INT:
        return fault_type(heap, b"portion", b"a state", arguments[0])
    result[0] = integer_value(mix(<uint64_t> arguments[0].integer))
    return OK


cdef Outcome primitive_hash_mixed(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """The state with one more item: state, the collection, the hash of the item or key, the hash of the value."""
    cdef uint32_t i
    for i in range(4):
        if i != 1 and arguments[i].tag != INT:
            return fault_type(heap, b"portion", b"a hash", arguments[i])
    result[0] = integer_value(<int64_t> hash_mixed(
        <uint64_t> arguments[0].integer, arguments[1].tag,
        <uint32_t> arguments[2].integer, <uint32_t> arguments[3].integer,
    ))
    return OK


cdef Outcome primitive_hash_some(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Mix the hashes of items of a seq into a state: [state left whether-its-first-is-not-small].

    Arguments: the state, the seq, the collection it is of, the depth of its items.
    """
    cdef Cursor cursor
    cdef Cursor before
    cdef Value parts[3]
    cdef bint stuck = False
    cdef uint64_t state = <uint64_t> arguments[0].integer
    cdef uint64_t steps_max
    cdef uint32_t part = 0
    cdef uint32_t second = 0
    cdef uint32_t tag = arguments[2].tag
    cdef bint more = False
    cdef Outcome outcome
    if arguments[0].tag != INT or not is_depth(arguments[3]):
        return fault_type(heap, b"portion", b"a state", arguments[0])
    parts[1] = nil()
    outcome = cursor_start(heap, &cursor, arguments[1])
    while outcome == OK:
        before = cursor
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        outcome = spend(heap, 4)
        if outcome == OK:
            steps_max = begin_small(heap)
            outcome = hash_item(heap, &cursor, <uint32_t> arguments[3].integer, is_map(tag), &part, &second)
            end_small(heap, steps_max)
        if outcome == OK:
            state = hash_mixed(state, tag, part, second)
            if portion_is_over(heap):
                before = cursor
                break
    stuck = outcome == DEFER
    if stuck or (outcome == FORCE and before.steps > 0):
        outcome = OK
        more = True
    if outcome == OK and more:
        outcome = cursor_rest(heap, &before, &parts[1])
    if outcome != OK:
        return whole(outcome)
    parts[0] = integer_value(<int64_t> state)
    parts[2] = boolean_value(stuck)
    outcome = vector_of(heap, parts, 3, result)
    release(heap, parts[1])
    return outcome


# ---- counting and skipping

cdef Outcome primitive_skip_some(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Skip up to so many items of a seq: [how many what-is-left], nil for nothing left."""
    cdef Cursor cursor
    cdef Cursor before
    cdef Value rest = nil()
    cdef int64_t done = 0
    cdef bint more = True
    cdef Outcome outcome
    if arguments[1].tag != INT or arguments[1].integer < 0:
        return fault_type(heap, b"portion", b"a number", arguments[1])
    outcome = cursor_start(heap, &cursor, arguments[0])
    before = cursor
    while outcome == OK and done < arguments[1].integer and not portion_is_over(heap):
        before = cursor
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        before = cursor
        done += 1
        outcome = spend(heap, 1)
    if outcome == FORCE and done > 0:
        outcome = OK
    if outcome == OK and more:
        outcome = cursor_rest(heap, &before, &rest)
    if outcome == OK:
        return give_two(heap, integer_value(done), rest, result)
    return outcome
