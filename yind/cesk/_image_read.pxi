# The reader of images: foreign bytes to a state, or a reason why not.
#
# Is:     a strict reader of canonical msgpack, the checks of every record, and the build of the objects.
# Is not: a way to run anything; after `read_state` the loop may trust what it finds as if it had made it.
# Fits:   `restore_state` calls `read_state` without the GIL. When that fails the heap is dropped as a whole, so objects
#         may be left half filled here.
#
# Sizes are compared with the bytes that are left before anything is allocated, and all objects count against the agent's
# memory. Counts begin at zero and grow with each reference; an object that ends with none is refused. Work that is more
# than linear (equality of keys) is bounded by STEPS_MAX for the whole image.

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
    int64_t size  # VECTOR_LEAF, VECTOR_NODE: items; MAP_*: pairs
    uint32_t level  # VECTOR_NODE: above the leaves; MAP_NODE: below the map
    uint32_t flags

cdef enum EntryFlag:
    WAITING = 1  # of a FRAME: it may be returned into
    VALUES_NIL = 2  # of a MAP_*: may be a SET's

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
    const char *problem

cdef enum:
    BLOCK_MIN = 32  # bytes of the smallest object
    VECTOR_LEVEL_MAX = 6
    MAP_LEVEL_MAX = 6  # 32 bits of hash, 5 to a level; collisions are one below
    TEXT_BYTES_MAX = 0x7FFFFFFF


cdef bint refuse(Reader *reader, const char *problem) noexcept nogil:
    """Note why the image is refused; always False."""
    if reader.problem == NULL:
        reader.problem = problem
    return False


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
    if code == NULL or number >> 1 >= code.function_count:
        return NULL
    return &code.functions[number >> 1]


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
    if token.ext == EXT_CHAR and number <= 0x10FFFF:
        value[0] = immediate(CHAR, number)
        return True
    if token.ext == EXT_PRIMITIVE and number < PRIMITIVE_TABLE_SIZE:
        value[0] = immediate(PRIMITIVE, number)
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
    return value.tag < VECTOR_NODE or refuse(reader, b"an inner object stands where a value should")


cdef bint read_values(Reader *reader, Value *values, uint32_t n) noexcept nogil:
    cdef uint32_t i
    for i in range(n):
        if not read_value(reader, &values[i]):
            return False
    return True


cdef bint read_inner(Reader *reader, uint32_t kind, bint optional, Value *value) noexcept nogil:
    """Read a reference to an object of a kind (its number is then in the reader), or nil where that may be."""
    if not read_any(reader, value):
        return False
    if value.tag == kind or (optional and value.tag == NIL):
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


# ---- records of one size

cdef bint read_simple(Reader *reader, uint32_t kind, uint32_t n) noexcept nogil:
    """Read an object of n values without a raw part."""
    cdef Values *object = new_values(&reader.state.heap, kind, n)
    if object == NULL:
        return out_of_memory(reader)
    return read_values(reader, object.at, n) and add_entry(reader, object)


cdef bint read_ratio(Reader *reader) noexcept nogil:
    """Read a ratio; that it is reduced is checked where both parts are small."""
    cdef Values *ratio
    cdef uint64_t a
    cdef uint64_t b
    cdef uint64_t rest
    if not read_simple(reader, RATIO, 2):
        return False
    ratio = <Values *> last_entry(reader).object
    if not (is_integer(ratio.at[0]) and is_integer(ratio.at[1])):
        return refuse(reader, b"a ratio is not of integers")
    if ratio.at[1].tag == BIG:
        return not (<Text *> ratio.at[1].object).char_count or refuse(reader, b"a denominator is negative")
    if ratio.at[1].integer <= 1:
        return refuse(reader, b"a denominator is not above one")
    if ratio.at[0].tag == INT:
        a = <uint64_t> ratio.at[0].integer
        if ratio.at[0].integer < 0:
            a = -a
        b = <uint64_t> ratio.at[1].integer
        while b != 0:
            rest = a % b
            a = b
            b = rest
        return a == 1 or refuse(reader, b"a ratio is not reduced")
    return True


