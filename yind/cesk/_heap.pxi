# Memory of one agent, reference counts, and constructors.
#
# Is:     size-class free lists over malloc'd chunks, every block counted against the agent's budget; retain and release
#         without recursion; `new_*` for each kind; faults and charges.
# Is not: collections' algorithms (`_vector.pxi`, `_map.pxi`), nor the meaning of values.
# Fits:   everything else is written against this.

cdef enum:
    UNIT = 16  # bytes; sizes of small blocks are multiples
    SMALL_UNITS_MAX = 64  # blocks up to 1 KiB come from chunks
    LARGE_UNITS = 0xFFFF
    CHUNK_SIZE_MIN = (1 << 9) - 16  # an agent that waits should need little; malloc's own header fits beside it
    CHUNK_SIZE_MAX = 1 << 23
    CHUNK_SIZE_HUGE = 1 << 20  # from here on in whole huge pages: large structures then need few translations of addresses
    WORK_COUNT_MIN = 16  # values; the stack of work lists grows from here
    WORK_COUNT_KEPT = 64  # values; a longer one is given back after the slice
    FUEL_PER_ALLOCATION_SHIFT = 8  # a block over 1 KiB costs a unit of fuel per 256 bytes
    KEY_DEPTH_MAX = 64
    STEPS_MAX = PORTION_STEPS  # of work in one instruction: a tenth of a millisecond; beyond it its long form does it
    STEPS_MAX_WHOLE = 1 << 23  # where there is no long form: what is bounded by its nature, and code without the library
    STEPS_MAX_OUTSIDE = 1 << 26  # of work for somebody who looks at the agent, or gives it something: a third of a second
    BYTES_SHIFT = 5  # 32 bytes that are copied, compared or hashed are a step
    DEAD_AT_ONCE = 1 << 6  # objects that are freed with the last reference to them; the others
    DEAD_TO_REUSE = 1 << 8  # when a block is wanted and none of its size is free, and
    DEAD_AFTER = 1 << 12  # after a slice
    DEAD_VALUES = 1 << 10  # of one object that are released at once
    FUEL_OVERDRAWN = -(1 << 11)  # a slice that owes so much ends before the next instruction

cdef extern from *:
    """
    #include <stdlib.h>
    #include <sys/mman.h>
    /* ORDER: tags. Bytes before the values of an object, by kind; 0: it has none. */
    static const uint8_t VALUES_AT[56] = {
        [16] = 0, [17] = 0, [18] = 0, [19] = 0, [20] = 0, [21] = 0,
        [22] = 16, [23] = 16, [24] = 16, [25] = 16, [26] = 16,
        [27] = 32, [28] = 0, [29] = 32, [30] = 32, [31] = 32, [32] = 32, [33] = 32,
        [34] = 16, [35] = 16, [36] = 16, [37] = 0, [38] = 16, [39] = 16,
        [40] = 16, [41] = 16, [42] = 16, [43] = 16, [44] = 16, [45] = 48, [46] = 16, [47] = 0, [48] = 0, [49] = 0,
        [50] = 0, [51] = 16, [52] = 16,
    };
    /* Bytes before the pointers of an object, by kind; 0: it has none but in values. */
    static const uint8_t POINTERS_AT[56] = { [28] = 32, [37] = 16, [49] = 16 };
    static inline int add_overflows(int64_t a, int64_t b, int64_t *r) { return __builtin_add_overflow(a, b, r); }
    static inline int subtract_overflows(int64_t a, int64_t b, int64_t *r) { return __builtin_sub_overflow(a, b, r); }
    static inline int multiply_overflows(int64_t a, int64_t b, int64_t *r) { return __builtin_mul_overflow(a, b, r); }
    /* What the check of segments has excluded. */
    static inline void never(void) { __builtin_unreachable(); }
    /* NIL that is VACANT, in one store. */
    static inline void vacate(Value *place) { *(uint64_t *) place = (uint64_t) 1 << 32; }
    /* Memory of a chunk, for free(); a large one in huge pages where the system has them. */
    #define HUGE_PAGE ((size_t) 1 << 21)
    static void *chunk_memory(size_t size) {
        void *memory;
        if (size < HUGE_PAGE) return malloc(size);
        memory = aligned_alloc(HUGE_PAGE, size);
    #ifdef MADV_HUGEPAGE
        if (memory != NULL) madvise(memory, size, MADV_HUGEPAGE);
    #endif
        return memory;
    }
    /* Tag and spare in one store: what reads them next reads both, and waits for two stores of different widths. */
    static inline void set_tag(Value *place, uint32_t tag) { *(uint64_t *) place = tag; }
    #define likely(x) __builtin_expect(!!(x), 1)
    #define unlikely(x) __builtin_expect(!!(x), 0)
    """
    const uint8_t VALUES_AT[56]
    const uint8_t POINTERS_AT[56]
    bint add_overflows(int64_t a, int64_t b, int64_t *r) noexcept nogil
    bint subtract_overflows(int64_t a, int64_t b, int64_t *r) noexcept nogil
    bint multiply_overflows(int64_t a, int64_t b, int64_t *r) noexcept nogil
    void never() noexcept nogil
    void vacate(Value *place) noexcept nogil
    const size_t HUGE_PAGE
    void *chunk_memory(size_t size) noexcept nogil
    void set_tag(Value *place, uint32_t tag) noexcept nogil
    bint likely(bint x) noexcept nogil
    bint unlikely(bint x) noexcept nogil


