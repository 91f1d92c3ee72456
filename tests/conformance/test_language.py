"""Every language case on the reference machine and on the compiled one."""

from __future__ import annotations

import pytest
from evaluated import noted_tree
from language import (
    GLOBALS,
    HOST,
    MEMORY,
    REFUSED,
    RUNNING,
    Case,
    Outcome,
    check,
    machine_of,
    outcome_of,
    reference_core,
)

from datomstore.database import Database
from yang.analysis import TX
from yang.ast_datoms import ENTITY_BASE, SCHEMA, datoms_of
from yang.compile import compile_source
from yang.errors import SourceError, SourceErrors
from yang.lower import tree_of_source
from yang.primitives import PRIMITIVES, Kind
from yind.cesk.reference import ReferenceCode, ReferenceMachine
from yind.cesk.reference_primitives import FUNCTIONS

each_case = pytest.mark.parametrize("case", RUNNING, ids=[case.name for case in RUNNING])


@each_case
def test_the_reference_machine_gives_what_clojure_gives(case: Case) -> None:
    try:
        tree = noted_tree(tree_of_source(case.source, f"{case.file}.clj", HOST))
    except (SourceError, SourceErrors) as error:
        check(case, Outcome(error=str(error)))
        return
    code = ReferenceCode.of_tree(tree, reference_core())
    machine = ReferenceMachine(code, memory_max=MEMORY, globals=GLOBALS)
    check(case, outcome_of(machine))


@each_case
def test_the_compiled_machine_gives_what_clojure_gives(case: Case) -> None:
    try:
        machine = machine_of(case)
    except (SourceError, SourceErrors) as error:
        check(case, Outcome(error=str(error)))
        return
    check(case, outcome_of(machine))


@pytest.mark.parametrize("case", REFUSED, ids=[case.name for case in REFUSED])
def test_the_compiler_refuses_what_it_does_not_support(case: Case) -> None:
    with pytest.raises((SourceError, SourceErrors)) as caught:
        compile_source(case.source, f"{case.file}.clj", host=HOST)
    assert case.expected in str(caught.value)


def test_the_reference_machine_has_every_host_function() -> None:
    assert set(FUNCTIONS) == {row.name for row in PRIMITIVES if row.kind is Kind.PURE}


def test_the_reference_machine_runs_from_the_facts_the_compiler_kept() -> None:
    compiled = compile_source("(defn twice [x] (* 2 x)) (twice 21)", "twice.clj")
    code = ReferenceCode(compiled.ast_db, compiled.base, reference_core())
    assert outcome_of(ReferenceMachine(code)).value == 42


def test_programs_in_one_database_do_not_see_each_other() -> None:
    first = tree_of_source("(def x 1) x", "first.clj")
    second = tree_of_source("x", "second.clj")
    start = ENTITY_BASE + len(first.items)
    facts = [*datoms_of(first, tx=TX), *datoms_of(second, base=start, tx=TX)]
    database = Database.from_datoms(facts, SCHEMA)
    machines = [
        ReferenceMachine(ReferenceCode(database, root, reference_core()))
        for root in (ENTITY_BASE, start)
    ]
    assert [outcome_of(machine) for machine in machines] == [
        Outcome(1),
        Outcome(error="unresolved symbol: x"),
    ]
