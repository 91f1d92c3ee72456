# The machine as Python sees it.
#
# Is:     one agent's heap and continuation; running, answering effects, looking at it.
# Is not: a scheduler; the caller decides how much fuel and when.
# Fits:   `_core.pyi` has the types; images are in `_image.pxi`.

from enum import IntEnum as _IntEnum
from hashlib import blake2b as _blake2b
from typing import NamedTuple as _NamedTuple

from yang.primitives import PRIMITIVES as _PRIMITIVES
from yang.segment import Span as _Span

from yind.cesk.limits import MEMORY_MAX as _MEMORY_MAX
from yind.cesk.limits import MEMORY_MIN as _MEMORY_MIN


class Status(_IntEnum):  # ORDER: status
    """Why a slice ended."""

    OUT_OF_FUEL = 0
    EFFECT = 1
    DONE = 2
    FAULT = 3
    OUT_OF_MEMORY = 4


class TraceEntry(_NamedTuple):
    """A waiting call, or `times` alike one above the other; without a function: so many that are left out."""

    function: str
    source: str
    span: object
    program_hash: bytes
    node: int
    times: int = 1

    def __str__(self):
        if not self.function:
            return f"  ... {self.times:,} more"
        more = f"\n  ... {self.times - 1:,} more" if self.times > 1 else ""
        return f"  at {self.function} ({self.source}:{self.span.line}:{self.span.column}){more}"


class Fault:
    """An error that nobody caught; its cause, if it has one, is a Fault without a trace."""

    __slots__ = ("cause", "data", "data_text", "message", "trace")

    def __init__(self, message, data, data_text, trace, cause):
        self.message = message
        self.data = data
        self.data_text = data_text
        self.trace = trace
        self.cause = cause

    def __str__(self):
        told = [self.message]
        if self.data_text:
            told.append(f"  {self.data_text}")
        told += [str(entry) for entry in self.trace]
        if self.cause is not None:
            told.append(f"caused by: {self.cause}")
        return "\n".join(told)


class FrameView(_NamedTuple):
    """One frame, innermost first."""

    function: str
    program_hash: bytes
    pc: int
    node: int
    span: object
    locals: list


cdef inline bint is_vacant(Value value) noexcept nogil:
    """Return whether a slot shows nothing: not bound yet, or its value has been taken."""
    return value.tag == NIL and value.spare == VACANT


cdef enum:
    FRAMES_MAX = 200  # frames that are shown, the innermost
    LOCALS_MAX = 100  # of a frame that are shown
    LOCAL_TEXT_MAX = 200  # characters of a local's text
    LOOK_STEPS_MAX = 1 << 16  # items of collections; what is left of the locals is then not shown
    TRACE_INNER = 32  # entries of a trace, from where the error was thrown
    TRACE_OUTER = 16  # and up to the top level
    TRACE_MAX = TRACE_INNER + TRACE_OUTER
    CAUSES_MAX = 16
    FAULT_TEXT_MAX = 2000  # characters of an error's data
    FAULT_PARTS_MAX = 1 << 14  # of an error's data, and of each of its causes'; else it is told as text alone
    FAULT_MESSAGE_MAX = 1 << 16  # bytes of its message
    TEXT_ROOM = 1 << 24  # bytes beyond its memory for the text of what an agent comes to
    COLLECT_ROOM_MIN = 1 << 12  # bytes: with less left, mark passes would come one upon the other

cdef struct Row:  # of a trace
    ArityInfo *arity
    uint32_t pc
    uint64_t times

_FAULT_KIND = _Keyword("fault")


cdef inline uint64_t row_place(uint64_t number) noexcept:
    """Return where the entry of a trace with this number is kept."""
    return number if number < TRACE_INNER else TRACE_INNER + (number - TRACE_INNER) % TRACE_OUTER


