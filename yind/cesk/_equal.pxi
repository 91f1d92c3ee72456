# Equality, hash and order of values.
#
# Is:     Clojure's `=` (1 and 1.0 differ, lists equal vectors), a hash that agrees with it, and `compare`.
# Is not: numeric `==` and `<` (`_numbers.pxi`).
# Fits:   maps and sets (`_map.pxi`) use `keys_equal` and `hash_value`.
#
# Equality keeps its open pairs on the heap's work stack; nothing recurs except keys inside keys, which is bounded by
# KEY_DEPTH_MAX. The hash looks HASH_DEPTH_MAX levels deep, so its recursion is bounded; what is below does not count.

cdef enum:
    HASH_DEPTH_MAX = 8
    LEAF_STEPS = 4  # of work to compare two leaves as bytes
    FORCE_SINGLE_MAX = 32  # cells of a lazy seq realised one by one in a comparison, before more at once


cdef inline bint is_sequential(uint32_t tag) noexcept nogil:
    """Return whether the kind equals vectors and lists with the same items."""
    return tag == VECTOR or (LIST <= tag <= SEQ) or tag == EMPTY


cdef inline uint32_t mix(uint64_t bits) noexcept nogil:
    """Return 32 well-spread bits (the finalizer of MurmurHash3)."""
    bits ^= bits >> 33
    bits *= 0xFF51AFD7ED558CCDULL
    bits ^= bits >> 33
    bits *= 0xC4CEB9FE1A85EC53ULL
    bits ^= bits >> 33
    return <uint32_t> bits


cdef uint32_t hash_bytes(const uint8_t *bytes, size_t length, uint64_t seed) noexcept nogil:
    """Return the hash of bytes, never zero."""
    cdef uint64_t state = seed ^ (length * 0x9E3779B97F4A7C15ULL)
    cdef uint64_t word
    cdef uint32_t result
    while length >= 8:
        memcpy(&word, bytes, 8)
        state = (state ^ word) * 0x9FB21C651E98DF25ULL
        state ^= state >> 32
        bytes += 8
        length -= 8
    if length > 0:
        word = 0
        memcpy(&word, bytes, length)
        state = (state ^ word) * 0x9FB21C651E98DF25ULL
    result = mix(state)
    return result if result != 0 else 1


cdef inline uint32_t text_hash(Object *object) noexcept nogil:
    """Return the hash of a kind of bytes, from its header once it is known; immortal ones have it from loading."""
    cdef uint32_t result = object.extra
    if result == 0:
        result = hash_bytes((<Text *> object).bytes, object.length, object.kind * 0x5851F42D4C957F2DULL)
        object.extra = result
    return result


cdef inline bint text_equal(Object *a, Object *b) noexcept nogil:
    """Return whether two objects of one kind of bytes are equal."""
    return a == b or (
        a.length == b.length
        and text_hash(a) == text_hash(b)
        and (<Text *> a).char_count == (<Text *> b).char_count
        and memcmp((<Text *> a).bytes, (<Text *> b).bytes, a.length) == 0
    )


cdef inline Outcome texts_equal(Heap *heap, Object *a, Object *b, bint *result) noexcept nogil:
    """As `text_equal`, at a cost."""
    if a != b and a.length == b.length and spend_bytes(heap, 2 * <size_t> a.length) != OK:
        return DEFER
    result[0] = text_equal(a, b)
    return OK


cdef Outcome hash_value(Heap *heap, Value value, uint32_t *result) noexcept nogil:
    """Set result to the hash; equal values have equal hashes, on every node."""
    if STRING <= value.tag <= BIG:
        if spend_bytes(heap, value.object.length) != OK:  # known or not: no image says whether it is
            return DEFER
        result[0] = text_hash(value.object)
        return OK
    if value.tag == INT:
        result[0] = mix(<uint64_t> value.integer + 0x9E3779B97F4A7C15ULL)
        return OK
    return hash_nested(heap, value, 0, result)


cdef inline uint64_t hash_begin(uint32_t tag) noexcept nogil:
    """Return the state of the hash of a collection before any item."""
    return 0x51ED270B if is_sequential(tag) else plain_tag(tag)


