# Foreign bytes to tokens, fields and objects without parts.
#
# Is:     a strict reader of canonical msgpack, the table of objects, and the fields that records are made of.
# Is not: records (`_image_records.pxi`).
# Fits:   works without the GIL; every `read_*` is False when the image is refused, with the first problem noted.
#
# Sizes are compared with the bytes that are left before anything is allocated, and all objects count against the memory
# of the agent. When an image is refused the heap is dropped as a whole, so objects may be left half filled.

cdef enum TokenKind:
    TOKEN_NIL = 0
    TOKEN_FALSE = 1
    TOKEN_TRUE = 2
    TOKEN_INTEGER = 3
    TOKEN_REAL = 4
    TOKEN_STRING = 5
    TOKEN_BIN = 6
    TOKEN_ARRAY = 7
    TOKEN_EXT = 8

cdef struct Token:
    uint32_t kind
    uint32_t ext  # type of an ext
    int64_t integer
    double real
    const uint8_t *bytes
    uint32_t length  # of bytes, or of an array

cdef struct Entry:  # what the reader knows about an object
    Object *object
    int64_t size  # VECTOR_LEAF, VECTOR_NODE: items; MAP_*: pairs or entries; SORTED_*: entries
    uint32_t level  # VECTOR_NODE, MAP_NODE, SORTED_NODE: above the leaves
    uint32_t flags
    uint64_t sum  # see `check_maps`
    uint64_t weighted
    uint32_t most  # MAP_INDEX, MAP_PAGE: the greatest position; MAP, SET: the number of the root
    uint32_t hash  # MAP_INDEX of level 8: what will be `extra`; MAP, SET: the number of the index

cdef enum EntryFlag:
    WAITING = 1  # of a FRAME: it may be returned into
    VALUES_NIL = 2  # of a MAP_* or SORTED_*: may be a set's
    ALONE = 4  # of a MAP_ARRAY: a map without an index has it
    INDEXED = 8  # of a MAP_ARRAY: a map with an index has it
    FILLED = 16  # of a MAP_INDEX, MAP_PAGE: the hashes are known

cdef struct Reader:
    const uint8_t *at
    const uint8_t *end
    State *state
    Entry *entries  # owned
    uint32_t count  # objects so far
    uint32_t capacity  # objects the image announces
    uint32_t next_cell  # the cells before are filled
    uint32_t number  # of the object referred to last
    uint32_t tokens  # read so far
    int64_t leaf_items  # of all VECTOR_LEAF
    int64_t leaf_entries  # of all SORTED_LEAF
    const char *problem

cdef enum:
    BLOCK_MIN = 32  # bytes of the smallest object
    VECTOR_LEVEL_MAX = 6
    NODE_LEVEL_MAX = 6
    TEXT_BYTES_MAX = 0x7FFFFFFF


cdef bint refuse(Reader *reader, const char *problem) noexcept nogil:
    """Note why the image is refused; always False."""
    if reader.problem == NULL:
        reader.problem = problem
    return False


cdef inline uint64_t hash_weight(uint32_t hashed) noexcept nogil:
    """Return a number to sum up for a hash."""
    cdef uint64_t weight = (hashed + 0x9E3779B97F4A7C15ULL) * 0xFF51AFD7ED558CCDULL
    return (weight ^ weight >> 32) * 0xC4CEB9FE1A85EC53ULL


cdef inline bint out_of_memory(Reader *reader) noexcept nogil:
    return refuse(reader, b"the agent needs more memory than it may use here")


# ---- msgpack, the shortest form only

cdef inline size_t bytes_left(Reader *reader) noexcept nogil:
    return <size_t> (reader.end - reader.at)


cdef bint read_big_endian(Reader *reader, uint32_t size, uint64_t *number) noexcept nogil:
    cdef uint32_t i
    if bytes_left(reader) < size:
        return refuse(reader, b"the image ends early")
    number[0] = 0
    for i in range(size):
        number[0] = number[0] << 8 | reader.at[i]
    reader.at += size
    return True


cdef bint read_length(Reader *reader, uint32_t size, uint32_t least, Token *token) noexcept nogil:
    """Read a length of `size` bytes that would not have fitted a shorter form."""
    cdef uint64_t length = 0
    if not read_big_endian(reader, size, &length):
        return False
    if length < least or (size == 2 and length < 1 << 8 and least != 16) or (size == 4 and length < 1 << 16):
        return refuse(reader, b"a length is not in its shortest form")
    token.length = <uint32_t> length
    return True


cdef bint read_content(Reader *reader, Token *token) noexcept nogil:
    if bytes_left(reader) < token.length:
        return refuse(reader, b"the image ends early")
    token.bytes = reader.at
    reader.at += token.length
    return True