cdef bint read_pair(Reader *reader, uint32_t kind, bint next_to_it) noexcept nogil:
    """Read a LIST or CONS; the rest of one that is next to it is the object before."""
    cdef Values *cell
    cdef Value rest
    cdef uint32_t before = reader.count - 1
    if next_to_it and reader.count == 0:
        return refuse(reader, b"there is no object before")
    cell = new_values(&reader.state.heap, kind, 2)
    if cell == NULL:
        return out_of_memory(reader)
    if not read_value(reader, &cell.at[0]):
        return False
    if next_to_it:
        cell.at[1] = refer(reader, before)
    elif not read_value(reader, &cell.at[1]):
        return False
    rest = cell.at[1]
    if kind == LIST:
        if rest.tag != LIST and rest.tag != EMPTY:
            return refuse(reader, b"the rest of a list is no list")
        cell.head.extra = 1 if rest.tag == EMPTY else rest.object.extra + 1
    elif rest.tag != NIL and rest.tag != EMPTY and not LIST <= rest.tag <= SEQ:
        return refuse(reader, b"the rest of a seq is no seq")
    return add_entry(reader, cell)


cdef bint read_cell(Reader *reader, uint32_t kind, uint32_t flags) noexcept nogil:
    """Read an atom or lazy seq; it is filled later."""
    cdef Values *cell = new_values(&reader.state.heap, kind, 1)
    if cell == NULL:
        return out_of_memory(reader)
    cell.at[0] = nil()
    cell.head.flags = <uint8_t> flags
    return add_entry(reader, cell)


cdef bint read_fill(Reader *reader) noexcept nogil:
    """Read the content of the first cell that is not filled yet."""
    cdef Values *cell = NULL
    while cell == NULL:
        if reader.next_cell == reader.count:
            return refuse(reader, b"there is no atom or lazy seq to fill")
        if reader.entries[reader.next_cell].object.kind == ATOM or reader.entries[reader.next_cell].object.kind == LAZY:
            cell = <Values *> reader.entries[reader.next_cell].object
        reader.next_cell += 1
    if not read_value(reader, &cell.at[0]):
        return False
    if cell.head.kind == LAZY and not cell.head.flags & REALIZED and cell.at[0].tag != CLOSURE:
        return refuse(reader, b"a lazy seq without a function")
    return True


cdef bint read_range(Reader *reader) noexcept nogil:
    cdef Values *bounds
    cdef bint valid
    if not read_simple(reader, RANGE, 3):
        return False
    bounds = <Values *> last_entry(reader).object
    if bounds.at[0].tag == INT and bounds.at[1].tag == INT and bounds.at[2].tag == INT:
        if bounds.at[2].integer > 0:
            valid = bounds.at[0].integer < bounds.at[1].integer
        else:
            valid = bounds.at[2].integer < 0 and bounds.at[0].integer > bounds.at[1].integer
    elif bounds.at[0].tag == DOUBLE and bounds.at[1].tag == DOUBLE and bounds.at[2].tag == DOUBLE:
        if bounds.at[2].real > 0:
            valid = bounds.at[0].real < bounds.at[1].real
        else:
            valid = bounds.at[2].real < 0 and bounds.at[0].real > bounds.at[1].real
    else:
        valid = False
    return valid or refuse(reader, b"a range that is empty or not of numbers")


cdef bint valid_path(Seq *seq) noexcept nogil:
    """Return whether a seq over a map or set stands at a pair."""
    cdef Object *node
    cdef uint32_t i
    if (<Map *> seq.source.object).root.tag == NIL:
        return False
    node = (<Map *> seq.source.object).root.object
    for i in range(1, seq.path[0] + 1):
        if seq.path[i] >= child_count(node):
            return False
        node = values_of(node)[2 * pair_count(node) + seq.path[i]].object
    return 0 <= seq.index < pair_count(node)


