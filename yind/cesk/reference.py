"""The reference machine: a CESK machine over the AST datoms, with the interface of the compiled one.

Is:     what every node of the AST means, one transition for each, in plain Python over persistent values.
Is not: fast, and it meters no memory and makes no images. It never recurs on the program's data or calls.
Fits:   the oracle of tests/conformance: the same program must give the same value or error on both machines.
Source: Felleisen and Friedman's CEK machine with a store; continuations as linked frames.

    control       Evaluate(node, environment) | Give(value) | Apply(function, arguments) | Throw(error)
    environment   persistent map: name -> value; names of a letrec -> Cell, an address in the store
    store         persistent map: address -> value, for what changes: atoms, lazy seqs, globals
    continuation  linked immutable frames, innermost first; None at the end of the program

A step takes control and continuation to the next ones and costs one unit of fuel. Frames are never changed, so
`call/cc` gives out the continuation as it is, and it can be entered any number of times.

Every call of a function is an Activation, which the environment knows; frames of one activation stand together, and
the innermost of one that waits for a callee says at which node (Waiting). Tail calls push none. That is what a trace shows, and
what `transfer.py` needs to put a running program on the compiled machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from pyrsistent import pmap

from datomstore.database import Database
from datomstore.value import Keyword, Map, Symbol
from yang.ast_datoms import PARENT, SCHEMA, datoms_of, literal_of
from yang.nodes import END_LOCATION, LOCATION, NAME, TYPE, Tree
from yang.primitives import LONG_FORMS, PRIMITIVE_NUMBERS, PRIMITIVES, Kind
from yang.program import program_of
from yang.resolve import CORE_ONLY, CORE_PREFIXES, HOST_GLOBALS
from yang.segment import Part, PrimitiveRef, Span, place_in
from yind.cesk._core import Fault, FrameView, Status, TraceEntry
from yind.cesk.errors import StateInvalid, ValueInvalid
from yind.cesk.reference_metadata import call_pure
from yind.cesk.reference_values import (
    FUNCTION_KINDS,
    MAPS,
    SETS,
    VECTORS,
    Atom,
    CallOut,
    Closure,
    Continuation,
    Environment,
    ErrorValue,
    Force,
    GuestFault,
    HashMap,
    Store,
    Value,
    all_items,
    bare,
    check_data,
    count_parts,
    from_edn,
    is_error,
    list_of,
    text_of,
    to_edn,
    type_fault,
    type_name,
)

_TX = 1 << 42  # of the facts of a program that is in a database of its own
_TRACE_INNER = 32  # entries of a trace from where the error was thrown
_TRACE_OUTER = 16  # and up to the top level
_CAUSES_MAX = 16
_TEXT_PARTS_MAX = 1 << 22  # of a result; the text of more is its kind alone
_FAULT_MESSAGE_MAX = 1 << 16  # bytes of an error's message
_FAULT_PARTS_MAX = 1 << 14  # of an error's data
_FRAMES_MAX = 200  # that are shown, the innermost
_LOCAL_TEXT_MAX = 200  # characters of a name's value
_EMPTY_ENVIRONMENT: Environment = pmap()
_RECUR = object()  # where the environment has the target of `recur`
_ACTIVATION = object()  # and where the call that runs
CATCHES_ANY = frozenset({":default", "Throwable", "Exception", "Error"})  # as execution.dl has them


# -- code --


class Node:
    """One AST node: its facts, read from the database."""

    def __init__(self, code: ReferenceCode, entity: int) -> None:
        self.code = code
        self.entity = entity
        self._facts: dict[Keyword, object] = {}
        self._children: dict[Keyword, list[int]] = {}
        for datom in code.database.datoms("eavt", entity):
            self._facts[datom.a] = datom.v
            if isinstance(datom.v, int):
                self._children.setdefault(datom.a, []).append(datom.v)
        self.kind: str = self._facts[TYPE].name  # type: ignore[attr-defined]
        self.name: str = str(self._facts.get(NAME, ""))

    def fact(self, attribute: str) -> object:
        """Return the value of an attribute."""
        return self._facts.get(Keyword(attribute))

    def one(self, role: str) -> Node:
        """Return the only child of a role."""
        return self.code.node(self._children[Keyword(f"ast/{role}")][0])

    def many(self, role: str) -> tuple[Node, ...]:
        """Return the children of a role in order: entity ids are pre-order positions."""
        return tuple(
            self.code.node(child)
            for child in sorted(self._children.get(Keyword(f"ast/{role}"), ()))
        )

    @property
    def index(self) -> int:
        """Return the position in pre-order, as code segments count nodes."""
        return self.entity - self.code.program.entity

    @cached_property
    def is_body(self) -> bool:
        """Return whether evaluating the node is the beginning of a call or of a round of a loop."""
        parent = self.parent
        return (
            parent is not None and parent.kind in ("arity", "loop") and parent.one("body") is self
        )

    @cached_property
    def is_echo(self) -> bool:
        """Return whether this may be the part of an `or` or `and` that asks, and gives back, what was just bound.

        Compiled code may have asked when it was bound (conditions.dl), so that nothing begins here.
        """
        if self.kind == "if":
            scope = self.parent
            if scope is None or scope.kind != "let" or scope.one("body") is not self:
                return False
            names = [binding.name for binding in scope.many("bindings")]
            test = self.one("test")
            return len(names) == 1 and test.kind == "variable" and test.name == names[0]
        above = self.parent
        return (
            self.kind == "variable"
            and above is not None
            and above.kind == "if"
            and above.is_echo
            and self.name == above.one("test").name
        )

    @cached_property
    def parent(self) -> Node | None:
        """Return the node around this one."""
        parent = self._facts.get(PARENT)
        return self.code.node(parent) if isinstance(parent, int) else None

    @cached_property
    def literal(self) -> Value:
        """Return the value of a :literal."""
        return from_edn(Store(), literal_of(self._facts))

    @cached_property
    def function_name(self) -> str:
        """Return the name of a :lambda, its own or that of the definition it is."""
        if self.name or self.parent is None or self.parent.kind != "def":
            return self.name
        return self.parent.name

    @cached_property
    def enclosing_function(self) -> str:
        """Return the name of the function a node belongs to."""
        node = self.parent
        while node is not None and node.kind != "lambda":
            node = node.parent
        return "top level" if node is None else node.function_name or "fn"

    @cached_property
    def trace_entry(self) -> TraceEntry:
        """Return this place as an entry of a trace."""
        start: Any = self._facts[LOCATION]
        end: Any = self._facts.get(END_LOCATION, start)
        name, span = place_in(self.code.parts, self.code.source_name, Span(*start, *end))
        return TraceEntry(self.enclosing_function, name, span, self.code.program_hash, self.index)


class ReferenceCode:
    """A program as AST datoms in a database, and the core library it runs with.

    Args:
        database: the facts of `yang.ast_datoms`.
        root: the entity of the :program node.
        core: the core library; None for the core library itself.
        parts: the files of its source text.
    """

    def __init__(
        self,
        database: Database,
        root: int,
        core: ReferenceCode | None,
        parts: Sequence[Part] = (),
    ) -> None:
        self.database = database
        self.core = core
        self.parts = parts
        self._nodes: dict[int, Node] = {}
        self.program = self.node(root)
        self.source_name = self.program.name
        program_hash = self.program.fact("program/hash")
        self.program_hash = program_hash if isinstance(program_hash, bytes) else b""
        self.definitions = [
            self.node(datom.e)
            for datom in database.datoms("avet", TYPE, Keyword("def"))
            if self._is_inside(datom.e)
        ]
        self.functions = self._functions()

    @staticmethod
    def of_tree(
        tree: Tree, core: ReferenceCode | None, parts: Sequence[Part] = ()
    ) -> ReferenceCode:
        """Return the code of a tree, in a database of its own."""
        datoms = datoms_of(tree, tx=_TX, program_hash=program_of(tree).hash)
        return ReferenceCode(Database.from_datoms(datoms, SCHEMA), datoms[0].e, core, parts)

    def _is_inside(self, entity: int) -> bool:
        end = self.program.fact("ast/end")
        return isinstance(end, int) and self.program.entity <= entity <= end

    def node(self, entity: int) -> Node:
        """Return the node of an entity."""
        found = self._nodes.get(entity)
        if found is None:
            found = self._nodes[entity] = Node(self, entity)
        return found

    def number_of(self, function: Node) -> int:
        """Return the number of a :lambda, as code segments have it."""
        return self._numbers[function.entity]

    @cached_property
    def _numbers(self) -> dict[int, int]:
        lambdas = [
            datom.e
            for datom in self.database.datoms("avet", TYPE, Keyword("lambda"))
            if self._is_inside(datom.e)
        ]
        return {entity: number for number, entity in enumerate(sorted(lambdas), 1)}

    def _functions(self) -> dict[str, Closure]:
        """Return the functions that are known before the program runs: top-level, defined once."""
        names = [node.name for node in self.definitions]
        return {
            node.name: Closure(node.one("init"), _EMPTY_ENVIRONMENT)
            for node in self.definitions
            if names.count(node.name) == 1
            and node.parent is self.program
            and node.one("init").kind == "lambda"
        }

    @cached_property
    def defined(self) -> frozenset[str]:
        """Return the names the program defines."""
        return frozenset(node.name for node in self.definitions)

    @property
    def library(self) -> ReferenceCode:
        """Return the core library's code."""
        return self.core or self