cdef str message_text(Object *object):
    """Return the message of an error, cut when it is long: causes may share it."""
    if object.length <= FAULT_MESSAGE_MAX:
        return python_text(object)
    return (<char *> (<Text *> object).bytes)[:FAULT_MESSAGE_MAX].decode("utf-8", "ignore") + "..."


cdef void run_slice(State *state) noexcept nogil:
    """Run until the fuel is used up; where memory asks for it a mark pass comes in between."""
    cdef Heap *heap = &state.heap
    while True:
        state.status = run_state(state)
        if heap.fuel_kept > 0:
            heap.fuel += heap.fuel_kept
            heap.fuel_kept = 0
        if heap.collect_at != heap.max or state.status == STATUS_OUT_OF_MEMORY:
            return
        if heap.max - heap.used > COLLECT_ROOM_MIN:
            collect(state)
        if state.status != STATUS_OUT_OF_FUEL or heap.fuel <= 0:
            return


cdef int set_hash_key(Heap *heap, object secret) except -1:
    cdef bytes key = _blake2b(secret, digest_size=HASH_KEY_BYTES, person=b"yin hash key").digest()
    memcpy(heap.hash_key, <const char *> key, HASH_KEY_BYTES)
    return 0


cdef class Machine:
    """One agent: heap, frames, globals.

    Args:
        code: the program.
        memory_max: bytes of heap; more is OUT_OF_MEMORY.
        fuel_max: fuel over its whole life, None for no bound.
        globals: values of globals that are bound before it starts; names the program never mentions are ignored.
        hash_key: what others cannot foresee, the same wherever the agent is: keys of maps that collide by intent are
            spread by it. Images keep it.
    """

    cdef State *state  # owned
    cdef bint running
    cdef readonly Code code
    cdef readonly object fuel_max
    cdef int64_t fuel_spent

    def __cinit__(self):
        self.state = <State *> c_malloc(sizeof(State))
        if self.state == NULL:
            raise MemoryError
        memset(self.state, 0, sizeof(State))

    def __dealloc__(self):
        if self.state != NULL:
            heap_free(&self.state.heap)
            c_free(self.state.globals)
            c_free(self.state)

    def __init__(self, code, *, memory_max, fuel_max=None, globals={}, hash_key=b""):  # noqa: A002, B006
        self._prepare(code, memory_max, fuel_max)
        set_hash_key(&self.state.heap, hash_key)
        for name, value in globals.items():
            if name in self.code.global_names:
                self._bind(self.code.global_names.index(name), value)
        if begin(self.state) != OK:
            self.state.status = STATUS_OUT_OF_MEMORY

    def _prepare(self, Code code not None, memory_max, fuel_max):
        if self.code is not None:
            raise StateInvalid("the machine has begun already")
        if not _MEMORY_MIN <= memory_max <= _MEMORY_MAX:
            raise ValueError(f"memory_max is {memory_max}, not {_MEMORY_MIN} to {_MEMORY_MAX}")
        self.code = code
        self.fuel_max = fuel_max
        heap_init(&self.state.heap, memory_max)
        self.state.code = &code.info
        self.state.core = NULL if code.core is None else &(<Code> code.core).info
        self.state.status = STATUS_OUT_OF_FUEL
        self.state.global_count = code.info.global_count
        if self.state.global_count > 0:
            self.state.globals = <Value *> c_malloc(self.state.global_count * sizeof(Value))
            if self.state.globals == NULL:
                raise MemoryError
        for i in range(self.state.global_count):
            self.state.globals[<uint32_t> i] = immediate(UNBOUND, 0)

    cdef int _bind(self, uint32_t number, object value) except -1:
        cdef Value bound = nil()
        self._check(give_python(&self.state.heap, value, &bound))
        set_value(&self.state.heap, &self.state.globals[number], bound)
        return 0

    cdef int _check(self, Outcome outcome) except -1:
        """Turn the outcome of a conversion into an error of Python, or an end of the agent."""
        if outcome == NO_MEMORY:
            self.state.status = STATUS_OUT_OF_MEMORY
        elif outcome != OK:
            raise ValueInvalid(self.state.heap.fault_message.decode("utf-8", "replace"))
        return 0

    cdef int _stopped(self) except -1:
        if self.running:
            raise StateInvalid("the machine is running")
        if self.code is None:
            raise StateInvalid("the machine has not begun")
        return 0

    # ---- images

    def image(self):
        """Return the state as bytes, without code: the same state gives the same bytes.

        Of a machine that is out of memory the image holds the status alone.

        Raises:
            StateInvalid: the machine is running, or too large for an image.
        """
        self._stopped()
        hashes = [unit.program_hash for unit in self.units()]
        if self.code.core is not None:
            hashes.append(self.code.core.program_hash)
        self.running = True  # the writer works without the GIL
        try:
            return image_of(self.state, hashes, self.fuel_spent)
        finally:
            self.running = False

    @staticmethod
    def restore(image, code_of, *, memory_max, fuel_max=None):
        """Return a machine that goes on where the image was taken; the bytes may be anybody's.

        Args:
            image: what `image()` gave.
            code_of: the loaded code of a program hash; what it raises passes through.
            memory_max: bytes of heap; an agent that needs more at once is refused.
            fuel_max: fuel over its whole life, with what it spent before.

        Raises:
            ImageInvalid: this is not an image of an agent of that code, or it needs more memory.
        """
        cdef Machine machine = Machine.__new__(Machine)
        image = checked_image(image)
        code = restored_code(image_programs(image), code_of)
        machine._prepare(code, memory_max, fuel_max)
        machine.fuel_spent = restore_state(machine.state, image)
        return machine

    @staticmethod
    def programs_of(image):
        """Return the hashes of the programs an image needs: its own, the oldest first, then the core library's.

        Raises:
            ImageInvalid: these bytes do not begin like an image.
        """
        return image_programs(checked_image(image))

    # ---- running

    def run(self, fuel):
        """Run one slice and return why it ended; only a machine that is out of fuel moves."""
        cdef int64_t given
        cdef int64_t left
        self._stopped()
        if self.fuel_max is not None:
            fuel = min(fuel, self.fuel_max - self.fuel_spent)
        given = max(0, min(fuel, 1 << 62))
        if self.state.status != STATUS_OUT_OF_FUEL or given <= 0:
            return self.status
        self.running = True
        self.state.heap.fuel = given
        with nogil:
            run_slice(self.state)
            drain(&self.state.heap, DEAD_AFTER)
            trim_work(&self.state.heap)
        left = self.state.heap.fuel
        self.running = False
        self.fuel_spent += given - left
        if HOSTILE and (self.state.status == STATUS_DONE or self.state.status == STATUS_FAULT):
            audit_state(self.state)
        return self.status

    def run_steps(self, steps):
        """Run so many instructions and stop before the next one; in a hostile build only."""
        if not HOSTILE:
            raise StateInvalid("only a hostile build stops at any instruction")
        hostile_steps(&self.state.heap.hostile, steps)
        status = self.run(1 << 40)
        hostile_steps(&self.state.heap.hostile, 0)
        return status

    def audit(self):
        """Compare the count of each object with the references to it; in a hostile build only.

        Raises:
            AssertionError: they differ.
        """
        self._stopped()
        if not HOSTILE:
            raise StateInvalid("only a hostile build can audit its heap")
        audit_state(self.state)

    def miscount(self):
        """Make the count of one object wrong, for a test that an audit finds it; in a hostile build only."""
        self._stopped()
        if not HOSTILE or self.state.frame == NULL:
            raise StateInvalid("only a hostile build counts wrong, and only what runs")
        self.state.frame.head.count += 1

    @property
    def status(self):
        """Why the last slice ended; OUT_OF_FUEL before the first."""
        return Status(<int> self.state.status)

    @property
    def fuel_used(self):
        """Fuel spent in its life."""
        return self.fuel_spent

    @property
    def memory_used(self):
        """Bytes of live blocks; during a slice also of those that its thread has yet to free."""
        if not self.running:
            drain(&self.state.heap, GREATEST_INTEGER)
        return self.state.heap.used

    @property
    def memory_max(self):
        """Bytes it may use."""
        return self.state.heap.max

    def collect(self):
        """Free what only circles through atoms keep alive; return the bytes. The state does not change."""
        cdef size_t freed
        self._stopped()
        self.running = True
        with nogil:
            freed = collect(self.state)
        self.running = False
        return freed

    def standing(self):
        """Return as bytes where it stands: its frames, the functions it holds, the effect it waits for. The state stays.

        Equal bytes mean the same places of the same code. `yind.cesk.standing` reads them.
        """
        self._stopped()
        self.running = True  # the walk works without the GIL
        try:
            drain(&self.state.heap, GREATEST_INTEGER)
            return standing_of(self.state)
        finally:
            self.running = False

    # ---- sessions

    def units(self):
        """Return the code it has entered so far, the oldest first."""
        cdef Code unit = self.code
        found = []
        while unit is not None:
            found.append(unit)
            unit = unit.before
        return found[::-1]

    def enter(self, Code code not None, error_name=None):
        """Begin the top level of a session's next unit, with the heap and the globals as they are.

        What ran before is given up, wherever it was: that is how an evaluation is cancelled.

        Args:
            code: made with this machine's code as `before`.
            error_name: the global that gets the error of a machine that faulted.

        Raises:
            StateInvalid: it is running, out of memory, or the code continues something else.
        """
        cdef Heap *heap = &self.state.heap
        self._stopped()
        if self.state.status == STATUS_OUT_OF_MEMORY:
            raise StateInvalid("the machine is out of memory")
        if code.before is not self.code:
            raise StateInvalid("the code does not continue what ran here")
        self._add_globals(code)
        if error_name in code.global_names and self.state.status == STATUS_FAULT:
            number = code.global_names.index(error_name)
            set_value(heap, &self.state.globals[<uint32_t> number], retained(self.state.error))
        self._give_up()
        self.code = code
        self.state.code = &code.info
        self.state.status = STATUS_OUT_OF_FUEL
        if begin(self.state) != OK:
            self.state.status = STATUS_OUT_OF_MEMORY

    def extend(self, Code code not None):
        """Answer the effect that waits with the top level of more code, a function of no arguments.

        Everything goes on as it was; the globals that the code is the first to name are there, unbound.

        Args:
            code: made with this machine's code as `before`, or a unit that was entered already.

        Raises:
            StateInvalid: no effect waits, or the code continues something else.
        """
        self._answering()
        if code.before is self.code:
            self._add_globals(code)
            self.code = code
            self.state.code = &code.info
        elif code not in self.units():
            raise StateInvalid("the code does not continue what ran here")
        self._answered()
        deliver(self.state, pointer_value(code.info.functions[0].closure))

    def charge(self, fuel):
        """Count work that was done outside for the agent; False if it has not so much fuel left, which is then spent."""
        self._stopped()
        left = None if self.fuel_max is None else self.fuel_max - self.fuel_spent
        self.fuel_spent += fuel if left is None else min(fuel, left)
        return left is None or fuel <= left

    cdef int _add_globals(self, Code code) except -1:
        cdef uint32_t count = code.info.global_count
        cdef Value *grown = <Value *> c_realloc(self.state.globals, (count or 1) * sizeof(Value))
        if grown == NULL:
            raise MemoryError
        self.state.globals = grown
        while self.state.global_count < count:
            grown[self.state.global_count] = immediate(UNBOUND, 0)
            self.state.global_count += 1
        return 0

    cdef void _give_up(self) noexcept:
        """Release everything but the globals."""
        cdef Heap *heap = &self.state.heap
        cdef Frame *frame = self.state.frame
        self.state.frame = NULL
        if frame != NULL:
            release(heap, pointer_value(frame))
        set_value(heap, &self.state.marks, nil())
        set_value(heap, &self.state.effect_arguments, nil())
        set_value(heap, &self.state.error, nil())
        set_value(heap, &self.state.result, nil())
        self.state.effect = 0

    # ---- effects

    @property
    def effect(self):
        """Name and arguments of the effect that waits."""
        cdef Values *asked
        self._stopped()
        if self.state.status != STATUS_EFFECT:
            raise StateInvalid("no effect waits for an answer")
        asked = <Values *> self.state.effect_arguments.object
        arguments = [python_value(&self.state.heap, asked.at[i]) for i in range(asked.head.length)]
        return _PRIMITIVES[self.state.effect].name, tuple(arguments)

    @property
    def effect_name(self):
        """Name of the effect that waits."""
        self._answering()
        return _PRIMITIVES[self.state.effect].name

    def asks_for(self, name, text):
        """Return whether the effect that waits has a name, and a text as its only argument; nothing is converted."""
        cdef Values *asked
        cdef Value argument
        cdef bytes content = text.encode()
        self._answering()
        if self.state.effect_arguments.object.length != 1 or _PRIMITIVES[self.state.effect].name != name:
            return False
        asked = <Values *> self.state.effect_arguments.object
        argument = bare(asked.at[0])
        if argument.tag != STRING or argument.object.length != <size_t> len(content):
            return False
        return memcmp((<Text *> argument.object).bytes, <const char *> content, argument.object.length) == 0

    def effect_parts(self, most):
        """Return how many parts the arguments of the effect that waits have when they are written out.

        What is shared counts wherever it stands, and a long text or number for each 64 bytes. Counting ends at `most` and one.
        """
        cdef Values *asked
        cdef Heap *heap = &self.state.heap
        cdef int64_t parts = 0
        cdef int64_t enough = most
        cdef uint32_t i
        self._answering()
        asked = <Values *> self.state.effect_arguments.object
        for i in range(asked.head.length):
            if parts <= enough and count_parts(heap, asked.at[i], enough, &parts) != OK:
                break  # converting it says what is wrong
        return min(parts, enough + 1)

    def resume(self, value):
        """Answer the effect that waits."""
        cdef Value answer = nil()
        self._answering()
        self.running = True  # much is put in by a thread, with turns for others
        try:
            outcome = give_python(&self.state.heap, value, &answer)
        finally:
            self.running = False
        self._check(outcome)
        if self.state.status == STATUS_EFFECT:
            self._answered()
            deliver(self.state, answer)

    def resume_error(self, message, data):
        """Let the effect that waits throw an error in the agent."""
        cdef Value parts[3]
        cdef Value error = nil()
        cdef Heap *heap = &self.state.heap
        self._answering()
        parts[0] = nil()
        parts[1] = nil()
        parts[2] = nil()
        self._check(give_python(heap, message, &parts[0]))
        self._check(give_python(heap, data, &parts[1]))
        self._check(give_values(heap, ERROR, parts, 3, &error))
        release(heap, parts[0])
        release(heap, parts[1])
        if self.state.status == STATUS_EFFECT:
            self._answered()
            if throw_error(self.state, error, waiting_pc(self.state.frame)) == NO_MEMORY:
                self.state.status = STATUS_OUT_OF_MEMORY

    cdef int _answering(self) except -1:
        self._stopped()
        if self.state.status != STATUS_EFFECT:
            raise StateInvalid("no effect waits for an answer")
        return 0

    cdef void _answered(self) noexcept:
        self.state.status = STATUS_OUT_OF_FUEL
        set_value(&self.state.heap, &self.state.effect_arguments, nil())
        self.state.effect = 0

    # ---- the end

    @property
    def result(self):
        """The program's value when DONE."""
        self._stopped()
        if self.state.status != STATUS_DONE:
            raise StateInvalid("the program has not ended")
        return python_value(&self.state.heap, self.state.result)

    @property
    def result_text(self):
        """The program's value as readable text, also when it has no EDN form."""
        self._stopped()
        if self.state.status != STATUS_DONE:
            raise StateInvalid("the program has not ended")
        self.running = True  # a long text is made without the GIL
        try:
            return self._text(self.state.result)
        finally:
            self.running = False

    def result_parts(self, most):
        """Return how many parts the program's value has when it is written out; see `effect_parts`."""
        cdef int64_t parts = 0
        cdef int64_t enough = most
        self._stopped()
        if self.state.status != STATUS_DONE:
            raise StateInvalid("the program has not ended")
        count_parts(&self.state.heap, self.state.result, enough, &parts)
        return min(parts, enough + 1)

    @property
    def fault(self):
        """The error that ended the program."""
        cdef Values *error
        self._stopped()
        if self.state.status != STATUS_FAULT:
            raise StateInvalid("the program has not faulted")
        return self._fault(self.state.error, self._trace(), CAUSES_MAX)

    cdef object _fault(self, Value value, object trace, uint32_t causes):
        cdef Values *error = <Values *> value.object
        cdef Value data = error.at[1]
        cdef int64_t parts = 0
        if error.at[0].tag == STRING:
            message = message_text(error.at[0].object)
        else:
            message = self._glimpse(error.at[0], FAULT_TEXT_MAX)
        cause = self._fault(error.at[2], [], causes - 1) if error.at[2].tag == ERROR and causes else None
        count_parts(&self.state.heap, data, FAULT_PARTS_MAX, &parts)
        try:
            found = None if parts > FAULT_PARTS_MAX else python_value(&self.state.heap, data)
        except ValueInvalid:
            found = None
        if not isinstance(found, _Map):
            found = _Map({})
        told = is_map(data.tag) and (<Map *> data.object).count > 0 and set(found) != {_FAULT_KIND}
        return Fault(message, found, self._glimpse(data, FAULT_TEXT_MAX) if told else "", trace, cause)

    cdef str _text(self, Value value):
        """Return the readable text of a value; of a kind that cannot be printed only its name."""
        cdef Heap *heap = &self.state.heap
        cdef Value text = nil()
        cdef size_t memory_max = heap.max
        cdef size_t collect_at = heap.collect_at
        cdef int64_t fuel = heap.fuel
        cdef Outcome outcome
        heap.steps = 0
        heap.steps_max = STEPS_MAX_OUTSIDE
        heap.max += TEXT_ROOM  # looking must not fail because the agent's memory is full
        heap.collect_at = heap.max
        with nogil:
            outcome = PRIMITIVE_TABLE[<int> PRIMITIVE_PR_STR].function(heap, &value, 1, &text)
        shown = python_text(text.object) if outcome == OK else f"#<{type_name(value).decode()}>"
        release(heap, text)
        heap.max = memory_max
        heap.steps_max = STEPS_MAX
        heap.collect_at = collect_at
        heap.fuel = fuel
        return shown

    cdef str _glimpse(self, Value value, Py_ssize_t enough):
        """Return the readable text of a value, cut when it is long, for work in proportion to what is shown."""
        cdef Heap *heap = &self.state.heap
        cdef size_t memory_max = heap.max
        cdef int64_t fuel = heap.fuel
        cdef Buffer buffer
        cdef Outcome outcome
        buffer_init(&buffer)
        heap.max += 1 << 26  # looking must not fail because the agent's memory is full
        outcome = glimpse(heap, &buffer, value, enough)
        heap.max = memory_max
        heap.fuel = fuel
        release(heap, heap.forced)
        heap.forced = nil()
        try:
            if outcome != OK:
                return f"#<{type_name(value).decode()}>"
            shown = buffer.bytes[: buffer.length].decode("utf-8", "replace")
        finally:
            buffer_free(&buffer)
        return shown if len(shown) <= enough else shown[:enough] + "..."

    # ---- looking

    cdef object _segment_of(self, CodeInfo *info):
        cdef Code unit = self.code
        if info == self.state.core:
            return self.code.core.segment
        while unit is not None:
            if info == &unit.info:
                return unit.segment
            unit = unit.before
        return None

    def _trace(self):
        """Return the waiting calls, those alike in a row as one; of many the innermost and the outermost.

        Cost: a few nanoseconds a frame.
        """
        cdef Frame *frame = self.state.frame
        cdef Value marks = self.state.marks
        cdef Row rows[TRACE_MAX]  # the innermost; from TRACE_INNER on a ring of the last seen
        cdef Row *row = NULL
        cdef uint64_t count = 0
        cdef uint64_t left_out = 0
        cdef uint32_t pc
        while frame != NULL:
            if frame.arity != &HALT_ARITY:
                pc = pc_of(frame) if frame == self.state.frame else waiting_pc(frame)
                if row != NULL and row.arity == frame.arity and row.pc == pc:
                    row.times += 1
                else:
                    row = &rows[row_place(count)]
                    if count >= TRACE_MAX:
                        left_out += row.times
                    row.arity = frame.arity
                    row.pc = pc
                    row.times = 1
                    count += 1
            frame = frame_below(frame, &marks)
        entries = [self._entry(&rows[number]) for number in range(min(<int64_t> count, TRACE_INNER))]
        if left_out:
            entries.append(TraceEntry("", "", _Span(0, 0, 0, 0), b"", 0, left_out))
        for number in range(max(TRACE_INNER, <int64_t> count - TRACE_OUTER), <int64_t> count):
            entries.append(self._entry(&rows[row_place(number)]))
        return entries

    cdef object _entry(self, Row *row):
        segment = self._segment_of(row.arity.function.code)
        node = segment.nodes[row.pc]
        source_name, span = segment.place(node)
        name = segment.functions[row.arity.function.index].name or "fn"
        if row.arity.function.index == 0:
            name = "top level"
        return TraceEntry(name, source_name, span, segment.program_hash, node, row.times)

    def frames(self):
        """Return a view of each frame, innermost first; of deep stacks the innermost."""
        cdef Frame *frame = self.state.frame
        cdef Value marks = self.state.marks
        cdef uint32_t pc
        self._stopped()
        views = []
        self.state.heap.steps = 0
        while frame != NULL and len(views) < FRAMES_MAX:
            segment = self._segment_of(frame.arity.function.code)
            if segment is not None:
                if frame == self.state.frame and self.state.status != STATUS_EFFECT:
                    pc = pc_of(frame)
                else:
                    pc = waiting_pc(frame)
                views.append(self._view(frame, segment, pc))
            frame = frame_below(frame, &marks)
        return views

    cdef object _view(self, Frame *frame, object segment, uint32_t pc):
        function = segment.functions[frame.arity.function.index]
        body = function.arities[frame.arity - frame.arity.function.arities]
        shown = []
        for slot, name in enumerate(body.slot_names):
            if name is not None and slot < frame.head.length and not is_vacant(frame.at[<uint32_t> slot]):
                if len(shown) == LOCALS_MAX or self.state.heap.steps > LOOK_STEPS_MAX:
                    shown.append(("...", "..."))
                    break
                shown.append((name, self._glimpse(frame.at[<uint32_t> slot], LOCAL_TEXT_MAX)))
        node = segment.nodes[pc]
        _, span = segment.place(node)
        name = "top level" if frame.arity.function.index == 0 else function.name or "fn"
        return FrameView(name, segment.program_hash, pc, node, span, shown)
