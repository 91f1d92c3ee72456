# The loop: one case for each row of `yang.isa`.
#
# Is:     fast paths for calls of known shape, for two INT or two DOUBLE, and for moves; everything else by `_calls.pxi`.
# Is not: a judge of segments: every operand was checked by `yind.cesk.verify`.
# Fits:   `Machine.run` calls `run_state` without the GIL for one slice.
#
# A case that is done continues the loop; one that is not leaves an outcome and falls out of the chain, to the tail that
# throws, forces or stops. The state is whole whenever this returns: pc and slots are in the frame. Fuel is looked at by
# calls and backward jumps only, before they do anything, so a slice can be cut there and nowhere else.

cdef Outcome compare_step(Heap *heap, const char *name, Value a, Value b, bint or_equal, Value *result) noexcept nogil:
    """Set result to a < b or a <= b."""
    cdef int order = 0
    cdef Outcome outcome = checked_compare(heap, name, a, b, &order)
    result[0] = boolean_value(order == -1 or (or_equal and order == 0))
    return outcome


cdef Outcome finish(State *state, Value value, bint is_checked) noexcept nogil:
    """Give a value to what is below the innermost mark.

    Without a mark it ends the program, realised all through; FORCE_ALL while it is not.
    """
    cdef Outcome outcome
    if state.marks.tag == MARK:
        return pass_mark(state, value)
    state.heap.steps = 0
    if not is_checked:
        outcome = check_data(&state.heap, value, False)
        if outcome != OK:
            return outcome
    state.result = retained(value)
    release_object(&state.heap, &state.frame.head)
    state.frame = NULL
    state.status = STATUS_DONE
    return FINISHED


cdef Outcome make_closure(
    State *state, FunctionInfo *function, const Value *captured, uint32_t n, Value *result
) noexcept nogil:
    """Set result to a closure over n values, which are taken."""
    cdef Closure *closure
    cdef Values *object
    cdef Value captures = nil()
    cdef uint32_t i
    if n > 0:
        object = new_values(&state.heap, CAPTURES, n)
        if object == NULL:
            return NO_MEMORY
        for i in range(n):
            object.at[i] = taken(&captured[i])
        captures = pointer_value(object)
    closure = new_closure(&state.heap, function, captures)
    if closure == NULL:
        return NO_MEMORY
    result[0] = pointer_value(closure)
    return OK


cdef Outcome share_captures(State *state, FunctionInfo *function, Value captures, Value *result) noexcept nogil:
    """Set result to a closure over captured values that another closure holds already."""
    cdef Closure *closure
    if captures.tag == NIL and function.capture_count > 0:
        return fault(&state.heap, b"type", b"a closure without captured values is shared")
    if captures.tag == CAPTURES and captures.object.length < function.capture_count:
        return fault(&state.heap, b"type", b"a closure with too few captured values is shared")
    closure = new_closure(&state.heap, function, retained(captures))
    if closure == NULL:
        return NO_MEMORY
    result[0] = pointer_value(closure)
    return OK


cdef Outcome read_global(State *state, CodeInfo *code, int32_t operand, Value *result) noexcept nogil:
    cdef Value value = state.globals[code.globals[operand]]
    cdef Text *name
    cdef int shown
    if value.tag == UNBOUND:
        name = code.global_names[operand]
        shown = <int> name.head.length if name.head.length < 100 else 100
        state.heap.fault_kind = b"unbound"
        snprintf(
            state.heap.fault_message, sizeof(state.heap.fault_message), b"%.*s is not defined",
            shown, <const char *> name.bytes,
        )
        return FAILED
    result[0] = retained(value)
    return OK


cdef inline void put(Heap *heap, Value *place, uint32_t tag, int64_t integer) noexcept nogil:
    """Store an immediate value over an old one."""
    cdef Object *old = place.object
    cdef uint32_t old_tag = place.tag
    set_tag(place, tag)
    place.integer = integer
    if unlikely(old_tag >= HEAP):
        release_object(heap, old)


cdef inline void put_real(Heap *heap, Value *place, double real) noexcept nogil:
    """Store a double over an old value."""
    cdef Object *old = place.object
    cdef uint32_t old_tag = place.tag
    set_tag(place, DOUBLE)
    place.real = real
    if unlikely(old_tag >= HEAP):
        release_object(heap, old)


