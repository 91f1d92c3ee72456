# Loaded segments.
#
# Is:     copies of a checked segment in C, with constants as immortal values that all agents share.
# Is not: the check (`yind.cesk.verify`).
# Fits:   a Machine keeps its Code alive, and so everything its frames and constants point to.

from yind.cesk.limits import UNITS_MAX as _UNITS_MAX
from yind.cesk.verify import verify as _verify
from yang.primitives import LONG_FORMS as _LONG_FORMS
from yang.primitives import PRIMITIVE_NUMBERS as _PRIMITIVE_NUMBERS
from datomstore.value import Keyword as _Keyword
from yang.segment import FunctionRef as _FunctionRef
from yang.segment import PrimitiveRef as _PrimitiveRef

cdef enum:
    NO_FIXED_COUNT = 0xFFFFFFFF
    LINKED_MAX = 1 << 26  # constants and steps of a segment: distances between them have 31 bits


cdef bint add_static(CodeInfo *code, Object *object) noexcept nogil:
    """Number an object of a constant, so that an image can name it; False without memory."""
    cdef Object **statics
    if code.static_count & (code.static_count - 1) == 0:  # the capacity is the next power of two
        statics = <Object **> c_realloc(code.statics, (2 * <size_t> code.static_count or 1) * sizeof(Object *))
        if statics == NULL:
            return False
        code.statics = statics
    object.count = IMMORTAL | (code.static_base + code.static_count)
    code.statics[code.static_count] = object
    code.static_count += 1
    return True


cdef Outcome make_immortal(CodeInfo *code, Heap *heap, Value value) noexcept nogil:
    """Mark everything reachable from a constant as never counted, and note the hashes of texts now.

    Threads share these objects without a lock: from here on nothing in them is written again.
    """
    cdef size_t bottom = heap.work_count
    cdef Value *values
    cdef Object **pointers
    cdef uint32_t i
    while True:
        if value.tag >= HEAP and value.object.count < IMMORTAL:
            if is_inner(value.tag) and not is_vector_part(value.tag):
                value.object.count = IMMORTAL
            elif not add_static(code, value.object):
                return NO_MEMORY
            if value.tag <= BIG:
                text_hash(value.object)
            elif POINTERS_AT[value.object.kind] != 0:
                pointers = pointers_of(value.object)
                for i in range(value.object.length):
                    if pointers[i] != NULL and push_work(heap, pointer_value(pointers[i])) != OK:
                        return NO_MEMORY
            elif VALUES_AT[value.object.kind] != 0:
                values = values_of(value.object)
                for i in range(value.object.length):
                    if values[i].tag >= HEAP and push_work(heap, values[i]) != OK:
                        return NO_MEMORY
        if heap.work_count == bottom:
            return OK
        value = pop_work(heap)


cdef void frame_head(uint64_t *head, uint32_t units, uint32_t slot_count) noexcept nogil:
    """Set the second half of the header of frames with so many slots, as `allocate` fills it."""
    cdef Object object
    memset(&object, 0, sizeof(Object))
    object.kind = FRAME
    object.units = <uint16_t> units
    object.length = slot_count
    head[0] = (<uint64_t *> &object)[1]


