"""What the scope and tail rules derive, against a direct computation on the same tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from datomstore.database import Database
from datomstore.datalog import derive
from datomstore.value import Keyword
from yang import rules
from yang.analysis import SCOPE_RELATIONS
from yang.ast_datoms import datoms_of
from yang.code_schema import CODE_SCHEMA
from yang.lower import tree_of_source
from yang.nodes import KINDS, TYPE, Node

NAMES = st.sampled_from(["a", "b", "c"])


def forms(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.builds(lambda name, init: f"{name} {init}", NAMES, inner)
    pairs = st.lists(pair, min_size=1, max_size=3).map(" ".join)
    parameters = st.lists(NAMES, max_size=2, unique=True).map(" ".join)
    return st.one_of(
        st.builds(lambda p, body: f"(fn* ([{p}] {body}))", parameters, inner),
        st.builds(lambda name, p, body: f"(fn* {name} ([{p}] {body}))", NAMES, parameters, inner),
        st.builds(lambda bindings, body: f"(let* [{bindings}] {body})", pairs, inner),
        st.builds(lambda bindings, body: f"(loop* [{bindings}] {body})", pairs, inner),
        st.builds(lambda *parts: f"(if {' '.join(parts)})", inner, inner, inner),
        st.builds(lambda *parts: f"(do {' '.join(parts)})", inner, inner),
        st.builds(lambda *parts: f"({' '.join(parts)})", inner, inner),
        st.builds(
            lambda body, name, handler, last: (
                f"(try {body} (catch Exception {name} {handler}) (finally {last}))"
            ),
            inner,
            NAMES,
            inner,
            inner,
        ),
        st.builds(
            lambda x, y, p, one, two, body: (
                f"(letfn* [{x} (fn* ([{p}] {one})) {y} (fn* ([] {two}))] {body})"
            ),
            st.just("a"),
            st.just("b"),
            parameters,
            inner,
            inner,
            inner,
        ),
    )


PROGRAMS = st.recursive(st.one_of(NAMES, st.just("1")), forms, max_leaves=12)

Env = dict[str, int]


class Direct:
    """A walk over the tree that keeps the environment, the function and the tail position at hand."""

    def __init__(self, tree: Node) -> None:
        self.count = 0
        self.local: set[tuple[int, int]] = set()
        self.tail: set[int] = set()
        self.owner: dict[int, int] = {}  # binder -> the body whose slot holds it
        self.uses: list[tuple[int, tuple[tuple[int, int, frozenset[int]], ...]]] = []
        self.walk(tree, {}, (), tail=False)
        self.captured = set(self.captures())

    def walk(self, node: Node, env: Env, functions: tuple[Any, ...], *, tail: bool) -> int:
        """`functions`: from the outside in, (body, group, binders that the function itself stands for)."""
        me = self.count
        self.count += 1
        kind = node[TYPE].name
        if tail:
            self.tail.add(me)
        getattr(self, f"walk_{kind}", self.walk_other)(node, me, env, functions, tail)
        return me

    def get(self, node: Node, role: str) -> Any:
        return node.get(Keyword(f"ast/{role}"))

    def children(self, node: Node) -> Iterator[tuple[str, Node]]:
        for role in KINDS[node[TYPE].name].roles:
            found = node.get(role.attribute)
            if found is not None:
                for child in [found] if role.single else found:
                    yield role.attribute.name.removeprefix("ast/"), child

    def walk_program(self, node: Node, me: int, env: Env, functions: Any, tail: bool) -> None:
        statements = list(self.get(node, "statements"))
        for child in statements:
            self.walk(child, env, ((me, None, frozenset()),), tail=child is statements[-1])

    def walk_variable(self, node: Node, me: int, env: Env, functions: Any, tail: bool) -> None:
        binder = env.get(self.get(node, "name"))
        if binder is not None:
            self.local.add((me, binder))
            self.uses.append((binder, functions))

    def walk_let(self, node: Node, me: int, env: Env, functions: Any, tail: bool) -> None:
        env = dict(env)
        for binding in self.get(node, "bindings"):
            binder = self.count
            self.count += 1
            self.owner[binder] = functions[-1][0]
            self.walk(self.get(binding, "init"), env, functions, tail=False)
            env[self.get(binding, "name")] = binder
        self.walk(self.get(node, "body"), env, functions, tail=tail)

    walk_loop = walk_let

    def walk_letrec(self, node: Node, me: int, env: Env, functions: Any, tail: bool) -> None:
        env = dict(env)
        bindings = list(self.get(node, "bindings"))
        here = self.count
        for binding in bindings:  # all names first: every function sees all of them
            env[self.get(binding, "name")] = here
            self.owner[here] = functions[-1][0]
            here += self.size(binding)
        siblings = frozenset(env[self.get(binding, "name")] for binding in bindings)
        for binding in bindings:
            self.count += 1
            function = self.count
            self.count += 1
            init = self.get(binding, "init")
            self.functions(init, function, env, functions, me, siblings)
        self.walk(self.get(node, "body"), env, functions, tail=tail)

    def size(self, node: Node) -> int:
        return 1 + sum(self.size(child) for _, child in self.children(node))

    def walk_lambda(self, node: Node, me: int, env: Env, functions: Any, tail: bool) -> None:
        self.functions(node, me, env, functions, me, frozenset())

    def functions(
        self, node: Node, me: int, env: Env, functions: Any, group: int, siblings: frozenset[int]
    ) -> None:
        env = dict(env)
        name = self.get(node, "name")
        if name is not None:
            env[name] = me
        for arity in self.get(node, "arities"):
            body = self.count
            self.count += 1
            inner = dict(env)
            for parameter in self.get(arity, "params"):
                inner[self.get(parameter, "name")] = self.count
                self.owner[self.count] = body
                self.count += 1
            frame = (body, group, siblings | {me})
            self.walk(self.get(arity, "body"), inner, (*functions, frame), tail=True)

    def walk_try(self, node: Node, me: int, env: Env, functions: Any, tail: bool) -> None:
        self.walk(self.get(node, "body"), env, functions, tail=False)
        for catch in self.get(node, "catches"):
            binder = self.count
            self.count += 1
            self.owner[binder] = functions[-1][0]
            inner = {**env, self.get(catch, "name"): binder}
            self.walk(self.get(catch, "body"), inner, functions, tail=False)

    def walk_if(self, node: Node, me: int, env: Env, functions: Any, tail: bool) -> None:
        for role, child in self.children(node):
            self.walk(child, env, functions, tail=tail and role != "test")

    def walk_do(self, node: Node, me: int, env: Env, functions: Any, tail: bool) -> None:
        statements = list(self.get(node, "statements"))
        for position, child in enumerate(statements):
            last = position == len(statements) - 1
            self.walk(child, env, functions, tail=tail and last)

    def walk_other(self, node: Node, me: int, env: Env, functions: Any, tail: bool) -> None:
        for _, child in self.children(node):
            self.walk(child, env, functions, tail=False)

    def captures(self) -> Iterator[tuple[int, int]]:
        """Yield (group, binder) for every function between a use and the frame that has the value."""
        for binder, functions in self.uses:
            for body, group, own in reversed(functions):
                if self.owner.get(binder) == body or binder in own:
                    break
                yield group, binder


def derived(source: str) -> tuple[Node, dict[str, list[tuple[int, ...]]]]:
    tree = tree_of_source(source)
    database = Database.from_datoms(datoms_of(tree, base=0, tx=1), CODE_SCHEMA)
    wanted = (*SCOPE_RELATIONS, "tail", "target")
    return tree.root, derive(rules.load("scope", "tail"), wanted, database)


@settings(max_examples=40)
@given(PROGRAMS)
def test_scope_and_tail_rules_agree_with_a_walk(source: str) -> None:
    tree, facts = derived(source)
    direct = Direct(tree)
    assert set(facts["local"]) == direct.local
    assert {node for (node,) in facts["tail"]} == direct.tail
    assert set(facts["captured"]) == direct.captured


def test_of_equal_parameters_the_last_counts() -> None:
    _, facts = derived("(fn* ([a a] a))")
    # 0 program, 1 lambda, 2 arity, 3 a, 4 a, 5 a
    assert [row for row in facts["local"] if row[0] == 5] == [(5, 4)]


def test_a_recur_goes_to_the_loop_around_it_not_through_a_try() -> None:
    _, facts = derived("(fn* ([a] (loop* [b a] (if b (recur 1) (try (recur 2) (finally 3))))))")
    # 0 program, 1 lambda, 2 arity, 3 a, 4 loop, 5 b, 6 a, 7 if, 8 b, 9 recur, 10 1, 11 try, 12 recur
    targets: dict[int, int] = dict(facts["target"])  # type: ignore[arg-type]
    assert targets[4] == 2
    assert targets[9] == 4
    assert 12 not in targets
