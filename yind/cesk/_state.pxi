# A running state made by hand: what another executor has found out about an agent, as a machine that goes on from there.
#
# Is:     values, frames, marks and continuations, made one by one with the constructors that the machine itself uses.
# Is not: any byte format (images are that of a machine), nor the choice of slots and places (`transfer.py`).
# Fits:   `StateBuilder` names what it made by number; `finish` gives the Machine, and the builder is used up.
#
# Whatever is given is checked for what the loop trusts: numbers, kinds, bodies, places where a frame can wait. Frames, atoms
# and lazy seqs are made first and filled later, so that circles can be made.


cdef class StateBuilder:
    """Parts of a state to be.

    Args:
        code, memory_max, fuel_max, hash_key: as for a Machine.
        fuel_used: what was spent so far.
    """

    cdef Machine machine
    cdef Value *made  # owned, and so is what they refer to
    cdef uint32_t count
    cdef uint32_t capacity

    def __dealloc__(self):
        c_free(self.made)  # the objects go with the heap

    def __init__(self, code, *, memory_max, fuel_max=None, fuel_used=0, hash_key=b""):
        if self.machine is not None:
            raise StateInvalid("the builder has begun already")
        self.machine = Machine.__new__(Machine)
        self.machine._prepare(code, memory_max, fuel_max)
        self.machine.fuel_spent = fuel_used
        set_hash_key(&self.machine.state.heap, hash_key)
        self.machine.state.heap.steps_max = 1 << 62  # the work is in proportion to what is given

    cdef Heap *_heap(self) except NULL:
        if self.machine is None:
            raise StateInvalid("the builder is used up")
        self.machine.state.heap.steps = 0
        return &self.machine.state.heap

    cdef object _add(self, Outcome outcome, Value value):
        """Return the number of a new part, which is taken over."""
        cdef Value *made
        cdef uint32_t capacity
        if outcome == FAILED:
            raise ValueInvalid(self.machine.state.heap.fault_message.decode("utf-8", "replace"))
        if outcome == FORCE or outcome == FORCE_ALL:
            raise ValueInvalid("a key is a lazy seq that is not realised")
        if outcome != OK:
            raise StateInvalid("the state needs more memory than it may use")
        if self.count == self.capacity:
            capacity = 2 * self.capacity or 64
            made = <Value *> c_realloc(self.made, capacity * sizeof(Value))
            if made == NULL:
                raise MemoryError
            self.made = made
            self.capacity = capacity
        self.made[self.count] = value
        self.count += 1
        return self.count - 1

    cdef object _object(self, void *object):
        if object == NULL:
            raise StateInvalid("the state needs more memory than it may use")
        return self._add(OK, pointer_value(object))

    cdef Value *_at(self, number) except NULL:
        """Return a part that a program may see (borrowed)."""
        cdef Value *value = self._any(number)
        if is_inner(value.tag):
            raise StateInvalid(f"part {number} is no value")
        return value

    cdef Value *_any(self, number) except NULL:
        if not 0 <= number < self.count:
            raise StateInvalid(f"there is no part {number}")
        return &self.made[<uint32_t> number]

    cdef Value *_kind(self, number, uint32_t kind) except NULL:
        cdef Value *value = self._any(number)
        if value.tag != kind:
            raise StateInvalid(f"part {number} is of another kind")
        return value

    cdef Frame *_waiting(self, number) except NULL:
        cdef Frame *frame = <Frame *> self._kind(number, FRAME).object
        if frame.arity != &HALT_ARITY and not may_wait(frame.arity, pc_of(frame), frame.head.slot):
            raise StateInvalid(f"frame {number} does not wait")
        return frame

    cdef Value _mark(self, number) except *:
        """Return marks, or nil for none (borrowed)."""
        return nil() if number is None else self._kind(number, MARK)[0]

    # ---- values

    def value(self, value):
        """Make an EDN value."""
        cdef Value made = nil()
        return self._add(give_python(self._heap(), value, &made), made)

    def primitive(self, uint32_t number):
        """Make a host function."""
        self._heap()
        if number >= PRIMITIVE_TABLE_SIZE:
            raise StateInvalid("there is no such host function")
        return self._add(OK, immediate(PRIMITIVE, number))

    def pair(self, first, rest, bint is_list):
        """Make a cell: of a list, or what `cons` makes."""
        cdef Heap *heap = self._heap()
        cdef Value parts[2]
        cdef Value made = nil()
        parts[0] = self._at(first)[0]
        parts[1] = self._at(rest)[0]
        if is_list:
            return self._add(give_cell(heap, retained(parts[0]), retained(parts[1]), &made), made)
        return self._add(give_values(heap, CONS, parts, 2, &made), made)

    def vector(self, numbers):
        """Make a vector."""
        cdef Heap *heap = self._heap()
        cdef size_t start = heap.work_count
        cdef Value made = nil()
        self._push(numbers)
        return self._add(build_collection(heap, tuple, start, &made), made)

    def map(self, numbers):
        """Make a map; keys and values alternate."""
        cdef Heap *heap = self._heap()
        cdef size_t start = heap.work_count
        cdef Value made = nil()
        if len(numbers) % 2:
            raise StateInvalid("a key without a value")
        self._push(numbers)
        return self._add(build_collection(heap, _Map, start, &made), made)

    def set(self, numbers):
        """Make a set."""
        cdef Heap *heap = self._heap()
        cdef size_t start = heap.work_count
        cdef Value made = nil()
        self._push(numbers)
        return self._add(build_collection(heap, _Set, start, &made), made)

    def sorted(self, bint is_map, order, numbers):
        """Make a sorted map or set of keys and values that alternate, in its order; `order` is nil or a comparator."""
        cdef Heap *heap = self._heap()
        cdef Value made = nil()
        cdef Outcome outcome
        cdef uint32_t i
        if len(numbers) % 2:
            raise StateInvalid("a key without a value")
        for number in numbers:
            self._at(number)
        if not is_function(self._at(order).tag) and self._at(order).tag != NIL:
            raise StateInvalid("a comparator is a function")
        outcome = give_sorted(heap, SORTED_MAP if is_map else SORTED_SET, self._at(order)[0], &made)
        for i in range(<uint32_t> len(numbers) >> 1):
            if outcome == OK:
                outcome = sorted_insert(heap, &made, i, self._at(numbers[2 * i])[0], self._at(numbers[2 * i + 1])[0])
        return self._add(outcome, made)

    cdef int _push(self, numbers) except -1:
        """Put owned values on the work stack."""
        cdef Heap *heap = &self.machine.state.heap
        for number in numbers:
            self._at(number)
        for number in numbers:
            if push_work(heap, retained(self._at(number)[0])) != OK:
                raise StateInvalid("the state needs more memory than it may use")
        return 0

    def range(self, start, end, step):
        """Make a range of numbers of one kind that is not empty."""
        cdef Value parts[3]
        cdef Value made = nil()
        parts[0] = self._at(start)[0]
        parts[1] = self._at(end)[0]
        parts[2] = self._at(step)[0]
        return self._add(primitive_number_range(self._heap(), parts, 3, &made), made)

    def seq(self, vector, int64_t index):
        """Make the seq of a vector's items from an index on."""
        cdef Value source = self._kind(vector, VECTOR)[0]
        cdef Value made = nil()
        if not 0 <= index < vector_count(source):
            raise StateInvalid("a seq of nothing")
        return self._add(give_seq(self._heap(), source, SEQ_ITEMS, index, &made), made)

    def error(self, message, data, cause):
        """Make an error."""
        cdef Value parts[3]
        cdef Value made = nil()
        parts[0] = self._at(message)[0]
        parts[1] = self._at(data)[0]
        parts[2] = self._at(cause)[0]
        return self._add(give_values(self._heap(), ERROR, parts, 3, &made), made)

    def described(self, value, metadata):
        """Make a value with metadata."""
        cdef Value parts[2]
        cdef Value made = nil()
        parts[0] = self._at(value)[0]
        parts[1] = self._at(metadata)[0]
        return self._add(primitive_with_meta(self._heap(), parts, 2, &made), made)

    def atom(self):
        """Make an atom that holds nil."""
        return self._cell(ATOM)

    def lazy(self):
        """Make a lazy seq; it has to be filled."""
        return self._cell(LAZY)

    cdef object _cell(self, uint32_t kind):
        cdef Value none = nil()
        cdef Value made = nil()
        return self._add(give_values(self._heap(), kind, &none, 1, &made), made)

    def fill(self, number, content, bint is_realized=False):
        """Set what an atom or lazy seq holds."""
        cdef Value *cell = self._any(number)
        cdef Value *value = self._at(content)
        if cell.tag != ATOM and cell.tag != LAZY:
            raise StateInvalid(f"part {number} is no cell")
        if is_realized and cell.tag == LAZY:
            cell.object.flags |= REALIZED
        set_value(self._heap(), &(<Values *> cell.object).at[0], retained(value[0]))

    # ---- functions

    cdef CodeInfo *_code(self, bint is_core) except NULL:
        self._heap()
        if not is_core:
            return self.machine.state.code
        if self.machine.state.core == NULL:
            raise StateInvalid("there is no core library")
        return self.machine.state.core

    def captures(self, numbers):
        """Make captured values, for one closure or several."""
        cdef Heap *heap = self._heap()
        cdef Values *captures
        cdef uint32_t i
        for number in numbers:
            self._at(number)
        captures = new_values(heap, CAPTURES, len(numbers))
        if captures != NULL:
            for i in range(captures.head.length):
                captures.at[i] = retained(self._at(numbers[i])[0])
        return self._object(captures)

    def function(self, bint is_core, uint32_t index, captures=None):
        """Make a closure of a function of the program or of the core library."""
        cdef CodeInfo *code = self._code(is_core)
        cdef FunctionInfo *function
        cdef Value captured = nil()
        if index >= code.function_count:
            raise StateInvalid("the code has no such function")
        function = &code.functions[index]
        if captures is not None:
            captured = self._kind(captures, CAPTURES)[0]
        if function.capture_count != (captured.object.length if captured.tag == CAPTURES else 0):
            raise StateInvalid("a wrong number of captured values")
        if function.capture_count == 0:
            return self._add(OK, pointer_value(function.closure))
        return self._object(new_closure(self._heap(), function, retained(captured)))

    # ---- the continuation

    def halt(self):
        """Make the frame below all others, and below those above a mark."""
        cdef Frame *frame = new_frame(self._heap(), &HALT_ARITY, HALT_FUNCTION.closure, NULL)
        if frame != NULL:
            frame.at[0] = nil()
        return self._object(frame)

    def frame(self, parent, bint is_core, uint32_t arity, uint32_t pc, int32_t slot):
        """Make a frame of a body without values, at pc; it waits for `slot`, -1 for nothing, or runs.

        Its closure comes with the values, see `fill_frame`; until then it runs a function without captured values.
        """
        cdef CodeInfo *code = self._code(is_core)
        cdef Frame *below = self._waiting(parent)
        cdef ArityInfo *body
        cdef Frame *frame
        cdef uint32_t i
        if arity >= code.arity_count:
            raise StateInvalid("the code has no such body")
        body = &code.arities[arity]
        if not (body.entry <= pc < body.end and (-1 <= slot < <int32_t> body.slot_count or slot == JUDGED)):
            raise StateInvalid("a place outside of the body")
        retain_object(&below.head)
        frame = new_frame(self._heap(), body, &HALT_CLOSURE, below)
        if frame != NULL:
            go_to(frame, pc)
            frame.head.slot = slot
            for i in range(body.slot_count):
                vacate(&frame.at[i])
        return self._object(frame)

    def fill_frame(self, number, closure, values):
        """Set the closure that runs in a frame, and what its slots hold: {slot: value}."""
        cdef Frame *frame = <Frame *> self._kind(number, FRAME).object
        cdef Closure *runs = <Closure *> self._kind(closure, CLOSURE).object
        if frame.arity == &HALT_ARITY:
            if set(values) != {0}:
                raise StateInvalid("the last frame has one slot")
        elif runs.function != frame.arity.function:
            raise StateInvalid("a frame of another function")
        else:
            retain_object(&runs.head)
            release_object(self._heap(), &frame.closure.head)
            frame.closure = runs
        for slot, value in values.items():
            if not 0 <= slot < frame.arity.slot_count:
                raise StateInvalid("the body has no such slot")
            set_value(self._heap(), &frame.at[<uint32_t> slot], retained(self._at(value)[0]))

    def end(self, result):
        """Make a frame below all others that has to look at the program's value again."""
        cdef Frame *frame
        number = self.halt()
        frame = <Frame *> self._any(number).object
        frame.head.slot = -1
        frame.at[0] = retained(self._at(result)[0])
        return number

    def mark(self, tag, frame, marks=None):
        """Make a mark above a frame that waits; the tag of one that no prompt made is nil."""
        cdef Frame *below = self._waiting(frame)
        cdef Value shown = self._at(tag)[0]
        cdef Value further = self._mark(marks)
        if shown.tag != NIL and shown.tag != CLOSURE and not is_prompt_tag(shown):
            raise StateInvalid("a mark with a tag that prompts cannot have")
        retain_object(&below.head)
        return self._object(new_mark(self._heap(), retained(shown), below, retained(further)))

    def continuation(self, frame, marks, bint is_part, suspended=None):
        """Make a continuation: all of it, or the part that was above a prompt, perhaps suspended with a value."""
        cdef Frame *waits = self._waiting(frame)
        cdef Value further = self._mark(marks)
        cdef Values *made
        cdef Value message = nil() if suspended is None else self._at(suspended)[0]
        if suspended is not None and not is_part:
            raise StateInvalid("only a part is suspended")
        made = new_values(self._heap(), CONTINUATION, 2 if suspended is None else SUSPENDED_LENGTH)
        if made != NULL:
            retain_object(&waits.head)
            made.at[0] = pointer_value(waits)
            made.at[1] = retained(further)
            if is_part:
                made.head.flags = COMPOSABLE
            if suspended is not None:
                made.at[2] = retained(message)
        return self._object(made)

    # ---- the whole

    def finish(self, frame, marks, global_values, *, value=None, effect=None, error=None):
        """Return the machine that goes on at a frame.

        Args:
            frame: the frame that runs, waits for the value or the effect's answer, or has thrown.
            marks: below it.
            global_values: {name: value} of the globals that are bound; those the program never mentions are ignored.
            value: is given to the frame.
            effect: (number, arguments) of an effect that waits for its answer.
            error: nobody caught it.
        """
        cdef State *state
        cdef Frame *found = <Frame *> self._kind(frame, FRAME).object
        cdef Value below = self._mark(marks)
        cdef Value given = nil()
        cdef Heap *heap = self._heap()
        cdef Machine machine = self.machine
        cdef uint32_t i
        state = machine.state
        if value is not None or effect is not None:
            self._waiting(frame)
        for i in range(self.count):
            if self.made[i].tag == FRAME and (<Frame *> self.made[i].object).closure == &HALT_CLOSURE:
                if (<Frame *> self.made[i].object).arity != &HALT_ARITY:
                    raise StateInvalid(f"frame {i} is empty")
        for name, number in global_values.items():
            if name in machine.code.global_names:
                given = retained(self._at(number)[0])
                set_value(heap, &state.globals[<uint32_t> machine.code.global_names.index(name)], given)
        if effect is not None:
            self._finish_effect(effect[0], effect[1])
        given = nil() if value is None else retained(self._at(value)[0])
        if error is not None:
            state.status = STATUS_FAULT
            state.error = retained(self._kind(error, ERROR)[0])
        retain_object(&found.head)
        state.marks = retained(below)
        self._release_all()
        state.frame = own_frame(heap, found)
        if state.frame == NULL:
            raise StateInvalid("the state needs more memory than it may use")
        if value is not None:
            deliver(state, given)
        if effect is None:
            state.frame.head.slot = 0  # it runs
        heap.steps_max = STEPS_MAX
        heap.fuel = 0
        self.machine = None
        return machine

    cdef int _finish_effect(self, uint32_t number, object arguments) except -1:
        cdef State *state = self.machine.state
        cdef PrimitiveInfo *primitive
        if number >= PRIMITIVE_TABLE_SIZE:
            raise StateInvalid("there is no such effect")
        primitive = &PRIMITIVE_TABLE[number]
        if primitive.kind != 2 or not primitive.least <= <uint32_t> len(arguments) <= primitive.most:
            raise StateInvalid("the effect is none, or has a wrong number of arguments")
        state.effect_arguments = retained(self._kind(self.captures(arguments), CAPTURES)[0])
        state.effect = number
        state.status = STATUS_EFFECT
        return 0

    cdef void _release_all(self):
        cdef uint32_t i
        for i in range(self.count):
            release(&self.machine.state.heap, self.made[i])
        self.count = 0
