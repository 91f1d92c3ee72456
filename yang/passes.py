"""Analyses of programs: rule files, run by name over the facts of a program.

Is:     the registry of passes with what each reads and derives, their answers as relations, as datoms, and as a database
        in which queries join them with the AST.
Is not: a judgement: `yang.lint` words what is worth telling; nor a part of compiling, which needs none of these.
Fits:   on `yang.analysis` (scope) and the rules in `yang/rules`; `yin lint` and tools ask here.

    subject = subject_of(compile_source(text).program)
    subject.rows("effect")                            # [(function, effect) ...]
    q("[:find ...]", subject.database("types"))       # the AST with the facts of a pass

All passes that are asked for together are one stratified program: a relation is derived once, whoever reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from datomstore.database import Database
from datomstore.datalog import Budget, derive
from datomstore.datom import Datom
from datomstore.value import Keyword
from yang import host_facts, rules
from yang.analysis import SCOPE_RELATIONS, TX, Analysis, Ast, Rows
from yang.ast_datoms import ENTITY_BASE, VALUE_KIND, value_facts
from yang.code_schema import CODE_SCHEMA
from yang.columns import COMPARED, Columns, Facts
from yang.limits import OWN_RULES_ROUNDS_MAX, OWN_RULES_SECONDS_MAX
from yang.nodes import END_LOCATION, LOCATION, VALUE, Tree
from yang.pause import collector_paused
from yang.program import Program, tree_of
from yang.resolve import CoreLibrary
from yang.signatures import Signature


class PassUnknown(LookupError):
    """There is no pass, or no relation, of this name."""

    code = "passes/unknown"


class Pass(NamedTuple):
    """One rule file: the files whose relations it reads, and what it derives."""

    name: str
    needs: tuple[str, ...]
    relations: tuple[str, ...]
    # Relation -> the attribute that says the same of its first column; its value is the column with that number.
    facts: tuple[tuple[str, str, int], ...] = ()


# ORDER: a pass stands behind those it needs.
_TABLE = (
    Pass(
        "tail",
        (),
        ("tail", "target", "discarded", "last", "yields", "tail-call"),
        (("tail-call", "call/tail?", 1),),
    ),
    Pass(
        "names",
        ("tail",),
        ("static-reference", "global-reference", "host-reference", "unresolved", "calls"),
    ),
    Pass(
        "errors",
        ("tail", "names"),
        (
            "recur-misplaced",
            "recur-count",
            "argument-count",
            "own-argument-count",
        ),
    ),
    Pass(
        "liveness",
        ("tail", "names"),
        ("use", "live-after", "last-use"),
        (("last-use", "variable/last-use", 1),),
    ),
    Pass("flow", ("callgraph", "tail", "names"), ("comes-from", "passes-on", "renewed")),
    Pass(
        "variables",
        ("flow", "callgraph", "tail", "names"),
        ("storage", "free-variable"),
        (("storage", "storage/class", 1), ("free-variable", "scope/free", 1)),
    ),
    Pass(
        "constants",
        ("names", "tail"),
        ("value", "nothing", "truth", "folds"),
        (("folds", "fold/value", 1),),
    ),
    Pass(
        "callgraph",
        ("flow", "tail", "names"),
        (
            "owner",
            "invoked",
            "enters",
            "enters-function",
            "receives",
            "hands-over",
            "called-parameter",
            "calls-function",
            "recursive",
            "recursion-group",
        ),
        (
            ("enters-function", "call/target", 1),
            ("calls-function", "fn/calls", 1),
            ("recursion-group", "fn/recursion-group", 1),
        ),
    ),
    Pass(
        "effects",
        ("callgraph", "flow", "constants", "tail", "names"),
        (
            "effect",
            "body-effect",
            "calls-argument",
            "purity",
            "stream-access",
            "stream-unknown",
            "counted",
            "gives-back",
            "causes",
            "host-effect",
            "asks",
        ),
        (
            ("effect", "fn/effect", 1),
            ("purity", "fn/purity", 1),
            ("stream-access", "stream/access", 1),
        ),
    ),
    Pass(
        "reach",
        ("effects", "callgraph", "flow", "constants", "tail", "names"),
        ("live", "gets-to", "loose", "calls-anything", "reaches"),
    ),
    Pass(
        "types",
        ("callgraph", "flow", "constants", "tail", "names"),
        ("kind", "certainty", "escapes", "returns"),
        (("kind", "type/kind", 1), ("certainty", "type/certainty", 1)),
    ),
    Pass(
        "dead",
        ("types", "constants", "callgraph", "flow", "tail", "names"),
        (
            "known-test",
            "never-completes",
            "throws",
            "unreachable",
            "unused-local",
            "unused-definition",
            "unused-function",
        ),
        (("unreachable", "dead/why", 1),),
    ),
    Pass(
        "inline",
        ("callgraph", "flow", "variables", "types", "constants", "tail", "names"),
        ("size", "single-use-function", "inline-candidate"),
        (("size", "fn/size", 1), ("inline-candidate", "inline/function", 1)),
    ),
    Pass(
        "lint",
        (
            "dead",
            "inline",
            "types",
            "effects",
            "callgraph",
            "variables",
            "constants",
            "flow",
            "tail",
            "names",
        ),
        ("finding",),
    ),
)
PASSES: dict[str, Pass] = {row.name: row for row in _TABLE}
RELATIONS: dict[str, Pass] = {relation: row for row in _TABLE for relation in row.relations}

_MANY = {Keyword("db/cardinality"): Keyword("db.cardinality/many")}
_REF = {Keyword("db/valueType"): Keyword("db.type/ref")}
# Attributes of derived facts. In the stream `code` the same names are derived when a query asks (`yang.asked`).
SCHEMA: dict[Keyword, dict[Keyword, Any]] = {
    Keyword("storage/class"): _MANY,
    Keyword("scope/free"): _REF | _MANY,
    Keyword("fold/value"): {},
    Keyword("call/tail?"): {},
    Keyword("variable/last-use"): _REF | _MANY,
    Keyword("call/target"): _REF | _MANY,
    Keyword("fn/calls"): _REF | _MANY,
    Keyword("fn/recursion-group"): _REF,
    Keyword("fn/effect"): _MANY,
    Keyword("fn/purity"): {},
    Keyword("stream/access"): _MANY,
    Keyword("type/kind"): _MANY,
    Keyword("type/certainty"): {},
    Keyword("dead/why"): _MANY,
    Keyword("fn/size"): {},
    Keyword("inline/function"): _REF | _MANY,
}
MACRO_USES = Keyword("program/macro-uses")
FACTS_SCHEMA = CODE_SCHEMA | host_facts.SCHEMA | {MACRO_USES: _MANY}


@dataclass(slots=True, weakref_slot=True)
class Subject:
    """A program under analysis: its tree, and the facts that the passes read."""

    analysis: Analysis  # the nodes, and what scope.dl derives of them
    columns: Facts
    facts: Database  # the same as a database: AST, scope, and what the host knows of names
    _known: dict[str, Rows] = field(default_factory=dict)

    @property
    def ast(self) -> Ast:
        """Return the nodes by entity."""
        return self.analysis.ast

    def rows(self, relation: str) -> Rows:
        """Return the answers of one relation of a pass. Raises PassUnknown."""
        return self.relations([relation])[relation]

    def relations(self, names: Iterable[str]) -> dict[str, Rows]:
        """Return the answers of relations, those not yet known derived together. Raises PassUnknown."""
        wanted = list(names)
        missing = sorted({name for name in wanted if name not in self._known})
        if missing:
            files = files_of({pass_of(name).name for name in missing})
            with collector_paused():
                self._known.update(derive(rules.load(*files), missing, self.facts))
        return {name: self._known[name] for name in wanted}

    def run(self, *passes: str) -> dict[str, Rows]:
        """Return all relations of these passes, or of all. Raises PassUnknown."""
        chosen = [_pass(name) for name in passes or PASSES]
        return self.relations([relation for row in chosen for relation in row.relations])

    def datoms(self, *passes: str) -> list[Datom]:
        """Return what these passes, or all, say of nodes, as facts. Raises PassUnknown."""
        chosen = [_pass(name) for name in passes or PASSES]
        stated = [stated for row in chosen for stated in row.facts]
        answers = self.relations([relation for relation, _, _ in stated])
        return [
            Datom(row[0], attribute, row[place], TX, True)
            for relation, name, place in stated
            for attribute in (Keyword(name),)
            for row in _functional(answers[relation], attribute)
        ]

    def database(self, *passes: str) -> Database:
        """Return the program's facts with those of these passes, or of all, for queries. Raises PassUnknown."""
        derived = self.datoms(*passes)
        given = {datom.a for datom in derived}
        facts = self.columns.twin()
        _say(facts, derived)
        schema = (
            CODE_SCHEMA
            | host_facts.SCHEMA
            | {a: properties for a, properties in SCHEMA.items() if a in given}
        )
        return facts.database(TX, schema)

    def derive(
        self, own: rules.Rules, names: Iterable[str], needs: Iterable[str]
    ) -> dict[str, Rows]:
        """Return the answers of further rules, which may read every relation of the passes they need.

        Raises:
            QueryError: a rule that cannot be evaluated, or that does not come to an end.
        """
        budget = Budget(seconds=OWN_RULES_SECONDS_MAX, rounds=OWN_RULES_ROUNDS_MAX)
        with collector_paused():
            whole = (*rules.load(*files_of(needs)), *own)
            return derive(whole, names, self.facts, budget=budget)


