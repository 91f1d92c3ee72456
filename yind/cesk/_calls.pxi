# Frames, calls, errors and effects: everything that moves the continuation and is not on the fast path of the loop.
#
# Is:     entering and leaving frames, calls of anything callable, throwing, asking for effects, starting and finishing.
# Is not: the instructions (`_loop.pxi`).
# Fits:   the loop saves in the frame where it is, calls one of these, and looks at `state.frame` again.
# Source: continuations as shared heap frames, copied when a shared one is returned into: Bruggeman, Waddell, Dybvig,
#         "Representing Control in the Presence of One-Shot Continuations" (1996).
#
# A call moves the function and its arguments out of the caller's slots: they show nothing afterwards, so that a frame
# which waits does not keep alive what only its callee needs, and the callee may be the only owner.

cdef enum:
    TAIL = -2  # in place of a slot: the frame is released
    FEW_MAX = 1 << 12  # arguments of a function that takes no list
    JUDGED = -3  # in place of a slot: the value decides the `unless-...` at pc

cdef inline Frame *new_frame(Heap *heap, ArityInfo *arity, Closure *closure, Frame *parent) noexcept nogil:
    """Return a frame at the entry of an arity; takes closure and parent over. The caller fills the slots at once."""
    cdef Object *block = heap.free[arity.units]
    cdef Frame *frame
    if likely(block != NULL and heap.used + arity.size <= heap.collect_at):
        heap.free[arity.units] = block.next
        heap.used += arity.size
        (<uint64_t *> block)[0] = 1  # count, extra
        (<uint64_t *> block)[1] = arity.head
        frame = <Frame *> block
    else:
        frame = <Frame *> allocate_frame(heap, arity.slot_count)
        if unlikely(frame == NULL):
            return NULL
    frame.parent = parent
    frame.arity = arity
    frame.closure = closure
    frame.resume = arity.start
    return frame


cdef Object *allocate_frame(Heap *heap, uint32_t slot_count) noexcept nogil:
    return allocate(heap, FRAME, VALUES_AT[<int> FRAME] + <size_t> slot_count * sizeof(Value), slot_count)


cdef inline int32_t slot_distance(int32_t number) noexcept nogil:
    """Return how far from the beginning of a frame a slot is, in bytes."""
    return VALUES_AT[<int> FRAME] + number * <int32_t> sizeof(Value)


cdef inline int32_t slot_number(int32_t distance) noexcept nogil:
    return (distance - VALUES_AT[<int> FRAME]) // <int32_t> sizeof(Value)


cdef inline Value *slot_at(Frame *frame, int32_t distance) noexcept nogil:
    """Return the slot that an operand names."""
    return <Value *> (<char *> frame + distance)


cdef inline Value *constant_at(Step *step, int32_t distance) noexcept nogil:
    """Return the constant that an operand names."""
    return <Value *> (<char *> step + distance)


cdef inline Step *jumped(Step *step, int32_t distance) noexcept nogil:
    """Return the step before the one that an operand names: the loop takes the next."""
    return <Step *> (<char *> step + distance)


cdef inline uint32_t pc_of(Frame *frame) noexcept nogil:
    """Return the position in its segment at which a frame goes on."""
    return <uint32_t> (frame.resume - frame.arity.steps)


cdef inline void go_to(Frame *frame, uint32_t pc) noexcept nogil:
    frame.resume = frame.arity.steps + pc


cdef inline ArityInfo *select_arity(FunctionInfo *function, uint32_t n) noexcept nogil:
    """Return the body for n arguments, or NULL."""
    cdef ArityInfo *arity
    cdef ArityInfo *found = NULL
    cdef uint32_t i
    for i in range(function.arity_count):
        arity = &function.arities[i]
        if arity.parameter_count == n and not arity.variadic:
            return arity
        if arity.variadic and n >= arity.parameter_count:
            found = arity
    return found


cdef Frame *copy_frame(Heap *heap, Frame *frame) noexcept nogil:
    """Return a frame of its own with the same contents; parent and slots are then shared."""
    cdef Frame *copy
    cdef uint32_t i
    retain_object(&frame.closure.head)
    if frame.parent != NULL:
        retain_object(&frame.parent.head)
    copy = new_frame(heap, frame.arity, frame.closure, frame.parent)
    if copy != NULL:
        copy.resume = frame.resume
        copy.head.slot = frame.head.slot
        for i in range(frame.head.length):
            copy.at[i] = retained(frame.at[i])
    return copy