cdef inline uint64_t hash_mixed(uint64_t state, uint32_t tag, uint32_t part, uint32_t second) noexcept nogil:
    """Return the state with one more item of a collection; of a map with key and value."""
    if is_map(tag):
        return state + mix(<uint64_t> part << 32 | second)
    if is_set(tag):
        return state + mix(part)
    return state * 31 + part


cdef Outcome hash_item(
    Heap *heap, Cursor *cursor, uint32_t depth, bint of_map, uint32_t *part, uint32_t *second
) noexcept nogil:
    """Set part to the hash of a cursor's item; of an entry of a map that of the key, and second to that of the value."""
    cdef uint32_t key = 0
    cdef Outcome outcome
    if not cursor.pairs:
        return hash_nested(heap, cursor.item, depth, part)
    if of_map:
        outcome = hash_nested(heap, cursor.item, depth, part)
        return hash_nested(heap, cursor.value, depth, second) if outcome == OK else outcome
    if depth >= HASH_DEPTH_MAX:  # an entry in a seq is the vector it is
        part[0] = mix(0x51ED270B)
        return OK
    outcome = hash_nested(heap, cursor.item, depth + 1, &key)
    if outcome == OK:
        outcome = hash_nested(heap, cursor.value, depth + 1, part)
    part[0] = mix((0x51ED270BULL * 31 + key) * 31 + part[0])
    return outcome


cdef Outcome give_normal_text(Heap *heap, Value decimal, Value *result) noexcept nogil:
    """Set result to a text that equal decimals have in common."""
    if spend(heap, number_steps(ADD, decimal, decimal)) != OK:
        return DEFER
    with gil:
        unscaled, scale = _decimals.normal(python_number(decimal))
        return give_bytes_of(heap, STRING, b"%dE%d" % (unscaled, -scale), result)


cdef Outcome equal_decimals(Heap *heap, Value a, Value b, bint *result) noexcept nogil:
    if spend(heap, number_steps(ADD, a, b)) != OK:
        return DEFER
    with gil:
        result[0] = _decimals.is_equal(python_number(a), python_number(b))
    return OK


cdef Outcome hash_nested(Heap *heap, Value value, uint32_t depth, uint32_t *result) noexcept nogil:
    cdef Cursor cursor
    cdef Value normal = nil()
    cdef uint32_t part = 0
    cdef uint32_t second = 0
    cdef uint64_t state
    cdef bint more = False
    cdef double real
    cdef Outcome outcome
    if value.tag < HEAP and value.tag != EMPTY:
        state = 0 if value.tag < INT else <uint64_t> value.integer
        if value.tag == DOUBLE:
            real = value.real + 0.0  # -0.0 equals 0.0
            memcpy(&state, &real, 8)
        elif value.tag == INT:
            state += 0x9E3779B97F4A7C15ULL
        if value.tag != INT:
            state ^= <uint64_t> value.tag << 56
        result[0] = mix(state)
        return OK
    if STRING <= value.tag <= BIG:
        if spend_bytes(heap, value.object.length) != OK:
            return DEFER
        result[0] = text_hash(value.object)
        return OK
    if value.tag == DECIMAL:
        outcome = give_normal_text(heap, value, &normal)
        if outcome == OK:
            result[0] = text_hash(normal.object)
            release(heap, normal)
        return outcome
    if value.tag == RATIO:
        outcome = hash_nested(heap, (<Values *> value.object).at[0], depth, &part)
        if outcome == OK:
            outcome = hash_nested(heap, (<Values *> value.object).at[1], depth, &second)
        result[0] = mix((<uint64_t> part << 32 | second) ^ 0xA5A5)
        return outcome
    if value.tag == DESCRIBED:
        return hash_nested(heap, bare(value), depth, result)
    if value.tag >= CLOSURE:  # addresses differ between nodes, so they do not count
        state = (<Closure *> value.object).function.index if value.tag == CLOSURE else 0
        result[0] = mix(state << 8 | value.tag)
        return OK
    state = hash_begin(value.tag)
    if depth >= HASH_DEPTH_MAX:
        result[0] = mix(state)
        return OK
    outcome = cursor_start(heap, &cursor, value)
    while outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        outcome = spend(heap, 4)
        if outcome == OK:
            outcome = hash_item(heap, &cursor, depth + 1, is_map(value.tag), &part, &second)
        if outcome != OK:
            break
        state = hash_mixed(state, value.tag, part, second)
    if outcome == FORCE:
        return FORCE_ALL
    result[0] = mix(state)
    return outcome


