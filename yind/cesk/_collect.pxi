# The mark pass: finds what only circles through atoms and lazy seqs keep alive.
#
# Is:     a walk from the roots with a stack of its own, and a sweep over all blocks of the heap.
# Is not: how memory is freed in general: that is by counts (`_heap.pxi`), at once, and finds everything but circles.
# Fits:   `Machine.collect`, and `Machine.run` between two instructions when half of what was free is used up.
# Source: counts with a mark pass as backup: Wilson, "Uniprocessor Garbage Collection Techniques" (1992), section 2.1.
#
# Blocks are found by walking chunks: a chunk is blocks end to end, each with its size in `units`; a free one has kind 0.
# Where the pass runs depends on memory alone and costs no fuel, so it changes nothing that a program or an image can see.

cdef enum:
    MARKED = 0x80  # in `flags`

cdef struct Marks:
    Object **stack  # owned
    size_t depth
    size_t capacity


cdef bint mark_object(Marks *marks, Object *object) noexcept nogil:
    """Mark an object and note that its children are to be marked; False without memory."""
    cdef Object **stack
    cdef size_t capacity
    if object.count >= IMMORTAL or object.flags & MARKED:
        return True
    object.flags |= MARKED
    if VALUES_AT[object.kind] == 0 and POINTERS_AT[object.kind] == 0:
        return True
    if marks.depth == marks.capacity:
        capacity = marks.capacity * 2 if marks.capacity else 1024
        stack = <Object **> c_realloc(marks.stack, capacity * sizeof(Object *))
        if stack == NULL:
            return False
        marks.stack = stack
        marks.capacity = capacity
    marks.stack[marks.depth] = object
    marks.depth += 1
    return True


cdef bint mark_value(Marks *marks, Value value) noexcept nogil:
    return value.tag < HEAP or mark_object(marks, value.object)


cdef bint mark_children(Marks *marks, Object *object) noexcept nogil:
    """Mark what an object refers to. ORDER: references."""
    cdef Value *values = values_of(object)
    cdef Object **pointers = pointers_of(object)
    cdef Frame *frame
    cdef uint32_t i
    if VALUES_AT[object.kind] == 0:
        for i in range(object.length):
            if pointers[i] != NULL and not mark_object(marks, pointers[i]):
                return False
        return True
    for i in range(object.length):
        if values[i].tag >= HEAP and not mark_object(marks, values[i].object):
            return False
    if object.kind == FRAME:
        frame = <Frame *> object
        if frame.parent != NULL and not mark_object(marks, &frame.parent.head):
            return False
        return mark_object(marks, &frame.closure.head)
    return True


cdef bint mark_roots(Marks *marks, State *state) noexcept nogil:
    cdef uint32_t i
    if state.frame != NULL and not mark_object(marks, &state.frame.head):
        return False
    for i in range(state.global_count):
        if not mark_value(marks, state.globals[i]):
            return False
    return (
        mark_value(marks, state.marks)
        and mark_value(marks, state.effect_arguments)
        and mark_value(marks, state.error)
        and mark_value(marks, state.result)
        and mark_value(marks, state.heap.forced)
    )


cdef bint mark_all(State *state) noexcept nogil:
    """Mark everything a stopped state reaches; False without memory for the stack."""
    cdef Marks marks
    cdef bint done
    memset(&marks, 0, sizeof(Marks))
    done = mark_roots(&marks, state)
    while done and marks.depth > 0:
        marks.depth -= 1
        done = mark_children(&marks, marks.stack[marks.depth])
    c_free(marks.stack)
    return done


# ---- the sweep

cdef inline void forget_child(Object *child) noexcept nogil:
    """Take a reference away that garbage had; what is alive has another one."""
    if child.count < IMMORTAL and child.flags & MARKED:
        child.count -= 1


cdef void forget_children(Object *object) noexcept nogil:
    """Take away the references of an object that is garbage. ORDER: references."""
    cdef Value *values
    cdef Object **pointers
    cdef Frame *frame
    cdef uint32_t i
    if object.kind == 0 or object.flags & MARKED:
        return
    if POINTERS_AT[object.kind] != 0:
        pointers = pointers_of(object)
        for i in range(object.length):
            if pointers[i] != NULL:
                forget_child(pointers[i])
        return
    if VALUES_AT[object.kind] == 0:
        return
    values = values_of(object)
    for i in range(object.length):
        if values[i].tag >= HEAP:
            forget_child(values[i].object)
    if object.kind == FRAME:
        frame = <Frame *> object
        if frame.parent != NULL:
            forget_child(&frame.parent.head)
        forget_child(&frame.closure.head)


cdef inline void unmark_or_free(Heap *heap, Object *object, bint complete) noexcept nogil:
    if object.flags & MARKED:
        object.flags &= ~MARKED
    elif complete and object.kind != 0:
        free_block(heap, object)


cdef void sweep(Heap *heap, bint complete) noexcept nogil:
    """Free what is not marked, or nothing if the marks are not complete; take all marks away."""
    cdef Chunk *chunk
    cdef Large *large
    cdef Large *next_large
    cdef char *at
    cdef char *end
    cdef uint32_t units
    cdef int turn
    for turn in range(2):  # what garbage refers to must be known before the first of it is gone
        if turn == 0 and not complete:
            continue
        chunk = heap.chunks
        while chunk != NULL:
            at = <char *> chunk + sizeof(Chunk)
            end = heap.bump if chunk == heap.chunks else <char *> chunk + chunk.size
            while at < end:
                units = (<Object *> at).units
                if turn == 0:
                    forget_children(<Object *> at)
                else:
                    unmark_or_free(heap, <Object *> at, complete)
                at += <size_t> units * UNIT
            chunk = chunk.next
        large = heap.large
        while large != NULL:
            next_large = large.next
            if turn == 0:
                forget_children(<Object *> (large + 1))
            else:
                unmark_or_free(heap, <Object *> (large + 1), complete)
            large = next_large


cdef size_t collect(State *state) noexcept nogil:
    """Free what a stopped state does not reach; return the bytes."""
    cdef Heap *heap = &state.heap
    cdef size_t before
    drain(heap, GREATEST_INTEGER)
    before = heap.used
    if state.status == STATUS_OUT_OF_MEMORY:  # perhaps in the middle of a change
        return 0
    sweep(heap, mark_all(state))
    heap.collect_at = heap.used + (heap.max - heap.used if heap.max > heap.used else 0) // 2
    return before - heap.used
