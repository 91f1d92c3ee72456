# Host functions on seqs: seq, first, rest, next, cons, nth, count and what is built by walking.
#
# Is:     the entry points, argument counts already checked; quick ways for vectors and lists, cursors for the rest.
# Is not: the walk (`_cursor.pxi`) nor functions that call back into the program (`yang/lib/core.clj`).
# Fits:   `_table.pxi` finds them by name.
#
# What needs a whole seq asks for all of it at once (FORCE_ALL); what may stop early realises cell by cell.

cdef inline Outcome whole(Outcome outcome) noexcept nogil:
    """Return the outcome, with FORCE widened to FORCE_ALL of the same seq."""
    return FORCE_ALL if outcome == FORCE else outcome


cdef inline bint is_seq_kind(uint32_t tag) noexcept nogil:
    return tag == EMPTY or LIST <= tag <= SEQ


cdef inline bint is_collection(uint32_t tag) noexcept nogil:
    return tag == EMPTY or LIST <= tag <= SORTED_SET


cdef Outcome fault_index(Heap *heap, const char *name, int64_t index, int64_t count) noexcept nogil:
    heap.fault_kind = b"index"
    snprintf(
        heap.fault_message, sizeof(heap.fault_message), b"%s: index %lld out of bounds for length %lld",
        name, <long long> index, <long long> count,
    )
    return FAILED


