"""Maps and sets are walked in the same order by both machines, whatever was put and taken out before."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language import Outcome, core_code, outcome_of, reference_core

from yang.compile import compile_source
from yang.lower import tree_of_source
from yind.cesk import Code, Machine
from yind.cesk.reference import ReferenceCode, ReferenceMachine

CHANGES = st.lists(st.tuples(st.sampled_from(["put", "out"]), st.integers(0, 24)), max_size=60)
WALKS = "[(keys m) (vals m) (seq s) (reduce (fn [l e] (conj l e)) [] m) (into [] s) (first m) (pr-str m s)]"


def program(changes: list[tuple[str, int]]) -> str:
    maps = " ".join(
        f"(assoc {n} [{n}])" if kind == "put" else f"(dissoc {n})" for kind, n in changes
    )
    sets = " ".join(f"({'conj' if kind == 'put' else 'disj'} {n})" for kind, n in changes)
    return f"(let [m (-> {{}} {maps}) s (-> #{{}} {sets})] {WALKS})"


def outcomes(source: str) -> list[Outcome]:
    """What the compiled machine and the reference machine come to."""
    code = Code(compile_source(source, "order.clj").segment, core_code())
    direct = ReferenceCode.of_tree(tree_of_source(source, "order.clj"), reference_core())
    return [outcome_of(Machine(code, memory_max=1 << 24)), outcome_of(ReferenceMachine(direct))]


@settings(max_examples=40)
@given(CHANGES)
def test_both_machines_walk_in_the_same_order(changes: list[tuple[str, int]]) -> None:
    compiled, direct = outcomes(program(changes))
    assert compiled.error is None
    assert compiled == direct


@pytest.mark.parametrize("left", range(10))
def test_a_map_that_shrinks_keeps_its_ways_until_it_is_empty(left: int) -> None:
    changes = [("put", n) for n in range(10)] + [("out", n) for n in range(10 - left)]
    compiled, direct = outcomes(program([*changes, ("put", 20), ("put", 21), ("out", 9)]))
    assert compiled == direct


def test_a_literal_and_a_copy_of_it_are_walked_as_they_are_written() -> None:
    names = [f":k{i}" for i in range(40)]
    literal = "{" + " ".join(f"{name} {i}" for i, name in enumerate(names)) + "}"
    source = f"[(keys {literal}) (keys (into {{}} {literal})) (vals (merge {literal} {{:k3 :x}}))]"
    compiled, direct = outcomes(source)
    assert compiled == direct
    assert [repr(name) for name in compiled.value[0]] == names  # type: ignore[index]