# -- control --


class Evaluate(NamedTuple):
    """Control: a node is to be evaluated."""

    node: Node
    environment: Environment


class Give(NamedTuple):
    """Control: a value goes to the continuation."""

    value: Value


class Site(NamedTuple):
    """Where a function is applied: the :application, and the values of its parts."""

    node: Node
    done: tuple[Value, ...]
    environment: Environment


class Apply(NamedTuple):
    """Control: a function is to be applied; what the machine itself applies has no site."""

    function: Value
    arguments: tuple[Value, ...]
    site: Site | None = None


class Place(NamedTuple):
    """A node of a running function."""

    node: Node
    environment: Environment


class Throw(NamedTuple):
    """Control: an error looks for its handler; the place is None where frames that wait say it."""

    error: Value
    place: Place | None


Control: TypeAlias = Evaluate | Give | Apply | Throw


class Activation:
    """In the environment: one call of a function; of the program's top level there is no closure."""

    __slots__ = ("arity", "closure")

    def __init__(self, arity: Node, closure: Closure | None) -> None:
        self.arity = arity  # the :arity, or the :program
        self.closure = closure


class Cell(NamedTuple):
    """In the environment: the value is in the store."""

    address: int


class Target(NamedTuple):
    """In the environment: what `recur` binds anew, and the environment around it."""

    names: tuple[str, ...]
    body: Node
    environment: Environment


