"""From a program to a code segment, through facts.

Is:     the order of the stages, and the facts handed from one to the next.
Is not: scoping, slots or choice of instructions: `yang/rules` derives them; packing is `yang.assemble`.
Fits:   `cli` and `yind` compile here; `yang.render` shows the stations.

    AST datoms --scope.dl--> who binds, owns, captures what --(captured values numbered, names looked up)-->
    facts --tail, names, conditions, slots, liveness, execution, errors.dl--> steps --(sorted)--> execution datoms and a segment
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from datomstore.database import Database
from datomstore.datom import Datom
from yang.analysis import (
    SCOPE_RELATIONS,
    TX,
    Analysis,
    Ast,
)
from yang.assemble import Body, Lambda, assemble
from yang.ast_datoms import ENTITY_BASE, datoms_of
from yang.code_schema import CODE_SCHEMA
from yang.columns import Array, Columns
from yang.derivation import derived, linked
from yang.errors import Source, SourceError, SourceErrors, errors_in, raise_all
from yang.execution import Stream, arrange, exec_datoms
from yang.expand import Rest
from yang.folding import values_of
from yang.forms import Form
from yang.host import ALONE, Host
from yang.isa import OPERAND_COUNT_MAX
from yang.limits import ERRORS_SHOWN_MAX
from yang.lower import expanded_tree, lower, tree_of_files
from yang.near import hint_of
from yang.nodes import Tree
from yang.pause import collector_paused
from yang.program import Program, canonical_statements, program_of, tree_of
from yang.resolve import HOST, CoreLibrary, Fact, accepted, facts_of_name, names_known, plain_name
from yang.segment import FunctionRef, PrimitiveRef, Segment
from yang.units import Derived, Names, Unit, Units, units_of

UNITS = Units()  # of all programs that are compiled in this process
CATCHES = "catches?"  # the core library's question whether a catch is meant


@dataclass(frozen=True)
class Compiled:
    """A program with everything that was derived from it; nodes in tables are numbered in pre-order."""

    program: Program
    tree: Tree
    core: CoreLibrary | None
    tables: Mapping[str, Array]  # what the rules derived, see `derivation.KEPT`
    stream: Stream
    segment: Segment
    units: tuple[Unit, ...]
    anew: Mapping[bytes, Derived]  # by key, of the units that were derived now
    base: int = ENTITY_BASE

    @cached_property
    def analysis(self) -> Analysis:
        """What scope.dl derived, by entity."""
        scope = {
            name: [tuple(row) for row in (self.tables[name] + self.base).tolist()]
            for name in SCOPE_RELATIONS
        }
        return Analysis(Ast(self.tree.items, self.tree.places, self.base), scope, self.core)

    @cached_property
    def ast_db(self) -> Database:
        """AST and scope facts; the root is entity `base`."""
        facts = datoms_of(self.tree, base=self.base, tx=TX, program_hash=self.program.hash)
        return Database.from_datoms([*facts, *self.analysis.datoms()], CODE_SCHEMA)

    @cached_property
    def exec_datoms(self) -> list[Datom]:
        """The facts of the execution stream; the entities of steps follow those of nodes."""
        linking = _Linking(Columns(self.tree), self.tables, self.core)
        children = self.analysis.ast.children("application")
        return exec_datoms(
            self.stream,
            base=self.base,
            first=self.base + len(self.tree.items),
            tx=TX,
            constant=lambda node, selector: linking.constant(node - self.base, selector),
            name=lambda node: linking.name(node - self.base),
            operator={node: found[0] for node, found in children.items()},
            operands={node: found[1:] for node, found in children.items()},
            functions=[self.base, *self.analysis.lambdas],
        )


def compile_source(
    text: str,
    source_name: str = "<source>",
    *,
    core: CoreLibrary | None = None,
    host: Host = ALONE,
    units: Units | None = None,
) -> Compiled:
    """Return the compiled program of a source text. Raises SourceError or SourceErrors.

    `units`: where results of units are kept, if it is not the process.
    """
    library = core or _library()
    with collector_paused():
        try:
            tree, source = expanded_tree(Source(source_name, text), host=host)
        except (SourceError, SourceErrors) as error:
            raise_all(with_later_errors(error, library))
            raise
        return _compile(None, tree, library, source, units)


def with_later_errors(raised: SourceError | SourceErrors, core: CoreLibrary) -> list[SourceError]:
    """Return the errors of reading and expansion, and those that can be found in what these left.

    What follows from the first is not among them. The order is that of places in the text.
    """
    found = errors_in(raised)
    rest = raised.rest
    if not isinstance(rest, Rest):
        return found
    try:
        tree = lower(rest.forms, rest.source)
        _compile(None, tree, core, rest.source, Units())
    except (SourceError, SourceErrors) as later:
        found += [
            error
            for error in errors_in(later)
            if error.unresolved is None or not rest.may_have(error.unresolved)
        ]
    order = list(dict.fromkeys([error.source for error in found]))
    found.sort(key=lambda error: (order.index(error.source), error.line, error.column))
    return found[:ERRORS_SHOWN_MAX]


def compile_forms(forms: Sequence[Form], source: Source) -> Compiled:
    """Return the compiled program of core forms. Raises SourceError or SourceErrors."""
    tree = lower(forms, source)
    return _compile(None, tree, _library(), source)


def compile_program(
    program: Program | Tree, *, core: CoreLibrary | None = None, units: Units | None = None
) -> Compiled:
    """Return the compiled program of an AST; of a Program, its hash is checked.

    Raises:
        ProgramInvalid: the bytes are no program, or another one.
        SourceError, SourceErrors: names without meaning and the like, without the text of the lines.
    """
    tree = tree_of(program) if isinstance(program, Program) else program
    known = program if isinstance(program, Program) else None
    name = str(tree.items[0].scalars[0] or "")
    return _compile(known, tree, core or _library(), Source(name, ""), units)


def compile_core(source: Source) -> Compiled:
    """Return the compiled core library, which knows only itself and the host functions."""
    tree = tree_of_files(source, core=True)
    return _compile(None, tree, None, source)


def _library() -> CoreLibrary:
    from yang.core import core_library  # the library is compiled by this module

    return core_library()


def _compile(
    program: Program | None,
    tree: Tree,
    core: CoreLibrary | None,
    source: Source,
    units: Units | None = None,
) -> Compiled:
    with collector_paused():
        return _compiled(program, tree, core, source, UNITS if units is None else units)


def _compiled(
    program: Program | None, tree: Tree, core: CoreLibrary | None, source: Source, kept: Units
) -> Compiled:
    statements = canonical_statements(tree)
    whole_program = program_of(tree, statements) if program is None else program
    columns = Columns(tree)
    names = Names(columns, core)
    units = units_of(columns, names, statements)
    found = [kept.get(unit.key) for unit in units]
    missing = [number for number, known in enumerate(found) if known is None]
    if missing:
        made, wrong = derived(columns, units, missing, names)
        if wrong:
            raise_all(mistakes(wrong.rows, Ast(tree.items, tree.places, ENTITY_BASE), core, source))
        raise_all(_too_many_operands(columns, source))
        for number, new in zip(missing, made, strict=True):
            kept.put(units[number].key, new)
            found[number] = new
    whole = [one for one in found if one is not None]
    assert len(whole) == len(units), missing
    anew = {units[number].key: whole[number] for number in missing}
    tables = linked(units, whole)
    stream, segment = _assembled(whole_program, tree, columns, tables, core)
    return Compiled(whole_program, tree, core, tables, stream, segment, tuple(units), anew)


def _assembled(
    program: Program,
    tree: Tree,
    columns: Columns,
    tables: Mapping[str, Array],
    core: CoreLibrary | None,
) -> tuple[Stream, Segment]:
    body_of = np.zeros(columns.count, np.int64)
    node, body = tables["body"].T
    body_of[node] = body
    entered = np.concatenate([np.zeros(1, np.int64), node])
    stream = arrange(tables["step"], tables["handler"], body_of, columns.depth, entered)
    linking = _Linking(columns, tables, core)
    slots = np.full(columns.count, -1, np.int64)
    for relation in ("destination", "slot"):
        node, slot = tables[relation].T
        slots[node] = slot
    slot_names: dict[int, dict[int, str]] = defaultdict(dict)
    for binder, slot in tables["slot"].tolist():
        slot_names[int(body_of[binder])][slot] = columns.name(binder) or "_"
    segment = assemble(
        stream,
        program_hash=program.hash,
        source_name=program.source_name,
        top=Body(0, 0, False, slot_names[0]),
        lambdas=linking.lambdas(slot_names),
        constant=linking.constant,
        name=linking.name,
        spans=[item.span for item in columns.items],
        slots=slots,
    )
    return stream, replace(segment, parts=tree.parts)


class _Linking:
    """What steps name: constants, functions and globals of a program."""

    def __init__(
        self, columns: Columns, tables: Mapping[str, Array], core: CoreLibrary | None
    ) -> None:
        self._columns = columns
        self._core = core
        self._names = Names(columns, core)
        self._functions: list[int] = columns.of("lambda").tolist()
        self._number_of = {node: number for number, node in enumerate(self._functions, 1)}
        self._static: dict[int, int] = dict(tables["static"].tolist())
        self._static_names = {columns.name(def_): fn for def_, fn in self._static.items()}
        self._refers_static = set(tables["static-reference"][:, 0].tolist())
        self._group_of: dict[int, int] = dict(tables["group"].tolist())
        self._folded = values_of(tables["folded"])
        self._captured: dict[int, list[str]] = defaultdict(list)
        for group, binder in tables["captured"].tolist():
            self._captured[group].append(columns.name(binder) or "_")

    def name(self, node: int) -> str:
        """Return the name of a global."""
        return str(self._columns.scalar(node))

    def constant(self, node: int, selector: int) -> object:
        """Return a constant of a node; see execution.dl."""
        item = self._columns.items[node]
        match item.kind.name:
            case "literal":
                return item.scalars[0]
            case "lambda":
                return self._function_ref(node)
            case "def":
                return self._function_ref(self._static[node])
            case "catch":
                return item.scalars[1] if selector else self._catches()
            case "variable" if node in self._refers_static:
                name = self._names.meant(self.name(node))
                return self._function_ref(self._static_names[name])
            case "application":
                return self._folded[node]
            case "variable":
                return _host_constant(self._names.facts(self.name(node)))
        return None

    def _function_ref(self, function: int) -> FunctionRef:
        return FunctionRef(False, self._number_of[function], self._function_name(function) or "")

    def _function_name(self, function: int) -> str | None:
        """Return a lambda's own name, or that of the definition it is."""
        columns = self._columns
        name, parent = columns.name(function), int(columns.parent[function])
        if name is None and columns.items[parent].kind.name == "def":
            return columns.name(parent)
        return name

    def _catches(self) -> FunctionRef:
        if self._core is not None:
            return FunctionRef(True, -1, CATCHES)
        found = self._static_names.get(CATCHES)
        if found is None:
            raise LookupError(f"the core library does not define {CATCHES}")
        return self._function_ref(found)

    def lambdas(self, slot_names: Mapping[int, Mapping[int, str]]) -> list[Lambda]:
        """Return the functions in the order of their numbers."""
        found: list[Lambda] = []
        for node in self._functions:
            bodies = []
            for arity in self._columns.arities(node):
                item = self._columns.items[arity]
                variadic = item.scalars[0] is True
                bodies.append(
                    Body(arity, item.counts[0] - variadic, variadic, slot_names.get(arity, {}))
                )
            captures = tuple(self._captured.get(self._group_of[node], ()))
            found.append(Lambda(node, self._function_name(node), captures, tuple(bodies)))
        return found


