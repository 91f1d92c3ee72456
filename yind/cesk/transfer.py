"""On-stack replacement: the state of the direct machine as one of the compiled machine, which goes on from there.

Is:     which slot of which frame holds what the direct machine has in environments, operands and frames.
Is not: any layout of values or bytes: `StateBuilder` makes them as the compiled machine itself does.
Fits:   `hybrid.py` calls `transferred` at a safe point; an image of a direct run is that of the result.
Source: on-stack replacement by mapping states at agreed places: Hoelzle, Chambers, Ungar, "Debugging Optimized Code with
        Dynamic Deoptimization" (1992); the way up as in Fink and Qian, "Design, Implementation and Evaluation of Adaptive Recompilation
        with On-Stack Replacement" (2003).

A safe point is where a node is about to be evaluated (save one that only asks again what an `or` has bound), where a value comes to a call that waits for it, and where an
effect waits for its answer. What a segment tells about nodes is enough to map any of them:

    slots       per node: where its name or its finished value is          entries     the pc where its evaluation begins
    nodes       per step: the node; the first step of an application that calls is the call it waits at

The direct machine has a frame for every node that waits for a part of it, the compiled one a frame for every call. So
frames of one activation become one; the names in scope at its nodes fill the slots of names, finished operands the
slots of their values. The second come last: an operand of `recur` may be written to the slot of the name it renews.

Frames, atoms and what is not realised are made first and filled later, so circles through them do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from struct import iter_unpack
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from datomstore.value import List
from yang.isa import INSTRUCTION_FORMAT, INSTRUCTIONS
from yang.segment import PrimitiveRef
from yang.walk import Walk, run
from yind.cesk._core import Code, Machine, StateBuilder, Status
from yind.cesk.errors import StateInvalid
from yind.cesk.reference import (
    Activation,
    After,
    Apply,
    Catching,
    Cell,
    Evaluate,
    Frame,
    Give,
    Matching,
    Node,
    Operands,
    Prompt,
    ReferenceCode,
    ReferenceMachine,
    Site,
    Statements,
    Throw,
    Waiting,
    activation_of,
    running,
)
from yind.cesk.reference_values import (
    EMPTY,
    VECTORS,
    Atom,
    Closure,
    Continuation,
    Described,
    Environment,
    ErrorValue,
    HashMap,
    HashSet,
    Lazy,
    LazyState,
    Pair,
    Range,
    Slice,
    SortedMap,
    SortedSet,
    Value,
    indexed_items,
)

JUDGED = -3  # in place of a slot: the instruction at pc tests the value
_WAITING = (Waiting, Matching, After, Prompt, type(None))  # a value given to these ends a call


def is_safe(machine: ReferenceMachine) -> bool:
    """Return whether the machine is at a safe point; one with code that came while it ran stays where it is."""
    if len(machine.units()) > 1:
        return False
    if machine.status is not Status.OUT_OF_FUEL:
        return True
    control = machine.control
    if isinstance(control, Give):
        return isinstance(machine.continuation, _WAITING)
    return isinstance(control, Evaluate) and not control.node.is_echo


def transferred(
    machine: ReferenceMachine,
    code: Code,
    *,
    memory_max: int,
    fuel_max: int | None = None,
    hash_key: bytes = b"",
) -> Machine:
    """Return the compiled machine that goes on where the direct one is; that one stays as it is.

    Cost: in proportion to everything the program can still reach.

    Raises:
        StateInvalid: the machine is not at a safe point, the code is of another program, or the state too large.
    """
    if not is_safe(machine):
        raise StateInvalid("the machine is not at a safe point")
    for direct, compiled in ((machine.code, code), (machine.code.library, code.core or code)):
        if direct.program_hash != compiled.program_hash:
            raise StateInvalid("the code is of another program")
    builder = StateBuilder(
        code,
        memory_max=memory_max,
        fuel_max=fuel_max,
        fuel_used=machine.fuel_used,
        hash_key=hash_key,
    )
    made = _Transfer(machine, code, builder).whole()
    if machine.status is Status.DONE:
        made.run(1)  # the last frame gives its value, which costs nothing
    return made


# -- what the compiled code tells about nodes --


class _Body(NamedTuple):
    function: int
    arity: int  # among all of the segment
    slot_count: int


class _Layout:
    """A segment by nodes. One is kept for each loaded code."""

    def __init__(self, code: Code) -> None:
        segment = code.segment
        self.segment = segment
        self.steps: dict[int, list[int]] = {}
        for pc, node in enumerate(segment.nodes):
            self.steps.setdefault(node, []).append(pc)
        self.bodies: dict[int, _Body] = {}
        for number, function in enumerate(segment.functions):
            for arity in function.arities:
                self.bodies[arity.node] = _Body(number, len(self.bodies), arity.slot_count)
        self._scopes: dict[int, tuple[tuple[str, int], ...]] = {}

    @cached_property
    def _rows(self) -> list[tuple[int, ...]]:
        return list(iter_unpack(INSTRUCTION_FORMAT, self.segment.code))

    def call(self, node: Node) -> tuple[int, int]:
        """Return the pc behind the call that a node waits at, and the slot its value goes to."""
        for pc in self.steps[node.index]:
            opcode, _, slot, *_ = self._rows[pc]
            if node.kind == "catch" and INSTRUCTIONS[opcode].name != "apply":
                continue
            if INSTRUCTIONS[opcode].name.startswith("unless-"):
                return pc, JUDGED
            return pc + 1, slot
        raise StateInvalid(f"node {node.index} calls nothing")

    def slot(self, node: Node) -> int | None:
        """Return the slot of a node's name or value."""
        slot = self.segment.slots[node.index]
        return None if slot < 0 else slot

    def scope(self, node: Node) -> tuple[tuple[str, int], ...]:
        """Return the names of this activation that can be seen at a node, with their slots."""
        found = self._scopes.get(node.index)
        if found is None:
            found = self._scopes[node.index] = tuple(self._names(node).items())
        return found

    def _names(self, node: Node) -> dict[str, int]:
        names: dict[str, int] = {}
        while (parent := node.parent) is not None and node.kind not in ("arity", "program"):
            for binder in reversed(_binders(parent, node)):
                slot = self.slot(binder)
                if slot is not None:
                    names.setdefault(binder.name, slot)
            node = parent
        return names