# -- continuation --


class Statements(NamedTuple):
    """A statement is evaluated; these come after it."""

    left: tuple[Node, ...]
    environment: Environment
    parent: Frame | None


class Branch(NamedTuple):
    """The test of an :if is evaluated."""

    node: Node
    environment: Environment
    parent: Frame | None


class Bindings(NamedTuple):
    """The value of the first of these bindings is evaluated, of a :let or :loop."""

    node: Node
    left: tuple[Node, ...]
    environment: Environment
    parent: Frame | None


class Operands(NamedTuple):
    """A part of an :application or :recur is evaluated; `done` are the values before it."""

    node: Node
    done: tuple[Value, ...]
    left: tuple[Node, ...]
    environment: Environment
    parent: Frame | None


class Defining(NamedTuple):
    """The value of a :def is evaluated."""

    node: Node
    environment: Environment
    parent: Frame | None


class Throwing(NamedTuple):
    """The operand of a :throw is evaluated."""

    node: Node
    environment: Environment
    parent: Frame | None


class Waiting(NamedTuple):
    """What an :application calls runs; its value is that of the :application."""

    node: Node
    environment: Environment
    parent: Frame | None


class Catching(NamedTuple):
    """The body of a :try with these catches is evaluated."""

    catches: tuple[Node, ...]
    environment: Environment
    parent: Frame | None


class Matching(NamedTuple):
    """The core library is asked whether the first of these catches is meant for the error."""

    error: Value
    catches: tuple[Node, ...]
    environment: Environment
    parent: Frame | None


class Prompt(NamedTuple):
    """What `prompt*` calls is evaluated; a function as tag is a finalizer, nil the place where a part was put back."""

    tag: Value
    parent: Frame | None


class After(NamedTuple):
    """A lazy seq is evaluated for its effect only. Then comes this control."""

    control: Control
    parent: Frame | None


Frame: TypeAlias = (
    Statements
    | Branch
    | Bindings
    | Operands
    | Defining
    | Throwing
    | Waiting
    | Catching
    | Matching
    | Prompt
    | After
)


# -- the machine --