# ---- the second hash of keys, see `_map.pxi`

cdef struct Sip:  # SipHash-1-3 over 64-bit words
    uint64_t a
    uint64_t b
    uint64_t c
    uint64_t d
    uint64_t length


cdef inline uint64_t rotated(uint64_t word, int by) noexcept nogil:
    return (word << by) | (word >> (64 - by))


cdef inline void sip_round(Sip *sip) noexcept nogil:
    sip.a += sip.b
    sip.c += sip.d
    sip.b = rotated(sip.b, 13) ^ sip.a
    sip.d = rotated(sip.d, 16) ^ sip.c
    sip.a = rotated(sip.a, 32)
    sip.c += sip.b
    sip.a += sip.d
    sip.b = rotated(sip.b, 17) ^ sip.c
    sip.d = rotated(sip.d, 21) ^ sip.a
    sip.c = rotated(sip.c, 32)


cdef inline void sip_begin(Sip *sip, const uint64_t *key) noexcept nogil:
    sip.a = key[0] ^ 0x736F6D6570736575ULL
    sip.b = key[1] ^ 0x646F72616E646F6DULL
    sip.c = key[0] ^ 0x6C7967656E657261ULL
    sip.d = key[1] ^ 0x7465646279746573ULL
    sip.length = 0


cdef inline void sip_word(Sip *sip, uint64_t word) noexcept nogil:
    sip.d ^= word
    sip_round(sip)
    sip.a ^= word
    sip.length += 8


cdef inline uint64_t sip_end(Sip *sip) noexcept nogil:
    sip_word(sip, sip.length << 56)
    sip.c ^= 0xFF
    sip_round(sip)
    sip_round(sip)
    sip_round(sip)
    return sip.a ^ sip.b ^ sip.c ^ sip.d


cdef void sip_text(Sip *sip, Text *text) noexcept nogil:
    """Absorb an object of a kind of bytes: kind, length and content."""
    cdef const uint8_t *bytes = text.bytes
    cdef uint64_t word = 0
    cdef uint32_t left = text.head.length
    sip_word(sip, <uint64_t> left << 16 | text.head.kind << 1 | (text.char_count & 1 if text.head.kind == BIG else 0))
    while left >= 8:
        memcpy(&word, bytes, 8)
        sip_word(sip, word)
        bytes += 8
        left -= 8
    if left > 0:
        word = 0
        memcpy(&word, bytes, left)
        sip_word(sip, word)


cdef inline Outcome keyed_hash(Heap *heap, Value key, uint32_t *result) noexcept nogil:
    """Set result to the agent's own hash of a key, all its depth included."""
    cdef uint64_t full = 0
    cdef Outcome outcome = keyed_nested(heap, key, 0, &full)
    result[0] = <uint32_t> full
    return outcome


