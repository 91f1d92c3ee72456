# Host functions on atoms, errors, lazy seqs and continuations.
#
# Is:     the entry points, argument counts already checked.
# Is not: swap! and the realisation of lazy seqs, which call the program (`yang/lib`).
# Fits:   `_table.pxi` finds them by name.

cdef Outcome primitive_atom(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return give_values(heap, ATOM, arguments, 1, result)


cdef Outcome primitive_deref(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if is_reduced(arguments[0]):
        return part_of_opaque(arguments[0], 2, result)
    if arguments[0].tag != ATOM:
        return fault_type(heap, b"deref", b"an atom", arguments[0])
    result[0] = retained((<Values *> arguments[0].object).at[0])
    return OK


cdef Outcome primitive_reset(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if arguments[0].tag != ATOM:
        return fault_type(heap, b"reset!", b"an atom", arguments[0])
    set_value(heap, &(<Values *> arguments[0].object).at[0], retained(arguments[1]))
    result[0] = retained(arguments[1])
    return OK


cdef bint same_value(Value a, Value b) noexcept nogil:
    """Return whether two values are one: the same object, the same immediate value, or equal texts."""
    if a.tag != b.tag:
        return False
    if a.tag < INT or a.tag == EMPTY or a.integer == b.integer:
        return True
    return STRING <= a.tag <= BIG and text_equal(a.object, b.object)


cdef Outcome primitive_compare_and_set(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value *place
    if arguments[0].tag != ATOM:
        return fault_type(heap, b"compare-and-set!", b"an atom", arguments[0])
    place = &(<Values *> arguments[0].object).at[0]
    if STRING <= place.tag <= BIG and spend_bytes(heap, place.object.length) != OK:
        return DEFER
    if not same_value(place[0], arguments[1]):
        result[0] = boolean_value(False)
        return OK
    set_value(heap, place, retained(arguments[2]))
    result[0] = boolean_value(True)
    return OK


# ---- errors

cdef Outcome primitive_ex_info(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value parts[3]
    if arguments[0].tag != STRING and arguments[0].tag != NIL:
        return fault_type(heap, b"ex-info", b"a string", arguments[0])
    if not is_map(arguments[1].tag):
        return fault_type(heap, b"ex-info", b"a map", arguments[1])
    if n == 3 and not is_error(arguments[2]) and arguments[2].tag != NIL:
        return fault_type(heap, b"ex-info", b"an error", arguments[2])
    parts[0] = arguments[0]
    parts[1] = arguments[1]
    parts[2] = arguments[2] if n == 3 else nil()
    return give_values(heap, ERROR, parts, 3, result)


cdef Outcome part_of_error(Value error, uint32_t part, Value *result) noexcept nogil:
    """Set result to a part of an error, NIL of anything else."""
    result[0] = retained((<Values *> error.object).at[part]) if is_error(error) else nil()
    return OK


cdef Outcome primitive_ex_message(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return part_of_error(arguments[0], 0, result)


cdef Outcome primitive_ex_data(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return part_of_error(arguments[0], 1, result)


cdef Outcome primitive_ex_cause(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return part_of_error(arguments[0], 2, result)


# ---- opaque values: a kind, a text that shows them or an atom that they are shown as, and a content for the core library

cdef Outcome primitive_opaque(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Value parts[3]
    if arguments[0].tag != KEYWORD:
        return fault_type(heap, b"opaque*", b"a keyword", arguments[0])
    if arguments[1].tag != STRING and arguments[1].tag != ATOM:
        return fault_type(heap, b"opaque*", b"a string", arguments[1])
    parts[0] = arguments[1]
    parts[1] = arguments[0]
    parts[2] = arguments[2]
    return give_values(heap, ERROR, parts, 3, result)


cdef Outcome part_of_opaque(Value value, uint32_t part, Value *result) noexcept nogil:
    """Set result to a part of an opaque value, NIL of anything else."""
    result[0] = nil()
    if value.tag == ERROR and not is_error(value):
        result[0] = retained((<Values *> value.object).at[part])
    return OK


cdef Outcome primitive_is_reduced(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_reduced(arguments[0]))


cdef Outcome primitive_opaque_kind(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return part_of_opaque(arguments[0], 1, result)


cdef Outcome primitive_opaque_content(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return part_of_opaque(arguments[0], 2, result)


# ---- lazy seqs

cdef Outcome primitive_lazy_seq(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if arguments[0].tag != CLOSURE:
        return fault_type(heap, b"lazy-seq*", b"a function", arguments[0])
    return give_values(heap, LAZY, arguments, 1, result)


cdef Outcome primitive_lazy_thunk(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if arguments[0].tag != LAZY:
        return fault_type(heap, b"lazy-thunk", b"a lazy seq", arguments[0])
    result[0] = nil()
    if not arguments[0].object.flags & REALIZED:
        result[0] = retained((<Values *> arguments[0].object).at[0])
    return OK


cdef Outcome primitive_lazy_set(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """What a lazy seq holds never changes; chains of realised ones are cut short, so they cannot be circles."""
    cdef Value cell = arguments[0]
    cdef Value value = arguments[1]
    if cell.tag != LAZY:
        return fault_type(heap, b"lazy-set!", b"a lazy seq", cell)
    while value.tag == LAZY and value.object.flags & REALIZED:
        value = (<Values *> value.object).at[0]
    if value.tag == LAZY and value.object == cell.object:
        return fault(heap, b"argument", b"lazy-seq: the seq is its own value")
    if not cell.object.flags & REALIZED:
        set_value(heap, &(<Values *> cell.object).at[0], retained(value))
        cell.object.flags |= REALIZED
    result[0] = nil()
    return OK


cdef Outcome primitive_lazy_value(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if arguments[0].tag != LAZY or not arguments[0].object.flags & REALIZED:
        return fault_type(heap, b"lazy-value", b"a realised lazy seq", arguments[0])
    result[0] = retained((<Values *> arguments[0].object).at[0])
    return OK


# ---- continuations

cdef Outcome primitive_suspended_with(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if arguments[0].tag != CONTINUATION or arguments[0].object.length != SUSPENDED_LENGTH:
        return fault_type(heap, b"suspended-with", b"a continuation of suspend*", arguments[0])
    result[0] = retained((<Values *> arguments[0].object).at[2])
    return OK
