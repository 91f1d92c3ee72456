"""From a program to a code segment, through facts.

Is:     the order of the stages, and the facts handed from one to the next.
Is not: scoping, slots or choice of instructions: `yang/rules` derives them; packing is `yang.assemble`.
Fits:   `cli` and `yind` compile here; `yang.render` shows the stations.

    AST datoms --scope.dl--> who binds, owns, captures what --(captured values numbered, names looked up)-->
    facts --tail, names, conditions, slots, liveness, execution, errors.dl--> steps --(sorted)--> execution datoms and a segment
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from datomstore.database import Database
from datomstore.datalog import derive
from datomstore.datom import Datom
from datomstore.schema import VALUE_TYPE, attribute_of
from datomstore.value import Keyword, Map
from yang import rules
from yang.analysis import (
    BINDER,
    BODY,
    CAPTURE_BINDER,
    CAPTURE_GROUP,
    GROUP,
    STATIC,
    TX,
    Analysis,
    Ast,
    Rows,
)
from yang.assemble import Body, Lambda, assemble
from yang.ast_datoms import ENTITY_BASE, SCHEMA, datoms_of, expansion_datoms
from yang.errors import Source, SourceError, raise_all
from yang.execution import (
    CONTAINS,
    EXEC,
    HandlerRow,
    StepRow,
    Stream,
    arrange,
    constant_of,
    exec_datoms,
)
from yang.forms import Form
from yang.host import ALONE, Host
from yang.isa import OPERAND_COUNT_MAX
from yang.limits import ERRORS_SHOWN_MAX
from yang.lower import expanded_tree, lower, tree_of_files
from yang.nodes import Tree
from yang.program import Program, program_of, tree_of
from yang.resolve import HOST, CoreLibrary, Fact, accepted, facts_of_name, names_known, plain_name
from yang.segment import FunctionRef, Part, PrimitiveRef, Segment
from yang.vocabulary import vocabulary

SCOPE_RELATIONS = ("local", "body", "static", "group", "captured")
EXECUTION_RELATIONS = (
    "step",
    "handler",
    "slot",
    "destination",
    "static-reference",
    "host-reference",
    "unresolved",
    "recur-misplaced",
    "recur-count",
    "argument-count",
    "own-argument-count",
)
CATCHES = "catches?"  # the core library's question whether a catch is meant

PROGRAM_ROOT = Keyword("program/root")
SOURCE_LANGUAGE = Keyword("ast/source-lang")

_REF = {VALUE_TYPE: Keyword("db.type/ref")}
_MANY = {Keyword("db/cardinality"): Keyword("db.cardinality/many")}
CODE_SCHEMA: dict[Keyword, Any] = {  # attribute -> its schema in DataScript's form
    **SCHEMA,
    **dict.fromkeys((BINDER, BODY, STATIC, GROUP, CAPTURE_GROUP, CAPTURE_BINDER), _REF),
    HOST["arity"]: _MANY,
    **{EXEC[name]: _REF for name in ("node", "body", "target", "function", "args", "lambda")},
    CONTAINS: _REF | _MANY,
    PROGRAM_ROOT: _REF,
    **vocabulary(),
}
REFERENCES = frozenset(
    ident
    for ident, properties in CODE_SCHEMA.items()
    if properties.get(VALUE_TYPE) is Keyword("db.type/ref")
)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A program with everything that was derived from it."""

    program: Program
    ast_db: Database  # AST and scope facts; the root is entity `base`
    stream: Stream
    exec_datoms: list[Datom]
    segment: Segment
    base: int = ENTITY_BASE


def compile_source(
    text: str,
    source_name: str = "<source>",
    *,
    core: CoreLibrary | None = None,
    host: Host = ALONE,
) -> Compiled:
    """Return the compiled program of a source text. Raises SourceError or SourceErrors."""
    tree, source = expanded_tree(Source(source_name, text), host=host)
    return _compile(program_of(tree), tree, core or _library(), source)


def compile_forms(forms: Sequence[Form], source: Source) -> Compiled:
    """Return the compiled program of core forms. Raises SourceError or SourceErrors."""
    tree = lower(forms, source)
    return _compile(program_of(tree), tree, _library(), source)


def compile_program(program: Program | Tree, *, core: CoreLibrary | None = None) -> Compiled:
    """Return the compiled program of an AST; of a Program, its hash is checked.

    Raises:
        ProgramInvalid: the bytes are no program, or another one.
        SourceError, SourceErrors: names without meaning and the like, without the text of the lines.
    """
    tree = tree_of(program) if isinstance(program, Program) else program
    whole = program if isinstance(program, Program) else program_of(program)
    return _compile(whole, tree, core or _library(), Source(whole.source_name, ""))