cdef Outcome keyed_nested(Heap *heap, Value value, uint32_t depth, uint64_t *result) noexcept nogil:
    cdef Sip sip
    cdef Cursor cursor
    cdef Value normal = nil()
    cdef uint64_t part = 0
    cdef uint64_t sum = 0
    cdef double real
    cdef bint more = False
    cdef Outcome outcome
    sip_begin(&sip, heap.hash_key)
    if value.tag < HEAP and value.tag != EMPTY:
        if value.tag == DOUBLE:
            real = value.real + 0.0  # -0.0 equals 0.0
            memcpy(&sum, &real, 8)
        elif value.tag >= INT:
            sum = <uint64_t> value.integer
        sip_word(&sip, value.tag)
        sip_word(&sip, sum)
    elif STRING <= value.tag <= BIG:
        outcome = spend(heap, value.object.length >> 3)
        if outcome != OK:
            return outcome
        sip_text(&sip, <Text *> value.object)
    elif value.tag == DESCRIBED:
        return keyed_nested(heap, bare(value), depth, result)
    elif value.tag == DECIMAL:
        outcome = give_normal_text(heap, value, &normal)
        if outcome != OK:
            return outcome
        sip_text(&sip, <Text *> normal.object)
        release(heap, normal)
    elif value.tag >= CLOSURE:
        sip_word(&sip, (<Closure *> value.object).function.index if value.tag == CLOSURE else 0)
    elif depth >= KEY_DEPTH_MAX:
        return fault(heap, b"limit", b"keys are nested too deeply")
    elif value.tag == RATIO:
        outcome = keyed_nested(heap, (<Values *> value.object).at[0], depth + 1, &part)
        sip_word(&sip, part)
        if outcome == OK:
            outcome = keyed_nested(heap, (<Values *> value.object).at[1], depth + 1, &part)
        if outcome != OK:
            return outcome
        sip_word(&sip, part)
    else:
        sip_word(&sip, LIST if is_sequential(value.tag) else plain_tag(value.tag))
        outcome = cursor_start(heap, &cursor, value)
        while outcome == OK:
            outcome = cursor_next(heap, &cursor, &more)
            if outcome != OK or not more:
                break
            outcome = spend(heap, 4)
            if outcome == OK:
                outcome = keyed_item(heap, &cursor, depth + 1, is_map(value.tag), &part)
            if is_map(value.tag) or is_set(value.tag):
                sum += part
            else:
                sip_word(&sip, part)
        if outcome != OK:
            return FORCE_ALL if outcome == FORCE else outcome
        sip_word(&sip, sum)
    result[0] = sip_end(&sip)
    return OK


cdef Outcome keyed_item(Heap *heap, Cursor *cursor, uint32_t depth, bint of_map, uint64_t *result) noexcept nogil:
    """Set result to the hash of a cursor's item; an entry in a seq has that of the vector it is."""
    cdef Sip sip
    cdef uint64_t part = 0
    cdef Outcome outcome
    if not cursor.pairs:
        return keyed_nested(heap, cursor.item, depth, result)
    sip_begin(&sip, heap.hash_key)
    if not of_map:
        sip_word(&sip, LIST)
    outcome = keyed_nested(heap, cursor.item, depth + 1, &part)
    if outcome == OK:
        sip_word(&sip, part)
        outcome = keyed_nested(heap, cursor.value, depth + 1, &part)
    sip_word(&sip, part)
    if not of_map:
        sip_word(&sip, 0)
    result[0] = sip_end(&sip)
    return outcome


cdef inline Outcome keys_equal(Heap *heap, Value a, Value b, bint *result) noexcept nogil:
    """As `equal`, quick for simple keys."""
    cdef Outcome outcome
    if a.tag != b.tag:
        if unlikely(a.tag == DESCRIBED or b.tag == DESCRIBED):
            return keys_equal(heap, bare(a), bare(b), result)
        if not (is_sequential(a.tag) and is_sequential(b.tag)) and plain_tag(a.tag) != plain_tag(b.tag):
            result[0] = False
            return OK
    elif a.tag < HEAP and a.tag != DOUBLE:
        result[0] = a.tag < INT or a.integer == b.integer
        return OK
    elif STRING <= a.tag <= BIG:
        return texts_equal(heap, a.object, b.object, result)
    if heap.key_depth >= KEY_DEPTH_MAX:
        return fault(heap, b"limit", b"keys are nested too deeply")
    heap.key_depth += 1
    outcome = equal(heap, a, b, result)
    heap.key_depth -= 1
    return outcome


cdef Outcome equal(Heap *heap, Value a, Value b, bint *result) noexcept nogil:
    """Set result to Clojure's (= a b)."""
    cdef size_t bottom = heap.work_count
    cdef Outcome outcome
    result[0] = True
    while True:
        outcome = equal_step(heap, a, b, result)
        if outcome != OK or not result[0] or heap.work_count == bottom:
            break
        b = pop_work(heap)
        a = pop_work(heap)
    heap.work_count = bottom
    return outcome