cdef bint read_seq(Reader *reader) noexcept nogil:
    cdef Seq *seq = <Seq *> allocate(&reader.state.heap, SEQ, sizeof(Seq), 1)
    cdef Token token
    cdef int64_t flags = 0
    cdef bint valid = False
    if seq == NULL:
        return out_of_memory(reader)
    if not (read_number(reader, SEQ_ITEMS, SEQ_VALUES, &flags) and read_value(reader, &seq.source)):
        return False
    if not (read_number(reader, 0, GREATEST_INTEGER, &seq.index) and read_token(reader, &token)):
        return False
    if token.kind != TOKEN_BIN or token.length > MAP_LEVEL_MAX + 1:
        return refuse(reader, b"a seq without a path")
    seq.head.flags = <uint8_t> flags
    memset(seq.path, 0, sizeof(seq.path))
    seq.path[0] = <uint8_t> token.length
    memcpy(&seq.path[1], token.bytes, token.length)
    if seq.source.tag == MAP or (seq.source.tag == SET and flags == SEQ_ITEMS):
        valid = valid_path(seq)
    elif seq.source.tag == VECTOR:
        valid = flags == SEQ_ITEMS and token.length == 0 and seq.index < vector_count(seq.source)
    elif seq.source.tag == STRING:
        valid = flags == SEQ_ITEMS and token.length == 0 and seq.index < seq.source.object.length
        valid = valid and (<Text *> seq.source.object).bytes[seq.index] & 0xC0 != 0x80
    return (valid or refuse(reader, b"a seq that stands nowhere")) and add_entry(reader, seq)


# ---- vectors

cdef bint read_leaf(Reader *reader) noexcept nogil:
    cdef uint32_t n = 0
    if not (read_count(reader, 1, 32, &n) and read_simple(reader, VECTOR_LEAF, n)):
        return False
    last_entry(reader).size = n
    reader.leaf_items += n
    return True


cdef bint read_vector_node(Reader *reader) noexcept nogil:
    """Read a node; all its children are of one level, and full except on the right."""
    cdef Values *node
    cdef Entry *child = NULL
    cdef uint32_t n = 0
    cdef uint32_t i
    cdef uint32_t level = 0
    cdef int64_t size = 0
    if not read_count(reader, 1, 32, &n):
        return False
    node = new_values(&reader.state.heap, VECTOR_NODE, n)
    if node == NULL:
        return out_of_memory(reader)
    for i in range(n):
        if not read_any(reader, &node.at[i]):
            return False
        if node.at[i].tag != VECTOR_NODE and node.at[i].tag != VECTOR_LEAF:
            return refuse(reader, b"a vector's node has a child of another kind")
        child = &reader.entries[reader.number]
        if i == 0:
            level = child.level + 1
        if level > VECTOR_LEVEL_MAX or child.level + 1 != level:
            return refuse(reader, b"a vector's node has children of two levels")
        if (i + 1 < n or level == 1) and child.size != <int64_t> 1 << (5 * level):
            return refuse(reader, b"a vector's node is not full")
        size += child.size
    if not add_entry(reader, node):
        return False
    last_entry(reader).level = level
    last_entry(reader).size = size
    return True


cdef bint read_vector(Reader *reader) noexcept nogil:
    """Read a vector, whose root holds all whole leaves but the last and whose tail the last 1 to 32 items or more."""
    cdef Vector *vector = <Vector *> allocate(&reader.state.heap, VECTOR, sizeof(Vector), 2)
    cdef int64_t in_root = 0
    cdef int64_t in_tail
    if vector == NULL:
        return out_of_memory(reader)
    vector.shift = 5
    vector.spare = 0
    if not read_number(reader, 0, reader.leaf_items, &vector.count):
        return False
    if not read_inner(reader, VECTOR_NODE, True, &vector.root):
        return False
    if vector.root.tag != NIL:
        in_root = reader.entries[reader.number].size
        vector.shift = 5 * reader.entries[reader.number].level
        if vector.shift > 5 and vector.root.object.length == 1:
            return refuse(reader, b"a vector is deeper than it need be")
    if not read_inner(reader, VECTOR_LEAF, True, &vector.tail):
        return False
    in_tail = vector.count - in_root
    if vector.tail.tag == NIL:
        if vector.count != 0 or in_root != 0:
            return refuse(reader, b"a vector without a tail")
    elif not 1 <= in_tail <= vector.tail.object.length:
        return refuse(reader, b"a vector's count is wrong")
    return add_entry(reader, vector)


# ---- maps and sets