# ---- immediate values

cdef inline Value nil() noexcept nogil:
    cdef Value value
    value.tag = NIL
    value.spare = 0
    value.integer = 0
    return value


cdef inline Value immediate(uint32_t tag, int64_t integer) noexcept nogil:
    """Return a value that is no pointer: INT, CHAR, INSTANT, PRIMITIVE, EMPTY ..."""
    cdef Value value
    value.tag = tag
    value.spare = 0
    value.integer = integer
    return value


cdef inline Value integer_value(int64_t integer) noexcept nogil:
    return immediate(INT, integer)


cdef inline Value boolean_value(bint truth) noexcept nogil:
    return immediate(TRUE if truth else FALSE, 0)


cdef inline Value real_value(double real) noexcept nogil:
    cdef Value value
    value.tag = DOUBLE
    value.spare = 0
    value.real = real
    return value


cdef inline Value pointer_value(void *block) noexcept nogil:
    """Return the value of an object; its reference goes with it."""
    cdef Value value
    value.tag = (<Object *> block).kind
    value.spare = 0
    value.object = <Object *> block
    return value


cdef inline bint is_map(uint32_t tag) noexcept nogil:
    return tag == MAP or tag == SORTED_MAP


cdef inline bint is_set(uint32_t tag) noexcept nogil:
    return tag == SET or tag == SORTED_SET


cdef inline bint is_sorted(uint32_t tag) noexcept nogil:
    return tag == SORTED_MAP or tag == SORTED_SET


cdef inline bint is_inner(uint32_t tag) noexcept nogil:
    """Return whether objects of a kind are never in a slot."""
    return tag >= VECTOR_NODE and tag != DESCRIBED and tag != DECIMAL


cdef inline Value bare(Value value) noexcept nogil:
    """Return a value without its metadata (borrowed)."""
    return (<Values *> value.object).at[0] if unlikely(value.tag == DESCRIBED) else value


cdef inline uint32_t plain_tag(uint32_t tag) noexcept nogil:
    """Return MAP or SET for the sorted kinds, which equal the plain ones; any other tag as it is."""
    return MAP if tag == SORTED_MAP else SET if tag == SORTED_SET else tag


cdef inline bint is_truthy(Value value) noexcept nogil:
    return value.tag > FALSE


# ---- faults, forcing, charges

cdef Outcome fault(Heap *heap, const char *kind, const char *message) noexcept nogil:
    """Note an error for the program: kind as in {:fault :kind}, text for people. Always FAILED."""
    heap.fault_kind = kind
    strncpy(heap.fault_message, message, sizeof(heap.fault_message) - 1)
    heap.fault_message[sizeof(heap.fault_message) - 1] = 0
    return FAILED


cdef Outcome fault_text(Heap *heap, const char *kind, const char *form, const char *text) noexcept nogil:
    """As `fault`; `form` is a printf form with one %s."""
    heap.fault_kind = kind
    snprintf(heap.fault_message, sizeof(heap.fault_message), form, text)
    return FAILED