def _binders(scope: Node, inside: Node) -> tuple[Node, ...]:
    """Return what a node binds for one of its children."""
    match scope.kind:
        case "let" | "loop":
            bindings = scope.many("bindings")
            return bindings if inside.kind != "binding" else bindings[: bindings.index(inside)]
        case "letrec":
            return scope.many("bindings")
        case "catch":
            return (scope,)
        case "arity":
            return scope.many("params")
    return ()


_LAYOUTS: WeakKeyDictionary[ReferenceCode, tuple[Code, _Layout]] = WeakKeyDictionary()


def _layout(direct: ReferenceCode, code: Code) -> _Layout:
    kept = _LAYOUTS.get(direct)
    if kept is None or kept[0] is not code:
        kept = _LAYOUTS[direct] = code, _Layout(code)
    return kept[1]


# -- one transfer --


class _Place(NamedTuple):
    """A frame that waits, and the marks below it, as parts of the builder."""

    frame: int
    marks: int | None


class _Transfer:
    def __init__(self, machine: ReferenceMachine, code: Code, builder: StateBuilder) -> None:
        self.machine = machine
        self.store = machine.store
        self.code = code
        self.make = builder
        self._made: dict[int, int] = {}  # by identity of what stays the same
        self._cells: dict[int, int] = {}  # by address
        self._places: dict[int, _Place] = {}  # by identity of the innermost direct frame
        self._captures: dict[tuple[int, int], int] = {}
        self._later: list[Callable[[], Walk[None]]] = []
        self._kept: list[object] = []  # so that no identity is used twice
        self._nil = builder.value(None)
        self._empty = builder.value(List())

    def whole(self) -> Machine:
        """Return the machine."""
        return run(self._whole())

    def _whole(self) -> Walk[Machine]:
        machine = self.machine
        control = machine.control
        value = effect = error = None
        asked = machine.asked
        if asked is not None:
            place = yield self._place(machine.continuation)
            arguments = yield self._all(asked.arguments)
            effect = (asked.function.number, arguments)
        elif isinstance(control, Evaluate):
            entry = self._layout(control.node).segment.entries[control.node.index]
            place = yield self._running(control.node, control.environment, None, entry)
        elif isinstance(control, Give):
            place = yield self._place(machine.continuation)
            value = yield self._value(control.value)
        else:
            assert isinstance(control, Throw), control
            place = yield self._thrown(control)
            error = yield self._value(control.error)
        names = [name for name in self.store.cells if isinstance(name, str)]
        numbers = yield self._all(self.store.read(name) for name in names)
        while self._later:
            yield self._later.pop()()
        return self.make.finish(
            place.frame,
            place.marks,
            dict(zip(names, numbers, strict=True)),
            value=value,
            effect=effect,
            error=error,
        )

    # -- frames --

    def _layout(self, node: Node) -> _Layout:
        is_core = node.code is not self.machine.code
        code = (self.code.core or self.code) if is_core else self.code
        return _layout(node.code, code)

    def _thrown(self, control: Throw) -> Walk[_Place]:
        """Return the frame that has thrown; where no node did, the one that waits."""
        if control.place is None:
            place: _Place = yield self._place(self.machine.continuation)
            return place
        node, environment = control.place
        layout = self._layout(node)
        steps = layout.steps.get(node.index)
        pc = steps[0] if steps else layout.segment.entries[node.index]
        thrown: _Place = yield self._running(node, environment, None, pc)
        return thrown

    def _running(
        self, node: Node, environment: Environment, site: Site | None, pc: int
    ) -> Walk[_Place]:
        """Make the frame that is at a node, with all that its activation has done so far."""
        activation = running(environment)
        frames: list[Frame] = []
        frame = self.machine.continuation
        while not isinstance(frame, _WAITING) and activation_of(frame) is activation:
            assert frame is not None
            frames.append(frame)
            frame = frame.parent
        below = yield self._place(frame)
        number = self._frame(below, activation, pc, -1)
        self._later.append(
            lambda: self._fill(number, activation, node, environment, site, frames, {})
        )
        return _Place(number, below.marks)

    def _place(self, frame: Frame | None) -> Walk[_Place]:
        """Make the frame that waits for a value, those below it, and the marks between."""
        above: list[tuple[Frame, list[Frame]]] = []
        while frame is not None and id(frame) not in self._places:
            inner = frame
            frames: list[Frame] = []
            frame = inner.parent
            if not isinstance(inner, Prompt):
                activation = activation_of(inner)
                while not isinstance(frame, _WAITING) and activation_of(frame) is activation:
                    assert frame is not None
                    frames.append(frame)
                    frame = frame.parent
            above.append((inner, frames))
        place = _Place(self.make.halt(), None) if frame is None else self._places[id(frame)]
        while above:
            inner, frames = above.pop()
            if isinstance(inner, Prompt):
                tag = yield self._value(inner.tag)
                if id(inner) in self._places:  # made on the way to the tag
                    place = self._places[id(inner)]
                    continue
                place = _Place(self.make.halt(), self.make.mark(tag, place.frame, place.marks))
            else:
                place = yield self._waiting(inner, frames, place)
            self._places[id(inner)] = place
        return place

    def _waiting(self, inner: Frame, frames: list[Frame], below: _Place) -> Walk[_Place]:
        """Make the frame of an activation whose innermost direct frame waits for a callee."""
        site = None
        extra: dict[int, Value] = {}
        if isinstance(inner, Waiting):
            node = inner.node
            pc, slot = self._layout(node).call(node)
            environment = inner.environment
        elif isinstance(inner, Matching):
            node = inner.catches[0]
            pc, slot = self._layout(node).call(node)
            environment = inner.environment
            caught = self._layout(node).slot(node)
            assert caught is not None
            extra[caught] = inner.error
        else:
            assert isinstance(inner, After), inner
            if isinstance(inner.control, Give):  # the program's value is looked at again
                result = yield self._value(inner.control.value)
                return _Place(self.make.end(result), None)
            assert isinstance(inner.control, Apply)
            assert inner.control.site is not None
            site = inner.control.site
            node, environment = site.node, site.environment
            pc, slot = self._layout(node).steps[node.index][0], -1
        activation = running(environment)
        number = self._frame(below, activation, pc, slot)
        self._later.append(
            lambda: self._fill(number, activation, node, environment, site, frames, extra)
        )
        return _Place(number, below.marks)

    def _frame(self, below: _Place, activation: Activation, pc: int, slot: int) -> int:
        arity = activation.arity
        body = self._layout(arity).bodies[arity.index]
        return self.make.frame(below.frame, self._is_core(arity), body.arity, pc, slot)

    def _is_core(self, node: Node) -> bool:
        return node.code is not self.machine.code

    def _fill(
        self,
        number: int,
        activation: Activation,
        node: Node,
        environment: Environment,
        site: Site | None,
        frames: list[Frame],
        extra: Mapping[int, Value],
    ) -> Walk[None]:
        """Give a frame its closure and values: names first, operands over them."""
        layout = self._layout(node)
        slots: dict[int, Value] = {}
        for frame in reversed(frames):
            self._add_names(slots, layout, _inside(frame), frame.environment)  # type: ignore[union-attr]
        self._add_names(slots, layout, node, environment)
        for frame in reversed(frames):
            if isinstance(frame, Operands):
                _add_operands(slots, layout, frame.node, frame.done)
        if site is not None:
            _add_operands(slots, layout, site.node, site.done)
        slots.update(extra)
        slot_count = layout.bodies[activation.arity.index].slot_count
        slots = {
            slot: value for slot, value in slots.items() if slot < slot_count
        }  # others nobody reads
        values = yield self._all(slots.values())
        if activation.closure is None:
            closure = self.make.function(self._is_core(node), 0)
        else:
            closure = yield self._value(activation.closure)
        self.make.fill_frame(number, closure, dict(zip(slots, values, strict=True)))

    def _add_names(
        self, slots: dict[int, Value], layout: _Layout, node: Node, environment: Environment
    ) -> None:
        for name, slot in layout.scope(node):
            slots[slot] = self._named(environment, name)

    def _named(self, environment: Environment, name: str) -> Value:
        found = environment[name]
        return self.store.read(found.address) if type(found) is Cell else found

    # -- values --

    def _all(self, values: Any) -> Walk[list[int]]:
        numbers: list[int] = []
        for value in values:
            numbers.append((yield self._value(value)))  # noqa: PERF401  # a comprehension cannot yield
        return numbers

    def _value(self, value: Value) -> Walk[int]:
        """Make a value."""
        if value is None:
            return self._nil
        if value is EMPTY:
            return self._empty
        if isinstance(value, Atom | Lazy):
            cell: int = yield self._cell(value)
            return cell
        if isinstance(value, PrimitiveRef):
            return self.make.primitive(value.number)
        known = self._made.get(id(value))
        if known is not None:
            return known
        match value:
            case Pair():
                pairs: int = yield self._pairs(value)
                return pairs
            case HashMap(entries):
                parts = [part for entry in entries.values() for part in entry]
                made = self.make.map((yield self._all(parts)))
            case HashSet(members):
                made = self.make.set((yield self._all(members.values())))
            case Slice(items, start):
                made = yield self._slice(items, start)
            case Range(start, end, step):
                made = self.make.range(*(yield self._all((start, end, step))))
            case Described(inner, metadata):
                made = self.make.described(*(yield self._all((inner, metadata))))
            case ErrorValue(message, data, cause):
                made = self.make.error(*(yield self._all((message, data, cause))))
            case Closure():
                made = yield self._closure(value)
            case SortedMap(order, entries) | SortedSet(order, entries):
                parts = yield self._all(part for entry in entries for part in entry)
                compare = yield self._value(order)
                made = self.make.sorted(isinstance(value, SortedMap), compare, parts)
            case Continuation(frames, composable, suspended_with):
                place = yield self._place(frames)
                given = yield self._all(suspended_with)
                made = self.make.continuation(place.frame, place.marks, composable, *given)
            case _ if isinstance(value, VECTORS):
                made = self.make.vector((yield self._all(value)))
            case _:
                made = self.make.value(value)
        return self._keep(value, made)

    def _keep(self, value: Value, made: int) -> int:
        self._kept.append(value)
        return self._made.setdefault(id(value), made)

    def _cell(self, cell: Atom | Lazy) -> Walk[int]:
        """Make an atom or lazy seq; what a realised one holds now, since keys of maps are looked at, else later."""
        known = self._cells.get(cell.address)
        if known is not None:
            return known
        held = self.store.read(cell.address)
        made = self.make.atom() if isinstance(cell, Atom) else self.make.lazy()
        self._cells[cell.address] = made
        if isinstance(held, LazyState) and isinstance(cell, Lazy) and held.thunk is None:
            self.make.fill(made, (yield self._value(held.value)), True)
            return made
        content = held.thunk if isinstance(cell, Lazy) else held

        def fill() -> Walk[None]:
            self.make.fill(made, (yield self._value(content)))

        self._later.append(fill)
        return made

    def _pairs(self, value: Pair) -> Walk[int]:
        """Make a chain of cells, the last one first."""
        chain: list[Pair] = []
        end: Value = value
        while isinstance(end, Pair) and id(end) not in self._made:
            chain.append(end)
            end = end.rest
        made: int = yield self._value(end)
        for pair in reversed(chain):
            first = yield self._value(pair.first)
            made = self._keep(pair, self.make.pair(first, made, pair.is_list))
        return made

    def _slice(self, items: Any, start: int) -> Walk[int]:
        """Make a seq of a vector's items; what it walks that is no vector becomes one of what is left."""
        if isinstance(items, VECTORS):
            return self.make.seq((yield self._value(items)), start)
        left = list(indexed_items(Slice(items, start)))
        return self.make.seq(self.make.vector((yield self._all(left))), 0)

    def _closure(self, closure: Closure) -> Walk[int]:
        node = closure.node
        layout = self._layout(node)
        number = layout.bodies[node.many("arities")[0].index].function
        names = layout.segment.functions[number].capture_names
        if not names:
            return self.make.function(self._is_core(node), number)
        key = _group_key(closure)
        captures = self._captures.get(key) if key is not None else None
        if captures is None:
            values = yield self._all([self._captured(closure, name) for name in names])
            captures = self.make.captures(values)
            if key is not None:
                captures = self._captures.setdefault(key, captures)
                self._kept.append(closure)
        return self.make.function(self._is_core(node), number, captures)

    def _captured(self, closure: Closure, name: str) -> Value:
        if name in closure.environment:
            return self._named(closure.environment, name)
        return closure.node.code.functions[name]  # a function of the program that names itself


def _inside(frame: Frame) -> Node:
    """Return a node that sees what the part does which a frame waits for."""
    if isinstance(frame, Statements):
        return frame.left[0]
    if isinstance(frame, Catching):
        return frame.catches[0]
    if hasattr(frame, "left") and not isinstance(frame, Operands):
        return frame.left[0]  # type: ignore[union-attr]
    return frame.node  # type: ignore[union-attr]


def _add_operands(
    slots: dict[int, Value], layout: _Layout, node: Node, done: tuple[Value, ...]
) -> None:
    parts = node.many("operands")
    if node.kind == "application":
        parts = (node.one("operator"), *parts)
    for part, value in zip(parts, done, strict=False):
        slot = layout.slot(part)
        if slot is not None:
            slots[slot] = value


def _group_key(closure: Closure) -> tuple[int, int] | None:
    """Return what the functions of one letrec have in common: they share what they capture."""
    binding = closure.node.parent
    letrec = None if binding is None or binding.kind != "binding" else binding.parent
    if letrec is None or letrec.kind != "letrec":
        return None
    return id(closure.environment), letrec.entity