def _functional(rows: Rows, attribute: Keyword) -> Iterable[tuple[Any, ...]]:
    """Return rows, one per entity where the attribute has one value."""
    if SCHEMA[attribute].keys() >= _MANY.keys():
        return dict.fromkeys(rows)
    return {row[0]: row for row in rows}.values()


def pass_of(relation: str) -> Pass:
    """Return the pass that derives a relation. Raises PassUnknown."""
    if relation not in RELATIONS:
        raise PassUnknown(f"no pass derives {relation}")
    return RELATIONS[relation]


def _pass(name: str) -> Pass:
    if name not in PASSES:
        raise PassUnknown(f"no pass {name}; there are {', '.join(PASSES)}")
    return PASSES[name]


def files_of(passes: Iterable[str]) -> tuple[str, ...]:
    """Return the rule files of passes and of what they need, in the order of the table."""
    wanted = set(passes)
    for row in reversed(_TABLE):
        if row.name in wanted:
            wanted.update(row.needs)
    return tuple(row.name for row in _TABLE if row.name in wanted)


def subject_of(program: Program | Tree, *, macro_uses: Iterable[str] = ()) -> Subject:
    """Return a program's facts, ready for passes. `macro_uses`: definitions that its macros mention, which are no part of it.

    Raises:
        ProgramInvalid: the bytes are no program.
    """
    from yang.core import core_library  # these two are made by the compiler and by the passes
    from yang.summaries import library_signatures

    tree = tree_of(program) if isinstance(program, Program) else program
    return subject(tree, core_library(), library_signatures(), macro_uses)


