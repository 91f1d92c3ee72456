# Delimited control: prompts, capture up to a prompt, escapes that run finalizers.
#
# Is:     `prompt*`, `control*`, `suspend*`, `abort*`, and what it means to call a continuation.
# Is not: shift, generators, effect handlers, `finally`: yang/lib/control.clj makes them of these.
# Fits:   `call` in `_calls.pxi` comes here for host functions of kind control and for continuations.
# Source: Dybvig, Peyton Jones, Sabry, "A Monadic Framework for Delimited Continuations" (2007): the continuation as a
#         list of segments cut at prompts. James, Sabry, "Yield: Mainstream Delimited Continuations" (2011): the prompt
#         gets what was suspended and the continuation as one thing. Bruggeman, Waddell, Dybvig, "Representing Control
#         in the Presence of One-Shot Continuations" (1996): what is used once moves and is not copied.
#
# The continuation is `state.frame` and what it returns to, down to a HALT frame, and then `state.marks`: each MARK holds
# a frame that waits below. Frames never point across a mark, so a capture shares them: it copies the marks it passes,
# and putting it back copies them again. Neither looks at a frame.
#
# What nobody else holds is moved instead: marks out of the state and back, and the frame of a continuation that is given
# away by its last use, which then goes on without being copied. That a continuation is used once is thus seen by its
# count. Fuel is the same either way.
#
# A mark's tag is a keyword, symbol or atom: a prompt; a function: a finalizer, for escapes that leave it; nil: the place
# where a captured part was put. `extra` is the number of marks from here down. Marks in `state.marks` are shared by the
# continuations of call/cc, so two continuations have in common what is the same object in both.

cdef enum:
    MARK_LENGTH = 3
    SUSPENDED_LENGTH = 3  # of a CONTINUATION that keeps what suspend* was given; as a MARK, so that one can become the other

cdef inline bint is_prompt_tag(Value tag) noexcept nogil:
    return tag.tag == KEYWORD or tag.tag == SYMBOL or tag.tag == ATOM


cdef inline bint may_mark(Value tag) noexcept nogil:
    """Return whether a program can put a mark with this tag: a prompt's, or a finalizer."""
    return is_prompt_tag(tag) or tag.tag == CLOSURE


cdef inline uint32_t mark_depth(Value mark) noexcept nogil:
    return mark.object.extra if mark.tag == MARK else 0


cdef inline Values *mark_of(Value mark) noexcept nogil:
    return <Values *> mark.object


cdef inline bint has_tag(Value mark, Value tag) noexcept nogil:
    """Return whether a mark is a prompt with a tag that a prompt can have."""
    cdef Value own = mark_of(mark).at[0]
    if own.tag != tag.tag:
        return False
    return own.object == tag.object or (tag.tag != ATOM and text_equal(own.object, tag.object))


cdef inline Frame *frame_of(Value mark) noexcept nogil:
    """Return the frame that waits below a mark."""
    return <Frame *> mark_of(mark).at[1].object


cdef Frame *frame_below(Frame *frame, Value *marks) noexcept nogil:
    """Return the frame below one, or NULL; `marks` (borrowed) are those below and change on the way."""
    if frame.parent != NULL:
        return frame.parent
    if marks.tag != MARK:
        return NULL
    frame = frame_of(marks[0])
    marks[0] = mark_of(marks[0]).at[2]
    return frame


cdef inline void fill_mark(Values *mark, Value tag, Frame *frame, Value below) noexcept nogil:
    mark.head.kind = MARK
    mark.head.flags = 0
    mark.head.extra = mark_depth(below) + 1
    mark.at[0] = tag
    mark.at[1] = pointer_value(frame)
    mark.at[2] = below


cdef Values *new_mark(Heap *heap, Value tag, Frame *frame, Value below) noexcept nogil:
    """Return a mark; takes over what it stores."""
    cdef Values *mark = new_values(heap, MARK, MARK_LENGTH)
    if mark != NULL:
        fill_mark(mark, tag, frame, below)
    return mark


cdef Outcome continue_at(State *state, Frame *frame, Value marks) noexcept nogil:
    """Leave the running frame for another one (both borrowed)."""
    retain_object(&frame.head)
    set_value(&state.heap, &state.marks, retained(marks))
    release_object(&state.heap, &state.frame.head)
    state.frame = own_frame(&state.heap, frame)
    return NO_MEMORY if state.frame == NULL else OK