cdef inline void fill_frame(Frame *frame, Value *arguments, uint32_t n) noexcept nogil:
    """Move all n arguments into a new frame; its other slots show nothing."""
    cdef uint32_t i
    for i in range(n):
        frame.at[i] = taken(&arguments[i])
    for i in range(n, frame.arity.slot_count):
        vacate(&frame.at[i])


cdef inline Frame *own_frame(Heap *heap, Frame *frame) noexcept nogil:
    """Return the frame (a reference is taken over) if nobody else holds it, else a copy; NULL without memory."""
    cdef Frame *copy
    if likely(frame.head.count == 1):
        return frame
    copy = copy_frame(heap, frame)
    release_object(heap, &frame.head)
    return copy


cdef inline void free_frame(Heap *heap, Frame *frame) noexcept nogil:
    """Free a running frame, whose parent has been taken."""
    cdef uint32_t i
    cdef uint32_t n = frame.head.length
    cdef uint32_t tags = 0
    for i in range(n):
        tags |= frame.at[i].tag
    if tags >= HEAP:  # no two tags below make one that is not
        for i in range(n):
            release(heap, frame.at[i])
    release_object(heap, &frame.closure.head)
    free_block(heap, &frame.head)


cdef inline Frame *leave_frame(Heap *heap, Frame *frame) noexcept nogil:
    """Free the running frame and return its parent, unique; NULL without memory. The parent must exist."""
    cdef Frame *parent = frame.parent
    free_frame(heap, frame)
    return own_frame(heap, parent)


cdef Outcome leave(State *state) noexcept nogil:
    """Make the parent of the running frame the running one."""
    state.frame = leave_frame(&state.heap, state.frame)
    return NO_MEMORY if state.frame == NULL else OK


cdef inline void deliver(State *state, Value value) noexcept nogil:
    """Give an owned value to the frame that waits."""
    if state.frame.head.slot >= 0:
        set_value(&state.heap, &state.frame.at[state.frame.head.slot], value)
    else:
        if state.frame.head.slot == JUDGED:
            state.frame.resume = judged(state.frame, value)
        release(&state.heap, value)


cdef Step *judged(Frame *frame, Value value) noexcept nogil:
    """Return where a frame goes on whose `unless-...` has its answer."""
    return 1 + (frame.resume if is_truthy(value) else jumped(frame.resume, frame.resume.c))


# ---- calls

cdef Outcome fault_arity(State *state, const char *name, size_t length, uint32_t n) noexcept nogil:
    cdef int shown = <int> length if length < 100 else 100
    state.heap.fault_kind = b"arity"
    snprintf(
        state.heap.fault_message, sizeof(state.heap.fault_message), b"wrong number of arguments (%u) passed to %.*s",
        n, shown, name,
    )
    return FAILED


cdef Outcome fault_function_arity(State *state, FunctionInfo *function, uint32_t n) noexcept nogil:
    if function.name == NULL:
        return fault_arity(state, b"a function", 10, n)
    return fault_arity(state, <const char *> function.name.bytes, function.name.head.length, n)


cdef Outcome fill_parameters(Heap *heap, Frame *frame, Value *arguments, uint32_t n) noexcept nogil:
    """Move n arguments into the frame's slots, the rest of a variadic body as a list."""
    cdef ArityInfo *arity = frame.arity
    cdef uint32_t fixed = arity.parameter_count
    cdef Value rest = nil()
    cdef uint32_t i
    for i in range(fixed):
        frame.at[i] = taken(&arguments[i])
    for i in range(fixed, arity.slot_count):
        vacate(&frame.at[i])
    if arity.variadic and n > fixed:
        charge(heap, (n - fixed) >> 1)
        rest = immediate(EMPTY, 0)
        for i in range(n, fixed, -1):
            if give_cell(heap, taken(&arguments[i - 1]), rest, &rest) != OK:
                return NO_MEMORY
        frame.at[fixed] = rest
    elif arity.variadic:
        frame.at[fixed] = nil()
    return OK