cdef inline Outcome equal_or_later(Heap *heap, Value a, Value b, bint *result) noexcept nogil:
    """Compare two items now if they are simple, else push the pair."""
    if a.tag <= BIG and b.tag <= BIG:
        return equal_step(heap, a, b, result)
    if push_work(heap, a) != OK:
        return NO_MEMORY
    return push_work(heap, b)


cdef Outcome equal_step(Heap *heap, Value a, Value b, bint *result) noexcept nogil:
    """Compare two values; pairs of nested ones are pushed."""
    a = bare(a)
    b = bare(b)
    if a.tag != b.tag or is_sequential(a.tag):
        if is_sequential(a.tag) and is_sequential(b.tag):
            return equal_items(heap, a, b, result)
        if plain_tag(a.tag) == plain_tag(b.tag):
            return equal_maps(heap, a, b, result)
        result[0] = False
        return OK
    if a.tag == DOUBLE:
        result[0] = a.real == b.real
        return OK
    if a.tag < HEAP or a.object == b.object:
        result[0] = a.tag < INT or a.integer == b.integer
        return OK
    if a.tag <= BIG:
        return texts_equal(heap, a.object, b.object, result)
    if a.tag == RATIO:
        if equal_or_later(heap, (<Values *> a.object).at[0], (<Values *> b.object).at[0], result) == OK and result[0]:
            return equal_or_later(heap, (<Values *> a.object).at[1], (<Values *> b.object).at[1], result)
        return OK
    if a.tag == DECIMAL:
        return equal_decimals(heap, a, b, result)
    if MAP <= a.tag <= SORTED_SET:
        return equal_maps(heap, a, b, result)
    if a.tag == CLOSURE:
        result[0] = (
            (<Closure *> a.object).function == (<Closure *> b.object).function
            and (<Closure *> a.object).captures.tag != NIL
            and (<Closure *> a.object).captures.object == (<Closure *> b.object).captures.object
        )
        return OK
    result[0] = False  # atoms, errors, continuations: only themselves
    return OK


cdef inline Object *plain_leaf(Cursor *cursor) noexcept nogil:
    """Return the leaf at whose beginning a cursor stands if its items are equal when their bytes are, else NULL."""
    cdef Object *leaf
    if cursor.kind != VECTOR or cursor.index & 31 != 0 or cursor.index >= cursor.end:
        return NULL
    leaf = vector_leaf(<Vector *> cursor.at.object, cursor.index)
    if leaf.kind == VECTOR_TAGS or (leaf.kind == VECTOR_WORDS and leaf.flags != DOUBLE):
        return leaf
    return NULL


cdef Outcome equal_leaves(Heap *heap, Cursor *left, Cursor *right, uint64_t steps_max, bint *result) noexcept nogil:
    """Compare leaves as bytes, and move both cursors behind them, until that cannot be done or it is too much work."""
    cdef Object *a
    cdef Object *b
    while result[0] and heap.steps <= steps_max:
        a = plain_leaf(left)
        b = plain_leaf(right)
        if a == NULL or b == NULL or a.flags != b.flags or a.length != b.length:
            return OK
        if spend(heap, LEAF_STEPS) != OK:
            return DEFER
        result[0] = memcmp(a + 1, b + 1, a.length * item_size(a.flags)) == 0
        left.index += a.length
        left.steps += a.length
        right.index += a.length
        right.steps += a.length
    return OK


