# The audit of references, and what else only a hostile build answers.
#
# Is:     a walk over every block of a heap that compares each count with the references found.
# Is not: in the normal build: blocks are then not on one list, and nothing here is called.
# Fits:   in a hostile build every block is allocated as a large one (`_heap.pxi`), whose header has a spare field;
#         `Machine.run` audits at the end of an agent. The switch and the poisoning are in `_hostile.h`.
#
# Counts are exact whatever is on the heap: garbage that is cyclic refers to itself as often as its counts say, and a
# block that was leaked has a count that no reference explains.

cdef inline void tally_object(Object *object) noexcept nogil:
    if object.count < IMMORTAL:
        hostile_expect(object.units == LARGE_UNITS and object.count > 0, b"a reference to a block that is not alive")
        ((<Large *> object) - 1).spare += 1


cdef inline void tally(Value value) noexcept nogil:
    hostile_expect(value.tag < TAG_COUNT, b"a value of no kind")
    if value.tag >= HEAP:
        hostile_expect(value.tag == value.object.kind, b"a value whose tag is not its object's kind")
        tally_object(value.object)


cdef void expect_narrow(Object *leaf) noexcept nogil:
    """Stop unless form and room of a leaf are those its items ask for."""
    cdef uint32_t family = family_of(leaf_item(leaf, 0).tag)
    cdef size_t size = (leaf_size(leaf.flags, leaf.length) + UNIT - 1) // UNIT * UNIT
    cdef uint32_t i
    hostile_expect(1 <= leaf.length <= LEAF_ITEMS, b"a leaf is empty or too long")
    for i in range(1, leaf.length):
        if family_of(leaf_item(leaf, i).tag) != family:
            family = MIXED
    hostile_expect(leaf.flags == family, b"a leaf is not of the family of its items")
    hostile_expect(block_size(leaf) == size, b"a leaf has room that does not follow from its length")


cdef void tally_block(Object *object) noexcept nogil:
    """Count the references a block holds. ORDER: references; as `drain`."""
    cdef Value *values
    cdef Object **pointers
    cdef uint32_t i
    hostile_expect(HEAP <= object.kind < TAG_COUNT, b"an object of no kind")
    if is_leaf(object.kind):
        expect_narrow(object)
    if POINTERS_AT[object.kind] != 0:
        pointers = pointers_of(object)
        for i in range(object.length):
            if pointers[i] != NULL:
                hostile_expect(HEAP <= pointers[i].kind < TAG_COUNT, b"a reference to an object of no kind")
                tally_object(pointers[i])
        return
    if VALUES_AT[object.kind] == 0:
        return
    values = values_of(object)
    for i in range(object.length):
        tally(values[i])
    if object.kind == FRAME:
        if (<Frame *> object).parent != NULL:
            tally_object(&(<Frame *> object).parent.head)
        tally_object(&(<Frame *> object).closure.head)


cdef void tally_roots(State *state) noexcept nogil:
    cdef uint32_t i
    if state.frame != NULL:
        tally_object(&state.frame.head)
    tally(state.marks)
    tally(state.effect_arguments)
    tally(state.error)
    tally(state.result)
    tally(state.heap.forced)
    for i in range(state.global_count):
        tally(state.globals[i])


cdef Object *miscounted(State *state, size_t *found) noexcept nogil:
    """Return an object whose count is not the number of references to it, which goes to `found`; NULL if all agree."""
    cdef Large *block = state.heap.large
    cdef size_t used = 0
    while block != NULL:
        block.spare = 0
        used += block.size
        block = block.next
    hostile_expect(used == state.heap.used, b"the bytes in use are not those of the live blocks")
    hostile_expect(state.heap.work_count == 0, b"something was left on the stack of work lists")
    block = state.heap.large
    while block != NULL:
        tally_block(<Object *> (block + 1))
        block = block.next
    tally_roots(state)
    block = state.heap.large
    while block != NULL:
        if (<Object *> (block + 1)).count < IMMORTAL and (<Object *> (block + 1)).count != block.spare:
            found[0] = block.spare
            return <Object *> (block + 1)
        block = block.next
    return NULL


cdef int audit_state(State *state) except -1:
    """Raise AssertionError if a count is wrong. After NO_MEMORY nothing is given back, so there is nothing to check."""
    cdef size_t found = 0
    cdef Object *object
    if state.status == STATUS_OUT_OF_MEMORY:
        return 0
    drain(&state.heap, GREATEST_INTEGER)
    object = miscounted(state, &found)
    if object != NULL:
        raise AssertionError(f"kind {object.kind}: {found} references, but a count of {object.count}")
    return 0


def constants_digest(Code code not None):
    """Return a digest of all memory of a code's constants, which threads share and nobody may write to."""
    cdef Large *block = code.heap.large
    digest = _blake2b()
    while block != NULL:
        digest.update((<char *> (block + 1))[: block.size])
        block = block.next
    return digest.digest()


def run_counts():
    """Return how often each instruction and each host function was run in this process."""
    return (
        [hostile_opcode_count(<uint32_t> number) for number in range(OP_COUNT)],
        [hostile_primitive_count(<uint32_t> number) for number in range(PRIMITIVE_TABLE_SIZE)],
    )


IS_HOSTILE = bool(HOSTILE)
