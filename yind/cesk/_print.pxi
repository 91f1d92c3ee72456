# Values as text: EDN as Clojure's pr-str writes it, and Clojure's str.
#
# Is:     a growing buffer, the text of numbers, and the walk that prints values of any depth.
# Is not: the functions programs call (`_primitives_text.pxi`) nor a reader.
# Fits:   what has no EDN form is shown: #function[name], #continuation[], #atom[value], #error {:message ... :data ...}.
# Source: Clojure's print-method; Java's Double.toString for doubles: the shortest digits that read back the same.
#
# Nothing recurs: the parts of a collection go onto the heap's work stack in reverse order. A part's `spare` says what
# separates it from the part before; UNBOUND stands for punctuation. An unrealised seq ends the walk with FORCE_ALL.

from libc.stdlib cimport strtod

cdef enum:
    INLINE_BYTES = 256  # of a buffer before it allocates
    ATOM_DEPTH_MAX = 4  # atoms inside atoms: they can be circles
    DOUBLE_STEPS = 50  # its shortest digits are found by trying

cdef enum Separator:
    APART_NOT = 0
    APART_SPACE = 1
    APART_COMMA = 2

cdef enum Mark:  # punctuation on the work stack
    CLOSE_LIST = 0
    CLOSE_VECTOR = 1
    CLOSE_BRACE = 2
    OPEN_VECTOR = 3
    ERROR_DATA = 4
    ERROR_CAUSE = 5
    CLOSE_ATOM = 6
    AND_MORE = 7
    RATIO_LINE = 8

cdef const char *HEX = b"0123456789abcdef"
cdef const char *MARKS[9]
MARKS[:] = [b")", b"]", b"}", b"[", b", :data ", b", :cause ", b"]", b"...", b"/"]

cdef struct Buffer:
    char *bytes  # start, or owned when larger
    size_t length
    size_t capacity
    size_t enough  # bytes after which nothing more is needed, see glimpse(); 0: everything is
    char start[INLINE_BYTES]


cdef inline void buffer_init(Buffer *buffer) noexcept nogil:
    buffer.bytes = buffer.start
    buffer.length = 0
    buffer.capacity = INLINE_BYTES
    buffer.enough = 0


cdef inline void buffer_free(Buffer *buffer) noexcept nogil:
    if buffer.bytes != buffer.start:
        c_free(buffer.bytes)
    buffer.bytes = buffer.start


cdef Outcome buffer_room(Heap *heap, Buffer *buffer, size_t length) noexcept nogil:
    """Make room for more bytes, within the memory the agent may still use."""
    cdef size_t capacity = buffer.capacity
    cdef char *bytes
    if buffer.capacity - buffer.length >= length:
        return OK
    while capacity - buffer.length < length:
        capacity *= 2
    if heap.used > heap.max or buffer.length + length > heap.max - heap.used:
        return NO_MEMORY
    if buffer.bytes == buffer.start:
        bytes = <char *> c_malloc(capacity)
        if bytes != NULL:
            memcpy(bytes, buffer.start, buffer.length)
    else:
        bytes = <char *> c_realloc(buffer.bytes, capacity)
    if bytes == NULL:
        return NO_MEMORY
    buffer.bytes = bytes
    buffer.capacity = capacity
    return OK


cdef inline Outcome put_bytes(Heap *heap, Buffer *buffer, const void *bytes, size_t length) noexcept nogil:
    if unlikely(buffer.capacity - buffer.length < length) and buffer_room(heap, buffer, length) != OK:
        return NO_MEMORY
    memcpy(buffer.bytes + buffer.length, bytes, length)
    buffer.length += length
    return OK


cdef inline Outcome put_words(Heap *heap, Buffer *buffer, const char *words) noexcept nogil:
    return put_bytes(heap, buffer, words, strlen(words))


cdef inline Outcome put_text(Heap *heap, Buffer *buffer, Object *text) noexcept nogil:
    """Add the bytes of a STRING, KEYWORD or SYMBOL."""
    if spend_bytes(heap, text.length) != OK:
        return DEFER
    return put_bytes(heap, buffer, (<Text *> text).bytes, text.length)


cdef Outcome give_buffer(Heap *heap, Buffer *buffer, Value *result) noexcept nogil:
    """Set result to the string in a buffer, and free the buffer."""
    cdef Outcome outcome
    outcome = give_text(heap, STRING, buffer.bytes, buffer.length, result)
    buffer_free(buffer)
    return outcome


