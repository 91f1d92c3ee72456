# Host functions on texts: printing, names, characters and strings.
#
# Is:     the entry points, argument counts already checked. Positions count characters, the bytes are utf-8.
# Is not: how values look (`_print.pxi`).
# Fits:   `_table.pxi` finds them by name.

cdef extern from "<string.h>" nogil:
    void *memmem(const void *haystack, size_t length, const void *needle, size_t needle_length)


cdef Outcome primitive_str(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Buffer buffer
    cdef uint32_t i
    cdef Outcome outcome = OK
    if n == 1 and arguments[0].tag == STRING:
        result[0] = retained(arguments[0])
        return OK
    outcome = spend(heap, 2 * <uint64_t> n)
    if outcome != OK:
        return outcome
    buffer_init(&buffer)
    for i in range(n):
        outcome = put_str(heap, &buffer, arguments[i])
        if outcome != OK:
            buffer_free(&buffer)
            return outcome
    return give_buffer(heap, &buffer, result)


cdef Outcome print_spaced(Heap *heap, const Value *arguments, uint32_t n, bint readable, Value *result) noexcept nogil:
    """Set result to the printed values with spaces between."""
    cdef Buffer buffer
    cdef uint32_t i
    cdef Outcome outcome = OK
    outcome = spend(heap, 2 * <uint64_t> n)
    if outcome != OK:
        return outcome
    buffer_init(&buffer)
    for i in range(n):
        if i > 0:
            outcome = put_bytes(heap, &buffer, b" ", 1)
        if outcome == OK:
            outcome = print_value(heap, &buffer, arguments[i], readable, 0)
        if outcome != OK:
            buffer_free(&buffer)
            return outcome
    return give_buffer(heap, &buffer, result)


cdef Outcome primitive_pr_str(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return print_spaced(heap, arguments, n, True, result)


cdef Outcome primitive_print_str(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return print_spaced(heap, arguments, n, False, result)


cdef Outcome primitive_join_text(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Buffer buffer
    cdef Cursor cursor
    cdef Value item = nil()
    cdef bint more = False
    cdef Outcome outcome
    if arguments[0].tag != STRING:
        return fault_type(heap, b"join", b"a string", arguments[0])
    buffer_init(&buffer)
    outcome = cursor_start(heap, &cursor, arguments[1])
    while outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        outcome = spend(heap, 8)
        if outcome == OK and cursor.steps > 1:
            outcome = put_text(heap, &buffer, arguments[0].object)
        if outcome == OK:
            outcome = cursor_item(heap, &cursor, &item)
        if outcome == OK:
            outcome = put_str(heap, &buffer, item)
            release(heap, item)
    if outcome != OK:
        buffer_free(&buffer)
        return whole(outcome)
    return give_buffer(heap, &buffer, result)


cdef Outcome primitive_is_ascii(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return answer(
        result,
        arguments[0].tag == STRING and string_of(arguments[0]).char_count == arguments[0].object.length,
    )


# ---- names

cdef uint32_t namespace_length(Object *name) noexcept nogil:
    """Return the bytes before the slash of a keyword or symbol, 0 when it has no namespace."""
    cdef uint8_t *bytes = (<Text *> name).bytes
    cdef uint32_t i
    for i in range(name.length):
        if bytes[i] == 47:
            return i if i + 1 < name.length else 0
    return 0


cdef Outcome primitive_name(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Object *text
    cdef uint32_t start
    if arguments[0].tag == STRING:
        result[0] = retained(arguments[0])
        return OK
    if arguments[0].tag != KEYWORD and arguments[0].tag != SYMBOL:
        return fault_type(heap, b"name", b"a keyword, symbol or string", arguments[0])
    text = arguments[0].object
    if spend(heap, text.length >> 2) != OK:
        return DEFER
    start = namespace_length(text)
    if start > 0:
        start += 1
    return give_text(heap, STRING, <char *> (<Text *> text).bytes + start, text.length - start, result)


cdef Outcome primitive_namespace(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Object *text
    cdef uint32_t length
    if arguments[0].tag != KEYWORD and arguments[0].tag != SYMBOL:
        return fault_type(heap, b"namespace", b"a keyword or symbol", arguments[0])
    text = arguments[0].object
    if spend(heap, text.length >> 2) != OK:
        return DEFER
    length = namespace_length(text)
    if length == 0:
        result[0] = nil()
        return OK
    return give_text(heap, STRING, <char *> (<Text *> text).bytes, length, result)


cdef Outcome give_name(Heap *heap, const char *name, uint32_t kind, const Value *arguments, Value *result) noexcept nogil:
    """Set result to the keyword or symbol of a namespace (string or nil) and a name (string)."""
    cdef Buffer buffer
    cdef Outcome outcome
    if arguments[0].tag != STRING and arguments[0].tag != NIL:
        return fault_type(heap, name, b"a string", arguments[0])
    if arguments[1].tag != STRING:
        return fault_type(heap, name, b"a string", arguments[1])
    buffer_init(&buffer)
    outcome = OK
    if arguments[0].tag == STRING:
        outcome = put_text(heap, &buffer, arguments[0].object)
        if outcome == OK:
            outcome = put_bytes(heap, &buffer, b"/", 1)
    if outcome == OK:
        outcome = put_text(heap, &buffer, arguments[1].object)
    if outcome == OK:
        outcome = give_text(heap, kind, buffer.bytes, buffer.length, result)
    buffer_free(&buffer)
    return outcome


cdef Outcome rename_text(Heap *heap, uint32_t kind, Value source, Value *result) noexcept nogil:
    """Set result to the STRING, KEYWORD or SYMBOL as another of these kinds."""
    if source.tag == kind:
        result[0] = retained(source)
        return OK
    return give_text(heap, kind, <char *> (<Text *> source.object).bytes, source.object.length, result)


cdef Outcome primitive_keyword(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Of anything that has no name it is nil, as in Clojure."""
    if n == 2:
        return give_name(heap, b"keyword", KEYWORD, arguments, result)
    if STRING <= arguments[0].tag <= SYMBOL:
        return rename_text(heap, KEYWORD, arguments[0], result)
    result[0] = nil()
    return OK


cdef Outcome primitive_symbol(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    if n == 2:
        return give_name(heap, b"symbol", SYMBOL, arguments, result)
    if STRING <= arguments[0].tag <= SYMBOL:
        return rename_text(heap, SYMBOL, arguments[0], result)
    return fault_type(heap, b"symbol", b"a string, keyword or symbol", arguments[0])


cdef Outcome primitive_char(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef int64_t point = arguments[0].integer
    if arguments[0].tag == CHAR:
        result[0] = arguments[0]
        return OK
    if arguments[0].tag != INT:
        return fault_type(heap, b"char", b"a code point", arguments[0])
    if point < 0 or point > 0x10FFFF or 0xD800 <= point < 0xE000:
        return fault(heap, b"argument", b"char: the number is not the code point of a character")
    result[0] = immediate(CHAR, point)
    return OK


# ---- strings

cdef inline Outcome expect_strings(Heap *heap, const char *name, const Value *arguments, uint32_t n) noexcept nogil:
    """FAILED unless the first n arguments are strings."""
    cdef uint32_t i
    for i in range(n):
        if arguments[i].tag != STRING:
            return fault_type(heap, name, b"a string", arguments[i])
    return OK


cdef inline Text *string_of(Value value) noexcept nogil:
    return <Text *> value.object


cdef Outcome primitive_subs(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Text *text
    cdef int64_t start
    cdef int64_t end
    cdef uint32_t i
    cdef Outcome outcome = expect_strings(heap, b"subs", arguments, 1)
    if outcome != OK:
        return outcome
    for i in range(1, n):
        if arguments[i].tag != INT:
            return fault_type(heap, b"subs", b"an index", arguments[i])
    text = string_of(arguments[0])
    start = arguments[1].integer
    end = arguments[2].integer if n == 3 else text.char_count
    if end < 0 or end > text.char_count:
        return fault_index(heap, b"subs", end, text.char_count)
    if start < 0 or start > end:
        return fault_index(heap, b"subs", start, end)
    if text.char_count != text.head.length:
        outcome = spend(heap, text.head.length >> 1)
        if outcome != OK:
            return outcome
    start = char_offset(text, start)
    end = char_offset(text, end)
    return give_text(heap, STRING, <char *> text.bytes + start, end - start, result)


cdef Outcome change_case(Heap *heap, const char *name, bint upper, Value source, Value *result) noexcept nogil:
    cdef Text *text
    cdef Text *changed
    cdef uint32_t i
    cdef uint8_t byte
    cdef Outcome outcome = expect_strings(heap, name, &source, 1)
    if outcome != OK:
        return outcome
    text = string_of(source)
    outcome = spend(heap, text.head.length >> 2 if text.char_count == text.head.length else 2 * <uint64_t> text.head.length)
    if outcome != OK:
        return outcome
    if text.char_count != text.head.length:
        with gil:
            return change_case_of_any(heap, upper, source.object, result)
    changed = new_bytes(heap, STRING, text.head.length)
    if changed == NULL:
        return NO_MEMORY
    changed.char_count = text.char_count
    for i in range(text.head.length):
        byte = text.bytes[i]
        if upper and 97 <= byte <= 122:
            byte -= 32
        elif not upper and 65 <= byte <= 90:
            byte += 32
        changed.bytes[i] = byte
    result[0] = pointer_value(changed)
    return OK


cdef Outcome change_case_of_any(Heap *heap, bint upper, Object *text, Value *result) noexcept:
    """As Unicode has it; Python knows how."""
    try:
        changed = python_text(text)
        changed = changed.upper() if upper else changed.lower()
        return give_bytes_of(heap, STRING, changed.encode("utf-8", "surrogatepass"), result)
    except MemoryError:
        return NO_MEMORY
    except UnicodeError:
        return fault(heap, b"argument", b"the string is not valid Unicode")


cdef Outcome primitive_upper_case(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return change_case(heap, b"upper-case", True, arguments[0], result)


cdef Outcome primitive_lower_case(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    return change_case(heap, b"lower-case", False, arguments[0], result)


cdef inline bint is_space(int64_t point) noexcept nogil:
    """Return whether Java calls a code point whitespace: no-break spaces are none."""
    if point < 0x80:
        return 9 <= point <= 13 or 28 <= point <= 32
    return (
        point == 0x1680
        or (0x2000 <= point <= 0x200A and point != 0x2007)
        or point == 0x2028
        or point == 0x2029
        or point == 0x205F
        or point == 0x3000
    )


cdef int64_t skip_spaces(Text *text) noexcept nogil:
    """Return the byte offset of the first character that is no whitespace, or the length."""
    cdef int64_t offset = 0
    cdef int64_t after = 0
    while offset < text.head.length:
        if not is_space(decode_char(text.bytes, &after).integer):
            break
        offset = after
    return offset


cdef int64_t skip_spaces_back(Text *text, int64_t start) noexcept nogil:
    """Return the byte offset behind the last character from `start` on that is no whitespace."""
    cdef int64_t end = text.head.length
    cdef int64_t before
    cdef int64_t after
    while end > start:
        before = end - 1
        while before > start and (text.bytes[before] & 0xC0) == 0x80:
            before -= 1
        after = before
        if not is_space(decode_char(text.bytes, &after).integer):
            break
        end = before
    return end


cdef Outcome primitive_trim(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Text *text
    cdef int64_t start
    cdef int64_t end
    cdef Outcome outcome = expect_strings(heap, b"trim", arguments, 1)
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    outcome = spend(heap, text.head.length >> 1)
    if outcome != OK:
        return outcome
    start = skip_spaces(text)
    end = skip_spaces_back(text, start)
    if end - start == text.head.length:
        result[0] = retained(arguments[0])
        return OK
    return give_text(heap, STRING, <char *> text.bytes + start, end - start, result)


cdef Outcome primitive_is_blank(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Text *text
    cdef Outcome outcome = OK
    if arguments[0].tag == NIL:
        result[0] = boolean_value(True)
        return OK
    outcome = expect_strings(heap, b"blank?", arguments, 1)
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    outcome = spend(heap, text.head.length >> 1)
    if outcome != OK:
        return outcome
    result[0] = boolean_value(skip_spaces(text) == text.head.length)
    return OK


cdef int64_t find_text(Text *text, int64_t start, Text *part) noexcept nogil:
    """Return the byte offset of the first occurrence from a byte offset on, -1 for none."""
    cdef char *found = <char *> memmem(
        text.bytes + start, text.head.length - start, part.bytes, part.head.length
    )
    return -1 if found == NULL else found - <char *> text.bytes


cdef Outcome primitive_is_starts_with(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Text *text
    cdef Text *part
    cdef Outcome outcome = expect_strings(heap, b"starts-with?", arguments, 2)
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    part = string_of(arguments[1])
    outcome = spend_bytes(heap, part.head.length)
    if outcome != OK:
        return outcome
    result[0] = boolean_value(
        part.head.length <= text.head.length and memcmp(text.bytes, part.bytes, part.head.length) == 0
    )
    return OK


cdef Outcome primitive_is_ends_with(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Text *text
    cdef Text *part
    cdef Outcome outcome = expect_strings(heap, b"ends-with?", arguments, 2)
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    part = string_of(arguments[1])
    outcome = spend_bytes(heap, part.head.length)
    if outcome != OK:
        return outcome
    result[0] = boolean_value(
        part.head.length <= text.head.length
        and memcmp(text.bytes + (text.head.length - part.head.length), part.bytes, part.head.length) == 0
    )
    return OK


cdef Outcome primitive_is_includes(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Outcome outcome = expect_strings(heap, b"includes?", arguments, 2)
    if outcome != OK:
        return outcome
    outcome = spend(heap, arguments[0].object.length >> 2)
    if outcome != OK:
        return outcome
    result[0] = boolean_value(find_text(string_of(arguments[0]), 0, string_of(arguments[1])) >= 0)
    return OK


cdef Outcome primitive_index_of(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Text *text
    cdef int64_t start = 0
    cdef int64_t found
    cdef Outcome outcome = expect_strings(heap, b"index-of", arguments, 2)
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    outcome = spend(heap, text.head.length >> 1)
    if outcome != OK:
        return outcome
    if n == 3:
        if arguments[2].tag != INT:
            return fault_type(heap, b"index-of", b"an index", arguments[2])
        start = arguments[2].integer
        start = 0 if start < 0 else text.char_count if start > text.char_count else start
        start = char_offset(text, start)
    found = find_text(text, start, string_of(arguments[1]))
    result[0] = nil()
    if found >= 0:
        result[0] = integer_value(count_chars(text.bytes, found))
    return OK


cdef int64_t next_char(Text *text, int64_t offset) noexcept nogil:
    """Return the byte offset of the character after the one at an offset."""
    offset += 1
    while offset < text.head.length and (text.bytes[offset] & 0xC0) == 0x80:
        offset += 1
    return offset


cdef Outcome primitive_replace_text(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """An empty match is found before every character and at the end, as in Java."""
    cdef Buffer buffer
    cdef Text *text
    cdef Text *part
    cdef int64_t start = 0
    cdef int64_t found
    cdef Outcome outcome = expect_strings(heap, b"replace", arguments, 3)
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    part = string_of(arguments[1])
    outcome = spend(heap, text.head.length >> 1)
    if outcome != OK:
        return outcome
    buffer_init(&buffer)
    while outcome == OK:
        outcome = spend(heap, 8)
        if outcome != OK:
            break
        found = find_text(text, start, part)
        if found < 0:
            break
        if part.head.length == 0 and found > 0:
            if found == text.head.length:
                break
        outcome = put_bytes(heap, &buffer, text.bytes + start, found - start)
        if outcome == OK:
            outcome = put_text(heap, &buffer, arguments[2].object)
        start = found + part.head.length
        if outcome == OK and part.head.length == 0:
            if start == text.head.length:
                break
            found = next_char(text, start)
            outcome = put_bytes(heap, &buffer, text.bytes + start, found - start)
            start = found
    if outcome == OK and part.head.length == 0 and text.head.length > 0:
        outcome = put_text(heap, &buffer, arguments[2].object)
    if outcome == OK:
        outcome = put_bytes(heap, &buffer, text.bytes + start, text.head.length - start)
    if outcome != OK:
        buffer_free(&buffer)
        return outcome
    return give_buffer(heap, &buffer, result)


cdef Outcome append_part(Heap *heap, Text *text, int64_t start, int64_t end, Value *vector) noexcept nogil:
    """Add a part of a text to the vector of a handle."""
    cdef Value part = nil()
    cdef Outcome outcome = give_text(heap, STRING, <char *> text.bytes + start, end - start, &part)
    if outcome != OK:
        return outcome
    if vector_append(heap, vector, part) != OK:
        return NO_MEMORY
    release(heap, part)
    return OK


cdef Outcome primitive_split_text(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """An empty separator splits between characters; where nothing separates, the whole is the only part."""
    cdef Text *text
    cdef Text *separator
    cdef int64_t start = 0
    cdef int64_t found
    cdef int64_t filled = 0  # parts up to the last that is not empty
    cdef Outcome outcome = expect_strings(heap, b"split", arguments, 2)
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    separator = string_of(arguments[1])
    outcome = spend(heap, text.head.length >> 1)
    if outcome != OK:
        return outcome
    if give_empty(heap, VECTOR, result) != OK:
        return NO_MEMORY
    while True:
        if separator.head.length == 0:
            found = next_char(text, start) if text.head.length > 0 else 0
            if found >= text.head.length:
                found = -1
        else:
            found = find_text(text, start, separator)
        outcome = spend(heap, 16)
        if outcome == OK:
            outcome = append_part(heap, text, start, found if found >= 0 else text.head.length, result)
        if outcome != OK:
            return outcome
        if (found if found >= 0 else <int64_t> text.head.length) > start:
            filled = vector_count(result[0])
        if found < 0:
            break
        start = found + separator.head.length
    if vector_count(result[0]) == 1:
        return OK
    while vector_count(result[0]) > filled:
        if vector_pop(heap, result) != OK:
            return NO_MEMORY
    return OK


# ---- numbers from texts

cdef Outcome primitive_parse_long(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef Text *text
    cdef int64_t number = 0
    cdef uint32_t i = 0
    cdef bint negative = False
    cdef Outcome outcome = expect_strings(heap, b"parse-long", arguments, 1)
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    outcome = spend(heap, text.head.length >> 2)
    if outcome != OK:
        return outcome
    result[0] = nil()
    if text.head.length > 0 and (text.bytes[0] == 45 or text.bytes[0] == 43):
        negative = text.bytes[0] == 45
        i = 1
    if i == text.head.length:
        return OK
    while i < text.head.length:
        if not 48 <= text.bytes[i] <= 57:
            return OK
        if multiply_overflows(number, 10, &number):
            return OK
        if negative:
            if subtract_overflows(number, text.bytes[i] - 48, &number):
                return OK
        elif add_overflows(number, text.bytes[i] - 48, &number):
            return OK
        i += 1
    result[0] = integer_value(number)
    return OK


cdef enum:
    NUMBER_BYTES_MAX = 400  # of a text that is read as a double


cdef bint is_double_text(const char *text) noexcept nogil:
    """Return whether a zero-ended text is a decimal number, with point and exponent or without."""
    cdef bint digits = False
    if text[0] == 45 or text[0] == 43:
        text += 1
    if text[0] == 73 or text[0] == 78:  # I N
        return memcmp(text, b"Infinity", 9) == 0 if strlen(text) == 8 else strlen(text) == 3 and memcmp(text, b"NaN", 3) == 0
    while 48 <= text[0] <= 57:
        digits = True
        text += 1
    if text[0] == 46:
        text += 1
        while 48 <= text[0] <= 57:
            digits = True
            text += 1
    if not digits:
        return False
    if text[0] == 101 or text[0] == 69:
        text += 1
        if text[0] == 45 or text[0] == 43:
            text += 1
        if not 48 <= text[0] <= 57:
            return False
        while 48 <= text[0] <= 57:
            text += 1
    return text[0] == 0


cdef Outcome primitive_parse_double(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    cdef char plain[NUMBER_BYTES_MAX + 1]
    cdef Text *text
    cdef int64_t start
    cdef int64_t length
    cdef Outcome outcome = expect_strings(heap, b"parse-double", arguments, 1)
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    outcome = spend(heap, text.head.length >> 1)
    if outcome != OK:
        return outcome
    result[0] = nil()
    start = skip_spaces(text)
    length = skip_spaces_back(text, start) - start
    if length == 0 or length > NUMBER_BYTES_MAX:
        return OK
    memcpy(plain, text.bytes + start, length)
    plain[length] = 0
    if is_double_text(plain):
        result[0] = real_value(strtod(plain, NULL))
    return OK