cdef Outcome leave_mark(State *state) noexcept nogil:
    """Make the frame below the innermost mark the running one; there is none before."""
    cdef Values *mark = mark_of(state.marks)
    state.frame = <Frame *> mark.at[1].object
    state.marks = mark.at[2]
    if mark.head.count == 1:
        release(&state.heap, mark.at[0])
        free_block(&state.heap, &mark.head)
    else:
        retain_object(&state.frame.head)
        retain(state.marks)
        mark.head.count -= 1
    state.frame = own_frame(&state.heap, state.frame)
    return NO_MEMORY if state.frame == NULL else OK


cdef Outcome pass_mark(State *state, Value value) noexcept nogil:
    """Give a value (borrowed) to the frame below the innermost mark."""
    value = retained(value)
    release_object(&state.heap, &state.frame.head)
    if leave_mark(state) != OK:
        return NO_MEMORY
    deliver(state, value)
    return OK


cdef inline Frame *wait_at(State *state, int32_t slot) noexcept nogil:
    """Take the frame that waits for a call's value out of the state, which then has none."""
    cdef Frame *frame = state.frame
    if slot == TAIL:
        frame = state.frame.parent
        free_frame(&state.heap, state.frame)
    else:
        frame.head.slot = slot
    state.frame = NULL
    return frame


cdef bint find_prompt(State *state, Value tag, Value *mark) noexcept nogil:
    """Set mark (borrowed) to the innermost prompt with a tag, or return False."""
    mark[0] = state.marks
    while mark.tag == MARK:
        charge(&state.heap, 1)
        if has_tag(mark[0], tag):
            return True
        mark[0] = mark_of(mark[0]).at[2]
    return False


cdef Value find_finalizer(State *state, Value target) noexcept nogil:
    """Return the innermost mark (borrowed) with a finalizer that an escape to `target` leaves, or nil."""
    cdef Value mark = state.marks
    while mark_depth(mark) > 0 and mark.object != target.object:
        charge(&state.heap, 1)
        if mark_depth(mark) < mark_depth(target):
            target = mark_of(target).at[2]
        else:
            if mark_of(mark).at[0].tag == CLOSURE:
                return mark
            mark = mark_of(mark).at[2]
    return nil()


cdef Outcome put_marks(State *state, Value first, Value end, Value below, Value *result) noexcept nogil:
    """Set result to copies of the marks from `first` up to `end` (borrowed), on top of `below` (taken over)."""
    cdef Values *copy
    cdef Values *last = NULL
    cdef Value mark = first
    cdef uint32_t depth = mark_depth(first) - mark_depth(end) + mark_depth(below)
    result[0] = below
    while mark.tag == MARK and mark.object != end.object:
        charge(&state.heap, 1)
        copy = new_mark(
            &state.heap, retained(mark_of(mark).at[0]), <Frame *> retained(mark_of(mark).at[1]).object, below
        )
        if copy == NULL:
            return NO_MEMORY
        copy.head.extra = depth
        depth -= 1
        if last == NULL:
            result[0] = pointer_value(copy)
        else:
            last.at[2] = pointer_value(copy)
        last = copy
        mark = mark_of(mark).at[2]
    return OK


cdef bint are_own(Value first, Value end) noexcept nogil:
    """Return whether nobody but the state, or one continuation, holds the marks from `first` up to `end`."""
    while first.tag == MARK and first.object != end.object:
        if first.object.count != 1:
            return False
        first = mark_of(first).at[2]
    return True


cdef Value *move_marks(Heap *heap, Value first, Value end, uint32_t up) noexcept nogil:
    """Change the depth of own marks from `first` up to `end`; return where the reference to the end is."""
    cdef Values *mark
    while True:
        charge(heap, 1)
        mark = mark_of(first)
        mark.head.extra += up
        first = mark.at[2]
        if first.tag != MARK or first.object == end.object:
            return &mark.at[2]


cdef Outcome cut_marks(State *state, Value prompt, Value *above) noexcept nogil:
    """Take the marks above a prompt (borrowed) out of the state, whose innermost mark it then is; nil for none."""
    cdef Value *last
    above[0] = nil()
    if state.marks.object == prompt.object:
        return OK
    if are_own(state.marks, prompt):
        above[0] = state.marks
        last = move_marks(&state.heap, state.marks, prompt, <uint32_t> -<int32_t> mark_depth(prompt))
        last[0] = nil()
        state.marks = prompt
        return OK
    if put_marks(state, state.marks, prompt, nil(), above) != OK:
        return NO_MEMORY
    set_value(&state.heap, &state.marks, retained(prompt))
    return OK