cdef bint read_pairs(Reader *reader, Value *pairs, uint32_t n, uint32_t *flags) noexcept nogil:
    """Read n keys and values; flags tell whether these could be a set's."""
    cdef uint32_t i
    if not read_values(reader, pairs, 2 * n):
        return False
    for i in range(n):
        if pairs[2 * i + 1].tag != NIL:
            flags[0] = 0
    return True


cdef bint read_map_array(Reader *reader) noexcept nogil:
    cdef Values *array
    cdef uint32_t n = 0
    cdef uint32_t flags = VALUES_NIL
    if not read_count(reader, 1, ARRAY_PAIRS_MAX, &n):
        return False
    array = new_values(&reader.state.heap, MAP_ARRAY, 2 * n)
    if array == NULL:
        return out_of_memory(reader)
    if not (read_pairs(reader, array.at, n, &flags) and add_entry(reader, array)):
        return False
    last_entry(reader).size = n
    last_entry(reader).flags = flags
    return True


cdef bint read_collision(Reader *reader) noexcept nogil:
    """Read a node of keys with one hash, which is computed when everything is there."""
    cdef MapNode *node
    cdef uint32_t n = 0
    cdef uint32_t flags = VALUES_NIL
    if not read_count(reader, 2, 1 << 30, &n):
        return False
    node = new_map_node(&reader.state.heap, MAP_COLLISION, 0, 0, 2 * n)
    if node == NULL:
        return out_of_memory(reader)
    if not (read_pairs(reader, node.at, n, &flags) and add_entry(reader, node)):
        return False
    last_entry(reader).size = n
    last_entry(reader).level = MAP_LEVEL_MAX + 1
    last_entry(reader).flags = flags
    return True


cdef bint read_map_child(Reader *reader, uint32_t level, Value *value, int64_t *size, uint32_t *flags) noexcept nogil:
    """Read a child of a map's node at a level."""
    cdef Entry *child
    if not read_inner(reader, MAP_NODE if level < MAP_LEVEL_MAX else MAP_COLLISION, False, value):
        return False
    child = &reader.entries[reader.number]
    if child.level != level + 1 or child.size < 2:
        return refuse(reader, b"a map's node stands at a wrong level")
    size[0] += child.size
    flags[0] &= child.flags
    return True


cdef bint read_map_node(Reader *reader) noexcept nogil:
    cdef MapNode *node
    cdef int64_t level = 0
    cdef int64_t data_map = 0
    cdef int64_t node_map = 0
    cdef int64_t size
    cdef uint32_t pairs
    cdef uint32_t length
    cdef uint32_t flags = VALUES_NIL
    cdef uint32_t i
    if not (
        read_number(reader, 0, MAP_LEVEL_MAX, &level)
        and read_number(reader, 0, 0xFFFFFFFF, &data_map)
        and read_number(reader, 0, 0xFFFFFFFF, &node_map)
    ):
        return False
    pairs = popcount(<uint32_t> data_map)
    length = 2 * pairs + popcount(<uint32_t> node_map)
    if data_map & node_map or length == 0:
        return refuse(reader, b"a map's node has a pair and a child in one place, or nothing")
    node = new_map_node(&reader.state.heap, MAP_NODE, <uint32_t> data_map, <uint32_t> node_map, length)
    if node == NULL:
        return out_of_memory(reader)
    size = pairs
    if not read_pairs(reader, node.at, pairs, &flags):
        return False
    for i in range(2 * pairs, length):
        if not read_map_child(reader, <uint32_t> level, &node.at[i], &size, &flags):
            return False
    if not add_entry(reader, node):
        return False
    last_entry(reader).level = <uint32_t> level
    last_entry(reader).size = size
    last_entry(reader).flags = flags
    return True


cdef bint read_map(Reader *reader, uint32_t kind) noexcept nogil:
    cdef Value root = nil()
    cdef Value map
    cdef Entry *entry
    cdef int64_t count = 0
    if not read_any(reader, &root):
        return False
    if root.tag == MAP_ARRAY or root.tag == MAP_NODE:
        entry = &reader.entries[reader.number]
        if entry.level != 0 or (kind == SET and not entry.flags & VALUES_NIL):
            return refuse(reader, b"the root of a map or set is no root")
        count = entry.size
    elif root.tag != NIL:
        return refuse(reader, b"the root of a map or set is no root")
    if give_map(&reader.state.heap, kind, count, root, &map) != OK:
        return out_of_memory(reader)
    return add_entry(reader, map.object)


