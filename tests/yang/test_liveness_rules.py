"""Which reads of a variable are its last, as the rules derive it, against a backward walk over the same tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.database import Database
from datomstore.datalog import derive
from yang import rules
from yang.analysis import SCOPE_RELATIONS, Analysis, Ast
from yang.ast_datoms import datoms_of
from yang.code_schema import CODE_SCHEMA
from yang.compile import compile_source
from yang.core import core_library
from yang.disassemble import disassemble
from yang.lower import tree_of_source
from yang.resolve import CoreLibrary

NAMES = st.sampled_from(["a", "b", "c"])
Live = frozenset[int]


def forms(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.builds("{} {}".format, NAMES, inner), min_size=1, max_size=3).map(" ".join)
    parameters = st.lists(NAMES, min_size=1, max_size=2, unique=True).map(" ".join)
    return st.one_of(
        st.builds("(fn* ([{}] {}))".format, parameters, inner),
        st.builds("(let* [{}] {})".format, pairs, inner),
        st.builds("(loop* [{} {}] (if {} (recur {}) {}))".format, NAMES, inner, *[inner] * 3),
        st.builds(
            "(loop* [{} {}] (do {} (let* [{} {}] (if {} {} (recur {})))))".format,
            *(NAMES, inner, inner, NAMES),
            *[inner] * 4,
        ),
        st.builds("(if {} {} {})".format, inner, inner, inner),
        st.builds("(do {} {})".format, inner, inner),
        st.builds("({} {})".format, inner, inner),
        st.builds("(+ {} {})".format, inner, inner),
        st.builds("(count {})".format, inner),
        st.builds(
            "(try {} (catch E {} {}) (catch F {} {}) (finally {}))".format,
            *(inner, NAMES, inner, NAMES, inner, inner),
        ),
        st.builds(
            "(letfn* [a (fn* ([{}] {})) b (fn* ([c] {}))] {})".format,
            *(parameters, inner, inner, inner),
        ),
    )


BODIES = st.recursive(st.one_of(NAMES, NAMES, st.just("1")), forms, max_leaves=14)
PROGRAMS = st.builds("(fn* ([a b c] {}))".format, BODIES)


@cache
def library() -> CoreLibrary:
    return core_library()


class Direct:
    """Sets of live variables, carried backwards; loops until they do not grow."""

    def __init__(self, ast: Ast, analysis: Analysis) -> None:
        self.ast = ast
        self.body_of = analysis.body_of
        self.binder: dict[int, int] = dict(analysis.scope["local"])
        self.captured = analysis.captured
        self.children: dict[int, list[int]] = defaultdict(list)
        for number, place in enumerate(ast.places):
            if place.parent >= 0:
                self.children[place.parent + ast.base].append(number + ast.base)
        self.last: set[tuple[int, int]] = set()
        self.lying: set[tuple[int, int]] = set()
        self.rounds: list[tuple[int, Live, Live]] = []  # loops around: node, own variables, entry
        self.walk(ast.base, frozenset())

    def role(self, node: int) -> str:
        role = self.ast.places[node - self.ast.base].role
        assert role is not None
        return role.name.removeprefix("ast/")

    def own(self, node: int, binder: int) -> bool:
        return self.body_of[node] == self.body_of.get(binder)

    def read(self, node: int, binder: int, after: Live) -> Live:
        """Return what is live before a read, and note whether it is the last."""
        if not self.own(node, binder):
            return after
        self.last.discard((node, binder))
        if binder not in after:
            self.last.add((node, binder))
        return after | {binder}

    def walk(self, node: int, after: Live) -> Live:
        """Return what is live before a node, given what is live after it."""
        walk = getattr(self, f"walk_{self.ast.kind(node)}", None)
        found: Live = walk(node, after) if walk else self.sequence(self.children[node], after)
        return found

    def sequence(self, nodes: Sequence[int], after: Live) -> Live:
        for node in reversed(nodes):
            after = self.walk(node, after)
        return after

    def walk_binding(self, node: int, after: Live) -> Live:
        return self.sequence(self.children[node], after - {node})

    def walk_catch(self, node: int, after: Live) -> Live:
        return self.sequence(self.children[node], after) - {node}

    def walk_variable(self, node: int, after: Live) -> Live:
        binder = self.binder.get(node)
        return after if binder is None else self.read(node, binder, after)

    def walk_lambda(self, node: int, after: Live) -> Live:
        rounds, self.rounds = self.rounds, []
        self.sequence(self.children[node], frozenset())
        self.rounds = rounds
        for binder in self.captured.get(node, []):
            after = self.read(node, binder, after)
        return after

    def walk_arity(self, node: int, after: Live) -> Live:
        self.walk(self.children[node][-1], frozenset())
        return after

    def walk_letrec(self, node: int, after: Live) -> Live:
        before = self.sequence(self.children[node], after)
        captured = self.captured.get(node, [])
        return before | {binder for binder in captured if self.own(node, binder)}

    def walk_if(self, node: int, after: Live) -> Live:
        test, then, other = self.children[node]
        return self.walk(test, self.walk(then, after) | self.walk(other, after))

    def walk_application(self, node: int, after: Live) -> Live:
        operator, *operands = self.children[node]
        if self.ast.name(operator) == "+" and all(
            self.ast.kind(operand) != "literal" for operand in operands
        ):
            for operand in operands:  # read where they lie, at the end
                binder = self.binder.get(operand)
                if binder is not None and self.own(operand, binder):
                    self.lying.add((operand, binder))
                    after |= {binder}
        return self.sequence([operator, *operands], after)

    def walk_loop(self, node: int, after: Live) -> Live:
        *bindings, body = self.children[node]
        entry: Live = frozenset()
        while True:
            self.rounds.append((node, frozenset(bindings), entry))
            found = self.walk(body, after)
            self.rounds.pop()
            if found == entry:
                return self.sequence(bindings, found - frozenset(bindings))
            entry = found

    def walk_recur(self, node: int, after: Live) -> Live:
        _, own, entry = self.rounds[-1]
        return self.sequence(self.children[node], entry - own)

    def mentioned(self, node: int) -> Live:
        found = {self.binder[node]} if node in self.binder else set()
        found |= set(self.captured.get(node, []))
        for child in self.children[node]:
            if self.ast.kind(child) != "arity":
                found |= self.mentioned(child)
        return frozenset(found)

    def walk_try(self, node: int, after: Live) -> Live:
        handlers: Live = frozenset()
        children = self.children[node]
        for child in children:
            if self.role(child) == "catches":
                self.walk(child, after)
        for child in children:
            if self.role(child) == "catches":
                handlers |= self.mentioned(child)
        return self.walk(children[0], after | handlers)


def derived(source: str) -> tuple[set[tuple[int, int]], Direct]:
    tree = tree_of_source(source)
    ast = Ast(tree.items, tree.places, 1)
    facts = datoms_of(tree, base=1, tx=1)
    scope = derive(rules.load("scope"), SCOPE_RELATIONS, Database.from_datoms(facts, CODE_SCHEMA))
    analysis = Analysis(ast, scope, library())
    database = Database.from_datoms([*facts, *analysis.datoms()], CODE_SCHEMA)
    found = derive(rules.load("tail", "names", "liveness"), ("last-use",), database)
    return {(node, binder) for node, binder in found["last-use"]}, Direct(ast, analysis)


@settings(max_examples=40)
@given(PROGRAMS)
def test_last_uses_agree_with_a_backward_walk(source: str) -> None:
    found, direct = derived(source)
    assert found - direct.lying == direct.last - direct.lying


@pytest.mark.parametrize(
    ("source", "taken"),
    [
        ("(fn* ([a] (conj a 1)))", 1),
        ("(fn* ([a b] (if b (conj a 1) (conj a 2))))", 2),  # one on each way
        ("(fn* ([a] (vector (conj a 1) (conj a 2))))", 1),  # the second only
        ("(fn* ([a b] (loop* [i b] (if i (recur (conj a i)) (conj a 1)))))", 3),  # b, i, last a
        ("(fn* ([a] (try (conj a 1) (catch :default e (conj a 2)))))", 1),  # in the catch only
        ("(fn* ([a] (conj a (fn* ([] a)))))", 1),  # by the closure
    ],
)
def test_a_last_use_is_taken(source: str, taken: int) -> None:
    lines = disassemble(compile_source(source).segment).splitlines()
    assert sum(" take " in line for line in lines) == taken
