# Where a state stands: what of its program it can still come to.
#
# Is:     a walk over what a stopped state holds, noting frames, and functions that are values.
# Is not: what those lead to: that is for rules over the program (`yang/rules/reach.dl`).
# Fits:   `Machine.standing`; the marks are those of the mark pass (`_collect.pxi`).
#
# Notes are numbers of 64 bits: what it is, which body, function or host function, and the position in the code. They are
# sorted and each is there once, so equal ones are equal bytes. A function that is the value of a global and of nothing
# else is left out: only code that names it comes to it. ORDER: standing.

from libc.stdlib cimport qsort

cdef enum:
    RUNS = 0  # a frame; the instruction at the position comes next
    WAITS = 1  # a frame; the call at the position has been made
    HOLDS = 2  # a function of the program, as a value
    HOLDS_HOST = 3  # a host function, as a value
    ASKS = 4  # an effect that waits for its answer
    HOLDS_CORE = 5  # a function of the core library, as a value or running
    NOTE_KIND = 61  # bits below the kind
    NOTE_NUMBER = 32  # bits below the number

cdef struct Notes:
    State *state
    Marks marks
    uint64_t *at  # owned
    size_t count
    size_t capacity


cdef bint note(Notes *notes, uint64_t kind, uint64_t number, uint64_t position) noexcept nogil:
    """Add a note; False without memory."""
    cdef uint64_t noted = kind << NOTE_KIND | number << NOTE_NUMBER | position
    cdef uint64_t *grown
    cdef size_t capacity
    if notes.count > 0 and notes.at[notes.count - 1] == noted:
        return True
    if notes.count == notes.capacity:
        capacity = notes.capacity * 2 if notes.capacity else 64
        grown = <uint64_t *> c_realloc(notes.at, capacity * sizeof(uint64_t))
        if grown == NULL:
            return False
        notes.at = grown
        notes.capacity = capacity
    notes.at[notes.count] = noted
    notes.count += 1
    return True


cdef bint note_frame(Notes *notes, Frame *frame) noexcept nogil:
    cdef CodeInfo *code = frame.arity.function.code
    cdef bint runs = frame.head.slot < 0 or (
        frame == notes.state.frame and notes.state.status != STATUS_EFFECT
    )
    if frame.arity == &HALT_ARITY:
        return True
    if code == notes.state.core:
        return note(notes, HOLDS_CORE, frame.arity.function.index, 0)
    return note(
        notes, RUNS if runs else WAITS, code.arity_base + frame.arity.index,
        pc_of(frame) if runs else waiting_pc(frame),
    )


cdef bint note_closure(Notes *notes, Closure *closure) noexcept nogil:
    cdef CodeInfo *code = closure.function.code
    if code == NULL:
        return True
    if code == notes.state.core:
        return note(notes, HOLDS_CORE, closure.function.index, 0)
    return note(notes, HOLDS, code.function_base + closure.function.index, 0)


cdef bint note_object(Notes *notes, Object *object) noexcept nogil:
    """Note a function, and mark the object so that its children are looked at."""
    if object.kind == CLOSURE and not note_closure(notes, <Closure *> object):
        return False
    return mark_object(&notes.marks, object)


cdef inline bint note_value(Notes *notes, Value value) noexcept nogil:
    if value.tag == PRIMITIVE:
        return note(notes, HOLDS_HOST, <uint64_t> value.integer, 0)
    return value.tag < HEAP or note_object(notes, value.object)


cdef bint note_words(Notes *notes, Words *words) noexcept nogil:
    cdef uint32_t i
    if words.head.flags & ~MARKED & 0xFF == PRIMITIVE:
        for i in range(words.head.length):
            if not note(notes, HOLDS_HOST, <uint64_t> words.at[i], 0):
                return False
    return True


cdef bint note_children(Notes *notes, Object *object) noexcept nogil:
    """Look at what an object refers to. ORDER: references."""
    cdef Value *values = values_of(object)
    cdef Object **pointers = pointers_of(object)
    cdef Frame *frame
    cdef uint32_t i
    if VALUES_AT[object.kind] == 0:
        for i in range(object.length):
            if pointers[i] != NULL and not note_part(notes, pointers[i]):
                return False
        return True
    for i in range(object.length):
        if not note_value(notes, values[i]):
            return False
    if object.kind == FRAME:
        frame = <Frame *> object
        if not note_frame(notes, frame) or not note_value(notes, frame.closure.captures):
            return False
        return frame.parent == NULL or mark_object(&notes.marks, &frame.parent.head)
    return True


cdef bint note_part(Notes *notes, Object *object) noexcept nogil:
    """Look at a part of a vector, or an item that is a pointer."""
    if object.kind == VECTOR_WORDS:
        return note_words(notes, <Words *> object)
    return note_object(notes, object)


cdef bint note_global(Notes *notes, Value value) noexcept nogil:
    """Look at the value of a global; of a function only at what it has captured."""
    if value.tag == PRIMITIVE:
        return True
    if value.tag == CLOSURE:
        return note_value(notes, (<Closure *> value.object).captures)
    return note_value(notes, value)


cdef bint note_roots(Notes *notes) noexcept nogil:
    cdef State *state = notes.state
    cdef uint32_t i
    if state.frame != NULL and not mark_object(&notes.marks, &state.frame.head):
        return False
    if state.status == STATUS_EFFECT and not note(notes, ASKS, state.effect, 0):
        return False
    for i in range(state.global_count):
        if not note_global(notes, state.globals[i]):
            return False
    return (
        note_value(notes, state.marks) and note_value(notes, state.effect_arguments)
        and note_value(notes, state.error) and note_value(notes, state.result)
        and note_value(notes, state.heap.forced)
    )


cdef bint note_all(Notes *notes) noexcept nogil:
    """Note everything a stopped state holds; False without memory."""
    cdef bint done = note_roots(notes)
    while done and notes.marks.depth > 0:
        notes.marks.depth -= 1
        done = note_children(notes, notes.marks.stack[notes.marks.depth])
    c_free(notes.marks.stack)
    sweep(&notes.state.heap, False)
    return done


cdef int compare_notes(const void *a, const void *b) noexcept nogil:
    cdef uint64_t x = (<const uint64_t *> a)[0]
    cdef uint64_t y = (<const uint64_t *> b)[0]
    return (x > y) - (x < y)


cdef void sort_notes(Notes *notes) noexcept nogil:
    """Put the notes in order, each once."""
    cdef size_t kept = 0
    cdef size_t i
    if notes.count == 0:
        return
    qsort(notes.at, notes.count, sizeof(uint64_t), compare_notes)
    for i in range(1, notes.count):
        if notes.at[i] != notes.at[kept]:
            kept += 1
            notes.at[kept] = notes.at[i]
    notes.count = kept + 1


cdef bytes standing_of(State *state):
    """Return the notes of a stopped state, each 8 bytes in this machine's order. Raises MemoryError."""
    cdef Notes notes
    cdef bint done
    memset(&notes, 0, sizeof(Notes))
    notes.state = state
    with nogil:
        done = note_all(&notes)
        if done:
            sort_notes(&notes)
    try:
        if not done:
            raise MemoryError
        return (<char *> notes.at)[:notes.count * sizeof(uint64_t)] if notes.count else b""
    finally:
        c_free(notes.at)