# ---- functions and frames

cdef bint read_captures(Reader *reader) noexcept nogil:
    cdef uint32_t n = 0
    return read_count(reader, 1, GREATEST_INTEGER, &n) and read_simple(reader, CAPTURES, n)


cdef bint read_closure(Reader *reader) noexcept nogil:
    cdef int64_t number = 0
    cdef FunctionInfo *function
    cdef Closure *closure
    cdef Value captures = nil()
    if not (read_number(reader, 0, 0xFFFFFFFF, &number) and read_inner(reader, CAPTURES, True, &captures)):
        return False
    function = read_function(reader, <uint32_t> number)
    if function == NULL:
        return refuse(reader, b"the code has no such function")
    if function.capture_count > 0 and (captures.tag == NIL or captures.object.length < function.capture_count):
        return refuse(reader, b"a function has too few captured values")
    closure = new_closure(&reader.state.heap, function, captures)
    return add_entry(reader, closure)


cdef bint read_continuation(Reader *reader) noexcept nogil:
    cdef Values *continuation = new_values(&reader.state.heap, CONTINUATION, 1)
    if continuation == NULL:
        return out_of_memory(reader)
    if not read_inner(reader, FRAME, False, &continuation.at[0]):
        return False
    if not reader.entries[reader.number].flags & WAITING:
        return refuse(reader, b"a continuation of a frame that does not wait")
    return add_entry(reader, continuation)


cdef bint may_wait(ArityInfo *arity, uint32_t pc, int32_t slot) noexcept nogil:
    """Return whether a frame at pc can be one that waits for a value for the slot."""
    cdef Step *step
    if slot == -1:
        return True
    if pc == arity.entry:
        return False
    step = &arity.steps[pc - 1]
    if step.a != slot:
        return False
    return step.opcode == OP_APPLY or (step.opcode == OP_PRIMITIVE and PRIMITIVE_TABLE[step.b].kind != 0)


cdef bint read_frame_closure(Reader *reader, Frame *frame) noexcept nogil:
    """Read what runs in a frame: a closure of its arity's function."""
    cdef Value closure = nil()
    cdef FunctionInfo *function = frame.arity.function
    if not read_inner(reader, CLOSURE, True, &closure):
        return False
    if closure.tag == NIL:
        frame.closure = function.closure
        return frame.closure != NULL or refuse(reader, b"a frame without a closure")
    frame.closure = <Closure *> closure.object
    return frame.closure.function == function or refuse(reader, b"a frame of another function")


cdef bint read_frame(Reader *reader) noexcept nogil:
    cdef int64_t number = 0
    cdef int64_t pc = 0
    cdef int64_t slot = 0
    cdef CodeInfo *code
    cdef ArityInfo *arity
    cdef Frame *frame
    cdef Value parent = nil()
    if not read_number(reader, 0, 0xFFFFFFFF, &number):
        return False
    code = reader.state.core if number & 1 else reader.state.code
    if code == NULL or number >> 1 >= code.arity_count:
        return refuse(reader, b"the code has no such body")
    arity = &code.arities[number >> 1]
    if not (read_number(reader, arity.entry, <int64_t> arity.end - 1, &pc) and read_number(reader, -1, GREATEST_INTEGER, &slot)):
        return False
    if slot >= <int64_t> arity.slot_count and slot != 0:
        return refuse(reader, b"a frame waits for a slot it does not have")
    if not read_inner(reader, FRAME, False, &parent):
        return False
    if not reader.entries[reader.number].flags & WAITING:
        return refuse(reader, b"the parent of a frame does not wait")
    if arity.slot_count > bytes_left(reader):
        return refuse(reader, b"the image ends early")
    frame = new_frame(&reader.state.heap, arity, NULL, <Frame *> parent.object)
    if frame == NULL:
        return out_of_memory(reader)
    frame.pc = <uint32_t> pc
    frame.slot = <int32_t> slot
    if not (read_frame_closure(reader, frame) and read_values(reader, frame.at, arity.slot_count)):
        return False
    if not add_entry(reader, frame):
        return False
    last_entry(reader).flags = WAITING if may_wait(arity, frame.pc, frame.slot) else 0
    return True


