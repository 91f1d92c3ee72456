# Walking collections, strings and seqs.
#
# Is:     cursors over everything that is seqable, and first, next and seq on top of them.
# Is not: the functions programs call (`_primitives_*.pxi`).
# Fits:   equality, hash, printing, conversion and most primitives walk with these; items are borrowed.
#
# Meeting an unrealised lazy seq gives FORCE with the seq noted in the heap; the caller passes it on.

cdef Outcome cursor_start(Heap *heap, Cursor *cursor, Value source) noexcept nogil:
    """Begin a walk over a collection, string, seq or nil; faults for anything else."""
    cursor.steps = 0
    cursor.pairs = False
    cursor.flags = 0
    cursor.item = nil()
    cursor.value = nil()
    return cursor_enter(heap, cursor, source)


cdef Outcome cursor_enter(Heap *heap, Cursor *cursor, Value source) noexcept nogil:
    """Continue a walk with the items of `source`."""
    cdef Seq *seq
    cdef uint64_t links = 0
    while source.tag == LAZY:
        if not source.object.flags & REALIZED:
            return force(heap, source)
        source = (<Values *> source.object).at[0]
        links += 1
    if links > 4 and spend(heap, links) != OK:
        return DEFER
    cursor.kind = source.tag
    cursor.at = source
    cursor.index = 0
    cursor.leaf = NULL
    cursor.entry = NULL
    cursor.pairs = False
    if source.tag == NIL or source.tag == EMPTY:
        cursor.kind = NIL
        return OK
    if source.tag == LIST or source.tag == CONS or source.tag == RANGE:
        if source.tag == RANGE:
            cursor.item = (<Values *> source.object).at[0]
            cursor.value = cursor.item
        return OK
    if source.tag == SEQ:
        seq = <Seq *> source.object
        cursor.kind = seq.source.tag
        cursor.at = seq.source
        cursor.index = seq.index
        cursor.flags = source.object.flags
    else:
        cursor.flags = SEQ_ITEMS
    if cursor.kind == VECTOR:
        cursor.end = vector_count(cursor.at)
        return OK
    if cursor.kind == STRING:
        cursor.end = cursor.at.object.length
        return OK
    if cursor.kind == MAP or cursor.kind == SET:
        cursor.pairs = cursor.kind == MAP and cursor.flags == SEQ_ITEMS
        cursor.end = map_count(cursor.at)
        return OK
    if is_sorted(cursor.kind):
        cursor.pairs = cursor.kind == SORTED_MAP and cursor.flags & SEQ_PARTS == SEQ_ITEMS
        cursor.end = map_count(cursor.at)
        cursor.entry = NULL
        return OK
    if source.tag == DESCRIBED:
        return cursor_enter(heap, cursor, bare(source))
    cursor.kind = NIL
    return fault_type(heap, b"seq", b"a collection", source)


cdef Value decode_char(const uint8_t *bytes, int64_t *index) noexcept nogil:
    """Return the character of valid utf-8 at a byte offset, which moves behind it."""
    cdef uint32_t point = bytes[index[0]]
    cdef uint32_t more = 0
    index[0] += 1
    if point >= 0xF0:
        point &= 0x07
        more = 3
    elif point >= 0xE0:
        point &= 0x0F
        more = 2
    elif point >= 0xC0:
        point &= 0x1F
        more = 1
    while more > 0:
        point = (point << 6) | (bytes[index[0]] & 0x3F)
        index[0] += 1
        more -= 1
    return immediate(CHAR, point)


cdef bint range_step(Value range_object, Value *at) noexcept nogil:
    """Move `at` one step of a RANGE on; False when that is the end."""
    cdef Values *bounds = <Values *> range_object.object
    cdef int64_t moved = 0
    if at.tag == DOUBLE:
        at.real += bounds.at[2].real
        return at.real < bounds.at[1].real if bounds.at[2].real > 0 else at.real > bounds.at[1].real
    if add_overflows(at.integer, bounds.at[2].integer, &moved):
        return False
    at.integer = moved
    return moved < bounds.at[1].integer if bounds.at[2].integer > 0 else moved > bounds.at[1].integer


