"""Bodies as one loop: the steps of a plan, made into a join of the kernel.

Is:     which steps a join can do, its registers and operations.
Is not: the loop (`_kernel`), the order of the steps (`plan`), or when it is run (`rounds`).
Fits:   `rounds` answers the bodies of recursive rules with it; what it cannot do is left to the steps themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datomstore.datalog._kernel import CALCULATIONS, TESTS, Join, Table
from datomstore.datalog.limits import KEPT_ROWS_MAX
from datomstore.datalog.steps import (
    Compute,
    Delta,
    DemandCall,
    Keep,
    LookUp,
    Match,
    Step,
    Without,
)
from datomstore.datalog.syntax import BLANK, BindScalar, Constant, Term
from datomstore.intern import intern
from datomstore.value import Symbol

Operation = tuple[str, dict[str, Any]]


class Fused:
    """A body as a join that adds to a table."""

    def __init__(self, builder: _Builder) -> None:
        self._values = builder.values
        self._operations = builder.operations
        self._look_ups = builder.look_ups
        self._whole = builder.whole
        self._join: Join | None = None

    def join(self, rows: int) -> Join | None:
        """Return the join; None if so few rows are better looked up without indexes of all its tables."""
        if self._join is None:
            if any(step.seeks(places, rows) for step, places, _ in self._look_ups):
                return None
            for step, _, fields in self._look_ups:
                fields["table"] = step.table()
            self._join = Join(self._values, self._operations)
        return self._join

    @property
    def lasts(self) -> bool:
        """Whether it is the same when rules are answered again: it has no table of the answers of others."""
        return not self._whole

    def restart(self) -> bool:
        """Return whether the join is still right when the tables of rules begin again; if not, it is made anew.

        A large table of facts is let go, since it is for its source to say how long it is kept.
        """
        stays = self._join is not None and all(
            isinstance(step, Delta)
            or (isinstance(step, Match) and fields["table"].count <= KEPT_ROWS_MAX)
            for step, _, fields in self._look_ups
        )
        if not stays:
            self._join = None
            for _, _, fields in self._look_ups:
                fields.pop("table", None)
        return stays


def fuse(
    head: Table, terms: Sequence[Term], steps: Sequence[Step], *, eager: bool = False
) -> Fused | None:
    """Return the join of a body whose first step reads new rows; None if a step is not one of a join's.

    If `eager`, rules are answered whole where that is not too much; else only those that are so already are joined.
    """
    builder = _Builder(eager=eager)
    if not head.arity or not steps or not builder.add_all(steps):
        return None
    registers = [builder.register(term) for term in terms]
    builder.operations.append(("emit", {"table": head, "registers": registers}))
    return Fused(builder)


def waits(steps: Sequence[Step]) -> bool:
    """Return whether a body may become a join once all answers of rules that it calls are there."""
    return any(
        isinstance(step, DemandCall) or (isinstance(step, Without) and waits(step.steps))
        for step in steps
    )


class _Builder:
    """Registers and operations as they are made."""

    def __init__(self, *, eager: bool) -> None:
        self.eager = eager
        self.values: list[int] = []
        self.operations: list[Operation] = []
        self.look_ups: list[tuple[LookUp, tuple[int, ...], dict[str, Any]]] = []
        self.whole = False  # whether it has the answers of a rule that was called with arguments
        self._registers: dict[object, int] = {}
        self._bound: set[Symbol] = set()

    def register(self, term: Term) -> int:
        """Return the register of a variable or constant."""
        key = ("constant", intern(term.value)) if isinstance(term, Constant) else term
        return self._of(key, key[1] if isinstance(key, tuple) else 0)

    def _of(self, key: object, value: int) -> int:
        found = self._registers.get(key)
        if found is None:
            found = self._registers[key] = len(self.values)
            self.values.append(value)
        return found

    def add_all(self, steps: Sequence[Step]) -> bool:
        """Add operations for all steps; False if one of them cannot be in a join."""
        for place, step in enumerate(steps):
            before = set(self._bound)
            if isinstance(step, DemandCall):
                table = step.whole(eager=self.eager)
                if table is None:
                    return False
                self.whole = True
                self._look_up(step.lookup, table)
            elif isinstance(step, LookUp):
                self._look_up(step)
            elif isinstance(step, Without):
                if not self._without(step):
                    return False
            elif not isinstance(step, Compute) or not self._compute(step):
                return False
            self._drop(before, step.keep, last=place == len(steps) - 1)
        return True

    def _drop(self, before: set[Symbol], keep: Keep, *, last: bool) -> None:
        """Forget variables that nothing reads any more. Rows that differed in them alone need not be followed twice."""
        dropped = before - keep
        self._bound &= keep
        if dropped and not last and self._bound:
            registers = [self.register(name) for name in sorted(self._bound)]
            self.operations.append(("distinct", {"registers": registers}))

    def _look_up(self, step: LookUp, table: Table | None = None) -> None:
        keys: list[tuple[int, int]] = []
        unify: list[tuple[int, int, bool]] = []
        fresh: set[Symbol] = set()
        scanned = isinstance(step, Delta)
        for place, term in step.terms:
            if isinstance(term, int):
                register, known = self._of(("constant", term), term), True
            else:
                register, known = self.register(term), term in self._bound
            if known and not scanned:
                keys.append((place, register))
                continue
            unify.append((place, register, not known and term not in fresh))
            if not known:
                fresh.add(term)  # type: ignore[arg-type]
        once = not (fresh & step.keep)
        self._bound |= fresh
        fields: dict[str, Any] = {"unify": unify, "once": once}
        places = tuple(place for place, _ in keys)
        if keys:
            fields["places"] = places
            fields["registers"] = [register for _, register in keys]
        self.operations.append(("probe" if keys else "scan", fields))
        if table is None:
            self.look_ups.append((step, places, fields))
        else:
            fields["table"] = table

    def _without(self, step: Without) -> bool:
        outside = set(self._bound)
        begin = len(self.operations)
        self.operations.append(("not", {}))
        self._bound = set(step.shared)
        # What it does not share is its own, also where it has the name of something outside.
        hidden: dict[object, int] = {
            name: register
            for name, register in self._registers.items()
            if isinstance(name, Symbol) and name not in self._bound
        }
        for name in hidden:
            del self._registers[name]
        if not self.add_all(step.steps):
            return False
        self._registers.update(hidden)
        self._bound = outside
        self.operations[begin][1]["partner"] = len(self.operations)
        self.operations.append(("end", {"partner": begin}))
        return True

    def _compute(self, step: Compute) -> bool:
        name, binding = step.clause.function, step.clause.binding
        if step.source is not None:
            return False
        registers = [self.register(term) for term in step.arguments]
        if binding is None:
            if name not in TESTS or len(registers) != 2:
                return False
            a, b = registers
            self.operations.append(("test", {"code": TESTS[name], "a": a, "b": b}))
            return True
        if not isinstance(binding, BindScalar) or binding.term is BLANK:
            return False
        if name in ("inc", "dec") and len(registers) == 1:
            name = "+" if name == "inc" else "-"
            registers.append(self._of(("constant", 2), 2))  # the id of 1
        if name in ("identity", "ground") and len(registers) == 1:
            name, registers = "identity", registers * 2
        if name not in CALCULATIONS or len(registers) != 2:
            return False
        term = binding.term
        binds = not isinstance(term, Constant) and term not in self._bound
        a, b = registers
        fields = {"code": CALCULATIONS[name], "a": a, "b": b, "c": self.register(term)}
        self.operations.append(("calc", {**fields, "binds": binds}))
        if binds:
            assert isinstance(term, Symbol), term
            self._bound.add(term)
        return True