def subject(
    tree: Tree,
    core: CoreLibrary | None,
    library: Mapping[str, Sequence[Signature]],
    macro_uses: Iterable[str] = (),
) -> Subject:
    """Return a tree's facts, given what is known of the core library; while that is analysed itself, nothing."""
    with collector_paused():
        facts = _tree_facts(tree)
        scope = derive(rules.load("scope"), SCOPE_RELATIONS, facts.database(TX))
        analysis = Analysis(Ast(tree.items, tree.places, ENTITY_BASE), scope, core)
        known = analysis.datoms()
        free = max([ENTITY_BASE + len(tree.items), *(datom.e + 1 for datom in known)])
        known += host_facts.host_datoms(analysis, free, library)
        known += host_facts.query_datoms(analysis.ast)
        known += [Datom(ENTITY_BASE, MACRO_USES, name, TX, True) for name in sorted(macro_uses)]
        _say(facts, known)
        return Subject(analysis, facts, facts.database(TX))


def _tree_facts(tree: Tree) -> Facts:
    """Return what `yang.ast_datoms` says of a tree, as columns."""
    facts, columns = Facts(ENTITY_BASE), Columns(tree)
    facts.say_nodes(columns, np.ones(columns.count, np.bool_))
    spans = [item.span for item in tree.items]
    facts.say([(node, LOCATION, (span.line, span.column)) for node, span in enumerate(spans)])
    facts.say(
        [(node, END_LOCATION, (span.end_line, span.end_column)) for node, span in enumerate(spans)]
    )
    facts.say(
        [
            (node, attribute, value)
            for node in columns.of("literal").tolist()
            for attribute, value in value_facts(columns.scalar(node))
            if attribute is not VALUE_KIND and not (attribute is VALUE and type(value) in COMPARED)
        ]
    )
    return facts


def _say(facts: Facts, datoms: Iterable[Datom]) -> None:
    facts.say([(datom.e - facts.base, datom.a, datom.v) for datom in datoms])