cdef RunStatus run_state(State *state) noexcept nogil:
    """Run until the fuel of the heap is used up, an effect, the end, an uncaught error or no memory."""
    cdef Heap *heap = &state.heap
    cdef Frame *frame = state.frame
    cdef Frame *fresh
    cdef Value *slots = frame.at
    cdef Step *steps = frame.arity.steps
    cdef Step *step
    cdef Step *next_step = steps + frame.pc
    cdef Value *constants = frame.arity.constants
    cdef Value *x
    cdef Value *y
    cdef Value *place
    cdef Closure *closure
    cdef ArityInfo *arity
    cdef Value value = nil()  # where primitives and slow paths put what they make; nil in between
    cdef Value returned
    cdef int64_t number = 0
    cdef uint32_t i
    cdef uint32_t n
    cdef int32_t slot
    cdef uint16_t opcode
    cdef bint truth = False
    cdef Outcome outcome
    while True:
        step = next_step
        next_step += 1
        opcode = step.opcode
        if HOSTILE:
            if hostile_stops(&heap.hostile, opcode):
                frame.pc = <uint32_t> (step - steps)
                return STATUS_OUT_OF_FUEL
            if opcode == OP_PRIMITIVE or opcode == OP_PRIMITIVE_READ:
                hostile_primitive(step.b)
        if opcode == OP_CONST:
            set_value(heap, &slots[step.a], constants[step.b])  # immortal: not counted
            continue
        elif opcode == OP_MOVE:
            set_value(heap, &slots[step.a], retained(slots[step.b]))
            continue
        elif opcode == OP_TAKE:
            set_value(heap, &slots[step.a], taken(&slots[step.b]))
            continue
        elif opcode == OP_CAPTURED:
            x = &(<Values *> frame.closure.captures.object).at[step.b]
            set_value(heap, &slots[step.a], retained(x[0]))
            continue
        elif opcode == OP_ADD:
            x = &slots[step.b]
            y = &slots[step.c]
            if x.tag == INT and y.tag == INT and likely(not add_overflows(x.integer, y.integer, &number)):
                put(heap, &slots[step.a], INT, number)
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                put_real(heap, &slots[step.a], x.real + y.real)
                continue
            outcome = arithmetic(heap, ADD, x[0], y[0], &value)
        elif opcode == OP_SUBTRACT:
            x = &slots[step.b]
            y = &slots[step.c]
            if x.tag == INT and y.tag == INT and likely(not subtract_overflows(x.integer, y.integer, &number)):
                put(heap, &slots[step.a], INT, number)
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                put_real(heap, &slots[step.a], x.real - y.real)
                continue
            outcome = arithmetic(heap, SUBTRACT, x[0], y[0], &value)
        elif opcode == OP_MULTIPLY:
            x = &slots[step.b]
            y = &slots[step.c]
            if x.tag == INT and y.tag == INT and likely(not multiply_overflows(x.integer, y.integer, &number)):
                put(heap, &slots[step.a], INT, number)
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                put_real(heap, &slots[step.a], x.real * y.real)
                continue
            outcome = arithmetic(heap, MULTIPLY, x[0], y[0], &value)
        elif opcode == OP_LESS:
            x = &slots[step.b]
            y = &slots[step.c]
            if x.tag == INT and y.tag == INT:
                put(heap, &slots[step.a], FALSE + <uint32_t> (x.integer < y.integer), 0)
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                put(heap, &slots[step.a], FALSE + <uint32_t> (x.real < y.real), 0)
                continue
            outcome = compare_step(heap, b"<", x[0], y[0], False, &value)
        elif opcode == OP_LESS_EQUAL:
            x = &slots[step.b]
            y = &slots[step.c]
            if x.tag == INT and y.tag == INT:
                put(heap, &slots[step.a], FALSE + <uint32_t> (x.integer <= y.integer), 0)
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                put(heap, &slots[step.a], FALSE + <uint32_t> (x.real <= y.real), 0)
                continue
            outcome = compare_step(heap, b"<=", x[0], y[0], True, &value)
        elif opcode == OP_EQUAL:
            x = &slots[step.b]
            y = &slots[step.c]
            if x.tag == INT and y.tag == INT:
                put(heap, &slots[step.a], FALSE + <uint32_t> (x.integer == y.integer), 0)
                continue
            heap.steps = 0
            outcome = equal(heap, x[0], y[0], &truth)
            value = boolean_value(truth)
        elif opcode == OP_ADD_CONSTANT:
            x = &slots[step.b]
            y = &constants[step.c]
            if x.tag == INT and y.tag == INT and likely(not add_overflows(x.integer, y.integer, &number)):
                put(heap, &slots[step.a], INT, number)
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                put_real(heap, &slots[step.a], x.real + y.real)
                continue
            outcome = arithmetic(heap, ADD, x[0], y[0], &value)
        elif opcode == OP_SUBTRACT_CONSTANT:
            x = &slots[step.b]
            y = &constants[step.c]
            if x.tag == INT and y.tag == INT and likely(not subtract_overflows(x.integer, y.integer, &number)):
                put(heap, &slots[step.a], INT, number)
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                put_real(heap, &slots[step.a], x.real - y.real)
                continue
            outcome = arithmetic(heap, SUBTRACT, x[0], y[0], &value)
        elif opcode == OP_MULTIPLY_CONSTANT:
            x = &slots[step.b]
            y = &constants[step.c]
            if x.tag == INT and y.tag == INT and likely(not multiply_overflows(x.integer, y.integer, &number)):
                put(heap, &slots[step.a], INT, number)
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                put_real(heap, &slots[step.a], x.real * y.real)
                continue
            outcome = arithmetic(heap, MULTIPLY, x[0], y[0], &value)
        elif opcode == OP_LESS_CONSTANT:
            x = &slots[step.b]
            y = &constants[step.c]
            if x.tag == INT and y.tag == INT:
                put(heap, &slots[step.a], FALSE + <uint32_t> (x.integer < y.integer), 0)
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                put(heap, &slots[step.a], FALSE + <uint32_t> (x.real < y.real), 0)
                continue
            outcome = compare_step(heap, b"<", x[0], y[0], False, &value)
        elif opcode == OP_LESS_EQUAL_CONSTANT:
            x = &slots[step.b]
            y = &constants[step.c]
            if x.tag == INT and y.tag == INT:
                put(heap, &slots[step.a], FALSE + <uint32_t> (x.integer <= y.integer), 0)
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                put(heap, &slots[step.a], FALSE + <uint32_t> (x.real <= y.real), 0)
                continue
            outcome = compare_step(heap, b"<=", x[0], y[0], True, &value)
        elif opcode == OP_GREATER_CONSTANT:
            x = &slots[step.b]
            y = &constants[step.c]
            if x.tag == INT and y.tag == INT:
                put(heap, &slots[step.a], FALSE + <uint32_t> (y.integer < x.integer), 0)
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                put(heap, &slots[step.a], FALSE + <uint32_t> (y.real < x.real), 0)
                continue
            outcome = compare_step(heap, b"<", y[0], x[0], False, &value)
        elif opcode == OP_GREATER_EQUAL_CONSTANT:
            x = &slots[step.b]
            y = &constants[step.c]
            if x.tag == INT and y.tag == INT:
                put(heap, &slots[step.a], FALSE + <uint32_t> (y.integer <= x.integer), 0)
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                put(heap, &slots[step.a], FALSE + <uint32_t> (y.real <= x.real), 0)
                continue
            outcome = compare_step(heap, b"<=", y[0], x[0], True, &value)
        elif opcode == OP_EQUAL_CONSTANT:
            x = &slots[step.b]
            y = &constants[step.c]
            if x.tag == INT and y.tag == INT:
                put(heap, &slots[step.a], FALSE + <uint32_t> (x.integer == y.integer), 0)
                continue
            heap.steps = 0
            outcome = equal(heap, x[0], y[0], &truth)
            value = boolean_value(truth)
        elif opcode == OP_INCREMENT:
            x = &slots[step.b]
            if x.tag == INT and likely(x.integer != GREATEST_INTEGER):
                put(heap, &slots[step.a], INT, x.integer + 1)
                continue
            outcome = arithmetic(heap, ADD, x[0], integer_value(1), &value)
        elif opcode == OP_DECREMENT:
            x = &slots[step.b]
            if x.tag == INT and likely(x.integer != LEAST_INTEGER):
                put(heap, &slots[step.a], INT, x.integer - 1)
                continue
            outcome = arithmetic(heap, SUBTRACT, x[0], integer_value(1), &value)
        elif opcode == OP_NOT:
            put(heap, &slots[step.a], FALSE + <uint32_t> (slots[step.b].tag <= FALSE), 0)
            continue
        elif opcode == OP_IS_NIL:
            put(heap, &slots[step.a], FALSE + <uint32_t> (slots[step.b].tag == NIL), 0)
            continue
        elif opcode == OP_UNLESS_LESS:
            x = &slots[step.a]
            y = &slots[step.b]
            if x.tag == INT and y.tag == INT:
                if not x.integer < y.integer:
                    next_step = steps + step.c
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                if not x.real < y.real:
                    next_step = steps + step.c
                continue
            outcome = compare_step(heap, b"<", x[0], y[0], False, &value)
            if likely(outcome == OK):
                if value.tag == FALSE:
                    next_step = steps + step.c
                value = nil()
                continue
        elif opcode == OP_UNLESS_LESS_EQUAL:
            x = &slots[step.a]
            y = &slots[step.b]
            if x.tag == INT and y.tag == INT:
                if not x.integer <= y.integer:
                    next_step = steps + step.c
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                if not x.real <= y.real:
                    next_step = steps + step.c
                continue
            outcome = compare_step(heap, b"<=", x[0], y[0], True, &value)
            if likely(outcome == OK):
                if value.tag == FALSE:
                    next_step = steps + step.c
                value = nil()
                continue
        elif opcode == OP_UNLESS_EQUAL:
            x = &slots[step.a]
            y = &slots[step.b]
            if x.tag == INT and y.tag == INT:
                if x.integer != y.integer:
                    next_step = steps + step.c
                continue
            heap.steps = 0
            outcome = equal(heap, x[0], y[0], &truth)
            if likely(outcome == OK):
                if not truth:
                    next_step = steps + step.c
                continue
        elif opcode == OP_UNLESS_LESS_CONSTANT:
            x = &slots[step.a]
            y = &constants[step.b]
            if x.tag == INT and y.tag == INT:
                if not x.integer < y.integer:
                    next_step = steps + step.c
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                if not x.real < y.real:
                    next_step = steps + step.c
                continue
            outcome = compare_step(heap, b"<", x[0], y[0], False, &value)
            if likely(outcome == OK):
                if value.tag == FALSE:
                    next_step = steps + step.c
                value = nil()
                continue
        elif opcode == OP_UNLESS_LESS_EQUAL_CONSTANT:
            x = &slots[step.a]
            y = &constants[step.b]
            if x.tag == INT and y.tag == INT:
                if not x.integer <= y.integer:
                    next_step = steps + step.c
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                if not x.real <= y.real:
                    next_step = steps + step.c
                continue
            outcome = compare_step(heap, b"<=", x[0], y[0], True, &value)
            if likely(outcome == OK):
                if value.tag == FALSE:
                    next_step = steps + step.c
                value = nil()
                continue
        elif opcode == OP_UNLESS_GREATER_CONSTANT:
            x = &slots[step.a]
            y = &constants[step.b]
            if x.tag == INT and y.tag == INT:
                if not y.integer < x.integer:
                    next_step = steps + step.c
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                if not y.real < x.real:
                    next_step = steps + step.c
                continue
            outcome = compare_step(heap, b"<", y[0], x[0], False, &value)
            if likely(outcome == OK):
                if value.tag == FALSE:
                    next_step = steps + step.c
                value = nil()
                continue
        elif opcode == OP_UNLESS_GREATER_EQUAL_CONSTANT:
            x = &slots[step.a]
            y = &constants[step.b]
            if x.tag == INT and y.tag == INT:
                if not y.integer <= x.integer:
                    next_step = steps + step.c
                continue
            if x.tag == DOUBLE and y.tag == DOUBLE:
                if not y.real <= x.real:
                    next_step = steps + step.c
                continue
            outcome = compare_step(heap, b"<=", y[0], x[0], True, &value)
            if likely(outcome == OK):
                if value.tag == FALSE:
                    next_step = steps + step.c
                value = nil()
                continue
        elif opcode == OP_UNLESS_EQUAL_CONSTANT:
            x = &slots[step.a]
            y = &constants[step.b]
            if x.tag == INT and y.tag == INT:
                if x.integer != y.integer:
                    next_step = steps + step.c
                continue
            heap.steps = 0
            outcome = equal(heap, x[0], y[0], &truth)
            if likely(outcome == OK):
                if not truth:
                    next_step = steps + step.c
                continue
        elif opcode == OP_BRANCH_TRUE:
            if slots[step.a].tag > FALSE:
                next_step = steps + step.b
            continue
        elif opcode == OP_UNLESS_NIL:
            if slots[step.a].tag != NIL:
                next_step = steps + step.b
            continue
        elif opcode == OP_BRANCH_FALSE:
            if slots[step.a].tag <= FALSE:
                next_step = steps + step.b
            continue
        elif opcode == OP_JUMP:
            next_step = steps + step.a
            continue
        elif opcode == OP_LOOP:
            if unlikely(heap.fuel <= 0):
                frame.pc = <uint32_t> (step - steps)
                return STATUS_OUT_OF_FUEL
            heap.fuel -= 1
            next_step = steps + step.a
            continue
        elif opcode == OP_CALL:
            if unlikely(heap.fuel <= 0):
                frame.pc = <uint32_t> (step - steps)
                return STATUS_OUT_OF_FUEL
            heap.fuel -= 1
            arity = (<ArityInfo **> &step.b)[0]
            fresh = new_frame(heap, arity, arity.closure, frame)
            if likely(fresh != NULL):
                frame.slot = step.a
                frame.pc = <uint32_t> (next_step - steps)
                place = &slots[step.n]
                n = arity.parameter_count
                for i in range(n):
                    fresh.at[i] = taken(&place[i])
                for i in range(n, arity.slot_count):
                    vacate(&fresh.at[i])
                frame = fresh
                state.frame = frame
                slots = frame.at
                steps = arity.steps
                constants = arity.constants
                next_step = arity.start
                continue
            outcome = NO_MEMORY
        elif opcode == OP_TAIL_CALL:
            if unlikely(heap.fuel <= 0):
                frame.pc = <uint32_t> (step - steps)
                return STATUS_OUT_OF_FUEL
            heap.fuel -= 1
            arity = (<ArityInfo **> &step.b)[0]
            fresh = new_frame(heap, arity, arity.closure, frame.parent)
            if likely(fresh != NULL):
                place = &slots[step.n]
                n = arity.parameter_count
                for i in range(n):
                    fresh.at[i] = taken(&place[i])
                for i in range(n, arity.slot_count):
                    vacate(&fresh.at[i])
                free_frame(heap, frame)
                frame = fresh
                state.frame = frame
                slots = frame.at
                steps = arity.steps
                constants = arity.constants
                next_step = arity.start
                continue
            outcome = NO_MEMORY
        elif opcode == OP_APPLY or opcode == OP_TAIL_APPLY:
            if unlikely(heap.fuel <= 0):
                frame.pc = <uint32_t> (step - steps)
                return STATUS_OUT_OF_FUEL
            heap.fuel -= 1
            n = step.n
            place = &slots[step.b]
            slot = step.a if opcode == OP_APPLY else TAIL
            if likely(place.tag == CLOSURE and (<Closure *> place.object).function.fixed_count == n):
                closure = <Closure *> place.object
                arity = closure.function.arities
                fresh = new_frame(heap, arity, closure, frame)
                if unlikely(fresh == NULL):
                    outcome = NO_MEMORY
                else:
                    vacate(place)
                    place += 1
                    for i in range(n):
                        fresh.at[i] = taken(&place[i])
                    for i in range(n, arity.slot_count):
                        vacate(&fresh.at[i])
                    if slot == TAIL:
                        fresh.parent = frame.parent
                        free_frame(heap, frame)
                    else:
                        frame.slot = slot
                        frame.pc = <uint32_t> (next_step - steps)
                    frame = fresh
                    state.frame = frame
                    slots = frame.at
                    steps = arity.steps
                    constants = arity.constants
                    next_step = steps + arity.entry
                    continue
            else:
                frame.pc = <uint32_t> (next_step - steps)
                outcome = call(state, place[0], place + 1, n, slot)
                if outcome == OK:
                    frame = state.frame
                    slots = frame.at
                    steps = frame.arity.steps
                    constants = frame.arity.constants
                    next_step = steps + frame.pc
                    continue
        elif opcode == OP_RETURN:
            if unlikely(frame.parent == NULL):
                outcome = finish(state, slots[step.a], step != steps)
                if outcome == FINISHED:
                    return state.status
                if outcome == OK:
                    frame = state.frame
                    slots = frame.at
                    steps = frame.arity.steps
                    constants = frame.arity.constants
                    next_step = steps + frame.pc
                    continue
            else:
                returned = taken(&slots[step.a])
                frame = leave_frame(heap, frame)
                state.frame = frame
                if unlikely(frame == NULL):
                    state.status = STATUS_OUT_OF_MEMORY
                    return STATUS_OUT_OF_MEMORY
                slots = frame.at
                steps = frame.arity.steps
                constants = frame.arity.constants
                next_step = steps + frame.pc
                if likely(frame.slot >= 0):
                    set_value(heap, &slots[frame.slot], returned)
                else:
                    if frame.slot == JUDGED:
                        next_step = steps + judged(frame, returned)
                    release(heap, returned)
                continue
        elif opcode == OP_PRIMITIVE:
            if PRIMITIVE_TABLE[step.b].kind == 0:
                heap.steps = 0
                outcome = PRIMITIVE_TABLE[step.b].function(heap, &slots[step.c], step.n, &value)
                if likely(outcome == OK):
                    release_values(heap, &slots[step.c], step.n)
                    set_value(heap, &slots[step.a], value)
                    value = nil()
                    continue
            else:
                frame.pc = <uint32_t> (next_step - steps)
                outcome = call(state, immediate(PRIMITIVE, step.b), &slots[step.c], step.n, step.a)
                if outcome == OK:
                    frame = state.frame
                    slots = frame.at
                    steps = frame.arity.steps
                    constants = frame.arity.constants
                    next_step = steps + frame.pc
                    continue
        elif opcode == OP_PRIMITIVE_READ:
            heap.steps = 0
            outcome = PRIMITIVE_TABLE[step.b].function(heap, &slots[step.c], 1, &value)
        elif opcode == OP_SELF:
            value = retained(pointer_value(frame.closure))
            outcome = OK
        elif opcode == OP_SIBLING:
            outcome = share_captures(
                state, &frame.arity.function.code.functions[step.b], frame.closure.captures, &value
            )
        elif opcode == OP_GLOBAL:
            outcome = read_global(state, frame.arity.function.code, step.b, &value)
        elif opcode == OP_DEF_GLOBAL:
            set_value(
                heap, &state.globals[frame.arity.function.code.globals[step.a]], retained(slots[step.b])
            )
            continue
        elif opcode == OP_CLOSURE:
            outcome = make_closure(
                state, &frame.arity.function.code.functions[step.b], &slots[step.c], step.n, &value
            )
        elif opcode == OP_SHARE:
            if slots[step.c].tag != CLOSURE:
                outcome = fault(heap, b"type", b"share: not a closure")
            else:
                outcome = share_captures(
                    state,
                    &frame.arity.function.code.functions[step.b],
                    (<Closure *> slots[step.c].object).captures,
                    &value,
                )
        elif opcode == OP_CATCH:
            value = state.error
            state.error = nil()
            outcome = OK
        elif opcode == OP_THROW:
            if slots[step.a].tag != ERROR:
                outcome = fault_type(heap, b"throw", b"an error", slots[step.a])
            else:
                frame.pc = <uint32_t> (step - steps)
                outcome = throw_error(state, retained(slots[step.a]), frame.pc)
                if outcome == OK:
                    frame = state.frame
                    slots = frame.at
                    steps = frame.arity.steps
                    constants = frame.arity.constants
                    next_step = steps + frame.pc
                    continue
        else:
            never()
            outcome = FAILED
        if likely(outcome == OK):
            set_value(heap, &slots[step.a], value)
            value = nil()
            continue
        outcome = unusual(state, outcome, <uint32_t> (step - steps), value)
        value = nil()
        if outcome != OK:
            return state.status
        frame = state.frame
        slots = frame.at
        steps = frame.arity.steps
        constants = frame.arity.constants
        next_step = steps + frame.pc


