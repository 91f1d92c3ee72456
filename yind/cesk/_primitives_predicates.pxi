# Host functions that ask for the kind of a value.
#
# Is:     one entry point each, argument counts already checked.
# Is not: questions about numbers' signs (`_primitives_numbers.pxi`) or contents.
# Fits:   `_table.pxi` finds them by name.

cdef inline Outcome answer(Value *result, bint truth) noexcept nogil:
    result[0] = boolean_value(truth)
    return OK


cdef inline bint is_function(uint32_t tag) noexcept nogil:
    return tag == CLOSURE or tag == PRIMITIVE or tag == CONTINUATION


cdef inline bint is_callable(uint32_t tag) noexcept nogil:
    return is_function(tag) or tag == KEYWORD or tag == SYMBOL or VECTOR <= tag <= SORTED_SET


cdef bint counts_at_once(Value value) noexcept nogil:
    """Return whether `count` takes constant time."""
    if value.tag == RANGE:
        return (<Values *> value.object).at[0].tag == INT
    if value.tag == SEQ:
        return (<Seq *> value.object).source.tag == VECTOR
    return value.tag == EMPTY or value.tag == LIST or VECTOR <= value.tag <= SORTED_SET


cdef Outcome primitive_not(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, not is_truthy(arguments[0]))


cdef Outcome primitive_boolean(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_truthy(arguments[0]))


cdef Outcome primitive_is_nil(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == NIL)


cdef Outcome primitive_is_some(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag != NIL)


cdef Outcome primitive_is_true(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == TRUE)


cdef Outcome primitive_is_false(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == FALSE)


cdef Outcome primitive_is_boolean(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == TRUE or arguments[0].tag == FALSE)


cdef Outcome primitive_is_number(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_number(arguments[0]))


cdef Outcome primitive_is_int(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_integer(arguments[0]))


cdef Outcome primitive_is_integer(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_integer(arguments[0]))


cdef Outcome primitive_is_float(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == DOUBLE)


cdef Outcome primitive_is_double(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == DOUBLE)


cdef Outcome primitive_is_ratio(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == RATIO)


cdef Outcome primitive_is_rational(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_integer(arguments[0]) or arguments[0].tag == RATIO or arguments[0].tag == DECIMAL)


cdef Outcome primitive_is_decimal(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == DECIMAL)


cdef Outcome primitive_is_string(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == STRING)


cdef Outcome primitive_is_char(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == CHAR)


cdef Outcome primitive_is_keyword(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == KEYWORD)


cdef Outcome primitive_is_symbol(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == SYMBOL)


cdef Outcome primitive_is_vector(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == VECTOR)


cdef Outcome primitive_is_map(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_map(arguments[0].tag))


cdef Outcome primitive_is_set(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_set(arguments[0].tag))


cdef Outcome primitive_is_list(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == LIST or arguments[0].tag == EMPTY)


cdef Outcome primitive_is_seq(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_seq_kind(arguments[0].tag))


cdef Outcome primitive_is_coll(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_collection(arguments[0].tag))


cdef Outcome primitive_is_sequential(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_sequential(arguments[0].tag))


cdef Outcome primitive_is_associative(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == VECTOR or is_map(arguments[0].tag))


cdef Outcome primitive_is_counted(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, counts_at_once(arguments[0]))


cdef Outcome primitive_is_fn(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_function(arguments[0].tag))


cdef Outcome primitive_is_ifn(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_callable(arguments[0].tag))


cdef Outcome primitive_is_atom(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == ATOM)


cdef Outcome primitive_is_error(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, is_error(arguments[0]))


cdef Outcome primitive_is_lazy_seq(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == LAZY)