def compile_core(source: Source) -> Compiled:
    """Return the compiled core library, which knows only itself and the host functions."""
    tree = tree_of_files(source, core=True)
    return _compile(program_of(tree), tree, None, source)


def _library() -> CoreLibrary:
    from yang.core import core_library  # the library is compiled by this module

    return core_library()


def _compile(program: Program, tree: Tree, core: CoreLibrary | None, source: Source) -> Compiled:
    ast = Ast(tree.items, tree.places, ENTITY_BASE)
    ast_datoms = datoms_of(tree, base=ENTITY_BASE, tx=TX, program_hash=program.hash)
    scope = derive(
        rules.load("scope"), SCOPE_RELATIONS, Database.from_datoms(ast_datoms, CODE_SCHEMA)
    )
    analysis = Analysis(ast, scope, core)
    database = Database.from_datoms([*ast_datoms, *analysis.datoms()], CODE_SCHEMA)
    stages = rules.load("tail", "names", "conditions", "slots", "liveness", "execution", "errors")
    derived = derive(stages, EXECUTION_RELATIONS, database)
    raise_all(_errors(derived, analysis, source))
    stream = arrange(
        _step_rows(derived["step"]),
        [HandlerRow(*row) for row in derived["handler"]],
        analysis.body_of,
        ast.depths(),
    )
    return _assembled(program, database, stream, analysis, derived, tree.parts)


def _step_rows(rows: Rows) -> Iterable[StepRow]:
    for node, position, rank, sequence, instruction, n, a, b, c in rows:
        yield StepRow(node, position, rank, sequence, instruction.name, n, a, b, c)


def _assembled(
    program: Program,
    database: Database,
    stream: Stream,
    analysis: Analysis,
    derived: Mapping[str, Rows],
    parts: tuple[Part, ...],
) -> Compiled:
    ast = analysis.ast
    constants = _constants(stream, analysis, derived)
    names = {
        node: name
        for kind in ("variable", "def")
        for node in ast.nodes(kind)
        if (name := ast.name(node)) is not None
    }
    slot_names: dict[int, dict[int, str]] = defaultdict(dict)
    for binder, slot in sorted(derived["slot"]):
        slot_names[analysis.body_of[binder]][slot] = ast.name(binder) or "_"
    segment = assemble(
        stream,
        program_hash=program.hash,
        source_name=program.source_name,
        base=ast.base,
        top=Body(ast.base, 0, False, slot_names[ast.base]),
        lambdas=_lambdas(analysis, slot_names),
        constants=constants,
        names=names,
        spans=[item.span for item in ast.items],
        slots=dict([*derived["destination"], *derived["slot"]]),
    )
    segment = replace(segment, parts=parts)
    children = ast.children("application")
    facts = exec_datoms(
        stream,
        base=ast.base + len(ast.items),
        tx=TX,
        constants=constants,
        names=names,
        operator={node: found[0] for node, found in children.items()},
        operands={node: found[1:] for node, found in children.items()},
        functions=[ast.base, *analysis.lambdas],
    )
    return Compiled(program, database, stream, facts, segment)


def _lambdas(analysis: Analysis, slot_names: Mapping[int, Mapping[int, str]]) -> list[Lambda]:
    ast = analysis.ast
    arities = ast.children("lambda")
    parameters = ast.children("arity")
    found: list[Lambda] = []
    for node in analysis.lambdas:
        bodies = []
        for arity in arities[node]:
            variadic: bool = ast.scalar(arity, "ast/variadic")
            count = len(parameters[arity]) - 1 - variadic  # the last child is the body
            bodies.append(Body(arity, count, variadic, slot_names.get(arity, {})))
        binders = analysis.captured.get(analysis.group_of[node], [])
        captures = tuple(ast.name(binder) or "_" for binder in binders)
        found.append(Lambda(node, analysis.function_name(node), captures, tuple(bodies)))
    return found


def _constants(
    stream: Stream, analysis: Analysis, derived: Mapping[str, Rows]
) -> dict[tuple[int, int], object]:
    """Return the value of every constant the steps name, by (node, selector); see execution.dl."""
    ast = analysis.ast
    statics: dict[int, int] = dict(derived["static-reference"])
    hosts: dict[int, int] = dict(derived["host-reference"])
    constants: dict[tuple[int, int], object] = {}
    for step in stream.steps:
        key = constant_of(step)
        if key is None:
            continue
        node, selector = key
        value: object = None
        match ast.kind(node):
            case "literal":
                value = ast.scalar(node, "ast/value")
            case "lambda":
                value = analysis.function_ref(node)
            case "def":
                value = analysis.function_ref(analysis.static[node])
            case "catch":
                value = ast.scalar(node, "ast/class") if selector else _catches(analysis)
            case "variable" if node in statics:
                value = analysis.function_ref(statics[node])
            case "variable":
                value = _host_constant(analysis.hosts[hosts[node]])
        constants[key] = value
    return constants


