# Host functions on byte strings, instants and uuids.
#
# Is:     the entry points, argument counts already checked.
# Is not: how these look (`_print.pxi`), compare and hash (`_equal.pxi`).
# Fits:   `_table.pxi` finds them by name.

cdef enum:
    UUID_TEXT_BYTES = 36

cdef int64_t INSTANT_MS_MIN = -62135596800000
cdef int64_t INSTANT_MS_MAX = 253402300799999


cdef Outcome primitive_is_bytes(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == BYTES)


cdef Outcome primitive_is_inst(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == INSTANT)


cdef Outcome primitive_is_uuid(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(result, arguments[0].tag == UUID)


cdef Outcome primitive_inst_ms(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Whole milliseconds, rounded down."""
    cdef int64_t instant = arguments[0].integer
    if arguments[0].tag != INSTANT:
        return fault_type(heap, b"inst-ms", b"an instant", arguments[0])
    result[0] = integer_value(instant // 1000 - (1 if instant % 1000 < 0 else 0))
    return OK


cdef Outcome primitive_inst_of_ms(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Of the years 1 to 9999, which every part of the system knows."""
    if arguments[0].tag != INT:
        return fault_type(heap, b"inst-of-ms", b"an integer", arguments[0])
    if not INSTANT_MS_MIN <= arguments[0].integer <= INSTANT_MS_MAX:
        return fault(heap, b"argument", b"inst-of-ms: the year is not between 1 and 9999")
    result[0] = immediate(INSTANT, arguments[0].integer * 1000)
    return OK


cdef int hex_digit(uint8_t byte) noexcept nogil:
    """Return the value of a hexadecimal digit, -1 of anything else."""
    if 48 <= byte <= 57:
        return byte - 48
    byte |= 32
    return byte - 87 if 97 <= byte <= 102 else -1


cdef Outcome primitive_parse_uuid(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Digits in groups of 8, 4, 4, 4 and 12; nil of any other string."""
    cdef uint8_t content[16]
    cdef uint32_t digits = 0
    cdef uint32_t i
    cdef int digit
    cdef Text *text
    cdef Text *uuid
    cdef Outcome outcome = expect_strings(heap, b"parse-uuid", arguments, 1)
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    result[0] = nil()
    if text.head.length != UUID_TEXT_BYTES:
        return OK
    memset(content, 0, sizeof(content))
    for i in range(UUID_TEXT_BYTES):
        if i == 8 or i == 13 or i == 18 or i == 23:
            if text.bytes[i] != 45:  # a dash
                return OK
            continue
        digit = hex_digit(text.bytes[i])
        if digit < 0:
            return OK
        content[digits >> 1] |= <uint8_t> (digit << (0 if digits & 1 else 4))
        digits += 1
    uuid = new_bytes(heap, UUID, 16)
    if uuid == NULL:
        return NO_MEMORY
    memcpy(uuid.bytes, content, 16)
    result[0] = pointer_value(uuid)
    return OK