cdef bint read_ext(Reader *reader, uint8_t first, Token *token) noexcept nogil:
    cdef uint64_t kind = 0
    token.kind = TOKEN_EXT
    if first >= 0xD4:
        token.length = <uint32_t> 1 << (first - 0xD4)
    elif not read_length(reader, <uint32_t> 1 << (first - 0xC7), 0, token):
        return False
    elif token.length == 1 or token.length == 2 or token.length == 4 or token.length == 8 or token.length == 16:
        return refuse(reader, b"a length is not in its shortest form")
    if not read_big_endian(reader, 1, &kind):
        return False
    token.ext = <uint32_t> kind
    return read_content(reader, token)


cdef bint read_unsigned(Reader *reader, uint32_t size, Token *token) noexcept nogil:
    cdef uint64_t number = 0
    if not read_big_endian(reader, size, &number):
        return False
    if number < (128 if size == 1 else <uint64_t> 1 << (4 * size)) or number > <uint64_t> GREATEST_INTEGER:
        return refuse(reader, b"an integer is not in its shortest form")
    token.integer = <int64_t> number
    return True


cdef bint read_signed(Reader *reader, uint32_t size, Token *token) noexcept nogil:
    cdef uint64_t number = 0
    cdef uint32_t unused = 64 - 8 * size
    if not read_big_endian(reader, size, &number):
        return False
    token.integer = <int64_t> (number << unused) >> unused
    if token.integer >= (-32 if size == 1 else -(<int64_t> 1 << (4 * size - 1))):
        return refuse(reader, b"an integer is not in its shortest form")
    return True


cdef bint read_real(Reader *reader, Token *token) noexcept nogil:
    cdef uint64_t bits = 0
    token.kind = TOKEN_REAL
    if not read_big_endian(reader, 8, &bits):
        return False
    memcpy(&token.real, &bits, 8)
    if isnan(token.real) and bits != CANONICAL_NAN:
        return refuse(reader, b"a double that is not a number is not the canonical one")
    return True


cdef bint read_token(Reader *reader, Token *token) noexcept nogil:
    """Read one msgpack value, or the head of an array."""
    cdef uint8_t first
    if reader.at == reader.end:
        return refuse(reader, b"the image ends early")
    first = reader.at[0]
    reader.at += 1
    reader.tokens += 1
    token.kind = TOKEN_INTEGER
    if first < 0x80 or first >= 0xE0:
        token.integer = <int64_t> <signed char> first
        return True
    if 0xCC <= first <= 0xCF:
        return read_unsigned(reader, <uint32_t> 1 << (first - 0xCC), token)
    if 0xD0 <= first <= 0xD3:
        return read_signed(reader, <uint32_t> 1 << (first - 0xD0), token)
    if first == 0xC0 or first == 0xC2 or first == 0xC3:
        token.kind = TOKEN_NIL if first == 0xC0 else TOKEN_FALSE if first == 0xC2 else TOKEN_TRUE
        return True
    if first == 0xCB:
        return read_real(reader, token)
    if 0xC7 <= first <= 0xC9 or 0xD4 <= first <= 0xD8:
        return read_ext(reader, first, token)
    if 0x90 <= first < 0xA0 or first == 0xDC or first == 0xDD:
        token.kind = TOKEN_ARRAY
        token.length = first & 0x0F
        return first < 0xA0 or read_length(reader, <uint32_t> 2 << (first - 0xDC), 16, token)
    if 0xA0 <= first < 0xC0 or 0xD9 <= first <= 0xDB:
        token.kind = TOKEN_STRING
        token.length = first & 0x1F
        if first >= 0xD9 and not read_length(reader, <uint32_t> 1 << (first - 0xD9), 32, token):
            return False
        return read_content(reader, token)
    if 0xC4 <= first <= 0xC6:
        token.kind = TOKEN_BIN
        return read_length(reader, <uint32_t> 1 << (first - 0xC4), 0, token) and read_content(reader, token)
    return refuse(reader, b"a byte that begins nothing an image has")


cdef bint read_number(Reader *reader, int64_t least, int64_t most, int64_t *number) noexcept nogil:
    """Read an integer within bounds."""
    cdef Token token
    if not read_token(reader, &token):
        return False
    if token.kind != TOKEN_INTEGER or not least <= token.integer <= most:
        return refuse(reader, b"a number is missing or out of range")
    number[0] = token.integer
    return True


cdef bint read_array(Reader *reader, uint32_t least, uint32_t most, uint32_t *length) noexcept nogil:
    """Read the head of an array whose length is within bounds and not more than the bytes that are left."""
    cdef Token token
    if not read_token(reader, &token):
        return False
    if token.kind != TOKEN_ARRAY or not least <= token.length <= most or token.length > bytes_left(reader):
        return refuse(reader, b"an array is missing or has a wrong length")
    length[0] = token.length
    return True