cdef Outcome primitive_seq(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value source = arguments[0]
    if source.tag == NIL or source.tag == EMPTY:
        result[0] = nil()
        return OK
    if source.tag == VECTOR:
        if vector_count(source) == 0:
            result[0] = nil()
            return OK
        return give_seq(heap, source, SEQ_ITEMS, 0, result)
    return seq_of(heap, source, SEQ_ITEMS, result)


cdef Outcome primitive_first(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value source = arguments[0]
    cdef Seq *seq
    if source.tag == LIST or source.tag == CONS or source.tag == RANGE:
        result[0] = retained((<Values *> source.object).at[0])
        return OK
    if source.tag == VECTOR:
        result[0] = retained(vector_item(source, 0)) if vector_count(source) > 0 else nil()
        return OK
    if source.tag == SEQ:
        seq = <Seq *> source.object
        if seq.source.tag == VECTOR:
            result[0] = retained(vector_item(seq.source, seq.index))
            return OK
    return seq_first(heap, source, result)


cdef bint quick_next(Heap *heap, Value source, Value *result, Outcome *outcome) noexcept nogil:
    """Set result to what follows the first item, NIL for nothing; False when that needs a walk."""
    cdef Values *cell
    cdef Seq *seq
    outcome[0] = OK
    if source.tag == LIST or source.tag == CONS:
        cell = <Values *> source.object
        if cell.at[1].tag == LAZY:
            return False
        result[0] = nil() if cell.at[1].tag == EMPTY else retained(cell.at[1])
        return True
    if source.tag == VECTOR:
        if vector_count(source) < 2:
            result[0] = nil()
        else:
            outcome[0] = give_seq(heap, source, SEQ_ITEMS, 1, result)
        return True
    if source.tag == SEQ:
        seq = <Seq *> source.object
        if seq.source.tag == VECTOR:
            if seq.index + 1 >= vector_count(seq.source):
                result[0] = nil()
            else:
                outcome[0] = give_seq(heap, seq.source, SEQ_ITEMS, seq.index + 1, result)
            return True
    return False


cdef Outcome primitive_rest(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Outcome outcome = OK
    if quick_next(heap, arguments[0], result, &outcome):
        if outcome == OK and result.tag == NIL:
            result[0] = immediate(EMPTY, 0)
        return outcome
    return seq_rest(heap, arguments[0], result)


cdef Outcome primitive_next(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Outcome outcome = OK
    if quick_next(heap, arguments[0], result, &outcome):
        return outcome
    return seq_next(heap, arguments[0], result)


cdef Outcome give_cons(Heap *heap, Value first, Value rest, Value *result) noexcept nogil:
    """Set result to a CONS cell; takes both over."""
    cdef Values *cell = new_values(heap, CONS, 2)
    if cell == NULL:
        return NO_MEMORY
    cell.at[0] = first
    cell.at[1] = rest
    result[0] = pointer_value(cell)
    return OK


cdef Outcome primitive_cons(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """As in Clojure, only a cons onto nil is a list."""
    cdef Value rest = nil()
    cdef Outcome outcome
    if arguments[1].tag == NIL:
        return give_cell(heap, retained(arguments[0]), immediate(EMPTY, 0), result)
    if is_seq_kind(arguments[1].tag):
        return give_cons(heap, retained(arguments[0]), retained(arguments[1]), result)
    outcome = seq_of(heap, arguments[1], SEQ_ITEMS, &rest)
    if outcome != OK:
        return outcome
    return give_cons(heap, retained(arguments[0]), rest, result)


cdef Outcome count_items(Heap *heap, Value source, int64_t *count) noexcept nogil:
    """Set count to the number of items of anything seqable."""
    cdef Cursor cursor
    cdef Values *bounds
    cdef uint64_t distance
    cdef uint64_t stride
    cdef uint64_t links = 0
    cdef bint more = False
    cdef Outcome outcome
    count[0] = 0
    while True:
        if source.tag == NIL or source.tag == EMPTY:
            return OK
        if source.tag == LIST:
            count[0] += source.object.extra
            return OK
        if source.tag == VECTOR:
            count[0] += vector_count(source)
            return OK
        if MAP <= source.tag <= SORTED_SET:
            count[0] += map_count(source)
            return OK
        if source.tag == STRING:
            count[0] += (<Text *> source.object).char_count
            return OK
        if source.tag == LAZY:
            if not source.object.flags & REALIZED:
                return whole(force(heap, source))
            source = (<Values *> source.object).at[0]
        elif source.tag == CONS:
            count[0] += 1
            source = (<Values *> source.object).at[1]
        else:
            break
        links += 1
        if links & 3 == 0:
            outcome = spend(heap, 1)
            if outcome != OK:
                return outcome
    if source.tag == SEQ and (<Seq *> source.object).source.tag == VECTOR:
        count[0] += vector_count((<Seq *> source.object).source) - (<Seq *> source.object).index
        return OK
    if source.tag == SEQ and is_sorted((<Seq *> source.object).source.tag):
        count[0] += sorted_seq_count(<Seq *> source.object)
        return OK
    if source.tag == SEQ and (<Seq *> source.object).source.tag != STRING:
        count[0] += map_count((<Seq *> source.object).source) - (<Seq *> source.object).index
        return OK
    if source.tag == RANGE and (<Values *> source.object).at[0].tag == INT:
        bounds = <Values *> source.object
        if bounds.at[2].integer > 0:
            distance = <uint64_t> bounds.at[1].integer - <uint64_t> bounds.at[0].integer
            stride = <uint64_t> bounds.at[2].integer
        else:
            distance = <uint64_t> bounds.at[0].integer - <uint64_t> bounds.at[1].integer
            stride = -<uint64_t> bounds.at[2].integer
        distance = (distance - 1) // stride + 1
        if distance > <uint64_t> GREATEST_INTEGER - <uint64_t> count[0]:
            return fault(heap, b"limit", b"count: integer overflow")
        count[0] += <int64_t> distance
        return OK
    if source.tag != SEQ and source.tag != RANGE:
        return fault_type(heap, b"count", b"a collection", source)
    outcome = cursor_start(heap, &cursor, source)
    while outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        outcome = spend(heap, 1)
    count[0] += cursor.steps
    return whole(outcome)


cdef Outcome primitive_count(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef int64_t count = 0
    cdef Outcome outcome = count_items(heap, arguments[0], &count)
    result[0] = integer_value(count)
    return outcome


cdef Outcome primitive_is_empty(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value source = arguments[0]
    cdef Cursor cursor
    cdef bint more = False
    cdef Outcome outcome
    if source.tag == VECTOR:
        result[0] = boolean_value(vector_count(source) == 0)
        return OK
    if MAP <= source.tag <= SORTED_SET:
        result[0] = boolean_value(map_count(source) == 0)
        return OK
    outcome = cursor_start(heap, &cursor, source)
    if outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
    if outcome == FAILED:
        return fault_type(heap, b"empty?", b"a collection", source)
    result[0] = boolean_value(not more)
    return outcome


cdef int64_t char_offset(Text *text, int64_t position) noexcept nogil:
    """Return the byte offset of a character at 0 <= position <= char_count."""
    cdef int64_t offset = 0
    if text.char_count == text.head.length:
        return position
    while position > 0:
        offset += 1
        while offset < text.head.length and (text.bytes[offset] & 0xC0) == 0x80:
            offset += 1
        position -= 1
    return offset


cdef Outcome string_char(Heap *heap, Value string, int64_t index, Value *result) noexcept nogil:
    """Set result to the character at an index in range."""
    cdef Text *text = <Text *> string.object
    cdef int64_t offset
    if text.char_count != text.head.length and spend(heap, <uint64_t> index >> 1) != OK:
        return DEFER
    offset = char_offset(text, index)
    result[0] = decode_char(text.bytes, &offset)
    return OK


cdef Outcome nth_of_seq(Heap *heap, Value source, int64_t index, bint *found, Value *result) noexcept nogil:
    """Walk to an item; found tells whether there is one."""
    cdef Cursor cursor
    cdef bint more = False
    cdef int64_t i = 0
    cdef Outcome outcome = cursor_start(heap, &cursor, source)
    found[0] = False
    while outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        if i == index:
            found[0] = True
            return cursor_item(heap, &cursor, result)
        i += 1
        if i & 1:
            outcome = spend(heap, 1)
    if outcome == FORCE:
        heap.forced_count = index - i + 1
    return outcome


cdef inline int64_t sorted_seq_count(Seq *seq) noexcept nogil:
    """Return how many items a seq over a SORTED_MAP or SORTED_SET has."""
    return seq.index + 1 if seq.head.flags & SEQ_DESCENDING else map_count(seq.source) - seq.index


cdef Outcome nth_of_sorted(Heap *heap, Seq *seq, int64_t index, Value *result) noexcept nogil:
    """Set result to an item, which is there, of a seq over a SORTED_MAP or SORTED_SET."""
    cdef uint32_t part = seq.head.flags & SEQ_PARTS
    cdef Value *pair = sorted_at(seq.source, seq.index - index if seq.head.flags & SEQ_DESCENDING else seq.index + index)
    if seq.source.tag == SORTED_MAP and part == SEQ_ITEMS:
        return vector_of(heap, pair, 2, result)
    result[0] = retained(pair[1 if part == SEQ_VALUES else 0])
    return OK


cdef Outcome primitive_nth(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value source = arguments[0]
    cdef int64_t index
    cdef int64_t count = 0
    cdef bint found = False
    cdef Seq *seq
    cdef Values *bounds
    cdef Outcome outcome = OK
    if arguments[1].tag != INT:
        return fault_type(heap, b"nth", b"an index", arguments[1])
    index = arguments[1].integer
    if source.tag == VECTOR:
        count = vector_count(source)
        if 0 <= index < count:
            result[0] = retained(vector_item(source, index))
            return OK
    elif source.tag == STRING:
        count = (<Text *> source.object).char_count
        if 0 <= index < count:
            return string_char(heap, source, index, result)
    elif source.tag == NIL:
        result[0] = retained(arguments[2]) if n == 3 else nil()
        return OK
    elif not is_seq_kind(source.tag):
        return fault_type(heap, b"nth", b"a vector, seq or string", source)
    elif index >= 0:
        if source.tag == SEQ:
            seq = <Seq *> source.object
            if seq.source.tag == VECTOR and index < vector_count(seq.source) - seq.index:
                result[0] = retained(vector_item(seq.source, seq.index + index))
                return OK
            if is_sorted(seq.source.tag) and index < sorted_seq_count(seq):
                return nth_of_sorted(heap, seq, index, result)
        elif source.tag == RANGE and (<Values *> source.object).at[0].tag == INT:
            outcome = count_items(heap, source, &count)
            if outcome == OK and index < count:
                bounds = <Values *> source.object
                result[0] = integer_value(bounds.at[0].integer + index * bounds.at[2].integer)
                return OK
        outcome = nth_of_seq(heap, source, index, &found, result)
        if outcome != OK or found:
            return outcome
    if n == 3:
        result[0] = retained(arguments[2])
        return OK
    if source.tag != VECTOR and source.tag != STRING:
        heap.fault_kind = b"index"
        snprintf(
            heap.fault_message, sizeof(heap.fault_message), b"nth: index %lld out of bounds", <long long> index
        )
        return FAILED
    return fault_index(heap, b"nth", index, count)


cdef Outcome primitive_list(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if spend(heap, 2 * <uint64_t> n) != OK:
        return DEFER
    return give_list(heap, arguments, n, result)


cdef Outcome primitive_reverse(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Cursor cursor
    cdef Value item = nil()
    cdef bint more = False
    cdef Outcome outcome = cursor_start(heap, &cursor, arguments[0])
    result[0] = immediate(EMPTY, 0)
    while outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        outcome = spend(heap, 4)
        if outcome == OK:
            outcome = cursor_item(heap, &cursor, &item)
        if outcome == OK:
            outcome = give_cell(heap, item, result[0], result)
    return whole(outcome)


cdef Outcome primitive_number_range(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Numbers of mixed kinds and a step that leads nowhere give nil: the core library then makes a lazy seq."""
    cdef uint32_t i
    cdef int start_order = 0
    cdef int step_order = 0
    cdef Outcome outcome
    for i in range(3):
        if not is_number(arguments[i]):
            return fault_type(heap, b"range", b"a number", arguments[i])
    result[0] = nil()
    if arguments[0].tag != arguments[1].tag or arguments[1].tag != arguments[2].tag:
        return OK
    if arguments[0].tag != INT and arguments[0].tag != DOUBLE:
        return OK
    outcome = number_compare(heap, arguments[2], immediate(INT, 0), &step_order)
    if outcome == OK:
        outcome = number_compare(heap, arguments[0], arguments[1], &start_order)
    if outcome != OK or step_order == 0 or step_order == UNORDERED or start_order == UNORDERED:
        return outcome
    if start_order != -step_order:
        result[0] = immediate(EMPTY, 0)
        return OK
    return give_values(heap, RANGE, arguments, 3, result)