cdef uint32_t encode_char(uint32_t point, char *utf8) noexcept nogil:
    """Write a code point as utf-8 and return its length, up to 4 bytes."""
    cdef uint8_t *bytes = <uint8_t *> utf8
    if point < 0x80:
        bytes[0] = <uint8_t> point
        return 1
    if point < 0x800:
        bytes[0] = <uint8_t> (0xC0 | (point >> 6))
        bytes[1] = <uint8_t> (0x80 | (point & 0x3F))
        return 2
    if point < 0x10000:
        bytes[0] = <uint8_t> (0xE0 | (point >> 12))
        bytes[1] = <uint8_t> (0x80 | ((point >> 6) & 0x3F))
        bytes[2] = <uint8_t> (0x80 | (point & 0x3F))
        return 3
    bytes[0] = <uint8_t> (0xF0 | (point >> 18))
    bytes[1] = <uint8_t> (0x80 | ((point >> 12) & 0x3F))
    bytes[2] = <uint8_t> (0x80 | ((point >> 6) & 0x3F))
    bytes[3] = <uint8_t> (0x80 | (point & 0x3F))
    return 4


# ---- numbers

cdef Outcome put_integer(Heap *heap, Buffer *buffer, int64_t integer) noexcept nogil:
    cdef char digits[24]
    cdef int at = 24
    cdef uint64_t left = <uint64_t> integer
    if integer < 0:
        left = -left
    while True:
        at -= 1
        digits[at] = <char> (48 + left % 10)
        left = left // 10
        if left == 0:
            break
    if integer < 0:
        at -= 1
        digits[at] = 45  # minus
    return put_bytes(heap, buffer, digits + at, 24 - at)