cdef Outcome call_closure(State *state, Closure *closure, Value *arguments, uint32_t n, int32_t slot) noexcept nogil:
    """Enter a function (borrowed); the running frame waits for `slot`, or is released if slot is TAIL."""
    cdef ArityInfo *arity = select_arity(closure.function, n)
    cdef Frame *caller = state.frame
    cdef Frame *frame
    if arity == NULL:
        return fault_function_arity(state, closure.function, n)
    retain_object(&closure.head)
    frame = new_frame(&state.heap, arity, closure, caller)
    if frame == NULL or fill_parameters(&state.heap, frame, arguments, n) != OK:
        return NO_MEMORY
    if slot == TAIL:
        frame.parent = caller.parent
        free_frame(&state.heap, caller)
    else:
        caller.head.slot = slot
    state.frame = frame
    return OK


cdef Outcome finish_call(State *state, Value value, int32_t slot) noexcept nogil:
    """Give the owned value of a call that needed no frame of its own."""
    if slot == TAIL:
        if leave(state) != OK:
            return NO_MEMORY
    else:
        state.frame.head.slot = slot
    deliver(state, value)
    return OK


cdef Outcome call_with_continuation(State *state, Value function, int32_t slot) noexcept nogil:
    """Call a function with the continuation of this call."""
    cdef Values *continuation
    cdef Value argument
    cdef Frame *waiting = state.frame.parent if slot == TAIL else state.frame
    cdef Outcome outcome
    if function.tag != CLOSURE and function.tag != CONTINUATION:
        return fault_type(&state.heap, b"call/cc", b"a function", function)
    continuation = new_values(&state.heap, CONTINUATION, 2)
    if continuation == NULL:
        return NO_MEMORY
    retain_object(&waiting.head)
    continuation.at[0] = pointer_value(waiting)
    continuation.at[1] = retained(state.marks)
    argument = pointer_value(continuation)
    if slot != TAIL:
        state.frame.head.slot = slot
    if function.tag == CONTINUATION:
        outcome = call_continuation(state, <Values *> function.object, &argument, 1, slot)
    else:
        outcome = call_closure(state, <Closure *> function.object, &argument, 1, slot)
    release(&state.heap, argument)
    return outcome


cdef Outcome look_up(Heap *heap, Value callee, const Value *arguments, uint32_t n, Value *result) noexcept nogil:
    """Call a keyword, symbol, map, set or vector: `get`, with an optional default except for vectors."""
    cdef Value collection = callee
    cdef Value key = arguments[0]  # the key itself may have metadata
    cdef Value *found = NULL
    cdef int64_t rank = 0
    cdef Outcome outcome
    if callee.tag == KEYWORD or callee.tag == SYMBOL:
        collection = bare(arguments[0])
        key = callee
    result[0] = nil()
    if collection.tag == VECTOR:
        if callee.tag == VECTOR:
            if key.tag != INT:
                return fault_type(heap, b"vector", b"an index", key)
            if not 0 <= key.integer < vector_count(collection):
                return fault(heap, b"index", b"index out of bounds")
            result[0] = retained(vector_item(collection, key.integer))
            return OK
    elif collection.tag == MAP or collection.tag == SET:
        outcome = map_find(heap, collection, key, &found)
        if outcome != OK:
            return outcome
    elif is_sorted(collection.tag):
        outcome = DEFER if calls_out(collection) else sorted_find(heap, collection, key, &rank, &found)
        if outcome != OK:
            return outcome
    if found != NULL:
        result[0] = retained(found[1] if is_map(collection.tag) else found[0])
    elif n == 2:
        result[0] = retained(arguments[1])
    return OK


cdef Outcome call_primitive(State *state, uint32_t number, Value *arguments, uint32_t n, int32_t slot) noexcept nogil:
    """Call a host function as a value; those of kind control have their own cases."""
    cdef PrimitiveInfo *primitive = &PRIMITIVE_TABLE[number]
    cdef Value result = nil()
    cdef Outcome outcome
    if n < primitive.least or n > primitive.most:
        return fault_arity(state, primitive.name, strlen(primitive.name), n)
    if primitive.kind == 2:
        return ask(state, number, arguments, n, slot)
    state.heap.steps = 0
    outcome = run_primitive(&state.heap, number, arguments, n, &result)
    if outcome != OK:
        release(&state.heap, result)
        return call_long_form(state, number, arguments, n, slot) if outcome == DEFER else outcome
    release_values(&state.heap, arguments, n)
    return finish_call(state, result, slot)


# ---- what would be too much work for one instruction

cdef Outcome call_long_form(State *state, uint32_t number, Value *arguments, uint32_t n, int32_t slot) noexcept nogil:
    """Let the core library do what a host function found to be too much; its value goes where the function's would."""
    cdef FunctionInfo *function = NULL
    if state.core != NULL:
        function = state.core.long_forms[number]
    if function == NULL:
        return do_whole(state, number, arguments, n, slot)
    return call_closure(state, function.closure, arguments, n, slot)


