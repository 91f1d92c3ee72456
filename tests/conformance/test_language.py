"""Every language case on the reference machine and on the compiled one."""

from __future__ import annotations

import pytest
from language import (
    GLOBALS,
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
        tree = tree_of_source(case.source, f"{case.file}.clj")
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
        compile_source(case.source, f"{case.file}.clj")
    assert case.expected in str(caught.value)


def test_the_reference_machine_has_every_host_function() -> None:
    assert set(FUNCTIONS) == {row.name for row in PRIMITIVES if row.kind is Kind.PURE}
