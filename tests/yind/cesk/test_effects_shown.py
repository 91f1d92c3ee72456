"""What a node learns of an effect before it takes anything out of the machine; the same on both machines."""

from __future__ import annotations

import time
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest
from modes import program_of

from datomstore.value import Char, Keyword, List, Map, Set, Symbol
from yind.cesk import Machine, StateInvalid, Status
from yind.cesk.errors import ValueInvalid
from yind.cesk.reference import ReferenceMachine

MOST = 1 << 20
FUEL = 1 << 26
SHARED = "(reduce (fn [v _] [v v]) [1] (range {}))"


def machines(source: str, given: object = None) -> list[Machine | ReferenceMachine]:
    program = program_of(source, "test.clj")
    found: list[Machine | ReferenceMachine] = [
        program.compiled_machine(globals={"*args*": given}),
        program.direct_machine(globals={"*args*": given}),
    ]
    for machine in found:
        assert machine.run(FUEL) is not Status.OUT_OF_FUEL
    return found


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (None, 1),
        (5, 1),
        ("a" * 63, 1),
        ("é" * 64, 3),
        (Keyword("k" * 64), 2),
        (Symbol("a"), 1),
        (Char("a"), 1),
        (UUID(int=7), 1),
        (b"x" * 640, 11),
        (1 << 63, 1),
        (1 << 6400, 13),
        (Fraction(1, 3), 3),
        (Decimal("1.5"), 3),
        ((), 1),
        ((1, (2, 3)), 5),
        (List((1, List((2,)))), 4),
        (Map({1: (2,), "a": Map()}), 6),
        (Set([1, 2, "a" * 64]), 5),
    ],
    ids=repr,
)
def test_parts_are_counted_alike(value: object, parts: int) -> None:
    for machine in machines("(log! *args*)", value):
        assert machine.effect_parts(MOST) == parts
    for machine in machines("*args*", value):
        assert machine.result_parts(MOST) == parts


def test_what_is_shared_is_counted_wherever_it_stands_and_not_beyond_what_matters() -> None:
    for machine in machines(f"(log! {SHARED.format(10)})"):
        assert machine.effect_parts(MOST) == 2**10 * 3 - 1
        assert machine.effect_parts(100) == 101
    for machine in machines('(finish! [1 2] "a")'):
        assert machine.effect_parts(MOST) == 4


def test_counting_ends_soon_however_much_is_shared() -> None:
    for machine in machines(f'(throw (ex-info "a" {{:a {SHARED.format(30)}}}))'):
        began = time.perf_counter()
        assert machine.fault.data == Map()
        assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("source", "name", "is_it"),
    [
        ('(hop! "beta")', "hop!", True),
        ('(hop! "gamma")', "hop!", False),
        ('(hop! "betas")', "hop!", False),
        ('(hop! "bet")', "hop!", False),
        ("(hop! :beta)", "hop!", False),
        ('(hop! ["beta"])', "hop!", False),
        ('(log! "beta")', "log!", False),
        ('(q "beta" "beta")', "q", False),
        ("(here)", "here", False),
    ],
)
def test_what_is_asked_for_is_known_without_taking_it_out(
    source: str, name: str, *, is_it: bool
) -> None:
    for machine in machines(source):
        assert machine.effect_name == name
        assert machine.asks_for("hop!", "beta") is is_it


def test_who_asks_for_nothing_says_so() -> None:
    for machine in machines("7"):
        with pytest.raises(StateInvalid):
            _ = machine.effect_name
        with pytest.raises(StateInvalid):
            machine.asks_for("hop!", "beta")
        with pytest.raises(StateInvalid):
            machine.effect_parts(1)
    for machine in machines("(here)"):
        with pytest.raises(StateInvalid):
            machine.result_parts(1)


@pytest.mark.parametrize("ends", ["(log! x)", "x"])
def test_looking_through_what_is_shared_is_paid_for(ends: str) -> None:
    source = f"(let [x {SHARED.format(22)}] {ends})"
    machine = program_of(source, "test.clj").compiled_machine()
    began = time.perf_counter()
    assert machine.run(1_000) is Status.OUT_OF_FUEL
    assert time.perf_counter() - began < 0.1


def test_a_message_is_cut_where_it_is_long() -> None:
    for machine in machines('(throw (ex-info (apply str (repeat 40000 "é")) {}))'):
        assert machine.fault.message == "é" * (1 << 15) + "..."


@pytest.mark.parametrize(
    "source",
    [
        "(log! (into #{} (map #(* % 2305843009213693951) (range 8 500))))",
        "(log! (into {} (map #(vector (* % 2305843009213693951) 1) (range 8 500))))",
    ],
)
def test_keys_that_are_made_to_collide_are_not_taken_out(source: str) -> None:
    for machine in machines(source):
        with pytest.raises(ValueInvalid, match="made to collide"):
            _ = machine.effect