cdef Outcome do_whole(State *state, uint32_t number, Value *arguments, uint32_t n, int32_t slot) noexcept nogil:
    """Do what has no long form in one instruction, unless it is far too much."""
    cdef Heap *heap = &state.heap
    cdef Value result = nil()
    cdef Outcome outcome
    heap.steps = 0
    heap.steps_max = STEPS_MAX_WHOLE
    outcome = run_primitive(heap, number, arguments, n, &result)
    heap.steps_max = STEPS_MAX
    if outcome != OK:
        release(heap, result)
        return FAILED if outcome == DEFER else outcome
    release_values(heap, arguments, n)
    return finish_call(state, result, slot)


cdef inline uint16_t plain_opcode(Step *step) noexcept nogil:
    """Return the instruction that a step has in its segment: in loaded code a host function may have a place of its own.

    The n of such a step is zero when it reads its argument where it lies.
    """
    if step.opcode < OP_COUNT:
        return step.opcode
    return OP_PRIMITIVE if step.n else OP_PRIMITIVE_READ


cdef Outcome defer(State *state, Step *step) noexcept nogil:
    """Let a long form do an instruction."""
    cdef Frame *frame = state.frame
    cdef Value pair[2]
    cdef uint32_t number = 0
    cdef uint32_t n = 2
    cdef bint is_constant
    cdef int32_t slot = slot_number(step.a)
    cdef Outcome outcome
    frame.resume = step + 1
    if plain_opcode(step) == OP_PRIMITIVE:
        return call_long_form(state, step.b, slot_at(frame, step.c), step.n, slot)
    if step.opcode == OP_RETURN:
        return defer_finish(state)
    pair[1] = nil()
    if plain_opcode(step) == OP_PRIMITIVE_READ:
        number = step.b
        pair[0] = slot_at(frame, step.c)[0]
        n = 1
    elif is_judging(step.opcode):
        frame.resume = step
        slot = JUDGED
        pair[0] = slot_at(frame, step.a)[0]
        is_constant = step.opcode >= OP_UNLESS_LESS_CONSTANT
        pair[1] = constant_at(step, step.b)[0] if is_constant else slot_at(frame, step.b)[0]
    else:
        pair[0] = slot_at(frame, step.b)[0]
        if step.opcode == OP_INCREMENT or step.opcode == OP_DECREMENT:
            pair[1] = integer_value(1)
        else:
            is_constant = step.opcode >= OP_ADD_CONSTANT
            pair[1] = constant_at(step, step.c)[0] if is_constant else slot_at(frame, step.c)[0]
    retain(pair[0])
    retain(pair[1])
    outcome = call_long_form(state, number if n == 1 else fused_number(step.opcode), pair, n, slot)
    release(&state.heap, pair[0])
    release(&state.heap, pair[1])
    return outcome


cdef inline bint is_judging(uint16_t opcode) noexcept nogil:
    return OP_UNLESS_LESS <= opcode <= OP_UNLESS_EQUAL_CONSTANT


cdef uint32_t fused_number(uint16_t opcode) noexcept nogil:
    """Return the host function of an instruction on two values."""
    if opcode == OP_ADD or opcode == OP_ADD_CONSTANT or opcode == OP_INCREMENT:
        return PRIMITIVE_ADD
    if opcode == OP_SUBTRACT or opcode == OP_SUBTRACT_CONSTANT or opcode == OP_DECREMENT:
        return PRIMITIVE_SUBTRACT
    if opcode == OP_MULTIPLY or opcode == OP_MULTIPLY_CONSTANT:
        return PRIMITIVE_MULTIPLY
    if opcode == OP_LESS or opcode == OP_LESS_CONSTANT or opcode == OP_UNLESS_LESS or opcode == OP_UNLESS_LESS_CONSTANT:
        return PRIMITIVE_LESS
    if opcode == OP_GREATER_CONSTANT or opcode == OP_UNLESS_GREATER_CONSTANT:
        return PRIMITIVE_GREATER
    if opcode == OP_GREATER_EQUAL_CONSTANT or opcode == OP_UNLESS_GREATER_EQUAL_CONSTANT:
        return PRIMITIVE_GREATER_EQUAL
    if (
        opcode == OP_LESS_EQUAL or opcode == OP_LESS_EQUAL_CONSTANT
        or opcode == OP_UNLESS_LESS_EQUAL or opcode == OP_UNLESS_LESS_EQUAL_CONSTANT
    ):
        return PRIMITIVE_LESS_EQUAL
    return PRIMITIVE_EQUAL