cdef class Code:
    """A checked, loaded segment, shared by agents.

    Args:
        segment: what the assembler made.
        core: the loaded core library, whose functions the segment names; None for the core library itself.
        before: the last unit of the session that this segment continues; see `Machine.enter`.

    Raises:
        CodeInvalid: the segment is not safe to run, or the session has too many units.
    """

    cdef CodeInfo info
    cdef Heap heap  # of constants, names and closures, all immortal
    cdef readonly object segment
    cdef readonly Code core
    cdef readonly Code before  # None outside of sessions, and for the first unit of one
    cdef readonly uint32_t unit_count
    cdef readonly bytes program_hash
    cdef tuple global_names  # of the core library, the units before and this segment: State.globals has one for each
    cdef dict keywords  # of the core library, to its constants

    def __cinit__(self):
        memset(&self.info, 0, sizeof(CodeInfo))
        heap_init(&self.heap, 1 << 33)
        self.heap.fixed_layout = True

    def __dealloc__(self):
        c_free(self.info.constants)
        c_free(self.info.functions)
        c_free(self.info.arities)
        c_free(self.info.handlers)
        c_free(self.info.globals)
        c_free(self.info.global_names)
        c_free(self.info.statics)
        c_free(self.info.long_forms)
        heap_free(&self.heap)

    def __init__(self, segment, core, before=None):
        if self.segment is not None:
            raise StateInvalid("the code is loaded already")
        self._follow(core, before)
        core_names = {} if core is None else core_functions(core)
        _verify(segment, {name: core.segment.functions[index] for name, index in core_names.items()}.get)
        self.segment = segment
        self.core = core
        self.program_hash = bytes(segment.program_hash)
        self._load_globals()
        self._load_functions()
        self._load_constants(core_names)
        self._load_steps()
        self.info.realize = self._named("realize")
        self.info.realize_some = self._named("realize-some")
        self.info.realize_all = self._named("realize-all")
        self.info.leave = self._named("impl/leave")
        self.info.long_finish = self._named("long/finish")
        self.info.long_effect = self._named("long/effect")
        self._load_long_forms()

    def _follow(self, core, Code before):
        self.before = before
        self.unit_count = 1
        if before is None:
            return
        if before.core is not core or core is None:
            raise CodeInvalid("the units of a session have the same core library")
        self.unit_count = before.unit_count + 1
        if self.unit_count > _UNITS_MAX:
            raise CodeInvalid(f"a session has at most {_UNITS_MAX} units")
        self.info.before = &before.info
        self.info.function_base = before.info.function_base + before.info.function_count
        self.info.arity_base = before.info.arity_base + before.info.arity_count
        self.info.static_base = before.info.static_base + before.info.static_count

    def _load_long_forms(self):
        """Find what stands in for host functions; the core library has all of it or none."""
        self.info.long_forms = <FunctionInfo **> self._array(PRIMITIVE_TABLE_SIZE, sizeof(FunctionInfo *))
        if self.info.long_finish == NULL:
            return
        for name, function in _LONG_FORMS.items():
            self.info.long_forms[<uint32_t> _PRIMITIVE_NUMBERS[name]] = self._named(function)
            if self._named(function) == NULL:
                raise CodeInvalid(f"the core library has no {function}, the long form of {name}")

    cdef void *_array(self, size_t count, size_t size) except NULL:
        cdef void *block = c_malloc((count or 1) * size)
        if block == NULL:
            raise MemoryError
        memset(block, 0, (count or 1) * size)
        return block

    cdef FunctionInfo *_named(self, str name):
        for index, function in enumerate(self.segment.functions):
            if function.name == name and function.capture_count == 0:
                return &self.info.functions[<uint32_t> index]
        return NULL

    def _load_steps(self):
        cdef bytes code = bytes(self.segment.code)
        memcpy(self.info.steps, <const char *> code, len(code))
        for index in range(self.info.arity_count):
            self.info.arities[<uint32_t> index].steps = self.info.steps
            self.info.arities[<uint32_t> index].start = self.info.steps + self.info.arities[<uint32_t> index].entry
        self._link_steps()
        handlers = self.segment.handlers
        self.info.handlers = <HandlerInfo *> self._array(len(handlers), sizeof(HandlerInfo))
        self.info.handler_count = len(handlers)
        for index, (start, end, target) in enumerate(handlers):
            self.info.handlers[<uint32_t> index] = HandlerInfo(start, end, target)

    cdef void _link_steps(self) noexcept:
        """Replace operands by what the loop wants to have, see Step."""
        cdef Step *step
        cdef Value callee
        cdef ArityInfo *arity
        cdef uint32_t i
        for i in range(self.info.step_count):
            step = &self.info.steps[i]
            if step.opcode == OP_CALL or step.opcode == OP_TAIL_CALL:
                callee = self.info.constants[step.c]
                arity = select_arity((<Closure *> callee.object).function, step.n)
                step.n = <uint16_t> step.b
                (<ArityInfo **> &step.b)[0] = arity
            elif step.opcode != OP_APPLY and step.opcode != OP_TAIL_APPLY:
                step.a = self._linked(i, OPERAND_KINDS[step.opcode][0], step.a)
                step.b = self._linked(i, OPERAND_KINDS[step.opcode][1], step.b)
                step.c = self._linked(i, OPERAND_KINDS[step.opcode][2], step.c)
            if step.opcode == OP_PRIMITIVE or step.opcode == OP_PRIMITIVE_READ:
                self._quicken(step)

    cdef void _quicken(self, Step *step) noexcept:
        """Let a call of a host function go to its own place in the loop, if it has one; see plain_opcode."""
        cdef uint32_t i
        for i in range(PLACE_COUNT - OP_COUNT):
            if QUICK[i].primitive == <uint32_t> step.b and QUICK[i].n == step.n:
                if step.opcode == OP_PRIMITIVE_READ:
                    step.n = 0
                step.opcode = <uint16_t> QUICK[i].opcode
                return

    cdef int32_t _linked(self, uint32_t pc, char kind, int32_t operand) noexcept:
        if kind == b"R":
            return slot_distance(operand)
        if kind == b"K":
            return <int32_t> (<char *> &self.info.constants[operand] - <char *> &self.info.steps[pc])
        if kind == b"L":
            return (operand - 1 - <int32_t> pc) * <int32_t> sizeof(Step)
        return operand

    def _load_globals(self):
        known = self.core if self.before is None else self.before
        names = [] if known is None else list(known.global_names)
        numbers = {name: number for number, name in enumerate(names)}
        own = self.segment.globals
        self.info.globals = <uint32_t *> self._array(len(own), sizeof(uint32_t))
        self.info.global_names = <Text **> self._array(len(own), sizeof(Text *))
        self.info.own_global_count = len(own)
        for index, name in enumerate(own):
            if name not in numbers:
                numbers[name] = len(names)
                names.append(name)
            self.info.globals[<uint32_t> index] = numbers[name]
            self.info.global_names[<uint32_t> index] = self._text(name)
        self.info.global_count = len(names)
        self.global_names = tuple(names)

    cdef Text *_text(self, str name) except NULL:
        cdef Value value
        if give_bytes_of(&self.heap, STRING, name.encode("utf-8", "surrogatepass"), &value) != OK:
            raise MemoryError
        text_hash(value.object)
        value.object.count = IMMORTAL
        return <Text *> value.object

    def _load_functions(self):
        cdef FunctionInfo *target
        cdef ArityInfo *arity
        cdef uint32_t next_arity = 0
        functions = self.segment.functions
        self.info.function_count = len(functions)
        self.info.arity_count = sum(len(function.arities) for function in functions)
        self.info.functions = <FunctionInfo *> self._array(len(functions), sizeof(FunctionInfo))
        self.info.arities = <ArityInfo *> self._array(self.info.arity_count, sizeof(ArityInfo))
        for index, function in enumerate(functions):
            target = &self.info.functions[<uint32_t> index]
            target.code = &self.info
            target.arities = &self.info.arities[next_arity]
            target.arity_count = len(function.arities)
            target.capture_count = function.capture_count
            target.index = index
            target.fixed_count = NO_FIXED_COUNT
            target.name = NULL if function.name is None else self._text(function.name)
            for body in function.arities:
                arity = &self.info.arities[next_arity]
                arity.parameter_count = body.parameter_count
                arity.variadic = body.variadic
                arity.entry = body.entry
                arity.end = body.end
                arity.slot_count = body.slot_count
                arity.index = next_arity
                arity.function = target
                arity.size = (VALUES_AT[<int> FRAME] + <size_t> body.slot_count * sizeof(Value) + UNIT - 1) // UNIT * UNIT
                if arity.size <= SMALL_UNITS_MAX * UNIT:
                    arity.units = <uint32_t> (arity.size // UNIT)
                frame_head(&arity.head, arity.units, body.slot_count)
                next_arity += 1
            if target.arity_count == 1 and not target.arities.variadic:
                target.fixed_count = target.arities.parameter_count
            if function.capture_count == 0:
                target.closure = new_closure(&self.heap, target, nil())
                if target.closure == NULL:
                    raise MemoryError
                target.closure.head.count = IMMORTAL
                for place in range(target.arity_count):
                    target.arities[<uint32_t> place].closure = target.closure

    def _load_constants(self, core_names):
        cdef Value *constant
        cdef Code core = self.core
        constants = self.segment.constants
        step_count = len(self.segment.code) // sizeof(Step)
        if len(constants) + step_count > LINKED_MAX:
            raise CodeInvalid("too many constants")
        self.info.constants = <Value *> self._array(len(constants) + step_count, sizeof(Value))
        self.info.constant_count = len(constants)
        self.info.steps = <Step *> (self.info.constants + <size_t> len(constants))
        self.info.step_count = step_count
        for index, value in enumerate(constants):
            constant = &self.info.constants[<uint32_t> index]
            if isinstance(value, _PrimitiveRef):
                constant[0] = immediate(PRIMITIVE, value.number)
            elif isinstance(value, _FunctionRef) and value.core:
                constant[0] = pointer_value(core.info.functions[<uint32_t> core_names[value.name]].closure)
            elif isinstance(value, _FunctionRef):
                constant[0] = pointer_value(self.info.functions[<uint32_t> value.number].closure)
            elif isinstance(value, _Keyword) and core is not None and value in core.keywords:
                # The same object: tags of prompts are then found equal at a glance.
                constant[0] = core.info.constants[<uint32_t> core.keywords[value]]
            else:
                self._load_value(value, constant)
        if core is None:
            self.keywords = {
                value: index for index, value in enumerate(constants) if isinstance(value, _Keyword)
            }

    cdef int _load_value(self, object value, Value *constant) except -1:
        try:
            outcome = give_python(&self.heap, value, constant)
        except ValueInvalid as error:
            raise CodeInvalid(f"a constant is no EDN value: {error}") from error
        if outcome == FAILED or outcome == DEFER:
            raise CodeInvalid(f"a constant: {self.heap.fault_message.decode()}")
        if outcome != OK or make_immortal(&self.info, &self.heap, constant[0]) != OK:
            raise MemoryError
        return 0


def core_functions(core):
    """Return the index of every function of the core library that a program can name; the first of a name."""
    names = {}
    for index, function in enumerate(core.segment.functions):
        if function.name is not None and function.capture_count == 0:
            names.setdefault(function.name, index)
    return names


# ---- the code below every program: its frame gets the program's value and ends it

cdef Step HALT_STEPS[2]  # the second returns a value that is known to be realised
cdef ArityInfo HALT_ARITY
cdef FunctionInfo HALT_FUNCTION
cdef CodeInfo HALT_CODE
cdef Closure HALT_CLOSURE

memset(HALT_STEPS, 0, sizeof(HALT_STEPS))
memset(&HALT_ARITY, 0, sizeof(ArityInfo))
memset(&HALT_FUNCTION, 0, sizeof(FunctionInfo))
memset(&HALT_CODE, 0, sizeof(CodeInfo))
memset(&HALT_CLOSURE, 0, sizeof(Closure))
HALT_STEPS[0].opcode = OP_RETURN
HALT_STEPS[0].a = slot_distance(0)
HALT_STEPS[1].opcode = OP_RETURN
HALT_STEPS[1].a = slot_distance(0)
HALT_CODE.steps = HALT_STEPS
HALT_CODE.step_count = 2
HALT_CODE.functions = &HALT_FUNCTION
HALT_CODE.arities = &HALT_ARITY
HALT_CODE.function_count = 1
HALT_CODE.arity_count = 1
HALT_ARITY.end = 2
HALT_ARITY.slot_count = 1
HALT_ARITY.steps = HALT_STEPS
HALT_ARITY.start = HALT_STEPS
HALT_ARITY.function = &HALT_FUNCTION
HALT_FUNCTION.code = &HALT_CODE
HALT_FUNCTION.arities = &HALT_ARITY
HALT_FUNCTION.arity_count = 1
HALT_FUNCTION.closure = &HALT_CLOSURE
HALT_CLOSURE.head.count = IMMORTAL
HALT_CLOSURE.head.kind = CLOSURE
HALT_CLOSURE.head.length = 1
HALT_CLOSURE.function = &HALT_FUNCTION