cdef Outcome fault_type(Heap *heap, const char *name, const char *expected, Value found) noexcept nogil:
    """Fault: `name` expected something else than `found`."""
    heap.fault_kind = b"type"
    snprintf(
        heap.fault_message, sizeof(heap.fault_message), b"%s: expected %s, found %s", name, expected, type_name(found)
    )
    return FAILED


cdef Outcome force(Heap *heap, Value lazy) noexcept nogil:
    """Ask for one cell of an unrealised lazy seq; the instruction is done again afterwards."""
    release(heap, heap.forced)
    heap.forced = retained(lazy)
    heap.forced_count = 1
    return FORCE


cdef Outcome force_all(Heap *heap, Value lazy) noexcept nogil:
    """Ask for the whole of a lazy seq."""
    release(heap, heap.forced)
    heap.forced = retained(lazy)
    return FORCE_ALL


cdef inline void charge(Heap *heap, int64_t fuel) noexcept nogil:
    """Take fuel in proportion to work about to be done; the slice ends at the next call or loop."""
    heap.fuel -= fuel


cdef inline Outcome spend(Heap *heap, uint64_t steps) noexcept nogil:
    """Count work that is about to be done, in steps of about five nanoseconds; a unit of fuel for four.

    DEFER when one instruction would do too much: a slice ends between instructions only, so each must be short. Its long
    form in the core library then does the work, so what asks must not have changed anything yet.
    """
    if unlikely(heap.steps + steps > heap.steps_max):
        fault(heap, b"limit", b"the value is too large for one operation")
        return DEFER
    heap.fuel -= <int64_t> ((heap.steps & 3) + steps) >> 2
    heap.steps += steps
    return OK


cdef inline Outcome spend_bytes(Heap *heap, size_t length) noexcept nogil:
    """As `spend`, for bytes that are copied or compared."""
    if length < 1 << BYTES_SHIFT:
        return OK
    return spend(heap, length >> BYTES_SHIFT)


cdef bint is_reduced(Value value) noexcept nogil:
    """Return whether a value is what `reduced` makes, an opaque value of that kind."""
    cdef Text *kind
    if value.tag != ERROR or is_error(value):
        return False
    kind = <Text *> (<Values *> value.object).at[1].object
    return kind.head.length == 16 and memcmp(kind.bytes, b"yin.core/reduced", 16) == 0


cdef inline bint is_error(Value value) noexcept nogil:
    """Return whether `throw` takes a value: its data are no KEYWORD, as an opaque value has."""
    return value.tag == ERROR and (<Values *> value.object).at[1].tag != KEYWORD


cdef const char *type_name(Value value) noexcept nogil:
    """Return the kind of a value for messages."""
    value = bare(value)
    if value.tag == NIL:
        return b"nil"
    if value.tag == FALSE or value.tag == TRUE:
        return b"a boolean"
    if value.tag == INT or value.tag == BIG:
        return b"an integer"
    if value.tag == DOUBLE:
        return b"a double"
    if value.tag == RATIO:
        return b"a ratio"
    if value.tag == DECIMAL:
        return b"a decimal"
    if value.tag == CHAR:
        return b"a character"
    if value.tag == INSTANT:
        return b"an instant"
    if value.tag == PRIMITIVE or value.tag == CLOSURE or value.tag == CONTINUATION:
        return b"a function"
    if value.tag == STRING:
        return b"a string"
    if value.tag == KEYWORD:
        return b"a keyword"
    if value.tag == SYMBOL:
        return b"a symbol"
    if value.tag == BYTES:
        return b"bytes"
    if value.tag == UUID:
        return b"a uuid"
    if value.tag == VECTOR:
        return b"a vector"
    if is_map(value.tag):
        return b"a map"
    if is_set(value.tag):
        return b"a set"
    if value.tag == LIST or value.tag == EMPTY:
        return b"a list"
    if value.tag == ATOM:
        return b"an atom"
    if value.tag == ERROR:
        return b"an error" if is_error(value) else b"an opaque value"
    return b"a seq"


# ---- blocks

cdef void heap_init(Heap *heap, size_t memory_max) noexcept nogil:
    memset(heap, 0, sizeof(Heap))
    heap.max = memory_max
    heap.collect_at = memory_max // 2
    heap.steps_max = STEPS_MAX
    heap.fault_kind = b""


