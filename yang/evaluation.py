"""Code that a running program makes: forms compiled against all the code that the program has so far.

Is:     the function behind `compile*`: of the programs an agent runs and a form, one more program, or the form expanded.
Is not: running it (`yind.cesk.Machine.extend`), nor keeping it (`yind.code`): it is a program like any other.
Fits:   `yind.effects` asks; `yang.environment` says what the programs define.

What comes out depends on the programs, the operation, its data and the namespaces alone: wherever the agent is, and however
often the same is asked, it is the same program with the same hash. So what is known of names is always read from the
programs, never taken over from the compilation that made them. What the work costs is known before it is done, and is the
same fuel everywhere.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from datomstore.value import Keyword, Map, Set, Symbol
from yang.canonical import encode
from yang.compile import Compiled, compile_forms
from yang.definitions import NAMESPACES, expanded_form, resolved
from yang.environment import (
    FEATURES,
    adopt,
    declarations,
    definitions_in,
    divided,
    record_of,
)
from yang.errors import (
    EvaluationRefused,
    MacroFault,
    ProgramInvalid,
    Source,
    SourceError,
    SourceErrors,
    errors_in,
)
from yang.expand import Expander, Known
from yang.forms import Form, call, literal, symbol, text_of, value_of
from yang.host import Host
from yang.limits import (
    EVALUATED_FORMS_MAX,
    EVALUATED_KEPT_BYTES_MAX,
    EVALUATED_KEPT_MAX,
    EVALUATED_TEXT_MAX,
    EVALUATED_WORLDS_MAX,
    EVALUATION_FUEL,
    NESTING_MAX,
)
from yang.macros import form_of, names_in
from yang.program import Program, tree_of
from yang.raised import core_forms
from yang.reader.clojure import read_source
from yang.segment import Segment, Span

_KNOWN = Known(features=FEATURES)
_DESCRIBED = "yin.core/described"  # (described metadata form); see impl/coded of the library
_START = Span(1, 1, 1, 1)
_OF_MACROS = "what the macro made"  # says `form_of` of data
_OPERATIONS = frozenset({"eval", "load", "expand", "expand-1", "resolve"})
_MADE_AT_ONCE = 10_000  # names that code compiled against one version of the definitions can make

_T = TypeVar("_T")
Charge = Callable[
    [int], None
]  # Counts fuel; raises what ends the work when there is not so much left.
# The value of a macro's program, its fuel charged; else as Host.evaluate.
Evaluate = Callable[[Segment, Map, Charge], object]


class Asked(NamedTuple):
    """What `compile*` is asked."""

    operation: str  # one of _OPERATIONS
    data: object  # the form; of :load the text
    here: str  # the namespace where it is written
    now: str  # the one that has been entered from there

    @staticmethod
    def of(arguments: tuple[object, ...]) -> Asked:
        """Return the arguments of the effect. Raises EvaluationRefused."""
        operation, data, here, now = arguments
        if not isinstance(operation, Keyword) or operation.name not in _OPERATIONS:
            raise EvaluationRefused("compile*: no such operation")
        if not isinstance(here, Symbol) or not isinstance(now, Symbol):
            raise EvaluationRefused("a namespace is named by a symbol")
        return Asked(operation.name, data, here.name, now.name)


class Made(NamedTuple):
    """What came of it: a program to be called, or a value."""

    program: Program | None
    value: object = None
    compiled: Compiled | None = None  # the program, where it was compiled just now


class World:
    """All that the code of an agent so far says of names; it never changes."""

    def __init__(self, evaluate: Evaluate) -> None:
        """Begin without any code."""
        self._evaluate = evaluate
        source = Source("eval", "")
        self._expander = Expander(source, core=False, known=_KNOWN, host=Host(), more={})
        self._defined: frozenset[str] = frozenset()
        self._version = 0  # how many of the programs define something
        self.key = b""  # the hash of those that do

    def with_program(self, program: Program) -> World:
        """Return the world with one more program of the agent. Raises ProgramInvalid."""
        whole = core_forms(tree_of(program))
        known = definitions_in(whole)
        record, forms = divided(whole)
        if not known and not record:
            return self
        twin = World(self._evaluate)
        twin._expander = self._expander.branch(Source("eval", ""), _KNOWN)
        twin._defined = self._defined | known
        twin._version = self._version + 1
        twin.key = hashlib.sha256(self.key + program.hash).digest()
        if record is not None:
            try:
                adopt(twin._expander, record, forms, texts=False)
            except (TypeError, ValueError, AttributeError, KeyError) as error:
                raise ProgramInvalid(f"what it says of names is malformed: {error}") from error
        return twin

    def make(self, asked: Asked, charge: Charge) -> Made:
        """Return what a form comes to in this world.

        Args:
            asked: the form, and what is to be done with it.
            charge: is called before each part of the work with what that costs.

        Raises:
            EvaluationRefused: what is wrong with the form, with places in its text.
        """
        try:
            return self._made(asked, charge)
        except (SourceError, SourceErrors) as error:
            raise EvaluationRefused.of(errors_in(error)) from error
        except MacroFault as error:
            raise EvaluationRefused(str(error).replace(_OF_MACROS, "the form")) from error
        except RecursionError as error:  # of walks over quoted data
            raise EvaluationRefused("a form that is nested too deeply") from error

    def _made(self, asked: Asked, charge: Charge) -> Made:
        source, forms = _read(asked, charge)
        if asked.operation == "resolve":
            return self._resolved(asked, forms[0], source, charge)
        if asked.operation in ("expand", "expand-1"):
            expander = self._branch(asked, source, _KNOWN, charge)
            once = asked.operation == "expand-1"
            return Made(None, value_of(expanded_form(expander, forms[0], once=once)))
        return self._compiled(asked, forms, source, charge)

    def _resolved(self, asked: Asked, name: Form, source: Source, charge: Charge) -> Made:
        if name.kind != "symbol":
            raise source.error("a name is resolved", name.span)
        if asked.now not in self._expander.globals.namespaces:
            if self._expander.library_of(asked.now) is None:
                raise EvaluationRefused(f"No namespace: {asked.now} found")
            name = name._replace(value=f"{asked.now}/{name.value}")
            asked = asked._replace(now=asked.here)
        expander = self._branch(asked, source, _KNOWN, charge)
        found = resolved(expander, name)
        return Made(None) if found is None else self._compiled(asked, (found,), source, charge)

    def _compiled(
        self, asked: Asked, forms: Sequence[Form], source: Source, charge: Charge
    ) -> Made:
        expander, statements = self._expanded(asked, forms, source, charge)
        if expander.namespace != asked.now:
            statements.insert(-1, _entering(asked.here, expander.namespace, forms[-1].span))
        hidden = [form for name, form in expander.prelude.items() if name not in self._defined]
        whole = [*hidden, *statements]
        charge(EVALUATION_FUEL.node * _size(whole))
        defined = self._defined | definitions_in(whole)
        shared = names_in(whole) & (defined | expander.globals.table.keys())
        record = record_of(self._entered(asked), expander, texts=False, stays=False)
        first = declarations(shared, record, forms[0].span)
        compiled = compile_forms([first, *whole], expander.source_with_words())
        return Made(compiled.program, compiled=compiled)

    def _expanded(
        self, asked: Asked, forms: Sequence[Form], source: Source, charge: Charge
    ) -> tuple[Expander, list[Form]]:
        known = _KNOWN
        while True:
            expander = self._branch(asked, source, known, charge)
            statements = expander.expanded(forms)
            found = expander.found_out()
            if found == known:
                return expander, statements or [literal(None, _START)]
            known = found

    def _branch(self, asked: Asked, source: Source, known: Known, charge: Charge) -> Expander:
        """Return an expander in the namespace of a form; its macros are charged for."""
        expander = self._expander.branch(source, known)
        expander.enter(asked.now)
        host = Host(lambda segment, given: self._evaluate(segment, given, charge))
        expander.use(host, made=self._version * _MADE_AT_ONCE)
        return expander

    def _entered(self, asked: Asked) -> Expander:
        expander = self._expander.branch(self._expander.source, _KNOWN)
        expander.enter(asked.now)
        return expander


class _Answer(NamedTuple):
    """What was made before, and what it cost."""

    made: Made
    fuel: int


class Evaluations:
    """Evaluation for the agents of a node; what was found out is kept for those that ask the same. Thread-safe.

    Args:
        evaluate: runs macros.
        program_of: the program with a hash; what it raises passes through.
    """

    def __init__(self, evaluate: Evaluate, program_of: Callable[[bytes], Program]) -> None:
        self._program_of = program_of
        self._nothing = World(evaluate)
        self._worlds: OrderedDict[bytes, World] = OrderedDict()  # by the hash of all programs
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()
        self._lock = Lock()

    def make(self, programs: Sequence[bytes], asked: Asked, charge: Charge) -> Made:
        """Return what a form comes to for an agent with these programs, the oldest first; see World.make.

        It costs the same whether it was known or not.
        """
        world = self.world_of(programs)
        key = hashlib.sha256(world.key + _encoded(asked)).digest()
        answer = self._kept(self._answers, key)
        if answer is not None:
            charge(answer.fuel)
            return answer.made
        spent: list[int] = []

        def counted(fuel: int) -> None:
            spent.append(fuel)
            charge(fuel)

        made = world.make(asked, counted)
        if made.program is None or made.program.size <= EVALUATED_KEPT_BYTES_MAX:
            kept = _Answer(made._replace(compiled=None), sum(spent))
            self._keep(self._answers, key, kept, EVALUATED_KEPT_MAX)
        return made

    def world_of(self, programs: Sequence[bytes]) -> World:
        """Return what programs say of names. Raises ProgramInvalid."""
        keys = [b""]
        for program_hash in programs:
            keys.append(hashlib.sha256(keys[-1] + program_hash).digest())
        world, known = self._nothing, 0
        for count in range(len(programs), 0, -1):
            found = self._kept(self._worlds, keys[count])
            if found is not None:
                world, known = found, count
                break
        for program_hash in programs[known:]:
            world = world.with_program(self._program_of(program_hash))
        if known < len(programs):
            self._keep(self._worlds, keys[-1], world, EVALUATED_WORLDS_MAX)
        return world

    def _kept(self, table: OrderedDict[bytes, _T], key: bytes) -> _T | None:
        with self._lock:
            found = table.get(key)
            if found is not None:
                table.move_to_end(key)
            return found

    def _keep(self, table: OrderedDict[bytes, _T], key: bytes, value: _T, most: int) -> None:
        with self._lock:
            table[key] = value
            while len(table) > most:
                table.popitem(last=False)


def _encoded(asked: Asked) -> bytes:
    """Return the bytes that a question is known by. Raises EvaluationRefused."""
    if _count(asked.data) > EVALUATED_FORMS_MAX:
        raise EvaluationRefused(f"a form of at most {EVALUATED_FORMS_MAX} parts is evaluated")
    try:
        return encode(tuple(asked))
    except (RecursionError, ValueError, TypeError) as error:
        raise EvaluationRefused(f"this is no form: {error}") from error


def _entering(here: str, entered: str, span: Span) -> Form:
    """Return the statement that notes which namespace evaluated code has entered."""
    names = [call(span, "quote", symbol(name, span)) for name in (here, entered)]
    return call(span, "yin.core/impl/enter-namespace", symbol(NAMESPACES, span), *names)


def _size(forms: Sequence[Form]) -> int:
    """Return how many forms there are in forms; a long text is as many as it is in data."""
    count = 0
    stack = list(forms)
    while stack:
        form = stack.pop()
        count += 1
        if not form.is_leaf:
            stack += form.value
        elif isinstance(form.value, str):
            count += len(form.value) // 64
    return count


# -- what is evaluated, as forms with places --


def _read(asked: Asked, charge: Charge) -> tuple[Source, tuple[Form, ...]]:
    """Return the text and the forms of what is evaluated."""
    if asked.operation == "load":
        text = asked.data
        if not isinstance(text, str) or len(text) > EVALUATED_TEXT_MAX:
            raise EvaluationRefused(f"a text of at most {EVALUATED_TEXT_MAX} characters is loaded")
        charge(EVALUATION_FUEL.once + EVALUATION_FUEL.character * len(text))
        source = Source("load-string", text)
        return source, read_source(source) or (literal(None, _START),)
    count = _count(asked.data)
    if count > EVALUATED_FORMS_MAX:
        raise EvaluationRefused(f"a form of at most {EVALUATED_FORMS_MAX} parts is evaluated")
    charge(EVALUATION_FUEL.once + EVALUATION_FUEL.node * count)
    form = form_of(asked.data, _START)
    source = Source("eval", text_of(form))
    placed = _placed(source, form)
    return source, (_described(placed),)


def _count(data: object) -> int:
    """Return how many parts data has, as far as it matters."""
    count = 0
    stack = [data]
    while stack and count <= EVALUATED_FORMS_MAX:
        value = stack.pop()
        count += 1
        if isinstance(value, Map):
            for entry in value.items():
                stack += entry
        elif isinstance(value, tuple | Set):
            stack += value
        elif isinstance(value, str):
            count += len(value) // 64
    return count


def _placed(source: Source, form: Form) -> Form:
    """Return a form as it is read from its text, with places; as it is where its text means something else."""
    try:
        read = read_source(Source(source.name, source.text))
    except (SourceError, SourceErrors, ValueError):
        return form
    return read[0] if len(read) == 1 and _alike(read[0], form) else form


def _alike(one: Form, other: Form) -> bool:
    """Return whether forms are the same but for their places."""
    stack = [(one, other)]
    while stack:
        one, other = stack.pop()
        if one.kind != other.kind or one.meta or other.meta:
            return False
        if one.is_leaf:
            if type(one.value) is not type(other.value) or one.value != other.value:
                return False
        elif len(one.value) != len(other.value):
            return False
        else:
            stack += zip(one.value, other.value, strict=True)
    return True


def _described(form: Form, depth: int = 0) -> Form:
    """Return a form with the metadata that is written out in it."""
    if form.is_leaf:
        return form
    if depth > NESTING_MAX:
        raise MacroFault(f"a form that is nested deeper than {NESTING_MAX}")
    head: Any = form.value[0].value if form.kind == "list" and form.value else None
    parts = tuple([_described(item, depth + 1) for item in form.value])
    if head != _DESCRIBED or len(parts) != 3:
        return form._replace(value=parts)
    _, metadata, plain = parts
    if metadata.kind != "map":
        raise MacroFault("metadata is a map")
    return plain._replace(meta=tuple(zip(metadata.value[::2], metadata.value[1::2], strict=True)))