class ReferenceMachine:
    """One agent. The interface is that of `yind.cesk.Machine`; memory is not metered.

    Args:
        code: the program.
        memory_max: for the interface's sake.
        fuel_max: steps over its whole life, None for no bound.
        globals: values of globals that are bound before it starts.
    """

    def __init__(
        self,
        code: ReferenceCode,
        *,
        memory_max: int = 0,
        fuel_max: int | None = None,
        globals: Mapping[str, object] = {},  # noqa: A002
    ) -> None:
        self.code = code
        self._units = [code]
        self.memory_max = memory_max
        self.fuel_max = fuel_max
        self.fuel_used = 0
        self.store = Store()
        for name, value in globals.items():
            self.store.write(name, from_edn(self.store, value))
        self.status = Status.OUT_OF_FUEL
        self.control: Control
        self.continuation: Frame | None = None
        top = _EMPTY_ENVIRONMENT.set(_ACTIVATION, Activation(code.program, None))
        self._push_statements(code.program.many("statements"), top)
        self._effect: Apply | None = None

    # -- running --

    def run(self, fuel: int) -> Status:
        """Run one slice and return why it ended; only a machine that is out of fuel moves."""
        if self.fuel_max is not None:
            fuel = min(fuel, self.fuel_max - self.fuel_used)
        while self.status is Status.OUT_OF_FUEL and fuel > 0:
            fuel -= 1
            self.step()
        return self.status

    def step(self) -> None:
        """Do one step; the status must be OUT_OF_FUEL."""
        self.fuel_used += 1
        control = self.control
        try:
            if type(control) is Evaluate:
                self._evaluate(control.node, control.environment)
            elif type(control) is Give:
                self._give(control.value)
            elif type(control) is Apply:
                self._apply(control.function, control.arguments, control.site)
            else:
                assert type(control) is Throw, control
                self._throw(control.error)
        except Force as force:
            name = "realize-all" if force.whole else "realize"
            self.continuation = After(control, self.continuation)
            self.control = Apply(self.code.library.functions[name], (force.lazy,))
        except CallOut as out:
            function = self.code.library.functions[LONG_FORMS[out.name]]
            site = _site_of(control)
            self._wait(site, stays=site is not None and _names_host(site))
            self.control = Apply(function, out.arguments)
        except GuestFault as fault:
            self.control = Throw(self._error_of(fault), _place_of(control))

    def _error_of(self, fault: GuestFault) -> ErrorValue:
        data = Map([(Keyword("fault"), Keyword(fault.kind))])
        return ErrorValue(fault.message, from_edn(self.store, data), None)

    # -- evaluation: one case for each kind of node --

    def _evaluate(self, node: Node, environment: Environment) -> None:
        match node.kind:
            case "literal":
                self.control = Give(node.literal)
            case "variable":
                self.control = Give(self._variable(node, environment))
            case "lambda":
                self.control = Give(Closure(node, environment))
            case "do":
                self._push_statements(node.many("statements"), environment)
            case "if":
                self.continuation = Branch(node, environment, self.continuation)
                self.control = Evaluate(node.one("test"), environment)
            case "let" | "loop":
                self._bind_next(node, node.many("bindings"), environment)
            case "letrec":
                self._evaluate_letrec(node, environment)
            case "application":
                parts = (node.one("operator"), *node.many("operands"))
                self._operand_next(node, (), parts, environment)
            case "recur":
                self._operand_next(node, (), node.many("operands"), environment)
            case "def":
                self.continuation = Defining(node, environment, self.continuation)
                self.control = Evaluate(node.one("init"), environment)
            case "throw":
                self.continuation = Throwing(node, environment, self.continuation)
                self.control = Evaluate(node.one("operand"), environment)
            case "try":
                self._evaluate_try(node, environment)
            case _:
                raise AssertionError(node.kind)

    def _push_statements(self, statements: tuple[Node, ...], environment: Environment) -> None:
        """Evaluate the first, the others after it; the last in the place of all."""
        if len(statements) > 1:
            self.continuation = Statements(statements[1:], environment, self.continuation)
        self.control = Evaluate(statements[0], environment) if statements else Give(None)

    def _bind_next(self, node: Node, left: tuple[Node, ...], environment: Environment) -> None:
        """Evaluate the next binding of a :let or :loop, or the body when there is none."""
        if left:
            self.continuation = Bindings(node, left, environment, self.continuation)
            self.control = Evaluate(left[0].one("init"), environment)
            return
        body = node.one("body")
        if node.kind == "loop":
            names = tuple(binding.name for binding in node.many("bindings"))
            environment = environment.set(_RECUR, Target(names, body, environment))
        self.control = Evaluate(body, environment)

    def _evaluate_letrec(self, node: Node, environment: Environment) -> None:
        bindings = node.many("bindings")
        cells = {binding.name: Cell(self.store.new(None)) for binding in bindings}
        environment = environment.update(cells)
        for binding in bindings:
            closure = Closure(binding.one("init"), environment)
            self.store.write(cells[binding.name].address, closure)
        self.control = Evaluate(node.one("body"), environment)

    def _evaluate_try(self, node: Node, environment: Environment) -> None:
        if catches := node.many("catches"):
            self.continuation = Catching(catches, environment, self.continuation)
        self.control = Evaluate(node.one("body"), environment)

    def _operand_next(
        self, node: Node, done: tuple[Value, ...], left: tuple[Node, ...], environment: Environment
    ) -> None:
        """Evaluate the next part of an :application or :recur, or do it when there is none."""
        if left:
            self.continuation = Operands(node, done, left[1:], environment, self.continuation)
            self.control = Evaluate(left[0], environment)
        elif node.kind == "application":
            self.control = Apply(done[0], done[1:], Site(node, done, environment))
        else:
            target: Target = environment[_RECUR]
            renewed = target.environment.update(dict(zip(target.names, done, strict=True)))
            self.control = Evaluate(target.body, renewed.set(_RECUR, target))

    # -- names --

    def _variable(self, node: Node, environment: Environment) -> Value:
        """Return what a name means: a local, a definition of the program, the core library's, the machine's."""
        name = node.name
        if name in environment:
            found = environment[name]
            return self.store.read(found.address) if type(found) is Cell else found
        code = node.code
        if name in code.functions:
            return code.functions[name]
        if name in code.defined:
            return self._global(name)
        for prefix in CORE_PREFIXES:
            name = name.removeprefix(prefix)
        if name in code.library.functions:
            return code.library.functions[name]
        if name in PRIMITIVE_NUMBERS and (code.core is None or name not in CORE_ONLY):
            return PrimitiveRef(PRIMITIVE_NUMBERS[name])
        if name in HOST_GLOBALS:
            return self._global(name)
        raise GuestFault("unresolved", f"unresolved symbol: {node.name}")

    def _global(self, name: str) -> Value:
        if name not in self.store.cells:
            raise GuestFault("unbound", f"{name} is not defined")
        return self.store.read(name)

    # -- a value goes to the continuation: one case for each kind of frame --

    def _give(self, value: Value) -> None:
        frame = self.continuation
        if frame is None:
            check_data(self.store, value, data_only=False)
            self.status = Status.DONE
            return
        self.continuation = frame.parent
        match frame:
            case Operands(node, done, left, environment):
                self._operand_next(node, (*done, value), left, environment)
            case Bindings(node, left, environment):
                self._bind_next(node, left[1:], environment.set(left[0].name, value))
            case Branch(node, environment):
                chosen = "alternative" if value is None or value is False else "consequent"
                self.control = Evaluate(node.one(chosen), environment)
            case Statements(left, environment):
                self._push_statements(left, environment)
            case Defining(node):
                self.store.write(node.name, value)
                self.control = Give(value)
            case Throwing(node, environment):
                if not is_error(value):
                    value = self._error_of(type_fault("throw", "an error", value))
                self.control = Throw(value, Place(node, environment))
            case Catching() | Prompt() | Waiting():
                self.control = Give(value)
            case Matching(error, catches, environment):
                self._matched(value, error, catches, environment)
            case After(control):
                self.control = control

    # -- errors --

    def _throw(self, error: Value) -> None:
        """Unwind one frame, or end the program; its frames stay for the trace."""
        frame = self.continuation
        while frame is not None and not isinstance(frame, Catching):
            frame = frame.parent
        if frame is None:
            self.status = Status.FAULT
            return
        self.continuation = frame.parent
        self._match_next(error, frame.catches, frame.environment)

    def _match_next(
        self, error: Value, catches: tuple[Node, ...], environment: Environment
    ) -> None:
        """Ask the core library about the first of these catches, unless it is for any error."""
        if catches[0].fact("ast/class") in CATCHES_ANY:
            self._matched(True, error, catches, environment)
            return
        self.continuation = Matching(error, catches, environment, self.continuation)
        matches = self.code.library.functions["catches?"]
        self.control = Apply(matches, (catches[0].fact("ast/class"), error))

    def _matched(
        self, answer: Value, error: Value, catches: tuple[Node, ...], environment: Environment
    ) -> None:
        if answer is None or answer is False:
            if len(catches) == 1:
                self.control = Throw(error, Place(catches[0], environment))
            else:
                self._match_next(error, catches[1:], environment)
        else:
            environment = environment.set(catches[0].name, error)
            self.control = Evaluate(catches[0].one("body"), environment)

    # -- application: one case for each kind of function --

    def _apply(self, function: Value, arguments: tuple[Value, ...], site: Site | None) -> None:
        function = bare(function)
        if isinstance(function, Closure):
            self._apply_closure(function, arguments, site)
        elif isinstance(function, PrimitiveRef):
            self._apply_primitive(function, arguments, site)
        elif isinstance(function, Continuation):
            _check_count("a continuation", arguments, 1, 1)
            self._wait(site)
            self._apply_continuation(function, arguments)
        else:
            self.control = Give(self._look_up(function, arguments))

    def _wait(self, site: Site | None, *, stays: bool = False) -> None:
        """Push the frame that waits for a callee's value, except for a call in tail position that leaves its own."""
        if site is None:
            return
        if stays or activation_of(self.continuation) is site.environment[_ACTIVATION]:
            self.continuation = Waiting(site.node, site.environment, self.continuation)

    def _apply_closure(
        self, closure: Closure, arguments: tuple[Value, ...], site: Site | None
    ) -> None:
        node = closure.node
        if node.kind == "program":
            self._apply_top_level(closure, arguments, site)
            return
        arity = _arity_for(node, len(arguments))
        self._wait(site)
        names = tuple(parameter.name for parameter in arity.many("params"))
        if arity.fact("ast/variadic"):
            fixed = len(names) - 1
            rest = list_of(arguments[fixed:]) if len(arguments) > fixed else None
            arguments = (*arguments[:fixed], rest)
        environment = closure.environment
        if node.name and node.code.functions.get(node.name) is not closure:
            environment = environment.set(node.name, closure)
        environment = environment.set(_ACTIVATION, Activation(arity, closure))
        target = Target(names, arity.one("body"), environment)
        bound: dict[Any, Value] = dict(zip(names, arguments, strict=True))
        bound[_RECUR] = target
        self.control = Evaluate(target.body, environment.update(bound))

    def _apply_top_level(
        self, closure: Closure, arguments: tuple[Value, ...], site: Site | None
    ) -> None:
        """Run the statements of code that came while the program ran."""
        _check_count("top level", arguments, 0, 0)
        self._wait(site)
        environment = closure.environment.set(_ACTIVATION, Activation(closure.node, closure))
        self._push_statements(closure.node.many("statements"), environment)

    def _apply_primitive(
        self, function: PrimitiveRef, arguments: tuple[Value, ...], site: Site | None
    ) -> None:
        primitive = PRIMITIVES[function.number]
        _check_count(primitive.name, arguments, primitive.least, primitive.most)
        if primitive.kind is Kind.EFFECT:
            for argument in arguments:
                check_data(self.store, argument, data_only=True)
            self._wait(site, stays=site is not None and _names_host(site))
            self._effect = Apply(function, arguments)
            self.status = Status.EFFECT
        elif primitive.name == "apply":
            spread = all_items(self.store, arguments[-1])
            self.control = Apply(arguments[0], (*arguments[1:-1], *spread), site)
        elif primitive.name == "call/cc":
            arguments = _bare_functions(arguments)
            if not isinstance(arguments[0], Closure | Continuation):
                raise type_fault("call/cc", "a function", arguments[0])
            self._wait(site)
            self.control = Apply(arguments[0], (Continuation(self.continuation),))
        elif primitive.kind is Kind.CONTROL:
            self._apply_control(primitive.name, site, *arguments)
        else:
            self.control = Give(call_pure(self.store, primitive.name, *arguments))

    # -- delimited control --

    def _apply_control(self, name: str, site: Site | None, tag: Value, *arguments: Value) -> None:
        arguments = _bare_functions(arguments)
        tag = _bare_functions((tag,))[0]
        if not isinstance(tag, Keyword | Symbol | Atom) and not (
            name == "prompt*" and isinstance(tag, Closure)
        ):
            raise type_fault(name, "a keyword, symbol or atom", tag)
        if name == "suspend*":
            prompt = self._prompt(name, tag)
            self._wait(site)
            frames = _above(self.continuation, prompt)
            self.continuation = prompt.parent
            self.control = Give(Continuation(frames, composable=True, suspended_with=arguments))
            return
        if name == "abort*":
            target = Continuation(self._prompt(name, tag).parent)
            self._wait(site)
            self._apply_continuation(target, arguments)
            return
        function, *operands = arguments
        _check_callable(name, function, len(operands) if name == "prompt*" else 1)
        if name == "prompt*":
            self._wait(site)
            self.continuation = Prompt(tag, self.continuation)
            self.control = Apply(function, tuple(operands))
        else:
            prompt = self._prompt(name, tag)
            self._wait(site)
            part = Continuation(_above(self.continuation, prompt), composable=True)
            self.continuation = prompt.parent
            self.control = Apply(function, (part,))

    def _prompt(self, name: str, tag: Value) -> Prompt:
        """Return the innermost prompt with a tag."""
        frame = self.continuation
        while frame is not None:
            if isinstance(frame, Prompt) and type(frame.tag) is type(tag) and frame.tag == tag:
                return frame
            frame = frame.parent
        shown = (
            "this tag"
            if isinstance(tag, Atom)
            else f"the tag {text_of(self.store, tag, readable=True)}"
        )
        raise GuestFault("prompt", f"{name}: no prompt has {shown}")

    def _apply_continuation(self, function: Continuation, arguments: tuple[Value, ...]) -> None:
        """Put a part on top of what is here; or leave everything, the finalizers on the way first."""
        if function.composable:
            below = self.continuation
            if below is not None and not isinstance(below, Prompt):
                below = Prompt(None, below)  # frames of one activation could meet here
            self.continuation = _on_top(function.frames, below)
            self.control = Give(arguments[0])
            return
        guard = _finalizer_left(self.continuation, function.frames)
        if guard is None:
            self.continuation = function.frames
            self.control = Give(arguments[0])
        else:
            self.continuation = guard.parent
            leave = self.code.library.functions["impl/leave"]
            self.control = Apply(leave, (guard.tag, function, arguments[0]))

    def _look_up(self, function: Value, arguments: tuple[Value, ...]) -> Value:
        """Return what a keyword, symbol, map, set or vector gives when it is called."""
        if isinstance(function, VECTORS):
            _check_count("a vector", arguments, 1, 1)
            return _item_at(function, arguments[0])
        if isinstance(function, SETS):
            _check_count("a set", arguments, 1, 1)
            return call_pure(self.store, "get", function, *arguments)
        if isinstance(function, MAPS):
            _check_count("a map", arguments, 1, 2)
            return call_pure(self.store, "get", function, *arguments)
        if isinstance(function, Keyword | Symbol):
            _check_count(type_name(function), arguments, 1, 2)
            return call_pure(self.store, "get", arguments[0], function, *arguments[1:])
        raise GuestFault("not-a-function", f"{type_name(function)} is not a function")

    # -- effects --

    @property
    def effect(self) -> tuple[str, tuple[object, ...]]:
        """Name and arguments of the effect that waits."""
        asked = self._asked()
        name = PRIMITIVES[asked.function.number].name
        return name, tuple(to_edn(self.store, argument) for argument in asked.arguments)

    @property
    def effect_name(self) -> str:
        """Name of the effect that waits."""
        name: str = PRIMITIVES[self._asked().function.number].name
        return name

    def asks_for(self, name: str, text: str) -> bool:
        """Return whether the effect that waits has a name, and a text as its only argument."""
        arguments = [bare(argument) for argument in self._asked().arguments]
        return self.effect_name == name and arguments == [text]

    def effect_parts(self, most: int) -> int:
        """Return how many parts the arguments of the effect that waits have when they are written out; see Machine."""
        return count_parts(self.store, self._asked().arguments, most)

    @property
    def asked(self) -> Apply | None:
        """The effect that waits, if one does."""
        return self._effect

    def _asked(self) -> Apply:
        if self.status is not Status.EFFECT or self._effect is None:
            raise StateInvalid("no effect waits for an answer")
        return self._effect

    def resume(self, value: object) -> None:
        """Answer the effect that waits."""
        self._asked()
        self._answer(Give(from_edn(self.store, value)))

    def resume_error(self, message: str, data: Map) -> None:
        """Let the effect that waits throw an error in the agent."""
        self._asked()
        self._answer(Throw(ErrorValue(message, from_edn(self.store, data), None), None))

    def units(self) -> list[ReferenceCode]:
        """Return the code it has so far, the oldest first."""
        return list(self._units)

    def extend(self, code: ReferenceCode) -> None:
        """Answer the effect that waits with the top level of more code, a function of no arguments."""
        self._asked()
        if code not in self._units:
            self._units.append(code)
        self._answer(Give(Closure(code.program, _EMPTY_ENVIRONMENT)))

    def charge(self, fuel: int) -> bool:
        """Count work that was done outside for the agent; False if it has not so much fuel left, which is then spent."""
        left = None if self.fuel_max is None else self.fuel_max - self.fuel_used
        self.fuel_used += fuel if left is None else min(fuel, left)
        return left is None or fuel <= left

    def _answer(self, control: Control) -> None:
        self._effect = None
        self.control = control
        self.status = Status.OUT_OF_FUEL

    # -- looking --

    def frames(self) -> list[FrameView]:
        """Return a view of each call that runs or waits, innermost first, with the names in sight there."""
        views: list[FrameView] = []
        for place in self._places():
            if len(views) == _FRAMES_MAX:
                break
            entry = place.node.trace_entry
            shown = [
                (name, self._glimpse(place.environment[name]))
                for name in _names_in_sight(place.node)
                if name in place.environment
            ]
            node = place.node
            views.append(
                FrameView(entry.function, entry.program_hash, 0, node.index, entry.span, shown)
            )
        return views

    def _glimpse(self, value: Value) -> str:
        if type(value) is Cell:
            value = self.store.read(value.address)
        if count_parts(self.store, [value], _FAULT_PARTS_MAX) > _FAULT_PARTS_MAX:
            return f"#<{type_name(value)}>"
        try:
            text = text_of(self.store, value, readable=True)
        except (Force, GuestFault):
            return f"#<{type_name(value)}>"
        return text if len(text) <= _LOCAL_TEXT_MAX else text[:_LOCAL_TEXT_MAX] + "..."

    # -- the end --

    @property
    def result(self) -> object:
        """The program's value when DONE."""
        return to_edn(self.store, self._result())

    @property
    def result_text(self) -> str:
        """The program's value as readable text, also when it has no EDN form."""
        result = self._result()
        if count_parts(self.store, [result], _TEXT_PARTS_MAX) > _TEXT_PARTS_MAX:
            return f"#<{type_name(result)}>"
        return text_of(self.store, result, readable=True)

    def result_parts(self, most: int) -> int:
        """Return how many parts the program's value has when it is written out; see Machine."""
        return count_parts(self.store, [self._result()], most)

    def _result(self) -> Value:
        if self.status is not Status.DONE:
            raise StateInvalid("the program has not ended")
        assert isinstance(self.control, Give), self.control
        return self.control.value

    @property
    def fault(self) -> Fault:
        """The error that ended the program; its trace is the place and the calls that wait."""
        if self.status is not Status.FAULT:
            raise StateInvalid("the program has not faulted")
        assert isinstance(self.control, Throw), self.control
        return self._fault(self.control.error, self._trace(), _CAUSES_MAX)

    def _fault(self, error: ErrorValue, trace: list[TraceEntry], causes: int) -> Fault:
        message = error.message
        if not isinstance(message, str):
            message = text_of(self.store, message, readable=True)
        elif len(encoded := message.encode("utf-8", "surrogatepass")) > _FAULT_MESSAGE_MAX:
            message = encoded[:_FAULT_MESSAGE_MAX].decode("utf-8", "ignore") + "..."
        try:
            large = count_parts(self.store, [error.data], _FAULT_PARTS_MAX) > _FAULT_PARTS_MAX
            found = None if large else to_edn(self.store, error.data)
        except ValueInvalid:
            found = None
        data = found if isinstance(found, Map) else Map()
        is_told = isinstance(error.data, HashMap) and error.data.entries
        shown = self._glimpse(error.data) if is_told and set(data) != {Keyword("fault")} else ""
        has_cause = isinstance(error.cause, ErrorValue) and causes > 0
        cause = self._fault(error.cause, [], causes - 1) if has_cause else None
        return Fault(message, data, shown, trace, cause)

    def _trace(self) -> list[TraceEntry]:
        """Return the places of the calls, those alike in a row as one; of many the innermost and the outermost."""
        rows: list[list[Any]] = []
        for node, _ in self._places():
            if rows and rows[-1][0] is node:
                rows[-1][1] += 1
            else:
                rows.append([node, 1])
        entries = [node.trace_entry._replace(times=times) for node, times in rows]
        if len(entries) <= _TRACE_INNER + _TRACE_OUTER:
            return entries
        left_out = sum(times for _, times in rows[_TRACE_INNER:-_TRACE_OUTER])
        gap = TraceEntry("", "", Span(0, 0, 0, 0), b"", 0, left_out)
        return [*entries[:_TRACE_INNER], gap, *entries[-_TRACE_OUTER:]]

    def _places(self) -> Iterator[Place]:
        """Yield where each call is, innermost first: where it runs or has thrown, then the nodes that wait."""
        place = self.control.place if isinstance(self.control, Throw) else _place_of(self.control)
        if place is not None and self._effect is None:
            yield place
        frame = self.continuation
        while frame is not None:
            if isinstance(frame, Waiting):
                yield Place(frame.node, frame.environment)
            elif isinstance(frame, Matching):
                yield Place(frame.catches[0], frame.environment)
            elif isinstance(frame, After) and (site := _site_of(frame.control)) is not None:
                yield Place(site.node, site.environment)
            frame = frame.parent