cdef void heap_free(Heap *heap) noexcept nogil:
    """Free everything at once, whatever the counts say."""
    cdef Chunk *chunk
    cdef Large *large
    while heap.chunks != NULL:
        chunk = heap.chunks
        heap.chunks = chunk.next
        c_free(chunk)
    while heap.large != NULL:
        large = heap.large
        heap.large = large.next
        c_free(large)
    hostile_exhume(&heap.hostile, 0)
    c_free(heap.work)
    heap_init(heap, heap.max)  # without its key: the agent is gone


cdef void want_collection(Heap *heap) noexcept nogil:
    """Cut the slice at the next place where the state is whole, for a mark pass."""
    heap.collect_at = heap.max
    if heap.fuel > 0:
        heap.fuel_kept = heap.fuel
        heap.fuel = 0


cdef bint has_room(Heap *heap, size_t size) noexcept nogil:
    """Return whether the agent may use more bytes, when all that is dead is freed."""
    if heap.used + size > heap.collect_at:
        while heap.dead != NULL and heap.used + size > heap.collect_at:
            drain(heap, DEAD_AT_ONCE)  # not more than what is wanted needs
        if heap.used + size > heap.max:
            return False
        if heap.used + size > heap.collect_at:
            want_collection(heap)
    return True


cdef bint has_room_left(Heap *heap, Object *block, size_t units) noexcept nogil:
    """As `has_room` for a block that was just taken from a free list; if not it is given back."""
    heap.used -= units * UNIT
    if has_room(heap, units * UNIT):
        heap.used += units * UNIT
        return True
    block.next = heap.free[units]
    heap.free[units] = block
    return False


cdef Object *allocate_large(Heap *heap, size_t size, bint zeroed) noexcept nogil:
    """Return a block of its own; zeroed costs nothing where the system gives fresh memory anyway."""
    cdef Large *large
    if size > heap.max or not has_room(heap, size):
        return NULL
    if zeroed:
        large = <Large *> c_calloc(1, sizeof(Large) + size)
    else:
        large = <Large *> c_malloc(sizeof(Large) + size)
    if large == NULL:
        return NULL
    if HOSTILE and not zeroed:
        hostile_fresh(large, sizeof(Large) + size)
    if not zeroed and (not HOSTILE or size > SMALL_UNITS_MAX * UNIT):  # zeroed: filling it costs
        charge(heap, <int64_t> (size >> FUEL_PER_ALLOCATION_SHIFT))
    large.next = heap.large
    large.previous = NULL
    large.size = size
    if heap.large != NULL:
        heap.large.previous = large
    heap.large = large
    heap.used += size
    return <Object *> (large + 1)


cdef size_t next_chunk_size(Heap *heap, size_t least) noexcept nogil:
    """Return the size of a chunk for a block of `least` bytes: as large as all chunks before it, within bounds."""
    cdef size_t size = CHUNK_SIZE_MIN
    if heap.chunks != NULL:
        size = heap.chunks.size
        if heap.chunks.next != NULL:
            size *= 2
    while size < sizeof(Chunk) + least:
        size *= 2
    if size >= CHUNK_SIZE_HUGE:
        size = (size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1)
    return CHUNK_SIZE_MAX if size > CHUNK_SIZE_MAX else size


cdef Object *allocate_fresh(Heap *heap, uint32_t units) noexcept nogil:
    """Cut a small block from the current chunk, or from a new one."""
    cdef size_t size = <size_t> units * UNIT
    cdef size_t chunk_size
    cdef Chunk *chunk
    cdef char *block
    if not has_room(heap, size):
        return NULL
    if heap.dead != NULL:
        drain(heap, DEAD_TO_REUSE)
        if heap.free[units] != NULL:
            block = <char *> heap.free[units]
            heap.free[units] = (<Object *> block).next
            heap.used += size
            return <Object *> block
    if <size_t> (heap.bump_end - heap.bump) < size:
        chunk_size = next_chunk_size(heap, size)
        chunk = <Chunk *> chunk_memory(chunk_size)
        if chunk == NULL:
            return NULL
        # The rest of the old chunk stays usable as one free block.
        if heap.bump_end - heap.bump >= UNIT:
            give_back_rest(heap)
        chunk.next = heap.chunks
        chunk.size = chunk_size
        heap.chunks = chunk
        heap.bump = <char *> chunk + sizeof(Chunk)
        heap.bump_end = <char *> chunk + chunk_size
    block = heap.bump
    heap.bump += size
    heap.used += size
    return <Object *> block


