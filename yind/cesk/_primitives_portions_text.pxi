# Host functions that do a part of what is too much for one instruction: texts and printing.
#
# Is:     the inner loops of the long forms on texts. Positions are bytes here, not characters.
# Is not: reachable from programs.
# Fits:   `_table.pxi` finds them by name; `_primitives_portions.pxi` has the ways they share.
#
# A long text is made of pieces: first a room for all of it (`text-room`), which is a string of zero characters until it is
# filled in place; between two instructions it is as whole as any string.

cdef enum:
    PIECE_BYTES = 1 << 14  # of a text that one portion goes through

    # On the stack of print-some, before each value:
    PRINT_MARK = 3  # the value is a Mark; below: the value, after the separator of this number
    PRINT_ITEMS = 4  # the rest of a seq, each item after a space
    PRINT_ENTRIES = 5  # the rest of the entries of a map
    PRINT_QUOTED = 6  # the rest of a text: a seq over a string
    PRINT_PLAIN = 7
    PRINT_DIGITS = 8  # an integer whose digits the library finds
    PRINT_FIRST = 16  # more than PRINT_ITEMS or PRINT_ENTRIES: nothing has been printed of it


cdef inline int64_t piece_end(Text *text, int64_t start) noexcept nogil:
    """Return where a piece of a text that begins at a byte ends: at a character."""
    cdef int64_t end = start + (PIECE_BYTES if not HOSTILE else 8)
    if end >= text.head.length:
        return text.head.length
    while (text.bytes[end] & 0xC0) == 0x80:
        end -= 1
    return end


cdef Outcome expect_place(Heap *heap, Value string, Value place, int64_t *offset) noexcept nogil:
    """Fault unless place is the offset of a character of a string, or its end."""
    cdef Text *text = string_of(string)
    if string.tag != STRING:
        return fault_type(heap, b"portion", b"a string", string)
    if place.tag != INT or not 0 <= place.integer <= text.head.length:
        return fault_type(heap, b"portion", b"a place in a string", place)
    if place.integer < text.head.length and (text.bytes[place.integer] & 0xC0) == 0x80:
        return fault_type(heap, b"portion", b"the beginning of a character", place)
    offset[0] = place.integer
    return OK


cdef inline Value place_or_nil(Text *text, int64_t offset) noexcept nogil:
    return integer_value(offset) if offset < text.head.length else nil()


# ---- rooms and slices