cdef Outcome equal_items(Heap *heap, Value a, Value b, bint *result) noexcept nogil:
    cdef Cursor left
    cdef Cursor right
    cdef Value entry
    cdef bint more_left = False
    cdef bint more_right = False
    cdef Outcome outcome
    if a.tag == b.tag and a.tag != EMPTY and a.object == b.object:
        return OK
    if a.tag == VECTOR and b.tag == VECTOR and vector_count(a) != vector_count(b):
        result[0] = False
        return OK
    outcome = cursor_start(heap, &left, a)
    if outcome == OK:
        outcome = cursor_start(heap, &right, b)
    while outcome == OK:
        if left.kind == VECTOR and left.index & 31 == 0:
            outcome = equal_leaves(heap, &left, &right, heap.steps_max, result)
            if outcome != OK or not result[0]:
                break
        outcome = cursor_next(heap, &left, &more_left)
        if outcome == OK:
            outcome = cursor_next(heap, &right, &more_right)
        if outcome != OK:
            break
        if not more_left or not more_right:
            result[0] = more_left == more_right
            return OK
        outcome = spend(heap, 2)
        if outcome != OK:
            break
        if left.pairs or right.pairs:
            outcome = equal_entries(heap, &left, &right, result)
        else:
            outcome = equal_or_later(heap, left.item, right.item, result)
        if not result[0]:
            return outcome
    if outcome == FORCE and left.steps >= FORCE_SINGLE_MAX:
        heap.forced_count = items_wanted(heap, a, b, left.steps)
    return outcome


cdef int64_t items_wanted(Heap *heap, Value a, Value b, int64_t done) noexcept nogil:
    """Return how many cells of a seq to realise for a comparison that has come so far.

    As many as are done, so that doing it all again costs no more than going on; but no more than the other side can
    have if that is known, so that a seq without end is not followed further than a finite one.
    """
    cdef Value other = a if counts_at_once(a) else b
    cdef int64_t count = 0
    if counts_at_once(other) and count_items(heap, other, &count) == OK and count - done < done:
        return count - done + 1 if count > done else 1
    return done


cdef Outcome equal_entries(Heap *heap, Cursor *left, Cursor *right, bint *result) noexcept nogil:
    """Compare the items of two cursors of which one at least gives entries of a map."""
    cdef Cursor *entry = left if left.pairs else right
    cdef Value other = bare(right.item if left.pairs else left.item)
    cdef Outcome outcome
    if left.pairs and right.pairs:
        outcome = equal_or_later(heap, left.item, right.item, result)
        if outcome != OK or not result[0]:
            return outcome
        return equal_or_later(heap, left.value, right.value, result)
    if other.tag != VECTOR or vector_count(other) != 2:
        result[0] = False
        return OK
    outcome = equal_or_later(heap, entry.item, vector_item(other, 0), result)
    if outcome != OK or not result[0]:
        return outcome
    return equal_or_later(heap, entry.value, vector_item(other, 1), result)


cdef Outcome equal_maps(Heap *heap, Value a, Value b, bint *result) noexcept nogil:
    """Compare two maps or two sets of any kinds; no comparator is asked that is a function of the program."""
    cdef Value swapped = a
    cdef Value plain = nil()
    cdef Outcome outcome
    if map_count(a) != map_count(b):
        result[0] = False
        return OK
    if in_same_order(a, b):
        return equal_in_order(heap, a, b, result)
    if looks_up_worse(a, b):
        a = b
        b = swapped
    if not calls_out(b):
        return equal_pairs(heap, a, b, result)
    outcome = give_plain(heap, b, &plain)
    if outcome == OK:
        outcome = equal_pairs(heap, a, plain, result)
    release(heap, plain)
    return outcome


cdef inline bint in_same_order(Value a, Value b) noexcept nogil:
    """Return whether two maps or sets with the same entries have them in the same order."""
    cdef Value left
    cdef Value right
    if not (is_sorted(a.tag) and is_sorted(b.tag)):
        return False
    left = (<Sorted *> a.object).order
    right = (<Sorted *> b.object).order
    return left.tag == right.tag and (left.tag == NIL or left.integer == right.integer)


cdef inline bint looks_up_worse(Value a, Value b) noexcept nogil:
    """Return whether keys are better looked up in the first of two maps or sets than in the second."""
    return is_sorted(b.tag) and (not is_sorted(a.tag) or calls_out(b))