cdef Outcome unusual(State *state, Outcome outcome, uint32_t pc, Value value) noexcept nogil:
    """Do what an outcome other than OK asks for; OK if the loop goes on, else the status says why not."""
    cdef Value error
    if outcome == ASKED:
        state.status = STATUS_EFFECT
        return outcome
    if outcome == FINISHED:
        return outcome
    if outcome != NO_MEMORY and state.frame != NULL:
        release(&state.heap, value)
        state.frame.pc = pc
        if outcome == DEFER:
            outcome = defer(state, pc)
            if outcome == OK:
                return OK
            state.frame.pc = pc
        if outcome == FORCE or outcome == FORCE_ALL:
            # Not the place to run out of fuel: the instruction will be done again, and if what it walked so far costs
            # more than a slice it would never get further. The realiser's first step looks at the fuel.
            state.heap.fuel -= 1
            outcome = call_realizer(state, outcome == FORCE_ALL)
            if outcome == OK:
                return OK
        if outcome == FAILED:
            outcome = make_error(state, &error)
            if outcome == OK:
                outcome = throw_error(state, error, pc)
            if outcome != NO_MEMORY:
                return outcome
    if state.frame != NULL:
        state.frame.pc = pc
    state.status = STATUS_OUT_OF_MEMORY
    return NO_MEMORY