cdef Outcome defer_finish(State *state) noexcept nogil:
    """Let the core library realise the value that ends the program; the HALT frame then is at its second instruction."""
    cdef Outcome outcome
    if state.core == NULL or state.core.long_finish == NULL:
        state.heap.steps = 0
        state.heap.steps_max = STEPS_MAX_WHOLE
        outcome = check_data(&state.heap, state.frame.at[0], False)
        state.heap.steps_max = STEPS_MAX
        return FAILED if outcome == DEFER else outcome
    return call_closure(state, state.core.long_finish.closure, state.frame.at, 1, 0)


cdef Outcome defer_effect(State *state, uint32_t number, Value *arguments, uint32_t n, int32_t slot) noexcept nogil:
    """Let the core library look through the arguments of an effect, which it then asks for."""
    cdef Values *all
    cdef Value holder
    cdef uint32_t i
    cdef Outcome outcome
    if state.core == NULL or state.core.long_effect == NULL:
        return FAILED
    all = new_values(&state.heap, CAPTURES, n + 1)
    if all == NULL:
        return NO_MEMORY
    all.at[0] = immediate(PRIMITIVE, number)
    for i in range(n):
        all.at[i + 1] = taken(&arguments[i])
    holder = pointer_value(all)
    outcome = call_closure(state, state.core.long_effect.closure, all.at, n + 1, slot)
    release(&state.heap, holder)
    return outcome


cdef Outcome call_with_few(State *state, Value function, Value left, uint32_t count, int32_t slot) noexcept nogil:
    """Call a function that takes no list (all borrowed)."""
    cdef Values *all
    cdef Value holder
    cdef const char *name
    cdef uint32_t i
    cdef Outcome outcome
    if count > FEW_MAX:
        if function.tag == CLOSURE:
            return fault_function_arity(state, (<Closure *> function.object).function, count)
        name = PRIMITIVE_TABLE[function.integer].name if function.tag == PRIMITIVE else type_name(function)
        return fault_arity(state, name, strlen(name), count)
    charge(&state.heap, count >> 1)
    all = new_values(&state.heap, CAPTURES, count)
    if all == NULL:
        return NO_MEMORY
    for i in range(count):
        all.at[i] = retained((<Values *> left.object).at[0])
        left = (<Values *> left.object).at[1]
    holder = pointer_value(all)
    retain(function)
    outcome = call(state, function, all.at, count, slot)
    release(&state.heap, function)
    release(&state.heap, holder)
    return outcome


cdef Outcome call_with_list(State *state, Value *arguments, uint32_t n, int32_t slot) noexcept nogil:
    """Call a function, or a host function by its long form, with the arguments in a list; their rest is not copied."""
    cdef Heap *heap = &state.heap
    cdef Value function = arguments[0]
    cdef Value left
    cdef ArityInfo *arity
    cdef Frame *frame
    cdef Closure *closure
    cdef uint32_t count
    cdef uint32_t i
    if n != 2 or (arguments[1].tag != LIST and arguments[1].tag != EMPTY):
        return fault(heap, b"type", b"apply: expected a list")
    left = arguments[1]
    count = 0 if left.tag == EMPTY else left.object.extra
    closure = NULL
    if function.tag == CLOSURE:
        closure = <Closure *> function.object
    elif function.tag == PRIMITIVE and state.core != NULL and state.core.long_forms[function.integer] != NULL:
        closure = state.core.long_forms[function.integer].closure
    arity = select_arity(closure.function, count) if closure != NULL else NULL
    if arity == NULL or not arity.variadic:
        return call_with_few(state, function, left, count, slot)
    retain_object(&closure.head)
    frame = new_frame(heap, arity, closure, state.frame)
    if frame == NULL:
        return NO_MEMORY
    for i in range(arity.slot_count):
        vacate(&frame.at[i])
    for i in range(arity.parameter_count):
        frame.at[i] = retained((<Values *> left.object).at[0])
        left = (<Values *> left.object).at[1]
    frame.at[arity.parameter_count] = nil() if left.tag == EMPTY else retained(left)
    release_values(heap, arguments, 2)
    if slot == TAIL:
        frame.parent = state.frame.parent
        free_frame(heap, state.frame)
    else:
        state.frame.head.slot = slot
    state.frame = frame
    return OK