cdef Outcome find_equal(Heap *heap, Value source, Value key, Value **found) noexcept nogil:
    """Set found to the pair of a key that is equal, or to NULL; not for what `calls_out`."""
    cdef int64_t rank = 0
    cdef bint same = False
    cdef Outcome outcome
    if not is_sorted(source.tag):
        return map_find(heap, source, key, found)
    outcome = sorted_find(heap, source, key, &rank, found)
    if outcome == FAILED:  # a key that cannot be compared with those there are
        found[0] = NULL
        return OK
    if outcome == OK and found[0] != NULL:
        outcome = keys_equal(heap, found[0][0], key, &same)
        if not same:
            found[0] = NULL
    return outcome


cdef Outcome equal_pairs(Heap *heap, Value a, Value b, bint *result) noexcept nogil:
    """Look the entries of a map or set up in another one."""
    cdef Cursor cursor
    cdef Value *found
    cdef bint more = False
    cdef Outcome outcome = cursor_start(heap, &cursor, a)
    while outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            return outcome
        outcome = spend(heap, 8)
        if outcome == OK:
            outcome = find_equal(heap, b, cursor.item, &found)
        if outcome != OK:
            return outcome
        if found == NULL:
            result[0] = False
            return OK
        if is_map(a.tag):
            outcome = equal_or_later(heap, cursor.value, found[1], result)
            if not result[0]:
                return outcome
    return outcome


cdef Outcome equal_in_order(Heap *heap, Value a, Value b, bint *result) noexcept nogil:
    cdef Cursor left
    cdef Cursor right
    cdef bint more = False
    cdef Outcome outcome = cursor_start(heap, &left, a)
    if outcome == OK:
        outcome = cursor_start(heap, &right, b)
    while outcome == OK:
        outcome = cursor_next(heap, &left, &more)
        if outcome == OK:
            outcome = cursor_next(heap, &right, &more)
        if outcome != OK or not more:
            break
        outcome = spend(heap, 4)
        if outcome == OK:
            outcome = equal_or_later(heap, left.item, right.item, result)
        if outcome == OK and result[0] and left.pairs:
            outcome = equal_or_later(heap, left.value, right.value, result)
        if not result[0]:
            break
    return outcome


cdef Outcome give_plain(Heap *heap, Value source, Value *result) noexcept nogil:
    """Set result to the MAP or SET with the entries of any map or set."""
    cdef Cursor cursor
    cdef bint more = False
    cdef Outcome outcome = give_empty(heap, plain_tag(source.tag), result)
    if outcome == OK:
        outcome = cursor_start(heap, &cursor, source)
    while outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
        if outcome != OK or not more:
            break
        outcome = spend(heap, PUT_STEPS)
        if outcome == OK:
            outcome = map_put(heap, result, cursor.item, cursor.value)
    return outcome


cdef uint32_t compare_rank(Value value) noexcept nogil:
    """Return the place of a kind in the order of `compare`; 99: kinds without order."""
    cdef uint32_t tag = value.tag
    if tag == NIL:
        return 0
    if tag == INT or tag == DOUBLE or tag == BIG or tag == RATIO or tag == DECIMAL:
        return 1
    if STRING <= tag <= SYMBOL:
        return 2 + tag - STRING
    if tag == CHAR:
        return 5
    if tag == FALSE or tag == TRUE:
        return 6
    if tag == INSTANT:
        return 7
    if tag == UUID or tag == BYTES:
        return 8 + tag - BYTES
    if tag == VECTOR:
        return 10
    return 99


cdef Outcome compare_values(Heap *heap, Value a, Value b, bint total, int *result) noexcept nogil:
    """Set result to -1, 0 or 1: nil first, numbers, strings, keywords, symbols, characters, booleans, instants, bytes,
    uuids, vectors by length then items. Other kinds fault, and so do two kinds where neither is nil.

    Numbers of which one is a double are compared as doubles, and a NaN is as great as any number. If the order is to be
    total, they are compared exactly and a NaN is less than all others: what is sorted then stays so whatever is removed.
    """
    cdef size_t bottom = heap.work_count
    cdef int64_t i
    cdef int64_t n
    cdef Outcome outcome = OK
    result[0] = 0
    while True:
        a = bare(a)
        b = bare(b)
        if a.tag == VECTOR and b.tag == VECTOR:
            n = vector_count(a)
            if n != vector_count(b):
                result[0] = -1 if n < vector_count(b) else 1
                break
            outcome = spend(heap, 4 * <uint64_t> n)
            if outcome != OK:
                break
            for i in range(n - 1, -1, -1):  # the first item comes off the stack first
                outcome = push_work(heap, vector_item(a, i))
                if outcome == OK:
                    outcome = push_work(heap, vector_item(b, i))
                if outcome != OK:
                    break
        else:
            outcome = compare_simple(heap, a, b, total, result)
        if outcome != OK or result[0] != 0 or heap.work_count == bottom:
            break
        b = pop_work(heap)
        a = pop_work(heap)
    heap.work_count = bottom
    return outcome