cdef Outcome primitive_text_size(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """The bytes of a string."""
    if arguments[0].tag != STRING:
        return fault_type(heap, b"portion", b"a string", arguments[0])
    result[0] = integer_value(arguments[0].object.length)
    return OK


cdef Outcome primitive_text_room(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """A string of so many zero bytes, to be filled."""
    cdef Text *text
    cdef Object *block
    cdef size_t size
    if arguments[0].tag != INT or arguments[0].integer < 0:
        return fault_type(heap, b"portion", b"a size", arguments[0])
    if arguments[0].integer > 0x7FFFFFFF:
        return NO_MEMORY
    if arguments[0].integer < UNIT * SMALL_UNITS_MAX:
        text = new_bytes(heap, STRING, <size_t> arguments[0].integer)
        if text == NULL:
            return NO_MEMORY
        memset(text.bytes, 0, <size_t> arguments[0].integer)
        text.char_count = text.head.length
        result[0] = pointer_value(text)
        return OK
    size = (sizeof(Object) + 8 + <size_t> arguments[0].integer + UNIT - 1) // UNIT * UNIT
    block = allocate_large(heap, size, True)
    if block == NULL:
        return NO_MEMORY
    block.units = LARGE_UNITS
    block.count = 1
    block.extra = 0
    block.kind = STRING
    block.flags = 0
    block.length = <uint32_t> arguments[0].integer
    text = <Text *> block
    text.char_count = block.length
    text.spare = 0
    result[0] = pointer_value(text)
    return OK


cdef Outcome primitive_text_fill(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """A room with bytes of a string from a place on: room, where, string, from. [room where from], from nil at its end."""
    cdef Text *room = string_of(arguments[0])
    cdef Text *text = string_of(arguments[2])
    cdef Text *copy
    cdef Value parts[3]
    cdef int64_t start = 0
    cdef int64_t end
    cdef int64_t place = arguments[1].integer
    cdef Outcome outcome
    if arguments[0].tag != STRING or arguments[1].tag != INT:
        return fault_type(heap, b"portion", b"a room", arguments[0])
    outcome = expect_place(heap, arguments[2], arguments[3], &start)
    if outcome != OK:
        return outcome
    end = start + (<int64_t> PORTION_STEPS << BYTES_SHIFT) // 2
    if not 0 <= place <= <int64_t> room.head.length or text == room:
        return fault_type(heap, b"portion", b"a place in a room", arguments[1])
    if end > text.head.length:
        end = text.head.length
    if end - start > room.head.length - place:
        end = start + room.head.length - place
    while end < text.head.length and (text.bytes[end] & 0xC0) == 0x80:
        end -= 1
    outcome = spend_bytes(heap, <size_t> (end - start))
    if outcome != OK:
        return outcome
    if room.head.count != 1:  # someone else saw it in between: not in the library
        copy = new_bytes(heap, STRING, room.head.length)
        if copy == NULL:
            return NO_MEMORY
        memcpy(copy.bytes, room.bytes, room.head.length)
        copy.char_count = room.char_count
        room = copy
    else:
        taken(arguments)
        room.head.extra = 0
    memcpy(room.bytes + place, text.bytes + start, end - start)
    room.char_count += count_chars(text.bytes + start, end - start) - <uint32_t> (end - start)
    parts[0] = pointer_value(room)
    parts[1] = integer_value(place + end - start)
    parts[2] = place_or_nil(text, end)
    outcome = vector_of(heap, parts, 3, result)
    release(heap, parts[0])
    return outcome


cdef Outcome primitive_text_part(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """A string of the bytes from a place to another."""
    cdef int64_t start = 0
    cdef int64_t end = 0
    cdef Outcome outcome = expect_place(heap, arguments[0], arguments[1], &start)
    if outcome == OK:
        outcome = expect_place(heap, arguments[0], arguments[2], &end)
    if outcome == OK and end < start:
        outcome = fault_type(heap, b"portion", b"a place behind", arguments[2])
    if outcome != OK:
        return outcome
    return give_text(heap, STRING, <char *> string_of(arguments[0]).bytes + start, end - start, result)


# ---- walking

cdef Outcome primitive_skip_chars(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Go up to so many characters on from a place: [place how-many-not-yet]; fewer at the end of the string."""
    cdef Text *text
    cdef int64_t offset = 0
    cdef int64_t end
    cdef int64_t left = arguments[2].integer
    cdef Outcome outcome = expect_place(heap, arguments[0], arguments[1], &offset)
    if outcome != OK:
        return outcome
    if arguments[2].tag != INT or left < 0:
        return fault_type(heap, b"portion", b"a number", arguments[2])
    text = string_of(arguments[0])
    end = piece_end(text, offset)
    outcome = spend(heap, <uint64_t> (end - offset) >> 1)
    if outcome != OK:
        return outcome
    while left > 0 and offset < end:
        offset = next_char(text, offset)
        left -= 1
    return give_two(heap, integer_value(offset), integer_value(left), result)


cdef Outcome primitive_skip_spaces(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Go over whitespace from a place on, up to a piece: [place whether-it-is-at-its-end]."""
    cdef Text *text
    cdef int64_t offset = 0
    cdef int64_t after = 0
    cdef int64_t end
    cdef bint done = False
    cdef Outcome outcome = expect_place(heap, arguments[0], arguments[1], &offset)
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    end = piece_end(text, offset)
    outcome = spend(heap, <uint64_t> (end - offset) >> 1)
    if outcome != OK:
        return outcome
    while offset < end and not done:
        after = offset
        if is_space(decode_char(text.bytes, &after).integer):
            offset = after
        else:
            done = True
    return give_two(heap, integer_value(offset), boolean_value(done or offset == text.head.length), result)


cdef Outcome primitive_skip_spaces_back(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Go back over whitespace from a place, by up to a piece: [place whether-it-is-at-its-end]."""
    cdef Text *text
    cdef int64_t end = 0
    cdef int64_t start
    cdef int64_t before
    cdef int64_t after
    cdef bint done = False
    cdef Outcome outcome = expect_place(heap, arguments[0], arguments[1], &end)
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    start = end - (PIECE_BYTES if not HOSTILE else 8)
    outcome = spend(heap, (PIECE_BYTES if not HOSTILE else 8) >> 1)
    if outcome != OK:
        return outcome
    while end > 0 and end > start and not done:
        before = end - 1
        while before > 0 and (text.bytes[before] & 0xC0) == 0x80:
            before -= 1
        after = before
        if is_space(decode_char(text.bytes, &after).integer):
            end = before
        else:
            done = True
    return give_two(heap, integer_value(end), boolean_value(done or end == 0), result)


cdef Outcome find_in_piece(Heap *heap, Text *text, int64_t start, Text *part, int64_t *end, int64_t *found) noexcept nogil:
    """Look for a text that begins in the piece from a place on; found is -1 when there is none, end behind the piece."""
    cdef int64_t length
    cdef char *at
    end[0] = piece_end(text, start)
    if part.head.length > end[0] - start:  # a long part: as far again as it is long
        end[0] = start + part.head.length
        if end[0] >= text.head.length:
            end[0] = text.head.length
        while end[0] < text.head.length and (text.bytes[end[0]] & 0xC0) == 0x80:
            end[0] += 1
    length = end[0] - start + part.head.length
    if length > text.head.length - start:
        length = text.head.length - start
    at = <char *> memmem(text.bytes + start, length, part.bytes, part.head.length)
    found[0] = -1 if at == NULL else at - <char *> text.bytes
    return spend(heap, <uint64_t> (length if at == NULL else found[0] - start) >> 2)


cdef Outcome primitive_find_some(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Look for a string in another from a place on: [characters-passed place whether-found], place nil at the end."""
    cdef Text *text
    cdef Value parts[3]
    cdef int64_t start = 0
    cdef int64_t end = 0
    cdef int64_t found = 0
    cdef Outcome outcome = expect_place(heap, arguments[0], arguments[2], &start)
    if outcome == OK and arguments[1].tag != STRING:
        outcome = fault_type(heap, b"portion", b"a string", arguments[1])
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    outcome = find_in_piece(heap, text, start, string_of(arguments[1]), &end, &found)
    if outcome != OK:
        return outcome
    parts[0] = integer_value(count_chars(text.bytes + start, (found if found >= 0 else end) - start))
    parts[1] = integer_value(found) if found >= 0 else place_or_nil(text, end)
    parts[2] = boolean_value(found >= 0)
    return vector_of(heap, parts, 3, result)


cdef Outcome primitive_replace_some(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Replace occurrences from a place on: text, part, with, place. [piece place], place nil at the end."""
    cdef Buffer buffer
    cdef Text *text
    cdef Text *part
    cdef Value piece = nil()
    cdef int64_t start = 0
    cdef int64_t end = 0
    cdef int64_t found = 0
    cdef bint ends = False
    cdef Outcome outcome = expect_place(heap, arguments[0], arguments[3], &start)
    if outcome == OK:
        outcome = expect_strings(heap, b"replace", arguments, 3)
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    part = string_of(arguments[1])
    buffer_init(&buffer)
    while outcome == OK and not ends:
        if part.head.length == 0:
            found = start
            end = start
        else:
            outcome = find_in_piece(heap, text, start, part, &end, &found)
        if outcome == OK and found < 0:
            outcome = spend_bytes(heap, <size_t> (end - start))
            if outcome == OK:
                outcome = put_bytes(heap, &buffer, text.bytes + start, end - start)
            start = end
        elif outcome == OK:
            outcome = spend(heap, 8 + (<uint64_t> (found - start) >> BYTES_SHIFT))
            if outcome == OK:
                outcome = put_bytes(heap, &buffer, text.bytes + start, found - start)
            if outcome == OK:
                outcome = put_text(heap, &buffer, arguments[2].object)
            start = found + part.head.length
            if part.head.length == 0:
                if start == text.head.length:
                    ends = True
                elif outcome == OK:
                    end = next_char(text, start)
                    outcome = put_bytes(heap, &buffer, text.bytes + start, end - start)
                    start = end
        if part.head.length > 0 and start >= text.head.length:
            ends = True
        if portion_is_over(heap):
            break
    if outcome == OK:
        outcome = give_buffer(heap, &buffer, &piece)
    else:
        buffer_free(&buffer)
    if outcome != OK:
        return outcome
    return give_two(heap, piece, nil() if ends else integer_value(start), result)


cdef Outcome primitive_split_some(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Add parts between occurrences to a vector: parts, text, separator, where the part begins, where to look on.

    [parts begin place]; at the end place is nil and the last part has been added.
    """
    cdef Text *text
    cdef Text *separator
    cdef Value parts[3]
    cdef Value built
    cdef int64_t begin = 0
    cdef int64_t start = 0
    cdef int64_t end = 0
    cdef int64_t found = 0
    cdef bint ends = False
    cdef Outcome outcome = expect_place(heap, arguments[1], arguments[3], &begin)
    if outcome == OK:
        outcome = expect_place(heap, arguments[1], arguments[4], &start)
    if outcome == OK and (arguments[0].tag != VECTOR or arguments[2].tag != STRING or begin > start):
        outcome = fault_type(heap, b"portion", b"a vector", arguments[0])
    if outcome != OK:
        return outcome
    text = string_of(arguments[1])
    separator = string_of(arguments[2])
    if begin == 0 and start == 0 and spend(heap, 4) != OK:
        return DEFER
    built = taken(arguments)
    while outcome == OK and not ends:
        if separator.head.length == 0:
            found = next_char(text, start) if start < text.head.length else -1
            if found >= text.head.length:
                found = -1
            end = text.head.length
        else:
            outcome = find_in_piece(heap, text, start, separator, &end, &found)
        if outcome != OK:
            break
        if found < 0 and end < text.head.length:
            start = end
        else:
            ends = found < 0
            heap.steps_max = STEPS_MAX_WHOLE  # a long part is copied at a go
            outcome = spend(heap, 16)
            if outcome == OK:
                outcome = append_part(heap, text, begin, found if found >= 0 else text.head.length, &built)
            heap.steps_max = STEPS_MAX
            begin = found + separator.head.length if found >= 0 else text.head.length
            start = begin
        if portion_is_over(heap):
            break
    if outcome == DEFER and start > arguments[4].integer:
        outcome = OK
    if outcome != OK:
        (<Value *> arguments)[0] = built
        return outcome
    parts[0] = built
    parts[1] = integer_value(begin)
    parts[2] = nil() if ends else integer_value(start)
    outcome = vector_of(heap, parts, 3, result)
    release(heap, built)
    return outcome


cdef Outcome primitive_case_some(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """The piece of a string from a place on in upper case, or else in lower: [piece place], place nil at the end.

    What a letter becomes may depend on its neighbours, so a piece ends at whitespace where there is any.
    """
    cdef Text *text
    cdef Value piece = nil()
    cdef Value changed = nil()
    cdef int64_t start = 0
    cdef int64_t end
    cdef int64_t cut
    cdef Outcome outcome = expect_place(heap, arguments[0], arguments[1], &start)
    if outcome != OK:
        return outcome
    text = string_of(arguments[0])
    end = piece_end(text, start)
    if end < text.head.length and text.char_count != text.head.length:
        cut = end
        while cut > start and text.bytes[cut - 1] != 32 and text.bytes[cut - 1] != 10:
            cut -= 1
        if cut > start:
            end = cut
    outcome = give_text(heap, STRING, <char *> text.bytes + start, end - start, &piece)
    if outcome == OK:
        heap.steps_max = STEPS_MAX_WHOLE
        outcome = change_case(heap, b"case", is_truthy(arguments[2]), piece, &changed)
        heap.steps_max = STEPS_MAX
        release(heap, piece)
    if outcome != OK:
        return outcome
    return give_two(heap, changed, place_or_nil(text, end), result)


# ---- printing, see print_value()

cdef Outcome push_print(Heap *heap, int64_t code, Value value, Value *stack) noexcept nogil:
    """Put a value (borrowed) on the stack, with what is to be done with it."""
    cdef Outcome outcome = push_cell(heap, value, stack)
    return push_cell(heap, integer_value(code), stack) if outcome == OK else outcome


cdef Outcome put_separator(Heap *heap, Buffer *buffer, int64_t separator) noexcept nogil:
    if separator == APART_SPACE:
        return put_bytes(heap, buffer, b" ", 1)
    return put_bytes(heap, buffer, b", ", 2) if separator == APART_COMMA else OK


cdef Outcome print_small(Heap *heap, Buffer *buffer, Value value, bint readable, uint32_t depth) noexcept nogil:
    """Print a value, or nothing: DEFER when it is not small."""
    cdef uint64_t steps_max = begin_small(heap)
    cdef size_t length = buffer.length
    cdef Outcome outcome = print_value(heap, buffer, value, readable, depth)
    end_small(heap, steps_max)
    if outcome == DEFER:
        buffer.length = length
    return outcome


cdef Outcome print_opened(
    Heap *heap, Buffer *buffer, Value value, bint readable, Value *stack, uint32_t *depth
) noexcept nogil:
    """Print the beginning of a value that is not small; the rest goes on the stack."""
    cdef Values *error = <Values *> bare(value).object
    cdef Value rest = nil()
    cdef Mark closer
    cdef Outcome outcome = OK
    value = bare(value)
    if value.tag == EMPTY or LIST <= value.tag <= SORTED_SET:
        outcome = seq_of(heap, value, SEQ_ITEMS, &rest)
        if outcome != OK:
            return whole(outcome)
        closer = closer_of(value)
        outcome = push_print(heap, PRINT_MARK, integer_value(closer), stack)
        if outcome == OK:
            outcome = put_words(heap, buffer, opener_of(value))
        if outcome == OK and rest.tag != NIL:
            outcome = push_print(heap, PRINT_FIRST + (PRINT_ENTRIES if is_map(value.tag) else PRINT_ITEMS), rest, stack)
        release(heap, rest)
        return outcome
    if value.tag == STRING:
        outcome = give_seq(heap, value, SEQ_ITEMS, 0, &rest)
        if outcome == OK and readable:
            outcome = put_bytes(heap, buffer, b'"', 1)
        if outcome == OK:
            outcome = push_print(heap, PRINT_QUOTED if readable else PRINT_PLAIN, rest, stack)
        release(heap, rest)
        return outcome
    if value.tag == BIG:
        return push_print(heap, PRINT_DIGITS, value, stack)
    if value.tag == RATIO:
        outcome = push_print(heap, APART_NOT, error.at[1], stack)
        if outcome == OK:
            outcome = push_print(heap, PRINT_MARK, integer_value(RATIO_LINE), stack)
        return push_print(heap, APART_NOT, error.at[0], stack) if outcome == OK else outcome
    if value.tag == ERROR and not is_error(value) and error.at[0].tag == ATOM:
        value = error.at[0]
        error = <Values *> value.object
    if value.tag == ERROR and not is_error(value):
        heap.steps_max = STEPS_MAX_WHOLE  # a long text
        outcome = put_opaque(heap, buffer, error)
        heap.steps_max = STEPS_MAX
        return outcome
    if value.tag == ERROR:
        outcome = put_words(heap, buffer, b"#error {:message ")
        if outcome == OK:
            outcome = push_print(heap, PRINT_MARK, integer_value(CLOSE_BRACE), stack)
        if outcome == OK and error.at[2].tag != NIL:
            outcome = push_print(heap, APART_NOT, error.at[2], stack)
            if outcome == OK:
                outcome = push_print(heap, PRINT_MARK, integer_value(ERROR_CAUSE), stack)
        if outcome == OK:
            outcome = push_print(heap, APART_NOT, error.at[1], stack)
        if outcome == OK:
            outcome = push_print(heap, PRINT_MARK, integer_value(ERROR_DATA), stack)
        return push_print(heap, APART_NOT, error.at[0], stack) if outcome == OK else outcome
    if value.tag == ATOM:
        if depth[0] >= ATOM_DEPTH_MAX:
            return put_words(heap, buffer, b"#atom[...]")
        depth[0] += 1
        outcome = put_words(heap, buffer, b"#atom[")
        if outcome == OK:
            outcome = push_print(heap, PRINT_MARK, integer_value(CLOSE_ATOM), stack)
        return push_print(heap, APART_NOT, error.at[0], stack) if outcome == OK else outcome
    heap.steps_max = STEPS_MAX_WHOLE  # a long name, or bytes
    outcome = put_simple(heap, buffer, value, readable)
    heap.steps_max = STEPS_MAX
    return FAILED if outcome == DEFER else outcome


cdef Outcome print_or_open(
    Heap *heap, Buffer *buffer, Value value, bint readable, Value *stack, uint32_t *depth
) noexcept nogil:
    cdef Outcome outcome = spend(heap, 2)
    if outcome == OK:
        outcome = print_small(heap, buffer, value, readable, depth[0])
    return print_opened(heap, buffer, value, readable, stack, depth) if outcome == DEFER else outcome


cdef Outcome print_rest(
    Heap *heap, Buffer *buffer, int64_t code, Value rest, bint readable, Value *stack, uint32_t depth
) noexcept nogil:
    """Print small items of a seq; at one that is not small it goes on the stack, and what follows below it."""
    cdef Cursor cursor
    cdef Cursor before
    cdef Value item = nil()
    cdef Value left = nil()
    cdef bint is_first = code > PRINT_FIRST
    cdef bint entries = code & ~PRINT_FIRST == PRINT_ENTRIES
    cdef uint32_t between = APART_COMMA if entries else APART_SPACE
    cdef uint32_t separator = APART_NOT if is_first else between
    cdef size_t length = 0
    cdef bint more = False
    cdef Outcome outcome = cursor_start(heap, &cursor, rest)
    while outcome == OK:
        before = cursor
        length = buffer.length
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        outcome = spend(heap, 4)
        if outcome == OK:
            outcome = put_separator(heap, buffer, separator)
        if outcome == OK and entries and cursor.pairs:
            outcome = print_small(heap, buffer, cursor.item, readable, depth)
            if outcome == OK:
                outcome = put_bytes(heap, buffer, b" ", 1)
            if outcome == OK:
                outcome = print_small(heap, buffer, cursor.value, readable, depth)
        elif outcome == OK:
            outcome = cursor_item(heap, &cursor, &item)
            if outcome == OK:
                outcome = print_small(heap, buffer, item, readable, depth)
                release(heap, item)
        if outcome == DEFER:
            break
        separator = between
        if outcome == OK and portion_is_over(heap):
            before = cursor
            break
    if outcome == OK and not more:
        return OK
    if outcome == DEFER:
        buffer.length = length
        if cursor_rest(heap, &cursor, &left) != OK:
            return NO_MEMORY
        outcome = push_print(heap, PRINT_ENTRIES if entries else PRINT_ITEMS, left, stack)
        if outcome == OK and entries and cursor.pairs:
            outcome = push_print(heap, APART_SPACE, cursor.value, stack)
            if outcome == OK:
                outcome = push_print(heap, separator, cursor.item, stack)
        elif outcome == OK:
            outcome = cursor_item(heap, &cursor, &item)
            if outcome == OK:
                outcome = push_print(heap, separator, item, stack)
                release(heap, item)
        release(heap, left)
        return outcome
    if outcome == OK or ((outcome == FORCE or outcome == FORCE_ALL) and before.steps > 0):
        if cursor_rest(heap, &before, &left) != OK:
            return NO_MEMORY
        if outcome != OK:
            buffer.length = length
        outcome = push_print(heap, PRINT_ENTRIES if entries else PRINT_ITEMS, left, stack)
        release(heap, left)
    return whole(outcome)


cdef Outcome print_text_rest(Heap *heap, Buffer *buffer, int64_t code, Value rest, Value *stack) noexcept nogil:
    """Print a piece of a long text."""
    cdef Seq *seq = <Seq *> rest.object
    cdef Text *text
    cdef Value left = nil()
    cdef int64_t end
    cdef Outcome outcome
    if rest.tag != SEQ or seq.source.tag != STRING:
        return fault_type(heap, b"portion", b"a seq of characters", rest)
    text = string_of(seq.source)
    end = piece_end(text, seq.index)
    outcome = spend(heap, <uint64_t> (end - seq.index) >> 2)
    if outcome == OK and code == PRINT_PLAIN:
        outcome = put_bytes(heap, buffer, text.bytes + seq.index, end - seq.index)
    elif outcome == OK:
        outcome = put_escaped(heap, buffer, text.bytes, <uint32_t> seq.index, <uint32_t> end)
        if outcome == OK and end == text.head.length:
            outcome = put_bytes(heap, buffer, b'"', 1)
    if outcome == OK and end < text.head.length:
        outcome = give_seq(heap, seq.source, SEQ_ITEMS, end, &left)
        if outcome == OK:
            outcome = push_print(heap, code, left, stack)
        release(heap, left)
    return outcome


cdef Outcome primitive_print_some(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Print a part of what is on a stack of (code value ...): stack, readable, atoms around. [piece stack atoms].

    It stops before an integer whose digits the library has to find.
    """
    cdef Buffer buffer
    cdef Value parts[3]
    cdef Value stack = arguments[0]
    cdef Value left
    cdef Value code
    cdef Value value
    cdef uint32_t depth = <uint32_t> arguments[2].integer
    cdef bint readable = is_truthy(arguments[1])
    cdef bint has_come = False
    cdef size_t length = 0
    cdef Outcome outcome = expect_stack(heap, stack, 2)
    if outcome == OK and (arguments[2].tag != INT or arguments[2].integer < 0):
        outcome = fault_type(heap, b"portion", b"a number", arguments[2])
    if outcome != OK:
        return outcome
    buffer_init(&buffer)
    while outcome == OK and stack.tag == LIST and stack.object.extra >= 2 and not portion_is_over(heap):
        left = stack
        length = buffer.length
        code = stack_item(&left)
        value = stack_item(&left)
        if code.tag != INT or code.integer == PRINT_DIGITS:
            break
        parts[0] = retained(left)  # becomes what is left to print
        if code.integer <= APART_COMMA:
            outcome = put_separator(heap, &buffer, code.integer)
            if outcome == OK:
                outcome = print_or_open(heap, &buffer, value, readable, &parts[0], &depth)
        elif code.integer == PRINT_MARK:
            if value.tag != INT or not 0 <= value.integer <= RATIO_LINE or (value.integer == CLOSE_ATOM and depth == 0):
                outcome = fault_type(heap, b"portion", b"a mark", value)
            else:
                depth -= value.integer == CLOSE_ATOM
                outcome = put_words(heap, &buffer, MARKS[<int> value.integer])
        elif code.integer == PRINT_QUOTED or code.integer == PRINT_PLAIN:
            outcome = print_text_rest(heap, &buffer, code.integer, value, &parts[0])
        else:
            outcome = print_rest(heap, &buffer, code.integer, value, readable, &parts[0], depth)
        if outcome != OK:
            release(heap, parts[0])
            buffer.length = length
            break
        if has_come:
            release(heap, stack)
        stack = parts[0]
        has_come = True
    if (outcome == DEFER or outcome == FORCE_ALL) and has_come:
        outcome = OK  # what was printed of the last one is printed again
    if not has_come:
        retain(stack)
    parts[1] = stack
    parts[2] = integer_value(depth)
    if outcome == OK:
        outcome = give_buffer(heap, &buffer, &parts[0])
        if outcome == OK:
            outcome = vector_of(heap, parts, 3, result)
            release(heap, parts[0])
    else:
        buffer_free(&buffer)
    release(heap, stack)
    return outcome


cdef Outcome primitive_join_some(Heap *heap, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Join texts of small items of a seq: separator, seq, whether one goes before the first. [piece left].

    The piece is nil when the first is not small, left is nil at the end.
    """
    cdef Buffer buffer
    cdef Cursor cursor
    cdef Cursor before
    cdef Value item = nil()
    cdef Value piece = nil()
    cdef Value rest = nil()
    cdef uint64_t steps_max
    cdef size_t length = 0
    cdef bint more = False
    cdef bint apart = is_truthy(arguments[2])
    cdef Outcome outcome = OK
    if arguments[0].tag != STRING:
        return fault_type(heap, b"join", b"a string", arguments[0])
    outcome = cursor_start(heap, &cursor, arguments[1])
    buffer_init(&buffer)
    while outcome == OK:
        before = cursor
        length = buffer.length
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        outcome = spend(heap, 8)
        if outcome == OK and apart:
            outcome = put_text(heap, &buffer, arguments[0].object)
        if outcome == OK:
            outcome = cursor_item(heap, &cursor, &item)
        if outcome == OK:
            steps_max = begin_small(heap)
            outcome = put_str(heap, &buffer, item)
            end_small(heap, steps_max)
            release(heap, item)
        apart = True
        if outcome == OK and portion_is_over(heap):
            before = cursor
            length = buffer.length
            break
    if outcome == DEFER or ((outcome == FORCE or outcome == FORCE_ALL) and before.steps > 0):
        buffer.length = length
        outcome = OK
        more = True
    if outcome == OK and more:
        outcome = cursor_rest(heap, &before, &rest)
    if outcome == OK and more and before.steps == 0:
        buffer_free(&buffer)
    elif outcome == OK:
        outcome = give_buffer(heap, &buffer, &piece)
    else:
        buffer_free(&buffer)
    if outcome != OK:
        release(heap, rest)
        return whole(outcome)
    return give_two(heap, piece, rest, result)