cdef Outcome put_part(State *state, Values *part, Value value) noexcept nogil:
    """Go on in a captured part, which ends with this, and give it a value (both taken over). No frame runs before."""
    cdef Heap *heap = &state.heap
    cdef Frame *frame = <Frame *> part.at[0].object
    cdef Value first = part.at[1]
    if part.head.count == 1 and are_own(first, nil()):
        if first.tag == MARK:
            move_marks(heap, first, nil(), mark_depth(state.marks))[0] = state.marks
            state.marks = first
        if part.head.length == SUSPENDED_LENGTH:
            release(heap, part.at[2])
        free_block(heap, &part.head)
    else:
        retain_object(&frame.head)
        if put_marks(state, first, nil(), state.marks, &state.marks) != OK:
            return NO_MEMORY
        release_object(heap, &part.head)
    state.frame = own_frame(heap, frame)
    if state.frame == NULL:
        return NO_MEMORY
    deliver(state, value)
    return OK


# ---- the host functions

cdef Outcome check_control(State *state, const char *name, const Value *arguments, uint32_t n) noexcept nogil:
    """Fault unless there are a tag and a function that takes n arguments: nothing fails once frames have moved."""
    cdef Value function = arguments[1]
    if function.tag == CLOSURE:
        if select_arity((<Closure *> function.object).function, n) == NULL:
            return fault_function_arity(state, (<Closure *> function.object).function, n)
    elif function.tag != CONTINUATION:
        return fault_type(&state.heap, name, b"a function", function)
    elif n != 1:
        return fault_arity(state, b"a continuation", 14, n)
    return OK


cdef Outcome call_control(State *state, uint32_t number, Value *arguments, uint32_t n, int32_t slot) noexcept nogil:
    cdef PrimitiveInfo *primitive = &PRIMITIVE_TABLE[number]
    cdef Value tag
    cdef Outcome outcome
    if n < primitive.least or n > primitive.most:
        return fault_arity(state, primitive.name, strlen(primitive.name), n)
    if number == PRIMITIVE_SUSPEND:
        return suspend(state, arguments, slot)
    tag = arguments[0]
    if not (may_mark(tag) if number == PRIMITIVE_PROMPT else is_prompt_tag(tag)):
        return fault_type(&state.heap, primitive.name, b"a keyword, symbol or atom", tag)
    if number == PRIMITIVE_ABORT:
        return abort_to(state, tag, &arguments[1], slot)
    outcome = check_control(state, primitive.name, arguments, n - 2 if number == PRIMITIVE_PROMPT else 1)
    if outcome != OK:
        return outcome
    if number != PRIMITIVE_PROMPT:
        return capture(state, arguments, slot)
    if arguments[1].tag == CLOSURE:
        return call_above(state, arguments, n, slot)
    return resume_above(state, arguments, slot)


cdef Frame *new_bottom(Heap *heap) noexcept nogil:
    """Return the frame that stands above a mark, or below everything, and passes a value on."""
    cdef Frame *bottom = new_frame(heap, &HALT_ARITY, HALT_FUNCTION.closure, NULL)
    if bottom != NULL:
        bottom.at[0] = nil()
        bottom.head.slot = 0
    return bottom


cdef Outcome add_mark(State *state, Value tag, Frame *waiting) noexcept nogil:
    """Put a new mark upon the others; takes over what it stores."""
    cdef Values *mark = new_mark(&state.heap, tag, waiting, state.marks)
    if mark == NULL:
        return NO_MEMORY
    state.marks = pointer_value(mark)
    return OK


cdef Outcome call_above(State *state, Value *arguments, uint32_t n, int32_t slot) noexcept nogil:
    """Call the closure arguments[1] with those after it above a new mark arguments[0]."""
    cdef Heap *heap = &state.heap
    cdef Closure *closure = <Closure *> taken(&arguments[1]).object
    cdef Value tag = taken(&arguments[0])
    cdef Frame *bottom = new_bottom(heap)
    cdef Frame *frame
    if bottom == NULL:
        return NO_MEMORY
    frame = new_frame(heap, select_arity(closure.function, n - 2), closure, bottom)
    if frame == NULL or fill_parameters(heap, frame, &arguments[2], n - 2) != OK:
        return NO_MEMORY
    if add_mark(state, tag, wait_at(state, slot)) != OK:
        return NO_MEMORY
    state.frame = frame
    return OK