cdef bint read_short(Token *token, uint32_t *number) noexcept nogil:
    """Set number to that of an ext; False if it is not 1, 2 or 4 bytes, as few as do."""
    cdef uint32_t i
    if token.length != 1 and token.length != 2 and token.length != 4:
        return False
    number[0] = 0
    for i in range(token.length):
        number[0] = number[0] << 8 | token.bytes[i]
    return token.length == 1 or number[0] >= (<uint32_t> 1 << (4 * token.length))


# ---- objects

cdef bint add_entry(Reader *reader, void *block) noexcept nogil:
    """Give the next number to a new object; its references count from now."""
    cdef Entry *entry
    if block == NULL:
        return out_of_memory(reader)
    if reader.count == reader.capacity:
        return refuse(reader, b"more objects than announced")
    entry = &reader.entries[reader.count]
    entry.object = <Object *> block
    entry.object.count = 0
    entry.size = 0
    entry.level = 0
    entry.flags = 0
    entry.sum = 0
    entry.weighted = 0
    entry.most = 0
    entry.hash = 0
    reader.count += 1
    return True


cdef inline Entry *last_entry(Reader *reader) noexcept nogil:
    return &reader.entries[reader.count - 1]


cdef inline Value refer(Reader *reader, uint32_t number) noexcept nogil:
    """Return a reference to an object; the caller has checked the number."""
    cdef Object *object = reader.entries[number].object
    object.count += 1
    reader.number = number
    return pointer_value(object)


cdef bint valid_text(const uint8_t *bytes, size_t length) noexcept nogil:
    """Return whether this is utf-8; surrogates are let through, because the machine has them as characters."""
    cdef size_t i = 0
    cdef uint32_t more
    cdef uint32_t k
    cdef uint8_t first
    while i < length:
        first = bytes[i]
        if first < 0x80:
            i += 1
            continue
        if first < 0xC2 or first > 0xF4:
            return False
        more = 1 if first < 0xE0 else 2 if first < 0xF0 else 3
        if length - i <= more:
            return False
        for k in range(1, more + 1):
            if bytes[i + k] & 0xC0 != 0x80:
                return False
        if (first == 0xE0 and bytes[i + 1] < 0xA0) or (first == 0xF0 and bytes[i + 1] < 0x90):
            return False
        if first == 0xF4 and bytes[i + 1] > 0x8F:
            return False
        i += more + 1
    return True


cdef bint read_text(Reader *reader, uint32_t kind, const uint8_t *bytes, uint32_t length, Value *value) noexcept nogil:
    """Set value to a new object of a kind of bytes."""
    if length > TEXT_BYTES_MAX or (kind <= SYMBOL and not valid_text(bytes, length)):
        return refuse(reader, b"a text is not utf-8")
    if kind == UUID and length != 16:
        return refuse(reader, b"a uuid is not 16 bytes")
    if not add_entry(reader, new_bytes(&reader.state.heap, kind, length)):
        return False
    value[0] = refer(reader, reader.count - 1)
    memcpy((<Text *> value.object).bytes, bytes, length)
    if kind <= SYMBOL:
        (<Text *> value.object).char_count = count_chars(bytes, length)
    return True


cdef bint read_big(Reader *reader, Token *token, Value *value) noexcept nogil:
    """Set value to a new big integer, which must be too large for 64 bits."""
    cdef const uint8_t *magnitude = token.bytes + 1
    cdef uint32_t length = token.length - 1
    cdef bint small
    cdef uint32_t i
    if token.length < 9 or length > BIG_BYTES_MAX or token.bytes[0] > 1 or magnitude[length - 1] == 0:
        return refuse(reader, b"a big integer has a wrong form")
    small = length == 8 and magnitude[7] < 0x80
    if length == 8 and magnitude[7] == 0x80 and token.bytes[0] == 1:  # the least integer fits, what is below does not
        small = True
        for i in range(7):
            small = small and magnitude[i] == 0
    if small:
        return refuse(reader, b"a big integer fits 64 bits")
    if not read_text(reader, BIG, magnitude, length, value):
        return False
    (<Text *> value.object).char_count = token.bytes[0]
    return True


cdef FunctionInfo *read_function(Reader *reader, uint32_t number) noexcept nogil:
    """Return the function that a number names, or NULL."""
    cdef CodeInfo *code = reader.state.core if number & 1 else reader.state.code
    number >>= 1
    while code != NULL and number < code.function_base:
        code = code.before
    if code == NULL or number - code.function_base >= code.function_count:
        return NULL
    return &code.functions[number - code.function_base]


cdef bint read_constant(Reader *reader, uint32_t number, Value *value) noexcept nogil:
    """Set value to an object of a constant, by its packed number."""
    cdef CodeInfo *code = reader.state.core if number & 1 else reader.state.code
    number >>= 1
    while code != NULL and number < code.static_base:
        code = code.before
    if code == NULL or number - code.static_base >= code.static_count:
        return refuse(reader, b"an ext names nothing that is there")
    value[0] = pointer_value(code.statics[number - code.static_base])
    return True