cdef Outcome cursor_next(Heap *heap, Cursor *cursor, bint *more) noexcept nogil:
    """Set item (and value) to the next item, or more to False at the end. FORCE leaves the cursor useless."""
    cdef Value *pair
    cdef uint32_t place
    cdef Outcome outcome
    more[0] = True
    while True:
        if cursor.kind == VECTOR:
            if cursor.index < cursor.end:
                if cursor.leaf == NULL or cursor.index & 31 == 0:
                    cursor.leaf = vector_leaf(<Vector *> cursor.at.object, cursor.index)
                cursor.item = leaf_item(cursor.leaf, <uint32_t> cursor.index & 31)
                cursor.index += 1
                break
        elif cursor.kind == LIST or cursor.kind == CONS:
            cursor.item = (<Values *> cursor.at.object).at[0]
            cursor.at = (<Values *> cursor.at.object).at[1]
            if cursor.at.tag != LIST and cursor.at.tag != CONS:
                cursor.kind = LAZY  # look at the rest when it is asked for, not before
            break
        elif cursor.kind == LAZY:
            outcome = cursor_enter(heap, cursor, cursor.at)
            if outcome != OK:
                return outcome
            continue
        elif cursor.kind == RANGE:
            cursor.item = cursor.value
            if not range_step(cursor.at, &cursor.value):
                cursor.kind = NIL
            break
        elif cursor.kind == STRING:
            if cursor.index < cursor.end:
                cursor.item = decode_char((<Text *> cursor.at.object).bytes, &cursor.index)
                break
        elif cursor.kind == MAP or cursor.kind == SET:
            if cursor.index < cursor.end:
                place = <uint32_t> cursor.index & (LEAF_PAIRS - 1)
                if cursor.entry == NULL or place == 0:
                    cursor.entry = map_leaf(<Map *> cursor.at.object, <uint32_t> cursor.index)
                pair = &cursor.entry[2 * place]
                cursor.index += 1
                cursor.item = pair[1] if cursor.flags == SEQ_VALUES else pair[0]
                cursor.value = pair[1]
                break
        elif is_sorted(cursor.kind):
            pair = sorted_step(cursor)
            if pair != NULL:
                cursor.item = pair[1] if cursor.flags & SEQ_PARTS == SEQ_VALUES else pair[0]
                cursor.value = pair[1]
                break
        cursor.kind = NIL
        more[0] = False
        return OK
    cursor.steps += 1
    return OK


cdef Outcome cursor_item(Heap *heap, Cursor *cursor, Value *result) noexcept nogil:
    """Set result to the current item, owned; an entry of a map becomes a vector of key and value."""
    cdef Value entry[2]
    if cursor.pairs:
        entry[0] = cursor.item
        entry[1] = cursor.value
        return vector_of(heap, entry, 2, result)
    result[0] = retained(cursor.item)
    return OK


cdef Outcome cursor_rest(Heap *heap, Cursor *cursor, Value *result) noexcept nogil:
    """Set result to a seq of what the cursor has not given yet: NIL when nothing, a LAZY rest as it is."""
    cdef Value bounds[3]
    if cursor.kind == LIST or cursor.kind == CONS or cursor.kind == LAZY:
        result[0] = retained(cursor.at)
        return OK
    result[0] = nil()
    if cursor.kind == RANGE:
        bounds[0] = cursor.value
        bounds[1] = (<Values *> cursor.at.object).at[1]
        bounds[2] = (<Values *> cursor.at.object).at[2]
        return give_values(heap, RANGE, bounds, 3, result)
    if cursor.kind == VECTOR or cursor.kind == STRING or cursor.kind == MAP or cursor.kind == SET:
        if cursor.index < cursor.end:
            return give_seq(heap, cursor.at, cursor.flags, cursor.index, result)
    if is_sorted(cursor.kind) and 0 <= cursor.index < cursor.end:
        return give_seq(heap, cursor.at, cursor.flags, cursor.index, result)
    return OK


cdef Outcome seq_of(Heap *heap, Value source, uint32_t flags, Value *result) noexcept nogil:
    """Set result to a non-empty seq of a collection, or NIL; flags choose keys or values of a map."""
    cdef Cursor cursor
    cdef Outcome outcome = cursor_start(heap, &cursor, source)
    if outcome != OK:
        return outcome
    while source.tag == LAZY:
        source = (<Values *> source.object).at[0]
    if LIST <= source.tag <= SEQ:
        result[0] = retained(source)
        return OK
    if is_map(source.tag):
        cursor.flags = flags
    return cursor_rest(heap, &cursor, result)


cdef Outcome seq_first(Heap *heap, Value source, Value *result) noexcept nogil:
    """Set result to the first item of anything seqable, NIL when there is none."""
    cdef Cursor cursor
    cdef bint more = False
    cdef Outcome outcome = cursor_start(heap, &cursor, source)
    if outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
    if outcome != OK:
        return outcome
    if not more:
        result[0] = nil()
        return OK
    return cursor_item(heap, &cursor, result)


cdef Outcome seq_rest(Heap *heap, Value source, Value *result) noexcept nogil:
    """Set result to what follows the first item: a seq, perhaps an unrealised LAZY, or EMPTY."""
    cdef Cursor cursor
    cdef bint more = False
    cdef Outcome outcome = cursor_start(heap, &cursor, source)
    if outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
    if outcome == OK:
        if more:
            outcome = cursor_rest(heap, &cursor, result)
        else:
            result[0] = nil()
    if outcome == OK and result.tag == NIL:
        result[0] = immediate(EMPTY, 0)
    return outcome


cdef Outcome seq_next(Heap *heap, Value source, Value *result) noexcept nogil:
    """Set result to a non-empty seq of what follows the first item, or NIL."""
    cdef Value rest = nil()
    cdef Outcome outcome = seq_rest(heap, source, &rest)
    if outcome == OK:
        outcome = seq_of(heap, rest, SEQ_ITEMS, result)
    release(heap, rest)
    return outcome