cdef void give_back_rest(Heap *heap) noexcept nogil:
    cdef uint32_t units = <uint32_t> ((heap.bump_end - heap.bump) // UNIT)
    cdef Object *rest = <Object *> heap.bump
    if units == 0 or units > SMALL_UNITS_MAX:
        return
    rest.units = <uint16_t> units
    rest.kind = 0
    rest.flags = 0
    rest.next = heap.free[units]
    heap.free[units] = rest


cdef inline Object *allocate(Heap *heap, uint32_t kind, size_t size, uint32_t length) noexcept nogil:
    """Return a block with one reference and a filled header, or NULL: the caller then tells NO_MEMORY.

    Size includes the header. The body is not initialised: fill all `length` values before anything else can fail.
    """
    cdef size_t units = (size + (UNIT - 1)) // UNIT
    cdef Object *block
    if likely(units <= SMALL_UNITS_MAX and not HOSTILE):
        block = heap.free[units]
        if likely(block != NULL):
            heap.free[units] = block.next
            heap.used += units * UNIT
            if unlikely(heap.used > heap.collect_at) and not has_room_left(heap, block, units):
                return NULL
        else:
            block = allocate_fresh(heap, <uint32_t> units)
            if unlikely(block == NULL):
                return NULL
        block.units = <uint16_t> units
    else:
        block = allocate_large(heap, units * UNIT, False)
        if block == NULL:
            return NULL
        block.units = LARGE_UNITS
    block.count = 1
    block.extra = 0
    block.kind = <uint8_t> kind
    block.flags = 0
    block.length = length
    return block


cdef inline size_t block_size(Object *block) noexcept nogil:
    """Return the bytes of a block with its header."""
    if block.units == LARGE_UNITS:
        return ((<Large *> block) - 1).size
    return <size_t> block.units * UNIT


cdef inline void free_block(Heap *heap, Object *block) noexcept nogil:
    cdef Large *large
    cdef uint32_t units = block.units
    if likely(units != LARGE_UNITS):
        heap.used -= <size_t> units * UNIT
        block.kind = 0
        block.flags = 0
        block.next = heap.free[units]
        heap.free[units] = block
        return
    large = (<Large *> block) - 1
    heap.used -= large.size
    if large.previous != NULL:
        large.previous.next = large.next
    else:
        heap.large = large.next
    if large.next != NULL:
        large.next.previous = large.previous
    if HOSTILE:
        hostile_bury(&heap.hostile, large, sizeof(Large) + large.size)
    else:
        c_free(large)


# ---- counts

cdef inline Value *values_of(Object *object) noexcept nogil:
    """Return the values of an object of a kind that has some."""
    return <Value *> (<char *> object + VALUES_AT[object.kind])


cdef inline Object **pointers_of(Object *object) noexcept nogil:
    """Return the pointers of an object of a kind that has some; NULL may be among them."""
    return <Object **> (<char *> object + POINTERS_AT[object.kind])


cdef inline void retain_object(Object *object) noexcept nogil:
    if HOSTILE:
        hostile_expect(object.count != 0 and HEAP <= object.kind < TAG_COUNT, b"a dead object is retained")
    if object.count < IMMORTAL:
        object.count += 1


cdef inline void retain(Value value) noexcept nogil:
    if value.tag >= HEAP:
        retain_object(value.object)


cdef inline Value retained(Value value) noexcept nogil:
    """Return the value, owned."""
    retain(value)
    return value


cdef inline void release_object(Heap *heap, Object *object) noexcept nogil:
    if HOSTILE:
        hostile_expect(object.count != 0 and HEAP <= object.kind < TAG_COUNT, b"a dead object is released")
    if object.count < IMMORTAL:
        object.count -= 1
        if object.count == 0:
            destroy(heap, object)


cdef inline void release(Heap *heap, Value value) noexcept nogil:
    if value.tag >= HEAP:
        release_object(heap, value.object)


cdef inline Value taken(const Value *argument) noexcept nogil:
    """Return the value of an argument that its slot gives away; it has to be put back if the instruction is done again."""
    cdef Value value = argument[0]
    vacate(<Value *> argument)
    return value


cdef inline void release_values(Heap *heap, Value *values, uint32_t n) noexcept nogil:
    """Release and vacate n slots."""
    cdef Object *object
    cdef uint32_t tag
    cdef uint32_t i
    for i in range(n):
        tag = values[i].tag
        object = values[i].object
        vacate(&values[i])
        if tag >= HEAP:
            release_object(heap, object)


cdef inline void set_value(Heap *heap, Value *place, Value value) noexcept nogil:
    """Store an owned value over an old one, which is released."""
    cdef Value old = place[0]
    place[0] = value
    release(heap, old)


cdef inline Object *drop(Object *dead, Object *object) noexcept nogil:
    """Take one reference away; a last one puts the object on the list of the dead."""
    if HOSTILE:
        hostile_expect(object.count != 0 and HEAP <= object.kind < TAG_COUNT, b"a dead object is dropped")
    if object.count < IMMORTAL:
        object.count -= 1
        if object.count == 0:
            object.next = dead
            return object
    return dead


cdef void destroy(Heap *heap, Object *object) noexcept nogil:
    """Free an object whose count is zero and all that only it held; of much, the rest later.

    What waits to be freed counts as used. It goes whenever memory is wanted, first what is wanted, so that it never
    makes an agent run out of memory; and after each slice.
    """
    object.next = heap.dead
    heap.dead = object
    drain(heap, DEAD_AT_ONCE)


cdef void drain(Heap *heap, int64_t most) noexcept nogil:
    """Free up to `most` of the dead and what only they held: a list of the dead instead of recursion.

    ORDER: references.
    """
    cdef Object *dead = heap.dead
    cdef Object *object
    cdef Value *values
    cdef Object **pointers
    cdef Frame *frame
    cdef uint32_t i
    cdef uint32_t start
    cdef uint32_t end
    while dead != NULL and most > 0:
        most -= 1
        object = dead
        dead = object.next
        start = VALUES_AT[object.kind]
        if start != 0:
            values = <Value *> (<char *> object + start)
            end = object.length
            if unlikely(end > DEAD_VALUES):  # its last values now, it itself once more
                object.length = end - DEAD_VALUES
                for i in range(object.length, end):
                    if values[i].tag >= HEAP:
                        dead = drop(dead, values[i].object)
                object.next = dead
                dead = object
                most -= DEAD_VALUES >> 3
                continue
            for i in range(end):
                if values[i].tag >= HEAP:
                    dead = drop(dead, values[i].object)
            if object.kind == FRAME:
                frame = <Frame *> object
                if frame.parent != NULL:
                    dead = drop(dead, &frame.parent.head)
                dead = drop(dead, &frame.closure.head)
        elif POINTERS_AT[object.kind] != 0:
            pointers = pointers_of(object)
            for i in range(object.length):
                if pointers[i] != NULL:
                    dead = drop(dead, pointers[i])
        free_block(heap, object)
    heap.dead = dead


# ---- constructors; each takes over the references it stores and gives NULL when there is no memory

cdef inline Values *new_values(Heap *heap, uint32_t kind, uint32_t length) noexcept nogil:
    """Return an object of `length` values, to be filled at once by the caller."""
    return <Values *> allocate(heap, kind, sizeof(Object) + <size_t> length * sizeof(Value), length)


cdef Text *new_bytes(Heap *heap, uint32_t kind, size_t length) noexcept nogil:
    """Return an object of a kind of bytes, to be filled by the caller (bytes and char_count)."""
    cdef Text *text
    if length > 0x7FFFFFFF:
        return NULL
    text = <Text *> allocate(heap, kind, sizeof(Object) + 8 + length, <uint32_t> length)
    if text != NULL:
        text.char_count = 0
        text.spare = 0
    return text


cdef Text *new_text(Heap *heap, uint32_t kind, const char *utf8, size_t length) noexcept nogil:
    """Return a STRING, KEYWORD or SYMBOL with a copy of valid utf-8; counts the characters."""
    cdef Text *text = new_bytes(heap, kind, length)
    if text == NULL:
        return NULL
    memcpy(text.bytes, utf8, length)
    text.char_count = count_chars(text.bytes, length)
    return text


cdef uint32_t count_chars(const uint8_t *utf8, size_t length) noexcept nogil:
    """Return the number of code points: bytes that do not continue one."""
    cdef uint32_t count = 0
    cdef size_t i
    for i in range(length):
        count += (utf8[i] & 0xC0) != 0x80
    return count


cdef Outcome give_text(Heap *heap, uint32_t kind, const char *utf8, size_t length, Value *result) noexcept nogil:
    """Set result to a new text."""
    cdef Text *text
    if spend_bytes(heap, length) != OK:
        return DEFER
    text = new_text(heap, kind, utf8, length)
    if text == NULL:
        return NO_MEMORY
    result[0] = pointer_value(text)
    return OK


cdef inline Outcome give_cell(Heap *heap, Value first, Value rest, Value *result) noexcept nogil:
    """Set result to a LIST cell if `rest` is a LIST or EMPTY, else to a CONS cell; takes both over."""
    cdef Values *cell = new_values(heap, CONS, 2)
    if cell == NULL:
        return NO_MEMORY
    if rest.tag == LIST:
        cell.head.kind = LIST
        cell.head.extra = rest.object.extra + 1
    elif rest.tag == EMPTY:
        cell.head.kind = LIST
        cell.head.extra = 1
    cell.at[0] = first
    cell.at[1] = rest
    result[0] = pointer_value(cell)
    return OK


cdef Outcome give_list(Heap *heap, const Value *items, uint32_t count, Value *result) noexcept nogil:
    """Set result to the list of the items, which are borrowed; EMPTY for none."""
    cdef Value rest = immediate(EMPTY, 0)
    cdef uint32_t i
    for i in range(count, 0, -1):
        if give_cell(heap, retained(items[i - 1]), rest, &rest) != OK:
            return NO_MEMORY
    result[0] = rest
    return OK


cdef Outcome give_values(Heap *heap, uint32_t kind, const Value *items, uint32_t count, Value *result) noexcept nogil:
    """Set result to an object of a kind without raw part (ATOM, ERROR, LAZY, RATIO, RANGE ...); items are borrowed."""
    cdef Values *object = new_values(heap, kind, count)
    cdef uint32_t i
    if object == NULL:
        return NO_MEMORY
    for i in range(count):
        object.at[i] = retained(items[i])
    result[0] = pointer_value(object)
    return OK


cdef Closure *new_closure(Heap *heap, FunctionInfo *function, Value captures) noexcept nogil:
    cdef Closure *closure = <Closure *> allocate(heap, CLOSURE, sizeof(Closure), 1)
    if closure != NULL:
        closure.function = function
        closure.spare = 0
        closure.captures = captures
    return closure


cdef Outcome give_seq(Heap *heap, Value source, uint32_t flags, int64_t index, Value *result) noexcept nogil:
    """Set result to a SEQ over a VECTOR, STRING, MAP or SET from index on (item, byte offset, pair); source is borrowed.

    The caller ensures that something is left.
    """
    cdef Seq *seq = <Seq *> allocate(heap, SEQ, sizeof(Seq), 1)
    if seq == NULL:
        return NO_MEMORY
    seq.head.flags = <uint8_t> flags
    seq.index = index
    seq.spare = 0
    seq.source = retained(source)
    result[0] = pointer_value(seq)
    return OK


# ---- the stack of work lists; what is on it is borrowed

cdef Outcome push_work(Heap *heap, Value value) noexcept nogil:
    cdef size_t capacity
    cdef Value *work
    if heap.work_count == heap.work_capacity:
        capacity = heap.work_capacity * 2 if heap.work_capacity else WORK_COUNT_MIN
        if heap.used + capacity * sizeof(Value) > heap.max + (1 << 20):
            return NO_MEMORY
        work = <Value *> c_realloc(heap.work, capacity * sizeof(Value))
        if work == NULL:
            return NO_MEMORY
        heap.work = work
        heap.work_capacity = capacity
    heap.work[heap.work_count] = value
    heap.work_count += 1
    return OK


cdef inline Value pop_work(Heap *heap) noexcept nogil:
    heap.work_count -= 1
    return heap.work[heap.work_count]


cdef inline void trim_work(Heap *heap) noexcept nogil:
    """Give back what one large value made of the stack."""
    if heap.work_count == 0 and heap.work_capacity > WORK_COUNT_KEPT:
        c_free(heap.work)
        heap.work = NULL
        heap.work_capacity = 0
