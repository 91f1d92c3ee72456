# The loop: one case for each row of `yang.isa`.
#
# Is:     fast paths for calls of known shape, for two INT or two DOUBLE, and for moves; everything else by `_calls.pxi`.
# Is not: a judge of segments: every operand was checked by `yind.cesk.verify`.
# Fits:   `Machine.run` calls `run_state` without the GIL for one slice.
#
# A case that is done continues the loop; one that is not leaves an outcome and falls out of the chain, to the tail that
# throws, forces or stops. The state is whole whenever this returns: where it goes on and the slots are in the frame. Fuel
# is looked at by calls and backward jumps, before they do anything, and after an instruction that took so much that the
# slice is overdrawn.
#
# Nobody walks the chain: `dispatch` jumps to what `here` names, and `go_on` does so right at the end of a case, one
# indirect jump from instruction to instruction (threaded code: Ertl and Gregg, "The Structure and Performance of Efficient
# Interpreters", 2003). All that stays in registers is the heap, the frame and the step: operands are distances from these.

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


# ---- what most instructions do, quickly

cdef inline bint may_go_on(Heap *heap) noexcept nogil:
    """Take a unit of fuel; False if there is none, and the slice ends."""
    heap.fuel -= 1
    if unlikely(heap.fuel < 0):
        heap.fuel += 1
        return False
    return True


cdef inline bint takes(int64_t number, uint32_t n) noexcept nogil:
    """Return whether a host function gives a value for n arguments at once, without changing the continuation."""
    cdef PrimitiveInfo *primitive = &PRIMITIVE_TABLE[number]
    return primitive.kind == 0 and primitive.least <= n <= primitive.most


cdef inline void put(Heap *heap, Value *place, uint32_t tag, int64_t integer) noexcept nogil:
    """Store an immediate value over an old one."""
    cdef Object *old = place.object
    cdef uint32_t old_tag = place.tag
    set_tag(place, tag)
    place.integer = integer
    if unlikely(old_tag >= HEAP):
        release_object(heap, old)


cdef inline void copy(Heap *heap, Value *place, const Value *source) noexcept nogil:
    """Store what another slot, or a constant, holds."""
    if unlikely(place.tag >= HEAP):
        release_object(heap, place.object)
    (<uint64_t *> place)[0] = (<uint64_t *> source)[0]  # by words, as it was written
    place.integer = source.integer


cdef inline void put_made(Heap *heap, Value *place, const Value *made) noexcept nogil:
    """Store an owned value that was just written, perhaps in words of 32 bits, over an old one."""
    cdef Object *old = place.object
    cdef uint32_t old_tag = place.tag
    set_tag(place, made.tag)
    place.integer = made.integer
    if unlikely(old_tag >= HEAP):
        release_object(heap, old)


cdef inline bint put_quickly(Value *place, int64_t integer) noexcept nogil:
    """Store an INT; False if there is something to release, which the general way does."""
    if unlikely(place.tag >= HEAP):
        return False
    set_tag(place, INT)
    place.integer = integer
    return True


cdef inline bint add_quickly(Value *place, const Value *x, const Value *y) noexcept nogil:
    """Store x + y of two INT or two DOUBLE; False: not done."""
    cdef int64_t number = 0
    if x.tag == INT and y.tag == INT and likely(not add_overflows(x.integer, y.integer, &number)):
        return put_quickly(place, number)
    if x.tag == DOUBLE and y.tag == DOUBLE and likely(place.tag < HEAP):
        place.real = x.real + y.real
        set_tag(place, DOUBLE)
        return True
    return False


cdef inline bint subtract_quickly(Value *place, const Value *x, const Value *y) noexcept nogil:
    """Store x - y of two INT or two DOUBLE; False: not done."""
    cdef int64_t number = 0
    if x.tag == INT and y.tag == INT and likely(not subtract_overflows(x.integer, y.integer, &number)):
        return put_quickly(place, number)
    if x.tag == DOUBLE and y.tag == DOUBLE and likely(place.tag < HEAP):
        place.real = x.real - y.real
        set_tag(place, DOUBLE)
        return True
    return False


cdef inline bint multiply_quickly(Value *place, const Value *x, const Value *y) noexcept nogil:
    """Store x * y of two INT or two DOUBLE; False: not done."""
    cdef int64_t number = 0
    if x.tag == INT and y.tag == INT and likely(not multiply_overflows(x.integer, y.integer, &number)):
        return put_quickly(place, number)
    if x.tag == DOUBLE and y.tag == DOUBLE and likely(place.tag < HEAP):
        place.real = x.real * y.real
        set_tag(place, DOUBLE)
        return True
    return False