cdef Outcome spread(Heap *heap, const Value *arguments, uint32_t n, Values **spreaded) noexcept nogil:
    """Collect a1 .. a(n-2) and the items of a(n-1) into one object of owned values."""
    cdef Cursor cursor
    cdef Values *all
    cdef int64_t count = n - 2
    cdef int64_t i
    cdef bint more = False
    cdef Outcome outcome = cursor_start(heap, &cursor, arguments[n - 1])
    while outcome == OK:
        outcome = cursor_next(heap, &cursor, &more)
        if outcome == OK and not more:
            break
        count += 1
        if count > SPREAD_MAX:
            return DEFER
    if outcome == FORCE:
        if cursor.steps < FORCE_SINGLE_MAX:
            return FORCE
        return FORCE_ALL
    if outcome != OK:
        return outcome
    charge(heap, count >> 1)
    all = new_values(heap, CAPTURES, <uint32_t> count)
    if all == NULL:
        return NO_MEMORY
    for i in range(count):
        all.at[i].tag = NIL
    for i in range(1, <int64_t> n - 1):
        all.at[i - 1] = retained(arguments[i])
    cursor_start(heap, &cursor, arguments[n - 1])
    for i in range(<int64_t> n - 2, count):
        cursor_next(heap, &cursor, &more)
        if cursor_item(heap, &cursor, &all.at[i]) != OK:
            return NO_MEMORY
    spreaded[0] = all
    return OK


cdef Outcome call(State *state, Value callee, Value *arguments, uint32_t n, int32_t slot) noexcept nogil:
    """Call anything callable (borrowed). Arguments are moved out only when this is OK or the frame is gone.

    The caller has saved in the frame where it goes on.
    """
    cdef Values *spreaded = NULL
    cdef Value holder = nil()
    cdef Value function = nil()
    cdef Value result = nil()
    cdef Outcome outcome
    while True:
        if unlikely(state.heap.described):
            callee = bare(callee)
            if callee.tag == PRIMITIVE and PRIMITIVE_TABLE[callee.integer].kind == 1:
                bare_functions(&state.heap, arguments, n)
        if HOSTILE and callee.tag == PRIMITIVE:
            hostile_primitive(<uint32_t> callee.integer)
        if callee.tag == CLOSURE:
            outcome = call_closure(state, <Closure *> callee.object, arguments, n, slot)
        elif callee.tag == PRIMITIVE and callee.integer == PRIMITIVE_APPLY:
            if n < 2:
                outcome = fault_arity(state, b"apply", 5, n)
            else:
                state.heap.steps = 0
                outcome = spread(&state.heap, arguments, n, &spreaded)
            if outcome == DEFER:
                outcome = call_long_form(state, PRIMITIVE_APPLY, arguments, n, slot)
            elif outcome == OK:
                release(&state.heap, function)
                function = retained(arguments[0])
                release(&state.heap, holder)
                holder = pointer_value(spreaded)
                callee = function
                arguments = spreaded.at
                n = spreaded.head.length
                continue
        elif callee.tag == PRIMITIVE and callee.integer == PRIMITIVE_CALLCC:
            if n != 1:
                outcome = fault_arity(state, b"call/cc", 7, n)
            else:
                release(&state.heap, function)
                function = retained(arguments[0])
                outcome = call_with_continuation(state, function, slot)
        elif callee.tag == PRIMITIVE and callee.integer == PRIMITIVE_CALL_WITH_LIST:
            outcome = call_with_list(state, arguments, n, slot)
        elif callee.tag == PRIMITIVE and callee.integer == PRIMITIVE_ASK_FOR:
            outcome = ask_for(state, arguments, n, slot)
        elif callee.tag == PRIMITIVE and PRIMITIVE_TABLE[callee.integer].kind == 1:
            outcome = call_control(state, <uint32_t> callee.integer, arguments, n, slot)
        elif callee.tag == PRIMITIVE:
            outcome = call_primitive(state, <uint32_t> callee.integer, arguments, n, slot)
        elif callee.tag == CONTINUATION:
            outcome = call_continuation(state, <Values *> callee.object, arguments, n, slot)
        elif KEYWORD <= callee.tag <= SYMBOL or VECTOR <= callee.tag <= SORTED_SET:
            if n == 0 or n > 2 or (n == 2 and (is_set(callee.tag) or callee.tag == VECTOR)):
                outcome = fault_arity(state, type_name(callee), strlen(type_name(callee)), n)
            else:
                state.heap.steps = 0
                outcome = look_up(&state.heap, callee, arguments, n, &result)
                if outcome == OK:
                    outcome = finish_call(state, result, slot)
                elif outcome == DEFER:
                    outcome = defer_look_up(state, callee, arguments, n, slot)
        else:
            outcome = fault_text(&state.heap, b"not-a-function", b"%s is not a function", type_name(callee))
        break
    release(&state.heap, function)
    release(&state.heap, holder)
    return outcome


