"""The reference machine with a witness: what every node came to, and who was running when something was reached.

An observation is made where a value goes to the continuation with which a node began: it is that node's value, and
that of every node that began with the same continuation since, which are its tail calls, branches and bodies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from yang.signatures import KINDS, SIGNATURES
from yind.cesk.reference import (
    _RECUR,
    After,
    Evaluate,
    Node,
    ReferenceCode,
    ReferenceMachine,
    activation_of,
    running,
)
from yind.cesk.reference_primitives import FUNCTIONS

# A function of a code, by the entity of its :lambda; the :program for what is outside of all.
Function = tuple[ReferenceCode, int]


class ObservedMachine(ReferenceMachine):
    """Runs as its parent does; `values` and `reached` say what was seen."""

    def __init__(self, code: ReferenceCode, **given: Any) -> None:
        self.values: defaultdict[int, list[object]] = defaultdict(list)  # of the program's nodes
        self.kinds: defaultdict[int, set[str]] = defaultdict(set)
        self.entered: set[int] = set()  # the program's nodes that were evaluated
        self.reached: set[tuple[ReferenceCode, int, str]] = set()
        self._open: dict[int, tuple[object, dict[int, Node]]] = {}  # by continuation
        super().__init__(code, **given)

    def step(self) -> None:
        frame = self.continuation
        control = self.control
        if type(control) is Evaluate and control.node.code is self.code:
            self._begin(frame, control)
        super().step()

    def _begin(self, frame: object, control: Evaluate) -> None:
        node = control.node
        self.entered.add(node.entity)
        _, nodes = self._open.setdefault(id(frame), (frame, {}))
        nodes[node.entity] = node

    def _operand_next(self, node: Node, done: Any, left: Any, environment: Any) -> None:
        if node.kind == "recur" and not left:
            body: Node = environment[_RECUR].body
            end = body.fact("ast/end")
            assert isinstance(end, int)
            _, nodes = self._open.get(id(self.continuation), (None, {}))
            for entity in [entity for entity in nodes if body.entity <= entity <= end]:
                del nodes[entity]
        super()._operand_next(node, done, left, environment)

    def _give(self, value: Any) -> None:
        _, nodes = self._open.pop(id(self.continuation), (None, {}))
        if nodes:
            kind = self.kind_of(value)
            for entity in nodes:
                self.kinds[entity].add(kind)
                self.values[entity].append(value)
        super()._give(value)

    def _apply_continuation(self, function: Any, arguments: Any) -> None:
        self._open.clear()  # what was begun may be left, and its continuation given another's value
        super()._apply_continuation(function, arguments)

    def kind_of(self, value: Any) -> str:
        """Return the kind that the language's own predicates tell of a value."""
        for kind, predicate in KINDS.items():
            if FUNCTIONS[predicate.removeprefix("yin.core/")](self.store, value):
                return kind
        return "other"

    def _apply_primitive(self, function: Any, arguments: Any, site: Any) -> None:
        from yang.primitives import PRIMITIVES

        for effect in SIGNATURES[PRIMITIVES[function.number].name].effects:
            for code, entity in self._responsible(site):
                self.reached.add((code, entity, effect))
        super()._apply_primitive(function, arguments, site)

    def _responsible(self, site: Any) -> Iterator[Function]:
        """Yield the functions that are running; those that realise a lazy seq are not to blame for what is in it."""
        if site is not None:
            yield _function(running(site.environment))
        frame = self.continuation
        while frame is not None and type(frame) is not After:
            activation = activation_of(frame)
            if activation is not None:
                yield _function(activation)
            frame = frame.parent


def _function(activation: Any) -> Function:
    arity: Node = activation.arity
    if arity.kind == "program":
        return arity.code, arity.entity
    parent = arity.parent
    assert parent is not None
    return arity.code, parent.entity