def _host_constant(facts: Iterable[Fact]) -> object:
    known = dict(facts)
    if HOST["function"] in known:
        return FunctionRef(True, -1, str(known[HOST["function"]]))
    number = known[HOST["number"]]
    assert isinstance(number, int)
    return PrimitiveRef(number)


def _catches(analysis: Analysis) -> FunctionRef:
    if analysis.core is not None:
        return FunctionRef(True, -1, CATCHES)
    for def_, function in analysis.static.items():
        if analysis.ast.name(def_) == CATCHES:
            return analysis.function_ref(function)
    raise LookupError(f"the core library does not define {CATCHES}")


def _errors(derived: Mapping[str, Rows], analysis: Analysis, source: Source) -> list[SourceError]:
    """Return what is wrong with the program, in the order of its text."""
    found: list[tuple[int, str, str | None]] = []  # node, message, the name to find a near one for
    hints: dict[int, str] = {}
    ast = analysis.ast
    for (node,) in derived["unresolved"]:
        name = ast.name(node) or ""
        found.append((node, f"unresolved symbol: {name}", name))
    for (node,) in derived["recur-misplaced"]:
        found.append((node, "recur is not in tail position of a loop or function", None))
    for node, expected, given in derived["recur-count"]:
        text = f"recur with {given} arguments, where there are {expected} to renew"
        found.append((node, text, None))
    for node, given in derived["argument-count"]:
        name = ast.name(node + 1) or ""  # the operator is the first child
        text = f"wrong number of arguments ({given}) passed to {plain_name(name)}"
        found.append((node, text, None))
        known = facts_of_name(name, analysis.core, analysis.definitions)
        hints[node] = f"it takes {accepted(known)}"
    for node, function, given in derived["own-argument-count"]:
        name = ast.name(node + 1) or ""
        text = f"wrong number of arguments ({given}) passed to {name}"
        found.append((node, text, None))
        hints[node] = f"it takes {_arglists(function, ast)}"
    for node, children in ast.children("application").items():
        if len(children) > OPERAND_COUNT_MAX:
            found.append((node, f"{len(children)} arguments; at most {OPERAND_COUNT_MAX}", None))
    found.sort(key=lambda row: (row[0], row[1]))
    names = {*names_known(analysis.core), *analysis.definitions, *source.words}
    near = sorted(name for name in names if not name.startswith(("impl/", "long/")))
    return [
        source.error(text, ast.span(node), hints.get(node) or (name and _suggestion(name, near)))
        for node, text, name in found[:ERRORS_SHOWN_MAX]
    ]


def _suggestion(name: str, known: Sequence[str]) -> str | None:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"did you mean {close[0]}?" if close else None


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


def code_schema(database: Database) -> list[object]:
    """Return transaction data for the schema of code facts that a database lacks; mostly nothing.

    It has to be transacted before the first `code_datoms`.
    """
    return [
        Map([(Keyword("db/ident"), ident), *properties.items()])
        for ident, properties in CODE_SCHEMA.items()
        if database.schema.get(ident) != attribute_of(ident, properties)
    ]


def code_datoms(compiled: Compiled, database: Database) -> list[object]:
    """Return transaction data that adds a program's AST and execution facts to a database.

    Entities are numbered from the first free one, in one run: nodes, then steps, then sets of arguments.
    The database has the schema of `code_schema`.
    """
    shift = max(database.next_entity, ENTITY_BASE) - compiled.base
    tree = tree_of(compiled.program)
    facts = datoms_of(tree, base=compiled.base, tx=TX, program_hash=compiled.program.hash)
    facts += [
        Datom(compiled.base, PROGRAM_ROOT, compiled.base, TX, True),
        Datom(compiled.base, SOURCE_LANGUAGE, Keyword("clojure"), TX, True),
        *compiled.ast_db.datoms("aevt", BINDER),
    ]
    last = max([datom.e for datom in (*facts, *compiled.exec_datoms)])
    facts += expansion_datoms(tree, base=compiled.base, first=last + 1, tx=TX)
    add = Keyword("db/add")
    return [
        (
            add,
            datom.e + shift,
            datom.a,
            datom.v + shift if datom.a in REFERENCES and isinstance(datom.v, int) else datom.v,
        )
        for datom in (*facts, *compiled.exec_datoms)
    ]