# ---- effects

cdef Outcome check_data(Heap *heap, Value value, bint data_only) noexcept nogil:
    """FORCE_ALL at an unrealised lazy seq anywhere inside; if data_only, faults at what has no EDN form."""
    cdef size_t bottom = heap.work_count
    cdef Cursor cursor
    cdef bint more = False
    cdef uint64_t collections = 0
    cdef Outcome outcome = OK
    while True:
        value = bare(value)
        if data_only and (value.tag == PRIMITIVE or (value.tag >= CLOSURE and value.tag != DECIMAL)):
            outcome = fault_type(heap, b"effect", b"data", value)
        elif value.tag == EMPTY or LIST <= value.tag <= SORTED_SET:
            outcome = cursor_start(heap, &cursor, value)
            collections += 1
            if outcome == OK and collections & 3 == 0:
                outcome = spend(heap, 1)  # short ones, that are shared, may be ever so many
            while outcome == OK:
                outcome = cursor_next(heap, &cursor, &more)
                if outcome != OK or not more:
                    break
                if cursor.steps & 3 == 0:
                    outcome = spend(heap, 1)
                if outcome == OK and (cursor.item.tag == PRIMITIVE or cursor.item.tag > BIG):
                    outcome = push_work(heap, cursor.item)
                if outcome == OK and cursor.pairs and (cursor.value.tag == PRIMITIVE or cursor.value.tag > BIG):
                    outcome = push_work(heap, cursor.value)
        if outcome != OK or heap.work_count == bottom:
            break
        value = pop_work(heap)
    heap.work_count = bottom
    return FORCE_ALL if outcome == FORCE else outcome


cdef Outcome defer_look_up(State *state, Value callee, Value *arguments, uint32_t n, int32_t slot) noexcept nogil:
    """As `look_up`, by the long form of `get`."""
    cdef Value all[3]
    cdef uint32_t i
    cdef Outcome outcome
    all[0] = retained(callee)
    for i in range(n):
        all[i + 1] = retained(arguments[i])
    if callee.tag == KEYWORD or callee.tag == SYMBOL:
        all[0] = all[1]
        all[1] = callee
    outcome = call_long_form(state, PRIMITIVE_GET, all, n + 1, slot)
    for i in range(n + 1):
        release(&state.heap, all[i])
    return outcome


cdef Outcome ask(State *state, uint32_t number, Value *arguments, uint32_t n, int32_t slot) noexcept nogil:
    """End the slice with an effect, after a look at its arguments."""
    cdef uint32_t i
    cdef Outcome outcome
    state.heap.steps = 0
    for i in range(n):
        outcome = check_data(&state.heap, arguments[i], True)
        if outcome == DEFER:
            return defer_effect(state, number, arguments, n, slot)
        if outcome != OK:
            return outcome
    return ask_checked(state, number, arguments, n, slot)


cdef Outcome ask_for(State *state, Value *arguments, uint32_t n, int32_t slot) noexcept nogil:
    """Ask for the effect arguments[0] with those after it, which the core library has looked through."""
    cdef PrimitiveInfo *primitive
    if n == 0 or arguments[0].tag != PRIMITIVE or PRIMITIVE_TABLE[arguments[0].integer].kind != 2:
        return fault(&state.heap, b"type", b"expected an effect")
    primitive = &PRIMITIVE_TABLE[arguments[0].integer]
    if n - 1 < primitive.least or n - 1 > primitive.most:
        return fault_arity(state, primitive.name, strlen(primitive.name), n - 1)
    return ask_checked(state, <uint32_t> arguments[0].integer, arguments + 1, n - 1, slot)


