# Host functions on sorted maps and sets.
#
# Is:     the constructors, and what the core library builds on: entries by rank, the position in the order.
# Is not: the tree (`_sorted.pxi`); get, assoc and their like, which are for maps and sets of any kind
#         (`_primitives_collections.pxi`).
# Fits:   `_table.pxi` finds them by name; yang/lib/sorted.clj calls those with ranks.
#
# Any rank within bounds is good for any key: what a comparator says is the core library's to ask and to follow.

cdef Outcome primitive_sorted_map(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef uint32_t i
    cdef Outcome outcome = OK
    if n & 1:
        return fault(heap, b"argument", b"sorted-map: the last key has no value")
    if give_sorted(heap, SORTED_MAP, nil(), result) != OK:
        return NO_MEMORY
    for i in range(0, n, 2):
        outcome = sorted_put(heap, result, arguments[i], arguments[i + 1])
        if outcome != OK:
            break
    return outcome


cdef Outcome primitive_sorted_set(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef uint32_t i
    cdef Outcome outcome = OK
    if give_sorted(heap, SORTED_SET, nil(), result) != OK:
        return NO_MEMORY
    for i in range(n):
        outcome = sorted_put(heap, result, arguments[i], nil())
        if outcome != OK:
            break
    return outcome


cdef Outcome primitive_is_sorted(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_sorted(arguments[0].tag))


cdef Outcome primitive_sorted_empty(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value order = arguments[1]
    if not is_function(order.tag):
        return fault_type(heap, b"sorted-map-by" if is_truthy(arguments[0]) else b"sorted-set-by", b"a function", order)
    if not is_comparator(order):
        order = nil()
    return give_sorted(heap, SORTED_MAP if is_truthy(arguments[0]) else SORTED_SET, order, result)


cdef Outcome check_sorted_place(
    Heap *heap, const char *name, const Value *arguments, int64_t beyond
) noexcept nogil:
    """Fault unless the arguments begin with a sorted collection and a rank in it, or up to so many beyond the last."""
    if not is_sorted(arguments[0].tag):
        return fault_type(heap, name, b"a sorted collection", arguments[0])
    if arguments[1].tag != INT:
        return fault_type(heap, name, b"an index", arguments[1])
    if not 0 <= arguments[1].integer < map_count(arguments[0]) + beyond:
        return fault_index(heap, name, arguments[1].integer, map_count(arguments[0]))
    return spend(heap, 2 * SORTED_STEPS)


cdef Outcome primitive_sorted_order(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if not is_sorted(arguments[0].tag):
        return fault_type(heap, b"subseq", b"a sorted collection", arguments[0])
    result[0] = retained((<Sorted *> arguments[0].object).order)
    if result.tag == NIL:
        result[0] = immediate(PRIMITIVE, PRIMITIVE_COMPARE)
    return OK


cdef Outcome primitive_is_sorted_calls(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, calls_out(arguments[0]))


cdef Outcome primitive_sorted_rank(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value *found = NULL
    cdef int64_t rank = 0
    cdef Outcome outcome
    if not is_sorted(arguments[0].tag) or calls_out(arguments[0]):
        return fault_type(heap, b"sorted-rank", b"a sorted collection", arguments[0])
    outcome = sorted_find(heap, arguments[0], arguments[1], &rank, &found)
    result[0] = integer_value(rank if found != NULL else -1 - rank)
    return outcome


cdef Outcome primitive_sorted_key(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Outcome outcome = check_sorted_place(heap, b"sorted-key", arguments, 0)
    if outcome == OK:
        result[0] = retained(sorted_at(arguments[0], arguments[1].integer)[0])
    return outcome


cdef Outcome primitive_sorted_val(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Outcome outcome = check_sorted_place(heap, b"sorted-val", arguments, 0)
    if outcome == OK:
        result[0] = retained(sorted_at(arguments[0], arguments[1].integer)[1])
    return outcome


cdef Outcome primitive_sorted_insert(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Outcome outcome = check_sorted_place(heap, b"sorted-insert", arguments, 1)
    if outcome == OK:
        outcome = spend(heap, SORTED_PUT_STEPS)
    if outcome != OK:
        return outcome
    result[0] = taken(arguments)
    return sorted_insert(
        heap, result, arguments[1].integer, arguments[2], arguments[3] if result.tag == SORTED_MAP else nil()
    )


cdef Outcome primitive_sorted_replace(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Outcome outcome = check_sorted_place(heap, b"sorted-replace", arguments, 0)
    if outcome == OK:
        outcome = spend(heap, SORTED_PUT_STEPS)
    if outcome != OK:
        return outcome
    result[0] = taken(arguments)
    if result.tag == SORTED_SET:
        return OK
    return sorted_replace(heap, result, arguments[1].integer, arguments[2])


cdef Outcome primitive_sorted_remove(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Outcome outcome = check_sorted_place(heap, b"sorted-remove", arguments, 0)
    if outcome == OK:
        outcome = spend(heap, SORTED_PUT_STEPS)
    if outcome != OK:
        return outcome
    result[0] = taken(arguments)
    return sorted_remove(heap, result, arguments[1].integer)


cdef Outcome primitive_sorted_from(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    result[0] = nil()
    if not is_sorted(arguments[0].tag):
        return fault_type(heap, b"sorted-from", b"a sorted collection", arguments[0])
    if arguments[1].tag != INT:
        return fault_type(heap, b"sorted-from", b"an index", arguments[1])
    if not 0 <= arguments[1].integer < map_count(arguments[0]):
        return OK
    return give_seq(
        heap, arguments[0], SEQ_ITEMS if is_truthy(arguments[2]) else SEQ_ITEMS | SEQ_DESCENDING,
        arguments[1].integer, result,
    )