cdef bint read_halt(Reader *reader) noexcept nogil:
    """Read the frame below all others."""
    cdef int64_t slot = 0
    cdef Frame *frame = new_frame(&reader.state.heap, &HALT_ARITY, HALT_FUNCTION.closure, NULL)
    if frame == NULL:
        return out_of_memory(reader)
    if not (read_number(reader, -1, 0, &slot) and read_value(reader, &frame.at[0])):
        return False
    frame.slot = <int32_t> slot
    if not add_entry(reader, frame):
        return False
    last_entry(reader).flags = WAITING
    return True


# ---- all of them

cdef bint read_record(Reader *reader) noexcept nogil:
    cdef int64_t number = 0
    cdef uint32_t kind
    if not read_number(reader, RATIO, RECORD_HALT, &number):
        return False
    kind = <uint32_t> number
    if kind == RATIO:
        return read_ratio(reader)
    if kind == LIST or kind == CONS:
        return read_pair(reader, kind, False)
    if kind == RECORD_LIST_NEXT or kind == RECORD_CONS_NEXT:
        return read_pair(reader, LIST if kind == RECORD_LIST_NEXT else CONS, True)
    if kind == ATOM or kind == LAZY:
        return read_cell(reader, kind, 0)
    if kind == RECORD_LAZY_REALIZED:
        return read_cell(reader, LAZY, REALIZED)
    if kind == RECORD_FILL:
        return read_fill(reader)
    if kind == RANGE:
        return read_range(reader)
    if kind == SEQ:
        return read_seq(reader)
    if kind == VECTOR:
        return read_vector(reader)
    if kind == VECTOR_NODE:
        return read_vector_node(reader)
    if kind == VECTOR_LEAF:
        return read_leaf(reader)
    if kind == MAP or kind == SET:
        return read_map(reader, kind)
    if kind == MAP_ARRAY:
        return read_map_array(reader)
    if kind == MAP_NODE:
        return read_map_node(reader)
    if kind == MAP_COLLISION:
        return read_collision(reader)
    if kind == CLOSURE:
        return read_closure(reader)
    if kind == CAPTURES:
        return read_captures(reader)
    if kind == CONTINUATION:
        return read_continuation(reader)
    if kind == ERROR:
        return read_simple(reader, ERROR, 3)
    if kind == FRAME:
        return read_frame(reader)
    if kind == RECORD_HALT:
        return read_halt(reader)
    return refuse(reader, b"a record of an unknown kind")


cdef bint read_records(Reader *reader, uint32_t fields) noexcept nogil:
    cdef uint32_t begin = reader.tokens
    while reader.tokens - begin < fields:
        if not read_record(reader):
            return False
    return reader.tokens - begin == fields or refuse(reader, b"a record is cut")