cdef Outcome resume_above(State *state, Value *arguments, int32_t slot) noexcept nogil:
    """Call the continuation arguments[1] with arguments[2] above a new mark arguments[0]."""
    cdef Heap *heap = &state.heap
    cdef Value tag = taken(&arguments[0])
    cdef Values *part = <Values *> taken(&arguments[1]).object
    cdef Value value = taken(&arguments[2])
    cdef Frame *waiting = wait_at(state, slot)
    cdef Frame *frame = <Frame *> part.at[0].object
    cdef Outcome outcome
    if part.head.length == SUSPENDED_LENGTH and part.head.count == 1 and part.at[1].tag == NIL:
        release(heap, part.at[2])
        fill_mark(part, tag, waiting, state.marks)  # the continuation is used up: the mark takes its place
        state.marks = pointer_value(part)
        state.frame = own_frame(heap, frame)
        if state.frame == NULL:
            return NO_MEMORY
        deliver(state, value)
        return OK
    if add_mark(state, tag, waiting) != OK:
        return NO_MEMORY
    if part.head.flags & COMPOSABLE:
        return put_part(state, part, value)
    state.frame = new_bottom(heap)
    if state.frame == NULL:
        return NO_MEMORY
    outcome = escape(state, part, value)
    release(heap, value)
    release_object(heap, &part.head)
    return outcome


cdef void clear(Heap *heap, Value *arguments, uint32_t n) noexcept nogil:
    """Take arguments out of the caller's slots, where a frame that waits would keep them alive."""
    cdef uint32_t i
    for i in range(n):
        set_value(heap, &arguments[i], nil())


cdef Outcome capture(State *state, Value *arguments, int32_t slot) noexcept nogil:
    """Call arguments[1] below the innermost prompt arguments[0], with the part that was above it."""
    cdef Heap *heap = &state.heap
    cdef Values *part
    cdef Value function
    cdef Value prompt
    cdef Value argument
    cdef Outcome outcome
    if not find_prompt(state, arguments[0], &prompt):
        return fault_prompt(state, b"control*", arguments[0])
    part = new_values(heap, CONTINUATION, 2)
    if part == NULL or cut_marks(state, prompt, &part.at[1]) != OK:
        return NO_MEMORY
    part.head.flags = COMPOSABLE
    function = retained(arguments[1])
    clear(heap, arguments, 2)
    part.at[0] = pointer_value(wait_at(state, slot))
    if leave_mark(state) != OK:
        return NO_MEMORY
    argument = pointer_value(part)
    if function.tag == CLOSURE:
        outcome = call_closure(state, <Closure *> function.object, &argument, 1, state.frame.head.slot)
    else:
        outcome = call_continuation(state, <Values *> function.object, &argument, 1, state.frame.head.slot)
    release(heap, argument)
    release(heap, function)
    return outcome


cdef Outcome suspend(State *state, Value *arguments, int32_t slot) noexcept nogil:
    """Give the innermost prompt arguments[0] the part above it, which keeps arguments[1]."""
    cdef Heap *heap = &state.heap
    cdef Values *part
    cdef Frame *frame
    cdef Value prompt = state.marks
    cdef Value above = nil()
    cdef Value message
    if likely(prompt.tag == MARK and arguments[0].tag == KEYWORD and has_tag(prompt, arguments[0])):
        charge(heap, 1)
    elif unlikely(not is_prompt_tag(arguments[0])):
        return fault_type(heap, b"suspend*", b"a keyword, symbol or atom", arguments[0])
    elif not find_prompt(state, arguments[0], &prompt):
        return fault_prompt(state, b"suspend*", arguments[0])
    elif cut_marks(state, prompt, &above) != OK:
        return NO_MEMORY
    message = taken(&arguments[1])
    release_values(heap, arguments, 1)
    frame = wait_at(state, slot)
    if prompt.object.count == 1:  # the prompt is used up: the continuation takes its place
        part = mark_of(prompt)
        state.frame = own_frame(heap, <Frame *> part.at[1].object)
        state.marks = part.at[2]
        release(heap, part.at[0])
        part.head.kind = CONTINUATION
        part.head.extra = 0
    else:
        part = new_values(heap, CONTINUATION, SUSPENDED_LENGTH)
        if part == NULL or leave_mark(state) != OK:
            return NO_MEMORY
    if state.frame == NULL:
        return NO_MEMORY
    part.head.flags = COMPOSABLE
    part.at[0] = pointer_value(frame)
    part.at[1] = above
    part.at[2] = message
    deliver(state, pointer_value(part))
    return OK