cdef Outcome compare_slowly(Heap *heap, Value x, Value y, bint or_equal, bint *truth) noexcept nogil:
    """Set truth to x < y or x <= y of any numbers."""
    cdef int order = 0
    cdef Outcome outcome
    heap.steps = 0
    outcome = checked_compare(heap, b"<=" if or_equal else b"<", x, y, &order)
    truth[0] = order == -1 or (or_equal and order == 0)
    return outcome


cdef inline Outcome less(Heap *heap, const Value *x, const Value *y, bint *truth) noexcept nogil:
    """Set truth to x < y."""
    cdef bint found
    cdef Outcome outcome
    if x.tag == INT and y.tag == INT:
        truth[0] = x.integer < y.integer
        return OK
    if x.tag == DOUBLE and y.tag == DOUBLE:
        truth[0] = x.real < y.real
        return OK
    outcome = compare_slowly(heap, x[0], y[0], False, &found)
    truth[0] = found
    return outcome


cdef inline Outcome less_equal(Heap *heap, const Value *x, const Value *y, bint *truth) noexcept nogil:
    """Set truth to x <= y."""
    cdef bint found
    cdef Outcome outcome
    if x.tag == INT and y.tag == INT:
        truth[0] = x.integer <= y.integer
        return OK
    if x.tag == DOUBLE and y.tag == DOUBLE:
        truth[0] = x.real <= y.real
        return OK
    outcome = compare_slowly(heap, x[0], y[0], True, &found)
    truth[0] = found
    return outcome


cdef inline Outcome same(Heap *heap, const Value *x, const Value *y, bint *truth) noexcept nogil:
    """Set truth to x = y."""
    cdef bint found
    cdef Outcome outcome
    if x.tag == INT and y.tag == INT:
        truth[0] = x.integer == y.integer
        return OK
    heap.steps = 0
    outcome = equal(heap, x[0], y[0], &found)
    truth[0] = found
    return outcome


cdef inline void give(Heap *heap, Step *step, Frame *frame, Value value) noexcept nogil:
    """Store the owned value of a host function of one argument, which is released unless it is only read."""
    if step.n:
        release_values(heap, slot_at(frame, step.c), 1)
    set_value(heap, slot_at(frame, step.a), value)


cdef inline bint is_divided(const Value *x, const Value *y) noexcept nogil:
    """Return whether both are INT, and their quotient is one, whatever x is."""
    return x.tag == INT and y.tag == INT and likely(y.integer > 0)


# ---- the loop