def _names_in_sight(node: Node) -> Iterator[str]:
    """Yield the names that a function binds around one of its nodes, the outermost first."""
    names: list[str] = []
    while (parent := node.parent) is not None and node.kind not in ("arity", "program"):
        match parent.kind:
            case "let" | "loop" | "letrec":
                names[:0] = [binding.name for binding in parent.many("bindings")]
            case "catch":
                names.insert(0, parent.name)
            case "arity":
                names[:0] = [parameter.name for parameter in parent.many("params")]
        node = parent
    return iter(dict.fromkeys(names))


def _names_host(site: Site) -> bool:
    """Return whether the operator is the name of what is called: the frame then stays, in tail position as well."""
    operator = site.node.one("operator")
    if operator.kind == "literal":
        return isinstance(site.done[0], Keyword)
    if operator.kind != "variable" or operator.name in site.environment:
        return False
    function = site.done[0]
    return (
        operator.name not in site.node.code.defined
        and isinstance(function, PrimitiveRef)
        and PRIMITIVES[function.number].kind is not Kind.CONTROL
    )


def _bare_functions(arguments: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return the arguments of a control function, which calls functions and gives all else away."""
    return tuple(
        bare(argument) if isinstance(bare(argument), FUNCTION_KINDS) else argument
        for argument in arguments
    )


def _site_of(control: Control) -> Site | None:
    return control.site if isinstance(control, Apply) else None


def _place_of(control: Control) -> Place | None:
    """Return the node that a control is about."""
    place = control if isinstance(control, Evaluate) else _site_of(control)
    return None if place is None else Place(place.node, place.environment)


def running(environment: Environment) -> Activation:
    """Return the call that an environment is of."""
    return environment[_ACTIVATION]  # type: ignore[no-any-return]


def activation_of(frame: Frame | None) -> Activation | None:
    """Return the call that a frame belongs to; None for what stands between calls."""
    if isinstance(frame, After):
        site = _site_of(frame.control)
        return None if site is None else site.environment[_ACTIVATION]
    if frame is None or isinstance(frame, Prompt):
        return None
    return frame.environment[_ACTIVATION]  # type: ignore[no-any-return]


def _above(frame: Frame | None, prompt: Prompt) -> Frame | None:
    """Return copies of the frames above a prompt."""
    frames: list[Frame] = []
    while frame is not prompt:
        assert frame is not None
        frames.append(frame)
        frame = frame.parent
    return _linked(frames, None)


def _on_top(part: Frame | None, below: Frame | None) -> Frame | None:
    """Return copies of the frames of a part, on top of others."""
    frames: list[Frame] = []
    while part is not None:
        frames.append(part)
        part = part.parent
    return _linked(frames, below)


def _linked(frames: list[Frame], below: Frame | None) -> Frame | None:
    for frame in reversed(frames):
        below = frame._replace(parent=below)
    return below


def _finalizer_left(frame: Frame | None, target: Frame | None) -> Prompt | None:
    """Return the innermost finalizer's prompt that is here and not in the target."""
    kept: set[int] = set()
    while target is not None:
        kept.add(id(target))
        target = target.parent
    while frame is not None:
        if isinstance(frame, Prompt) and isinstance(frame.tag, Closure) and id(frame) not in kept:
            return frame
        frame = frame.parent
    return None


def _check_callable(name: str, function: Value, count: int) -> None:
    if isinstance(function, Closure):
        _arity_for(function.node, count)
    elif isinstance(function, Continuation):
        _check_count("a continuation", (None,) * count, 1, 1)
    else:
        raise type_fault(name, "a function", function)


def _arity_for(node: Node, count: int) -> Node:
    """Return the :arity for a number of arguments, an exact one before the variadic one."""
    for arity in node.many("arities"):
        required = len(arity.many("params"))
        if arity.fact("ast/variadic"):
            if count >= required - 1 and not _has_exact(node, count):
                return arity
        elif count == required:
            return arity
    raise _count_fault(node.function_name or "a function", count)


def _has_exact(node: Node, count: int) -> bool:
    return any(
        not arity.fact("ast/variadic") and len(arity.many("params")) == count
        for arity in node.many("arities")
    )


def _check_count(name: str, arguments: tuple[Value, ...], least: int, most: int | None) -> None:
    if len(arguments) < least or (most is not None and len(arguments) > most):
        raise _count_fault(name, len(arguments))


def _count_fault(name: str, count: int) -> GuestFault:
    return GuestFault("arity", f"wrong number of arguments ({count}) passed to {name}")


def _item_at(vector: Value, index: Value) -> Value:
    if type(index) is not int:
        raise type_fault("vector", "an index", index)
    if not 0 <= index < len(vector):
        raise GuestFault("index", "index out of bounds")
    return vector[index]
