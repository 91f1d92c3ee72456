# Metadata: what a program notes beside a value, which equality, hash and text do not see.
#
# Is:     values with metadata, and calls of host functions with such arguments.
# Is not: a part of the values themselves: without metadata nothing here costs more than a look at a flag of the heap.
# Fits:   every call of a host function goes through `run_primitive`; `bare` (`_heap.pxi`) is for nested values.
#
# A DESCRIBED is a value beside its metadata. A host function gets the bare value instead where it takes one apart, and
# the DESCRIBED itself where the argument is an item that it keeps (`yang.primitives.TAKES_WHOLE`). What `conj`, `assoc`
# and their like give has the metadata of their first argument.

cdef enum:
    BARE_MAX = 5  # arguments that a host function takes apart are among the first; ORDER: bare


cdef inline Outcome run_primitive(
    Heap *heap, int64_t number, const Value *arguments, uint32_t n, Value *result
) noexcept nogil:
    """Call a host function that gives a value at once; its arguments may be changed as by itself."""
    if unlikely(heap.described):
        return run_described(heap, number, <Value *> arguments, n, result)
    return PRIMITIVE_TABLE[number].function(heap, arguments, n, result)


cdef Outcome run_described(Heap *heap, int64_t number, Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """As `run_primitive`, where values with metadata may be among the arguments."""
    cdef PrimitiveInfo *primitive = &PRIMITIVE_TABLE[number]
    cdef Value whole[BARE_MAX]
    cdef uint32_t replaced = 0
    cdef uint32_t count = n if n < BARE_MAX else <uint32_t> BARE_MAX
    cdef uint32_t i
    cdef Outcome outcome
    for i in range(count):
        if arguments[i].tag == DESCRIBED and primitive.bare >> i & 1:
            whole[i] = arguments[i]
            arguments[i] = retained(bare(whole[i]))
            replaced |= <uint32_t> 1 << i
    outcome = primitive.function(heap, arguments, n, result)
    if outcome == OK and replaced >> primitive.keeps & 1 and keeps_metadata(number, bare(whole[0]), result[0]):
        outcome = describe(heap, (<Values *> whole[primitive.keeps].object).at[1], result)
    for i in range(count):
        if replaced >> i & 1 == 0:
            continue
        if arguments[i].tag == NIL and arguments[i].spare == VACANT and outcome == OK:  # taken by the function
            release(heap, whole[i])
        else:
            set_value(heap, &arguments[i], whole[i])
    return outcome


cdef inline bint keeps_metadata(int64_t number, Value before, Value made) noexcept nogil:
    """Return whether what a host function that keeps metadata made of a value has that of the value."""
    if number == PRIMITIVE_SEQ:  # of what is a seq it is the same
        return made.tag >= HEAP and made.object == before.object
    return number != PRIMITIVE_POP or made.tag != LIST


cdef Outcome describe(Heap *heap, Value metadata, Value *handle) noexcept nogil:
    """Give an owned value metadata (borrowed)."""
    cdef Values *described = new_values(heap, DESCRIBED, 2)
    if described == NULL:
        return NO_MEMORY
    heap.described = True
    described.at[0] = handle[0]
    described.at[1] = retained(metadata)
    handle[0] = pointer_value(described)
    return OK


cdef void bare_functions(Heap *heap, Value *arguments, uint32_t n) noexcept nogil:
    """Replace functions with metadata among the arguments of a control function: it calls them."""
    cdef uint32_t i
    for i in range(n):
        if arguments[i].tag == DESCRIBED and is_function(bare(arguments[i]).tag):
            set_value(heap, &arguments[i], retained(bare(arguments[i])))


cdef inline bint may_be_described(uint32_t tag) noexcept nogil:
    """Return whether values of a kind can have metadata: collections, seqs, symbols, functions."""
    return tag == EMPTY or LIST <= tag <= SORTED_SET or tag == SYMBOL or is_function(tag)


cdef Outcome primitive_meta(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Metadata of a value, or nil."""
    if arguments[0].tag == DESCRIBED:
        result[0] = retained((<Values *> arguments[0].object).at[1])
    return OK


cdef Outcome primitive_with_meta(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """The value with this metadata in place of its own; nil for none."""
    cdef Value value = bare(arguments[0])
    if not may_be_described(value.tag):
        return fault_type(heap, b"with-meta", b"a collection, symbol or function", value)
    if arguments[1].tag != NIL and not is_map(arguments[1].tag):
        return fault_type(heap, b"with-meta", b"a map", arguments[1])
    result[0] = retained(value)
    return OK if arguments[1].tag == NIL else describe(heap, arguments[1], result)