cdef bint read_ext_value(Reader *reader, Token *token, Value *value) noexcept nogil:
    cdef uint32_t number = 0
    cdef uint64_t bits = 0
    cdef FunctionInfo *function
    cdef uint32_t i
    if token.ext == EXT_KEYWORD or token.ext == EXT_SYMBOL:
        return read_text(reader, KEYWORD if token.ext == EXT_KEYWORD else SYMBOL, token.bytes, token.length, value)
    if token.ext == EXT_UUID:
        return read_text(reader, UUID, token.bytes, token.length, value)
    if token.ext == EXT_BIG:
        return read_big(reader, token, value)
    if token.ext == EXT_INSTANT:
        if token.length != 8:
            return refuse(reader, b"an instant is not 8 bytes")
        for i in range(8):
            bits = bits << 8 | token.bytes[i]
        value[0] = immediate(INSTANT, <int64_t> bits)
        return INSTANT_MIN <= value.integer <= INSTANT_MAX or refuse(reader, b"an instant is out of range")
    if not read_short(token, &number):
        return refuse(reader, b"an ext has a wrong length")
    if token.ext == EXT_REFERENCE and number < reader.count:
        value[0] = refer(reader, number)
        return True
    if token.ext == EXT_CONSTANT:
        return read_constant(reader, number, value)
    if token.ext == EXT_CHAR and number <= 0x10FFFF:
        value[0] = immediate(CHAR, number)
        return True
    if token.ext == EXT_PRIMITIVE and number < PRIMITIVE_TABLE_SIZE:
        value[0] = immediate(PRIMITIVE, number)
        return True
    if token.ext == EXT_VACANT and number == 0:
        vacate(value)
        return True
    function = read_function(reader, number)
    if token.ext == EXT_FUNCTION and function != NULL and function.closure != NULL:
        value[0] = pointer_value(function.closure)
        return True
    return refuse(reader, b"an ext names nothing that is there")


cdef bint read_any(Reader *reader, Value *value) noexcept nogil:
    """Read a field that is a value or a reference to an inner object."""
    cdef Token token
    if not read_token(reader, &token):
        return False
    if token.kind <= TOKEN_TRUE:
        value[0] = immediate(token.kind, 0)  # ORDER: the first tags
    elif token.kind == TOKEN_INTEGER:
        value[0] = integer_value(token.integer)
    elif token.kind == TOKEN_REAL:
        value[0] = real_value(token.real)
    elif token.kind == TOKEN_STRING:
        return read_text(reader, STRING, token.bytes, token.length, value)
    elif token.kind == TOKEN_BIN:
        return read_text(reader, BYTES, token.bytes, token.length, value)
    elif token.kind == TOKEN_EXT:
        return read_ext_value(reader, &token, value)
    elif token.length == 0:
        value[0] = immediate(EMPTY, 0)
    else:
        return refuse(reader, b"an array stands where a value should")
    return True


cdef bint read_value(Reader *reader, Value *value) noexcept nogil:
    """Read a field that a program may see."""
    if not read_any(reader, value):
        return False
    if value.spare == VACANT:
        return refuse(reader, b"a vacant slot outside of a frame")
    return not is_inner(value.tag) or refuse(reader, b"an inner object stands where a value should")


cdef bint read_values(Reader *reader, Value *values, uint32_t n) noexcept nogil:
    cdef uint32_t i
    for i in range(n):
        if not read_value(reader, &values[i]):
            return False
    return True


cdef bint read_slots(Reader *reader, Value *slots, uint32_t n) noexcept nogil:
    """Read the slots of a frame, which may be vacant."""
    cdef uint32_t i
    for i in range(n):
        if not read_any(reader, &slots[i]):
            return False
        if is_inner(slots[i].tag):
            return refuse(reader, b"an inner object stands where a value should")
    return True


cdef bint read_inner(Reader *reader, uint32_t kind, bint optional, Value *value) noexcept nogil:
    """Read a reference to an object of a kind (its number is then in the reader), or nil where that may be."""
    if not read_any(reader, value):
        return False
    if value.tag == kind or (optional and value.tag == NIL and value.spare != VACANT):
        return True
    return refuse(reader, b"a reference to an object of another kind")


cdef bint read_count(Reader *reader, int64_t least, int64_t most, uint32_t *n) noexcept nogil:
    """Read the number of fields that follow; each is a byte at least."""
    cdef int64_t number = 0
    cdef int64_t left = <int64_t> bytes_left(reader)
    if not read_number(reader, least, most if most < left else left, &number):
        return False
    n[0] = <uint32_t> number
    return True