cdef Outcome abort_to(State *state, Value tag, Value *value, int32_t slot) noexcept nogil:
    """Leave everything above the innermost prompt with a tag; the value is the prompt's."""
    cdef Value prompt
    cdef Value target
    cdef Values *continuation
    cdef Outcome outcome
    if not find_prompt(state, tag, &prompt):
        return fault_prompt(state, b"abort*", tag)
    continuation = new_values(&state.heap, CONTINUATION, 2)
    if continuation == NULL:
        return NO_MEMORY
    continuation.at[0] = retained(mark_of(prompt).at[1])
    continuation.at[1] = retained(mark_of(prompt).at[2])
    target = pointer_value(continuation)
    outcome = call_continuation(state, continuation, value, 1, slot)
    release(&state.heap, target)
    return outcome


cdef Outcome fault_prompt(State *state, const char *name, Value tag) noexcept nogil:
    cdef Text *text = <Text *> tag.object
    cdef int shown
    if tag.tag == ATOM:
        return fault_text(&state.heap, b"prompt", b"%s: no prompt has this tag", name)
    shown = <int> text.head.length if text.head.length < 100 else 100
    state.heap.fault_kind = b"prompt"
    snprintf(
        state.heap.fault_message, sizeof(state.heap.fault_message), b"%s: no prompt has the tag %s%.*s",
        name, b":" if tag.tag == KEYWORD else b"", shown, <const char *> text.bytes,
    )
    return FAILED


# ---- calling a continuation

cdef Outcome call_continuation(
    State *state, Values *continuation, Value *arguments, uint32_t n, int32_t slot
) noexcept nogil:
    """Call what call/cc or control* gave (borrowed)."""
    if n != 1:
        return fault_arity(state, b"a continuation", 14, n)
    if continuation.head.flags & COMPOSABLE:
        return put_back(state, continuation, arguments[0], slot)
    return escape(state, continuation, arguments[0])


cdef Outcome put_back(State *state, Values *part, Value value, int32_t slot) noexcept nogil:
    """Go on in a captured part, on top of the continuation of this call."""
    cdef Frame *waiting
    retain_object(&part.head)
    value = retained(value)
    waiting = wait_at(state, slot)
    if waiting.arity == &HALT_ARITY:  # nothing between here and the next mark: a call in tail position leaves no trace
        release_object(&state.heap, &waiting.head)
    elif add_mark(state, nil(), waiting) != OK:
        return NO_MEMORY
    return put_part(state, part, value)


cdef Outcome escape(State *state, Values *continuation, Value value) noexcept nogil:
    """Leave everything and give the value to the frame that waited when the continuation was captured.

    Of the finalizers that are left, the core library's `impl/leave` calls the innermost, outside of its mark, and then
    this continuation again.
    """
    cdef Value mark = find_finalizer(state, continuation.at[1])
    cdef Value arguments[3]
    cdef Outcome outcome
    if mark.tag == MARK and (state.core == NULL or state.core.leave == NULL or state.core.leave.closure == NULL):
        return fault(&state.heap, b"core", b"there is no core library to call a finalizer")
    value = retained(value)
    retain_object(&continuation.head)
    if mark.tag == NIL:
        outcome = continue_at(state, <Frame *> continuation.at[0].object, continuation.at[1])
        release_object(&state.heap, &continuation.head)
        if outcome == OK:
            deliver(state, value)
        return outcome
    arguments[0] = retained(mark_of(mark).at[0])
    arguments[1] = pointer_value(continuation)
    arguments[2] = value
    if continue_at(state, frame_of(mark), mark_of(mark).at[2]) != OK:
        return NO_MEMORY
    return call_closure(state, state.core.leave.closure, arguments, 3, state.frame.head.slot)