cdef RunStatus run_state(State *state) noexcept nogil:
    """Run until the fuel of the heap is used up, an effect, the end, an uncaught error or no memory."""
    cdef Heap *heap = &state.heap
    cdef Frame *frame = state.frame
    cdef Frame *fresh
    cdef Step *step = frame.resume - 1
    cdef Value *x
    cdef Value *y
    cdef Value *place
    cdef Closure *closure
    cdef ArityInfo *arity
    cdef Value value = nil()  # where primitives and slow paths put what they make; nil in between
    cdef Value returned
    cdef int64_t number
    cdef uint32_t n
    cdef int32_t slot
    cdef uint16_t opcode
    cdef bint truth = False
    cdef Outcome outcome
    instruction_places()
    while True:
        step += 1
        opcode = plain_opcode(step)
        if HOSTILE:
            if hostile_stops(&heap.hostile, opcode):
                frame.resume = step
                return STATUS_OUT_OF_FUEL
            if opcode == OP_PRIMITIVE or opcode == OP_PRIMITIVE_READ:
                hostile_primitive(step.b)
        dispatch(step.opcode)
        if opcode == OP_CONST:
            here(OP_CONST)
            copy(heap, slot_at(frame, step.a), constant_at(step, step.b))  # immortal: not counted
            go_on(step)
            continue
        elif opcode == OP_MOVE:
            here(OP_MOVE)
            x = slot_at(frame, step.b)
            copy(heap, slot_at(frame, step.a), x)
            retain(x[0])
            go_on(step)
            continue
        elif opcode == OP_TAKE:
            here(OP_TAKE)
            x = slot_at(frame, step.b)
            copy(heap, slot_at(frame, step.a), x)
            vacate(x)
            go_on(step)
            continue
        elif opcode == OP_CAPTURED:
            here(OP_CAPTURED)
            x = &(<Values *> frame.closure.captures.object).at[step.b]
            set_value(heap, slot_at(frame, step.a), retained(x[0]))
            go_on(step)
            continue
        elif opcode == OP_ADD:
            here(OP_ADD)
            x = slot_at(frame, step.b)
            y = slot_at(frame, step.c)
            if add_quickly(slot_at(frame, step.a), x, y):
                go_on(step)
                continue
            outcome = arithmetic(heap, ADD, x[0], y[0], &value)
        elif opcode == OP_SUBTRACT:
            here(OP_SUBTRACT)
            x = slot_at(frame, step.b)
            y = slot_at(frame, step.c)
            if subtract_quickly(slot_at(frame, step.a), x, y):
                go_on(step)
                continue
            outcome = arithmetic(heap, SUBTRACT, x[0], y[0], &value)
        elif opcode == OP_MULTIPLY:
            here(OP_MULTIPLY)
            x = slot_at(frame, step.b)
            y = slot_at(frame, step.c)
            if multiply_quickly(slot_at(frame, step.a), x, y):
                go_on(step)
                continue
            outcome = arithmetic(heap, MULTIPLY, x[0], y[0], &value)
        elif opcode == OP_LESS:
            here(OP_LESS)
            outcome = less(heap, slot_at(frame, step.b), slot_at(frame, step.c), &truth)
            if likely(outcome == OK):
                put(heap, slot_at(frame, step.a), FALSE + <uint32_t> truth, 0)
                go_on(step)
                continue
        elif opcode == OP_LESS_EQUAL:
            here(OP_LESS_EQUAL)
            outcome = less_equal(heap, slot_at(frame, step.b), slot_at(frame, step.c), &truth)
            if likely(outcome == OK):
                put(heap, slot_at(frame, step.a), FALSE + <uint32_t> truth, 0)
                go_on(step)
                continue
        elif opcode == OP_EQUAL:
            here(OP_EQUAL)
            outcome = same(heap, slot_at(frame, step.b), slot_at(frame, step.c), &truth)
            if likely(outcome == OK):
                put(heap, slot_at(frame, step.a), FALSE + <uint32_t> truth, 0)
                go_on(step)
                continue
        elif opcode == OP_ADD_CONSTANT:
            here(OP_ADD_CONSTANT)
            x = slot_at(frame, step.b)
            y = constant_at(step, step.c)
            if add_quickly(slot_at(frame, step.a), x, y):
                go_on(step)
                continue
            outcome = arithmetic(heap, ADD, x[0], y[0], &value)
        elif opcode == OP_SUBTRACT_CONSTANT:
            here(OP_SUBTRACT_CONSTANT)
            x = slot_at(frame, step.b)
            y = constant_at(step, step.c)
            if subtract_quickly(slot_at(frame, step.a), x, y):
                go_on(step)
                continue
            outcome = arithmetic(heap, SUBTRACT, x[0], y[0], &value)
        elif opcode == OP_MULTIPLY_CONSTANT:
            here(OP_MULTIPLY_CONSTANT)
            x = slot_at(frame, step.b)
            y = constant_at(step, step.c)
            if multiply_quickly(slot_at(frame, step.a), x, y):
                go_on(step)
                continue
            outcome = arithmetic(heap, MULTIPLY, x[0], y[0], &value)
        elif opcode == OP_LESS_CONSTANT:
            here(OP_LESS_CONSTANT)
            outcome = less(heap, slot_at(frame, step.b), constant_at(step, step.c), &truth)
            if likely(outcome == OK):
                put(heap, slot_at(frame, step.a), FALSE + <uint32_t> truth, 0)
                go_on(step)
                continue
        elif opcode == OP_LESS_EQUAL_CONSTANT:
            here(OP_LESS_EQUAL_CONSTANT)
            outcome = less_equal(heap, slot_at(frame, step.b), constant_at(step, step.c), &truth)
            if likely(outcome == OK):
                put(heap, slot_at(frame, step.a), FALSE + <uint32_t> truth, 0)
                go_on(step)
                continue
        elif opcode == OP_GREATER_CONSTANT:
            here(OP_GREATER_CONSTANT)
            outcome = less(heap, constant_at(step, step.c), slot_at(frame, step.b), &truth)
            if likely(outcome == OK):
                put(heap, slot_at(frame, step.a), FALSE + <uint32_t> truth, 0)
                go_on(step)
                continue
        elif opcode == OP_GREATER_EQUAL_CONSTANT:
            here(OP_GREATER_EQUAL_CONSTANT)
            outcome = less_equal(heap, constant_at(step, step.c), slot_at(frame, step.b), &truth)
            if likely(outcome == OK):
                put(heap, slot_at(frame, step.a), FALSE + <uint32_t> truth, 0)
                go_on(step)
                continue
        elif opcode == OP_EQUAL_CONSTANT:
            here(OP_EQUAL_CONSTANT)
            outcome = same(heap, slot_at(frame, step.b), constant_at(step, step.c), &truth)
            if likely(outcome == OK):
                put(heap, slot_at(frame, step.a), FALSE + <uint32_t> truth, 0)
                go_on(step)
                continue
        elif opcode == OP_INCREMENT:
            here(OP_INCREMENT)
            x = slot_at(frame, step.b)
            if x.tag == INT and likely(x.integer != GREATEST_INTEGER) and put_quickly(slot_at(frame, step.a), x.integer + 1):
                go_on(step)
                continue
            outcome = arithmetic(heap, ADD, x[0], integer_value(1), &value)
        elif opcode == OP_DECREMENT:
            here(OP_DECREMENT)
            x = slot_at(frame, step.b)
            if x.tag == INT and likely(x.integer != LEAST_INTEGER) and put_quickly(slot_at(frame, step.a), x.integer - 1):
                go_on(step)
                continue
            outcome = arithmetic(heap, SUBTRACT, x[0], integer_value(1), &value)
        elif opcode == OP_NOT:
            here(OP_NOT)
            put(heap, slot_at(frame, step.a), FALSE + <uint32_t> (slot_at(frame, step.b).tag <= FALSE), 0)
            go_on(step)
            continue
        elif opcode == OP_IS_NIL:
            here(OP_IS_NIL)
            put(heap, slot_at(frame, step.a), FALSE + <uint32_t> (slot_at(frame, step.b).tag == NIL), 0)
            go_on(step)
            continue
        elif opcode == OP_UNLESS_LESS:
            here(OP_UNLESS_LESS)
            outcome = less(heap, slot_at(frame, step.a), slot_at(frame, step.b), &truth)
            if likely(outcome == OK):
                if not truth:
                    step = jumped(step, step.c)
                go_on(step)
                continue
        elif opcode == OP_UNLESS_LESS_EQUAL:
            here(OP_UNLESS_LESS_EQUAL)
            outcome = less_equal(heap, slot_at(frame, step.a), slot_at(frame, step.b), &truth)
            if likely(outcome == OK):
                if not truth:
                    step = jumped(step, step.c)
                go_on(step)
                continue
        elif opcode == OP_UNLESS_EQUAL:
            here(OP_UNLESS_EQUAL)
            outcome = same(heap, slot_at(frame, step.a), slot_at(frame, step.b), &truth)
            if likely(outcome == OK):
                if not truth:
                    step = jumped(step, step.c)
                go_on(step)
                continue
        elif opcode == OP_UNLESS_LESS_CONSTANT:
            here(OP_UNLESS_LESS_CONSTANT)
            outcome = less(heap, slot_at(frame, step.a), constant_at(step, step.b), &truth)
            if likely(outcome == OK):
                if not truth:
                    step = jumped(step, step.c)
                go_on(step)
                continue
        elif opcode == OP_UNLESS_LESS_EQUAL_CONSTANT:
            here(OP_UNLESS_LESS_EQUAL_CONSTANT)
            outcome = less_equal(heap, slot_at(frame, step.a), constant_at(step, step.b), &truth)
            if likely(outcome == OK):
                if not truth:
                    step = jumped(step, step.c)
                go_on(step)
                continue
        elif opcode == OP_UNLESS_GREATER_CONSTANT:
            here(OP_UNLESS_GREATER_CONSTANT)
            outcome = less(heap, constant_at(step, step.b), slot_at(frame, step.a), &truth)
            if likely(outcome == OK):
                if not truth:
                    step = jumped(step, step.c)
                go_on(step)
                continue
        elif opcode == OP_UNLESS_GREATER_EQUAL_CONSTANT:
            here(OP_UNLESS_GREATER_EQUAL_CONSTANT)
            outcome = less_equal(heap, constant_at(step, step.b), slot_at(frame, step.a), &truth)
            if likely(outcome == OK):
                if not truth:
                    step = jumped(step, step.c)
                go_on(step)
                continue
        elif opcode == OP_UNLESS_EQUAL_CONSTANT:
            here(OP_UNLESS_EQUAL_CONSTANT)
            outcome = same(heap, slot_at(frame, step.a), constant_at(step, step.b), &truth)
            if likely(outcome == OK):
                if not truth:
                    step = jumped(step, step.c)
                go_on(step)
                continue
        elif opcode == OP_BRANCH_TRUE:
            here(OP_BRANCH_TRUE)
            if slot_at(frame, step.a).tag > FALSE:
                step = jumped(step, step.b)
            go_on(step)
            continue
        elif opcode == OP_UNLESS_NIL:
            here(OP_UNLESS_NIL)
            if slot_at(frame, step.a).tag != NIL:
                step = jumped(step, step.b)
            go_on(step)
            continue
        elif opcode == OP_BRANCH_FALSE:
            here(OP_BRANCH_FALSE)
            if slot_at(frame, step.a).tag <= FALSE:
                step = jumped(step, step.b)
            go_on(step)
            continue
        elif opcode == OP_JUMP:
            here(OP_JUMP)
            step = jumped(step, step.a)
            go_on(step)
            continue
        elif opcode == OP_LOOP:
            here(OP_LOOP)
            if unlikely(not may_go_on(heap)):
                frame.resume = step
                return STATUS_OUT_OF_FUEL
            step = jumped(step, step.a)
            go_on(step)
            continue
        elif opcode == OP_CALL:
            here(OP_CALL)
            if unlikely(not may_go_on(heap)):
                frame.resume = step
                return STATUS_OUT_OF_FUEL
            arity = (<ArityInfo **> &step.b)[0]
            fresh = new_frame(heap, arity, arity.closure, frame)
            if likely(fresh != NULL):
                frame.head.slot = step.a
                frame.resume = step + 1
                fill_frame(fresh, &frame.at[step.n], arity.parameter_count)
                frame = fresh
                state.frame = frame
                step = arity.start - 1
                go_on(step)
                continue
            outcome = NO_MEMORY
        elif opcode == OP_TAIL_CALL:
            here(OP_TAIL_CALL)
            if unlikely(not may_go_on(heap)):
                frame.resume = step
                return STATUS_OUT_OF_FUEL
            arity = (<ArityInfo **> &step.b)[0]
            fresh = new_frame(heap, arity, arity.closure, frame.parent)
            if likely(fresh != NULL):
                fill_frame(fresh, &frame.at[step.n], arity.parameter_count)
                free_frame(heap, frame)
                frame = fresh
                state.frame = frame
                step = arity.start - 1
                go_on(step)
                continue
            outcome = NO_MEMORY
        elif opcode == OP_APPLY or opcode == OP_TAIL_APPLY:
            here(OP_APPLY)
            here(OP_TAIL_APPLY)
            if unlikely(not may_go_on(heap)):
                frame.resume = step
                return STATUS_OUT_OF_FUEL
            n = step.n
            place = &frame.at[step.b]
            slot = step.a if step.opcode == OP_APPLY else TAIL
            if likely(place.tag == CLOSURE and (<Closure *> place.object).function.fixed_count == n):
                closure = <Closure *> place.object
                arity = closure.function.arities
                fresh = new_frame(heap, arity, closure, frame)
                if unlikely(fresh == NULL):
                    outcome = NO_MEMORY
                else:
                    vacate(place)
                    fill_frame(fresh, place + 1, n)
                    if slot == TAIL:
                        fresh.parent = frame.parent
                        free_frame(heap, frame)
                    else:
                        frame.head.slot = slot
                        frame.resume = step + 1
                    frame = fresh
                    state.frame = frame
                    step = arity.start - 1
                    go_on(step)
                    continue
            elif place.tag == PRIMITIVE and slot != TAIL and takes(place.integer, n):
                if HOSTILE:
                    hostile_primitive(<uint32_t> place.integer)
                heap.steps = 0
                outcome = run_primitive(heap, place.integer, place + 1, n, &value)
                if likely(outcome == OK):
                    release_values(heap, place + 1, n)
                    put_made(heap, &frame.at[slot], &value)
                    value = nil()
                    go_on(step)
                    continue
                if outcome == DEFER:
                    release(heap, value)
                    value = nil()
                    frame.resume = step + 1
                    outcome = call_long_form(state, <uint32_t> place.integer, place + 1, n, slot)
                    if outcome == OK:
                        frame = state.frame
                        step = frame.resume - 1
                        go_on(step)
                        continue
            else:
                frame.resume = step + 1
                if place.tag == PRIMITIVE and place.integer == PRIMITIVE_SUSPEND and n == 2:
                    outcome = suspend(state, place + 1, slot)
                else:
                    outcome = call(state, place[0], place + 1, n, slot)
                if outcome == OK:
                    if unlikely(heap.fuel < FUEL_OVERDRAWN):
                        return STATUS_OUT_OF_FUEL
                    frame = state.frame
                    step = frame.resume - 1
                    go_on(step)
                    continue
        elif opcode == OP_RETURN:
            here(OP_RETURN)
            place = slot_at(frame, step.a)
            if unlikely(frame.parent == NULL):
                outcome = finish(state, place[0], step != frame.arity.start)
                if outcome == FINISHED:
                    return state.status
                if outcome == OK:
                    frame = state.frame
                    step = frame.resume - 1
                    go_on(step)
                    continue
            else:
                returned = taken(place)
                frame = leave_frame(heap, frame)
                state.frame = frame
                if unlikely(frame == NULL):
                    state.status = STATUS_OUT_OF_MEMORY
                    return STATUS_OUT_OF_MEMORY
                step = frame.resume - 1
                if likely(frame.head.slot >= 0):
                    set_value(heap, &frame.at[frame.head.slot], returned)
                else:
                    if frame.head.slot == JUDGED:
                        step = judged(frame, returned) - 1
                    release(heap, returned)
                go_on(step)
                continue
        elif opcode == OP_PRIMITIVE:
            here(OP_PRIMITIVE)
            place = slot_at(frame, step.c)
            if PRIMITIVE_TABLE[step.b].kind == 0:
                heap.steps = 0
                outcome = run_primitive(heap, step.b, place, step.n, &value)
                if likely(outcome == OK):
                    release_values(heap, place, step.n)
                    put_made(heap, slot_at(frame, step.a), &value)
                    value = nil()
                    if unlikely(heap.fuel < FUEL_OVERDRAWN):
                        frame.resume = step + 1
                        return STATUS_OUT_OF_FUEL
                    go_on(step)
                    continue
            else:
                if PRIMITIVE_TABLE[step.b].kind == 1 and unlikely(not may_go_on(heap)):
                    frame.resume = step
                    return STATUS_OUT_OF_FUEL
                frame.resume = step + 1
                outcome = call(state, immediate(PRIMITIVE, step.b), place, step.n, slot_number(step.a))
                if outcome == OK:
                    frame = state.frame
                    step = frame.resume - 1
                    go_on(step)
                    continue
        elif opcode == OP_PRIMITIVE_READ:
            here(OP_PRIMITIVE_READ)
            heap.steps = 0
            outcome = run_primitive(heap, step.b, slot_at(frame, step.c), 1, &value)
        # Host functions: what is quickly done; the rest goes to the place of all host functions.
        elif opcode == QUICK_FIRST:
            here(QUICK_FIRST)
            x = slot_at(frame, step.c)
            if x.tag == LIST:
                give(heap, step, frame, retained((<Values *> x.object).at[0]))
                go_on(step)
                continue
            in_general(step)
            continue
        elif opcode == QUICK_REST:
            here(QUICK_REST)
            x = slot_at(frame, step.c)
            if x.tag == LIST:
                give(heap, step, frame, retained((<Values *> x.object).at[1]))
                go_on(step)
                continue
            in_general(step)
            continue
        elif opcode == QUICK_NEXT:
            here(QUICK_NEXT)
            x = slot_at(frame, step.c)
            if x.tag == LIST:
                x = &(<Values *> x.object).at[1]
                give(heap, step, frame, nil() if x.tag == EMPTY else retained(x[0]))
                go_on(step)
                continue
            in_general(step)
            continue
        elif opcode == QUICK_IS_EMPTY:
            here(QUICK_IS_EMPTY)
            x = slot_at(frame, step.c)
            if x.tag == LIST or x.tag == CONS or x.tag == EMPTY or x.tag == NIL:
                give(heap, step, frame, immediate(TRUE if x.tag == EMPTY or x.tag == NIL else FALSE, 0))
                go_on(step)
                continue
            if x.tag == VECTOR:
                give(heap, step, frame, boolean_value(vector_count(x[0]) == 0))
                go_on(step)
                continue
            in_general(step)
            continue
        elif opcode == QUICK_COUNT:
            here(QUICK_COUNT)
            x = slot_at(frame, step.c)
            if x.tag == VECTOR:
                give(heap, step, frame, integer_value(vector_count(x[0])))
                go_on(step)
                continue
            in_general(step)
            continue
        elif opcode == QUICK_IS_ZERO:
            here(QUICK_IS_ZERO)
            x = slot_at(frame, step.c)
            if x.tag == INT:
                give(heap, step, frame, boolean_value(x.integer == 0))
                go_on(step)
                continue
            in_general(step)
            continue
        elif opcode == QUICK_IS_EVEN:
            here(QUICK_IS_EVEN)
            x = slot_at(frame, step.c)
            if x.tag == INT:
                give(heap, step, frame, boolean_value(x.integer & 1 == 0))
                go_on(step)
                continue
            in_general(step)
            continue
        elif opcode == QUICK_IS_ODD:
            here(QUICK_IS_ODD)
            x = slot_at(frame, step.c)
            if x.tag == INT:
                give(heap, step, frame, boolean_value(x.integer & 1))
                go_on(step)
                continue
            in_general(step)
            continue
        elif opcode == QUICK_NTH:
            here(QUICK_NTH)
            place = slot_at(frame, step.c)
            if vector_nth_fast(place[0], place[1], &returned):
                retain(returned)
                vacate(place + 1)
                give(heap, step, frame, returned)
                go_on(step)
                continue
            in_general(step)
            continue
        elif opcode == QUICK_CONJ:
            here(QUICK_CONJ)
            place = slot_at(frame, step.c)
            if place.tag == LIST or place.tag == EMPTY:
                outcome = give_cell(heap, place[1], place[0], &value)
                if likely(outcome == OK):
                    vacate(place)
                    vacate(place + 1)
                    put_made(heap, slot_at(frame, step.a), &value)
                    value = nil()
                    go_on(step)
                    continue
            in_general(step)
            continue
        elif opcode == QUICK_QUOT:
            here(QUICK_QUOT)
            place = slot_at(frame, step.c)
            if is_divided(place, place + 1):
                number = place.integer // place[1].integer
                vacate(place)
                vacate(place + 1)
                put(heap, slot_at(frame, step.a), INT, number)
                go_on(step)
                continue
            in_general(step)
            continue
        elif opcode == QUICK_REM:
            here(QUICK_REM)
            place = slot_at(frame, step.c)
            if is_divided(place, place + 1):
                number = place.integer % place[1].integer
                vacate(place)
                vacate(place + 1)
                put(heap, slot_at(frame, step.a), INT, number)
                go_on(step)
                continue
            in_general(step)
            continue
        elif opcode == QUICK_MOD:
            here(QUICK_MOD)
            place = slot_at(frame, step.c)
            if is_divided(place, place + 1):
                number = place.integer % place[1].integer
                number += place[1].integer if number < 0 else 0
                vacate(place)
                vacate(place + 1)
                put(heap, slot_at(frame, step.a), INT, number)
                go_on(step)
                continue
            in_general(step)
            continue
        elif opcode == QUICK_ASSOC:
            here(QUICK_ASSOC)
            place = slot_at(frame, step.c)
            if vector_assoc_fast(place[0], place[1], place[2]):
                vacate(place + 1)
                vacate(place + 2)
                set_value(heap, slot_at(frame, step.a), taken(place))
                go_on(step)
                continue
            in_general(step)
            continue
        elif opcode == QUICK_SUSPENDED_WITH:
            here(QUICK_SUSPENDED_WITH)
            x = slot_at(frame, step.c)
            if x.tag == CONTINUATION and x.object.length == SUSPENDED_LENGTH:
                give(heap, step, frame, retained((<Values *> x.object).at[2]))
                go_on(step)
                continue
            in_general(step)
            continue
        elif opcode == QUICK_IS_REDUCED:
            here(QUICK_IS_REDUCED)
            x = slot_at(frame, step.c)
            truth = x.tag == ERROR and is_reduced(x[0])
            if step.n:
                release_values(heap, x, 1)
            put(heap, slot_at(frame, step.a), FALSE + <uint32_t> truth, 0)
            go_on(step)
            continue
        elif opcode == QUICK_PROMPT:
            here(QUICK_PROMPT)
            place = slot_at(frame, step.c)
            if place[1].tag == CONTINUATION and may_mark(place[0]) and heap.fuel > 0:
                heap.fuel -= 1
                frame.resume = step + 1
                outcome = resume_above(state, place, slot_number(step.a))
                if likely(outcome == OK):
                    frame = state.frame
                    step = frame.resume - 1
                    go_on(step)
                    continue
            else:
                in_general(step)
                continue
        elif opcode == QUICK_SUSPEND:
            here(QUICK_SUSPEND)
            place = slot_at(frame, step.c)
            if heap.fuel > 0:
                heap.fuel -= 1
                frame.resume = step + 1
                outcome = suspend(state, place, slot_number(step.a))
                if likely(outcome == OK):
                    frame = state.frame
                    step = frame.resume - 1
                    go_on(step)
                    continue
            else:
                in_general(step)
                continue
        elif opcode == OP_SELF:
            here(OP_SELF)
            value = retained(pointer_value(frame.closure))
            outcome = OK
        elif opcode == OP_SIBLING:
            here(OP_SIBLING)
            outcome = share_captures(
                state, &frame.arity.function.code.functions[step.b], frame.closure.captures, &value
            )
        elif opcode == OP_GLOBAL:
            here(OP_GLOBAL)
            outcome = read_global(state, frame.arity.function.code, step.b, &value)
        elif opcode == OP_DEF_GLOBAL:
            here(OP_DEF_GLOBAL)
            place = &state.globals[frame.arity.function.code.globals[step.a]]
            set_value(heap, place, retained(slot_at(frame, step.b)[0]))
            go_on(step)
            continue
        elif opcode == OP_CLOSURE:
            here(OP_CLOSURE)
            outcome = make_closure(
                state, &frame.arity.function.code.functions[step.b], slot_at(frame, step.c), step.n, &value
            )
        elif opcode == OP_SHARE:
            here(OP_SHARE)
            x = slot_at(frame, step.c)
            if x.tag != CLOSURE:
                outcome = fault(heap, b"type", b"share: not a closure")
            else:
                outcome = share_captures(
                    state,
                    &frame.arity.function.code.functions[step.b],
                    (<Closure *> x.object).captures,
                    &value,
                )
        elif opcode == OP_CATCH:
            here(OP_CATCH)
            value = state.error
            state.error = nil()
            outcome = OK
        elif opcode == OP_THROW:
            here(OP_THROW)
            x = slot_at(frame, step.a)
            if not is_error(x[0]):
                outcome = fault_type(heap, b"throw", b"an error", x[0])
            else:
                frame.resume = step
                outcome = throw_error(state, retained(x[0]), pc_of(frame))
                if outcome == OK:
                    frame = state.frame
                    step = frame.resume - 1
                    go_on(step)
                    continue
        else:
            never()
            outcome = FAILED
        if likely(outcome == OK):
            put_made(heap, slot_at(frame, step.a), &value)
            value = nil()
            if unlikely(heap.fuel < FUEL_OVERDRAWN):
                frame.resume = step + 1
                return STATUS_OUT_OF_FUEL
            go_on(step)
            continue
        outcome = unusual(state, outcome, step, value)
        value = nil()
        if outcome != OK:
            return state.status
        if unlikely(heap.fuel < FUEL_OVERDRAWN):
            return STATUS_OUT_OF_FUEL
        frame = state.frame
        step = frame.resume - 1


cdef Outcome unusual(State *state, Outcome outcome, Step *step, Value value) noexcept nogil:
    """Do what an outcome other than OK asks for; OK if the loop goes on, else the status says why not."""
    cdef Value error
    if outcome == ASKED:
        state.status = STATUS_EFFECT
        return outcome
    if outcome == FINISHED:
        return outcome
    if outcome != NO_MEMORY and state.frame != NULL:
        release(&state.heap, value)
        state.frame.resume = step
        if outcome == DEFER:
            outcome = defer(state, step)
            if outcome == OK:
                return OK
            state.frame.resume = step
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
                outcome = throw_error(state, error, pc_of(state.frame))
            if outcome != NO_MEMORY:
                return outcome
    if state.frame != NULL and state.frame.arity.start <= step < state.frame.arity.steps + state.frame.arity.end:
        state.frame.resume = step
    state.status = STATUS_OUT_OF_MEMORY
    return NO_MEMORY