cdef int compare_bytes(const uint8_t *a, size_t length, const uint8_t *b, size_t other) noexcept nogil:
    """Return the order of two byte strings: -1, 0 or 1."""
    cdef int order = memcmp(a, b, length if length < other else other)
    if order == 0:
        return (length > other) - (length < other)
    return (order > 0) - (order < 0)


cdef int compare_names(Text *a, Text *b) noexcept nogil:
    """Return Clojure's order of keywords or symbols: without namespace first, then by namespace, then by name."""
    cdef size_t space = namespace_length(&a.head)
    cdef size_t other = namespace_length(&b.head)
    cdef int order = compare_bytes(a.bytes, space, b.bytes, other)
    if order != 0:
        return order
    return compare_bytes(a.bytes + space, a.head.length - space, b.bytes + other, b.head.length - other)


cdef inline bint is_nan(Value value) noexcept nogil:
    return value.tag == DOUBLE and isnan(value.real)


cdef inline bint rounds(Value a, Value b) noexcept nogil:
    """Return whether comparing two numbers as doubles may round one of them."""
    cdef Value other = b if a.tag == DOUBLE else a
    if (a.tag == DOUBLE) == (b.tag == DOUBLE) or is_nan(a) or is_nan(b):
        return False
    return other.tag != INT or other.integer > <int64_t> 1 << 53 or other.integer < -(<int64_t> 1 << 53)


cdef Outcome exact_order(Heap *heap, Value a, Value b, int *result) noexcept nogil:
    """Set result to the order of two numbers that are not rounded."""
    cdef Outcome outcome = spend(heap, number_steps(ADD, a, b))
    if outcome == OK:
        with gil:
            left = python_number(a)
            right = python_number(b)
            result[0] = (left > right) - (left < right)
    return outcome


cdef Outcome compare_simple(Heap *heap, Value a, Value b, bint total, int *result) noexcept nogil:
    cdef uint32_t rank = compare_rank(a)
    cdef uint32_t other = compare_rank(b)
    cdef Outcome outcome
    if rank == 0 or other == 0:
        result[0] = <int> (rank != 0) - <int> (other != 0)
        return OK
    if rank == 99:
        return fault_type(heap, b"compare", b"something with an order", a)
    if other == 99:
        return fault_type(heap, b"compare", b"something with an order", b)
    if rank != other:
        return fault_type(heap, b"compare", type_name(a), b)
    if rank == 1:
        if total and rounds(a, b):
            return exact_order(heap, a, b, result)
        outcome = number_compare(heap, a, b, result)
        if result[0] == UNORDERED:
            result[0] = <int> is_nan(b) - <int> is_nan(a) if total else 0
        return outcome
    if a.tag >= HEAP:
        if a.object == b.object:
            return OK
        if spend_bytes(heap, 2 * <size_t> (a.object.length if a.object.length < b.object.length else b.object.length)) != OK:
            return DEFER
    if a.tag == KEYWORD or a.tag == SYMBOL:
        result[0] = compare_names(<Text *> a.object, <Text *> b.object)
        return OK
    if a.tag >= HEAP:
        result[0] = compare_bytes(
            (<Text *> a.object).bytes, a.object.length, (<Text *> b.object).bytes, b.object.length
        )
        return OK
    if rank == 6:
        result[0] = <int> (a.tag == TRUE) - <int> (b.tag == TRUE)
        return OK
    result[0] = (a.integer > b.integer) - (a.integer < b.integer)
    return OK