def _host_constant(facts: Iterable[Fact]) -> object:
    known = dict(facts)
    if HOST["function"] in known:
        return FunctionRef(True, -1, str(known[HOST["function"]]))
    number = known[HOST["number"]]
    assert isinstance(number, int)
    return PrimitiveRef(number)


def _too_many_operands(columns: Columns, source: Source) -> list[SourceError]:
    found = []
    for node in columns.of("application").tolist():
        count = columns.items[node].counts[1] + 1
        if count > OPERAND_COUNT_MAX:
            text = f"{count} arguments; at most {OPERAND_COUNT_MAX}"
            found.append(source.error(text, columns.items[node].span))
    return found


def mistakes(
    wrong: Mapping[str, Sequence[tuple[int, ...]]],
    ast: Ast,
    core: CoreLibrary | None,
    source: Source,
) -> list[SourceError]:
    """Return what is wrong with the program, in the order of its text, given the rows of ERROR_RELATIONS."""
    definitions = {name for node in ast.nodes("def") if (name := ast.name(node)) is not None}
    found: list[tuple[int, str, str | None]] = []  # node, message, the name to find a near one for
    hints: dict[int, str] = {}
    for (node,) in wrong["unresolved"]:
        name = ast.name(node) or ""
        found.append((node, f"unresolved symbol: {source.written(ast.span(node), name)}", name))
    for (node,) in wrong["recur-misplaced"]:
        found.append((node, "recur is not in tail position of a loop or function", None))
    for node, expected, given in wrong["recur-count"]:
        count = f"{given} argument{'s' * (given != 1)}"
        text = f"recur with {count}, where there are {expected} to renew"
        found.append((node, text, None))
    for node, given in wrong["argument-count"]:
        name = ast.name(node + 1) or ""  # the operator is the first child
        text = f"wrong number of arguments ({given}) passed to {plain_name(name)}"
        found.append((node, text, None))
        known = facts_of_name(name, core, definitions)
        hints[node] = f"it takes {accepted(known)}"
    for node, function, given in wrong["own-argument-count"]:
        name = ast.name(node + 1) or ""
        text = f"wrong number of arguments ({given}) passed to {name}"
        found.append((node, text, None))
        hints[node] = f"it takes {_arglists(function, ast)}"
    found.sort(key=lambda row: (row[0], row[1]))
    names = {*names_known(core), *definitions, *source.words}
    near = {name for name in names if not name.startswith(("impl/", "long/"))}
    errors: list[SourceError] = []
    for node, text, name in found[:ERRORS_SHOWN_MAX]:
        hint = hints.get(node)
        if name is not None:
            hint = hint_of(name, near, _locals_around(node, ast))
        errors.append(source.error(text, ast.span(node), hint))
        errors[-1].unresolved = name
    return errors


def _locals_around(node: int, ast: Ast) -> set[str]:
    """Return the names of locals in the statement that a node is in."""
    top = node
    while ast.kind(ast.parent(top)) != "program":
        top = ast.parent(top)
    return {
        name
        for kind in ("parameter", "binding", "catch")
        for binder in ast.nodes(kind)
        if top <= binder <= ast.end(top)
        and (name := ast.name(binder)) is not None
        and "~" not in name
    }


def _arglists(function: int, ast: Ast) -> str:
    """Return the parameters of a function's bodies, as they are written."""
    bodies: dict[int, list[str]] = {}
    for parameter in ast.nodes("parameter"):
        arity = ast.parent(parameter)
        if ast.parent(arity) == function:
            name = (ast.name(parameter) or "").partition("~")[0]
            bodies.setdefault(arity, []).append(name)
    shown = []
    for arity in ast.nodes("arity"):
        if ast.parent(arity) == function:
            names = bodies.get(arity, [])
            if ast.scalar(arity, "ast/variadic"):
                names = [*names[:-1], "&", names[-1]]
            shown.append(f"[{' '.join(names)}]")
    return " or ".join(shown)