cdef bint read_objects(Reader *reader) noexcept nogil:
    """Read all records into a table that is as large as announced."""
    cdef int64_t announced = 0
    cdef uint32_t fields = 0
    cdef int64_t most = <int64_t> (reader.state.heap.max // BLOCK_MIN)
    if not read_number(reader, 0, <int64_t> bytes_left(reader), &announced):
        return False
    if announced > most or announced > OBJECTS_MAX:
        return out_of_memory(reader)
    reader.entries = <Entry *> c_malloc((<size_t> announced + 1) * sizeof(Entry))
    if reader.entries == NULL:
        return out_of_memory(reader)
    reader.capacity = <uint32_t> announced
    return read_array(reader, 0, 0xFFFFFFFF, &fields) and read_records(reader, fields)


cdef bint read_roots(Reader *reader) noexcept nogil:
    """Read frame, effect, error and result into the state; which of them there are depends on the status."""
    cdef State *state = reader.state
    cdef Value frame = nil()
    cdef uint32_t flags = 0
    cdef uint32_t n = 0
    cdef bint running = state.status == STATUS_OUT_OF_FUEL or state.status == STATUS_FAULT
    if not (read_array(reader, IMAGE_ROOTS, IMAGE_ROOTS, &n) and read_inner(reader, FRAME, True, &frame)):
        return False
    if (frame.tag == FRAME) != (running or state.status == STATUS_EFFECT):
        return refuse(reader, b"frames do not fit the status")
    if frame.tag == FRAME:
        state.frame = <Frame *> frame.object
        flags = reader.entries[reader.number].flags
    if not read_effect(reader, flags):
        return False
    if not (read_inner(reader, ERROR, True, &state.error) and read_value(reader, &state.result)):
        return False
    if state.error.tag == NIL and state.status == STATUS_FAULT:
        return refuse(reader, b"a fault without an error")
    if state.error.tag == ERROR and not running:
        return refuse(reader, b"an error does not fit the status")
    if state.result.tag != NIL and state.status != STATUS_DONE:
        return refuse(reader, b"a result does not fit the status")
    return True


cdef bint read_effect(Reader *reader, uint32_t frame_flags) noexcept nogil:
    """Read number and arguments of the effect that waits, or that there is none."""
    cdef State *state = reader.state
    cdef PrimitiveInfo *primitive
    cdef Values *asked
    cdef int64_t effect = 0
    cdef Value none = nil()
    cdef uint32_t n = 0
    if state.status != STATUS_EFFECT:
        return read_inner(reader, NIL, True, &none) and read_array(reader, 0, 0, &n)
    if not (read_number(reader, 0, PRIMITIVE_TABLE_SIZE - 1, &effect) and read_array(reader, 0, 0xFFFF, &n)):
        return False
    primitive = &PRIMITIVE_TABLE[effect]
    if primitive.kind != 2 or n < primitive.least or n > primitive.most:
        return refuse(reader, b"the effect is none, or has a wrong number of arguments")
    if not frame_flags & WAITING:
        return refuse(reader, b"the frame does not wait for an effect")
    asked = new_values(&state.heap, CAPTURES, n)
    if asked == NULL:
        return out_of_memory(reader)
    if not read_values(reader, asked.at, n):
        return False
    state.effect = <uint32_t> effect
    state.effect_arguments = pointer_value(asked)
    return True


cdef bint read_globals(Reader *reader) noexcept nogil:
    """Read the bound globals, in ascending order."""
    cdef int64_t least = 0
    cdef int64_t number = 0
    cdef uint32_t n = 0
    cdef uint32_t i
    if not read_array(reader, 0, 0xFFFFFFFF, &n):
        return False
    if n & 1:
        return refuse(reader, b"a global without a value")
    for i in range(n >> 1):
        if not read_number(reader, least, <int64_t> reader.state.global_count - 1, &number):
            return False
        if not read_value(reader, &reader.state.globals[number]):
            return False
        least = number + 1
    return True


# ---- what can be checked only when everything is there

cdef bint check_keys(Reader *reader, Value *pairs, uint32_t n) noexcept nogil:
    """Refuse two equal keys among n pairs. Keys that would have to be realised first are taken as different."""
    cdef Heap *heap = &reader.state.heap
    cdef uint32_t i
    cdef uint32_t k
    cdef bint same = False
    cdef Outcome outcome
    for i in range(n):
        if spend(heap, i >> 2) != OK:
            return refuse(reader, b"keys of maps are too costly to compare")
        for k in range(i):
            outcome = keys_equal(heap, pairs[2 * i], pairs[2 * k], &same)
            if outcome == FAILED or outcome == NO_MEMORY:
                return refuse(reader, b"keys of maps are too costly to compare")
            if outcome == OK and same:
                return refuse(reader, b"a map has a key twice")
    return True


cdef bint check_collision(Reader *reader, MapNode *node) noexcept nogil:
    """Refuse a collision node whose keys differ in their hash, and note the hash."""
    cdef uint32_t hashed = 0
    cdef uint32_t i
    for i in range(0, node.head.length, 2):
        if hash_value(&reader.state.heap, node.at[i], &hashed) != OK:
            return refuse(reader, b"a key of a map has no hash")
        if i == 0:
            node.data_map = hashed
        if hashed != node.data_map:
            return refuse(reader, b"keys with different hashes collide")
    node.spare[0] = node.data_map
    return check_keys(reader, node.at, node.head.length >> 1)


cdef bint check_digits(Reader *reader, MapNode *node, uint32_t level) noexcept nogil:
    """Refuse a node with a key at a wrong digit of its hash.

    One hash from below each node is kept in `spare`: what is below a node agrees with it in the digits above.
    """
    cdef uint32_t shift = 5 * level
    cdef uint32_t above = (<uint32_t> 1 << shift) - 1
    cdef uint32_t pairs = popcount(node.data_map)
    cdef uint32_t digits = node.data_map
    cdef uint32_t hashed = 0
    cdef uint32_t place
    cdef uint32_t i
    for i in range(pairs + popcount(node.node_map)):
        if i == pairs:
            digits = node.node_map
        if i >= pairs:
            hashed = (<MapNode *> node.at[pairs + i].object).spare[0]
        elif hash_value(&reader.state.heap, node.at[2 * i], &hashed) != OK:
            return refuse(reader, b"a key of a map has no hash")
        place = digits & (~digits + 1)  # the lowest digit that is left
        digits ^= place
        if i == 0:
            node.spare[0] = hashed
        if (<uint32_t> 1) << ((hashed >> shift) & 31) != place or (hashed ^ node.spare[0]) & above:
            return refuse(reader, b"a key of a map is not where its hash says")
    return True


cdef bint check_maps(Reader *reader) noexcept nogil:
    cdef Object *object
    cdef uint32_t i
    cdef bint valid = True
    for i in range(reader.count):
        object = reader.entries[i].object
        if object.kind == MAP_ARRAY:
            valid = check_keys(reader, (<Values *> object).at, object.length >> 1)
        elif object.kind == MAP_COLLISION:
            valid = check_collision(reader, <MapNode *> object)
        elif object.kind == MAP_NODE:
            valid = check_digits(reader, <MapNode *> object, reader.entries[i].level)
        if not valid:
            return False
    for i in range(reader.count):
        object = reader.entries[i].object
        if object.kind == MAP_COLLISION or object.kind == MAP_NODE:
            (<MapNode *> object).spare[0] = 0
    return True


cdef bint check_lazy(Reader *reader) noexcept nogil:
    """Refuse lazy seqs that are each other's value in a circle: looking at one would never end.

    Each is followed to the end of its chain once; `extra` of those on the way holds the number of the walk.
    """
    cdef Object *object
    cdef uint32_t i
    for i in range(reader.count):
        object = reader.entries[i].object
        while object.kind == LAZY and object.extra == 0:
            object.extra = i + 1
            if object.flags & REALIZED and (<Values *> object).at[0].tag == LAZY:
                object = (<Values *> object).at[0].object
                if object.extra == i + 1:
                    return refuse(reader, b"a lazy seq is its own value")
    for i in range(reader.count):
        if reader.entries[i].object.kind == LAZY:
            reader.entries[i].object.extra = 0
    return True


cdef bint check_references(Reader *reader) noexcept nogil:
    """Refuse objects nobody refers to and cells without content."""
    cdef uint32_t i
    for i in range(reader.count):
        if reader.entries[i].object.count == 0:
            return refuse(reader, b"an object that nothing refers to")
    for i in range(reader.next_cell, reader.count):
        if reader.entries[i].object.kind == ATOM or reader.entries[i].object.kind == LAZY:
            return refuse(reader, b"an atom or lazy seq without content")
    if reader.state.frame != NULL and reader.state.frame.head.count != 1:
        return refuse(reader, b"the frame that runs is shared")
    return reader.count == reader.capacity or refuse(reader, b"fewer objects than announced")


cdef bint read_state(Reader *reader) noexcept nogil:
    """Read objects, roots and globals into the state; False with the problem noted."""
    cdef Heap *heap = &reader.state.heap
    heap.steps = 0
    if not (read_objects(reader) and read_roots(reader) and read_globals(reader)):
        return False
    if reader.at != reader.end:
        return refuse(reader, b"something follows the image")
    if not (check_references(reader) and check_lazy(reader) and check_maps(reader)):
        return False
    release(heap, heap.forced)  # of a comparison of keys
    heap.forced = nil()
    heap.fuel = 0
    return True