cdef Outcome put_big(Heap *heap, Buffer *buffer, Text *big) noexcept nogil:
    """Add the decimal digits of a BIG: divide by a thousand million again and again. Cost: square of its length."""
    cdef size_t limb_count = (big.head.length + 3) // 4
    cdef size_t i
    cdef size_t chunk_count = 0
    cdef uint64_t left
    cdef uint32_t *limbs
    cdef uint32_t *chunks
    cdef char digits[16]
    cdef Outcome outcome = OK
    outcome = spend(heap, BIG_STEPS + (<uint64_t> big.head.length * big.head.length >> BIG_SHIFT))
    if outcome != OK:
        return outcome
    limbs = <uint32_t *> c_malloc(limb_count * 4 * 3)  # the chunks of 30 bits need at most 16/15 of the space, and one
    if limbs == NULL:
        return NO_MEMORY
    chunks = limbs + limb_count
    limbs[limb_count - 1] = 0
    memcpy(limbs, big.bytes, big.head.length)
    while limb_count > 0:
        left = 0
        for i in range(limb_count, 0, -1):
            left = (left << 32) | limbs[i - 1]
            limbs[i - 1] = <uint32_t> (left // 1000000000)
            left = left % 1000000000
        chunks[chunk_count] = <uint32_t> left
        chunk_count += 1
        while limb_count > 0 and limbs[limb_count - 1] == 0:
            limb_count -= 1
    if big.char_count:
        outcome = put_bytes(heap, buffer, b"-", 1)
    for i in range(chunk_count, 0, -1):
        if outcome != OK:
            break
        snprintf(digits, sizeof(digits), b"%u" if i == chunk_count else b"%09u", <unsigned int> chunks[i - 1])
        outcome = put_words(heap, buffer, digits)
    c_free(limbs)
    return outcome


cdef int shortest_digits(double real, char *text) noexcept nogil:
    """Write the shortest form d.ddde+xx that reads back as the same positive finite double.

    15 digits are exact for every normal double that has so short a form. For longer ones the nearest decimal of 16 digits
    reads back the same if any does, except at powers of two, whose neighbours are not equally far: there the next
    decimal is tried too. Doubles below the normal range are tried from two digits on, as Java does.
    """
    cdef int precision = 14 if real >= 2.2250738585072014e-308 else 1
    cdef int at
    while precision < 17:
        snprintf(text, 40, b"%.*e", precision, real)
        if strtod(text, NULL) == real:
            return precision
        if precision == 15:
            at = 16  # d.ddddddddddddddd: one more in the last place
            if text[at] < 57:
                text[at] += 1
                if strtod(text, NULL) == real:
                    return precision
        precision += 1
    return 17


cdef Outcome put_double(Heap *heap, Buffer *buffer, double real) noexcept nogil:
    """Add a finite double as Java writes it: 1.0, 0.001, 1.0E10."""
    cdef char text[48]
    cdef char digits[24]
    cdef char ending[16]
    cdef int count = 0
    cdef int exponent
    cdef int i
    cdef Outcome outcome = OK
    if real < 0 or (real == 0 and 1 / real < 0):
        outcome = put_bytes(heap, buffer, b"-", 1)
        real = -real
    if outcome != OK:
        return outcome
    if real < 1e7 and real == trunc(real):
        outcome = put_integer(heap, buffer, <int64_t> real)
        return put_bytes(heap, buffer, b".0", 2) if outcome == OK else outcome
    outcome = spend(heap, DOUBLE_STEPS)
    if outcome != OK:
        return outcome
    shortest_digits(real, text)
    i = 0
    while text[i] != 101:  # e
        if 48 <= text[i] <= 57 and count < 24:
            digits[count] = text[i]
            count += 1
        i += 1
    exponent = <int> strtod(text + i + 1, NULL)
    while count > 1 and digits[count - 1] == 48:
        count -= 1
    if -3 <= exponent < 0:
        outcome = put_bytes(heap, buffer, b"0.000", 1 - exponent)
        return put_bytes(heap, buffer, digits, count) if outcome == OK else outcome
    ending[0] = 0
    if exponent < -3 or exponent >= 7:
        snprintf(ending, sizeof(ending), b"E%d", exponent)
        exponent = 0
    while count < exponent + 2:
        digits[count] = 48
        count += 1
    outcome = put_bytes(heap, buffer, digits, exponent + 1)
    if outcome == OK:
        outcome = put_bytes(heap, buffer, b".", 1)
    if outcome == OK:
        outcome = put_bytes(heap, buffer, digits + exponent + 1, count - exponent - 1)
    if outcome == OK:
        outcome = put_words(heap, buffer, ending)
    return outcome


cdef Outcome put_decimal(Heap *heap, Buffer *buffer, Value number) noexcept nogil:
    """Add a DECIMAL, without the M."""
    if spend(heap, number_steps(ADD, number, number)) != OK:
        return DEFER
    with gil:
        return put_python_text(heap, buffer, _decimals.write(python_number(number)).encode())


cdef Outcome put_python_text(Heap *heap, Buffer *buffer, bytes text):
    return put_bytes(heap, buffer, <const char *> text, len(text))


cdef Outcome put_number(Heap *heap, Buffer *buffer, Value number) noexcept nogil:
    """Add an INT, BIG or RATIO, or a finite DOUBLE."""
    cdef Outcome outcome
    if number.tag == INT:
        return put_integer(heap, buffer, number.integer)
    if number.tag == DOUBLE:
        return put_double(heap, buffer, number.real)
    if number.tag == BIG:
        return put_big(heap, buffer, <Text *> number.object)
    if number.tag == DECIMAL:
        outcome = put_decimal(heap, buffer, number)
        return put_bytes(heap, buffer, b"M", 1) if outcome == OK else outcome
    outcome = put_number(heap, buffer, (<Values *> number.object).at[0])
    if outcome == OK:
        outcome = put_bytes(heap, buffer, b"/", 1)
    if outcome == OK:
        outcome = put_number(heap, buffer, (<Values *> number.object).at[1])
    return outcome


# ---- simple values

cdef inline const char *escape_of(uint8_t byte) noexcept nogil:
    """Return how a byte is written in a readable string, NULL for as it is."""
    if byte == 34:
        return b'\\"'
    if byte == 92:
        return b"\\\\"
    if byte == 10:
        return b"\\n"
    if byte == 9:
        return b"\\t"
    if byte == 13:
        return b"\\r"
    if byte == 12:
        return b"\\f"
    if byte == 8:
        return b"\\b"
    return NULL


cdef Outcome put_quoted(Heap *heap, Buffer *buffer, Object *text) noexcept nogil:
    """Add a string in quotes, with escapes."""
    cdef Outcome outcome = spend(heap, text.length >> 2)
    if outcome == OK:
        outcome = put_bytes(heap, buffer, b'"', 1)
    if outcome == OK:
        outcome = put_escaped(heap, buffer, (<Text *> text).bytes, 0, text.length)
    return put_bytes(heap, buffer, b'"', 1) if outcome == OK else outcome


cdef Outcome put_escaped(
    Heap *heap, Buffer *buffer, const uint8_t *bytes, uint32_t start, uint32_t end
) noexcept nogil:
    """Add bytes of a string from one to another, with escapes."""
    cdef uint32_t i
    cdef const char *escape
    cdef Outcome outcome = OK
    for i in range(start, end):
        if bytes[i] > 34 and bytes[i] != 92:
            continue
        escape = escape_of(bytes[i])
        if escape != NULL and outcome == OK:
            outcome = put_bytes(heap, buffer, bytes + start, i - start)
            if outcome == OK:
                outcome = put_bytes(heap, buffer, escape, 2)
            start = i + 1
    return put_bytes(heap, buffer, bytes + start, end - start) if outcome == OK else outcome


cdef const char *char_name(int64_t point) noexcept nogil:
    """Return the name of a character that has one, else NULL."""
    if point == 32:
        return b"space"
    if point == 10:
        return b"newline"
    if point == 9:
        return b"tab"
    if point == 13:
        return b"return"
    if point == 12:
        return b"formfeed"
    if point == 8:
        return b"backspace"
    return NULL


cdef Outcome put_char(Heap *heap, Buffer *buffer, int64_t point, bint readable) noexcept nogil:
    cdef char utf8[4]
    cdef const char *name = NULL
    if readable:
        if put_bytes(heap, buffer, b"\\", 1) != OK:
            return NO_MEMORY
        name = char_name(point)
    if name != NULL:
        return put_words(heap, buffer, name)
    return put_bytes(heap, buffer, utf8, encode_char(<uint32_t> point, utf8))


cdef Outcome put_hex(Heap *heap, Buffer *buffer, Text *text, bint dashes) noexcept nogil:
    """Add bytes as hexadecimal digits, with the dashes of a uuid."""
    cdef char digits[2]
    cdef uint32_t i
    cdef Outcome outcome = spend(heap, <uint64_t> text.head.length >> 1)
    for i in range(text.head.length):
        if outcome != OK:
            break
        if dashes and (i == 4 or i == 6 or i == 8 or i == 10):
            outcome = put_bytes(heap, buffer, b"-", 1)
        digits[0] = HEX[text.bytes[i] >> 4]
        digits[1] = HEX[text.bytes[i] & 15]
        if outcome == OK:
            outcome = put_bytes(heap, buffer, digits, 2)
        if outcome != OK:
            break
    return outcome


cdef Outcome put_instant(Heap *heap, Buffer *buffer, int64_t instant) noexcept nogil:
    """Add microseconds since 1970 as 2026-01-31T12:00:00.000-00:00.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (civil_from_days).
    """
    cdef char text[64]
    cdef int64_t in_day = instant % 86400000000LL
    cdef int64_t days = instant // 86400000000LL  # rounds towards zero here
    cdef int64_t era
    cdef int64_t day_of_era
    cdef int64_t year_of_era
    cdef int64_t day_of_year
    cdef int64_t month
    if in_day < 0:
        in_day += 86400000000LL
        days -= 1
    days += 719468
    era = (days if days >= 0 else days - 146096) // 146097
    day_of_era = days - era * 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153
    snprintf(
        text, sizeof(text), b"%04lld-%02lld-%02lldT%02lld:%02lld:%02lld.%03lld-00:00",
        <long long> (year_of_era + era * 400 + (1 if month >= 10 else 0)),
        <long long> (month - 9 if month >= 10 else month + 3),
        <long long> (day_of_year - (153 * month + 2) // 5 + 1),
        <long long> (in_day // 3600000000LL),
        <long long> (in_day // 60000000 % 60),
        <long long> (in_day // 1000000 % 60),
        <long long> (in_day // 1000 % 1000),
    )
    return put_words(heap, buffer, text)


cdef Outcome put_tagged(Heap *heap, Buffer *buffer, Value value) noexcept nogil:
    """Add an instant, uuid or bytes with its tag."""
    cdef Outcome outcome
    if value.tag == INSTANT:
        outcome = put_words(heap, buffer, b'#inst "')
    elif value.tag == UUID:
        outcome = put_words(heap, buffer, b'#uuid "')
    else:
        outcome = put_words(heap, buffer, b'#bytes "')
    if outcome == OK:
        outcome = put_untagged(heap, buffer, value)
    return put_bytes(heap, buffer, b'"', 1) if outcome == OK else outcome


cdef Outcome put_untagged(Heap *heap, Buffer *buffer, Value value) noexcept nogil:
    if value.tag == INSTANT:
        return put_instant(heap, buffer, value.integer)
    return put_hex(heap, buffer, <Text *> value.object, value.tag == UUID)


cdef Outcome put_function(Heap *heap, Buffer *buffer, Value function) noexcept nogil:
    cdef Text *name = NULL
    cdef Outcome outcome
    if function.tag == CONTINUATION:
        return put_words(heap, buffer, b"#continuation[]")
    if function.tag == CLOSURE:
        name = (<Closure *> function.object).function.name
    outcome = put_words(heap, buffer, b"#function[")
    if outcome != OK:
        return outcome
    if name != NULL:
        outcome = put_text(heap, buffer, &name.head)
    elif function.tag == PRIMITIVE and 0 <= function.integer < PRIMITIVE_TABLE_SIZE:
        outcome = put_words(heap, buffer, PRIMITIVE_TABLE[<int> function.integer].name)
    else:
        outcome = put_words(heap, buffer, b"fn")
    return put_bytes(heap, buffer, b"]", 1) if outcome == OK else outcome


cdef Outcome put_beginning(Heap *heap, Buffer *buffer, Value value) noexcept nogil:
    """Add the beginning of a text that is longer than what is wanted; of other bytes only what they are."""
    cdef char size[32]
    cdef size_t length = buffer.enough
    cdef uint8_t *bytes = (<Text *> value.object).bytes
    cdef Outcome outcome
    if value.tag <= SYMBOL:
        while length > 0 and bytes[length] & 0xC0 == 0x80:
            length -= 1
        outcome = put_words(heap, buffer, b'"' if value.tag == STRING else b":" if value.tag == KEYWORD else b"")
        return put_bytes(heap, buffer, bytes, length) if outcome == OK else outcome
    snprintf(size, sizeof(size), b"#<%u bytes>", value.object.length)
    return put_words(heap, buffer, size)


cdef Outcome put_simple(Heap *heap, Buffer *buffer, Value value, bint readable) noexcept nogil:
    """Add a value that has no parts."""
    cdef uint32_t tag = value.tag
    if unlikely(buffer.enough and STRING <= tag <= BIG and value.object.length > buffer.enough):
        return put_beginning(heap, buffer, value)
    if tag == STRING:
        return put_quoted(heap, buffer, value.object) if readable else put_text(heap, buffer, value.object)
    if tag == DOUBLE and not isfinite(value.real):
        if isnan(value.real):
            return put_words(heap, buffer, b"##NaN")
        return put_words(heap, buffer, b"##Inf" if value.real > 0 else b"##-Inf")
    if is_number(value):
        return put_number(heap, buffer, value)
    if tag == KEYWORD or tag == SYMBOL:
        if tag == KEYWORD and put_bytes(heap, buffer, b":", 1) != OK:
            return NO_MEMORY
        return put_text(heap, buffer, value.object)
    if tag == CHAR:
        return put_char(heap, buffer, value.integer, readable)
    if tag == NIL or tag == FALSE or tag == TRUE:
        return put_words(heap, buffer, b"nil" if tag == NIL else b"false" if tag == FALSE else b"true")
    if tag == INSTANT or tag == UUID or tag == BYTES:
        return put_tagged(heap, buffer, value)
    if tag == EMPTY:
        return put_words(heap, buffer, b"()")
    return put_function(heap, buffer, value)


# ---- collections

cdef inline Outcome push_part(Heap *heap, Value value, uint32_t separator) noexcept nogil:
    value.spare = separator
    return push_work(heap, value)


cdef inline Outcome push_mark(Heap *heap, Mark mark, uint32_t separator) noexcept nogil:
    return push_part(heap, immediate(UNBOUND, mark), separator)


cdef void reverse_work(Heap *heap, size_t start) noexcept nogil:
    """Turn round what is on the work stack from `start` on."""
    cdef size_t end = heap.work_count
    cdef Value swapped
    while end > start + 1:
        end -= 1
        swapped = heap.work[start]
        heap.work[start] = heap.work[end]
        heap.work[end] = swapped
        start += 1


cdef Outcome push_entry(Heap *heap, Cursor *cursor, uint32_t separator) noexcept nogil:
    """Push an entry of a map as the vector it is."""
    cdef Outcome outcome = push_mark(heap, OPEN_VECTOR, separator)
    if outcome == OK:
        outcome = push_part(heap, cursor.item, APART_NOT)
    if outcome == OK:
        outcome = push_part(heap, cursor.value, APART_SPACE)
    if outcome == OK:
        outcome = push_mark(heap, CLOSE_VECTOR, APART_NOT)
    return outcome


cdef Outcome push_items(Heap *heap, Value value, int64_t most) noexcept nogil:
    """Push the items of a collection with their separators, in order.

    With a bound on their number, what is beyond it, or would have to be realised first, is shown as dots.
    """
    cdef Cursor cursor
    cdef uint32_t separator = APART_NOT
    cdef bint more = False
    cdef Outcome outcome = cursor_start(heap, &cursor, value)
    while outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        if most and cursor.steps > most:
            outcome = FORCE
            break
        outcome = spend(heap, 12 if cursor.pairs else 6)
        if outcome != OK:
            break
        if is_map(value.tag):
            outcome = push_part(heap, cursor.item, separator)
            if outcome == OK:
                outcome = push_part(heap, cursor.value, APART_SPACE)
            separator = APART_COMMA
            continue
        if cursor.pairs:
            outcome = push_entry(heap, &cursor, separator)
        else:
            outcome = push_part(heap, cursor.item, separator)
        separator = APART_SPACE
    if most and outcome == FORCE:
        return push_mark(heap, AND_MORE, separator)
    return outcome


cdef const char *opener_of(Value value) noexcept nogil:
    """Return what stands before the items of a collection."""
    if value.tag == VECTOR:
        return b"["
    return b"{" if is_map(value.tag) else b"#{" if is_set(value.tag) else b"("


cdef Mark closer_of(Value value) noexcept nogil:
    """Return what stands behind them."""
    if value.tag == VECTOR:
        return CLOSE_VECTOR
    return CLOSE_BRACE if MAP <= value.tag <= SORTED_SET else CLOSE_LIST


cdef Outcome open_collection(Heap *heap, Buffer *buffer, Value value) noexcept nogil:
    """Add what opens a collection and push its parts and what closes it."""
    cdef size_t start = heap.work_count
    cdef Outcome outcome = put_words(heap, buffer, opener_of(value))
    if outcome == OK:
        outcome = push_items(heap, value, <int64_t> buffer.enough)
    if outcome == OK:
        outcome = push_mark(heap, closer_of(value), APART_NOT)
    reverse_work(heap, start)
    return outcome


cdef Outcome open_error(Heap *heap, Buffer *buffer, Values *error) noexcept nogil:
    cdef size_t start = heap.work_count
    cdef Outcome outcome = put_words(heap, buffer, b"#error {:message ")
    if outcome == OK:
        outcome = push_part(heap, error.at[0], APART_NOT)
    if outcome == OK:
        outcome = push_mark(heap, ERROR_DATA, APART_NOT)
    if outcome == OK:
        outcome = push_part(heap, error.at[1], APART_NOT)
    if outcome == OK and error.at[2].tag != NIL:
        outcome = push_mark(heap, ERROR_CAUSE, APART_NOT)
        if outcome == OK:
            outcome = push_part(heap, error.at[2], APART_NOT)
    if outcome == OK:
        outcome = push_mark(heap, CLOSE_BRACE, APART_NOT)
    reverse_work(heap, start)
    return outcome


cdef Outcome put_opaque(Heap *heap, Buffer *buffer, Values *opaque) noexcept nogil:
    """Add a pattern as it is read, another opaque value as #kind[text]."""
    cdef Text *kind = <Text *> opaque.at[1].object
    cdef bint is_pattern = kind.head.length == 16 and memcmp(kind.bytes, b"yin.core/pattern", 16) == 0
    cdef uint32_t start = namespace_length(&kind.head)
    cdef Outcome outcome = put_words(heap, buffer, b'#"' if is_pattern else b"#")
    if outcome == OK and not is_pattern:
        start = start + 1 if start else 0
        outcome = put_bytes(heap, buffer, kind.bytes + start, kind.head.length - start)
        if outcome == OK:
            outcome = put_words(heap, buffer, b"[")
    if outcome == OK and opaque.at[0].tag == STRING:
        outcome = put_text(heap, buffer, opaque.at[0].object)
    return put_words(heap, buffer, b'"' if is_pattern else b"]") if outcome == OK else outcome


cdef Outcome open_atom(Heap *heap, Buffer *buffer, Values *cell, uint32_t *depth) noexcept nogil:
    if depth[0] >= ATOM_DEPTH_MAX:
        return put_words(heap, buffer, b"#atom[...]")
    depth[0] += 1
    if put_words(heap, buffer, b"#atom[") != OK or push_mark(heap, CLOSE_ATOM, APART_NOT) != OK:
        return NO_MEMORY
    return push_part(heap, cell.at[0], APART_NOT)


cdef Outcome print_part(Heap *heap, Buffer *buffer, Value value, bint readable, uint32_t *depth) noexcept nogil:
    """Add a separator and a value without parts, or the beginning of one with parts, which are pushed."""
    if value.spare == APART_SPACE:
        if put_bytes(heap, buffer, b" ", 1) != OK:
            return NO_MEMORY
    elif value.spare == APART_COMMA:
        if put_bytes(heap, buffer, b", ", 2) != OK:
            return NO_MEMORY
    value.spare = 0
    if value.tag == UNBOUND:
        if value.integer == CLOSE_ATOM:
            depth[0] -= 1
        return put_words(heap, buffer, MARKS[<int> value.integer])
    value = bare(value)
    if LIST <= value.tag <= SORTED_SET:
        return open_collection(heap, buffer, value)
    if value.tag == ERROR:
        if is_error(value):
            return open_error(heap, buffer, <Values *> value.object)
        if (<Values *> value.object).at[0].tag != ATOM:
            return put_opaque(heap, buffer, <Values *> value.object)
        value = (<Values *> value.object).at[0]
    if value.tag == ATOM:
        return open_atom(heap, buffer, <Values *> value.object, depth)
    return put_simple(heap, buffer, value, readable)


cdef Outcome print_value(Heap *heap, Buffer *buffer, Value value, bint readable, uint32_t depth) noexcept nogil:
    """Add a value as EDN; not readable: strings and characters as they are. FORCE_ALL at an unrealised lazy seq.

    It is inside of so many atoms.
    """
    cdef size_t bottom = heap.work_count
    cdef Outcome outcome
    value.spare = APART_NOT
    while True:
        outcome = print_part(heap, buffer, value, readable, &depth)
        if outcome != OK or heap.work_count == bottom:
            break
        value = pop_work(heap)
    heap.work_count = bottom
    return whole(outcome)


cdef Outcome glimpse(Heap *heap, Buffer *buffer, Value value, size_t enough) noexcept nogil:
    """Add the beginning of a value's text: at least `enough` bytes of it or all, for work in proportion to that.

    Cost: a collection gives no more items than bytes are wanted; nothing is realised.
    """
    cdef size_t bottom = heap.work_count
    cdef uint32_t depth = 0
    cdef Outcome outcome
    value.spare = APART_NOT
    buffer.enough = enough
    while True:
        outcome = print_part(heap, buffer, value, True, &depth)
        if outcome != OK or heap.work_count == bottom or buffer.length > enough:
            break
        value = pop_work(heap)
    heap.work_count = bottom
    return outcome


cdef Outcome put_str(Heap *heap, Buffer *buffer, Value value) noexcept nogil:
    """Add a value as Clojure's str has it: nothing for nil, strings and characters as they are, else as EDN."""
    value = bare(value)
    if value.tag == NIL:
        return OK
    if value.tag == STRING:
        return put_text(heap, buffer, value.object)
    if value.tag == CHAR:
        return put_char(heap, buffer, value.integer, False)
    if value.tag == DECIMAL:
        return put_decimal(heap, buffer, value)
    if value.tag == DOUBLE and not isfinite(value.real):
        if isnan(value.real):
            return put_words(heap, buffer, b"NaN")
        return put_words(heap, buffer, b"Infinity" if value.real > 0 else b"-Infinity")
    if value.tag == INSTANT or value.tag == UUID:
        return put_untagged(heap, buffer, value)
    if value.tag == ERROR and not is_error(value) and (<Values *> value.object).at[0].tag == STRING:
        return put_text(heap, buffer, (<Values *> value.object).at[0].object)
    return print_value(heap, buffer, value, True, 0)