cdef Outcome ask_checked(State *state, uint32_t number, Value *arguments, uint32_t n, int32_t slot) noexcept nogil:
    """End the slice with an effect; its answer goes where the value of the call would."""
    cdef Value asked
    if give_values(&state.heap, CAPTURES, arguments, n, &asked) != OK:
        return NO_MEMORY
    if slot == TAIL:
        if leave(state) != OK:
            return NO_MEMORY
    else:
        state.frame.head.slot = slot
    set_value(&state.heap, &state.effect_arguments, asked)
    state.effect = number
    return ASKED


# ---- lazy seqs

cdef Outcome call_realizer(State *state, bint whole) noexcept nogil:
    """Call the core library's `realize`, `realize-some` or `realize-all` with the seq noted in the heap, then do the step
    again."""
    cdef FunctionInfo *function = NULL
    cdef Value arguments[2]
    cdef uint32_t n = 1
    cdef Outcome outcome
    arguments[0] = state.heap.forced
    arguments[1] = integer_value(state.heap.forced_count)
    if state.core != NULL:
        function = state.core.realize_all if whole else state.core.realize
        if not whole and state.heap.forced_count > 1:
            function = state.core.realize_some
            n = 2
    if function == NULL or function.closure == NULL:
        return fault(&state.heap, b"core", b"there is no core library to realise a lazy seq")
    state.heap.forced = nil()
    outcome = call_closure(state, function.closure, arguments, n, -1)
    release(&state.heap, arguments[0])
    return outcome


# ---- errors

cdef Outcome make_error(State *state, Value *error) noexcept nogil:
    """Set error to an ERROR of the fault noted in the heap: message and {:fault kind}."""
    cdef Heap *heap = &state.heap
    cdef Value parts[3]
    cdef Value key
    cdef Value kind
    heap.steps = 0
    if give_text(heap, STRING, heap.fault_message, strlen(heap.fault_message), &parts[0]) != OK:
        return NO_MEMORY
    if give_text(heap, KEYWORD, b"fault", 5, &key) != OK:
        return NO_MEMORY
    if give_text(heap, KEYWORD, heap.fault_kind, strlen(heap.fault_kind), &kind) != OK:
        return NO_MEMORY
    if give_empty(heap, MAP, &parts[1]) != OK or map_put(heap, &parts[1], key, kind) != OK:
        return NO_MEMORY
    parts[2] = nil()
    if give_values(heap, ERROR, parts, 3, error) != OK:
        return NO_MEMORY
    release(heap, parts[0])
    release(heap, parts[1])
    release(heap, key)
    release(heap, kind)
    return OK


cdef HandlerInfo *find_handler(Frame *frame, uint32_t pc) noexcept nogil:
    """Return the innermost handler of a position, or NULL."""
    cdef CodeInfo *code = frame.arity.function.code
    cdef uint32_t i
    for i in range(code.handler_count):
        if code.handlers[i].start <= pc < code.handlers[i].end:
            return &code.handlers[i]
    return NULL


cdef inline uint32_t waiting_pc(Frame *frame) noexcept nogil:
    """Return the position of the call that a frame waits for."""
    return pc_of(frame) if frame.head.slot < 0 else pc_of(frame) - 1


cdef Outcome throw_error(State *state, Value error, uint32_t pc) noexcept nogil:
    """Throw an owned error at a position of the running frame: unwind to the handler, or FINISHED with the frames kept."""
    cdef Frame *frame = state.frame
    cdef Value marks = state.marks
    cdef HandlerInfo *handler = find_handler(frame, pc)
    set_value(&state.heap, &state.error, error)
    while handler == NULL:
        frame = frame_below(frame, &marks)
        if frame == NULL:
            state.status = STATUS_FAULT
            go_to(state.frame, pc)
            return FINISHED
        charge(&state.heap, 1)
        handler = find_handler(frame, waiting_pc(frame))
    if frame != state.frame and continue_at(state, frame, marks) != OK:
        return NO_MEMORY
    go_to(state.frame, handler.target)
    return OK


# ---- beginning

cdef Outcome begin(State *state) noexcept nogil:
    """Make the frame of the program's top level, below it the frame that ends the program."""
    cdef FunctionInfo *top = &state.code.functions[0]
    cdef Frame *bottom = new_frame(&state.heap, &HALT_ARITY, HALT_FUNCTION.closure, NULL)
    cdef Outcome outcome
    if bottom == NULL:
        return NO_MEMORY
    bottom.at[0] = nil()
    bottom.head.slot = 0
    state.frame = bottom
    return call_closure(state, top.closure, NULL, 0, 0)
